"""Angles and circuits: values with an algebra."""

import copy
import math
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import random_circuit

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import State

variables = st.one_of(
    st.integers(0, 3).map(lambda i: kg.w[i]),
    st.integers(0, 2).map(lambda j: kg.x[j]),
    st.floats(-3, 3, width=16),
)


def state_of(circuit, weights=(), inputs=()):
    rows = (np.reshape(weights, (1, -1)).astype(float), np.reshape(inputs, (1, -1)).astype(float))
    return get("reference").run(compile(circuit, State()), *rows)[0]


@settings(max_examples=80, deadline=None)
@given(variables, variables, variables)
def test_the_value_of_a_polynomial_is_the_polynomial_of_the_values(a, b, c):
    weights, inputs = [0.3, -1.2, 0.7, 2.0], [0.5, -0.25, 1.5]

    def value(term):
        return term.evaluate(weights, inputs) if isinstance(term, kg.Angle) else term

    angle = (kg.w[0] * 0 + a) * b - 2 * c + 0.5
    expected = value(a) * value(b) - 2 * value(c) + 0.5
    assert angle.evaluate(weights, inputs) == pytest.approx(expected, abs=1e-9)


def test_an_angle_of_degree_three_is_refused():
    with pytest.raises(ValueError, match="degree 2"):
        _ = kg.w[0] * kg.x[0] * kg.x[1]


@pytest.mark.parametrize("bad", ["0.1", None, 1j, True, [0.1]])
def test_an_angle_that_is_no_number_is_refused(bad):
    with pytest.raises(TypeError, match="`theta` of `rx`"):
        kg.rx(bad, 0)


def test_inputs_and_the_gate_x_share_a_name():
    assert kg.x[0] == kg.Angle(((((("x", 0)),), 1.0),))
    assert kg.x(1).gate.name == "x"
    with pytest.raises(TypeError, match="not a function"):
        kg.w(0)


def test_addition_numbers_weights_after_each_other_and_shares_inputs():
    a = kg.Circuit([kg.rx(kg.w[0] * kg.x[0], 0)])
    b = kg.Circuit([kg.ry(kg.w[0] + kg.x[1], 1)])
    assert (a + b).ops == (kg.rx(kg.w[0] * kg.x[0], 0), kg.ry(kg.w[1] + kg.x[1], 1))
    assert kg.Circuit(a.ops + b.ops).num_weights == 1
    assert (a * 3).num_weights == 3 and (3 * a).num_inputs == 1 and (a * 0).ops == ()


@pytest.mark.parametrize("seed", range(6))
def test_a_circuit_followed_by_its_inverse_is_the_identity(seed):
    circuit = random_circuit(3, 15, seed)
    weights, inputs = np.array([0.3, -1.1, 0.8]), np.array([0.4, 0.9])
    whole = kg.Circuit(circuit.ops + circuit.inverse().ops, 3)
    state = state_of(whole, weights[: whole.num_weights], inputs[: whole.num_inputs])
    np.testing.assert_allclose(state, np.eye(8)[0], atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_controlled_circuit_acts_only_where_the_control_is_one(seed):
    circuit = (
        random_circuit(2, 8, seed)
        .bind([0.3, -1.1, 0.8][: random_circuit(2, 8, seed).num_weights])
        .encode([0.4, 0.9])
    )
    off, on = circuit.control(2), kg.Circuit([kg.x(2)]) + circuit.control(2)
    np.testing.assert_allclose(state_of(off), np.eye(8)[0], atol=1e-12)
    np.testing.assert_allclose(state_of(on)[1::2], state_of(circuit), atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_relabelling_qubits_permutes_the_state(seed):
    circuit = (
        random_circuit(3, 10, seed)
        .bind(np.full(random_circuit(3, 10, seed).num_weights, 0.4))
        .encode([0.4, 0.9])
    )
    moved = circuit.relabel([2, 0, 1])
    expected = state_of(circuit).reshape(2, 2, 2).transpose(1, 2, 0).ravel()
    np.testing.assert_allclose(state_of(moved), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_binding_weights_equals_passing_them(seed):
    circuit = random_circuit(3, 10, seed)
    weights = np.linspace(0.1, 1.0, circuit.num_weights)
    inputs = np.linspace(0.3, 0.9, circuit.num_inputs)
    np.testing.assert_allclose(
        state_of(circuit.bind(weights), (), inputs), state_of(circuit, weights, inputs), atol=1e-12
    )


def test_a_circuit_is_a_value():
    circuit = random_circuit(3, 12, 1, prepare=True)
    for same in (copy.deepcopy(circuit), pickle.loads(pickle.dumps(circuit))):
        assert same == circuit and hash(same) == hash(circuit)
    with pytest.raises(AttributeError):
        circuit.num_qubits = 4


def test_a_prepared_state_is_the_state():
    vector = np.array([0.1, 0.2j, -0.3, 0.4])
    circuit = kg.Circuit([kg.prepare_state(vector, 1, 0, normalize=True)])
    expected = (vector / np.linalg.norm(vector)).reshape(2, 2).T.ravel()
    np.testing.assert_allclose(state_of(circuit), expected, atol=1e-15)


def test_amplitudes_that_become_numbers_make_a_constant_preparation():
    circuit = kg.Circuit([kg.prepare_state(kg.x[0:4], 0, 1, normalize=True)])
    encoded = circuit.encode([1.0, 2.0, 0.0, 2.0])
    assert encoded.ops == (kg.prepare_state([1 / 3, 2 / 3, 0, 2 / 3], 0, 1),)
    with pytest.raises(ValueError, match="norm"):
        circuit.encode([0.0] * 4)


def test_preparing_a_state_on_used_qubits_is_refused():
    circuit = kg.Circuit([kg.h(0), kg.prepare_state([0.6, 0.8], 0)])
    with pytest.raises(ValueError, match="must come before"):
        compile(circuit, State())


def test_the_depth_counts_layers():
    assert kg.Circuit([kg.h(0), kg.h(1), kg.cx(0, 1), kg.h(2)]).depth == 2
    assert kg.Circuit([]).depth == 0


def test_every_method_keeps_the_register():
    circuit = kg.Circuit([kg.ry(kg.w[0], 0), kg.rx(kg.x[0], 1)], 5)
    kept = {
        "relabel": circuit.relabel(range(5)), "turned round": circuit.relabel([4, 3, 2, 1, 0]),
        "bind": circuit.bind([0.1]), "encode": circuit.encode([0.1]), "inverse": circuit.inverse(),
        "control": circuit.control(4), "times": circuit * 2, "plus": circuit + circuit, "plus an op": circuit + kg.h(0),
        "map_angles": circuit.map_angles(lambda angle: 2 * angle), "slice": circuit[:1], "again": kg.Circuit(circuit),
        "copied": copy.copy(circuit),
    }  # fmt: skip
    assert {name: changed.num_qubits for name, changed in kept.items()} == dict.fromkeys(kept, 5)
    assert circuit.relabel([6, 7, 8, 9, 3]).num_qubits == 10
    assert circuit.relabel(range(5), 7).num_qubits == 7 and kg.Circuit([], 0).relabel([]).num_qubits == 0


def test_a_circuit_is_read_as_the_sequence_of_its_ops():
    circuit = kg.Circuit([kg.h(0), kg.cx(0, 1), kg.ry(kg.w[2], 1)], 3)
    assert circuit[0] == kg.h(0) and circuit[-1] == circuit.ops[2] and list(circuit) == list(circuit.ops)
    assert circuit[1:] == kg.Circuit(circuit.ops[1:], 3) and circuit[np.int64(1)] == kg.cx(0, 1)
    assert operator.mul(np.int64(2), circuit) == circuit * 2 == 2 * circuit
    for index, error in (
        (3, IndexError),
        (-4, IndexError),
        ("a", TypeError),
        (0.5, TypeError),
        (None, TypeError),
    ):
        with pytest.raises(error) as refusal:
            _ = circuit[index]
        assert isinstance(refusal.value, kg.KetgradError)


def test_an_op_is_added_where_no_weight_can_be_meant_otherwise():
    circuit = kg.Circuit([kg.ry(kg.w[0], 0)])
    assert circuit + kg.cx(0, 1) == kg.Circuit([*circuit.ops, kg.cx(0, 1)])
    assert circuit + kg.rx(kg.x[0], 0) == kg.Circuit([*circuit.ops, kg.rx(kg.x[0], 0)])
    with pytest.raises(kg.KetgradError, match=r"Circuit\(\[\*circuit.ops, op\]\)"):
        circuit + kg.rx(kg.w[0], 0)


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (lambda: kg.Circuit(3), r"Circuit\(\[\], 3\)"),
        (lambda: kg.Circuit(kg.h(0)), r"Circuit\(\[h\(0\)\]\)"),
        (lambda: kg.Circuit([kg.h]), r"kg.h\("),
        (lambda: kg.Circuit([kg.Circuit([])]), r"with \+"),
        (lambda: kg.Circuit(["h"]), "entry 0 is str"),
        (lambda: kg.Circuit(None), "list of ops"),
        (lambda: kg.h(0) + kg.x(0), r"Circuit\(\[h\(0\), x\(0\)\]\)"),
        (lambda: kg.h(0) * 3, r"Circuit\(\[h\(0\)\]\) \* 3"),
        (lambda: kg.Circuit([]).encode([1.0]), "0 entries"),
        (lambda: kg.encodings.angle(2).encode([1.0]), "2 entries"),
        (lambda: kg.encodings.angle(2).encode(1.0), "list"),
        (lambda: kg.Circuit([kg.rx(kg.w[0], 0)]).bind([[1.0], [1.0, 2.0]]), "unequal"),
        (lambda: kg.Circuit([kg.h(0)]) * 2**63, "10000000 ops"),
        (lambda: kg.Circuit([]).control(3, 3), "more than once"),
        (lambda: kg.Circuit([], 2**63), "at most"),
    ],
)
def test_what_is_no_circuit_is_answered_with_the_way_to_write_it(make, cure):
    with pytest.raises(kg.KetgradError, match=cure):
        make()


def builders():
    return {name: getattr(kg, name) for name in kg.__all__ if name not in ("torch", "jax")} | {
        "w": kg.w,
        "x": kg.x,
    }


@pytest.mark.parametrize("seed", range(8))
def test_the_repr_of_a_circuit_reads_back_as_the_same_value(seed):
    circuit = random_circuit(4, 10, seed)
    kept = [op for op in circuit.ops if "..." not in repr(op)]
    for ops in (kept, [op.inverse() for op in kept if op.gate.amplitudes is None]):
        same = kg.Circuit(ops, 4)
        assert eval(repr(same), builders()) == same


def test_the_repr_of_every_kind_of_op_reads_back_or_says_that_it_does_not():
    angle = 0.1 + 2 * kg.w[3] * kg.x[0] - kg.w[1] ** 2 / 3 - kg.x[2] + 1e-20 * kg.arccos(kg.x[1])
    ops = [
        kg.rx(angle, 0), kg.rx(-angle, 0), kg.ry(np.pi, 1).control(0, 2), kg.u3(angle, 1e22, -0.5, 3).inverse(),
        kg.iswap(0, 1).inverse().control(2), kg.pauli_rotation(angle, "XIZ", 0, 1, 2), kg.x(1).inverse(), kg.rz(0, 1),
        kg.prepare_state(kg.x[0:3], 0, 1, normalize=True), kg.prepare_state([0.5 * kg.w[0], 0.1], 0), kg.gphase(1.0),
    ]  # fmt: skip
    for op in ops:
        assert eval(repr(op), builders()) == op, repr(op)
    for op in (
        kg.unitary(np.eye(2), 0),
        kg.prepare_state([1, 0], 0),
        kg.prepare_state(kg.x[0:32], *range(5)),
    ):
        assert "..." in repr(op)
    assert repr(kg.Circuit([kg.h(0)] * 13)).startswith("<Circuit: 13 ops")


@pytest.mark.parametrize(
    "work",
    [
        lambda a: np.sin(a), lambda a: np.exp(a), lambda a: np.arctan2(a, 1.0), lambda a: np.add.reduce(a), float,
        lambda a: 1 / a, lambda a: a % 2, lambda a: 2**a, abs, lambda a: a // 2, lambda a: a**0.5, lambda a: a**a,
        lambda a: a / 0, lambda a: a / np.nan, lambda a: a * np.inf, lambda a: a + np.nan, lambda a: a * 10**400,
        lambda a: 1e308 * a * 10, lambda a: 1e308 * a + 1e308 * a, lambda a: a * a * a, math.sin,
        lambda a: np.float64(np.nan) * a,
    ],
)  # fmt: skip
def test_what_is_no_polynomial_of_an_angle_is_refused_in_words(work):
    with pytest.raises(kg.KetgradError, match=r"[Aa]ngle"):
        work(kg.w[0])


def test_numbers_and_arrays_of_numpy_make_angles():
    angle = kg.w[0]
    assert np.float64(2) * angle == 2 * angle and np.float32(0.5) + angle == angle + 0.5
    assert list(np.array([1.0, 2.0]) * angle) == [angle, 2 * angle]
    assert list(np.array([angle, kg.x[0]]) - angle) == [angle * 0, kg.x[0] - angle]
    assert (
        np.float64(2) - angle == 2 - angle and -angle == np.negative(angle) and float(angle * 0 + 0.5) == 0.5
    )


@pytest.mark.parametrize(
    "terms", [None, 3, "ab", [1], [((("w", 0),), "a")], [((("w", 0),), np.nan)], [((("v", 0),), 1.0)],
              [((("w", -1),), 1.0)], [((("w", 0.5),), 1.0)], [((("w", 0),) * 3, 1.0)], [("w", 1.0)]],
)  # fmt: skip
def test_terms_that_are_no_polynomial_are_refused(terms):
    with pytest.raises(kg.KetgradError):
        kg.Angle(terms)


def test_terms_of_angles_in_any_order_are_one_value():
    assert (
        kg.Angle([((("x", 0), ("w", 1)), 1), ((), 0.5), ((("w", 1), ("x", 0)), 1.0)])
        == 2 * kg.w[1] * kg.x[0] + 0.5
    )


@pytest.mark.parametrize("index", [-1, 0.5, "a", None, True, slice(None), slice(0, 2**63), slice("a", 3)])
def test_an_index_of_a_variable_is_a_number_that_can_be_meant(index):
    with pytest.raises(kg.KetgradError):
        kg.w[index]
