"""The rules agree with each other and with differences, on every gate and question, at the cost that was announced."""

import numpy as np
import pytest
from programs import random_circuit, random_op
from rule_checks import (
    ADJOINT,
    CIRCUIT,
    DIFFERENCE,
    OBSERVABLES,
    RULES,
    SHIFT,
    Recording,
    Z,
    data,
    largest_difference,
    w,
    x,
)

import ketgrad as kg
from ketgrad.circuits.gates import GATES
from ketgrad.functions.gradients.rules import Cost

TOLERANCE = {ADJOINT: 0.0, SHIFT: 1e-10, kg.FiniteDifference(): 1e-7, DIFFERENCE: 1e-9}


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


def test_the_cost_of_each_rule_is_announced():
    program, state = kg.expectation(CIRCUIT, Z).program, 16 * 2**3
    for rule, announced in (
        (ADJOINT, Cost(1, 1, 3 * state)),
        (SHIFT, Cost(1 + 2 * (1 + 2), 0, state)),
        (kg.FiniteDifference(), Cost(1 + 2 * 3, 0, state)),
        (DIFFERENCE, Cost(1 + 4 * 3, 0, state)),
        (kg.gradients.SPSA(num_samples=7), Cost(1 + 2 * 7, 0, state)),
    ):
        assert rule.cost(program) == announced, rule
    assert (
        str(ADJOINT.cost(program))
        == "1 circuit execution and 1 backward pass per sample, 384 bytes of states"
    )
    assert str(SHIFT.cost(program)) == "7 circuit executions per sample, 128 bytes of states"


def test_amplitudes_that_are_variables_cost_two_runs_each():
    prepared = kg.Circuit([kg.prepare_state([x[0], 0.0, x[1], x[2]], 0, 1, normalize=True), kg.ry(w[0], 0)])
    program = kg.expectation(prepared, Z).program
    assert kg.ParameterShift().cost(program).executions == 1 + 2 * 3 + 2


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_plan_predicts_the_number_of_circuit_executions(rule):
    for batch in (1, 4):
        counting = Recording("exact", "adjoint")
        f = kg.expectation(
            random_circuit(3, 12, seed=batch), OBSERVABLES[3], executor=counting, gradient=rule
        )
        counting.rows.clear()
        f.vjp(*data(f, batch, seed=1))
        assert sum(counting.rows) == batch * f.plan.executions


def test_the_plan_counts_the_measured_groups_of_a_sampled_function():
    counting = Recording("exact", "adjoint")
    observables = [kg.Pauli("Z0 + Z0 Z1 - 0.5"), kg.Pauli("X0 X1 + Y0"), kg.Pauli("1.5")]
    circuit = kg.Circuit([kg.ry(kg.w[0], 0), kg.crx(kg.w[1], 0, 1)])
    f = kg.expectation(circuit, observables, executor=counting, shots=10, seed=1)
    f.vjp([0.1, 0.2], None, [1.0, 1.0, 1.0])
    assert sum(counting.rows) == f.plan.executions == 3 * (1 + 2 + 4)


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
