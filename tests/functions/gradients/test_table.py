"""Every rule of the table: found by its name, said in messages, saved, and what it says of itself is so."""

import pickle
from dataclasses import is_dataclass

import numpy as np
import pytest
from programs import random_circuit
from rule_checks import ADJOINT, OBSERVABLES, SUGGESTED, Recording, data, largest_difference, named

import ketgrad as kg
from ketgrad.functions.gradients.choice import choose
from ketgrad.functions.gradients.rules import begun_anew, is_adjoint, is_random
from ketgrad.functions.gradients.table import RULES, rule_classes

FACTS = ("is_exact", "is_adjoint", "takes_slope", "is_random")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_a_frozen_class_under_its_name(name):
    kind = rule_classes()[name]
    found = kg
    for part in name.split("."):
        found = getattr(found, part)
    assert found is kind is getattr(kg.gradients, kind.__name__) and kind.__module__ == RULES[name]
    assert is_dataclass(kind) and kind.__dataclass_params__.frozen  # pyright: ignore
    assert all(type(getattr(kind, fact)) is bool for fact in FACTS) and kind.__doc__


@pytest.mark.parametrize("rule", SUGGESTED, ids=repr)
def test_what_a_message_suggests_is_what_can_be_written(rule, tmp_path):
    circuit = kg.Circuit([kg.ry(kg.w[0], 0)])
    with pytest.raises(ValueError, match="not amplitudes") as refusal:
        kg.state(circuit, gradient=kg.ParameterShift())
    state = kg.state(circuit)
    usable = rule.objection(state.executor, state.program) is None
    assert (f"kg.{named(rule)}" in str(refusal.value)) is usable
    f = kg.expectation(circuit, kg.Pauli("Z0"), gradient=rule)
    for again in (pickle.loads(pickle.dumps(f)), kg.load(kg.save(f, tmp_path / "f.ketgrad"))):
        assert again.gradient == rule and again == f and hash(again.gradient) == hash(rule)


@pytest.mark.parametrize("rule", SUGGESTED, ids=repr)
def test_exact_rules_give_the_derivative_and_the_others_come_near(rule):
    circuit = random_circuit(3, 12, seed=2)
    exact, f = (kg.expectation(circuit, OBSERVABLES[3], gradient=one) for one in (ADJOINT, rule))
    point = data(exact, 2, seed=3)
    wanted = exact.vjp(*point)
    difference = largest_difference(f.vjp(*point), wanted)
    if rule.is_exact:
        assert difference < 1e-10
    elif not rule.is_random:
        assert 0 < difference < 0.1 * max(np.abs(part).max() for part in wanted)
    again, rerun = (begun_anew(rule, 7) for _ in range(2))
    slopes = [kg.expectation(circuit, OBSERVABLES[3], gradient=one).vjp(*point)[1] for one in (again, rerun)]
    assert np.array_equal(*slopes) and is_random(rule) is rule.is_random
    assert (again == rule) is not rule.is_random


@pytest.mark.parametrize("rule", SUGGESTED, ids=repr)
def test_only_the_adjoint_method_calls_the_executors_own_pass(rule):
    circuit = kg.Circuit([kg.ry(kg.w[0], 0)])
    for abilities in (("exact",), ("exact", "adjoint")):
        program = kg.expectation(circuit, kg.Pauli("Z0")).program
        objection = rule.objection(Recording(*abilities), program)
        assert bool(objection) is (rule.is_adjoint and "adjoint" not in abilities)
    assert is_adjoint(rule) is rule.is_adjoint
    assert choose(Recording("exact"), kg.expectation(circuit, kg.Pauli("Z0")).program).is_exact  # pyright: ignore


def test_a_rule_that_says_nothing_of_itself_is_neither_adjoint_nor_random():
    """Four methods make a rule of a user's own."""

    class Halved:
        objection = staticmethod(lambda executor, program: None)
        cost = staticmethod(ADJOINT.cost)

        def vjp(self, batch, cotangent):
            values, dweights, dinputs = ADJOINT.vjp(batch, cotangent)
            return values, dweights / 2, dinputs / 2

        def jacobian(self, batch):
            by_weights, by_inputs = ADJOINT.jacobian(batch)
            return by_weights / 2, by_inputs / 2

    circuit, rule = kg.Circuit([kg.ry(kg.w[0], 0)]), Halved()
    f, exact = (kg.expectation(circuit, kg.Pauli("Z0"), gradient=one) for one in (rule, None))
    assert f.vjp([0.3])[1] == exact.vjp([0.3])[1] / 2 and f.jacobian([0.3])[0] == exact.jacobian([0.3])[0] / 2
    assert f.vjp([0.3], None, [0.0], slope=[1.0])[1] == exact.vjp([0.3], None, [0.0], slope=[1.0])[1] / 2
    assert not is_adjoint(rule) and not is_random(rule)
    assert begun_anew(rule, 1) is rule and "gradient=None runs the adjoint method" in f.plan.not_faster
    with pytest.raises(ValueError, match="made with gradient="):
        f.jvp([0.3])
