"""The contestants: what one is, the classical ones, the quantum ones with their twins, and the table of them all."""

from ketgrad.referee.contest.contestants.classical import CLASSICAL
from ketgrad.referee.contest.contestants.contestant import Contestant, Facts
from ketgrad.referee.contest.contestants.quantum import MOST_COLUMNS_PER_QUBIT, QUANTUM

CONTESTANTS = (*CLASSICAL, *QUANTUM)
MOST_CANDIDATES = max(len(contestant.settings) for contestant in CONTESTANTS)

__all__ = [
    "CLASSICAL",
    "CONTESTANTS",
    "MOST_CANDIDATES",
    "MOST_COLUMNS_PER_QUBIT",
    "QUANTUM",
    "Contestant",
    "Facts",
]
