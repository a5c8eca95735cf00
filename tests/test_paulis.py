"""Pauli sums: an algebra that agrees with its matrices, and a text that reads back as the same value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ketgrad as kg
from ketgrad.paulis import PauliSum, reverse_bits

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
