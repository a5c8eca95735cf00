"""ketgrad: differentiable quantum machine learning, with a referee that says honestly whether it helps.

>>> import ketgrad as kg
>>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), [kg.Pauli("Z0")])
>>> f([0.0]).round(6)
array([1.])
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

from ketgrad import ops as _ops
from ketgrad.angles import Angle, Variables, arccos, w
from ketgrad.circuit import Circuit, Op
from ketgrad.errors import KetgradAttributeError, KetgradError
from ketgrad.ops import *  # noqa: F403 - the builders, listed in ops.__all__
from ketgrad.ops import __all__ as _builders
from ketgrad.paulis import Pauli, PauliSum

__version__ = "0.1.0"

x = Variables("x", builder=_ops.x)  # x[0] is an input, x(0) the gate

# Names that load on first use, so that `import ketgrad` costs little more than NumPy: name -> the module that has it;
# "" for a module itself.
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
}

# kg.torch and the like: each imports its framework when it is first used, so `from ketgrad import *` leaves them out.
_BRIDGES = ("cirq", "jax", "keras", "pennylane", "qiskit", "torch")

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
    if name in _BRIDGES:
        value: Any = importlib.import_module(f"ketgrad.bridges.{name}")
    elif name in _LAZY:
        module = importlib.import_module(f"ketgrad.{_LAZY[name] or name}")
        value = getattr(module, name) if _LAZY[name] else module
    else:
        raise _unknown(name)
    globals()[name] = value
    return value


def _unknown(name: str) -> AttributeError:
    """What `kg.RX` raises: the name here. Special names and modules not yet loaded get Python's own words at once."""
    if not name.isidentifier() or name.startswith("_") or importlib.util.find_spec(f"ketgrad.{name}"):
        return AttributeError(f"module 'ketgrad' has no attribute {name!r}")
    foreign = importlib.import_module("ketgrad.foreign")
    return KetgradAttributeError(foreign.answer(name, [*__all__, *_BRIDGES]))


def __dir__() -> list[str]:
    # a bridge where its framework is loaded already: whoever looks at all names, as help() does, loads none of them
    return sorted([*__all__, *(bridge for bridge in _BRIDGES if bridge in sys.modules)])
