"""Circuits out to Cirq: one operation for each op where Cirq has one, else a short sequence."""

from __future__ import annotations

import cmath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cirq
import sympy

from ketgrad.bridges.cirq.angles import expression_of, half_turns
from ketgrad.bridges.cirq.gates import FIXED, TURNED
from ketgrad.circuits import gate_kinds as kinds
from ketgrad.circuits.angles import ZERO, Angle, Variable
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.op import Op, known_op, parts_of
from ketgrad.circuits.pauli_words import letters
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradValueError

_PAULIS = {"X": cirq.X, "Y": cirq.Y, "Z": cirq.Z}


def to_cirq(
    circuit: Circuit,
    *,
    qubits: Sequence[cirq.Qid] | None = None,
    weights: Sequence[Any] | str = "w",
    inputs: Sequence[Any] | str = "x",
) -> cirq.Circuit:
    """The `cirq.Circuit` that equals a circuit; w[i] and x[j] are the symbols w0, w1, ... and x0, x1, ...

    qubits: the qubits of Cirq in the order of ours, by default `LineQubit.range(num_qubits)`; a qubit without an
    operation does not occur in a circuit of Cirq, so pass them as `qubit_order` where all are wanted.
    weights, inputs: another letter, or one name or symbol for each, such as those that `from_cirq` returns.
    Cost: linear in the ops. Raises `KetgradValueError` for a state prepared from weights or inputs, which Cirq cannot
    express, and for names or qubits that are too few.

    >>> print(kg.cirq.to_cirq(kg.Circuit([kg.ry(2 * kg.w[0], 0), kg.cx(0, 1)])))
    0: ───Ry(2*w0)───@───
                     │
    1: ──────────────X───
    """
    circuit = as_circuit(circuit)
    places = cirq.LineQubit.range(circuit.num_qubits) if qubits is None else list(qubits)
    if len(places) < circuit.num_qubits:
        raise KetgradValueError(
            f"`qubits` must name {circuit.num_qubits} qubits, as many as the circuit has, but names {len(places)}."
        )
    symbols: dict[Variable, sympy.Symbol] = {}
    for kind, names, count, label in (
        ("w", weights, circuit.num_weights, "weights"),
        ("x", inputs, circuit.num_inputs, "inputs"),
    ):
        symbols |= {(kind, k): symbol for k, symbol in enumerate(_symbols(names, count, kind, label))}
    if len({symbol.name for symbol in symbols.values()}) != len(symbols):
        raise KetgradValueError("The names of `weights` and `inputs` must differ.")
    writer = _CirqWriter(places, symbols)
    return cirq.Circuit(
        operation for position, op in enumerate(circuit.ops) for operation in writer.operations(op, position)
    )


def _symbols(names: Sequence[Any] | str, count: int, kind: str, label: str) -> list[sympy.Symbol]:
    if isinstance(names, str):
        return [sympy.Symbol(f"{names}{k}") for k in range(count)]
    if len(names) < count:
        raise KetgradValueError(
            f"`{label}` must hold {count} names - the circuit reads {kind}[0] to {kind}[{count - 1}] - but holds "
            f"{len(names)}."
        )
    return [name if isinstance(name, sympy.Symbol) else sympy.Symbol(name) for name in names]


class _CirqWriter:
    """The qubits and symbols of one circuit that is written."""

    def __init__(self, places: Sequence[cirq.Qid], symbols: Mapping[Variable, sympy.Symbol]) -> None:
        self.places = places
        self.symbols = symbols

    def operations(self, op: Op, position: int) -> Iterator[cirq.Operation]:
        """The operations of one op."""
        controls = [self.places[k] for k in op.controls]
        for operation in self._uncontrolled(op, position):
            yield operation.controlled_by(*controls) if controls else operation

    def _uncontrolled(self, op: Op, position: int) -> Iterator[cirq.Operation]:
        gate, qubits = op.gate, [self.places[k] for k in op.qubits]
        match gate.definition:
            case kinds.Preparation() as state:
                yield self._preparation(op, state, position).on(*qubits)
            case _ if gate.name in FIXED:
                yield FIXED[gate.name].on(*qubits)
            case _ if gate.name in TURNED:
                yield TURNED[gate.name](half_turns(op.angles[0], self.symbols)).on(*qubits)
            case _ if gate.name == "fsim":
                yield cirq.FSimGate(*(expression_of(angle, self.symbols) for angle in op.angles)).on(*qubits)
            case kinds.Fixed():
                yield cirq.MatrixGate(gate.matrix(), unitary_check=False).on(*qubits)
            case kinds.Rotation(generator):
                yield from self._rotations(op, generator)
            case kinds.Sequence() as sequence:
                for part in parts_of(known_op(gate, op.qubits, op.angles), sequence):
                    yield from self.operations(part, position)

    def _rotations(self, op: Op, generator: PauliSum) -> Iterator[cirq.Operation]:
        """exp(-i t G / 2): the words of G commute, so one operation for each."""
        for x, z, coefficient in generator.terms:
            angle = (op.angle or ZERO) * complex(coefficient).real
            word = {self.places[op.qubits[k]]: _PAULIS[letter] for k, letter in letters(x, z)}
            if word:
                half = half_turns(angle * 0.5, self.symbols)
                yield cirq.PauliStringPhasor(cirq.PauliString(word), exponent_neg=half, exponent_pos=-half)
            else:
                yield self._phase(angle * -0.5)

    def _phase(self, angle: Angle) -> cirq.Operation:
        if angle.is_constant:
            return cirq.global_phase_operation(cmath.exp(1j * angle.constant))
        return cirq.global_phase_operation(sympy.exp(sympy.I * expression_of(angle, self.symbols)))

    def _preparation(self, op: Op, state: kinds.Preparation, position: int) -> cirq.Gate:
        if op.angles:
            raise KetgradValueError(
                f"op {position}, {op!r}, prepares a state from weights or inputs, which a circuit of Cirq cannot hold. "
                "Give it numbers with `bind` or `encode` first."
            )
        return cirq.StatePreparationChannel(state.vector())
