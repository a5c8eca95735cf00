"""Exact answers of a sampler: probabilities where Qiskit's own results hold shots, with the same ways to read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from qiskit.primitives import SamplerPubResult

from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.functions.builders import probabilities
from ketgrad.functions.function import Function

WHOLE = 2**53  # exact counts are out of this many: as fine as a float


@dataclass(frozen=True, eq=False)
class ExactBits:
    """The exact probabilities of a classical register, in place of a `BitArray` of shots.

    outcomes: (..., 2**m) of the m measured qubits of the circuit, the first of them the most significant bit.
    places: for each bit of the register which of those qubits it reads; None for one that is always 0.
    `num_shots` is None; counts are probabilities out of 2**53, rounded, so that code which divides them by their
    total has the probabilities to the last digits.

    >>> bits = ExactBits(np.array([0.25, 0.75]), (0, None))
    >>> bits.get_probabilities(), bits.num_bits
    ({'00': 0.25, '01': 0.75}, 2)
    """

    outcomes: np.ndarray
    places: tuple[int | None, ...]

    num_shots = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the parameter values."""
        return self.outcomes.shape[:-1]

    @property
    def ndim(self) -> int:
        """The number of its axes."""
        return self.outcomes.ndim - 1

    @property
    def size(self) -> int:
        """The number of parameter sets."""
        return int(np.prod(self.shape, dtype=np.intp))

    @property
    def num_bits(self) -> int:
        """The bits of the register."""
        return len(self.places)

    def __getitem__(self, index: Any) -> ExactBits:
        return ExactBits(
            self.outcomes[(*index, Ellipsis) if isinstance(index, tuple) else index], self.places
        )

    def slice_bits(self, indices: int | Sequence[int]) -> ExactBits:
        """The register of some of the bits; the first of `indices` becomes bit 0."""
        chosen = [indices] if isinstance(indices, int) else list(indices)
        outside = [k for k in chosen if not 0 <= k < self.num_bits]
        if outside:
            raise KetgradValueError(
                f"`indices` must be from 0 to {self.num_bits - 1}, but one is {outside[0]}."
            )
        return ExactBits(self.outcomes, tuple(self.places[k] for k in chosen))

    def get_probabilities(self, loc: int | tuple[int, ...] | None = None) -> Any:
        """bit string -> probability, at one place; without `loc` an array of those, or the one there is."""
        if loc is not None:
            return self[loc].get_probabilities()
        kept, table = self._marginal()
        names = [self._label(kept, outcome) for outcome in range(table.shape[-1])]
        result = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            row = table[index].tolist()
            result[index] = {name: chance for name, chance in zip(names, row, strict=True) if chance > 0}
        return result[()]

    def get_counts(self, loc: int | tuple[int, ...] | None = None) -> dict[str, int]:
        """bit string -> count out of 2**53, at one place; without `loc` summed over all places."""
        if loc is not None:
            return self[loc].get_counts()
        kept, table = self._marginal()
        counts = np.rint(table * WHOLE).astype(np.int64).reshape(-1, table.shape[-1])
        totals = counts.astype(object).sum(axis=0).tolist() if len(counts) else []
        return {self._label(kept, outcome): int(total) for outcome, total in enumerate(totals) if total}

    def get_int_counts(self, loc: int | tuple[int, ...] | None = None) -> dict[int, int]:
        """As `get_counts`, with the bit strings as integers."""
        return {int(bits, 2): count for bits, count in self.get_counts(loc).items()}

    def _marginal(self) -> tuple[tuple[int, ...], np.ndarray]:
        """The qubits that the register reads, and the probabilities of their outcomes."""
        count = self.outcomes.shape[-1].bit_length() - 1
        kept = tuple(sorted({place for place in self.places if place is not None}))
        spread = self.outcomes.reshape((*self.shape, *(2,) * count))
        left_out = tuple(self.ndim + k for k in range(count) if k not in kept)
        return kept, spread.sum(axis=left_out).reshape((*self.shape, 2 ** len(kept)))

    def _label(self, kept: Sequence[int], outcome: int) -> str:
        """The bits of the register, the last first as Qiskit writes them."""
        bit = {place: str(outcome >> (len(kept) - 1 - k) & 1) for k, place in enumerate(kept)}
        return "".join("0" if place is None else bit[place] for place in reversed(self.places))


class ExactResult(SamplerPubResult):
    """A sampler's result whose registers are `ExactBits`."""

    def join_data(self, names: Iterable[str] | None = None) -> Any:
        """The registers as one; the first has the lowest bits."""
        chosen = list(self.data) if names is None else list(names)
        unknown = [name for name in chosen if name not in self.data]
        if unknown or not chosen:
            raise KetgradValueError(
                f"`names` must name registers of the result, which are {', '.join(self.data) or 'none'}, but is "
                f"{chosen}."
            )
        registers = [self.data[name] for name in chosen]
        return ExactBits(registers[0].outcomes, tuple(place for one in registers for place in one.places))


@lru_cache(maxsize=128)
def probabilities_function(
    circuit: Circuit, qubits: tuple[int, ...], executor: Any, dtype: Any, threads: int | None
) -> Function:
    """The function (parameters) -> probabilities of all outcomes; compiled once."""
    return probabilities(circuit, qubits, executor=executor, dtype=dtype, threads=threads)
