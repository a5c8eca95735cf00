"""The gradient rules by name: a rule is one file beside this one, and one row here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

# The name on `kg` -> the module of the class. In this order the exact ones are tried, and all are suggested.
RULES: Mapping[str, str] = {
    "Adjoint": "ketgrad.functions.gradients.adjoint",
    "ParameterShift": "ketgrad.functions.gradients.parameter_shift",
    "FiniteDifference": "ketgrad.functions.gradients.finite_difference",
    "gradients.SPSA": "ketgrad.functions.gradients.spsa",  # kg.SPSA is the optimiser
}


@lru_cache
def rule_classes() -> Mapping[str, type[Any]]:
    """The classes of all rules by the names on `kg`.

    >>> [name for name, rule in rule_classes().items() if rule.is_exact]
    ['Adjoint', 'ParameterShift']
    """
    return {
        name: getattr(importlib.import_module(module), name.rpartition(".")[2])
        for name, module in RULES.items()
    }
