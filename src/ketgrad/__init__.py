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

from ketgrad.bridges import BRIDGES as _BRIDGES
from ketgrad.circuits import ops as _ops
from ketgrad.circuits.angles import Angle
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.op import Op
from ketgrad.circuits.ops import *  # noqa: F403 - the builders, listed in ops.__all__
from ketgrad.circuits.ops import __all__ as _builders
from ketgrad.circuits.paulis import Pauli, PauliSum
from ketgrad.circuits.variables import Variables, arccos, w
from ketgrad.foundation.errors import KetgradAttributeError, KetgradError
from ketgrad.foundation.tables import Table
from ketgrad.foundation.version import __version__ as __version__
from ketgrad.functions.gradients.table import RULES as _RULES
from ketgrad.models import ALGORITHMS as _ALGORITHMS
from ketgrad.models import MODELS as _MODELS
from ketgrad.training.optimizers import OPTIMIZERS as _OPTIMIZERS

x = Variables("x", builder=_ops.x)  # x[0] is an input, x(0) the gate

# Names that load on first use, so that `import ketgrad` costs little more than NumPy. What stands in a table of its
# kind is public by that.
_NAMES = Table(
    {
        "Gate": "ketgrad.circuits.gate:Gate",
        "GATES": "ketgrad.circuits.gates:GATES",
        "from_qasm": "ketgrad.circuits.openqasm:from_qasm",
        "Function": "ketgrad.functions.function:Function",
        "expectation": "ketgrad.functions.builders:expectation",
        "variance": "ketgrad.functions.builders:variance",
        "probabilities": "ketgrad.functions.builders:probabilities",
        "state": "ketgrad.functions.builders:state",
        "samples": "ketgrad.functions.builders:samples",
        # gradients.SPSA is kg.gradients.SPSA: kg.SPSA is the optimiser
        **{name: f"{module}:{name}" for name, module in _RULES.items() if "." not in name},
        "check_gradients": "ketgrad.functions.gradients.check:check_gradients",
        "minimise": "ketgrad.training.minimise:minimise",
        **_OPTIMIZERS.rows,
        "Fit": "ketgrad.training.run:Fit",
        "FidelityKernel": "ketgrad.kernels.fidelity:FidelityKernel",
        "ProjectedKernel": "ketgrad.kernels.projected:ProjectedKernel",
        **_MODELS.rows,
        **_ALGORITHMS.rows,
        "compare": "ketgrad.referee:compare",
        "save": "ketgrad.saving.file:save",
        "load": "ketgrad.saving.file:load",
    }
)

# Public modules: the name on `kg` -> where it stands. They load on first use, too.
_MODULES = {
    "errors": "foundation.errors",
    "encodings": "circuits.encodings",
    "ansatz": "circuits.ansatz",
    "hamiltonians": "problems",
    "problems": "problems",
    "losses": "training.losses",
    "datasets": "datasets",
    "draw": "circuits.draw",
    "qasm": "circuits.openqasm",
    "executors": "executors",
    "gradients": "functions.gradients",
    "kernels": "kernels",
    "models": "models",
    "optimize": "training.optimize",
    "referee": "referee",
    "report": "referee.report",
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
    *_NAMES,
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    if name in _BRIDGES:
        value: Any = importlib.import_module(f"ketgrad.bridges.{name}")
    elif name in _MODULES:
        value = importlib.import_module(f"ketgrad.{_MODULES[name]}")
    elif name in _NAMES:
        value = _NAMES[name]
    else:
        raise _unknown(name)
    globals()[name] = value
    return value


def _unknown(name: str) -> AttributeError:
    """What `kg.RX` raises: the name here. Special names and modules not yet loaded get Python's own words at once."""
    if not name.isidentifier() or name.startswith("_") or importlib.util.find_spec(f"ketgrad.{name}"):
        return AttributeError(f"module 'ketgrad' has no attribute {name!r}")
    foreign = importlib.import_module("ketgrad.foundation.foreign_names")
    return KetgradAttributeError(foreign.answer(name, [*__all__, *_BRIDGES]))


def __dir__() -> list[str]:
    # a bridge where its framework is loaded already: whoever looks at all names, as help() does, loads none of them
    return sorted([*__all__, *(bridge for bridge in _BRIDGES if bridge in sys.modules)])
