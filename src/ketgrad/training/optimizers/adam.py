"""Adam: gradient steps with a length of its own for each weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import check_number, check_positive
from ketgrad.training.run import Run


@dataclass(frozen=True)
class Adam:
    """Gradient steps scaled by running means of the gradient and of its square.

    learning_rate: the largest change of a weight per step, about, in radians. Cost: one gradient per step.

    Kingma and Ba 2015, arXiv:1412.6980.

    >>> kg.minimise(lambda w: ((w**2).sum(), 2 * w), [1.0, -2.0], kg.Adam(0.1)).value < 1e-6
    True
    """

    uses_gradients: ClassVar[bool] = True
    needs_exact_loss: ClassVar[str | None] = None

    learning_rate: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epsilon"):
            check_positive(getattr(self, name), name)
        for name in ("beta1", "beta2"):
            _check_decay(getattr(self, name), name)

    def run(self, search: Run, start: np.ndarray, rng: np.random.Generator) -> None:
        """One gradient at `start`, then one per step."""
        weights, mean, square = start, np.zeros_like(start), np.zeros_like(start)
        value, gradient = search.value_and_gradient(weights)
        search.finish_step(weights, value)
        search.check_slope(gradient)
        for t in range(1, search.max_steps + 1):
            mean = self.beta1 * mean + (1 - self.beta1) * gradient
            square = self.beta2 * square + (1 - self.beta2) * gradient**2
            scale = np.sqrt(square / (1 - self.beta2**t)) + self.epsilon
            weights = weights - self.learning_rate * mean / (1 - self.beta1**t) / scale
            value, gradient = search.value_and_gradient(weights)
            search.finish_step(weights, value)


def _check_decay(value: float, name: str) -> None:
    if not 0 <= check_number(value, name) < 1:
        raise KetgradValueError(f"`{name}` must lie in [0, 1), but is {value!r}.")
