"""Definitions of what stdgates.inc lacks: rows of the gate table, Pauli words, matrices and states as gates it has."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ketgrad.circuits import decompositions
from ketgrad.circuits.angles import w
from ketgrad.circuits.custom import pauli_rotation
from ketgrad.circuits.gates import GATES, Gate
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import LETTERS, PauliSum, letters
from ketgrad.circuits.qasm.arithmetic import expression, number
from ketgrad.foundation.errors import KetgradValueError

MAX_MATRIX_QUBITS = 8  # a matrix of k qubits becomes about 4**k gates


def row_definition(gate: Gate) -> tuple[str, Sequence[str]]:
    """The definition of a row of the table, and the rows that it needs to be defined before."""
    name = gate.name if gate.name in GATES else word_name(gate)
    qubits = _local_names(gate.num_qubits)
    if gate.generator is not None:
        body, needs = _word_steps(gate.generator, "theta"), ()
    elif gate.equals is not None:
        body, needs = _sequence_steps(gate)
    else:
        body, needs = _fixed_steps(gate)
    return _definition(name, _parameter_names(gate), qubits, body), [
        need for need in needs if GATES[need].qasm is None
    ]


Line = tuple[str, str, tuple[int, ...]]  # modifiers and name, angle text, local qubits


def _definition(name: str, parameters: Sequence[str], qubits: Sequence[str], body: Sequence[Line]) -> str:
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


def _parameter_names(gate: Gate) -> Sequence[str]:
    """Names whose alphabetical order is their order in the call: a reader that sorts them stays right."""
    return ["theta"] if gate.num_angles == 1 else [f"theta_{k}" for k in range(gate.num_angles)]


def _local_names(number: int) -> Sequence[str]:
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


def _sequence_steps(gate: Gate) -> tuple[list[Line], list[str]]:
    assert gate.equals is not None
    names = {("w", k): name for k, name in enumerate(_parameter_names(gate))}
    body: list[Line] = []
    needs: list[str] = []
    for row, angles, qubits, controls in gate.equals(*(w[k] for k in range(gate.num_angles))):
        text = ", ".join(expression(angle, names) for angle in angles)
        body.append((under_controls(len(controls)) + row, text, (*controls, *qubits)))
        needs.append(row)
    return body, needs


def _fixed_steps(gate: Gate) -> tuple[list[Line], list[str]]:
    """A rotation row at a multiple of pi/4 if one is equal to the matrix, else the general decomposition."""
    for row in GATES.values():
        if row.generator is not None and row.num_qubits == gate.num_qubits:
            for eighths in range(-4, 5):
                if np.allclose(row.matrix(eighths * math.pi / 4), gate.matrix(), rtol=0, atol=1e-14):
                    return [(row.name, number(eighths * math.pi / 4), tuple(range(gate.num_qubits)))], [
                        row.name
                    ]
    return _lines(decompositions.of_unitary(gate.matrix())), []


def _lines(steps: Sequence[decompositions.Step]) -> list[Line]:
    return [(name, "" if angle is None else number(angle), qubits) for name, angle, qubits in steps]


def data_definition(name: str, op: Op, position: int) -> str:
    """The definition of a matrix or of a constant state, or the reason why OpenQASM has none."""
    gate = op.gate
    if gate.amplitudes == b"":
        raise KetgradValueError(
            f"op {position}, {op!r}, cannot be written as OpenQASM - its amplitudes are weights or inputs, and "
            "OpenQASM has no gate for that; give it numbers, or encode with rotations."
        )
    if gate.num_qubits > MAX_MATRIX_QUBITS:
        raise KetgradValueError(
            f"op {position}, {op!r}, cannot be written as OpenQASM - its data on {gate.num_qubits} qubits would "
            f"become too many gates, the limit is {MAX_MATRIX_QUBITS} qubits; build it from smaller gates."
        )
    if gate.amplitudes is not None:
        steps = decompositions.of_state(np.frombuffer(gate.amplitudes, dtype=np.complex128))
    else:
        deviation = float(np.abs(gate.matrix() @ gate.matrix().conj().T - np.eye(2**gate.num_qubits)).max())
        if deviation > 1e-8:
            raise KetgradValueError(
                f"op {position}, {op!r}, cannot be written as OpenQASM - its matrix is not unitary: U U† differs from "
                f"the identity by up to {deviation:.3g}."
            )
        steps = decompositions.of_unitary(gate.matrix())
    return _definition(name, (), _local_names(gate.num_qubits), _lines(steps))


def word_name(gate: Gate) -> str:
    """pauli_rotation_xyz for the rotation about XYZ: the name holds the whole gate."""
    assert gate.generator is not None
    (x, z, _), *_ = gate.generator.terms
    word = ["i"] * gate.num_qubits
    for qubit, letter in letters(x, z):
        word[qubit] = letter.lower()
    return "pauli_rotation_" + "".join(word)


@lru_cache(maxsize=256)
def own_definition(name: str) -> tuple[str, Gate] | None:
    """The definition that `write` gives to a gate of this name, and the gate; None if it defines no such gate."""
    row = GATES.get(name)
    if row is not None:
        return None if row.qasm is not None else (row_definition(row)[0], row)
    prefix, _, word = name.rpartition("_")
    if prefix != "pauli_rotation" or not 0 < len(word) <= 64 or not set(word.upper()) <= set(LETTERS):
        return None
    gate = pauli_rotation(0.0, word.upper(), *range(len(word))).gate
    return row_definition(gate)[0], gate


def under_controls(number: int) -> str:
    """The modifier of that many controls."""
    return "" if number == 0 else "ctrl @ " if number == 1 else f"ctrl({number}) @ "


def in_brackets(words: Sequence[str]) -> str:
    """Angles behind the name of a gate; nothing where there are none."""
    return f"({', '.join(words)})" if words else ""
