"""Warnings that point to the line of the user, however deep in ketgrad they are given."""

from __future__ import annotations

import sys
import warnings


def warn_user(text: str) -> None:
    """A `UserWarning` at the innermost line outside of ketgrad.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     kg.minimise(lambda w: (1.0, 0 * w), [1.0]).steps
    0
    >>> caught[0].category.__name__, "user_warnings" in caught[0].filename
    ('UserWarning', False)
    """
    level, frame = 2, sys._getframe(1)  # level 1 is this function
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module == "ketgrad" or module.startswith("ketgrad.")
