"""Support vector machines in files: all that can be fitted come back, no forged one reaches compiled code."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from forging import forged, opened
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Normalizer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM

import ketgrad as kg
from ketgrad import w, x
from ketgrad.saving import file as saving
from ketgrad.saving.allow_list.support_vectors import TRAINING_ROWS

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(24, 3))
TWO = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
NUMBERS = X[:, 0] ** 2
WEIGHTS = RANDOM.uniform(0.5, 2, len(X))


def kernel(features=3):
    return kg.FidelityKernel(kg.encodings.angle(features))


PROJECTED = kg.ProjectedKernel(kg.encodings.angle(3), gamma=0.5)
WEIGHTED = kg.FidelityKernel(
    kg.Circuit([kg.ry(w[0] * x[q], q) for q in range(3)]), weights=[0.7], dtype=np.complex64
)
MACHINES = {
    "fidelity, two": lambda: SVC(kernel=kernel()).fit(X, TWO),
    "fidelity, three": lambda: SVC(kernel=kernel()).fit(X, THREE),
    "fidelity with weights": lambda: SVC(kernel=WEIGHTED).fit(X, TWO),
    "projected": lambda: SVC(kernel=PROJECTED, break_ties=True, decision_function_shape="ovr").fit(X, THREE),
    "one against one": lambda: SVC(kernel=kernel(), decision_function_shape="ovo").fit(X, THREE),
    "rbf": lambda: SVC().fit(X, TWO),
    "rbf, balanced": lambda: SVC(class_weight="balanced", gamma=0.3).fit(X, TWO),
    "rbf, a dict of weights": lambda: SVC(class_weight={"yes": 2.0, "no": np.float64(1)}).fit(X, TWO),
    "rbf, weighted rows": lambda: SVC().fit(X, THREE, sample_weight=WEIGHTS),
    "probabilities": lambda: SVC(probability=True, random_state=0).fit(X, TWO),
    "probabilities of three": lambda: SVC(kernel=kernel(), probability=True, random_state=0).fit(X, THREE),
    "poly": lambda: SVC(kernel="poly", degree=2, coef0=1.0).fit(X, THREE),
    "linear": lambda: SVC(kernel="linear", C=np.float64(2), max_iter=10).fit(X, TWO),
    "sigmoid": lambda: SVC(kernel="sigmoid", gamma="auto").fit(X, TWO),
    "objects as labels": lambda: SVC(kernel=kernel()).fit(X, TWO.astype(object)),
    "booleans as labels": lambda: SVC().fit(X, TWO == "yes"),
    "numbers as labels": lambda: SVC().fit(X.astype(np.float32), THREE.astype(np.int8)),
    "regression, fidelity": lambda: SVR(kernel=kernel(), epsilon=0.01).fit(X, NUMBERS),
    "regression, projected": lambda: SVR(kernel=PROJECTED).fit(X, NUMBERS, sample_weight=WEIGHTS),
    "regression, rbf": lambda: SVR().fit(X, NUMBERS),
    "regression, nothing to learn": lambda: SVR(epsilon=9.0).fit(X, NUMBERS),
    "in a pipeline": lambda: make_pipeline(StandardScaler(), SVC(kernel=kernel())).fit(X, TWO),
    "after PCA": lambda: make_pipeline(PCA(2), SVC(kernel=kernel(2))).fit(X, THREE),
    "in pipelines": lambda: make_pipeline(make_pipeline(Normalizer(), PCA(2)), SVR(kernel=kernel(2))).fit(X, NUMBERS),
    "rows of float32": lambda: SVC(kernel=kernel()).fit(X.astype(np.float32), TWO),
    "rows in a list": lambda: SVC(kernel=kernel()).fit(X.tolist(), TWO),
    "rows in a table": lambda: SVC(kernel=kernel()).fit(pd.DataFrame(X), TWO),
    "whole numbers": lambda: SVR(kernel=kernel()).fit(np.round(X).astype(int), NUMBERS),
    "a table with names": lambda: SVC().fit(pd.DataFrame(X, columns=list("abc")), TWO),
    "not fitted": lambda: make_pipeline(StandardScaler(), SVC(kernel=kernel())),
}  # fmt: skip
METHODS = ("predict", "decision_function", "predict_proba")


def same(again, model, rows, path):
    """Assert equal answers to every question that the model takes."""
    for question in METHODS:
        assert hasattr(again, question) == hasattr(model, question)
        if hasattr(model, question):
            expected = getattr(model, question)(rows)
            np.testing.assert_array_equal(getattr(again, question)(rows), expected)
            assert getattr(again, question)(rows).dtype == expected.dtype
    assert kg.save(again, path.with_name("again")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.filterwarnings("ignore")  # of scikit-learn: probability=True is deprecated, max_iter is small
def test_every_machine_that_can_be_fitted_and_saved_can_be_loaded_and_predicts_the_same_bits(name, tmp_path):
    model = MACHINES[name]()
    path = kg.save(model, tmp_path / "model")
    if name == "not fitted":
        assert str(kg.load(path)) == str(model)
    else:
        same(kg.load(path), model, X[::-1].copy(), path)  # a kernel of rows with themselves is exactly 1


def test_a_model_of_a_table_with_names_is_saved_and_loaded_without_a_warning(tmp_path):
    table = pd.DataFrame(X, columns=list("abc"))
    model = kg.KernelClassifier().fit(table, TWO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = kg.load(kg.save(model, tmp_path / "model"))
        np.testing.assert_array_equal(again.predict(table), model.predict(table))
    with pytest.warns(UserWarning, match="valid feature names"):
        again.predict(X)


def test_a_precomputed_machine_is_loaded_too(tmp_path):
    gram = kernel()(X)
    for model in (SVC(kernel="precomputed").fit(gram, THREE), SVR(kernel="precomputed").fit(gram, NUMBERS)):
        path = kg.save(model, tmp_path / type(model).__name__)
        (tmp_path / "again").unlink(missing_ok=True)
        same(kg.load(path), model, gram, path)


def own_gate():
    flip = np.array([[0, 1], [1, 0]], np.complex128).tobytes()
    return kg.Circuit([kg.Op.build(kg.Gate("mine", 1, 0, "", flip, label="M"), [0])])


def poisoned():
    model = kg.VariationalRegressor(max_steps=1, random_state=0).fit(X, NUMBERS)
    model.readout_[0] = np.nan
    return model


def unknown_attribute():
    model = StandardScaler().fit(X)
    model.note_ = "mine"
    return model


CANNOT = {
    "a cache in a folder": (lambda: make_pipeline(StandardScaler(), SVC(), memory="folder").fit(X, TWO), "memory"),
    "a machine of sparse rows": (lambda: SVC().fit(scipy.sparse.csr_matrix(X), TWO), "support_vectors_|_sparse"),
    "a kernel that is code": (lambda: SVC(kernel=lambda a, b: a @ b.T).fit(X, TWO), "kernel"),
    "a machine that is not listed": (lambda: NuSVC().fit(X, TWO), "NuSVC"),
    "another such": (lambda: OneClassSVM().fit(X), "OneClassSVM"),
    "an indicator": (lambda: SimpleImputer(add_indicator=True).fit(np.array([[np.nan, 1], [1, 2.0]])), "indicator_"),
    "a strategy that is code": (lambda: SimpleImputer(strategy=np.nanmax).fit(X), "strategy"),
    "a tolerance below rounding": (lambda: SVC(tol=1e-300), "tol"),
    "an attribute of the user's": (unknown_attribute, "note_"),
    "a gate of the user's": (own_gate, "gate of your own"),
    "weights that are no numbers": (poisoned, "readout_"),
    "half fitted": (lambda: (m := StandardScaler().fit(X), delattr(m, "scale_"))[0], "leaves out.*scale_"),
}  # fmt: skip


@pytest.mark.parametrize("name", CANNOT)
@pytest.mark.filterwarnings("ignore")
def test_what_could_not_be_loaded_is_refused_when_it_is_saved(name, tmp_path, monkeypatch):
    make, message = CANNOT[name]
    monkeypatch.chdir(tmp_path)
    model = make()
    before = list(tmp_path.iterdir())
    for write in (lambda: kg.save(model, tmp_path / "model"), lambda: saving.describe(model)):
        with pytest.raises(
            kg.KetgradError, match=rf"cannot be saved.*({message})|({message}).*cannot be saved"
        ):
            write()
    assert list(tmp_path.iterdir()) == before


# ---------------------------------------------------------------------------------------- forged machines


def machine_files():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gram = kernel()(X)
        made = {
            "rbf": SVC().fit(X, THREE),
            "kernel": SVC(kernel=kernel()).fit(X, TWO),
            "precomputed": SVC(kernel="precomputed").fit(gram, TWO),
            "probability": SVC(probability=True, random_state=0).fit(X, THREE),
            "regression": SVR().fit(X, NUMBERS),
            "regression, kernel": SVR(kernel=kernel()).fit(X, NUMBERS),
            "regression, precomputed": SVR(kernel="precomputed").fit(gram, NUMBERS),
            "inside": kg.KernelClassifier().fit(X, THREE),
            "inside regression": kg.KernelRegressor().fit(X, NUMBERS),
        }
        return {name: saving._file(model) for name, model in made.items()}


FILES = machine_files()


def machine_of(content):
    """The description of the support vector machine, which may stand inside of one of our estimators."""
    return content["value"]["learned"].get("machine_", content["value"])


def change_array(key, change):
    def apply(content, arrays):
        name = machine_of(content)["learned"][key]["$array"]["name"]
        arrays[name] = np.ascontiguousarray(change(arrays[name]))

    return apply


def change_learned(change):
    return lambda content, _: change(machine_of(content)["learned"])


def far(a):
    return np.where(np.arange(a.size) == a.size - 1, np.array(2 * 10**8, a.dtype), a.ravel()).reshape(a.shape)


MACHINE_CHANGES = {
    "rows far away": change_array("support_", lambda a: a + np.int32(10**6)),
    "one row far away": change_array("support_", far),
    "rows below zero": change_array("support_", lambda a: -a - np.int32(1)),
    "one row less": change_array("support_", lambda a: a[:-1]),
    "rows of 64 bits": change_array("support_", lambda a: a.astype(np.int64)),
    "rows of two axes": change_array("support_", lambda a: a[None]),
    "counts that are larger": change_array("_n_support", lambda a: a + np.int32(7)),
    "a count in the millions": change_array("_n_support", far),
    "counts below zero": change_array("_n_support", lambda a: np.array([-5, *a[1:-1], a[-1] + a[0] + 5], np.int32)),
    "a sum that overflows": change_array("_n_support", lambda a: (a + np.int32(2**31 - 1)).astype(np.int32)),
    "one class less": change_array("_n_support", lambda a: a[:-1]),
    "one more class": change_array("_n_support", lambda a: np.append(a, np.int32(0))),
    "coefficients of fewer rows": change_array("_dual_coef_", lambda a: a[:, :-1]),
    "coefficients of fewer classes": change_array("_dual_coef_", lambda a: a[:0]),
    "coefficients of half precision": change_array("_dual_coef_", lambda a: a.astype(np.float32)),
    "coefficients in a row": change_array("_dual_coef_", np.ravel),
    "a coefficient that is no number": change_array("_dual_coef_", lambda a: np.where(a == a.max(), np.nan, a)),
    "no offsets": change_array("_intercept_", lambda a: a[:0]),
    "an infinite offset": change_array("_intercept_", lambda a: a + np.inf),
    "probabilities of one pair": change_array("_probA", lambda a: np.append(a, 1.0)),
    "the other half of them": change_array("_probB", lambda a: np.append(a, 1.0)),
    "vectors of other rows": change_array("support_vectors_", lambda a: np.zeros((a.shape[0] + 1, a.shape[1]))),
    "vectors of other columns": change_array("support_vectors_", lambda a: np.zeros((a.shape[0], a.shape[1] + 1))),
    "vectors that are none": change_array("support_vectors_", lambda a: a[..., 0] if a.size else np.zeros(3)),
    "fewer rows at the fit": change_learned(lambda parts: parts.update(shape_fit_={"$tuple": [2, 2]})),
    "rows at the fit that are a list": change_learned(lambda parts: parts.update(shape_fit_=[24, 3])),
    "sparse": change_learned(lambda parts: parts.update(_sparse=True)),
    "another implementation": change_learned(lambda parts: parts.update(_impl="nu_svr")),
    "a classifier": change_learned(lambda parts: parts.update(_impl="c_svc")),
    "one class": change_learned(lambda parts: parts.update(_impl="one_class")),
    "without the rows": change_learned(lambda parts: parts.pop("support_")),
    "without the shape": change_learned(lambda parts: parts.pop("shape_fit_")),
    "training rows from elsewhere": change_learned(
        lambda parts: (
            parts.pop(TRAINING_ROWS)
            if TRAINING_ROWS in parts
            else parts.update({TRAINING_ROWS: parts["support_vectors_"]})
        )
    ),
    "another kernel": lambda content, _: machine_of(content)["parameters"].update(
        kernel="linear" if machine_of(content)["parameters"]["kernel"] != "linear" else "precomputed"
    ),
    "a degree of 2^40": lambda content, _: machine_of(content)["parameters"].update(degree=2**40),
    "gamma is no number": change_learned(lambda parts: parts.update(_gamma={"$float": "nan"})),
}  # fmt: skip
LOADABLE = {("rbf", "another kernel"), ("probability", "another kernel"), ("regression", "another kernel")}


@pytest.mark.parametrize("change", MACHINE_CHANGES)
@pytest.mark.parametrize("name", FILES)
def test_a_machine_whose_arrays_do_not_fit_together_never_reaches_compiled_code(name, change):
    data = forged(FILES[name], MACHINE_CHANGES[change])
    for check in (False, True):
        if (name, change) in LOADABLE:  # rbf and linear take the same arrays
            saving._value(data, "forged", check).predict(X)
            continue
        with pytest.raises(kg.KetgradError, match=r"do not fit together|does not take|leaves out"):
            saving._value(data, "forged", check)


@pytest.mark.parametrize("name", [name for name in FILES if "regression" not in name])
def test_the_class_decides_and_not_an_attribute_that_a_file_may_leave_out(name):
    data = forged(FILES[name], change_learned(lambda learned: learned.pop("classes_")))
    with pytest.raises(kg.KetgradError, match=r"leaves out.*classes_"):
        saving._value(data, "forged", False)


@pytest.mark.parametrize("name", ["rbf", "regression", "probability"])
def test_the_number_of_columns_cannot_be_left_out(name):
    """scikit-learn compares the columns of new rows with it; libsvm does not."""
    for change in (lambda parts: parts.pop("n_features_in_"), lambda parts: parts.update(n_features_in_=4)):
        with pytest.raises(kg.KetgradError, match="do not fit together"):
            saving._value(forged(FILES[name], change_learned(change)), "forged", False)


def test_a_regression_machine_in_the_place_of_a_classifier_is_refused():
    def swap(content, _):
        content["value"]["learned"]["machine_"] |= {"$estimator": "SVR"}

    with pytest.raises(kg.KetgradError):
        saving._value(forged(FILES["inside"], swap), "forged", False)


MUST_BE_FINITE = (
    "weights_",
    "readout_",
    "bias_",
    "center",
    "width",
    "features_",
    "target_mean_",
    "target_scale_",
)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_learned_numbers_are_finite_as_a_fit_leaves_them(bad):
    seen = set()
    for model in (
        kg.VariationalClassifier(max_steps=1, random_state=0).fit(X, TWO),
        kg.VariationalRegressor(max_steps=1, random_state=0).fit(X, X[:, :2]),
        kg.KernelClassifier(kernel="projected").fit(X, TWO),
        kg.KernelRegressor().fit(X, NUMBERS),
    ):
        data = saving._file(model)
        for name, array in opened(data)[1].items():
            last = name.rpartition(".")[2]
            if last not in MUST_BE_FINITE:
                continue
            seen.add(last)

            def poison(_, arrays, name=name, array=array):
                arrays[name] = np.where(np.arange(array.size) == 0, bad, array.ravel()).reshape(array.shape)

            with pytest.raises(kg.KetgradError, match="do not fit together"):
                saving._value(forged(data, poison), "forged", False)
    assert seen == set(MUST_BE_FINITE)
