"""Is this gradient right? Two rules that share no code, compared at random points, gate by gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.foundation.arrays import row_norms
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.numbers import COMPLEX128, check_positive
from ketgrad.foundation.seeds import stream
from ketgrad.functions.batch import Batch
from ketgrad.functions.function import Function
from ketgrad.functions.gradients.adjoint import Adjoint
from ketgrad.functions.gradients.choice import choose
from ketgrad.functions.gradients.finite_difference import FiniteDifference
from ketgrad.functions.gradients.parameter_shift import ParameterShift
from ketgrad.functions.gradients.rules import is_random
from ketgrad.functions.gradients.sweeps import with_offsets
from ketgrad.programs.program import STATE_PREPARATION, Program


@dataclass(frozen=True)
class Disagreement:
    """One gate, weight or input whose derivative differs between the two rules.

    name: the gate ("rx"), or "w[3]" / "x[0]" where no single gate is at fault. op_index: place in the circuit, or
    None. parameter: the angle as written. first, second: the derivatives by the two rules where they differ most.
    """

    name: str
    qubits: tuple[int, ...]
    op_index: int | None
    parameter: str
    first: float
    second: float

    def __str__(self) -> str:
        where = ""
        if self.op_index is not None:
            plural = "s" if len(self.qubits) != 1 else ""
            where = (
                f" on qubit{plural} {', '.join(map(str, self.qubits))} (op {self.op_index}, {self.parameter})"
            )
        return f"{self.name}{where}: {self.first:.9g} against {self.second:.9g}"


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found; `print(report)` says it in words.

    rules: the two that were compared. largest: the largest difference between them. disconnected_weights and
    disconnected_inputs: those whose derivative is zero everywhere, so that training cannot move them.
    """

    rules: tuple[str, str]
    points: int
    largest: float
    tolerance: float
    disagreements: tuple[Disagreement, ...]
    disconnected_weights: tuple[int, ...]
    disconnected_inputs: tuple[int, ...]

    @property
    def ok(self) -> bool:
        """Whether the two rules agree on every gate, weight and input."""
        return not self.disagreements

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        verdict = "agree" if self.ok else "DISAGREE"
        lines = [
            f"{self.rules[0]} and {self.rules[1]} {verdict} at {self.points} random points: "
            f"largest difference {self.largest:.2g}, tolerance {self.tolerance:.2g}."
        ]
        lines += [f"  {found}" for found in self.disagreements]
        for letter, columns in (("w", self.disconnected_weights), ("x", self.disconnected_inputs)):
            if columns:
                names = ", ".join(f"{letter}[{k}]" for k in columns)
                lines.append(f"No output depends on {names}: the derivative is zero at every point.")
        return "\n".join(lines)


def check_gradients(
    function: Function, *, points: int = 3, seed: Any = 0, tolerance: float | None = None
) -> GradientReport:
    """Compare the gradient of a function with that of an independent rule, and name every gate that disagrees.

    The function's own rule stands against the first other one of Adjoint, ParameterShift and FiniteDifference
    that can be used, at `points` random weights, inputs and cotangents. tolerance: absolute, for gradients of
    order 1; None for 1e-6, or 1e-3 in single precision.
    Cost: `points` gradients by either rule, with one more variable per gate.
    Raises `KetgradValueError` for functions that are random (finite shots, SPSA) or have no derivative.

    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.w[0], 0), kg.rz(kg.w[1], 0)]), kg.Pauli("Z0"))
    >>> print(kg.check_gradients(f))  # doctest: +ELLIPSIS
    Adjoint() and ParameterShift() agree at 3 random points: largest difference ..., tolerance 1e-06.
    No output depends on w[1]: the derivative is zero at every point.
    """
    if not isinstance(function, Function):
        raise KetgradTypeError(f"`function` must be a kg.Function, but is {type(function).__name__}.")
    if isinstance(points, bool) or not isinstance(points, int) or not 0 < points <= 10**6:
        raise KetgradValueError(f"`points` must be an integer from 1 to 10^6, but is {points!r}.")
    rules = _two_rules(function)
    bound = tolerance
    if bound is None:
        bound = 1e-6 if function.dtype == COMPLEX128 else 1e-3
    check_positive(bound, "tolerance")
    batch, cotangent = _random_batch(function, points, stream(seed))
    found = [rule.vjp(batch, cotangent)[1:] for rule in rules]
    first, second = (np.concatenate(pair, axis=1).astype(float) for pair in found)
    difference = np.abs(first - second)
    wrong = np.flatnonzero(~(difference.max(axis=0, initial=0.0) <= bound))
    program, weights = function.program, function.num_weights
    # zero by the more exact of the two rules, and nothing else by the other
    largest = np.stack([np.abs(found).max(axis=0) for found in (first, second)])
    flat = (largest.min(axis=0) <= (1e-12 if function.dtype == COMPLEX128 else 1e-5)) & (
        largest.max(axis=0) <= bound
    )
    return GradientReport(
        rules=(repr(rules[0]), repr(rules[1])),
        points=points,
        largest=float(difference.max(initial=0.0)),
        tolerance=bound,
        disagreements=_named(function, wrong, first, second),
        disconnected_weights=tuple(int(k) for k in np.flatnonzero(flat[:weights])),
        disconnected_inputs=_flat_inputs(program, flat[weights:]),
    )


def _two_rules(function: Function) -> tuple[Any, Any]:
    executor, program = function.executor, function.program
    own = function.gradient or choose(executor, program)
    if "shots" in executor.abilities or is_random(own):
        raise KetgradValueError(
            "check_gradients compares exact derivatives, but this function is random - check it without shots and SPSA."
        )
    for other in (Adjoint(), ParameterShift(), FiniteDifference(order=4)):
        if type(other) is not type(own) and other.objection(executor, program) is None:
            return own, other
    raise KetgradValueError(f"no second rule can be used beside {own!r} on the executor {executor.name!r}.")


def _random_batch(function: Function, points: int, rng: np.random.Generator) -> tuple[Batch, np.ndarray]:
    """Random variables and cotangents; the program has one further input for each gate with an angle."""
    program = with_offsets(function.program)
    real = np.float64 if function.dtype == COMPLEX128 else np.float32
    weights = rng.uniform(-np.pi, np.pi, (points, program.num_weights))
    inputs = rng.uniform(-np.pi, np.pi, (points, program.num_inputs))
    inputs[:, function.program.num_inputs :] = 0.0
    _normalise_amplitudes(program, weights, inputs)
    shape = (points, program.num_outputs)
    cotangent = rng.normal(size=shape).astype(real)
    if program.question.is_complex:
        cotangent = (cotangent + 1j * rng.normal(size=shape)).astype(function.dtype)
    rows = (weights.astype(real), inputs.astype(real))
    return Batch.of_rows(function.executor, program, *rows, function.dtype, function.threads), cotangent


def _normalise_amplitudes(program: Program, weights: np.ndarray, inputs: np.ndarray) -> None:
    """Scale the variables that are amplitudes so that the prepared states are normalised."""
    columns = np.concatenate([np.ones((len(weights), 1)), weights, inputs], axis=1)
    for k in np.flatnonzero(program.kind == STATE_PREPARATION):
        part = slice(int(program.data_start[k]), int(program.data_start[k + 1]))
        slots = program.amplitude_slot[part]
        norm = row_norms(program.data[part] * columns[:, slots])
        used = np.unique(slots[slots > 0])
        columns[:, used] /= norm
    weights[:] = columns[:, 1 : 1 + weights.shape[1]]
    inputs[:] = columns[:, 1 + weights.shape[1] :]


def _named(
    function: Function, wrong: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[Disagreement, ...]:
    """The gates among the wrong columns; the variables themselves only where no gate is at fault."""
    program, weights = function.program, function.num_weights
    border = weights + program.num_inputs
    gates = [column for column in wrong if column >= border]
    found = []
    for column in gates or wrong:
        worst = int(np.argmax(np.abs(first[:, column] - second[:, column])))
        values = float(first[worst, column]), float(second[worst, column])
        if column >= border:
            occurrence = program.occurrences[column - border]
            name, place, text = occurrence.gate_name, occurrence.op_index, repr(occurrence.angle)
            found.append(Disagreement(name, occurrence.qubits, place, text, *values))
        else:
            name = f"w[{column}]" if column < weights else _input_name(program, int(column) - weights)
            found.append(Disagreement(name, (), None, name, *values))
    return tuple(found)


def _input_name(program: Program, column: int) -> str:
    kind, j = ("identity", column) if program.input_map is None else program.input_map[column]
    return f"x[{j}]" if kind == "identity" else f"{kind}(x[{j}])"


def _flat_inputs(program: Program, flat: np.ndarray) -> tuple[int, ...]:
    """The inputs all of whose columns have a vanishing derivative."""
    pairs = program.input_map or tuple(("identity", j) for j in range(program.num_inputs))
    steep = {j for k, (_, j) in enumerate(pairs) if not flat[k]}
    return tuple(sorted({j for _, j in pairs} - steep))
