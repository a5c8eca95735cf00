"""Losses with noise: where it comes from, and which optimisers can live with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.user_warnings import warn_user
from ketgrad.functions.function import Function
from ketgrad.functions.gradients.rules import is_random
from ketgrad.training.optimizers import OPTIMIZERS, Optimizer, optimizer_named
from ketgrad.training.run import Fit


class Noise(NamedTuple):
    """What makes a loss differ from call to call, as a clause for messages, and whether its values do, too."""

    reason: str
    in_values: bool = True


def noise_of(function: Function) -> Noise | None:
    """The noise of a function's values and derivatives; None if they are exact.

    >>> noise_of(kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), shots=10)).in_values
    True
    """
    if "shots" in function.executor.abilities:
        return Noise("its values are measured with finite shots, anew at every call")
    if is_random(function.gradient):
        return Noise("its gradient is estimated along random directions, anew at every call", in_values=False)
    return None


def optimizer_for(optimizer: Any, noise: Noise | None) -> Optimizer:
    """The optimiser of a loss, where None chooses `LBFGSB()` for an exact one and `Adam()` for one with noise.

    Raises `KetgradValueError` on noise for an optimiser that needs an exact loss, such as L-BFGS-B; warns of one that
    noise misleads, such as COBYLA.

    >>> optimizer_for(None, None), optimizer_for(None, Noise("it is measured")).learning_rate
    (LBFGSB(memory=20, gradient_tolerance=1e-09, bounds=None), 0.05)
    """
    if optimizer is None:
        return OPTIMIZERS["LBFGSB" if noise is None else "Adam"]()
    method = optimizer_named(optimizer)
    needs_exact_loss = getattr(method, "needs_exact_loss", None)
    if noise is not None and needs_exact_loss:
        raise KetgradValueError(
            f"`optimizer` {type(method).__name__} needs the same loss at every step - {needs_exact_loss} - but "
            f"{noise.reason}. Use kg.Adam() or kg.SPSA()."
        )
    misled = getattr(method, "misled_by_noise", None)
    if noise is not None and noise.in_values and misled:
        warn_user(
            f"{type(method).__name__} takes differences between values for structure, but {noise.reason}: {misled}. "
            "kg.SPSA() and kg.Adam() average the noise."
        )
    return method


def by_adam(fit: Fit, noise: Noise) -> Fit:
    """The fit with a reason that says why the default was not L-BFGS-B."""
    return replace(fit, reason=f"{fit.reason} (by Adam, not L-BFGS-B: {noise.reason})")
