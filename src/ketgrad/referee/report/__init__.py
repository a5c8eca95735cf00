"""What a person reads: the page `report.html`, its charts, and the terminal's table and progress display."""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {"render": "page", "scores_csv": "scores"}  # loaded on first use

__all__ = ["render", "scores_csv"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ketgrad.referee.report' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ketgrad.referee.report.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
