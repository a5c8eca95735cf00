"""A file may only say what the rules of its class allow, and what is saved can always be loaded."""

import importlib
import inspect
import json
import pathlib
import time
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from forging import closed, forged, nested, nodes, opened
from hypothesis import given
from hypothesis import strategies as st
from programs import random_circuit
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM

import ketgrad as kg
from ketgrad import w, x
from ketgrad.executors.table import EXECUTORS
from ketgrad.functions.gradients.table import RULES as GRADIENT_RULES
from ketgrad.models import MODELS
from ketgrad.programs.questions import QUESTIONS
from ketgrad.saving import file as saving
from ketgrad.saving import reader as saving_reader
from ketgrad.saving.arrays import strides_to_keep
from ketgrad.saving.classes import CLASSES, ESTIMATORS, NAMES, PARAMETERS, written_fields
from ketgrad.saving.reader import ValueReader
from ketgrad.saving.rules import WRITTEN, rules_of
from ketgrad.saving.rules.machines import TRAINING_ROWS
from ketgrad.saving.writer import ValueWriter
from ketgrad.training.optimizers import OPTIMIZERS

RULES = {name: rules_of(name) for name in CLASSES}
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(24, 3))
TWO = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
NUMBERS = X[:, 0] ** 2
WEIGHTS = RANDOM.uniform(0.5, 2, len(X))


def kind_of(name):
    module, _ = CLASSES[name]
    return getattr(importlib.import_module(module), name.rpartition(".")[2])


# ------------------------------------------------------------------------------------------------- the table


def test_every_rule_that_is_written_is_of_a_class_and_no_two_classes_share_a_name():
    assert WRITTEN.keys() <= CLASSES.keys() and not WRITTEN.keys() & MODELS.keys()
    assert len(NAMES) == len(CLASSES)
    tables = (QUESTIONS, EXECUTORS, GRADIENT_RULES, OPTIMIZERS, MODELS)
    assert len([name for name, (module, _) in CLASSES.items() if module.startswith("ketgrad.")]) == 6 + sum(
        map(len, tables)
    )


@pytest.mark.parametrize("name", CLASSES)
def test_the_rules_of_a_class_name_all_its_parameters_and_no_other(name):
    kind, written = kind_of(name), CLASSES[name][1]
    if written == PARAMETERS:
        known = set(inspect.signature(kind.__init__).parameters) - {"self"}
    else:
        known = set(written_fields(kind, written))
    assert set(RULES[name].parameters) == known


def callables_and_paths():
    from joblib import Memory

    class Caller:
        def __call__(self, *arguments):
            raise AssertionError("code from a file was called")

    return [
        print,
        Caller(),
        Caller,
        lambda step: None,
        pathlib.Path("folder"),
        Memory(None),
        object(),
        np.random,
        b"x",
    ]


@pytest.mark.parametrize("name", RULES)
def test_no_parameter_and_no_learned_attribute_can_be_code_a_path_or_a_foreign_object(name):
    rules = RULES[name]
    for kinds in (rules.parameters, rules.learned, rules.maybe):
        for key, kind in kinds.items():
            for value in callables_and_paths():
                assert not kind.holds(value, {}), key
                assert not kind.holds([value], {}) and not kind.holds({"a": value}, {}), key
                assert not kind.holds(np.array([value, None], object), {}), key


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_what_decides_about_code_folders_and_compiled_code_is_in_no_list(name):
    rules = RULES[name]
    given = {**rules.parameters, **rules.learned, **rules.maybe}
    assert not {
        "_impl",
        "_kernels",
        "_sparse_kernels",
        "n_jobs",
        "cache",
        "callback",
        "_metadata_request",
    } & set(given)
    for key in ("memory", "_sparse"):
        if key in given:
            for text in ("folder", "/tmp", "", True, 1, {"a": 1}):
                assert not given[key].holds(text, {})


@pytest.mark.parametrize(
    ("name", "parameter", "held", "refused"),
    [
        ("Function", "seed", [None, 0, 2**200], [-1, True, 1.0]),
        ("SVC", "random_state", [None, 0, 2**32 - 1], [-1, 2**32]),
        ("SVC", "degree", [0, 2**31 - 1], [-1, 2**31]),
        ("FidelityKernel", "weights", [None, (), (0.5,)], [(np.nan,), [0.5]]),
    ],
)
def test_ranges_hold_their_ends_and_nothing_beyond(name, parameter, held, refused):
    kind = RULES[name].parameters[parameter]
    assert all(kind.holds(value, {}) for value in held)
    assert not any(kind.holds(value, {}) for value in refused)


# ---------------------------------------------------------------------------- what is fitted, saved and loaded


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


# ------------------------------------------------------------------------------------- circuits and arrays


def has_the_same_form(value):
    return saving.restore(json.loads(json.dumps(saving.describe(value))))


@st.composite
def circuits(draw):
    """Random rows of the gate table, prepared states, matrices, Pauli words, all of them inverted and controlled."""
    seed = draw(st.integers(0, 2**32 - 1))
    circuit = random_circuit(draw(st.integers(2, 4)), draw(st.integers(0, 8)), seed, draw(st.booleans()))
    prepared = [op for op in circuit.ops if op.gate.amplitudes is not None]
    rest = kg.Circuit([op for op in circuit.ops if op.gate.amplitudes is None], circuit.num_qubits)
    for change in draw(st.lists(st.sampled_from(["inverse", "control", "bind", "twice"]), max_size=4)):
        if change == "control":
            rest = rest.control(rest.num_qubits)
        elif change == "bind":
            rest = rest.bind(np.random.default_rng(seed).normal(size=rest.num_weights))
        else:
            rest = rest.inverse() if change == "inverse" else rest + rest.inverse()
    return kg.Circuit([*prepared, *rest.ops], rest.num_qubits)


@given(circuits())
def test_every_circuit_comes_back_equal_from_a_file_and_from_json(circuit):
    for again in (saving._value(saving._file(circuit), "circuit", True), has_the_same_form(circuit)):
        assert again == circuit and again.num_qubits == circuit.num_qubits
        assert [op.gate.label for op in again.ops] == [op.gate.label for op in circuit.ops]
        assert again.draw() == circuit.draw()


MATRIX = [[0, 1], [1j, 0]]
UNITARIES = {
    "as it is": lambda: kg.unitary(MATRIX, 0),
    "inverted": lambda: kg.unitary(MATRIX, 0).inverse(),
    "inverted twice": lambda: kg.unitary(MATRIX, 0).inverse().inverse(),
    "inverted and controlled": lambda: kg.unitary(MATRIX, 0).inverse().control(2),
    "controlled and inverted": lambda: kg.unitary(MATRIX, 0).control(2, 1).inverse(),
}


@pytest.mark.parametrize("name", UNITARIES)
def test_a_unitary_comes_back_with_its_label(name):
    circuit = kg.Circuit([UNITARIES[name]()])
    assert (
        has_the_same_form(circuit) == circuit and saving._value(saving._file(circuit), "c", True) == circuit
    )


@pytest.mark.parametrize("factor", [5.0, 0.0, 1.001, np.nan])
def test_a_matrix_in_a_file_is_unitary(factor):
    f = kg.expectation(kg.Circuit([kg.unitary(MATRIX, 0)]), kg.Pauli("Z0"))

    def enlarge(_, arrays):
        for name in arrays:
            arrays[name] = arrays[name] * factor

    with pytest.raises(kg.KetgradError, match=r"unitary|finite"):
        saving._value(forged(saving._file(f), enlarge), "forged", False)


@pytest.mark.parametrize(("factor", "kept"), [(1 + 1e-11, True), (1 + 1e-9, False)])
def test_the_bits_of_a_matrix_stay_unless_it_is_further_from_unitary_than_rounding(factor, kept):
    matrix = np.array(MATRIX) * factor
    op = ValueReader({"a": matrix}).read_op([{"unitary": {"name": "a"}}, [0], [], []])
    assert (op.gate.unitary == matrix.tobytes()) == kept
    np.testing.assert_allclose(op.gate.matrix(), matrix, atol=1e-8)


@pytest.mark.parametrize("label", ["<b>", "U" * 100, "", 1, None, ["U"]])
def test_a_label_in_a_file_is_one_of_two(label):
    def rename(content, _):
        content["value"]["$circuit"][1][0][0]["label"] = label

    with pytest.raises(kg.KetgradError, match="label"):
        saving._value(forged(saving._file(kg.Circuit([kg.unitary(MATRIX, 0)])), rename), "forged", False)


LAYOUTS = {
    "rows": lambda a: a,
    "columns": np.asfortranarray,
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[..., ::-1],
    "both": lambda a: np.asfortranarray(a)[::-1, ..., ::-1] if a.ndim > 1 else a[::-1],
    "part of the rows": lambda a: np.asfortranarray(np.concatenate([a, a]))[: len(a)],
    "every other column": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "axes exchanged": lambda a: np.ascontiguousarray(a.swapaxes(0, -1)).swapaxes(0, -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_come_back_in_their_order_in_memory(layout):
    """Linear algebra rounds by it: the same numbers in another order predict other last bits."""
    for shape in ((3, 4), (1, 4), (4, 1), (2, 3, 4), (5,), (0, 3), (3, 1, 2)):
        for dtype in (np.float64, np.float32, np.complex128, np.int64, bool):
            array = LAYOUTS[layout]((RANDOM.normal(size=shape) * 9).astype(dtype))
            arrays = {}
            form = ValueWriter(arrays).write(array, "a")
            plain = json.loads(json.dumps(ValueWriter(None).write(array, "a")))
            for again in (ValueReader(arrays).read(form), ValueReader({}).read(plain)):
                np.testing.assert_array_equal(again, array)
                assert again.dtype == array.dtype
                steps = [(a, b) for a, b, n in zip(again.strides, array.strides, shape, strict=True) if n > 1]
                assert not array.size or all(a == b for a, b in steps)


def test_wide_gaps_are_closed_and_axes_keep_their_order():
    for array in (
        np.zeros((3, 1000))[:, ::400],
        np.zeros((1000, 3))[::400].T,
        np.zeros((3, 1000))[::-1, ::400],
    ):
        again = has_the_same_form(array)
        steps = np.array(again.strides) * np.sign(array.strides)
        assert sorted(steps) == [8, 24] and (np.argsort(steps) == np.argsort(np.abs(array.strides))).all()
    assert has_the_same_form(np.broadcast_to(np.arange(3.0), (4, 3))).strides == (24, 8)
    for step, kept in ((31, 31), (32, 1)):  # 16 entries of memory for each of the two, and more
        assert has_the_same_form(np.zeros(80)[: 2 * step : step]).strides == (8 * kept,)
    assert strides_to_keep(np.zeros((2, 1000))[:, ::400]) is None  # closed, it lies row by row


@pytest.mark.parametrize(
    "strides",
    [[1, 1], [1, 2], [0, 1], [3], [3, 1, 1], [2**62, 1], [10**30, 1], [100, 1], ["3", 1], [3.0, 1], [True, 3], 3, None],
)  # fmt: skip
def test_strides_that_no_array_has_are_refused(strides):
    arrays = {"a": np.zeros((3, 3))}
    with pytest.raises(kg.KetgradError):
        ValueReader(arrays).read({"$array": {"name": "a", "strides": strides}})


def test_an_array_of_one_entry_has_any_strides():
    arrays = {"a": np.full((1, 1), 7.0)}
    assert ValueReader(arrays).read({"$array": {"name": "a", "strides": [5, -5]}}).tolist() == [[7.0]]


def test_an_array_is_copied_once_however_often_it_is_named():
    arrays = {"a": np.zeros((3, 3))}
    first, second = ValueReader(arrays).read([{"$array": {"name": "a", "strides": [1, 3]}}] * 2)
    assert first is second
    with pytest.raises(kg.KetgradError, match="two orders"):
        ValueReader(arrays).read([{"$array": {"name": "a", "strides": s}} for s in ([1, 3], [-1, 3])])


@pytest.mark.parametrize(
    "scaler",
    [
        *(
            PCA(2, svd_solver=solver, random_state=0)
            for solver in ("full", "covariance_eigh", "arpack", "randomized")
        ),
        QuantileTransformer(n_quantiles=5),
    ],
    ids=str,
)
def test_what_scikit_learn_has_learned_comes_back_in_its_order_in_memory(scaler, tmp_path):
    fitted = scaler.fit(X)
    again = kg.load(kg.save(fitted, tmp_path / "scaler"))
    for name, value in vars(fitted).items():
        if isinstance(value, np.ndarray):
            assert vars(again)[name].strides == value.strides, name
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


# ----------------------------------------------------------------------------------------- small files, much memory


def test_a_short_text_in_a_long_dtype_is_refused_but_labels_keep_their_dtype():
    labels = np.array(["a", "bc"], "<U40")
    again = has_the_same_form(labels)
    assert again.dtype == labels.dtype and (again == labels).all()
    bomb = {"$array": {"entries": ["a"], "dtype": "<U250000", "shape": [1]}}
    tracemalloc.start()
    try:
        with pytest.raises(kg.KetgradError, match="longer than 1"):
            saving.restore({"ketgrad": 1, "value": [bomb] * 1000})  # a gigabyte of a hundred kilobytes
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["<U60", "|S60"])
def test_only_what_a_dtype_adds_to_its_texts_counts_as_padding(dtype, monkeypatch):
    monkeypatch.setattr(saving_reader, "MOST_PADDING", 100)
    whole = {"$array": {"entries": ["a" * 60] * 3, "dtype": dtype, "shape": [3]}}
    assert ValueReader({}).read(whole).tolist() == np.array(["a" * 60] * 3, dtype).tolist()
    short = {"$array": {"entries": ["a" * 20] * 3, "dtype": dtype, "shape": [3]}}
    with pytest.raises(kg.KetgradError, match="longer than 20"):
        ValueReader({}).read(short)


@pytest.mark.parametrize("parts", [[1, 2.0], [1.0, 2], [1, 2], [True, 2.0]])
def test_both_parts_of_a_complex_number_are_floats(parts):
    with pytest.raises(kg.KetgradError, match="two parts"):
        ValueReader({}).read({"$complex": parts})


def test_values_nest_a_hundred_levels_deep_and_no_deeper():
    assert ValueReader({}).read(nested(100)) == nested(100)
    with pytest.raises(kg.KetgradError, match="levels deep"):
        ValueReader({}).read(nested(101))


def pipelines(depth, width=1):
    """The form of pipelines inside one another, around a scaler."""
    step = {"$estimator": "StandardScaler", "parameters": {}, "learned": {}}
    for k in range(depth):
        steps = [{"$tuple": [f"step {k} {j}", step]} for j in range(width)]
        step = {"$estimator": "Pipeline", "parameters": {"steps": steps}, "learned": {}}
    return step


def with_field(name, field, value):
    """The form of an object of which one field is another."""
    circuit = kg.Circuit([kg.ry(w[0] * x[0], 0)])
    made = {
        "Function": kg.expectation(circuit, kg.Pauli("Z0"), shots=10, seed=1, threads=2),
        "FidelityKernel": kg.FidelityKernel(kg.encodings.angle(2), threads=2),
        "ProjectedKernel": kg.ProjectedKernel(kg.encodings.angle(2), gamma=1.0, threads=2),
    }[name]
    form = saving.describe(made)["value"]
    form["fields"][field] = value
    return form


TOO_MUCH = {
    "one long text among many": {
        "$array": {"entries": ["a" * 2000] + [""] * 10_000, "dtype": "<U2000", "shape": [10_001]}
    },
    "many such texts": [{"$array": {"entries": ["a" * 500] + [""] * 500, "dtype": "<U500", "shape": [501]}}] * 100,
    "such bytes": {"$array": {"entries": ["a" * 8000] + [""] * 10_000, "dtype": "|S8000", "shape": [10_001]}},
    "pipelines in pipelines": pipelines(5),
    "pipelines in many pipelines": pipelines(20),
    "wide pipelines in pipelines": pipelines(6, 2),
    "a qubit twice among many": {"$circuit": [10**5, [["x", [0], [], [*range(1, 90_000), 1]]]]},
    "many qubits twice": {"$circuit": [10**5, [["x", [0], [], [*range(1, 45_000), *range(1, 45_000)]]]]},
    "one qubit many times": {
        "$object": "Probabilities", "fields": {"qubits": {"$tuple": [0] * 100_000}},
    },
    "a monomial of many variables": {"$circuit": [1, [["rx", [0], [[[1.0, [["w", 0]] * 100_000]]], []]]]},
    **{
        f"{threads} threads of a {name}": with_field(name, "threads", threads)
        for name in ("Function", "FidelityKernel", "ProjectedKernel")
        for threads in (2**31, 2**53, 2**63 - 1)
    },
    "a seed that is no number": with_field("Function", "seed", True),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_short_form_cannot_ask_for_much_memory_or_time(name):
    form = TOO_MUCH[name]
    if name == "one qubit many times":  # it is known to be too many only beside its circuit
        form = with_field("Function", "question", form)
    began = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(kg.KetgradError) as caught:
            saving.restore({"ketgrad": 1, "value": form})
        assert tracemalloc.get_traced_memory()[1] < 80 * 2**20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000 and time.monotonic() - began < 30


def test_pipelines_in_pipelines_are_read_as_far_as_they_stay_quick():
    assert has_the_same_form(saving.restore({"ketgrad": 1, "value": pipelines(4, 2)})).steps


OVERFLOWING = [
    (model, name)
    for model in (kg.KernelClassifier(), kg.KernelRegressor(), SVC(), SVR())
    for name in ("_dual_coef_", "_intercept_", "support_vectors_")
    if name != "support_vectors_" or isinstance(model, SVC | SVR)
]


@pytest.mark.parametrize(
    ("model", "name"), OVERFLOWING, ids=lambda part: part if isinstance(part, str) else type(part).__name__
)
def test_numbers_whose_products_overflow_never_reach_compiled_code(model, name):
    """Predictions would be infinite or NaN without a word: compiled code looks at no sum."""
    data = saving._file(model.fit(X, NUMBERS if isinstance(model, kg.KernelRegressor | SVR) else TWO))

    def change(_, arrays):
        (found,) = [other for other in arrays if other.rpartition(".")[2] == name]
        arrays[found] = np.full_like(arrays[found], 1e308)
        assert arrays[found].size

    with pytest.raises(kg.KetgradError, match="below 1e"):
        saving._value(forged(data, change), "forged", False)


def test_a_model_that_cannot_predict_is_refused_in_words_when_it_is_saved():
    model = kg.KernelClassifier().fit(X, TWO)
    model.features_ = np.full_like(model.features_, 1e308)
    with np.errstate(all="ignore"), pytest.raises(kg.errors.KetgradTypeError, match="cannot predict"):
        saving._file(model)


WORST = {
    "empty lists": [[]] * 20_000,
    "empty objects": [{}] * 20_000,
    "small lists": [[1]] * 20_000,
    "small objects": [{"a": 1}] * 20_000,
    "numbers": [1.5] * 20_000,
    "texts": ["é"] * 20_000,
    "one astral text": "𝄞" * 20_000,
}


@pytest.mark.parametrize("name", WORST)
def test_the_memory_asked_for_is_more_than_a_header_can_take(name, monkeypatch):
    content = {"format": 1, "versions": {}, "value": WORST[name], "sha256": saving.NO_DIGEST}
    data, asked = closed(content, {}), []
    monkeypatch.setattr(saving, "reserve", lambda size, *words: asked.append(size))
    with pytest.raises(kg.KetgradError) if "objects" in name else warnings.catch_warnings():
        saving._value(data, "worst", False)  # imports
    tracemalloc.start()
    try:
        with pytest.raises(kg.KetgradError) if "objects" in name else warnings.catch_warnings():
            saving._value(data, "worst", False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < asked[-1]


def test_a_header_that_is_too_long_or_was_changed_is_refused_before_it_is_parsed(monkeypatch):
    data = saving._file(kg.Circuit([kg.h(0)]))

    def fail(*arguments, **options):
        raise AssertionError("parsed")

    monkeypatch.setattr(saving, "_json", fail)
    touched = data.replace(b"[0]", b"[1]")
    assert touched != data
    with pytest.raises(kg.KetgradError, match="SHA-256"):
        saving._value(touched, "touched", False)
    monkeypatch.setattr(saving, "MOST_HEADER_BYTES", 100)
    with pytest.raises(kg.KetgradError, match="more than the 100"):
        saving._value(data, "long", False)


class OfAGigabyte(bytes):
    """The beginning of a file that says that it is long."""

    def __len__(self):
        return 10**9


def test_a_header_may_be_as_long_as_safetensors_reads_and_no_longer():
    first, beyond = (OfAGigabyte(size.to_bytes(8, "little")) for size in (100_000_000, 100_000_001))
    assert saving._header_end(first, "file") == 100_000_008
    with pytest.raises(kg.KetgradError, match="more than the 100000000"):
        saving._header_end(beyond, "file")


@pytest.mark.parametrize(
    "description",
    [None, [], "text", {}, {"value": 1}, {"ketgrad": 2, "value": 1}, {"ketgrad": "1", "value": 1}],
)
def test_a_description_of_another_format_is_refused(description):
    with pytest.raises(kg.errors.KetgradValueError, match="no description"):
        saving.restore(description)


@pytest.mark.parametrize(
    "error", [MemoryError(), np._core._exceptions._ArrayMemoryError((9,), np.dtype(float))]
)
def test_a_file_that_does_not_fit_into_memory_is_refused_in_words(error, tmp_path, monkeypatch):
    path = kg.save(kg.Circuit([kg.h(0)]), tmp_path / "c")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(saving, "_arrays", fail)
    with pytest.raises(kg.errors.KetgradMemoryError, match="does not fit into memory"):
        kg.load(path)


FOREIGN_ARRAYS = {
    "16 bits of a brain": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]},
    "8 bits": {"dtype": "F8_E5M2", "shape": [8], "data_offsets": [0, 8]},
    "8 other bits": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]},
    "no dtype at all": {"dtype": "XX", "shape": [1], "data_offsets": [0, 8]},
    "more than there is": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
    "less than it says": {"dtype": "F64", "shape": [5], "data_offsets": [0, 8]},
    "beyond every number": {"dtype": "F64", "shape": [2**62, 2**62], "data_offsets": [0, 8]},
    "below zero": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]},
    "a list": [],
}


@pytest.mark.parametrize("name", FOREIGN_ARRAYS)
def test_arrays_that_cannot_be_read_are_refused_in_words(name):
    text = json.dumps(
        {"format": 1, "value": {"$array": {"name": "a"}}, "sha256": saving.NO_DIGEST}, separators=(",", ":")
    )
    header = json.dumps(
        {"__metadata__": {"ketgrad": text}, "a": FOREIGN_ARRAYS[name]}, separators=(",", ":")
    ).encode()
    blank = len(header).to_bytes(8, "little") + header + b"\0" * 8
    place = saving._digest_place(blank, len(blank), "blank").start(1)
    data = blank[:place] + saving.hashlib.sha256(blank).hexdigest().encode() + blank[place + 64 :]
    with pytest.raises(kg.KetgradError, match=r"its arrays are damaged|cannot be read"):
        saving._value(data, "foreign", False)


def test_an_angle_of_many_terms_is_read_in_one_pass():
    """One by one, 30,000 terms would take minutes."""
    terms = [[0.5, [["w", k % 300], ["x", k // 300]]] for k in range(30_000)]
    circuit = saving.restore({"ketgrad": 1, "value": {"$circuit": [1, [["rx", [0], [terms], []]]]}})
    assert len(circuit.ops[0].angles[0].terms) == 30_000
    twice = saving.restore({"ketgrad": 1, "value": {"$circuit": [1, [["rx", [0], [terms[:3] * 2], []]]]}})
    assert twice.ops[0].angles[0] == w[0] * x[0] + w[1] * x[0] + w[2] * x[0]


@pytest.mark.parametrize(
    "terms", [[[0.5, [["w", 0]] * 3]], [[0.5, [["y", 0]]]], [[0.5, [["w", -1]]]], [[0.5, [["w", 1.0]]]], [["a", []]],
              [[True, []]], [[10**400, []]], [[0.5, [["w", True]]]], [0.5], [[0.5]]],
)  # fmt: skip
def test_an_angle_that_no_circuit_has_is_refused(terms):
    with pytest.raises(kg.KetgradError):
        saving.restore({"ketgrad": 1, "value": {"$circuit": [1, [["rx", [0], [terms], []]]]}})


def test_places_of_a_description_are_found():
    """What forgeries change: each entry of each object and list, once."""
    assert len(list(nodes({"a": [1, {"b": 2}], "c": 3}))) == 5


def test_a_short_file_about_a_wide_register_is_refused_before_it_fills_the_memory():
    """Each instruction on 10^7 qubits holds integers of a megabyte."""
    op = ["rx", [0], [[[1.0, [["x", 0]]]]], []]
    circuit = {"$circuit": [10**7, [op] * 10_000]}
    state = {"$object": "State", "fields": {}}
    native = {"$object": "Native", "fields": {}}
    for name, fields in {
        "Function": {"circuit": circuit, "question": state, "executor": native},
        "FidelityKernel": {"circuit": circuit},
    }.items():
        with pytest.raises(kg.errors.KetgradMemoryError, match=r"register|ops on 10000000 qubits|state of"):
            value = saving.restore({"ketgrad": 1, "value": {"$object": name, "fields": fields}})
            value.features([[0.1]])


@pytest.mark.parametrize("index", [2**31, 10**12, 2**62])
def test_a_short_file_about_a_far_variable_is_refused_at_once(index):
    circuit = {"$circuit": [1, [["rx", [0], [[[1.0, [["w", index]]]]], []]]]}
    fields = {
        "circuit": circuit,
        "question": {"$object": "State", "fields": {}},
        "executor": {"$object": "Native", "fields": {}},
    }
    with pytest.raises(kg.errors.KetgradMemoryError, match="largest index"):
        saving.restore({"ketgrad": 1, "value": {"$object": "Function", "fields": fields}})


@pytest.mark.parametrize(
    "value", [object(), (1, 2), b"x", 1j, {1: 2}, {None: 1}, {"$array": 3}, {"$circuit": []}]
)
def test_what_is_no_description_is_refused_in_words(value):
    with pytest.raises(kg.KetgradError):
        saving.restore({"ketgrad": 1, "value": value})


@pytest.mark.parametrize(
    "probe", [["a"], {"$array": {"entries": ["a"], "dtype": "<U1", "shape": [1]}}, True, "x", 1.0]
)
def test_predictions_that_are_no_numbers_are_refused_in_words(probe):
    data = forged(FILES["inside"], lambda content, _: content.update(probe=probe))
    with pytest.raises(kg.KetgradError, match="no numbers"):
        saving._value(data, "forged", True)


@pytest.mark.parametrize(
    ("now", "then", "fits"),
    [(100.0, 100 * (1 + 5e-10), True), (100.0, 100 * (1 + 2e-9), False), (0.0, 9e-10, True), (0.0, 2e-9, False)],
)  # fmt: skip
def test_predictions_agree_to_nine_digits(now, then, fits, monkeypatch):
    monkeypatch.setattr(saving, "_probe", lambda model: np.array([now]))
    with warnings.catch_warnings() if fits else pytest.raises(kg.KetgradError, match="predicts otherwise"):
        saving._compare(None, np.array([then]), {}, "file")


@pytest.mark.parametrize("key", ["mean_", "scale_", "center_", "_scaler", "_fit_dtype", "add_indicator"])
def test_what_a_parameter_asks_for_was_learned(key):
    """Else the first prediction would end in an error about a missing attribute."""

    def change(content, _):
        fitted = content["value"]["parameters"]["steps"][0]["$tuple"][1]
        if key == "add_indicator":
            fitted["parameters"][key] = True
        elif key in ("_scaler", "_fit_dtype"):
            fitted["learned"].pop(key)
        else:
            fitted["learned"][key] = None

    tried = 0
    for scaler in (StandardScaler(), RobustScaler(), PowerTransformer(), SimpleImputer()):
        data = saving._file(make_pipeline(scaler, Normalizer()).fit(X))
        if key in vars(scaler):
            tried += 1
            with pytest.raises(kg.KetgradError, match=r"do not fit together|leaves out"):
                saving._value(forged(data, change), "forged", False)
    assert tried


@pytest.mark.parametrize(
    "model",
    [
        kg.VariationalClassifier(max_steps=3),
        kg.VariationalRegressor(verbose=True),
        kg.KernelClassifier(C=2.0),
        kg.KernelRegressor(),
        SVC(verbose=0),
        SVR(verbose=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_that_was_never_fitted_comes_back_with_its_parameters(model, tmp_path):
    again = kg.load(kg.save(model, tmp_path / "model"))
    assert type(again) is type(model) and again.get_params() == model.get_params()
    assert vars(again).keys() == vars(model).keys()


AT_THE_EDGE = {
    "one step kept": kg.LBFGSB(memory=1),
    "the most steps kept": kg.LBFGSB(memory=10_000),
    "four points": kg.FiniteDifference(order=4),
    "one qubit": kg.probabilities(kg.Circuit([kg.h(0), kg.h(1)]), [1]),
}


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_values_at_the_edge_of_what_a_file_may_say_come_back(name):
    assert saving.restore(saving.describe(AT_THE_EDGE[name])) == AT_THE_EDGE[name]


def test_values_beyond_the_edge_of_what_a_file_may_say_are_refused():
    with pytest.raises(kg.errors.KetgradTypeError, match=r"memory.*10001"):
        saving.describe(kg.LBFGSB(memory=10_001))


@pytest.mark.parametrize("step", [None, "passthrough"])
def test_a_step_that_does_nothing_comes_back(step, tmp_path):
    pipeline = make_pipeline(step, kg.KernelClassifier())
    again = kg.load(kg.save(pipeline, tmp_path / "model"))
    assert again.steps[0][1] == step and type(again.steps[1][1]) is kg.KernelClassifier


def test_a_machine_whose_kernel_reads_other_columns_than_it_learned_is_refused(tmp_path):
    rows, labels = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    machine = SVC(kernel=kg.FidelityKernel(kg.encodings.angle(3))).fit(rows, labels)
    machine.kernel = kg.FidelityKernel(kg.encodings.angle(2))
    with pytest.raises(kg.errors.KetgradTypeError, match="cannot be saved"):
        kg.save(machine, tmp_path / "model")
