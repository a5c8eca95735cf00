"""A function of two qubits, two weights and three inputs: material for the tests of functions."""

import numpy as np

import ketgrad as kg

CIRCUIT = kg.Circuit(
    [kg.rx(kg.w[0], 0), kg.ry(kg.x[0] * kg.w[1], 1), kg.cx(0, 1), kg.rz(kg.x[2], 1), kg.rx(kg.x[1], 1)]
)
F = kg.expectation(CIRCUIT, [kg.Pauli("Z0"), kg.Pauli("X1 Y0")])
WEIGHTS, INPUTS = np.array([0.3, -0.7]), np.array([0.5, 1.0, 2.0])
