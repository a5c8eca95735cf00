"""Finite shots around any exact executor: what a perfect quantum computer would report.

Pauli words that agree on every qubit they share are read from the same shots: a rotation of each qubit's basis
is appended to the program, the outcomes' exact probabilities are asked for, and outcomes are drawn from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.foundation.numbers import MAX_SHOTS
from ketgrad.foundation.seeds import stream
from ketgrad.programs.program import PAULI_ROTATION, Expect, Probabilities, Program, Samples, State

DRAWS_AT_ONCE = 2**22  # between two looks at pending signals; the bits are those of one draw
CHUNK_BYTES = 32 * 2**20  # exact probabilities are held for about this much of the batch at a time


@dataclass(frozen=True)
class Sampled:
    """Every value is estimated from `shots` simulated measurements; the exact part is done by `executor`.

    executor: a name or an instance. shots: for each group of Pauli words that can be measured together.
    Draws come from the generator passed to `run`, row after row: the same generator gives the same bits
    whatever the thread count. No adjoint pass: gradients are shift rules on estimated values.

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
    abilities = frozenset({"shots"})

    def __post_init__(self) -> None:
        from ketgrad.executors import get

        if isinstance(self.shots, bool) or not isinstance(self.shots, int | np.integer):
            raise KetgradTypeError(f"`shots` must be a positive integer, but is {self.shots!r}.")
        if not 0 < self.shots <= MAX_SHOTS:
            raise KetgradValueError(f"`shots` must be an integer from 1 to 2^53, but is {self.shots}.")
        exact = get(self.executor)
        if "exact" not in exact.abilities:
            raise KetgradValueError(
                f"`executor` must give exact probabilities to draw from, but {exact.name!r} does not."
            )
        object.__setattr__(self, "executor", exact)

    def run(
        self,
        program: Program,
        weights: np.ndarray,
        inputs: np.ndarray,
        *,
        dtype: Any = np.complex128,
        threads: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Estimates (B, K), frequencies (B, 2**m), or outcome indices (B, shots) as uint64."""
        generator = stream(None) if rng is None else rng
        question, rows = program.question, (weights, inputs)
        if isinstance(question, State):
            raise KetgradValueError(
                "a state cannot be measured - ask for kg.probabilities or kg.samples, or for no shots."
            )
        if isinstance(question, Samples):
            exact = self._exact(self._everything(program), *rows, dtype, threads, 8 * question.shots)
            locate = getattr(self.executor, "locate", _locate)
            drawn = [_outcomes(generator, question.shots, chances, locate) for chances in exact]
            return drawn[0] if len(drawn) == 1 else np.concatenate(drawn)
        real = np.float32 if np.dtype(dtype) == np.complex64 else np.float64
        if isinstance(question, Probabilities):
            exact = self._exact(program, *rows, dtype, threads)
            counts = np.concatenate([generator.multinomial(self.shots, chances) for chances in exact])
            return (counts / self.shots).astype(real)
        values = np.zeros((max(len(weights), len(inputs)), len(question.observables)))
        for group in groups(program):
            if group.program is None:  # multiples of the identity need no shots
                values += group.coefficients[0]
            else:
                exact = self._exact(group.program, *rows, dtype, threads)
                values += np.concatenate(
                    [_estimates(generator, self.shots, chances, group) for chances in exact]
                )
        return values.astype(real)

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

    def executions(self, program: Program) -> int:
        """Circuits that are run for one value: one for each group of words."""
        if not isinstance(program.question, Expect):
            return 1
        return sum(group.program is not None for group in groups(program))

    def simulated_qubits(self, program: Program) -> int:
        """How many qubits the largest state has that is held at a time."""
        of = getattr(self.executor, "simulated_qubits", lambda one: one.num_qubits)
        return max((of(one) for one in self._measured(program)), default=0)

    def _measured(self, program: Program) -> list[Program]:
        """The programs whose probabilities are drawn from."""
        if isinstance(program.question, Expect):
            return [group.program for group in groups(program) if group.program is not None]
        return [program if isinstance(program.question, Probabilities) else self._everything(program)]

    def engine(self, program: Program) -> str:
        """The exact executor below, in one line: for the largest of the circuits that are run."""
        of = getattr(self.executor, "simulated_qubits", lambda one: one.num_qubits)
        inner = max(self._measured(program), key=of, default=None)
        if inner is None:
            return self.executor.name
        return self.executor.engine(inner) if hasattr(self.executor, "engine") else self.executor.name

    @staticmethod
    def _everything(program: Program) -> Program:
        everything = Probabilities(tuple(range(program.num_qubits)))
        return _kept(program, "everything", lambda: program.asking(everything))


class Group(NamedTuple):
    """Words read from the same shots: their bits among the measured ones, and the observables' coefficients.

    program: asks for the probabilities of the outcomes in the rotated basis; None for the identity.
    parities: uint64 (words,). coefficients: (words, observables).
    """

    program: Program | None
    parities: np.ndarray
    coefficients: np.ndarray


def groups(program: Program) -> tuple[Group, ...]:
    """The words of all observables, divided greedily into groups that commute qubit by qubit.

    Verteletskyi et al. 2020, arXiv:1907.03358.

    >>> f = kg.expectation(kg.Circuit([], 2), [kg.Pauli("Z0 + Z0 Z1"), kg.Pauli("X1 + Z0")])
    >>> [len(group.parities) for group in groups(f.program)]
    [2, 1]
    """
    return _kept(
        program, "measured groups", lambda: tuple(_group(program, words) for words in _partition(program))
    )


def _kept(program: Program, key: str, make: Any) -> Any:
    found = program.cache.get(key)
    return found if found is not None else program.cache.setdefault(key, make())


def _partition(program: Program) -> list[dict[tuple[int, int], np.ndarray]]:
    """Lists of words (x, z) -> coefficients per observable; a word stands once however many observables hold it."""
    count = len(program.observable_start) - 1
    owner = np.repeat(np.arange(count), np.diff(program.observable_start))
    words: dict[tuple[int, int], np.ndarray] = {}
    for k, (x, z, coefficient) in enumerate(
        zip(program.word_x, program.word_z, program.word_coefficient, strict=True)
    ):
        words.setdefault((int(x), int(z)), np.zeros(count))[owner[k]] += coefficient
    parts: list[tuple[list[int], dict[tuple[int, int], np.ndarray]]] = []
    for (x, z), coefficients in words.items():
        for basis, members in parts:
            shared = (x | z) & (basis[0] | basis[1])
            trivial = not (x | z) or not (basis[0] | basis[1])  # the identity forms a group of its own
            if (
                trivial is (not (x | z) and not (basis[0] | basis[1]))
                and not ((x ^ basis[0]) | (z ^ basis[1])) & shared
            ):
                basis[0] |= x
                basis[1] |= z
                members[x, z] = coefficients
                break
        else:
            parts.append(([x, z], {(x, z): coefficients}))
    return [members for _, members in parts]


def _group(program: Program, words: dict[tuple[int, int], np.ndarray]) -> Group:
    coefficients = np.array(list(words.values()))
    flip = parity = 0
    for x, z in words:
        flip |= x
        parity |= z
    support = flip | parity
    if not support:
        return Group(None, np.zeros(1, np.uint64), coefficients)
    places = [p for p in range(program.num_qubits - 1, -1, -1) if support >> p & 1]
    reserve(
        state_bytes(len(places)), f"the state of {len(places)} qubits", "Observables are measured together."
    )
    rotations = [_to_z_basis(p, flip, parity) for p in places if flip >> p & 1]
    measured = tuple(program.num_qubits - 1 - p for p in places)
    bits = [
        sum(1 << (len(places) - 1 - k) for k, p in enumerate(places) if (x | z) >> p & 1) for x, z in words
    ]
    return Group(
        _append(program, rotations).asking(Probabilities(measured)), np.array(bits, np.uint64), coefficients
    )


def _to_z_basis(place: int, flip: int, parity: int) -> tuple[int, int, float]:
    """(x, z, angle) of the rotation that turns X, by RY(-pi/2), or Y, by RX(pi/2), into Z."""
    bit = 1 << place
    return (bit, 0, np.pi / 2) if parity & bit else (bit, bit, -np.pi / 2)


def _append(program: Program, rotations: list[tuple[int, int, float]]) -> Program:
    """The program followed by constant Pauli rotations."""
    if not rotations:
        return program
    extra = len(rotations)
    x, z, angle = (list(column) for column in zip(*rotations, strict=True))

    def longer(array: np.ndarray, values: Any) -> np.ndarray:
        return np.concatenate([array, np.array(values, dtype=array.dtype)])

    return replace(
        program,
        kind=longer(program.kind, [PAULI_ROTATION] * extra),
        x=longer(program.x, x),
        z=longer(program.z, z),
        controls=longer(program.controls, [0] * extra),
        term_start=longer(program.term_start, program.term_start[-1] + 1 + np.arange(extra)),
        term_coefficient=longer(program.term_coefficient, angle),
        term_a=longer(program.term_a, [0] * extra),
        term_b=longer(program.term_b, [0] * extra),
        target_start=longer(program.target_start, [program.target_start[-1]] * extra),
        data_start=longer(program.data_start, [program.data_start[-1]] * extra),
        normalize=longer(program.normalize, [0] * extra),
        cache={},
    )


def _estimates(generator: np.random.Generator, shots: int, chances: np.ndarray, group: Group) -> np.ndarray:
    """The share of each observable (rows, K) that the words of one group hold, from one set of shots per row."""
    frequencies = generator.multinomial(shots, chances) / shots
    outcomes = np.arange(chances.shape[1], dtype=np.uint64)
    means = [frequencies @ _signs(outcomes & parity) for parity in group.parities]
    return np.stack(means, axis=1) @ group.coefficients


def _outcomes(generator: np.random.Generator, shots: int, chances: np.ndarray, locate: Any) -> np.ndarray:
    """Outcome indices (rows, shots) in the order in which they were measured."""
    drawn = np.empty((len(chances), shots), dtype=np.uint64)
    for row, distribution in enumerate(chances):
        for start in range(0, shots, DRAWS_AT_ONCE):
            part = drawn[row, start : start + DRAWS_AT_ONCE]
            part[:] = locate(distribution, generator.random(len(part)))
    return drawn


def _locate(chances: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """The first outcome whose cumulated chance exceeds u times their sum: never one of chance zero."""
    cumulated = np.cumsum(chances)
    last = int(np.flatnonzero(chances)[-1])
    return np.minimum(np.searchsorted(cumulated, uniforms * cumulated[-1], side="right"), last)


def _signs(bits: np.ndarray) -> np.ndarray:
    """(-1)**(number of ones) for each entry."""
    folded = bits.copy()
    for distance in (32, 16, 8, 4, 2, 1):
        folded ^= folded >> np.uint64(distance)
    return 1.0 - 2.0 * (folded & np.uint64(1))
