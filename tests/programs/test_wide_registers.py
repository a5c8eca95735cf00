"""Memory is asked for by the qubits that a question can see, on registers of any width."""

import numpy as np
import pytest

import ketgrad as kg
from ketgrad import _native, w, x
from ketgrad.executors.native import Native
from ketgrad.executors.sampled import Sampled
from ketgrad.foundation.errors import KetgradError, KetgradMemoryError
from ketgrad.programs.light_cone import narrowed

WIDTHS = [32, 40, 41, 62, 63, 64, 70, 1000]


def product(n):
    return kg.Circuit(
        [kg.ry(w[q], q) for q in range(n)] + [kg.crx(0.3, q, q + 1) for q in range(n - 9, n - 1)]
    )


@pytest.mark.parametrize("n", WIDTHS)
def test_what_is_seen_of_a_wide_register_is_computed(n):
    weights = np.linspace(0.1, 0.9, n)
    words = [kg.Pauli("Z0"), kg.Pauli(f"X{n - 20} Z3")]
    f = kg.expectation(product(n), words)
    wanted = [np.cos(weights[0]), np.sin(weights[n - 20]) * np.cos(weights[3])]
    values, dweights, _ = f.vjp(weights, None, [1.0, 1.0])
    np.testing.assert_allclose(values, wanted, atol=1e-14)
    assert dweights[0] == pytest.approx(-np.sin(weights[0]), abs=1e-14)
    assert np.count_nonzero(dweights) == 3
    np.testing.assert_allclose(
        f.jvp(weights, None, dweights)[1].sum(), np.vdot(dweights, dweights), atol=1e-13
    )
    assert f.hvp(weights, None, [1.0, 0.0], np.ones(n)).hweights[0] == pytest.approx(-wanted[0], abs=1e-14)
    tail = kg.Circuit([kg.ry(w[q], q) for q in range(10)] + [kg.crx(0.3, q, q + 1) for q in range(1, 9)])
    last = weights[n - 10 :]
    np.testing.assert_allclose(
        kg.expectation(product(n), kg.Pauli(f"Z{n - 1}"))(weights),
        kg.expectation(tail, kg.Pauli("Z9"))(last),
        atol=1e-14,
    )
    np.testing.assert_allclose(
        kg.probabilities(product(n), [n - 1, 0])(weights).reshape(2, 2).sum(axis=1),
        kg.probabilities(tail, [9])(last), atol=1e-14)  # fmt: skip
    shots = kg.expectation(product(n), words, shots=4000, seed=0)
    np.testing.assert_allclose(shots(weights), wanted, atol=0.1)
    np.testing.assert_allclose(shots.vjp(weights, None, [1.0, 0.0])[1][0], dweights[0], atol=0.1)
    for one in (f, shots):
        assert "qubits that the question can see" in one.plan.engine and one.plan.memory < 10**6


@pytest.mark.parametrize("n", [30, 31, 35, 40, 200])
def test_the_light_cone_of_the_documented_layers_is_all_that_is_held(n):
    def layers(size):
        layer = [kg.ry(w[q], q) for q in range(size)] + [kg.cz(q, q + 1) for q in range(size - 1)]
        return kg.Circuit(layer) * 4

    f = kg.expectation(layers(n), kg.Pauli("Z0"))
    small = kg.expectation(layers(8), kg.Pauli("Z0"))
    np.testing.assert_allclose(f(np.full(4 * n, 0.3)), small(np.full(32, 0.3)), atol=1e-14)
    assert f"the 4 of {n} qubits" in f.plan.engine and f.plan.memory == 3 * 16 * 2**4


@pytest.mark.parametrize("n", [31, 64, 1000])
def test_what_needs_every_amplitude_is_refused_for_every_question(n, monkeypatch):
    monkeypatch.setattr("ketgrad.foundation.memory.available_bytes", lambda: 16 * 2**30)
    circuit = product(n)
    everything = kg.Pauli(" ".join(f"X{q}" for q in range(n)))
    for call in (
        lambda: kg.state(circuit),
        lambda: kg.samples(circuit, shots=3),
        lambda: kg.probabilities(circuit),
        lambda: kg.expectation(circuit, everything),
        lambda: kg.expectation(circuit, everything, shots=10),
        lambda: kg.expectation(circuit, kg.Pauli("Z0"), executor="reference"),
        lambda: kg.expectation(circuit, kg.Pauli("Z0"), executor=Sampled("reference")),
    ):
        with pytest.raises(KetgradMemoryError, match=f"the state of {n} qubits needs .* usable"):
            call()


def test_a_question_that_sees_too_much_is_refused_with_the_rule_that_it_breaks():
    chain = kg.Circuit([kg.ry(w[q], q) for q in range(64)] + [kg.crx(0.3, q, q + 1) for q in range(63)])
    with pytest.raises(KetgradMemoryError, match="see all of them, and the core takes 40 at most: ask about"):
        kg.expectation(chain, kg.Pauli("Z0 Z63"))


def test_a_program_whose_masks_do_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr("ketgrad.foundation.memory.available_bytes", lambda: 2**30)
    with pytest.raises(KetgradMemoryError, match="the program of 4000 ops on 1000000 qubits"):
        kg.expectation(kg.Circuit([kg.h(q) for q in range(4000)], 10**6), kg.Pauli("Z0"))


def random_circuit(generator, n, length, clifford):
    """Mostly Clifford gates, some rotations, with weights and an input; some with a prepared state."""
    fixed = [
        lambda q, r: kg.h(q), lambda q, r: kg.s(q), lambda q, r: kg.cx(q, r), lambda q, r: kg.cz(q, r),
        lambda q, r: kg.x(q), lambda q, r: kg.swap(q, r), lambda q, r: kg.iswap(q, r),
    ]  # fmt: skip
    turns = [
        lambda q, r, a: kg.rx(a, q), lambda q, r, a: kg.rzz(a, q, r), lambda q, r, a: kg.crz(a, q, r),
        lambda q, r, a: kg.cry(a, q, r), lambda q, r, a: kg.unitary(kg.rx(0.3, 0).matrix(), q).control(r),
    ]  # fmt: skip
    ops = [kg.prepare_state([0.6, 0.8j], 0)] if generator.random() < 0.2 else []
    for k in range(length):
        q, r = (int(p) for p in generator.permutation(n)[:2])
        if generator.random() < clifford:
            ops.append(generator.choice(fixed)(q, r))
        else:
            ops.append(generator.choice(turns)(q, r, [w[k % 3], x[0], 0.7][k % 3]))
    return kg.Circuit([*ops, kg.rx(w[2] * 0.1 + x[0], 1)], n)


def random_word(generator, n):
    letters = [
        f"{generator.choice(list('XYZ'))}{q}" for q in generator.permutation(n)[: generator.integers(1, 4)]
    ]
    return kg.Pauli(" ".join(letters))


@pytest.mark.parametrize("clifford", [0.6, 0.9, 1.0])
@pytest.mark.parametrize("name", _native.instruction_sets())
def test_narrowed_programs_equal_the_reference(name, clifford, monkeypatch):
    """In Python and in the core: the light cone, and rows without the bits that Clifford gates alone act on."""
    generator = np.random.default_rng(int(10 * clifford))
    weights, inputs, fewer = np.array([0.3, 0.7, -0.4]), np.array([[0.2], [0.5]]), 0
    for round_ in range(25):
        monkeypatch.setattr("ketgrad.programs.reach.NARROW", round_ % 2 * 24)
        n = int(generator.integers(2, 7))
        circuit = random_circuit(generator, n, int(generator.integers(2, 20)), clifford)
        words = [random_word(generator, n) + 0.5 * random_word(generator, n), random_word(generator, n)]
        measured = [int(q) for q in generator.permutation(n)[:2]]
        results = []
        for executor in ("reference", Native(instruction_set=name)):
            f = kg.expectation(circuit, words, executor=executor)
            p = kg.probabilities(circuit, measured, executor=executor)
            found = []
            for one in (f, p):
                ones = np.linspace(1, 2, one.num_outputs)[None].repeat(2, axis=0)
                found += [*one.vjp(weights, inputs, ones), *one.jacobian(weights, inputs)]
                found += [*one.hvp(weights, inputs, ones, weights, inputs)]
            results.append(np.concatenate([np.ravel(part) for part in found]))
        np.testing.assert_allclose(results[1], results[0], atol=1e-12)
        fewer += f.executor.simulated_qubits(f.program) < n
    assert fewer > 5


def test_narrowing_leaves_alone_what_the_question_sees_whole():
    for circuit, question in (
        (product(12), kg.state),
        (kg.Circuit([kg.h(0), kg.cx(0, 1)]), kg.probabilities),
    ):
        program = question(circuit).program
        assert narrowed(program) is program


@pytest.mark.parametrize("n", [10, 30, 40])
def test_a_clifford_circuit_holds_what_its_rotations_move(n):
    """GHZ: for the core H is a rotation, so one qubit is held, and none of a wide register; values are 0 and 1."""
    circuit = kg.Circuit([kg.h(0)] + [kg.cx(q, q + 1) for q in range(n - 1)])
    whole = kg.Pauli(" ".join(f"X{q}" for q in range(n)))
    f = kg.expectation(circuit, [kg.Pauli("Z0 Z5"), kg.Pauli("X0"), kg.Pauli("Z3"), whole, kg.Pauli("2.0")])
    np.testing.assert_allclose(f(), [1, 0, 0, 1, 2], atol=1e-14)
    held = int(n == 10)
    assert f.executor.simulated_qubits(f.program) == held and f.plan.memory == 48 << held
    turned = kg.expectation(circuit + kg.Circuit([kg.rz(w[0], n - 1)], n), whole)
    values, dweights, _ = turned.vjp([0.3], None, [1.0])
    np.testing.assert_allclose([*values, *dweights], [np.cos(0.3), -np.sin(0.3)], atol=1e-14)
    assert turned.hessian([0.3], None, [1.0]).weights_weights == pytest.approx(-np.cos(0.3), abs=1e-14)


def test_the_plan_counts_no_instruction_twice():
    for circuit in (
        kg.ansatz.hardware_efficient(4, 2),
        kg.Circuit([kg.cz(0, 1), kg.iswap(0, 1), kg.s(0), kg.swap(1, 2), kg.ccz(0, 1, 2)]),
        product(12),
    ):
        f = kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("X1 Y2")])
        facts = f.executor.facts(f.program)
        assert facts["unseen"] + facts["absorbed"] <= facts["instructions"]
        assert facts["pruned"] + facts["product"] <= facts["operations"]


def test_errors_of_wide_registers_are_ours():
    for n in (41, 100):
        circuit = kg.Circuit([kg.h(0)] + [kg.crx(0.1, q, q + 1) for q in range(n - 1)])
        with pytest.raises(KetgradError):
            kg.expectation(circuit, kg.Pauli(f"Z{n - 1}"))
