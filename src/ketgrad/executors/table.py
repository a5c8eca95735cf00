"""The table of executors, and the way from a name to one of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ketgrad.executors.measured import MeasuredDevice
from ketgrad.executors.protocol import Device, Executor, Runner
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches

EXECUTORS: Mapping[str, tuple[str, str]] = {
    "reference": ("ketgrad.executors.reference", "Reference"),
    "native": ("ketgrad.executors.native", "Native"),
    "sampled": ("ketgrad.executors.sampled", "Sampled"),
}
SAID_TOGETHER = ("shots", "with_shots", "describe")  # by an executor that says more than the least


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
    if isinstance(executor, Executor):
        return executor
    if isinstance(executor, type):
        raise KetgradTypeError(
            f"`executor` must be an instance, but is the class {executor.__name__}. Write {executor.__name__}(...)."
        )
    if isinstance(executor, Runner):
        _check_least(executor)
        return executor
    if isinstance(executor, Device):
        return MeasuredDevice(executor, executor.shots)
    raise KetgradTypeError(
        "`executor` must be a name, an object with name, abilities and run, or a device with name, abilities, shots "
        f"and counts, but is {type(executor).__name__}."
    )


def _check_least(executor: Runner) -> None:
    """Refuse half of what an executor may say: the other half would be guessed."""
    has = [member for member in SAID_TOGETHER if hasattr(executor, member)]
    if "describe" in has or "with_shots" in has:
        missing = [member for member in SAID_TOGETHER if member not in has]
        raise KetgradTypeError(
            f"`executor` must have shots, with_shots and describe together, or name, abilities and run alone - what it "
            f"does not say would be guessed - but {type(executor).__name__} has no {' and no '.join(missing)}."
        )
