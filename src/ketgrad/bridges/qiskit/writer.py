"""Circuits out to qiskit: one gate for each op where qiskit has one, else a short sequence."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from qiskit.circuit import Gate as QiskitGate
from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.circuit import library as lib

from ketgrad.bridges.qiskit.angles import expression_of
from ketgrad.bridges.qiskit.gates import WRITTEN
from ketgrad.circuits import gate_kinds as kinds
from ketgrad.circuits.angles import ZERO, Angle, Variable
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.op import Op, parts_of
from ketgrad.circuits.pauli_words import letters
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError

_WORDS = {"X": "rx", "Y": "ry", "Z": "rz", "XX": "rxx", "YY": "ryy", "ZZ": "rzz", "ZX": "rzx"}


def to_qiskit(
    circuit: Circuit, *, weights: Sequence[Any] | str = "w", inputs: Sequence[Any] | str = "x"
) -> QuantumCircuit:
    """The `QuantumCircuit` that equals a circuit; w[i] and x[j] are elements of the `ParameterVector`s w and x.

    weights, inputs: another name of the vector, or one name or `Parameter` for each weight and each input, such as
    those that `from_qiskit` returns. Qubits keep their numbers, and the global phase is kept.
    Cost: linear in the ops. Raises `KetgradValueError` for a state prepared from weights or inputs, which qiskit
    cannot express, and for names that are too few or occur twice.

    >>> qc = kg.qiskit.to_qiskit(kg.Circuit([kg.h(0), kg.crx(2 * kg.w[0] + 0.5, 0, 1)]))
    >>> [instruction.name for instruction in qc.data], str(qc.data[1].params[0])
    (['h', 'crx'], '0.5 + 2*w[0]')
    """
    circuit = as_circuit(circuit)
    symbols: dict[Variable, Any] = {}
    for kind, names, count, label in (
        ("w", weights, circuit.num_weights, "weights"),
        ("x", inputs, circuit.num_inputs, "inputs"),
    ):
        parameters = (
            ParameterVector(names, count) if isinstance(names, str) else _parameters(names, count, label)
        )
        symbols |= {(kind, k): parameter for k, parameter in enumerate(parameters)}
    _refuse_equal_names(symbols)
    result = QuantumCircuit(circuit.num_qubits)
    for position, op in enumerate(circuit.ops):
        _append(result, op, symbols, position)
    return result


def _parameters(names: Sequence[Any], count: int, label: str) -> list[Parameter]:
    if len(names) < count:
        raise KetgradValueError(
            f"`{label}` must hold {count} names - the circuit reads {label[0] if label[0] == 'w' else 'x'}[0] to "
            f"{'w' if label[0] == 'w' else 'x'}[{count - 1}] - but holds {len(names)}."
        )
    return [_parameter(name, label) for name in names]


def _parameter(name: Any, label: str) -> Parameter:
    if not isinstance(name, str | Parameter):
        raise KetgradTypeError(f"`{label}` must hold names or Parameters, but holds {name!r}.")
    return name if isinstance(name, Parameter) else Parameter(name)


def _refuse_equal_names(symbols: Mapping[Variable, Any]) -> None:
    seen: dict[str, Variable] = {}
    for variable, parameter in symbols.items():
        if seen.setdefault(parameter.name, variable) != variable:
            raise KetgradValueError(
                f"The names of `weights` and `inputs` must differ, but {parameter.name!r} occurs twice."
            )


def _append(result: QuantumCircuit, op: Op, symbols: Mapping[Variable, Any], position: int) -> None:
    gate = op.gate
    match gate.definition:
        case kinds.Preparation() as state:
            _prepare(result, op, state, position)
        case _ if gate.name in WRITTEN:
            made = WRITTEN[gate.name](*(expression_of(angle, symbols) for angle in op.angles))
            result.append(_under(made, op.controls), [*op.controls, *op.qubits])
        case kinds.Fixed():
            made = lib.UnitaryGate(gate.matrix(), check_input=False)
            result.append(_under(made, op.controls), [*op.controls, *reversed(op.qubits)])
        case kinds.Rotation(generator):
            _rotate(result, generator, op, symbols)
        case kinds.Sequence() as sequence:
            for part in parts_of(op, sequence):
                _append(result, part, symbols, position)


def _under(gate: QiskitGate, controls: Sequence[int]) -> QiskitGate:
    return gate.control(len(controls), annotated=False) if controls else gate


def _prepare(result: QuantumCircuit, op: Op, state: kinds.Preparation, position: int) -> None:
    if op.angles:
        raise KetgradValueError(
            f"op {position}, {op!r}, prepares a state from weights or inputs, which a circuit of qiskit cannot hold. "
            "Give it numbers with `bind` or `encode` first."
        )
    result.append(lib.StatePreparation(state.vector()), list(reversed(op.qubits)))


def _rotate(result: QuantumCircuit, generator: PauliSum, op: Op, symbols: Mapping[Variable, Any]) -> None:
    """exp(-i t G / 2): the words of G commute, so one rotation for each."""
    for x, z, coefficient in generator.terms:
        angle = (op.angle or ZERO) * complex(coefficient).real
        word = [(op.qubits[k], letter) for k, letter in letters(x, z)]
        if not word:
            _phase(result, angle * -0.5, op.controls, symbols)
            continue
        name = _WORDS.get("".join(letter for _, letter in word))
        places = [qubit for qubit, _ in word]
        if name is not None:
            made = WRITTEN[name](expression_of(angle, symbols))
            result.append(_under(made, op.controls), [*op.controls, *places])
        else:
            _rotate_word(result, angle, word, op.controls, symbols)


def _phase(
    result: QuantumCircuit, angle: Angle, controls: Sequence[int], symbols: Mapping[Variable, Any]
) -> None:
    """exp(i angle) where all controls are 1: a phase of the last of them, under the others."""
    value = expression_of(angle, symbols)
    if controls:
        result.append(_under(lib.PhaseGate(value), controls[:-1]), list(controls))
    else:
        result.global_phase = result.global_phase + value


def _rotate_word(
    result: QuantumCircuit,
    angle: Angle,
    word: Sequence[tuple[int, str]],
    controls: Sequence[int],
    symbols: Mapping[Variable, Any],
) -> None:
    """Turn each letter into Z, collect the parity on the last qubit, rotate it, and go back."""
    turns = QuantumCircuit(result.num_qubits)
    for qubit, letter in word:
        if letter == "Y":
            turns.sdg(qubit)
        if letter in "XY":
            turns.h(qubit)
    for (a, _), (b, _) in itertools.pairwise(word):
        turns.cx(a, b)
    result.compose(turns, inplace=True)
    made = lib.RZGate(expression_of(angle, symbols))
    result.append(_under(made, controls), [*controls, word[-1][0]])
    result.compose(turns.inverse(), inplace=True)
