"""No content of the arrays of a program may crash the process: it is refused with ValueError, or it runs."""

import numpy as np
import pytest
from native_programs import make_program, random_program

from ketgrad import _native

STRANGE = {
    np.dtype(np.int64): [-1, 0, 1, 7, 63, 64, 2**31, 2**40, -(2**63), 2**63 - 1],
    np.dtype(np.uint64): [0, 1, 5, 2**20, 2**40, 2**63, 2**64 - 1],
    np.dtype(np.uint8): [0, 1, 2, 3, 255],
    np.dtype(np.float64): [0.0, np.nan, np.inf, -1e300, 1e-310],
    np.dtype(np.complex128): [0.0, np.nan, 1j * np.inf, 1e300],
}


def damaged(arrays, rng):
    """The same arrays with one entry replaced, one array cut short or lengthened, or a count changed."""
    arrays = dict(arrays)
    name = str(rng.choice([k for k in arrays if k != "question"]))
    value = arrays[name]
    if not isinstance(value, np.ndarray):
        arrays[name] = int(rng.choice([-1, 0, 1, 2, 9, 41, 64, 2**40]))
    elif len(value) and rng.random() < 0.7:
        value = value.copy()
        choices = STRANGE[value.dtype]
        value[rng.integers(len(value))] = choices[rng.integers(len(choices))]
        arrays[name] = value
    else:
        arrays[name] = value[:-1] if rng.random() < 0.5 else np.concatenate([value, value[:1]])
    return arrays


def use(arrays, reals=(np.float64,), **options):
    """Build the program and run all that it can do; whether it was refused."""
    try:
        program = _native.Program(**arrays, **options)
    except (ValueError, TypeError, OverflowError, MemoryError):
        return True
    if not (0 <= arrays["num_qubits"] < 12 and arrays["num_weights"] <= 9 and arrays["num_inputs"] <= 9):
        return False
    for real in (np.float64, np.float32):
        weights, inputs = (
            np.zeros((1, arrays["num_weights"]), real),
            np.zeros((3, arrays["num_inputs"]), real),
        )
        values = program.run(weights, inputs, 1)
        program.vjp(weights, inputs, np.ones_like(values), 1)
    program.plan(1)
    program.bytes_needed(3, 2, True)
    return False


def test_damaged_programs_are_refused_or_run():
    refused = 0
    for seed in range(1500):
        rng = np.random.default_rng(seed)
        arrays = random_program(seed % 40, int(rng.integers(1, 6)), question=int(rng.integers(3)), length=6)
        for _ in range(int(rng.integers(1, 4))):
            arrays = damaged(arrays, rng)
        refused += use(arrays)
    assert 500 < refused < 1500


def test_damaged_programs_in_blocks_are_refused_or_run():
    refused = 0
    for seed in range(200):
        rng = np.random.default_rng([1, seed])
        arrays = random_program(seed % 40, int(rng.integers(1, 10)), question=int(rng.integers(3)), length=12)
        for _ in range(int(rng.integers(0, 3))):
            arrays = damaged(arrays, rng)
        refused += use(arrays, (np.float64, np.float32), block_bits=6)
    assert 30 < refused < 170


@pytest.mark.parametrize("question", [0, 1, 2])
def test_every_entry_of_every_array_can_be_anything(question):
    """Each array in turn: strange values at its first and last place, entries too many, too few, another type."""
    arrays = random_program(3, 4, question=question, length=5, prepare=True)
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray):
            continue
        changed = [
            value[:-1],
            value[:0],
            np.concatenate([value, value[:1]]),
            value[::-1],
            value.real.astype(np.int8),
        ]
        for strange in STRANGE[value.dtype]:
            for place in {0, len(value) - 1} if len(value) else ():
                one = value.copy()
                one[place] = strange
                changed.append(one)
        for one in changed:
            use(arrays | {name: one})


def test_refusals_say_what_is_wrong():
    arrays = random_program(1, 3, prepare=False)
    for changes, words in [
        ({"num_qubits": 41}, "qubits"),
        ({"x": arrays["x"] | np.uint64(2**50)}, "out of range"),
        ({"kind": np.full_like(arrays["kind"], 9)}, "kind"),
        ({"term_start": arrays["term_start"][:-1]}, "start array"),
        ({"instruction_set": "quantum"}, "instruction set"),
        ({"without": ["speed"]}, "passes"),
    ]:
        with pytest.raises(ValueError, match=words):
            _native.Program(**(arrays | changes))


def test_calls_refuse_arrays_that_do_not_fit():
    program = _native.Program(**random_program(1, 3, prepare=False))
    weights, inputs = np.zeros((1, 3)), np.zeros((4, 2))
    for wrong in [(np.zeros((1, 4)), inputs), (weights, np.zeros((4, 3))), (np.zeros((3, 3)), inputs)]:
        with pytest.raises(ValueError, match=r"wrong|differ"):
            program.run(*wrong, 1)
    with pytest.raises(ValueError, match="float"):
        program.run(weights, inputs.astype(np.float32), 1)
    with pytest.raises(TypeError):
        program.run(weights, inputs[:, ::-1], 1)
    with pytest.raises(ValueError, match="cotangent"):
        program.vjp(weights, inputs, np.zeros((3, 1)), 1)


def test_no_qubits_no_instructions_no_samples():
    empty = make_program(0, 1, 1, [], 2)
    np.testing.assert_array_equal(
        _native.Program(**empty).run(np.zeros((1, 1)), np.zeros((2, 1)), 1), np.ones((2, 1))
    )
    nothing = _native.Program(**random_program(1, 3, prepare=False))
    values = nothing.run(np.zeros((1, 3)), np.zeros((0, 2)), 1)
    assert values.shape[0] == 0
    _, dweights, dinputs = nothing.vjp(np.zeros((1, 3)), np.zeros((0, 2)), values, 1)
    assert (dweights == 0).all() and dinputs.shape == (0, 2)
