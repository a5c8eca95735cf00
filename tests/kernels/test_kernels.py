"""Kernels: golden values, exact symmetry, entries of their own rows alone, one state per row."""

import copy
import math
import pickle
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.decomposition import PCA, KernelPCA
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import ketgrad as kg
from ketgrad import executors
from ketgrad.circuits.encodings import angle, iqp, zz_feature_map
from ketgrad.foundation import errors, memory
from ketgrad.kernels import fidelity as kernels

RNG = np.random.default_rng(5)
ROWS = RNG.uniform(-1, 1, (40, 3))
KERNELS = [kg.FidelityKernel(iqp(3)), kg.ProjectedKernel(iqp(3), gamma=0.7)]
X2, Y2 = (0.1, 0.7), (0.3, -0.2)
X3, Y3 = (0.1, 0.7, 1.2), (0.3, -0.2, 0.9)


@dataclass(frozen=True)
class Counting:
    """The reference executor, counting circuit executions."""

    runs: list = field(default_factory=list, hash=False)
    name: str = "counting"
    abilities: frozenset = frozenset({"exact"})

    def run(self, program, weights, inputs, **options):
        self.runs.append(len(inputs))
        return executors.get("reference").run(program, weights, inputs, **options)


class Keeping(Counting):
    """The reference executor, keeping its states: what any executor may do to be asked for products of them."""

    def prepare(self, program, weights, inputs, *, dtype, threads):
        return self.run(program, weights, inputs, dtype=dtype)

    def pack(self, states, threads=None):
        return states

    def multiply(self, rows, columns, result, first_row=0, first_column=0, mirrors=False, threads=None):
        self.products.append((len(rows), len(columns)))
        overlaps = rows.conj() @ columns.T
        block = overlaps if np.iscomplexobj(result) else abs(overlaps) ** 2
        result[first_row : first_row + len(rows), first_column : first_column + len(columns)] = block
        if mirrors:
            result[first_column : first_column + len(columns), first_row : first_row + len(rows)] = (
                block.conj().T
            )

    @property
    def products(self):
        return self.__dict__.setdefault("_products", [])


def test_an_executor_that_keeps_states_is_asked_for_their_products():
    keeping, plain = Keeping(), Counting()
    kernels_of = [kg.FidelityKernel(iqp(3), executor) for executor in (keeping, plain, "native")]
    grams = [kernel(ROWS) for kernel in kernels_of]
    pairs = [kernel(ROWS, ROWS[:7]) for kernel in kernels_of]
    compared = [kernel.compare(kernel.features(ROWS)) for kernel in kernels_of]
    for found in (grams, pairs, compared):
        for one in found[:2]:
            np.testing.assert_allclose(one, found[2], atol=1e-12)
    assert keeping.products == [(40, 40), (40, 7), (40, 40)]


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize(
    "circuit, x, y, value",
    [
        (zz_feature_map(2), X2, Y2, 0.33160585592),
        (zz_feature_map(3), X3, Y3, 0.14277412382),
        (zz_feature_map(3, entanglement="linear"), X3, Y3, 0.04666290885),
        (iqp(3), X3, Y3, 0.56995061),
    ],
)
def test_C1_golden_fidelities(circuit, x, y, value, executor):
    assert kg.FidelityKernel(circuit, executor)([x], [y])[0, 0] == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(
    "load, num_qubits, expected",
    [
        (load_iris, 4, {"iqp": 0.9133, "narrow": 0.9267, "zz": 0.5400, "narrow zz": 0.9133}),
        (load_wine, 6, {"iqp": 0.9270, "narrow": 0.9887, "zz": 0.4608, "narrow zz": 0.8321}),
        (load_breast_cancer, 6, {"iqp": 0.9456, "narrow": 0.9438, "zz": 0.7101, "narrow zz": 0.9034}),
    ],
)
def test_C11_published_kernels_reach_what_they_reach_and_no_more(load, num_qubits, expected):
    inputs, labels = load(return_X_y=True)
    half = np.pi / 2
    set_ups = {
        "iqp": (iqp(num_qubits), (-half, half)),
        "narrow": (iqp(num_qubits), (-0.3 * half, 0.3 * half)),
        "zz": (zz_feature_map(num_qubits), (0, 2 * np.pi)),
        "narrow zz": (zz_feature_map(num_qubits), (0, 1)),
    }
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for name, (circuit, interval) in set_ups.items():
        machine = SVC(kernel=kg.FidelityKernel(circuit))
        model = make_pipeline(StandardScaler(), PCA(num_qubits), MinMaxScaler(interval), machine)
        assert cross_val_score(model, inputs, labels, cv=folds).mean() == pytest.approx(
            expected[name], abs=0.01
        )


def test_product_kernel_has_its_closed_form():
    X, Y = RNG.uniform(-4, 4, (7, 2)), RNG.uniform(-4, 4, (5, 2))
    closed = np.prod(np.cos((X[:, None] - Y[None]) / 2) ** 2, axis=2)
    np.testing.assert_allclose(kg.FidelityKernel(angle(2))(X, Y), closed, atol=1e-14)


def test_projected_kernel_has_its_closed_form():
    X, Y = RNG.uniform(-4, 4, (6, 1)), RNG.uniform(-4, 4, (5, 1))
    # RX(x)|0> has <X> = 0, <Y> = -sin x, <Z> = cos x: the squared distance is 2 - 2 cos(x - y)
    closed = np.exp(-0.3 * (2 - 2 * np.cos(X - Y.T)))
    np.testing.assert_allclose(kg.ProjectedKernel(angle(1), gamma=0.3)(X, Y), closed, atol=1e-14)


@pytest.mark.parametrize("kernel", KERNELS)
def test_gram_matrix_is_exactly_symmetric_with_unit_diagonal_and_positive(kernel):
    gram = kernel(ROWS)
    assert np.array_equal(gram, gram.T)
    assert np.array_equal(np.diag(gram), np.ones(len(ROWS)))
    assert np.array_equal(kernel(ROWS, ROWS), gram)
    assert gram.min() >= 0 and gram.max() <= 1
    assert np.linalg.eigvalsh(gram).min() > -1e-12


@pytest.mark.parametrize("kernel", KERNELS)
def test_entries_depend_on_their_own_rows_alone(kernel):
    whole = kernel(ROWS)
    np.testing.assert_allclose(kernel(ROWS[7:9], ROWS), whole[7:9], atol=1e-14)
    np.testing.assert_allclose(kernel(ROWS, ROWS[:1]), whole[:, :1], atol=1e-14)
    np.testing.assert_allclose(kernel(np.vstack([ROWS, 9 * ROWS]))[:40, :40], whole, atol=1e-14)


def test_blocks_do_not_change_the_result(monkeypatch):
    states = RNG.normal(size=(50, 8)) + 1j * RNG.normal(size=(50, 8))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    kernel = kg.FidelityKernel(angle(3), "reference")
    at_once = kernel.compare(states), kernel.compare(states[:9], states)
    monkeypatch.setattr(kernels, "WORK_BYTES", 32 * 50 * 7)
    in_blocks = kernel.compare(states), kernel.compare(states[:9], states)
    for whole, pieces in zip(at_once, in_blocks, strict=True):
        np.testing.assert_allclose(pieces, whole, atol=1e-14)
    assert np.array_equal(in_blocks[0], in_blocks[0].T)


@pytest.mark.parametrize("kind", [kg.FidelityKernel, kg.ProjectedKernel])
def test_one_execution_per_row_not_per_pair(kind):
    executor = Counting()
    kind(iqp(3), executor=executor)(ROWS)
    assert sum(executor.runs) == 40
    kind(iqp(3), executor=executor)(ROWS, ROWS[:5])
    assert sum(executor.runs) == 85


@pytest.mark.parametrize("kernel", KERNELS)
def test_usable_as_the_kernel_of_a_support_vector_machine(kernel):
    y = ROWS[:, 0] > 0
    machine = SVC(kernel=kernel).fit(ROWS, y)
    assert machine.score(ROWS, y) > 0.9
    search = GridSearchCV(SVC(kernel=kernel), {"C": [0.1, 1.0]}, cv=3, n_jobs=2).fit(ROWS, y)
    assert pickle.loads(pickle.dumps(search)).score(ROWS, y) > 0.8


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_are_values(kernel):
    kernel(ROWS[:2])  # what the call has cached must not travel
    assert pickle.loads(pickle.dumps(kernel)) == copy.deepcopy(kernel) == kernel
    assert hash(kernel) == hash(pickle.loads(pickle.dumps(kernel)))


def test_gamma_is_scaled_by_the_training_rows_and_then_fixed():
    kernel = kg.ProjectedKernel(iqp(3)).scaled_to(ROWS)
    values = kernel.features(ROWS)
    assert kernel.gamma == pytest.approx(0.5 / values.var(axis=0).sum())
    np.testing.assert_array_equal(kernel(ROWS[:3], ROWS), kernel(ROWS)[:3])
    with pytest.raises(errors.KetgradValueError, match="all rows give the same"):
        kernel.scaled_to(ROWS[:1])


@pytest.mark.parametrize("kind", [kg.FidelityKernel, kg.ProjectedKernel])
def test_D30_hundred_thousand_rows_are_refused_at_once_with_a_way_out(kind, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 16 * 2**30)
    kernel, rows = kind(angle(2)), np.zeros((100_000, 2))
    kernel(rows[:2])
    began = time.perf_counter()
    with pytest.raises(errors.KetgradMemoryError, match=r"74\.[5-9] GiB, but only 16\.0 GiB .*Nystroem"):
        kernel(rows)
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize("kind", [kg.FidelityKernel, kg.ProjectedKernel])
def test_circuits_that_make_no_kernel_are_refused(kind):
    with pytest.raises(errors.KetgradValueError, match=r"circuit\.bind"):
        kind(kg.Circuit([kg.rx(kg.w[0] * kg.x[0], 0)]))
    with pytest.raises(errors.KetgradValueError, match="reads none"):
        kind(kg.Circuit([kg.h(0)]))
    with pytest.raises(errors.KetgradTypeError, match=r"must be a kg\.Circuit"):
        kind("iqp")


@pytest.mark.parametrize("gamma", [0, -1.0, math.nan, math.inf, "scale", None, True])
def test_gamma_must_be_a_positive_number(gamma):
    with pytest.raises(errors.KetgradValueError, match="`gamma` must be a positive number"):
        kg.ProjectedKernel(angle(2), gamma=gamma)


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_that_do_not_fit_are_refused(kernel):
    with pytest.raises(errors.KetgradValueError, match=r"`X` must have shape \(n, 3\)"):
        kernel(ROWS[:, :2])
    with pytest.raises(errors.KetgradValueError, match=r"`X` must have shape \(n, 3\)"):
        kernel(ROWS[0])
    bad = ROWS.copy()
    bad[4, 1] = np.nan
    with pytest.raises(errors.KetgradValueError, match=r"`Y` must be finite but Y\[4, 1\] is nan"):
        kernel(ROWS, bad)
    with pytest.raises(errors.KetgradTypeError, match="complex"):
        kernel(ROWS + 1j)


def test_no_rows_give_an_empty_matrix():
    assert kg.FidelityKernel(angle(2))(np.zeros((0, 2)), np.zeros((3, 2))).shape == (0, 3)


# -- single rows, as scikit-learn's pairwise_kernels passes them ---------------------------------------------------

CALLABLE = {
    "fidelity": kg.FidelityKernel(kg.encodings.angle(2)),
    "projected": kg.ProjectedKernel(kg.encodings.angle(2), gamma=0.5),
    "trained": kg.FidelityKernel(kg.Circuit([kg.ry(kg.w[0] * kg.x[0], 0), kg.ry(kg.x[1], 1)]), weights=[0.4]),
    "single": kg.FidelityKernel(kg.encodings.angle(2), dtype=np.complex64),
}
TABLE = np.random.default_rng(8).normal(size=(12, 2))


@pytest.mark.parametrize("name", CALLABLE)
def test_two_single_rows_give_the_number_of_their_entry(name):
    kernel = CALLABLE[name]
    wanted = kernel(TABLE, TABLE[::-1])
    for i in (0, 3, 11):
        entry = kernel(TABLE[i], TABLE[::-1][i])
        assert np.ndim(entry) == 0 and isinstance(float(entry), float)
        assert entry == pytest.approx(wanted[i, i], abs=1e-6 if name == "single" else 1e-14)
        assert kernel(TABLE[i], row := TABLE[i]) == pytest.approx(1.0, abs=1e-6) and kernel(row, row) == 1.0
        assert kernel(TABLE[i].tolist(), TABLE[0].tolist()) == kernel(TABLE[i], TABLE[0])
    for wrong in ((TABLE[0],), (TABLE[0], TABLE), (TABLE, TABLE[0]), (np.zeros(3), np.zeros(3))):
        with pytest.raises(kg.KetgradError, match="must have shape"):
            kernel(*wrong)


@pytest.mark.parametrize("name", CALLABLE)
def test_machines_that_ask_for_single_rows_equal_those_that_take_the_matrix(name):
    kernel, targets = CALLABLE[name], TABLE[:, 0] > 0
    gram = kernel(TABLE)
    close = {"atol": 1e-4 if name == "single" else 1e-9}
    ridge, given = KernelRidge(kernel=kernel), KernelRidge(kernel="precomputed")
    np.testing.assert_allclose(
        ridge.fit(TABLE, targets).predict(TABLE), given.fit(gram, targets).predict(gram), **close
    )
    parts = [
        KernelPCA(2, kernel=kernel).fit(TABLE).eigenvalues_,
        KernelPCA(2, kernel="precomputed").fit(gram).eigenvalues_,
    ]
    np.testing.assert_allclose(*parts, **close)
    np.testing.assert_allclose(pairwise_kernels(TABLE, metric=kernel), gram, **close)
    features = Nystroem(kernel=kernel, n_components=12, random_state=0).fit_transform(TABLE)
    np.testing.assert_allclose(features @ features.T, gram, atol=1e-3)
    assert len(SpectralClustering(2, affinity=kernel, random_state=0).fit(TABLE).labels_) == 12


def test_expectation_values_are_flat_when_their_spread_is_that_of_rounding():
    kernel = kg.kernels.ProjectedKernel(kg.encodings.angle(1))
    for size, flat in ((1e-8, False), (1.1e-12, False), (0.9e-12, True), (0.0, True)):
        features = np.array([[0.5 - size, 0.0, 1.0], [0.5 + size, 0.0, 1.0]])  # variance size**2
        if flat:
            with pytest.raises(ValueError, match="rows that differ"):
                kernel.scaled_to_features(features)
        else:
            assert kernel.scaled_to_features(features).gamma == pytest.approx(0.5 / size**2, rel=1e-3)
