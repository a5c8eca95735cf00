"""What makes a gate a gate: the checks of every field, for the table and for gates of one's own alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np

from ketgrad.circuits.paulis import PauliSum, check_hermitian
from ketgrad.foundation.errors import KetgradError, KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import check_count

TOLERANCE = 1e-8  # how far a matrix may be from unitary, and a norm from 1
MOST_QUBITS = 10**4  # of one gate: Pauli words are that long, matrices far smaller

# Gates that carry their own data share a name; each is known by what it carries.
CARRIERS = {"unitary": "unitary", "pauli_rotation": "generator", "prepare_state": "amplitudes"}


def check_gate(gate: Any) -> None:
    """Raise unless the fields of a `Gate` fit together; `Gate` calls this for each one made."""
    _check_words(gate)
    name = gate.name
    check_count(gate.num_qubits, f"num_qubits` of `{name}", 0, MOST_QUBITS)
    check_count(gate.num_angles, f"num_angles` of `{name}", 0)
    _check_names(gate)
    given = [
        kind for kind in ("unitary", "generator", "equals", "amplitudes") if getattr(gate, kind) is not None
    ]
    if len(given) != 1:
        raise KetgradValueError(
            f"`{name}` must be given by one of `unitary`, `generator`, `equals` and `amplitudes`, but by "
            f"{' and '.join(given) or 'none'}."
        )
    if CARRIERS.get(name, given[0]) != given[0]:
        raise KetgradValueError(
            f"`{name}` is the name of gates given by `{CARRIERS[name]}` - choose another name for one given by "
            f"`{given[0]}`."
        )
    {"unitary": _check_unitary, "generator": _check_generator, "equals": _check_sequence,
     "amplitudes": _check_amplitudes}[given[0]](gate)  # fmt: skip


def _check_words(gate: Any) -> None:
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
    if not isinstance(gate.normalize, bool):
        raise KetgradTypeError(
            f"`normalize` of `{gate.name}` must be True or False, but is {shown(gate.normalize)}."
        )


def _check_names(gate: Any) -> None:
    names = gate.angle_names
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise KetgradTypeError(
            f"`angle_names` of `{gate.name}` must be a tuple of strings such as ('theta',), but is {shown(names)}."
        )
    if names and len(names) != gate.num_angles:
        raise KetgradValueError(
            f"`angle_names` of `{gate.name}` must name its {gate.num_angles} angles, but names {len(names)}."
        )


def _check_unitary(gate: Any) -> None:
    entries = _entries(gate, "unitary", 2 * gate.num_qubits)
    _check_num_angles(gate, 0, "a fixed matrix has none")
    size = 2**gate.num_qubits
    matrix = entries.reshape(size, size)
    deviation = deviation_from_unitary(matrix)
    if not deviation <= TOLERANCE:
        raise KetgradValueError(
            f"`unitary` of `{gate.name}` must be a unitary matrix - a gate keeps the norm - but U U† differs from the "
            f"identity by up to {deviation:.3g}."
        )


def deviation_from_unitary(matrix: np.ndarray) -> float:
    """The largest entry of U U† - 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.abs(matrix @ matrix.conj().T - np.eye(len(matrix))).max())


def _check_generator(gate: Any) -> None:
    generator, name = gate.generator, gate.name
    if not isinstance(generator, PauliSum):
        raise KetgradTypeError(
            f"`generator` of `{name}` must be a Pauli sum such as kg.Pauli('X0'), but is {shown(generator)}."
        )
    if generator.num_qubits > gate.num_qubits:
        raise KetgradValueError(
            f"`generator` of `{name}` acts on qubit {generator.num_qubits - 1}, but `num_qubits` is {gate.num_qubits}."
        )
    _check_num_angles(gate, 1, "a rotation has one")
    check_hermitian(generator, f"generator` of `{name}", "only then is the rotation unitary")
    words = [(x, z) for x, z, _ in generator.terms]
    for (x, z), (u, v) in combinations(words, 2):
        if ((x & v).bit_count() + (z & u).bit_count()) % 2:
            raise KetgradValueError(
                f"The generator of `{name}` must be a sum of commuting words - its exponential is taken word by word - "
                f"but is {generator}. Make the matrix a `kg.unitary`, or one rotation of each word."
            )
    if name == "pauli_rotation" and [c for _, _, c in generator.terms] != [1.0]:
        raise KetgradValueError(
            f"`pauli_rotation` has one word with the coefficient 1 as its generator, but {generator} was given. "
            "Choose another name."
        )


def _check_sequence(gate: Any) -> None:
    if not callable(gate.equals):
        raise KetgradTypeError(
            f"`equals` of `{gate.name}` must be a function of its angles that returns a sequence of rows, but is "
            f"{shown(gate.equals)}."
        )


def _check_amplitudes(gate: Any) -> None:
    if gate.amplitudes == b"":
        _check_num_angles(gate, 2**gate.num_qubits, "each amplitude is one")
        return
    entries = _entries(gate, "amplitudes", gate.num_qubits)
    _check_num_angles(gate, 0, "its amplitudes are numbers")
    norm = float(np.linalg.norm(entries))
    if not abs(norm - 1.0) <= 2 * TOLERANCE:
        raise KetgradValueError(
            f"`amplitudes` of `{gate.name}` must have norm 1 - they are a quantum state - but the norm is {norm:.9g}."
        )


def _entries(gate: Any, field: str, bits: int) -> np.ndarray:
    """The numbers behind the bytes of a field, 2**bits of them."""
    data = getattr(gate, field)
    if not isinstance(data, bytes):
        raise KetgradTypeError(
            f"`{field}` of `{gate.name}` must be the bytes of a complex128 array, as "
            f"np.array(..., complex).tobytes(), but is {shown(data)}."
        )
    if bits > 60 or len(data) != 16 << bits:
        raise KetgradValueError(
            f"`{field}` of `{gate.name}` must hold 2^{bits} complex128 numbers - it acts on {gate.num_qubits} qubits - "
            f"but holds {len(data)} bytes."
        )
    entries = np.frombuffer(data, np.complex128)
    if not np.isfinite(entries).all():
        raise KetgradValueError(f"`{field}` of `{gate.name}` must be finite, but holds NaN or infinity.")
    return entries


def _check_num_angles(gate: Any, number: int, why: str) -> None:
    if gate.num_angles != number:
        raise KetgradValueError(
            f"`num_angles` of `{gate.name}` must be {number} - {why} - but is {gate.num_angles}."
        )


def check_parts(gate: Any, rows: Any) -> None:
    """Raise unless `equals` of a gate of one's own returns parts (row, angles, qubits, controls) that fit into it."""
    try:
        parts = tuple(gate.equals(*(0.1 * (k + 1) for k in range(gate.num_angles))))
        fit = all(_fits(gate, rows, *part) for part in parts)
    except KetgradError:
        raise
    except Exception as error:  # whatever a function of the user's own raises
        raise KetgradTypeError(
            f"`equals` of `{gate.name}` must return parts (row, angles, qubits, controls), but raises "
            f"{type(error).__name__}: {error}"
        ) from error
    if not fit:
        raise KetgradValueError(
            f"`equals` of `{gate.name}` must return parts (row, angles, qubits, controls) of rows of kg.GATES on its "
            f"{gate.num_qubits} qubits, but returns {shown(parts)}."
        )


def _fits(
    gate: Any, rows: Any, name: str, angles: Iterable[Any], qubits: Iterable[int], controls: Iterable[int]
) -> bool:
    row = rows.get(name.removesuffix("_dg"))
    places = (*qubits, *controls)
    return (
        row is not None
        and len(tuple(qubits)) == row.num_qubits
        and len(set(places)) == len(places)
        and all(0 <= place < gate.num_qubits for place in places)
        and len(tuple(angles)) == row.num_angles
    )


def check_angles(gate: Any, angles: tuple[Any, ...]) -> tuple[float, ...]:
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
