"""The gate table: the only place where a gate is written.

A row is one of three: a fixed unitary, a rotation exp(-i t G / 2) given by its generator G in Pauli words, or
a short sequence of other rows. Matrix, inverse, spectrum, shift frequencies, lowering, OpenQASM name and label
follow from the row. Controls are not part of a gate: cx, ccx, crz, cswap are the rows x, rz, swap with controls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ketgrad.circuits.gate_checks import check_angles, check_gate, check_parts
from ketgrad.circuits.paulis import LETTER_OF, LETTERS, PauliSum
from ketgrad.foundation.arrays import as_array, row_norms
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches, shown
from ketgrad.foundation.numbers import flag

Part = tuple[str, tuple[Any, ...], tuple[int, ...], tuple[int, ...]]  # row name, angles, qubits, controls
Sequencer = Callable[..., Sequence[Part]]


@dataclass(frozen=True)
class Gate:
    """One row: what a gate does to its `num_qubits` qubits, given `num_angles` angles.

    Exactly one of `unitary` (row-major complex128 bytes), `generator` (a Pauli sum whose words commute,
    U(t) = exp(-i t G / 2)), `equals` (a function of the angles that returns a sequence of rows) and
    `amplitudes` (complex128 bytes, or b"" when the amplitudes are the angles; a state preparation) is set.
    Every field is checked: `KetgradValueError` and `KetgradTypeError` name the one that does not fit.

    >>> GATES["rx"].generator, GATES["rx"].frequencies()
    (Pauli('1.0 X0'), (1.0,))
    """

    name: str
    num_qubits: int
    num_angles: int = 0
    doc: str = field(default="", compare=False)
    unitary: bytes | None = None
    generator: PauliSum | None = None
    equals: Sequencer | None = None
    amplitudes: bytes | None = None
    normalize: bool = False
    angle_names: tuple[str, ...] = ()
    qasm: str | None = None  # the name in stdgates.inc, None if it is not there
    label: str = ""

    def __post_init__(self) -> None:
        check_gate(self)
        rows = globals().get("GATES")  # there is no table yet while its own rows are made
        if rows is None:
            return
        base = self.name.removesuffix("_dg")
        if base in rows and self != rows.get(self.name, rows[base].inverse()):
            raise KetgradValueError(
                f"`{self.name}` is another gate of the table - files and texts know gates by their names. "
                "Choose another name."
            )
        if self.equals is not None:
            check_parts(self, rows)

    def matrix(self, *angles: float) -> np.ndarray:
        """The unitary, shape (2**k, 2**k), complex128; the first qubit is the most significant bit.

        >>> GATES["rz"].matrix(np.pi).round(3)
        array([[0.-1.j, 0.+0.j],
               [0.+0.j, 0.+1.j]])
        """
        size = 2**self.num_qubits
        if self.amplitudes is not None:
            raise KetgradTypeError(f"`{self.name}` prepares a state from |0...0> and has no matrix.")
        turns = check_angles(self, angles)
        if self.unitary is not None:
            return np.frombuffer(self.unitary, dtype=np.complex128).reshape(size, size)
        if self.generator is not None:
            return _exponential(self.generator, self.num_qubits, turns[0])
        assert self.equals is not None
        product = np.eye(size, dtype=np.complex128)
        for name, inner, qubits, controls in self.equals(*turns):
            product = embed(gate_named(name).matrix(*inner), qubits, self.num_qubits, controls) @ product
        return product

    def inverse(self) -> Gate:
        """The gate that undoes this one; for a rotation the gate itself, because its angle changes sign.

        >>> GATES["s"].inverse().name, GATES["iswap"].inverse().name
        ('sdg', 'iswap_dg')
        """
        return _inverse(self)

    def _adjoint(self, name: str) -> Gate:
        if self.amplitudes is not None:
            raise KetgradTypeError(
                f"`{self.name}` prepares a state from |0...0> and has no inverse - it is no unitary. "
                "Constant amplitudes can be turned into one with `unitary`."
            )
        if self.name == "unitary":  # what the builder makes of the adjoint matrix
            return replace(self, unitary=(self.matrix().conj().T + 0.0).tobytes())
        unitary = None if self.unitary is None else (self.matrix().conj().T + 0.0).tobytes()  # + 0.0: no -0.0
        equals = (
            self.equals.equals if isinstance(self.equals, Reversed) else self.equals and Reversed(self.equals)
        )
        label = self.label[:-1] if self.label.endswith("†") else self.label and self.label + "†"
        return known_gate(name=name, num_qubits=self.num_qubits, num_angles=self.num_angles, unitary=unitary,
                           doc=f"Inverse of {self.name}.", equals=equals, angle_names=self.angle_names,
                           label=label)  # fmt: skip

    @property
    def word(self) -> str:
        """The letters of a generator that is a single Pauli word; "" for any other gate.

        >>> GATES["rzx"].word
        'ZX'
        """
        if self.generator is None or len(self.generator.terms) != 1:
            return ""
        x, z, _ = self.generator.terms[0]
        return "".join(LETTER_OF[x >> k & 1, z >> k & 1] for k in range(self.num_qubits))

    def prepared(self, amplitudes: Sequence[float]) -> Gate:
        """This state preparation with numbers where it had angles.

        Raises `KetgradValueError` if all are zero, or if their norm is not 1 and the gate does not normalise.
        """
        vector = as_array(amplitudes, "amplitudes")
        if vector.ndim != 1 or vector.dtype.kind not in "iufc" or self.amplitudes is None:
            raise KetgradTypeError(
                f"A preparation takes a list of numbers, but `{self.name}` was given {shown(amplitudes)}."
            )
        vector = vector.astype(np.complex128)
        norm = float(row_norms(vector[None])[0, 0])
        if not 0.0 < norm < math.inf or (not self.normalize and abs(norm - 1.0) > 1e-8):
            raise KetgradValueError(
                f"The amplitudes of `{self.name}` must have norm 1 - they are a quantum state - but the norm is "
                f"{norm:.9g}. Other vectors than zero are accepted with normalize=True."
            )
        data = (vector / norm if self.normalize else vector).tobytes()
        return replace(self, num_angles=0, amplitudes=data, normalize=False)

    def eigenvalues(self, controlled: bool = False) -> tuple[float, ...]:
        """The distinct eigenvalues of G / 2, ascending; a control adds 0, where nothing happens.

        >>> GATES["xy"].eigenvalues()
        (-1.0, 0.0, 1.0)
        """
        if self.generator is None:
            raise KetgradTypeError(f"`{self.name}` is not a rotation and has no generator.")
        return _eigenvalues(self.generator, flag(controlled, "controlled"))

    def frequencies(self, controlled: bool = False) -> tuple[float, ...]:
        """The frequencies of an expectation value as a function of the angle: differences of eigenvalues.

        Wierichs et al. 2022, arXiv:2107.12390.

        >>> GATES["rx"].frequencies(controlled=True)
        (0.5, 1.0)
        """
        values = self.eigenvalues(controlled)
        return tuple(sorted({round(abs(a - b), 9) for a in values for b in values if a != b}))

    def __reduce__(self) -> tuple[Any, ...]:
        """Rows of the table (and their inverses) travel by name, since a row may hold a function."""
        base = self.name.removesuffix("_dg")
        if base in GATES:
            return gate_named, (self.name,)
        if self.equals is not None:
            raise KetgradTypeError(
                f"`{self.name}` cannot be pickled: it holds a function. Write one that returns a list of ops instead."
            )
        fields = (self.name, self.num_qubits, self.num_angles, self.doc, self.unitary, self.generator, None)
        return Gate, (*fields, self.amplitudes, self.normalize, self.angle_names, self.qasm, self.label)


@lru_cache(maxsize=1024)
def _inverse(gate: Gate) -> Gate:  # cached: the search for a row of the table that is the inverse is long
    if gate.generator is not None:
        return gate
    if gate.name.endswith("_dg"):
        return gate_named(gate.name[:-3]) if gate.name[:-3] in GATES else gate._adjoint(gate.name[:-3])
    if gate.name in GATES and gate.unitary is not None:
        return next(
            (row for row in GATES.values() if _is_adjoint(row, gate)), gate._adjoint(gate.name + "_dg")
        )
    return gate._adjoint(gate.name if gate.name == "unitary" else gate.name + "_dg")


def gate_named(name: str) -> Gate:
    """The row called `name`, or the inverse of the row when `name` ends in "_dg".

    Raises `KetgradValueError` with the nearest names for a name that does not exist.
    """
    if not isinstance(name, str) or name.removesuffix("_dg") not in GATES:
        raise KetgradValueError(f"There is no gate {name!r}. {near_matches(str(name), GATES)}")
    return GATES[name] if name in GATES else GATES[name.removesuffix("_dg")].inverse()


def embed(
    matrix: np.ndarray, qubits: Sequence[int], num_qubits: int, controls: Sequence[int] = ()
) -> np.ndarray:
    """`matrix` on `qubits` of a register of `num_qubits`, acting only where all `controls` are 1.

    >>> embed(GATES["x"].matrix(), [1], 2, [0]).real.astype(int)
    array([[1, 0, 0, 0],
           [0, 1, 0, 0],
           [0, 0, 0, 1],
           [0, 0, 1, 0]])
    """
    k = len(qubits)
    tensor = np.eye(2**num_qubits, dtype=np.complex128).reshape((2,) * num_qubits + (-1,))
    view = tensor[tuple(slice(1, 2) if q in controls else slice(None) for q in range(num_qubits))]
    moved = np.tensordot(matrix.reshape((2,) * 2 * k), view, axes=(range(k, 2 * k), list(qubits)))
    view[...] = np.moveaxis(moved, range(k), list(qubits))
    return tensor.reshape(2**num_qubits, -1)


def _exponential(generator: PauliSum, num_qubits: int, angle: float) -> np.ndarray:
    """exp(-i t G / 2) as the product over the words, which commute: cos(c t / 2) - i sin(c t / 2) P."""
    product = np.eye(2**num_qubits, dtype=np.complex128)
    for x, z, coefficient in generator.terms:
        half = complex(coefficient).real * angle / 2
        word = PauliSum(((x, z, 1.0),)).matrix(num_qubits)
        product = product @ (math.cos(half) * np.eye(2**num_qubits) - 1j * math.sin(half) * word)
    return product


@lru_cache(maxsize=1024)
def _eigenvalues(generator: PauliSum, controlled: bool) -> tuple[float, ...]:
    if len(generator.terms) == 1:  # a single word has the eigenvalues +-c, whatever its length
        x, z, coefficient = generator.terms[0]
        half = complex(coefficient).real / 2
        values = {half, -half} if x or z else {half}
    else:
        values = {round(float(v) / 2, 9) + 0.0 for v in np.linalg.eigvalsh(generator.matrix())}
    return tuple(sorted(values | {0.0} if controlled else values))


def _is_adjoint(row: Gate, gate: Gate) -> bool:
    same_size = row.unitary is not None and row.num_qubits == gate.num_qubits
    return same_size and np.allclose(row.matrix(), gate.matrix().conj().T, atol=1e-15)


@dataclass(frozen=True)
class Reversed:
    """The sequence of rows that undoes another one."""

    equals: Sequencer

    def __call__(self, *angles: Any) -> Sequence[Part]:
        """The inverse rows in reverse order."""
        parts = []
        for name, inner, qubits, controls in reversed(self.equals(*angles)):
            row = gate_named(name)
            turned = tuple(-angle for angle in inner) if row.generator is not None else inner
            parts.append((row.inverse().name, turned, qubits, controls))
        return parts


def known_gate(**fields_of_it: Any) -> Gate:
    """A gate whose fields are known to fit together, as the inverse of another one."""
    made = object.__new__(Gate)
    for one in fields(Gate):
        object.__setattr__(made, one.name, fields_of_it.get(one.name, one.default))
    return made


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
)

# Builders with controls: name -> (row, number of controls). In OpenQASM these names are in stdgates.inc unless noted.
CONTROLLED: Mapping[str, tuple[str, int]] = {
    "cx": ("x", 1), "cy": ("y", 1), "cz": ("z", 1), "ch": ("h", 1), "cs": ("s", 1), "csx": ("sx", 1),
    "cp": ("p", 1), "cphase": ("phase", 1), "crx": ("rx", 1), "cry": ("ry", 1), "crz": ("rz", 1), "cswap": ("swap", 1),
    "ccx": ("x", 2), "ccz": ("z", 2), "cu1": ("u1", 1), "cu3": ("u3", 1),
}  # fmt: skip
