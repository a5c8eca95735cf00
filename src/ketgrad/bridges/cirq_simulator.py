"""Cirq's simulator interfaces on our executors: all points of a parameter sweep in one native call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import cirq
import numpy as np

from ketgrad import executors
from ketgrad import ops as build
from ketgrad.bridges.cirq_paulis import from_pauli_sum
from ketgrad.bridges.cirq_reader import Imported, from_cirq
from ketgrad.circuit import Circuit, Op
from ketgrad.errors import KetgradTypeError, KetgradValueError
from ketgrad.executors.sampled import Sampled
from ketgrad.function import Function, expectation, samples, state
from ketgrad.paulis import PauliSum
from ketgrad.questions import complex_type
from ketgrad.streams import Seed, check_seed


class Simulator(
    cirq.SimulatesSamples,
    cirq.SimulatesAmplitudes,
    cirq.SimulatesExpectationValues,
    cirq.SimulatesFinalState[cirq.StateVectorTrialResult],
):
    """A state vector simulator for all code that takes one of Cirq's.

    executor: the one that runs the circuits; it must be exact. dtype: complex64, Cirq's own default, or complex128.
    seed: None for fresh measurements in every call, an integer for the same ones, or a NumPy generator.
    threads: None for all cores.

    `simulate` and `simulate_sweep` return `cirq.StateVectorTrialResult`s, `run` and `run_sweep` `cirq.Result`s,
    `simulate_expectation_values` floats, `compute_amplitudes` the amplitudes. All resolvers of a sweep are one native
    call. `initial_state` may be an integer, a state vector or a `cirq.ProductState`. A final measurement collapses the
    state that `simulate` returns, as in Cirq; with `permit_terminal_measurements` expectation values are those of the
    state before it.
    Raises `KetgradValueError` for circuits that are not unitary up to their final measurements.

    >>> import cirq, sympy
    >>> a = cirq.LineQubit(0)
    >>> circuit = cirq.Circuit(cirq.ry(sympy.Symbol("t"))(a))
    >>> sweep = cirq.Linspace("t", 0, np.pi, 3)
    >>> kg.cirq.Simulator().simulate_expectation_values_sweep(circuit, cirq.Z(a), sweep)[0]
    [1.0]
    """

    def __init__(
        self,
        *,
        executor: Any = "native",
        dtype: Any = np.complex64,
        seed: Seed = None,
        threads: int | None = None,
    ) -> None:
        self.executor = executors.get(executor)
        if isinstance(self.executor, Sampled) or "exact" not in self.executor.abilities:
            raise KetgradValueError(
                f"`executor` must be exact - measurements are drawn from exact states - but {self.executor.name!r} "
                "is not."
            )
        check_seed(seed if not isinstance(seed, np.random.Generator) else None)
        self.dtype = complex_type(dtype)
        self.seed = seed
        self.threads = threads

    def simulate_sweep_iter(
        self,
        program: cirq.AbstractCircuit,
        params: cirq.Sweepable,
        qubit_order: Any = cirq.QubitOrder.DEFAULT,
        initial_state: Any = None,
    ) -> Iterator[cirq.StateVectorTrialResult]:
        """One result for each resolver of the sweep, in its order."""
        task = self._task(program, params, qubit_order, initial_state)
        states = _state(task.circuit, self.executor, self.dtype, self.threads)(task.rows)
        states = np.broadcast_to(states, (len(task.resolvers), states.shape[-1]))
        readings = _readings(program, task.found)
        rng = self._generator() if readings else None
        for resolver, vector in zip(task.resolvers, states, strict=True):
            vector, measured = _collapsed(vector, readings, len(task.found.qubits), rng)
            final = cirq.StateVectorSimulationState(
                initial_state=vector.reshape((2,) * len(task.found.qubits)),
                qubits=task.found.qubits,
                dtype=self.dtype.type,
            )
            yield cirq.StateVectorTrialResult(resolver, measured, final)

    def simulate_expectation_values_sweep_iter(
        self,
        program: cirq.AbstractCircuit,
        observables: Any,
        params: cirq.Sweepable,
        qubit_order: Any = cirq.QubitOrder.DEFAULT,
        initial_state: Any = None,
        permit_terminal_measurements: bool = False,
    ) -> Iterator[list[float]]:
        """The values of all observables for each resolver of the sweep."""
        if not permit_terminal_measurements and program.are_any_measurements_terminal():
            raise KetgradValueError(
                "The circuit measures its qubits, but an expectation value is that of the state before. "
                "Pass permit_terminal_measurements=True to take it there."
            )
        task = self._task(program, params, qubit_order, initial_state)
        chosen = list(observables) if isinstance(observables, list | tuple) else [observables]
        sums = tuple(from_pauli_sum(one, task.found.qubits) for one in chosen)
        values = _expectation(task.circuit, sums, self.executor, self.dtype, self.threads)(task.rows)
        yield from (
            np.broadcast_to(values, (len(task.resolvers), values.shape[-1])).astype(np.float64).tolist()
        )

    def run_sweep_iter(
        self, program: cirq.AbstractCircuit, params: cirq.Sweepable, repetitions: int = 1
    ) -> Iterator[cirq.Result]:
        """The measured bits of each resolver of the sweep."""
        task = self._task(program, params, cirq.QubitOrder.DEFAULT, None)
        readings = _readings(program, task.found)
        if not readings:
            raise KetgradValueError(
                "The circuit has no measurements to sample. Add cirq.measure(...) at its end."
            )
        count = len(task.found.qubits)
        if repetitions:
            draw = samples(
                task.circuit,
                shots=repetitions,
                packed=True,
                executor=self.executor,
                dtype=self.dtype,
                threads=self.threads,
                seed=check_seed(self.seed),
            )
            rows = np.broadcast_to(task.rows, (len(task.resolvers), task.rows.shape[1]))
            outcomes = draw(np.ascontiguousarray(rows))
        else:
            outcomes = np.zeros((len(task.resolvers), 0), dtype=np.uint64)
        for resolver, drawn in zip(task.resolvers, outcomes, strict=True):
            records = {
                key: np.stack([_bits(drawn, reading, count) for reading in several], axis=1)
                for key, several in readings.items()
            }
            yield cirq.ResultDict(params=resolver, records=records)

    def _run(
        self, circuit: cirq.AbstractCircuit, param_resolver: cirq.ParamResolver, repetitions: int
    ) -> dict[str, np.ndarray]:
        return dict(next(iter(self.run_sweep_iter(circuit, param_resolver, repetitions))).records)

    def compute_amplitudes_sweep_iter(
        self,
        program: cirq.AbstractCircuit,
        bitstrings: Sequence[int],
        params: cirq.Sweepable,
        qubit_order: Any = cirq.QubitOrder.DEFAULT,
    ) -> Iterator[Sequence[complex]]:
        """The amplitudes of the basis states `bitstrings`, integers with the first qubit most significant."""
        wanted = np.asarray(bitstrings, dtype=np.intp)
        if wanted.ndim != 1:
            raise KetgradValueError(f"`bitstrings` must be a list of integers, but has shape {wanted.shape}.")
        for result in self.simulate_sweep_iter(program, params, qubit_order):
            yield result.final_state_vector[wanted].tolist()

    def _generator(self) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(check_seed(self.seed)))

    def _task(self, program: Any, params: Any, qubit_order: Any, initial_state: Any) -> _Task:
        """The program as a circuit, with its initial state, and the rows of weights of the sweep."""
        order = tuple(cirq.QubitOrder.as_qubit_order(qubit_order).order_for(program.all_qubits()))
        found = _converted(program, order)
        resolvers = list(cirq.to_resolvers(params))
        rows = np.zeros((len(resolvers) if found.weights else 1, len(found.weights)))
        for row, resolver in zip(rows, resolvers if found.weights else (), strict=found.weights != ()):
            row[:] = [_number(resolver.value_of(name), name) for name in found.weights]
        before = _initial(initial_state, len(found.qubits), self.dtype.type)
        circuit = Circuit([*before, *found.circuit.ops], len(found.qubits))
        return _Task(found, circuit, np.ascontiguousarray(rows[:, : circuit.num_weights]), resolvers)


def _converted(program: cirq.AbstractCircuit, qubits: tuple[cirq.Qid, ...]) -> Imported:
    """The conversion of a program, found again for an equal one; gates that cannot be hashed are converted anew."""
    frozen = program.freeze()
    try:
        hash(frozen)
    except TypeError:
        return from_cirq(program, qubit_order=qubits)
    return _conversion(frozen, qubits)


@lru_cache(maxsize=128)
def _conversion(program: cirq.FrozenCircuit, qubits: tuple[cirq.Qid, ...]) -> Imported:
    return from_cirq(program, qubit_order=qubits)


@lru_cache(maxsize=128)
def _state(circuit: Circuit, executor: Any, dtype: Any, threads: int | None) -> Function:
    return state(circuit, executor=executor, dtype=dtype, threads=threads)


@lru_cache(maxsize=128)
def _expectation(
    circuit: Circuit, sums: tuple[PauliSum, ...], executor: Any, dtype: Any, threads: int | None
) -> Function:
    return expectation(circuit, sums, executor=executor, dtype=dtype, threads=threads)


class _Task(NamedTuple):
    found: Imported
    circuit: Circuit
    rows: np.ndarray  # (resolvers, weights), or one row if the circuit has no symbols
    resolvers: list[cirq.ParamResolver]


@dataclass(frozen=True)
class _Reading:
    """A measurement: the qubits in its order, and which bits it inverts."""

    qubits: tuple[int, ...]
    inverted: tuple[bool, ...]


def _number(value: Any, name: str) -> float:
    if cirq.is_parameterized(value):
        raise KetgradValueError(
            f"The circuit reads the symbol {name!r}, which the parameters do not resolve. Give it a number, as in "
            f"{{{name!r}: 0.5}}."
        )
    number = complex(value)
    if number.imag:
        raise KetgradValueError(f"The symbol {name!r} must be a real number, but is {number}.")
    return number.real


def _initial(initial_state: Any, num_qubits: int, dtype: Any) -> list[Op]:
    """The ops that prepare the initial state from |0...0>."""
    if initial_state is None:
        return []
    if isinstance(initial_state, int | np.integer) and not isinstance(initial_state, bool):
        if not 0 <= initial_state < 2**num_qubits:
            raise KetgradValueError(
                f"`initial_state` must be a basis state from 0 to {2**num_qubits - 1}, but is {initial_state}."
            )
        return [build.x(q) for q in range(num_qubits) if int(initial_state) >> (num_qubits - 1 - q) & 1]
    if isinstance(initial_state, cirq.ProductState):
        initial_state = initial_state.state_vector()
    if not isinstance(initial_state, np.ndarray | list | tuple):
        raise KetgradTypeError(
            "`initial_state` must be an integer, a state vector or a cirq.ProductState, but is "
            f"{type(initial_state).__name__}."
        )
    vector = cirq.to_valid_state_vector(
        np.asarray(initial_state, dtype=dtype), num_qubits, dtype=dtype, atol=1e-5
    )
    return [build.prepare_state(vector, *range(num_qubits), normalize=True)]


def _readings(program: cirq.AbstractCircuit, found: Imported) -> Mapping[str, list[_Reading]]:
    """The measurements of each key, in the order of the circuit."""
    masks: dict[str, list[tuple[bool, ...]]] = {}
    flat = cirq.unroll_circuit_op(program.unfreeze(), deep=True, tags_to_check=None)
    for _, operation, gate in flat.findall_operations_with_gate_type(cirq.MeasurementGate):
        if gate.confusion_map:
            raise KetgradValueError(
                f"The measurement {operation} has a confusion map, which is noise. Measure without it, and apply it to "
                "the result."
            )
        masks.setdefault(gate.key, []).append(gate.full_invert_mask())
    result: dict[str, list[_Reading]] = {}
    for key, qubits in found.measured:
        several = result.setdefault(key, [])
        several.append(_Reading(qubits, masks[key][len(several)]))
    return result


def _bits(outcomes: np.ndarray, reading: _Reading, num_qubits: int) -> np.ndarray:
    """(outcomes, measured qubits) of outcome indices."""
    shifts = np.array([num_qubits - 1 - q for q in reading.qubits], dtype=np.uint64)
    bits = (outcomes[..., None] >> shifts & np.uint64(1)).astype(np.uint8)
    return bits ^ np.array(reading.inverted, dtype=np.uint8)


def _collapsed(
    vector: np.ndarray,
    readings: Mapping[str, list[_Reading]],
    num_qubits: int,
    rng: np.random.Generator | None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The state after its measurements, and their bits."""
    if rng is None:
        return vector, {}
    chances = np.abs(vector.astype(np.complex128)) ** 2
    outcome = int(rng.choice(len(vector), p=chances / chances.sum()))
    mask = 0
    for several in readings.values():
        for reading in several:
            mask |= sum(1 << (num_qubits - 1 - q) for q in set(reading.qubits))
    kept = np.where((np.arange(len(vector)) & mask) == (outcome & mask), vector, 0)
    drawn = np.array([outcome], dtype=np.uint64)
    measured = {key: _bits(drawn, several[-1], num_qubits)[0] for key, several in readings.items()}
    return (kept / np.linalg.norm(kept)).astype(vector.dtype), measured
