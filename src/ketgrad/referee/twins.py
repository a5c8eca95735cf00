"""The quantum contestants and their twins: the same circuit, settings and random numbers without entanglers."""

from __future__ import annotations

from ketgrad.referee.baselines import CLASSICAL, Contestant

QUANTUM: tuple[Contestant, ...] = ()
CONTESTANTS = (*CLASSICAL, *QUANTUM)
