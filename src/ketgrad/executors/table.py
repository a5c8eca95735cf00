"""The table of executors, and the way from a name to one of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from ketgrad.executors.measured import MeasuredDevice
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches

EXECUTORS: Mapping[str, tuple[str, str]] = {
    "reference": ("ketgrad.executors.reference", "Reference"),
    "native": ("ketgrad.executors.native", "Native"),
    "sampled": ("ketgrad.executors.sampled", "Sampled"),
}
LEAST = ("name", "abilities", "run")  # members of any executor,
MORE = ("shots", "with_shots", "describe")  # and of one that says more, all together
DEVICE = ("name", "abilities", "shots", "counts")


def get(executor: Any) -> Any:
    """The executor of that name, the instance itself, or a device as an executor.

    >>> get("reference").name
    'reference'
    """
    if isinstance(executor, str):
        if executor not in EXECUTORS:
            raise KetgradValueError(f"`executor` is {executor!r}. {near_matches(executor, EXECUTORS)}")
        module, name = EXECUTORS[executor]
        executor = getattr(importlib.import_module(module), name)()
    if isinstance(executor, type):
        raise KetgradTypeError(
            f"`executor` must be an instance, but is the class {executor.__name__}. Write {executor.__name__}(...)."
        )
    if not _missing(executor, LEAST):
        _check_whole(executor)
        return executor
    if not _missing(executor, DEVICE):
        return MeasuredDevice(executor, executor.shots)
    raise KetgradTypeError(
        "`executor` must be a name, an object with name, abilities and run, or a device with name, abilities, shots "
        f"and counts, but is {type(executor).__name__}."
    )


def _missing(executor: Any, members: Sequence[str]) -> list[str]:
    return [member for member in members if not hasattr(executor, member)]


def _check_whole(executor: Any) -> None:
    """Refuse half of what an executor may say: the other half would be guessed."""
    missing = _missing(executor, MORE)
    if missing and not {"with_shots", "describe"} <= {*missing}:
        raise KetgradTypeError(
            f"`executor` must have shots, with_shots and describe together, or name, abilities and run alone - what it "
            f"does not say would be guessed - but {type(executor).__name__} has no {' and no '.join(missing)}."
        )
