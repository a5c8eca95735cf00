"""Kinds of values, as sentences that can be tested: what a file may give an attribute.

A kind may speak of lengths by letters: `floats("k d")` is an array of two axes, and d is the same number wherever it
stands in one object. `Sizes` holds the lengths that were met so far.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.paulis import PauliSum
from ketgrad.training.losses import LOSSES

Sizes = dict[str, int]
MOST_INT = 2**63 - 1
LARGEST = 1e100  # of what compiled code multiplies and adds up without a look at the result


@dataclass(frozen=True)
class Kind:
    """A set of values: `text` names it in an error, `holds(value, sizes)` tells its members.

    >>> (FLAG | NONE).holds(None, {}), (FLAG | NONE).text
    (True, 'True or False, or None')
    """

    text: str
    holds: Callable[[Any, Sizes], bool]

    def __or__(self, other: Kind) -> Kind:
        return Kind(
            f"{self.text}, or {other.text}", lambda v, sizes: self.holds(v, sizes) or other.holds(v, sizes)
        )


@dataclass(frozen=True)
class ObjectRules:
    """What a file may say about the objects of one class, and nothing else.

    parameters: of the constructor. learned: attributes of a fitted object, all of them or none, in an order in which
    lengths are met before they are compared. maybe: attributes that are not always there. fits: whether the parts
    belong together, which is more than each by itself can say; it sees the whole object.
    """

    parameters: Mapping[str, Kind]
    learned: Mapping[str, Kind] = field(default_factory=dict)
    maybe: Mapping[str, Kind] = field(default_factory=dict)
    fits: Callable[[Any], bool] = lambda _: True


def is_whole(value: Any) -> bool:
    """Whether this is an integer of 64 bits, Python's or NumPy's, and no boolean.

    >>> is_whole(3), is_whole(True), is_whole(2**70)
    (True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) <= MOST_INT


def is_real(value: Any) -> bool:
    """Whether this is a real number that float64 can hold, NaN and infinity included, and no boolean.

    >>> is_real(0.5), is_real("0.5")
    (True, False)
    """
    return is_whole(value) or isinstance(value, float | np.floating)


def whole(low: int, high: int = MOST_INT) -> Kind:
    """Integers from low to high."""
    return Kind(f"an integer from {low} to {high}", lambda v, _: is_whole(v) and low <= v <= high)


def number(low: float = -math.inf, high: float = math.inf) -> Kind:
    """Finite real numbers from low to high."""
    text = "a finite number" if low == -math.inf else f"a number from {low:g} to {high:g}"
    return Kind(text, lambda v, _: is_real(v) and math.isfinite(v) and low <= v <= high)


def one_of(*choices: Any) -> Kind:
    """These values, of their own types."""
    return Kind(
        " or ".join(map(repr, choices)),
        lambda v, _: (
            isinstance(v, str | bool | int | float | None) and any(v is c or v == c for c in choices)
        ),
    )


def length(letter: str, least: int = 0) -> Kind:
    """An integer that is the length `letter`."""
    return Kind(
        f"the length {letter}", lambda v, sizes: is_whole(v) and v >= least and _agree(letter, int(v), sizes)
    )


def array(kinds: str, shape: str, *, finite: bool = False, itemsize: int | None = None) -> Kind:
    """Arrays of a dtype whose kind is one of the letters `kinds`, and of that shape."""
    names = shape.split()

    def holds(value: Any, sizes: Sizes) -> bool:
        return (
            isinstance(value, np.ndarray)
            and value.dtype.kind in kinds
            and itemsize in (None, value.dtype.itemsize)
            and value.ndim == len(names)
            and (not finite or bool(np.isfinite(value).all()))
            and all(_agree(name, size, sizes) for name, size in zip(names, value.shape, strict=True))
        )

    words = {"f": "real numbers", "c": "complex numbers", "i": "integers"}.get(kinds, "values")
    return Kind(f"an array ({', '.join(names)}) of {'finite ' * finite}{words}", holds)


def floats(shape: str, *, finite: bool = False) -> Kind:
    """Real arrays of that shape."""
    return array("f", shape, finite=finite)


def doubles(shape: str) -> Kind:
    """Float64 arrays of that shape, which compiled code takes as they are: its sums of products stay finite."""
    kind = array("f", shape, finite=True, itemsize=8)
    return Kind(
        f"{kind.text} below {LARGEST:g}",
        lambda v, sizes: kind.holds(v, sizes) and bool((np.abs(v) < LARGEST).all()),
    )


def instance(*names: str) -> Kind:
    """Instances of exactly these classes, given as "module.Class"; they are imported when a value is there."""

    def holds(value: Any, _: Sizes) -> bool:
        kind = type(value)
        modules = (
            module for module, _, name in (full.rpartition(".") for full in names) if name == kind.__name__
        )
        return any(kind is getattr(importlib.import_module(module), kind.__name__) for module in modules)

    return Kind(" or ".join(name.rpartition(".")[2] for name in names), holds)


def several(container: type, kind: Kind, least: int = 0, most: int | None = None) -> Kind:
    """Lists or tuples whose entries are of a kind."""

    def holds(value: Any, sizes: Sizes) -> bool:
        return (
            type(value) is container
            and least <= len(value) <= (MOST_INT if most is None else most)
            and all(kind.holds(entry, sizes) for entry in value)
        )

    return Kind(f"a {container.__name__} of {kind.text}", holds)


def _agree(name: str, size: int, sizes: Sizes) -> bool:
    return size == (int(name) if name.isdigit() else sizes.setdefault(name, size))


def _is_plain(value: Any, _: Sizes) -> bool:
    if isinstance(value, list | tuple | frozenset):
        return all(_is_plain(entry, _) for entry in value)
    if isinstance(value, dict):
        return all(_is_plain(part, _) for pair in value.items() for part in pair)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufcUS" or all(_is_plain(entry, _) for entry in value.ravel())
    return value is None or isinstance(value, bool | int | float | complex | str | np.generic)


def _is_sum_or_sums(value: Any, _: Sizes) -> bool:
    entries = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(entry, PauliSum) for entry in entries)


def _are_scalars(value: Any) -> bool:
    plain = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biufOUS"
    return plain and all(isinstance(v, bool | int | float | str | np.generic | None) for v in value)


def _are_labels(value: Any, sizes: Sizes) -> bool:
    return _are_scalars(value) and len(value) >= 2 and _agree("c", len(value), sizes)


def _are_names(value: Any, sizes: Sizes) -> bool:
    names = isinstance(value, np.ndarray) and value.ndim == 1 and all(isinstance(v, str) for v in value)
    return names and _agree("d", len(value), sizes)


NONE = Kind("None", lambda v, _: v is None)
FLAG = Kind("True or False", lambda v, _: isinstance(v, bool | np.bool_))
TEXT = Kind("a text", lambda v, _: isinstance(v, str))
REAL = Kind("a number", lambda v, _: is_real(v))
PLAIN = Kind("numbers and texts", _is_plain)  # no function, and no object of a class of ours
CIRCUIT = Kind("a circuit", lambda v, _: isinstance(v, Circuit))
SUMS = Kind("Pauli sums", _is_sum_or_sums)
LOSS = Kind("a loss of ketgrad", lambda v, _: any(v is loss for loss in LOSSES.values()))
DTYPE = Kind("a dtype", lambda v, _: isinstance(v, np.dtype))
LABELS = Kind("two labels or more", _are_labels)
SCALARS = Kind("one value per feature", lambda v, sizes: _are_scalars(v) and _agree("d", len(v), sizes))
NAMES_OF_COLUMNS = Kind("one name per feature", _are_names)
DIGEST_TEXT = Kind(
    "a SHA-256", lambda v, _: isinstance(v, str) and len(v) == 64 and v.isascii() and v.isalnum()
)
