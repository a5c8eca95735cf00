"""Kernels with weights: derivatives of Gram matrices, alignment with labels, and matrices made in blocks."""

import itertools

import numpy as np
import pytest
import torch

import ketgrad as kg
from ketgrad import _native
from ketgrad.executors.native import Native
from ketgrad.foundation import errors, memory
from ketgrad.kernels import states as kernel_states
from ketgrad.kernels.overlaps import packed_overlaps

RNG = np.random.default_rng(11)
X, Y = RNG.uniform(-1, 1, (7, 2)), RNG.uniform(-1, 1, (4, 2))
WEIGHTS = RNG.uniform(-1, 1, 4)
EXECUTORS = ["native", "reference", Native(instruction_set="baseline")]


def circuit():
    w, x = kg.w, kg.x
    first = [kg.h(0), kg.ry(w[0] * x[0], 0), kg.rx(x[1] + w[1], 1), kg.cx(0, 1), kg.rzz(x[0] * x[1], 0, 1)]
    return kg.Circuit([*first, kg.ry(w[2] * x[1], 1), kg.rx(x[0], 0), kg.cz(0, 1), kg.ry(w[3] + x[1], 0)])


def kernel(**options):
    return kg.FidelityKernel(circuit(), weights=WEIGHTS, **options)


def slope(function, point, step=1e-6):
    """The derivative of a number by each entry of an array."""
    result = np.empty_like(point)
    for index in np.ndindex(point.shape):
        there, back = point.copy(), point.copy()
        there[index] += step
        back[index] -= step
        result[index] = (function(there) - function(back)) / (2 * step)
    return result


@pytest.mark.parametrize("executor", EXECUTORS)
def test_gradients_of_a_rectangular_matrix_are_finite_differences(executor):
    k, g = kernel(executor=executor), RNG.normal(size=(7, 4))
    values, dweights, dX, dY = k.vjp(X, Y, g)
    np.testing.assert_allclose(values, k(X, Y), atol=1e-14)
    total = lambda k, a, b: (g * k(a, b)).sum()  # noqa: E731
    np.testing.assert_allclose(dweights, slope(lambda w: total(k.with_weights(w), X, Y), WEIGHTS), atol=1e-8)
    np.testing.assert_allclose(dX, slope(lambda a: total(k, a, Y), X), atol=1e-8)
    np.testing.assert_allclose(dY, slope(lambda b: total(k, X, b), Y), atol=1e-8)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_gradients_of_a_symmetric_matrix_move_rows_and_columns(executor):
    k, g = kernel(executor=executor), RNG.normal(size=(7, 7))  # not symmetric
    values, dweights, dX, dY = k.vjp(X, None, g)
    assert dY is None
    assert np.array_equal(values, values.T) and np.array_equal(np.diag(values), np.ones(7))
    np.testing.assert_allclose(values, k(X), atol=1e-14)
    np.testing.assert_allclose(dX, slope(lambda a: (g * k(a)).sum(), X), atol=1e-8)
    by_weights = slope(lambda w: (g * k.with_weights(w)(X)).sum(), WEIGHTS)
    np.testing.assert_allclose(dweights, by_weights, atol=1e-8)


def test_gradients_are_those_of_automatic_differentiation_through_a_dense_simulator():
    def rotation(angle, generator):
        unit = torch.eye(len(generator), dtype=torch.complex128)
        half = angle[:, None, None] / 2
        return torch.cos(half) * unit - 1j * torch.sin(half) * torch.as_tensor(generator)

    px, py = np.array([[0, 1], [1, 0]], complex), np.array([[0, -1j], [1j, 0]])
    pz, one = np.diag([1.0 + 0j, -1]), np.eye(2)
    controlled_z = np.diag([1.0, 1, 1, -1]) + 0j
    swap_second = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]) + 0j
    hadamard = np.kron(np.array([[1, 1], [1, -1]]) / np.sqrt(2), one) + 0j

    def states(w, x):
        a, b = x[:, 0], x[:, 1]
        steps = [
            torch.as_tensor(hadamard),
            rotation(w[0] * a, np.kron(py, one)),
            rotation(b + w[1], np.kron(one, px)),
            torch.as_tensor(swap_second),
            rotation(a * b, np.kron(pz, pz)),
            rotation(w[2] * b, np.kron(one, py)),
            rotation(a, np.kron(px, one)),
            torch.as_tensor(controlled_z),
            rotation(w[3] + b, np.kron(py, one)),
        ]
        psi = torch.zeros(len(x), 4, 1, dtype=torch.complex128)
        psi[:, 0] = 1
        for step in steps:
            psi = step @ psi
        return psi[:, :, 0]

    g = RNG.normal(size=(7, 4))
    w, x, y = (torch.tensor(a, requires_grad=True) for a in (WEIGHTS, X, Y))
    expected = (states(w, x).conj() @ states(w, y).T).abs() ** 2
    (torch.as_tensor(g) * expected).sum().backward()
    got = kernel().vjp(X, Y, g)
    for ours, theirs in zip(got, (expected.detach(), w.grad, x.grad, y.grad), strict=True):
        np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-13)


def test_gradient_of_the_product_kernel_has_its_closed_form():
    k = kg.FidelityKernel(kg.encodings.angle(1))
    a, b, g = RNG.uniform(-3, 3, (6, 1)), RNG.uniform(-3, 3, (5, 1)), RNG.normal(size=(6, 5))
    _, dweights, dX, dY = k.vjp(a, b, g)
    by_difference = -g * np.sin(a - b.T) / 2  # of cos((a - b) / 2)^2
    np.testing.assert_allclose(dX[:, 0], by_difference.sum(axis=1), atol=1e-14)
    np.testing.assert_allclose(dY[:, 0], -by_difference.sum(axis=0), atol=1e-14)
    assert dweights.shape == (0,)


def test_blocks_and_threads_do_not_change_a_gradient(monkeypatch):
    rows, g = RNG.uniform(-1, 1, (150, 2)), RNG.normal(size=(150, 150))
    whole = kernel(threads=1).vjp(rows, None, g)
    again = kernel(threads=3).vjp(rows, None, g)
    assert all(np.array_equal(a, b) for a, b in zip(whole[:3], again[:3], strict=True))
    monkeypatch.setattr(kernel_states, "WORK_BYTES", 48 * 150 * 40)
    in_blocks = kernel().vjp(rows, None, g)
    for a, b in zip(whole[:3], in_blocks[:3], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("executor", ["native", "reference"])
def test_a_small_memory_limit_gives_the_same_bits(executor):
    rows, others = RNG.uniform(-1, 1, (230, 2)), RNG.uniform(-1, 1, (101, 2))
    whole = kernel(executor=executor)
    least, steps = {"native": (2 * 48 * 96, (1, 2, 5, 10**4)), "reference": (4 * 128, (20, 10**6))}[executor]
    for limit in (least * step for step in steps):
        limited = kernel(executor=executor, memory=limit)
        if executor == "native":
            assert np.array_equal(limited(rows), whole(rows))
            assert np.array_equal(limited(rows, others), whole(rows, others))
        assert np.array_equal(limited(rows), limited(rows).T)
        np.testing.assert_allclose(limited(rows), whole(rows), atol=1e-14)
        np.testing.assert_allclose(limited(others, rows), whole(others, rows), atol=1e-14)
    with pytest.raises(errors.KetgradMemoryError, match=r"`memory` must be at least .* but is "):
        kernel(executor=executor, memory=least - 1)(rows)


def test_a_machine_with_little_memory_makes_blocks_by_itself(monkeypatch):
    rows = RNG.uniform(-1, 1, (200, 12))
    k = kg.FidelityKernel(kg.encodings.iqp(12), threads=1)
    whole = k(rows)
    needed = 200 * 3 * 8 * 2**12
    prepared = []
    prepare = Native.prepare

    def counted(self, program, weights, inputs, **options):
        prepared.append(len(inputs))
        return prepare(self, program, weights, inputs, **options)

    monkeypatch.setattr(Native, "prepare", counted)
    monkeypatch.setattr(kernel_states, "FREE_BELOW", 2**20)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed + kernel_states.WORK_BYTES)
    assert np.array_equal(k(rows), whole)
    assert len(prepared) > 1 and max(prepared) <= 100
    monkeypatch.setattr(memory, "available_bytes", lambda: needed // 10)
    with pytest.raises(errors.KetgradMemoryError, match="4000 x 4000 entries"):
        k(np.vstack([rows] * 20))


def test_instruction_sets_and_precisions_agree():
    rows = RNG.uniform(-1, 1, (60, 2))
    exact = kernel(executor="reference")(rows)
    for name in _native.instruction_sets():
        executor = Native(instruction_set=name)
        np.testing.assert_allclose(kernel(executor=executor)(rows), exact, atol=1e-14)
        single = kernel(executor=executor, dtype=np.complex64)
        assert single(rows).dtype == np.float32
        np.testing.assert_allclose(single(rows), exact, atol=2e-6)
        g = RNG.normal(size=(60, 60))
        for a, b in zip(single.vjp(rows, None, g)[:3], kernel().vjp(rows, None, g)[:3], strict=True):
            assert a.dtype == np.float32
            np.testing.assert_allclose(a, b, atol=1e-4)


def test_any_number_of_threads_gives_the_same_bits():
    rows, others = RNG.uniform(-1, 1, (300, 6)), RNG.uniform(-1, 1, (40, 6))
    circuit = kg.encodings.iqp(6)
    one = kg.FidelityKernel(circuit, threads=1)
    for threads in (2, 3, 8):
        more = kg.FidelityKernel(circuit, threads=threads)
        assert np.array_equal(more(rows), one(rows))
        assert np.array_equal(more(rows, others), one(rows, others))


def test_states_too_long_for_lanes_give_the_same_kernel():
    rows = RNG.uniform(-1, 1, (3, 17))
    k = kg.FidelityKernel(kg.encodings.angle(17))
    closed = np.prod(np.cos((rows[:, None] - rows[None]) / 2) ** 2, axis=2)
    np.testing.assert_allclose(k(rows), closed, atol=1e-13)
    np.testing.assert_allclose(k(rows, rows[:2]), closed[:, :2], atol=1e-13)
    np.testing.assert_allclose(k.compare(k.features(rows)), closed, atol=1e-13)


def test_weights_belong_to_the_value_of_a_kernel():
    assert (
        kernel()
        == kg.FidelityKernel(circuit(), weights=tuple(WEIGHTS))
        != kernel().with_weights([0, 0, 0, 0])
    )
    bound = kg.FidelityKernel(circuit().bind(WEIGHTS))
    np.testing.assert_allclose(kernel()(X, Y), bound(X, Y), atol=1e-14)
    labels = X[:, 0] > 0
    model = kg.KernelClassifier(kernel=kernel(), scaling="none").fit(X, labels)
    assert model.kernel_.weights is None and model.kernel_.circuit.num_weights == 0
    with pytest.raises(errors.KetgradValueError, match=r"`weights` must have shape \(4,\)"):
        kg.FidelityKernel(circuit(), weights=[1.0])
    with pytest.raises(errors.KetgradValueError, match=r"`weights` must give 4 numbers .*circuit\.bind"):
        kg.FidelityKernel(circuit())
    with pytest.raises(errors.KetgradValueError, match="`memory` must be None or a positive"):
        kernel(memory=0)
    with pytest.raises(errors.KetgradTypeError, match="`dtype` must be complex128 or complex64"):
        kernel(dtype=np.float64)


def test_cotangents_that_do_not_fit_are_refused():
    with pytest.raises(errors.KetgradValueError, match=r"`cotangent` must have shape \(7, 4\)"):
        kernel().vjp(X, Y, np.ones((7, 7)))
    with pytest.raises(errors.KetgradValueError, match=r"`cotangent` must be finite"):
        kernel().vjp(X, Y, np.full((7, 4), np.nan))
    with pytest.raises(errors.KetgradTypeError, match="`cotangent` must be an array of real numbers"):
        kernel().vjp(X, Y)


@pytest.mark.parametrize("labels", [[0, 1, 0, 1, 1, 0, 1], list("abcabca")])
def test_alignment_is_its_formula_and_its_gradient_the_finite_difference(labels):
    matrix = kernel()(X)
    count = len(set(labels))
    target = np.array([[1.0 if a == b else -1 / (count - 1) for a in labels] for b in labels])
    value, gradient = kg.kernels.target_alignment(matrix, labels)
    assert value == pytest.approx((matrix * target).sum() / np.sqrt((matrix**2).sum() * (target**2).sum()))
    np.testing.assert_allclose(
        gradient, slope(lambda k: kg.kernels.target_alignment(k, labels)[0], matrix), atol=1e-8
    )
    assert kg.kernels.target_alignment(target, labels)[0] == pytest.approx(1)
    assert kg.kernels.target_alignment(-target, labels)[0] == pytest.approx(-1)


def test_alignment_refuses_what_has_none():
    for gram, labels, message in [
        (np.eye(3), [0, 1], "shapes are"),
        (np.eye(2), [1, 1], "at least two classes"),
        (np.zeros((2, 2)), [0, 1], "zero everywhere"),
    ]:
        with pytest.raises(errors.KetgradValueError, match=message):
            kg.kernels.target_alignment(gram, labels)


def test_training_by_alignment_raises_it():
    rows = RNG.uniform(-1, 1, (40, 2))
    labels = np.sign(rows[:, 0] * rows[:, 1])
    loss = kg.kernels.alignment_loss(kernel(), rows, labels)
    np.testing.assert_allclose(loss(WEIGHTS)[1], slope(lambda w: loss(w)[0], WEIGHTS), atol=1e-8)
    fit = kg.minimise(loss, WEIGHTS, kg.LBFGSB(), max_steps=30)
    assert -fit.value > 2 * -loss(WEIGHTS)[0] > 0


def test_overlaps_of_arrays_are_the_product_of_matrices():
    for name, kind, (n, m) in itertools.product(
        _native.instruction_sets(), [np.complex128, np.complex64], [(1, 1), (13, 97), (100, 3)]
    ):
        a = (RNG.normal(size=(n, 130)) + 1j * RNG.normal(size=(n, 130))).astype(kind)
        b = (RNG.normal(size=(m, 130)) + 1j * RNG.normal(size=(m, 130))).astype(kind)
        native = Native(instruction_set=name)
        tolerance = 1e-12 if kind == np.complex128 else 1e-3
        np.testing.assert_allclose(packed_overlaps(native, a, b), a.conj() @ b.T, atol=tolerance)
        itself = packed_overlaps(native, a)
        np.testing.assert_allclose(itself, a.conj() @ a.T, atol=tolerance)
        assert np.array_equal(np.triu(itself, 1), np.triu(itself.conj().T, 1))


def test_states_of_two_programs_are_not_compared():
    first, second = (kg.FidelityKernel(kg.encodings.iqp(2))._states for _ in range(2))
    native, none = Native(), np.zeros((1, 0))
    a, b = (native.prepare(f.program, none, X, dtype=np.complex128, threads=1) for f in (first, second))
    with pytest.raises(ValueError, match="two programs"):
        native.multiply(a, b, np.empty((7, 7)))
    with pytest.raises(ValueError, match="too small"):
        native.multiply(a, a, np.empty((7, 6)))
    with pytest.raises(ValueError, match="precision"):
        native.multiply(a, a, np.empty((7, 7), np.float32))
    assert a.nbytes >= 7 * 3 * 8 * 4
