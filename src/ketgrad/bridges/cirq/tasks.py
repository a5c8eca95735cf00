"""Programs of Cirq and their sweeps as circuits and rows of weights: what the simulator has to run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cirq
import numpy as np
import sympy

from ketgrad.bridges.cirq.reader import CirqReader, Measured, symbols_of
from ketgrad.bridges.importing import Computed
from ketgrad.circuits import ops as build
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.op import Op
from ketgrad.circuits.variables import w
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError


@dataclass(frozen=True)
class Conversion:
    """A program whose symbols all get values.

    symbols: those that are weights. computed: expressions that no angle holds, the weights after them. turns: gates
    after `ops` that turn measured Pauli words into Z.
    """

    ops: tuple[Op, ...]
    turns: tuple[Op, ...]
    symbols: tuple[sympy.Symbol, ...]
    computed: tuple[Any, ...]
    qubits: tuple[cirq.Qid, ...]
    measured: tuple[Measured, ...]

    def row(self, resolver: cirq.ParamResolver) -> list[float]:
        """The weights at one point of a sweep."""
        values = [_real(_value(resolver, symbol), f"The symbol {symbol.name!r}") for symbol in self.symbols]
        computed = [_real(_value(resolver, part), f"The exponent {part}") for part in self.computed]
        return values + computed


@dataclass(frozen=True)
class SweepTask:
    """Points of a sweep that share a circuit: the circuit with its initial state, and a row of weights for each.

    rows: (resolvers, weights), or one row if the circuit reads none.
    """

    found: Conversion
    before: tuple[Op, ...]
    rows: np.ndarray
    resolvers: list[cirq.ParamResolver]

    def circuit(self, *, turned: bool) -> Circuit:
        """The circuit; turned: with the gates in front of the measurements of Pauli words."""
        after = self.found.turns if turned else ()
        return Circuit([*self.before, *self.found.ops, *after], len(self.found.qubits))

    def rows_of(self, circuit: Circuit) -> np.ndarray:
        """The rows of weights as far as the circuit reads them."""
        return np.ascontiguousarray(self.rows[:, : circuit.num_weights])


def tasks(program: Any, params: Any, qubit_order: Any, initial_state: Any, dtype: Any) -> Iterator[SweepTask]:
    """One task for the whole sweep, or one for each point where the symbols of a gate need values to be read."""
    order = tuple(cirq.QubitOrder.as_qubit_order(qubit_order).order_for(program.all_qubits()))
    before = tuple(initial_ops(initial_state, len(order), dtype))
    resolvers = list(cirq.to_resolvers(params))
    try:
        found = _converted(program, order)
    except KetgradValueError:
        if not cirq.is_parameterized(program):
            raise
        for resolver in resolvers:
            bound = _resolved(program, resolver)
            yield SweepTask(convert(bound, order), before, np.zeros((1, 0)), [resolver])
        return
    count = len(found.symbols) + len(found.computed)
    rows = np.array([found.row(resolver) for resolver in resolvers], dtype=np.float64)
    yield SweepTask(found, before, rows.reshape(-1, count) if count else np.zeros((1, 0)), resolvers)


def _resolved(program: Any, resolver: cirq.ParamResolver) -> Any:
    bound = cirq.resolve_parameters(program, resolver)
    for name in sorted(cirq.parameter_names(bound)):
        raise KetgradValueError(_unresolved(name))
    return bound


def convert(program: cirq.AbstractCircuit, qubits: tuple[cirq.Qid, ...]) -> Conversion:
    """The conversion of a program whose symbols get values later."""
    symbols = tuple(symbols_of(program))
    computed = Computed(len(symbols), math.pi)
    names = {symbol: w[i] for i, symbol in enumerate(symbols)}
    reader = CirqReader(names, {qubit: k for k, qubit in enumerate(qubits)}, computed)
    ops = tuple(op for operation in program.all_operations() for op in reader.top(operation))
    measured = tuple(reader.measured)
    return Conversion(ops, tuple(reader.turns), symbols, tuple(computed.expressions), qubits, measured)


def _converted(program: cirq.AbstractCircuit, qubits: tuple[cirq.Qid, ...]) -> Conversion:
    """The conversion of a program, found again for an equal one; gates that cannot be hashed are converted anew."""
    frozen = program.freeze()
    try:
        hash(frozen)
    except TypeError:
        return convert(program, qubits)
    return _conversion(frozen, qubits)


@lru_cache(maxsize=128)
def _conversion(program: cirq.FrozenCircuit, qubits: tuple[cirq.Qid, ...]) -> Conversion:
    return convert(program, qubits)


def _value(resolver: cirq.ParamResolver, expression: Any) -> Any:
    value = resolver.value_of(expression)
    if cirq.is_parameterized(value):
        raise KetgradValueError(_unresolved(min(cirq.parameter_names(value))))
    return value


def _unresolved(name: str) -> str:
    return (
        f"The circuit reads the symbol {name!r}, which the parameters do not resolve. Give it a number, as in "
        f"{{{name!r}: 0.5}}."
    )


def _real(value: Any, what: str) -> float:
    number = complex(value)
    if number.imag:
        raise KetgradValueError(f"{what} must be a real number, but is {number}.")
    return number.real


def initial_ops(initial_state: Any, num_qubits: int, dtype: Any) -> list[Op]:
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
    return [build.prepare_state(vector, *range(num_qubits), normalize=True)] if num_qubits else []


def readings(measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    """The measurements of each key, in the order of the circuit."""
    result: dict[str, list[Measured]] = {}
    for measurement in measured:
        if measurement.confused:
            raise KetgradValueError(
                f"The measurement of {measurement.key!r} has a confusion map, which is noise. Measure without it, and "
                "apply it to the result."
            )
        result.setdefault(measurement.key, []).append(measurement)
    return result
