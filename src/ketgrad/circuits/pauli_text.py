"""Sums of Pauli words as text, read and written: "0.5 Z0 Z1 - X2"."""

from __future__ import annotations

import cmath
import re

from ketgrad.circuits.pauli_words import LETTERS, Term, letters, product
from ketgrad.foundation.errors import KetgradValueError

_SIGNS = re.compile(r"[\s+-]*")
_GAP = re.compile(r"\s*([*@]?)\s*")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?j?|\([^()]*\)")
_LETTER = re.compile(r"([IXYZ])_?(\d+)")
_BARE_WORD = re.compile(r"[IXYZ]+(?![\d_A-Za-z])")


def read_terms(text: str) -> list[Term]:
    """The terms of a sum, in the order of the text, equal words not yet added.

    >>> read_terms("X0 - 2 X0")
    [(1, 0, (1+0j)), (1, 0, (-2+0j))]
    """
    position, sign, terms, total = 0, 1.0, [], len(text.rstrip())
    if total == 0:
        raise KetgradValueError("`text` must hold at least one Pauli word or number, but is empty.")
    while position < total:
        term, position = _read_term(text, position, sign)
        terms.append(term)
        if position < total:
            if text[position] not in "+-":
                raise _unreadable(text, position)
            sign = 1.0 if text[position] == "+" else -1.0
            position += 1
            if not text[position:].strip():
                raise _unreadable(text, position - 1)
    return terms


def _read_term(text: str, position: int, sign: float) -> tuple[Term, int]:
    """One signed product of numbers and letters from `position`; returns it and the position after it."""
    signs = _SIGNS.match(text, position)
    assert signs is not None
    position = signs.end()
    term: Term = (0, 0, complex(-sign if signs[0].count("-") % 2 else sign))
    is_first = True
    while True:
        gap = _GAP.match(text, position)
        assert gap is not None
        place, is_joined = gap.end(), bool(gap[1])
        if is_joined and is_first:
            raise _unreadable(text, gap.start(1))
        if letter := _LETTER.match(text, place):
            x, z = LETTERS[letter[1]]
            qubit = _qubit(letter[2])
            term, position = product(term, (x << qubit, z << qubit, 1.0)), letter.end()
        elif number := _NUMBER.match(text, place):
            if not (is_first or is_joined):
                raise _unreadable(text, place, "A number stands before its letters, or after a *.")
            term, position = (term[0], term[1], term[2] * _number(text, number)), number.end()
        elif is_joined or is_first:
            raise _unreadable(text, place)
        else:
            return term, place
        is_first = False


def _qubit(digits: str) -> int:
    if len(digits) > 7:
        raise KetgradValueError(f"`text` names qubit {digits[:20]}, but Pauli words take qubits below 10^7.")
    return int(digits)


def _number(text: str, number: re.Match[str]) -> complex:
    try:
        value = complex(number[0].replace(" ", ""))
    except ValueError:
        raise _unreadable(text, number.start()) from None
    if not cmath.isfinite(value):
        raise _unreadable(text, number.start(), "Coefficients are finite.")
    return value


def _unreadable(text: str, position: int, hint: str = "") -> KetgradValueError:
    word = _BARE_WORD.match(text, position)
    if word and not hint:
        places = " ".join(f"{letter}{q}" for q, letter in enumerate(word[0]) if letter != "I") or "I0"
        hint = f"Letters name their qubits: write {places!r} for {word[0]!r} from qubit 0 on."
    return KetgradValueError(
        f"`text` must be a sum of Pauli words such as 'Z0 Z1 - 0.5 X2 + 1', but at character {position + 1} "
        f"stands {text[position : position + 20]!r}.{' ' * bool(hint)}{hint}"
    )


def text_of(terms: tuple[Term, ...]) -> str:
    """The sum of the terms as `Pauli` reads it, to the last bit."""
    if not terms:
        return "0.0"
    pieces = []
    for x, z, coefficient in terms:
        word = " ".join(f"{letter}{qubit}" for qubit, letter in letters(x, z))
        real = not isinstance(coefficient, complex)
        negative = real and coefficient < 0
        shown = repr(-coefficient if negative else coefficient)
        pieces.append((" - " if negative else " + ", f"{shown} {word}".strip()))
    first = ("-" if pieces[0][0] == " - " else "") + pieces[0][1]
    return first + "".join(sign + body for sign, body in pieces[1:])
