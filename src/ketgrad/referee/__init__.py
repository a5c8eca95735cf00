"""The referee: compares quantum models with tuned classical ones on a table, and says what follows."""

from __future__ import annotations

from ketgrad.referee.progress import Progress
from ketgrad.referee.results import Comparison
from ketgrad.referee.run import compare
from ketgrad.referee.twins import CONTESTANTS

MODELS = tuple(contestant.name for contestant in CONTESTANTS)

__all__ = ["CONTESTANTS", "MODELS", "Comparison", "Progress", "compare"]


def __dir__() -> list[str]:
    return sorted(__all__)
