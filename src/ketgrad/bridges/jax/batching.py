"""How `vmap` batches an operation: the mapped axis becomes part of the rows, never a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from ketgrad.bridges.jax.calls import BoundCall, selected


def _roles(name: str, by: int, along: int) -> tuple[list[str], list[str]]:
    """What each argument and each result has rows like: "w" weights, "x" inputs, "y" values."""
    first, other = selected("wx", by), selected("wx", along)
    return {
        "value": (["w", "x"], ["y"]),
        "jvp": (["w", "x", *first], ["y"]),
        "vjp": (["w", "x", "y"], first),
        "hvp": (["w", "x", "y", *other], first),
        "second": (["w", "x", *first, *other], ["y"]),
    }[name]


def batched(
    primitive: Any,
    name: str,
    arguments: Sequence[Any],
    axes: Sequence[Any],
    *,
    call: BoundCall,
    by: int = 0,
    along: int = 0,
) -> tuple[Any, Any]:
    """The mapped axis becomes part of the rows: N times B samples in one call.

    A variable that is not mapped stays one row, shared by all, unless it is differentiated: each mapped entry has a
    derivative of its own.
    """
    taken, given = _roles(name, by, along)
    mapped = [axis is not None for axis in axes]
    count = next(a.shape[axis] for a, axis in zip(arguments, axes, strict=True) if axis is not None)
    front = [a if axis is None else jnp.moveaxis(a, axis, 0) for a, axis in zip(arguments, axes, strict=True)]
    own = {"w": front[0].shape[-2], "x": front[1].shape[-2]}
    own["y"] = own["x"] if own["w"] == 1 else own["w"]
    apart = {role for role, is_mapped in zip(taken, mapped, strict=True) if is_mapped} | {*given, "y"}
    apart |= {role for role in "wx" if own[role] != 1}
    rows = [
        _expanded(a, is_mapped, count, own["y"]) if role in apart else a
        for a, role, is_mapped in zip(front, taken, mapped, strict=True)
    ]
    parameters = {"by": by} if name in ("jvp", "vjp") else {"by": by, "along": along} if by else {}
    found = primitive.bind(*rows, call=call, **parameters)
    results = found if primitive.multiple_results else [found]
    results = [
        _folded(result, count, own["y"], own[role]) for result, role in zip(results, given, strict=True)
    ]
    return (results, [0] * len(results)) if primitive.multiple_results else (results[0], 0)


def _expanded(array: Any, is_mapped: bool, count: int, batch: int) -> Any:
    """(count * batch, columns) of an array (rows, columns), or (count, rows, columns) if it is mapped."""
    array = array if is_mapped else array[None]
    columns = array.shape[-1]
    return jnp.broadcast_to(array, (count, batch, columns)).reshape(count * batch, columns)


def _folded(array: Any, count: int, batch: int, rows: int) -> Any:
    """(count, rows, columns) of (count * batch, columns): samples that shared a row are added up."""
    array = array.reshape(count, batch, array.shape[-1])
    return array if rows == batch else array.sum(axis=1, keepdims=True)
