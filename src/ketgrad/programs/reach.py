"""How far a question reaches into a program: what it cannot see of a wide register is left out before anything runs.

Three steps, each exact. Clifford gates are followed by the words of the question (`frame`), rotations that commute with
all that is read after them are dropped: the light cone of every word by itself. Words are gathered into parts while
that makes the work smaller. What is left of a part flips bits only along the words of its rotations, so that its
states have as many qubits as those are independent - the rank over the integers modulo 2 - and not as many as the
register or the light cone: a GHZ state of any width has rank 0. Each part is a program of its own; parts that differ
only in which weights, inputs and outputs they take are the rows of one batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.paulis import Pauli
from ketgrad.foundation.memory import reserve
from ketgrad.programs.frame import pulled_back, words_of
from ketgrad.programs.light_cone import LightCone, light_cone, narrowed
from ketgrad.programs.lowering import compile
from ketgrad.programs.outcomes import NARROW, outcomes, table
from ketgrad.programs.program import Program
from ketgrad.programs.questions import Expect
from ketgrad.programs.reduced import Coin, Content, Reduced, program_of, reduced
from ketgrad.programs.word_cones import units

SMALL = 12  # qubits of a light cone of all words together that is taken as it is
BYTES_PER_OUTCOME = 40  # of the table that says where a probability goes
WORTHWHILE = 2  # how much less has to be done in parts: as a whole a program has a shorter way into the core
MOST_WHOLE = 40  # qubits of such a light cone that an executor is asked for


@dataclass(frozen=True, eq=False)
class VisiblePart:
    """One program, and how it stands in the whole: once for each row of the arrays.

    program: on the qubits that are simulated. outputs, scales (copies, outputs of the part): to which outputs of the
    whole its values are added, and times what; several rows of the part's outputs may stand side by side. weights,
    inputs (copies, ...): the columns that it takes.
    cone: how many qubits of the register it can see. is_whole: the part is all there is, and has the weights, inputs
    and outputs of the whole; no arrays say so.
    """

    program: Program
    outputs: np.ndarray
    scales: np.ndarray
    weights: np.ndarray
    inputs: np.ndarray
    cone: int
    is_whole: bool = False

    @property
    def copies(self) -> int:
        """How many parts this one stands for."""
        return len(self.outputs)


def reach(program: Program) -> tuple[VisiblePart, ...]:
    """The parts of a program that its question can see, kept with the program.

    Values are the sums over the parts; a part may need no qubit at all. Registers of up to `NARROW` qubits, and states,
    are one part. Cost: linear in the number of instructions times the width that words grow to.

    >>> ghz = kg.Circuit([kg.h(0)] + [kg.cx(q, q + 1) for q in range(999)])
    >>> f = kg.expectation(ghz, [kg.Pauli("Z0 Z999"), kg.Pauli("Z3")])
    >>> [(part.program.num_qubits, part.copies) for part in reach(f.program)], f()
    ([(0, 1)], array([1., 0.]))
    """
    return program.derived("reach", lambda: _parts(program))


def coins(program: Program) -> tuple[Coin, ...]:
    """The words that no part holds because they are zero: what shots see of them.

    >>> ghz = kg.Circuit([kg.h(0)] + [kg.cx(q, q + 1) for q in range(999)])
    >>> coins(kg.expectation(ghz, [kg.Pauli("Z0 Z999"), kg.Pauli("2 Z3")]).program)
    (Coin(outputs=(1,), coefficients=(2.0,)),)
    """
    reach(program)
    return program.cache.get("coins", ())


def whole_of(program: Program) -> Program | None:
    """The program that is run in place of this one, with all its weights, inputs and outputs; None if parts are."""
    if program.num_qubits <= NARROW:
        return program
    parts = reach(program)
    return parts[0].program if parts[0].is_whole else None


def described(parts: tuple[VisiblePart, ...], program: Program) -> str:
    """The parts in one line."""
    number, different = sum(part.copies for part in parts), len(parts)
    kinds = f", {different} of them different," if 1 < different < number else ""
    cone, rank = max(part.cone for part in parts), max(part.program.num_qubits for part in parts)
    return (
        f"{number} part{'s' * (number != 1)}{kinds} without Clifford gates, of at most {cone} of {program.num_qubits} "
        f"qubits that the question can see, in states of at most {rank} qubit{'s' * (rank != 1)}"
    )


def _parts(program: Program) -> tuple[VisiblePart, ...]:
    found = _found(program)
    for part in found:  # which are what they are, however wide
        part.program.cache.setdefault("reach", (_whole(part.program),))
    return found


def _found(program: Program) -> tuple[VisiblePart, ...]:
    if program.num_qubits <= NARROW or program.question.sees_everything:
        return (_whole(program),)
    cone = light_cone(program)
    if cone.num_qubits <= SMALL:
        return (_whole(narrowed(program, cone)),)
    if not program.reads_words:
        return _measured(program, cone)
    frame = pulled_back(program, words_of(program))
    if frame is None:
        return (_whole(narrowed(program, cone)),)
    found = units(program, frame)
    if cone.num_qubits <= MOST_WHOLE:
        cost = (1 + len(frame.rotations)) << cone.num_qubits
        if cost <= WORTHWHILE * sum(unit.cost for unit in found):
            return (_whole(narrowed(program, cone)),)
    tossed: list[Coin] = []
    parts = _copies(reduced(program, unit, tossed) for unit in found)
    program.cache["coins"] = tuple(tossed)
    return parts


def _measured(program: Program, cone: LightCone) -> tuple[VisiblePart, ...]:
    """The probabilities of outcomes: of the light cone, unless Clifford gates make most of it."""
    found = outcomes(program, program.measured.tolist())
    if found is None or found.program.num_qubits + 1 >= cone.num_qubits:
        return (_whole(narrowed(program, cone)),)
    reserve(
        BYTES_PER_OUTCOME << (found.num_coins + len(found.program.measured)),
        f"the outcomes of {len(found.read)} measured qubits",
        "Measure fewer of them at a time.",
    )
    where = table(found).reshape(1, -1)
    scales = np.full(where.shape, found.factor / 2**found.num_coins)
    weights, inputs = np.array([found.weights], np.int64), np.array([found.inputs], np.int64)
    return (VisiblePart(found.program, where, scales, weights, inputs, found.cone),)


def _whole(program: Program) -> VisiblePart:
    none = np.empty((1, 0), np.int64)  # of the 2^40 outcomes that there may be, no list is made
    return VisiblePart(program, none, np.empty((1, 0)), none, none, program.num_qubits, is_whole=True)


def _copies(found: Iterable[Reduced | None]) -> tuple[VisiblePart, ...]:
    """The parts, those of one and the same program together."""
    alike: dict[Content, list[Reduced]] = {}
    for one in found:
        if one is not None:
            alike.setdefault(one.content, []).append(one)
    if not alike:
        return (_nothing(),)
    return tuple(
        VisiblePart(
            program_of(content),
            np.array([one.outputs for one in copies], np.int64),
            np.array([one.scales for one in copies], np.float64),
            np.array([one.weights for one in copies], np.int64),
            np.array([one.inputs for one in copies], np.int64),
            max(one.cone for one in copies),
        )
        for content, copies in alike.items()
    )


def _nothing() -> VisiblePart:
    """Zero, which is what words have left that flip where nothing else does."""
    one = compile(Circuit((), 0), Expect((Pauli(1.0),)))
    columns = np.empty((1, 0), np.int64)
    return VisiblePart(one, np.zeros((1, 1), np.int64), np.zeros((1, 1)), columns, columns, 0)
