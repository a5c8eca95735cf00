"""Layer 9: models: scikit-learn estimators, and the variational algorithms of physics and optimisation."""

from __future__ import annotations

import importlib
from typing import Any

# Loaded on first use: the estimators import scikit-learn, the solvers do not need it.
_LAZY = {
    "VariationalClassifier": "variational",
    "VariationalRegressor": "variational",
    "KernelClassifier": "kernel_machines",
    "KernelRegressor": "kernel_machines",
    "vqe": "algorithms.solvers",
    "qaoa": "algorithms.solvers",
}

__all__ = [
    "KernelClassifier",
    "KernelRegressor",
    "VariationalClassifier",
    "VariationalRegressor",
    "qaoa",
    "vqe",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ketgrad.models' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ketgrad.models.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
