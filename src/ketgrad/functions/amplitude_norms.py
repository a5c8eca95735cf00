"""Prepared states whose amplitudes are weights or inputs: they must have norm 1, or be divided by it."""

from __future__ import annotations

import numpy as np

from ketgrad.foundation.arrays import row_norms
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import FLOAT32, FLOAT64
from ketgrad.functions.batch import Batch
from ketgrad.programs.program import STATE_PREPARATION, Program

NORM_TOLERANCE = {FLOAT64: 1e-8, FLOAT32: 1e-4}


def has_variable_amplitudes(program: Program) -> bool:
    """Whether a prepared state has weights or inputs as amplitudes."""
    return bool((program.kind == STATE_PREPARATION).any() and (program.amplitude_slot > 0).any())


def check_amplitudes(batch: Batch) -> None:
    """Raise unless every vector that a prepared state takes from variables has norm 1, or can be normalised."""
    program, slots = batch.program, batch.program.slots(batch.weights, batch.inputs)
    for k in np.flatnonzero(program.kind == STATE_PREPARATION):
        part = slice(int(program.data_start[k]), int(program.data_start[k + 1]))
        with np.errstate(over="ignore", invalid="ignore"):
            norm = row_norms(program.data[part] * slots[:, program.amplitude_slot[part]])[:, 0]
        if program.normalize[k]:
            sound, hint = (norm > 0) & (norm < np.inf), ""
            rule = (
                "must not be zero"
                if (norm == 0).any()
                else "must have a norm that is a floating-point number"
            )
        else:
            sound, rule = np.abs(norm - 1) <= NORM_TOLERANCE[batch.real], "must have norm 1"
            hint = " Pass normalize=True to `prepare_state` to divide by the norm."
        if not sound.all():
            row = int(np.argmin(sound))
            raise KetgradValueError(
                f"the amplitudes of the prepared state {rule}, but those of row {row} have norm {norm[row]:.6g}.{hint}"
            )
