"""What vectors of bits span: the basis states that flips lead to, numbered by as few bits as are independent."""

from __future__ import annotations


class Span:
    """The sums modulo 2 of the vectors that were added; a vector is an integer.

    >>> span = Span()
    >>> [span.add(vector) for vector in (0b110, 0b011, 0b101)]
    [True, True, False]
    >>> span.rank, span.coordinates(0b101), span.coordinates(0b100)
    (2, 2, None)
    """

    def __init__(self) -> None:
        self._leading: dict[int, int] = {}  # the length of a vector -> the vector
        self._basis: list[tuple[int, int]] | None = None

    @property
    def rank(self) -> int:
        """How many of the vectors are independent."""
        return len(self._leading)

    def add(self, vector: int) -> bool:
        """Whether the vector was outside until now."""
        while vector:
            known = self._leading.get(vector.bit_length())
            if known is None:
                self._leading[vector.bit_length()] = vector
                self._basis = None
                return True
            vector ^= known
        return False

    @property
    def basis(self) -> list[tuple[int, int]]:
        """(place, vector) by rising place: the vectors of a basis, each the only one that has a 1 at its place."""
        if self._basis is None:
            found: list[tuple[int, int]] = []
            for length, vector in sorted(self._leading.items()):
                for place, lower in found:
                    if vector >> place & 1:
                        vector ^= lower
                found.append((length - 1, vector))
            self._basis = found
        return self._basis

    def coordinates(self, vector: int) -> int | None:
        """Which vectors of the basis add up to this one, as a mask; None if it lies outside."""
        found = 0
        for k, (place, known) in enumerate(self.basis):
            if vector >> place & 1:
                found |= 1 << k
                vector ^= known
        return None if vector else found

    def outside(self, vector: int) -> int:
        """What is left of a vector when vectors of the basis take away all that they can."""
        for place, known in self.basis:
            if vector >> place & 1:
                vector ^= known
        return vector

    def signs(self, reads: int) -> int:
        """On which vectors of the basis a product of Zs at these places is -1, as a mask.

        >>> span = Span()
        >>> span.add(0b11), span.signs(0b01), span.signs(0b11)
        (True, 1, 0)
        """
        return sum(((vector & reads).bit_count() & 1) << k for k, (_, vector) in enumerate(self.basis))

    def is_constant(self, reads: int) -> bool:
        """Whether a product of Zs at these places has one sign on all that is spanned."""
        return not any((vector & reads).bit_count() & 1 for vector in self._leading.values())
