"""Finite shots: the right distribution, the same bits from the same seed, refusals that say how to go on."""

import copy
import dataclasses
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad.executors.measured import groups
from ketgrad.executors.native import Native
from ketgrad.executors.sampled import Sampled, locate

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
    def draws():
        return kg.samples(kg.Circuit([kg.h(0)]), shots=64, packed=True, seed=3)()

    np.random.seed(1)
    first, after = draws(), np.random.random()
    np.random.seed(2)
    assert np.array_equal(first, draws())
    np.random.seed(1)
    assert np.random.random() == after


SEEDED: dict[str, Any] = {  # makers of functions that draw, with options of the seed
    "expectation": lambda **seeds: kg.expectation(CIRCUIT, OBSERVABLES, shots=50, **seeds),
    "probabilities": lambda **seeds: kg.probabilities(CIRCUIT, [0, 2], shots=50, **seeds),
    "samples": lambda **seeds: kg.samples(CIRCUIT, shots=50, **seeds),
    "differences": lambda **seeds: kg.expectation(
        CIRCUIT, OBSERVABLES, shots=50, gradient=kg.FiniteDifference(0.5), **seeds
    ),
}
CALLS: dict[str, Any] = {  # what is asked of them; each of it draws
    "value": lambda f: f(*POINT),
    "batch": lambda f: f(POINT[0], np.tile(POINT[1], (3, 1))),
    "vjp": lambda f: np.concatenate(f.vjp(*POINT, np.ones(f.num_outputs))),
    "slope": lambda f: np.concatenate(f.vjp(*POINT, np.ones(f.num_outputs), slope=np.ones(f.num_outputs))),
    "jacobian": lambda f: np.concatenate(f.jacobian(*POINT), axis=1),
}
PAIRS = [(m, c) for m in SEEDED for c in CALLS if m != "samples" or c in ("value", "batch")]
COPIES: dict[str, Any] = {
    "pickle": lambda f, folder: pickle.loads(pickle.dumps(f)),
    "copy": lambda f, folder: copy.copy(f),
    "deepcopy": lambda f, folder: copy.deepcopy(f),
    "replace": lambda f, folder: dataclasses.replace(f),
    "file": lambda f, folder: (kg.save(f, folder / "f", overwrite=True), kg.load(folder / "f"))[1],
}


@pytest.mark.parametrize(("maker", "call"), PAIRS)
def test_a_seed_starts_a_stream_every_call_is_fresh_and_every_run_the_same(maker, call):
    first, again = SEEDED[maker](seed=5), SEEDED[maker](seed=5)
    drawn = [CALLS[call](first) for _ in range(4)]
    for one in drawn:
        np.testing.assert_array_equal(one, CALLS[call](again))
    assert not any(np.array_equal(a, b) for k, a in enumerate(drawn) for b in drawn[:k])


@pytest.mark.parametrize(("maker", "call"), PAIRS)
def test_common_random_numbers_repeat_the_draws_of_the_first_call(maker, call):
    frozen = SEEDED[maker](seed=5, common_random_numbers=True)
    first = CALLS[call](SEEDED[maker](seed=5))
    for _ in range(3):
        np.testing.assert_array_equal(CALLS[call](frozen), first)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("maker", SEEDED)
def test_a_copy_is_equal_and_begins_its_stream_anew(maker, way, tmp_path):
    for frozen in (False, True):
        f = SEEDED[maker](seed=5, common_random_numbers=frozen)
        before = [f(*POINT) for _ in range(3)]
        other = COPIES[way](f, tmp_path)
        assert other == f and hash(other) == hash(f) and other.common_random_numbers is frozen
        for one in before:
            np.testing.assert_array_equal(other(*POINT), one)
    assert SEEDED[maker](seed=5) != SEEDED[maker](seed=5, common_random_numbers=True)


def test_functions_with_equal_seeds_of_any_form_are_equal():
    def make(seed):
        return kg.samples(kg.Circuit([kg.h(0)]), shots=3, seed=seed)

    forms: list[Any] = [
        lambda: None,
        lambda: 3,
        lambda: np.int64(4),
        lambda: np.random.SeedSequence(3),
        lambda: np.random.SeedSequence([1, 2]),
        lambda: np.random.SeedSequence(3, spawn_key=(0, 1)),
    ]
    functions = [[make(form()) for form in forms] for _ in range(2)]
    for i, one in enumerate(functions[0]):
        for j, other in enumerate(functions[1]):
            assert (one == other) is (i == j) and (hash(one) == hash(other) or i != j)


def test_threads_share_a_stream_without_drawing_a_call_twice():
    f, g = (kg.samples(kg.Circuit([kg.h(q) for q in range(10)]), shots=8, packed=True, seed=1) for _ in "fg")
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda _: tuple(f().tolist()), range(200)))
    assert sorted(drawn) == sorted(tuple(g().tolist()) for _ in range(200)) and len(set(drawn)) == 200


def test_the_streams_of_calls_are_those_of_no_spawned_seed():
    parent = np.random.SeedSequence(9)
    seeds = [parent, *np.random.SeedSequence(9).spawn(3)]
    circuit = kg.Circuit([kg.h(q) for q in range(20)])
    functions = [kg.samples(circuit, shots=8, packed=True, seed=seed) for seed in seeds]
    assert len({f().tobytes() for f in functions for _ in range(4)}) == 16


def test_the_mean_over_the_calls_of_a_seed_is_the_exact_value():
    f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), shots=20, seed=0)
    found = [f.vjp([0.7], None, [1.0])[:2] for _ in range(2000)]
    values, slopes = np.array(found)[:, 0, 0], np.array(found)[:, 1, 0]
    # variance of a mean of 20 signs; the slope is half a difference of two such means at 0.7 +- pi/2
    assert abs(values.mean() - np.cos(0.7)) < 4 * np.sin(0.7) / np.sqrt(20 * 2000)
    assert abs(slopes.mean() + np.sin(0.7)) < 4 * np.cos(0.7) / np.sqrt(2 * 20 * 2000)


def test_gradient_descent_under_one_seed_settles_around_the_minimum_and_not_beside_it():
    """<Z> after RY(w) is least at pi. A step is w <- w - r (cos of noise); its tail scatters around pi."""
    for seed in range(4):
        f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), shots=100, seed=seed)
        weights, tail = np.array([2.0]), []
        for step in range(1200):
            weights = weights - 0.1 * f.vjp(weights, None, [1.0])[1]
            tail += [weights[0]] if step >= 200 else []
        # noise of a slope 1 / sqrt(200); the mean over T steps of a linear recursion has deviation noise / sqrt(T)
        assert abs(np.mean(tail) - np.pi) < 4 / np.sqrt(200 * 1000)


def test_common_random_numbers_need_a_seed_and_are_true_or_false():
    circuit = kg.Circuit([kg.h(0)])
    makers: list[Any] = [
        lambda **options: kg.expectation(circuit, kg.Pauli("Z0"), shots=3, **options),
        lambda **options: kg.probabilities(circuit, shots=3, **options),
        lambda **options: kg.samples(circuit, shots=3, **options),
        kg.gradients.SPSA,
    ]
    for make in makers:
        with pytest.raises(ValueError, match="`common_random_numbers` needs a `seed`"):
            make(common_random_numbers=True)
        for wrong in (1, "yes", None):
            with pytest.raises(TypeError, match="`common_random_numbers` must be True or False"):
                make(seed=1, common_random_numbers=wrong)


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
        np.testing.assert_array_equal(found, locate(chances, uniforms))
        assert (chances[found.astype(int)] > 0).all()


def test_words_that_clifford_gates_make_zero_are_noisy_on_every_width():
    for n in (12, 40):  # simulated as a whole, and in parts
        ghz = kg.Circuit([kg.h(0)] + [kg.cx(q, q + 1) for q in range(n - 1)] + [kg.ry(kg.w[0], n - 1)])
        observables = [kg.Pauli("Z0"), kg.Pauli("3 Z1 - Z0 + Z1 Z2"), kg.Pauli("Z0 Z1"), kg.Pauli("X0")]
        f = kg.expectation(ghz, observables, shots=100, seed=1)
        values = np.concatenate([f([[0.3]]) for _ in range(300)])
        assert (abs(values.mean(axis=0) - [0, 1, 1, 0]) < 0.1).all()
        assert abs(values[:, 0].std() - 0.1) < 0.015 and abs(values[:, 3].std() - 0.1) < 0.015
        assert 0.15 < values[:, 1].std() < 0.4 and values[:, 2].std() == 0
        outcomes = values[:, 0] * 50  # sums of 100 outcomes +-1, halved
        assert np.allclose(outcomes, outcomes.round(), atol=1e-9) and f.plan.circuits > 1
