"""A unit of words and rotations as a program of its own, on as many qubits as its flips are independent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ketgrad.circuits.pauli_words import reverse_bits
from ketgrad.circuits.paulis import PauliSum
from ketgrad.programs.frame import Word
from ketgrad.programs.program import Program, ProgramBuilder, Term
from ketgrad.programs.questions import Expect, Probabilities
from ketgrad.programs.span import Span
from ketgrad.programs.word_cones import Unit


class PreparedState(NamedTuple):
    """A state preparation of a part."""

    targets: tuple[int, ...]
    data: tuple[complex, ...]
    slots: tuple[int, ...]
    normalize: int


class Turned(NamedTuple):
    """A rotation of a part."""

    x: int
    z: int
    terms: tuple[Term, ...]


class Content(NamedTuple):
    """All that makes the program of a part: equal for parts that differ in nothing but what they take and give."""

    num_qubits: int
    num_weights: int
    num_inputs: int
    prepared: tuple[PreparedState, ...]
    turned: tuple[Turned, ...]
    observables: tuple[tuple[tuple[int, int, float], ...], ...]


class Reduced(NamedTuple):
    """A part, and how it stands in the whole: where its outputs go, times what, and the columns that it takes."""

    content: Content
    outputs: tuple[int, ...]
    scales: tuple[float, ...]
    weights: tuple[int, ...]
    inputs: tuple[int, ...]
    cone: int  # qubits of the register that are seen


class Coin(NamedTuple):
    """A word that is zero whatever the weights are: measured, a fair coin. It adds this much to these outputs."""

    outputs: tuple[int, ...]
    coefficients: tuple[float, ...]


def reduced(program: Program, unit: Unit, coins: list[Coin]) -> Reduced | None:
    """The unit as a part; None where all its values are zero. Words that are, are added to `coins`."""
    basis = Basis(unit)
    outputs, observables, scales = _observables(program, unit, basis, coins)
    if not outputs:
        return None
    content, weights, inputs = moved(program, unit, basis)
    return Reduced(
        content._replace(observables=observables), outputs, scales, weights, inputs, len(basis.index)
    )


def moved(program: Program, unit: Unit, basis: Basis) -> tuple[Content, tuple[int, ...], tuple[int, ...]]:
    """What is prepared and turned on the qubits of a basis, and the weights and inputs that this takes."""
    slots = _Slots(program)
    prepared = [_prepared(program, basis, unit, i) for i in sorted(unit.prepared)]
    turned = [(*basis.word(unit.cones.frame.turned[j]), j) for j in basis.rotations]
    terms = [slots.terms(unit, j, sign) for _, _, sign, j in turned]
    for one in prepared:
        for slot in one.slots:
            slots.read(slot)
    content = Content(
        basis.span.rank,
        len(slots.weights),
        len(slots.inputs),
        tuple(one._replace(slots=tuple(slots.number(s) for s in one.slots)) for one in prepared),
        tuple(
            Turned(x, z, tuple((c, slots.number(a), slots.number(b)) for c, a, b in one))
            for (x, z, _, _), one in zip(turned, terms, strict=True)
        ),
        (),
    )
    return content, tuple(slots.weights), tuple(slots.inputs)


def program_of(content: Content, measured: tuple[int, ...] | None = None) -> Program:
    """The program of a part: of its observables, or of the outcomes of qubits of the part."""
    builder, size = ProgramBuilder(*content[:3]), content.num_qubits
    for one in content.prepared:
        data, slots = np.array(one.data, np.complex128), np.array(one.slots, np.int64)
        builder.prepare(one.targets, data, slots, bool(one.normalize))
    for one in content.turned:
        builder.rotate(one.x, one.z, one.terms)
    if measured is not None:
        return builder.program(Probabilities(tuple(size - 1 - k for k in measured)))
    sums = (
        PauliSum([(reverse_bits(x, size), reverse_bits(z, size), c) for x, z, c in one])
        for one in content.observables
    )
    return builder.program(Expect(tuple(sums)))


class Basis:
    """The qubits on which a unit is simulated: which basis states of the register its rotations lead to.

    rotations: those that do more than to turn a phase, the first one first.
    """

    def __init__(self, unit: Unit) -> None:
        frame, targets = unit.cones.frame, unit.cones.preparations.targets
        rows = [frame.turned[j] for j in unit.rotations]
        touched = {p for i in unit.prepared for p in targets[i]}
        for row in (*rows, *(frame.words[k] for k in unit.words)):
            touched.update(row.x, row.z)
        self.index = {p: k for k, p in enumerate(sorted(touched))}
        self.span, self.rotations = Span(), []
        for p in sorted(p for i in unit.prepared for p in targets[i]):
            self.span.add(1 << self.index[p])
        for j, row in zip(unit.rotations, rows, strict=True):
            if row.x or not self.span.is_constant(self.mask(row.z)):
                self.span.add(self.mask(row.x))
                self.rotations.append(j)

    def mask(self, places: tuple[int, ...]) -> int:
        """Places of the register as a mask of those that are touched."""
        mask = 0
        for p in places:
            mask |= 1 << self.index[p]
        return mask

    def qubit(self, prepared: int) -> int:
        """The qubit of a place that is prepared: a vector of the basis by itself."""
        place = self.index[prepared]
        return next(k for k, (known, _) in enumerate(self.span.basis) if known == place)

    def word(self, word: Word) -> tuple[int, int, float]:
        """(x, z, sign) on the qubits of the span, where i^|x & z| has another power; sign 0 for what leaves it."""
        return self.narrowed(self.mask(word.x), self.mask(word.z), word.negative)

    def narrowed(self, flips: int, reads: int, negative: bool) -> tuple[int, int, float]:
        """As `word`, of masks of what is touched."""
        x, z = self.span.coordinates(flips), self.span.signs(reads)
        if x is None:
            return 0, 0, 0.0
        turns = ((flips & reads).bit_count() - (x & z).bit_count()) // 2 + negative
        return x, z, -1.0 if turns & 1 else 1.0


def _prepared(program: Program, basis: Basis, unit: Unit, i: int) -> PreparedState:
    part = slice(int(program.data_start[i]), int(program.data_start[i + 1]))
    return PreparedState(
        tuple(basis.qubit(p) for p in unit.cones.preparations.targets[i]),
        tuple(program.data[part].tolist()),
        tuple(program.amplitude_slot[part].tolist()),
        int(program.normalize[i]),
    )


def _observables(
    program: Program, unit: Unit, basis: Basis, coins: list[Coin]
) -> tuple[tuple[int, ...], tuple[tuple[tuple[int, int, float], ...], ...], tuple[float, ...]]:
    """(outputs, observables, scales) of what is left; a single word has the coefficient 1, so that parts are equal."""
    owner = np.searchsorted(program.observable_start, unit.words, side="right") - 1
    coefficients = program.word_coefficient[list(unit.words)] * unit.cones.preparations.factor(unit.prepared)
    found: dict[int, dict[tuple[int, int], float]] = {}
    tossed: dict[Word, dict[int, float]] = {}
    for k, output, coefficient in zip(unit.words, owner.tolist(), coefficients.tolist(), strict=True):
        x, z, sign = basis.word(unit.cones.frame.words[k])
        if sign:
            sums = found.setdefault(output, {})
            sums[x, z] = sums.get((x, z), 0.0) + sign * coefficient
        else:
            word = unit.cones.frame.words[k]
            shares = tossed.setdefault(word._replace(negative=False), {})
            shares[output] = shares.get(output, 0.0) + (-coefficient if word.negative else coefficient)
    coins += (Coin(tuple(shares), tuple(shares.values())) for shares in tossed.values())
    outputs, observables, scales = [], [], []
    for output, sums in sorted(found.items()):
        terms = tuple((x, z, c) for (x, z), c in sums.items() if c)
        scale = terms[0][2] if len(terms) == 1 else 1.0
        if terms:
            outputs.append(output)
            observables.append(((*terms[0][:2], 1.0),) if len(terms) == 1 else terms)
            scales.append(scale)
    return tuple(outputs), tuple(observables), tuple(scales)


class _Slots:
    """The weights and inputs that a part reads, numbered anew in the order in which they are read."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.first_input = 1 + program.num_weights
        self.weights: dict[int, int] = {}
        self.inputs: dict[int, int] = {}

    def terms(self, unit: Unit, j: int, sign: float) -> list[Term]:
        """The angle of a rotation, in slots of the whole."""
        instruction, scale = unit.cones.frame.rotations[j]
        if instruction is None:
            return [(sign * scale, 0, 0)]
        found = unit.cones.terms[instruction]
        for _, a, b in found:
            self.read(a)
            self.read(b)
        return [(c * sign * scale, a, b) for c, a, b in found]

    def read(self, slot: int) -> None:
        """Number a slot of the whole."""
        if slot >= self.first_input:
            self.inputs.setdefault(slot - self.first_input, len(self.inputs))
        elif slot:
            self.weights.setdefault(slot - 1, len(self.weights))

    def number(self, slot: int) -> int:
        """The slot of the part for one of the whole that has been read."""
        if slot >= self.first_input:
            return 1 + len(self.weights) + self.inputs[slot - self.first_input]
        return 1 + self.weights[slot - 1] if slot else 0
