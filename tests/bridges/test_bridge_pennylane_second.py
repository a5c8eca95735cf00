"""Second derivatives of QNodes on the PennyLane device: exact with the default arguments, or refused; never a part."""

import json

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane import numpy as pnp
from test_process import python

import ketgrad as kg

pytestmark = [pytest.mark.filterwarnings("ignore::pennylane.exceptions.PennyLaneDeprecationWarning")]

RNG = np.random.default_rng(9)
WEIGHTS, INPUTS = RNG.normal(size=(2, 2)), RNG.normal(size=(3, 2))
HERMITIAN = np.array([[1.0, 0.5 - 0.2j], [0.5 + 0.2j, -0.3]])


def devices(wires):
    return qml.device("default.qubit", wires=wires), kg.pennylane.QubitDevice(wires=wires)


def angle_node(device, interface, **options):
    """<Z> after RX(v), so that q(v) = cos(v)."""

    def circuit(v):
        qml.RX(v, wires=0)
        return qml.expval(qml.Z(0))

    return qml.QNode(circuit, device, interface=interface, **options)


# What is made of q at t and a weight w: everything reaches the second derivative in another way.
MODELS = {
    "q(t)": lambda q, t, w: q(t),
    "q(2t)": lambda q, t, w: q(2 * t),
    "q(t)^2": lambda q, t, w: q(t) ** 2,
    "t q(t)": lambda q, t, w: t * q(t),
    "q(t^2)": lambda q, t, w: q(t * t),
    "q(tanh)": lambda q, t, w: q(qml.math.tanh(1.7 * t + 0.2)),
    "q(w t)": lambda q, t, w: q(w * t),
    "w q(tanh)": lambda q, t, w: w * q(qml.math.tanh(t)),
    "q(q(t))": lambda q, t, w: q(q(t) + w),
    "q(t) q(w)": lambda q, t, w: q(t) * q(w),
}


def exact_second(model):
    """(d^2 u / dt^2, d/dw of (du/dt - 1)^2) by PyTorch, with cos in the place of the circuit."""
    return torch_second(model, torch.cos)


def torch_second(model, q):
    t = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    w = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(model(q, t, w), t, create_graph=True)
    second, by_weight = torch.autograd.grad(slope, (t, w), retain_graph=True, allow_unused=True)
    residual = (slope - 1) ** 2
    trained = torch.autograd.grad(residual, w, allow_unused=True)[0]
    zero = torch.tensor(0.0, dtype=torch.float64)
    return [float(zero if one is None else one.detach()) for one in (second, by_weight, trained)]


def autograd_second(model, q):
    t, w = pnp.array(0.4, requires_grad=True), pnp.array(0.7, requires_grad=True)
    slope = qml.grad(lambda t, w: model(q, t, w), argnums=0)
    second, by_weight = qml.grad(slope, argnums=[0, 1])(t, w)
    trained = qml.grad(lambda t, w: (slope(t, w) - 1) ** 2, argnums=1)(t, w)
    return [float(one) for one in (second, by_weight, trained)]


# autograd says so of every weight that the model does not hold
@pytest.mark.filterwarnings("ignore:Output seems independent of input")
def test_second_derivatives_of_whatever_holds_a_qnode_are_exact_in_torch_and_autograd():
    device = kg.pennylane.QubitDevice(wires=1)
    for name, model in MODELS.items():
        wanted = exact_second(model)
        for second, interface in ((torch_second, "torch"), (autograd_second, "autograd")):
            found = second(model, angle_node(device, interface))
            np.testing.assert_allclose(found, wanted, atol=1e-12, err_msg=f"{name} in {interface}")


TENSORFLOW = """
import json, warnings
warnings.simplefilter("ignore")
import pennylane as qml, tensorflow as tf
import test_bridge_pennylane_second as tests
import ketgrad as kg

t, w = tf.Variable(0.4, dtype=tf.float64), tf.Variable(0.7, dtype=tf.float64)

def second(model, q):
    zero = tf.UnconnectedGradients.ZERO
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as inner:
            value = model(q, t, w)
        slope = inner.gradient(value, t)
        residual = (slope - 1) ** 2
    pairs = (slope, t), (slope, w), (residual, w)
    return [outer.gradient(*pair, unconnected_gradients=zero) for pair in pairs]

q = tests.angle_node(kg.pennylane.QubitDevice(wires=1), "tf")
graph = lambda run: tf.function(run, autograph=False)
WAYS = {
    "eager": second,
    "all in a graph": lambda model, q: graph(lambda: second(model, q))(),
    "a graph in eager code": lambda model, q: second(model, graph(lambda *angles: q(*angles))),
}
print(json.dumps({
    f"{name}, {way}": [float(one) for one in run(model, q)]
    for name, model in tests.MODELS.items() for way, run in WAYS.items()
}))
"""


def test_second_derivatives_in_tensorflow_are_exact_eagerly_and_in_graphs():
    found = json.loads(python(TENSORFLOW, TF_CPP_MIN_LOG_LEVEL="3").stdout.splitlines()[-1])
    assert len(found) == 3 * len(MODELS)
    for name, numbers in found.items():
        np.testing.assert_allclose(
            numbers, exact_second(MODELS[name.split(", ")[0]]), atol=1e-12, err_msg=name
        )


IN_GRAPHS = """
import json, warnings
warnings.simplefilter("ignore")
import numpy as np, pennylane as qml, tensorflow as tf
import test_bridge_pennylane_second as tests
import ketgrad as kg

def node(kind):
    def circuit(angle, weight):
        qml.RX(angle, wires=0)
        qml.CRY(weight, wires=[0, 1])
        qml.IsingXX(angle * weight, wires=[0, 1])
        return kind()
    return qml.QNode(circuit, kg.pennylane.QubitDevice(wires=2), interface="tf")

def derivatives(run, angle, weight):
    with tf.GradientTape(persistent=True) as outer:
        outer.watch((angle, weight))
        with tf.GradientTape() as inner:
            inner.watch((angle, weight))
            parts = [tf.cast(part, tf.complex128) for part in tf.nest.flatten(run(angle, weight))]
            value = sum(tf.reduce_sum(tf.math.real(part) ** 2 + tf.math.imag(part)) for part in parts)
        first = inner.gradient(value, (angle, weight))
        total = sum(tf.reduce_sum(one**2) for one in first)
    return [value, *first, *outer.gradient(total, (angle, weight))]

wrong, weight = [], tf.constant(0.7, tf.float64)
for name, kind in tests.KINDS.items():
    q = node(kind)
    for angle in (tf.constant(0.4, tf.float64), tf.constant([0.4, -2.0, 0.1], tf.float64)):
        run = tf.function(lambda angle, weight: q(angle, weight), autograph=False)
        run(angle, weight)  # traced before a gradient tape is there
        pairs = zip(derivatives(run, angle, weight), derivatives(q, angle, weight), strict=True)
        alike = [a.shape == b.shape and np.allclose(a, b, atol=1e-10) for a, b in pairs]
        wrong += [] if all(alike) else [name]
print(json.dumps(wrong))
"""


def test_a_graph_of_tensorflow_gives_what_eager_code_gives_for_every_measurement():
    assert json.loads(python(IN_GRAPHS, TF_CPP_MIN_LOG_LEVEL="3").stdout.splitlines()[-1]) == []


def test_jax_gives_no_second_derivative_silently():
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        q = angle_node(kg.pennylane.QubitDevice(wires=1), "jax")
        for name, model in MODELS.items():
            second = jax.grad(jax.grad(lambda t, model=model: model(q, t, 0.7)))
            for compute in (second, jax.jit(second)):
                with pytest.raises(ValueError, match="JVP"):
                    pytest.fail(f"{name}: {compute(0.4)}")
    finally:
        jax.config.update("jax_enable_x64", before)


KINDS = {
    "averages": lambda: (qml.expval(qml.Z(0)), qml.expval(qml.X(0) @ qml.Y(1))),
    "variances": lambda: (qml.var(qml.X(0) + 0.3 * qml.Z(1)), qml.expval(qml.Z(1)), qml.var(qml.Y(0))),
    "probabilities": lambda: (qml.probs(wires=[1, 0]), qml.probs(wires=[1]), qml.probs(op=qml.Y(1))),
    "mixed": lambda: (qml.probs(wires=[0]), qml.expval(qml.Hermitian(HERMITIAN, wires=1))),
    "from the state": lambda: (qml.purity([0]), qml.vn_entropy([1])),
    "one": lambda: qml.expval(qml.Z(0)),
}


def losses(device, interface):
    """A loss of (weights, inputs) for every kind of measurement; autograd's arrays count as trained, bits too."""
    bits = pnp.array([1, 0]) if interface == "autograd" else np.array([1, 0])
    for kind, measure in KINDS.items():

        @qml.qnode(device, interface=interface)
        def circuit(weights, inputs, measure=measure):
            qml.BasisState(bits, wires=[0, 1])
            qml.RX(inputs[..., 0], wires=0)
            qml.IsingXX(inputs[..., 1], wires=[0, 1])
            for k in (0, 1):
                qml.RY(weights[k, 0], wires=k)
                qml.CRZ(weights[k, 1], wires=[k, 1 - k])
                qml.PhaseShift(0.3, wires=k)
            return measure()

        def loss(weights, inputs, circuit=circuit):
            found = circuit(weights, inputs)
            found = found if isinstance(found, list | tuple) else (found,)
            return sum(qml.math.sum(qml.math.sin(2 * one) * qml.math.sum(inputs)) for one in found)

        yield kind, loss


@pytest.mark.parametrize("inputs", [INPUTS[0], INPUTS], ids=["one sample", "broadcast"])
def test_hessians_of_every_kind_of_measurement_equal_backpropagation(inputs):
    for (kind, theirs), (_, ours) in zip(*(losses(device, "torch") for device in devices(2)), strict=True):
        arguments = torch.tensor(WEIGHTS), torch.tensor(inputs)
        wanted, found = (torch.autograd.functional.hessian(f, arguments) for f in (theirs, ours))
        for a, b in zip(sum(found, ()), sum(wanted, ()), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9, err_msg=kind)


def test_hessians_by_autograd_equal_backpropagation():
    for (kind, theirs), (_, ours) in zip(*(losses(device, "autograd") for device in devices(2)), strict=True):
        arguments = pnp.array(WEIGHTS, requires_grad=True), pnp.array(INPUTS, requires_grad=True)
        wanted, found = (
            qml.jacobian(qml.grad(f, argnums=0), argnums=[0, 1])(*arguments) for f in (theirs, ours)
        )
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-9, err_msg=kind)


def test_states_and_amplitudes_are_differentiated_twice():
    vector = torch.tensor([0.2, -0.5, 0.7, 0.4], dtype=torch.float64)
    found = []
    for device in devices(2):

        @qml.qnode(device, interface="torch")
        def circuit(weights):
            qml.RX(weights[0, 0], wires=0)
            qml.IsingXX(weights[0, 1], wires=[0, 1])
            qml.RY(weights[1, 0], wires=1)
            return qml.state(), qml.probs(wires=0), qml.expval(qml.X(1))

        def loss(weights, circuit=circuit):
            state, chances, average = circuit(weights)
            return torch.abs(torch.sum(state * (1 + 0.5j) * vector)) ** 2 + chances[0] ** 2 * average

        found.append(torch.autograd.functional.hessian(loss, torch.tensor(WEIGHTS)))
    np.testing.assert_allclose(*found, atol=1e-9)


def test_several_tapes_of_a_transform_are_differentiated_twice():
    found = []
    for device in devices(2):

        @qml.transforms.broadcast_expand
        @qml.qnode(device, interface="torch")
        def circuit(weights, inputs):
            qml.RX(inputs, wires=0)
            qml.RY(weights[0], wires=0)
            qml.CRX(weights[1], wires=[0, 1])
            return qml.expval(qml.Z(1)), qml.var(qml.Z(0))

        def loss(weights, inputs, circuit=circuit):
            return sum((one * inputs).sum() for one in circuit(weights, inputs))

        arguments = torch.tensor(WEIGHTS[0]), torch.tensor(INPUTS[:, 0])
        found.append(sum(torch.autograd.functional.hessian(loss, arguments), ()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_derivatives_of_metric_tensors_and_fisher_information_equal_backpropagation():
    for transform in (qml.metric_tensor, qml.gradients.classical_fisher):
        found = []
        for device in devices(3):

            @qml.qnode(device)
            def circuit(weights):
                qml.RX(weights[0], wires=0)
                qml.RY(weights[1], wires=1)
                qml.CNOT(wires=[0, 1])
                qml.RZ(weights[0] * weights[1], wires=1)
                qml.RX(weights[1], wires=1)
                return qml.probs(wires=[0, 1])

            weights = pnp.array(WEIGHTS[0], requires_grad=True)
            found.append(qml.jacobian(lambda w, c=circuit, t=transform: t(c)(w))(weights))
        np.testing.assert_allclose(*found, atol=1e-9, err_msg=str(transform))


def test_what_has_no_second_derivative_is_refused_with_the_way_out():
    device = kg.pennylane.QubitDevice(wires=1)

    def coefficients(c, **options):
        @qml.qnode(device, **options)
        def circuit(t):
            qml.RX(t, wires=0)
            return qml.expval(qml.Hamiltonian(qml.math.stack([c, t]), [qml.Z(0), qml.Y(0)]))

        return circuit

    c, t = torch.tensor(0.3, requires_grad=True), torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(coefficients(c)(t), t, create_graph=True)
    with pytest.raises(qml.exceptions.DeviceError, match=r"belongs to an observable\..*max_diff=2"):
        torch.autograd.grad(slope, t)
    q = angle_node(device, "torch")
    (slope,) = torch.autograd.grad(t * q(t), t, create_graph=True)
    (second,) = torch.autograd.grad(slope, t, create_graph=True)
    with pytest.raises(qml.exceptions.DeviceError, match=r"third derivative .*max_diff=3"):
        torch.autograd.grad(second, t)
    third = qml.grad(qml.grad(qml.grad(lambda t: t * angle_node(device, "autograd")(t))))
    with pytest.raises(qml.exceptions.DeviceError, match=r"third derivative .*max_diff=3"):
        third(pnp.array(0.4, requires_grad=True))


def test_parameter_shift_of_second_order_gives_the_same():
    device = kg.pennylane.QubitDevice(wires=1)
    q = angle_node(device, "torch", diff_method="parameter-shift", max_diff=2)
    for name, model in MODELS.items():
        np.testing.assert_allclose(torch_second(model, q), exact_second(model), atol=1e-12, err_msg=name)
