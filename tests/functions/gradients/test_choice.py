"""Which rule is chosen, and what is said where one cannot be used."""

import functools
import pickle

import pytest
from rule_checks import ADJOINT, CIRCUIT, RULES, SHIFT, SUGGESTED, Recording, Z, named

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.functions.gradients.choice import check_usable, choose


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
    plain = Recording("exact")
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


def test_no_exact_rule_means_an_error_and_never_an_approximation():
    f = kg.state(kg.Circuit([kg.ry(kg.w[0], 0)]), executor=Recording("exact"))
    assert f([0.0]).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="no exact gradient rule"):
        f.vjp([0.3], None, [1.0, 0.0])
    assert "no exact gradient rule" in str(f.plan) and f.plan.executions is None


def test_samples_have_no_gradient():
    f = kg.samples(kg.Circuit([kg.ry(kg.w[0], 0)]), shots=5)
    with pytest.raises(ValueError, match="no derivative"):
        f.vjp([0.1], None, [1.0])


def test_samples_have_no_derivative_by_any_rule():
    program = kg.samples(CIRCUIT, shots=5).program
    for rule in RULES:
        assert "samples are integers" in rule.objection(get("native"), program), rule
    with pytest.raises(KetgradValueError, match="samples are integers") as refusal:
        choose(get("native"), program)
    assert "Can be used" not in str(refusal.value)


def test_no_exact_rule_names_both_reasons_and_the_ways_out():
    program = kg.state(CIRCUIT).program
    with pytest.raises(KetgradValueError) as refusal:
        choose(Recording("exact"), program)
    ways = [f"kg.{written}" for written in (named(rule) for rule in SUGGESTED if not rule.is_exact)]
    assert str(refusal.value) == (
        "no exact gradient rule can be used here. Adjoint: it reads amplitudes, which the executor 'recording' does"
        " not give (its abilities: exact). ParameterShift: it differentiates expectation values and probabilities,"
        f" not amplitudes. Can be used: {', '.join(ways)}."
    )
    assert "kg.gradients.SPSA(step=0.01, num_samples=1, seed=None, common_random_numbers=False)" in ways
    assert {f"kg.FiniteDifference(step={step}, order=2)" for step in (None, 0.1)} < set(ways)
    assert choose(Recording("adjoint"), program) == kg.Adjoint()
    expectation = kg.expectation(CIRCUIT, Z).program
    assert choose(Recording("exact"), expectation) == kg.ParameterShift()


def test_what_is_no_executor_or_program_of_a_function_is_refused():
    program, executor = kg.expectation(CIRCUIT, Z).program, Recording("exact")
    for parts in ((executor, None), (None, program), ("native", program), (None, None)):
        for ask in (choose, functools.partial(check_usable, SHIFT)):
            with pytest.raises(TypeError, match="must be those of a Function"):
                ask(*parts)


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
