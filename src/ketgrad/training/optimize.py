"""Minimise a loss: Adam, L-BFGS-B, SPSA and COBYLA behind one function that never loses the best point.

What is public of the folder, as `kg.optimize`.
"""

from __future__ import annotations

from typing import Any

from ketgrad.training.minimise import minimise
from ketgrad.training.optimizers import OPTIMIZERS, Optimizer, optimizer_named
from ketgrad.training.run import Fit, NonFiniteLoss, Step

__all__ = [
    "OPTIMIZERS",
    "Fit",
    "NonFiniteLoss",
    "Optimizer",
    "Step",
    "minimise",
    "optimizer_named",
    *OPTIMIZERS,
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name not in OPTIMIZERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return OPTIMIZERS[name]
