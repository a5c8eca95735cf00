"""Functions: what may be passed, what comes out, and what every wrong argument is told."""

import pickle
import subprocess
import sys
import threading
import time
import timeit
from typing import Any

import numpy as np
import pytest
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad import w, x
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError

CIRCUIT = kg.Circuit(
    [kg.rx(kg.w[0], 0), kg.ry(kg.x[0] * kg.w[1], 1), kg.cx(0, 1), kg.rz(kg.x[2], 1), kg.rx(kg.x[1], 1)]
)
F = kg.expectation(CIRCUIT, [kg.Pauli("Z0"), kg.Pauli("X1 Y0")])
WEIGHTS, INPUTS = np.array([0.3, -0.7]), np.array([0.5, 1.0, 2.0])


def exact(weights, inputs):
    """<Z0> = cos w0."""
    return np.cos(weights[0])


def test_values_of_a_known_circuit():
    assert F(WEIGHTS, INPUTS)[0] == pytest.approx(exact(WEIGHTS, INPUTS))
    assert (F.num_weights, F.num_inputs, F.num_outputs) == (2, 3, 2)


def test_a_single_observable_counts_as_a_list_of_one():
    f, g = (kg.expectation(CIRCUIT, o) for o in (kg.Pauli("Z0"), [kg.Pauli("Z0")]))
    assert f == g and f(WEIGHTS, INPUTS).shape == (1,)


# -- values -----------------------------------------------------------------------------------------------------


def test_functions_are_values():
    copy = kg.expectation(CIRCUIT, [kg.Pauli("Z0"), kg.Pauli("X1 Y0")])
    assert copy == F and hash(copy) == hash(F) and len({copy, F}) == 1
    assert kg.expectation(CIRCUIT, kg.Pauli("Z0"), gradient=kg.ParameterShift()) != kg.expectation(
        CIRCUIT, kg.Pauli("Z0")
    )
    with pytest.raises(AttributeError):
        F.threads = 3  # type: ignore[misc]
    for f in (
        F,
        kg.state(CIRCUIT),
        kg.samples(CIRCUIT, shots=4, seed=1),
        kg.probabilities(CIRCUIT, shots=9, seed=2),
    ):
        loaded = pickle.loads(pickle.dumps(f))
        assert loaded == f and np.array_equal(loaded(WEIGHTS, INPUTS), f(WEIGHTS, INPUTS))


def test_functions_are_shown_in_one_line():
    text = repr(kg.expectation(CIRCUIT * 1000, kg.Pauli("Z0")))
    assert (
        text
        == "<Function: expectation values of 1 observable, 1 Pauli word; 2 qubits, 2000 weights, 3 inputs; native>"
    )


def test_p2_one_function_from_eight_threads():
    f = kg.expectation(random_circuit(4, 20, seed=1), random_observable(4, 5, 1))
    points = np.random.default_rng(0).uniform(-2, 2, (8, f.num_weights)), np.linspace(0.2, 2, 2)
    expected = [f.vjp(w, points[1], [1.0]) for w in points[0]]
    wrong = []

    def work(k):
        for _ in range(200):
            result = f.vjp(points[0][k], points[1], [1.0])
            if not all(np.array_equal(a, b) for a, b in zip(result, expected[k], strict=True)):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_p4_results_are_bit_identical_at_every_thread_count():
    circuit, observable = random_circuit(5, 25, seed=3), random_observable(5, 8, 3)
    inputs = np.random.default_rng(1).uniform(0.2, 2, (50, 2))
    results = []
    for threads in (1, 2, 3, 8):
        f = kg.expectation(circuit, observable, threads=threads)
        results.append(f.vjp(np.linspace(0.1, 1, f.num_weights), inputs, [1.0]))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_the_call_costs_less_than_20_microseconds():
    """CPU time of one thread, the best of many: a circuit of four qubits with the native executor."""
    ops = (
        [kg.ry(kg.x[q], q) for q in range(4)]
        + [kg.ry(kg.w[q], q) for q in range(4)]
        + [kg.cx(0, 1), kg.cx(2, 3)]
    )
    f = kg.expectation(kg.Circuit(ops), kg.Pauli("Z0"), threads=1)
    point = np.linspace(0, 1, 4), np.linspace(1, 2, 4)
    call, step = (lambda: f(*point)), (lambda: f.vjp(*point, np.ones(1)))
    for run, limit in ((call, 20e-6), (step, 40e-6)):
        best = min(timeit.repeat(run, number=200, repeat=40, timer=time.thread_time)) / 200
        assert best < limit, f"{best * 1e6:.1f} microseconds"


# -- what may be passed ---------------------------------------------------------------------------------------


def test_lists_and_integers_are_numbers_and_have_a_gradient():
    for weights, inputs in (
        ([0, 1], [1, 2, 3]),
        (np.array([0, 1]), np.array([True, False, True])),
        ((0, 1), range(3)),
    ):
        values, dweights, dinputs = F.vjp(weights, inputs, [0, 1])
        reference = F.vjp(np.array(weights, float), np.array(inputs, float), np.array([0.0, 1.0]))
        for result, wanted in zip((values, dweights, dinputs), reference, strict=True):
            assert result.dtype == np.float64 and np.array_equal(result, wanted)
        assert np.abs(dweights).max() > 0.01


def test_what_the_circuit_does_not_read_may_be_left_out():
    only_weights = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
    only_inputs = kg.expectation(kg.Circuit([kg.ry(kg.x[0], 0)]), kg.Pauli("Z0"))
    for given in (None, [], np.zeros(0), np.zeros((5, 0))):
        lead = (5,) if np.shape(given) == (5, 0) else ()
        assert only_weights([0.0], given).shape == only_inputs(given, [0.0]).shape == (*lead, 1)
    assert only_weights.vjp([0.1], None, [1.0])[2].shape == (0,)
    assert only_inputs.vjp(None, [0.1], [1.0])[1].shape == (0,)
    assert kg.expectation(kg.Circuit([kg.x(0)]), kg.Pauli("Z0"))().tolist() == [-1.0]


def test_q17_the_result_has_the_type_of_the_arguments():
    single, double = np.float32, np.float64
    for kinds, dtype, wanted in [
        ((double, double), np.complex128, double),
        ((single, single), np.complex128, single),
        ((single, double), np.complex128, double),
        ((double, single), np.complex128, double),
        ((np.float16, single), np.complex128, double),
        ((np.int32, np.int64), np.complex128, double),
        ((double, double), np.complex64, single),
        ((single, single), np.complex64, single),
    ]:
        f = kg.expectation(CIRCUIT, [kg.Pauli("Z0"), kg.Pauli("X1 Y0")], dtype=dtype)
        point = WEIGHTS.astype(kinds[0]), INPUTS.astype(kinds[1])
        results = (f(*point), *f.vjp(*point, np.ones(2)), *f.jacobian(*point))
        assert {result.dtype for result in results} == {np.dtype(wanted)}, (kinds, dtype)
        np.testing.assert_allclose(f(*point), F(*(np.asarray(p, float) for p in point)), atol=1e-6)
        psi = kg.state(CIRCUIT, dtype=dtype)(*point)
        assert psi.dtype == (np.complex64 if wanted is single else np.complex128)


@pytest.mark.parametrize("executor", ["native", "reference"])
def test_an_array_without_numbers_says_the_type_only_where_no_other_does(executor):
    f = kg.expectation(kg.Circuit([kg.ry(kg.x[0], 0)]), kg.Pauli("Z0"), executor=executor)
    constant = kg.expectation(kg.Circuit([kg.h(0)]), kg.Pauli("X0"), executor=executor)
    single, double = (np.zeros(0, kind) for kind in (np.float32, np.float64))
    for _ in range(2):  # by the general way, and by the short one where there is one
        assert f(single, np.zeros(1)).dtype == np.float64 and f(double, np.float32([0.0])).dtype == np.float32
        assert constant(single, single).dtype == constant(single).dtype == np.float32
        assert constant(double).dtype == constant(single, double).dtype == constant().dtype == np.float64


def test_q19_results_share_no_memory_with_arguments():
    point = np.tile(WEIGHTS, (4, 1)), np.tile(INPUTS, (4, 1)), np.ones((4, 2))
    copies = [a.copy() for a in point]
    results = (*F.vjp(*point), F(*point[:2]))
    assert not any(np.shares_memory(a, b) for a in point for b in results)
    for result in results:
        result[...] = 7.0
    assert all(np.array_equal(a, b) for a, b in zip(point, copies, strict=True))
    aliased = np.linspace(0, 1, 5)
    np.testing.assert_array_equal(F(aliased[:2], aliased[1:4]), F(aliased[:2].copy(), aliased[1:4].copy()))


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_q9_an_angle_that_is_not_finite_names_its_gate_and_parameter(value):
    inputs = np.tile(INPUTS, (4, 1))
    inputs[2, 0] = value
    with pytest.raises(
        ValueError, match=r"`inputs` must be finite - ry on qubit 1 \(op 1\) .* inputs\[2, 0\] is -?(nan|inf)"
    ):
        F(WEIGHTS, inputs)
    with pytest.raises(
        ValueError, match=r"`weights` must be finite - rx on qubit 0 \(op 0\) .* weights\[0\]"
    ):
        F.vjp([value, 0.0], INPUTS, [1.0, 1.0])
    with pytest.raises(ValueError, match=r"`cotangent` must be finite but cotangent\[1\]"):
        F.vjp(WEIGHTS, INPUTS, [1.0, value])
    with pytest.raises(ValueError, match="finite"):
        F.jacobian(np.array([0.0, value], dtype=np.float32), INPUTS.astype(np.float32))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.1, "0.2"], r"weights\[1\] is '0.2' \(str\)"),
        ("0.1 0.2", r"is '0.1 0.2' \(str\)"),
        ([None, 0.1], r"weights\[0\] is None"),
        ([[0.1, 0.2], [0.3, 1j]], r"weights\[1, 1\] is 1j \(complex\)"),
        (np.array([0.1, 0.2]) + 0j, r"weights\[0\] is \(0\.1\+0j\) \(complex\)"),
        (np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"), "datetime64"),
        (np.ma.masked_array([0.1, 0.2], mask=[0, 1]), "masked"),
        ({"a": 1}, "dict"),
        pytest.param(object(), "object", id="object"),
        ([0.1, [0.2]], "unequal lengths"),
    ],
    ids=str,
)
def test_q10_what_is_no_real_number_is_refused_with_its_place(given, message):
    with pytest.raises((TypeError, ValueError), match=message) as refusal:
        F(given, INPUTS)
    assert isinstance(refusal.value, kg.KetgradError) and "`weights`" in str(refusal.value)


def test_q10_a_sparse_matrix_is_refused_by_name():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="`inputs` must be an array of real numbers"):
        F(WEIGHTS, sparse.csr_matrix(np.ones((2, 3))))


def test_q10_a_large_angle_is_taken_modulo_2_pi_with_a_note_on_its_digits():
    for size in (1e9, 1e12, 8e15):
        with pytest.warns(UserWarning, match=r"weights\[0\] is .*: angles count modulo 2 pi, .* apart"):
            value = F([size, 0.0], INPUTS)
        assert value[0] == pytest.approx(np.cos(size), abs=1e-12)
    with pytest.warns(UserWarning, match="float32 numbers"):
        F(np.array([1e6, 0.0], dtype=np.float32), INPUTS.astype(np.float32))
    F([2.0**26, 0.0], INPUTS)  # no warning: warnings are errors in this suite


@pytest.mark.filterwarnings("ignore:.*modulo 2 pi")
@pytest.mark.parametrize(
    ("weights", "inputs", "message"),
    [
        (
            [1e300, 0.0],
            [0.0, 0.0, 0.0],
            r"the angle w\[0\] of rx on qubit 0 \(op 0\) .* but is 1e\+300 in row 0",
        ),
        ([0.0, 1e9], [1e9, 0.0, 0.0], r"the angle w\[1\] x\[0\] of ry on qubit 1 .* but is 1e\+18"),
        ([0.0, 1e200], [1e200, 0.0, 0.0], "but is inf in row 0"),
    ],
    ids=str,
)
def test_q10_an_angle_beyond_all_digits_is_refused_and_never_a_number(weights, inputs, message):
    with pytest.raises(ValueError, match=message):
        F(weights, inputs)


@pytest.mark.filterwarnings("ignore:.*modulo 2 pi")
def test_q10_single_precision_has_fewer_digits_to_lose():
    f = kg.expectation(CIRCUIT, kg.Pauli("Z0"), dtype=np.complex64)
    for weights, message in (
        ([1e9, 0.0], r"\+-2e\+07 .* 1e\+09 in row 0"),
        ([1e300, 0.0], r"the range of float32, but weights\[0\] is 1e\+300"),
    ):
        with pytest.raises(ValueError, match=message):
            f(weights, INPUTS)


@pytest.mark.parametrize(
    ("weights", "inputs", "message"),
    [
        (np.zeros(3), INPUTS, r"`weights` must have shape \(\.\.\., 2\) - the circuit reads w\[0\] to w\[1\] -"),
        (WEIGHTS, np.zeros((5, 2)), r"\(\.\.\., 3\) - the circuit reads x\[0\] to x\[2\] - but has shape \(5, 2\)"),
        (WEIGHTS, np.zeros((3, 5)), "transposed"),
        (None, INPUTS, r"`weights` must have shape \(\.\.\., 2\) .* but is missing"),
        (WEIGHTS, None, r"`inputs` .* is missing"),
        (0.3, INPUTS, r"has shape \(\)"),
        (np.zeros((4, 2)), np.zeros((5, 3)), r"leading axes .* \(4, 2\) and \(5, 3\)"),
        (np.zeros((2, 0)), INPUTS, r"has shape \(2, 0\)"),
    ],
    ids=str,
)  # fmt: skip
def test_q15_a_wrong_shape_is_told_what_is_expected_and_why(weights, inputs, message):
    for call in (
        lambda: F(weights, inputs),
        lambda: F.vjp(weights, inputs, [1.0, 1.0]),
        lambda: F.jacobian(weights, inputs),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_q15_one_row_is_a_batch_and_one_column_is_not_a_row():
    assert F(WEIGHTS, INPUTS).shape == (2,) and F(WEIGHTS, INPUTS[None]).shape == (1, 2)
    f = kg.expectation(kg.Circuit([kg.ry(kg.x[0], 0)]), kg.Pauli("Z0"))
    with pytest.raises(ValueError, match=r"One column: write inputs\[\.\.\., np\.newaxis\]"):
        f(None, np.zeros(5))
    with pytest.raises(ValueError, match="the circuit reads no weights"):
        f([0.1], [0.2])


def test_q15_a_wrong_cotangent_is_told_its_shape():
    for cotangent in (
        [1.0],
        np.ones((4, 3)),
        np.ones((3, 2)),
        1.0,
        np.ones((1, 4, 2)),
        None,
        "ones",
        1j * np.ones((4, 2)),
    ):
        with pytest.raises((TypeError, ValueError), match="`cotangent`"):
            F.vjp(WEIGHTS, np.tile(INPUTS, (4, 1)), cotangent)


def test_inputs_outside_the_interval_of_arccos_name_row_and_column():
    f = kg.expectation(kg.Circuit([kg.ry(kg.arccos(kg.x[0]) + kg.x[1], 0)]), kg.Pauli("Z0"))
    with pytest.raises(ValueError, match=r"`inputs` column 0 must lie in \[-1, 1\] .* row 2 holds 1\.5"):
        f(None, [[0.0, 3.0], [1.0, 3.0], [1.5, 0.0]])


def test_q11_amplitudes_from_inputs_must_be_normalised_and_not_zero():
    plain, divided = (
        kg.probabilities(kg.Circuit([kg.prepare_state([kg.x[0], kg.x[1]], 0, normalize=normalize)]))
        for normalize in (False, True)
    )
    np.testing.assert_allclose(plain(None, [0.6, 0.8]), [0.36, 0.64])
    np.testing.assert_allclose(divided(None, [3.0, 4.0]), [0.36, 0.64])
    with pytest.raises(ValueError, match=r"norm 1, but those of row 1 have norm 5.*normalize=True"):
        plain(None, [[0.6, 0.8], [3.0, 4.0]])
    with pytest.raises(ValueError, match="must not be zero, but those of row 0"):
        divided(None, [0.0, 0.0])
    with pytest.raises(ValueError, match="must be finite"):
        divided(None, [np.nan, 1.0])


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


# -- memory ---------------------------------------------------------------------------------------------------------

QUESTIONS: dict[str, Any] = {
    "expectation": lambda circuit: kg.expectation(circuit, kg.Pauli("Z0"), executor="reference"),
    "probabilities": kg.probabilities,
    "state": kg.state,
    "samples": lambda circuit: kg.samples(circuit, shots=3, executor="reference"),
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("num_qubits", [40, 62, 63, 64, 65, 70, 10**6])
def test_q3_q4_too_many_qubits_are_refused_at_once_with_required_and_available_bytes(num_qubits, name):
    circuit = kg.Circuit([kg.h(0), kg.rx(kg.w[0], num_qubits - 1)])
    start = time.perf_counter()
    with pytest.raises(MemoryError, match=r"the state of \d+ qubits needs .* but only .* usable") as refusal:
        QUESTIONS[name](circuit)
    assert time.perf_counter() - start < 0.1 and isinstance(refusal.value, kg.KetgradError)
    assert len(str(refusal.value)) < 300


def test_q5_results_and_jacobians_are_refused_before_any_work():
    f = kg.state(kg.Circuit([kg.ry(kg.x[q], q) for q in range(16)]))
    many = np.broadcast_to(np.zeros(16), (10**8, 16))
    for call in (
        lambda: f(None, many),
        lambda: f.jacobian(None, np.zeros((40_000, 16))),
        lambda: kg.probabilities(kg.Circuit([kg.ry(kg.w[0], 14)])).jacobian(np.zeros((10**7, 1))),
    ):
        start = time.perf_counter()
        with pytest.raises(MemoryError, match=r"needs .* usable on this machine"):
            call()
        assert time.perf_counter() - start < 0.5


def test_q3_the_preflight_follows_the_limits_of_the_process():
    code = (
        "import resource, ketgrad as kg\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, size + 2**30))\n"
        "try:\n    kg.state(kg.Circuit([kg.h(0)], 27))\n"
        "except MemoryError as refusal:\n    print(refusal)\n"
    )
    if sys.platform == "linux":
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "needs 2.0 GiB" in run.stdout


def test_q18_a_long_circuit_is_compiled_and_differentiated_in_linear_time():
    layers = 2000
    ops = [kg.ry(kg.w[k], k % 3) if k % 2 else kg.cx(k % 3, (k + 1) % 3) for k in range(2 * layers)]
    f = kg.expectation(kg.Circuit(ops), kg.Pauli("Z0"))
    values, dweights, _ = f.vjp(np.linspace(0, 1, f.num_weights), None, [1.0])
    assert np.abs(values).max() <= 1 and dweights.shape == (2 * layers,)


# -- the plan --------------------------------------------------------------------------------------------------------


def test_the_plan_fits_one_screen_and_names_what_runs():
    text = str(kg.expectation(CIRCUIT, kg.Pauli("Z0"), threads=1).plan)
    for word in (
        "2 qubits",
        "2 weights",
        "3 inputs",
        "5 written",
        "native",
        "1 thread",
        "Adjoint()",
        "backward pass",
    ):
        assert word in text, word
    lines = text.splitlines()
    assert len(lines) <= 24 and max(len(line) for line in lines) <= 110


def test_the_memory_of_a_plan_is_that_of_the_qubits_which_the_question_can_see():
    n = 20
    layer = kg.Circuit([kg.ry(kg.w[q], q) for q in range(n)] + [kg.cz(q, q + 1) for q in range(n - 1)])
    everything = kg.Pauli(" ".join(f"X{q}" for q in range(n)))
    for executor, word, qubits in (
        ("native", kg.Pauli("X0"), 3),
        ("native", everything, n),
        ("reference", kg.Pauli("X0"), n),
    ):
        f = kg.expectation(layer * 2, word, executor=executor)
        assert f.plan.memory == 3 * 16 * 2**qubits, (executor, word)


def test_plans_of_every_question_can_be_printed():
    for f in (
        kg.state(CIRCUIT),
        kg.probabilities(CIRCUIT, [1]),
        kg.samples(CIRCUIT, shots=7),
        kg.expectation(CIRCUIT, kg.Pauli("Z0"), shots=7),
        kg.expectation(CIRCUIT, kg.Pauli("Z0"), executor="reference", dtype=np.complex64),
        kg.expectation(CIRCUIT, kg.Pauli("Z0"), gradient=kg.FiniteDifference()),
    ):
        assert str(f.plan).startswith("question") and "not faster" in str(f.plan)


# -- defaults that work ---------------------------------------------------------------------------------------------


def test_the_cotangent_of_a_single_output_may_be_left_out():
    circuit = kg.Circuit([kg.ry(w[0], 0), kg.rx(x[0], 0)])
    f, inputs = kg.expectation(circuit, kg.Pauli("Z0")), np.array([[0.2], [0.4]])
    for given in (inputs, [[0.2], [0.4]], inputs.astype(np.float32)):
        for way in (f.vjp, f.hessian, f.hvp):
            for one, other in zip(way([0.3], given), way([0.3], given, np.ones((2, 1))), strict=True):
                np.testing.assert_array_equal(one, other)
    for _ in range(2):  # the short way of plain arrays included
        np.testing.assert_array_equal(
            f.vjp(np.array([0.3]), inputs)[1], f.vjp([0.3], inputs, [[1.0], [1.0]])[1]
        )


@pytest.mark.parametrize("way", ["vjp", "hessian", "hvp"])
def test_several_outputs_need_a_cotangent_and_the_message_gives_one(way):
    circuit = kg.Circuit([kg.ry(w[0], 0), kg.rx(x[0], 0)])
    functions = {
        r"\(\.\.\., 2\).* is missing.*2 outputs: pass np.ones\(2\)": kg.expectation(
            circuit, [kg.Pauli("Z0"), kg.Pauli("X0")]
        ),
        r"\(\.\.\., 2\).* is missing.*2 outputs": kg.probabilities(circuit),
        r"\(\.\.\., 2\).* is missing.*2 complex amplitudes": kg.state(circuit),
    }
    for message, f in functions.items():
        with pytest.raises(KetgradValueError, match=message):
            getattr(f, way)([0.3], [0.2])
    f = kg.expectation(circuit, kg.Pauli("Z0"))
    with pytest.raises(KetgradValueError, match="`cotangent` must be given beside `slope`"):
        f.vjp([0.3], [0.2], slope=[1.0])


def test_tensors_that_record_gradients_are_pointed_to_the_bridge():
    torch = pytest.importorskip("torch")
    one, table = torch.ones(1, requires_grad=True), torch.arange(6.0).reshape(6, 1).requires_grad_()
    f = kg.expectation(kg.Circuit([kg.ry(w[0], 0), kg.rx(x[0], 0)]), kg.Pauli("Z0"))
    labels = np.array([0, 1] * 3)
    model = kg.VariationalClassifier(max_steps=1)
    kernel = kg.FidelityKernel(kg.encodings.angle(1))
    for call in (
        lambda: f(one, one.detach()), lambda: f(one.detach(), [one]), lambda: f.vjp(one, one), lambda: f.jvp(one, one),
        lambda: f.jacobian(one, one), lambda: f.vjp([0.1], [0.2], one), lambda: f.jvp([0.1], [0.2], one),
        lambda: model.fit(table, labels), lambda: model.fit(table.detach(), labels).predict(table),
        lambda: model.fit(table.detach(), labels, sample_weight=table[:, 0]),
        lambda: kernel(table), lambda: kernel(one, one), lambda: kernel.vjp(table.detach(), None, table @ table.T),
        lambda: kg.VariationalRegressor(max_steps=1).fit(table.detach(), table[:, 0]),
        lambda: kg.state(f.circuit).vjp([0.1], [0.2], one), lambda: f.circuit.bind(one),
        lambda: kg.unitary(torch.eye(2, requires_grad=True), 0), lambda: kg.prepare_state(one, 0),
        lambda: kg.minimise(lambda _: one.sum(), [0.1], kg.SPSA()),
        lambda: kg.minimise(lambda _: (0.5, one), [0.1], kg.Adam()),
    ):  # fmt: skip
        with pytest.raises(KetgradTypeError, match=r"requires a gradient.*kg\.torch.*detach\(\)"):
            call()
    np.testing.assert_array_equal(f(one.detach(), one.detach()), f(np.float32([1.0]), np.float32([1.0])))
