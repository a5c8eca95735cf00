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

from ketgrad.foundation.errors import missing_extra

try:
    import torch  # noqa: F401 - its absence is said in words
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise missing_extra("torch", "torch") from None

from ketgrad.bridges.torch.layer import Layer, apply

__all__ = ["Layer", "apply"]


def __dir__() -> list[str]:
    return sorted(__all__)
