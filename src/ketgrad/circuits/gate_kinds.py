"""What a gate does: a fixed unitary, a rotation, a sequence of rows of the gate table, or a state preparation.

Each kind answers for itself: `matrix` and `adjoint`, `check` for the gate that it makes, and

    field                  the argument of `kg.Gate` that gives it
    is_unitary             whether it has a matrix
    negates_angles         whether the inverse of a gate is the same one with its angles negated
    objection_to_controls  why it takes none, "" where it does
    labels_angles          whether its angles are drawn

so that a gate need not ask which kind it is. Where others treat the kinds differently, they `match gate.definition`.
"""

from __future__ import annotations

import math
from collections import abc
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from ketgrad.circuits.gate_checks import (
    TOLERANCE,
    GateShape,
    check_num_angles,
    entries_of,
    fits,
)
from ketgrad.circuits.matrices import deviation_from_unitary, embed
from ketgrad.circuits.pauli_words import LETTER_OF
from ketgrad.circuits.paulis import PauliSum, check_hermitian
from ketgrad.foundation.arrays import row_norms
from ketgrad.foundation.errors import (
    KetgradError,
    KetgradTypeError,
    KetgradValueError,
    near_matches,
    shown,
)

Part = tuple[str, tuple[Any, ...], tuple[int, ...], tuple[int, ...]]  # row name, angles, qubits, controls
Sequencer = abc.Callable[..., abc.Sequence[Part]]

MOST_SHOWN = 16  # amplitudes of a preparation that the `repr` of an op lists

ROWS: dict[str, Any] = {}  # the gates by name, entered by gates.py when all of them are made


def is_row(name: str) -> bool:
    """Whether `name` is that of a row of the gate table, or of the inverse of one.

    >>> is_row("iswap_dg"), is_row("mine")
    (True, False)
    """
    return name.removesuffix("_dg") in ROWS


def gate_named(name: str) -> Any:
    """The row called `name`, or the inverse of the row when `name` ends in "_dg".

    Raises `KetgradValueError` with the nearest names for a name that does not exist.

    >>> gate_named("iswap_dg").inverse() is gate_named("iswap")
    True
    """
    if not isinstance(name, str) or not is_row(name):
        raise KetgradValueError(f"There is no gate {name!r}. {near_matches(str(name), ROWS)}")
    return ROWS[name] if name in ROWS else ROWS[name.removesuffix("_dg")].inverse()


@dataclass(frozen=True)
class Fixed:
    """A constant unitary: the row-major bytes of its matrix in complex128."""

    unitary: bytes

    field: ClassVar[str] = "unitary"
    is_unitary: ClassVar[bool] = True
    objection_to_controls: ClassVar[str] = ""
    negates_angles: ClassVar[bool] = False
    labels_angles: ClassVar[bool] = True

    def check(self, gate: GateShape) -> None:
        """Raise unless these are the bytes of a unitary matrix on the qubits of the gate."""
        entries = entries_of(gate.name, "unitary", self.unitary, gate.num_qubits, 2 * gate.num_qubits)
        check_num_angles(gate, 0, "a fixed matrix has none")
        size = 2**gate.num_qubits
        deviation = deviation_from_unitary(entries.reshape(size, size))
        if not deviation <= TOLERANCE:
            raise KetgradValueError(
                f"`unitary` of `{gate.name}` must be a unitary matrix - a gate keeps the norm - but U U† differs from "
                f"the identity by up to {deviation:.3g}."
            )

    def matrix(self, gate: GateShape, angles: tuple[float, ...] = ()) -> np.ndarray:
        """The matrix behind the bytes."""
        size = 2**gate.num_qubits
        return np.frombuffer(self.unitary, dtype=np.complex128).reshape(size, size)

    def adjoint(self, gate: GateShape) -> Fixed:
        """The conjugate transpose."""
        return Fixed((self.matrix(gate).conj().T + 0.0).tobytes())  # + 0.0: no -0.0

    def arguments(self, gate: GateShape, angles: list[str]) -> list[str]:
        """What the `repr` of an op writes in front of its qubits: a matrix of one's own is not written out."""
        return [] if is_row(gate.name) else ["..."]


@dataclass(frozen=True)
class Rotation:
    """exp(-i t G / 2) for a generator G that is a sum of commuting Pauli words."""

    generator: PauliSum

    field: ClassVar[str] = "generator"
    is_unitary: ClassVar[bool] = True
    objection_to_controls: ClassVar[str] = ""
    negates_angles: ClassVar[bool] = True
    labels_angles: ClassVar[bool] = True

    def check(self, gate: GateShape) -> None:
        """Raise unless the generator is Hermitian, its words commute, and it acts on the qubits of the gate."""
        generator, name = self.generator, gate.name
        if not isinstance(generator, PauliSum):
            raise KetgradTypeError(
                f"`generator` of `{name}` must be a Pauli sum such as kg.Pauli('X0'), but is {shown(generator)}."
            )
        if generator.num_qubits > gate.num_qubits:
            raise KetgradValueError(
                f"`generator` of `{name}` acts on qubit {generator.num_qubits - 1}, but `num_qubits` is "
                f"{gate.num_qubits}."
            )
        check_num_angles(gate, 1, "a rotation has one")
        check_hermitian(generator, f"generator` of `{name}", "only then is the rotation unitary")
        for (x, z, _), (u, v, _) in combinations(generator.terms, 2):
            if ((x & v).bit_count() + (z & u).bit_count()) % 2:
                raise KetgradValueError(
                    f"The generator of `{name}` must be a sum of commuting words - its exponential is taken word by "
                    f"word - but is {generator}. Make the matrix a `kg.unitary`, or one rotation of each word."
                )
        if name == "pauli_rotation" and [c for _, _, c in generator.terms] != [1.0]:
            raise KetgradValueError(
                f"`pauli_rotation` has one word with the coefficient 1 as its generator, but {generator} was given. "
                "Choose another name."
            )

    def matrix(self, gate: GateShape, angles: tuple[float, ...]) -> np.ndarray:
        """The product over the words, which commute: cos(c t / 2) - i sin(c t / 2) P."""
        product = identity = np.eye(2**gate.num_qubits, dtype=np.complex128)
        for x, z, coefficient in self.generator.terms:
            half = complex(coefficient).real * angles[0] / 2
            word = PauliSum(((x, z, 1.0),)).matrix(gate.num_qubits)
            product = product @ (math.cos(half) * identity - 1j * math.sin(half) * word)
        return product

    def adjoint(self, gate: GateShape) -> Rotation:
        """The same rotation: its angle changes sign."""
        return self

    def arguments(self, gate: GateShape, angles: list[str]) -> list[str]:
        """The angle, and the word where each word makes a gate of its own."""
        return [*angles, repr(self.word(gate.num_qubits))] if gate.name == "pauli_rotation" else angles

    def word(self, num_qubits: int) -> str:
        """The letters of a generator that is a single word; "" for a sum of several.

        >>> kg.GATES["rzx"].definition.word(2), kg.GATES["xy"].definition.word(2)
        ('ZX', '')
        """
        if len(self.generator.terms) != 1:
            return ""
        x, z, _ = self.generator.terms[0]
        return "".join(LETTER_OF[x >> k & 1, z >> k & 1] for k in range(num_qubits))

    def eigenvalues(self, controlled: bool) -> tuple[float, ...]:
        """The distinct eigenvalues of G / 2, ascending; a control adds 0, where nothing happens."""
        return _eigenvalues(self.generator, controlled)

    def frequencies(self, controlled: bool) -> tuple[float, ...]:
        """The frequencies of an expectation value: differences of eigenvalues (Wierichs et al., arXiv:2107.12390)."""
        values = self.eigenvalues(controlled)
        return tuple(sorted({round(abs(a - b), 9) for a in values for b in values if a != b}))


@dataclass(frozen=True)
class Sequence:
    """A short sequence of rows of the table, first in time first: a function of the angles returns it."""

    equals: Sequencer

    field: ClassVar[str] = "equals"
    is_unitary: ClassVar[bool] = True
    objection_to_controls: ClassVar[str] = ""
    negates_angles: ClassVar[bool] = False
    labels_angles: ClassVar[bool] = True

    def check(self, gate: GateShape) -> None:
        """Raise unless the function returns parts of rows that fit into the gate; tried at some angles."""
        if not callable(self.equals):
            raise KetgradTypeError(
                f"`equals` of `{gate.name}` must be a function of its angles that returns a sequence of rows, but is "
                f"{shown(self.equals)}."
            )
        if ROWS:  # there are none yet while the rows of the table itself are made
            self._check_parts(gate)

    def _check_parts(self, gate: GateShape) -> None:
        try:
            parts = tuple(self.equals(*(0.1 * (k + 1) for k in range(gate.num_angles))))
            fit = all(fits(gate, ROWS, *part) for part in parts)
        except KetgradError:
            raise
        except Exception as error:  # whatever a function of the user's own raises
            raise KetgradTypeError(
                f"`equals` of `{gate.name}` must return parts (row, angles, qubits, controls), but raises "
                f"{type(error).__name__}: {error}"
            ) from error
        if not fit:
            raise KetgradValueError(
                f"`equals` of `{gate.name}` must return parts (row, angles, qubits, controls) of rows of kg.GATES on "
                f"its {gate.num_qubits} qubits, but returns {shown(parts)}."
            )

    def matrix(self, gate: GateShape, angles: tuple[float, ...]) -> np.ndarray:
        """The product of the matrices of the rows."""
        product = np.eye(2**gate.num_qubits, dtype=np.complex128)
        for name, inner, qubits, controls in self.equals(*angles):
            product = embed(gate_named(name).matrix(*inner), qubits, gate.num_qubits, controls) @ product
        return product

    def adjoint(self, gate: GateShape) -> Sequence:
        """The inverse rows in reverse order."""
        if isinstance(self.equals, Reversed):
            return Sequence(self.equals.equals)
        return Sequence(Reversed(self.equals))

    def arguments(self, gate: GateShape, angles: list[str]) -> list[str]:
        """The angles."""
        return angles


@dataclass(frozen=True)
class Reversed:
    """The sequence of rows that undoes another one."""

    equals: Sequencer

    def __call__(self, *angles: Any) -> abc.Sequence[Part]:
        """The inverse rows in reverse order."""
        parts = []
        for name, inner, qubits, controls in reversed(self.equals(*angles)):
            row = gate_named(name)
            turned = tuple(-angle for angle in inner) if row.definition.negates_angles else inner
            parts.append((row.inverse().name, turned, qubits, controls))
        return parts


@dataclass(frozen=True)
class Preparation:
    """A state that is prepared from |0...0>: the bytes of its amplitudes in complex128.

    amplitudes: b"" where they are the angles of the op. normalize: whether they are divided by their norm then.
    """

    amplitudes: bytes
    normalize: bool = False

    field: ClassVar[str] = "amplitudes"
    is_unitary: ClassVar[bool] = False
    objection_to_controls: ClassVar[str] = (
        "`prepare_state` takes no controls - it prepares qubits that are in |0>."
    )
    negates_angles: ClassVar[bool] = False
    labels_angles: ClassVar[bool] = False  # they are numbers of a state

    def check(self, gate: GateShape) -> None:
        """Raise unless these are the bytes of a normalised state, or each amplitude is an angle."""
        if self.amplitudes == b"":
            check_num_angles(gate, 2**gate.num_qubits, "each amplitude is one")
            return
        entries = entries_of(gate.name, "amplitudes", self.amplitudes, gate.num_qubits, gate.num_qubits)
        check_num_angles(gate, 0, "its amplitudes are numbers")
        norm = float(np.linalg.norm(entries))
        if not abs(norm - 1.0) <= 2 * TOLERANCE:
            raise KetgradValueError(
                f"`amplitudes` of `{gate.name}` must have norm 1 - they are a quantum state - but the norm is "
                f"{norm:.9g}."
            )

    def matrix(self, gate: GateShape, angles: tuple[float, ...]) -> np.ndarray:
        """There is none."""
        raise KetgradTypeError(f"`{gate.name}` prepares a state from |0...0> and has no matrix.")

    def adjoint(self, gate: GateShape) -> Preparation:
        """There is none."""
        raise KetgradTypeError(
            f"`{gate.name}` prepares a state from |0...0> and has no inverse - it is no unitary. "
            "Constant amplitudes can be turned into one with `unitary`."
        )

    def arguments(self, gate: GateShape, angles: list[str]) -> list[str]:
        """A list of the amplitudes that are angles; a state of numbers is not written out."""
        return [f"[{', '.join(angles)}]" if 0 < len(angles) <= MOST_SHOWN else "..."]

    def vector(self) -> np.ndarray:
        """The amplitudes that are numbers, shape (2**num_qubits,); empty where they are angles."""
        return np.frombuffer(self.amplitudes, dtype=np.complex128)

    def with_numbers(self, name: str, vector: np.ndarray) -> Preparation:
        """The preparation with numbers where it had angles.

        Raises `KetgradValueError` if all are zero, or if their norm is not 1 and it does not normalise.
        """
        vector = vector.astype(np.complex128)
        norm = float(row_norms(vector[None])[0, 0])
        if not 0.0 < norm < math.inf or (not self.normalize and abs(norm - 1.0) > TOLERANCE):
            raise KetgradValueError(
                f"The amplitudes of `{name}` must have norm 1 - they are a quantum state - but the norm is "
                f"{norm:.9g}. Other vectors than zero are accepted with normalize=True."
            )
        return Preparation((vector / norm if self.normalize else vector).tobytes())


Definition = Fixed | Rotation | Sequence | Preparation


@lru_cache(maxsize=1024)
def _eigenvalues(generator: PauliSum, controlled: bool) -> tuple[float, ...]:
    if len(generator.terms) == 1:  # a single word has the eigenvalues +-c, whatever its length
        x, z, coefficient = generator.terms[0]
        half = complex(coefficient).real / 2
        values = {half, -half} if x or z else {half}
    else:
        values = {round(float(v) / 2, 9) + 0.0 for v in np.linalg.eigvalsh(generator.matrix())}
    return tuple(sorted(values | {0.0} if controlled else values))
