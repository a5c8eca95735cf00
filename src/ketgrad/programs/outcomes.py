"""Measured bits of a wide register, from as few qubits as its rotations move: the others are coins or are known.

Every measured Z, pulled back through the Clifford gates, is a word, and all of these commute. A word that flips what
no rotation reaches is a fair coin, whatever else is measured; times words that are coins as well it may become one
that the rotations reach. Those that are left are turned into products of Zs on the qubits of the part.

Aaronson and Gottesman 2004, arXiv:quant-ph/0406196, for the coins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ketgrad.foundation.memory import reserve
from ketgrad.programs.frame import Frame, Word, bits, pulled_back
from ketgrad.programs.program import Program
from ketgrad.programs.reduced import Basis, Turned, moved, program_of
from ketgrad.programs.word_cones import MOST_QUBITS, Cones, Unit

NARROW = 20  # qubits of registers on which everything is simulated: too few for anything to be gained


class Sign(NamedTuple):
    """A product of flips and reads with a power of i: i^power X^x Z^z."""

    x: int
    z: int
    power: int

    def times(self, other: Sign) -> Sign:
        """The product."""
        crossed = 2 * (self.z & other.x).bit_count()
        return Sign(self.x ^ other.x, self.z ^ other.z, (self.power + other.power + crossed) & 3)

    @property
    def negative(self) -> bool:
        """Whether it is minus the word i^|x & z| X^x Z^z; it is Hermitian."""
        return bool(self.power - (self.x & self.z).bit_count() & 2)


class Outcomes(NamedTuple):
    """Measured bits as sums modulo 2 of what is measured of a part, of fair coins, and of a constant.

    program: of the part, asking for the `Probabilities` of the bits that are read. weights, inputs: the columns of the
    whole that it takes. read, coins, constant: for each measured qubit which bits of the part's outcome (bit 0 the
    least significant) and which coins add up to its bit, and whether 1 is added. num_coins: how many there are.
    factor: what the probabilities are to be multiplied by. cone: qubits of the register that are seen.
    """

    program: Program
    weights: tuple[int, ...]
    inputs: tuple[int, ...]
    read: tuple[int, ...]
    coins: tuple[int, ...]
    constant: tuple[bool, ...]
    num_coins: int
    factor: float
    cone: int


def outcomes(program: Program, measured: list[int]) -> Outcomes | None:
    """How the bits at some places of the register come about.

    None if a matrix is too large to be followed, or the state that is left for any executor.
    """
    frame = pulled_back(program, [Word((), (place,)) for place in measured])
    if frame is None:
        return None
    cones = Cones(program, frame)
    groups, words = range(len(cones.groups)), tuple(range(len(measured)))
    unit = Unit(cones, words, frozenset(groups), cones.prepared(words, groups))
    if unit.rank > MOST_QUBITS:
        return None
    basis = Basis(unit)
    kept, coins, num_coins = _without_coins(frame, basis)
    turns, read = _diagonal(kept)
    content, weights, inputs = moved(program, unit, basis)
    content = content._replace(turned=(*content.turned, *turns))
    places = bits(_union(mask for mask, _ in read))
    part = program_of(content, tuple(reversed(places)))
    new_place = {place: k for k, place in enumerate(places)}
    return Outcomes(
        part,
        weights,
        inputs,
        tuple(sum(1 << new_place[p] for p in bits(mask)) for mask, _ in read),
        tuple(coins),
        tuple(negative for _, negative in read),
        num_coins,
        cones.preparations.factor(unit.prepared),
        len(basis.index),
    )


def of_register(program: Program) -> Outcomes | None:
    """How the bits of all qubits come about, the first qubit first; None where nearly all of them are simulated anyhow.

    Kept with the program. Raises `KetgradMemoryError` for registers that are too wide to be followed.
    """
    size = program.num_qubits

    def make() -> tuple[Outcomes | None]:
        found = outcomes(program, [*reversed(range(size))])
        return (None if found is None or found.program.num_qubits + 1 >= size else found,)

    if size <= NARROW:
        return None
    reserve(
        size * size // 2, f"following {size} measured qubits", "Measure some of them with kg.probabilities."
    )
    return program.derived("outcomes of the register", make)[0]


def assembled(found: Outcomes, measured: np.ndarray, coins: np.ndarray) -> np.ndarray:
    """Outcomes of the register from those of the part, any shape, and coins (..., num_coins): the same shape.

    uint64 up to 64 qubits, beyond that Python's own integers. Cost: shots * qubits * (qubits of the part + coins).
    """
    size, places = len(found.read), len(found.program.measured)
    flat = measured.reshape(-1, 1)
    known = (flat >> np.arange(places, dtype=np.uint64) & np.uint64(1)).astype(np.float32)
    parity = known @ _matrix(found.read, places)
    if found.num_coins:
        parity += coins.reshape(len(flat), -1).astype(np.float32) @ _matrix(found.coins, found.num_coins)
    bits_of = (parity.astype(np.int64) + np.array(found.constant, np.int64) & 1).astype(np.uint8)
    packed = np.packbits(np.pad(bits_of, ((0, 0), (-size % 8, 0))), axis=1)
    whole = [int.from_bytes(row.tobytes(), "big") for row in packed]
    return np.array(whole, np.uint64 if size <= 64 else object).reshape(measured.shape)


def _matrix(masks: tuple[int, ...], rows: int) -> np.ndarray:
    """(rows, masks): 1 where the mask has the bit; sums of so few ones are exact in float32."""
    reserve(
        4 * rows * len(masks), f"the sums of {len(masks)} measured bits", "Measure fewer qubits at a time."
    )
    matrix = np.zeros((rows, len(masks)), np.float32)
    for k, mask in enumerate(masks):
        matrix[bits(mask), k] = 1
    return matrix


def table(found: Outcomes) -> np.ndarray:
    """(coins, outcomes of the part): to which outcome of all measured qubits each of them leads."""
    size = len(found.read)
    part = np.arange(2 ** len(found.program.measured))
    coins = np.arange(2**found.num_coins)
    result = np.zeros((len(coins), len(part)), np.int64)
    for k, (read, tossed, constant) in enumerate(zip(found.read, found.coins, found.constant, strict=True)):
        bit = (np.bitwise_count(part & read) & 1) ^ (np.bitwise_count(coins & tossed) & 1)[:, None] ^ constant
        result |= bit.astype(np.int64) << (size - 1 - k)
    return result


def _without_coins(frame: Frame, basis: Basis) -> tuple[list[Sign], list[int], int]:
    """The words that the rotations reach, on the qubits of the part, the coins that add to each, and their number.

    A word that is nothing but coins leaves the identity.
    """
    kept: list[Sign] = []
    coins: list[int] = []
    tossed: dict[
        int, tuple[int, Sign, int]
    ] = {}  # length of what is left of the flips -> that, the word, its coin
    for word in frame.words:
        x, z = basis.mask(word.x), basis.mask(word.z)
        one, mask = Sign(x, z, ((x & z).bit_count() + 2 * word.negative) & 3), 0
        rest = basis.span.outside(one.x)
        while rest and (known := tossed.get(rest.bit_length())):
            rest, one, mask = rest ^ known[0], one.times(known[1]), mask ^ known[2]
        if rest:
            coin = 1 << len(tossed)
            tossed[rest.bit_length()] = rest, one, coin
            mask ^= coin
            one = Sign(0, 0, 0)
        x, z, sign = basis.narrowed(one.x, one.z, one.negative)
        kept.append(Sign(x, z, ((x & z).bit_count() + 2 * (sign < 0)) & 3))
        coins.append(mask)
    return kept, coins, len(tossed)


def _diagonal(words: list[Sign]) -> tuple[list[Turned], list[tuple[int, bool]]]:
    """Right angles that turn commuting words into products of Zs, and these: (mask, whether it is negative).

    exp(-i pi/4 Q) with Q = i Z_p V turns V into Z_p, and leaves alone what commutes with both.
    """
    turns: list[tuple[Sign, Turned]] = []
    found: list[tuple[int, bool]] = []
    for word in words:
        for generator, _ in turns:
            if ((word.x & generator.z).bit_count() + (word.z & generator.x).bit_count()) & 1:
                word = Sign(0, 0, 3).times(generator).times(word)
        if word.x:
            place = Sign(0, word.x & -word.x, 0)
            generator = Sign(0, 0, 1).times(place).times(word)
            angle = -math.pi / 2 if generator.negative else math.pi / 2
            turns.append((generator, Turned(generator.x, generator.z, ((angle, 0, 0),))))
            word = place
        found.append((word.z, word.negative))
    return [turn for _, turn in turns], found


def _union(masks: Iterable[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total
