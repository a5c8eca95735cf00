"""Functions of the native core that work on arrays alone: Gram matrices of states, draws from a distribution."""

import itertools

import numpy as np
import pytest

from ketgrad import _native


def states(seed, count, length, kind=np.complex128):
    rng = np.random.default_rng([seed, count, length])
    result = rng.normal(size=(count, length)) + 1j * rng.normal(size=(count, length))
    return (result / np.linalg.norm(result, axis=1, keepdims=True)).astype(kind)


def gram(a, b=None, threads=1, name=""):
    """|<a_i|b_j>|^2 by the panels of the core."""
    rows = _native.LaneStates(a, threads, name)
    columns = rows if b is None else _native.LaneStates(b, threads, name)
    result = np.empty((len(a), len(a if b is None else b)), a.real.dtype)
    _native.multiply_states(rows, columns, result, threads=threads)
    return result


@pytest.mark.parametrize("name", _native.instruction_sets())
@pytest.mark.parametrize("kind", [np.complex128, np.complex64])
def test_gram_equals_the_product_of_the_states(name, kind):
    tolerance = 1e-13 if kind == np.complex128 else 1e-5
    for rows, columns, length in [(1, 1, 2), (3, 70, 8), (65, 9, 300), (70, 70, 64)]:
        a, b = states(1, rows, length, kind), states(2, columns, length, kind)
        got = gram(a, b, name=name)
        np.testing.assert_allclose(got, np.abs(a.conj() @ b.T) ** 2, atol=tolerance)


def test_gram_of_states_among_themselves_is_exactly_symmetric():
    for count, length in [(5, 4), (130, 64), (200, 256)]:
        a = states(3, count, length)
        got = gram(a)
        np.testing.assert_array_equal(got, got.T)
        np.testing.assert_allclose(got, np.abs(a.conj() @ a.T) ** 2, atol=1e-13)
        assert got.max() <= 1


def test_gram_is_the_same_for_any_number_of_threads():
    a, b = states(4, 300, 128), states(5, 100, 128)
    for threads, others in itertools.product([2, 3, 8], [None, b]):
        np.testing.assert_array_equal(gram(a, others, threads), gram(a, others, 1))


def test_gram_refuses_states_that_do_not_match():
    with pytest.raises(ValueError, match="length"):
        gram(states(1, 3, 4), states(1, 3, 8))
    with pytest.raises(ValueError, match="complex"):
        gram(np.ones((2, 2)))


def test_draws_are_those_of_a_sorted_search():
    rng = np.random.default_rng(7)
    for outcomes in (1, 2, 5, 1000, 4096):
        chances = rng.random(outcomes) * (rng.random(outcomes) < 0.5) + (np.arange(outcomes) == outcomes // 2)
        uniforms = np.concatenate([rng.random(5000), [0.0, 1 - 2**-53]])
        cumulated = np.cumsum(chances)
        expected = np.minimum(
            np.searchsorted(cumulated, uniforms * cumulated[-1], side="right"), outcomes - 1
        )
        drawn = _native.draw(chances, uniforms)
        np.testing.assert_array_equal(drawn, expected)
        assert (chances[drawn] > 0).all()
