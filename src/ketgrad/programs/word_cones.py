"""Light cones of single words, and which of them are simulated together: while one state is cheaper than two."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.programs.frame import Frame, Places, bits
from ketgrad.programs.program import Program
from ketgrad.programs.span import Span

CHEAPEST = 6  # qubits below which the size of a state does not decide what it costs
MOST_QUBITS = 40  # of a state that the core takes
LARGEST = 10_000  # qubits whose states are told apart by what they cost
MOST_TRIED = 8  # units that a word is tried with in vain: of those that share one rotation, the last ones


class Preparations:
    """The prepared states of a program: where they are, and what their norms do to every answer."""

    def __init__(self, program: Program, instructions: Iterable[int]) -> None:
        self.targets: dict[int, list[int]] = {}
        self.at: dict[int, int] = {}  # place -> instruction
        self.carried: set[int] = set()  # of a norm that depends on variables, and that every answer carries
        self.squares: dict[int, float] = {}  # norms that are numbers, squared
        for i in instructions:
            places = program.targets[program.target_start[i] : program.target_start[i + 1]].tolist()
            self.targets[i] = places
            self.at.update(dict.fromkeys(places, i))
            data = slice(program.data_start[i], program.data_start[i + 1])
            if not program.normalize[i] and program.amplitude_slot[data].any():
                self.carried.add(i)
            elif not program.normalize[i]:
                self.squares[i] = float(np.vdot(program.data[data], program.data[data]).real)

    def factor(self, seen: Iterable[int]) -> float:
        """The squared norm of what is left out beside the preparations that are seen."""
        left_out = self.squares.keys() - set(seen)
        return float(np.prod([self.squares[i] for i in sorted(left_out)]))


def angle_terms(program: Program) -> list[list[tuple[float, int, int]]]:
    """(coefficient, slot, slot) of each term of the angle of each instruction."""
    columns = (program.term_coefficient, program.term_a, program.term_b)
    flat = list(zip(*(column.tolist() for column in columns), strict=True))
    starts = program.term_start.tolist()
    return [flat[start:stop] for start, stop in itertools.pairwise(starts)]


class Cones:
    """The rotations and preparations that each word of a frame sees.

    groups: of rotations that the same words see. of_word: for each word its groups. terms: of the angle of each
    instruction.
    """

    def __init__(self, program: Program, frame: Frame) -> None:
        self.frame, self.terms = frame, angle_terms(program)
        self.preparations = Preparations(program, frame.preparations)
        by_words: dict[int, list[int]] = {}
        for rotation, words in enumerate(frame.sees):
            by_words.setdefault(words, []).append(rotation)
        self.groups = list(by_words.values())
        self.flips = [{frame.turned[j].x for j in group} for group in self.groups]
        self.of_word: list[list[int]] = [[] for _ in frame.words]
        for group, words in enumerate(by_words):
            for word in bits(words):
                self.of_word[word].append(group)

    def prepared(self, words: Iterable[int], groups: Iterable[int]) -> frozenset[int]:
        """The preparations on whose places the words or the rotations act, and those that all answers carry."""
        at = self.preparations.at
        if not at:
            return frozenset()
        rows = [self.frame.words[k] for k in words]
        rows += [self.frame.turned[j] for group in groups for j in self.groups[group]]
        found = {at[p] for row in rows for p in (*row.x, *row.z) if p in at}
        return frozenset(found | self.preparations.carried)


@dataclass(frozen=True, eq=False)
class Unit:
    """Words of a question that are simulated together, with the rotations and preparations that they see."""

    cones: Cones
    words: tuple[int, ...]
    groups: frozenset[int]
    prepared: frozenset[int]

    @cached_property
    def rotations(self) -> list[int]:
        """The rotations, the first one in time first."""
        return sorted((j for group in self.groups for j in self.cones.groups[group]), reverse=True)

    @cached_property
    def rank(self) -> int:
        """How many of the flips are independent: the qubits of the state."""
        return _rank(self.flips)

    @property
    def flips(self) -> set[Places]:
        """The places that its rotations and preparations flip together."""
        flips = set().union(*(self.cones.flips[group] for group in self.groups))
        return flips | {(p,) for i in self.prepared for p in self.cones.preparations.targets[i]}

    def check_width(self) -> None:
        """Raise `KetgradMemoryError` if its state is too wide for the core.

        Where all its words flip what nothing else does no state is made: they are zero.
        """
        if self.rank > MOST_QUBITS:
            flips = [self.cones.frame.words[k].x for k in self.words]
            if any(_rank({*self.flips, flip}) == self.rank for flip in flips):
                check_width(self.rank)

    @cached_property
    def cost(self) -> int:
        """Amplitudes that are touched."""
        count = sum(len(self.cones.groups[group]) for group in self.groups) + len(self.words) + 1
        return count << min(max(self.rank, CHEAPEST), LARGEST)

    def joined(self, other: Unit) -> Unit:
        """Both together."""
        return Unit(
            self.cones, self.words + other.words, self.groups | other.groups, self.prepared | other.prepared
        )


def units(program: Program, frame: Frame) -> list[Unit]:
    """The words of the question in units: two that share a rotation become one if that costs no more than both.

    Words that see the same always are one; a state is then made once for all of them. Raises `KetgradMemoryError` for
    a word whose state is too wide, before anything is made of the others.
    """
    cones, alike = Cones(program, frame), {}
    for word, groups in enumerate(cones.of_word):
        alike.setdefault((frozenset(groups), cones.prepared([word], groups)), []).append(word)
    found: dict[int, Unit] = {}
    owners: dict[
        int, dict[int, None]
    ] = {}  # group -> the units that see it, in the order in which they were made
    for k, ((groups, prepared), words) in enumerate(alike.items()):
        one = Unit(cones, tuple(words), groups, prepared)
        one.check_width()
        apart: set[int] = set()
        while len(apart) < MOST_TRIED and (latest := _latest_neighbour(one, owners, apart)) is not None:
            both = one.joined(found[latest])
            if both.cost > one.cost + found[latest].cost:
                apart.add(latest)
                continue
            for group in found.pop(latest).groups:
                del owners[group][latest]
            one = both
        found[k] = one
        for group in one.groups:
            owners.setdefault(group, {})[k] = None
    return list(found.values())


def _rank(flips: set[Places]) -> int:
    """How many are independent."""
    span, places = Span(), {p: 1 << k for k, p in enumerate(set().union(*flips))}
    for flip in flips:
        span.add(sum([places[p] for p in flip]))
        if span.rank == len(places):
            break
    return span.rank


def check_width(num_qubits: int) -> None:
    """Raise `KetgradMemoryError` for the state of more qubits than the core takes."""
    if num_qubits > MOST_QUBITS:
        reserve(
            state_bytes(num_qubits),
            f"the state of {num_qubits} qubits",
            f"The question can see all of them, and the core takes {MOST_QUBITS} at most: ask about fewer at a time.",
        )


def _latest_neighbour(one: Unit, owners: dict[int, dict[int, None]], apart: set[int]) -> int | None:
    """The unit made last that sees a rotation of this one, and has not been tried.

    The last ones are asked first: where one rotation is seen by all words, the first units have long been full.
    """
    known = [itertools.islice(reversed(owners[g]), MOST_TRIED) for g in one.groups if g in owners]
    return max(set(itertools.chain.from_iterable(known)) - apart, default=None)
