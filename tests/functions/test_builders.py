"""expectation, probabilities, state and samples: what every wrong argument is told."""

import numpy as np
import pytest
from function_samples import CIRCUIT, F

import ketgrad as kg


def test_q8_an_observable_that_is_not_hermitian_is_refused_with_its_deviation():
    for wrong, deviation in (
        (kg.Pauli("Z0") + 1j * kg.Pauli("X1"), "2 in the term"),
        (0.25j * kg.Pauli("Y0"), "0.5 in"),
    ):
        with pytest.raises(ValueError, match=deviation):
            kg.expectation(CIRCUIT, [kg.Pauli("Z0"), wrong])
    with pytest.raises(ValueError, match="finite"):
        kg.expectation(CIRCUIT, float("inf") * kg.Pauli("Z0"))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: kg.expectation(CIRCUIT, kg.Pauli("Z2")),
            IndexError,
            "qubit 2, but the circuit has qubits 0 to 1",
        ),
        (lambda: kg.probabilities(CIRCUIT, [0, 2]), IndexError, r"qubits\[1\]` is 2"),
        (lambda: kg.probabilities(CIRCUIT, [-1]), IndexError, "is -1"),
        (lambda: kg.probabilities(CIRCUIT, [2**70]), IndexError, "is 1180591620717411303424"),
    ],
)
def test_q1_a_qubit_outside_the_circuit_is_refused_with_the_size_of_the_register(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_q2_a_qubit_that_is_measured_twice_is_refused():
    with pytest.raises(ValueError, match="qubit 1 twice"):
        kg.probabilities(CIRCUIT, [1, 0, 1])


def test_q14_empty_circuits_and_empty_questions_are_defined():
    assert kg.expectation(kg.Circuit([], 2), kg.Pauli("Z0 Z1"))().tolist() == [1.0]
    assert kg.probabilities(kg.Circuit([], 2))().tolist() == [1.0, 0.0, 0.0, 0.0]
    assert kg.state(kg.Circuit([], 1))().tolist() == [1.0, 0.0]
    assert kg.samples(kg.Circuit([], 2), shots=3)().tolist() == [[0, 0]] * 3
    assert kg.expectation(kg.Circuit([], 1), 2.5 * kg.Pauli("I0"))().tolist() == [2.5]
    with pytest.raises(ValueError, match="at least one Pauli sum"):
        kg.expectation(CIRCUIT, [])
    with pytest.raises(ValueError, match="at least one qubit"):
        kg.probabilities(CIRCUIT, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "`threads`"),
        ({"threads": 1.5}, "`threads`"),
        ({"threads": True}, "`threads`"),
        ({"dtype": np.float64}, "`dtype` must be complex128 or complex64"),
        ({"dtype": "amplitude"}, "`dtype`"),
        ({"executor": "nativ"}, "Did you mean 'native'"),
        ({"executor": 3}, "`executor`"),
        ({"shots": 0}, "`shots`"),
        ({"seed": -3}, "`seed`"),
    ],
    ids=str,
)
def test_every_option_is_checked_at_the_call_that_sets_it(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kg.expectation(CIRCUIT, kg.Pauli("Z0"), **options)


def test_what_is_no_circuit_or_observable_is_refused():
    for make, message in (
        (lambda: kg.expectation([kg.rx(0.1, 0)], kg.Pauli("Z0")), "`circuit`"),  # type: ignore[arg-type]
        (lambda: kg.state(F), "`circuit`"),  # type: ignore[arg-type]
        (lambda: kg.expectation(CIRCUIT, "Z0"), r"kg\.Pauli\('Z0'\)"),  # type: ignore[arg-type]
        (lambda: kg.expectation(CIRCUIT, [kg.Pauli("Z0"), 3]), r"observables\[1\]"),  # type: ignore[list-item]
        (lambda: kg.expectation(CIRCUIT, None), "`observables`"),  # type: ignore[arg-type]
        (lambda: kg.probabilities(CIRCUIT, 1), "`qubits`"),  # type: ignore[arg-type]
        (lambda: kg.probabilities(CIRCUIT, ["a"]), "`qubits`"),  # type: ignore[list-item]
    ):
        with pytest.raises(TypeError, match=message):
            make()


NONSENSE = [
    np.nan, np.inf, "a", None, object(), b"x", 1j, {}, [], [[]], [None], [np.nan], np.array(None), -1, 0, 2**70, 1e300,
    np.zeros((2, 2, 2)), True, [[1, 2], [3]], set(), type, lambda: 0, np.ma.masked, "native",
]  # fmt: skip


def callables_with_one_argument_open():
    z, options = kg.Pauli("Z0"), ("executor", "gradient", "shots", "dtype", "threads", "seed")
    small = kg.Circuit([kg.rx(kg.w[0], 0), kg.ry(kg.x[0], 1), kg.cx(0, 1)])
    for f in (kg.expectation(small, z), kg.state(small), kg.expectation(small, z, shots=5)):
        cotangent = np.ones(f.num_outputs)
        yield lambda bad, f=f: f(bad, [1.0])
        yield lambda bad, f=f: f([1.0], bad)
        yield lambda bad, f=f, c=cotangent: f.vjp(bad, [1.0], c)
        yield lambda bad, f=f: f.vjp([1.0], [1.0], bad)
        yield lambda bad, f=f: f.jacobian([1.0], bad)
    for name in options:
        yield lambda bad, name=name: kg.expectation(small, z, **{name: bad})
        yield lambda bad, name=name: kg.probabilities(small, **{name: bad})
    yield from (kg.state, kg.probabilities, kg.check_gradients)
    yield lambda bad: kg.expectation(bad, z)
    yield lambda bad: kg.expectation(small, bad)
    yield lambda bad: kg.expectation(small, [bad])
    yield lambda bad: kg.probabilities(small, bad)
    yield lambda bad: kg.probabilities(small, [bad])
    yield lambda bad: kg.samples(small, shots=bad)
    yield lambda bad: kg.samples(small, shots=1, packed=bad)
    for name in ("points", "seed", "tolerance"):
        yield lambda bad, name=name: kg.check_gradients(kg.expectation(small, z), **{name: bad})
    for name in ("step", "order"):
        yield lambda bad, name=name: kg.FiniteDifference(**{name: bad})
    for name in ("step", "num_samples", "seed"):
        yield lambda bad, name=name: kg.gradients.SPSA(**{name: bad})


def test_g6_nonsense_in_any_argument_is_taken_as_documented_or_refused_in_our_words():
    """Never another exception, never a NaN out of a NaN that was not refused."""
    for call in callables_with_one_argument_open():
        for bad in NONSENSE:
            try:
                result = call(bad)
            except kg.KetgradError:
                continue
            if isinstance(result, np.ndarray):
                assert np.isfinite(result).all()
