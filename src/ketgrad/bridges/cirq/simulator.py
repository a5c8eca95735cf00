"""Cirq's simulator interfaces on our executors: all points of a parameter sweep in one native call."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import cirq
import numpy as np

import ketgrad.executors as executors
from ketgrad.bridges.cirq.paulis import from_pauli_sum
from ketgrad.bridges.cirq.reader import CirqReader, Measured
from ketgrad.bridges.cirq.tasks import Conversion, SweepTask, convert, initial_ops, readings, tasks
from ketgrad.circuits import ops as build
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.gate_kinds import Preparation
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import complex_type
from ketgrad.foundation.seeds import Seed, check_seed
from ketgrad.functions.builders import expectation, samples, state
from ketgrad.functions.function import Function

_Bits = dict[str, np.ndarray]


class Simulator(
    cirq.SimulatesSamples,
    cirq.SimulatesAmplitudes,
    cirq.SimulatesExpectationValues,
    cirq.SimulatesIntermediateState[cirq.SparseSimulatorStep, cirq.StateVectorTrialResult, Any],
):
    """A state vector simulator for all code that takes one of Cirq's.

    executor: the one that runs the circuits; it must be exact. dtype: complex64, Cirq's own default, or complex128.
    seed: None for fresh measurements in every run of the program, or an integer or a NumPy generator: as with Cirq's
    own simulator each call then draws from the next part of the stream, so that the calls of a program repeat when
    the program is run again. A copy begins anew. threads: None for all cores.

    `simulate` and `simulate_sweep` return `cirq.StateVectorTrialResult`s, `simulate_moment_steps`
    `cirq.SparseSimulatorStep`s, `run` and `run_sweep` `cirq.Result`s with int8 records,
    `simulate_expectation_values` floats, `compute_amplitudes` the amplitudes. All resolvers of a sweep are one native
    call; exponents may be any functions of the symbols, since those have values here. Only gates that cannot be read
    before their symbols have values, such as a phase that is a complex symbol, are converted point by point.
    `initial_state` may be an integer, a state vector or a `cirq.ProductState`. A final measurement, of qubits or of a
    Pauli word, collapses the state that `simulate` returns, as in Cirq; with `permit_terminal_measurements`
    expectation values are those of the state before it.
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
        if "exact" not in self.executor.abilities:
            raise KetgradValueError(
                f"`executor` must be exact - measurements are drawn from exact states - but {self.executor.name!r} "
                "is not."
            )
        check_seed(seed if not isinstance(seed, np.random.Generator) else None)
        self.dtype = complex_type(dtype)
        self.seed = seed
        self.threads = threads
        self._draws = itertools.count()  # numbers the calls that draw; a step of it is atomic

    def __reduce__(self) -> Any:
        """Copies begin anew."""
        return _again, (type(self), self.executor, self.dtype, self.seed, self.threads)

    def simulate_sweep_iter(
        self,
        program: cirq.AbstractCircuit,
        params: cirq.Sweepable,
        qubit_order: Any = cirq.QubitOrder.DEFAULT,
        initial_state: Any = None,
    ) -> Iterator[cirq.StateVectorTrialResult]:
        """One result for each resolver of the sweep, in its order."""
        for task in tasks(program, params, qubit_order, initial_state, self.dtype.type):
            circuit, found = task.circuit(turned=True), readings(task.found.measured)
            rng = np.random.Generator(np.random.Philox(self._next_seed())) if found else None
            vectors = _state(circuit, self.executor, self.dtype, self.threads)(task.rows_of(circuit))
            vectors = np.broadcast_to(vectors, (len(task.resolvers), vectors.shape[-1]))
            for resolver, vector in zip(task.resolvers, vectors, strict=True):
                yield self._trial(task, resolver, vector, found, rng)

    def _trial(
        self,
        task: SweepTask,
        resolver: cirq.ParamResolver,
        vector: np.ndarray,
        found: Mapping[str, list[Measured]],
        rng: np.random.Generator | None,
    ) -> cirq.StateVectorTrialResult:
        qubits, outcome = task.found.qubits, None
        if rng is not None:
            outcome = _outcome(vector, rng)
            vector = self._turned_back(_collapsed(vector, found, len(qubits), outcome), task)
        log = _log(found, qubits, outcome)
        bits = {key: np.array(bit, dtype=np.uint8) for key, bit in _last(log).items()}
        return self._create_simulator_trial_result(resolver, bits, self._final(vector, qubits, log))

    def _turned_back(self, vector: np.ndarray, task: SweepTask) -> np.ndarray:
        """The state after the measurements of Pauli words, whose gates have turned it."""
        turns, count = task.found.turns, len(task.found.qubits)
        if not turns:
            return vector
        back = [op.inverse() for op in reversed(turns)]
        prepared = build.prepare_state(vector, *range(count), normalize=True)
        circuit = Circuit([prepared, *back], count)
        return state(circuit, executor=self.executor, dtype=self.dtype, threads=self.threads)()

    def _create_simulator_trial_result(
        self, params: cirq.ParamResolver, measurements: _Bits, final_simulator_state: Any
    ) -> cirq.StateVectorTrialResult:
        return cirq.StateVectorTrialResult(params, measurements, final_simulator_state)

    def _final(
        self, vector: np.ndarray, qubits: Sequence[cirq.Qid], log: cirq.ClassicalDataDictionaryStore
    ) -> cirq.StateVectorSimulationState:
        return cirq.StateVectorSimulationState(
            initial_state=np.array(vector, dtype=self.dtype).reshape((2,) * len(qubits)),
            qubits=qubits,
            dtype=self.dtype.type,
            classical_data=log,
        )

    def _base_iterator(
        self, circuit: cirq.AbstractCircuit, qubits: tuple[cirq.Qid, ...], initial_state: Any
    ) -> Iterator[cirq.SparseSimulatorStep]:
        """The state after each moment: one native call a moment, from the state of the moment before."""
        readings(convert(circuit, qubits).measured)  # refuses now what follows a measurement in the circuit
        reader = CirqReader({}, {qubit: k for k, qubit in enumerate(qubits)})
        before, log = initial_ops(initial_state, len(qubits), self.dtype.type), _log({}, qubits, None)
        rng = np.random.Generator(np.random.Philox(self._next_seed()))
        for moment in circuit or [cirq.Moment()]:
            part = _moment(reader, moment, qubits)
            task = SweepTask(part, tuple(before), np.zeros((1, 0)), [])
            vector = state(task.circuit(turned=True), executor=self.executor, threads=self.threads)()
            if part.measured:
                found, outcome = readings(part.measured), _outcome(vector, rng)
                vector = self._turned_back(_collapsed(vector, found, len(qubits), outcome), task)
                _record(log, found, qubits, outcome)
            before = [build.prepare_state(vector, *range(len(qubits)), normalize=True)] if qubits else []
            yield cirq.SparseSimulatorStep(self._final(vector, qubits, log.copy()), self.dtype.type)

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
        chosen = list(observables) if isinstance(observables, list | tuple) else [observables]
        for task in tasks(program, params, qubit_order, initial_state, self.dtype.type):
            circuit, count = task.circuit(turned=False), len(task.resolvers)
            sums = tuple(from_pauli_sum(one, task.found.qubits) for one in chosen)
            function = _expectation(circuit, sums, self.executor, self.dtype, self.threads)
            values = function(task.rows_of(circuit)).astype(np.float64)
            yield from np.broadcast_to(values, (count, values.shape[-1])).tolist()

    def run_sweep_iter(
        self, program: cirq.AbstractCircuit, params: cirq.Sweepable, repetitions: int = 1
    ) -> Iterator[cirq.Result]:
        """The measured bits of each resolver of the sweep."""
        for task in tasks(program, params, cirq.QubitOrder.DEFAULT, None, self.dtype.type):
            found, count = readings(task.found.measured), len(task.found.qubits)
            if not found:
                raise KetgradValueError(
                    "The circuit has no measurements to sample. Add cirq.measure(...) at its end."
                )
            for resolver, drawn in zip(task.resolvers, self._outcomes(task, repetitions), strict=True):
                records = {
                    key: np.stack([_bits(drawn, reading, count) for reading in several], axis=1)
                    for key, several in found.items()
                }
                yield cirq.ResultDict(params=resolver, records=records)

    def _outcomes(self, task: SweepTask, repetitions: int) -> np.ndarray:
        """Outcome indices (resolvers, repetitions)."""
        if not repetitions:
            return np.zeros((len(task.resolvers), 0), dtype=np.uint64)
        circuit = task.circuit(turned=True)
        draw = samples(
            circuit,
            shots=repetitions,
            packed=True,
            executor=self.executor,
            dtype=self.dtype,
            threads=self.threads,
            seed=self._next_seed(),
        )
        rows = task.rows_of(circuit)
        return draw(np.ascontiguousarray(np.broadcast_to(rows, (len(task.resolvers), rows.shape[1]))))

    def _run(
        self, circuit: cirq.AbstractCircuit, param_resolver: cirq.ParamResolver, repetitions: int
    ) -> _Bits:
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

    def _next_seed(self) -> np.random.SeedSequence:
        """The seed of one call among many."""
        root = check_seed(self.seed)
        return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, next(self._draws)))


def _again(kind: Any, executor: Any, dtype: Any, seed: Seed, threads: int | None) -> Any:
    return kind(executor=executor, dtype=dtype, seed=seed, threads=threads)


@lru_cache(maxsize=128)
def _state(circuit: Circuit, executor: Any, dtype: Any, threads: int | None) -> Function:
    return state(circuit, executor=executor, dtype=dtype, threads=threads)


@lru_cache(maxsize=128)
def _expectation(
    circuit: Circuit, sums: tuple[PauliSum, ...], executor: Any, dtype: Any, threads: int | None
) -> Function:
    return expectation(circuit, sums, executor=executor, dtype=dtype, threads=threads)


def _moment(reader: CirqReader, moment: cirq.Moment, qubits: tuple[cirq.Qid, ...]) -> Conversion:
    """The part of a conversion that belongs to one moment; states are prepared by unitaries, since gates precede."""
    measured, turns = len(reader.measured), len(reader.turns)
    ops = [op for operation in moment for op in reader.top(operation)]
    made = tuple(map(_unitary, ops))
    return Conversion(made, tuple(reader.turns[turns:]), (), (), qubits, tuple(reader.measured[measured:]))


def _unitary(op: Op) -> Op:
    """The op, or for a preparation a unitary that takes |0...0> to its state.

    That is a Householder reflection, up to the phase of amplitude 0.
    """
    if not isinstance(op.gate.definition, Preparation):
        return op
    amplitudes = op.gate.definition.vector()
    phase = amplitudes[0] / abs(amplitudes[0]) if amplitudes[0] else 1.0
    mirror = -amplitudes * np.conj(phase)
    mirror[0] += 1.0
    size = np.vdot(mirror, mirror).real
    matrix = phase * np.eye(len(amplitudes), dtype=np.complex128)
    if size > 0:
        matrix -= (2 * phase / size) * np.outer(mirror, np.conj(mirror))
    return build.unitary(matrix, *op.qubits)


def _bits(outcomes: np.ndarray, reading: Measured, num_qubits: int) -> np.ndarray:
    """(outcomes, measured qubits) of outcome indices, int8 as Cirq's own records."""
    shifts = np.array([num_qubits - 1 - q for q in reading.qubits], dtype=np.uint64)
    bits = (outcomes[..., None] >> shifts & np.uint64(1)).astype(np.int8)
    return bits ^ np.array(reading.inverted, dtype=np.int8)


def _outcome(vector: np.ndarray, rng: np.random.Generator) -> int:
    """A basis state, drawn with its probability."""
    chances = np.abs(vector.astype(np.complex128)) ** 2
    return int(rng.choice(len(vector), p=chances / chances.sum()))


def _collapsed(
    vector: np.ndarray, found: Mapping[str, list[Measured]], num_qubits: int, outcome: int
) -> np.ndarray:
    """The state after its measurements have given the bits of `outcome`."""
    mask = 0
    for reading in itertools.chain.from_iterable(found.values()):
        mask |= sum(1 << (num_qubits - 1 - q) for q in set(reading.qubits))
    kept = np.where((np.arange(len(vector)) & mask) == (outcome & mask), vector, 0)
    return (kept / np.linalg.norm(kept)).astype(vector.dtype)


def _log(
    found: Mapping[str, list[Measured]], qubits: Sequence[cirq.Qid], outcome: int | None
) -> cirq.ClassicalDataDictionaryStore:
    """Cirq's own store of what the measurements have given."""
    log = cirq.ClassicalDataDictionaryStore()
    if outcome is not None:
        _record(log, found, qubits, outcome)
    return log


def _record(
    log: cirq.ClassicalDataDictionaryStore,
    found: Mapping[str, list[Measured]],
    qubits: Sequence[cirq.Qid],
    outcome: int,
) -> None:
    drawn = np.array([outcome], dtype=np.uint64)
    for key, several in found.items():
        for reading in several:
            bits = _bits(drawn, reading, len(qubits))[0].tolist()
            places = [qubits[k] for k in reading.qubits]
            log.record_measurement(cirq.MeasurementKey.parse_serialized(key), bits, places)


def _last(log: cirq.ClassicalDataDictionaryStore) -> dict[str, Sequence[int]]:
    """The bits of each key when it was last measured."""
    return {str(key): several[-1] for key, several in log.records.items()}
