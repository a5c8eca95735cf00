"""Shift rules of Fourier sums: which shifts and coefficients give the derivative, for given frequencies."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=1024)
def shift_rule(frequencies: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """The (shift, coefficient) pairs with d/dt E(t) = sum coefficient * E(t + shift) for a Fourier sum E.

    frequencies: the positive frequencies of E in t. Two pairs for each; for the multiples u, 2u, ..., R u of a
    unit the closed form, else the shifts among equidistant ones for which the coefficients are smallest.

    Wierichs et al. 2022, arXiv:2107.12390, eq. (7) and section 3.

    >>> [(round(shift, 6), round(factor, 6)) for shift, factor in shift_rule((1.0,))]
    [(1.570796, 0.5), (-1.570796, -0.5)]
    """
    omega = _distinct(frequencies)
    count = len(omega)
    if count == 0:
        return ()
    odd = 2 * np.arange(count) + 1
    unit = omega[0]
    if np.allclose(omega, unit * np.arange(1, count + 1), rtol=1e-9, atol=0):
        angle = odd * np.pi / (2 * count)
        half = unit * (-1.0) ** np.arange(count) / (4 * count * np.sin(angle / 2) ** 2)
        shifts = angle / unit
    else:
        shifts, half = _smallest_coefficients(omega, odd)
    return tuple(
        (float(sign * s), float(sign * y)) for s, y in zip(shifts, half, strict=True) for sign in (1, -1)
    )


def _distinct(frequencies: tuple[float, ...]) -> np.ndarray:
    """Positive frequencies in order, those that agree to 1e-9 merged."""
    kept: list[float] = []
    for omega in sorted(abs(float(f)) for f in frequencies):
        if omega > 1e-12 and (not kept or omega - kept[-1] > 1e-9 * omega):
            kept.append(omega)
    return np.array(kept)


def _smallest_coefficients(omega: np.ndarray, odd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve 2 sum_k y_k sin(omega_l s_k) = omega_l on scaled equidistant shifts; keep the smallest sum |y|."""
    gap = float(np.diff(np.concatenate([[0.0], omega])).min())
    scales = np.geomspace(np.pi / omega[-1] / 2, 2 * np.pi / gap, 600 if len(odd) <= 8 else 60)
    shifts = scales[:, None] * odd / (2 * len(odd))
    matrices = 2 * np.sin(omega[None, :, None] * shifts[:, None, :])
    regular = np.linalg.cond(matrices) < 1e12
    shifts, matrices = shifts[regular], matrices[regular]
    targets = np.broadcast_to(omega, shifts.shape)[..., None]
    halves = np.linalg.solve(matrices, targets)[..., 0]
    best = int(np.argmin(np.abs(halves).sum(axis=1)))
    return shifts[best], halves[best]
