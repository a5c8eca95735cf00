"""The shift rule for amplitudes: exact derivatives by the numbers that a prepared state is made of.

With a vector a of amplitudes a_j = c_j z_j, an output is E(a) = Q(a) / |a|^2 with a quadratic form Q. A central
difference of a quadratic form is exact at any step, and Q(a) = |a|^2 E(a) needs no more than a device gives, so two
runs per amplitude replace what an angle gets from its frequencies. Steps of half the norm keep the shifted
vectors away from zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ketgrad.foundation.arrays import row_norms
from ketgrad.functions.batch import Batch
from ketgrad.functions.gradients.sweeps import Stencil, contract, with_offsets
from ketgrad.programs.program import STATE_PREPARATION, Program


class FreeAmplitudes(NamedTuple):
    """A program in which each amplitude of a state made from variables is an input of its own, and is normalised.

    program: its inputs are those of the original, one offset per occurrence of an angle, and the amplitudes.
    vector: which prepared vector an amplitude belongs to. slot: where the original reads it, 0 for constants.
    size: |c_j|. divided: whether the original divides by the norm.
    """

    program: Program
    vector: np.ndarray
    slot: np.ndarray
    size: np.ndarray
    divided: np.ndarray


def freed(program: Program) -> FreeAmplitudes:
    """The program with free amplitudes, kept with the original."""
    return program.derived("free amplitudes", lambda: _freed(program))


def _freed(program: Program) -> FreeAmplitudes:
    builder = with_offsets(program).edited()
    owners, parts = [], []
    for k in np.flatnonzero(program.kind == STATE_PREPARATION):
        part = np.arange(program.data_start[k], program.data_start[k + 1])
        if (program.amplitude_slot[part] > 0).any():
            builder.free_amplitudes(int(k))
            owners.append(k)
            parts.append(part)
    entries, counts = np.concatenate([np.empty(0, np.int64), *parts]), [len(part) for part in parts]
    return FreeAmplitudes(
        builder.program(),
        vector=np.repeat(np.arange(len(owners)), counts),
        slot=program.amplitude_slot[entries],
        size=np.abs(program.data[entries]),
        divided=np.repeat(program.normalize[owners].astype(bool), counts),
    )


def executions(program: Program) -> int:
    """How many runs the derivatives by all amplitudes take: two for each that is a variable."""
    amplitudes = freed(program)
    return 2 * int(np.count_nonzero((amplitudes.slot > 0) & (amplitudes.size > 0)))


def unit_vectors(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """The amplitudes (B, A) without their factors c_j, divided by the norm (B, A) of their vector."""
    amplitudes = freed(batch.program)
    values = batch.program.slots(batch.weights, batch.inputs)[:, amplitudes.slot]
    norms = np.empty(values.shape)
    for owner in range(1 + amplitudes.vector.max(initial=-1)):
        mine = amplitudes.vector == owner
        norms[:, mine] = row_norms(amplitudes.size[mine] * values[:, mine])
    return values / norms, norms


def amplitude_stencil(batch: Batch, first_variable: int, first_column: int) -> Stencil:
    """Two shifts for each variable amplitude: derivative of Q at the unit vector, in units of the original's z.

    |u + s c_j e_j|^2 = 5/4 +- |c_j| u_j for the steps s = +-1 / (2 |c_j|).
    """
    amplitudes = freed(batch.program)
    unit, norm = unit_vectors(batch)
    which = np.flatnonzero((amplitudes.slot > 0) & (amplitudes.size > 0))
    size = amplitudes.size[which]
    # E = Q(a) / |a|^2 has degree 0 in a and Q has degree 2: their derivatives scale as 1 / |a| and |a|
    scale = np.where(amplitudes.divided[which], 1 / norm[:, which], norm[:, which]) * size
    overlap = size * unit[:, which]
    coefficient = np.stack([(1.25 + overlap) * scale, -(1.25 - overlap) * scale], axis=2)
    return Stencil(
        first_variable + len(amplitudes.slot),
        first_variable + np.repeat(which, 2),
        first_column + np.repeat(which, 2),
        np.stack([0.5 / size, -0.5 / size], axis=1).ravel(),
        coefficient.reshape(len(coefficient), -1).T,
    )


def by_amplitude(
    batch: Batch, slopes: np.ndarray, values: np.ndarray, cotangent: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The slots of all amplitudes, and the derivatives (A, B, ...) by them from the slopes of Q.

    Where the original divides by the norm, the derivative of 1 / |a|^2 is added: -2 |c_j|^2 u_j E / |a|.
    """
    amplitudes = freed(batch.program)
    unit, norm = unit_vectors(batch)
    output = values if cotangent is None else contract(values[None], cotangent)[0]
    radial = np.where(amplitudes.divided, 2 * amplitudes.size**2 * unit / norm, 0.0).T
    spread = (...,) + (None,) * (output.ndim - 1)
    return amplitudes.slot, slopes - radial[spread] * output
