"""How an array lies in memory: linear algebra rounds by it, so a file keeps it besides the numbers.

The numbers in a file are always row by row. Strides are counted in entries: [1, 3] is column by column for three rows.
"""

from __future__ import annotations

import numpy as np

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import reserve

MOST_GAPS = (
    16  # entries of memory for an entry of the array; what has more (a column of a wide table) is packed
)


def strides_to_keep(value: object) -> list[int] | None:
    """The strides of an array, None where it lies row by row; gaps that are too large are closed.

    >>> (
    ...     strides_to_keep(np.zeros((3, 2)).T),
    ...     strides_to_keep(np.zeros((3, 2))[::-1]),
    ...     strides_to_keep(np.zeros(3)),
    ... )
    ([1, 2], [-2, 1], None)
    """
    if not isinstance(value, np.ndarray) or value.flags.c_contiguous or value.dtype.hasobject:
        return None
    size = value.itemsize
    strides = [0 if n < 2 else s // size for s, n in zip(value.strides, value.shape, strict=True)]
    if any(s == 0 and n > 1 for s, n in zip(strides, value.shape, strict=True)):
        return None  # one row shown many times, which is stored many times
    whole = all(s % size == 0 for s in value.strides)
    kept = strides if whole and 0 < _span(strides, value.shape) <= MOST_GAPS * value.size else _packed(value)
    return kept if any(s != p for s, p in zip(kept, _row_by_row(value.shape), strict=True)) else None


def laid_out(array: np.ndarray, strides: list[int]) -> np.ndarray:
    """A copy of an array with these strides. Raises `KetgradValueError` for what no array has.

    >>> laid_out(np.array([[1, 2], [3, 4]]), [1, 2]).flags.f_contiguous
    True
    """
    fits = len(strides) == array.ndim and all(type(s) is int and abs(s) < 2**62 for s in strides)
    span = _span(strides, array.shape) if fits else 0
    if not 0 < span <= MOST_GAPS * array.size:
        raise KetgradValueError(
            f"The file holds an array {array.shape} with the strides {str(strides)[:40]}."
        )
    reserve(span * array.itemsize, f"an array {array.shape} with the strides {strides}")
    steps = [s * array.itemsize for s in strides]
    start = sum(-s * (n - 1) for s, n in zip(steps, array.shape, strict=True) if s < 0)
    copy = np.ndarray(array.shape, array.dtype, np.zeros(span, array.dtype).data, start, tuple(steps))
    copy[...] = array
    return copy


def _span(strides: list[int], shape: tuple[int, ...]) -> int:
    """How many entries of memory an array covers; 0 if two of its entries would share one."""
    span = 1
    for step, count in sorted((abs(s), n) for s, n in zip(strides, shape, strict=True) if n != 1):
        if step < span or count == 0:
            return 0
        span += step * (count - 1)
    return span


def _packed(value: np.ndarray) -> list[int]:
    """The strides without gaps, in the same order of axes and the same directions."""
    strides, step = [0] * value.ndim, 1
    for k in sorted(range(value.ndim), key=lambda k: (abs(value.strides[k]), -k)):
        if value.shape[k] > 1:
            strides[k] = -step if value.strides[k] < 0 else step
            step *= value.shape[k]
    return strides


def _row_by_row(shape: tuple[int, ...]) -> list[int]:
    steps = [int(np.prod(shape[k + 1 :])) for k in range(len(shape))]
    return [0 if n < 2 else step for n, step in zip(shape, steps, strict=True)]
