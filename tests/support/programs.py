"""Random circuits that use every row of the gate table: material for the tests."""

from __future__ import annotations

import numpy as np

import ketgrad as kg
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gates import GATES


def random_angle(rng: np.random.Generator, num_weights: int, num_inputs: int) -> kg.Angle:
    """One of the forms that angles take: weight, input, affine, product, square, constant."""
    i, j = int(rng.integers(num_weights)), int(rng.integers(num_inputs))
    forms = [
        kg.w[i],
        kg.x[j],
        0.7 * kg.w[i] * kg.x[j] + kg.w[(i + 1) % num_weights],
        (np.pi - kg.x[j]) * (np.pi - kg.x[(j + 1) % num_inputs]),
        kg.x[j] ** 2 - 0.3,
        0.0 * kg.w[0] + float(rng.uniform(-3, 3)),
        0.0 * kg.w[0] + float(rng.integers(-4, 5)) * np.pi / 2,
    ]
    return forms[rng.integers(len(forms))]


def random_op(
    gate: Gate, num_qubits: int, rng: np.random.Generator, num_weights: int = 3, num_inputs: int = 2
) -> kg.Op:
    """`gate` on random qubits, sometimes under a control."""
    places = [int(q) for q in rng.permutation(num_qubits)]
    angles = [random_angle(rng, num_weights, num_inputs) for _ in range(gate.num_angles)]
    op = kg.Op.build(gate, places[: gate.num_qubits], angles)
    spare = places[gate.num_qubits :]
    return op.control(spare[0]) if spare and rng.random() < 0.3 else op


def random_circuit(num_qubits: int, num_ops: int, seed: int, prepare: bool = False) -> kg.Circuit:
    """A circuit of random rows; with `prepare` some qubits start in a state made from inputs."""
    rng = np.random.default_rng(seed)
    rows = [row for row in GATES.values() if row.num_qubits <= num_qubits]
    ops = []
    if prepare:
        size = min(2, num_qubits)
        places = [int(q) for q in rng.permutation(num_qubits)[:size]]
        amplitudes = [kg.x[0], 0.5 * kg.x[1], kg.w[0], 1.0 + 0.0 * kg.x[0]][: 2**size]
        ops.append(kg.prepare_state(amplitudes, *places, normalize=True))
    ops += [random_op(rows[rng.integers(len(rows))], num_qubits, rng) for _ in range(num_ops)]
    if num_qubits > 1:
        matrix = np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))[0]
        ops.append(kg.unitary(matrix, *(int(q) for q in rng.permutation(num_qubits)[:2])))
        word = "".join(rng.choice(list("XYZ"), num_qubits))
        ops.append(kg.pauli_rotation(random_angle(rng, 3, 2), word, *range(num_qubits)))
    return kg.Circuit(ops, num_qubits)


def random_observable(num_qubits: int, num_words: int, seed: int) -> kg.PauliSum:
    """A Hermitian sum of random words."""
    rng = np.random.default_rng(seed)
    high = 2**num_qubits
    return kg.PauliSum.collect(
        (int(rng.integers(high)), int(rng.integers(high)), float(rng.normal())) for _ in range(num_words)
    )
