"""ketgrad in the peer measurement: the adapter for workloads W1 to W6 and the cold start, W8.

The harness that finds this file defines the workloads, times `run()` and checks what it returns against an
independent NumPy reference. Building circuits and Functions is set-up, as a user does it once per model.
"""

import numpy as np
from common import Runner  # pyright: ignore[reportMissingImports]  # the harness's own module

import ketgrad as kg
from ketgrad import w, x

NAME = "ketgrad"
VENV = "ours"
PRECISION = "complex128"
COLD = {
    "bare": "import ketgrad",
    "grad": (
        "import ketgrad as kg\n"
        "layer = [g(kg.w[3 * q + k], q) for q in range(4) for k, g in enumerate((kg.rz, kg.ry, kg.rz))]\n"
        "layer += [kg.cx(q, (q + 1) % 4) for q in range(4)]\n"
        "f = kg.expectation(kg.Circuit(layer) * 2, kg.Pauli('Z0'))\n"
        "print(f.vjp([0.1] * f.num_weights, None, [1.0])[1])"
    ),
}

threads = 1


def version():
    return f"ketgrad {kg.__version__}"


def set_threads(count):
    global threads
    threads = count


def rotation(index, qubit):
    """Rot(a, b, c) = RZ(c) RY(b) RZ(a) with the weights index, index + 1, index + 2."""
    return [kg.rz(w[index], qubit), kg.ry(w[index + 1], qubit), kg.rz(w[index + 2], qubit)]


def w1(case):
    """A training step: mean squared error of <Z0> over a batch, with its gradient by weights (and inputs)."""
    n = case.n
    data = kg.Circuit([kg.rx(x[q], q) for q in range(n)])
    layer = kg.Circuit(
        [op for q in range(n) for op in rotation(3 * q, q)] + [kg.cx(q, (q + 1) % n) for q in range(n)]
    )
    f = kg.expectation(data + layer * case.layers, kg.Pauli("Z0"), threads=threads)
    weights, targets = case.w.reshape(-1), case.y[:, None]

    slope = np.full_like(targets, 2 / case.batch)
    cotangent = -slope * targets  # with the slope: the derivative of the loss by the values

    def run():
        values, dweights, dinputs = f.vjp(weights, case.x, cotangent, slope=slope)
        residuals = (values - targets).ravel()
        result = {"loss": residuals @ residuals / case.batch, "grad_w": dweights.reshape(case.w.shape)}
        return result | ({"grad_x": dinputs} if case.variant == "wx" else {})

    return Runner(run, note="loss and all gradients in one call of f.vjp")


def w2(case):
    """The symmetric fidelity Gram matrix of a ZZ feature map with linear entanglement."""
    ops = []
    for _ in range(case.reps):
        ops += [kg.h(q) for q in range(case.n)] + [kg.p(2 * x[q], q) for q in range(case.n)]
        for q in range(case.n - 1):
            angle = 2 * (np.pi - x[q]) * (np.pi - x[q + 1])
            ops += [kg.cx(q, q + 1), kg.p(angle, q + 1), kg.cx(q, q + 1)]
    kernel = kg.FidelityKernel(kg.Circuit(ops), threads=threads)
    return Runner(lambda: {"K": kernel(case.x)})


def brickwork(case):
    """The circuit of W3 and its weights."""
    ops, weights = [], []
    for angles, pairs in case.circuit:
        for q in range(case.n):
            ops += rotation(len(weights), q)
            weights += list(angles[q])
        ops += [kg.cz(a, b) for a, b in pairs]
    return kg.Circuit(ops), weights


def w3(case):
    """One expectation value of a large circuit; of its qubits those are simulated that the observable can see."""
    circuit, weights = brickwork(case)
    f = kg.expectation(circuit, kg.Pauli("Z0 Z1"), threads=threads)
    return Runner(lambda: {"zz": f(weights)[0]})


def w4(case):
    """Energy and gradient of a Hamiltonian of 500 Pauli strings."""
    ops = []
    for layer in range(case.layers):
        first = 2 * case.n * layer
        ops += [kg.ry(w[first + q], q) for q in range(case.n)]
        ops += [kg.rz(w[first + case.n + q], q) for q in range(case.n)]
        ops += [kg.cx(q, q + 1) for q in range(case.n - 1)]
    words = (" ".join(f"{p}{q}" for q, p in enumerate(string) if p != "I") for string in case.strings)
    hamiltonian = sum(c * kg.Pauli(word) for c, word in zip(case.coef, words, strict=True))
    f = kg.expectation(kg.Circuit(ops), hamiltonian, threads=threads)

    def run():
        values, dweights, _ = f.vjp(case.theta.reshape(-1), None, [1.0])
        return {"value": values[0], "grad": dweights.reshape(case.theta.shape)}

    return Runner(run)


def w5(case):
    """QAOA for MaxCut on a 3-regular graph: value and gradient by gamma and beta."""
    ops = [kg.h(q) for q in range(case.n)]
    for layer in range(case.p):
        ops += [kg.rzz(2 * w[layer], a, b) for a, b in case.edges]
        ops += [kg.rx(2 * w[case.p + layer], q) for q in range(case.n)]
    cost = sum(kg.Pauli(f"Z{a} Z{b}") for a, b in case.edges)
    f = kg.expectation(kg.Circuit(ops), cost, threads=threads)
    weights = np.concatenate([case.gamma, case.beta])

    def run():
        values, dweights, _ = f.vjp(weights, None, [1.0])
        return {"value": values[0], "grad": dweights.reshape(2, case.p)}

    return Runner(run)


def w6(case):
    """A million samples of a shallow state."""
    n = case.n
    ops = [kg.ry(w[q], q) for q in range(n)] + [kg.cz(q, q + 1) for q in range(n - 1)]
    ops += [kg.rx(0.7, q) for q in range(n)]
    f = kg.samples(kg.Circuit(ops), shots=case.shots, packed=True, seed=1, threads=threads)

    def run():
        outcomes = f(case.t)
        first, last = outcomes >> (n - 1) & 1, outcomes & 1
        return {"z0": 1 - 2 * first.mean(), "zz": 1 - 2 * (first ^ last).mean()}

    return Runner(run)
