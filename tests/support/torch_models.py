"""The circuit and the module of the tests of the PyTorch bridge, for other processes too."""

import torch

import ketgrad as kg
from ketgrad import w, x

CIRCUIT = kg.Circuit(
    [kg.rx(x[0], 0), kg.ry(w[0], 0), kg.cx(0, 1), kg.ry(w[1] * x[1], 1), kg.rzz(w[2], 0, 1), kg.rx(w[0], 0)]
)
OBSERVABLES = [kg.Pauli("Z0"), kg.Pauli("0.5 X0 Y1 - Z1")]


def model(seed: int = 0) -> torch.nn.Sequential:
    """A circuit between two linear layers: 5 inputs, 1 output."""
    torch.manual_seed(seed)
    layer = kg.torch.Layer(kg.expectation(CIRCUIT, OBSERVABLES))
    return torch.nn.Sequential(torch.nn.Linear(5, 2), layer, torch.nn.Linear(2, 1))


def descend(net: torch.nn.Module, inputs: torch.Tensor) -> None:
    """Three steps of gradient descent; by hand, since the optimisers of PyTorch load its compiler."""
    for _ in range(3):
        net.zero_grad()
        net(inputs).square().mean().backward()
        with torch.no_grad():
            for parameter in net.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
