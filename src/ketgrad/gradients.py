"""Gradient rules as values: each says whether it can be used, what it costs, and computes the derivative.

Arrays are in rows, as executors want them: weights (1 or B, W), inputs (1 or B, X), values (B, K). A rule
returns derivatives in the shapes of weights and inputs, summed over the samples that shared a row.
A rule that cannot be used says why (`objection`); nothing here falls back to another rule.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from ketgrad.errors import KetgradTypeError, KetgradValueError
from ketgrad.memory import readable, state_bytes
from ketgrad.program import STATE_PREPARATION, Expect, Probabilities, Program, State
from ketgrad.streams import check_seed, stream

CHUNK_BYTES = 32 * 2**20  # shifted rows are evaluated in portions of about this size
COMPLEX128 = np.dtype(np.complex128)


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


class Point(NamedTuple):
    """Where a rule differentiates, and how the executor is called there."""

    executor: Any
    program: Program
    weights: np.ndarray
    inputs: np.ndarray
    dtype: np.dtype
    threads: int | None
    rng: np.random.Generator | None

    @property
    def batch(self) -> int:
        """Number of samples."""
        return max(len(self.weights), len(self.inputs))

    def run(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The values at other weights and inputs."""
        real = np.float32 if self.dtype == np.complex64 else np.float64
        rows = (np.ascontiguousarray(weights, dtype=real), np.ascontiguousarray(inputs, dtype=real))
        if self.rng is None:
            return self.executor.run(self.program, *rows, dtype=self.dtype, threads=self.threads)
        return self.executor.run(self.program, *rows, dtype=self.dtype, threads=self.threads, rng=self.rng)


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

    def vjp(self, point: Point, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The executor's own vector-Jacobian product."""
        return point.executor.vjp(
            point.program, point.weights, point.inputs, cotangent, dtype=point.dtype, threads=point.threads
        )

    def jacobian(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """One row per sample and output with a unit cotangent each: a batch, not a loop."""
        batch, outputs = point.batch, point.program.num_outputs
        complex_valued = isinstance(point.program.question, State)
        directions = np.eye(outputs, dtype=point.dtype if complex_valued else point.weights.dtype)
        if complex_valued:  # Re(conj(c) d psi): c = 1 gives the real part, c = i the imaginary part
            directions = np.concatenate([directions, 1j * directions])
        by_weights = np.empty((batch, len(directions), point.weights.shape[1]))
        by_inputs = np.empty((batch, len(directions), point.inputs.shape[1]))
        row_bytes = 8 * (2 * outputs + by_weights.shape[2] + by_inputs.shape[2])
        step = max(1, CHUNK_BYTES // (batch * row_bytes))
        for start in range(0, len(directions), step):
            part = directions[start : start + step]
            rows = (len(part), batch)
            _, dweights, dinputs = point.executor.vjp(
                point.program,
                _repeat(point.weights, *rows),
                _repeat(point.inputs, *rows),
                np.ascontiguousarray(np.repeat(part, batch, axis=0)),
                dtype=point.dtype,
                threads=point.threads,
            )
            by_weights[:, start : start + step] = dweights.reshape(*rows, -1).swapaxes(0, 1)
            by_inputs[:, start : start + step] = dinputs.reshape(*rows, -1).swapaxes(0, 1)
        if complex_valued:
            return tuple(d[:, :outputs] + 1j * d[:, outputs:] for d in (by_weights, by_inputs))  # type: ignore[return-value]
        return by_weights, by_inputs


@dataclass(frozen=True)
class ParameterShift:
    """The general parameter-shift rule: exact derivatives from runs of the same circuit at shifted angles.

    Every gate exp(-i t G / 2), controlled or not, makes the output a Fourier sum in t whose frequencies are the
    gaps of its spectrum; 2 R shifted runs give the derivative for R frequencies. Works on any executor,
    with finite shots too. The shifted runs of all gates form one batch.

    Mitarai et al. 2018, arXiv:1803.00745; Schuld et al. 2019, arXiv:1811.11184; Wierichs et al. 2022,
    arXiv:2107.12390.

    >>> ParameterShift()
    ParameterShift()
    """

    def objection(self, executor: Any, program: Program) -> str | None:
        """None unless the output is a state, or amplitudes of a prepared state are variables."""
        if isinstance(program.question, State):
            return "it differentiates expectation values and probabilities, not amplitudes"
        for occurrence in program.occurrences:
            if occurrence.frequencies is None:
                return (
                    f"{describe(occurrence)} takes amplitudes from variables, and amplitudes are not angles"
                )
            if sum(abs(c) for _, c in shift_rule(occurrence.frequencies)) > 1e6 * max(
                occurrence.frequencies, default=1.0
            ):
                return f"{describe(occurrence)} has frequencies too close to be told apart: {occurrence.frequencies}"
        return _without_derivative(program)

    def cost(self, program: Program) -> Cost:
        """Two executions per frequency of every gate whose angle depends on a variable, and one for the value."""
        shifts = sum(len(shift_rule(occurrence.frequencies)) for occurrence in program.occurrences)
        return Cost(1 + shifts, 0, state_bytes(program.num_qubits))

    def vjp(self, point: Point, cotangent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The derivative by every angle from shifted runs, then the chain rule through the angle polynomials."""
        values = point.run(point.weights, point.inputs)
        by_angle = self._by_angle(point, cotangent)
        return values, *(_collapse(d, rows) for d, rows in _chain(point, by_angle))

    def jacobian(self, point: Point) -> tuple[np.ndarray, np.ndarray]:
        """As `vjp`, for every output at once, from the same shifted runs."""
        by_weights, by_inputs = (d for d, _ in _chain(point, self._by_angle(point, None)))
        return np.moveaxis(by_weights, 0, 2), np.moveaxis(by_inputs, 0, 2)

    def _by_angle(self, point: Point, cotangent: np.ndarray | None) -> np.ndarray:
        rules = [shift_rule(occurrence.frequencies) for occurrence in point.program.occurrences]
        variable = np.repeat(np.arange(len(rules)), [len(rule) for rule in rules])
        shift, coefficient = np.array([pair for rule in rules for pair in rule], dtype=float).reshape(-1, 2).T
        zeros = np.zeros((len(point.inputs), len(rules)), dtype=point.inputs.dtype)
        offset = point._replace(
            program=with_offsets(point.program), inputs=np.concatenate([point.inputs, zeros], axis=1)
        )
        column = point.weights.shape[1] + point.inputs.shape[1] + variable
        return _sweep(offset, Stencil(len(rules), variable, column, shift, coefficient), cotangent)


@dataclass(frozen=True)
class FiniteDifference:
    """Central differences in every weight and input: approximate, for cross-checks and for odd executors.

    order: 2 (two runs per variable, error of order step**2) or 4 (four runs, step**4). step: in units of the
    variable; None takes the step at which truncation and rounding of float64 balance, 6e-6 or 7e-4.
    Always runs in complex128. Refused on an executor with shots unless step >= 0.01: noise is divided by it.

    >>> FiniteDifference(order=4).step_size
    0.0007400959797414051
    """

    step: float | None = None
    order: int = 2

    def __post_init__(self) -> None:
        if self.order not in (2, 4):
            raise KetgradValueError(f"`order` must be 2 or 4, but is {self.order!r}.")
        if self.step is not None:
            _check_positive(self.step, "step")

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
        by_weights = _collapse(derivative[:split], len(point.weights))
        return values, by_weights, _collapse(derivative[split:], len(point.inputs))

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
        coefficient = np.tile(np.divide(factors, self.step_size), count)
        double = point._replace(
            dtype=COMPLEX128, weights=point.weights.astype(float), inputs=point.inputs.astype(float)
        )
        return _sweep(double, Stencil(count, column, column, shift, coefficient), cotangent)


@dataclass(frozen=True)
class SPSAGradient:
    """Simultaneous perturbation: two runs per direction estimate the whole gradient, without bias up to step**2.

    Each of `num_samples` random sign vectors shifts all weights and inputs at once. The directions are fixed by
    `seed` and by the point itself: the same call gives the same bits, and another point other directions.

    Spall 1992, doi:10.1109/9.119632.

    >>> SPSAGradient(num_samples=8, seed=1)
    SPSAGradient(step=0.01, num_samples=8, seed=1)
    """

    step: float = 0.01
    num_samples: int = 1
    seed: int | None = None

    def __post_init__(self) -> None:
        _check_positive(self.step, "step")
        if not isinstance(self.num_samples, int | np.integer) or self.num_samples < 1:
            raise KetgradValueError(f"`num_samples` must be a positive integer, but is {self.num_samples!r}.")
        check_seed(self.seed)

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
                total += _collapse((slope[:, None] * sign).T, len(total))
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
        directions = stream(self.seed, place)
        for _ in range(self.num_samples):
            signs = [directions.integers(2, size=a.shape) * 2.0 - 1.0 for a in (point.weights, point.inputs)]
            ahead, behind = (
                point.run(point.weights + move * signs[0], point.inputs + move * signs[1])
                for move in (self.step, -self.step)
            )
            slope = (ahead - behind) / (2 * self.step)
            yield (slope if cotangent is None else _contract(slope[None], cotangent)[0]), signs


def choose(executor: Any, program: Program) -> GradientRule:
    """The exact rule for this executor and program: `Adjoint` where it can be used, else `ParameterShift`.

    Raises `KetgradValueError` with every reason if neither can be used; approximate rules are never chosen.

    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.w[0], 0)]), kg.Pauli("Z0"))
    >>> choose(f.executor, f.program)
    Adjoint()
    """
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
    ketgrad.errors.KetgradValueError: ParameterShift() cannot be used here: it differentiates expectation ...
    """
    if not all(callable(getattr(rule, method, None)) for method in ("objection", "cost", "vjp", "jacobian")):
        raise KetgradTypeError(
            f"`gradient` must be None or a rule such as kg.Adjoint() or kg.ParameterShift(), but is {rule!r}."
        )
    reason = rule.objection(executor, program)
    if reason is not None:
        raise KetgradValueError(f"{rule} cannot be used here: {reason}.{_ways_out(executor, program)}")


def _ways_out(executor: Any, program: Program) -> str:
    usable = [
        f"kg.{rule!r}"
        for rule in (
            Adjoint(),
            ParameterShift(),
            FiniteDifference(),
            FiniteDifference(step=0.1),
            SPSAGradient(),
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


def describe(occurrence: Any) -> str:
    """A gate as messages name it: its name, qubits, and place in the circuit.

    >>> describe(kg.expectation(kg.Circuit([kg.rx(kg.w[0], 2)]), kg.Pauli("Z0")).program.occurrences[0])
    'rx on qubit 2 (op 0)'
    """
    plural = "s" if len(occurrence.qubits) != 1 else ""
    qubits = ", ".join(str(q) for q in occurrence.qubits)
    return f"{occurrence.gate_name} on qubit{plural} {qubits} (op {occurrence.op_index})"


# -- shift rules ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def shift_rule(frequencies: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """The (shift, coefficient) pairs with d/dt E(t) = sum coefficient * E(t + shift) for a Fourier sum E.

    frequencies: the positive frequencies of E in t. Two pairs for each; for the multiples u, 2u, ..., R u of a
    unit the closed form, else the shifts among equidistant ones for which the coefficients are smallest.

    Wierichs et al. 2022, arXiv:2107.12390, eq. (7) and section 3.

    >>> [(round(shift, 6), round(factor, 6)) for shift, factor in shift_rule((1.0,))]
    [(1.570796, 0.5), (-1.570796, -0.5)]
    """
    omega = _distinct(frequencies)
    count = len(omega)
    if count == 0:
        return ()
    odd = 2 * np.arange(count) + 1
    unit = omega[0]
    if np.allclose(omega, unit * np.arange(1, count + 1), rtol=1e-9, atol=0):
        angle = odd * np.pi / (2 * count)
        half = unit * (-1.0) ** np.arange(count) / (4 * count * np.sin(angle / 2) ** 2)
        shifts = angle / unit
    else:
        shifts, half = _smallest_coefficients(omega, odd)
    return tuple(
        (float(sign * s), float(sign * y)) for s, y in zip(shifts, half, strict=True) for sign in (1, -1)
    )


def _distinct(frequencies: tuple[float, ...]) -> np.ndarray:
    """Positive frequencies in order, those that agree to 1e-9 merged."""
    kept: list[float] = []
    for omega in sorted(abs(float(f)) for f in frequencies):
        if omega > 1e-12 and (not kept or omega - kept[-1] > 1e-9 * omega):
            kept.append(omega)
    return np.array(kept)


def _smallest_coefficients(omega: np.ndarray, odd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve 2 sum_k y_k sin(omega_l s_k) = omega_l on scaled equidistant shifts; keep the smallest sum |y|."""
    gap = float(np.diff(np.concatenate([[0.0], omega])).min())
    scales = np.geomspace(np.pi / omega[-1] / 2, 2 * np.pi / gap, 600)
    shifts = scales[:, None] * odd / (2 * len(odd))
    matrices = 2 * np.sin(omega[None, :, None] * shifts[:, None, :])
    regular = np.linalg.cond(matrices) < 1e12
    shifts, matrices = shifts[regular], matrices[regular]
    targets = np.broadcast_to(omega, shifts.shape)[..., None]
    halves = np.linalg.solve(matrices, targets)[..., 0]
    best = int(np.argmin(np.abs(halves).sum(axis=1)))
    return shifts[best], halves[best]


def with_offsets(program: Program) -> Program:
    """`program.with_offsets()`, kept with the program, so that an executor's own copy of it is kept too."""
    found = program.cache.get("with offsets")
    return found if found is not None else program.cache.setdefault("with offsets", program.with_offsets())


# -- linear combinations of shifted runs ------------------------------------------------------------------


class Stencil(NamedTuple):
    """derivative[variable] += coefficient * values(with `shift` added to `column` of (weights, inputs))."""

    num_variables: int
    variable: np.ndarray
    column: np.ndarray
    shift: np.ndarray
    coefficient: np.ndarray


def _sweep(point: Point, stencil: Stencil, cotangent: np.ndarray | None) -> np.ndarray:
    """The derivatives (num_variables, B), or (num_variables, B, K) where `cotangent` is None."""
    batch, split = point.batch, point.weights.shape[1]
    outputs = point.program.num_outputs
    tail = (batch,) if cotangent is not None else (batch, outputs)
    kind = COMPLEX128 if cotangent is None and isinstance(point.program.question, State) else np.float64
    result = np.zeros((stencil.num_variables, *tail), dtype=kind)
    row_bytes = 8 * (split + point.inputs.shape[1] + 2 * outputs)
    step = max(1, CHUNK_BYTES // (batch * row_bytes))
    for start in range(0, len(stencil.column), step):
        part = slice(start, start + step)
        column, shift = stencil.column[part], stencil.shift[part]
        weights = _shifted(point.weights, column, shift, batch)
        inputs = _shifted(point.inputs, column - split, shift, batch)
        values = point.run(weights, inputs).reshape(len(column), batch, outputs)
        slope = values if cotangent is None else _contract(values, cotangent)
        factor = stencil.coefficient[part].reshape(-1, *(1,) * len(tail))
        np.add.at(result, stencil.variable[part], factor * slope)
    return result


def _shifted(array: np.ndarray, column: np.ndarray, shift: np.ndarray, batch: int) -> np.ndarray:
    """One block of rows per shift, with the shift added to its column; columns outside the array shift nothing."""
    inside = (column >= 0) & (column < array.shape[1])
    if len(array) == 1 and not inside.any():
        return array
    blocks = _repeat(array, len(column), batch).reshape(len(column), batch, array.shape[1])
    which = np.flatnonzero(inside)
    blocks[which, :, column[which]] += shift[which, None]
    return blocks.reshape(len(column) * batch, array.shape[1])


def _repeat(array: np.ndarray, times: int, batch: int) -> np.ndarray:
    """`times` copies of the batch below each other, a shared row written out."""
    full = np.broadcast_to(array, (times, batch, array.shape[1]))
    return np.array(full).reshape(times * batch, array.shape[1])


def _contract(values: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """sum_k Re(conj(cotangent) * values): (S, B, K) and (B, K) to (S, B)."""
    return np.einsum("sbk,bk->sb", values, np.conj(cotangent)).real


def _collapse(derivative: np.ndarray, rows: int) -> np.ndarray:
    """(V, B) per sample to (rows, V): summed over the samples if they share one row."""
    return np.ascontiguousarray(derivative.T if rows == derivative.shape[1] else derivative.sum(axis=1)[None])


def _chain(point: Point, by_angle: np.ndarray) -> tuple[tuple[np.ndarray, int], tuple[np.ndarray, int]]:
    """From derivatives by angles (R, B, ...) to those by weights (W, B, ...) and inputs (X, B, ...).

    Each comes with the number of rows of its variable.
    """
    terms = angle_terms(point.program)
    batch, width = by_angle.shape[1], point.weights.shape[1]
    ones = np.ones((batch, 1))
    pieces = [ones, *(np.broadcast_to(a, (batch, a.shape[1])) for a in (point.weights, point.inputs))]
    slots = np.concatenate(pieces, axis=1).T
    result = np.zeros((len(slots), *by_angle.shape[1:]))
    spread = (...,) + (None,) * (by_angle.ndim - 2)
    for first, second in ((terms.a, terms.b), (terms.b, terms.a)):
        factor = terms.coefficient[:, None] * slots[second]
        np.add.at(result, first, by_angle[terms.occurrence] * factor[spread])
    return (result[1 : 1 + width], len(point.weights)), (result[1 + width :], len(point.inputs))


class AngleTerms(NamedTuple):
    """The polynomials of all occurrences: angle[occurrence] = sum coefficient * z[a] * z[b]."""

    occurrence: np.ndarray
    coefficient: np.ndarray
    a: np.ndarray
    b: np.ndarray


def angle_terms(program: Program) -> AngleTerms:
    """The angle of each occurrence, read off its first instruction and divided by that instruction's scale."""
    owner, coefficient, a, b = [], [], [], []
    for index, occurrence in enumerate(program.occurrences):
        instruction, scale = occurrence.instructions[0], occurrence.scales[0]
        part = slice(int(program.term_start[instruction]), int(program.term_start[instruction + 1]))
        owner.append(np.full(part.stop - part.start, index))
        coefficient.append(program.term_coefficient[part] / scale)
        a.append(program.term_a[part])
        b.append(program.term_b[part])
    if not owner:
        empty = np.zeros(0, dtype=np.int64)
        return AngleTerms(empty, np.zeros(0), empty, empty)
    return AngleTerms(*(np.concatenate(columns) for columns in (owner, coefficient, a, b)))


def _check_positive(value: Any, name: str) -> None:
    if (
        not isinstance(value, int | float | np.floating | np.integer)
        or not math.isfinite(value)
        or value <= 0
    ):
        raise KetgradValueError(f"`{name}` must be a positive number, but is {value!r}.")
