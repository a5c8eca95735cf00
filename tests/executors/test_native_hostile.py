"""Arguments that no caller passes to the compiled core are refused or harmless, at every entry."""

import itertools

import numpy as np
import pytest
from native_programs import random_program

from ketgrad import _native

REFUSED = (ValueError, TypeError, OverflowError, MemoryError)
SETS = _native.instruction_sets()
WHOLE = [-(2**63), -(2**31), -1, 0, 1, 2, 3, 63, 2**31 - 1, 2**31, 2**62, 2**63 - 1, 2**63, 2**64]
THREADS = [-(2**31), -1, 0, 1, 3, 300, 2**31 - 1]
ODD_NUMBERS = [np.nan, np.inf, -np.inf, -1.0, 0.0, 1.0, 2.0, 1e308, -1e308, 5e-324]


def tried(call, *arguments):
    """What the call returns; None where it refuses."""
    try:
        return call(*arguments)
    except REFUSED:
        return None


def states(count, length, kind=np.complex128):
    generator = np.random.default_rng(count)
    rows = generator.normal(size=(count, length)) + 1j * generator.normal(size=(count, length))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(kind)


class Guarded:
    """A matrix inside a larger array whose margin must not change."""

    def __init__(self, shape, kind):
        self.whole = np.full((shape[0] + 8) * max(1, shape[1]), 7, kind)
        self.inside = self.whole[4 * max(1, shape[1]) :][: shape[0] * shape[1]].reshape(shape)

    def margin_is_intact(self):
        width = max(1, self.inside.shape[1])
        return (self.whole[: 4 * width] == 7).all() and (
            self.whole[4 * width + self.inside.size :] == 7
        ).all()


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", [np.complex128, np.complex64])
def test_products_of_states_are_written_inside_the_result_or_not_at_all(name, kind):
    a, b = (_native.LaneStates(states(count, 6, kind), 2, name) for count in (3, 5))
    done = 0
    for rows, columns in ((a, a), (a, b), (b, a)):
        for shape in ((0, 0), (1, 9), (3, 5), (5, 3), (8, 8), (9, 2)):
            for first_row, first_column in itertools.product(WHOLE, WHOLE):
                result = Guarded(shape, np.real(np.zeros(1, kind)).dtype)
                for mirrors in (False, True):
                    tried(
                        _native.multiply_states,
                        rows,
                        columns,
                        result.inside,
                        first_row,
                        first_column,
                        mirrors,
                        1,
                    )
                    assert result.margin_is_intact()
                done += (result.inside != 7).any()
    assert done > 10
    matrix = np.zeros((5, 5))
    for wrong in (
        matrix[::2],
        matrix[:, 1:4],
        np.zeros(5),
        np.zeros((5, 5), int),
        None,
        "a",
        np.zeros((5, 5), object),
    ):
        with pytest.raises(REFUSED):
            _native.multiply_states(a, a, wrong, 0, 0, False, 1)
    read_only = np.zeros((5, 5), np.real(np.zeros(1, kind)).dtype)
    read_only.flags.writeable = False
    with pytest.raises(REFUSED):
        _native.multiply_states(a, a, read_only, 0, 0, False, 1)
    for other in (_native.LaneStates(states(3, 5, kind), 1, name), None, 3, a.nbytes):
        with pytest.raises(REFUSED):
            _native.multiply_states(a, other, read_only.copy(), 0, 0, False, 1)


@pytest.mark.parametrize("name", SETS)
def test_any_number_of_threads_is_harmless(name):
    """300 threads for 13 groups start 12 at most; the results are those of one."""
    many = states(200, 40)
    alone = _native.LaneStates(many, 1, name)
    wanted = np.zeros((200, 200))
    _native.multiply_states(alone, alone, wanted, 0, 0, False, 1)
    for threads in THREADS:
        packed, result = _native.LaneStates(many, threads, name), np.zeros((200, 200))
        _native.multiply_states(packed, packed, result, 0, 0, False, threads)
        np.testing.assert_array_equal(result, wanted)
    for wrong in WHOLE[:2] + WHOLE[-3:]:
        tried(_native.LaneStates, many, wrong, name)


def test_states_of_odd_shapes_and_types_are_refused_or_packed():
    for shape in ((0, 0), (0, 4), (4, 0), (1, 1), (3, 7)):
        for kind in (np.complex128, np.complex64):
            packed = _native.LaneStates(np.zeros(shape, kind), 1, "")
            result = np.ones((shape[0], shape[0]), np.real(np.zeros(1, kind)).dtype)
            _native.multiply_states(packed, packed, result, 0, 0, False, 2)
            assert not result.any() and packed.nbytes >= 0
    square = states(4, 4)
    for wrong in (
        square[:, ::2],
        square.T,
        square.real,
        square.astype(np.clongdouble),
        square[0],
        None,
        "states",
        3,
    ):
        with pytest.raises(REFUSED):
            _native.LaneStates(wrong, 1, "")
    odd = square.copy()
    odd[1, 2], odd[3, 0] = np.nan, np.inf
    packed, result = _native.LaneStates(odd, 1, ""), np.zeros((4, 4))
    _native.multiply_states(packed, packed, result, 0, 0, False, 1)
    with pytest.raises(REFUSED):
        _native.LaneStates(square, 1, "quantum")


def test_draws_from_anything_are_outcomes_or_a_refusal():
    good = np.full(5, 0.2)
    uniforms = np.array([*ODD_NUMBERS, 0.5, np.nextafter(1, 0)])
    for size in (1, 2, 5, 1000):
        found = _native.draw(np.full(size, 1 / size), uniforms)
        assert found.dtype == np.uint64 and (found < size).all()
    for place, odd in itertools.product(range(5), ODD_NUMBERS):
        chances = good.copy()
        chances[place] = odd
        found = tried(_native.draw, chances, uniforms)
        legal = np.isfinite(odd) and odd >= 0
        assert (found is not None) == legal
        if found is not None:
            assert (chances[found.astype(int)] > 0).all()
    for wrong in (
        np.zeros(0),
        np.zeros(4),
        np.full(3, 1e308),
        good[::2],
        good.astype(np.float32),
        None,
        [0.5, 0.5],
    ):
        with pytest.raises(REFUSED):
            _native.draw(wrong, uniforms)
    for wrong in (uniforms[::2], np.zeros(3, np.float32), None, 0.5):
        with pytest.raises(REFUSED):
            _native.draw(good, wrong)
    assert len(_native.draw(good, np.zeros(0))) == 0


def odd_arrays(array):
    """Arrays like this one that do not fit: of other shapes, layouts, types and origins, and None."""
    other = np.float32 if array.dtype == np.float64 else np.complex64
    wide = np.zeros((array.shape[0], array.shape[1] + 1), array.dtype)
    return [
        wide, array[:, :-1], array[:0], array[0], array[None], np.asfortranarray(np.vstack([array, array])),
        np.repeat(array, 2, axis=1)[:, ::2], array.astype(other), np.real(array).astype(np.int64), array.astype(object),
        array.astype(array.dtype.newbyteorder()),
        np.concatenate([array] * 3), array.tolist(), "array", 1.0, None,
    ]  # fmt: skip


@pytest.mark.parametrize("question", [0, 1, 2])
@pytest.mark.parametrize("name", SETS)
def test_calls_with_any_array_in_any_place_are_answered_or_refused(name, question):
    arrays = random_program(question, 3, question=question, length=6, prepare=True)
    program = _native.Program(**arrays, instruction_set=name, free_bytes=2**26)
    weights, inputs = np.full((1, arrays["num_weights"]), 0.3), np.full((4, arrays["num_inputs"]), 0.2)
    second, values = program.second(), program.run(weights, inputs, 1)
    cotangent = np.ones_like(values)
    ways = {
        "run": (program.run, [weights, inputs], [1]),
        "vjp": (program.vjp, [weights, inputs, cotangent], [1]),
        "vjp with a slope": (
            lambda w, x, c, s: program.vjp(w, x, c, 1, s),
            [weights, inputs, cotangent, cotangent],
            [],
        ),
        "call": (program.call, [weights, inputs], [None, False]),
        "call in single precision": (program.call, [weights, inputs], [None, True]),
        "call_vjp": (program.call_vjp, [weights, inputs, cotangent, cotangent], [None, False]),
        "jvp": (second.jvp, [weights, inputs, weights, inputs], [1]),
        "hvp": (second.hvp, [weights, inputs, cotangent, weights, inputs, cotangent], [1]),
    }
    if question == 2:
        ways["lane_states"] = (program.lane_states, [weights, inputs], [1])
    for call, given, rest in ways.values():
        tried(call, *given, *rest)
        for place, array in enumerate(given):
            for odd in odd_arrays(array):
                tried(call, *given[:place], odd, *given[place + 1 :], *rest)
            for number in ODD_NUMBERS:
                strange = array.copy()
                strange.flat[0] = number
                tried(call, *given[:place], strange, *given[place + 1 :], *rest)
        for threads in THREADS:
            tried(call, *given, *([threads] if len(rest) == 1 else [threads, False] if rest else []))
    for threads, batch, backward in itertools.product(THREADS, WHOLE, (False, True)):
        tried(program.bytes_needed, batch, threads, backward)
        tried(second.bytes_needed, batch, threads, backward)
        tried(program.plan, batch)
    np.testing.assert_array_equal(program.run(weights, inputs, 3), values)


def test_counts_near_the_ends_of_their_types_are_refused():
    arrays = random_program(1, 3, prepare=False)
    for name, value in itertools.product(("num_qubits", "num_weights", "num_inputs", "question"), WHOLE):
        program = tried(lambda changed: _native.Program(**changed), arrays | {name: value})
        assert program is None or 0 <= value <= 2**40, name
        if program is not None and value <= 3:
            program.plan(1)
    for option, value in itertools.product(("block_bits", "default_threads", "free_bytes"), WHOLE):
        tried(lambda options: _native.Program(**arrays, **options), {option: value})
