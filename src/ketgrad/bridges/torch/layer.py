"""A `Function` as a differentiable function of tensors, and as a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.compiler import is_compiling

from ketgrad.bridges.torch.calls import REAL, checked_call, refuse_function
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.numbers import COMPLEX64
from ketgrad.functions.function import Function

START = 0.1  # standard deviation of the first weights: near the identity, where gradients are not flat


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
    return checked_call(function, weights, inputs)


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
        if not isinstance(function, Function) or not function.question.differentiable:
            refuse_function(function)
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
