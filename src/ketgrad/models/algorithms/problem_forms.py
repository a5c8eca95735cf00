"""What `qaoa` may be asked: graphs, matrices, tables and dictionaries into an energy of Z words, names kept."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.user_warnings import warn_user
from ketgrad.problems.binary import qubo
from ketgrad.problems.exact import num_qubits_of
from ketgrad.problems.graphs import graph_edges, maxcut


class Problem(NamedTuple):
    """The energy to minimise, the number of bits, what it is called, and the names of the bits in their order."""

    energy: PauliSum
    size: int
    sense: str
    nodes: tuple[Hashable, ...]


def read_problem(problem: Any) -> Problem:
    """The problem in any of the forms of `qaoa`.

    >>> read_problem([("a", "b"), ("b", "c", 0.5)]).nodes
    ('a', 'b', 'c')
    """
    if isinstance(problem, PauliSum):
        size = num_qubits_of(problem)
        return Problem(problem, size, "energy", tuple(range(size)))
    if hasattr(problem, "columns") and hasattr(problem, "to_numpy"):
        matrix, nodes = _frame(problem)
        _warn_of_adjacency(matrix)
        return Problem(qubo(matrix), len(nodes), "cost", nodes)
    if isinstance(problem, np.ndarray):
        _warn_of_adjacency(problem)
        cost = qubo(problem)
        return Problem(cost, len(problem), "cost", tuple(range(len(problem))))
    if isinstance(problem, Mapping):
        return _entries(problem)
    if hasattr(problem, "nodes") and hasattr(problem, "edges"):
        size, _ = graph_edges(problem)
        return Problem(maxcut(problem), size, "cut", tuple(problem.nodes))
    if isinstance(problem, Iterable) and not isinstance(problem, str | bytes):
        return _edges(list(problem))
    size, _ = graph_edges(problem)  # says what a graph may be
    return Problem(maxcut(problem), size, "cut", tuple(range(size)))


def _frame(frame: Any) -> tuple[np.ndarray, tuple[Hashable, ...]]:
    """The matrix and names of a data frame; its rows are in the order of the columns, or named alike in any order."""
    names, rows = list(frame.columns), list(frame.index)
    if len(set(names)) < len(names):
        raise KetgradValueError(f"`problem` must have columns of different names, but has {names}.")
    if rows != names and rows != list(range(len(rows))):
        if set(rows) != set(names) or len(rows) != len(names):
            raise KetgradValueError(
                "`problem` as a data frame must have the same names on its rows as on its columns - entry (i, j) "
                f"couples two bits - but they are {rows[:5]} and {names[:5]}."
            )
        frame = frame.loc[names]
    return frame.to_numpy(), tuple(names)


def _entries(matrix: Mapping[Any, Any]) -> Problem:
    pairs = [key for key in matrix if isinstance(key, tuple) and len(key) == 2]
    if len(pairs) < len(matrix) or not _named(ends := [end for pair in pairs for end in pair]):
        cost = qubo(matrix)
        size = 1 + max((int(k) for pair in matrix for k in pair), default=0)
        return Problem(cost, size, "cost", tuple(range(size)))
    number = _numbered(ends)
    cost = qubo({(number[i], number[j]): matrix[i, j] for i, j in pairs})
    return Problem(cost, len(number), "cost", tuple(number))


def _edges(edges: list[Any]) -> Problem:
    ends = [end for edge in edges if isinstance(edge, tuple | list) for end in edge[:2]]
    nodes: Sequence[Hashable] | None = None
    if _named(ends):
        number = _numbered(ends)
        nodes = tuple(number)
        edges = [
            (*(number[end] for end in edge[:2]), *edge[2:]) if isinstance(edge, tuple | list) else edge
            for edge in edges
        ]
    size, _ = graph_edges(edges)
    return Problem(maxcut(edges), size, "cut", tuple(range(size) if nodes is None else nodes))


def _named(ends: Sequence[Any]) -> bool:
    """Whether nodes are named by something else than numbers; wrong numbers are left to the checks of numbers."""
    return any(
        isinstance(end, Hashable) and not isinstance(end, int | float | complex | np.number) for end in ends
    )


def _numbered(ends: Iterable[Hashable]) -> dict[Hashable, int]:
    """The qubit of each name, in the order in which they first appear."""
    number: dict[Hashable, int] = {}
    for end in ends:
        number.setdefault(end, len(number))
    return number


def _warn_of_adjacency(matrix: np.ndarray) -> None:
    """Say what is minimised where a matrix of zeros and ones looks like a graph."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "fiub":
        return  # refused by `qubo`
    ones = matrix == 1
    looks = ones.any() and (ones | (matrix == 0)).all() and not np.diag(ones).any() and (ones == ones.T).all()
    if looks:
        warn_user(
            "`problem` looks like the adjacency matrix of a graph, but a matrix is a QUBO: the bits b with the "
            "smallest b Q b are sought, which are all 0 here. For the largest cut pass the graph, its edges, or "
            "kg.hamiltonians.maxcut(matrix)."
        )
