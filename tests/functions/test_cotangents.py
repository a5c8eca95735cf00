"""Cotangents: where one may be left out, and what a wrong one is told."""

import numpy as np
import pytest
from function_samples import INPUTS, WEIGHTS, F

import ketgrad as kg
from ketgrad import w, x
from ketgrad.foundation.errors import KetgradValueError


def test_q15_a_wrong_cotangent_is_told_its_shape():
    for cotangent in (
        [1.0],
        np.ones((4, 3)),
        np.ones((3, 2)),
        1.0,
        np.ones((1, 4, 2)),
        None,
        "ones",
        1j * np.ones((4, 2)),
    ):
        with pytest.raises((TypeError, ValueError), match="`cotangent`"):
            F.vjp(WEIGHTS, np.tile(INPUTS, (4, 1)), cotangent)


def test_the_cotangent_of_a_single_output_may_be_left_out():
    circuit = kg.Circuit([kg.ry(w[0], 0), kg.rx(x[0], 0)])
    f, inputs = kg.expectation(circuit, kg.Pauli("Z0")), np.array([[0.2], [0.4]])
    for given in (inputs, [[0.2], [0.4]], inputs.astype(np.float32)):
        for way in (f.vjp, f.hessian, f.hvp):
            for one, other in zip(way([0.3], given), way([0.3], given, np.ones((2, 1))), strict=True):
                np.testing.assert_array_equal(one, other)
    for _ in range(2):  # the short way of plain arrays included
        np.testing.assert_array_equal(
            f.vjp(np.array([0.3]), inputs)[1], f.vjp([0.3], inputs, [[1.0], [1.0]])[1]
        )


@pytest.mark.parametrize("way", ["vjp", "hessian", "hvp"])
def test_several_outputs_need_a_cotangent_and_the_message_gives_one(way):
    circuit = kg.Circuit([kg.ry(w[0], 0), kg.rx(x[0], 0)])
    functions = {
        r"\(\.\.\., 2\).* is missing.*2 outputs: pass np.ones\(2\)": kg.expectation(
            circuit, [kg.Pauli("Z0"), kg.Pauli("X0")]
        ),
        r"\(\.\.\., 2\).* is missing.*2 outputs": kg.probabilities(circuit),
        r"\(\.\.\., 2\).* is missing.*2 complex amplitudes": kg.state(circuit),
    }
    for message, f in functions.items():
        with pytest.raises(KetgradValueError, match=message):
            getattr(f, way)([0.3], [0.2])
    f = kg.expectation(circuit, kg.Pauli("Z0"))
    with pytest.raises(KetgradValueError, match="`cotangent` must be given beside `slope`"):
        f.vjp([0.3], [0.2], slope=[1.0])
