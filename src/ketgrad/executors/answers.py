"""What came back from an executor or a device of somebody else: in one form, or a refusal that names whose it is.

Its answer may have been through a service: nothing of it is taken on trust. Executors of the table are held to their
answers by the conformance suite, and not looked at in every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ketgrad.executors.protocol import WORD, Counts
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.programs.program import Program


def checked_counts(name: str, found: Any, asked: Sequence[Program], batch: int) -> list[Counts]:
    """The tables of the device `name`, one for each circuit with a row for each of the batch.

    Outcomes become uint64, or Python's own integers where more than 64 qubits are measured, whatever was seen of
    them; numbers int64. Raises `KetgradTypeError` for what is no table of integers, `KetgradValueError` for one that
    is no count of what was asked.

    >>> f = kg.probabilities(kg.Circuit([kg.h(0)]))
    >>> checked_counts("mine", [([1], [[5]])], [f.program], 1)
    [Counts(outcomes=array([1], dtype=uint64), numbers=array([[5]]))]
    """
    if not isinstance(found, Sequence):
        raise KetgradTypeError(
            f"the device {name!r} must answer with a list of tables, one for each circuit, but gave {shown(found)}."
        )
    if len(found) != len(asked):
        _refuse(name, f"must answer with one table for each circuit, {len(asked)} here", f"gave {len(found)}")
    return [
        _checked(name, table, len(program.measured), batch)
        for table, program in zip(found, asked, strict=True)
    ]


def checked_arrays(
    name: str, method: str, found: Any, wanted: Sequence[tuple[tuple[int, ...], np.dtype]]
) -> list[np.ndarray]:
    """The arrays that a method of the executor `name` answered with, each of the shape and type in `wanted`.

    >>> checked_arrays("mine", "vjp", ([[1]], [[2]]), [((1, 1), np.dtype(float))] * 2)
    [array([[1.]]), array([[2.]])]
    """
    if not isinstance(found, tuple) or len(found) != len(wanted):
        raise KetgradValueError(
            f"`{method}` of the executor {name!r} must give a tuple of {len(wanted)} arrays, but gave {shown(found)}."
        )
    return [checked_numbers(name, method, array, *one) for array, one in zip(found, wanted, strict=True)]


def checked_numbers(name: str, method: str, found: Any, shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """One array that a method of the executor `name` answered with, in the shape and type that were asked for.

    Raises `KetgradValueError` for another shape, and for complex numbers in place of real ones.

    >>> checked_numbers("mine", "run", [[1], [2]], (2, 1), np.dtype(np.float32))
    array([[1.],
           [2.]], dtype=float32)
    """
    try:
        array = np.asarray(found)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.shape == shape and np.can_cast(array.dtype, kind, "same_kind"):
        return array.astype(kind, copy=False)
    given = f"{array.dtype} of shape {array.shape}" if array.shape else shown(found)
    raise KetgradValueError(
        f"`{method}` of the executor {name!r} must give {kind.name} of shape {shape} here, but gave {given}."
    )


def checked_outcomes(name: str, found: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Outcomes that `run` of the executor `name` answered with: uint64, or Python's own integers.

    >>> checked_outcomes("mine", [[0, 3]], (1, 2))
    array([[0, 3]], dtype=uint64)
    """
    array = found if isinstance(found, np.ndarray) else _array(found)
    if array.shape == shape and _holds_integers(array) and not (array < 0).any():
        return array if array.dtype == object else array.astype(np.uint64)
    raise KetgradValueError(
        f"`run` of the executor {name!r} must give outcomes from 0 on, integers of shape {shape} here, but gave "
        f"{shown(found)}."
    )


def _checked(name: str, table: Any, num_measured: int, batch: int) -> Counts:
    outcomes, numbers = _integers(name, table)
    if numbers.shape != (batch, len(outcomes)):
        shape = f"({batch}, {len(outcomes)}), a row for each of the batch and a number for each outcome"
        _refuse(name, f"must give counts of shape {shape}", f"gave {numbers.shape}")
    last, seen = 2**num_measured - 1, outcomes.tolist()
    if seen and not 0 <= min(seen) <= max(seen) <= last:
        rule = f"must give outcomes from 0 to {last}, of the {num_measured} measured qubits"
        _refuse(name, rule, f"gave {max(seen, key=abs)}")
    if len(set(seen)) < len(seen):
        _refuse(
            name, "must give each outcome once, with its number", f"gave {max(seen, key=seen.count)} twice"
        )
    if not (np.all(numbers >= 0) and np.all(numbers.sum(axis=1) > 0)):
        _refuse(name, "must count each outcome from 0 on, and one at least in each row", "did not")
    return Counts(np.array(seen, np.uint64 if num_measured <= WORD else object), numbers)


def _integers(name: str, table: Any) -> tuple[np.ndarray, np.ndarray]:
    """The two arrays of a table, as integers: outcomes of any width, numbers of 64 bits."""
    if not isinstance(table, Sequence) or len(table) != 2:
        raise KetgradTypeError(
            f"the device {name!r} must give tables (outcomes, numbers), as kg.executors.counted makes them of one "
            f"dictionary for each row, but gave {shown(table)}."
        )
    outcomes, numbers = (part if isinstance(part, np.ndarray) else _array(part) for part in table)
    if outcomes.ndim != 1 or not _holds_integers(outcomes):
        raise KetgradTypeError(
            f"the device {name!r} must give outcomes as a list of integers, whose most significant bit is the first "
            f"measured qubit, but gave {shown(table[0])}."
        )
    if not _holds_integers(numbers) or (numbers.size and int(numbers.max()) >= 2**63):
        raise KetgradTypeError(
            f"the device {name!r} must count in integers - a share or an estimate is no count - but gave "
            f"{shown(table[1])}."
        )
    return outcomes, numbers.astype(np.int64)


def _array(part: Any) -> np.ndarray:
    """Of Python's integers, which NumPy would make numbers with a point of when they are large; of others as it is."""
    try:
        found = np.array(part)
        return found if found.dtype.kind in "iu" else np.array(part, object)
    except (ValueError, OverflowError):  # rows of different lengths
        return np.array(None, object)


def _holds_integers(array: np.ndarray) -> bool:
    if array.dtype == object:
        return all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in array.flat)
    return array.dtype.kind in "iu" or array.size == 0


def _refuse(name: str, rule: str, given: str) -> NoReturn:
    raise KetgradValueError(f"the device {name!r} {rule}, but {given}.")
