"""Spin chains as sums of Pauli words: Ising, Heisenberg, XY."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real

from ketgrad.circuits.entanglement import qubit_groups
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.arrays import sequence_of
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import check_count, check_number, flag


def ising(
    num_qubits: int,
    coupling: float = 1.0,
    field: float = 1.0,
    longitudinal: float = 0.0,
    periodic: bool = False,
) -> PauliSum:
    """The transverse-field Ising chain: - coupling sum Z_i Z_{i+1} - field sum X_i - longitudinal sum Z_i.

    periodic: a ring (3 qubits or more) instead of an open chain. Cost: O(num_qubits) words.
    Raises `KetgradValueError` for fewer qubits and for parameters that are not finite.

    Pfeuty 1970, doi:10.1016/0003-4916(70)90270-8.

    >>> ising(2, field=0.5)
    Pauli('-0.5 X0 - 0.5 X1 - 1.0 Z0 Z1')
    """
    zz, along_x, along_z = (
        -check_number(value, name)
        for value, name in ((coupling, "coupling"), (field, "field"), (longitudinal, "longitudinal"))
    )
    words = _chain(num_qubits, periodic, {"ZZ": zz})
    return PauliSum.collect([*words, *_everywhere(num_qubits, {"X": along_x, "Z": along_z})])


def heisenberg(
    num_qubits: int,
    coupling: float | tuple[float, float, float] = 1.0,
    field: float = 0.0,
    periodic: bool = False,
) -> PauliSum:
    """The Heisenberg chain: sum (J_x X X + J_y Y Y + J_z Z Z)_{i,i+1} + field sum Z_i.

    coupling: one J, or (J_x, J_y, J_z); positive is antiferromagnetic. In Pauli matrices: spin matrices are half
    of them. periodic: a ring (3 qubits or more). Cost: O(num_qubits) words.
    Raises `KetgradValueError` for fewer qubits and for parameters that are not finite.

    Bethe 1931, doi:10.1007/BF01341708.

    >>> len(heisenberg(4))
    9
    """
    given = (
        (coupling,) * 3 if isinstance(coupling, Real) else sequence_of(coupling, "coupling", "(1, 1, 0.5)")
    )
    if len(given) != 3:
        raise KetgradValueError(
            f"`coupling` must be one number or three, (J_x, J_y, J_z), but has {len(given)}."
        )
    couplings = (check_number(value, "coupling") for value in given)
    words = _chain(num_qubits, periodic, dict(zip(("XX", "YY", "ZZ"), couplings, strict=True)))
    return PauliSum.collect([*words, *_everywhere(num_qubits, {"Z": check_number(field, "field")})])


def xy(
    num_qubits: int,
    coupling: float = 1.0,
    anisotropy: float = 0.0,
    field: float = 0.0,
    periodic: bool = False,
) -> PauliSum:
    """The XY chain: coupling sum ((1 + a) / 2 X X + (1 - a) / 2 Y Y)_{i,i+1} + field sum Z_i, a = anisotropy.

    periodic: a ring (3 qubits or more). Cost: O(num_qubits) words.
    Raises `KetgradValueError` for fewer qubits and for parameters that are not finite.

    Lieb, Schultz and Mattis 1961, doi:10.1016/0003-4916(61)90115-4.

    >>> xy(2)
    Pauli('0.5 X0 X1 + 0.5 Y0 Y1')
    """
    half, part = check_number(coupling, "coupling") / 2, check_number(anisotropy, "anisotropy")
    words = _chain(num_qubits, periodic, {"XX": half * (1 + part), "YY": half * (1 - part)})
    return PauliSum.collect([*words, *_everywhere(num_qubits, {"Z": check_number(field, "field")})])


def _chain(num_qubits: int, periodic: bool, words: Mapping[str, float]) -> Iterator[tuple[int, int, float]]:
    size = check_count(num_qubits, "num_qubits", 3 if flag(periodic, "periodic") else 1)
    reserve(size * size, f"the words of a chain of {size} qubits")  # each word is a number of so many bits
    for i, j in qubit_groups("ring" if periodic else "linear", size):
        pair = 1 << i | 1 << j
        for word, coefficient in words.items():
            yield pair * (word != "ZZ"), pair * (word != "XX"), coefficient


def _everywhere(num_qubits: int, letters: Mapping[str, float]) -> Iterator[tuple[int, int, float]]:
    for letter, coefficient in letters.items():
        for q in range(num_qubits):
            yield (letter == "X") << q, (letter == "Z") << q, coefficient
