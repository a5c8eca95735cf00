"""check_gradients: names the gate that is wrong, and passes what is right."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from programs import random_circuit
from rule_checks import DIFFERENCE, NATIVE, OBSERVABLES, Recording

import ketgrad as kg
from ketgrad.functions.gradients.sweeps import angle_terms, with_offsets


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
        {"executor": Recording("exact")},
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
