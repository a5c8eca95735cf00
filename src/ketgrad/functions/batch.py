"""What a call is made of: its arguments in rows, as an executor takes them, and how the executor is to be called.

A caller has any number of leading axes. An executor wants weights (1 or B, num_weights) and inputs (1 or B,
num_inputs), contiguous, of one real type, with functions of inputs such as arccos(x[0]) as columns of their own.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ketgrad.executors.answers import checked_numbers, checked_outcomes
from ketgrad.executors.protocol import runs_in_parts
from ketgrad.executors.table import EXECUTORS
from ketgrad.foundation.arrays import check_finite, position
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import COMPLEX128, FLOAT64, REAL_OF
from ketgrad.functions.angle_limits import check_angles
from ketgrad.programs.program import Program
from ketgrad.programs.reach import VisiblePart

OUTCOME = np.dtype(np.uint64)


class Batch(NamedTuple):
    """Samples of a function: weights and inputs in rows, and how the executor is called with them.

    weights: (1 or B, W), inputs: (1 or B, C), contiguous, of one real type; C counts the columns that the program
    reads. dtype: the complex type to compute in. rng: of an executor that draws. lead: the leading axes of the
    result; weights_shape, inputs_shape: the arguments as the caller gave them, whose shapes the derivatives take.
    A rule that moves rows replaces `weights` and `inputs` alone.
    """

    executor: Any
    program: Program
    weights: np.ndarray
    inputs: np.ndarray
    dtype: np.dtype
    threads: int | None
    rng: np.random.Generator | None
    lead: tuple[int, ...]
    weights_shape: tuple[int, ...]
    inputs_shape: tuple[int, ...]

    @classmethod
    def of_rows(
        cls,
        executor: Any,
        program: Program,
        weights: np.ndarray,
        inputs: np.ndarray,
        dtype: np.dtype = COMPLEX128,
        threads: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Batch:
        """Rows as the program reads them, unchecked: weights (1 or B, W), inputs (1 or B, C)."""
        lead = (max(len(weights), len(inputs)),)
        return cls(executor, program, weights, inputs, dtype, threads, rng, lead, weights.shape, inputs.shape)

    @property
    def num_rows(self) -> int:
        """Number of samples; where there are none, that of the rows which stand in for them."""
        return max(len(self.weights), len(self.inputs))

    @property
    def is_empty(self) -> bool:
        """Whether there is no sample."""
        return 0 in self.lead

    @property
    def real(self) -> np.dtype:
        """The type of weights, inputs and derivatives."""
        return self.weights.dtype

    @property
    def kind_of_values(self) -> np.dtype:
        """The type of the values, and of a cotangent."""
        question = self.program.question
        if question.is_drawn:
            return OUTCOME
        return self.dtype if question.is_complex else self.real

    def values(self) -> np.ndarray:
        """The values, (..., outputs) under the leading axes of the call."""
        return self.no_values() if self.is_empty else self.lead_shaped(self.run(self.weights, self.inputs))

    @property
    def parts(self) -> tuple[VisiblePart, ...]:
        """What the executor runs in place of the program, where that is several programs; () elsewhere."""
        return self.executor.parts(self.program) if runs_in_parts(self.executor) else ()

    def on(self, program: Program, weights: np.ndarray, inputs: np.ndarray) -> Batch:
        """The same for another program."""
        return self._replace(program=program, weights=weights, inputs=inputs)

    def at(self, rows: np.ndarray, columns: np.ndarray) -> Batch:
        """Some rows at other inputs, in double precision, with weights of their own."""
        weights = np.broadcast_to(self.weights, (self.num_rows, self.weights.shape[1]))[rows]
        return self._replace(weights=weights.astype(FLOAT64), inputs=columns, dtype=COMPLEX128)

    def value_sizes(self, cotangent: np.ndarray | None = None) -> np.ndarray:
        """(B,): a bound of the values, times the largest entry of a cotangent."""
        rows = np.ones(self.num_rows) if cotangent is None else np.abs(cotangent).max(axis=1, initial=0.0)
        return self.program.value_size * rows.astype(FLOAT64)

    def run(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The values at weights and inputs, its own or others."""
        real = np.float32 if self.dtype == np.complex64 else np.float64
        rows = (np.ascontiguousarray(weights, dtype=real), np.ascontiguousarray(inputs, dtype=real))
        how: dict[str, Any] = {"dtype": self.dtype, "threads": self.threads}
        if self.rng is not None:
            how["rng"] = self.rng
        found = self.executor.run(self.program, *rows, **how)
        return found if self.executor.name in EXECUTORS else self._looked_at(found, rows)

    def _looked_at(self, found: Any, rows: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """The values that an executor of somebody else gave, which no test of ours has seen."""
        question, shape = self.program.question, (max(map(len, rows)), self.program.num_outputs)
        if question.is_drawn:  # outcomes are numbers of the machine, or Python's own
            return checked_outcomes(self.executor.name, found, shape)
        kind = self.dtype if question.is_complex else REAL_OF[self.dtype]
        return checked_numbers(self.executor.name, "run", found, shape, kind)

    def run_moved(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The values where a rule has moved the weights and inputs: refused if that carries an angle too far."""
        check_angles(self.program, weights, inputs, self.num_rows, " once a gradient rule has moved it")
        return self.run(weights, inputs)

    def no_values(self) -> np.ndarray:
        """The values of no samples."""
        return np.zeros((*self.lead, self.program.num_outputs), self.kind_of_values)

    def no_derivatives(self) -> tuple[np.ndarray, np.ndarray]:
        """The derivatives of no values."""
        return np.zeros(self.weights_shape, self.real), np.zeros(self.inputs_shape, self.real)

    def lead_shaped(self, rows: np.ndarray) -> np.ndarray:
        """Rows (B, ...) under the leading axes of the call."""
        return rows if len(self.lead) == 1 else rows.reshape(*self.lead, *rows.shape[1:])

    def as_given(self, dweights: np.ndarray, dinputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives in rows, as those of the caller's arrays: in their shapes, summed where these were shared."""
        return (
            unbroadcast(dweights, self.lead, self.weights_shape, self.real),
            unbroadcast(dinputs, self.lead, self.inputs_shape, self.real),
        )


def common_lead(weights_shape: tuple[int, ...], inputs_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The leading axes of the result: those of both arguments, broadcast as in a NumPy generalised ufunc."""
    weights_lead, inputs_lead = weights_shape[:-1], inputs_shape[:-1]
    if weights_lead == inputs_lead or not inputs_lead:
        return weights_lead
    if not weights_lead:
        return inputs_lead
    try:
        return np.broadcast_shapes(weights_lead, inputs_lead)
    except ValueError:
        raise KetgradValueError(
            f"the leading axes of `weights` and `inputs` must broadcast, but the shapes are {weights_shape} and "
            f"{inputs_shape}: {weights_lead} does not fit {inputs_lead}."
        ) from None


def contiguous(array: np.ndarray, real: np.dtype, name: str) -> np.ndarray:
    """The array itself, or a copy of the right type and layout if that fits into memory."""
    if array.dtype == real and array.flags.c_contiguous:
        return array
    reserve(array.size * real.itemsize, f"a contiguous copy of `{name}`", "Pass smaller batches.")
    return converted(array, real, name).reshape(array.shape)


def converted(array: np.ndarray, kind: np.dtype, name: str) -> np.ndarray:
    """The array in a floating-point type, contiguous; `KetgradValueError` for a number beyond the type's range."""
    if array.dtype == kind:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore"):  # is looked at below
        result = np.ascontiguousarray(array, kind)
    if result.itemsize < array.itemsize and not np.isfinite(result).all():
        check_finite(array, name)
        index = np.unravel_index(int(np.argmin(np.isfinite(result))), result.shape)
        raise KetgradValueError(
            f"`{name}` must lie within +-{np.finfo(kind).max:.2g}, the range of {kind}, but {position(name, index)} is "
            f"{array[index]}. Compute in double precision, or scale it."
        )
    return result


def is_plain(array: Any, kind: np.dtype, shape: tuple[int, ...]) -> bool:
    """Whether this is an array of finite numbers of this type and shape that needs no copy."""
    return (
        type(array) is np.ndarray
        and array.dtype is kind
        and array.shape == shape
        and array.flags.c_contiguous
        and math.isfinite(abs(np.vdot(array, array)))
    )


def in_rows(array: np.ndarray, lead: tuple[int, ...], dtype: np.dtype, name: str) -> np.ndarray:
    """(1 or B, width), contiguous: one row where all samples share it, else one for each of them.

    Only an array whose rows really repeat along some axes (neither shared by all samples nor one per sample)
    is copied out to the full batch.
    """
    if array.dtype is dtype and array.ndim == 1 and array.flags.c_contiguous:
        return array[None]
    width, own, size = array.shape[-1], math.prod(array.shape[:-1]), math.prod(lead)
    count = size if own in (0, size) else own
    if own not in (0, 1, size):
        count = size
        reserve(
            size * width * dtype.itemsize, f"`{name}` broadcast to {size} rows", "Call it in smaller batches."
        )
        array = np.broadcast_to(array, (*lead, width))
    return converted(array, dtype, name).reshape(count, width)


def unbroadcast(
    gradient: np.ndarray, lead: tuple[int, ...], shape: tuple[int, ...], real: np.dtype
) -> np.ndarray:
    """A gradient in rows, in the shape of its variable: summed over the axes along which that was broadcast."""
    shared = len(gradient) != math.prod(shape[:-1])
    if not shared and gradient.dtype == real:
        return gradient.reshape(shape)
    with np.errstate(over="ignore"):  # whoever asked looks at the result
        if shared:
            full = gradient.reshape(*lead, shape[-1])
            extra = len(lead) - (len(shape) - 1)
            repeated = [extra + k for k, length in enumerate(shape[:-1]) if length == 1 != lead[extra + k]]
            gradient = full.sum(axis=(*range(extra), *repeated), keepdims=True)
        return gradient.reshape(shape).astype(real, copy=False)
