"""How large values and derivatives may be: beyond, they are no numbers of their type."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ketgrad.foundation.arrays import position
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import FLOAT32, FLOAT64
from ketgrad.programs.program import Program
from ketgrad.programs.questions import LARGEST_OBSERVABLE

LARGEST_VALUE = {FLOAT64: LARGEST_OBSERVABLE, FLOAT32: 2.0**60}  # of an expectation value


def check_observables(program: Program, kind: np.dtype) -> None:
    """Raise if the values of an observable can be larger than numbers of this type."""
    if program.observable_size > LARGEST_VALUE[kind]:
        raise KetgradValueError(
            f"`observables` must have coefficients whose sizes add up to at most {LARGEST_VALUE[kind]:.1g} in {kind} - "
            f"values and derivatives are no finite numbers beyond - but they add up to {program.observable_size:.3g}. "
            "Compute in float64, or divide them by their scale."
        )


def is_steep(program: Program) -> bool:
    """Whether derivatives may overflow where the squares of the cotangent and the slope can be added up in float32."""
    return not program.observable_size * program.observable_size * max(1.0, program.steepness) <= 2.0**50


def check_derivatives(program: Program, by_name: Mapping[str, np.ndarray]) -> None:
    """Raise if a derivative is larger than numbers of its type, unless it is infinite at an edge of arccos."""
    for name, array in by_name.items():
        if math.isfinite(abs(np.vdot(array, array))):  # the quickest look at all of them
            continue
        sound = ~np.isnan(array) if program.input_map is not None else np.isfinite(array)
        if not sound.all():
            index = np.unravel_index(int(np.argmin(sound)), array.shape)
            raise KetgradValueError(
                f"{name} must be numbers within the range of {array.dtype}, {np.finfo(array.dtype).max:.2g}, but "
                f"{position('entry ', index)} is beyond it. Scale the cotangent, the observables or the coefficients "
                "of the angles down."
            )
