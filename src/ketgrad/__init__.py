"""ketgrad: differentiable quantum machine learning, with a referee that says honestly whether it helps.

>>> import ketgrad as kg
>>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), [kg.Pauli("Z0")])
>>> f([0.0]).round(6)
array([1.])
"""

from __future__ import annotations

import importlib
from typing import Any

from ketgrad import ops as _ops
from ketgrad.angles import Angle, Variables, arccos, w
from ketgrad.circuit import Circuit, Op
from ketgrad.errors import KetgradError
from ketgrad.ops import *  # noqa: F403 - the builders, listed in ops.__all__
from ketgrad.ops import __all__ as _builders
from ketgrad.paulis import Pauli, PauliSum

__version__ = "0.1.0"

x = Variables("x", builder=_ops.x)  # x[0] is an input, x(0) the gate

# Names that load on first use, so that `import ketgrad` costs little more than NumPy: name -> the module that has it;
# "" and "bridges." for a module itself.
_LAZY = {
    "Gate": "gates",
    "GATES": "gates",
    "from_qasm": "qasm",
    "Function": "function",
    "expectation": "function",
    "probabilities": "function",
    "state": "function",
    "samples": "function",
    "Adjoint": "gradients",
    "ParameterShift": "gradients",
    "FiniteDifference": "gradients",
    "check_gradients": "gradient_check",
    "encodings": "",
    "ansatz": "",
    "hamiltonians": "",
    "losses": "",
    "datasets": "",
    "draw": "",
    "qasm": "",
    "executors": "",
    "gradients": "",
    "kernels": "",
    "models": "",
    "optimize": "",
    "referee": "",
    "report": "",
    "minimise": "optimize",
    "Adam": "optimize",
    "LBFGSB": "optimize",
    "SPSA": "optimize",
    "COBYLA": "optimize",
    "Fit": "optimize",
    "FidelityKernel": "kernels",
    "ProjectedKernel": "kernels",
    "VariationalClassifier": "models",
    "VariationalRegressor": "models",
    "KernelClassifier": "models",
    "KernelRegressor": "models",
    "vqe": "models",
    "qaoa": "models",
    "compare": "referee",
    "save": "saving",
    "load": "saving",
    "torch": "bridges.",
    "jax": "bridges.",
    "keras": "bridges.",
    "pennylane": "bridges.",
    "qiskit": "bridges.",
    "cirq": "bridges.",
}

__all__ = [
    "Angle",
    "Circuit",
    "KetgradError",
    "Op",
    "Pauli",
    "PauliSum",
    "arccos",
    "w",
    *_builders,
    *_LAZY,
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ketgrad' has no attribute {name!r}")
    place = _LAZY[name]
    if place in ("", "bridges."):
        value = importlib.import_module(f"ketgrad.{place}{name}")
    else:
        value = getattr(importlib.import_module(f"ketgrad.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
