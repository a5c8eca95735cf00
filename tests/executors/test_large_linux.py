"""Large states against two independent simulators, qulacs (Linux wheels only) and lightning."""

import numpy as np
import pennylane as qml
import pytest
import qulacs
from native_programs import random_unitary
from qulacs import gate as qgate

import ketgrad as kg

N = 18


def random_layers(seed, length):
    """(name, qubits, parameter) of random gates, the parameter an angle or a matrix."""
    rng = np.random.default_rng(seed)
    gates = []
    for _ in range(length):
        name = str(rng.choice(["rx", "ry", "rz", "h", "cx", "cz", "swap", "rzz", "matrix", "controlled"]))
        qubits = [int(q) for q in rng.permutation(N)[:3]]
        if name in ("matrix", "controlled"):
            gates.append((name, qubits, random_unitary(rng, 4)))
        else:
            gates.append((name, qubits, float(rng.uniform(-5, 5))))
    return gates


OURS = {
    "rx": lambda q, t: kg.rx(t, q[0]),
    "ry": lambda q, t: kg.ry(t, q[0]),
    "rz": lambda q, t: kg.rz(t, q[0]),
    "h": lambda q, t: kg.h(q[0]),
    "cx": lambda q, t: kg.cx(q[0], q[1]),
    "cz": lambda q, t: kg.cz(q[0], q[1]),
    "swap": lambda q, t: kg.swap(q[0], q[1]),
    "rzz": lambda q, t: kg.rzz(t, q[0], q[1]),
    "matrix": lambda q, t: kg.unitary(t, q[0], q[1]),
    "controlled": lambda q, t: kg.unitary(t, q[0], q[1]).control(q[2]),
}
PENNYLANE = {
    "rx": lambda q, t: qml.RX(t, q[0]),
    "ry": lambda q, t: qml.RY(t, q[0]),
    "rz": lambda q, t: qml.RZ(t, q[0]),
    "h": lambda q, t: qml.Hadamard(q[0]),
    "cx": lambda q, t: qml.CNOT(q[:2]),
    "cz": lambda q, t: qml.CZ(q[:2]),
    "swap": lambda q, t: qml.SWAP(q[:2]),
    "rzz": lambda q, t: qml.IsingZZ(t, q[:2]),
    "matrix": lambda q, t: qml.QubitUnitary(t, q[:2]),
    "controlled": lambda q, t: qml.ControlledQubitUnitary(t, wires=[q[2], *q[:2]]),
}


def qulacs_gate(name, qubits, parameter):
    """The gate in qulacs, where qubit 0 is the lowest bit and rotations turn the other way."""
    q = [N - 1 - qubit for qubit in qubits]
    if name in ("rx", "ry", "rz"):
        return getattr(qgate, name.upper())(q[0], -parameter)
    if name == "rzz":
        return qgate.PauliRotation(q[:2], [3, 3], -parameter)
    if name in ("matrix", "controlled"):
        matrix = qgate.DenseMatrix([q[1], q[0]], parameter)
        if name == "controlled":
            matrix.add_control_qubit(q[2], 1)
        return matrix
    if name == "h":
        return qgate.H(q[0])
    return {"cx": qgate.CNOT, "cz": qgate.CZ, "swap": qgate.SWAP}[name](q[0], q[1])


@pytest.mark.parametrize("seed", [0, 1])
def test_random_gates_on_a_large_state_equal_two_other_simulators(seed):
    gates = random_layers(seed, 60)
    f = kg.state(kg.Circuit([OURS[name](qubits, value) for name, qubits, value in gates], N))
    assert f.executor.facts(f.program, 1)["blocked"]
    state = f()

    other = qulacs.QuantumState(N)
    for item in gates:
        qulacs_gate(*item).update_quantum_state(other)
    np.testing.assert_allclose(state, other.get_vector(), rtol=0, atol=1e-12)

    tape = qml.tape.QuantumScript(
        [PENNYLANE[name](qubits, value) for name, qubits, value in gates], [qml.state()]
    )
    results = qml.device("lightning.qubit", wires=N).execute([tape])
    np.testing.assert_allclose(state, np.ravel(np.asarray(results[0])), rtol=0, atol=1e-12)


def test_gradients_on_a_large_state_equal_those_of_lightning():
    layers = 3
    ops = []
    for k in range(layers):
        first = 3 * N * k
        ops += [kg.rot(*(kg.w[first + 3 * q + j] for j in range(3)), q) for q in range(N)]
        ops += [kg.cz(q, q + 1) for q in range(k % 2, N - 1, 2)]
    f = kg.expectation(kg.Circuit(ops, N), kg.Pauli("X0 Y9 Z17"))
    weights = np.random.default_rng(3).uniform(0, 6, f.num_weights)
    values, slope, _ = f.vjp(weights, None, np.ones(1))

    angles = iter(weights)
    operations = []
    for k in range(layers):
        for q in range(N):
            operations += [qml.RZ(next(angles), q), qml.RY(next(angles), q), qml.RZ(next(angles), q)]
        operations += [qml.CZ((q, q + 1)) for q in range(k % 2, N - 1, 2)]
    word = qml.PauliX(0) @ qml.PauliY(9) @ qml.PauliZ(17)
    tape = qml.tape.QuantumScript(operations, [qml.expval(word)], trainable_params=range(f.num_weights))
    config = qml.devices.ExecutionConfig(gradient_method="adjoint")
    device = qml.device("lightning.qubit", wires=N)
    (value,), (jacobian,) = device.execute_and_compute_derivatives([tape], config)
    np.testing.assert_allclose(values, np.ravel(value), rtol=0, atol=1e-12)
    np.testing.assert_allclose(slope, np.ravel(jacobian), rtol=0, atol=1e-11)
