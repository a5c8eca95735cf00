"""The words of a program pulled back to its beginning: Clifford gates are followed, and cost nothing afterwards.

From the question backwards, every word P that is still to come - of the question, or of a rotation that it sees - is
replaced by g^-1 P g for each Clifford gate g. Words are kept as columns: for each qubit two integers, whose bit j says
what word j does there, so that a gate costs a handful of operations on integers however many words there are, and
nothing on qubits that no word has reached.

Aaronson and Gottesman 2004, arXiv:quant-ph/0406196, with the words along the integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ketgrad.foundation.memory import FREE_BELOW, reserve
from ketgrad.programs.matrix_rotations import MOST_CONTROLS, Clifford, clifford_of, turns_of
from ketgrad.programs.program import PAULI_ROTATION, STATE_PREPARATION, Program

ROUNDING = 1e-13  # of an angle that is a multiple of a right one
MOST_ALIKE = (
    256  # different sets of words of the question, up to which those that see the same are looked at together
)

CHECKED = 1024  # rotations between two looks at the memory
BYTES_PER_PLACE = 17  # of a word: in a tuple, and in the list of which that is made
WAY_OUT = "Ask about fewer words at a time."
FEW = 8  # ones that are looked for one by one, in an integer of any length

Places = tuple[int, ...]


class Word(NamedTuple):
    """+- i^|x & z| X^x Z^z by the places on which it flips and reads."""

    x: Places
    z: Places
    negative: bool = False


class FramedRotation(NamedTuple):
    """A rotation by `scale` times the angle of an instruction; without one by `scale` itself."""

    instruction: int | None
    scale: float


class Frame(NamedTuple):
    """What is left of a program without its Clifford gates.

    words: those of the question, at the beginning of the program. rotations: what they turn by, the last one first,
    and turned: by which words. sees: for each rotation the words of the question that see it, as a mask.
    preparations: the instructions that prepare a state.
    """

    words: list[Word]
    rotations: list[FramedRotation]
    turned: list[Word]
    sees: list[int]
    preparations: list[int]


def pulled_back(program: Program, words: Iterable[Word]) -> Frame | None:
    """The words of a question and the rotations that they see; None if a matrix is too large to be followed.

    Cost: a few operations on integers of as many bits as there are words, for each gate and qubit that a word reaches.
    Raises `KetgradMemoryError` while the words are followed, where what they become does not fit.
    """
    way = _WayBack(program, words)
    kinds = program.kind.tolist()
    for i in reversed(range(len(kinds))):
        if kinds[i] == PAULI_ROTATION:
            followed = way.rotation(i)
        elif kinds[i] == STATE_PREPARATION:
            followed = way.preparation(i)
        else:
            followed = way.matrix(i)
        if not followed:
            return None
    return way.frame()


def words_of(program: Program) -> list[Word]:
    """The words of the observables."""
    read = _Places()
    return [
        Word(read(x), read(z)) for x, z in zip(program.word_x.tolist(), program.word_z.tolist(), strict=True)
    ]


class _Places(dict):
    """The places of the bits of masks that a program holds, each mask read once."""

    def __call__(self, mask: int) -> Places:
        # to hash an integer as wide as the register takes longer than all else; equal ones are one object
        key = mask if mask.bit_length() <= 64 else -id(mask)
        found = self.get(key)
        if found is None:
            found = self[key] = tuple(bits(mask))
        return found


def bits(mask: int) -> list[int]:
    """Where an integer has its ones, in order: its length decides what it costs.

    >>> bits(0b10011)
    [0, 1, 4]
    """
    if mask < 2**64 or mask.bit_count() <= FEW:
        found = []
        while mask:
            low = mask & -mask
            found.append(low.bit_length() - 1)
            mask ^= low
        return found
    raw = np.frombuffer(mask.to_bytes((mask.bit_length() + 7) // 8, "little"), np.uint8)
    full = np.flatnonzero(raw)
    ones = np.unpackbits(raw[full, None], axis=1, bitorder="little")
    return (8 * full[:, None] + np.arange(8))[ones.astype(bool)].tolist()


class _WayBack:
    """Follows words from the end of a program to its beginning, one instruction after the other.

    Each method takes the number of an instruction, and returns whether it can be followed.
    """

    def __init__(self, program: Program, words: Iterable[Word]) -> None:
        self.program, self.read, self.columns = program, _Places(), _Columns()
        self.x, self.z, self.controls = program.x.tolist(), program.z.tolist(), program.controls.tolist()
        for word in words:
            self.columns.append(word)
        self.num_words, self.reserved = self.columns.count, 2 * FREE_BELOW
        self.sees = _Sees(self.num_words)
        self.rotations: list[FramedRotation] = []
        self.preparations: list[int] = []

    def frame(self) -> Frame:
        """What was found."""
        rows, first = self.columns.rows(), self.num_words
        return Frame(rows[:first], self.rotations, rows[first:], self.sees.masks[first:], self.preparations)

    def preparation(self, i: int) -> bool:
        """A state is prepared at the beginning, whatever else comes before on other qubits."""
        self.preparations.append(i)
        return True

    def matrix(self, i: int) -> bool:
        """A Clifford gate, or rotations."""
        program, conditions = self.program, self.read(self.controls[i])
        wires = program.targets[program.target_start[i] : program.target_start[i + 1]].tolist()
        places = (*reversed(wires), *conditions)  # bit 0 of the matrix index is the last target
        entries = program.data[program.data_start[i] : program.data_start[i + 1]].tobytes()
        gate = clifford_of(entries, len(conditions))
        if gate is not None:
            self.columns.conjugate(gate, places)
            return True
        turns = turns_of(entries, len(conditions))
        for turn in reversed(turns or ()):
            flips, reads = (tuple(p for k, p in enumerate(places) if mask >> k & 1) for mask in turn[:2])
            self._turn(Word(flips, reads), FramedRotation(None, turn.angle), turn.angle)
        return turns is not None

    def rotation(self, i: int) -> bool:
        """A rotation, under controls multiplied out: prod (1 - Z_c) / 2."""
        x, z, controls = (self.read(masks[i]) for masks in (self.x, self.z, self.controls))
        if len(controls) > MOST_CONTROLS:
            return False
        program = self.program
        terms = slice(program.term_start[i], program.term_start[i + 1])
        is_constant = not (program.term_a[terms].any() or program.term_b[terms].any())
        angle = float(program.term_coefficient[terms].sum()) if is_constant else None
        for subset in range(1 << len(controls)):
            chosen = tuple(c for k, c in enumerate(controls) if subset >> k & 1)
            scale = (-1.0 if len(chosen) & 1 else 1.0) / (1 << len(controls))
            self._turn(
                Word(x, z + chosen), FramedRotation(i, scale), None if angle is None else angle * scale
            )
        return True

    def _turn(self, word: Word, rotation: FramedRotation, angle: float | None) -> None:
        """A Clifford gate where the angle is a multiple of a right one; else a rotation, kept if a word meets it."""
        if angle is not None:
            quarters = round(angle / (math.pi / 2)) if abs(angle) < 1e6 else 0
            if abs(angle - quarters * (math.pi / 2)) <= ROUNDING:
                self.columns.turn(word, quarters)
                return
        if met := self.columns.anticommuting(word):
            self.sees.add(met)
            self.columns.append(word)
            self.rotations.append(rotation)
            if len(self.rotations) % CHECKED == 0:
                self._reserve()

    def _reserve(self) -> None:
        """Refuse to go on where what is held cannot grow by a quarter: its size depends on where the words lead."""
        held = self.columns.num_bytes + len(self.sees.masks) * self.num_words // 8
        if held > self.reserved:
            count, more = len(self.rotations), max(held // 4, 2 * FREE_BELOW)
            reserve(more, f"following {self.num_words} words past {count} rotations", WAY_OUT)
            self.reserved = held + more


class _Columns:
    """Words side by side: bit j of x[q] and z[q] is what word j does on place q, bit j of `negative` its sign."""

    def __init__(self) -> None:
        self.x: dict[int, int] = {}
        self.z: dict[int, int] = {}
        self.negative = 0
        self.count = 0

    def append(self, word: Word) -> None:
        bit = 1 << self.count
        for columns, places in ((self.x, word.x), (self.z, word.z)):
            for p in places:
                columns[p] = columns.get(p, 0) | bit
        if word.negative:
            self.negative |= bit
        self.count += 1

    def anticommuting(self, word: Word) -> int:
        """The words that do not commute with this one, as a mask."""
        met = 0
        for p in word.x:
            met ^= self.z.get(p, 0)
        for p in word.z:
            met ^= self.x.get(p, 0)
        return met

    def conjugate(self, gate: Clifford, places: Places) -> None:
        """Every word P becomes g^-1 P g."""
        old = [self.x.get(p, 0) for p in places] + [self.z.get(p, 0) for p in places]
        if not any(old):
            return
        for product in gate.signs:
            both = old[product[0]]
            for k in product[1:]:
                both &= old[k]
            self.negative ^= both
        for k, sources in enumerate(gate.sources):
            total = 0
            for source in sources:
                total ^= old[source]
            columns = self.x if k < len(places) else self.z
            columns[places[k % len(places)]] = total

    def turn(self, word: Word, quarters: int) -> None:
        """Every word W becomes g^-1 W g for g = exp(-i quarters pi/4 P): W (-i P)^quarters if it does not commute."""
        quarters &= 3
        met = self.anticommuting(word) if quarters else 0
        if not met:
            return
        if quarters == 2:
            self.negative ^= met
            return
        # W P = i^k W': k is added up letter by letter, modulo 4, in two columns
        low = high = 0
        flips, reads = set(word.x), set(word.z)
        for p in flips | reads:
            x, z = self.x.get(p, 0), self.z.get(p, 0)
            if p not in reads:  # Z X = i Y, Y X = -i Z
                up, down = z & ~x, z & x
            elif p not in flips:  # Y Z = i X, X Z = -i Y
                up, down = x & z, x & ~z
            else:  # X Y = i Z, Z Y = -i X
                up, down = x & ~z, z & ~x
            high ^= (low & up) ^ (~low & down)
            low ^= up | down
        self.negative ^= met & (high if quarters == 1 else ~high)
        for columns, places in ((self.x, word.x), (self.z, word.z)):
            for p in places:
                columns[p] = columns.get(p, 0) ^ met

    @property
    def num_bytes(self) -> int:
        """Of all columns: integers as long as their highest bit."""
        return sum(column.bit_length() for column in (*self.x.values(), *self.z.values())) // 8

    def rows(self) -> list[Word]:
        """The words one by one."""
        places = sum(column.bit_count() for column in (*self.x.values(), *self.z.values()))
        reserve(BYTES_PER_PLACE * places, f"the places of {self.count} words and rotations", WAY_OUT)
        x: list[list[int]] = [[] for _ in range(self.count)]
        z: list[list[int]] = [[] for _ in range(self.count)]
        for columns, lists in ((self.x, x), (self.z, z)):
            for p in sorted(columns):
                for j in bits(columns[p]):
                    lists[j].append(p)
        negative = set(bits(self.negative))
        return [Word(tuple(x[j]), tuple(z[j]), j in negative) for j in range(self.count)]


class _Sees:
    """For each word in turn, which words of the question see it: those that meet it, or meet what it meets."""

    def __init__(self, num_words: int) -> None:
        self.masks = [1 << k for k in range(num_words)]
        self.alike: dict[int, int] = {
            mask: mask for mask in self.masks
        }  # who sees -> the words that they see

    def add(self, met: int) -> None:
        seen = 0
        if met.bit_count() > len(self.alike) <= MOST_ALIKE:
            for mask, members in self.alike.items():
                if members & met:
                    seen |= mask
        else:
            for j in bits(met):
                seen |= self.masks[j]
        if len(self.alike) <= MOST_ALIKE:  # more of them would take more memory than all else
            self.alike[seen] = self.alike.get(seen, 0) | 1 << len(self.masks)
        self.masks.append(seen)
