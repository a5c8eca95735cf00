"""What a file may say about the objects of each class: the allow-list of parameters and of what was learned.

A file may come from anyone. So a parameter that names a folder or calls something (`Pipeline.memory`) can only be None,
an attribute that decides what compiled code does (`SVC._impl`) cannot be given at all, and every array by which
compiled code indexes has the type, the lengths and the range that a fit would have given it. `kg.save` keeps the same
rules, so that whatever is saved can be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ketgrad.models import MODELS
from ketgrad.saving.allow_list.models import of_model
from ketgrad.saving.allow_list.parts import PARTS, of_fields
from ketgrad.saving.allow_list.steps import STEPS
from ketgrad.saving.allow_list.support_vectors import MACHINES
from ketgrad.saving.kinds import ObjectRules

WRITTEN: Mapping[str, ObjectRules] = {**PARTS, **MACHINES, **STEPS}


@lru_cache
def rules_of(name: str) -> ObjectRules:
    """The rules of a class of `classes.CLASSES`: as written, as a model says itself, or as its annotations say.

    >>> sorted(rules_of("Adam").parameters)
    ['beta1', 'beta2', 'epsilon', 'learning_rate']
    """
    if name in WRITTEN:
        return WRITTEN[name]
    return of_model(name) if name in MODELS else of_fields(name)
