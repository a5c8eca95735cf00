"""Adjoint = parameter shift = finite difference = closed form, at the cost that was announced."""

import copy
import pickle
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from programs import random_circuit, random_observable, random_op

import ketgrad as kg
from ketgrad.circuits.gates import GATES
from ketgrad.executors import get
from ketgrad.functions.gradients.choice import choose
from ketgrad.functions.gradients.frequencies import shift_rule
from ketgrad.functions.gradients.sweeps import angle_terms, with_offsets

NATIVE: Any = get("native")
ADJOINT, SHIFT, DIFFERENCE = kg.Adjoint(), kg.ParameterShift(), kg.FiniteDifference(order=4)
TOLERANCE = {ADJOINT: 0.0, SHIFT: 1e-10, kg.FiniteDifference(): 1e-7, DIFFERENCE: 1e-9}
OBSERVABLES = {n: [random_observable(n, 5, seed) for seed in (1, 2)] for n in range(1, 6)}


def around(row, seed, controlled=False):
    """A circuit with `row` in the middle, its angles polynomials in weights and inputs."""
    rng = np.random.default_rng(seed)
    n = row.num_qubits + 1
    op = random_op(row, row.num_qubits, rng)
    if row.num_angles:
        turns = [kg.w[k] * kg.x[k % 2] + 0.5 * kg.w[(k + 1) % 3] for k in range(row.num_angles)]
        op = kg.Op.build(row, range(row.num_qubits), turns)
    if controlled:
        op = op.control(n - 1)
    before = [kg.ry(kg.x[q % 2] + 0.3 * q, q) for q in range(n)]
    after = [kg.rx(kg.w[q % 3] ** 2, q) for q in range(n)] + [kg.cx(q, q + 1) for q in range(n - 1)]
    return kg.Circuit([*before, op, *after], n)


def data(f, batch, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-3, 3, f.num_weights)
    inputs = rng.uniform(0.2, 2, (batch, f.num_inputs))
    return weights, inputs, rng.normal(size=(batch, f.num_outputs))


def largest_difference(first, second):
    return max(np.abs(a - b).max(initial=0) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("controlled", [False, True], ids=["plain", "controlled"])
@pytest.mark.parametrize("name", GATES)
def test_adjoint_equals_parameter_shift_equals_finite_difference_for_every_gate(name, controlled):
    circuit = around(GATES[name], seed=7, controlled=controlled)
    functions = {
        rule: kg.expectation(circuit, OBSERVABLES[circuit.num_qubits], gradient=rule) for rule in TOLERANCE
    }
    point = data(functions[ADJOINT], 3, seed=8)
    exact = functions[ADJOINT].vjp(*point)
    for rule, f in functions.items():
        assert largest_difference(f.vjp(*point), exact) <= TOLERANCE[rule], rule


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize("question", [kg.probabilities, kg.expectation])
def test_the_rules_agree_on_random_circuits(question, executor):
    for seed in range(8):
        circuit = random_circuit(4, 15, seed)
        arguments = (circuit, OBSERVABLES[4]) if question is kg.expectation else (circuit, [3, 1])
        f, g, h = (
            question(*arguments, executor=executor, gradient=rule) for rule in (ADJOINT, SHIFT, DIFFERENCE)
        )
        point = data(f, 2, seed)
        exact = f.vjp(*point)
        assert largest_difference(g.vjp(*point), exact) < 1e-10
        assert largest_difference(h.vjp(*point), exact) < 1e-8


@pytest.mark.parametrize("rule", [ADJOINT, SHIFT, DIFFERENCE], ids=repr)
@pytest.mark.parametrize("question", [kg.expectation, kg.probabilities, kg.state])
def test_the_jacobian_equals_central_differences_and_contracts_to_the_vjp(question, rule):
    circuit = random_circuit(3, 12, seed=3, prepare=True)
    f = question(circuit, OBSERVABLES[3]) if question is kg.expectation else question(circuit)
    if rule.objection(f.executor, f.program):
        assert question is kg.state and rule is SHIFT
        return
    f = question(circuit, *([OBSERVABLES[3]] if question is kg.expectation else []), gradient=rule)
    weights, inputs, cotangent = data(f, 2, seed=4)
    if question is kg.state:
        cotangent = cotangent + 1j * np.random.default_rng(5).normal(size=cotangent.shape)
    by_weights, by_inputs = f.jacobian(weights, inputs)
    assert by_weights.shape == (2, f.num_outputs, f.num_weights)
    assert by_inputs.shape == (2, f.num_outputs, f.num_inputs)
    step = 1e-5
    for k, unit in enumerate(np.eye(f.num_weights) * step):
        slope = (f(weights + unit, inputs) - f(weights - unit, inputs)) / (2 * step)
        np.testing.assert_allclose(by_weights[..., k], slope, atol=1e-7)
    for k, unit in enumerate(np.eye(f.num_inputs) * step):
        slope = (f(weights, inputs + unit) - f(weights, inputs - unit)) / (2 * step)
        np.testing.assert_allclose(by_inputs[..., k], slope, atol=1e-7)
    _, dweights, dinputs = f.vjp(weights, inputs, cotangent)
    np.testing.assert_allclose(np.einsum("bk,bkw->w", cotangent.conj(), by_weights).real, dweights, atol=1e-8)
    np.testing.assert_allclose(np.einsum("bk,bkx->bx", cotangent.conj(), by_inputs).real, dinputs, atol=1e-8)


# -- closed forms ---------------------------------------------------------------------------------------------


def test_a1_the_two_term_shift_is_exact_on_100_random_circuits():
    """Mitarai et al. 2018, arXiv:1803.00745; Schuld et al. 2019, arXiv:1811.11184."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        ops = []
        for k in range(12):
            word, angle = "".join(rng.choice(list("XYZ"), 2)), kg.w[k]
            first, second = (int(q) for q in rng.permutation(4)[:2])
            builder = [kg.rx, kg.ry, kg.rz][rng.integers(3)]
            ops.append(kg.pauli_rotation(angle, word, first, second) if k % 3 == 2 else builder(angle, first))
        f = kg.expectation(kg.Circuit(ops, 4), random_observable(4, 4, seed))
        weights = rng.uniform(-np.pi, np.pi, 12)
        shifted = f(weights + np.pi / 2 * np.eye(12)) - f(weights - np.pi / 2 * np.eye(12))
        np.testing.assert_allclose(shifted[:, 0] / 2, f.jacobian(weights)[0][0], atol=1e-10)


@pytest.mark.parametrize("count", range(1, 7))
def test_a3_the_general_rule_has_the_published_shifts_and_coefficients(count):
    """Wierichs et al. 2022, arXiv:2107.12390: x_m = (2m-1) pi / 2R, (-1)^(m-1) / (4R sin^2(x_m / 2))."""
    rule = shift_rule(tuple(float(k) for k in range(1, count + 1)))
    m = np.arange(1, count + 1)
    shifts = (2 * m - 1) * np.pi / (2 * count)
    factors = (-1.0) ** (m - 1) / (4 * count * np.sin(shifts / 2) ** 2)
    np.testing.assert_allclose(rule[0::2], np.stack([shifts, factors], axis=1), atol=1e-10)
    np.testing.assert_allclose(rule[1::2], -np.stack([shifts, factors], axis=1), atol=1e-10)
    assert sum(abs(factor) for _, factor in rule) == pytest.approx(count, abs=1e-10)


def test_a3_the_numbers_for_two_and_three_frequencies():
    assert [f for _, f in shift_rule((1.0, 2.0))[::2]] == pytest.approx([0.8535534, -0.1464466], abs=1e-7)
    assert [f for _, f in shift_rule((1.0, 2.0, 3.0))[::2]] == pytest.approx(
        [1.2440169, -0.1666667, 0.0893164], abs=1e-7
    )


def test_a4_the_variance_of_the_shift_rule_with_shots():
    """<Z> after RY(t) with S shots in each of two circuits: variance 2 (1 - sin^2 t) / 4S."""
    f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), shots=1000, seed=2)
    slopes = f.jacobian(np.full((4000, 1), 1.1))[0].ravel()
    assert slopes.mean() == pytest.approx(-np.sin(1.1), abs=5e-4)
    assert slopes.var() == pytest.approx(1.0287e-4, rel=0.06)


SPECTRA = [
    (0.5, 1.0),
    (1.0, 3.0),
    (1.0, 2.0, 3.7),
    (0.3, 1.0, 1.4, 2.9),
    (2.0,),
    (1.0, 1.1),
    (np.sqrt(2), np.pi, 4.0),
]


@pytest.mark.parametrize("frequencies", SPECTRA, ids=str)
def test_any_spectrum_has_a_shift_rule(frequencies):
    omega = np.array(frequencies)
    rng = np.random.default_rng(0)
    cosines, sines = rng.normal(size=(2, len(omega)))

    def value(t):
        return cosines @ np.cos(omega * t) + sines @ np.sin(omega * t)

    slope = omega * (sines * np.cos(0.7 * omega) - cosines * np.sin(0.7 * omega))
    estimate = sum(factor * value(0.7 + shift) for shift, factor in shift_rule(frequencies))
    assert estimate == pytest.approx(slope.sum(), abs=1e-10)
    assert len(shift_rule(frequencies)) == 2 * len(omega)


# -- cost as announced --------------------------------------------------------------------------------------


@dataclass
class Counting:
    """An executor that counts the circuits it runs."""

    inner: Any = field(default_factory=lambda: get("native"))
    executions: int = 0
    name: str = "counting"

    @property
    def abilities(self):
        return self.inner.abilities

    def run(self, program, weights, inputs, **options):
        self.executions += max(len(weights), len(inputs))
        return self.inner.run(program, weights, inputs, **options)

    def vjp(self, program, weights, inputs, cotangent, **options):
        self.executions += max(len(weights), len(inputs))
        return self.inner.vjp(program, weights, inputs, cotangent, **options)


RULES = [ADJOINT, SHIFT, kg.FiniteDifference(), DIFFERENCE, kg.gradients.SPSA(num_samples=3, seed=1)]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_plan_predicts_the_number_of_circuit_executions(rule):
    for batch in (1, 4):
        counting = Counting()
        f = kg.expectation(
            random_circuit(3, 12, seed=batch), OBSERVABLES[3], executor=counting, gradient=rule
        )
        counting.executions = 0
        f.vjp(*data(f, batch, seed=1))
        assert counting.executions == batch * f.plan.executions


def test_the_plan_counts_the_measured_groups_of_a_sampled_function():
    counting = Counting()
    observables = [kg.Pauli("Z0 + Z0 Z1 - 0.5"), kg.Pauli("X0 X1 + Y0"), kg.Pauli("1.5")]
    circuit = kg.Circuit([kg.ry(kg.w[0], 0), kg.crx(kg.w[1], 0, 1)])
    f = kg.expectation(circuit, observables, executor=counting, shots=10, seed=1)
    f.vjp([0.1, 0.2], None, [1.0, 1.0, 1.0])
    assert counting.executions == f.plan.executions == 3 * (1 + 2 + 4)


# -- which rule, and why ------------------------------------------------------------------------------------


def test_the_chosen_rule_is_exact_and_the_plan_says_why():
    circuit = kg.Circuit([kg.ry(kg.w[0], 0), kg.ry(kg.x[0], 1)])
    exact = kg.expectation(circuit, kg.Pauli("Z0"))
    shots = kg.expectation(circuit, kg.Pauli("Z0"), shots=100)
    assert choose(exact.executor, exact.program) == ADJOINT and choose(shots.executor, shots.program) == SHIFT
    assert "Adjoint()" in str(exact.plan) and "adjoint pass" in str(exact.plan)
    assert "ParameterShift()" in str(shots.plan) and "cannot be used" in str(shots.plan)
    for plan in (exact.plan, shots.plan):
        lines = str(plan).splitlines()
        assert len(lines) <= 24 and plan == pickle.loads(pickle.dumps(plan))


def test_a_rule_that_cannot_be_used_raises_with_the_reason_and_the_alternatives():
    circuit, observable = kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0")
    plain = FrozenExecutor("plain")
    cases = [
        (
            lambda: kg.expectation(circuit, observable, executor=plain, gradient=ADJOINT),
            "reads amplitudes",
            "Shift()",
        ),
        (lambda: kg.expectation(circuit, observable, shots=9, gradient=ADJOINT), "reads amplitudes", "SPSA"),
        (lambda: kg.state(circuit, gradient=SHIFT), "not amplitudes", "kg.Adjoint()"),
        (
            lambda: kg.expectation(circuit, observable, shots=9, gradient=kg.FiniteDifference()),
            "shot noise",
            "kg.FiniteDifference(step=0.1",
        ),
    ]
    for make, reason, way_out in cases:
        with pytest.raises(ValueError, match=reason) as refusal:
            make()
        assert way_out in str(refusal.value)


@dataclass(frozen=True)
class FrozenExecutor:
    """An exact executor without an adjoint pass."""

    name: str
    abilities: frozenset = frozenset({"exact"})

    def run(self, *arguments, **options):
        return NATIVE.run(*arguments, **options)


def test_no_exact_rule_means_an_error_and_never_an_approximation():
    f = kg.state(kg.Circuit([kg.ry(kg.w[0], 0)]), executor=FrozenExecutor("plain"))
    assert f([0.0]).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="no exact gradient rule"):
        f.vjp([0.3], None, [1.0, 0.0])
    assert "no exact gradient rule" in str(f.plan) and f.plan.executions is None


# -- amplitudes of a prepared state -------------------------------------------------------------------------


def test_amplitudes_have_an_exact_shift_rule():
    for seed in range(6):
        circuit = random_circuit(3, 12, seed, prepare=True)
        f, g = (kg.expectation(circuit, OBSERVABLES[3], gradient=rule) for rule in (ADJOINT, SHIFT))
        point = data(f, 4, seed)
        assert largest_difference(f.vjp(*point), g.vjp(*point)) < 1e-10
        assert largest_difference(f.jacobian(*point[:2]), g.jacobian(*point[:2])) < 1e-10


@pytest.mark.parametrize(
    "amplitudes", [(0.5, 0.5, 0.25, 0.5), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, -0.5, 0.0)], ids=str
)
def test_amplitudes_that_are_not_divided_by_their_norm_have_one_too(amplitudes):
    vector = [kg.x[0], kg.x[1], 2 * kg.x[2], kg.w[0]]
    circuit = kg.Circuit([kg.prepare_state(vector, 0, 2), kg.ry(kg.w[1], 0), kg.cx(2, 1), kg.rx(kg.x[0], 1)])
    f, g = (kg.expectation(circuit, OBSERVABLES[3], gradient=rule) for rule in (ADJOINT, SHIFT))
    point = np.array([amplitudes[3], 0.3]), np.array(amplitudes[:3]), np.array([0.7, -0.2])
    assert largest_difference(f.vjp(*point), g.vjp(*point)) < 1e-10


def test_amplitude_encoded_data_can_be_trained_with_shots():
    circuit = kg.Circuit([kg.prepare_state([kg.x[0], kg.x[1]], 0, normalize=True), kg.ry(kg.w[0], 0)])
    exact, shots = (
        kg.expectation(circuit, kg.Pauli("Z0")),
        kg.expectation(circuit, kg.Pauli("Z0"), shots=10**6, seed=1),
    )
    point = [0.4], [[0.3, 1.0], [2.0, 0.1]], [1.0]
    assert largest_difference(exact.vjp(*point), shots.vjp(*point)) < 0.02
    assert shots.plan.executions == 1 + 2 + 4


def test_samples_have_no_gradient():
    f = kg.samples(kg.Circuit([kg.ry(kg.w[0], 0)]), shots=5)
    with pytest.raises(ValueError, match="no derivative"):
        f.vjp([0.1], None, [1.0])


def test_what_is_no_rule_is_refused():
    for wrong in ("adjoint", kg.Adjoint, 3):
        with pytest.raises(TypeError, match=r"kg\.Adjoint\(\)"):
            kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"), gradient=wrong)
    for make in (
        lambda: kg.FiniteDifference(order=3),
        lambda: kg.FiniteDifference(step=-1.0),
        lambda: kg.gradients.SPSA(step=0),
        lambda: kg.gradients.SPSA(num_samples=0),
        lambda: kg.gradients.SPSA(seed=-1),
        lambda: kg.gradients.SPSA(common_random_numbers=True),
    ):
        with pytest.raises(ValueError):
            make()


def test_q16_there_is_no_second_derivative_from_a_first_order_method():
    circuit = kg.Circuit([kg.ry(kg.w[0], 0)])
    shots = kg.expectation(circuit, kg.Pauli("Z0"), shots=100, seed=0)
    shifted = kg.expectation(circuit, kg.Pauli("Z0"), gradient=kg.ParameterShift())
    differences = kg.expectation(circuit, kg.Pauli("Z0"), gradient=kg.FiniteDifference())
    outcomes = kg.samples(circuit, shots=10, seed=0)
    for f, reason in (
        (shots, "read amplitudes.*without `shots`"),
        (shifted, "made with gradient=ParameterShift.*without `gradient`"),
        (differences, "made with gradient=FiniteDifference.*without `gradient`"),
        (outcomes, "samples are integers.*kg.expectation"),
    ):
        for second in (
            lambda f=f: f.jvp([0.3], None, [1.0]),
            lambda f=f: f.hvp([0.3], None, [1.0], [1.0]),
            lambda f=f: f.hessian([0.3], None, [1.0]),
        ):
            with pytest.raises(ValueError, match=reason):
                second()


# -- simultaneous perturbation -------------------------------------------------------------------------------


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


# -- inputs through arccos -------------------------------------------------------------------------------------


def test_the_chain_rule_runs_through_arccos():
    """cos(3 arccos u) is the Chebyshev polynomial 4 u^3 - 3 u."""
    circuit = kg.Circuit([kg.ry(3 * kg.arccos(kg.x[0]), 0), kg.ry(kg.w[0] * kg.x[0], 1)])
    f = kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("Z1")])
    u = np.array([[0.3], [-0.9], [0.0], [1.0], [-1.0]])
    values, _, dinputs = f.vjp([0.7], u, [1.0, 0.0])
    np.testing.assert_allclose(values[:, 0], (4 * u**3 - 3 * u)[:, 0], atol=1e-12)
    np.testing.assert_allclose(dinputs, 12 * u**2 - 3, atol=1e-6)
    np.testing.assert_allclose(f.jacobian([0.7], u)[1][:, 0], 12 * u**2 - 3, atol=1e-6)
    np.testing.assert_allclose(f.jacobian([0.7], u)[1][:, 1], -0.7 * np.sin(0.7 * u), atol=1e-12)


def test_an_infinite_derivative_comes_with_a_warning():
    f = kg.expectation(kg.Circuit([kg.ry(kg.arccos(kg.x[0]), 0)]), kg.Pauli("X0"))
    with pytest.warns(UserWarning, match=r"inputs\[1, 0\] = 1 is infinite"):
        _, _, dinputs = f.vjp(None, [[0.6], [1.0]], [1.0])
    assert dinputs[0, 0] == pytest.approx(-0.75) and dinputs[1, 0] == -np.inf


# -- check_gradients --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WrongDerivative:
    """The native executor with the derivative of one gate's angle doubled."""

    occurrence: int
    name: str = "wrong"
    abilities: frozenset = frozenset({"exact", "adjoint"})

    def run(self, *arguments, **options):
        return NATIVE.run(*arguments, **options)

    def vjp(self, program, weights, inputs, cotangent, **options):
        values, dweights, dinputs = NATIVE.vjp(program, weights, inputs, cotangent, **options)
        zeros = np.zeros((len(inputs), len(program.occurrences)))
        wide = np.concatenate([inputs, zeros], axis=1)
        extra = NATIVE.vjp(with_offsets(program), weights, wide, cotangent, **options)[2]
        extra = extra[:, program.num_inputs + self.occurrence]
        terms, slots = (
            angle_terms(program),
            np.concatenate([np.ones((len(inputs), 1)), weights, inputs], axis=1),
        )
        gradient = np.concatenate([np.zeros((len(inputs), 1)), dweights, dinputs], axis=1)
        for owner, factor, a, b in zip(*terms, strict=True):
            if owner == self.occurrence:
                gradient[:, a] += extra * factor * slots[:, b]
                gradient[:, b] += extra * factor * slots[:, a]
        split = 1 + program.num_weights
        return values, gradient[:, 1:split], gradient[:, split:]


def test_check_gradients_names_the_gate_that_is_wrong():
    ops = [kg.ry(kg.w[0], 0), kg.ry(0.7, 1), kg.rzz(kg.w[1] * kg.x[0], 0, 1), kg.rx(kg.w[0] + kg.w[2], 1)]
    circuit, observable = kg.Circuit(ops), kg.Pauli("Y0 Z1 + Z0 + X1")
    assert kg.check_gradients(kg.expectation(circuit, observable)).ok
    wanted = [("ry", (0,), 0, "w[0]"), ("rzz", (0, 1), 2, "w[1] * x[0]"), ("rx", (1,), 3, "w[0] + w[2]")]
    for occurrence, (name, qubits, place, parameter) in enumerate(wanted):
        report = kg.check_gradients(kg.expectation(circuit, observable, executor=WrongDerivative(occurrence)))
        assert not report.ok and not report and len(report.disagreements) == 1
        found = report.disagreements[0]
        assert (found.name, found.qubits, found.op_index, found.parameter) == (name, qubits, place, parameter)
        assert found.first == pytest.approx(2 * found.second)
        assert f"{name} on qubit" in str(report) and "DISAGREE" in str(report)


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_check_gradients_passes_what_is_right(dtype):
    for seed in range(4):
        circuit = random_circuit(3, 12, seed, prepare=seed % 2 == 1)
        for f in (
            kg.expectation(circuit, OBSERVABLES[3], dtype=dtype),
            kg.probabilities(circuit, [2, 0], dtype=dtype),
            kg.state(circuit, dtype=dtype),
            kg.expectation(circuit, OBSERVABLES[3], gradient=DIFFERENCE),
        ):
            report = kg.check_gradients(f, points=2, seed=seed)
            assert report.ok, str(report)


def test_check_gradients_lists_the_weights_that_change_nothing():
    ops: Any = [kg.rx(kg.w[0], 0), kg.rz(kg.w[1], 0), kg.ry(kg.w[3], 1), kg.rz(kg.x[1], 0), kg.ry(kg.x[0], 0)]
    for options in (
        {},
        {"dtype": np.complex64},
        {"gradient": DIFFERENCE},
        {"executor": FrozenExecutor("plain")},
    ):
        report = kg.check_gradients(kg.expectation(kg.Circuit(ops), kg.Pauli("Z0"), **options))
        assert report.disconnected_weights == (2, 3) and report.disconnected_inputs == ()
        assert "No output depends on w[2], w[3]" in str(report)
    assert kg.check_gradients(kg.probabilities(kg.Circuit(ops), [1])).disconnected_weights == (0, 1, 2)


def test_check_gradients_refuses_what_it_cannot_compare():
    circuit = kg.Circuit([kg.rx(kg.w[0], 0)])
    for f in (
        kg.expectation(circuit, kg.Pauli("Z0"), shots=100),
        kg.expectation(circuit, kg.Pauli("Z0"), gradient=kg.gradients.SPSA()),
        kg.samples(circuit, shots=3),
    ):
        with pytest.raises(ValueError):
            kg.check_gradients(f)
    with pytest.raises(TypeError):
        kg.check_gradients(circuit)


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize("gradient", [None, kg.ParameterShift()])
def test_a_slope_differentiates_a_squared_loss_in_one_call(executor, gradient):
    circuit = random_circuit(3, 10, 4)
    observables = [kg.Pauli("Z0"), kg.Pauli("X1 Z2")]
    f = kg.expectation(circuit, observables, executor=executor, gradient=gradient)
    rng = np.random.default_rng(0)
    weights, inputs = rng.normal(size=f.num_weights), rng.uniform(0.2, 1, (5, f.num_inputs))
    targets = rng.normal(size=(5, 2))
    expected = f.vjp(weights, inputs, 2 * (f(weights, inputs) - targets))
    for result, wanted in zip(f.vjp(weights, inputs, -2 * targets, slope=[2.0, 2.0]), expected, strict=True):
        np.testing.assert_allclose(result, wanted, atol=1e-12)


def test_a_slope_is_refused_for_states():
    with pytest.raises(ValueError, match="`slope` is for real values"):
        kg.state(kg.Circuit([kg.ry(kg.w[0], 0)])).vjp([0.1], None, [1.0, 0.0], slope=[1.0, 0.0])


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 3e-4])
def test_frequencies_that_nearly_agree_are_told_apart(gap):
    """Of cos t + cos (1 + gap) t, and of a gate with that generator: merged, the derivative is off by about gap."""
    rule = shift_rule((1.0, 1.0 + gap))
    assert len(rule) == 4 and len(shift_rule((1.0, 1.0 + 1e-12))) == 2
    for t in (0.3, 2.0, 40.0):
        slope = sum(y * (np.cos(t + s) + np.cos((1 + gap) * (t + s))) for s, y in rule)
        assert abs(slope + np.sin(t) + (1 + gap) * np.sin((1 + gap) * t)) < 1e-13 / gap**2
    gate = kg.Gate("two_speeds", 2, 1, generator=kg.Pauli("Z0") + (1 + gap) * kg.Pauli("Z1"))
    assert len({round(f, 6) for f in gate.frequencies()}) == 4  # 1, 1 + gap, their sum and their difference
    circuit = kg.Circuit([kg.h(0), kg.h(1), kg.Op(gate, [0, 1], [kg.w[0]])])
    observables = [kg.Pauli("X0"), kg.Pauli("X1")]
    by_shift = kg.expectation(circuit, observables, gradient=kg.ParameterShift()).jacobian([40.0])[0]
    exact = -np.array([[np.sin(40.0)], [(1 + gap) * np.sin((1 + gap) * 40.0)]])
    np.testing.assert_allclose(by_shift, exact, atol=gap * 1e-3)
