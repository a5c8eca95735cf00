"""Layer 13: the referee: compares quantum models with tuned classical ones on a table, and says what follows.

In this order, each importing from those before it: `decoding results metrics` (records and scores), `table/` (what is
asked), `contest/` (every model on every split), `judgement/` (from scores to a verdict), `report/` (what people read),
`options protocol run` (`compare`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ketgrad.referee.contest.contestants import CONTESTANTS
    from ketgrad.referee.contest.progress import Progress
    from ketgrad.referee.results import Comparison
    from ketgrad.referee.run import compare

# Loaded on first use: the options of the command stand below the models that it compares.
_LAZY = {
    "CONTESTANTS": "contest.contestants",
    "Comparison": "results",
    "Progress": "contest.progress",
    "compare": "run",
}

__all__ = ["CONTESTANTS", "MODELS", "Comparison", "Progress", "compare"]


def __getattr__(name: str) -> Any:
    if name == "MODELS":
        from ketgrad.referee.contest.contestants import CONTESTANTS

        value: Any = tuple(contestant.name for contestant in CONTESTANTS)
    elif name in _LAZY:
        value = getattr(importlib.import_module(f"ketgrad.referee.{_LAZY[name]}"), name)
    else:
        raise AttributeError(f"module 'ketgrad.referee' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
