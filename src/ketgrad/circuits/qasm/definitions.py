"""Definitions of what stdgates.inc lacks: rows of the gate table, Pauli words, matrices and states as gates it has."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections import abc
from functools import lru_cache

import numpy as np

from ketgrad.circuits import decompositions
from ketgrad.circuits.custom import pauli_rotation
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gate_checks import TOLERANCE
from ketgrad.circuits.gate_kinds import Fixed, Preparation, Rotation, Sequence, Sequencer
from ketgrad.circuits.gates import GATES
from ketgrad.circuits.matrices import deviation_from_unitary
from ketgrad.circuits.pauli_words import LETTERS, letters
from ketgrad.circuits.paulis import PauliSum
from ketgrad.circuits.qasm.arithmetic import expression, number
from ketgrad.circuits.variables import w
from ketgrad.foundation.errors import KetgradValueError

MAX_MATRIX_QUBITS = 8  # a matrix of k qubits becomes about 4**k gates


Line = tuple[str, str, tuple[int, ...]]  # modifiers and name, angle text, local qubits


def definition_of(gate: Gate, name: str, subject: str = "") -> tuple[str, abc.Sequence[str]]:
    """The text that defines a gate under a name, and the rows that must be defined before it.

    subject: what the gate belongs to, for the errors: `KetgradValueError` for one that OpenQASM cannot express.
    """
    body, needs = _steps(gate, subject)
    text = _text(name, _parameter_names(gate), _local_names(gate.num_qubits), body)
    return text, [need for need in needs if GATES[need].qasm is None]


def _steps(gate: Gate, subject: str) -> tuple[list[Line], list[str]]:
    """The lines of the body of a definition, and the rows that they call."""
    match gate.definition:
        case Rotation(generator):
            return _word_steps(generator, "theta"), []
        case Sequence(equals):
            return _sequence_steps(gate, equals)
        case Fixed() if gate.name in GATES:
            return _fixed_steps(gate)
        case Fixed():
            return _matrix_steps(gate, subject), []
        case Preparation() as state:
            return _state_steps(gate, state, subject), []


def _text(
    name: str, parameters: abc.Sequence[str], qubits: abc.Sequence[str], body: abc.Sequence[Line]
) -> str:
    lines = [
        f"{head}{f'({angle})' if angle else ''}{' ' * bool(places)}{', '.join(qubits[k] for k in places)};"
        for head, angle, places in body
    ]
    head = f"gate {name}{in_brackets(parameters)} {', '.join(qubits)}"
    short = f"{head} {{ {' '.join(lines)} }}"
    if len(short) <= 110:
        return short
    filled = textwrap.wrap(
        "\n".join(lines).replace(" ", "\0"), 104, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join([f"{head} {{", *(f"  {line}".replace("\0", " ") for line in filled), "}"])


def _parameter_names(gate: Gate) -> abc.Sequence[str]:
    """Names whose alphabetical order is their order in the call: a reader that sorts them stays right."""
    return ["theta"] if gate.num_angles == 1 else [f"theta_{k}" for k in range(gate.num_angles)]


def _local_names(number: int) -> abc.Sequence[str]:
    return "abcdefg"[:number] if number <= 7 else [f"a{k}" for k in range(number)]


def _word_steps(generator: PauliSum, parameter: str) -> list[Line]:
    """exp(-i t c P / 2) for each word: turn P into Z on every qubit, collect the parity, rotate, and go back."""
    body: list[Line] = []
    for x, z, coefficient in generator.terms:
        value = complex(coefficient).real
        places = letters(x, z)
        if not places:
            body.append(("gphase", _scaled(-value / 2, parameter), ()))
            continue
        turn: list[Line] = []
        for qubit, letter in places:
            names = {"X": ["h"], "Y": ["sdg", "h"], "Z": []}[letter]
            turn += [(name, "", (qubit,)) for name in names]
        back = [("s" if name == "sdg" else name, angle, qubits) for name, angle, qubits in reversed(turn)]
        chain = [("cx", "", (a, b)) for (a, _), (b, _) in itertools.pairwise(places)]
        body += [*turn, *chain, ("rz", _scaled(value, parameter), (places[-1][0],)), *reversed(chain), *back]
    return body


def _scaled(factor: float, parameter: str) -> str:
    return {1.0: parameter, -1.0: f"-{parameter}"}.get(factor, f"{factor!r}*{parameter}")


def _sequence_steps(gate: Gate, equals: Sequencer) -> tuple[list[Line], list[str]]:
    names = {("w", k): name for k, name in enumerate(_parameter_names(gate))}
    body: list[Line] = []
    needs: list[str] = []
    for part, angles, qubits, controls in equals(*(w[k] for k in range(gate.num_angles))):
        row = part if part in GATES else part.removesuffix("_dg")
        modifiers = under_controls(len(controls)) + "inv @ " * (row != part)
        text = ", ".join(expression(angle, names) for angle in angles)
        body.append((modifiers + row, text, (*controls, *qubits)))
        needs.append(row)
    return body, needs


def _fixed_steps(gate: Gate) -> tuple[list[Line], list[str]]:
    """A rotation row at a multiple of pi/4 if one is equal to the matrix, else the general decomposition."""
    for row in GATES.values():
        if isinstance(row.definition, Rotation) and row.num_qubits == gate.num_qubits:
            for eighths in range(-4, 5):
                if np.allclose(row.matrix(eighths * math.pi / 4), gate.matrix(), rtol=0, atol=1e-14):
                    return [(row.name, number(eighths * math.pi / 4), tuple(range(gate.num_qubits)))], [
                        row.name
                    ]
    return _lines(decompositions.of_unitary(gate.matrix())), []


def _lines(steps: abc.Sequence[decompositions.Step]) -> list[Line]:
    return [(name, "" if angle is None else number(angle), qubits) for name, angle, qubits in steps]


def _matrix_steps(gate: Gate, subject: str) -> list[Line]:
    _check_size(gate, subject)
    deviation = deviation_from_unitary(gate.matrix())
    if deviation > TOLERANCE:
        raise KetgradValueError(
            f"{subject} cannot be written as OpenQASM - its matrix is not unitary: U U† differs from "
            f"the identity by up to {deviation:.3g}."
        )
    return _lines(decompositions.of_unitary(gate.matrix()))


def _state_steps(gate: Gate, state: Preparation, subject: str) -> list[Line]:
    if gate.num_angles:
        raise KetgradValueError(
            f"{subject} cannot be written as OpenQASM - its amplitudes are weights or inputs, and "
            "OpenQASM has no gate for that; give it numbers, or encode with rotations."
        )
    _check_size(gate, subject)
    return _lines(decompositions.of_state(state.vector()))


def _check_size(gate: Gate, subject: str) -> None:
    if gate.num_qubits > MAX_MATRIX_QUBITS:
        raise KetgradValueError(
            f"{subject} cannot be written as OpenQASM - its data on {gate.num_qubits} qubits would "
            f"become too many gates, the limit is {MAX_MATRIX_QUBITS} qubits; build it from smaller gates."
        )


def fixed_name(gate: Gate) -> str:
    """The name that says what a gate does, so that it needs no number: of a row, or of a rotation about a word.

    "" for others. pauli_rotation_xyz is the rotation about XYZ.
    """
    if gate.name in GATES:
        return gate.name
    return f"pauli_rotation_{gate.word.lower()}" if gate.name == "pauli_rotation" else ""


@lru_cache(maxsize=256)
def own_definition(name: str) -> tuple[str, Gate] | None:
    """The definition that `write` gives to a gate of this name, and the gate; None if it defines no such gate."""
    row = GATES.get(name)
    if row is not None:
        return None if row.qasm is not None else (definition_of(row, name)[0], row)
    prefix, _, word = name.rpartition("_")
    if prefix != "pauli_rotation" or not 0 < len(word) <= 64 or not set(word.upper()) <= set(LETTERS):
        return None
    gate = pauli_rotation(0.0, word.upper(), *range(len(word))).gate
    return definition_of(gate, name)[0], gate


def under_controls(number: int) -> str:
    """The modifier of that many controls."""
    return "" if number == 0 else "ctrl @ " if number == 1 else f"ctrl({number}) @ "


def in_brackets(words: abc.Sequence[str]) -> str:
    """Angles behind the name of a gate; nothing where there are none."""
    return f"({', '.join(words)})" if words else ""
