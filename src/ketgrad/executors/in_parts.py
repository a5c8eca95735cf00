"""A program that a question reaches in parts: an executor runs each of them, and the values are added up.

Functions have the arguments and results of the executor's methods; copies of a part are rows of one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ketgrad.programs.program import Program
from ketgrad.programs.reach import VisiblePart

CHUNK_BYTES = 32 * 2**20  # of the rows of a part that are run at a time

Parts = tuple[VisiblePart, ...]


def run(
    executor: Any, parts: Parts, weights: np.ndarray, inputs: np.ndarray, num_outputs: int, **options: Any
) -> np.ndarray:
    """The values (batch, num_outputs)."""
    values = np.zeros((max(len(weights), len(inputs)), num_outputs))
    for piece in _pieces(parts, weights, inputs):
        rows = piece.rows if options.get("rng") is None else piece.rows_apart()
        piece.add_values(values, executor.run(piece.program, *rows, **options))
    return values.astype(_real(options), copy=False)


def vjp(
    executor: Any,
    parts: Parts,
    weights: np.ndarray,
    inputs: np.ndarray,
    cotangent: np.ndarray,
    *,
    slope: np.ndarray | None = None,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(values, dweights, dinputs)."""
    if slope is not None:  # which multiplies values that no part knows by itself
        values = run(executor, parts, weights, inputs, cotangent.shape[1], **options)
        cotangent = cotangent + slope * values
    values = np.zeros(cotangent.shape)
    dweights, dinputs = np.zeros(weights.shape), np.zeros(inputs.shape)
    for piece in _pieces(parts, weights, inputs):
        found = executor.vjp(piece.program, *piece.rows, piece.cotangent(cotangent), **options)
        piece.add_values(values, found[0])
        piece.add_derivatives((dweights, dinputs), found[1:])
    kind = _real(options)
    return (
        values.astype(kind, copy=False),
        dweights.astype(kind, copy=False),
        dinputs.astype(kind, copy=False),
    )


def jvp(
    executor: Any,
    parts: Parts,
    weights: np.ndarray,
    inputs: np.ndarray,
    directions: tuple[np.ndarray | None, np.ndarray | None],
    num_outputs: int,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """(values, tangents)."""
    values = np.zeros((max(len(weights), len(inputs)), num_outputs))
    tangents = np.zeros_like(values)
    for piece in _pieces(parts, weights, inputs):
        found = executor.jvp(piece.program, *piece.rows, *piece.directions(*directions), **options)
        piece.add_values(values, found[0])
        piece.add_values(tangents, found[1])
    return values.astype(_real(options), copy=False), tangents.astype(_real(options), copy=False)


def hvp(
    executor: Any,
    parts: Parts,
    weights: np.ndarray,
    inputs: np.ndarray,
    cotangent: np.ndarray,
    directions: tuple[np.ndarray | None, np.ndarray | None],
    cotangent_direction: np.ndarray | None,
    **options: Any,
) -> tuple[np.ndarray, ...]:
    """(values, tangents, dweights, dinputs, hweights, hinputs)."""
    values, tangents = np.zeros(cotangent.shape), np.zeros(cotangent.shape)
    gradients = [np.zeros(array.shape) for array in (weights, inputs)]
    products = [np.zeros(array.shape) for array in (weights, inputs)]
    for piece in _pieces(parts, weights, inputs):
        change = None if cotangent_direction is None else piece.cotangent(cotangent_direction)
        given = (piece.cotangent(cotangent), *piece.directions(*directions), change)
        found = executor.hvp(piece.program, *piece.rows, *given, **options)
        piece.add_values(values, found[0])
        piece.add_values(tangents, found[1])
        piece.add_derivatives(gradients, found[2:4])
        piece.add_derivatives(products, found[4:])
    results = (values, tangents, *gradients, *products)
    return tuple(array.astype(_real(options), copy=False) for array in results)


def jacobian(
    of_part: Callable[[Program, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    parts: Parts,
    weights: np.ndarray,
    inputs: np.ndarray,
    num_outputs: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(batch, outputs, weights) and (batch, outputs, inputs) from those of the parts."""
    batch = max(len(weights), len(inputs))
    totals = [np.zeros((batch, num_outputs, array.shape[1])) for array in (weights, inputs)]
    for piece in _pieces(parts, weights, inputs):
        piece.add_jacobians(totals, of_part(piece.program, *piece.rows))
    return totals[0], totals[1]


def _real(options: dict[str, Any]) -> Any:
    return np.float32 if np.dtype(options["dtype"]) == np.complex64 else np.float64


def _pieces(parts: Parts, weights: np.ndarray, inputs: np.ndarray) -> Iterator[_Piece]:
    """The parts, of many copies some at a time."""
    batch = max(len(weights), len(inputs))
    for part in parts:
        numbers = part.weights.shape[1] + part.inputs.shape[1] + 4 * part.outputs.shape[1]
        step = max(1, CHUNK_BYTES // (8 * batch * numbers))
        for start in range(0, part.copies, step):
            yield _Piece(part, slice(start, start + step), weights, inputs)


class _Piece:
    """Some copies of a part, for each of which the executor gets a batch of rows."""

    def __init__(self, part: VisiblePart, copies: slice, weights: np.ndarray, inputs: np.ndarray) -> None:
        self.program = part.program
        self.outputs, self.scales = part.outputs[copies], part.scales[copies]
        self.weights, self.inputs = part.weights[copies], part.inputs[copies]
        self.own = part.program.num_outputs
        self.repeats = part.outputs.shape[1] // self.own
        self.batch = max(len(weights), len(inputs))
        self.rows = self._taken(weights, self.weights), self._taken(inputs, self.inputs)
        self.is_one = max(map(len, self.rows)) == 1  # row, in which no two of the batch differ

    def _taken(self, array: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(1 or batch, all) to (1 or batch * copies, own)."""
        copies, count = columns.shape
        if count == 0:
            return array[:1, :0]
        if copies == 1:
            return np.ascontiguousarray(array[:, columns[0]])
        found = array[:, columns]
        return np.broadcast_to(found, (self.batch, copies, count)).reshape(-1, count)

    def rows_apart(self) -> list[np.ndarray]:
        """The rows written out, so that each is drawn for by itself."""
        count = self.batch * len(self.outputs)
        return [np.broadcast_to(rows, (count, rows.shape[1])) for rows in self.rows]

    def directions(self, *given: np.ndarray | None) -> list[np.ndarray | None]:
        """The directions of weights and inputs in the rows of these."""
        columns = (self.weights, self.inputs)
        return [None if d is None else self._taken(d, c) for d, c in zip(given, columns, strict=True)]

    def cotangent(self, of_outputs: np.ndarray) -> np.ndarray:
        """(batch, all outputs) to (rows, own outputs)."""
        found = (of_outputs[:, self.outputs] * self.scales).reshape(-1, self.repeats, self.own)
        found = found.sum(axis=1)
        found = found.sum(axis=0, keepdims=True) if self.is_one else found
        return found.astype(of_outputs.dtype, copy=False)

    def add_values(self, total: np.ndarray, values: np.ndarray) -> None:
        """Add (rows, own outputs) to (batch, all outputs)."""
        scaled = self._spread(values) * self.scales
        np.add.at(total.T, self.outputs.ravel(), scaled.reshape(self.batch, -1).T)

    def _spread(self, found: np.ndarray) -> np.ndarray:
        """(rows, own outputs, ...) to (batch, copies, repeats * own outputs, ...)."""
        copies, tail = len(self.outputs), found.shape[1:]
        wide = np.broadcast_to(found, (self.batch * copies, *tail)) if len(found) == 1 else found
        wide = wide.reshape(self.batch, copies, *tail)
        return wide if self.repeats == 1 else np.concatenate([wide] * self.repeats, axis=2)

    def add_derivatives(self, totals: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> None:
        """Add derivatives by weights and by inputs, (1 or rows, own), to those of the whole, (1 or batch, all)."""
        for total, columns, derivative in zip(totals, (self.weights, self.inputs), found, strict=True):
            if columns.shape[1]:
                by_copy = derivative.reshape(-1, columns.size)
                if len(by_copy) > len(total):  # rows that share what they take
                    by_copy = by_copy.sum(axis=0, keepdims=True)
                np.add.at(total.T, columns.ravel(), by_copy.T)

    def add_jacobians(self, totals: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> None:
        """Add (rows, own outputs, own variables) to (batch, all outputs, all variables)."""
        for total, columns, derivative in zip(totals, (self.weights, self.inputs), found, strict=True):
            if columns.shape[1]:
                where: Any = (slice(None), self.outputs[:, :, None], columns[:, None, :])
                np.add.at(total, where, self._spread(derivative) * self.scales[..., None])
