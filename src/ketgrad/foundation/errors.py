"""Every exception that ketgrad raises, and the checks that word them.

A message names the argument, the rule, why the rule holds, what was given, and the way out.
Each class derives from `KetgradError` and from the built-in class that Python code expects.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = [
    "KetgradAttributeError",
    "KetgradError",
    "KetgradImportError",
    "KetgradIndexError",
    "KetgradMemoryError",
    "KetgradOSError",
    "KetgradTypeError",
    "KetgradValueError",
]


def __dir__() -> list[str]:
    return __all__


class KetgradError(Exception):
    """Base of all refusals by ketgrad: the input is at fault, or the machine too small, never the library."""


class KetgradValueError(KetgradError, ValueError):
    """A value that is outside its range, or of the wrong shape."""


class KetgradTypeError(KetgradError, TypeError):
    """A value of a kind that the argument does not take."""


class KetgradIndexError(KetgradError, IndexError):
    """A qubit, row or column that does not exist."""


class KetgradAttributeError(KetgradError, AttributeError):
    """A name that ketgrad does not have; the message holds the one that is meant."""


class KetgradMemoryError(KetgradError, MemoryError):
    """A request that does not fit into the memory of this machine, refused before any work."""


class KetgradOSError(KetgradError, OSError):
    """A file that cannot be read or written."""


class KetgradImportError(KetgradError, ImportError):
    """An optional package that is not installed; the message holds the install line."""


def missing_extra(module: str, extra: str) -> KetgradImportError:
    """The exception for an optional package that is absent, with the line that installs it.

    >>> print(missing_extra("rich", "compare"))
    `rich` is not installed - this part of ketgrad needs it. Install it with: pip install 'ketgrad[compare]'
    """
    return KetgradImportError(
        f"`{module}` is not installed - this part of ketgrad needs it. "
        f"Install it with: pip install 'ketgrad[{extra}]'"
    )


def shown(entry: Any) -> str:
    """The `repr` of what was given, cut to the length of a message.

    >>> shown("a" * 50)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    try:
        text = repr(entry)
    except ValueError:  # Python writes no integer of more than 4300 digits
        text = f"a number of the type {type(entry).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


MOST_COMPARED, LONGEST_COMPARED = 2000, 100  # words, and characters of a word: comparing takes their product


def near_matches(word: str, words: Iterable[str]) -> str:
    """A sentence that offers the known words nearest to `word`, or lists them all when none is near.

    >>> near_matches("swop", ["rx", "ry", "swap"])
    "Did you mean 'swap'?"
    """
    known = sorted(words)
    candidates = [name for name in known[:MOST_COMPARED] if len(name) <= LONGEST_COMPARED]
    near = difflib.get_close_matches(word[:LONGEST_COMPARED], candidates, n=3, cutoff=0.6)
    if near:
        return "Did you mean " + " or ".join(repr(name) for name in near) + "?"
    listed = ", ".join(name[:LONGEST_COMPARED] for name in known[:40]) + (", ..." if len(known) > 40 else "")
    return f"Known: {listed}."


def check_shape(array: np.ndarray, name: str, shape: str, why: str = "") -> None:
    """Raise unless the shape of `array` fits `shape`, written as in the docstrings: "(..., 3)" or "(n, 2)".

    Letters stand for any length (the same letter for the same length), "..." for any number of leading axes.

    >>> check_shape(np.zeros((5, 2)), "inputs", "(..., 3)", "there are three")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradValueError: `inputs` must have shape (..., 3) - there are three - but has ...
    """
    parts = [part.strip() for part in shape.strip("() ").split(",") if part.strip()]
    free = bool(parts) and parts[0] == "..."
    wanted = parts[1:] if free else parts
    given = array.shape[array.ndim - len(wanted) :] if free else array.shape
    fits = len(given) == len(wanted)
    seen: dict[str, int] = {}
    for part, length in zip(wanted, given, strict=False):
        fits &= (int(part) if part.isdigit() else seen.setdefault(part, length)) == length
    if not fits:
        reason = f" - {why} -" if why else ""
        raise KetgradValueError(f"`{name}` must have shape {shape}{reason} but has shape {array.shape}.")
