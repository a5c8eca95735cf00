"""From the arguments of a call to the rows that an executor takes, and from its gradients back.

An executor wants weights (1 or B, num_weights) and inputs (1 or B, num_inputs), contiguous, of one real type, with
functions of inputs such as arccos(x[0]) as columns of their own. A caller has any number of leading axes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ketgrad.circuits.angles import INPUT_FUNCTIONS
from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.arrays import check_finite, position, row_norms
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import FLOAT32, FLOAT64
from ketgrad.functions.angle_limits import MEANINGFUL
from ketgrad.programs.program import STATE_PREPARATION, Program
from ketgrad.programs.questions import LARGEST_OBSERVABLE

# A sum of squares below this holds no NaN, no infinity, and no number of which too few digits are left for an angle.
QUICK_BOUND = {FLOAT64: 2.0**52, FLOAT32: 2.0**24}
LARGEST_VALUE = {FLOAT64: LARGEST_OBSERVABLE, FLOAT32: 2.0**60}  # of an expectation value
NORM_TOLERANCE = {FLOAT64: 1e-8, FLOAT32: 1e-4}
INWARDS = {FLOAT64: 1e-10, FLOAT32: 1e-4}  # how far from the edge of its interval an input function is smooth


class Rows(NamedTuple):
    """Weights and inputs in rows, the leading axes and shapes that they had, and the complex type to compute in."""

    weights: np.ndarray
    inputs: np.ndarray
    lead: tuple[int, ...]
    weights_shape: tuple[int, ...]
    inputs_shape: tuple[int, ...]
    dtype: np.dtype


def quick_bounds(program: Program) -> dict[np.dtype, float]:
    """For each real type the sum of squares of weights, or inputs, below which no angle and no value can be too large.

    An angle is at most steepness * max(1, sum of squares), since its terms have two variables at most.
    """
    bounds = {}
    for kind, limit in MEANINGFUL.items():
        fits = program.steepness <= limit and program.observable_size <= LARGEST_VALUE[kind]
        bounds[kind] = min(QUICK_BOUND[kind], limit / max(1.0, program.steepness)) if fits else 0.0
    return bounds


def quick_rows(array: Any, width: int, kind: np.dtype, bound: float) -> np.ndarray | None:
    """The rows of a plain array of one or two axes that needs no copy, no warning and no refusal; else None."""
    # vdot, because dot reports an overflow as a warning
    if type(array) is np.ndarray and array.dtype is kind and array.flags.c_contiguous:
        if array.ndim == 1:
            if len(array) == width and np.vdot(array, array) < bound:
                return array[None]
        elif array.ndim == 2 and array.shape[1] == width and np.vdot(array, array) < bound:
            return array
        return None
    return _NO_COLUMNS[kind] if array is None and width == 0 else None


_NO_COLUMNS = {kind: np.zeros((1, 0), kind) for kind in (FLOAT64, FLOAT32)}


def common_lead(weights_shape: tuple[int, ...], inputs_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The leading axes of the result: those of both arguments, broadcast as in a NumPy generalised ufunc."""
    try:
        return np.broadcast_shapes(weights_shape[:-1], inputs_shape[:-1])
    except ValueError:
        raise KetgradValueError(
            f"the leading axes of `weights` and `inputs` must broadcast, but the shapes are {weights_shape} and "
            f"{inputs_shape}: {weights_shape[:-1]} does not fit {inputs_shape[:-1]}."
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


def angle_columns(program: Program, name: str) -> np.ndarray:
    """Which of the "weights" or "inputs" are read by angles."""
    first, count = (
        (1, program.num_weights) if name == "weights" else (1 + program.num_weights, program.num_inputs)
    )
    slots = np.unique(np.concatenate([program.term_a, program.term_b])) - first
    columns = slots[(slots >= 0) & (slots < count)]
    if name == "inputs" and program.input_map is not None:
        return np.unique([program.input_map[k][1] for k in columns]).astype(np.int64)
    return columns


def align(weights: np.ndarray, inputs: np.ndarray, real: np.dtype, dtype: np.dtype) -> Rows:
    """Broadcast the leading axes, and lay both arrays out in contiguous rows.

    Only an array whose rows really repeat along some axes (neither shared by all samples nor one per sample)
    is copied out to the full batch.
    """
    lead = common_lead(weights.shape, inputs.shape)
    rows = in_rows(weights, lead, real, "weights"), in_rows(inputs, lead, real, "inputs")
    return Rows(*rows, lead, weights.shape, inputs.shape, dtype)


def in_rows(array: np.ndarray, lead: tuple[int, ...], dtype: np.dtype, name: str) -> np.ndarray:
    """(1 or B, width): one row where all samples share it, else one for each of them."""
    width, own, size = array.shape[-1], math.prod(array.shape[:-1]), math.prod(lead)
    count = size if own in (0, size) else own
    if own not in (0, 1, size):
        count = size
        reserve(
            size * width * dtype.itemsize, f"`{name}` broadcast to {size} rows", "Call it in smaller batches."
        )
        array = np.broadcast_to(array, (*lead, width))
    return converted(array, dtype, name).reshape(count, width)


def unbroadcast(gradient: np.ndarray, lead: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """A gradient in rows, summed over the axes along which its variable was broadcast, in the variable's shape."""
    own = math.prod(shape[:-1])
    if len(gradient) == own:
        return gradient.reshape(shape)
    full = gradient.reshape(*lead, shape[-1])
    extra = len(lead) - (len(shape) - 1)
    repeated = [extra + k for k, length in enumerate(shape[:-1]) if length == 1 != lead[extra + k]]
    return full.sum(axis=(*range(extra), *repeated), keepdims=True).reshape(shape)


def expand(program: Program, inputs: np.ndarray) -> np.ndarray:
    """The columns that the program reads: the inputs themselves, then elementwise functions of them."""
    columns = np.empty((len(inputs), program.num_inputs), dtype=inputs.dtype)
    for k, (name, j) in enumerate(program.input_map or ()):
        columns[:, k] = inputs[:, j]
        if name == "identity":
            continue
        function = INPUT_FUNCTIONS[name]
        inside = (inputs[:, j] >= function.low) & (inputs[:, j] <= function.high)
        if not inside.all():
            row = int(np.argmin(inside))
            raise KetgradValueError(
                f"`inputs` column {j} must lie in [{function.low:g}, {function.high:g}] - the circuit takes "
                f"{name}(x[{j}]) - but row {row} holds {inputs[row, j]}. Scale the inputs into that interval."
            )
        columns[:, k] = function.value(inputs[:, j])
    return columns


def warn_of_infinity(row: int, column: int, value: float) -> None:
    """Warn that the derivative by one input is infinite."""
    warnings.warn(
        f"the derivative by inputs[{row}, {column}] = {value:g} is infinite - arccos is vertical there. Scale the "
        "inputs into the interior if it is needed.",
        stacklevel=5,
    )


def reader(circuit: Circuit, name: str, column: int) -> str:
    """The gate that reads one of the "weights" or "inputs", for messages: 'rx on qubit 2 (op 0) reads it'."""
    for index, op in enumerate(circuit.ops):
        read = {(kind == "w", j) for angle in op.angles for kind, j in angle.variables()}
        if (name == "weights", column) in read:
            places = (*op.controls, *op.qubits)
            where = f"qubit{'s' * (len(places) != 1)} {', '.join(str(q) for q in places)}"
            return f"{op.gate.name} on {where} (op {index}) reads it"
    return ""


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


def missing_cotangent(name: str, num_outputs: int, outputs: str) -> KetgradValueError:
    """The refusal of a cotangent that was left out, though it may not be."""
    return KetgradValueError(
        f"`{name}` must have shape (..., {num_outputs}) - one number for each output - but is missing. It may "
        f"be left out for a single real output only, and there are {num_outputs} {outputs}: pass "
        f"np.ones({num_outputs}) for the derivative of their sum, or ask for f.jacobian."
    )


def check_amplitudes(program: Program, rows: Rows) -> None:
    """Raise unless every vector that a prepared state takes from variables has norm 1, or can be normalised."""
    slots = program.slots(rows.weights, rows.inputs)
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
            sound, rule = np.abs(norm - 1) <= NORM_TOLERANCE[rows.inputs.dtype], "must have norm 1"
            hint = " Pass normalize=True to `prepare_state` to divide by the norm."
        if not sound.all():
            row = int(np.argmin(sound))
            raise KetgradValueError(
                f"the amplitudes of the prepared state {rule}, but those of row {row} have norm {norm[row]:.6g}.{hint}"
            )
