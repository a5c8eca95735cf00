"""Bad input to the estimators: each row of the catalogue, one test; every refusal says where and what to do."""

import time
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from estimators import classifiers_with, models_with, regressors_with
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning

import ketgrad as kg
from ketgrad.foundation import errors, memory

RNG = np.random.default_rng(11)
X = RNG.normal(size=(12, 3))
Y = np.arange(12) % 2
QUICK = {"max_steps": 2, "random_state": 0}
every_estimator = pytest.mark.parametrize("model", models_with(**QUICK).values())
every_classifier = pytest.mark.parametrize("model", classifiers_with(**QUICK).values())
every_regressor = pytest.mark.parametrize("model", regressors_with(**QUICK).values())


def with_cells(cells, value):
    spoiled = X.copy()
    for cell in cells:
        spoiled[cell] = value
    return spoiled


def table(data=X, names=("age", "weight", "size")):
    return pd.DataFrame(data, columns=list(names))


@every_estimator
def test_D1_missing_values_are_refused_with_row_column_and_count(model):
    spoiled = with_cells([(4, 1), (4, 2), (7, 0)], np.nan)
    message = r"Input X contains NaN\. 3 such entries in 2 of 12 rows, the first at row 4, column 1\..*SimpleImputer"
    with pytest.raises(errors.KetgradValueError, match=message):
        model.fit(spoiled, Y)
    with pytest.raises(errors.KetgradValueError, match=r"row 4, column 1 \('weight'\).*--missing=drop"):
        model.fit(table(spoiled), Y)
    with pytest.raises(errors.KetgradValueError, match="Input X contains NaN"):
        model.fit(pd.DataFrame({"a": [1, 2, None, 4], "b": pd.array([1, 2, pd.NA, 4], dtype="Int64")}), Y[:4])


@every_estimator
@pytest.mark.parametrize("value", [np.inf, -np.inf, float("1e999")])
def test_D2_infinite_values_are_refused_with_row_and_column(model, value):
    message = r"Input X contains infinity .* 1 such entry in 1 of 12 rows, the first at row 5, column 2\."
    with pytest.raises(errors.KetgradValueError, match=message):
        model.fit(with_cells([(5, 2)], value), Y)


@every_estimator
def test_D3_missing_values_at_prediction_get_the_same_words(model):
    model.fit(table(), Y)
    with pytest.raises(errors.KetgradValueError, match=r"Input X contains NaN\..*row 2, column 0 \('age'\)"):
        model.predict(table(with_cells([(2, 0)], np.nan)))


@every_estimator
@pytest.mark.parametrize(
    "value, words", [(np.nan, "Input y contains NaN"), (np.inf, "Input y contains infinity")]
)
def test_D4_missing_targets_are_refused_with_their_row(model, value, words):
    targets = Y.astype(float)
    targets[6] = value
    with pytest.raises(errors.KetgradValueError, match=rf"{words}.* 1 such row of 12, the first is row 6"):
        model.fit(X, targets)


@every_classifier
@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_D4_missing_labels_among_texts_are_refused(model, gap):
    labels = np.array(["a", "b"] * 6, dtype=object)
    labels[3] = gap
    with pytest.raises(errors.KetgradValueError, match=r"Input y contains NaN.* the first is row 3"):
        model.fit(X, labels)


@every_estimator
def test_D5_a_column_of_missing_values_is_named(model):
    spoiled = with_cells([(slice(None), 1)], np.nan)
    with pytest.raises(errors.KetgradValueError, match=r"Column 1 \('weight'\) holds nothing else"):
        model.fit(table(spoiled), Y)


@every_estimator
def test_D6_a_constant_column_is_named_in_a_warning_and_becomes_the_angle_zero(model):
    spoiled = with_cells([(slice(None), 1)], 7.3)
    with pytest.warns(UserWarning, match=r"1 column\(s\) of X are constant .*: 1 \('weight'\)"):
        model.fit(table(spoiled), Y)
    angles = model._angles(table(spoiled))
    assert np.array_equal(angles[:, 1], np.zeros(12)) and np.ptp(angles[:, 0]) > 0


@every_estimator
def test_D7_a_table_without_information_is_refused(model):
    with pytest.raises(
        errors.KetgradValueError, match=r"X holds no information: all 3 feature\(s\) are constant"
    ):
        model.fit(np.ones((12, 3)), Y)
    with pytest.raises(errors.KetgradValueError, match="X holds no information"):
        model.fit(np.repeat(X[:1], 12, axis=0), Y)


@every_estimator
def test_D8_numbers_as_text_are_converted_and_other_text_is_refused_with_its_cell(model):
    text = X.round(6).astype(str).astype(object)
    expected = clone(model).fit(X.round(6), Y).predict(X)
    np.testing.assert_allclose(clone(model).fit(text, Y).predict(X), expected, atol=1e-9)
    text[8, 2] = "12 kg"
    with pytest.raises(errors.KetgradValueError, match=r"row 8, column 2 holds '12 kg'.*OneHotEncoder"):
        model.fit(text, Y)
    with pytest.raises(errors.KetgradValueError, match=r"row 8, column 2 \('size'\) holds '12 kg'"):
        model.fit(table(text), Y)


@every_estimator
def test_D9_true_false_maybe_is_an_error_never_a_gap(model):
    mixed = np.array([[True, 1.0], [False, 2.0], ["maybe", 3.0], [True, 4.0]], dtype=object)
    with pytest.raises(errors.KetgradValueError, match="row 2, column 0 holds 'maybe'"):
        model.fit(mixed, [0, 1, 0, 1])
    model.fit(X > 0, Y)


@every_estimator
def test_D12_D24_feature_names_may_be_of_one_kind_only(model):
    with pytest.raises(errors.KetgradTypeError, match="feature names"):
        model.fit(table(names=("a", "b", 3)), Y)


@every_estimator
def test_D14_empty_tables_are_refused(model):
    with pytest.raises(errors.KetgradValueError, match=r"0 sample\(s\)"):
        model.fit(X[:0], Y[:0])
    with pytest.raises(errors.KetgradValueError, match=r"0 feature\(s\)"):
        model.fit(X[:, :0], Y)
    model.fit(X, Y)
    with pytest.raises(errors.KetgradValueError, match=r"0 sample\(s\)"):
        model.predict(X[:0])


@every_estimator
def test_D19_huge_and_tiny_numbers_are_scaled_or_refused_never_made_nan(model):
    expected = clone(model).fit(X, Y).predict(X)
    tiny = clone(model).fit(X * 2.0**-1000, Y).predict(X * 2.0**-1000)
    np.testing.assert_allclose(tiny, expected, atol=1e-9)
    large = clone(model).fit(X * 2.0**70, Y).predict(X * 2.0**70)
    np.testing.assert_allclose(large, expected, atol=1e-9)
    whole = [[2**70 + k * 2**65, k % 3] for k in range(12)]
    assert np.isfinite(np.asarray(clone(model).fit(whole, Y).predict(whole), dtype=float)).all()
    wide = with_cells([(0, 0), (1, 0)], 1e308)
    assert np.isfinite(np.asarray(clone(model).fit(wide, Y).predict(wide), dtype=float)).all()
    wide[:, 0] = np.where(np.arange(12) < 10, 1.7e308, -1.7e308)
    with pytest.raises(errors.KetgradValueError, match="Column 0 of X cannot be scaled"):
        model.fit(wide, Y)


@every_regressor
def test_D19_targets_whose_spread_overflows_are_refused(model):
    with pytest.raises(errors.KetgradValueError, match="y cannot be scaled"):
        model.fit(X, np.where(np.arange(12) < 10, 1.7e308, -1.7e308))


@every_classifier
def test_D20_a_single_class_is_refused(model):
    with pytest.raises(errors.KetgradValueError, match=r"needs >= 2 classes, but .* 1 class only: 'yes'"):
        model.fit(X, ["yes"] * 12)
    with pytest.raises(errors.KetgradValueError, match="needs >= 2 classes"):
        model.fit(X, Y, sample_weight=Y)


@every_estimator
@pytest.mark.parametrize("rows", [1, 2])
def test_D21_one_or_two_rows_are_refused_in_the_words_of_scikit_learn(model, rows):
    with pytest.raises(
        errors.KetgradValueError, match=rf"Found array with {rows} sample\(s\).* a minimum of 3 is required"
    ):
        model.fit(X[:rows], Y[:rows])


def test_D23_more_classes_than_basis_states_are_refused():
    labels = np.arange(12) % 5
    with pytest.raises(
        errors.KetgradValueError, match=r"5 classes, more than the 4 basis states .* at least 3 qubits"
    ):
        kg.VariationalClassifier(num_qubits=2).fit(X, labels)
    free = kg.VariationalClassifier(max_steps=1).fit(X[:, :1], labels)
    assert free.circuit_.num_qubits == 3  # left to itself the model takes as many qubits as it needs


@every_estimator
def test_D25_one_column_works_and_ten_thousand_are_refused_at_once_with_the_qubits(model):
    assert clone(model).fit(X[:, :1], Y).predict(X[:, :1]).shape == (12,)
    wide = RNG.normal(size=(12, 10_000))
    began = time.perf_counter()
    with pytest.raises(
        errors.KetgradValueError, match=r"10000 feature\(s\).* too many for \d+ qubits .*PCA\(\d+\)"
    ):
        model.fit(wide, Y)
    assert time.perf_counter() - began < 0.1


@every_estimator
def test_D26_other_features_at_prediction_are_refused_by_name(model):
    with pytest.raises(errors.KetgradValueError, match=r"X has 2 features, but .* is expecting 3 features"):
        clone(model).fit(X, Y).predict(X[:, :2])
    model.fit(table(), Y)
    with pytest.raises(errors.KetgradValueError, match=r"(?s)feature names.*must be in the same order"):
        model.predict(table(names=("weight", "age", "size")))
    with pytest.raises(errors.KetgradValueError, match=r"(?s)unseen at fit time.*height.*missing.*size"):
        model.predict(table(names=("age", "weight", "height")))
    assert list(model.feature_names_in_) == ["age", "weight", "size"] and model.n_features_in_ == 3


@every_estimator
def test_D27_targets_of_the_wrong_length_or_absent_are_refused(model):
    with pytest.raises(errors.KetgradValueError, match="X has 12 rows, but y has 11"):
        model.fit(X, Y[:11])
    with pytest.raises(errors.KetgradValueError, match="requires y to be passed, but the target y is None"):
        model.fit(X, None)


@every_classifier
def test_D27_labels_may_be_text_bool_or_a_column_but_not_real_numbers(model):
    for labels in (np.where(Y, "yes", "no"), Y.astype(bool), [str(k) for k in Y], Y.astype(np.uint8)):
        assert set(clone(model).fit(X, labels).predict(X)) <= set(labels)
    with pytest.warns(DataConversionWarning):
        clone(model).fit(X, Y[:, None])
    with pytest.raises(errors.KetgradValueError, match="Unknown label type"):
        model.fit(X, Y + 0.5 * X[:, 0])
    with pytest.raises(errors.KetgradValueError, match="y should be a 1d array"):
        model.fit(X, np.stack([Y, Y], axis=1))


@every_regressor
def test_D27_targets_that_are_no_numbers_are_refused(model):
    with pytest.raises(errors.KetgradValueError, match="could not convert"):
        model.fit(X, np.where(Y, "yes", "no"))
    with pytest.raises(errors.KetgradValueError, match="Complex data not supported"):
        model.fit(X, Y + 1j)


@every_estimator
def test_D28_kinds_of_arrays_that_have_no_angles_are_refused(model):
    with pytest.raises(errors.KetgradTypeError, match=r"(?i)sparse input is not supported.*toarray"):
        model.fit(sparse.csr_array(X), Y)
    with pytest.raises(errors.KetgradTypeError, match=r"(?i)sparse input is not supported"):
        model.fit(sparse.coo_matrix(X), Y)
    with pytest.raises(errors.KetgradTypeError, match="masked"):
        model.fit(np.ma.masked_less(X, 0), Y)
    with pytest.raises(errors.KetgradValueError, match="Complex data not supported"):
        model.fit(X + 0j, Y)
    dates = np.arange("2020-01-01", "2020-01-13", dtype="datetime64[D]")
    with pytest.raises(errors.KetgradTypeError, match="dates or times"):
        model.fit(dates[:, None], Y)
    with pytest.raises(errors.KetgradTypeError, match="column 'day' holds dates or times"):
        model.fit(pd.DataFrame({"day": dates, "age": X[:, 0]}), Y)
    with pytest.raises(errors.KetgradValueError, match=r"(?i)1D array"):
        model.fit(X[:, 0], Y)
    with pytest.raises(errors.KetgradValueError, match="dim"):
        model.fit(X[None], Y)


@every_estimator
def test_D28_numbers_of_any_width_are_accepted(model):
    halves = X.astype(np.float16)
    expected = clone(model).fit(halves.astype(float), Y).predict(halves)
    exact = [[Decimal(float(v)) for v in row] for row in halves]
    for same in (
        halves,
        halves.astype(np.float32),
        halves.astype(np.longdouble),
        exact,
        halves.astype(object),
    ):
        np.testing.assert_allclose(clone(model).fit(same, Y).predict(halves), expected, atol=1e-12)


@pytest.mark.parametrize("kernel", ["fidelity", "projected"])
@pytest.mark.parametrize("machine", [kg.KernelClassifier, kg.KernelRegressor])
def test_D30_hundred_thousand_rows_are_refused_at_once_with_a_way_out(machine, kernel, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 16 * 2**30)
    rows = np.arange(200_000, dtype=float).reshape(-1, 2)
    machine(kernel=kernel).fit(X, Y)
    began = time.perf_counter()
    with pytest.raises(
        errors.KetgradMemoryError, match=r"100000 x 100000 entries needs 74\.\d GiB.*Nystroem"
    ):
        machine(kernel=kernel).fit(rows, np.arange(100_000) % 2)
    assert time.perf_counter() - began < 0.1


@every_estimator
@pytest.mark.parametrize(
    "weights, message",
    [
        (np.ones(11), r"must have shape \(12,\) .* but has shape \(11,\)"),
        (np.ones((12, 1)), r"must have shape \(12,\)"),
        (
            np.where(np.arange(12) == 4, -1.0, 1.0),
            r"must be finite and not negative, but is -1\.0 at row 4 \(1 such row\)",
        ),
        (np.where(np.arange(12) == 4, np.nan, 1.0), "must be finite .* nan at row 4"),
        (np.zeros(12), "must not be zero everywhere"),
        (["a"] * 12, "must hold real numbers"),
    ],
)
def test_wrong_sample_weights_are_refused(model, weights, message):
    with pytest.raises(errors.KetgradError, match=f"`sample_weight` {message}"):
        model.fit(X, Y, sample_weight=weights)


@every_estimator
def test_a_refused_fit_leaves_the_fitted_model_as_it_was(model):
    expected = model.fit(X, Y).predict(X)
    with pytest.raises(errors.KetgradError):
        model.fit(X, Y, sample_weight=np.zeros(12))
    np.testing.assert_array_equal(model.predict(X), expected)


@every_estimator
def test_answers_far_outside_the_training_data_are_finite_and_come_with_one_warning(model):
    model.fit(table(), Y)
    far = X.copy()
    far[7, 1] = 1e6
    message = r"1 of 12 row\(s\) of X lie far outside of the training data, the first in row 7, column 1 \('weight'\)"
    with pytest.warns(UserWarning, match=message) as caught:
        answers = np.asarray(model.predict(table(far)), dtype=float)
    assert np.isfinite(answers).all() and len(caught) == 1 and caught[0].filename == __file__


@every_estimator
@pytest.mark.parametrize("scaling", ["range", "none"])
def test_nothing_is_far_outside_where_rows_are_clipped_or_angles_as_given(model, scaling):
    fitted = clone(model).set_params(scaling=scaling).fit(X, Y)
    fitted.predict(X + 50.0)  # warnings are errors here


@every_estimator
def test_rows_within_two_turns_of_the_training_rows_are_no_strangers(model):
    fitted = clone(model).fit(X, Y)
    bandwidth = fitted.get_params().get("bandwidth")
    turns = 4 * np.pi * X.std(axis=0) * (1.0 if bandwidth is None else np.sqrt(3) / bandwidth)
    for edge, way in ((X.min(axis=0), -turns), (X.max(axis=0), turns)):
        fitted.predict((edge + 0.99 * way)[None])
        with pytest.warns(UserWarning, match="far outside"):
            fitted.predict((edge + 1.01 * way)[None])


@every_estimator
def test_a_row_of_zeros_cannot_be_amplitudes_and_is_named_as_the_user_counts(model):
    amplitudes = clone(model).set_params(encoding="amplitude")
    spoiled = X.copy()
    spoiled[[9, 5]] = 0.0
    message = r"Row 5 of X is zero in every column that is encoded as amplitudes"
    with pytest.raises(errors.KetgradValueError, match=message):
        clone(amplitudes).fit(spoiled, Y)
    clone(amplitudes).fit(spoiled, Y, sample_weight=spoiled.any(axis=1))  # rows of weight zero do not count
    with pytest.raises(errors.KetgradValueError, match=message):
        amplitudes.fit(X, Y).predict(spoiled)


@every_classifier
def test_columns_of_zeros_and_ones_are_refused_with_the_way_to_labels(model):
    one_hot = np.eye(3, dtype=int)[np.arange(12) % 3]
    several = (RNG.random((12, 3)) < 0.5).astype(int)
    for y in (one_hot, several, one_hot.tolist(), pd.DataFrame(one_hot)):
        with pytest.raises(
            errors.KetgradValueError, match=r"shape \(12, 3\).*y\.argmax\(axis=1\).*MultiOutput"
        ):
            model.fit(X, y)
