"""For every function: f(W, X)[i] == f(W, X[i]), and gradients are summed over what was broadcast."""

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg

CIRCUIT = random_circuit(3, 12, seed=5, prepare=True)
OBSERVABLES = [random_observable(3, 4, seed) for seed in (0, 1)]
CHEBYSHEV = kg.Circuit(
    [kg.ry(kg.w[2] * kg.arccos(kg.x[0]), 0), kg.rx(kg.w[0] + kg.x[1], 1), kg.crx(kg.w[1], 0, 1)]
)
FUNCTIONS = {
    "expectation": kg.expectation(CIRCUIT, OBSERVABLES),
    "expectation, reference": kg.expectation(CIRCUIT, OBSERVABLES, executor="reference"),
    "expectation, shift rule": kg.expectation(CIRCUIT, OBSERVABLES, gradient=kg.ParameterShift()),
    "expectation, difference": kg.expectation(CIRCUIT, OBSERVABLES, gradient=kg.FiniteDifference(order=4)),
    "expectation, arccos": kg.expectation(CHEBYSHEV, [kg.Pauli("Z0"), kg.Pauli("X1 Z0")]),
    "arccos, shift rule": kg.expectation(CHEBYSHEV, kg.Pauli("Z0"), gradient=kg.ParameterShift()),
    "probabilities": kg.probabilities(CIRCUIT),
    "probabilities of two": kg.probabilities(CIRCUIT, [2, 0]),
    "state": kg.state(CIRCUIT),
    "variance": kg.variance(CIRCUIT, OBSERVABLES),
    "variance, arccos": kg.variance(CHEBYSHEV, kg.Pauli("Z0 + X1 Z0"), gradient=kg.ParameterShift()),
}
LEADS = [  # leading axes of weights, of inputs, of the result
    ((), (), ()),
    ((), (1,), (1,)),
    ((1,), (), (1,)),
    ((), (4,), (4,)),
    ((4,), (), (4,)),
    ((4,), (4,), (4,)),
    ((1,), (4,), (4,)),
    ((4, 1), (3,), (4, 3)),
    ((2, 1, 3), (4, 1), (2, 4, 3)),
    ((), (2, 3), (2, 3)),
    ((0,), (), (0,)),
    ((), (0,), (0,)),
    ((2, 0), (1,), (2, 0)),
]


def data(f, weights_lead, inputs_lead, lead, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-2, 2, (*weights_lead, f.num_weights))
    inputs = rng.uniform(-0.9, 0.9, (*inputs_lead, f.num_inputs))
    cotangent = rng.normal(size=(*lead, f.num_outputs))
    if f.question == kg.state(CIRCUIT).question:
        cotangent = cotangent + 1j * rng.normal(size=cotangent.shape)
    return weights, inputs, cotangent


def rows(array, lead):
    return np.broadcast_to(array, (*lead, array.shape[-1]))


@pytest.mark.parametrize("leads", LEADS, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_batch_is_its_samples(name, leads):
    f = FUNCTIONS[name]
    weights, inputs, cotangent = data(f, *leads)
    lead = leads[2]
    values, dweights, dinputs = f.vjp(weights, inputs, cotangent)
    by_weights, by_inputs = f.jacobian(weights, inputs)
    assert values.shape == f(weights, inputs).shape == (*lead, f.num_outputs)
    assert dweights.shape == weights.shape and dinputs.shape == inputs.shape
    assert by_weights.shape == (*lead, f.num_outputs, f.num_weights)
    assert by_inputs.shape == (*lead, f.num_outputs, f.num_inputs)
    many_weights, many_inputs = rows(weights, lead), rows(inputs, lead)
    sum_weights, sum_inputs = np.zeros(many_weights.shape), np.zeros(many_inputs.shape)
    for index in np.ndindex(lead):
        one = many_weights[index], many_inputs[index]
        value, sum_weights[index], sum_inputs[index] = f.vjp(*one, cotangent[index])
        np.testing.assert_allclose(values[index], value, atol=1e-13)
        np.testing.assert_allclose(f(weights, inputs)[index], f(*one), atol=1e-13)
        for whole, part in zip((by_weights, by_inputs), f.jacobian(*one), strict=True):
            np.testing.assert_allclose(whole[index], part, atol=1e-9)
    np.testing.assert_allclose(dweights, summed(sum_weights, weights.shape), atol=1e-9)
    np.testing.assert_allclose(dinputs, summed(sum_inputs, inputs.shape), atol=1e-9)


def summed(full, shape):
    """Sum over the axes along which `shape` was broadcast."""
    extra = full.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + k for k, length in enumerate(shape) if length == 1 != full.shape[extra + k]
    )
    return full.sum(axis=axes, keepdims=True).reshape(shape)


@pytest.mark.parametrize("packed", [False, True])
def test_a_batch_of_samples_is_its_samples(packed):
    """Outcomes that are certain, so that every row must show its own."""
    circuit = kg.Circuit([kg.rx(np.pi * kg.x[q], q) for q in range(3)])
    f = kg.samples(circuit, shots=5, packed=packed, seed=1)
    bits = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]])
    outcomes = f(None, bits)
    wanted = bits @ [4, 2, 1] if packed else bits
    assert outcomes.dtype == (np.uint64 if packed else np.uint8)
    for k in range(4):
        assert np.array_equal(outcomes[k], f(None, bits[k]))
        assert (outcomes[k] == wanted[k]).all()
    assert f(None, bits.reshape(2, 2, 3)).shape == ((2, 2, 5) if packed else (2, 2, 5, 3))
    assert f(None, np.zeros((0, 3))).shape == ((0, 5) if packed else (0, 5, 3))


def test_the_first_rows_of_a_seeded_batch_do_not_depend_on_the_later_ones():
    options = {"shots": 50, "seed": 4, "common_random_numbers": True}
    f = kg.expectation(kg.Circuit([kg.ry(kg.x[0], 0)]), kg.Pauli("Z0"), **options)
    inputs = np.linspace(0, 3, 20)[:, np.newaxis]
    assert np.array_equal(f(None, inputs)[:7], f(None, inputs[:7]))


def test_layouts_of_memory_make_no_difference():
    f = FUNCTIONS["expectation"]
    weights, inputs, _ = data(f, (4,), (4,), (4,))
    expected = f(weights, inputs)
    for layout in (
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1][::-1],
        lambda a: a.astype(">f8"),
        lambda a: a.astype(np.longdouble),
        lambda a: np.lib.stride_tricks.as_strided(a, a.shape, a.strides, writeable=False),
        lambda a: a.tolist(),
        lambda a: a.astype(object),
    ):
        np.testing.assert_array_equal(f(layout(weights), layout(inputs)), expected)


def test_a_cotangent_is_broadcast_over_missing_axes():
    f = FUNCTIONS["expectation"]
    weights, inputs, _ = data(f, (), (4,), (4,))
    one = np.array([0.5, -1.0])
    expected = f.vjp(weights, inputs, np.tile(one, (4, 1)))
    for result, wanted in zip(f.vjp(weights, inputs, one), expected, strict=True):
        np.testing.assert_array_equal(result, wanted)
