"""What a running comparison tells the outside: one kind of event, given to a callback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One event of a comparison.

    kind: "plan" (before the splits are prepared, and before the first fit), "started" (a model begins a
    split), "done" (a model has finished a split), "failed" (it could not; scored as the dummy), "warning"
    (the run goes on, but not as asked), "interrupted", or "finished" (statistics follow). model, title: the
    contestant, "" for "plan", "warning", "interrupted" and "finished". split counts from 0 to splits - 1.
    done, total: pieces of work (model times split) finished and planned. score: of this split under the
    deciding metric. seconds_left: None until it can be estimated. message: one line in plain words.
    """

    kind: str
    model: str
    title: str
    split: int
    splits: int
    done: int
    total: int
    elapsed_seconds: float
    seconds_left: float | None
    score: float | None
    message: str


ProgressCallback = Callable[[Progress], None]
