"""Tables are understood from the form of their cells, and prepared on training rows only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from ketgrad import datasets
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.referee.table import preparation
from ketgrad.referee.table import reading as tables
from ketgrad.referee.table import task as tasks
from ketgrad.referee.table.cells import understand_column
from ketgrad.referee.table.target import ask


def understood(path, target, **choices):
    choices = {"task": None, "missing": "median", "drop": (), "text": (), "decimal": None, **choices}
    return ask(tables.read_table(path), target, **choices)


def test_the_shipped_tables_are_those_that_the_script_writes():
    script = Path(__file__).parents[3] / "tools" / "make_datasets.py"
    result = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_every_shipped_table_loads_by_name_and_by_path():
    for name, rows, width in (("breast_cancer", 569, 30), ("diabetes", 442, 10), ("wine_messy", 178, 17)):
        X, y = datasets.load(name)
        assert X.shape == (rows, width) and len(y) == rows
        asked = understood(datasets.path(name), datasets.TARGETS[name])
        assert len(asked.task.y) == rows and len(asked.understood.columns) == width
    with pytest.raises(KetgradValueError, match="Did you mean 'diabetes'"):
        datasets.load("diabetis")


def test_the_messy_wine_table_is_understood_column_by_column():
    asked = understood(datasets.path("wine_messy"), "cultivar")
    by_name = {column.name: column for column in asked.understood.columns}
    for name, kind, used in (
        ("sample_id", "identifier", False),
        ("alcohol", "number", True),
        ("magnesium", "number", True),
        ("body", "category", True),
        ("label", "category", True),
        ("bottled", "date", True),
        ("organic", "boolean", True),
        ("laboratory", "constant", False),
    ):
        assert (by_name[name].kind, by_name[name].used) == (kind, used), name
    assert asked.understood.frame["alcohol"].between(11, 15).all()
    assert by_name["magnesium"].missing == 19 and by_name["hue"].missing > 10
    assert [(item.text, item.count) for item in by_name["label"].kept_as_text] == [("NA", 34)]


def column(values, **choices):
    cells = pandas.Series(values, dtype=object)
    return understand_column(cells, "c", [f"row {i}" for i in range(len(cells))], **choices)


def test_dates_are_read_in_the_format_that_fits_every_cell():
    for texts, first, warns in (
        (["2024-03-01", "2024-12-31"], "2024-03-01", False),
        (["2024-03-01T10:00:00Z", "2024-12-31T00:00:00+02:00"], "2024-03-01 10:00", False),
        (["01.03.2024", "31.12.2024"], "2024-03-01", False),
        (["01/03/2024", "11/12/2024"], "2024-03-01", True),
        (["03/13/2024", "12/01/2024"], "2024-03-13", False),
        (["2024/03/01", "2024/12/31"], "2024-03-01", False),
    ):
        reading = column(texts * 6)
        assert reading.kind == "date", texts
        assert reading.values[0] == pandas.Timestamp(first)
        assert bool(reading.warnings) == warns
    assert column(["2024-03-01", "soon", "later"] * 6).kind == "category"


def test_words_become_booleans_categories_text_or_identifiers():
    sentences = [f"the {i} quick foxes and {i % 3} dogs" for i in range(60)]
    for values, kind in (
        (["yes", "no", "no"] * 20, "boolean"),
        (["red", "green", "blue"] * 20, "category"),
        (sentences, "text"),
        ([f"id{i}" for i in range(60)], "identifier"),
        ([str(i) for i in range(60)], "identifier"),
        ([str(1990 + i) for i in range(60)], "number"),
    ):
        assert column(values).kind == kind, kind


def test_codes_that_look_like_numbers_stay_words_on_request():
    codes = ["00123", "00456", "99999"] * 5
    assert column(codes).kind == "number"
    assert set(column(codes, as_text=True).values) == {"00123", "00456", "99999"}


def test_nothing_of_the_test_rows_reaches_the_matrix_of_the_training_rows(tmp_path):
    rng = np.random.default_rng(0)
    n = 60
    frame = pandas.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "c": rng.choice(["p", "q", "r"], n),
            "d": pandas.date_range("2024-01-01", periods=n, freq="31h"),
            "t": [f"word{rng.integers(50)} and word{rng.integers(50)} more" for _ in range(n)],
            "y": rng.choice(["no", "yes"], n),
        }
    )
    changed = frame.copy()
    asked = understood(frame, "y")
    split = tasks.make_splits(asked.task, 3, 1, 0)[0]
    changed.loc[split.test, "a"] = 1e6
    changed.loc[split.test, "b"] = -1e6
    changed.loc[split.test, "c"] = "new"
    changed.loc[split.test, "t"] = "something entirely different"
    before, after = (
        preparation.prepare(understood(table, "y").understood, asked.task, [split], 2, 0)[0]
        for table in (frame, changed)
    )
    assert np.array_equal(before.outer.X_train, after.outer.X_train)
    assert not np.array_equal(before.outer.X_test, after.outer.X_test)
    assert all(np.array_equal(a.X_test, b.X_test) for a, b in zip(before.inner, after.inner, strict=True))
    assert np.allclose(before.outer.X_train.mean(axis=0), 0, atol=1e-6)


def test_splits_are_stratified_disjoint_complete_and_fixed_by_the_seed():
    asked = understood(datasets.path("breast_cancer"), "diagnosis")
    splits = tasks.make_splits(asked.task, 5, 2, 7)
    assert tasks.split_hash(splits) == tasks.split_hash(tasks.make_splits(asked.task, 5, 2, 7))
    assert tasks.split_hash(splits) != tasks.split_hash(tasks.make_splits(asked.task, 5, 2, 8))
    # more repeats add splits and change none
    assert tasks.split_hash(splits) == tasks.split_hash(tasks.make_splits(asked.task, 5, 3, 7)[:10])
    for repeat in (0, 1):
        tests = [item.test for item in splits if item.split.repeat == repeat]
        assert sorted(np.concatenate(tests)) == list(range(569))
    for item in splits:
        assert not set(item.train) & set(item.test)
        assert abs(asked.task.y[item.test].mean() - asked.task.y.mean()) < 0.01
