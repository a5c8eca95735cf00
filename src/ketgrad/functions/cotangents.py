"""The cotangent of a derivative, in the rows of a call: one number for each value, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from ketgrad.foundation.arrays import check_finite, real_array, refuse_gradients
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.functions.batch import Batch, converted, is_plain
from ketgrad.programs.question import Question


def cotangent_rows(question: Question, batch: Batch, cotangent: Any, name: str = "cotangent") -> np.ndarray:
    """The cotangent (or what is shaped like it) in rows (B, K), checked; None is that of a single real output."""
    kind, outputs = batch.kind_of_values, question.num_outputs(batch.program.num_qubits)
    if cotangent is None:
        if name != "cotangent" or outputs != 1 or question.is_complex:
            raise missing_cotangent(name, outputs, question.outputs)
        cotangent = np.ones(1)
    shape = (*batch.lead, outputs)
    if is_plain(cotangent, kind, shape):
        return cotangent if len(shape) == 2 else cotangent.reshape(-1, outputs)
    array = as_cotangent(cotangent, shape, question.is_complex, name)
    return converted(array, kind, name).reshape(-1, outputs)


def slope_rows(question: Question, batch: Batch, slope: Any) -> np.ndarray:
    """The slope in rows (B, K), checked; real values only have one."""
    if question.is_complex:
        raise KetgradValueError(
            "`slope` is for real values, but `state` gives complex ones. Pass the cotangent of the state alone."
        )
    return cotangent_rows(question, batch, slope, "slope")


def check_slope(slope: Any) -> None:
    """Raise for a slope without a cotangent."""
    if slope is not None:
        raise KetgradValueError(
            "`cotangent` must be given beside `slope` - their use is cotangent + slope * values - but is missing. "
            "Pass zeros for the slope alone."
        )


def missing_cotangent(name: str, num_outputs: int, outputs: str) -> KetgradValueError:
    """The refusal of a cotangent that was left out, though it may not be."""
    return KetgradValueError(
        f"`{name}` must have shape (..., {num_outputs}) - one number for each output - but is missing. It may "
        f"be left out for a single real output only, and there are {num_outputs} {outputs}: pass "
        f"np.ones({num_outputs}) for the derivative of their sum, or ask for f.jacobian."
    )


def as_cotangent(
    cotangent: Any, shape: tuple[int, ...], complex_valued: bool, name: str = "cotangent"
) -> np.ndarray:
    """The cotangent as an array of `shape`, broadcast over missing leading axes."""
    array = _complex_array(cotangent, name) if complex_valued else None
    if array is None:
        array = real_array(cotangent, name)
    check_finite(array, name)
    if array.shape == shape:
        return array
    if array.ndim and array.shape[-1] == shape[-1] and array.ndim <= len(shape):
        fits = zip(reversed(array.shape), reversed(shape), strict=False)
        if all(length in (1, wanted) for length, wanted in fits):
            return np.broadcast_to(array, shape)
    raise KetgradValueError(
        f"`{name}` must have shape {shape} - one number for each output - but has shape {array.shape}."
    )


def _complex_array(value: Any, name: str) -> np.ndarray | None:
    """The array of complex numbers that this is; None for anything else."""
    refuse_gradients(value, name)
    try:
        array = np.asarray(value)
    except ValueError:  # rows of unequal lengths: refused by `real_array`
        return None
    return array if array.dtype.kind == "c" else None
