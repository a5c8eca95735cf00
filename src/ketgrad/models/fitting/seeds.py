"""What is drawn under the random state of a model, each from a stream of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ketgrad.functions.function import Function

BEGINNING, BATCHES, SEARCH, TRAINING, PREDICTION, DIRECTIONS = range(6)


def child(seed: np.random.SeedSequence, counter: int) -> int:
    """One of the seeds under a seed, as a number of 128 bits: functions and kernels are compared and saved with it.

    >>> child(np.random.SeedSequence(7), PREDICTION) == child(np.random.SeedSequence(7), PREDICTION)
    True
    """
    words = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, counter)).generate_state(4)
    return int.from_bytes(words.astype("<u4").tobytes(), "little")


def with_seed(function: Function, seed: np.random.SeedSequence, counter: int) -> Function:
    """The function with measurements of its own stream; one that measures nothing passes unchanged."""
    return (
        replace(function, seed=child(seed, counter)) if "shots" in function.executor.abilities else function
    )
