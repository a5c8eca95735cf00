"""Random streams by counters: the same seed and counters give the same bits on any thread, in any order."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError

Seed = int | np.random.SeedSequence | np.random.Generator | None


def stream(seed: Any, *counters: int) -> np.random.Generator:
    """A generator that is fixed by `seed` and `counters` alone; streams of different counters are independent.

    seed: None (fresh entropy), a non-negative integer of any size, a SeedSequence, a Generator (one draw of
    it makes the seed, so its state advances), or a RandomState. NumPy's global generator is never read.
    Raises `KetgradTypeError` or `KetgradValueError` for anything else, booleans included.

    Salmon et al. 2011, doi:10.1145/2063384.2063405 (Philox).

    >>> (
    ...     bool(stream(7, 2).random() == stream(7, 2).random()),
    ...     bool(stream(7, 2).random() == stream(7, 3).random()),
    ... )
    (True, False)
    """
    root = check_seed(seed)
    child = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *counters))
    return np.random.Generator(np.random.Philox(child))


def numbered_stream(seed: Any, number: int, *counters: int) -> np.random.Generator:
    """The generator of one call among many under a seed; number 0 gives the bits of `stream(seed, *counters)`.

    Calls lie 2^128 draws apart on Philox's counter of 256 bits, so no two of them share a draw, and none is that of
    a seed that was spawned from this one. number: not negative.

    >>> draws = [numbered_stream(7, number).integers(100) for number in (0, 1, 1)]
    >>> bool(draws[0] == stream(7).integers(100)), bool(draws[1] == draws[2]), bool(draws[0] == draws[1])
    (True, True, False)
    """
    generator = stream(seed, *counters)
    if number:
        generator.bit_generator.advance(number << 128)  # type: ignore[attr-defined]
    return generator


def check_seed(seed: Any) -> np.random.SeedSequence:
    """The `SeedSequence` of a seed in any of the documented forms.

    >>> check_seed(5).entropy
    5
    """
    if seed is None:
        return np.random.SeedSequence()
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence(int(seed.integers(2**63)))
    if isinstance(seed, np.random.RandomState):
        return np.random.SeedSequence(int(seed.randint(2**31 - 1)))
    if isinstance(seed, bool | np.bool_):
        raise KetgradTypeError(f"`seed` must be None or a non-negative integer, but is the boolean {seed}.")
    try:
        number = operator.index(seed)
    except TypeError:
        raise KetgradTypeError(
            f"`seed` must be None, a non-negative integer, a SeedSequence or a Generator, but is {seed!r}."
        ) from None
    if number < 0:
        raise KetgradValueError(f"`seed` must not be negative, but is {number}.")
    return np.random.SeedSequence(number)


def fixed_seed(seed: Any) -> Any:
    """A seed without a state of its own: None, an integer or a SeedSequence.

    >>> fixed_seed(np.int64(3))
    3
    """
    if isinstance(seed, np.random.Generator | np.random.RandomState):
        raise KetgradTypeError(
            "`seed` must be None, an integer or a SeedSequence - a function is compared and saved with it - but is "
            f"a {type(seed).__name__}. Every call draws fresh noise under an integer too."
        )
    check_seed(seed)
    return int(seed) if isinstance(seed, np.integer) else seed


def seed_content(seed: Any) -> Any:
    """What two seeds are compared by: equal for two SeedSequences that give the same bits.

    >>> seed_content(np.random.SeedSequence(1)) == seed_content(np.random.SeedSequence(1)), seed_content(5)
    (True, 5)
    """
    if not isinstance(seed, np.random.SeedSequence):
        return seed
    entropy = seed.entropy
    return (
        tuple(entropy) if isinstance(entropy, Sequence | np.ndarray) else entropy,
        seed.spawn_key,
        seed.pool_size,
    )
