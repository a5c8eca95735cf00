"""PyTorch: a `Function` as a differentiable function of tensors (`apply`) and as a module (`Layer`).

Which calls are made. The forward pass is one `f(...)`. The backward pass is one `f.vjp(...)`, which simulates the
circuit forwards again, as the adjoint method wants, and then backwards: for a circuit of few qubits that repeats
about a quarter of the step, and nothing but weights and inputs is kept in between. A second derivative is one
`f.hvp(...)`. Without gradients (`torch.no_grad`, `torch.inference_mode`) there is only the forward pass. The
derivatives by weights and by inputs come from the same backward pass, so that asking for one of them alone
saves nothing.

Under `torch.compile` the call is a graph break: what stands before and behind it is compiled, the circuit runs as it
does anyway, in ketgrad's own compiled core.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, missing_extra
from ketgrad.foundation.seeds import check_seed
from ketgrad.functions.function import COMPLEX64, Function
from ketgrad.programs.program import Samples

try:
    import torch
    from torch._C import _dispatch_tls_is_dispatch_key_included as includes
    from torch._C import _len_torch_dispatch_stack as modes
    from torch.compiler import is_compiling
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise missing_extra("torch", "torch") from None

from ketgrad.bridges.torch.nodes import Values, call

__all__ = ["Layer", "apply"]


def __dir__() -> list[str]:
    return sorted(__all__)


START = 0.1  # standard deviation of the first weights: near the identity, where gradients are not flat
REAL = (torch.float32, torch.float64)
PRE_DISPATCH = torch._C.DispatchKey.PreDispatch  # included where make_fx records before autograd
SHORT = (torch.float16, torch.bfloat16)


def apply(
    function: Function, weights: torch.Tensor | None = None, inputs: torch.Tensor | None = None
) -> torch.Tensor:
    """f(weights, inputs) as a pure function of tensors, differentiable twice in reverse and forward mode.

    weights: (..., num_weights), inputs: (..., num_inputs), radians; leading axes broadcast and lead the result
    (..., num_outputs). An argument that the circuit does not read may be left out. Both have one type, float32 or
    float64, and the result has it too (`kg.state`: complex64 or complex128); nothing is converted silently, except
    that under `torch.autocast`, which shortens what passes between layers, half precision is computed in float32.
    Works with `torch.autograd` (`create_graph=True` included), `torch.autograd.forward_ad` and the transforms of
    `torch.func`: grad, vmap (one more leading axis, never a loop), jacrev, jacfwd, hessian. With shots first
    derivatives in reverse mode are shift rules; second ones are refused, as third ones always are. Every call with
    shots draws fresh noise, values and derivatives each for themselves, from the stream under the function's seed.
    Refused in words: the vectorised mode of `torch.autograd.functional`, which came before torch.func, and what records
    a graph of operations without numbers, as torch.export, `fullgraph=True` and make_fx do.
    Cost: one forward simulation; the notes at the top of the module tell that of derivatives.
    Raises `KetgradTypeError` for tensors of another or of different types, `KetgradValueError` for tensors that are
    not on the CPU, for shapes, and naming the first entry that is not finite.

    >>> import torch
    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
    >>> w = torch.tensor([0.5], requires_grad=True)
    >>> loss = kg.torch.apply(f, w, torch.tensor([[0.1], [0.2]])).sum()
    >>> loss.backward()
    >>> w.grad
    tensor([-0.9469])
    """
    if is_compiling():
        from ketgrad.bridges.torch.graph_break import outside_of_graphs

        return outside_of_graphs(function, weights, inputs)
    if modes() or includes(PRE_DISPATCH):
        _refuse_tracing()
    if not isinstance(function, Function) or isinstance(function.question, Samples):
        _refuse_function(function)
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
        return apply(function, *_lengthened(function, w, x))
    return call(Values, function, w, x)


class Layer(torch.nn.Module):
    """A circuit as a module: trained weights inside, inputs (..., num_inputs) to outputs (..., num_outputs).

    function: made by `kg.expectation`, `kg.probabilities` or `kg.state`. initializer: fills the weights in place, as
    `torch.nn.init.uniform_` does; or their values, shape (num_weights,); None draws from a normal distribution of
    standard deviation 0.1. seed: of that draw; None draws from PyTorch's generator. device, dtype: of the
    weights, as for every module; dtype None is PyTorch's default, float32.

    The only parameter is `weights`, shape (num_weights,), and the state dict holds it alone. Copies, pickles, moves
    into worker processes and trains under `DistributedDataParallel`. Inputs must have the type of the weights; the
    rest is as for `apply`, which `forward` calls.

    >>> import torch
    >>> circuit = kg.encodings.angle(2) + kg.ansatz.strongly_entangling(2, layers=1)
    >>> layer = kg.torch.Layer(kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("Z1")]), seed=0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(5, 2), layer, torch.nn.Linear(2, 1))
    >>> model(torch.zeros(7, 5)).shape
    torch.Size([7, 1])
    """

    def __init__(
        self,
        function: Function,
        *,
        initializer: Callable[[torch.Tensor], Any] | Any = None,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(function, Function) or isinstance(function.question, Samples):
            _refuse_function(function)
        kind = torch.get_default_dtype() if dtype is None else dtype
        if kind not in REAL or (function.dtype is COMPLEX64 and kind is not torch.float32):
            wanted = "torch.float32" if function.dtype is COMPLEX64 else "torch.float32 or torch.float64"
            raise KetgradTypeError(
                f"`dtype` must be {wanted} - the function computes in {function.dtype} - but is {kind}."
            )
        self.function = function
        self.initializer = initializer
        self.seed = seed
        self.weights = torch.nn.Parameter(torch.empty(function.num_weights, device=device, dtype=kind))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw or set the weights as at the start."""
        if self.seed is None:
            return self._fill()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._fill()

    def _fill(self) -> None:
        with torch.no_grad():
            if self.initializer is None:
                self.weights.normal_(0.0, START)
            elif callable(self.initializer):
                self.initializer(self.weights)
            else:
                values = torch.as_tensor(self.initializer, dtype=self.weights.dtype)
                if values.shape != self.weights.shape:
                    raise KetgradValueError(
                        f"`initializer` must have shape {tuple(self.weights.shape)} - one value for each weight - "
                        f"but has shape {tuple(values.shape)}."
                    )
                self.weights.copy_(values)

    def forward(self, inputs: torch.Tensor | None = None) -> torch.Tensor:
        """The values (..., num_outputs) at `inputs` (..., num_inputs); none for a circuit that reads no inputs."""
        return apply(self.function, self.weights, inputs)

    def extra_repr(self) -> str:
        """What the printed module shows between the brackets."""
        return repr(self.function)


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


def _refuse_function(function: Any) -> None:
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
