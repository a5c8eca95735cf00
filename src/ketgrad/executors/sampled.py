"""Finite shots around any exact executor: what a perfect quantum computer would report.

The exact probabilities of the circuits in `measured` are asked for, and outcomes are drawn from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ketgrad.executors import in_parts
from ketgrad.executors.measured import circuits, estimates, groups
from ketgrad.executors.protocol import Counts, Execution, execution, locates, runs_in_parts, says_more
from ketgrad.executors.table import get
from ketgrad.foundation.errors import KetgradValueError, shown
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import shot_count
from ketgrad.foundation.seeds import stream
from ketgrad.programs.outcomes import Outcomes, assembled, of_register
from ketgrad.programs.program import Program
from ketgrad.programs.reach import VisiblePart, coins

DRAWS_AT_ONCE = 2**22  # between two looks at pending signals; the bits are those of one draw
CHUNK_BYTES = 32 * 2**20  # exact probabilities are held for about this much of the batch at a time


@dataclass(frozen=True)
class Sampled:
    """Every value is estimated from `shots` simulated measurements; the exact part is done by `executor`.

    executor: a name or an instance. shots: for each group of Pauli words that can be measured together.
    Draws come from the generator passed to `run`, row after row: the same generator gives the same bits
    whatever the thread count. No adjoint pass: gradients are shift rules on estimated values. Of a wide register the
    parts that a question reaches are measured each by itself, without their Clifford gates; so is every word that is 0
    by these gates alone, as the fair coin that it is.

    >>> from ketgrad.executors.sampled import Sampled
    >>> f = kg.expectation(
    ...     kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), executor=Sampled(shots=100), seed=1
    ... )
    >>> bool(abs(f([0.3])[0] - np.cos(0.3)) < 0.2)
    True
    """

    executor: Any = "native"
    shots: int = 1000

    name = "sampled"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shots", shot_count(self.shots))
        exact = get(self.executor)
        if "exact" not in exact.abilities:
            raise KetgradValueError(
                f"`executor` must give exact probabilities to draw from, but {exact.name!r} does not."
            )
        object.__setattr__(self, "executor", exact)

    @cached_property
    def abilities(self) -> frozenset[Any]:
        """Shots, and where the exact values come from."""
        return frozenset({"shots"}) | self.executor.abilities & {"noise", "remote", "gpu"}

    def with_shots(self, shots: int) -> Sampled:
        """The same exact executor with so many measurements of each circuit."""
        return replace(self, shots=shots)

    def run(self, program: Program, weights: np.ndarray, inputs: np.ndarray, *, dtype: Any = np.complex128,
            threads: int | None = None, rng: np.random.Generator | None = None) -> np.ndarray:  # fmt: skip
        """Estimates (B, K), frequencies (B, 2**m), or outcome indices (B, shots) as uint64."""
        generator = stream(None) if rng is None else rng
        rows = weights, inputs
        if program.question.is_drawn:
            narrow = self._narrow(program)
            if narrow is None:
                return self._samples(
                    circuits(program)[0], *rows, dtype, threads, generator, program.num_outputs
                )
            rows = weights[:, list(narrow.weights)], inputs[:, list(narrow.inputs)]
            drawn = self._samples(narrow.program, *rows, dtype, threads, generator, program.num_outputs)
            tossed = generator.integers(0, 2, (*drawn.shape, narrow.num_coins), np.uint8)
            return assembled(narrow, drawn, tossed)
        real = np.float32 if np.dtype(dtype) == np.complex64 else np.float64
        if not program.reads_words:
            exact = self._exact(program, *rows, dtype, threads)
            counts = np.concatenate([generator.multinomial(self.shots, chances) for chances in exact])
            return (counts / self.shots).astype(real)
        if parts := self._parts(program):
            options: dict[str, Any] = {"dtype": dtype, "threads": threads, "rng": generator}
            values = in_parts.run(self, parts, *rows, program.num_outputs, **options)
            return (values + self._tosses(program, len(values), generator)).astype(real)
        values = np.zeros((max(len(weights), len(inputs)), program.num_outputs))
        for group in groups(program):
            if group.program is None:  # multiples of the identity need no shots
                values += group.coefficients[0]
            else:
                exact = self._exact(group.program, *rows, dtype, threads)
                values += np.concatenate(
                    [estimates(group, _drawn(generator, self.shots, chances)) for chances in exact]
                )
        return values.astype(real)

    def describe(self, program: Program) -> Execution:
        """As the exact executor below says of the largest of the circuits that are run."""
        shots = program.num_outputs if program.question.is_drawn else self.shots
        if program.reads_words and (parts := self._parts(program)):
            number = sum(part.copies * len(circuits(part.program)) for part in parts) + len(coins(program))
            return replace(execution(self.executor, program), executions=number, shots=shots)
        narrow = self._narrow(program) if program.question.is_drawn else None
        asked = circuits(program) if narrow is None else (narrow.program,)
        inner = [execution(self.executor, one) for one in asked]
        if not inner:
            return Execution(self.executor.name, 0, 0, shots)
        largest = max(inner, key=lambda one: one.simulated_qubits or 0)
        return replace(largest, executions=len(inner), shots=shots)

    def _exact(
        self,
        program: Program,
        weights: np.ndarray,
        inputs: np.ndarray,
        dtype: Any,
        threads: int | None,
        row_bytes: int = 0,
    ) -> Iterator[np.ndarray]:
        """The exact probabilities (rows, outcomes) of a few rows at a time; row_bytes: of what is drawn from a row."""
        batch, width = max(len(weights), len(inputs)), 8 * 2 ** len(program.measured)
        # probabilities, their normalised copy, the cumulated ones, and the counts
        chunk = 4 * min(batch * width, max(CHUNK_BYTES, width))
        reserve(
            chunk + batch * row_bytes,
            f"the measurements of {batch} rows",
            "Measure fewer rows or qubits at a time.",
        )
        step = max(1, CHUNK_BYTES // width)
        for start in range(0, batch, step):
            rows = [a if len(a) == 1 else a[start : start + step] for a in (weights, inputs)]
            found = self.executor.run(program, *rows, dtype=dtype, threads=threads)
            chances = np.maximum(found.astype(np.float64), 0.0)
            yield chances / chances.sum(axis=1, keepdims=True)

    def _samples(
        self,
        program: Program,
        weights: np.ndarray,
        inputs: np.ndarray,
        dtype: Any,
        threads: int | None,
        generator: np.random.Generator,
        shots: int,
    ) -> np.ndarray:
        """Outcome indices (rows, shots) of the measured qubits."""
        exact = self._exact(program, weights, inputs, dtype, threads, 8 * shots)
        drawn = [self._outcomes(generator, shots, chances) for chances in exact]
        return drawn[0] if len(drawn) == 1 else np.concatenate(drawn)

    def _parts(self, program: Program) -> tuple[VisiblePart, ...]:
        """The parts of a wide program whose words are measured, each by itself, if the executor runs such parts."""
        return self.executor.parts(program) if runs_in_parts(self.executor) else ()

    def _tosses(self, program: Program, batch: int, generator: np.random.Generator) -> np.ndarray:
        """What shots see of words that are zero, (batch, outputs): the mean of +1 and -1 as they fall."""
        values, words = np.zeros((batch, program.num_outputs)), coins(program)
        reserve(2 * batch * len(words) * values.itemsize, f"the shots of {len(words)} words and {batch} rows")
        heads = generator.binomial(self.shots, 0.5, (batch, len(words))) / self.shots
        for word, share in zip(words, heads.T, strict=True):
            values[:, word.outputs] += np.multiply.outer(2 * share - 1, word.coefficients)
        return values

    def _narrow(self, program: Program) -> Outcomes | None:
        """How the bits of a wide register come about from those of few qubits, if the executor runs such parts."""
        return of_register(program) if runs_in_parts(self.executor) else None

    def _outcomes(self, generator: np.random.Generator, shots: int, chances: np.ndarray) -> np.ndarray:
        """Outcome indices (rows, shots) in the order in which they were measured."""
        find = self.executor.locate if locates(self.executor) else locate
        drawn = np.empty((len(chances), shots), dtype=np.uint64)
        for row, distribution in enumerate(chances):
            for start in range(0, shots, DRAWS_AT_ONCE):
                part = drawn[row, start : start + DRAWS_AT_ONCE]
                part[:] = find(distribution, generator.random(len(part)))
        return drawn


def with_shots(executor: Any, shots: int) -> Any:
    """The executor that estimates from `shots` measurements of each circuit.

    An exact one that says nothing of it is drawn from; `KetgradValueError` for one that measures as it will.

    >>> from ketgrad.executors import get
    >>> with_shots(get("reference"), 10).shots
    10
    """
    if says_more(executor):
        return _measuring(executor, executor.with_shots(shots), shots)
    if "exact" in executor.abilities:
        return Sampled(executor, shots)
    raise KetgradValueError(
        f"`shots` cannot be given to the executor {executor.name!r}: it measures, and has no `with_shots` to be told "
        "how often. Make it with that number, or give it the methods with_shots and describe."
    )


def _measuring(executor: Any, made: Any, shots: int) -> Any:
    """What `with_shots` made, if it measures so often: else exact values would pass for estimates."""
    if "shots" in getattr(made, "abilities", ()) and getattr(made, "shots", None) == shots:
        return made
    raise KetgradValueError(
        f"`with_shots` of the executor {executor.name!r} must give an executor with the ability 'shots' and {shots} "
        f"shots, but gave {shown(made)}."
    )


def locate(chances: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """The first outcome whose cumulated chance exceeds u times their sum: never one of chance zero.

    >>> locate(np.array([0.5, 0.0, 0.5]), np.array([0.2, 0.7]))
    array([0, 2])
    """
    cumulated = np.cumsum(chances)
    last = int(np.flatnonzero(chances)[-1])
    return np.minimum(np.searchsorted(cumulated, uniforms * cumulated[-1], side="right"), last)


def _drawn(generator: np.random.Generator, shots: int, chances: np.ndarray) -> Counts:
    return Counts(np.arange(chances.shape[1], dtype=np.uint64), generator.multinomial(shots, chances))
