"""Derivatives by inputs near the edge of arccos, where it is vertical.

With a = arccos(x), d/dx is -1/sin(a) d/da: close to the edge, rounding errors are divided by sin(a), in
second derivatives by its third power. But a circuit is a trigonometric polynomial in a. Its even part is a
polynomial in x = cos(a), its odd part sin(a) times one, and a derivative by x has the same two parts, the
odd one over sin(a)**3. Both are known from the two branches, a and -a; they are taken at ten points further
inside, where nothing is lost, and continued to where they are wanted by interpolation in x. At the edge
itself the even part is the limit; where the odd part does not vanish there is none.

Accuracy, in both precisions: 1e-12 times the frequency in a, to the second power in a first derivative and
to the fourth in a second one, for values of size 1.

Berrut and Trefethen 2004, Barycentric Lagrange interpolation, doi:10.1137/S0036144502417715.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ketgrad.circuits.angles import INPUT_FUNCTIONS
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import FLOAT32, FLOAT64
from ketgrad.foundation.user_warnings import warn_user
from ketgrad.functions.batch import Batch
from ketgrad.programs.program import Program

NODES = 10
ANGLES = (2 * np.arange(NODES) + 1) * np.pi / (2 * NODES)
PLACES = np.sin(ANGLES / 2) ** 2  # of Chebyshev in (0, 1); 0 is the side of the edge
TAIL = (
    2 / NODES * np.cos(np.outer(ANGLES, (NODES - 2, NODES - 1)))
)  # from values there to the last two coefficients
FARTHEST = 2.5  # frequency * angle of the points from the edge
# frequency * distance in angle from where on digits are lost
REACH = {FLOAT64: 0.1, FLOAT32: 1.0}
INWARDS = {FLOAT64: 1e-10, FLOAT32: 1e-4}  # how far from the edge of its interval an input function is smooth
ROUNDING = 1e-11  # what is smaller, beside the numbers that it was made of, is taken for zero


class Place(NamedTuple):
    """The program's columns, and the first and second derivative of each by its input: (rows, C)."""

    columns: np.ndarray
    slopes: np.ndarray
    bends: np.ndarray


class Near(NamedTuple):
    """Rows of the batch with inputs near an edge: which (m,), those inputs (m, X), and the way inwards (m,)."""

    rows: np.ndarray
    inputs: np.ndarray
    moving: np.ndarray
    way: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """How far 1 - |x| the moving inputs are from the edge, zero for the others: (m, X)."""
        return np.where(self.moving, 1 - np.abs(self.inputs), 0.0)

    @property
    def frequencies(self) -> np.ndarray:
        """Of the values, as the inputs move: (m,), 2 at least."""
        return FARTHEST / np.arccos(1 - self.way)

    @property
    def at_edge(self) -> np.ndarray:
        """Which inputs stand at the edge itself: (m, X)."""
        return self.moving & (np.abs(self.inputs) == 1)


Run = Callable[[np.ndarray, Place], list[np.ndarray]]  # (rows of the batch, where) -> results, row by row


def expand(program: Program, inputs: np.ndarray) -> np.ndarray:
    """The columns that the program reads: the inputs themselves, then elementwise functions of them."""
    columns = np.empty((len(inputs), program.num_inputs), dtype=inputs.dtype)
    for k, (name, j) in enumerate(program.input_map or ()):
        columns[:, k] = inputs[:, j]
        if name == "identity":
            continue
        function = INPUT_FUNCTIONS[name]
        inside = (inputs[:, j] >= function.low) & (inputs[:, j] <= function.high)
        if not inside.all():
            row = int(np.argmin(inside))
            raise KetgradValueError(
                f"`inputs` column {j} must lie in [{function.low:g}, {function.high:g}] - the circuit takes "
                f"{name}(x[{j}]) - but row {row} holds {inputs[row, j]}. Scale the inputs into that interval."
            )
        columns[:, k] = function.value(inputs[:, j])
    return columns


def place(program: Program, inputs: np.ndarray, moving: np.ndarray | None = None, branch: int = 1) -> Place:
    """Where rows of inputs (rows, X) stand; those that move on a branch, 1 or -1, of their arccos."""
    pairs = program.input_map or ()
    found = Place(*(np.empty((len(inputs), len(pairs))) for _ in range(3)))
    for k, (name, j) in enumerate(pairs):
        x = inputs[:, j]
        if name == "identity":
            found.columns[:, k], found.slopes[:, k], found.bends[:, k] = x, 1.0, 0.0
            continue
        gap = 1 - np.abs(x)  # exact near the edge
        sine = np.sqrt(gap * (2 - gap))
        sign = 1 if moving is None else np.where(moving[:, j], branch, 1)
        angle = sign * 2 * np.arcsin(np.sqrt(gap / 2))
        found.columns[:, k] = np.where(x > 0, angle, np.pi - angle)
        found.slopes[:, k] = -sign / sine
        found.bends[:, k] = -sign * x / sine**3
    return found


def interior(program: Program, columns: np.ndarray) -> Place:
    """Where rows of the program's columns stand."""
    width = sum(name == "identity" for name, _ in program.input_map or ())
    return place(program, columns[:, :width].astype(np.float64))._replace(columns=columns)


def slopes(program: Program, columns: np.ndarray) -> np.ndarray:
    """The derivative of each of the program's columns by its input: (rows, C)."""
    result = np.ones(columns.shape, columns.dtype)
    for k, (name, j) in enumerate(program.input_map or ()):
        if name != "identity":
            gap = 1 - np.abs(columns[:, j])
            result[:, k] = -1 / np.sqrt(gap * (2 - gap))
    return result


def by_input(program: Program, by_column: np.ndarray) -> np.ndarray:
    """Sums (..., X) of (..., C) over the columns that are made of the same input."""
    pairs = program.input_map or ()
    width = sum(name == "identity" for name, _ in pairs)
    total = np.zeros((*by_column.shape[:-1], width), by_column.dtype)
    for k, (_, j) in enumerate(pairs):
        total[..., j] += by_column[..., k]
    return total


def vjp_by_inputs(rule: Any, batch: Batch, cotangent: np.ndarray, dinputs: np.ndarray) -> np.ndarray:
    """From what a rule's `vjp` gave for the program's columns to the derivatives by the inputs, (1 or B, X)."""
    wide = cotangent.astype(np.result_type(cotangent, FLOAT64))

    def again(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return rule.vjp(batch.at(rows, columns), wide[rows])[2]

    return chain_inputs(batch, dinputs, batch.value_sizes(cotangent), again)


def jacobian_by_inputs(rule: Any, batch: Batch, by_columns: np.ndarray) -> np.ndarray:
    """From a rule's Jacobian by the program's columns (B, K, C) to that by the inputs, (B, K, X)."""

    def again(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return rule.jacobian(batch.at(rows, columns))[1]

    return chain_inputs(batch, by_columns, batch.value_sizes(), again)


def chain_inputs(
    batch: Batch,
    derivative: np.ndarray,
    size: np.ndarray,
    again: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """From derivatives by the program's columns to derivatives by the inputs that they were made of.

    derivative: (rows, C) or (rows, K, C). size: of the values, (B,). again: the derivatives of each of some rows of
    the batch, at other columns. Where a derivative at an edge is infinite it is so, with a warning.
    """
    program = batch.program
    columns = np.broadcast_to(batch.inputs, (len(derivative), batch.inputs.shape[1]))
    with np.errstate(divide="ignore", invalid="ignore"):  # at the edge, which is looked at below
        spread = (slice(None), None) if derivative.ndim == 3 else slice(None)
        steep = derivative * slopes(program, columns)[spread]
        direct = by_input(program, np.where(derivative == 0, 0, steep).astype(derivative.dtype))
    # what shots give has no digits to lose
    near = near_edges(batch) if "exact" in batch.executor.abilities else None
    if near is None:
        _warn_if_infinite(program, direct, columns)
        return direct

    def run(rows: np.ndarray, there: Place) -> list[np.ndarray]:
        found = again(rows, there.columns)
        by_column = found.reshape(len(rows), -1, found.shape[-1]) * there.slopes[:, None]
        return [by_input(program, by_column).reshape(len(rows), -1)]

    (found,), lost = continued(program, near, run, [size[near.rows]])
    shape = (len(near.rows), *direct.shape[1:])
    found = found.reshape(shape)
    if len(direct) == 1 < len(size):  # summed over the rows, which all stand at this place
        direct = found.sum(axis=0, keepdims=True)
    else:
        kept = lost & ~near.at_edge.any(axis=1)  # so steep that rounding is small beside it
        if kept.any():
            standing = place(program, near.inputs[kept])
            found[kept] = run(near.rows[kept], standing)[0].reshape(-1, *shape[1:])
        found[lost & ~kept] = direct[near.rows[lost & ~kept]]
        direct[near.rows] = found
    _warn_if_infinite(program, direct, columns)
    return direct


def _warn_if_infinite(program: Program, derivative: np.ndarray, columns: np.ndarray) -> None:
    """Warn of the first derivative by the inputs that is infinite: at an edge, where shot noise is divided by zero."""
    infinite = ~np.isfinite(derivative.reshape(len(derivative), -1)).all(axis=1)
    if infinite.any():
        row, width = int(np.argmax(infinite)), derivative.shape[-1]
        column = int(np.argmax(np.abs(columns[row, :width]) == 1))
        warn_of_infinity(row, column, columns[row, column])


def near_edges(batch: Batch) -> Near | None:
    """The rows in which digits would be lost; None if there are none."""
    program, weights, columns, count = batch.program, batch.weights, batch.inputs, batch.num_rows
    pairs = program.input_map or ()
    steep = [j for name, j in pairs if name != "identity"]
    width = sum(name == "identity" for name, _ in pairs)
    inputs, reach = columns[:, :width], REACH[columns.dtype]
    if np.abs(inputs[:, steep]).max(initial=0.0) < 1 - reach * reach / 2:  # less than its cosine
        return None
    inputs = inputs.astype(np.float64)
    distance = np.full(inputs.shape, np.inf)
    distance[:, steep] = 2 * np.arcsin(np.sqrt(np.clip((1 - np.abs(inputs[:, steep])) / 2, 0.0, 1.0)))
    candidates = np.flatnonzero((distance < reach).any(axis=1))
    if not len(candidates):
        return None
    rows = candidates if len(columns) == count else np.arange(count)
    pick = rows if len(columns) == count else np.zeros(count, int)
    high = frequencies(program, weights if len(weights) == 1 else weights[rows], columns[pick])
    moving = np.maximum(high, 1.0) * distance[pick] < reach
    kept = moving.any(axis=1)
    total = np.sum(high * moving, axis=1)[kept]
    if not kept.any():
        return None
    way = 1 - np.cos(np.minimum(FARTHEST / np.maximum(total, 1e-9), np.pi / 4))  # far from the other edge
    return Near(rows[kept], inputs[pick][kept], moving[kept], way)


def warn_of_infinity(row: int, column: int, value: float) -> None:
    """Warn that the derivative by one input is infinite."""
    warn_user(
        f"the derivative by inputs[{row}, {column}] = {value:g} is infinite - arccos is vertical there. Scale the "
        "inputs into the interior if it is needed."
    )


def frequencies(program: Program, weights: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A bound (rows, X) of how often the values turn round while an input, or its arccos, grows by 2 pi."""
    pairs = program.input_map or ()
    sizes = np.abs(columns.astype(np.float64))
    sizes[:, [name != "identity" for name, _ in pairs]] = np.pi
    slots = program.slots(np.abs(weights.astype(np.float64)), sizes)
    result = np.zeros((len(sizes), sum(name == "identity" for name, _ in pairs)))
    for k, (_, j) in enumerate(pairs):
        slot = 1 + program.num_weights + k
        for mine, other in ((program.term_a, program.term_b), (program.term_b, program.term_a)):
            terms = mine == slot
            result[:, j] += slots[:, other[terms]] @ np.abs(program.term_coefficient[terms])
    return result


def continued(
    program: Program, near: Near, run: Run, sizes: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray]:
    """What `run` would give at the rows near an edge, (m, ...) each; and the rows (m,) where it cannot be told.

    sizes: for each result (m,), that of the numbers which are added up in a value. Infinite where a derivative is.
    """
    count = len(near.rows)
    gaps = near.gaps[:, None, :] + near.way[:, None, None] * PLACES[:, None]
    inputs = np.where(near.moving[:, None], np.sign(near.inputs)[:, None] * (1 - gaps), near.inputs[:, None])
    inputs, moving = inputs.reshape(count * NODES, -1), np.repeat(near.moving, NODES, axis=0)
    rows = np.repeat(near.rows, NODES)
    sides = [run(rows, place(program, inputs, moving, branch)) for branch in (1, -1)]
    pairs = [tuple(part.reshape(count, NODES, -1) for part in pair) for pair in zip(*sides, strict=True)]
    even, odd = [(a + b) / 2 for a, b in pairs], [(a - b) / 2 for a, b in pairs]
    first = np.argmax(near.moving, axis=1)  # several inputs: their odd parts have no common power series
    alone = near.moving.sum(axis=1) == 1
    gap = near.gaps[np.arange(count), first]
    results, lost = [], np.zeros(count, bool)
    for same, other, size in zip(even, odd, sizes, strict=True):
        scale = np.maximum(np.abs(same).max(axis=(1, 2), initial=0.0), size * near.frequencies**2)[:, None]
        own = _interpolation(np.zeros(count))
        rest, absent, rough = _odd_part(other, gap, near.way, scale)
        results.append(np.einsum("mn,mnq->mq", own, same) + rest)
        lost |= _is_rough(same, scale) | rough | ~(alone | absent)
    return results, lost


def _odd_part(
    values: np.ndarray, gap: np.ndarray, way: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The odd part at the gap from its values (m, NODES, q) at gap + way * PLACES; where it is absent, and where rough.

    Times sine**3 it is a polynomial in the gap, whose lowest powers may be missing.
    """
    gaps = (gap[:, None] + way[:, None] * PLACES)[..., None]
    smooth = values * (gaps * (2 - gaps)) ** 1.5
    absent = (np.abs(smooth).max(axis=1, initial=0.0) <= ROUNDING * scale).all(axis=1)
    smooth[absent] = 0.0
    power = np.zeros((len(values), values.shape[2]))
    for _ in range(3):
        at_edge = np.einsum("mn,mnq->mq", _interpolation(-gap / way), smooth)
        missing = np.abs(at_edge) <= ROUNDING * np.maximum(scale, np.abs(smooth).max(axis=1, initial=0.0))
        smooth = np.where(missing[:, None], smooth / gaps, smooth)
        power += missing
    value = np.einsum("mn,mnq->mq", _interpolation(np.zeros(len(gap))), smooth)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # gap**power / sine**3, in the order in which nothing overflows that need not
        result = value * gap[:, None] ** (power - 1.5) / (2 - gap[:, None]) ** 1.5
    return np.where(value == 0, 0.0, result), absent, _is_rough(smooth, scale)


def _is_rough(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Whether values (m, NODES, q) at the places are those of no polynomial that so few of them determine."""
    tail = np.abs(np.einsum("mnq,nt->mqt", values, TAIL)).max(axis=2)
    allowed = 1e-6 * np.abs(values).max(axis=1, initial=0.0) + 1e-9 * scale
    return ~(tail <= allowed).all(axis=1)


def _interpolation(at: np.ndarray) -> np.ndarray:
    """(m, NODES): the weights of the values at the places in the value at `at` (m,) of the polynomial through them."""
    weights = np.ones((len(at), NODES))
    for k in range(NODES):
        for i in range(NODES):
            if i != k:
                weights[:, k] *= (at - PLACES[i]) / (PLACES[k] - PLACES[i])
    return weights
