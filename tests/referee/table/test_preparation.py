"""What is asked of a table, how its rows are divided, and the numbers that the models see."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas
import pytest

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.seeds import stream
from ketgrad.referee.table import preparation
from ketgrad.referee.table import reading as tables
from ketgrad.referee.table import task as tasks
from ketgrad.referee.table.columns import understand
from ketgrad.referee.table.raw_table import BadTable


def task_of(values, task: str | None = None) -> tasks.Task:
    frame = pandas.DataFrame({"a": np.arange(len(values)) % 7, "y": values})
    return tasks.find_task(tables.read_table(frame), "y", task)


def classes(*counts: int) -> tasks.Task:
    """A classification with these numbers of rows."""
    return task_of(np.repeat([f"class {code}" for code in range(len(counts))], counts))


# ------------------------------------------------------------------------------------------------------ the task


@pytest.mark.parametrize(
    ("num_rows", "different", "kind"),
    [
        (200, 20, "classification"),
        (210, 21, "regression"),  # more than twenty whole numbers are measured, not named
        (190, 19, "classification"),
        (190, 20, "regression"),  # fewer than ten rows for each
        (12, 2, "classification"),
        (12, 3, "regression"),
    ],
)
def test_few_whole_numbers_are_classes_and_many_are_values(num_rows, different, kind):
    found = task_of(np.arange(num_rows) % different)
    assert found.kind == kind
    assert f"{different} different" in found.reason
    assert ("regression" if kind == "classification" else "classification") in found.reason
    assert task_of(np.arange(num_rows) % different + 0.5).kind == "regression"


def test_a_task_that_was_chosen_is_kept():
    assert task_of([0, 1] * 10, "regression").kind == "regression"
    assert task_of([0, 1] * 10, "regression").target_range == (0.0, 1.0)
    words = task_of(["a", "b"] * 10, "classification")
    assert (words.kind, words.reason, words.target_range) == ("classification", "You chose it.", None)
    for values, task, word in (
        (["a", "b"] * 10, "regression", "holds words"),
        ([1.5] * 20, None, "constant"),
        (pandas.date_range("2024-01-01", periods=20), None, "dates"),
    ):
        with pytest.raises(BadTable, match=word):
            task_of(values, task)
    with pytest.raises(KetgradValueError, match="no task 'classify'"):
        task_of([0, 1] * 10, "classify")


def test_a_target_must_exist_and_have_a_value_in_every_row():
    frame = pandas.DataFrame({"a": range(20), "y": [f"{place / 3:.3f}" for place in range(19)] + ["NA"]})
    raw = tables.read_table(frame)
    with pytest.raises(BadTable, match="there is no column 'z'"):
        tasks.find_task(raw, "z")
    with pytest.raises(BadTable, match=r"'y' has no value in row 19 \(1 of 20 rows\)"):
        tasks.find_task(raw, "y")  # among numbers, NA says that one is missing


def test_what_was_odd_about_a_target_of_numbers_is_told_and_that_words_are_words_is_not():
    (warning,) = task_of(2**60 + np.arange(30) ** 3).warnings
    assert "'y' holds whole numbers above 2^53" in warning
    assert task_of(["1", "2", "b", "2"] * 5).warnings == ()


def test_classes_stand_in_the_order_of_their_numbers_or_words():
    numbers = task_of([10, 9, 2, 2] * 10)
    assert [(item.name, item.count) for item in numbers.classes] == [("2", 20), ("9", 10), ("10", 10)]
    assert numbers.y.tolist() == [2, 1, 0, 0] * 10
    words = task_of(["10x", "9x", "2x", "2x"] * 10)
    assert [item.name for item in words.classes] == ["10x", "2x", "9x"]
    halves = task_of([0.5, 1.0] * 10, "classification")
    assert [item.name for item in halves.classes] == ["0.5", "1"]


def test_a_class_needs_two_rows_on_average():
    assert len(task_of(["a", "b", "c", "d", "e"] * 2).classes) == 5
    with pytest.raises(BadTable, match=r"6 classes in 11 rows.*task='regression'"):
        task_of(["a", "b", "c", "d", "e"] * 2 + ["f"])
    with pytest.raises(BadTable, match="3 classes in 5 rows"):
        task_of(["a", "b", "c", "a", "b"])
    assert len(task_of(["a", "b"]).classes) == 2


# ---------------------------------------------------------------------------------------------------- leaks


def leak(column, values) -> bool:
    """Whether a table of the column, noise and these answers is refused because the column gives them away."""
    frame = pandas.DataFrame({"a": column, "b": stream(1).normal(size=len(values)), "y": values})
    raw = tables.read_table(frame)
    task = tasks.find_task(raw, "y")
    try:
        tasks.refuse_leaks(understand(raw, "y"), task)
    except BadTable as error:
        assert "'a' gives the target away" in str(error)
        return True
    return False


def test_a_column_that_is_the_answer_in_other_words_is_refused():
    y = stream(2).normal(size=20)
    noise = stream(3).uniform(-1, 1, 20)
    assert leak(y, y) and leak(5 - 3 * y, y) and leak(1e6 * y + 1e-3, y)
    assert leak((y - y.min()) / np.ptp(y), y) and leak(y, (y - y.min()) / np.ptp(y))
    assert leak(y + 1e-10 * noise, y) and not leak(y + 1e-7 * noise, y)
    assert not leak(np.where(np.arange(20) == 3, np.nan, y), y)  # who knows the missing one
    assert not leak(y**3, y)
    words = np.array(["no", "yes", "no", "no"] * 5)
    assert leak(np.where(words == "no", "x", "z"), words) and leak((words == "no") + 4.0, words)
    assert not leak(np.where(np.arange(20) == 3, "z", words), words)
    assert not leak(np.where(np.arange(20) < 10, "z", words), words)  # three values for two answers
    merged = np.array(["a", "b", "c", "c"] * 5)
    assert not leak(np.where(merged == "a", "b", merged), merged)


def test_fewer_than_eight_rows_agree_by_chance():
    words = np.array(["no", "yes", "no", "yes", "yes", "no", "yes", "no"])
    assert leak(np.where(words == "no", "x", "z"), words)
    assert not leak(np.where(words == "no", "x", "z")[:7], words[:7])


# ----------------------------------------------------------------------------------------------------- the splits


def test_every_fold_needs_two_rows_and_one_of_each_class():
    assert len(tasks.make_splits(task_of(np.arange(8) / 3), 4, 1, 0)) == 4
    with pytest.raises(BadTable, match="7 rows are too few for 4 folds; at least 8 are needed"):
        tasks.make_splits(task_of(np.arange(7) / 3), 4, 1, 0)
    assert len(tasks.make_splits(classes(3, 17), 3, 1, 0)) == 3
    with pytest.raises(
        BadTable, match=r"'class 0' has 3 rows - fewer than the 4 folds.*At most folds=3 \(--folds\)"
    ):
        tasks.make_splits(classes(3, 17), 4, 1, 0)
    assert "At most folds=2" in refusal(classes(2, 18), 3)
    assert "Remove it, or merge" in refusal(classes(1, 19), 2)


def refusal(task: tasks.Task, folds: int) -> str:
    with pytest.raises(BadTable) as caught:
        tasks.make_splits(task, folds, 1, 0)
    return str(caught.value)


def test_splits_are_counted_sized_and_stratified_and_hashed_by_their_test_rows():
    for task in (classes(6, 15), task_of(np.arange(21) / 2)):
        splits = tasks.make_splits(task, 3, 2, 5)
        facts = [(item.split.index, item.split.repeat, item.split.fold) for item in splits]
        assert facts == [(0, 0, 0), (1, 0, 1), (2, 0, 2), (3, 1, 0), (4, 1, 1), (5, 1, 2)]
        for item in splits:
            assert (item.split.n_train, item.split.n_test) == (len(item.train), len(item.test)) == (14, 7)
            assert sorted([*item.train, *item.test]) == list(range(21))
            assert task.kind == "regression" or np.bincount(task.y[item.test]).tolist() == [2, 5]
        rows = np.concatenate([item.test for item in splits]).astype("<i8")
        assert tasks.split_hash(splits) == hashlib.sha256(rows.tobytes()).hexdigest()
        assert sorted(splits[0].test) != sorted(splits[3].test)  # repeats divide anew
        assert sorted(splits[0].test) != list(range(7))  # and at random


# ------------------------------------------------------------------------------------------- the prepared numbers


def prepared(frame: pandas.DataFrame, train, test, inner_folds: int = 1, seed: int = 0, index: int = 0):
    raw = tables.read_table(frame)
    task = tasks.find_task(raw, "y")
    rows = tasks.SplitRows(tasks.Split(index, 0, 0, len(train), len(test)), np.array(train), np.array(test))
    return preparation.prepare(understand(raw, "y"), task, [rows], inner_folds, seed)[0]


def table(n: int = 30) -> pandas.DataFrame:
    rng = stream(7)
    return pandas.DataFrame(
        {
            "a": rng.normal(5, 3, n),
            "b": np.where(np.arange(n) % 5 == 0, np.nan, rng.gamma(1, size=n)),
            "c": np.where(np.arange(n) % 3 == 0, "p", "q"),
            "y": np.arange(n) % 2,
        }
    )


def numbers(n: int = 30) -> pandas.DataFrame:
    """The columns of numbers alone, which are quick."""
    return table(n).drop(columns="c")


def test_numbers_are_filled_with_the_median_marked_and_scaled_by_the_training_rows():
    frame, train, test = table(), range(20), range(20, 30)
    found = prepared(frame, train, test)
    filled = frame["b"].fillna(frame["b"][:20].median())
    expected = np.column_stack([frame["a"], filled, frame["b"].isna(), frame["c"] == "q"]).astype(float)
    expected = (expected - expected[:20].mean(axis=0)) / expected[:20].std(axis=0)
    assert found.outer.X_train == pytest.approx(expected[:20])
    assert found.outer.X_test == pytest.approx(expected[20:])
    assert found.outer.y_train.tolist() == [0, 1] * 10 and found.outer.y_test.tolist() == [0, 1] * 5
    assert found.outer.X_train.flags.c_contiguous and found.outer.X_test.flags.c_contiguous


def seen_by_the_models(column) -> np.ndarray:
    """The matrix of all rows of a table with this one column."""
    n = len(column)
    frame = pandas.DataFrame({"a": column, "y": np.arange(n) % 2})
    return prepared(frame, range(n), range(2)).outer.X_train


def scaled(*columns) -> np.ndarray:
    values = np.column_stack([np.asarray(column, dtype=float) for column in columns])
    return (values - values.mean(axis=0)) / values.std(axis=0)


def test_dates_become_the_numbers_that_are_promised():
    assert "dates become year, month, day, hour, weekday and seconds" in preparation.SENTENCE
    times = pandas.Series(pandas.date_range("2022-01-03 05:30", periods=40, freq="311h"))
    seconds = (times - pandas.Timestamp(0)).dt.total_seconds()
    at = times.dt
    expected = scaled(at.year, at.month, at.day, at.hour, seconds, at.weekday)
    assert seen_by_the_models(times) == pytest.approx(expected, abs=1e-3)  # made in single precision
    days = times.dt.normalize()
    seconds = (days - pandas.Timestamp(0)).dt.total_seconds()
    expected = scaled(at.year, at.month, at.day, seconds, at.weekday)
    assert seen_by_the_models(days) == pytest.approx(expected, abs=1e-3)


def test_forty_words_are_columns_of_their_own_and_more_become_ten_numbers():
    assert "text becomes ten numbers" in preparation.SENTENCE
    words = np.array([f"word {place % 40}" for place in range(90)])
    found = seen_by_the_models(words)
    assert found == pytest.approx(scaled(*(words == word for word in sorted(set(words)))))
    assert seen_by_the_models([f"word {place % 41}" for place in range(90)]).shape == (90, 10)


def test_columns_that_do_not_vary_in_the_training_rows_are_left_out_of_the_matrix():
    frame = table()
    frame["late"] = np.where(np.arange(30) < 20, 1.5, np.arange(30))
    frame["word"] = np.where(np.arange(30) < 20, "same", "other")
    frame["gone"] = np.where(np.arange(30) < 20, np.nan, np.arange(30))
    frame["when"] = pandas.Series([pandas.NaT] * 20 + list(pandas.date_range("2024-01-01", periods=10)))
    assert "columns that do not vary are left out" in preparation.SENTENCE
    without = prepared(numbers(), range(20), range(20, 30), 2)
    for column in ("late", "word", "gone", "when"):
        found = prepared(numbers().assign(**{column: frame[column]}), range(20), range(20, 30), 2)
        for part, plain in zip((found.outer, *found.inner), (without.outer, *without.inner), strict=True):
            assert np.ptp(part.X_train, axis=0).min() > 0
            assert part.X_train == pytest.approx(plain.X_train) and part.X_test == pytest.approx(plain.X_test)


def test_a_table_that_does_not_vary_in_the_training_rows_keeps_its_columns():
    frame = pandas.DataFrame({"a": [1.5] * 20 + [2.5, 3.0] * 5, "y": [0, 1] * 15})
    assert prepared(frame, range(20), range(20, 30)).outer.X_train.shape == (20, 1)


def test_tuning_divides_the_training_rows_alone():
    frame = numbers(60)
    found = prepared(frame, range(40), range(40, 60), 4)
    assert [len(part.y_train) for part in found.inner] == [30] * 4
    assert [len(part.y_test) for part in found.inner] == [10] * 4
    assert all(part.y_test.mean() == 0.5 for part in found.inner)  # stratified
    assert prepared(frame, range(40), range(40, 60), 1).inner == ()
    assert len(prepared(frame, range(8), range(40, 60), 4).inner) == 4
    assert prepared(frame, range(7), range(40, 60), 4).inner == ()  # too few rows to tune on


def test_the_inner_division_depends_on_the_seed_and_the_split():
    frame = numbers(60)
    first, again, seeded, later = (
        prepared(frame, range(40), range(40, 60), 2, seed, index).inner[0].X_test
        for seed, index in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, seeded) and not np.array_equal(first, later)


def test_an_inner_part_that_lacks_a_class_is_not_used():
    frame = numbers(42).assign(y=["rare" if i in (3, 41) else "often" for i in range(42)])
    # one rare row in training: the part of which it is the test has nothing to learn from
    assert len(prepared(frame, range(40), range(40, 42), 4).inner) == 3
    frame["y"] = ["rare" if i in (3, 4, 5, 6, 41) else "often" for i in range(42)]
    found = prepared(frame, range(40), range(40, 42), 4).inner
    assert [int((part.y_test == 1).sum()) for part in found] == [1] * 4


def test_a_regression_is_divided_without_classes():
    frame = numbers(40).assign(y=stream(3).normal(size=40))
    assert [len(part.y_test) for part in prepared(frame, range(30), range(30, 40), 3).inner] == [10] * 3


def test_the_matrices_of_all_splits_are_asked_for_at_once(monkeypatch):
    asked = []
    monkeypatch.setattr(preparation, "reserve", lambda *arguments: asked.append(arguments))
    raw = tables.read_table(numbers(60))
    task = tasks.find_task(raw, "y")
    preparation.prepare(understand(raw, "y"), task, tasks.make_splits(task, 3, 2, 0), 2, 0)
    assert [need for need, *_ in asked] == [8 * 60 * 3 * 6 * 3]  # bytes, rows, columns, splits, parts
    assert asked[0][1:] == (
        "the matrices of all splits",
        "Use a part of the table: rows=2000 (--rows 2000), or fewer repeats.",
    )
