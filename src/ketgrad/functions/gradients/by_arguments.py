"""First derivatives by the arguments of a call as they were given, by any rule: functions of inputs are chained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ketgrad.foundation.memory import reserve
from ketgrad.functions.batch import Batch
from ketgrad.functions.gradients.rules import tilted, vjp_with_slope
from ketgrad.functions.input_functions import jacobian_by_inputs, vjp_by_inputs
from ketgrad.functions.value_limits import check_derivatives


def vector_jacobian_product(
    rule: Any, batch: Batch, cotangent: np.ndarray, slope: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The result of `Function.vjp`; cotangent and slope in rows, checked."""
    if batch.is_empty:
        return batch.no_values(), *batch.no_derivatives()
    values, dweights, dinputs = vjp_with_slope(rule, batch, cotangent, slope)
    if batch.program.input_map is not None:
        full = tilted(cotangent, slope, values)
        dinputs = vjp_by_inputs(rule, batch, full, dinputs)
    dweights, dinputs = batch.as_given(dweights, dinputs)
    check_derivatives(batch.program, {"dweights": dweights, "dinputs": dinputs})
    return batch.lead_shaped(values), dweights, dinputs


def jacobian(rule: Any, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """The result of `Function.jacobian`."""
    samples, outputs = math.prod(batch.lead), batch.program.num_outputs
    num_weights, num_inputs = batch.weights_shape[-1], batch.inputs_shape[-1]
    variables = num_weights + batch.program.num_inputs
    kind = batch.kind_of_values
    reserve(
        2 * kind.itemsize * samples * outputs * variables,
        f"the Jacobian of {samples} samples, {outputs} outputs and {variables} variables",
        "Use f.vjp, which needs one number per variable, or smaller batches.",
    )
    if batch.is_empty:
        shape = (*batch.lead, outputs)
        return np.zeros((*shape, num_weights), kind), np.zeros((*shape, num_inputs), kind)
    by_weights, by_inputs = rule.jacobian(batch)
    if batch.program.input_map is not None:
        by_inputs = jacobian_by_inputs(rule, batch, by_inputs)
    with np.errstate(over="ignore"):  # is looked at below
        by_weights = batch.lead_shaped(by_weights).astype(kind, copy=False)
        by_inputs = batch.lead_shaped(by_inputs).astype(kind, copy=False)
    check_derivatives(batch.program, {"by_weights": by_weights, "by_inputs": by_inputs})
    return by_weights, by_inputs
