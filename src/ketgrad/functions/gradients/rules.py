"""Gradient rules as values: each says whether it can be used, what it costs, and computes the derivative.

Arrays are in rows, as executors want them: weights (1 or B, W), inputs (1 or B, X), values (B, K). A rule
returns derivatives in the shapes of weights and inputs, summed over the samples that shared a row.
A rule that cannot be used says why (`objection`); nothing here falls back to another rule.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.memory import readable, state_bytes
from ketgrad.foundation.numbers import check_count, check_number
from ketgrad.foundation.seeds import check_seed, numbered_stream
from ketgrad.functions.angle_limits import describe
from ketgrad.functions.gradients.amplitude_shifts import (
    amplitude_stencil,
    by_amplitude,
    executions,
    freed,
    unit_vectors,
)
from ketgrad.functions.gradients.sweeps import (
    COMPLEX128,
    Point,
    Stencil,
    blocks_at_once,
    chain,
    collapse,
    contract,
    repeat,
    shift_rule,
    sweep,
    with_offsets,
)
from ketgrad.programs.program import STATE_PREPARATION, Expect, Probabilities, Program, State

__all__ = [
    "SPSA",
    "Adjoint",
    "Cost",
    "FiniteDifference",
    "GradientRule",
    "ParameterShift",
    "check_usable",
    "choose",
]


def __dir__() -> list[str]:
    return __all__


STEPS = (
    1e-15,
    2.0**26,
)  # of a difference: below, nothing but rounding is left; beyond, digits of the angle are lost


@dataclass(frozen=True)
class Cost:
    """What one value and gradient of one sample costs, known before running.

    executions: runs of the circuit, the value itself included; backward: adjoint passes, each about two further
    executions long; memory: bytes of states alive at once for one sample.
    """

    executions: int
    backward: int
    memory: int

    def __str__(self) -> str:
        runs = f"{self.executions} circuit execution{'s' * (self.executions != 1)}"
        passes = f" and {self.backward} backward pass" if self.backward else ""
        return f"{runs}{passes} per sample, {readable(self.memory)} of states"


class GradientRule(Protocol):
    """What every rule offers; a frozen dataclass, so that it can be compared, hashed and pickled."""

    def objection(self, executor: Any, program: Program) -> str | None:
        """None if the rule can be used, else the reason as a clause."""
        ...

    def cost(self, program: Program) -> Cost:
        """Executions and memory for the value and gradient of one sample."""
        ...

    def vjp(self, point: Point, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(values, dweights, dinputs) of sum(cotangent * values)."""
        ...

    def jacobian(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """(B, K, W) and (B, K, X)."""
        ...


def vjp_with_slope(
    rule: Any, point: Point, cotangent: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`rule.vjp` with the cotangent cotangent + slope * values: in one pass where the rule is the adjoint method."""
    if isinstance(rule, Adjoint):
        return rule.vjp(point, cotangent, slope)
    values = point.run(point.weights, point.inputs)
    return rule.vjp(point, cotangent + slope * values)


@dataclass(frozen=True)
class Adjoint:
    """The adjoint method: one forward and one backward pass, whatever the number of parameters.

    Exact. Memory: three states, independent of depth. Needs an executor with the ability "adjoint".

    Jones and Gacon 2020, arXiv:2009.02823.

    >>> Adjoint()
    Adjoint()
    """

    def objection(self, executor: Any, program: Program) -> str | None:
        """None if the executor has an adjoint pass, else the reason.

        >>> circuit = kg.Circuit([kg.rx(kg.w[0], 0)])
        >>> Adjoint().objection(kg.expectation(circuit, kg.Pauli("Z0")).executor, None)
        """
        if "adjoint" in executor.abilities:
            return _without_derivative(program)
        able = ", ".join(sorted(executor.abilities))
        return (
            f"it reads amplitudes, which the executor {executor.name!r} does not give (its abilities: {able})"
        )

    def cost(self, program: Program) -> Cost:
        """One execution and one backward pass; three states."""
        return Cost(1, 1, 3 * state_bytes(program.num_qubits))

    def vjp(
        self, point: Point, cotangent: np.ndarray, slope: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The executor's own vector-Jacobian product."""
        options: dict[str, Any] = {} if slope is None else {"slope": slope}
        return point.executor.vjp(
            point.program,
            point.weights,
            point.inputs,
            cotangent,
            dtype=point.dtype,
            threads=point.threads,
            **options,
        )

    def jacobian(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """One row per sample and output with a unit cotangent each: a batch, not a loop."""
        batch, outputs = point.batch, point.program.num_outputs
        # Re(conj(c) d psi): c = 1 gives the real part of an amplitude's derivative, c = i the imaginary part
        units = (1.0, 1j) if isinstance(point.program.question, State) else (1.0,)
        kind = point.dtype if len(units) == 2 else point.weights.dtype
        by_weights = np.zeros(
            (batch, outputs, point.weights.shape[1]), np.complex128 if len(units) == 2 else float
        )
        by_inputs = np.zeros((batch, outputs, point.inputs.shape[1]), by_weights.dtype)
        step = blocks_at_once(point, 2 * outputs + by_weights.shape[2] + by_inputs.shape[2])
        for start in range(0, outputs, step):
            part = range(start, min(outputs, start + step))
            rows = (len(part), batch)
            arguments = repeat(point.weights, *rows), repeat(point.inputs, *rows)
            for unit in units:
                direction = np.zeros((*rows, outputs), dtype=kind)
                direction[np.arange(len(part)), :, part] = unit
                _, *found = point.executor.vjp(
                    point.program,
                    *arguments,
                    direction.reshape(-1, outputs),
                    dtype=point.dtype,
                    threads=point.threads,
                )
                for total, derivative in zip((by_weights, by_inputs), found, strict=True):
                    total[:, part.start : part.stop] += unit * derivative.reshape(*rows, -1).swapaxes(0, 1)
        return by_weights, by_inputs


@dataclass(frozen=True)
class ParameterShift:
    """The general parameter-shift rule: exact derivatives from runs of the same circuit at shifted angles.

    Every gate exp(-i t G / 2), controlled or not, makes the output a Fourier sum in t whose frequencies are the
    gaps of its spectrum; 2 R shifted runs give the derivative for R frequencies, and two runs that by an amplitude
    of a prepared state. Works on any executor, with finite shots too. All shifted runs form one batch.

    Mitarai et al. 2018, arXiv:1803.00745; Schuld et al. 2019, arXiv:1811.11184; Wierichs et al. 2022,
    arXiv:2107.12390.

    >>> ParameterShift()
    ParameterShift()
    """

    def objection(self, executor: Any, program: Program) -> str | None:
        """None unless the output is a state, or frequencies of a gate cannot be told apart."""
        if isinstance(program.question, State):
            return "it differentiates expectation values and probabilities, not amplitudes"
        for occurrence in program.occurrences:
            frequencies = occurrence.frequencies or ()
            if sum(abs(c) for _, c in shift_rule(frequencies)) > 1e6 * max(frequencies, default=1.0):
                return f"{describe(occurrence)} has frequencies too close to be told apart: {frequencies}"
        return _without_derivative(program)

    def cost(self, program: Program) -> Cost:
        """Two executions per frequency of every gate with a variable angle and per amplitude; one for the value."""
        shifts = sum(len(shift_rule(occurrence.frequencies or ())) for occurrence in program.occurrences)
        return Cost(1 + shifts + executions(program), 0, state_bytes(program.num_qubits))

    def vjp(self, point: Point, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The derivative by every angle from shifted runs, then the chain rule through the angle polynomials."""
        values = point.run(point.weights, point.inputs)
        by_slot, split = self._by_slot(point, values, cotangent), 1 + point.weights.shape[1]
        by_weights = collapse(by_slot[1:split], len(point.weights))
        return values, by_weights, collapse(by_slot[split:], len(point.inputs))

    def jacobian(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """As `vjp`, for every output at once, from the same shifted runs."""
        values = point.run(point.weights, point.inputs) if has_variable_amplitudes(point.program) else None
        by_slot = np.moveaxis(self._by_slot(point, values, None), 0, 2)
        split = 1 + point.weights.shape[1]
        return by_slot[..., 1:split], by_slot[..., split:]

    def _by_slot(self, point: Point, values: np.ndarray | None, cotangent: np.ndarray | None) -> np.ndarray:
        """The derivatives by the slots [1, weights, inputs]."""
        rules = [shift_rule(occurrence.frequencies or ()) for occurrence in point.program.occurrences]
        count, first = len(rules), point.weights.shape[1] + point.inputs.shape[1]
        variable = np.repeat(np.arange(count), [len(rule) for rule in rules])
        shift, factor = np.array([pair for rule in rules for pair in rule], dtype=float).reshape(-1, 2).T
        stencil = Stencil(count, variable, first + variable, shift, factor[:, None])
        zeros = np.zeros((len(point.inputs), count))
        free = point._replace(
            program=with_offsets(point.program), inputs=np.concatenate([point.inputs, zeros], axis=1)
        )
        if not has_variable_amplitudes(point.program):
            return chain(point, sweep(free, stencil, cotangent))
        assert values is not None
        unit, _ = unit_vectors(point)
        rows = np.broadcast_to(free.inputs, (point.batch, free.inputs.shape[1]))
        free = free._replace(
            program=freed(point.program).program, inputs=np.concatenate([rows, unit], axis=1)
        )
        slopes = sweep(free, amplitude_stencil(point, 0, first + count), cotangent)
        by_slot = chain(point, sweep(free, stencil, cotangent))
        slots, derivative = by_amplitude(point, slopes, values, cotangent)
        np.add.at(by_slot, slots, derivative)
        return by_slot


@dataclass(frozen=True)
class FiniteDifference:
    """Central differences in every weight and input: approximate, for cross-checks and for odd executors.

    order: 2 (two runs per variable, error of order step**2) or 4 (four runs, step**4). step: in units of the
    variable; None takes the step at which truncation and rounding of float64 balance where values turn about once
    while a variable grows by 2 pi, 6e-6 or 7e-4: for 1e4 * w[0] it has to be as much smaller.
    Always runs in complex128. Refused on an executor with shots unless step >= 0.01: noise is divided by it.

    >>> round(FiniteDifference(order=4).step_size, 8)
    0.0007401
    """

    step: float | None = None
    order: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.order, int) or self.order not in (2, 4):
            raise KetgradValueError(f"`order` must be 2 or 4, but is {shown(self.order)}.")
        if self.step is not None:
            check_number(self.step, "step", *STEPS)

    @property
    def step_size(self) -> float:
        """The step that is used."""
        return float(np.finfo(np.float64).eps ** (1 / (self.order + 1))) if self.step is None else self.step

    def objection(self, executor: Any, program: Program) -> str | None:
        """None unless shot noise would drown the difference."""
        if "shots" in executor.abilities and self.step_size < 0.01:
            return f"shot noise is divided by the step {self.step_size:.1g}; give a step of at least 0.01"
        return _without_derivative(program)

    def cost(self, program: Program) -> Cost:
        """`order` executions per variable, and one for the value."""
        variables = program.num_weights + program.num_inputs
        return Cost(1 + self.order * variables, 0, state_bytes(program.num_qubits))

    def vjp(self, point: Point, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Differences of sum(cotangent * values)."""
        values = point.run(point.weights, point.inputs)
        split = point.weights.shape[1]
        derivative = self._by_variable(point, cotangent)
        by_weights = collapse(derivative[:split], len(point.weights))
        return values, by_weights, collapse(derivative[split:], len(point.inputs))

    def jacobian(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """Differences of all outputs."""
        split = point.weights.shape[1]
        derivative = np.moveaxis(self._by_variable(point, None), 0, 2)
        return derivative[..., :split], derivative[..., split:]

    def _by_variable(self, point: Point, cotangent: np.ndarray | None) -> np.ndarray:
        # (f(+h) - f(-h)) / 2h, and (8 f(+h) - 8 f(-h) - f(+2h) + f(-2h)) / 12h
        steps, factors = ([1, -1], [1 / 2, -1 / 2])
        if self.order == 4:
            steps, factors = ([1, -1, 2, -2], [2 / 3, -2 / 3, -1 / 12, 1 / 12])
        count = point.weights.shape[1] + point.inputs.shape[1]
        column = np.repeat(np.arange(count), len(steps))
        shift = np.tile(np.multiply(steps, self.step_size), count)
        coefficient = np.tile(np.divide(factors, self.step_size), count)[:, None]
        double = point._replace(
            dtype=COMPLEX128, weights=point.weights.astype(float), inputs=point.inputs.astype(float)
        )
        return sweep(double, Stencil(count, column, column, shift, coefficient), cotangent)


@dataclass(frozen=True)
class SPSA:
    """Simultaneous perturbation: two runs per direction estimate the whole gradient, without bias up to step**2.

    Each of `num_samples` random sign vectors shifts all weights and inputs at once. Every derivative draws fresh
    directions, and the same calls after the same `seed` give the same bits; a copy of the rule begins anew.
    common_random_numbers: True fixes the directions by `seed` and by the point alone, however often it is asked.

    Spall 1992, doi:10.1109/9.119632.

    >>> kg.gradients.SPSA(num_samples=8, seed=1)  # kg.SPSA is the optimiser
    SPSA(step=0.01, num_samples=8, seed=1, common_random_numbers=False)
    """

    step: float = 0.01
    num_samples: int = 1
    seed: int | None = None
    common_random_numbers: bool = False

    _calls: Any = field(
        init=False, compare=False, repr=False
    )  # numbers the derivatives; a step of it is atomic

    def __post_init__(self) -> None:
        check_number(self.step, "step", *STEPS)
        check_count(self.num_samples, "num_samples")
        check_seed(self.seed)
        if not isinstance(self.common_random_numbers, bool | np.bool_):
            raise KetgradTypeError(
                f"`common_random_numbers` must be True or False, but is {self.common_random_numbers!r}."
            )
        if self.common_random_numbers and self.seed is None:
            raise KetgradValueError(
                "`common_random_numbers` needs a `seed` - every call repeats its directions - but `seed` is None."
            )
        object.__setattr__(self, "_calls", itertools.count())

    def __reduce__(self) -> Any:
        return SPSA, (self.step, self.num_samples, self.seed, self.common_random_numbers)

    def objection(self, executor: Any, program: Program) -> str | None:
        """None: two values are all that the rule needs."""
        return _without_derivative(program)

    def cost(self, program: Program) -> Cost:
        """Two executions per direction, and one for the value."""
        return Cost(1 + 2 * self.num_samples, 0, state_bytes(program.num_qubits))

    def vjp(self, point: Point, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean over the directions of slope times direction."""
        values = point.run(point.weights, point.inputs)
        totals = np.zeros(point.weights.shape), np.zeros(point.inputs.shape)
        for slope, signs in self._slopes(point, cotangent):
            for total, sign in zip(totals, signs, strict=True):
                total += collapse((slope[:, None] * sign).T, len(total))
        return values, totals[0] / self.num_samples, totals[1] / self.num_samples

    def jacobian(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """The mean over the directions of the outputs' slopes times the direction."""
        pieces = [
            [slope[:, :, None] * sign[:, None, :] for sign in signs]
            for slope, signs in self._slopes(point, None)
        ]
        by_weights, by_inputs = (sum(parts) / self.num_samples for parts in zip(*pieces, strict=True))
        return by_weights, by_inputs  # type: ignore[return-value]

    def _slopes(self, point: Point, cotangent: np.ndarray | None):
        """Yield the slope (B,) or (B, K) along each random direction, and the direction (weights, inputs)."""
        place = zlib.crc32(point.weights.tobytes(), zlib.crc32(point.inputs.tobytes()))
        repeats = self.seed is None or self.common_random_numbers
        directions = numbered_stream(self.seed, 0 if repeats else next(self._calls), place)
        for _ in range(self.num_samples):
            signs = [directions.integers(2, size=a.shape) * 2.0 - 1.0 for a in (point.weights, point.inputs)]
            ahead, behind = (
                point.run_moved(point.weights + move * signs[0], point.inputs + move * signs[1])
                for move in (self.step, -self.step)
            )
            slope = (ahead - behind) / (2 * self.step)
            yield (slope if cotangent is None else contract(slope[None], cotangent)[0]), signs


def begun_anew(rule: Any, seed: Any) -> Any:
    """A rule that draws random numbers at the beginning of its stream, of `seed` where it has none; others unchanged.

    >>> begun_anew(SPSA(), 5).seed, begun_anew(SPSA(seed=1), 5).seed, begun_anew(Adjoint(), 5)
    (5, 1, Adjoint())
    """
    return replace(rule, seed=seed if rule.seed is None else rule.seed) if isinstance(rule, SPSA) else rule


def choose(executor: Any, program: Program) -> GradientRule:
    """The exact rule for this executor and program: `Adjoint` where it can be used, else `ParameterShift`.

    Raises `KetgradValueError` with every reason if neither can be used; approximate rules are never chosen.

    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.w[0], 0)]), kg.Pauli("Z0"))
    >>> choose(f.executor, f.program)
    Adjoint()
    """
    _check_parts(executor, program)
    reasons = []
    for rule in (Adjoint(), ParameterShift()):
        reason = rule.objection(executor, program)
        if reason is None:
            return rule
        reasons.append(f"{type(rule).__name__}: {reason}")
    raise KetgradValueError(
        f"no exact gradient rule can be used here. {'. '.join(reasons)}.{_ways_out(executor, program)}"
    )


def check_usable(rule: Any, executor: Any, program: Program) -> None:
    """Raise with the reason and the alternatives if `rule` cannot be used; `KetgradTypeError` if it is no rule.

    >>> f = kg.state(kg.Circuit([kg.rx(kg.w[0], 0)]))
    >>> check_usable(ParameterShift(), f.executor, f.program)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradValueError: ParameterShift() cannot be used here: it differentiates expectation ...
    """
    methods = ("objection", "cost", "vjp", "jacobian")
    _check_parts(executor, program)
    if isinstance(rule, type) or not all(callable(getattr(rule, method, None)) for method in methods):
        raise KetgradTypeError(
            f"`gradient` must be None or a rule such as kg.Adjoint() or kg.ParameterShift(), but is {rule!r}."
        )
    reason = rule.objection(executor, program)
    if reason is not None:
        raise KetgradValueError(f"{rule} cannot be used here: {reason}.{_ways_out(executor, program)}")


def _check_parts(executor: Any, program: Any) -> None:
    if not isinstance(program, Program) or not hasattr(executor, "abilities"):
        raise KetgradTypeError("`executor` and `program` must be those of a Function: f.executor, f.program.")


def _ways_out(executor: Any, program: Program) -> str:
    usable = [
        f"kg.{'gradients.' * isinstance(rule, SPSA)}{rule!r}"
        for rule in (
            Adjoint(),
            ParameterShift(),
            FiniteDifference(),
            FiniteDifference(step=0.1),
            SPSA(),
        )
        if rule.objection(executor, program) is None
    ]
    return f" Can be used: {', '.join(usable)}." if usable else ""


def _without_derivative(program: Program | None) -> str | None:
    if program is None or isinstance(program.question, Expect | Probabilities | State):
        return None
    return "samples are integers, which have no derivative; differentiate kg.expectation or kg.probabilities"


def has_variable_amplitudes(program: Program) -> bool:
    """Whether a prepared state has weights or inputs as amplitudes."""
    return bool((program.kind == STATE_PREPARATION).any() and (program.amplitude_slot > 0).any())
