"""What finds how far a question reaches grows in proportion, and stops where nothing could follow."""

import numpy as np
import pytest

import ketgrad as kg
from ketgrad import w
from ketgrad.foundation.errors import KetgradMemoryError
from ketgrad.programs.frame import Word, pulled_back
from ketgrad.programs.reach import reach
from ketgrad.programs.reduced import Basis
from ketgrad.programs.word_cones import MOST_TRIED, Unit


def turned(n):
    """A rotation of each qubit."""
    return kg.Circuit([kg.ry(w[q], q) for q in range(n)])


@pytest.fixture
def joins(monkeypatch):
    """How many pairs of units were looked at."""
    seen = []
    joined = Unit.joined
    monkeypatch.setattr(Unit, "joined", lambda one, other: seen.append(0) or joined(one, other))
    return seen


@pytest.mark.parametrize("n", [100, 400, 1600])
def test_words_around_a_hub_are_not_compared_each_with_each(n, joins):
    """All words see the rotation of the first qubit, and each one of its own."""
    f = kg.expectation(turned(n), [kg.Pauli(f"Z0 Z{q}") for q in range(1, n)])
    assert n // 2 < len(joins) <= 2 * (MOST_TRIED + 1) * n
    parts = reach(f.program)
    assert max(part.program.num_qubits for part in parts) == 6  # still joined while that costs nothing
    assert sum(part.copies for part in parts) == -(-(n - 1) // 5)
    weights = np.linspace(0, 3, n)
    np.testing.assert_allclose(f(weights), np.cos(weights[0]) * np.cos(weights[1:]), atol=1e-14)


@pytest.mark.parametrize(
    "ask",
    [
        lambda circuit: kg.samples(circuit, shots=3),
        lambda circuit: kg.expectation(circuit, kg.Pauli(" ".join(f"Z{q}" for q in range(100)))),
        lambda circuit: kg.expectation(circuit, kg.Pauli(" ".join(f"Z{q}" for q in range(100))), shots=3),
    ],
)
def test_a_state_that_is_too_wide_is_refused_before_a_program_is_made_of_it(ask, monkeypatch):
    monkeypatch.setattr("ketgrad.foundation.memory.available_bytes", lambda: 2**34)
    made = []
    prepare = Basis.__init__
    monkeypatch.setattr(Basis, "__init__", lambda basis, unit: made.append(unit) or prepare(basis, unit))
    with pytest.raises(
        KetgradMemoryError, match=r"the state of 100 qubits .* the core takes 40 at most: ask"
    ):
        ask(turned(100))
    assert not made


def test_words_that_are_zero_need_no_state_however_wide():
    circuit = turned(100) + kg.Circuit([kg.rz(0.3, 100)], 102)
    every = " ".join(f"Z{q}" for q in range(100))
    f = kg.expectation(circuit, [kg.Pauli(f"{every} X101"), kg.Pauli(f"{every} Y100"), kg.Pauli("Z0")])
    values, dweights, _ = f.vjp(np.full(100, 0.3), None, [1.0, 1.0, 1.0])
    np.testing.assert_allclose([*values, dweights[0]], [0, 0, np.cos(0.3), -np.sin(0.3)], atol=1e-14)


def entangled(n, rotations):
    """Every word comes to lie on all qubits, and meets half of the rotations."""
    generator = np.random.default_rng(0)
    ops = []
    for k in range(rotations):
        q, r = (int(p) for p in generator.choice(n, 2, replace=False))
        ops += [kg.cx(q, r), kg.h(q), kg.s(r), kg.rz(w[k], r)]
    return kg.Circuit(ops, n)


@pytest.mark.parametrize(
    ("usable", "what"),
    [
        (3000, "following 64 words past 1024 rotations"),
        (10**5, "the places of 1[0-9]{3} words and rotations"),
    ],
)
def test_words_that_do_not_fit_are_refused_while_they_are_followed(usable, what, monkeypatch):
    """A small register on a machine of a few bytes."""
    program = kg.expectation(entangled(64, 1500), [kg.Pauli(1.0)]).program
    words = [Word((q,), ()) for q in range(64)]
    found = pulled_back(program, words)
    assert found is not None and len(found.rotations) > 1024
    for place in ("programs.frame", "foundation.memory"):
        monkeypatch.setattr(f"ketgrad.{place}.FREE_BELOW", 10)
    monkeypatch.setattr("ketgrad.foundation.memory.available_bytes", lambda: usable)
    with pytest.raises(KetgradMemoryError, match=f"{what} needs .* Ask about fewer words"):
        pulled_back(program, words)
