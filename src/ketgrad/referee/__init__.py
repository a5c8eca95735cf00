"""Layer 13: the referee: compares quantum models with tuned classical ones on a table, and says what follows."""

from __future__ import annotations

from ketgrad.referee.contest.progress import Progress
from ketgrad.referee.contest.quantum import CONTESTANTS
from ketgrad.referee.results import Comparison
from ketgrad.referee.run import compare

MODELS = tuple(contestant.name for contestant in CONTESTANTS)

__all__ = ["CONTESTANTS", "MODELS", "Comparison", "Progress", "compare"]


def __dir__() -> list[str]:
    return sorted(__all__)
