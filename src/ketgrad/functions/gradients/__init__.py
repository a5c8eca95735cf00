"""Layer 5, gradients: rules as values, one to a file; what chooses among them, and what checks them.

Every rule says whether it can be used (`objection`), what it costs (`cost`), and computes the derivative (`vjp`,
`jacobian`). A rule that cannot be used says why; nothing here falls back to another rule.
"""

from __future__ import annotations

import importlib
from typing import Any

from ketgrad.functions.gradients.table import RULES

_MODULES = {
    **{name.rpartition(".")[2]: module for name, module in RULES.items()},
    "Cost": "ketgrad.functions.gradients.rules",
    "GradientRule": "ketgrad.functions.gradients.rules",
    "check_usable": "ketgrad.functions.gradients.choice",
    "choose": "ketgrad.functions.gradients.choice",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Loaded on first use, so that the names of the rules can be had without their code."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
