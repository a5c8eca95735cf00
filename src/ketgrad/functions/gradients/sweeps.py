"""Sums of shifted runs: what every rule without an adjoint pass is made of."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np

from ketgrad.executors.held_states import held_bytes
from ketgrad.executors.protocol import execution
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import COMPLEX128
from ketgrad.functions.batch import Batch
from ketgrad.programs.program import Program

CHUNK_BYTES = 32 * 2**20  # shifted rows are evaluated in portions of about this size,
CHUNK_ROWS = 64  # but never fewer rows than keep every core and every vector register busy
STEPS = (
    1e-15,
    2.0**26,
)  # of a difference: below, rounding is all that is left; beyond, the angle has lost digits


def with_offsets(program: Program) -> Program:
    """`program.with_offsets()`, kept with the program, so that an executor's own copy of it is kept too."""
    return program.derived("with offsets", program.with_offsets)


class Stencil(NamedTuple):
    """derivative[variable] += coefficient * values(with `shift` added to `column` of (weights, inputs)).

    variable, column, shift: (S,). coefficient: (S, 1), or (S, B) where it differs between samples.
    """

    num_variables: int
    variable: np.ndarray
    column: np.ndarray
    shift: np.ndarray
    coefficient: np.ndarray


def sweep(batch: Batch, stencil: Stencil, cotangent: np.ndarray | None) -> np.ndarray:
    """The derivatives (num_variables, B), or (num_variables, B, K) where `cotangent` is None."""
    count, split = batch.num_rows, batch.weights.shape[1]
    outputs = batch.program.num_outputs
    tail = (count,) if cotangent is not None else (count, outputs)
    kind = COMPLEX128 if cotangent is None and batch.program.question.is_complex else np.float64
    reserve(
        16 * stencil.num_variables * math.prod(tail),
        f"the derivatives of {count} rows by {stencil.num_variables} angles or variables",
        "Use f.vjp, or smaller batches.",
    )
    result = np.zeros((stencil.num_variables, *tail), dtype=kind)
    numbers = split + batch.inputs.shape[1] + 2 * outputs
    step = blocks_at_once(batch, numbers)
    row_bytes = 8 * numbers * count * min(step, len(stencil.column))
    if row_bytes > CHUNK_BYTES:
        reserve(row_bytes, f"the shifted copies of {count} rows", "Use smaller batches.")
    for start in range(0, len(stencil.column), step):
        part = slice(start, start + step)
        column, shift = stencil.column[part], stencil.shift[part]
        weights = _shifted(batch.weights, column, shift, count)
        inputs = _shifted(batch.inputs, column - split, shift, count)
        values = batch.run_moved(weights, inputs).reshape(len(column), count, outputs)
        slope = values if cotangent is None else contract(values, cotangent)
        factor = stencil.coefficient[part].reshape(len(column), -1, *(1,) * (len(tail) - 1))
        np.add.at(result, stencil.variable[part], factor * slope)
    return result


def blocks_at_once(batch: Batch, numbers: int) -> int:
    """How many copies of the batch to evaluate in one run, for `numbers` real numbers beside the state per row.

    All of them where no states are held here: each run of a device is a job of its own.
    """
    program, executor = batch.program, batch.executor
    if "exact" not in executor.abilities and program.derived(
        f"{executor.name} holds no state", lambda: execution(executor, program).simulated_qubits is None
    ):
        return sys.maxsize
    row_bytes = 8 * numbers + held_bytes(executor, program, COMPLEX128.itemsize)
    return max(1, CHUNK_BYTES // (batch.num_rows * row_bytes), CHUNK_ROWS // batch.num_rows)


def _shifted(array: np.ndarray, column: np.ndarray, shift: np.ndarray, count: int) -> np.ndarray:
    """One block of rows per shift, with the shift added to its column; columns outside the array shift nothing."""
    inside = (column >= 0) & (column < array.shape[1])
    if len(array) == 1 and not inside.any():
        return array
    blocks = repeat(array, len(column), count).reshape(len(column), count, array.shape[1])
    which = np.flatnonzero(inside)
    blocks[which, :, column[which]] += shift[which, None]
    return blocks.reshape(len(column) * count, array.shape[1])


def repeat(array: np.ndarray, times: int, count: int) -> np.ndarray:
    """`times` copies of the batch below each other, a shared row written out."""
    full = np.broadcast_to(array, (times, count, array.shape[1]))
    return np.array(full).reshape(times * count, array.shape[1])


def contract(values: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """sum_k Re(conj(cotangent) * values): (S, B, K) and (B, K) to (S, B)."""
    return np.einsum("sbk,bk->sb", values, np.conj(cotangent)).real


def collapse(derivative: np.ndarray, rows: int) -> np.ndarray:
    """(V, B) per sample to (rows, V): summed over the samples if they share one row."""
    return np.ascontiguousarray(derivative.T if rows == derivative.shape[1] else derivative.sum(axis=1)[None])


def chain(batch: Batch, by_angle: np.ndarray) -> np.ndarray:
    """From derivatives by angles (R, B, ...) to those by the slots [1, weights, inputs] (1 + W + X, B, ...)."""
    terms, slots = angle_terms(batch.program), batch.program.slots(batch.weights, batch.inputs).T
    result = np.zeros((len(slots), *by_angle.shape[1:]))
    spread = (...,) + (None,) * (by_angle.ndim - 2)
    for first, second in ((terms.a, terms.b), (terms.b, terms.a)):
        factor = terms.coefficient[:, None] * slots[second]
        np.add.at(result, first, by_angle[terms.occurrence] * factor[spread])
    return result


class AngleTerms(NamedTuple):
    """The polynomials of all occurrences: angle[occurrence] = sum coefficient * z[a] * z[b]."""

    occurrence: np.ndarray
    coefficient: np.ndarray
    a: np.ndarray
    b: np.ndarray


def angle_terms(program: Program) -> AngleTerms:
    """The angle of each occurrence, read off its first instruction and divided by that instruction's scale."""
    owner, coefficient, a, b = [], [], [], []
    for index, occurrence in enumerate(program.occurrences):
        instruction, scale = occurrence.instructions[0], occurrence.scales[0]
        part = slice(int(program.term_start[instruction]), int(program.term_start[instruction + 1]))
        owner.append(np.full(part.stop - part.start, index))
        coefficient.append(program.term_coefficient[part] / scale)
        a.append(program.term_a[part])
        b.append(program.term_b[part])
    if not owner:
        empty = np.zeros(0, dtype=np.int64)
        return AngleTerms(empty, np.zeros(0), empty, empty)
    return AngleTerms(*(np.concatenate(columns) for columns in (owner, coefficient, a, b)))
