"""SPSA: two values per step, whatever the number of weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ketgrad.foundation.numbers import check_number, check_positive
from ketgrad.training.run import Run

FASTEST_DECAY = 10.0  # of the steps; Spall's theory ends at 1


@dataclass(frozen=True)
class SPSA:
    """Steps along one random direction at a time: two values per step whatever the number of weights.

    For losses without gradients or with noise. perturbation: the distance of the first two values.
    learning_rate: the factor a of the step length a / (step + stability)**alpha; None finds the one that lets
    the first step change each weight by `first_step` radians, from 25 random directions (50 evaluations).
    stability: None is a tenth of the steps. Decays alpha and gamma as Spall recommends.

    Spall 1998, doi:10.1109/7.705889; calibration as Kandala et al. 2017, arXiv:1704.05018.

    >>> fit = kg.minimise(lambda w: np.sin(w).sum(), [0.3, 0.1], kg.SPSA(), max_steps=300, seed=1)
    >>> abs(fit.value + 2) < 1e-3
    True
    """

    uses_gradients: ClassVar[bool] = False
    needs_exact_loss: ClassVar[str | None] = None

    learning_rate: float | None = None
    perturbation: float = 0.1
    first_step: float = 0.2
    stability: float | None = None
    alpha: float = 0.602
    gamma: float = 0.101

    def __post_init__(self) -> None:
        for name in ("perturbation", "first_step", "alpha", "gamma"):
            check_positive(getattr(self, name), name)
        for name in ("alpha", "gamma"):
            check_number(getattr(self, name), name, 0.0, FASTEST_DECAY)
        if self.learning_rate is not None:
            check_positive(self.learning_rate, "learning_rate")
        if self.stability is not None:
            check_number(self.stability, "stability", 0.0)

    def run(self, search: Run, start: np.ndarray, rng: np.random.Generator) -> None:
        """The value at `start`, then two values per step, and the value of the last point."""
        stability = search.max_steps / 10 if self.stability is None else self.stability
        search.finish_step(start, search.value(start))
        rate = self.learning_rate or self._calibrated(search, start, rng, stability)
        weights = start
        for step in range(search.max_steps):
            distance = self.perturbation / (step + 1) ** self.gamma
            slope, direction, mean = self._slope(search, weights, rng, distance)
            weights = weights - rate / (step + 1 + stability) ** self.alpha * slope * direction
            if step == search.max_steps - 1:
                search.value(weights)
            search.finish_step(weights, mean)

    def _slope(
        self, search: Run, weights: np.ndarray, rng: np.random.Generator, distance: float
    ) -> tuple[float, np.ndarray, float]:
        direction = rng.choice([-1.0, 1.0], size=weights.size)
        up = search.value(weights + distance * direction)
        down = search.value(weights - distance * direction)
        return (up - down) / (2 * distance), direction, (up + down) / 2

    def _calibrated(
        self, search: Run, start: np.ndarray, rng: np.random.Generator, stability: float
    ) -> float:
        slopes = [abs(self._slope(search, start, rng, self.perturbation)[0]) for _ in range(25)]
        typical = float(np.mean(slopes))
        if typical == 0.0:
            search.stop_flat("no random change of the weights changes the loss")
        return self.first_step * (1 + stability) ** self.alpha / typical
