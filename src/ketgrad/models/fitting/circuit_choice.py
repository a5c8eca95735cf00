"""The circuit of a model: given, composed of an encoding and an ansatz, or built for the shape of the data."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.circuits.ansatz import ansatz_named
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.encodings import encoding_named
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.numbers import check_count
from ketgrad.models.fitting.default_circuits import phase_uploads, trainable_uploads, without_entanglers
from ketgrad.models.fitting.parameters import parameters_of

MOST_UPLOADS = 512  # features beyond this make a circuit of thousands of gates: reduce them first


@dataclass(frozen=True)
class CircuitChoice:
    """The parameters of an estimator that decide its circuit; see the estimators for their meaning."""

    circuit: Any
    encoding: Any
    num_qubits: int | None
    max_qubits: int
    num_layers: int
    entangle: bool
    ansatz: Any = None  # of models that train one

    @classmethod
    def of(cls, estimator: Any) -> CircuitChoice:
        """The choice that an estimator's parameters make."""
        return parameters_of(estimator, cls)

    def build(self, num_features: int, least_qubits: int, *, trainable: bool) -> Circuit:
        """The circuit for that many features, with `least_qubits` at least where the number is free."""
        if not isinstance(self.entangle, bool | np.bool_):
            raise KetgradTypeError(f"`entangle` must be True or False, but is {self.entangle!r}.")
        layers = check_count(self.num_layers, "num_layers")
        if self.circuit is not None:
            circuit = self._given()
        elif self.encoding is None and self.ansatz is None:
            circuit = self._default(num_features, least_qubits, layers, trainable)
        else:
            circuit = self._composed(num_features, layers, trainable)
        if circuit.num_inputs != num_features:
            raise KetgradValueError(
                f"X has {num_features} feature(s), but the circuit reads {circuit.num_inputs} input(s), x[0] to "
                f"x[{circuit.num_inputs - 1}]. Select or reduce the columns, or leave `circuit` and `encoding` out."
            )
        return circuit if self.entangle else without_entanglers(circuit)

    def _given(self) -> Circuit:
        circuit = as_circuit(self.circuit)
        for name in ("encoding", "ansatz", "num_qubits"):
            if getattr(self, name) is not None:
                raise KetgradValueError(
                    f"`{name}` must be None where `circuit` is given: the circuit decides it."
                )
        if not circuit.num_inputs:
            raise KetgradValueError(
                "`circuit` must read inputs x[0], x[1], ... - else all rows are alike - but reads none."
            )
        return circuit

    def _default(self, num_features: int, least_qubits: int, layers: int, trainable: bool) -> Circuit:
        if self.num_qubits is None:
            limit = check_count(self.max_qubits, "max_qubits")
            size = max(least_qubits, min(max(2, num_features), limit))
        else:
            size = check_count(self.num_qubits, "num_qubits")
        if num_features > MOST_UPLOADS:
            raise KetgradValueError(
                f"X has {num_features} feature(s), and each takes an angle of its own: too many for {size} qubits "
                f"(limit {MOST_UPLOADS}). Reduce them first, for example with "
                f"make_pipeline(StandardScaler(), PCA({size}), ...)."
            )
        return (trainable_uploads if trainable else phase_uploads)(num_features, size, layers)

    def _composed(self, num_features: int, layers: int, trainable: bool) -> Circuit:
        first = self._encoding("angle" if self.encoding is None else self.encoding, num_features, layers)
        if not trainable:
            _refuse_weights(first, self.encoding)
            return first
        if not (self.ansatz is None or isinstance(self.ansatz, str)):
            return first + as_circuit(self.ansatz, "ansatz")
        builder = ansatz_named("hardware_efficient" if self.ansatz is None else self.ansatz)
        takes_layers = "layers" in inspect.signature(builder).parameters
        return first + (
            builder(first.num_qubits, layers=layers) if takes_layers else builder(first.num_qubits)
        )

    def _encoding(self, encoding: Any, num_features: int, layers: int) -> Circuit:
        if not isinstance(encoding, str):
            return as_circuit(encoding, "encoding")
        builder = encoding_named(encoding)
        options: dict[str, int | None] = {}
        if "layers" in (known := inspect.signature(builder).parameters):
            options["layers"] = layers
        if "num_qubits" in known and known["num_qubits"].default is None:
            options["num_qubits"] = self.num_qubits  # None: as few as hold the features
        elif "num_qubits" in known:
            size = min(num_features, check_count(self.max_qubits, "max_qubits"))
            options["num_qubits"] = (
                size if self.num_qubits is None else check_count(self.num_qubits, "num_qubits")
            )
        elif self.num_qubits is not None:
            raise KetgradValueError(
                f"`num_qubits` must be None for the encoding {encoding!r}, whose number of qubits follows from the "
                f"number of features, but is {self.num_qubits}."
            )
        return builder(num_features, **options)


def _refuse_weights(circuit: Circuit, encoding: Any) -> None:
    """Raise if an encoding has weights, which a machine that trains no circuit cannot set."""
    if circuit.num_weights:
        name = repr(encoding) if isinstance(encoding, str) else "given"
        raise KetgradValueError(
            f"`encoding` {name} has {circuit.num_weights} weights, but a kernel machine trains none. Use an encoding "
            "without weights, give them values with circuit.bind(weights), pass kernel=kg.FidelityKernel(circuit, "
            "weights=...), or train them in kg.VariationalClassifier(encoding=...)."
        )
