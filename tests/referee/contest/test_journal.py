"""The fits of a comparison in a file: written as they are done, read back as they were, refused if they do not fit."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
from pathlib import Path

import nappers
import numpy as np
import pandas
import pytest

from ketgrad.foundation.errors import KetgradError, KetgradOSError, KetgradValueError
from ketgrad.referee import compare, run
from ketgrad.referee.contest.journal import Fits, Journal
from ketgrad.referee.results import Comparison

QUICK = {"folds": 2, "repeats": 1, "candidates": 1, "threads": 1}
JOBS = 4 * 2


@pytest.fixture(autouse=True)
def napping(monkeypatch):
    monkeypatch.setattr(run, "CONTESTANTS", nappers.contestants())


def table(n: int = 40, seed: int = 0) -> pandas.DataFrame:
    rng = np.random.default_rng(seed)
    return pandas.DataFrame({"a": rng.normal(size=n), "b": rng.integers(0, 9, n), "y": np.arange(n) % 2})


def finished(path: Path, **choices) -> tuple[Comparison, list[str]]:
    """The comparison with a journal at `path`, and the models that were fitted for it."""
    fitted: list[str] = []

    def told(event):
        if event.kind == "started":
            fitted.append(event.model)

    choices = {"table": table(), "target": "y", **QUICK, **choices}
    return compare(**choices, progress=told, journal=path), fitted


def test_fits_are_taken_from_the_journal_and_the_result_is_the_same(tmp_path):
    path = tmp_path / "new" / "fits.jsonl"
    first, fitted = finished(path)
    assert len(fitted) == JOBS and len(path.read_text().splitlines()) == 1 + JOBS
    whole = path.read_bytes()
    for cut in (len(whole), len(whole) - 1, len(whole) - 300, whole.index(b"\n") + 5, 40, 0):
        path.write_bytes(whole[:cut])
        lines = max(0, whole[:cut].count(b"\n") - 1)
        again, fitted = finished(path)
        assert len(fitted) == JOBS - lines and again.digest() == first.digest()
        assert len(path.read_bytes().splitlines()) == 1 + JOBS, (
            "a half line is cut off before the next is written"
        )
    assert finished(path, models=["early"])[1] == [], "which models run beside it does not matter"


def test_fits_of_another_comparison_are_refused_in_words(tmp_path):
    path = tmp_path / "fits.jsonl"
    finished(path)
    before = path.read_bytes()
    for choices, words in (
        ({"folds": 3}, "number of folds differs (it was 2, and is 3)"),
        ({"repeats": 2}, "number of repeats"),
        ({"seed": 1}, "seed differs"),
        ({"qubits": 3}, "number of qubits"),
        ({"inner_folds": 3}, "number of inner folds"),
        ({"metric": "roc_auc"}, "metric differs (it was accuracy, and is roc_auc)"),
        ({"drop": ["b"]}, "table"),
        ({"text": ["a"]}, "table"),
        ({"table": table(seed=1)}, "table"),
        ({"table": table(n=38)}, "table"),
        ({"task": "regression"}, "table"),
        ({"target": "b"}, "table"),
    ):
        with pytest.raises(KetgradValueError, match="another comparison") as caught:
            finished(path, **choices)
        assert words in str(caught.value) and path.read_bytes() == before


def test_a_journal_that_is_damaged_or_hostile_is_refused_with_its_line(tmp_path):
    path = tmp_path / "fits.jsonl"
    finished(path)
    head, first, *rest = path.read_text().splitlines()
    fit = json.loads(first)

    def changed(**fields) -> str:
        """The line with another score, and the digest that belongs to it."""
        score = {**fit["fit"]["score"], **fields}
        other = {**fit["fit"], "score": score}
        whole = json.dumps([json.loads(head)["key"], other])
        return json.dumps({"fit": other, "sha256": hashlib.sha256(whole.encode()).hexdigest()})

    path.write_text("\n".join([head, changed(), *rest, ""]))
    finished(path)  # a digest that fits is made as here

    for line in (
        "",
        "[]",
        "{}",
        "[" * 100_000,
        first[:-5],
        changed(scores={"accuracy": float("inf")}),
        changed(scores={"accuracy": float("nan")}),
        changed(scores={"accuracy": "0.5"}).replace('"0.5"', "1e999"),
        changed(fit_seconds="x"),
        changed(split=1.5),
        changed(unknown=1),
        changed(fit_seconds=10**400),
        first.replace('"split": 0', '"split": 1'),  # by hand, without its digest
        first.replace('"correct": ', '"correct": 1'),
        rest[0].replace('"sha256": "', '"sha256": "0'),
        json.dumps(fit["fit"]),
        json.dumps({**fit, "sha256": None}),
        first.replace('"model"', '"modell"'),
        "9" * 5000,
        "\udcff",
    ):
        path.write_bytes("\n".join([head, line, *rest, ""]).encode("utf-8", "surrogateescape"))
        with pytest.raises(KetgradValueError, match=r"line 2 .* is damaged .*--overwrite"):
            finished(path)
    for line in ("{}", head.replace('"version": 2', '"version": 1'), head.replace("ketgrad.fits", "other")):
        path.write_text("\n".join([line, first, ""]))
        with pytest.raises(KetgradValueError, match="no fits that this ketgrad can go on from"):
            finished(path)


def test_begin_replaces_what_is_there_with_the_first_fit_and_not_before(tmp_path):
    path = tmp_path / "fits.jsonl"
    path.write_text("something else\n")
    with pytest.raises(KetgradError, match="no column"):
        compare(table(), "z", **QUICK, journal=Journal.begin(path))
    assert path.read_text() == "something else\n"
    compare(table(), "y", **QUICK, journal=Journal.begin(path))
    assert len(path.read_text().splitlines()) == 1 + JOBS


def test_only_a_file_is_a_journal(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("folder", "fifo", "loop"):
        with pytest.raises(KetgradOSError, match=name):
            finished(tmp_path / name)


def test_a_journal_that_cannot_be_written_costs_no_fit_and_is_said(tmp_path):
    import resource

    expected = finished(tmp_path / "whole.jsonl")[0].digest()
    said = []

    def told(event):
        if event.kind == "warning":
            said.append(event.message)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, limits[1]))
    try:
        result = compare(table(), "y", **QUICK, progress=told, journal=tmp_path / "fits.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.digest() == expected and len(said) == 1 and "is lost if the run is killed" in said[0]
    again, fitted = finished(tmp_path / "fits.jsonl")
    assert again.digest() == expected and 0 < len(fitted) < JOBS


def test_a_file_that_is_no_journal_stays_as_it_is(tmp_path):
    path = tmp_path / "notes"
    for content in (
        b"what I must not lose",
        b"\0" * 1000,
        b"{}",
        b'{"kind": "ketgrad.comparison"}',
        b"\xff\xfe",
    ):
        path.write_bytes(content)
        with pytest.raises(KetgradValueError, match="no fits that this ketgrad can go on from"):
            finished(path)
        assert path.read_bytes() == content
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(KetgradOSError, match="link"):
        compare(table(), "y", **QUICK, journal=Journal.begin(tmp_path / "link"))
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", [0, b"fits", ["fits"], "", "nul\0", "\ud800"])
def test_a_journal_must_have_the_name_of_a_file(name):
    with pytest.raises(KetgradError, match="`journal` must be the name of a file"):
        compare(table(), "y", **QUICK, journal=name)


def test_two_runs_do_not_have_one_journal_and_the_first_one_keeps_it(tmp_path):
    path = tmp_path / "fits.jsonl"
    fits = list(_fits(tmp_path / "other.jsonl").values())
    late = [Journal.resume(path), Journal.begin(path)]
    for other in late:
        assert other.read({}) == {}, "nothing is there yet"
    first = Journal.resume(path)
    first.read({})
    first.append(fits[0])
    for other in late:
        with pytest.raises(KetgradOSError, match="another run"):
            other.append(fits[1])
        other.discard()
    for kind in (Journal.resume, Journal.begin):
        with pytest.raises(KetgradOSError, match="another run"):
            kind(path).read({})
    first.append(fits[2])
    first.close()
    assert len(path.read_text().splitlines()) == 3
    last = Journal.resume(path)
    assert len(last.read({})) == 2
    last.discard()
    assert not path.exists()


def _fits(path: Path) -> Fits:
    """What a comparison with a journal there has found."""
    finished(path)
    with contextlib.closing(Journal.resume(path)) as journal:
        return journal.read(json.loads(path.read_text().splitlines()[0])["key"])


def test_a_second_run_with_the_same_journal_ends_with_its_first_fit(tmp_path):
    path = tmp_path / "fits.jsonl"
    done: list[int] = []

    def begin_another(event):
        if event.kind == "plan" and "pieces" in event.message and not done:
            done.append(len(finished(path)[1]))  # from the first fit on the other one has the file
            Path(path).unlink()
        if event.kind == "done":
            with pytest.raises(KetgradOSError, match="another run"):
                finished(path)

    result = compare(table(), "y", **QUICK, progress=begin_another, journal=path)
    assert done == [JOBS] and len(path.read_text().splitlines()) == 1 + JOBS
    assert not result.interrupted and finished(path)[1] == [], "and it is free again"


def test_a_daemon_of_multiprocessing_fits_by_itself(monkeypatch, tmp_path):
    expected = finished(tmp_path / "fits.jsonl")[0].digest()
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert compare(table(), "y", **{**QUICK, "threads": None}).digest() == expected
    with pytest.raises(KetgradValueError, match="`threads` must be 1 in a daemon"):
        compare(table(), "y", **{**QUICK, "threads": 2})
