"""The gate table: the only place where a gate is written.

A row is one of three: a fixed unitary, a rotation exp(-i t G / 2) given by its generator G in Pauli words, or
a short sequence of other rows. Matrix, inverse, spectrum, shift frequencies, lowering, OpenQASM name and label
follow from the row. Controls are not part of a gate: cx, ccx, crz, cswap are the rows x, rz, swap with controls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gate_kinds import ROWS, Part, Sequencer
from ketgrad.circuits.pauli_words import LETTERS
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradValueError


def fixed(name: str, matrix: Any, doc: str, *, qasm: str | None = None, label: str = "") -> Gate:
    """A row for a constant unitary."""
    array = np.ascontiguousarray(matrix, dtype=np.complex128) + 0.0
    num_qubits = len(array).bit_length() - 1
    return Gate(name, num_qubits, 0, doc, array.tobytes(), qasm=qasm, label=label or name.upper())


def rotation(name: str, generator: str, doc: str, *, angle: str = "theta", qasm: str | None = None,
             label: str = "") -> Gate:  # fmt: skip
    """A row for exp(-i t G / 2), its generator written in local words: "X", "ZZ", "XX + YY", "Z - I"."""
    num_qubits, total = 0, []
    for sign, number, letters in re.findall(r"([+-]?)\s*([\d.]*)\s*([IXYZ]*)", generator):
        if number or letters:
            coefficient = float(sign + (number or "1"))
            x = sum(LETTERS[letter][0] << q for q, letter in enumerate(letters))
            z = sum(LETTERS[letter][1] << q for q, letter in enumerate(letters))
            total.append((x, z, coefficient))
            num_qubits = max(num_qubits, len(letters))
    return Gate(name, num_qubits, 1, doc, None, PauliSum(total), None, angle_names=(angle,), qasm=qasm,
                label=label or name.upper())  # fmt: skip


def sequence(name: str, num_qubits: int, angles: str, equals: Sequencer, doc: str, *, qasm: str | None = None,
             label: str = "") -> Gate:  # fmt: skip
    """A row that equals a short sequence of other rows, first in time first."""
    names = tuple(angles.split())
    return Gate(name, num_qubits, len(names), doc, None, None, equals, angle_names=names, qasm=qasm,
                label=label or name.upper())  # fmt: skip


def table(*rows: Gate) -> Mapping[str, Gate]:
    """The rows by name; a name may occur once."""
    by_name = {row.name: row for row in rows}
    if len(by_name) != len(rows):
        raise KetgradValueError("The gate table holds a name twice.")
    return by_name


def _u3(theta: Any, phi: Any, lam: Any) -> Sequence[Part]:
    half = (phi + lam) * 0.5
    return [
        ("rz", (lam,), (0,), ()),
        ("ry", (theta,), (0,), ()),
        ("rz", (phi,), (0,), ()),
        ("gphase", (half,), (), ()),
    ]


def _cu(theta: Any, phi: Any, lam: Any, gamma: Any) -> Sequence[Part]:
    rotations = [
        (name, angles, tuple(q + 1 for q in qubits), (0,)) for name, angles, qubits, _ in _u3(theta, phi, lam)
    ]
    return [("p", (gamma,), (0,), ()), *rotations]


_R = math.sqrt(0.5)
_T = complex(_R, _R)
_SX = [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]]

GATES: Mapping[str, Gate] = table(
    fixed("id", [[1, 0], [0, 1]], "Identity.", qasm="id", label="I"),
    fixed("x", [[0, 1], [1, 0]], "Pauli X: flips |0> and |1>.", qasm="x"),
    fixed("y", [[0, -1j], [1j, 0]], "Pauli Y.", qasm="y"),
    fixed("z", [[1, 0], [0, -1]], "Pauli Z: the sign of |1>.", qasm="z"),
    fixed("h", [[_R, _R], [_R, -_R]], "Hadamard: exchanges X and Z.", qasm="h"),
    fixed("s", [[1, 0], [0, 1j]], "Phase i on |1>: the square root of Z.", qasm="s"),
    fixed("sdg", [[1, 0], [0, -1j]], "Phase -i on |1>: the inverse of S.", qasm="sdg", label="S†"),
    fixed("t", [[1, 0], [0, _T]], "Phase exp(i pi/4) on |1>: the square root of S.", qasm="t"),
    fixed(
        "tdg",
        [[1, 0], [0, _T.conjugate()]],
        "Phase exp(-i pi/4) on |1>: the inverse of T.",
        qasm="tdg",
        label="T†",
    ),
    fixed("sx", _SX, "The square root of X.", qasm="sx", label="√X"),
    fixed("sxdg", np.conj(_SX), "The inverse of the square root of X.", label="√X†"),
    rotation("rx", "X", "Rotation about X: exp(-i theta X / 2).", qasm="rx"),
    rotation("ry", "Y", "Rotation about Y: exp(-i theta Y / 2).", qasm="ry"),
    rotation("rz", "Z", "Rotation about Z: exp(-i theta Z / 2).", qasm="rz"),
    rotation("p", "Z - I", "Phase exp(i theta) on |1>.", qasm="p"),
    rotation("phase", "Z - I", "Phase exp(i theta) on |1>; the long name of p.", qasm="phase", label="P"),
    rotation("u1", "Z - I", "Phase exp(i theta) on |1>; the OpenQASM 2 name of p.", qasm="u1"),
    rotation(
        "gphase",
        "- 2",
        "Global phase exp(i theta); with controls a relative one.",
        qasm="gphase",
        label="PHASE",
    ),
    rotation("rxx", "XX", "Ising rotation exp(-i theta XX / 2)."),
    rotation("ryy", "YY", "Ising rotation exp(-i theta YY / 2)."),
    rotation("rzz", "ZZ", "Ising rotation exp(-i theta ZZ / 2)."),
    rotation("rzx", "ZX", "Cross-resonance rotation exp(-i theta ZX / 2)."),
    rotation("xy", "XX + YY", "Exchange rotation exp(-i theta (XX + YY) / 2): mixes |01> and |10>."),
    rotation(
        "single_excitation",
        "0.5 YX - 0.5 XY",
        "Givens rotation of |01> and |10> by theta / 2 (one electron moves).",
        label="G",
    ),
    rotation(
        "double_excitation",
        "0.125 XYXX + 0.125 YXXX - 0.125 XXXY - 0.125 XXYX + 0.125 YYXY + 0.125 YYYX - 0.125 XYYY - 0.125 YXYY",
        "Givens rotation of |0011> and |1100> by theta / 2 (two electrons move).",
        label="G²",
    ),
    fixed("swap", np.eye(4)[[0, 2, 1, 3]], "Exchanges two qubits.", qasm="swap"),
    fixed(
        "iswap",
        [[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]],
        "Swap with phase i.",
        label="iSWAP",
    ),
    fixed(
        "sqrt_iswap",
        [[1, 0, 0, 0], [0, _R, 1j * _R, 0], [0, 1j * _R, _R, 0], [0, 0, 0, 1]],
        "The square root of iswap.",
        label="√iSWAP",
    ),
    fixed(
        "ecr",
        _R * np.array([[0, 0, 1, 1j], [0, 0, 1j, 1], [1, -1j, 0, 0], [-1j, 1, 0, 0]]),
        "Echoed cross resonance: RZX(pi/4), X on the first qubit, RZX(-pi/4).",
    ),
    sequence(
        "u2",
        1,
        "phi lam",
        lambda phi, lam: _u3(math.pi / 2, phi, lam),
        "One-qubit gate of OpenQASM: u3(pi/2, phi, lam).",
        qasm="u2",
    ),
    sequence(
        "u3",
        1,
        "theta phi lam",
        _u3,
        "General one-qubit gate RZ(phi) RY(theta) RZ(lam) exp(i (phi + lam) / 2).",
        qasm="u3",
    ),
    sequence("u", 1, "theta phi lam", _u3, "General one-qubit gate; the same as u3.", label="U"),
    sequence(
        "rot",
        1,
        "phi theta omega",
        lambda phi, theta, omega: [
            ("rz", (phi,), (0,), ()),
            ("ry", (theta,), (0,), ()),
            ("rz", (omega,), (0,), ()),
        ],
        "General rotation RZ(omega) RY(theta) RZ(phi).",
        label="ROT",
    ),
    sequence(
        "cu", 2, "theta phi lam gamma", _cu, "Controlled u3 with a phase gamma on the control.", qasm="cu"
    ),
    sequence(
        "fsim",
        2,
        "theta phi",
        lambda theta, phi: [("xy", (theta,), (0, 1), ()), ("p", (-phi,), (1,), (0,))],
        "Fermionic simulation gate: xy(theta), then the phase exp(-i phi) on |11>.",
        label="fSim",
    ),
    sequence(
        "xx_plus_yy",
        2,
        "theta beta",
        lambda theta, beta: [
            ("rz", (beta,), (0,), ()),
            ("xy", (theta * 0.5,), (0, 1), ()),
            ("rz", (-beta,), (0,), ()),
        ],
        "Exchange of |01> and |10> by theta / 2 with the phase beta: xy(theta / 2) between rotations about Z.",
        label="XX+YY",
    ),
    sequence(
        "xx_minus_yy",
        2,
        "theta beta",
        lambda theta, beta: [
            ("rz", (-beta,), (0,), ()),
            ("rxx", (theta * 0.5,), (0, 1), ()),
            ("ryy", (theta * -0.5,), (0, 1), ()),
            ("rz", (beta,), (0,), ()),
        ],
        "Exchange of |00> and |11> by theta / 2 with the phase beta.",
        label="XX-YY",
    ),
)

ROWS.update(GATES)

# Builders with controls: name -> (row, number of controls). In OpenQASM these names are in stdgates.inc unless noted.
CONTROLLED: Mapping[str, tuple[str, int]] = {
    "cx": ("x", 1), "cy": ("y", 1), "cz": ("z", 1), "ch": ("h", 1), "cs": ("s", 1), "csx": ("sx", 1),
    "cp": ("p", 1), "cphase": ("phase", 1), "crx": ("rx", 1), "cry": ("ry", 1), "crz": ("rz", 1), "cswap": ("swap", 1),
    "ccx": ("x", 2), "ccz": ("z", 2), "cu1": ("u1", 1), "cu3": ("u3", 1),
}  # fmt: skip
