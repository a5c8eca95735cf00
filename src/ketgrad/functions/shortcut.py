"""The short way of a call: plain arrays go straight into compiled code, which checks them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.executors.protocol import has_short_way
from ketgrad.foundation.numbers import COMPLEX64
from ketgrad.functions.amplitude_norms import has_variable_amplitudes
from ketgrad.programs.program import Program
from ketgrad.programs.question import Question


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What a call with plain arrays reads: where the executor keeps its own way for them, and its last arguments.

    Plain attributes, not cached properties: a look at one of those costs a tenth of what the C++ call does.
    """

    cache: dict[Any, Any]
    key: Any
    threads: int | None
    single: bool


def shortcut(
    question: Question, executor: Any, program: Program, threads: int | None, dtype: np.dtype
) -> Shortcut:
    """The key is None, under which nothing is kept, where shots are drawn or arguments or values need more work."""
    plain = (
        "shots" not in executor.abilities
        and question.base is question
        and program.input_map is None
        and not has_variable_amplitudes(program)
    )
    key = executor.direct if plain and has_short_way(executor) else None
    return Shortcut(program.cache, key, threads, dtype == COMPLEX64)
