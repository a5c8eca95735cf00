"""What a variational model minimises: a loss of <observables> @ readout + bias, fitted together with the circuit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ketgrad.circuits.paulis import Pauli, PauliSum
from ketgrad.functions.function import Function
from ketgrad.models.fitting.rows import TrainingRows
from ketgrad.training.losses import Loss


@dataclass(frozen=True, eq=False)
class Head:
    """A function of weights and inputs with a linear readout; all its parameters lie in one flat array."""

    function: Function
    num_outputs: int

    @property
    def num_readout(self) -> int:
        """Readout weights, biases not counted."""
        return self.function.num_outputs * self.num_outputs

    @property
    def num_parameters(self) -> int:
        """Circuit weights, readout weights and biases."""
        return self.function.num_weights + self.num_readout + self.num_outputs

    def split(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(circuit weights, readout (num_observables, num_outputs), bias): views."""
        weights, readout, bias = np.split(
            parameters, np.cumsum([self.function.num_weights, self.num_readout])
        )
        return weights, readout.reshape(-1, self.num_outputs), bias

    def outputs(self, parameters: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """(n, num_outputs) for the rows of `angles`."""
        weights, readout, bias = self.split(parameters)
        return self.function(weights, angles) @ readout + bias


@dataclass(frozen=True, eq=False)
class Objective:
    """Weighted mean loss + regularisation / n * |parameters|^2, where n is the number of distinct rows.

    So neither a factor in all sample weights nor a copy of the whole table changes the fit. Biases are not penalised. A
    weight of zero is a gate that does nothing, so the penalty pulls towards the model that does not react to the data;
    its share vanishes as the data grow.
    """

    head: Head
    loss: Loss
    regularisation: float
    num_rows: int

    def value(self, parameters: np.ndarray, angles: np.ndarray, rows: TrainingRows) -> float:
        """The objective alone, for optimisers without gradients."""
        outputs = self.head.outputs(parameters, angles)
        return float(self.loss(outputs, rows.targets, rows.weights)[0]) + self._penalty(parameters)[0]

    def value_and_gradient(
        self, parameters: np.ndarray, angles: np.ndarray, rows: TrainingRows
    ) -> tuple[float, np.ndarray]:
        """The objective and its derivative by all parameters: one forward and one adjoint pass more."""
        weights, readout, bias = self.head.split(parameters)
        values = self.head.function(weights, angles)
        loss, slope = self.loss(values @ readout + bias, rows.targets, rows.weights)
        penalty, pull = self._penalty(parameters)
        by_weights = self.head.function.vjp(weights, angles, slope @ readout.T)[1]
        gradient = np.concatenate([by_weights, (values.T @ slope).ravel(), slope.sum(axis=0)])
        return float(loss) + penalty, gradient + pull

    def _penalty(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        pulled = parameters.copy()
        pulled[len(pulled) - self.head.num_outputs :] = 0.0
        strength = self.regularisation / self.num_rows
        return strength * float(pulled @ pulled), 2 * strength * pulled


def default_observables(num_qubits: int) -> tuple[PauliSum, ...]:
    """Z and X on each qubit: X reacts linearly to small rotations by RY, Z quadratically.

    >>> default_observables(1)
    (Pauli('1.0 Z0'), Pauli('1.0 X0'))
    """
    return tuple(Pauli(f"{letter}{q}") for q in range(num_qubits) for letter in "ZX")
