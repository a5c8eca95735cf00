"""What a question about a few qubits can see of a wide program, before it is handed to the core.

The core leaves out unseen qubits by itself; here masks are integers of any length, so that the register may be wider
than its masks are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ketgrad.programs.program import PAULI_ROTATION, STATE_PREPARATION, Program
from ketgrad.programs.questions import WIDEST


class Support(NamedTuple):
    """Qubits on which something flips bits, and qubits whose value it reads, as masks."""

    flips: int
    reads: int

    def misses(self, other: Support) -> bool:
        """Nowhere does one flip what the other reads: they commute, whatever they do there."""
        return not (self.flips & other.reads or self.reads & other.flips)


def narrowed(program: Program) -> Program:
    """The program on the qubits that its question can see, in the arrays that the core takes.

    Occurrences and the question itself stay those of the whole program. Cost: linear in the number of instructions.
    """
    if program.question.sees_everything:
        return program
    seen, reached = _light_cone(program)
    everything = (1 << program.num_qubits) - 1
    if reached == everything and program.num_qubits <= WIDEST:
        return program
    places = [p for p in range(reached.bit_length()) if reached >> p & 1]
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


def _light_cone(program: Program) -> tuple[list[int], int]:
    """The instructions that can reach the question, and the mask of the qubits that they and the question touch."""
    reached = _support_of_question(program)
    seen = []
    for i in reversed(range(program.num_instructions)):
        support = _support(program, i)
        # a state that is prepared may have any norm, which every answer carries
        if program.kind[i] == STATE_PREPARATION or not support.misses(reached):
            reached = Support(reached.flips | support.flips, reached.reads | support.reads)
            seen.append(i)
    return seen[::-1], reached.flips | reached.reads


def _support(program: Program, i: int) -> Support:
    if program.kind[i] == PAULI_ROTATION:
        return Support(int(program.x[i]), int(program.z[i]) | int(program.controls[i]))
    targets = sum(1 << int(p) for p in program.targets[program.target_start[i] : program.target_start[i + 1]])
    return Support(targets, targets | int(program.controls[i]))


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
    result = 0
    while mask:
        lowest = mask & -mask
        place = new_place.get(lowest.bit_length() - 1)
        if place is not None:
            result |= 1 << place
        mask ^= lowest
    return result


def _segments(start: np.ndarray, chosen: Sequence[int]) -> tuple[Any, np.ndarray]:
    """Where the entries of chosen instructions stand, and where each of their segments begins."""
    parts = [np.arange(start[i], start[i + 1]) for i in chosen]
    lengths = [len(part) for part in parts]
    return np.concatenate([np.empty(0, np.int64), *parts]), np.concatenate([[0], np.cumsum(lengths)]).astype(
        np.int64
    )
