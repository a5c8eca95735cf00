"""What a question can see of a program by the qubits that its instructions touch.

Masks are integers of any length, so that the register may be wider than the masks of an executor are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ketgrad.programs.frame import bits
from ketgrad.programs.program import PAULI_ROTATION, STATE_PREPARATION, Program
from ketgrad.programs.question import WIDEST


class Support(NamedTuple):
    """Qubits on which something flips bits, and qubits whose value it reads, as masks."""

    flips: int
    reads: int

    def misses(self, other: Support) -> bool:
        """Nowhere does one flip what the other reads: they commute, whatever they do there."""
        return not (self.flips & other.reads or self.reads & other.flips)


class LightCone(NamedTuple):
    """The instructions that can reach a question, and the mask of the qubits that they and the question touch."""

    instructions: list[int]
    reached: int

    @property
    def num_qubits(self) -> int:
        """How many qubits are touched."""
        return self.reached.bit_count()


def light_cone(program: Program) -> LightCone:
    """What the question can see. Cost: linear in the number of instructions, and in the width of each."""
    if program.question.sees_everything:
        return LightCone(list(range(program.num_instructions)), (1 << program.num_qubits) - 1)
    reached = _support_of_question(program)
    kinds, targets = program.kind.tolist(), program.targets.tolist()
    masks = list(zip(program.x.tolist(), program.z.tolist(), program.controls.tolist(), strict=True))
    seen = []
    for i in reversed(range(len(kinds))):
        x, z, controls = masks[i]
        support = Support(x, z | controls)
        if kinds[i] != PAULI_ROTATION:
            places = targets[program.target_start[i] : program.target_start[i + 1]]
            touched = sum(1 << p for p in places)
            support = Support(touched, touched | controls)
        # a state that is prepared may have any norm, which every answer carries
        if kinds[i] == STATE_PREPARATION or not support.misses(reached):
            reached = Support(reached.flips | support.flips, reached.reads | support.reads)
            seen.append(i)
    return LightCone(seen[::-1], reached.flips | reached.reads)


def narrowed(program: Program, cone: LightCone | None = None) -> Program:
    """The program on the qubits that its question can see, with masks as narrow as these allow.

    Occurrences and the question itself stay those of the whole program.
    """
    seen, reached = light_cone(program) if cone is None else cone
    if reached == (1 << program.num_qubits) - 1 and program.num_qubits <= WIDEST:
        return program
    places = bits(reached)
    new_place = {place: k for k, place in enumerate(places)}
    masks = np.uint64 if len(places) <= WIDEST else object

    def gathered(array: np.ndarray, which: Iterable[int]) -> np.ndarray:
        return np.array([_gather(int(array[i]), new_place) for i in which], masks)

    terms, term_start = _segments(program.term_start, seen)
    targets, target_start = _segments(program.target_start, seen)
    data, data_start = _segments(program.data_start, seen)
    words = range(len(program.word_x))
    return replace(
        program,
        num_qubits=len(places),
        kind=program.kind[seen],
        x=gathered(program.x, seen),
        z=gathered(program.z, seen),
        controls=gathered(program.controls, seen),
        term_start=term_start,
        term_coefficient=program.term_coefficient[terms],
        term_a=program.term_a[terms],
        term_b=program.term_b[terms],
        target_start=target_start,
        targets=np.array([new_place[int(p)] for p in program.targets[targets]], np.int64),
        data_start=data_start,
        data=program.data[data],
        amplitude_slot=program.amplitude_slot[data],
        normalize=program.normalize[seen],
        word_x=gathered(program.word_x, words),
        word_z=gathered(program.word_z, words),
        measured=np.array([new_place[int(p)] for p in program.measured], np.int64),
        cache={},
    )


def _support_of_question(program: Program) -> Support:
    flips = reads = 0
    for x, z in zip(program.word_x, program.word_z, strict=True):
        flips |= int(x)
        reads |= int(z)
    for place in program.measured:
        reads |= 1 << int(place)
    return Support(flips, reads)


def _gather(mask: int, new_place: dict[int, int]) -> int:
    """The mask with its bits at their new places; bits without one are dropped."""
    return sum(1 << new_place[place] for place in bits(mask) if place in new_place)


def _segments(start: np.ndarray, chosen: Sequence[int]) -> tuple[Any, np.ndarray]:
    """Where the entries of chosen instructions stand, and where each of their segments begins."""
    parts = [np.arange(start[i], start[i + 1]) for i in chosen]
    lengths = [len(part) for part in parts]
    return np.concatenate([np.empty(0, np.int64), *parts]), np.concatenate([[0], np.cumsum(lengths)]).astype(
        np.int64
    )
