"""The PennyLane device: results and derivatives equal PennyLane's own simulator, in one call for what is alike."""

import itertools
import pathlib
import subprocess
import sys
import tomllib

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

import ketgrad as kg

# PennyLane and jax warn of what they will change in themselves; the entries are these libraries' own words.
pytestmark = [pytest.mark.filterwarnings("ignore::pennylane.exceptions.PennyLaneDeprecationWarning")]


NAME = "ketgrad.qubit"
ROOT = pathlib.Path(__file__).parents[2]
RNG = np.random.default_rng(5)
WEIGHTS, INPUTS = RNG.normal(size=(2, 3, 3)), RNG.normal(size=(5, 3))


def devices(wires=3, **options):
    return qml.device("default.qubit", wires=wires), kg.pennylane.QubitDevice(wires=wires, **options)


def layers(weights, inputs, wires=range(3)):
    qml.AngleEmbedding(inputs, wires=wires)
    qml.StronglyEntanglingLayers(weights, wires=wires)


def start(wires):
    """A state in which no gate is without effect."""
    for k, wire in enumerate(wires):
        qml.RY(0.3 + 0.4 * k, wires=wire)
        qml.RZ(0.7 - 0.5 * k, wires=wire)
    for a, b in itertools.pairwise(wires):
        qml.CNOT(wires=[a, b])


@pytest.fixture
def calls(monkeypatch):
    """The number of rows of every run of a Function, and of every vector-Jacobian product."""
    found = []

    def counted(name, method):
        original = getattr(kg.Function, method)

        def call(self, weights=None, inputs=None, *rest, **options):
            rows = [np.atleast_2d(a).shape[0] for a in (weights, inputs) if a is not None]
            found.append((name, max(rows, default=1)))
            return original(self, weights, inputs, *rest, **options)

        return call

    for name, method in (("run", "__call__"), ("vjp", "vjp")):
        monkeypatch.setattr(kg.Function, method, counted(name, method))
    return found


# -- operators ------------------------------------------------------------------------------------------------

NUMBERS = {"U2": 2, "U3": 3, "Rot": 3, "CRot": 3}
WIDTHS = {"DoubleExcitation": 4, "Toffoli": 3, "CCZ": 3, "CSWAP": 3, "MultiRZ": 3}
ONE_WIRE = {"PauliX", "PauliY", "PauliZ", "Hadamard", "S", "T", "SX", "RX", "RY", "RZ", "PhaseShift", "U1", "U2", "U3",
            "Rot", "GlobalPhase"}  # fmt: skip


def operator(name):
    kind = getattr(qml, name)
    width = 1 if name in ONE_WIRE else WIDTHS.get(name, 2)
    fixed = kind.num_params == 0
    angles = [0.3 + 0.5 * k for k in range(0 if fixed else NUMBERS.get(name, 1))]
    if name == "PauliRot":
        return qml.PauliRot(0.4, "XIZ", wires=[2, 0, 1])
    return kind(*angles, wires=[2, 0, 1, 3][:width])


def table():
    from ketgrad.bridges.pennylane.gates import ROWS, SEQUENCES

    return [name for name in (*ROWS, *SEQUENCES) if "(" not in name]


def same_state(make, wires=4):
    states = []
    for device in devices(wires):

        @qml.qnode(device)
        def circuit():
            start(range(wires))
            make()
            return qml.state()

        states.append(circuit())
    np.testing.assert_allclose(states[0], states[1], atol=1e-12)


def test_every_operator_of_the_table_equals_pennylanes_own():
    for name in table():
        same_state(lambda name=name: operator(name))


def test_every_operator_of_the_table_can_be_inverted_and_controlled_on_either_value():
    for name in table():
        if operator(name).num_wires == 4:
            continue
        same_state(lambda name=name: qml.adjoint(operator(name)))
        same_state(lambda name=name: qml.ctrl(operator(name), [4, 3], control_values=[0, 1]), wires=5)


def test_operators_without_a_row_are_decomposed_or_run_through_their_matrix():
    matrix = np.linalg.qr(RNG.normal(size=(8, 8)) + 1j * RNG.normal(size=(8, 8)))[0]

    class Own(qml.operation.Operation):
        num_wires = 2
        num_params = 1

        @staticmethod
        def compute_matrix(angle):
            return qml.IsingXX.compute_matrix(angle) @ np.diag([1, 1j, 1, -1j])

    makers = [
        lambda: qml.QFT(wires=range(4)),
        lambda: qml.QubitUnitary(matrix, wires=[3, 0, 2]),
        lambda: qml.ctrl(qml.QubitUnitary(matrix[:2, :2] * 0 + np.eye(2)[::-1], wires=1), 0),
        lambda: qml.DiagonalQubitUnitary(np.exp(1j * np.arange(4)), wires=[1, 3]),
        lambda: qml.ECR(wires=[3, 1]),
        lambda: qml.OrbitalRotation(0.3, wires=[0, 1, 2, 3]),
        lambda: qml.FermionicSWAP(0.4, wires=[1, 0]),
        lambda: qml.pow(qml.RX(0.3, wires=0), 2.5),
        lambda: qml.MultiControlledX(wires=[0, 3, 1], control_values=[1, 0]),
        lambda: qml.TrotterProduct(0.3 * qml.X(0) + 0.5 * qml.Z(1), time=0.7, n=2),
        lambda: qml.Barrier(wires=[0, 1]),
        lambda: Own(0.8, wires=[2, 0]),
    ]
    for make in makers:
        same_state(make)


def test_states_are_prepared_for_one_sample_or_many():
    real, complex_ = RNG.normal(size=(5, 8)), RNG.normal(size=(5, 4)) + 1j * RNG.normal(size=(5, 4))
    makers = [
        lambda: qml.AmplitudeEmbedding(real, wires=range(3), normalize=True),
        lambda: qml.AmplitudeEmbedding(real[0, :5], wires=[2, 0, 1], pad_with=0.1),
        lambda: qml.StatePrep(complex_[0] / np.linalg.norm(complex_[0]), wires=[1, 2]),
        lambda: qml.StatePrep(complex_ / np.linalg.norm(complex_, axis=1)[:, None], wires=[1, 2]),
        lambda: qml.BasisState([1, 0, 1], wires=[2, 1, 0]),
        lambda: qml.BasisEmbedding(5, wires=range(3)),
    ]
    for make in makers:
        found = []
        for device in devices():

            @qml.qnode(device)
            def circuit(make=make):
                make()
                qml.CRY(0.7, wires=[0, 2])
                return qml.expval(qml.X(0) @ qml.Z(2)), qml.probs(wires=[2, 1])

            found.append(circuit())
        for ours, theirs in zip(*found, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_wires_bear_any_labels():
    wires, found = ["c", 7, -1], []
    for device in (qml.device("default.qubit", wires=wires), kg.pennylane.QubitDevice(wires=wires)):

        @qml.qnode(device)
        def circuit():
            layers(WEIGHTS, INPUTS[0], wires)
            return qml.expval(qml.Z("c")), qml.probs(wires=[7, "c"]), qml.state()

        found.append(circuit())
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


# -- measurements ---------------------------------------------------------------------------------------------

HERMITIAN = np.array([[1.0, 0.5 - 0.2j], [0.5 + 0.2j, -0.3]])
VECTOR = np.array([0.6, 0.8j])
OBSERVABLES = [
    lambda: qml.Z(0),
    lambda: qml.X(0) @ qml.Y(2),
    lambda: qml.Hadamard(1),
    lambda: qml.Identity(0),
    lambda: qml.Hamiltonian([0.3, -0.7, 0.2], [qml.Z(0), qml.X(1) @ qml.Z(2), qml.Identity(0)]),
    lambda: 0.4 * qml.Z(0) + 2.0 * (qml.X(1) - 0.5 * qml.Y(2)),
    lambda: qml.prod(qml.Z(0), qml.sum(qml.X(1), qml.Z(2))),
    lambda: qml.s_prod(0.7, qml.Projector([0, 1], wires=[2, 0])),
    lambda: qml.Projector(VECTOR, wires=1),
    lambda: qml.Hermitian(HERMITIAN, wires=2),
    lambda: qml.Hermitian(HERMITIAN, wires=2) @ qml.Z(0),
    lambda: qml.Hermitian(np.kron(np.kron(HERMITIAN, HERMITIAN), HERMITIAN), wires=[2, 0, 1]),
]
MEASUREMENTS = [
    lambda: qml.state(),
    lambda: qml.density_matrix([2, 0]),
    lambda: qml.probs(wires=[2, 0]),
    lambda: qml.probs(op=qml.X(0) @ qml.Y(1)),
    lambda: qml.purity([0]),
    lambda: qml.vn_entropy([0, 1], log_base=2),
    lambda: qml.mutual_info([0], [2]),
    lambda: qml.expval(qml.SparseHamiltonian(qml.Z(0).sparse_matrix(wire_order=range(3)), wires=range(3))),
]


def same(measure, inputs, **options):
    """The results of a measurement, or several, on both devices."""
    found = []
    for device in devices():

        @qml.qnode(device, **options)
        def circuit():
            layers(WEIGHTS, inputs)
            return measure()

        found.append(circuit())
    for ours, theirs in zip(*([one] if not isinstance(one, tuple) else one for one in found), strict=True):
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_every_observable_has_pennylanes_expectation_value_and_variance():
    for make in OBSERVABLES:
        for inputs in (INPUTS[0], INPUTS):
            same(lambda make=make: (qml.expval(make()), qml.var(make())), inputs)


def test_every_measurement_equals_pennylanes_own():
    for make in MEASUREMENTS[:-1]:
        for inputs in (INPUTS[0], INPUTS):
            same(make, inputs)
    same(MEASUREMENTS[-1], INPUTS[0], diff_method="parameter-shift")


def test_measurements_of_all_kinds_stand_side_by_side():
    same(
        lambda: (
            qml.probs(wires=[1]),
            qml.expval(qml.Z(0)),
            qml.probs(wires=[2, 0]),
            qml.var(qml.X(1)),
            qml.purity([1]),
            qml.probs(op=qml.Hadamard(0)),
        ),
        INPUTS,
    )


OF_STATES = {
    "entropy": lambda a, b, c: qml.vn_entropy([c]),
    "entropy of two": lambda a, b, c: qml.vn_entropy([c, a]),
    "mutual information": lambda a, b, c: qml.mutual_info([a], [c]),
    "purity": lambda a, b, c: qml.purity([c, b]),
    "density matrix": lambda a, b, c: qml.density_matrix([c, a]),
}


def test_what_is_made_of_a_state_knows_wires_by_any_names_and_in_any_order():
    for labels in (["a", "b", "c"], [2, 0, 1], [7, "x", -1]):
        for name, measure in OF_STATES.items():
            found = []
            for make in (qml.device("default.qubit", wires=labels), kg.pennylane.QubitDevice(wires=labels)):
                for method in ("best", "parameter-shift" if make.name == NAME else "best"):

                    @qml.qnode(make, diff_method=method)
                    def circuit(angle, labels=labels, measure=measure):
                        qml.IsingXX(angle, [labels[0], labels[2]])
                        qml.CRY(0.3, [labels[2], labels[1]])
                        qml.RX(0.2 + angle, labels[1])
                        return measure(*labels)

                    found.append([np.asarray(circuit(0.4))])
                    if method == "best":
                        loss = lambda angle, f=circuit: qml.math.sum(qml.math.real(f(angle)) ** 2)  # noqa: E731
                        found[-1].append(qml.grad(loss)(pnp.array(0.4, requires_grad=True)))
            for one in found[1:]:
                for ours, theirs in zip(one, found[0], strict=False):
                    np.testing.assert_allclose(ours, theirs, atol=1e-9, err_msg=f"{name} {labels}")


# PennyLane says that it runs one circuit for every snapshot.
@pytest.mark.filterwarnings("ignore:Snapshots are not supported")
def test_snapshots_of_a_circuit_with_shots_are_measured_or_exact_as_they_say():
    @qml.set_shots(20)
    @qml.qnode(kg.pennylane.QubitDevice(wires=1, seed=0))
    def circuit(angle):
        qml.Snapshot("state")
        qml.RX(angle, wires=0)
        qml.Snapshot("counts", measurement=qml.counts())
        qml.Snapshot("exact", measurement=qml.expval(qml.Z(0)), shots=None)
        return qml.sample(wires=0)

    found = qml.snapshots(circuit)(0.4)
    np.testing.assert_allclose(found["state"], [1, 0])
    np.testing.assert_allclose(found["exact"], np.cos(0.4))
    assert sum(found["counts"].values()) == 20 and found["execution_results"].shape == (20, 1)
    with pytest.raises(qml.exceptions.DeviceError, match="no derivatives of its own with finite shots"):
        qml.grad(lambda angle: qml.snapshots(circuit)(angle)["exact"])(pnp.array(0.4, requires_grad=True))


# PennyLane says that it runs one circuit for every snapshot.
@pytest.mark.filterwarnings("ignore:Snapshots are not supported")
def test_snapshots_see_the_state_that_they_name():
    for device in devices():

        @qml.qnode(device)
        def circuit():
            qml.RX(0.4, wires=0)
            qml.Snapshot("early", measurement=qml.expval(qml.Z(0)))
            qml.CNOT(wires=[0, 1])
            return qml.expval(qml.Z(1))

        found = qml.snapshots(circuit)()
        np.testing.assert_allclose([found["early"], found["execution_results"]], np.cos(0.4))


# -- derivatives ----------------------------------------------------------------------------------------------

KINDS = {
    "averages": lambda: (
        qml.expval(qml.Z(0)),
        qml.expval(qml.X(1) @ qml.Y(2)),
        qml.var(qml.X(0) + 0.3 * qml.Z(1)),
    ),
    "probabilities": lambda: (qml.probs(wires=[2, 0]), qml.probs(wires=[1]), qml.probs(op=qml.Y(1))),
    "mixed": lambda: (qml.probs(wires=[0]), qml.expval(qml.Hermitian(HERMITIAN, wires=1))),
    "entropy": lambda: (qml.purity([0]), qml.vn_entropy([1])),
}


def model(device, kind="averages", **options):
    @qml.qnode(device, **options)
    def circuit(weights, inputs):
        layers(weights, inputs)
        return KINDS[kind]()

    return circuit


def autograd_gradients(circuit, inputs):
    def loss(weights, inputs):
        return sum(qml.math.sum(qml.math.sin(2 * one)) for one in circuit(weights, inputs))

    return qml.grad(loss, argnums=[0, 1])(
        pnp.array(WEIGHTS, requires_grad=True), pnp.array(inputs, requires_grad=True)
    )


def torch_gradients(circuit, inputs):
    import torch

    w = torch.tensor(WEIGHTS, requires_grad=True)
    x = torch.tensor(inputs, requires_grad=True)
    sum(torch.sum(torch.sin(2 * one)) for one in circuit(w, x)).backward()
    return w.grad, x.grad


def jax_gradients(circuit, inputs, jit=False):
    import jax

    def loss(weights, inputs):
        return sum(jax.numpy.sum(jax.numpy.sin(2 * one)) for one in circuit(weights, inputs))

    gradient = jax.grad(loss, argnums=(0, 1))
    return (jax.jit(gradient) if jit else gradient)(jax.numpy.array(WEIGHTS), jax.numpy.array(inputs))


@pytest.fixture
def double():
    """Double precision in every thread, also in those in which jax calls back."""
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", [INPUTS[0], INPUTS], ids=["one sample", "broadcast"])
def test_gradients_equal_backpropagation_in_autograd_and_torch(kind, inputs):
    theirs, device = devices()
    expected = autograd_gradients(model(theirs, kind), inputs)
    for method in ("best", "device", "adjoint"):
        found = autograd_gradients(model(device, kind, diff_method=method), inputs)
        for ours, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, other, atol=1e-9)
    for ours, other in zip(torch_gradients(model(device, kind), inputs), expected, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-9)


@pytest.mark.parametrize("kind", ["averages", "probabilities"])
@pytest.mark.parametrize("inputs", [INPUTS[0], INPUTS[:2]], ids=["one sample", "broadcast"])
def test_gradients_equal_backpropagation_in_jax_with_and_without_jit(kind, inputs, double):
    theirs, device = devices()
    expected = autograd_gradients(model(theirs, kind), inputs)
    for jit in (False, True):
        for ours, other in zip(jax_gradients(model(device, kind), inputs, jit), expected, strict=True):
            np.testing.assert_allclose(ours, other, atol=1e-9)


def test_jax_maps_and_differentiates_forwards_and_backwards(double):
    import jax

    weight, inputs = jax.numpy.array(0.4), jax.numpy.array([0.3, -0.9])
    found = []
    for device in devices(1):

        @qml.qnode(device)
        def circuit(w, x):
            qml.RX(w, wires=0)
            qml.RY(x, wires=0)
            return qml.expval(qml.Z(0)), qml.expval(qml.X(0))

        def first(w, x, circuit=circuit):
            return circuit(w, x)[0]

        found.append(
            [
                jax.vmap(first, in_axes=(None, 0))(weight, inputs),
                jax.vmap(jax.grad(first), in_axes=(None, 0))(weight, inputs),
                jax.jit(jax.vmap(jax.grad(first), in_axes=(None, 0)))(weight, inputs),
                jax.jit(jax.jacfwd(circuit))(weight, inputs[0]),
                jax.jit(jax.jacrev(circuit))(weight, inputs[0]),
            ]
        )
    for ours, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-9)


IN_JIT = {
    "a marked gate": (lambda a: qml.fourier.mark(qml.RX(a[0], wires=0), "x"), lambda a: qml.Z(0)),
    "a coefficient with an axis": (lambda a: qml.RX(0.4, wires=0), lambda a: qml.X(0) + qml.Z(0) * a[:1]),
    "a matrix": (
        lambda a: qml.RX(a[0], wires=0),
        lambda a: qml.Hermitian(qml.math.stack([a, a[::-1]]), wires=0),
    ),
}


def test_what_jax_has_yet_to_fill_in_runs_in_compiled_code(double):
    import jax

    numbers = jax.numpy.array([0.3, 0.7])
    for name, (gate, observable) in IN_JIT.items():
        found = []
        for device in devices(1):

            @qml.qnode(device)
            def circuit(a, gate=gate, observable=observable):
                gate(a)
                return qml.expval(observable(a))

            found.append(np.squeeze(jax.jit(circuit)(numbers)))
        np.testing.assert_allclose(*found, atol=1e-9, err_msg=name)


def test_a_map_over_rows_of_one_column_is_a_broadcast_of_each_row(double):
    import jax

    rows = jax.numpy.linspace(0, 1, 3)[:, None]
    found = []
    for device in devices(1):

        @qml.qnode(device)
        def circuit(x, w):
            qml.RX(x, wires=0)
            qml.RY(w, wires=0)
            return qml.expval(qml.Z(0)), qml.probs(wires=0)

        mapped = jax.vmap(circuit, in_axes=(0, None))
        found.append([*mapped(rows, 0.3), *jax.jit(mapped)(rows, 0.3)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_the_state_is_differentiated():
    import torch

    for k in range(2):
        found = []
        for device in devices():

            @qml.qnode(device)
            def circuit(weights, inputs):
                layers(weights, inputs)
                return qml.state()

            w = torch.tensor(WEIGHTS, requires_grad=True)
            (torch.abs(torch.sum(circuit(w, INPUTS[0]) * (1 + 0.5j) ** k)) ** 2).backward()
            found.append(w.grad)
        np.testing.assert_allclose(*found, atol=1e-9)


# Backpropagation by PennyLane's own simulator casts complex numbers to real ones.
@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_real_amplitudes_and_coefficients_of_observables_are_differentiated():
    vectors = RNG.normal(size=(4, 8))
    found = []
    for device in devices():

        @qml.qnode(device)
        def circuit(vector, coefficients, matrix):
            qml.AmplitudeEmbedding(vector, wires=range(3), normalize=True)
            qml.CRY(0.7, wires=[0, 2])
            sum_ = qml.Hamiltonian(coefficients, [qml.Z(0), qml.X(1) @ qml.X(2)])
            return qml.expval(sum_), qml.expval(qml.Hermitian(matrix, wires=1))

        arguments = [vectors, np.array([0.3, -0.8]), HERMITIAN.real]
        gradient = qml.grad(lambda *a, f=circuit: sum(qml.math.sum(one**2) for one in f(*a)))
        found.append(gradient(*(pnp.array(a, requires_grad=True) for a in arguments)))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


# Backpropagation by PennyLane's own simulator casts complex numbers to real ones.
@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_a_trained_complex_state_or_matrix_is_decomposed_and_differentiated():
    vector = RNG.normal(size=4) + 1j * RNG.normal(size=4)
    vector = vector / np.linalg.norm(vector)
    found = []
    for device in devices():

        @qml.qnode(device)
        def circuit(angle):
            turn = qml.math.stack([qml.math.cos(angle), -qml.math.sin(angle)])
            other = qml.math.stack([qml.math.sin(angle), qml.math.cos(angle)])
            qml.StatePrep(vector * qml.math.exp(1j * angle), wires=[0, 1])
            qml.QubitUnitary(qml.math.stack([turn, other]), wires=0)
            return qml.expval(qml.X(0) @ qml.Z(1))

        found.append(qml.grad(circuit)(pnp.array(0.4, requires_grad=True)))
    np.testing.assert_allclose(*found, atol=1e-9)


def hermitian(wires, complex_=True):
    matrix = RNG.normal(size=(2**wires, 2**wires)) + 1j * complex_ * RNG.normal(size=(2**wires, 2**wires))
    return matrix + matrix.conj().T if complex_ else np.real(matrix + matrix.T)


# Observables with numbers in them, and these numbers.
WITH_NUMBERS = {
    "a real matrix": (lambda m: qml.Hermitian(m, 2), [hermitian(1, False)]),
    "a matrix of two wires": (lambda m: qml.Hermitian(m, [2, 0]), [hermitian(2)]),
    "a multiple": (lambda m: 2 * qml.Hermitian(m, [2, 0]), [hermitian(2)]),
    "between others": (lambda m: qml.X(1) @ qml.Hermitian(m, [2, 0]) @ qml.Z(3), [hermitian(2)]),
    "two matrices": (
        lambda m, n: qml.Hermitian(n, 1) @ qml.Hermitian(m, [2, 0]),
        [hermitian(2), hermitian(1)],
    ),
    "in a sum": (
        lambda c, m: qml.Hamiltonian(c, [qml.Hermitian(m, [2, 0]), qml.X(1)]),
        [np.array([0.3, -0.2]), hermitian(2)],
    ),
    "on one wire thrice": (
        lambda m: qml.prod(qml.X(0), qml.Hermitian(m, 0), qml.X(0)),
        [hermitian(1, False)],
    ),
    "five wires": (lambda m: qml.Hermitian(m, range(5)), [hermitian(5, False)]),
}


def by_every_entry(make, numbers, state):
    """The derivatives of <make(numbers)> by their entries: a number is 1 in one place, and nothing else."""

    def value(some):
        return state.conj() @ qml.matrix(make(*some), wire_order=range(5)) @ state

    found = []
    for k, number in enumerate(numbers):
        slope = np.zeros(number.shape, complex)
        for entry in np.ndindex(number.shape):
            unit = np.zeros(number.shape)
            unit[entry] = 1.0
            ends = [[*numbers[:k], end, *numbers[k + 1 :]] for end in (unit, np.zeros(number.shape))]
            slope[entry] = value(ends[0]) - value(ends[1])
        found.append(slope)
    return found


def test_derivatives_by_every_number_of_an_observable_in_autograd_and_torch():
    import torch

    device = kg.pennylane.QubitDevice(wires=5)
    state = qml.qnode(device)(lambda: (start(range(5)), qml.state())[1])()
    for name, (make, numbers) in WITH_NUMBERS.items():

        @qml.qnode(device)
        def circuit(*given, make=make):
            start(range(5))
            return qml.expval(make(*given))

        wanted = (
            by_every_entry(make, numbers, state)
            if name != "five wires"
            else [np.outer(state, state.conj()).T]
        )
        trained = [pnp.array(number, requires_grad=True) for number in numbers]
        found = qml.grad(circuit, argnums=list(range(len(numbers))))(*trained)
        tensors = [torch.tensor(number, requires_grad=True) for number in numbers]
        circuit(*tensors).backward()
        for number, slope, ours, tensor in zip(numbers, wanted, found, tensors, strict=True):
            exact = slope if number.dtype.kind == "c" else slope.real
            np.testing.assert_allclose(ours, exact, atol=1e-10, err_msg=name)
            np.testing.assert_allclose(tensor.grad, exact.conj(), atol=1e-10, err_msg=name)


def test_a_matrix_that_nobody_differentiates_by_is_written_in_words_once(monkeypatch):
    from ketgrad.bridges.pennylane import observables as pennylane_observables
    from ketgrad.bridges.pennylane import readout as pennylane_readout

    made = []
    original = pennylane_observables.from_matrix
    for module in (pennylane_observables, pennylane_readout):
        monkeypatch.setattr(module, "from_matrix", lambda matrix: (made.append(1), original(matrix))[1])
    for name, (make, numbers) in WITH_NUMBERS.items():
        if name == "on one wire thrice":
            continue  # whether a product on one wire is Hermitian, only the words tell
        marked = [pnp.array(number, requires_grad=True) for number in numbers]  # as arrays of PennyLane are
        device = kg.pennylane.QubitDevice(wires=5)

        @qml.qnode(device)
        def circuit(angle, make=make, marked=marked):
            qml.RX(angle, wires=0)
            start(range(5))
            return qml.expval(make(*marked))

        made.clear()
        for angle in (0.3, 0.4, 0.5):
            qml.grad(circuit)(pnp.array(angle, requires_grad=True))
        assert len(made) <= len(numbers), name


def test_what_is_not_linear_or_not_hermitian_is_refused_in_words():
    import torch

    device = kg.pennylane.QubitDevice(wires=2)

    def average(make):
        @qml.qnode(device)
        def circuit(*given):
            start(range(2))
            return qml.expval(make(*given))

        return circuit

    matrix = torch.tensor(hermitian(1, False), requires_grad=True)
    with pytest.raises(
        qml.exceptions.DeviceError, match="does not differentiate by the parameters of Hermitian"
    ):
        average(lambda m: qml.pow(qml.Hermitian(m, 0), 2))(matrix).backward()
    for make in (
        lambda: qml.s_prod(1j, qml.Z(0)),
        lambda: qml.X(0) @ qml.Y(0),
        lambda: qml.Z(0) + 0.5j * qml.X(1),
        lambda: qml.Hermitian(np.array([[0.0, 1.0], [0.0, 0.0]]), wires=0) @ qml.Z(1),
    ):
        with pytest.raises(qml.exceptions.DeviceError, match="must be Hermitian"):
            average(make)()


def tapes_of(count, trainable=(0, 2)):
    return [
        qml.tape.QuantumScript(
            [qml.RX(0.3 + k, 0), qml.RY(0.5, 1), qml.CRZ(0.2 * k, [0, 1]), qml.RX(0.9, 1)],
            [qml.expval(qml.Z(0)), qml.probs(wires=[1])],
            trainable_params=trainable,
        )
        for k in range(count)
    ]


def test_the_methods_of_the_device_agree_with_each_other_and_with_pennylane():
    device, config = kg.pennylane.QubitDevice(wires=2), qml.devices.ExecutionConfig(gradient_method="adjoint")
    assert device.supports_derivatives(config) and device.supports_vjp(config) and device.supports_jvp(config)
    tapes = tapes_of(3)
    values, jacobians = device.execute_and_compute_derivatives(tapes, config)
    assert repr(device.compute_derivatives(tapes, config)) == repr(jacobians)
    expected = []
    for tape in tapes:
        shifted, finish = qml.gradients.param_shift(tape)
        expected.append(finish(qml.device("default.qubit").execute(tuple(shifted))))
    for ours, theirs in zip(jacobians, expected, strict=True):
        for m in range(2):
            for ours_by, theirs_by in zip(ours[m], theirs[m], strict=True):
                np.testing.assert_allclose(ours_by, theirs_by, atol=1e-9)
    cotangents = [(0.3 * k, np.array([1.0, -0.5])) for k in range(3)]
    tangents = [(0.2, -0.7 * k) for k in range(3)]
    again, products = device.execute_and_compute_vjp(tapes, cotangents, config)
    third, along = device.execute_and_compute_jvp(tapes, tangents, config)
    for k in range(3):
        np.testing.assert_allclose(np.hstack(again[k]), np.hstack(values[k]))
        np.testing.assert_allclose(np.hstack(third[k]), np.hstack(values[k]))
        for p in range(2):
            wanted = cotangents[k][0] * jacobians[k][0][p] + cotangents[k][1] @ jacobians[k][1][p]
            np.testing.assert_allclose(products[k][p], wanted, atol=1e-12)
        for m in range(2):
            wanted = sum(turn * slope for turn, slope in zip(tangents[k], jacobians[k][m], strict=True))
            np.testing.assert_allclose(along[k][m], wanted, atol=1e-12)
    np.testing.assert_allclose(device.compute_vjp(tapes, cotangents, config)[1], products[1])
    np.testing.assert_allclose(device.compute_jvp(tapes, tangents, config)[1][0], along[1][0])
    one = device.execute(tapes[0])
    np.testing.assert_allclose(np.hstack(one), np.hstack(values[0]))


# -- one call for what is alike ---------------------------------------------------------------------------------


def test_a_broadcast_is_one_run_and_one_product_of_all_samples(calls):
    autograd_gradients(model(kg.pennylane.QubitDevice(wires=3), "averages", diff_method="adjoint"), INPUTS)
    assert set(calls) == {("run", 5), ("vjp", 5)}
    assert calls.count(("vjp", 5)) == 1


def test_tapes_of_equal_structure_are_one_run(calls):
    device = kg.pennylane.QubitDevice(wires=2)
    device.execute(tapes_of(7))
    assert calls == [("run", 7), ("run", 7)]  # expectation values, and probabilities


def test_parameter_shift_is_one_run_of_all_shifted_circuits(calls):
    circuit = model(kg.pennylane.QubitDevice(wires=3), "probabilities", diff_method="parameter-shift")
    shifted = autograd_gradients(circuit, INPUTS[0])
    expected = autograd_gradients(model(devices()[0], "probabilities"), INPUTS[0])
    np.testing.assert_allclose(shifted[0], expected[0], atol=1e-9)
    assert len(calls) <= 4 and max(rows for _, rows in calls) > 40


def test_a_training_loop_compiles_once(monkeypatch):
    made = []
    original = kg.Function.__post_init__
    monkeypatch.setattr(kg.Function, "__post_init__", lambda self: (made.append(1), original(self))[1])
    circuit = model(kg.pennylane.QubitDevice(wires=3), "averages")
    weights = pnp.array(WEIGHTS, requires_grad=True)
    gradient = qml.grad(lambda w, x: sum(qml.math.sum(one) for one in circuit(w, x)), argnums=0)
    for step in range(4):
        weights = weights - 0.1 * gradient(weights, INPUTS + step)
    assert len(made) == 1


def test_equal_numbers_by_accident_compile_a_bounded_number_of_functions():
    device = kg.pennylane.QubitDevice(wires=2)
    for step in range(12):
        bits = [step >> k & 1 for k in range(4)]
        tapes = [
            qml.tape.QuantumScript([qml.RX(0.1 + t * bit, 0) for bit in bits], [qml.expval(qml.Z(0))])
            for t in range(3)
        ]
        found = device.execute(tapes)
        np.testing.assert_allclose(found, [np.cos(0.4 + t * sum(bits)) for t in range(3)], atol=1e-12)
    (plan,) = device._plans.known.values()
    assert len(plan.splits) <= 7


def test_single_precision_and_threads_are_arguments_of_the_device():
    device = kg.pennylane.QubitDevice(wires=3, c_dtype=np.complex64, threads=1)
    assert device.c_dtype == np.complex64
    np.testing.assert_allclose(
        np.stack(model(device)(WEIGHTS, INPUTS)), np.stack(model(devices()[0])(WEIGHTS, INPUTS)), atol=1e-5
    )


# -- shots ----------------------------------------------------------------------------------------------------


def sampled(device, measure, shots=4000):
    @qml.set_shots(shots)
    @qml.qnode(device)
    def circuit():
        layers(WEIGHTS, INPUTS[0])
        return measure()

    return circuit()


def test_the_same_seed_draws_the_same_shots():
    draws = [sampled(kg.pennylane.QubitDevice(wires=3, seed=seed), qml.sample, 50) for seed in (3, 3, 4)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])
    assert draws[0].shape == (50, 3)


def test_sampled_averages_scatter_about_the_exact_ones():
    device, shots = kg.pennylane.QubitDevice(wires=3, seed=11), 4000
    for make in OBSERVABLES:
        mean, spread = model_averages(device, make)
        assert (
            abs(sampled(device, lambda make=make: qml.expval(make())) - mean)
            < 6 * np.sqrt(spread / shots) + 1e-9
        )


def model_averages(device, make):
    @qml.qnode(device)
    def circuit():
        layers(WEIGHTS, INPUTS[0])
        return qml.expval(make()), qml.var(make())

    return circuit()


def test_counts_probabilities_samples_and_shadows_come_with_shots():
    device = kg.pennylane.QubitDevice(wires=3, seed=2)
    counts, chances, bits = sampled(
        device, lambda: (qml.counts(), qml.probs(wires=[0]), qml.sample(qml.Z(0)))
    )
    assert sum(counts.values()) == 4000 and abs(chances.sum() - 1) < 1e-12
    exact = model_averages(device, lambda: qml.Z(0))[0]
    assert abs(bits.mean() - exact) < 0.1 and abs(chances[0] - chances[1] - exact) < 0.1
    shadow = sampled(device, lambda: qml.shadow_expval(qml.Z(0)), 8000)
    assert abs(shadow - exact) < 0.15
    several = sampled(device, lambda: qml.expval(qml.Z(0)), [100, 200])
    assert len(several) == 2


def test_shots_of_a_broadcast_have_an_axis_of_samples():
    device = kg.pennylane.QubitDevice(wires=3, seed=1)

    @qml.set_shots(2000)
    @qml.qnode(device)
    def circuit():
        layers(WEIGHTS, INPUTS)
        return qml.expval(qml.Z(0)), qml.sample(wires=[0, 1])

    means, bits = circuit()
    exact = model(device)(WEIGHTS, INPUTS)[0]
    assert bits.shape == (5, 2000, 2) and np.abs(means - exact).max() < 0.15


SAMPLED = {
    "samples": lambda: qml.sample(),
    "samples of a wire": lambda: qml.sample(wires=[1]),
    "eigenvalues": lambda: qml.sample(qml.Z(0) @ qml.X(1)),
    "counts": lambda: qml.counts(),
    "all counts": lambda: qml.counts(qml.Z(0), all_outcomes=True),
    "probabilities": lambda: qml.probs(wires=[1, 0]),
    "turned probabilities": lambda: qml.probs(op=qml.X(0)),
    "variance": lambda: qml.var(qml.Z(0)),
    "matrix": lambda: qml.expval(qml.Hermitian(HERMITIAN, wires=0)),
    "projector": lambda: qml.expval(qml.Projector([0, 1], wires=[0, 1])),
    "sum": lambda: qml.expval(qml.Hamiltonian([0.3, 0.5], [qml.Z(0), qml.X(1) @ qml.Z(0)])),
    "shadow": lambda: qml.classical_shadow([0, 1]),
    "shadow average": lambda: qml.shadow_expval([qml.Z(0), qml.X(1)]),
    "shadow and average": lambda: (qml.classical_shadow([1]), qml.expval(qml.Z(0))),
}


def shape(result):
    if isinstance(result, list | tuple):
        return [shape(one) for one in result]
    return "counts" if isinstance(result, dict) else np.shape(result)


def test_every_measurement_of_a_broadcast_with_shots_has_the_shape_of_pennylanes_own():
    for name, measure in SAMPLED.items():
        for shots in (40, [20, 30]):
            found = []
            for device in devices(2, seed=5):

                @qml.set_shots(shots)
                @qml.qnode(device)
                def circuit(angles, measure=measure):
                    qml.RX(angles, wires=0)
                    qml.CRY(0.5, wires=[0, 1])
                    return measure()

                found.append(shape(circuit(INPUTS[:3, 0])))
            assert found[0] == found[1], (name, shots)


def test_shadows_of_a_broadcast_are_those_of_each_sample():
    @qml.set_shots(4000)
    @qml.qnode(kg.pennylane.QubitDevice(wires=2, seed=6))
    def circuit(angles):
        qml.RX(angles, wires=0)
        qml.CNOT(wires=[0, 1])
        return qml.shadow_expval([qml.Z(0), qml.Z(0) @ qml.Z(1)])

    angles = np.array([0.1, 3.0, 1.2])
    np.testing.assert_allclose(circuit(angles), np.stack([np.cos(angles), np.ones(3)], axis=1), atol=0.3)


def test_gradients_with_shots_are_shifted_and_need_no_other_argument():
    @qml.set_shots(20000)
    @qml.qnode(kg.pennylane.QubitDevice(wires=1, seed=4))
    def circuit(angle):
        qml.RX(angle, wires=0)
        return qml.expval(qml.Z(0))

    assert abs(qml.grad(circuit)(pnp.array(0.7, requires_grad=True)) + np.sin(0.7)) < 0.05


@pytest.mark.parametrize(("method", "shots"), [("deferred", None), ("deferred", 4000), ("one-shot", 1000)])
def test_mid_circuit_measurements_steer_what_follows(method, shots):
    @qml.set_shots(shots)
    @qml.qnode(kg.pennylane.QubitDevice(wires=3, seed=8), mcm_method=method)
    def circuit(a, b):
        qml.RX(a, wires=0)
        bit = qml.measure(0, reset=True)
        qml.cond(bit, qml.RY)(b, wires=1)
        return qml.expval(bit), qml.expval(qml.Z(1)), qml.expval(qml.Z(0))

    one = np.sin(0.55) ** 2
    expected = [one, 1 - one + one * np.cos(0.7), 1.0]
    np.testing.assert_allclose(circuit(1.1, 0.7), expected, atol=1e-9 if shots is None else 0.12)


def test_postselection_keeps_the_shots_that_were_asked_for():
    @qml.set_shots(1000)
    @qml.qnode(kg.pennylane.QubitDevice(wires=2, seed=8), mcm_method="one-shot")
    def circuit():
        qml.RX(1.1, wires=0)
        qml.CNOT(wires=[0, 1])
        qml.measure(0, postselect=1)
        return qml.expval(qml.Z(1)), qml.counts(wires=[0, 1])

    value, counts = circuit()
    assert value == -1.0 and set(counts) == {"11"} and 200 < counts["11"] < 350


def test_mid_circuit_measurements_are_differentiated():
    found = []
    for device in devices():

        @qml.qnode(device)
        def circuit(a):
            qml.RX(a, wires=0)
            bit = qml.measure(0)
            qml.cond(bit, qml.RY)(2 * a, wires=1)
            return qml.expval(qml.Z(1)), qml.expval(bit)

        found.append(
            qml.jacobian(lambda a, f=circuit: qml.math.stack(f(a)))(pnp.array(0.6, requires_grad=True))
        )
    np.testing.assert_allclose(*found, atol=1e-9)


# -- refusals, installation -------------------------------------------------------------------------------------


def test_refusals_name_the_reason_and_the_way_out():
    device = kg.pennylane.QubitDevice(wires=2)
    config = qml.devices.ExecutionConfig
    with pytest.raises(qml.exceptions.DeviceError, match="tree-traversal"):
        device.setup_execution_config(config(mcm_config=qml.devices.MCMConfig(mcm_method="tree-traversal")))
    with pytest.raises(qml.exceptions.DeviceError, match="no device options"):
        device.setup_execution_config(config(device_options={"speed": 1}))
    with pytest.raises(qml.exceptions.WireError, match="not found on the device"):
        qml.qnode(device)(lambda: qml.expval(qml.Z(5)))()
    with pytest.raises(kg.KetgradError, match="complex128 or complex64"):
        kg.pennylane.QubitDevice(wires=2, c_dtype=int)
    with pytest.raises(kg.KetgradError, match="norm 1"):
        qml.qnode(device)(lambda: (qml.StatePrep(np.array([1.0, 1.0]), wires=0), qml.expval(qml.Z(0)))[1])()
    with pytest.raises(qml.exceptions.DeviceError, match="not accepted"):
        qml.qnode(device)(lambda: qml.sample(wires=0))()
    assert not device.supports_derivatives(config(gradient_method="adjoint", derivative_order=2))
    assert not device.supports_derivatives(config(gradient_method="backprop"))
    matrix = qml.tape.QuantumScript([qml.QubitUnitary(np.eye(2), 0)], [qml.expval(qml.Z(0))])
    with pytest.raises(qml.exceptions.DeviceError, match="no derivative by the parameter of QubitUnitary"):
        device.compute_vjp([matrix], [1.0])


def test_the_device_is_an_entry_point():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    assert points["pennylane.plugins"] == {"ketgrad.qubit": "ketgrad.bridges.pennylane:QubitDevice"}
    assert kg.pennylane.QubitDevice(wires=1).name == "ketgrad.qubit"


def test_without_pennylane_the_error_holds_the_install_line():
    code = "import sys; sys.modules['pennylane'] = None\nimport ketgrad as kg\nkg.pennylane"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "KetgradImportError: `pennylane` is not installed" in found.stderr
    assert "pip install 'ketgrad[pennylane]'" in found.stderr


def test_importing_ketgrad_loads_no_pennylane():
    code = "import sys, ketgrad; print('pennylane' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.strip() == "False"


@pytest.mark.filterwarnings("error")
def test_numbers_of_observables_have_an_exact_derivative_or_are_refused_and_never_a_zero():
    import torch

    number = lambda value: torch.tensor(value, dtype=torch.complex128, requires_grad=True)  # noqa: E731
    matrix = [[0.3, 0.2 - 0.1j], [0.2 + 0.1j, -1.0]]
    exact = {
        "beside a projector": lambda c: qml.expval(c * qml.Projector([1], wires=0) + qml.X(0)),
        "of a projector": lambda c: qml.expval(c * (qml.Projector([1], wires=0) @ qml.Z(1))),
        "in a sum": lambda c: qml.expval(c * qml.Z(0) + c * qml.X(0)),
    }
    for name, measure in exact.items():
        found = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        ours = qml.QNode(
            lambda c, m=measure: (qml.RX(0.4, 0), qml.Hadamard(1), m(c))[-1],
            kg.pennylane.QubitDevice(wires=2),
        )
        ours(found).backward()
        values = [float(ours(torch.tensor(c, dtype=torch.float64))) for c in (0.2, 1.2)]  # linear
        np.testing.assert_allclose(found.grad, values[1] - values[0], atol=1e-12, err_msg=name)
    refused = {
        "variance": lambda: (qml.var, qml.Hermitian(number(matrix), wires=0)),
        "variance of a sum": lambda: (qml.var, number(0.3).real * qml.Z(0) + qml.X(0)),
        "projector": lambda: (qml.expval, qml.Projector(number([0.6, 0.8j]), wires=[0])),
    }
    for name, make in refused.items():
        measure, observable = make()
        angle = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
        values = qml.QNode(
            lambda t, m=measure, o=observable: (qml.RX(t, 0), m(o))[-1], kg.pennylane.QubitDevice(wires=1)
        )(angle)
        with pytest.raises(qml.exceptions.DeviceError, match="does not differentiate by the parameters of"):
            pytest.fail(f"{name}: {values.sum().backward()}")
