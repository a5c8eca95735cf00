"""Simultaneous perturbation: unbiased, along random signs, with the bits of its seed."""

import copy
import pickle

import numpy as np
import pytest
from programs import random_circuit
from rule_checks import CIRCUIT, OBSERVABLES, Recording, Z, batch_of, data

import ketgrad as kg


def spsa(circuit, **options):
    return kg.expectation(circuit, OBSERVABLES[3], gradient=kg.gradients.SPSA(**options))


def test_spsa_is_unbiased_and_its_seed_fixes_its_bits():
    circuit = random_circuit(3, 10, seed=6)
    exact = kg.expectation(circuit, OBSERVABLES[3])
    point = data(exact, 2, seed=1)
    f = spsa(circuit, num_samples=2000, seed=3, common_random_numbers=True)
    for estimate, wanted in zip(f.vjp(*point), exact.vjp(*point), strict=True):
        np.testing.assert_allclose(estimate, wanted, atol=0.25)
    for frozen in (False, True):
        first, again = (spsa(circuit, seed=3, common_random_numbers=frozen) for _ in range(2))
        slopes = [first.vjp(*point)[1] for _ in range(6)]
        assert all(np.array_equal(slope, again.vjp(*point)[1]) for slope in slopes)
        assert (len({slope.tobytes() for slope in slopes}) == 1) is frozen
        for copied in (pickle.loads(pickle.dumps(first)), copy.deepcopy(first)):
            assert copied == first and np.array_equal(copied.vjp(*point)[1], slopes[0])
    steady = spsa(circuit, seed=3)
    mean = np.mean([steady.vjp(*point)[1] for _ in range(4000)], axis=0)
    np.testing.assert_allclose(mean, exact.vjp(*point)[1], atol=0.15)  # one repeated direction would stay off
    jacobian = f.jacobian(*point[:2])
    np.testing.assert_allclose(np.einsum("bk,bkw->w", point[2], jacobian[0]), f.vjp(*point)[1], atol=1e-10)


def test_the_directions_of_spsa_are_signs_in_all_weights_and_inputs_at_once():
    f = kg.expectation(CIRCUIT, Z)
    asked: list[np.ndarray] = []

    class Asking(Recording):
        def run(self, program, weights, inputs, **options):
            asked.append(np.concatenate([weights.ravel(), inputs.ravel()]))
            return super().run(program, weights, inputs, **options)

    weights, inputs = np.array([0.1, 0.2]), np.array([[0.3], [0.4]])
    rule = kg.gradients.SPSA(step=0.25, num_samples=40, seed=0)
    rule.jacobian(batch_of(f, weights, inputs, Asking("exact")))
    place = np.concatenate([weights, inputs.ravel()])
    moves = (np.array(asked) - place) / 0.25
    assert len(moves) == 80 and np.abs(moves) == pytest.approx(1.0)
    assert moves[::2] == pytest.approx(-moves[1::2])
    assert (np.abs(moves[::2].mean(axis=0)) < 0.5).all()
    assert len({tuple(move.round()) for move in moves}) == 16  # every combination of four signs
