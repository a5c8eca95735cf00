"""Layer 9: models: scikit-learn estimators (`MODELS`), algorithms of physics and optimisation (`ALGORITHMS`)."""

from __future__ import annotations

from typing import Any

from ketgrad.foundation.tables import Table

# One row for each: it is then on `kg` and `kg.models`, in saved files under this name for ever, and in the tests.
MODELS = Table(
    {
        "VariationalClassifier": "ketgrad.models.variational:VariationalClassifier",
        "VariationalRegressor": "ketgrad.models.variational:VariationalRegressor",
        "KernelClassifier": "ketgrad.models.kernel_machines:KernelClassifier",
        "KernelRegressor": "ketgrad.models.kernel_machines:KernelRegressor",
    }
)
ALGORITHMS = Table(
    {
        "vqe": "ketgrad.models.algorithms.vqe:vqe",
        "qaoa": "ketgrad.models.algorithms.qaoa:qaoa",
    }
)

__all__ = ["ALGORITHMS", "MODELS", *MODELS, *ALGORITHMS]


def __getattr__(name: str) -> Any:
    """Loaded on first use: the estimators import scikit-learn, the algorithms do not need it."""
    for table in (MODELS, ALGORITHMS):
        if name in table:
            return table[name]
    raise AttributeError(f"module 'ketgrad.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
