"""What a question cannot see of a program is left out, and the rest gives the same values and derivatives."""

import numpy as np
import pytest
from scipy.stats import unitary_group

import ketgrad as kg
from ketgrad import w, x
from ketgrad.executors.native import Native
from ketgrad.executors.reference import Reference
from ketgrad.foundation.errors import KetgradMemoryError
from ketgrad.programs.outcomes import outcomes
from ketgrad.programs.reach import reach

WIDTHS = [30, 62, 63, 64, 65, 128, 1000]


@pytest.fixture
def forced(monkeypatch):
    """Registers of any width go the way of wide ones: light cones, frame and rank, never the whole."""
    for name in ("NARROW", "SMALL", "MOST_WHOLE"):
        monkeypatch.setattr(f"ketgrad.programs.reach.{name}", -1)


def ghz(n):
    return kg.Circuit([kg.h(0)] + [kg.cx(q, q + 1) for q in range(n - 1)])


def every(letter, n):
    return kg.Pauli(" ".join(f"{letter}{q}" for q in range(n)))


def brickwork(n, layers):
    ops = []
    for layer in range(layers):
        ops += [kg.ry(w[layer * n + q], q) for q in range(n)] + [kg.rz(w[layer * n + q], q) for q in range(n)]
        ops += [kg.cz(q, q + 1) for q in range(layer % 2, n - 1, 2)]
    return kg.Circuit(ops, n)


# -- wide registers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [*WIDTHS, 10_000])
def test_clifford_circuits_cost_nothing_at_any_width(n):
    f = kg.expectation(ghz(n), [every("X", n), kg.Pauli(f"Z0 Z{n - 1}"), kg.Pauli("Z3"), every("Y", n)])
    np.testing.assert_array_equal(f(), [1, 1, 0, (-1) ** (n // 2) if n % 2 == 0 else 0])
    assert [part.program.num_qubits for part in reach(f.program)] == [0]
    assert f.plan.memory == 48 and f"of {n} qubits that the question can see" in f.plan.engine


@pytest.mark.parametrize("n", WIDTHS)
def test_a_rotation_in_a_clifford_circuit_needs_one_qubit(n):
    circuit = ghz(n) + kg.Circuit([kg.rz(w[0], n - 1)], n)
    f = kg.expectation(circuit, [every("X", n), kg.Pauli("Z0 Z1")])
    assert f.executor.simulated_qubits(f.program) == 0 or f.executor.simulated_qubits(f.program) == 1
    values, dweights, _ = f.vjp([0.3], None, [1.0, 1.0])
    np.testing.assert_allclose([*values, *dweights], [np.cos(0.3), 1, -np.sin(0.3)], atol=1e-14)
    assert f.hessian([0.3], None, [1.0, 0.0]).weights_weights == pytest.approx(-np.cos(0.3), abs=1e-14)
    assert f.jvp([0.3], None, [2.0])[1] == pytest.approx([-2 * np.sin(0.3), 0], abs=1e-14)


@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("layers", [2, 3])
def test_a_local_observable_of_a_brickwork_sees_what_the_same_circuit_cut_by_hand_has(n, layers):
    circuit, size, first = brickwork(n, layers), 12, n // 2 - 6 - (n // 2) % 2
    weights = np.random.default_rng(n).normal(size=circuit.num_weights)
    window = [layer * n + first + k for layer in range(layers) for k in range(size)]
    cut = kg.expectation(brickwork(size, layers), [kg.Pauli("Z6"), kg.Pauli("Z5 X6")])
    words = [kg.Pauli(f"Z{q}") for q in range(n)]
    f = kg.expectation(circuit, [kg.Pauli(f"Z{first + 5} X{first + 6}"), *words])
    values, dweights, _ = f.vjp(weights, None, np.eye(n + 1)[0])
    wanted, slopes, _ = cut.vjp(weights[window], None, [0.0, 1.0])
    np.testing.assert_allclose([values[0], values[1 + first + 6]], wanted[::-1], atol=1e-14)
    np.testing.assert_allclose(dweights[window], slopes, atol=1e-14)
    assert np.abs(np.delete(dweights, window)).max() < 1e-14
    parts = reach(f.program)
    assert max(part.program.num_qubits for part in parts) <= 8
    if n > 500:  # the chain looks the same everywhere: its parts are the rows of a few batches
        assert len(parts) <= 8 < 100 <= sum(part.copies for part in parts)


@pytest.mark.parametrize("n", [40, 1000])
def test_a_sum_over_the_chain_is_added_up_from_its_parts(n):
    circuit = brickwork(n, 2)
    weights = np.random.default_rng(0).normal(size=circuit.num_weights)
    terms = [0.1 * (q + 1) * kg.Pauli(f"Z{q} Z{q + 1}") for q in range(n - 1)]
    whole = kg.expectation(circuit, kg.PauliSum.collect(word for term in terms for word in term.terms))
    single = kg.expectation(circuit, terms)
    values, dweights, _ = single.vjp(weights, None, np.ones(n - 1))
    found = whole.vjp(weights)
    np.testing.assert_allclose(found[0], [values.sum()], rtol=1e-12)
    np.testing.assert_allclose(found[1], dweights, atol=1e-11)
    if n == 40:
        np.testing.assert_allclose(single.jacobian(weights)[0].sum(axis=0), dweights, atol=1e-12)
        direction = np.linspace(-1, 1, circuit.num_weights)
        step = 1e-5 * direction
        change = (whole.vjp(weights + step)[1] - whole.vjp(weights - step)[1]) / 2e-5
        np.testing.assert_allclose(whole.hvp(weights, None, [1.0], direction).hweights, change, atol=1e-6)


def test_ten_thousand_qubits_with_a_gradient():
    n = 10_000
    circuit = brickwork(n, 1) + kg.Circuit([kg.cx(q, q + 1) for q in range(0, n - 1, 2)], n)
    f = kg.expectation(circuit, [kg.Pauli("Z5000"), kg.Pauli("Z5001"), kg.Pauli("Z4999")])
    weights = np.linspace(0.1, 3.0, n)
    c = np.cos(weights)
    values, dweights, _ = f.vjp(weights, None, [0.0, 1.0, 0.0])
    np.testing.assert_allclose(values, [c[5000], c[5000] * c[5001], c[4998] * c[4999]], atol=1e-14)
    assert np.count_nonzero(np.abs(dweights) > 1e-14) == 2
    assert dweights[5001] == pytest.approx(-c[5000] * np.sin(weights[5001]), abs=1e-14)


def test_flips_that_depend_on_each_other_need_fewer_qubits_than_they_touch(forced):
    """RXX RXX RZ RXX RYY on 4 qubits: rank 3, 8 of 16 amplitudes."""
    circuit = kg.Circuit(
        [kg.rxx(w[0], 0, 1), kg.rxx(w[1], 1, 2), kg.rz(w[2], 1), kg.rxx(w[3], 2, 3), kg.ryy(w[4], 0, 3)]
    )
    f = kg.expectation(circuit, every("Z", 2) + kg.Pauli("Z3") + every("X", 4))
    assert max(part.program.num_qubits for part in reach(f.program)) <= 3
    weights = np.linspace(0.2, 1.4, 5)
    wanted = kg.expectation(circuit, f.question.observables, executor="reference")
    np.testing.assert_allclose(f(weights), wanted(weights), atol=1e-14)


def test_matrices_too_large_to_be_followed_leave_the_light_cone_as_it_is(forced):
    """A matrix on 6 qubits: the program on the qubits that the question can see, as one."""
    matrix = unitary_group.rvs(64, random_state=0)
    circuit = kg.Circuit([kg.ry(w[0], 7), kg.unitary(matrix, *range(1, 7)), kg.cx(7, 6), kg.ry(w[1], 0)])
    words = [kg.Pauli("Z3 X6"), kg.Pauli("Z0"), kg.Pauli("Z7")]
    f, wanted = kg.expectation(circuit, words), kg.expectation(circuit, words, executor="reference")
    assert [part.is_whole for part in reach(f.program)] == [True]
    for one, other in zip(
        f.vjp([0.3, 0.4], None, np.ones(3)), wanted.vjp([0.3, 0.4], None, np.ones(3)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-13)
    chances = kg.probabilities(circuit, [3, 0])([0.3, 0.4])
    np.testing.assert_allclose(
        chances, kg.probabilities(circuit, [3, 0], executor="reference")([0.3, 0.4]), atol=1e-13
    )


def test_words_that_nothing_can_reach_are_zero_with_zero_derivatives(forced):
    f = kg.expectation(kg.Circuit([kg.rz(w[0], 0), kg.rzz(w[1], 0, 1)]), [kg.Pauli("X0"), kg.Pauli("Y1")])
    values, dweights, _ = f.vjp(np.ones((3, 2)), None, np.ones((3, 2)))
    assert not values.any() and values.shape == (3, 2) and not dweights.any()
    assert not f.jacobian([1.0, 2.0])[0].any()


# -- against the definition ------------------------------------------------------------------------------------

FIXED = [
    lambda q, r, s, g: kg.h(q), lambda q, r, s, g: kg.s(q), lambda q, r, s, g: kg.sx(q), lambda q, r, s, g: kg.y(q),
    lambda q, r, s, g: kg.cx(q, r), lambda q, r, s, g: kg.cz(q, r), lambda q, r, s, g: kg.y(q).control(r),
    lambda q, r, s, g: kg.swap(q, r), lambda q, r, s, g: kg.iswap(q, r), lambda q, r, s, g: kg.rx(np.pi / 2, q),
    lambda q, r, s, g: kg.rzz(-np.pi / 2, q, r), lambda q, r, s, g: kg.crx(np.pi, q, r),
    lambda q, r, s, g: kg.pauli_rotation(np.pi / 2 * int(g.integers(-3, 5)), "XYZ", q, r, s),
]  # fmt: skip
OTHERS = [
    lambda q, r, s, a, g: kg.rx(a, q), lambda q, r, s, a, g: kg.rzz(a, q, r), lambda q, r, s, a, g: kg.crz(a, q, r),
    lambda q, r, s, a, g: kg.ry(a, q).control(r, s), lambda q, r, s, a, g: kg.xy(a, q, r),
    lambda q, r, s, a, g: kg.pauli_rotation(a, "XYZ", q, r, s), lambda q, r, s, a, g: kg.t(q),
    lambda q, r, s, a, g: kg.ccx(q, r, s), lambda q, r, s, a, g: kg.cswap(q, r, s),
    lambda q, r, s, a, g: kg.h(q).control(r), lambda q, r, s, a, g: kg.sx(q).control(r),
    lambda q, r, s, a, g: kg.unitary(unitary_group.rvs(4, random_state=g), q, r),
    lambda q, r, s, a, g: kg.unitary(unitary_group.rvs(2, random_state=g), q).control(r),
]  # fmt: skip
PREPARED = [
    lambda q, r: [], lambda q, r: [kg.prepare_state([0.6, 0.8j], q)],
    lambda q, r: [kg.prepare_state(np.array([1, 2, 3j, 4]) / 30**0.5, q, r)],
    lambda q, r: [kg.prepare_state([w[3], w[4]], q, normalize=True)],
    lambda q, r: [kg.prepare_state([x[1], x[2]], q), kg.prepare_state([0.8, -0.6], r)],
]  # fmt: skip


def random_circuit(generator, n, length, clifford):
    """Every kind of instruction: gates that a frame follows, others, controls, preparations."""
    q, r = (int(p) for p in generator.permutation(n)[:2])
    ops = PREPARED[generator.integers(len(PREPARED))](q, r)
    for k in range(length):
        q, r, s = (int(p) for p in generator.permutation(n)[:3])
        if generator.random() < clifford:
            ops.append(FIXED[generator.integers(len(FIXED))](q, r, s, generator))
        else:
            angle = [w[k % 3], x[0], 0.7, w[0] * x[0] + 0.1][k % 4]
            ops.append(OTHERS[generator.integers(len(OTHERS))](q, r, s, angle, generator))
    return kg.Circuit([*ops, kg.rx(0.1 * w[2] + x[0], 1)], n)


def random_sum(generator, n, words):
    total = kg.Pauli(float(generator.normal()))
    for _ in range(words):
        places = generator.permutation(n)[: generator.integers(1, 5)]
        letters = " ".join(f"{generator.choice(list('XYZ'))}{q}" for q in places)
        total = total + float(generator.normal()) * kg.Pauli(letters)
    return total


def everything(f, weights, inputs):
    """All numbers that a function gives, in one vector."""
    weights, inputs = weights[: f.num_weights], inputs[:, : f.num_inputs]
    ones = np.linspace(1, 2, f.num_outputs)[None].repeat(len(inputs), axis=0)
    found = [
        f(weights, inputs),
        *f.vjp(weights, inputs, ones),
        *f.vjp(weights, inputs, ones, slope=0.5 * ones),
    ]
    found += [*f.jacobian(weights, inputs), *f.jvp(weights, inputs, weights, inputs)]
    found += [*f.hvp(weights, inputs, ones, weights, inputs, 0.3 * ones)]
    return np.concatenate([np.ravel(part) for part in found])


@pytest.mark.parametrize("clifford", [0.3, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("cheapest", [0, 6, 60])
def test_parts_equal_the_definition(cheapest, clifford, forced, monkeypatch):
    """Words by themselves, together where that is less work, and all that share a rotation together."""
    monkeypatch.setattr("ketgrad.programs.word_cones.CHEAPEST", cheapest)
    generator = np.random.default_rng([cheapest, int(10 * clifford)])
    weights, inputs = np.array([0.3, 0.7, -0.4, 0.5, 1.2]), np.array([[0.2, 0.6, 0.8], [0.5, 0.8, -0.6]])
    narrower = several = 0
    for _ in range(10):
        n = int(generator.integers(4, 9))
        circuit = random_circuit(generator, n, int(generator.integers(2, 25)), clifford)
        observables = [random_sum(generator, n, k) for k in (0, 1, 1, 5)]
        f = kg.expectation(circuit, observables)
        wanted = kg.expectation(circuit, observables, executor="reference")
        np.testing.assert_allclose(
            everything(f, weights, inputs), everything(wanted, weights, inputs), atol=1e-11, rtol=1e-12
        )
        parts = reach(f.program)
        narrower += max(part.program.num_qubits for part in parts) < n
        several += sum(part.copies for part in parts) > 1
    assert narrower >= 2 and several >= 2 * (cheapest < 60)


def test_parts_are_programs_of_any_executor(forced):
    generator = np.random.default_rng(0)
    for _ in range(10):
        circuit = random_circuit(generator, 6, 15, 0.5)
        program = kg.expectation(circuit, random_sum(generator, 6, 4)).program
        weights, inputs = generator.normal(size=(1, 3)), np.array([[0.2, 0.6, 0.8]])
        weights = np.concatenate([weights, [[0.6, 0.8]]], axis=1)[:, : program.num_weights]
        wanted = Reference().run(program, weights, inputs[:, : program.num_inputs])
        for executor in (Reference(), Native()):
            found = np.zeros_like(wanted)
            for part in reach(program):
                for outputs, scales, columns, more in zip(
                    part.outputs, part.scales, part.weights, part.inputs, strict=True
                ):
                    found[:, outputs] += scales * executor.run(
                        part.program, weights[:, columns], inputs[:, more]
                    )
            np.testing.assert_allclose(found, wanted, atol=1e-13)


def test_every_way_of_sharing_rows_gives_the_same(forced):
    """Weights and inputs of one row or of many, read by all parts, some of them, or none."""
    circuit = kg.Circuit([kg.ry(w[0], 0), kg.rx(x[0], 1), kg.ry(w[1] * x[1], 2), kg.ry(0.3, 3), kg.cz(0, 1)])
    observables = [kg.Pauli("Z0"), kg.Pauli("Z1 + Z2"), kg.Pauli("Z3"), kg.Pauli("0.5 + X0 Z2")]
    f = kg.expectation(circuit, observables)
    wanted = kg.expectation(circuit, observables, executor="reference")
    generator = np.random.default_rng(1)
    for rows, more in ((1, 1), (1, 4), (4, 1), (4, 4)):
        weights, inputs = generator.normal(size=(rows, 2)), generator.normal(size=(more, 2))
        cotangent = generator.normal(size=(max(rows, more), 4))
        for found, expected in zip(
            (*f.vjp(weights, inputs, cotangent), *f.jacobian(weights, inputs)),
            (*wanted.vjp(weights, inputs, cotangent), *wanted.jacobian(weights, inputs)),
            strict=True,
        ):
            np.testing.assert_allclose(found, expected, atol=1e-14)


def test_every_rule_differentiates_in_parts(forced):
    generator, weights = np.random.default_rng(7), np.array([0.3, 0.7, -0.4, 0.5, 1.2])
    for _ in range(6):
        circuit = random_circuit(generator, 5, 12, 0.5)
        observables = [random_sum(generator, 5, 3), random_sum(generator, 5, 1)]
        inputs = np.array([0.2, 0.6, 0.8])[: circuit.num_inputs]
        given = weights[: circuit.num_weights], inputs, [1.0, -0.5]
        wanted = kg.expectation(circuit, observables, executor="reference").vjp(*given)
        for rule, tolerance in ((kg.ParameterShift(), 1e-10), (kg.FiniteDifference(order=4), 1e-7)):
            found = kg.expectation(circuit, observables, gradient=rule).vjp(*given)
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one, other, atol=tolerance)


def test_a_matrix_that_is_unitary_up_to_rounding_is_followed_as_far_as_it_is(forced):
    rounded = unitary_group.rvs(4, random_state=3).astype(np.complex64)
    circuit = kg.Circuit([kg.ry(w[0], 0), kg.unitary(rounded, 0, 1), kg.unitary(rounded, 1, 2), kg.cx(2, 3)])
    word = kg.Pauli("Z1 X2 Y3")
    wanted = kg.expectation(circuit, word, executor="reference")([0.4])
    np.testing.assert_allclose(kg.expectation(circuit, word)([0.4]), wanted, atol=1e-6)


def test_single_precision_stays_single(forced):
    circuit = brickwork(6, 2)
    weights = np.linspace(0, 1, circuit.num_weights)
    f, exact = (kg.expectation(circuit, every("Z", 2), dtype=kind) for kind in (np.complex64, np.complex128))
    values, dweights, _ = f.vjp(weights.astype(np.float32))
    assert values.dtype == dweights.dtype == np.float32
    np.testing.assert_allclose(values, exact(weights), atol=1e-6)


def test_wide_clifford_words_agree_with_qiskit():
    """Random Clifford circuits on 70 qubits; the other library pulls the word back itself."""
    import qiskit
    from qiskit import quantum_info

    generator, n = np.random.default_rng(3), 70
    theirs, ours = qiskit.QuantumCircuit(n), []
    for _ in range(150):
        q, r = (int(p) for p in generator.permutation(n)[:2])
        name = str(generator.choice(["h", "s", "cx", "cz", "swap", "iswap", "sx"]))
        places = (q, r) if name in ("cx", "cz", "swap", "iswap") else (q,)
        getattr(theirs, name)(*places)
        ours.append(getattr(kg, name)(*places))
    state = quantum_info.StabilizerState(theirs)
    words, texts = [], []
    for stabilizer in state.clifford.to_labels(mode="S")[:20]:
        letters = stabilizer[1:][::-1]  # qubit 0 first
        words.append(kg.Pauli(" ".join(f"{letter}{q}" for q, letter in enumerate(letters) if letter != "I")))
        texts.append(1.0 if stabilizer[0] == "+" else -1.0)
    np.testing.assert_array_equal(kg.expectation(kg.Circuit(ours, n), words)(), texts)


# -- outcomes ----------------------------------------------------------------------------------------------


@pytest.fixture
def measured_in_parts(forced, monkeypatch):
    """Samples of registers of any width are put together from what rotations move and from coins."""
    monkeypatch.setattr("ketgrad.programs.outcomes.NARROW", -1)


@pytest.mark.parametrize("clifford", [0.3, 0.6, 0.9, 1.0])
def test_probabilities_put_together_equal_the_definition(clifford, forced):
    generator = np.random.default_rng(int(10 * clifford))
    weights, inputs = np.array([0.3, 0.7, -0.4, 0.5, 1.2]), np.array([[0.2, 0.6, 0.8], [0.5, 0.8, -0.6]])
    tossed = narrower = 0
    for _ in range(12):
        n = int(generator.integers(3, 8))
        circuit = random_circuit(generator, n, int(generator.integers(2, 25)), clifford)
        qubits = [int(q) for q in generator.permutation(n)[: generator.integers(1, n + 1)]]
        f = kg.probabilities(circuit, qubits)
        wanted = kg.probabilities(circuit, qubits, executor="reference")
        np.testing.assert_allclose(
            everything(f, weights, inputs), everything(wanted, weights, inputs), atol=1e-12
        )
        found = outcomes(f.program, f.program.measured.tolist())
        assert found is not None
        tossed += found.num_coins
        narrower += found.program.num_qubits < n
    assert narrower > 3 and (tossed > 3 or clifford < 0.9)


def test_samples_put_together_have_the_distribution_of_the_definition(measured_in_parts):
    """20 circuits on 4 qubits, 4000 shots each: 4 standard errors, and what is impossible never comes."""
    generator = np.random.default_rng(5)
    weights, inputs = np.array([0.3, 0.7, -0.4, 0.5, 1.2]), np.array([0.2, 0.6, 0.8])
    for _ in range(20):
        circuit = random_circuit(generator, 4, 12, 0.8)
        f = kg.samples(circuit, shots=4000, packed=True, seed=1)
        given = weights[: f.num_weights], inputs[: f.num_inputs]
        exact = kg.probabilities(circuit, executor="reference")(*given)
        frequencies = np.bincount(f(*given).astype(np.int64), minlength=16) / 4000
        exact = np.clip(exact, 0, 1)
        assert (np.abs(frequencies - exact) <= 4 * np.sqrt(exact * (1 - exact) / 4000) + 1e-9).all()


@pytest.mark.parametrize("n", [30, 64, 65, 100])
def test_samples_of_a_wide_ghz_state_agree_on_all_qubits(n):
    circuit = ghz(n) + kg.Circuit([kg.x(3), kg.ry(w[0], 5)], n)
    bits = kg.samples(circuit, shots=500, seed=0)([0.0])
    assert bits.shape == (500, n) and bits.dtype == np.uint8
    bits[:, 3] ^= 1
    assert (bits == bits[:, :1]).all() and 200 < bits[:, 0].sum() < 300
    turned = kg.samples(circuit, shots=500, seed=0)([[np.pi], [0.3]])
    assert (turned[0, :, 5] != turned[0, :, 0]).all()
    assert 0 < (turned[1, :, 5] != turned[1, :, 0]).sum() < 40  # sin(0.15)^2 = 0.022
    packed = kg.samples(circuit, shots=500, seed=0, packed=True)([0.0])
    assert packed.dtype == (np.uint64 if n <= 64 else object)
    assert {int(one) >> (n - 1) for one in packed} == {0, 1}


def test_samples_of_wide_clifford_circuits_keep_every_parity_that_is_certain():
    generator, n = np.random.default_rng(2), 66
    ops = [kg.h(q) for q in range(0, n, 2)]
    for _ in range(100):
        q, r = (int(p) for p in generator.permutation(n)[:2])
        ops.append([kg.cx, kg.cz, kg.swap][generator.integers(3)](q, r))
    circuit = kg.Circuit([*ops, kg.rx(w[0], 0)], n)
    bits = kg.samples(circuit, shots=60, seed=0)([0.4]).astype(int)
    words = [sorted(int(q) for q in generator.permutation(n)[: generator.integers(1, 4)]) for _ in range(300)]
    words += [[q] for q in range(n)] + [[q, r] for q in range(n) for r in range(q)]
    means = kg.expectation(circuit, [kg.Pauli(" ".join(f"Z{q}" for q in word)) for word in words])([0.4])
    certain = [(word, mean) for word, mean in zip(words, means, strict=True) if abs(mean) > 1 - 1e-9]
    assert len(certain) > 10
    for word, mean in certain:
        assert ((-1) ** bits[:, word].sum(axis=1) == round(mean)).all()


def test_shots_of_a_wide_register_are_those_of_its_parts():
    n = 100
    circuit = brickwork(n, 2)
    weights = np.random.default_rng(0).normal(size=circuit.num_weights)
    words = [kg.Pauli(f"Z{q}") for q in range(n)]
    f = kg.expectation(circuit, words, shots=2000, seed=0)
    exact = kg.expectation(circuit, words)(weights)
    np.testing.assert_allclose(f(weights), exact, atol=0.1)
    assert f.plan.circuits == sum(part.copies for part in reach(f.program)) and "parts" in f.plan.engine
    one = np.eye(n)[50]
    slopes, wanted = f.vjp(weights, None, one)[1], kg.expectation(circuit, words).vjp(weights, None, one)[1]
    np.testing.assert_allclose(slopes, wanted, atol=0.1)
    whole = kg.expectation(ghz(n), [every("X", n), kg.Pauli("Z0 Z99")], shots=50, seed=0)
    np.testing.assert_array_equal(whole(), [1, 1])


def test_shots_of_parts_that_are_alike_are_drawn_apart():
    """100 qubits in one state, in three rows that do not differ: 300 estimates, each with its own noise."""
    circuit = kg.Circuit([op for q in range(100) for op in (kg.h(q), kg.t(q), kg.h(q))] + [kg.ry(w[0], 0)])
    f = kg.expectation(circuit, [kg.Pauli(f"Z{q}") for q in range(1, 100)], shots=1000, seed=0)
    values = f(np.zeros((3, 1)))
    assert len(np.unique(values)) > 30 and not (values[0] == values[1]).all()
    np.testing.assert_allclose(values, np.sqrt(0.5), atol=0.12)
    assert values.std() == pytest.approx(np.sqrt(0.5 / 1000), rel=0.2)


def test_registers_too_wide_to_be_followed_are_refused(monkeypatch):
    monkeypatch.setattr("ketgrad.foundation.memory.available_bytes", lambda: 2**30)
    with pytest.raises(KetgradMemoryError, match="following 1000000 measured qubits needs"):
        kg.samples(kg.Circuit([kg.h(0)], 10**6), shots=3)
    with pytest.raises(KetgradMemoryError, match="the state of 40 qubits needs"):
        kg.probabilities(ghz(100), range(40))
