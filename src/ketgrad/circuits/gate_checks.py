"""What makes a gate a gate: the checks of its fields, for the table and for gates of one's own alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown

TOLERANCE = 1e-8  # how far a matrix may be from unitary, and a norm from 1
MOST_QUBITS = 10**4  # of one gate: Pauli words are that long, matrices far smaller


class GateShape(Protocol):
    """What the checks read of a gate."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def num_qubits(self) -> int:
        """On how many qubits it acts, controls left out."""
        ...

    @property
    def num_angles(self) -> int:
        """How many angles it takes."""
        ...


def check_words(gate: Any, normalize: Any) -> None:
    """Raise unless the name, the documentation, the label and the OpenQASM name of a gate are texts that may stand."""
    if not isinstance(gate.name, str) or not gate.name.isidentifier():
        raise KetgradValueError(
            f"`name` of a gate must be an identifier such as 'my_gate', but is {shown(gate.name)}."
        )
    for field in ("doc", "label"):
        if not isinstance(getattr(gate, field), str):
            raise KetgradTypeError(
                f"`{field}` of `{gate.name}` must be a string, but is {shown(getattr(gate, field))}."
            )
    if gate.qasm is not None and not (isinstance(gate.qasm, str) and gate.qasm.isidentifier()):
        raise KetgradValueError(
            f"`qasm` of `{gate.name}` must be None or the name of the gate in stdgates.inc, but is {shown(gate.qasm)}."
        )
    if not isinstance(normalize, bool):
        raise KetgradTypeError(
            f"`normalize` of `{gate.name}` must be True or False, but is {shown(normalize)}."
        )


def check_angle_names(gate: Any) -> None:
    """Raise unless a gate names all of its angles, or none."""
    names = gate.angle_names
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise KetgradTypeError(
            f"`angle_names` of `{gate.name}` must be a tuple of strings such as ('theta',), but is {shown(names)}."
        )
    if names and len(names) != gate.num_angles:
        raise KetgradValueError(
            f"`angle_names` of `{gate.name}` must name its {gate.num_angles} angles, but names {len(names)}."
        )


def entries_of(name: str, field: str, data: Any, num_qubits: int, bits: int) -> np.ndarray:
    """The numbers behind the bytes of a field of a gate, 2**bits of them."""
    if not isinstance(data, bytes):
        raise KetgradTypeError(
            f"`{field}` of `{name}` must be the bytes of a complex128 array, as "
            f"np.array(..., complex).tobytes(), but is {shown(data)}."
        )
    if bits > 60 or len(data) != 16 << bits:
        raise KetgradValueError(
            f"`{field}` of `{name}` must hold 2^{bits} complex128 numbers - it acts on {num_qubits} qubits - "
            f"but holds {len(data)} bytes."
        )
    entries = np.frombuffer(data, np.complex128)
    if not np.isfinite(entries).all():
        raise KetgradValueError(f"`{field}` of `{name}` must be finite, but holds NaN or infinity.")
    return entries


def check_num_angles(gate: GateShape, number: int, why: str) -> None:
    """Raise unless the gate takes `number` angles; `why` says the reason."""
    if gate.num_angles != number:
        raise KetgradValueError(
            f"`num_angles` of `{gate.name}` must be {number} - {why} - but is {gate.num_angles}."
        )


def fits(
    gate: GateShape,
    rows: Mapping[str, GateShape],
    name: str,
    angles: Iterable[Any],
    qubits: Iterable[int],
    controls: Iterable[int],
) -> bool:
    """Whether a part (row, angles, qubits, controls) of a sequence is a row that fits into the gate."""
    row = rows.get(name.removesuffix("_dg"))
    places = (*qubits, *controls)
    return (
        row is not None
        and len(tuple(qubits)) == row.num_qubits
        and len(set(places)) == len(places)
        and all(0 <= place < gate.num_qubits for place in places)
        and len(tuple(angles)) == row.num_angles
    )


def check_angles(gate: GateShape, angles: tuple[Any, ...]) -> tuple[float, ...]:
    """The numbers that `Gate.matrix` was given, as many as the gate has angles.

    >>> check_angles(kg.GATES["rx"], (1,))
    (1.0,)
    """
    if len(angles) != gate.num_angles:
        raise KetgradTypeError(f"`{gate.name}` takes {gate.num_angles} angles, but {len(angles)} were given.")
    for angle in angles:
        if isinstance(angle, bool | np.bool_ | str | bytes) or not hasattr(angle, "__float__"):
            raise KetgradTypeError(f"The angles of a matrix are real numbers, but {shown(angle)} was given.")
    try:
        numbers = tuple(float(angle) for angle in angles)
    except (TypeError, ValueError, OverflowError) as error:
        raise KetgradTypeError(f"The angles of a matrix are real numbers: {error}") from None
    if not all(map(math.isfinite, numbers)):
        raise KetgradValueError(f"The angles of a matrix are finite, but {numbers} were given.")
    return numbers
