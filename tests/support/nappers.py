"""Contestants that learn nothing and nap, for tests of what surrounds a comparison."""

from __future__ import annotations

import os
import signal
import time

from sklearn.dummy import DummyClassifier

from ketgrad.referee.contest.contestants import CLASSICAL, Contestant


class Napping(DummyClassifier):
    """Predicts the commonest class after a nap; killed in it, once, if there is a file `kill-me` in the folder."""

    def __init__(self, seconds: float = 0.0, random_state: int = 0) -> None:
        super().__init__(random_state=random_state)
        self.seconds = seconds

    def fit(self, X, y, sample_weight=None):
        time.sleep(self.seconds)
        try:
            os.unlink("kill-me")
        except FileNotFoundError:
            return super().fit(X, y)
        os.kill(os.getpid(), signal.SIGKILL)


def contestants(seconds: float = 0.0) -> tuple[Contestant, ...]:
    """A guess, two classical models and a quantum one."""

    def build(settings, facts):
        return Napping(seconds, facts.random_state)

    named = (("early", "classical"), ("late", "classical"), ("odd", "quantum"))
    return CLASSICAL[0], *(
        Contestant(name, (name, name), family, "naps", "", ({},), build) for name, family in named
    )
