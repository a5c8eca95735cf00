"""What every executor shares that measures, simulated or real: which circuits are run, and what their counts say.

Pauli words that agree on every qubit they share are read from the same shots: a rotation of each qubit's basis is
appended to the program, and the outcomes of the qubits that the words touch are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ketgrad.executors.answers import checked_counts
from ketgrad.executors.protocol import WORD, Counts, Execution
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import shot_count
from ketgrad.foundation.seeds import stream
from ketgrad.programs.program import Program
from ketgrad.programs.questions import Probabilities


@dataclass(frozen=True)
class MeasuredDevice:
    """The executor of a `Device`: expectation values, probabilities and samples from its counts.

    shots: of each circuit. All circuits of a call, for all rows, are one job; a gradient is two, one for the values
    and one for the shifted rows, or three where prepared amplitudes are shifted too. Where the order of measured bits
    matters, counts are put into a random one.

    >>> from ketgrad.executors import get
    >>> class Coin:
    ...     name, abilities, shots = "coin", frozenset({"shots"}), 10
    ...
    ...     def counts(self, programs, weights, inputs, *, shots, rng):
    ...         return [kg.executors.counted([{1: shots}] * max(len(weights), len(inputs))) for _ in programs]
    >>> kg.expectation(kg.Circuit([kg.h(0)]), kg.Pauli("Z0"), executor=Coin(), shots=100)()
    array([-1.])
    """

    device: Any
    shots: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "shots", shot_count(self.shots))
        if "shots" not in self.device.abilities or "exact" in self.device.abilities:
            able = ", ".join(sorted(self.device.abilities)) or "none"
            raise KetgradValueError(
                f"the device {self.name!r} must have the ability 'shots', and not 'exact' - it answers with counts - "
                f"but its abilities are: {able}."
            )

    @property
    def name(self) -> str:
        """That of the device."""
        return self.device.name

    @property
    def abilities(self) -> frozenset[Any]:
        """Those of the device."""
        return self.device.abilities

    def with_shots(self, shots: int) -> MeasuredDevice:
        """The same device with so many measurements of each circuit."""
        return replace(self, shots=shots)

    def run(self, program: Program, weights: np.ndarray, inputs: np.ndarray, *, dtype: Any = np.complex128,
            threads: int | None = None, rng: np.random.Generator | None = None) -> np.ndarray:  # fmt: skip
        """Estimates (B, K), frequencies (B, 2**m), or outcome indices (B, shots), from one job."""
        generator = stream(None) if rng is None else rng
        batch = max(len(weights), len(inputs))
        shots = program.num_outputs if program.question.is_drawn else self.shots
        asked = circuits(program)
        rows = (
            weights.copy(),
            inputs.copy(),
        )  # the caller's own may be among them, and a device may write to its own
        answer = self.device.counts(asked, *rows, shots=shots, rng=generator) if asked else []
        found = checked_counts(self.name, answer, asked, batch)
        if program.question.is_drawn:
            return _in_random_order(self.name, generator, found[0], shots)
        real = np.float32 if np.dtype(dtype) == np.complex64 else np.float64
        if not program.reads_words:
            return _table(found[0], program.num_outputs).astype(real, copy=False)
        values = np.zeros((batch, program.num_outputs))
        counts = iter(found)
        for group in groups(program):
            values += group.coefficients[0] if group.program is None else estimates(group, next(counts))
        return values.astype(real, copy=False)

    def describe(self, program: Program) -> Execution:
        """The device; its states are not held here."""
        place = "remote, " if "remote" in self.abilities else ""
        engine = f"{self.name}, {place}counts only, all circuits of a call in one job"
        shots = program.num_outputs if program.question.is_drawn else self.shots
        return Execution(engine, None, len(circuits(program)), shots)


class Group(NamedTuple):
    """Words read from the same shots: their bits among the measured ones, and the observables' coefficients.

    program: asks for the probabilities of the outcomes in the rotated basis; None for the identity.
    parities: (words,), as `Counts.outcomes`. coefficients: (words, observables).
    """

    program: Program | None
    parities: np.ndarray
    coefficients: np.ndarray


def circuits(program: Program) -> tuple[Program, ...]:
    """The programs whose outcomes are counted for one value, each asking for `Probabilities`.

    Raises `KetgradValueError` for a question that no measurement answers.

    >>> f = kg.expectation(kg.Circuit([], 2), [kg.Pauli("Z0 + Z0 Z1"), kg.Pauli("X1 + 2.0")])
    >>> len(circuits(f.program))
    2
    """
    if not program.question.measurable:
        raise KetgradValueError(
            "a state cannot be measured - ask for kg.probabilities or kg.samples, or for no shots."
        )
    if program.reads_words:
        return tuple(group.program for group in groups(program) if group.program is not None)
    if len(program.measured):
        return (program,)
    everything = Probabilities(tuple(range(program.num_qubits)))
    return (program.derived("everything", lambda: program.asking(everything)),)


def groups(program: Program) -> tuple[Group, ...]:
    """The words of all observables, divided greedily into groups that commute qubit by qubit.

    Verteletskyi et al. 2020, arXiv:1907.03358.

    >>> f = kg.expectation(kg.Circuit([], 2), [kg.Pauli("Z0 + Z0 Z1"), kg.Pauli("X1 + Z0")])
    >>> [len(group.parities) for group in groups(f.program)]
    [2, 1]
    """
    return program.derived(
        "measured groups", lambda: tuple(_group(program, words) for words in _partition(program))
    )


def estimates(group: Group, counts: Counts) -> np.ndarray:
    """The share of each observable (rows, K) that the words of one group hold, from one set of shots per row."""
    frequencies = counts.numbers / counts.numbers.sum(axis=1, keepdims=True)
    means = [frequencies @ _signs(counts.outcomes & parity) for parity in group.parities]
    return np.stack(means, axis=1) @ group.coefficients


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
    builder = program.edited()
    for place in places:
        if flip >> place & 1:
            x, z, angle = _to_z_basis(place, flip, parity)
            builder.rotate(x, z, [(angle, 0, 0)])
    measured = tuple(program.num_qubits - 1 - p for p in places)
    bits = [
        sum(1 << (len(places) - 1 - k) for k, p in enumerate(places) if (x | z) >> p & 1) for x, z in words
    ]
    parities = np.array(bits, np.uint64 if len(places) <= WORD else object)
    return Group(builder.program(Probabilities(measured)), parities, coefficients)


def _to_z_basis(place: int, flip: int, parity: int) -> tuple[int, int, float]:
    """(x, z, angle) of the rotation that turns X, by RY(-pi/2), or Y, by RX(pi/2), into Z."""
    bit = 1 << place
    return (bit, 0, np.pi / 2) if parity & bit else (bit, bit, -np.pi / 2)


def _table(counts: Counts, num_outcomes: int) -> np.ndarray:
    """Frequencies (rows, outcomes) of all outcomes, those never seen among them."""
    rows = len(counts.numbers)
    reserve(8 * rows * num_outcomes, f"the frequencies of {num_outcomes} outcomes in {rows} rows")
    table = np.zeros((rows, num_outcomes))
    table[:, counts.outcomes.astype(np.int64)] = counts.numbers / counts.numbers.sum(axis=1, keepdims=True)
    return table


def _in_random_order(name: str, generator: np.random.Generator, counts: Counts, shots: int) -> np.ndarray:
    """Outcome indices (rows, shots): a count forgets the order of its shots, in which no outcome has a place."""
    totals = counts.numbers.sum(axis=1)
    if not np.all(totals == shots):
        raise KetgradValueError(
            f"the device {name!r} must count {shots} shots in each row, but counted {totals[totals != shots][0]}."
        )
    return np.stack([generator.permutation(np.repeat(counts.outcomes, row)) for row in counts.numbers])


def _signs(bits: np.ndarray) -> np.ndarray:
    """(-1)**(number of ones) for each entry."""
    if bits.dtype == object:
        return np.array([1.0 - 2.0 * (bit.bit_count() & 1) for bit in bits])
    folded = bits.copy()
    for distance in (32, 16, 8, 4, 2, 1):
        folded ^= folded >> np.uint64(distance)
    return 1.0 - 2.0 * (folded & np.uint64(1))
