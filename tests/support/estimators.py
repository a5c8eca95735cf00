"""All models of the table, for the loops of the tests: a new row is in all of them."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.base import is_classifier

from ketgrad.models import MODELS


def models_with(**options: Any) -> dict[str, Any]:
    """One of each model, with those of the options that it takes."""
    made = {}
    for name, kind in MODELS.items():
        takes = inspect.signature(kind).parameters
        made[name] = kind(**{option: value for option, value in options.items() if option in takes})
    return made


def classifiers_with(**options: Any) -> dict[str, Any]:
    """The classifiers among them."""
    return {name: model for name, model in models_with(**options).items() if is_classifier(model)}


def regressors_with(**options: Any) -> dict[str, Any]:
    """The others, which learn numbers."""
    return {name: model for name, model in models_with(**options).items() if not is_classifier(model)}
