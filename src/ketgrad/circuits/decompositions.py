"""Matrices and states as sequences of ry, rz, cx and gphase: the way of an arbitrary unitary into OpenQASM.

A step is (name, angle or None, local qubits). First in time comes first; qubit 0 is the most significant bit.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Step = tuple[str, float | None, tuple[int, ...]]


def of_unitary(matrix: np.ndarray) -> list[Step]:
    """The steps whose product is `matrix`, shape (2**k, 2**k), global phase included.

    Quantum Shannon decomposition: a cosine-sine decomposition splits off the first qubit, the two blocks on
    each side share their eigenvectors, and what remains are four matrices of half the size. About 4**k steps,
    accurate to rounding. Shende, Bullock and Markov 2006, arXiv:quant-ph/0406176.

    >>> of_unitary(np.diag([-1j, 1j]))
    [('rz', 3.141592653589793, (0,))]
    """
    qubits = tuple(range(len(matrix).bit_length() - 1))
    steps, phase = _shannon(np.asarray(matrix, dtype=np.complex128), qubits)
    return steps + _phase(phase)


def of_state(amplitudes: np.ndarray) -> list[Step]:
    """The steps that take |0...0> to the state with the given amplitudes, shape (2**k,), norm 1.

    Magnitudes by controlled ry from the first qubit on, then phases by controlled rz from the last qubit on.
    About 2**(k + 2) steps. Mottonen et al. 2005, arXiv:quant-ph/0407010.

    >>> of_state(np.array([0.0, 1.0]))
    [('ry', 3.141592653589793, (0,))]
    """
    num_qubits = len(amplitudes).bit_length() - 1
    weights = [np.abs(amplitudes)]
    for _ in range(num_qubits):
        weights.append(np.hypot(weights[-1][0::2], weights[-1][1::2]))
    steps: list[Step] = []
    for level, norms in enumerate(reversed(weights[:-1])):
        steps += _multiplexed("ry", 2 * np.arctan2(norms[1::2], norms[0::2]), level, tuple(range(level)))
    phases = np.where(np.abs(amplitudes) > 0, np.angle(amplitudes), 0.0)
    for level in reversed(range(num_qubits)):
        steps += _multiplexed("rz", phases[1::2] - phases[0::2], level, tuple(range(level)))
        phases = (phases[0::2] + phases[1::2]) / 2
    return steps + _phase(float(phases[0]))


def _phase(phase: float) -> list[Step]:
    phase = math.remainder(phase, math.tau)
    return [("gphase", phase, ())] if abs(phase) > 1e-15 else []


def _shannon(matrix: np.ndarray, qubits: tuple[int, ...]) -> tuple[list[Step], float]:
    if not qubits:
        return [], cmath.phase(matrix[0, 0])
    if len(qubits) == 1:
        return _euler(matrix, qubits[0])
    from scipy.linalg import cossin  # loads in tens of milliseconds, and only who exports matrices needs it

    half = len(matrix) // 2
    parts: Any = cossin(matrix, p=half, q=half, separate=True)
    (u0, u1), angles, (v0, v1) = parts
    before, phase_before = _two_blocks(v0, v1, qubits)
    after, phase_after = _two_blocks(u0, u1, qubits)
    middle = _multiplexed("ry", 2 * angles, qubits[0], qubits[1:])
    return before + middle + after, phase_before + phase_after


def _two_blocks(a: np.ndarray, b: np.ndarray, qubits: tuple[int, ...]) -> tuple[list[Step], float]:
    """a where the first qubit is 0, b where it is 1: a = V D W and b = V D* W, from a b* = V D^2 V*."""
    from scipy.linalg import schur

    schur_form: Any = schur(a @ b.conj().T, output="complex")  # of a normal matrix: diagonal up to rounding
    triangle, v = schur_form
    halves = np.angle(np.diag(triangle)) / 2
    w = np.exp(1j * halves)[:, None] * v.conj().T @ b
    before, phase_before = _shannon(w, qubits[1:])
    after, phase_after = _shannon(v, qubits[1:])
    return before + _multiplexed("rz", -2 * halves, qubits[0], qubits[1:]) + after, phase_before + phase_after


def _euler(matrix: np.ndarray, qubit: int) -> tuple[list[Step], float]:
    """matrix = exp(i phase) rz(after) ry(middle) rz(before)."""
    phase = cmath.phase(np.linalg.det(matrix)) / 2
    special = matrix * cmath.exp(-1j * phase)
    middle = 2 * math.atan2(abs(special[1, 0]), abs(special[0, 0]))
    total = 2 * cmath.phase(special[1, 1]) if abs(special[1, 1]) > 1e-12 else 0.0
    difference = 2 * cmath.phase(special[1, 0]) if abs(special[1, 0]) > 1e-12 else 0.0
    if middle < 1e-15:
        return _rotation("rz", total, qubit), phase
    before, after = (total - difference) / 2, (total + difference) / 2
    return _rotation("rz", before, qubit) + _rotation("ry", middle, qubit) + _rotation(
        "rz", after, qubit
    ), phase


def _rotation(name: str, angle: float, qubit: int) -> list[Step]:
    return [(name, float(angle), (qubit,))] if abs(angle) > 1e-15 else []


def _multiplexed(name: str, angles: np.ndarray, target: int, controls: Sequence[int]) -> list[Step]:
    """The rotation of `target` by angles[c] where the controls read c, as 2**k rotations between cx gates.

    A cx turns the sign of the rotations behind it, so rotation j counts with the sign (-1)^(c . gray(j)).
    """
    count, k = len(angles), len(controls)
    if not np.any(np.abs(angles) > 1e-15):
        return []
    codes = np.arange(count) ^ (np.arange(count) >> 1)
    signs = 1.0 - 2.0 * (np.bitwise_count(np.arange(count)[:, None] & codes[None, :]) & 1)
    parts = angles @ signs / count
    steps: list[Step] = []
    for j, part in enumerate(parts):
        steps += _rotation(name, part, target)
        if k:
            flipped = int(codes[j] ^ codes[(j + 1) % count]).bit_length() - 1
            steps.append(("cx", None, (controls[k - 1 - flipped], target)))
    return steps
