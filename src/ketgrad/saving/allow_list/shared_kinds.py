"""Kinds that several rules speak of, and kinds in the words of `models.estimator.Saved`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ketgrad.executors.table import EXECUTORS
from ketgrad.foundation.numbers import MOST_THREADS
from ketgrad.functions.gradients.table import RULES
from ketgrad.programs.questions import QUESTIONS
from ketgrad.saving.classes import CLASSES
from ketgrad.saving.kinds import (
    CIRCUIT,
    DIGEST_TEXT,
    LABELS,
    NAMES_OF_COLUMNS,
    NONE,
    Kind,
    array,
    floats,
    instance,
    length,
    number,
    whole,
)
from ketgrad.training.optimizers import OPTIMIZERS


def known(*names: str) -> Kind:
    """Instances of these classes, by their names in files.

    >>> known("Adam", "COBYLA").text, known("Adam").holds(kg.Adam(), {})
    ('Adam or COBYLA', True)
    """
    return instance(*(f"{CLASSES[name][0]}.{name.rpartition('.')[2]}" for name in names))


EXECUTOR = known(*(name for _, name in EXECUTORS.values()))
EXACT = Kind(
    f"{EXECUTOR.text}, without shots",
    lambda value, sizes: EXECUTOR.holds(value, sizes) and "exact" in value.abilities,
)
RULE = NONE | known(*RULES)
OPTIMIZER = NONE | known(*OPTIMIZERS)
QUESTION = known(*(kind.__name__ for kind in QUESTIONS))
KERNEL = known("FidelityKernel", "ProjectedKernel")
SEED = NONE | Kind(
    "an integer or a SeedSequence",
    lambda v, _: isinstance(v, np.random.SeedSequence) or (type(v) is int and v >= 0),
)
THREADS = NONE | whole(1, MOST_THREADS)
POSITIVE = number(5e-324)
AMPLITUDES = Kind(
    "complex128 or complex64", lambda v, _: isinstance(v, np.dtype) and v in (np.complex128, np.complex64)
)
RANDOM_STATE = NONE | whole(0, 2**32 - 1)
COLUMN_NAMES: Mapping[str, Kind] = {"feature_names_in_": NAMES_OF_COLUMNS}

WORDS: Mapping[str, Callable[[str], Kind]] = {
    "circuit": lambda _: CIRCUIT,
    "labels": lambda _: LABELS,
    "digest": lambda _: DIGEST_TEXT,
    "count": lambda _: whole(0),
    "number": lambda _: number(),
    "length": length,
    "floats": lambda shape: floats(shape, finite=True),
    "numbers": lambda shape: array("fc", shape, finite=True),
}


def in_words(text: str) -> Kind:
    """The kind that words name: one of `WORDS` with its letters, or a class of `CLASSES`; alternatives with "|".

    >>> in_words("floats n d | floats").text
    'an array (n, d) of finite real numbers, or an array () of finite real numbers'
    """
    alternatives = []
    for part in text.split("|"):
        word, _, letters = part.strip().partition(" ")
        alternatives.append(WORDS[word](letters) if word in WORDS else known(word))
    kind, *others = alternatives
    for other in others:
        kind = kind | other
    return kind
