"""The rules of ketgrad's models: each says itself what it has learned, in the words of `Saved`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ketgrad.models import MODELS
from ketgrad.saving.allow_list.shared_kinds import (
    COLUMN_NAMES,
    EXECUTOR,
    KERNEL,
    OPTIMIZER,
    RULE,
    SEED,
    in_words,
)
from ketgrad.saving.kinds import (
    CIRCUIT,
    LOSS,
    NONE,
    PLAIN,
    SUMS,
    TEXT,
    Kind,
    ObjectRules,
)

# parameters that hold more than numbers and texts, by the names that all models share
SHARED: Mapping[str, Kind] = {
    "circuit": NONE | CIRCUIT,
    "encoding": NONE | TEXT | CIRCUIT,
    "ansatz": NONE | TEXT | CIRCUIT,
    "observables": NONE | SUMS,
    "loss": TEXT | LOSS,
    "optimizer": TEXT | OPTIMIZER,
    "executor": TEXT | EXECUTOR,
    "gradient": RULE,
    "kernel": TEXT | KERNEL,
    "random_state": PLAIN | SEED,
}


def of_model(name: str) -> ObjectRules:
    """The rules of a model: of its parameters by their names, of what it learned by its own words.

    >>> list(of_model("KernelRegressor").learned)[-2:]
    ['target_mean_', 'target_scale_']
    """
    model = MODELS[name]
    saved, own = model.saved, inspect.signature(model).parameters
    parameters = {parameter: SHARED.get(parameter, PLAIN) for parameter in own}
    parameters |= {parameter: in_words(text) for parameter, text in saved.parameters.items()}

    def fits(value: Any) -> bool:
        return not any(hasattr(value, attribute) for attribute in saved.learned) or saved.fits_together(value)

    learned = {attribute: in_words(text) for attribute, text in saved.learned.items()}
    return ObjectRules(parameters, learned, COLUMN_NAMES, fits)
