"""The call of a circuit on tensors, its arguments checked."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NoReturn

import numpy as np
import torch
from torch._C import _dispatch_tls_is_dispatch_key_included as includes
from torch._C import _len_torch_dispatch_stack as modes

from ketgrad.bridges.torch.nodes import Values, call
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.numbers import COMPLEX64
from ketgrad.foundation.seeds import check_seed
from ketgrad.functions.function import Function

REAL = (torch.float32, torch.float64)
PRE_DISPATCH = torch._C.DispatchKey.PreDispatch  # included where make_fx records before autograd
SHORT = (torch.float16, torch.bfloat16)


def checked_call(function: Function, weights: Any, inputs: Any) -> torch.Tensor:
    """`apply` outside of torch.compile."""
    if modes() or includes(PRE_DISPATCH):
        _refuse_tracing()
    if not isinstance(function, Function) or not function.question.differentiable:
        refuse_function(function)
    if function.seed is not None and (worker := torch.utils.data.get_worker_info()) is not None:
        function = _of_worker(function, worker.seed)
    w, x = (
        (weights, inputs)
        if weights is not None and inputs is not None
        else _with_empty(function, weights, inputs)
    )
    kind = getattr(w, "dtype", None)
    if (
        not (isinstance(w, torch.Tensor) and isinstance(x, torch.Tensor) and w.is_cpu and x.is_cpu)
        or x.dtype is not kind
        or kind not in REAL
        or (function.dtype is COMPLEX64 and kind is not torch.float32)
    ):
        return checked_call(function, *_lengthened(function, w, x))
    return call(Values, function, w, x)


@functools.lru_cache(maxsize=64)
def _of_worker(function: Function, seed: int) -> Function:
    """The function with a stream of its own under its seed, as PyTorch's own generator has one in every worker."""
    root = check_seed(function.seed)
    spawned = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, seed))
    return function if function.common_random_numbers else dataclasses.replace(function, seed=spawned)


def _with_empty(function: Function, weights: Any, inputs: Any) -> tuple[Any, Any]:
    """Both arguments, an empty tensor for one that is left out and that the circuit does not read."""
    given = weights if inputs is None else inputs
    kind = given.dtype if isinstance(given, torch.Tensor) else None
    if weights is None and inputs is None and function.dtype is COMPLEX64:
        kind = torch.float32
    found = []
    for name, letter, tensor, width in (
        ("weights", "w", weights, function.num_weights),
        ("inputs", "x", inputs, function.num_inputs),
    ):
        if tensor is None and width:
            why = f"the circuit reads {letter}[0]" + (f" to {letter}[{width - 1}]" if width > 1 else "")
            raise KetgradValueError(f"`{name}` must have shape (..., {width}) - {why} - but is missing.")
        found.append(torch.empty(0, dtype=kind) if tensor is None else tensor)
    return found[0], found[1]


def _refuse_tracing() -> None:
    """`KetgradValueError` inside of a mode that records operations, or runs them without numbers; others pass."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    traced = (FakeTensorMode, ProxyTorchDispatchMode)
    for mode in _get_current_dispatch_mode_stack():
        if isinstance(mode, traced):
            raise refuse_graph("make_fx or FakeTensorMode")
    if includes(PRE_DISPATCH):
        raise refuse_graph("make_fx")


def refuse_graph(by: str) -> KetgradValueError:
    """The refusal of a graph that would have to hold the circuit."""
    return KetgradValueError(
        f"a circuit cannot be traced by {by} - it runs outside of PyTorch, and the graph would hold the numbers of "
        "this call. Trace what stands before and behind it, and keep the function itself with kg.save."
    )


def refuse_function(function: Any) -> None:
    """Raise: what is no function with derivatives."""
    if isinstance(function, Function):
        raise KetgradTypeError(
            "`function` must have derivatives, but samples are integers - use kg.expectation or kg.probabilities."
        )
    raise KetgradTypeError(
        "`function` must be made by kg.expectation, kg.probabilities or kg.state, but is "
        f"{type(function).__name__}."
    )


def _lengthened(function: Function, *pair: Any) -> list[Any]:
    """Weights and inputs in float32 where torch.autocast made them shorter; anything else is refused."""
    short = [isinstance(tensor, torch.Tensor) and tensor.dtype in SHORT for tensor in pair]
    if not (any(short) and torch.is_autocast_enabled("cpu")):
        _refuse_tensors(function, *pair)
    return [tensor.float() if shortened else tensor for tensor, shortened in zip(pair, short, strict=True)]


def _refuse_tensors(function: Function, weights: Any, inputs: Any) -> NoReturn:
    for name, tensor in (("weights", weights), ("inputs", inputs)):
        if isinstance(tensor, torch.fx.Proxy):
            raise refuse_graph("torch.fx")
        if not isinstance(tensor, torch.Tensor):
            raise KetgradTypeError(
                f"`{name}` must be a tensor, but is {type(tensor).__name__} - write torch.as_tensor({name})."
            )
        if tensor.dtype not in REAL:
            raise KetgradTypeError(
                f"`{name}` must be float32 or float64 - the types that circuits are simulated in - but is "
                f"{str(tensor.dtype).removeprefix('torch.')}. Write {name}.float()."
            )
        if not tensor.is_cpu:
            raise KetgradValueError(
                f"`{name}` must be on the CPU - circuits are simulated there - but is on {tensor.device}. "
                "Write .cpu() before the call and .to(device) behind it."
            )
    if weights.dtype is not inputs.dtype:
        raise KetgradTypeError(
            "`weights` and `inputs` must have the same type - nothing is converted silently - but are "
            f"{str(weights.dtype).removeprefix('torch.')} and {str(inputs.dtype).removeprefix('torch.')}. "
            "Write inputs.to(weights.dtype), or layer.double()."
        )
    raise KetgradTypeError(
        f"`weights` and `inputs` must be float32 - the function computes in {function.dtype} - but are float64."
    )
