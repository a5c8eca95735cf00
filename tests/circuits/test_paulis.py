"""Pauli sums: an algebra that agrees with its matrices, and a text that reads back as the same value."""

import copy
import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ketgrad as kg
from ketgrad.circuits.pauli_words import reverse_bits
from ketgrad.circuits.paulis import PauliSum
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import Expect

terms = st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from([1.0, -0.5, 2.0, 0.25]))
sums = st.lists(terms, min_size=1, max_size=5).map(PauliSum.collect)


@settings(max_examples=60, deadline=None)
@given(sums, sums)
def test_the_algebra_is_that_of_the_matrices(a, b):
    np.testing.assert_allclose((a * b).matrix(3), a.matrix(3) @ b.matrix(3), atol=1e-12)
    np.testing.assert_allclose((a + b).matrix(3), a.matrix(3) + b.matrix(3), atol=1e-12)
    np.testing.assert_allclose((2 * a - b / 4).matrix(3), 2 * a.matrix(3) - b.matrix(3) / 4, atol=1e-12)
    np.testing.assert_allclose((a * b).dagger().matrix(3), (a.matrix(3) @ b.matrix(3)).conj().T, atol=1e-12)
    commutator = a.matrix(3) @ b.matrix(3) - b.matrix(3) @ a.matrix(3)
    assert a.commutes_with(b) == bool(np.abs(commutator).max() < 1e-12)


@settings(max_examples=60, deadline=None)
@given(sums, sums)
def test_the_text_reads_back_as_the_same_value(a, b):
    for value in (a, a * b):
        assert kg.Pauli(str(value)) == value
        assert eval(repr(value), {"Pauli": kg.Pauli}) == value
        assert hash(kg.Pauli(str(value))) == hash(value)


def test_qubit_zero_is_the_leftmost_factor():
    x, z = np.array([[0, 1], [1, 0]]), np.diag([1, -1])
    np.testing.assert_allclose(kg.Pauli("X0 Z1").matrix(), np.kron(x, z))
    np.testing.assert_allclose(kg.Pauli("X0").matrix(2), np.kron(x, np.eye(2)))


@pytest.mark.parametrize(
    ("text", "same"),
    [("I0", "1"), ("X0 X0", "1"), ("X0 Y0", "1j Z0"), ("-Z0 + 2", "2 - Z0"), ("2*Z0*Z3", "2 Z3 Z0"), ("Z0@Z1", "Z0 Z1"),
     ("- -Z0", "Z0"), ("1e-3 X1", "0.001 X1"), ("(1+2j) X0", "1 X0 + 2j X0"), ("Z0 - Z0", "0")],
)  # fmt: skip
def test_forms_of_writing(text, same):
    assert kg.Pauli(text) == kg.Pauli(same)


@pytest.mark.parametrize("text", ["", "Z", "Z0 +", "Q3", "Z0 Z1 &", "+", "Z99999999", "Z-1"])
def test_what_cannot_be_read_is_refused_with_its_place(text):
    with pytest.raises(kg.KetgradError, match="`text`"):
        kg.Pauli(text)


def test_relabelling_moves_letters_to_other_qubits():
    assert kg.Pauli("X0 Z1 + Y2").relabel([5, 0, 3]) == kg.Pauli("X5 Z0 + Y3")


def test_an_operator_with_imaginary_parts_is_not_hermitian():
    assert kg.Pauli("Z0").is_hermitian and not kg.Pauli("1j Z0").is_hermitian
    assert kg.Pauli("1j Z0").antihermitian_part == 1.0


def test_the_matrix_of_too_few_qubits_or_of_too_many_is_refused():
    with pytest.raises(kg.KetgradError, match="at least 3"):
        kg.Pauli("Z2").matrix(2)
    with pytest.raises(MemoryError, match="needs"):
        kg.Pauli("Z40").matrix()


@given(st.integers(0, 2**20 - 1))
def test_reversing_bits_twice_changes_nothing(mask):
    assert reverse_bits(reverse_bits(mask, 20), 20) == mask


@pytest.mark.parametrize(
    ("qubits", "error"),
    [([1], ValueError), ([0, 0], ValueError), ([1, 1], ValueError), ([-1, 0], IndexError), ([1.5, 0], TypeError),
     (["a", "b"], TypeError), ([True, 0], TypeError), ([0, 2**70], IndexError), ("01", TypeError), (3, TypeError),
     (None, TypeError), ([], ValueError)],
)  # fmt: skip
@pytest.mark.parametrize("value", [kg.Pauli("Z0 X1"), kg.Circuit([kg.cx(0, 1)])], ids=["sum", "circuit"])
def test_relabelling_takes_one_new_name_for_each_qubit_and_no_name_twice(value, qubits, error):
    with pytest.raises(error) as refusal:
        value.relabel(qubits)
    assert isinstance(refusal.value, kg.KetgradError)


@settings(max_examples=40, deadline=None)
@given(sums, st.permutations(range(5)))
def test_relabelling_moves_the_factors_of_the_matrix(a, places):
    moved = a.relabel(places).matrix(5).reshape((2,) * 10)
    axes = [places[k] for k in range(5)] + [5 + places[k] for k in range(5)]
    np.testing.assert_allclose(moved.transpose(axes).reshape(32, 32), a.matrix(5), atol=1e-12)


@pytest.mark.parametrize(
    "text",
    ["Z0.5", "Z0 2", "Z0 .5", "Z0 2 X1", "2 3 Z0", "1 000 Z0", "2.5.5 Z0", "(1+2j)(3) Z0", "Z0(2)", "Z0**2",
     "Z0 * * Z1", "* Z0", "Z0 *", "Z0 @", "1e999 Z0", "(nan) Z0", "(inf) Z0", "-(1e999j)", "1e200 * 1e200 Z0", "Z0 ZZ"],
)  # fmt: skip
def test_a_number_counts_only_where_it_cannot_be_a_slip(text):
    with pytest.raises(kg.KetgradError, match=r"`text`|finite"):
        kg.Pauli(text)


@pytest.mark.parametrize(
    ("text", "cure"), [("ZZ", "Z0 Z1"), ("XIZ", "X0 Z2"), ("0.5 ZZ + XI", "Z0 Z1"), ("Z", "Z0"), ("II", "I0")]
)
def test_a_word_without_places_is_answered_with_its_places(text, cure):
    with pytest.raises(kg.KetgradError, match=f"write '{cure}'"):
        kg.Pauli(text)


@pytest.mark.parametrize("factor", [np.nan, np.inf, 1e308, 10**400, complex(0, np.nan), np.float64(np.nan)])
def test_no_arithmetic_makes_a_coefficient_that_is_not_finite(factor):
    large = kg.Pauli("1e308 Z0 + X1")
    for work in (lambda: large * factor, lambda: factor * large, lambda: large + large + factor * kg.Pauli("Z0"),
                 lambda: large - factor - factor + large + large, lambda: 2 * (large + factor)):  # fmt: skip
        with pytest.raises(kg.KetgradError, match=r"finite|larger"):
            work()


@settings(max_examples=60, deadline=None)
@given(st.lists(sums, min_size=1, max_size=6), st.integers(0, 2**6))
def test_a_sum_is_the_same_value_whenever_and_in_whatever_order_it_is_read(parts, readings):
    grown, at_once = kg.Pauli("0"), PauliSum(term for part in parts for term in part.terms)
    for k, part in enumerate(parts):
        grown = grown + part if k % 2 else part + grown
        if readings >> k & 1:
            assert len(grown) == len(grown.terms)
    assert grown == at_once and hash(grown) == hash(at_once) and repr(grown) == repr(at_once)
    assert sum(parts) == at_once and pickle.loads(pickle.dumps(grown)) == at_once == copy.deepcopy(grown)
    with pytest.raises(AttributeError):
        grown.terms = ()
    assert (grown + 1) - 1 == grown + 0  # reading one sum leaves those that it was made of as they are


def test_five_thousand_words_are_added_one_by_one_within_a_second():
    rng = np.random.default_rng(0)
    words = [
        kg.Pauli(" ".join(f"{'XYZ'[rng.integers(3)]}{q}" for q in rng.choice(24, 8, replace=False)))
        for _ in range(5000)
    ]
    start, grown = time.process_time(), kg.Pauli("0")
    for word in words:
        grown = grown + word
    assert len(grown) == len(sum(words)) == 5000
    assert time.process_time() - start < 1.0


@settings(max_examples=20, deadline=None)
@given(sums, st.integers(0, 3))
def test_a_power_is_the_repeated_product(a, power):
    expected = np.linalg.matrix_power(a.matrix(3), power)
    np.testing.assert_allclose((a**power).matrix(3), expected, atol=1e-9)


@pytest.mark.parametrize("power", [-1, 0.5, 2**63, True, None, "2"])
def test_a_power_is_a_small_integer(power):
    with pytest.raises(kg.KetgradError, match="power"):
        kg.Pauli("Z0") ** power


ASKED_OF_SUMS = (
    lambda h: kg.expectation(kg.Circuit([kg.ry(0.3, 0)]), h)(),
    lambda h: compile(kg.Circuit([kg.ry(0.3, 0)]), Expect((h,))),
    lambda h: kg.hamiltonians.exact_ground_state(h),
    lambda h: kg.ansatz.qaoa_ansatz(h),
    lambda h: kg.Gate("mine", 1, 1, "", None, h, angle_names=("t",)),
)


@pytest.mark.parametrize("ask", ASKED_OF_SUMS)
def test_what_is_hermitian_is_one_rule_everywhere(ask):
    ask(kg.Pauli("1000 Z0 + 1e-10j"))  # rounding of the largest coefficient
    ask(kg.Pauli("1e-20 Z0"))
    for wrong in ("Z0 + 1e-10j", "1e-3 Z0 + 1e-13j", "1j Z0"):
        assert not kg.Pauli(wrong).is_hermitian
        with pytest.raises(kg.KetgradError, match="Hermitian"):
            ask(kg.Pauli(wrong))


@pytest.mark.parametrize(
    "terms", [None, 3, "ab", [1], [(1, 0)], [("a", 0, 1.0)], [(0.5, 0, 1.0)], [(-1, 0, 1.0)], [(1, 0, "a")],
              [(1, 0, None)], [(1, 0, np.nan)], [(1, 0, kg.w[0])], [(1, 0, [2.0])]],
)  # fmt: skip
def test_terms_that_are_no_words_are_refused(terms):
    for make in (kg.PauliSum, kg.PauliSum.collect):
        with pytest.raises(kg.KetgradError):
            make(terms)


def test_terms_in_any_order_are_one_value():
    assert kg.PauliSum([(0, 1, 1.0), (1, 0, 2), (0, 1, 1.0), (3, 0, 0.0)]) == kg.Pauli("2 X0 + 2 Z0")


def test_masks_of_many_bits_are_reversed_as_those_of_few():
    for mask, width in ((2**200 - 1, 300), (sum(1 << 3 * k for k in range(100)), 301), (5, 64)):
        expected = sum(1 << (width - 1 - q) for q in range(width) if mask >> q & 1)
        assert reverse_bits(mask, width) == expected
