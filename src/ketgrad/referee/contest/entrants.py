"""Who takes part in a comparison, and whether the memory of this machine is enough for them."""

from __future__ import annotations

from collections.abc import Sequence

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches
from ketgrad.foundation.memory import available_bytes, reserve
from ketgrad.referee.contest.contestants import CONTESTANTS, Contestant


def choose_models(
    names: Sequence[str] | None, contestants: tuple[Contestant, ...] = CONTESTANTS
) -> tuple[Contestant, ...]:
    """The contestants called `names` with their twins and the dummy, in the order of the table; None for all.

    >>> [contestant.name for contestant in choose_models(["linear"])]
    ['dummy', 'linear']
    """
    if names is None:
        return contestants
    if isinstance(names, str):
        raise KetgradTypeError(
            f"`models` must be a list of names, but is the text {names!r}: models=[{names!r}]."
        )
    known = [contestant.name for contestant in contestants]
    for name in names:
        if name not in known:
            raise KetgradValueError(f"there is no model {name!r}. {near_matches(str(name), known)}")
    return tuple(
        contestant
        for contestant in contestants
        if contestant.family == "dummy" or contestant.name in names or contestant.twin_of in names
    )


def reserve_for_models(
    chosen: Sequence[Contestant],
    contestants: Sequence[Contestant],
    *,
    rows: int,
    folds: int,
    qubits: int,
    workers: int,
) -> None:
    """Refuse before any work the models that this many rows do not leave memory for; the others are offered."""
    n_test = rows // max(2, folds)
    n_train = rows - n_test
    limit = available_bytes() // workers
    for contestant in chosen:
        others = [
            item.name
            for item in contestants
            if item.family in ("classical", "quantum") and item.memory(n_train, n_test, qubits) < limit
        ]
        way_out = (
            "Use a part of the table: rows=2000 (--rows 2000); fewer qubits; or other models:"
            f" {', '.join(others)}."
        )
        need = contestant.memory(n_train, n_test, qubits) * workers
        reserve(
            need, f"the model {contestant.name!r} on {n_train} training rows and {qubits} qubits", way_out
        )
