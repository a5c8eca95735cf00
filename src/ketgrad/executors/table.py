"""The table of executors, and the way from a name to one of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence, Set
from typing import Any, get_args

from ketgrad.executors.measured import MeasuredDevice
from ketgrad.executors.protocol import Ability
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches, shown

EXECUTORS: Mapping[str, tuple[str, str]] = {
    "reference": ("ketgrad.executors.reference", "Reference"),
    "native": ("ketgrad.executors.native", "Native"),
    "sampled": ("ketgrad.executors.sampled", "Sampled"),
}
LEAST = ("name", "abilities", "run")  # members of any executor,
MORE = ("shots", "with_shots", "describe")  # and of one that says more, all together
DEVICE = ("name", "abilities", "shots", "counts")
ABILITIES = frozenset(get_args(Ability))
NEEDED = (("adjoint", "vjp"), ("second", "jvp"), ("second", "hvp"))  # abilities, and a member behind each


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
    is_device = bool(_missing(executor, LEAST))
    if is_device and _missing(executor, DEVICE):
        raise KetgradTypeError(
            "`executor` must be a name, an object with name, abilities and run, or a device with name, abilities, "
            f"shots and counts, but is {type(executor).__name__}."
        )
    _check_words(executor)
    if is_device:
        executor = MeasuredDevice(executor, executor.shots)
    else:
        _check_whole(executor)
    _check_promises(executor)
    return executor


def _missing(executor: Any, members: Sequence[str]) -> list[str]:
    return [member for member in members if not hasattr(executor, member)]


def _check_words(executor: Any) -> None:
    """Refuse abilities that are no set of the words that there are: plans and gradients go by them."""
    abilities, name = executor.abilities, executor.name
    if not isinstance(abilities, (frozenset, Set)):  # the first is told at once
        raise KetgradTypeError(
            f"`abilities` of the executor {name!r} must be a frozenset of words, but is {shown(abilities)}."
        )
    if not abilities <= ABILITIES:
        unknown = min(map(str, abilities - ABILITIES))
        raise KetgradValueError(
            f"`abilities` of the executor {name!r} names {unknown!r}. {near_matches(unknown, ABILITIES)}"
        )


def _check_promises(executor: Any) -> None:
    """Refuse abilities that nothing stands behind."""
    abilities, name = executor.abilities, executor.name
    if ("exact" in abilities) is ("shots" in abilities):
        raise KetgradValueError(
            f"`abilities` of the executor {name!r} must name one of 'exact' and 'shots' - values carry shot noise or "
            f"they do not - but names {'both' if 'exact' in abilities else 'neither'}."
        )
    for ability, member in NEEDED:
        if ability in abilities and not hasattr(executor, member):
            raise KetgradTypeError(
                f"the executor {name!r} names the ability {ability!r}, but has no {member}."
            )


def _check_whole(executor: Any) -> None:
    """Refuse half of what an executor may say: the other half would be guessed."""
    if hasattr(executor, "counts"):
        raise KetgradTypeError(
            f"`executor` must have run, or counts as a device, but {type(executor).__name__} has both, and either "
            "would be a guess. Name one of them otherwise."
        )
    missing = _missing(executor, MORE)
    if missing and not {"with_shots", "describe"} <= {*missing}:
        raise KetgradTypeError(
            f"`executor` must have shots, with_shots and describe together, or name, abilities and run alone - what it "
            f"does not say would be guessed - but {type(executor).__name__} has no {' and no '.join(missing)}."
        )
