"""One training step of the same PennyLane code on lightning.qubit and on ketgrad.qubit, milliseconds.

A regression with a data re-uploading circuit: batch 64, parameter broadcasting, `diff_method="adjoint"`, gradients of
the mean squared error by all weights. The only difference between the columns is the name of the device. The
devices take turns in one process; the best of the turns counts. Processor time, which with one thread is the time that
passes on an idle machine.

Run: OMP_NUM_THREADS=1 python benchmarks/pennylane_device.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pennylane as qml
import torch
from pennylane import numpy as pnp

BATCH, LAYERS = 64, 3


def circuit(device: str, wires: int, interface: str) -> Any:
    """The QNode; `device` is the only thing that changes."""

    @qml.qnode(qml.device(device, wires=wires), diff_method="adjoint", interface=interface)
    def model(weights: Any, inputs: Any) -> Any:
        for layer in range(LAYERS):
            qml.AngleEmbedding(inputs, wires=range(wires), rotation="Y")
            qml.StronglyEntanglingLayers(weights[layer : layer + 1], wires=range(wires), ranges=[1])
        return qml.expval(qml.Z(0))

    return model


def torch_step(device: str, wires: int) -> Callable[[], Any]:
    """Loss and gradient with PyTorch."""
    model, (weights, inputs, targets) = circuit(device, wires, "torch"), data(wires)
    w = torch.tensor(weights, requires_grad=True)
    x, y = torch.tensor(inputs), torch.tensor(targets)

    def step() -> Any:
        w.grad = None
        torch.mean((model(w, x) - y) ** 2).backward()
        return w.grad

    return step


def autograd_step(device: str, wires: int) -> Callable[[], Any]:
    """Loss and gradient with PennyLane's own NumPy."""
    model, (weights, inputs, targets) = circuit(device, wires, "autograd"), data(wires)
    w = pnp.array(weights, requires_grad=True)
    x, y = pnp.array(inputs, requires_grad=False), pnp.array(targets, requires_grad=False)
    gradient = qml.grad(lambda w: pnp.mean((model(w, x) - y) ** 2))
    return lambda: gradient(w)


def data(wires: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, inputs and targets."""
    rng = np.random.default_rng(7)
    return (
        rng.uniform(0, 2 * np.pi, (LAYERS, wires, 3)),
        rng.uniform(-1, 1, (BATCH, wires)),
        rng.uniform(-1, 1, BATCH),
    )


STEPS = {"torch": torch_step, "autograd": autograd_step}
DEVICES: tuple[str, ...] = ("lightning.qubit", "ketgrad.qubit")


def measure(interface: str, wires: int, seconds: float) -> dict[str, float]:
    """The best time of a step on each device, in milliseconds."""
    steps = {device: STEPS[interface](device, wires) for device in DEVICES}
    gradients = [np.asarray(step()) for step in steps.values()]
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-9)
    best = dict.fromkeys(DEVICES, float("inf"))
    spent = dict.fromkeys(DEVICES, 0.0)
    while min(spent.values()) < seconds:
        for device, step in steps.items():
            if spent[device] >= seconds:
                continue
            start = time.process_time()
            step()
            taken = time.process_time() - start
            best[device], spent[device] = min(best[device], taken), spent[device] + taken
    return {device: 1000 * taken for device, taken in best.items()}


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each device and row")
    parser.add_argument("--wires", type=int, nargs="+", default=[4, 8, 12])
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    found = []
    print(f"| batch {BATCH}, {LAYERS} layers | lightning.qubit (ms) | ketgrad.qubit (ms) | ratio |")
    print("| --- | --- | --- | --- |")
    for interface in STEPS:
        for wires in options.wires:
            row = measure(interface, wires, options.seconds)
            theirs, ours = row.values()
            print(
                f"| {interface}, n = {wires} | {theirs:.1f} | {ours:.2f} | {theirs / ours:.1f}x |", flush=True
            )
            found.append({"interface": interface, "wires": wires, "batch": BATCH, "layers": LAYERS, **row})
    if options.json:
        options.json.write_text(
            json.dumps({"pennylane": qml.version(), "rows": found}, indent=1) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
