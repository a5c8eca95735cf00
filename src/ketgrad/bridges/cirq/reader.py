"""Cirq circuits in: every operation becomes ops, by its rule in the table, its matrix, or its decomposition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cirq
import numpy as np
import sympy

from ketgrad.bridges.cirq.angles import angle_of
from ketgrad.bridges.cirq.gates import phase_ops, rule_of
from ketgrad.bridges.importing import Computed
from ketgrad.circuits import ops as build
from ketgrad.circuits.angles import Angle
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.op import Op
from ketgrad.circuits.variables import w, x
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches

WIDEST_MATRIX = 6  # qubits; wider gates without a rule are decomposed
MAX_OPERATIONS = 10**7
DEEPEST = 100  # decompositions inside decompositions


class Imported(NamedTuple):
    """A circuit that was read from Cirq, and the names that its numbers have there.

    weights[i] and inputs[j] are the names of the symbols that are w[i] and x[j]; qubits[k] is qubit k.
    measured: (key, qubits) for each final measurement.

    >>> import cirq
    >>> a, b = cirq.NamedQubit.range(2, prefix="q")
    >>> kg.cirq.from_cirq(cirq.Circuit(cirq.H(b), cirq.measure(b, a, key="m"))).measured
    (('m', (1, 0)),)
    """

    circuit: Circuit
    weights: tuple[str, ...]
    inputs: tuple[str, ...]
    qubits: tuple[cirq.Qid, ...]
    measured: tuple[tuple[str, tuple[int, ...]], ...]


def from_cirq(
    circuit: cirq.AbstractCircuit,
    *,
    inputs: Any = (),
    qubit_order: Any = cirq.QubitOrder.DEFAULT,
) -> Imported:
    """The circuit of ketgrad that equals a `cirq.Circuit`, and the names of its symbols and qubits.

    inputs: the symbols that are data, or their names; the first becomes x[0], and so on. All other symbols become
    weights, sorted by name with numbers by value (a2 before a10). Qubits are numbered as in Cirq: in `qubit_order`, or
    sorted, which means grid qubits (row, then column), line qubits, named qubits (a2 before a10). Moments do not
    matter. Powers of gates keep the phase of their `global_shift`. Read are all unitary gates of Cirq, controls with
    any values, matrices, subcircuits and tagged operations, and states prepared on fresh qubits.
    Final measurements are left out and listed; that of a Pauli word leaves the gates that turn the word into Z of its
    first qubit, at the end of the circuit.
    Raises `KetgradValueError` naming the operation for measurements that are not final, channels, classical controls,
    qudits, and exponents that are not polynomials of degree 2.

    >>> import cirq, sympy
    >>> a, b = cirq.LineQubit.range(2)
    >>> circuit = cirq.Circuit(cirq.rx(2 * sympy.Symbol("t"))(a), cirq.CNOT(a, b))
    >>> kg.cirq.from_cirq(circuit)[:2]
    (Circuit([rx(2 * w[0], 0), x(1).control(0)], num_qubits=2), ('t',))
    """
    if not isinstance(circuit, cirq.AbstractCircuit):
        raise KetgradTypeError(f"`circuit` must be a cirq.Circuit, but is {type(circuit).__name__}.")
    qubits = tuple(cirq.QubitOrder.as_qubit_order(qubit_order).order_for(circuit.all_qubits()))
    symbols = symbols_of(circuit)
    data = _chosen(inputs, symbols)
    weights = [symbol for symbol in symbols if symbol not in data]
    names = {symbol: x[j] for j, symbol in enumerate(data)}
    names |= {symbol: w[i] for i, symbol in enumerate(weights)}
    reader = CirqReader(names, {qubit: k for k, qubit in enumerate(qubits)})
    found = [op for operation in circuit.all_operations() for op in reader.top(operation)]
    return Imported(
        Circuit([*found, *reader.turns], len(qubits)),
        tuple(symbol.name for symbol in weights),
        tuple(symbol.name for symbol in data),
        qubits,
        tuple((measurement.key, measurement.qubits) for measurement in reader.measured),
    )


def symbols_of(circuit: cirq.AbstractCircuit) -> list[sympy.Symbol]:
    """The symbols of a circuit, sorted by name with numbers by value."""
    return sorted(cirq.parameter_symbols(circuit), key=lambda symbol: _natural(symbol.name))


def _natural(name: str) -> list[Any]:
    """A key that sorts a2 before a10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _chosen(chosen: Any, symbols: Sequence[sympy.Symbol]) -> list[sympy.Symbol]:
    by_name = {symbol.name: symbol for symbol in symbols}
    entries = [chosen] if isinstance(chosen, str | sympy.Symbol) else list(chosen)
    found: list[sympy.Symbol] = []
    for entry in entries:
        name = entry.name if isinstance(entry, sympy.Symbol) else entry
        if name not in by_name:
            hint = near_matches(str(name), by_name) if by_name else "It has none."
            raise KetgradValueError(
                f"`inputs` must name symbols of the circuit, but {name!r} is none. {hint}"
            )
        if by_name[name] in found:
            raise KetgradValueError(f"`inputs` must name each symbol once, but {name!r} occurs twice.")
        found.append(by_name[name])
    return found


@dataclass(frozen=True)
class Measured:
    """A final measurement: its key, its qubits in its order, which of its bits are inverted, and how messages call it.

    confused: whether it has a confusion map, which is noise.
    """

    key: str
    qubits: tuple[int, ...]
    inverted: tuple[bool, ...]
    confused: bool = False


@dataclass
class CirqReader:
    """One reading: the angle of each symbol, the number of each qubit, the qubits touched and measured so far.

    computed: where expressions go that no angle holds; None to refuse them. turns: the gates that turn measured Pauli
    words into Z, which belong to the end of the circuit. turned: their qubits.
    """

    names: Mapping[sympy.Symbol, Angle]
    number: Mapping[cirq.Qid, int]
    computed: Computed | None = None
    used: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)  # measured
    measured: list[Measured] = field(default_factory=list)
    turns: list[Op] = field(default_factory=list)
    turned: set[int] = field(default_factory=set)

    def top(self, operation: cirq.Operation, depth: int = 0) -> list[Op]:
        """The ops of an operation that stands in the circuit itself, where states may be prepared and measured."""
        operation = operation.untagged
        places = self._places(operation)
        gate: Any = operation.gate
        if isinstance(operation, cirq.ClassicallyControlledOperation):
            raise KetgradValueError(
                f"The operation {shown(operation)} depends on a measurement - a circuit of ketgrad has final "
                "measurements only. Control it by the qubit instead."
            )
        if isinstance(operation, cirq.CircuitOperation):
            if depth >= DEEPEST:
                raise KetgradValueError(f"The circuit nests subcircuits more than {DEEPEST} deep.")
            _refuse_repetitions(operation)
            inner = cirq.decompose_once(operation)
            return [op for part in inner for op in self.top(part, depth + 1)]
        late = self.gone.intersection(places)
        if isinstance(gate, cirq.MeasurementGate) and not self.turned.intersection(places):
            inverted = tuple(gate.full_invert_mask())
            self.measured.append(Measured(gate.key, places, inverted, bool(gate.confusion_map)))
            self.gone.update(places)
            return []
        if late:
            raise KetgradValueError(
                f"The operation {shown(operation)} follows a measurement of qubit {min(late)} - a circuit of "
                "ketgrad has final measurements only."
            )
        if isinstance(gate, cirq.PauliMeasurementGate):
            self._measure_word(operation)
            return []
        fresh = not self.used.intersection(places)
        if isinstance(gate, cirq.ResetChannel) and fresh:
            return []
        self.used.update(places)
        if isinstance(gate, cirq.StatePreparationChannel) and fresh:
            return [build.prepare_state(_amplitudes(gate), *places, normalize=True)]
        return self.ops(operation, 0)

    def _measure_word(self, operation: cirq.Operation) -> None:
        """The measurement of a Pauli word: gates that turn it into Z of one qubit, and the measurement of that."""
        for part in cirq.decompose_once(operation):
            gate: Any = part.gate
            if isinstance(gate, cirq.MeasurementGate):
                inverted = tuple(gate.full_invert_mask())
                self.measured.append(Measured(gate.key, self._places(part), inverted))
                break  # what follows turns back
            self.turns += self.ops(part, 1)
        self.gone.update(self._places(operation))
        self.turned.update(self._places(operation))

    def ops(self, operation: cirq.Operation, depth: int) -> list[Op]:
        """The ops of a unitary operation."""
        operation = operation.untagged
        if depth >= DEEPEST:
            raise KetgradValueError(f"The operation {shown(operation)} decomposes more than {DEEPEST} deep.")
        places, gate = self._places(operation), operation.gate
        rule = rule_of(gate)
        if rule is not None:
            return rule(gate, lambda value: self._angle(value, operation), places)
        if isinstance(operation, cirq.PauliStringPhasor):
            return self._phasor(operation)
        if isinstance(operation, cirq.ControlledOperation) or isinstance(gate, cirq.ControlledGate):
            return self._controlled(operation, depth)
        if not cirq.is_parameterized(operation):
            if not cirq.has_unitary(operation):
                raise KetgradValueError(
                    f"The operation {shown(operation)} is no unitary - a circuit of ketgrad is made of unitaries. "
                    "Channels and resets of used qubits cannot be read."
                )
            if len(places) <= WIDEST_MATRIX:
                return [build.unitary(cirq.unitary(operation), *places)]
        parts = cirq.decompose_once(operation, default=None)
        if parts is None:
            raise KetgradValueError(
                f"The operation {shown(operation)} has neither a rule nor a decomposition, so it cannot be read. "
                "Resolve its parameters first."
            )
        return [op for part in parts for op in self.ops(part, depth + 1)]

    def _angle(self, half_turns: Any, operation: cirq.Operation) -> Angle:
        """The angle of an exponent; expressions are multiplied by pi exactly, so rx(t) reads t."""
        return angle_of(half_turns, self.names, f"The exponent of {shown(operation)}", self.computed)

    def _places(self, operation: cirq.Operation) -> tuple[int, ...]:
        if any(dimension != 2 for dimension in cirq.qid_shape(operation)):
            raise KetgradValueError(
                f"The operation {shown(operation)} acts on qudits, but ketgrad has qubits only."
            )
        added = [qubit for qubit in operation.qubits if qubit not in self.number]
        if added:
            raise KetgradValueError(
                f"The operation {shown(operation)} decomposes with the ancilla {added[0]}, which the circuit has not."
            )
        return tuple(self.number[qubit] for qubit in operation.qubits)

    def _controlled(self, operation: Any, depth: int) -> list[Op]:
        """The inner operation under controls, once for each combination of values that they may have."""
        if isinstance(operation, cirq.ControlledOperation):
            inner, controls = operation.sub_operation, operation.controls
            combinations = operation.control_values.expand()
        else:
            count = operation.gate.num_controls()
            controls, targets = operation.qubits[:count], operation.qubits[count:]
            inner, combinations = operation.gate.sub_gate.on(*targets), operation.gate.control_values.expand()
        if any(dimension != 2 for dimension in cirq.qid_shape(operation)):
            raise KetgradValueError(
                f"The operation {shown(operation)} acts on qudits, but ketgrad has qubits only."
            )
        places = [self.number[qubit] for qubit in controls]
        ops = self.ops(inner, depth + 1)
        found: list[Op] = []
        for values in combinations:
            flips = [build.x(place) for place, value in zip(places, values, strict=True) if not value]
            found += [*flips, *(op.control(*places) for op in ops), *flips]
        return found

    def _phasor(self, operation: cirq.PauliStringPhasor) -> list[Op]:
        """exp(i pi positive) on the eigenvalue 1 of a Pauli word, exp(i pi negative) on -1."""
        string = operation.pauli_string
        positive, negative = (
            self._angle(t, operation) for t in (operation.exponent_pos, operation.exponent_neg)
        )
        if complex(string.coefficient).real < 0:
            positive, negative = negative, positive
        pairs = list(string.items())
        if not pairs:
            return phase_ops(positive)
        word = "".join(str(pauli) for _, pauli in pairs)
        turned = build.pauli_rotation(negative - positive, word, *(self.number[qubit] for qubit, _ in pairs))
        return [turned, *phase_ops((positive + negative) * 0.5)]


def _refuse_repetitions(operation: cirq.CircuitOperation) -> None:
    times = operation.repetitions
    if operation.repeat_until is not None or not isinstance(times, int | np.integer):
        raise KetgradValueError(
            f"The subcircuit on {', '.join(map(str, operation.qubits))} repeats an unknown number of times - a "
            "circuit of ketgrad is a fixed sequence of gates. Resolve it, or unroll it first."
        )
    count = abs(int(times)) * sum(1 for _ in operation.circuit.all_operations())
    if count > MAX_OPERATIONS:
        raise KetgradValueError(
            f"A subcircuit stands for {count:,} operations or more, but a circuit may have {MAX_OPERATIONS:,}."
        )


def shown(operation: cirq.Operation) -> str:
    """What messages call an operation: its kind and its qubits."""
    kind = type(operation if operation.gate is None else operation.gate).__name__
    return f"{kind} on {', '.join(map(str, operation.qubits))}" if operation.qubits else kind


def _amplitudes(gate: Any) -> np.ndarray:
    return np.asarray(gate.state, dtype=np.complex128).ravel()
