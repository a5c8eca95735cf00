"""`jvp` and `hvp` of a batch in rows, by the user's inputs: where arccos is steep, continued from further inside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ketgrad.executors.answers import checked_arrays
from ketgrad.executors.table import EXECUTORS
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import COMPLEX128
from ketgrad.functions.batch import Batch
from ketgrad.functions.input_functions import (
    Near,
    Place,
    by_input,
    continued,
    interior,
    near_edges,
    place,
    warn_of_infinity,
)


class AlongDirection(NamedTuple):
    """What is asked at which rows: with a cotangent that of `hvp`, else that of `jvp`."""

    batch: Batch
    weights_move: np.ndarray | None
    inputs_move: np.ndarray | None
    cotangent: np.ndarray | None = None
    cotangent_move: np.ndarray | None = None

    def at(self, rows: np.ndarray, shared: bool) -> AlongDirection:
        """The task at some rows of the batch. shared: what all rows share stays so; else it is copied, in float64."""
        count = self.batch.num_rows

        def pick(array: np.ndarray | None) -> np.ndarray | None:
            if array is None or (shared and len(array) == 1):
                return array
            wide = array if shared else array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
            return np.ascontiguousarray(np.broadcast_to(wide, (count, array.shape[1]))[rows])

        weights, inputs = pick(self.batch.weights), pick(self.batch.inputs)
        assert weights is not None and inputs is not None
        batch = self.batch._replace(weights=weights, inputs=inputs)
        return AlongDirection(
            batch if shared else batch._replace(dtype=COMPLEX128), *(pick(array) for array in self[1:])
        )

    def run(self, where: Place) -> list[np.ndarray]:
        """values, tangents (and dweights, dinputs, hweights, hinputs) by the user's inputs."""
        batch, program = self.batch, self.batch.program
        of = [j for _, j in program.input_map or ()]
        move = self.inputs_move
        moves = (
            self.weights_move,
            None if move is None else (move[:, of] * where.slopes).astype(move.dtype, copy=False),
        )
        columns = where.columns.astype(batch.inputs.dtype, copy=False)
        found = _asked(self, columns, moves)
        if self.cotangent is None:
            return found
        bent = 0.0 if move is None else where.bends * move[:, of] * found[3]
        found[5] = by_input(program, found[5] * where.slopes + bent)
        found[3] = by_input(program, found[3] * where.slopes)
        return found

    def sizes(self, rows: np.ndarray) -> list[np.ndarray]:
        """Of what is added up in the tangents (and dinputs, hweights, hinputs) of these rows."""
        observables = self.batch.program.value_size

        def largest(array: np.ndarray | None) -> np.ndarray:
            rowwise = np.zeros(1) if array is None else np.abs(array).max(axis=1, initial=0.0)
            return np.broadcast_to(rowwise, (self.batch.num_rows,))[rows].astype(np.float64)

        move = np.maximum(largest(self.weights_move), largest(self.inputs_move))
        if self.cotangent is None:
            return [observables * move]
        first = observables * largest(self.cotangent)
        return [observables * move, first, *[first * move + observables * largest(self.cotangent_move)] * 2]


def derivatives(task: AlongDirection) -> list[np.ndarray]:
    """The arrays of `jvp` or `hvp` in rows, by the user's inputs."""
    batch, program = task.batch, task.batch.program
    if program.input_map is None:
        return _without_functions(task)
    near = near_edges(batch)
    if near is None:
        return task.run(interior(program, batch.inputs))
    far = np.setdiff1d(np.arange(batch.num_rows), near.rows)
    inside = task.at(far, shared=True)
    parts = [(far, inside.run(interior(program, inside.batch.inputs)))] if len(far) else []
    return _joined(task, [*parts, (near.rows, _near_an_edge(task, near))])


def _without_functions(task: AlongDirection) -> list[np.ndarray]:
    return _asked(task, task.batch.inputs, (task.weights_move, task.inputs_move))


def _asked(
    task: AlongDirection, columns: np.ndarray, moves: tuple[np.ndarray | None, np.ndarray | None]
) -> list[np.ndarray]:
    """`jvp` or `hvp` of the executor, by the program's columns."""
    batch, executor = task.batch, task.batch.executor
    start, options = (batch.program, batch.weights, columns), {"dtype": batch.dtype, "threads": batch.threads}
    if task.cotangent is None:
        method, found = "jvp", executor.jvp(*start, *moves, **options)
    else:
        method, found = "hvp", executor.hvp(*start, task.cotangent, *moves, task.cotangent_move, **options)
    if executor.name in EXECUTORS:
        return list(found)
    values, real = ((batch.num_rows, batch.program.num_outputs), batch.kind_of_values), batch.real
    derivatives = [(batch.weights.shape, real), (columns.shape, real)]
    wanted = [values, values] if method == "jvp" else [values, values, *derivatives, *derivatives]
    return checked_arrays(executor.name, method, found, wanted)


def _near_an_edge(task: AlongDirection, near: Near) -> list[np.ndarray]:
    """The arrays at the rows near an edge, row by row: what is regular there from the rows themselves."""
    program, regular = task.batch.program, (0, 2)
    derived = [1] if task.cotangent is None else [1, 3, 4, 5]

    def run(rows: np.ndarray, where: Place) -> list[np.ndarray]:
        found = task.at(rows, shared=False).run(where)
        return [found[k] for k in derived]

    with np.errstate(divide="ignore", invalid="ignore"):  # a slope at the edge, which no regular result holds
        standing = place(program, near.inputs)
        still = task._replace(weights_move=None, inputs_move=None, cotangent_move=None)
        found = still.at(near.rows, shared=False).run(standing)
    results, lost = continued(program, near, run, task.sizes(near.rows))
    open_rows = lost & ~near.at_edge.any(axis=1)
    if open_rows.any():  # of no use for interpolation, and so steep that rounding is small beside it
        exact = run(near.rows[open_rows], Place(*(array[open_rows] for array in standing)))
        for result, other in zip(results, exact, strict=True):
            result[open_rows] = other
    _refuse_infinite(task, near, results, lost & ~open_rows)
    for k, result in zip(derived, results, strict=True):
        found[k] = result
    return [array for k, array in enumerate(found) if k in regular or k in derived]


def _refuse_infinite(task: AlongDirection, near: Near, results: list[np.ndarray], lost: np.ndarray) -> None:
    """Refuse a direction along an input at an edge where there is no derivative; warn of an infinite gradient."""
    finite = np.array([np.isfinite(result).all(axis=1) for result in results])
    if finite.all() and not lost.any():
        return
    move = task.inputs_move
    moves = np.zeros_like(near.at_edge)
    if move is not None:
        moves = near.at_edge & (np.broadcast_to(move, (task.batch.num_rows, move.shape[1]))[near.rows] != 0)
    refused = lost | (~finite.all(axis=0) & moves.any(axis=1)) | ~finite[0]
    if refused.any():
        k = int(np.argmax(refused))
        j = int(np.argmax(moves[k] if moves[k].any() else near.at_edge[k]))
        raise KetgradValueError(
            f"inputs[{near.rows[k]}, {j}] is {near.inputs[k, j]:g}, where arccos is vertical and the circuit is not "
            "flat, so there is no derivative along a direction that moves it. Scale the inputs into the interior, or "
            "leave that entry of `inputs_direction` zero."
        )
    k = int(np.argmin(finite.all(axis=0)))
    warn_of_infinity(
        int(near.rows[k]), int(np.argmax(near.at_edge[k])), near.inputs[k, np.argmax(near.at_edge[k])]
    )


def _joined(task: AlongDirection, parts: list[tuple[np.ndarray, list[np.ndarray]]]) -> list[np.ndarray]:
    """The arrays of parts of the batch as those of the batch: sums over the rows for what all rows share."""
    batch, real = task.batch, task.batch.weights.dtype
    owners = [None, None, batch.weights, batch.inputs, batch.weights, batch.inputs]
    joined = []
    for k, (owner, _) in enumerate(zip(owners, parts[0][1], strict=False)):
        arrays = [(rows, found[k]) for rows, found in parts]
        if owner is not None and len(owner) == 1:
            joined.append(
                np.concatenate([array for _, array in arrays]).sum(axis=0, keepdims=True).astype(real)
            )
            continue
        kind = batch.dtype if np.iscomplexobj(arrays[0][1]) else real
        full = np.empty((batch.num_rows, arrays[0][1].shape[1]), kind)
        for rows, array in arrays:
            full[rows] = array
        joined.append(full)
    return joined
