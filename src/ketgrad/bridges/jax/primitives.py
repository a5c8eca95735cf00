"""The five operations that JAX knows of a circuit, and how each is differentiated, transposed and batched.

With y(w, x) the values, J their derivative by (w, x) and d, u, v directions in (w, x):

    value(w, x)            y
    jvp(w, x, d)           J d                            linear in d
    vjp(w, x, c)           c J                            linear in c
    hvp(w, x, c, d)        the derivative of c J along d  linear in c, linear in d
    second(w, x, u, v)     the derivative of J u along v  linear in u, linear in v

jvp and vjp are each other's transpose, hvp is its own in d, and hvp (in c) and second (in u or v) are each other's; so
every mixture of forward and reverse mode closes, up to second order. Directions and results by weights or by inputs
alone carry a bit mask, `by` or `along`, so that nothing is computed by variables that nobody differentiates.

Inside of `jax.shard_map` the arguments of an operation vary alike over the mesh: those that are the same on every
device are cast first, as JAX's own operations do it. The transpose of that cast is the sum over the devices, without
which the gradient of shared weights would be the share of one device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from ketgrad.bridges.jax.batching import batched
from ketgrad.bridges.jax.calls import INPUTS, WEIGHTS, BoundCall, batch_of, placed, selected
from ketgrad.bridges.jax.execution import compiled, refuse_export, refuse_platform
from ketgrad.foundation.errors import KetgradValueError

# -- how they are called ---------------------------------------------------------------------------------------


def value(call: BoundCall, weights: Any, inputs: Any) -> Any:
    """y: (B, K)."""
    return value_p.bind(*_alike(weights, inputs), call=call)


def jvp(call: BoundCall, weights: Any, inputs: Any, direction: Sequence[Any]) -> Any:
    """J d for d = (by weights, by inputs), None for zero."""
    return jvp_p.bind(*_alike(weights, inputs, *_given(direction)), call=call, by=_mask(direction))


def vjp(call: BoundCall, weights: Any, inputs: Any, cotangent: Any, by: int) -> list[Any]:
    """c J: those of (by weights, by inputs) that `by` asks for."""
    return vjp_p.bind(*_alike(weights, inputs, cotangent), call=call, by=by)


def hvp(
    call: BoundCall, weights: Any, inputs: Any, cotangent: Any, direction: Sequence[Any], by: int
) -> list[Any]:
    """The derivative of `vjp` along a direction."""
    given = _alike(weights, inputs, cotangent, *_given(direction))
    return hvp_p.bind(*given, call=call, by=by, along=_mask(direction))


def second(call: BoundCall, weights: Any, inputs: Any, u: Sequence[Any], v: Sequence[Any]) -> Any:
    """The derivative of `jvp` with u along v: (B, K)."""
    given = _alike(weights, inputs, *_given(u), *_given(v))
    return second_p.bind(*given, call=call, by=_mask(u), along=_mask(v))


def _given(pair: Sequence[Any]) -> list[Any]:
    return [entry for entry in pair if entry is not None]


def _mask(pair: Sequence[Any]) -> int:
    return sum(bit for bit, entry in zip((WEIGHTS, INPUTS), pair, strict=True) if entry is not None)


# -- devices of a mesh -----------------------------------------------------------------------------------------


def _alike(*arrays: Any) -> list[Any]:
    """The arrays, each varying over every axis of the mesh that one of them varies over."""
    axes = [_varying(jax.typeof(array)) for array in arrays]
    union = frozenset().union(*axes)
    if not union:
        return list(arrays)
    return [_cast(array, tuple(sorted(union - own))) for array, own in zip(arrays, axes, strict=True)]


def _varying(kind: Any) -> frozenset[str]:
    """The axes of the mesh of `jax.shard_map` over which an array differs from device to device."""
    return kind.vma if hasattr(kind, "vma") else kind.mat.varying  # the name is JAX's, before 0.10 and since


def _cast(array: Any, axes: tuple[str, ...]) -> Any:
    if not axes:
        return array
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(array, axes, to="varying")
    older: Any = vars(jax.lax)["pvary"]
    return older(array, axes)


def _shaped(like: Any, shape: Any, dtype: Any) -> Any:
    """The type of a result that varies over the mesh as an argument does."""
    if not _varying(like):
        return ShapedArray(shape, dtype)
    return like.update(shape=shape, dtype=dtype, weak_type=False)


# -- shapes ----------------------------------------------------------------------------------------------------


def _value_shape(weights: Any, inputs: Any, *_: Any, call: BoundCall, by: int = 0, along: int = 0) -> Any:
    result = call.outputs(batch_of(weights, inputs), weights.dtype)
    return _shaped(weights, result.shape, result.dtype)


def _gradient_shapes(
    weights: Any, inputs: Any, *_: Any, call: BoundCall, by: int, along: int = 0
) -> list[Any]:
    return [_shaped(array, array.shape, array.dtype) for array in selected((weights, inputs), by)]


# -- forward mode ----------------------------------------------------------------------------------------------


def _nonzero(tangents: Sequence[Any]) -> list[Any]:
    """Tangents as arrays, None for those that are zero."""
    return [None if type(t) is ad.Zero else t for t in tangents]


def _any(tangents: Sequence[Any]) -> bool:
    return any(t is not None for t in tangents)


def _sum(terms: Sequence[Any], primal: Any) -> Any:
    """The sum of the tangents of one result."""
    return functools.reduce(jnp.add, terms) if terms else ad.Zero(jax.typeof(primal).to_tangent_aval())


def _value_forward(primals: Any, tangents: Any, *, call: BoundCall) -> tuple[Any, Any]:
    weights, inputs = primals
    direction = _nonzero(tangents)
    terms = [jvp(call, weights, inputs, direction)] if _any(direction) else []
    found = value(call, weights, inputs)
    return found, _sum(terms, found)


def _jvp_forward(primals: Any, tangents: Any, *, call: BoundCall, by: int) -> tuple[Any, Any]:
    weights, inputs, *rest = primals
    moved, *others = _nonzero(tangents[:2]), *_nonzero(tangents[2:])
    direction, change = placed(rest, by), placed(others, by)
    terms = []
    if _any(change):
        terms.append(jvp(call, weights, inputs, change))
    if _any(moved):
        terms.append(second(call, weights, inputs, direction, moved))
    found = jvp(call, weights, inputs, direction)
    return found, _sum(terms, found)


def _vjp_forward(primals: Any, tangents: Any, *, call: BoundCall, by: int) -> tuple[Any, Any]:
    weights, inputs, cotangent = primals
    *moved, change = _nonzero(tangents)
    terms = []
    if change is not None:
        terms.append(vjp(call, weights, inputs, change, by))
    if _any(moved):
        terms.append(hvp(call, weights, inputs, cotangent, moved, by))
    found = vjp(call, weights, inputs, cotangent, by)
    return found, [_sum([term[k] for term in terms], result) for k, result in enumerate(found)]


def _hvp_forward(primals: Any, tangents: Any, *, call: BoundCall, by: int, along: int) -> tuple[Any, Any]:
    weights, inputs, cotangent, *rest = primals
    moved, (change, *others) = _nonzero(tangents[:2]), _nonzero(tangents[2:])
    _refuse_third_order(moved)
    direction, turn = placed(rest, along), placed(others, along)
    terms = []
    if change is not None:
        terms.append(hvp(call, weights, inputs, change, direction, by))
    if _any(turn):
        terms.append(hvp(call, weights, inputs, cotangent, turn, by))
    found = hvp(call, weights, inputs, cotangent, direction, by)
    return found, [_sum([term[k] for term in terms], result) for k, result in enumerate(found)]


def _second_forward(primals: Any, tangents: Any, *, call: BoundCall, by: int, along: int) -> tuple[Any, Any]:
    weights, inputs, *rest = primals
    moved, changes = _nonzero(tangents[:2]), _nonzero(tangents[2:])
    _refuse_third_order(moved)
    (u, v), (du, dv) = _two(rest, by, along), _two(changes, by, along)
    terms = []
    if _any(du):
        terms.append(second(call, weights, inputs, du, v))
    if _any(dv):
        terms.append(second(call, weights, inputs, u, dv))
    found = second(call, weights, inputs, u, v)
    return found, _sum(terms, found)


def _two(entries: Sequence[Any], by: int, along: int) -> tuple[list[Any], list[Any]]:
    split = by.bit_count()
    return placed(entries[:split], by), placed(entries[split:], along)


def _refuse_third_order(moved: Sequence[Any]) -> None:
    if _any(moved):
        raise KetgradValueError(
            "a third derivative of a circuit was asked for, but ketgrad gives the first and the second. Differentiate "
            "twice at most, or cut the chain with jax.lax.stop_gradient."
        )


# -- reverse mode ----------------------------------------------------------------------------------------------


def _linear(entries: Sequence[Any]) -> list[bool]:
    return [ad.is_undefined_primal(entry) for entry in entries]


def _undefined(entries: Sequence[Any], bits: int) -> int:
    """The bits of the directions that are transposed."""
    return sum(
        bit
        for bit, entry in zip((WEIGHTS, INPUTS), placed(entries, bits), strict=True)
        if entry is not None and ad.is_undefined_primal(entry)
    )


def _in_place(found: Sequence[Any], entries: Sequence[Any]) -> list[Any]:
    """Results where the transposed directions stand, None elsewhere."""
    rest = iter(found)
    return [next(rest) if linear else None for linear in _linear(entries)]


def _jvp_backward(ct: Any, weights: Any, inputs: Any, *direction: Any, call: BoundCall, by: int) -> list[Any]:
    if type(ct) is ad.Zero:
        return [None] * (2 + len(direction))
    found = vjp(call, weights, inputs, ct, _undefined(direction, by))
    return [None, None, *_in_place(found, direction)]


def _vjp_backward(
    cts: Any, weights: Any, inputs: Any, cotangent: Any, *, call: BoundCall, by: int
) -> list[Any]:
    direction = placed(_nonzero(cts), by)
    return [None, None, jvp(call, weights, inputs, direction) if _any(direction) else None]


def _hvp_backward(
    cts: Any, weights: Any, inputs: Any, cotangent: Any, *direction: Any, call: BoundCall, by: int, along: int
) -> list[Any]:
    u = placed(_nonzero(cts), by)
    if not _any(u):
        return [None] * (3 + len(direction))
    if ad.is_undefined_primal(cotangent):
        found = second(call, weights, inputs, placed(direction, along), u)
        return [None, None, found, *[None] * len(direction)]
    results = hvp(call, weights, inputs, cotangent, u, _undefined(direction, along))
    return [None, None, None, *_in_place(results, direction)]


def _second_backward(
    ct: Any, weights: Any, inputs: Any, *directions: Any, call: BoundCall, by: int, along: int
) -> list[Any]:
    if type(ct) is ad.Zero:
        return [None] * (2 + len(directions))
    split = by.bit_count()
    first, other = directions[:split], directions[split:]
    if any(_linear(other)):
        found = hvp(call, weights, inputs, ct, placed(first, by), _undefined(other, along))
        return [None, None, *[None] * len(first), *_in_place(found, other)]
    found = hvp(call, weights, inputs, ct, placed(other, along), _undefined(first, by))
    return [None, None, *_in_place(found, first), *[None] * len(other)]


# -- what runs -------------------------------------------------------------------------------------------------


def _second_of(call: BoundCall, weights: Any, inputs: Any, *directions: Any, by: int, along: int) -> Any:
    """`second` from `hvp`, one product for each output, all of them in one batch."""
    batch = batch_of(weights, inputs)
    u, v = _two([_apart(d, batch) for d in directions], by, along)
    weights, inputs = _apart(weights, batch), _apart(inputs, batch)
    kind = call.outputs(batch, weights.dtype)

    def of_output(unit: Any) -> Any:
        cotangent = jnp.broadcast_to(unit, kind.shape)
        found = hvp(call, weights, inputs, cotangent, u, along)
        return sum(jnp.sum(h * d, axis=-1) for h, d in zip(found, _given(v), strict=True))

    units = jnp.eye(kind.shape[1], dtype=kind.dtype)
    outputs = jax.vmap(of_output, out_axes=-1)
    if not call.is_state:
        return outputs(units)
    return jax.lax.complex(outputs(units), outputs(-1j * units))  # Re(-i y) = Im(y)


def _apart(array: Any, batch: int) -> Any:
    return jnp.broadcast_to(array, (batch, array.shape[-1]))


def _computation(name: str) -> Callable[..., Any]:
    """What is traced when the operation is compiled."""

    def compute(weights: Any, inputs: Any, *rest: Any, call: BoundCall, by: int = 0, along: int = 0) -> Any:
        if name == "value":
            return call.value(weights, inputs)
        if name == "jvp":
            return call.jvp(weights, inputs, rest, by)
        if name == "vjp":
            return call.vjp(weights, inputs, rest[0], by)
        if name == "hvp":
            return call.hvp(weights, inputs, rest[0], rest[1:], by, along)
        return _second_of(call, weights, inputs, *rest, by=by, along=along)

    return compute


def _primitive(
    name: str, shape: Callable[..., Any], forward: Callable[..., Any], backward: Callable[..., Any] | None
) -> Any:
    """An operation with all its rules, registered with JAX."""
    primitive = Primitive(f"ketgrad_{name}")
    primitive.multiple_results = name in ("vjp", "hvp")
    primitive.def_abstract_eval(shape)
    primitive.def_impl(compiled(primitive))
    ad.primitive_jvps[primitive] = forward
    if backward is not None:
        ad.primitive_transposes[primitive] = backward
    batching.primitive_batchers[primitive] = functools.partial(batched, primitive, name)
    lowered = mlir.lower_fun(_computation(name), multiple_results=primitive.multiple_results)

    def lower(context: Any, *arguments: Any, call: BoundCall, **parameters: int) -> Any:
        refuse_export(context)
        context.module_context.add_keepalive(call)  # compiled code knows only its number
        return lowered(context, *arguments, call=call, **parameters)

    mlir.register_lowering(primitive, lower, platform="cpu")
    mlir.register_lowering(primitive, refuse_platform)
    return primitive


value_p = _primitive("value", _value_shape, _value_forward, None)
jvp_p = _primitive("jvp", _value_shape, _jvp_forward, _jvp_backward)
vjp_p = _primitive("vjp", _gradient_shapes, _vjp_forward, _vjp_backward)
hvp_p = _primitive("hvp", _gradient_shapes, _hvp_forward, _hvp_backward)
second_p = _primitive("second", _value_shape, _second_forward, _second_backward)
