"""The referee compares on equal terms, repeats itself bit by bit, and never turns a fault into a number."""

from __future__ import annotations

import dataclasses

import pytest

from ketgrad.errors import KetgradValueError
from ketgrad.referee import results as r


def tiny_comparison() -> r.Comparison:
    """A hand-made comparison of two models on two splits."""
    metric = r.Metric("accuracy", "accuracy", True, "points", "share of rows predicted right")
    splits = tuple(r.Split(i, 0, i, 8, 4) for i in range(2))
    protocol = r.Protocol(
        "accuracy", (metric,), 2, 1, 0, splits, "00", 4, "PCA", "median", "first", 1, 3, 0.01, 0.95,
        ("dummy", "svm"),
    )  # fmt: skip
    interval = r.Interval(0.75, 0.5, 1.0, 0.1, 2)
    cost = r.Cost(3, None, None, None, None, None, 0.1, 0.01, 0.2)
    score = r.SplitScore(0, {"accuracy": 0.75, "roc_auc": None}, 3, {"C": "1"}, 0.0, 0.1, 0.1)
    failed = dataclasses.replace(score, split=1, failure="ValueError: no")
    models = tuple(
        r.Model(name, name, family, "words", None, "", (), (score, failed), {"accuracy": interval}, cost)
        for name, family in (("dummy", "dummy"), ("svm", "classical"))
    )
    column = r.Column("a <b>", "category", 1, 3, True, "one column per value", (r.TextCount("NA", 2),))
    data = r.Data(
        "t", None, None, 12, 12, (column,), "y", "classification", "two words",
        (r.ClassCount("no", 6), r.ClassCount("yes", 6)), None, (r.DroppedColumn("c", "constant"),), 0,
        ("careful",),
    )  # fmt: skip
    pair = r.PairedDifference("svm", "dummy", "dummy", "accuracy", (0.1, 0.2), 0.15, *[None] * 9)
    verdict = r.Verdict(
        "undecided", "nobody knows", ("few rows",), "not tested", "not tested", None, "svm", None, ()
    )
    environment = r.Environment("0.1", "3.11", "linux", {"numpy": "2"}, None, 1, 0)
    timings = r.Timings("2026-01-01T00:00:00Z", 0.1, 0.2, 0.3)
    return r.Comparison(
        data, protocol, models, (pair,), verdict, environment, timings, True, (r.Missing("svm", (1,)),)
    )


def test_a_comparison_survives_json_without_loss():
    comparison = tiny_comparison()
    assert r.Comparison.from_json(comparison.to_json()) == comparison
    assert r.Comparison.from_json(comparison.to_json()).to_json() == comparison.to_json()
    assert comparison.model("svm").failures[0].failure == "ValueError: no"


def test_json_that_is_not_a_comparison_is_refused_by_field():
    text = tiny_comparison().to_json()
    for bad, word in [
        ("", "not the JSON"),
        ("[]", "schema"),
        ("[" * 100_000, "not the JSON"),
        (text.replace('"schema_version": 1', '"schema_version": 2'), "newer"),
        (text.replace('"folds": 2', '"folds": "2"'), r"protocol\.folds"),
        (text.replace('"folds"', '"foldz"'), "foldz"),
        (text.replace('"n_train": 8', '"n_train": 8.5'), r"splits\[0\]\.n_train"),
    ]:
        with pytest.raises(KetgradValueError, match=word):
            r.Comparison.from_json(bad)


def test_the_digest_ignores_times_and_nothing_else():
    comparison = tiny_comparison()
    later = dataclasses.replace(comparison, timings=r.Timings("2027", 1, 2, 3))
    assert later.digest() == comparison.digest()
    assert dataclasses.replace(comparison, interrupted=False).digest() != comparison.digest()
