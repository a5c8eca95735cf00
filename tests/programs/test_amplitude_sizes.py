"""Only the direction of a normalised vector counts, whatever the size of its numbers."""

import numpy as np
import pytest
from native_programs import EXACT

import ketgrad as kg
from ketgrad import _native, w, x
from ketgrad.executors.native import Native
from ketgrad.foundation.errors import KetgradValueError

SIZES = [1.0, 1e-140, 1e-160, 1e-200, 1e-300, 1e140, 1e155, 1e160, 1e200, 1e300]
X = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.25], [0.0, 0.0, 1.0]])


def function(executor, **options):
    circuit = kg.Circuit([*kg.encodings.amplitude(3).ops, kg.ry(w[0], 0), kg.cx(0, 1)])
    return kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("X0 Z1")], executor=executor, **options)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("executor", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("size", SIZES)
def test_values_and_derivatives_of_amplitudes_scale_as_a_direction_does(executor, size):
    f, ones = function(executor), np.ones((3, 2))
    along = X[::-1]
    value, dweights, dinputs = f.vjp([0.3], X, ones)
    product = f.hvp([0.3], X, ones, [0.5], along)
    found = f.vjp([0.3], X * size, ones)
    np.testing.assert_allclose(found[0], value, atol=1e-14)
    np.testing.assert_allclose(f([0.3], X * size), value, atol=1e-14)
    np.testing.assert_allclose(found[1], dweights, atol=1e-13)
    np.testing.assert_allclose(found[2] * size, dinputs, atol=1e-13)
    moved = f.hvp([0.3], X * size, ones, [0.5], along * size)
    np.testing.assert_allclose(moved.tangents, product.tangents, atol=1e-13)
    np.testing.assert_allclose(moved.hweights, product.hweights, atol=1e-13)
    np.testing.assert_allclose(moved.hinputs * size, product.hinputs, atol=1e-13)
    np.testing.assert_allclose(f.jvp([0.3], X * size, [0.5], along * size)[1], product.tangents, atol=1e-13)
    by_shifts = function(executor, gradient=kg.ParameterShift()).vjp([0.3], X * size, ones)
    np.testing.assert_allclose(by_shifts[2] * size, dinputs, atol=1e-12)
    assert np.isfinite(function(executor, shots=10, seed=0)([0.3], X * size)).all()


@pytest.mark.parametrize("name", _native.instruction_sets())
@pytest.mark.parametrize("qubits", [7, 13])
def test_large_states_in_lanes_and_in_blocks_are_normalised_in_any_size(name, qubits):
    vector = np.random.default_rng(1).normal(size=(1, 2**qubits))
    circuit = kg.Circuit(
        [*kg.encodings.amplitude(2**qubits).ops, *(kg.ry(0.1 * q, q) for q in range(qubits))]
    )
    f = kg.expectation(
        circuit, [kg.Pauli("Z0"), kg.Pauli(f"X{qubits - 1}")], executor=Native(instruction_set=name)
    )
    value, _, dinputs = f.vjp(None, vector, [[1.0, 1.0]])
    for size in (1e-200, 1e200):
        found = f.vjp(None, vector * size, [[1.0, 1.0]])
        np.testing.assert_allclose(found[0], value, atol=1e-13)
        np.testing.assert_allclose(found[2] * size, dinputs, atol=1e-13)


@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e30, 1e37])
def test_single_precision_is_normalised_in_any_size(size):
    f = function("native")
    values = f(np.float32([0.3]), np.float32(X))
    np.testing.assert_allclose(f(np.float32([0.3]), np.float32(X * size)), values, atol=1e-6)
    assert values.dtype == np.float32


@pytest.mark.parametrize("size", [1e-200, 1e155, 1e200])
def test_kernels_and_models_of_amplitudes_do_not_depend_on_the_unit(size):
    kernel = kg.FidelityKernel(kg.encodings.amplitude(3))
    np.testing.assert_allclose(kernel(X * size), kernel(X), atol=1e-14)
    np.testing.assert_allclose(kernel.vjp(X * size, X, np.ones((3, 3))).values, kernel(X, X), atol=1e-14)
    two = kg.Circuit([kg.prepare_state([x[0], x[1]], 0, normalize=True)])
    assert kg.expectation(two, kg.Pauli("X0"))(None, [size, size]) == pytest.approx(1.0, abs=1e-14)
    bound = two.encode([size, size])
    assert kg.expectation(bound, kg.Pauli("X0"))() == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("executor", ["native", "reference"])
def test_what_has_no_direction_is_refused_with_its_row(executor):
    f = function(executor)
    for row, text in ((np.zeros(3), "norm 0"), (np.full(3, 1.7e308), "norm inf")):
        table = np.vstack([X, row])
        with pytest.raises(KetgradValueError, match=f"those of row 3 have {text}"):
            f([0.3], table)
