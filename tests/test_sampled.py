"""Finite shots: the right distribution, the same bits from the same seed, refusals that say how to go on."""

from typing import Any

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors.native import Native
from ketgrad.executors.sampled import Sampled, _locate, groups

CIRCUIT = random_circuit(4, 15, seed=2)
OBSERVABLES = [kg.Pauli("Z0 Z1 + 0.5 X2 - 1.5"), kg.Pauli("Y0 X1"), kg.Pauli("Y3 Z2 Z0"), kg.Pauli("0.25")]
POINT = np.array([0.3, -1.1, 2.0]), np.array([0.4, 1.3])


def test_estimates_lie_within_their_standard_errors():
    exact = kg.expectation(CIRCUIT, OBSERVABLES)(*POINT)
    shots = 10_000
    values = kg.expectation(CIRCUIT, OBSERVABLES, shots=shots, seed=1)(POINT[0], np.tile(POINT[1], (200, 1)))
    errors = np.array([1.5, 1.0, 1.0, 0.0]) / np.sqrt(shots)
    assert (np.abs(values.mean(axis=0) - exact) <= 5 * errors / np.sqrt(200) + 1e-12).all()
    assert (values.std(axis=0) <= 1.2 * errors + 1e-12).all()
    np.testing.assert_allclose(values[:, 3], 0.25)


def test_random_observables_are_estimated_without_bias():
    for seed in range(4):
        circuit, observable = random_circuit(3, 12, seed), random_observable(3, 8, seed)
        f = kg.expectation(circuit, observable)
        point = POINT[0][: f.num_weights], POINT[1][: f.num_inputs]
        exact = f(*point)
        estimate = kg.expectation(circuit, observable, shots=4_000_000, seed=seed)(*point)
        np.testing.assert_allclose(estimate, exact, atol=0.01)


def test_frequencies_follow_the_probabilities():
    """Pearson's chi squared over 16 outcomes: mean 15, and beyond 45 once in 10^4."""
    exact = kg.probabilities(CIRCUIT)(*POINT)
    shots = 100_000
    frequencies = kg.probabilities(CIRCUIT, shots=shots, seed=3)(*POINT)
    outcomes = kg.samples(CIRCUIT, shots=shots, packed=True, seed=4)(*POINT)
    for counts in (frequencies * shots, np.bincount(outcomes.astype(int), minlength=16)):
        likely = exact * shots > 5
        assert counts.sum() == pytest.approx(shots) and (counts[exact < 1e-12] == 0).all()
        assert (((counts - exact * shots) ** 2)[likely] / (exact * shots)[likely]).sum() < 45


def test_bits_and_packed_outcomes_are_the_same_shots_with_qubit_0_first():
    bits = kg.samples(CIRCUIT, shots=50, seed=7)(*POINT)
    packed = kg.samples(CIRCUIT, shots=50, seed=7, packed=True)(*POINT)
    assert bits.dtype == np.uint8 and packed.dtype == np.uint64 and bits.shape == (50, 4)
    np.testing.assert_array_equal(bits @ [8, 4, 2, 1], packed)


@pytest.mark.parametrize("shots", [1, 1000])
def test_p10_the_same_seed_gives_the_same_bits_at_every_thread_count(shots):
    def results(seed, threads):
        options: dict[str, Any] = {"shots": shots, "seed": seed, "threads": threads}
        batch = POINT[0], np.tile(POINT[1], (40, 1))
        expectation = kg.expectation(CIRCUIT, OBSERVABLES, **options)
        return (
            expectation(*batch),
            expectation.jacobian(*POINT)[0],
            kg.probabilities(CIRCUIT, **options)(*batch),
            kg.samples(CIRCUIT, **options)(*batch),
        )

    first = results(5, 1)
    for threads in (2, 3, 8):
        for one, other in zip(first, results(5, threads), strict=True):
            np.testing.assert_array_equal(one, other)
    assert any(not np.array_equal(one, other) for one, other in zip(first, results(6, 1), strict=True))


def test_p10_seeds_of_every_documented_form():
    circuit = kg.Circuit([kg.h(0)])
    draws = {}
    for seed in (0, 1, 2**64, 2**70, np.int64(1), np.random.SeedSequence(1), None):
        draws[str(seed)] = kg.samples(circuit, shots=64, packed=True, seed=seed)().tolist()
    assert draws["1"] == kg.samples(circuit, shots=64, packed=True, seed=np.random.SeedSequence(1))().tolist()
    assert len({tuple(draw) for draw in draws.values()}) >= 5
    for wrong in (-1, True, 1.5, "a", np.random.default_rng(1), np.random.RandomState(1)):
        with pytest.raises((TypeError, ValueError), match="`seed`"):
            kg.samples(circuit, shots=3, seed=wrong)


def test_p11_the_global_generator_is_neither_read_nor_moved():
    f = kg.samples(kg.Circuit([kg.h(0)]), shots=64, packed=True, seed=3)
    np.random.seed(1)
    first, after = f(), np.random.random()
    np.random.seed(2)
    assert np.array_equal(first, f())
    np.random.seed(1)
    assert np.random.random() == after


def test_without_a_seed_every_call_draws_afresh():
    f = kg.samples(kg.Circuit([kg.h(q) for q in range(10)]), shots=20, packed=True)
    assert not np.array_equal(f(), f())


def test_words_that_agree_qubit_by_qubit_share_their_shots():
    f = kg.expectation(kg.Circuit([], 4), OBSERVABLES)
    found = groups(f.program)
    # Z0 Z1 with X2; the identity, once though two observables hold it; Y0 X1; Y3 Z2 Z0
    assert sorted(len(group.parities) for group in found) == [1, 1, 1, 2]
    assert sum(group.program is None for group in found) == 1


@pytest.mark.parametrize("shots", [0, -1, 1.5, "many", True, 2**54, np.float64(10)])
def test_q13_shots_that_are_no_positive_integer_are_refused(shots):
    circuit = kg.Circuit([kg.h(0)])
    for make in (
        lambda: kg.samples(circuit, shots=shots),
        lambda: kg.expectation(circuit, kg.Pauli("Z0"), shots=shots),
        lambda: kg.probabilities(circuit, shots=shots),
        lambda: Sampled(shots=shots),
    ):
        with pytest.raises((TypeError, ValueError), match="`shots`"):
            make()


def test_q13_samples_that_do_not_fit_are_refused_and_their_frequencies_are_not():
    circuit = kg.Circuit([kg.h(0), kg.cx(0, 1)])
    for packed in (False, True):
        with pytest.raises(MemoryError, match=r"TiB"):
            kg.samples(circuit, shots=2**40, packed=packed)()
    values = kg.expectation(circuit, kg.Pauli("Z0"), shots=2**40, seed=1)()
    assert abs(values[0]) < 1e-4


def test_a_state_is_not_measured():
    with pytest.raises(ValueError, match="cannot be measured"):
        kg.state(kg.Circuit([kg.h(0)]), executor="sampled")


def test_only_exact_executors_can_be_sampled():
    with pytest.raises(ValueError, match="exact"):
        Sampled(executor=Sampled())


def test_impossible_outcomes_never_occur():
    bell = kg.Circuit([kg.h(0), kg.cx(0, 1)])
    bits = kg.samples(bell, shots=5000, seed=1)()
    assert (bits[:, 0] == bits[:, 1]).all() and 2300 < bits[:, 0].sum() < 2700
    assert kg.expectation(bell, [kg.Pauli("Z0 Z1"), kg.Pauli("X0 X1")], shots=10)().tolist() == [1.0, 1.0]
    assert kg.expectation(bell, kg.Pauli("Y0 Y1"), shots=10)().tolist() == [-1.0]


def test_the_core_locates_outcomes_as_numpy_does():
    rng = np.random.default_rng(5)
    for count, shots in ((1, 5), (2, 100), (8, 3), (1024, 5000), (4096, 10)):
        chances = rng.random(count) * (rng.random(count) < 0.5)
        chances[rng.integers(count)] = 1.0
        uniforms = np.concatenate([rng.random(shots), [0.0, np.nextafter(1, 0)], np.arange(8) / 8])
        found = Native().locate(chances, uniforms)
        np.testing.assert_array_equal(found, _locate(chances, uniforms))
        assert (chances[found.astype(int)] > 0).all()
