"""The parameters of an estimator by name, for the parts of a fit that share them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

Part = TypeVar("Part")


def parameters_of(estimator: Any, part: type[Part]) -> Part:
    """The dataclass `part` filled with the parameters of the same names; fields with a default may be missing.

    >>> from ketgrad.models.fitting.circuit_choice import CircuitChoice
    >>> parameters_of(kg.KernelClassifier(num_layers=2), CircuitChoice).num_layers
    2
    """
    given = estimator.get_params(deep=False)
    return part(**{field.name: given[field.name] for field in fields(part) if field.name in given})  # type: ignore[arg-type]
