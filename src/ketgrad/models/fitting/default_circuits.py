"""The circuits that the models build from the shape of the data, and their twins without entanglement."""

from __future__ import annotations

from ketgrad.circuits import ops
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.entanglement import qubit_groups
from ketgrad.circuits.op import Op
from ketgrad.circuits.variables import w, x
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import check_count


def trainable_uploads(num_features: int, num_qubits: int, num_layers: int = 3) -> Circuit:
    """Layers of RY(w x_j + w') on every qubit, each followed by a ring of CZ; a last layer of RY(w).

    The qubits of all layers, in order, take the features in turn, starting anew after the last one. There are
    `num_layers` layers, or as many more as it takes for each feature to enter once. With few features each enters
    several times, which gives the model higher frequencies in it; with many, the qubits share them.
    Weights: two per upload (scale, offset), one per qubit at the end. All weights zero: the identity, up to signs.
    Cost: layers * (2 num_qubits) + num_qubits gates. Raises `KetgradValueError` for counts below 1.

    Perez-Salinas et al. 2020, arXiv:1907.02085; trained scales: Schuld, Sweke and Meyer 2021, arXiv:2008.08605.

    >>> circuit = trainable_uploads(2, 2, 1)
    >>> circuit.ops[0], circuit.num_weights, len(circuit)
    (ry(w[0] * x[0] + w[1], 0), 6, 5)
    """
    features, qubits = check_count(num_features, "num_features"), check_count(num_qubits, "num_qubits")
    layers = max(check_count(num_layers, "num_layers"), -(-features // qubits))
    ring = [ops.cz(a, b) for a, b in qubit_groups("ring", qubits)] if qubits > 1 else []
    sequence: list[Op] = []
    for upload in range(layers * qubits):
        qubit, j = upload % qubits, upload % features
        sequence.append(ops.ry(w[2 * upload] * x[j] + w[2 * upload + 1], qubit))
        sequence += ring if qubit == qubits - 1 else []
    first = 2 * layers * qubits
    return Circuit([*sequence, *(ops.ry(w[first + q], q) for q in range(qubits))], qubits)


def phase_uploads(num_features: int, num_qubits: int, num_layers: int = 1) -> Circuit:
    """Layers of Hadamards, RZ(x_j) on every qubit and RZZ(x_i x_j) on neighbours: an IQP map for many features.

    The features enter in turn as in `trainable_uploads`. No weights. With as many qubits as features and one layer it
    is `encodings.iqp(n, reps=1, entanglement="linear")`.
    Cost: layers * (3 num_qubits - 1) gates. Raises `KetgradValueError` for counts below 1.

    Havlicek et al. 2019, arXiv:1804.11326.

    >>> phase_uploads(2, 2).ops
    (h(0), h(1), rz(x[0], 0), rz(x[1], 1), rzz(x[0] * x[1], 0, 1))
    """
    features, qubits = check_count(num_features, "num_features"), check_count(num_qubits, "num_qubits")
    layers = max(check_count(num_layers, "num_layers"), -(-features // qubits))
    sequence: list[Op] = []
    for layer in range(layers):
        columns = [x[(layer * qubits + q) % features] for q in range(qubits)]
        sequence += [ops.h(q) for q in range(qubits)]
        sequence += [ops.rz(columns[q], q) for q in range(qubits)]
        sequence += [ops.rzz(columns[q] * columns[q + 1], q, q + 1) for q in range(qubits - 1)]
    return Circuit(sequence, qubits)


def without_entanglers(circuit: Circuit) -> Circuit:
    """The circuit with every gate on two or more qubits removed: its product-state twin.

    Nothing else changes, but the weights that are left are numbered anew without gaps, in the same order.
    Raises `KetgradValueError` if a state preparation on several qubits, or the only gates that read data, would go.

    Bowles et al. 2024, arXiv:2403.07059, section 5: is it the entanglement that helps?

    >>> without_entanglers(trainable_uploads(2, 2, 1)).ops
    (ry(w[0] * x[0] + w[1], 0), ry(w[2] * x[1] + w[3], 1), ry(w[4], 0), ry(w[5], 1))
    """
    wide = [op for op in circuit.ops if len(op.qubits) + len(op.controls) > 1]
    for op in wide:
        if op.gate.amplitudes is not None:
            raise KetgradValueError(
                f"entangle=False removes every gate on several qubits, but the state preparation {op!r} holds the "
                "data. Use an encoding that is made of rotations, for example encoding='angle'."
            )
    kept = Circuit((op for op in circuit.ops if op not in set(wide)), circuit.num_qubits)
    if circuit.num_inputs and not kept.num_inputs:
        raise KetgradValueError(
            "entangle=False removes every gate on several qubits, but the circuit reads its data in no other gate. "
            "Use an encoding with one-qubit rotations, for example encoding='angle'."
        )
    used = sorted(i for kind, i in kept.variables if kind == "w")
    renumbered = {("w", old): w[new] for new, old in enumerate(used)}
    return kept.map_angles(lambda angle: angle.substitute(renumbered))
