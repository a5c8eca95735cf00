"""A composed question of one's own is one class: executors, gradient rules, shots and bridges need not know it."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import numpy as np
import pytest
import torch
from devices import FakeDevice

import ketgrad as kg
from ketgrad.programs.question import ComposedQuestion, QuestionArrays
from ketgrad.programs.questions import Expect, State, Variance

w, x = kg.w, kg.x
CIRCUIT = kg.Circuit(
    [kg.ry(w[0] * x[0], 0), kg.rx(w[1], 1), kg.cx(0, 1), kg.rz(x[1], 1), kg.ry(w[2], 0), kg.crx(w[0], 1, 0)]
)
RANDOM = np.random.default_rng(8)
W, X = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(4, 2))
STEP = 1e-6


@dataclass(frozen=True)
class FidelityWith(ComposedQuestion):
    """|<target|psi>|^2: complex values become one real one."""

    target: tuple[complex, ...]

    is_complex: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    measurable: ClassVar[bool] = False
    is_drawn: ClassVar[bool] = False
    sees_everything: ClassVar[bool] = True
    outputs: ClassVar[str] = "outputs"
    observables: ClassVar[tuple[()]] = ()
    base: ClassVar[State] = State()

    def check(self, num_qubits: int) -> None:
        """It is only asked what it can be asked."""

    def num_outputs(self, num_qubits: int) -> int:
        """One."""
        return 1

    def table_qubits(self, num_qubits: int) -> int:
        """None."""
        return 0

    def text(self) -> str:
        """The fidelity."""
        return "the fidelity with a state"

    def arrays(self, num_qubits: int) -> QuestionArrays:
        """Those of the state."""
        return self.base.arrays(num_qubits)

    def overlap(self, state):
        """<target|state>, (..., 1)."""
        return (state @ np.conj(self.target))[..., None]

    def values(self, base):
        """|<t|psi>|^2."""
        return np.abs(self.overlap(base)) ** 2

    def tangents(self, base, change):
        """2 Re(<t|psi>* <t|dpsi>)."""
        return 2 * np.real(np.conj(self.overlap(base)) * self.overlap(change))

    def pulled_back(self, base, cotangent):
        """2 c <t|psi> t."""
        return 2 * cotangent * self.overlap(base) * np.array(self.target)

    def pulled_back_change(self, base, change, cotangent):
        """2 c <t|dpsi> t."""
        return self.pulled_back(change, cotangent)


@dataclass(frozen=True)
class Purity(ComposedQuestion):
    """Of a qubit: (1 + <X>^2 + <Y>^2 + <Z>^2) / 2."""

    qubit: int

    is_complex: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    measurable: ClassVar[bool] = True
    is_drawn: ClassVar[bool] = False
    sees_everything: ClassVar[bool] = False
    outputs: ClassVar[str] = "outputs"
    observables: ClassVar[tuple[()]] = ()

    def check(self, num_qubits: int) -> None:
        """As its base."""
        self.base.check(num_qubits)

    def num_outputs(self, num_qubits: int) -> int:
        """One."""
        return 1

    def table_qubits(self, num_qubits: int) -> int:
        """None."""
        return 0

    def text(self) -> str:
        """The purity."""
        return f"the purity of qubit {self.qubit}"

    @property
    def base(self) -> Expect:
        """The three components of the Bloch vector."""
        return Expect(tuple(kg.Pauli(f"{letter}{self.qubit}") for letter in "XYZ"))

    def arrays(self, num_qubits: int) -> QuestionArrays:
        """Those of the components."""
        return self.base.arrays(num_qubits)

    def values(self, base):
        """(1 + r^2) / 2."""
        return (1 + (base**2).sum(-1)[..., None]) / 2

    def tangents(self, base, change):
        """r . dr."""
        return (base * change).sum(-1)[..., None]

    def pulled_back(self, base, cotangent):
        """c r."""
        return cotangent * base

    def pulled_back_change(self, base, change, cotangent):
        """c dr."""
        return cotangent * change


TARGET = np.array([0.6, 0.0, 0.48j, 0.64])
QUESTIONS = {"fidelity": FidelityWith(tuple(TARGET.tolist())), "purity": Purity(1)}


def dense(name, psi):
    if name == "fidelity":
        return np.abs(psi @ TARGET.conj()) ** 2
    rho = np.einsum("bij,bik->bjk", psi.reshape(-1, 2, 2), psi.reshape(-1, 2, 2).conj())
    return np.einsum("bjk,bkj->b", rho, rho).real


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize("name", QUESTIONS)
def test_values_and_derivatives_of_both_orders_follow_from_one_class(name, executor):
    f = kg.Function(CIRCUIT, QUESTIONS[name], executor)
    np.testing.assert_allclose(f(W, X)[:, 0], dense(name, kg.state(CIRCUIT)(W, X)), atol=1e-14)
    moves = RANDOM.normal(size=W.shape), RANDOM.normal(size=X.shape)
    ahead, behind = (f.vjp(W + sign * STEP * moves[0], X + sign * STEP * moves[1]) for sign in (1, -1))
    slopes = [(a - b) / (2 * STEP) for a, b in zip(ahead, behind, strict=True)]
    _, dweights, dinputs = f.vjp(W, X)
    by_weights, by_inputs = f.jacobian(W, X)
    np.testing.assert_allclose(by_weights[:, 0], dweights, atol=1e-12)
    np.testing.assert_allclose(by_inputs[:, 0], dinputs, atol=1e-12)
    along = (dweights * moves[0]).sum(axis=1) + (dinputs * moves[1]).sum(axis=1)
    np.testing.assert_allclose(along, slopes[0][:, 0], atol=1e-8)
    found = f.hvp(W, X, None, *moves)
    for part, wanted in zip((found.tangents, found.hweights, found.hinputs), slopes, strict=True):
        np.testing.assert_allclose(part, wanted, atol=1e-7)
    hessian = f.hessian(W, X)
    rows = np.einsum("bvu,bu->bv", hessian.weights_weights, moves[0])
    rows += np.einsum("bvu,bu->bv", hessian.weights_inputs, moves[1])
    np.testing.assert_allclose(rows, found.hweights, atol=1e-12)


def test_what_can_be_measured_is_estimated_and_shifted_and_the_rest_is_refused():
    exact = kg.Function(CIRCUIT, QUESTIONS["purity"], "native")
    noisy = kg.Function(CIRCUIT, QUESTIONS["purity"], kg.executors.get("native").with_shots(100_000), seed=1)
    np.testing.assert_allclose(noisy(W, X), exact(W, X), atol=0.02)
    np.testing.assert_allclose(noisy.vjp(W, X)[1], exact.vjp(W, X)[1], atol=0.1)
    assert "question    the purity of qubit 1" in str(noisy.plan)


def test_a_file_holds_the_kinds_of_the_table_alone(tmp_path):
    with pytest.raises(kg.KetgradError, match="cannot be saved"):
        kg.save(kg.Function(CIRCUIT, QUESTIONS["purity"], "native"), tmp_path / "f.ketgrad")


def test_the_bridges_take_it():
    f = kg.Function(CIRCUIT, QUESTIONS["purity"], "native")
    weights = torch.tensor(W, requires_grad=True)
    kg.torch.apply(f, weights, torch.tensor(X)).sum().backward()
    np.testing.assert_allclose(weights.grad, f.vjp(W, X)[1], atol=1e-12)
    with jax.enable_x64(True):
        g = kg.jax.function(f)
        found = jax.jit(jax.hessian(lambda point: g(point, X[0])[0]))(W[0])
        np.testing.assert_allclose(found, f.hessian(W[0], X[0]).weights_weights, atol=1e-12)


@dataclass(frozen=True)
class Deviation(ComposedQuestion):
    """The square root of a variance: composed of what is composed itself."""

    of: Variance

    is_complex: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    measurable: ClassVar[bool] = True
    is_drawn: ClassVar[bool] = False
    sees_everything: ClassVar[bool] = False
    outputs: ClassVar[str] = "outputs"
    observables: ClassVar[tuple[()]] = ()

    def check(self, num_qubits: int) -> None:
        """As its base."""
        self.of.check(num_qubits)

    def num_outputs(self, num_qubits: int) -> int:
        """As its base."""
        return self.of.num_outputs(num_qubits)

    def table_qubits(self, num_qubits: int) -> int:
        """None."""
        return 0

    def text(self) -> str:
        """A deviation."""
        return "standard deviations"

    @property
    def base(self) -> Variance:
        """The variance."""
        return self.of

    def arrays(self, num_qubits: int) -> QuestionArrays:
        """Those of the variance."""
        return self.of.arrays(num_qubits)

    def values(self, base):
        """sqrt(v)."""
        return base**0.5

    def tangents(self, base, change):
        """dv / (2 sqrt(v))."""
        return change / (2 * base**0.5)

    def pulled_back(self, base, cotangent):
        """c / (2 sqrt(v))."""
        return cotangent / (2 * base**0.5)

    def pulled_back_change(self, base, change, cotangent):
        """-c dv / (4 v^(3/2))."""
        return -cotangent * change / (4 * base**1.5)


def test_the_plan_counts_the_values_of_every_base_below():
    """A circuit of RY(0.4): the deviation of Z is sin(0.4), and its derivatives go through two chain rules."""
    circuit, question = kg.Circuit([kg.ry(kg.w[0], 0)]), Deviation(Variance((kg.Pauli("Z0"),)))
    f, device = kg.Function(circuit, question, "native"), FakeDevice()
    np.testing.assert_allclose(f.vjp([0.4])[1], np.cos(0.4), atol=1e-12)
    np.testing.assert_allclose(f.hvp([0.4], None, None, [1.0]).hweights, -np.sin(0.4), atol=1e-12)
    measured = kg.Function(circuit, question, device)
    measured.vjp([0.4])
    assert device.executions == measured.plan.executions
