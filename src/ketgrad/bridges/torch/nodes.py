"""The nodes that a circuit adds to the graph of PyTorch: values, derivatives, and derivatives of those.

| node | computes | its derivatives are |
| --- | --- | --- |
| `Values` | f(weights, inputs) | `Pullback` (reverse), `Pushforward` (forward) |
| `Pullback` | f.vjp | `Curvature` |
| `Pushforward` | f.jvp | `Curvature` |
| `Curvature` | f.hvp | by what it is linear in: `Curvature` |
| `Guarded` | its argument | refused: third derivatives |

A Hessian-vector product is linear in its directions, and those derivatives it has. By weights, inputs and the cotangent
it has none: they reach it through `Guarded`, which refuses where PyTorch asks for such a derivative, and only there.

All arrays have one axis of their own (weights, inputs or outputs) behind any number of leading axes, so that
`torch.func.vmap` is one more leading axis for every node, never a loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import from_numpy, is_grad_enabled
from torch._C import _are_functorch_transforms_active as transforms_active
from torch._C._functorch import is_legacy_batchedtensor
from torch._functorch.utils import unwrap_dead_wrappers
from torch.autograd import Function as Node
from torch.autograd import forward_ad

from ketgrad.foundation.errors import KetgradError, KetgradTypeError, KetgradValueError

Tensors = tuple[Any, ...]


def call(node: Any, *arguments: Any) -> Any:
    """`node.apply(*arguments)`, without its overhead where no transform of torch.func and no recording need it.

    `apply` binds default arguments on every call, which takes longer than the rest of it; the nodes have none.
    """
    if transforms_active():
        return node.apply(*arguments)
    if not is_grad_enabled() and forward_ad._current_level < 0:
        return node.forward(*arguments)
    base: Any = super(Node, node)
    return base.apply(*unwrap_dead_wrappers(arguments))  # as `apply` itself ends


class Values(Node):
    """The values (..., num_outputs)."""

    @staticmethod
    def forward(function: Any, weights: Any, inputs: Any) -> Any:
        """One forward simulation."""
        try:
            arrays = weights.numpy(force=True), inputs.numpy(force=True)
        except (RuntimeError, TypeError):
            arrays = _array(weights), _array(inputs)
        return from_numpy(function(*arrays))

    @staticmethod
    def setup_context(ctx: Any, inputs: Tensors, output: Any) -> None:
        """Keep the arguments; of the simulation nothing is kept."""
        ctx.function, weights, data = inputs
        ctx.save_for_backward(weights, data)
        ctx.save_for_forward(weights, data)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Tensors:
        """One forward and one backward pass, for all weights and inputs at once."""
        if cotangents[0] is None:
            return None, None, None
        return (None, *call(Pullback, ctx.function, *ctx.saved_tensors, cotangents[0]))

    @staticmethod
    def jvp(ctx: Any, *directions: Any) -> Any:
        """The derivative of the values along a direction."""
        return call(Pushforward, ctx.function, *ctx.saved_tensors, *directions[1:])

    @staticmethod
    def vmap(info: Any, in_dims: Tensors, *arguments: Any) -> tuple[Any, Any]:
        """One more leading axis; what is shared by the batch stays shared."""
        function, *tensors = arguments
        return call(Values, function, *_lead(in_dims[1:], tensors)), 0


class Pullback(Node):
    """The derivatives (dweights, dinputs) of sum(cotangent * values)."""

    @staticmethod
    def forward(function: Any, weights: Any, inputs: Any, cotangent: Any) -> Tensors:
        """One forward and one backward pass."""
        direction = np.ascontiguousarray(
            _array(cotangent)
        )  # that of a sum is one number, repeated without a copy
        _, dweights, dinputs = function.vjp(_array(weights), _array(inputs), direction)
        return from_numpy(dweights), from_numpy(dinputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Tensors, output: Any) -> None:
        """Keep the arguments."""
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Tensors:
        """Second derivatives: by the weights, the inputs and the cotangent."""
        if cotangents[0] is None and cotangents[1] is None:
            return None, None, None, None
        found = call(Curvature, ctx.function, *_guarded(ctx.saved_tensors), *cotangents, None)
        return None, found[3], found[4], found[0]

    @staticmethod
    def jvp(ctx: Any, *directions: Any) -> Any:
        """How both derivatives change along a direction."""
        return call(Curvature, ctx.function, *_guarded(ctx.saved_tensors), *directions[1:])[3:]

    @staticmethod
    def vmap(info: Any, in_dims: Tensors, *arguments: Any) -> tuple[Any, Any]:
        """One more leading axis; every member of the batch has derivatives of its own."""
        return _batch(Pullback, info.batch_size, in_dims, arguments, (0, 1))


class Pushforward(Node):
    """The derivative (..., num_outputs) of the values along (dweights, dinputs)."""

    @staticmethod
    def forward(function: Any, weights: Any, inputs: Any, dweights: Any, dinputs: Any) -> Any:
        """Values and tangents in one sweep."""
        directions = _array(dweights), _array(dinputs)
        return from_numpy(function.jvp(_array(weights), _array(inputs), *directions)[1])

    @staticmethod
    def setup_context(ctx: Any, inputs: Tensors, output: Any) -> None:
        """Keep the arguments."""
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Tensors:
        """Second derivatives by weights and inputs, first ones by the direction."""
        if cotangents[0] is None:
            return None, None, None, None, None
        *points, dweights, dinputs = ctx.saved_tensors
        held = _guarded((*points, cotangents[0]))
        found = call(Curvature, ctx.function, *held, dweights, dinputs, None)
        by_directions = zip((dweights, dinputs), found[1:3], strict=True)
        return None, found[3], found[4], *(None if given is None else by for given, by in by_directions)

    @staticmethod
    def jvp(ctx: Any, *directions: Any) -> Any:
        """Refused: it would need one Hessian-vector product for each output."""
        raise KetgradValueError(
            "the forward derivative of a forward derivative is not provided - it costs one pass for each output. "
            "Use torch.func.hessian, which is forward over reverse: jacfwd(jacrev(f))."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Tensors, *arguments: Any) -> tuple[Any, Any]:
        """One more leading axis."""
        return _batch(Pushforward, info.batch_size, in_dims, arguments, None)


class Curvature(Node):
    """(tangents, dweights, dinputs, hweights, hinputs) of a Hessian-vector product."""

    @staticmethod
    def forward(
        function: Any,
        weights: Any,
        inputs: Any,
        cotangent: Any,
        dweights: Any,
        dinputs: Any,
        dcotangent: Any,
    ) -> Tensors:
        """First and second derivatives in one sweep."""
        directions = _array(dweights), _array(dinputs), _array(dcotangent)
        found = function.hvp(_array(weights), _array(inputs), _array(cotangent), *directions)
        return tuple(from_numpy(array) for array in found[1:])

    @staticmethod
    def setup_context(ctx: Any, inputs: Tensors, output: Any) -> None:
        """Keep the arguments, whose directions may be left out."""
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """By the directions: the product with the Hessian again, which is symmetric. The rest is guarded."""
        weights, inputs, cotangent, *directions = ctx.saved_tensors
        tangents, _, _, *turns = cotangents
        blank = [torch.zeros_like(held) for held in (weights, inputs, cotangent)]
        if all(one is None for one in (tangents, *turns)):
            return None, *blank, None, None, None
        found = call(Curvature, ctx.function, weights, inputs, cotangent, *turns, tangents)
        by_directions = zip(directions, (found[3], found[4], found[0]), strict=True)
        return None, *blank, *(None if given is None else by for given, by in by_directions)

    @staticmethod
    def jvp(ctx: Any, *directions: Any) -> Any:
        """Refused."""
        raise _third()

    @staticmethod
    def vmap(info: Any, in_dims: Tensors, *arguments: Any) -> tuple[Any, Any]:
        """One more leading axis."""
        return _batch(Curvature, info.batch_size, in_dims, arguments, (None, 0, 1, 0, 1))


class Guarded(Node):
    """A tensor as it is, by which a Hessian-vector product has no derivative."""

    @staticmethod
    def forward(tensor: Any) -> Any:
        """The same numbers."""
        return tensor.view_as(tensor)

    @staticmethod
    def setup_context(ctx: Any, inputs: Tensors, output: Any) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """Refused."""
        raise _third()

    @staticmethod
    def jvp(ctx: Any, *directions: Any) -> Any:
        """Refused."""
        raise _third()

    @staticmethod
    def vmap(info: Any, in_dims: Tensors, tensor: Any) -> tuple[Any, Any]:
        """The same tensor, with its axis where it is."""
        return call(Guarded, tensor), in_dims[0]


def _guarded(tensors: Tensors) -> Tensors:
    """The tensors, through `Guarded` where a derivative of what is made of them may be asked for."""
    if not is_grad_enabled():
        return tensors
    return tuple(call(Guarded, tensor) for tensor in tensors)


def _third() -> KetgradValueError:
    return KetgradValueError(
        "a third derivative of a circuit was asked for, but only values, first and second derivatives are provided. "
        "A loss that holds second derivatives cannot be trained: state it with first ones, as a differential "
        "equation of second order as two of first order."
    )


def _keep(ctx: Any, inputs: Tensors) -> None:
    ctx.function, *tensors = inputs
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)


def _array(tensor: Any) -> Any:
    """The memory of a tensor as an array; None stays None."""
    try:
        return None if tensor is None else tensor.numpy(force=True)
    except (RuntimeError, TypeError) as error:
        raise _without_numbers(tensor) from error


def _without_numbers(tensor: Any) -> KetgradError:
    if is_legacy_batchedtensor(tensor):
        return KetgradValueError(
            "a circuit cannot be batched by `vectorize=True` or `is_grads_batched=True` - they came before torch.func, "
            "and know the operations of PyTorch alone. Use torch.func: jacrev, jacfwd, hessian or vmap."
        )
    plain = type(tensor) is torch.Tensor and not tensor.is_nested
    kind = str(tensor.layout) if plain else "nested tensor" if tensor.is_nested else type(tensor).__name__
    return KetgradTypeError(
        f"the arguments of a circuit must be dense tensors of numbers - it runs outside of PyTorch - but one is a "
        f"{kind}. Write tensor.to_dense(), or call the circuit outside of what traces without numbers."
    )


def _lead(dims: Any, tensors: Any) -> list[Any]:
    """The batch axis of each tensor moved to the front, before as many leading axes as any of them has."""
    axes = max(t.ndim - (d is not None) for d, t in zip(dims, tensors, strict=True) if t is not None)
    return [
        t if t is None or d is None else _padded(t.movedim(d, 0), axes)
        for d, t in zip(dims, tensors, strict=True)
    ]


def _padded(tensor: Any, axes: int) -> Any:
    """(B, *own) as (B, 1, ..., 1, *own) with `axes` axes behind the first."""
    return tensor.reshape(tensor.shape[0], *[1] * (axes + 1 - tensor.ndim), *tensor.shape[1:])


def _batch(
    node: Any, size: int, in_dims: Tensors, arguments: Tensors, like: tuple[int | None, ...] | None
) -> tuple[Any, Any]:
    """A node under vmap: everything with the batch axis in front, and results without the axes of padding.

    like: for each result the argument (0 weights, 1 inputs) whose shape it has; None for the shape of the values.
    """
    function, *tensors = arguments
    own = [None if t is None else t.movedim(d, 0).shape[1:] if d is not None else t.shape
           for d, t in zip(in_dims[1:], tensors, strict=True)]  # fmt: skip
    axes = max(len(shape) for shape in own if shape is not None)
    full = [
        t if t is None else _padded(t.movedim(d, 0) if d is not None else t.expand(size, *t.shape), axes)
        for d, t in zip(in_dims[1:], tensors, strict=True)
    ]
    found = call(node, function, *full)
    if like is None:
        return found, 0
    shaped = [
        result if k is None else result.reshape(size, *own[k])  # type: ignore[misc]
        for k, result in zip(like, found, strict=True)
    ]
    return tuple(shaped), (0,) * len(shaped)
