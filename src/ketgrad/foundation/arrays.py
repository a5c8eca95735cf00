"""What a caller passes: any array-like of real numbers, made an array, and the wording of every refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.memory import reserve


def real_array(value: Any, name: str) -> np.ndarray:
    """`value` as a float32 or float64 array: integers, booleans and lists are converted, never truncated.

    Raises `KetgradTypeError` for text, None, complex numbers, dates, masked and sparse arrays, naming the
    first entry that is not a real number; `KetgradValueError` for lists of unequal lengths.

    >>> real_array([1, 2], "weights")
    array([1., 2.])
    >>> real_array([[0.5, "a"]], "inputs")
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradTypeError: `inputs` must hold real numbers, but inputs[0, 1] is 'a' (str).
    """
    if isinstance(value, np.ma.MaskedArray):
        raise KetgradTypeError(
            f"`{name}` must be a plain array, but is masked - fill the gaps or drop those rows."
        )
    refuse_gradients(value, name)
    try:
        array = np.asarray(value)
        if array.dtype.kind in "US":
            array = np.asarray(
                value, dtype=object
            )  # ['a', 1.0] became all text: look at the entries themselves
    except ValueError:
        raise KetgradValueError(
            f"`{name}` must be a rectangular array of numbers, but its rows have unequal lengths."
        ) from None
    kind = array.dtype.kind
    if kind == "f":
        return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    if kind in "iub":
        reserve(8 * array.size, f"`{name}` as floating-point numbers", "Pass smaller batches.")
        return array.astype(np.float64)
    if kind == "c":
        where = np.unravel_index(int(np.argmax(np.imag(array) != 0)), array.shape) if array.size else ()
        entry = complex(array[where]) if array.size else "empty"
        raise KetgradTypeError(
            f"`{name}` must hold real numbers, but {position(name, where)} is {entry} (complex) - "
            f"pass its real part if that is meant."
        )
    if kind == "O":
        return _from_objects(array, name)
    raise KetgradTypeError(f"`{name}` must hold real numbers, but has the dtype {array.dtype}.")


def refuse_gradients(value: Any, name: str) -> None:
    """Raise for a tensor that records its gradient, or a list of such: an array would lose it without a word.

    >>> refuse_gradients([0.5, 1.0], "weights")
    """
    entry = value[0] if isinstance(value, list | tuple) and value else value
    if getattr(entry, "requires_grad", False) is True:
        raise KetgradTypeError(
            f"`{name}` must be an array, but is a tensor that requires a gradient, which would be lost here - "
            f"kg.torch.apply and kg.torch.Layer carry it; where it is not wanted, pass {name}.detach()."
        )


def position(name: str, index: tuple[Any, ...]) -> str:
    """`name[2, 0]`: how messages point at one entry of an array.

    >>> position("inputs", (2, 0)), position("weights", ())
    ('inputs[2, 0]', 'weights')
    """
    return f"{name}[{', '.join(str(int(k)) for k in index)}]" if index else name


def _from_objects(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim == 0:
        raise KetgradTypeError(
            f"`{name}` must be an array of real numbers, but is {shown(array[()])} ({type(array[()]).__name__})."
        )
    result = np.empty(array.shape)
    for index, entry in np.ndenumerate(array):
        if not isinstance(entry, Real | Decimal):
            raise KetgradTypeError(
                f"`{name}` must hold real numbers, but {position(name, index)} is {shown(entry)} "
                f"({type(entry).__name__})."
            )
        try:
            result[index] = float(entry)
        except OverflowError:
            raise KetgradValueError(
                f"{position(name, index)} is larger than any floating-point number."
            ) from None
    return result


def sequence_of(value: Any, name: str, example: str) -> tuple[Any, ...]:
    """The entries of a list that is no text; `example` shows one.

    >>> sequence_of(iter([1, 2]), "ranges", "[1, 2]")
    (1, 2)
    """
    is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    if not is_list or getattr(value, "ndim", 1) == 0:
        raise KetgradTypeError(f"`{name}` must be a list such as {example}, but is {shown(value)}.")
    return tuple(value)


def as_array(value: Any, name: str) -> np.ndarray:
    """`value` as an array of any kind; `KetgradValueError` where its rows have unequal lengths.

    >>> as_array(["a", "b"], "labels").shape
    (2,)
    """
    refuse_gradients(value, name)
    try:
        return np.asarray(value)
    except ValueError:
        raise KetgradValueError(f"`{name}` must be rectangular, but its rows have unequal lengths.") from None


def check_finite(array: np.ndarray, name: str, reader: Callable[[int], str] | None = None) -> None:
    """Raise `KetgradValueError` at the first NaN or infinity; `reader` says what the column is for."""
    finite = np.isfinite(array)
    if finite.all():
        return
    index = np.unravel_index(int(np.argmin(finite)), array.shape)
    role = reader(int(index[-1])) if reader is not None and index else ""
    count = array.size - int(np.count_nonzero(finite))
    more = f" ({count} entries are not finite)" if count > 1 else ""
    raise KetgradValueError(
        f"`{name}` must be finite{f' - {role} -' if role else ''} but {position(name, index)} is "
        f"{array[index]}{more}."
    )


def check_width(array: np.ndarray | None, name: str, letter: str, width: int) -> np.ndarray:
    """The array itself; `KetgradValueError` unless its last axis has one entry for each variable of the circuit.

    >>> check_width(np.zeros((5, 2)), "inputs", "x", 3)  # doctest: +NORMALIZE_WHITESPACE
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradValueError: `inputs` must have shape (..., 3)
      - the circuit reads x[0] to x[2] - but has shape (5, 2).
    """
    if array is not None and array.ndim and array.shape[-1] == width:
        return array
    if array is None and width == 0:
        return np.zeros(0)
    why = f"the circuit reads no {name}"
    if width:
        why = f"the circuit reads {letter}[0]" + (f" to {letter}[{width - 1}]" if width > 1 else "")
    if array is None:
        raise KetgradValueError(f"`{name}` must have shape (..., {width}) - {why} - but is missing.")
    hint = ""
    if width == 1 and array.ndim <= 1:
        hint = f" One column: write {name}[..., np.newaxis]."
    elif array.ndim == 2 and array.shape[0] == width:
        hint = " Its first axis fits: is it transposed?"
    raise KetgradValueError(
        f"`{name}` must have shape (..., {width}) - {why} - but has shape {array.shape}.{hint}"
    )


def row_norms(vectors: np.ndarray) -> np.ndarray:
    """The norms (rows, 1) of vectors (rows, n), also where the squares of their numbers are zero or infinite.

    >>> row_norms(np.array([[3e200, 4e200], [3e-200, 4e-200], [0.0, 0.0]])).ravel()
    array([5.e+200, 5.e-200, 0.e+000])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if norms.size and norms.min() > 1e-140 and norms.max() < 1e140:
        return norms
    # not of complex numbers: NumPy divides those by the smallest floats to NaN
    parts = np.concatenate([np.real(vectors), np.imag(vectors)], axis=1)
    largest = np.max(np.abs(parts), axis=1, keepdims=True, initial=0.0)
    unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.linalg.norm(parts / unit, axis=1, keepdims=True) * unit


def divided(vectors: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Complex vectors over real numbers, also the smallest ones, by which NumPy divides complex numbers to NaN.

    >>> divided(np.array([3e-320 + 4e-320j]), np.array([5e-320])).round(2)
    array([0.6+0.8j])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.real(vectors) / norms + 1j * (np.imag(vectors) / norms)
