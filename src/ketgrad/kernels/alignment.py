"""How well a Gram matrix tells classes apart, and the training of a kernel by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ketgrad.foundation.arrays import as_array, check_finite, real_array
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.kernels.fidelity import FidelityKernel


def target_alignment(gram: Any, labels: Any) -> tuple[float, np.ndarray]:
    """How well a Gram matrix tells classes apart: <K, T> / (|K| |T|), in [-1, 1], and its derivative by K.

    gram: (n, n). labels: (n,) of any kind, at least two classes; T is 1 for two rows of one class and -1 / (C - 1)
    for rows of different classes, which for two classes is y y^T with y = -1, +1. Norms are those of Frobenius.
    Returns (value, gradient (n, n)). Cost: O(n^2).
    Raises `KetgradValueError` for shapes that do not fit, a single class, and a matrix of zeros.

    Cristianini et al. 2001, On kernel-target alignment, NIPS 14; for quantum kernels Hubregtsen et al. 2021,
    arXiv:2105.02276.

    >>> round(target_alignment([[1.0, 0.0], [0.0, 1.0]], ["a", "b"])[0], 6)
    0.707107
    """
    matrix = real_array(gram, "gram").astype(np.float64, copy=False)
    check_finite(matrix, "gram")
    names = as_array(labels, "labels")
    if names.dtype.kind == "f":
        check_finite(names, "labels")
    if names.ndim != 1 or matrix.shape != (len(names), len(names)):
        raise KetgradValueError(
            f"`gram` must have shape (n, n) and `labels` (n,), but the shapes are {matrix.shape} and {names.shape}."
        )
    try:
        classes, codes = np.unique(names, return_inverse=True)
    except TypeError:
        raise KetgradTypeError(
            "`labels` must be of one kind - they are sorted - but are of several."
        ) from None
    if len(classes) < 2:
        raise KetgradValueError(f"`labels` must name at least two classes, but names {len(classes)}.")
    target = np.where(codes[:, None] == codes, 1.0, -1.0 / (len(classes) - 1))
    size = float(np.linalg.norm(matrix))
    if not size > 0:
        raise KetgradValueError("`gram` must not be zero everywhere - it has no direction to compare.")
    target /= np.linalg.norm(target)
    value = float(np.vdot(matrix, target)) / size
    return value, (target - value * matrix / size) / size


def alignment_loss(
    kernel: FidelityKernel, X: Any, labels: Any
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The loss weights -> (-alignment, gradient) of a kernel with weights, for `kg.minimise`: a trained kernel.

    kernel: its circuit has weights, whose numbers do not matter. X: (n, num_inputs). labels: as in
    `target_alignment`. Cost of a call: that of `FidelityKernel.vjp` and one Gram matrix.

    Hubregtsen et al. 2021, arXiv:2105.02276.

    >>> kernel = FidelityKernel(kg.Circuit([kg.ry(kg.w[0] * kg.x[0], 0)]), weights=[0.1])
    >>> loss = alignment_loss(kernel, [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> fit = kg.minimise(loss, kernel.weights, kg.LBFGSB())
    >>> round(-loss([0.1])[0], 3), round(-fit.value, 3)
    (0.005, 0.463)
    """
    if not isinstance(kernel, FidelityKernel):
        raise KetgradTypeError(f"`kernel` must be a kg.FidelityKernel, but is {shown(kernel)}.")

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        current = kernel.with_weights(weights)
        value, slope = target_alignment(current(X), labels)
        return -value, -current.vjp(X, None, slope).dweights

    return loss
