"""Losses: the value and the gradient in one call, stable at any size of the outputs.

A loss takes the outputs of a model and the targets, and returns the weighted mean over the samples with its
derivative by the outputs, which is the cotangent that `Function.vjp` asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ketgrad.foundation.arrays import as_array, check_finite
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, check_shape, near_matches, shown

__all__ = ["LOSSES", "cross_entropy", "hinge", "loss_named", "squared"]


def __dir__() -> list[str]:
    return __all__


Loss = Callable[..., tuple[float, np.ndarray]]


def cross_entropy(outputs: Any, targets: Any, sample_weight: Any = None) -> tuple[float, np.ndarray]:
    """Mean of -log softmax(outputs)[target]: the negative log-likelihood of classes given logits, in nats.

    outputs: (n, C) logits. targets: (n,) integers 0 to C - 1. sample_weight: (n,), >= 0; None for ones.
    Returns (value, gradient (n, C)); the value is the mean weighted by `sample_weight`.
    Cost: O(n C). Logits of any size are fine: only differences to the largest of a row are exponentiated.
    Raises `KetgradValueError` for numbers that are not finite, shapes that do not fit,
    classes that do not exist, and bad sample weights.

    Bishop 2006, Pattern Recognition and Machine Learning, section 4.3.4.

    >>> value, gradient = cross_entropy([[0.0, 0.0]], [1])
    >>> round(value, 6), gradient.tolist()
    (0.693147, [[0.5, -0.5]])
    """
    logits, labels, shares = _classes(outputs, targets, sample_weight)
    rows = np.arange(len(logits))
    shifted = logits - logits.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    log_probabilities = shifted - normaliser
    gradient = np.exp(log_probabilities)
    gradient[rows, labels] -= 1.0
    value = float(-shares @ log_probabilities[rows, labels])
    return _checked(value, outputs=logits), gradient * shares[:, None]


def squared(outputs: Any, targets: Any, sample_weight: Any = None) -> tuple[float, np.ndarray]:
    """Mean of (outputs - targets)**2 over the samples and over the K outputs: the mean squared error.

    outputs, targets: (n, K), or both (n,). sample_weight: (n,), not negative; None for ones.
    Returns (value, gradient in the shape of `outputs`). Cost: O(n K).
    Raises `KetgradValueError` for numbers that are not finite, shapes that do not fit and bad sample weights.

    Bishop 2006, Pattern Recognition and Machine Learning, section 3.1.

    >>> squared([1.0, 2.0], [0.0, 2.0])
    (0.5, array([1., 0.]))
    """
    predictions = _real(outputs, "outputs")
    wanted = _real(targets, "targets")
    if predictions.ndim not in (1, 2) or predictions.shape != wanted.shape:
        raise KetgradValueError(
            f"`targets` must have the shape of `outputs`, (n,) or (n, K), but the shapes are "
            f"{wanted.shape} and {predictions.shape}."
        )
    shares = _shares(sample_weight, len(predictions))
    if predictions.ndim == 2:
        shares = shares[:, None] / max(1, predictions.shape[1])
    difference = predictions - wanted
    value = float((shares * difference**2).sum())
    return _checked(value, outputs=predictions, targets=wanted), 2.0 * shares * difference


def hinge(outputs: Any, targets: Any, sample_weight: Any = None) -> tuple[float, np.ndarray]:
    """Mean of max(0, 1 + largest wrong score - right score): the margin loss for any number of classes.

    outputs: (n, C) scores, C >= 2. targets: (n,) integers 0 to C - 1. sample_weight: (n,), not negative.
    Returns (value, gradient (n, C)); where the loss has a corner, one of its subgradients. Cost: O(n C).
    Two classes with scores (-s/2, s/2) give the usual max(0, 1 - y s) with y = -1, +1.
    Raises `KetgradValueError` for numbers that are not finite, shapes that do not fit,
    classes that do not exist, and bad sample weights.

    Crammer and Singer 2001, JMLR 2, 265.

    >>> hinge([[0.2, 0.7], [3.0, 0.0]], [0, 0])
    (0.75, array([[-0.5,  0.5],
           [ 0. ,  0. ]]))
    """
    scores, labels, shares = _classes(outputs, targets, sample_weight)
    if scores.shape[1] < 2:
        raise KetgradValueError(
            "`outputs` must have shape (n, C) with C >= 2 - one score per class - but C is 1."
        )
    rows = np.arange(len(scores))
    right = scores[rows, labels]
    others = scores.copy()
    others[rows, labels] = -np.inf
    rival = others.argmax(axis=1)
    margin = 1.0 + others[rows, rival] - right
    violated = shares * (margin > 0)
    gradient = np.zeros_like(scores)
    gradient[rows, rival] = violated
    gradient[rows, labels] -= violated
    value = float((shares * np.maximum(margin, 0.0)).sum())  # np.maximum lets NaN scores through
    return _checked(value, outputs=scores), gradient


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {"cross_entropy": cross_entropy, "squared": squared, "hinge": hinge}
)


def loss_named(loss: str | Loss) -> Loss:
    """The loss of that name from `LOSSES`; a function passes unchanged.

    Raises `KetgradValueError` with the nearest names for a name that does not exist.

    >>> loss_named("hinge") is hinge
    True
    """
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise KetgradValueError(f"There is no loss {shown(loss)}. {near_matches(str(loss), list(LOSSES))}")
    return LOSSES[loss]


def _classes(outputs: Any, targets: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores = _real(outputs, "outputs")
    check_shape(scores, "outputs", "(n, C)", "one column per class")
    labels = as_array(targets, "targets")
    if labels.dtype.kind not in "iu":
        raise KetgradTypeError(f"`targets` must hold integer class numbers, but has dtype {labels.dtype}.")
    check_shape(labels, "targets", f"({len(scores)},)", "one class number per row of `outputs`")
    wrong = np.flatnonzero((labels < 0) | (labels >= scores.shape[1]))
    if wrong.size:
        raise KetgradValueError(
            f"`targets` must lie in 0 to {scores.shape[1] - 1} - `outputs` has {scores.shape[1]} columns - "
            f"but targets[{wrong[0]}] is {labels[wrong[0]]}."
        )
    return scores, labels, _shares(sample_weight, len(scores))


def _checked(value: float, **arrays: np.ndarray) -> float:
    """The value of a loss, looked into only where it is not finite."""
    if math.isfinite(value):
        return value
    for name, array in arrays.items():
        check_finite(array, name)
    raise KetgradValueError(f"`outputs` must be small enough for a finite loss, but the loss is {value}.")


def _real(values: Any, name: str) -> np.ndarray:
    array = as_array(values, name)
    if array.dtype.kind not in "fiub":
        raise KetgradTypeError(f"`{name}` must hold real numbers, but has dtype {array.dtype}.")
    return array.astype(np.float64, copy=False)


def _shares(sample_weight: Any, num_samples: int) -> np.ndarray:
    """Each sample's share of the mean; the shares sum to 1."""
    if num_samples == 0:
        raise KetgradValueError("`outputs` must hold at least one sample, but has none.")
    if sample_weight is None:
        return np.full(num_samples, 1.0 / num_samples)
    weights = _real(sample_weight, "sample_weight")
    check_shape(weights, "sample_weight", f"({num_samples},)", "one weight per row of `outputs`")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise KetgradValueError(
            f"`sample_weight` must be finite and not negative, but sample_weight[{bad[0]}] is "
            f"{weights[bad[0]]}."
        )
    total = weights.sum()
    if total == 0:
        raise KetgradValueError("`sample_weight` must not be zero everywhere: no sample would count.")
    return weights / total
