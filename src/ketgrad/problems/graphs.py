"""Graphs and the energies of their cuts; a ground state is a largest cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradError, KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import check_count, check_number

Edge = tuple[int, int, float]


def maxcut(graph: Any) -> PauliSum:
    """The energy of a cut is minus its weight: - sum over edges of weight (1 - Z_i Z_j) / 2.

    graph: a networkx graph (nodes become qubits in the order of `graph.nodes`; the edge attribute "weight" counts,
    1 if absent), a list of edges (i, j) or (i, j, weight) between integers, or a symmetric adjacency matrix (array).
    A ground state is a largest cut: bit q says on which side node q lies. Cost: one word per edge.
    Raises `KetgradValueError` for loops, edges that are named twice, directed graphs, matrices that are not
    symmetric, and weights that are not finite.

    Farhi et al. 2014, arXiv:1411.4028.

    >>> maxcut([(0, 1), (1, 2)])
    Pauli('-1.0 + 0.5 Z0 Z1 + 0.5 Z1 Z2')
    """
    _, edges = graph_edges(graph)
    return PauliSum.collect(
        word for i, j, weight in edges for word in ((0, 0, -weight / 2), (0, 1 << i | 1 << j, weight / 2))
    )


def graph_edges(graph: Any) -> tuple[int, tuple[Edge, ...]]:
    """The number of nodes and the edges (i, j, weight), i < j, of a graph in any of the forms of `maxcut`.

    >>> graph_edges([(1, 0), (1, 2, 0.5)])
    (3, ((0, 1, 1.0), (1, 2, 0.5)))
    """
    if hasattr(graph, "nodes") and hasattr(graph, "edges"):
        return _networkx_edges(graph)
    if isinstance(graph, np.ndarray):
        return _matrix_edges(graph)
    if isinstance(graph, str | bytes | Mapping) or not isinstance(graph, Iterable):
        raise KetgradTypeError(
            "`graph` must be a networkx graph, a list of edges (i, j) or (i, j, weight), or an adjacency matrix, but "
            f"is {type(graph).__name__}."
        )
    return _listed_edges(graph)


def _networkx_edges(graph: Any) -> tuple[int, tuple[Edge, ...]]:
    if graph.is_directed() or graph.is_multigraph():
        raise KetgradValueError("`graph` must be undirected with single edges: a cut has no direction.")
    number = {node: k for k, node in enumerate(graph.nodes)}
    edges = [(number[a], number[b], graph.edges[a, b].get("weight", 1.0)) for a, b in graph.edges]
    return len(number), _checked_edges(edges)


def _matrix_edges(matrix: np.ndarray) -> tuple[int, tuple[Edge, ...]]:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.dtype.kind not in "fiub":
        raise KetgradValueError(
            f"`graph` as an array must be a real (n, n) adjacency matrix, but has dtype {matrix.dtype} and shape "
            f"{matrix.shape}. Edges are given as a list of pairs."
        )
    unequal = np.argwhere(matrix != matrix.T)
    if len(unequal):
        i, j = (int(k) for k in unequal[0])
        raise KetgradValueError(
            "`graph` as an array must be symmetric - a cut has no direction - but entries "
            f"({i}, {j}) and ({j}, {i}) are {matrix[i, j]} and {matrix[j, i]}."
        )
    rows, columns = np.nonzero(np.triu(matrix))
    return len(matrix), _checked_edges(
        (int(i), int(j), float(matrix[i, j])) for i, j in zip(rows, columns, strict=True)
    )


def _listed_edges(graph: Iterable[Any]) -> tuple[int, tuple[Edge, ...]]:
    edges = []
    for position, edge in enumerate(graph):
        if not isinstance(edge, tuple | list) or len(edge) not in (2, 3):
            raise KetgradTypeError(
                f"`graph` must hold edges (i, j) or (i, j, weight), but entry {position} is {edge!r}."
            )
        i, j = (check_count(node, f"graph[{position}]", 0) for node in edge[:2])
        edges.append((i, j, edge[2] if len(edge) == 3 else 1.0))
    checked = _checked_edges(edges)
    return 1 + max((j for _, j, _ in checked), default=-1), checked


def _checked_edges(edges: Iterable[tuple[int, int, Any]]) -> tuple[Edge, ...]:
    found: dict[tuple[int, int], float] = {}
    for a, b, weight in edges:
        i, j = min(a, b), max(a, b)
        if i == j:
            raise KetgradValueError(
                f"`graph` must have no loops - no cut separates a node from itself - but node {i} has."
            )
        if (i, j) in found:
            raise KetgradValueError(f"`graph` must name each edge once, but names ({i}, {j}) twice.")
        found[i, j] = finite_weight(weight, f"The weight of the edge ({i}, {j})")
    if not found:
        raise KetgradValueError("`graph` must have at least one edge, but has none.")
    return tuple((i, j, weight) for (i, j), weight in sorted(found.items()))


def finite_weight(value: Any, name: str) -> float:
    """`value` as a float; `name` begins the error.

    >>> finite_weight(2, "The weight")
    2.0
    """
    try:
        return check_number(value, name)
    except KetgradError:
        raise KetgradValueError(f"{name} must be a finite real number, but is {shown(value)}.") from None
