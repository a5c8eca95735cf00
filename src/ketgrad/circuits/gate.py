"""A gate: its name, how many qubits and angles it takes, and the definition from which all else follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ketgrad.circuits.gate_checks import MOST_QUBITS, check_angle_names, check_angles, check_words
from ketgrad.circuits.gate_kinds import (
    ROWS,
    Definition,
    Fixed,
    Preparation,
    Rotation,
    Sequencer,
    gate_named,
    is_row,
)
from ketgrad.circuits.gate_kinds import Sequence as SequenceOfRows
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.arrays import as_array
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import check_count, flag

# Gates that carry their own data share a name; each is known by what it carries.
CARRIERS = {"unitary": "unitary", "pauli_rotation": "generator", "prepare_state": "amplitudes"}


@dataclass(frozen=True, init=False)
class Gate:
    """One row: what a gate does to its `num_qubits` qubits, given `num_angles` angles.

    It is given by exactly one of `unitary` (row-major complex128 bytes), `generator` (a Pauli sum whose words commute,
    U(t) = exp(-i t G / 2)), `equals` (a function of the angles that returns a sequence of rows) and
    `amplitudes` (complex128 bytes, or b"" when the amplitudes are the angles; a state preparation): its `definition`,
    which another gate may take over. qasm: the name in stdgates.inc, None if it is not there.
    Every field is checked: `KetgradValueError` and `KetgradTypeError` name the one that does not fit.

    >>> kg.GATES["rx"].generator, kg.GATES["rx"].frequencies()
    (Pauli('1.0 X0'), (1.0,))
    """

    name: str
    num_qubits: int
    num_angles: int
    definition: Definition
    doc: str = field(compare=False)
    angle_names: tuple[str, ...]
    qasm: str | None
    label: str

    def __init__(
        self,
        name: str,
        num_qubits: int,
        num_angles: int = 0,
        doc: str = "",
        unitary: bytes | None = None,
        generator: PauliSum | None = None,
        equals: Sequencer | None = None,
        amplitudes: bytes | None = None,
        normalize: bool = False,
        angle_names: tuple[str, ...] = (),
        qasm: str | None = None,
        label: str = "",
        definition: Definition | None = None,
    ) -> None:
        _set_gate(self, name, num_qubits, num_angles, doc, angle_names, qasm, label)
        check_words(self, normalize)
        check_count(num_qubits, f"num_qubits` of `{name}", 0, MOST_QUBITS)
        check_count(num_angles, f"num_angles` of `{name}", 0)
        check_angle_names(self)
        given = _given(name, unitary, generator, equals, amplitudes, normalize, definition)
        object.__setattr__(self, "definition", given)
        given.check(self)
        if is_row(name) and self != gate_named(name):
            raise KetgradValueError(
                f"`{name}` is another gate of the table - files and texts know gates by their names. "
                "Choose another name."
            )

    @property
    def unitary(self) -> bytes | None:
        """The bytes of the matrix of a fixed gate, else None."""
        return self.definition.unitary if isinstance(self.definition, Fixed) else None

    @property
    def generator(self) -> PauliSum | None:
        """The generator of a rotation, else None."""
        return self.definition.generator if isinstance(self.definition, Rotation) else None

    @property
    def equals(self) -> Sequencer | None:
        """What a sequence of rows is given by, else None."""
        return self.definition.equals if isinstance(self.definition, SequenceOfRows) else None

    @property
    def amplitudes(self) -> bytes | None:
        """The bytes of the amplitudes of a state preparation, b"" where they are its angles; else None."""
        return self.definition.amplitudes if isinstance(self.definition, Preparation) else None

    @property
    def normalize(self) -> bool:
        """Whether a state preparation divides its amplitudes by their norm."""
        return isinstance(self.definition, Preparation) and self.definition.normalize

    def matrix(self, *angles: float) -> np.ndarray:
        """The unitary, shape (2**k, 2**k), complex128; the first qubit is the most significant bit.

        >>> kg.GATES["rz"].matrix(np.pi).round(3)
        array([[0.-1.j, 0.+0.j],
               [0.+0.j, 0.+1.j]])
        """
        return self.definition.matrix(self, check_angles(self, angles) if self.definition.is_unitary else ())

    def inverse(self) -> Gate:
        """The gate that undoes this one; for a rotation the gate itself, because its angle changes sign.

        >>> kg.GATES["s"].inverse().name, kg.GATES["iswap"].inverse().name
        ('sdg', 'iswap_dg')
        """
        return self if self.definition.negates_angles else _inverse(self)

    @property
    def word(self) -> str:
        """The letters of a generator that is a single Pauli word; "" for any other gate.

        >>> kg.GATES["rzx"].word
        'ZX'
        """
        return self.definition.word(self.num_qubits) if isinstance(self.definition, Rotation) else ""

    def prepared(self, amplitudes: Sequence[float]) -> Gate:
        """This state preparation with numbers where it had angles.

        Raises `KetgradValueError` if all are zero, or if their norm is not 1 and the gate does not normalise.
        """
        vector = as_array(amplitudes, "amplitudes")
        definition = self.definition
        if vector.ndim != 1 or vector.dtype.kind not in "iufc" or not isinstance(definition, Preparation):
            raise KetgradTypeError(
                f"A preparation takes a list of numbers, but `{self.name}` was given {shown(amplitudes)}."
            )
        numbers = definition.with_numbers(self.name, vector)
        return Gate(self.name, self.num_qubits, 0, self.doc, amplitudes=numbers.amplitudes, label=self.label)

    def eigenvalues(self, controlled: bool = False) -> tuple[float, ...]:
        """The distinct eigenvalues of G / 2, ascending; a control adds 0, where nothing happens.

        >>> kg.GATES["xy"].eigenvalues()
        (-1.0, 0.0, 1.0)
        """
        return self._rotation().eigenvalues(flag(controlled, "controlled"))

    def frequencies(self, controlled: bool = False) -> tuple[float, ...]:
        """The frequencies of an expectation value as a function of the angle: differences of eigenvalues.

        Wierichs et al. 2022, arXiv:2107.12390.

        >>> kg.GATES["rx"].frequencies(controlled=True)
        (0.5, 1.0)
        """
        return self._rotation().frequencies(flag(controlled, "controlled"))

    def _rotation(self) -> Rotation:
        if not isinstance(self.definition, Rotation):
            raise KetgradTypeError(f"`{self.name}` is not a rotation and has no generator.")
        return self.definition

    def __reduce__(self) -> tuple[Any, ...]:
        """Rows of the table (and their inverses) travel by name, since a row may hold a function."""
        if is_row(self.name):
            return gate_named, (self.name,)
        if self.equals is not None:
            raise KetgradTypeError(
                f"`{self.name}` cannot be pickled: it holds a function. Write one that returns a list of ops instead."
            )
        fields = (self.name, self.num_qubits, self.num_angles, self.doc, self.unitary, self.generator, None)
        return Gate, (*fields, self.amplitudes, self.normalize, self.angle_names, self.qasm, self.label)


def known_gate(
    name: str,
    definition: Definition,
    num_qubits: int,
    num_angles: int = 0,
    doc: str = "",
    angle_names: tuple[str, ...] = (),
    label: str = "",
) -> Gate:
    """A gate whose fields are known to fit together, as the inverse of another one: nothing is checked."""
    made = object.__new__(Gate)
    _set_gate(made, name, num_qubits, num_angles, doc, angle_names, None, label)
    object.__setattr__(made, "definition", definition)
    return made


def _set_gate(gate: Gate, name: str, num_qubits: int, num_angles: int, doc: str, angle_names: tuple[str, ...],
              qasm: str | None, label: str) -> None:  # fmt: skip
    object.__setattr__(gate, "name", name)
    object.__setattr__(gate, "num_qubits", num_qubits)
    object.__setattr__(gate, "num_angles", num_angles)
    object.__setattr__(gate, "doc", doc)
    object.__setattr__(gate, "angle_names", angle_names)
    object.__setattr__(gate, "qasm", qasm)
    object.__setattr__(gate, "label", label)


def _given(name: str, unitary: Any, generator: Any, equals: Any, amplitudes: Any, normalize: bool,
           definition: Any) -> Definition:  # fmt: skip
    """The one definition that is given."""
    if definition is not None and not isinstance(definition, Definition):
        raise KetgradTypeError(
            f"`definition` of `{name}` must be that of another gate, as kg.GATES['h'].definition, but is "
            f"{shown(definition)}."
        )
    given: list[Definition] = [] if definition is None else [definition]
    if unitary is not None:
        given.append(Fixed(unitary))
    if generator is not None:
        given.append(Rotation(generator))
    if equals is not None:
        given.append(SequenceOfRows(equals))
    if amplitudes is not None:
        given.append(Preparation(amplitudes, normalize))
    if len(given) != 1:
        raise KetgradValueError(
            f"`{name}` must be given by one of `unitary`, `generator`, `equals` and `amplitudes`, but by "
            f"{' and '.join(one.field for one in given) or 'none'}."
        )
    field_of_it = given[0].field
    if CARRIERS.get(name, field_of_it) != field_of_it:
        raise KetgradValueError(
            f"`{name}` is the name of gates given by `{CARRIERS[name]}` - choose another name for one given by "
            f"`{field_of_it}`."
        )
    return given[0]


@lru_cache(maxsize=1024)
def _inverse(gate: Gate) -> Gate:
    """The row of the table that is the inverse, if there is one, else the adjoint under the name with "_dg"."""
    adjoint, base = gate.definition.adjoint(gate), gate.name.removesuffix("_dg")
    if base != gate.name and is_row(base):
        return gate_named(base)
    if is_row(gate.name):
        row = next((row for row in ROWS.values() if row.definition == adjoint), None)
        if row is not None:
            return row
    if gate.name == "unitary":  # what the builder makes of the adjoint matrix
        return known_gate("unitary", adjoint, gate.num_qubits, doc=gate.doc, label=gate.label)
    label = gate.label[:-1] if gate.label.endswith("†") else gate.label and gate.label + "†"
    name = base if base != gate.name else gate.name + "_dg"
    doc = f"Inverse of {gate.name}."
    return known_gate(name, adjoint, gate.num_qubits, gate.num_angles, doc, gate.angle_names, label)
