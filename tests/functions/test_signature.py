"""Arguments of a call: what may be passed, and what every wrong one is told."""

import numpy as np
import pytest
from function_samples import CIRCUIT, INPUTS, WEIGHTS, F

import ketgrad as kg
from ketgrad import w, x
from ketgrad.foundation.errors import KetgradTypeError


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
    from scipy import sparse

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


def test_tensors_that_record_gradients_are_pointed_to_the_bridge():
    import torch

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
