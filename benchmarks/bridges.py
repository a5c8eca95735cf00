"""What a bridge adds to a training step: small circuits, one thread, microseconds.

    python benchmarks/bridges.py            # one line a framework that is installed, a few seconds

A step is the value of a layer and the derivatives by its weights, for 4 samples on 2 qubits. Beside it stands what it
is made of: `f` and `f.vjp` on the same arrays, and the framework's own engine, as the step of a module that multiplies
its weights with the inputs. `parts` is all three in one loop, since code that takes turns is slower than code that
repeats; what the step takes beyond its parts is the bridge. The calls are timed in turn, in runs shorter than a time
slice, and the least of many runs counts, so that a busy machine disturbs all alike.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import importlib.util
import time
from collections.abc import Callable, Mapping

import numpy as np

import ketgrad as kg
from ketgrad import w, x

GOAL = 60.0  # microseconds of the bridge
Calls = Mapping[str, Callable[[], object]]


def circuit() -> kg.Function:
    """Two qubits, four weights, two inputs."""
    data = kg.Circuit([kg.rx(x[0], 0), kg.rx(x[1], 1)])
    layer = kg.Circuit([kg.ry(w[0], 0), kg.ry(w[1], 1), kg.cx(0, 1)])
    return kg.expectation(data + layer * 2, [kg.Pauli("Z0"), kg.Pauli("Z1")], threads=1)


def arrays(f: kg.Function) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, inputs and a cotangent in float32."""
    random = np.random.default_rng(0)
    shapes = (f.num_weights,), (4, f.num_inputs), (4, f.num_outputs)
    weights, inputs, cotangent = (random.normal(size=shape).astype(np.float32) for shape in shapes)
    return weights, inputs, cotangent


def torch_calls() -> Calls:
    """The step with PyTorch."""
    import torch

    torch.set_num_threads(1)

    class Product(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.Parameter(torch.zeros(4, 2))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.weights * inputs

    f = circuit()
    weights, inputs, cotangent = arrays(f)
    layer = kg.torch.Layer(f, seed=0)
    data, slope = torch.from_numpy(inputs), torch.from_numpy(cotangent)
    own = Product()

    def step() -> None:
        layer.weights.grad = None
        layer(data).backward(slope)

    def engine() -> None:
        own.weights.grad = None
        own(data).backward(slope)

    def parts() -> None:
        f(weights, inputs)
        engine()
        f.vjp(weights, inputs, cotangent)

    vjp = lambda: f.vjp(weights, inputs, cotangent)  # noqa: E731
    return {"f": lambda: f(weights, inputs), "vjp": vjp, "engine": engine, "parts": parts, "step": step}


BRIDGES: Mapping[str, Callable[[], Calls]] = {"torch": torch_calls}


def microseconds(calls: Calls, repeats: int, inner: int = 5) -> dict[str, float]:
    """The least time of each call, all of them in turn."""
    least = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(inner):
                call()
            least[name] = min(least[name], (time.perf_counter() - start) / inner)
    return {name: 1e6 * seconds for name, seconds in least.items()}


def main() -> None:
    """Print one line for each framework."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--tiny", action="store_true", help="only see that everything runs")
    options = parser.parse_args()
    for name, make in BRIDGES.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name:8} is not installed")
            continue
        found = microseconds(make(), *((1, 1) if options.tiny else (options.repeats,)))
        row = "  ".join(f"{key} {value:5.1f}" for key, value in found.items())
        print(f"{name:8} {row}  bridge {found['step'] - found['parts']:5.1f}  goal {GOAL:.0f}")


if __name__ == "__main__":
    main()
