"""One number that a caller passes: counts, real numbers, qubits, shots, threads, the type of amplitudes.

Each check answers with the value in Python's own type, or raises and names the argument.
"""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

import numpy as np

from ketgrad.foundation.errors import (
    KetgradError,
    KetgradIndexError,
    KetgradTypeError,
    KetgradValueError,
    shown,
)

MAX_QUBITS = 10**7  # a register larger than this is a typing error; states end far earlier, by memory
MOST_COUNT = 10**7  # and so is a count of qubits, inputs, layers or repetitions
MAX_SHOTS = 2**53  # counts stay exact in float64
MOST_THREADS = 1024
COMPLEX128 = np.dtype(np.complex128)
COMPLEX64 = np.dtype(np.complex64)
FLOAT64 = np.dtype(np.float64)
FLOAT32 = np.dtype(np.float32)
REAL_OF = {COMPLEX128: FLOAT64, COMPLEX64: FLOAT32}
COMPLEX_OF = {FLOAT64: COMPLEX128, FLOAT32: COMPLEX64}


def check_count(value: Any, name: str, least: int = 1, most: int | None = MOST_COUNT) -> int:
    """`value` as an integer from `least` to `most`, else an error that names the argument.

    >>> check_count(3, "layers")
    3
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise KetgradTypeError(f"`{name}` must be an integer, but is {shown(value)}.")
    if number < least:
        raise KetgradValueError(f"`{name}` must be at least {least}, but is {number}.")
    if most is not None and number > most:
        raise KetgradValueError(f"`{name}` must be at most {most}, but is {shown(number)}.")
    return number


def unboxed(value: Any) -> Any:
    """The entry of an array without axes; anything else as it is.

    >>> unboxed(np.array(0.5)), unboxed("a")
    (np.float64(0.5), 'a')
    """
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def as_real(value: Any) -> float | None:
    """`value` as a float, infinite where it is beyond the largest; None for what is no real number.

    Booleans, text and complex numbers are none.

    >>> as_real(np.float32(0.5)), as_real(True), as_real("1"), as_real(10**400)
    (0.5, None, None, inf)
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def check_number(value: Any, name: str, least: float = -math.inf, most: float = math.inf) -> float:
    """`value` as a finite real number from `least` to `most`, else an error that names the argument.

    >>> check_number(np.float32(0.5), "time")
    0.5
    """
    value = unboxed(value)
    number = as_real(value)
    if number is None:
        raise KetgradTypeError(f"`{name}` must be a real number, but is {shown(value)}.")
    if not math.isfinite(number):
        raise KetgradValueError(f"`{name}` must be a finite number, but is {shown(value)}.")
    if not least <= number <= most:
        limits = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise KetgradValueError(f"`{name}` must be a number {limits}, but is {shown(value)}.")
    return number


def check_positive(value: Any, name: str) -> float:
    """`value` as a finite number above zero.

    >>> check_positive(2, "gamma")
    2.0
    """
    try:
        number = check_number(value, name)
    except KetgradError:
        number = 0.0
    if number <= 0.0:
        raise KetgradValueError(f"`{name}` must be a positive number, but is {shown(value)}.")
    return number


def flag(value: Any, name: str) -> bool:
    """A boolean, and nothing that merely counts as one.

    >>> flag(np.True_, "periodic")
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise KetgradTypeError(f"`{name}` must be True or False, but is {shown(value)}.")
    return bool(value)


def check_qubit(value: Any, name: str) -> int:
    """`value` as the number of a qubit; `name` is the gate or function that takes it.

    >>> check_qubit(np.int64(2), "rx")
    2
    """
    if type(value) is int and 0 <= value < MAX_QUBITS:
        return value
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise KetgradTypeError(f"`{name}` takes qubit numbers such as 0, but {shown(value)} was given.")
    if number < 0:
        raise KetgradIndexError(f"`{name}` takes qubit numbers from 0, but {number} was given.")
    if number >= MAX_QUBITS:
        raise KetgradIndexError(
            f"`{name}` takes qubit numbers below {MAX_QUBITS}, but {shown(number)} was given."
        )
    return number


def shot_count(shots: Any) -> int:
    """A positive integer below the counts that float64 holds exactly."""
    try:
        count = operator.index(shots)
    except TypeError:
        raise KetgradTypeError(f"`shots` must be a positive integer, but is {shots!r}.") from None
    if isinstance(shots, bool | np.bool_) or not 0 < count <= MAX_SHOTS:
        raise KetgradValueError(f"`shots` must be an integer from 1 to 2^53, but is {shots!r}.")
    return count


def thread_count(threads: Any) -> int | None:
    """None for all cores, or a positive integer."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer):
        raise KetgradTypeError(f"`threads` must be None or a positive integer, but is {threads!r}.")
    if not 1 <= threads <= MOST_THREADS:
        raise KetgradValueError(
            f"`threads` must be None or a positive integer up to {MOST_THREADS}, but is {shown(threads)}."
        )
    return int(threads)


def complex_type(dtype: Any) -> np.dtype:
    """The type of the amplitudes, of which there are two."""
    for kind in (COMPLEX128, COMPLEX64):
        named = dtype.name if isinstance(dtype, np.dtype) else dtype
        if named is kind.type or (isinstance(named, str) and named == kind.name):
            return kind
    if dtype is complex:
        return COMPLEX128
    raise KetgradTypeError(
        f"`dtype` must be complex128 or complex64, the type of the amplitudes, but is {dtype!r}."
    )
