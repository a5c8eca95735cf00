"""Bad tables: each row of the catalogue of bad data gets the answer that it must get, before any work is done."""

from __future__ import annotations

import gzip
import math
import os
import time
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from ketgrad.foundation.errors import (
    KetgradError,
    KetgradImportError,
    KetgradMemoryError,
    KetgradTypeError,
    KetgradValueError,
)
from ketgrad.referee import compare
from ketgrad.referee.contest.workers import available_threads
from ketgrad.referee.results import Comparison
from ketgrad.referee.table import csv_limits, csv_reader, files, parquet
from ketgrad.referee.table import reading as tables
from ketgrad.referee.table.raw_table import BadTable, InputChanged, InputForbidden, InputMissing, RawTable
from ketgrad.referee.table.target import ask

QUICK = {"models": ["linear"], "candidates": 1, "folds": 2, "repeats": 1, "threads": 1}


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def rows(cells: str = "{i},{j}", n: int = 20, header: str = "a,y") -> str:
    """A small table: i counts, j = i mod 7 (not in step with i), k is a class."""
    lines = [
        cells.format(i=i * 1.5, j=(i * 5) % 7, k="no" if (i * 5) % 7 < 3 else "yes", q=i * i / 2)
        for i in range(n)
    ]
    return "\n".join([header, *lines]) + "\n"


def question(source, target="y", **choices):
    """The table as `compare` understands it, without running a model."""
    choices = {"task": None, "missing": "median", "drop": (), "text": (), "decimal": None, **choices}
    raw = source if isinstance(source, RawTable) else tables.read_table(source)
    return ask(raw, target, **choices)


def refused(source, *words: str, error: type[KetgradError] = BadTable, target: str = "y", **choices) -> str:
    """The message of the refusal, which names all `words`."""
    with pytest.raises(error) as caught:
        question(source, target, **choices)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))
    return str(caught.value)


def kinds(asked) -> dict[str, str]:
    return {column.name: column.kind for column in asked.understood.columns}


def warned(asked) -> str:
    return " ".join([*asked.raw.warnings, *asked.task.warnings, *asked.understood.warnings])


def test_D1_missing_numbers_are_named_with_row_column_and_count_or_treated_as_told(tmp_path):
    lines = rows().split("\n")
    lines[4] = ",1"
    path = write(tmp_path, "\n".join(lines))
    refused(path, "'a'", "line 5", "1 missing", "missing='median'", missing="error")
    assert math.isnan(question(path).understood.frame["a"][3])
    dropped = question(path, missing="drop")
    assert len(dropped.task.y) == 19 and "1 of 20 rows" in warned(dropped)
    result = compare(path, "y", task="classification", **{**QUICK, "folds": 2})
    assert result.model("linear").failures == ()


def test_D2_infinite_numbers_are_refused_with_row_and_column(tmp_path):
    for word in ("inf", "-Infinity", "1e999", "-1e400"):
        path = write(tmp_path, rows().replace("\n3.0,", f"\n{word},"))
        refused(path, "'a'", "line 4", "infinite", "drop=['a']")
    frame = pandas.DataFrame({"a": [1.0, np.inf] * 10, "y": ["n", "y"] * 10})
    refused(frame, "'a'", "row 1", "10 such cells")


def test_D4_a_missing_answer_is_refused_for_both_tasks(tmp_path):
    for cell in ("{i},{k}", "{i},{q}"):
        text = rows(cell).split("\n")
        text[7] = text[7].split(",")[0] + ","
        path = write(tmp_path, "\n".join(text))
        refused(path, "'y'", "line 8", "1 of 20", "missing='drop'")
        assert len(question(path, missing="drop").task.y) == 19


def test_D5_an_empty_column_is_refused_by_name(tmp_path):
    path = write(tmp_path, rows("{i},,{k}", header="a,notes,y"))
    refused(path, "'notes'", "empty", "drop=['notes']")
    assert kinds(question(path, drop=["notes"])) == {"a": "number", "notes": "dropped"}
    refused(write(tmp_path, rows("{i},NA,{k}", header="a,b,y").replace("NA", " ")), "'b'")


def test_D6_a_constant_column_is_dropped_with_a_warning_and_listed(tmp_path):
    asked = question(write(tmp_path, rows("{i},Genoa,{k}", header="a,lab,y")))
    assert kinds(asked)["lab"] == "constant" and "'lab'" in warned(asked)
    assert asked.understood.dropped[0].name == "lab"


def test_D7_no_information_is_refused(tmp_path):
    refused(write(tmp_path, rows("1,2,{k}", header="a,b,y")), "no information")
    same = "a,b,y\n" + "1,x,no\n1,x,yes\n" * 10
    refused(write(tmp_path, same), "no information")
    half = "a,b,y\n" + "1,x,no\n2,z,yes\n" * 10
    refused(write(tmp_path, half), "gives the target away")


def test_D8_numbers_written_as_text_are_numbers_unless_a_few_cells_are_not(tmp_path):
    quoted = question(write(tmp_path, rows('" {i} ",{k}')))
    assert kinds(quoted) == {"a": "number"}
    spoiled = write(tmp_path, rows("{i},{k}").replace("\n6.0,", "\nsix,"))
    refused(spoiled, "'a'", "line 6", "'six'", "1 of 20", "text=['a']")
    assert kinds(question(spoiled, text=["a"])) == {"a": "category"}


def test_D9_mixed_true_false_maybe_is_a_category_and_never_missing(tmp_path):
    words = ("True", "False", "maybe")
    text = "a,b,y\n" + "".join(f"{words[i % 3]},{i * i % 11},{i * 5 % 2}\n" for i in range(20))
    asked = question(write(tmp_path, text))
    assert kinds(asked)["a"] == "category" and asked.understood.frame["a"].isna().sum() == 0
    frame = pandas.DataFrame({"a": [True, False, "maybe", 1] * 5, "y": [1, 2, 2, 1, 1] * 4})
    assert set(question(frame).understood.frame["a"]) == {"True", "False", "maybe", "1"}


def test_D10_a_category_not_seen_in_training_counts_as_none_of_the_known_ones(tmp_path):
    text = rows("{k}{j},{i},{k}", header="c,a,y").replace("\nyes", "\nrare", 1)
    result = compare(write(tmp_path, text), "y", **QUICK)
    assert result.model("linear").failures == ()
    column = next(column for column in result.data.columns if column.name == "c")
    assert "not seen" in column.handling


def test_D11_the_words_NA_None_and_null_stay_words_in_a_column_of_words(tmp_path):
    lands = ("NA", "DE", "None", "null", "FR")
    text = "land,a,y\n" + "".join(f"{lands[i % 5]},{i * i % 13},{i % 3 > 0}\n" for i in range(30))
    asked = question(write(tmp_path, text))
    column = asked.understood.columns[0]
    assert column.kind == "category" and column.missing == 0
    assert [(item.text, item.count) for item in column.kept_as_text] == [("NA", 6), ("None", 6), ("null", 6)]
    numbers = question(write(tmp_path, rows("{i},{k}").replace("\n3.0,", "\nNA,")))
    assert numbers.understood.columns[0].missing == 1 and "read as missing" in warned(numbers)


def test_D12_double_column_names_are_refused_and_listed(tmp_path):
    refused(write(tmp_path, "a,b,a,y\n1,2,3,no\n"), "'a'", "more than once")
    refused(pandas.DataFrame(np.ones((4, 3)), columns=["y", "q", "q"]), "'q'")


def test_D13_strange_column_names_are_accepted(tmp_path):
    for name in ("größe 🙂", "עברית", "a\0b", '"two\nlines"', "n" * 10_000, "<script>", "{{7*7}}", "=1+1"):
        asked = question(write(tmp_path, rows("{i},{k}", header=f"{name},y")))
        assert list(kinds(asked)) == [name.strip('"')]
    assert len(warned(question(write(tmp_path, rows("4,{i},{k}", header="n" * 10_000 + ",a,y"))))) < 500


def test_D14_a_file_without_rows_is_refused(tmp_path):
    for text in ("a,y\n", "", "\n\n  \n", "a,y", "\ufeff", ",,\n"):
        refused(write(tmp_path, text), "no rows")
    refused(pandas.DataFrame({"a": [], "y": []}), "no rows")


def test_D15_D16_a_line_with_another_number_of_fields_is_named(tmp_path):
    refused(write(tmp_path, "a,y\n1,2,3\n4,5,6\n"), "line 2", "3 fields", "header has 2")
    refused(write(tmp_path, "a,y\n1,2\n\n4\n"), "line 4", "1 fields")
    refused(write(tmp_path, 'a,y\n"1\n1",2\n4,5,6\n'), "line 4")
    refused(write(tmp_path, 'a,y\n1,2\n"open,3\n4,5\n'), "line", "closed")


def test_D17_separators_and_decimal_commas_are_detected_and_told(tmp_path):
    for separator, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        text = "".join(f"{i},5{separator}{'no' if i % 3 else 'yes'}\n" for i in range(20))
        asked = question(write(tmp_path, f"a{separator}y\n" + text))
        assert asked.understood.frame["a"][3] == 3.5 and asked.understood.decimal == ","
        assert word in warned(asked) and "decimal comma" in warned(asked)
    with pytest.raises(KetgradValueError, match="one character"):
        tables.read_table(write(tmp_path, rows()), separator=";;")


def test_D18_a_byte_order_mark_is_read_and_other_encodings_are_named(tmp_path):
    text = rows("{i},{k}", header="größe,y")
    for encoding in ("utf-8", "utf-8-sig"):
        assert list(kinds(question(write(tmp_path, text.encode(encoding))))) == ["größe"]
    refused(write(tmp_path, text.encode("utf-16")), "UTF-16", "--encoding utf-16")
    refused(write(tmp_path, text.encode("utf-16-le")), "UTF-16", "--encoding")
    path = write(tmp_path, text.encode("latin-1"))
    refused(path, "not encoded in UTF-8", "0xf6", "--encoding cp1252")
    assert "größe" in tables.read_table(path, encoding="latin-1").frame
    with pytest.raises(KetgradValueError, match="no encoding 'klingon'"):
        tables.read_table(path, encoding="klingon")


def test_D19_huge_and_tiny_numbers(tmp_path):
    big = question(write(tmp_path, rows("{j}9007199254740993,{k}")))
    assert "2^53" in warned(big) and kinds(big) == {"a": "number"}
    frame = pandas.DataFrame(
        {"a": np.array([2**64 - 1, 2**63 + 1] * 10, dtype="uint64"), "y": [0, 1, 1, 0] * 5}
    )
    assert "2^53" in warned(question(frame))
    for word in ("1e308", "-1e101"):
        refused(
            write(tmp_path, rows("{i},{k}").replace("\n3.0,", f"\n{word},")), "'a'", "line 4", "too large"
        )
    result = compare(write(tmp_path, rows("{j}e-310,{i},{k}", header="d,a,y")), "y", **QUICK)
    assert result.model("linear").failures == ()


def test_D19_whole_numbers_of_any_length_are_read_or_refused_with_their_place(tmp_path):
    for word, fits in (
        ("9" * 309, False),
        ("-" + "9" * 400, False),
        ("9" * 5000, False),
        ("+" + "0" * 5000 + "7", True),
        ("1." + "0" * 6000, True),
        ("9" * 101, False),
        ("-0", True),
    ):
        path = write(tmp_path, rows("{i},{j},{k}", header="a,b,y").replace("\n3.0,", f"\n{word},"))
        if fits:
            assert kinds(question(path))["a"] == "number"
        else:
            refused(path, "'a'", "line 4", "too large", "drop=['a']")
            assert "drop=" not in refused(path, "'a'", "line 4", "target", target="a")
    for value in (10**400, -(10**5000)):
        frame = pandas.DataFrame({"a": [*range(19), value], "y": [0, 1] * 10}, dtype=object)
        refused(frame, "'a'", "row 19", "too large")


def test_D24_no_refusal_of_the_target_says_to_leave_it_out(tmp_path):
    empty = rows("{i},", header="a,y")
    words = rows("{i},{i}").replace(",3.0\n", ",three\n")
    infinite = rows("{i},{i}").replace(",3.0\n", ",inf\n")
    for text in (empty, words, infinite):
        for missing in ("median", "drop"):
            message = refused(write(tmp_path, text), "'y'", "target", missing=missing)
            assert "drop=['y']" not in message and "--drop" not in message


def test_D20_a_single_class_is_refused(tmp_path):
    refused(write(tmp_path, rows("{i},yes")), ">= 2 classes")
    refused(write(tmp_path, rows("{i},1")), ">= 2 classes", task="classification")


def test_D21_one_or_two_rows_are_refused(tmp_path):
    for n in (1, 2, 3):
        path = write(tmp_path, rows("{i},{k}", n=n))
        with pytest.raises(BadTable, match=r"rows|classes"):
            compare(path, "y", **{**QUICK, "folds": 5})


def test_D22_a_class_smaller_than_the_folds_is_named_with_the_largest_possible_number(tmp_path):
    text = "a,y\n" + "".join(f"{i * i},{'few' if i < 3 else 'many'}\n" for i in range(20))
    with pytest.raises(BadTable, match=r"class 'few' has 3 rows.*5 folds.*folds=3"):
        compare(write(tmp_path, text), "y", **{**QUICK, "folds": 5})


def test_D24_the_target_must_exist_vary_and_not_be_given_away(tmp_path):
    path = write(tmp_path, rows("{i},{k}", header="width,diagnosis"))
    refused(path, "'diagnose'", "Did you mean 'diagnosis'", target="diagnose")
    refused(write(tmp_path, rows("{i},7")), "constant")
    copied = write(tmp_path, rows("{i},{k},{k}", header="a,copy,y"))
    refused(copied, "'copy'", "gives the target away", "drop=['copy']")
    assert kinds(question(copied, drop=["copy"]))["a"] == "number"
    coded = rows("{i},{k},{k}", header="a,code,y").replace(",no,no", ",0,no").replace(",yes,yes", ",1,yes")
    refused(write(tmp_path, coded), "'code'", "gives the target away")
    celsius = "a,b,y\n" + "".join(f"{i * i % 11},{1.8 * (i * 7 % 19) + 32},{i * 7 % 19}\n" for i in range(40))
    refused(write(tmp_path, celsius), "'b'", "gives the target away", task="regression")


def test_D25_no_column_one_column_and_very_many_columns(tmp_path):
    refused(write(tmp_path, "y\nno\nyes\n"), "no column besides the target")
    assert compare(write(tmp_path, rows("{i},{k}")), "y", **QUICK).data.num_features == 1
    wide = ",".join(f"c{i}" for i in range(30_000))
    refused(write(tmp_path, wide + "\n"), "30000 columns", "20000")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(20, 1200)))
    many = ask(tables.read_table(frame.assign(y=["n", "y"] * 10)), "y")
    assert len(many.understood.frame.columns) == 1200  # test_conclusion.py: that they are many is a remark


def test_D27_targets_of_words_booleans_and_numbers_are_understood(tmp_path):
    for cell, task, classes in (
        ("{k}", "classification", ["no", "yes"]),
        ("{j}", "classification", ["0", "1", "2", "3", "4", "5", "6"]),
        ("{i}", "regression", []),
    ):
        n = 80
        asked = question(write(tmp_path, rows("{j}{i}," + cell, n=n)))
        assert asked.task.kind == task and [item.name for item in asked.task.classes] == classes
    frame = pandas.DataFrame({"a": np.arange(20.0) ** 2, "y": [True, False, False, True] * 5})
    assert [item.name for item in question(frame).task.classes] == ["False", "True"]
    refused(write(tmp_path, rows("{i},{k}")), "words", "regression", task="regression")
    refused(write(tmp_path, rows("{j},{i}")), "classes", "task='regression'", task="classification")
    refused(
        write(tmp_path, rows("{j},{i}")), "no task 'regresion'", error=KetgradValueError, task="regresion"
    )


def test_D28_kinds_of_columns_that_are_taken_and_that_are_refused():
    y = ["n", "y", "y"] * 8
    n = len(y)
    for values, kind in (
        (np.linspace(0, 1, n).astype("float16") ** 2, "number"),
        (np.linspace(0, 1, n).astype("longdouble") ** 2, "number"),
        ([Decimal(i * i) / 3 for i in range(n)], "number"),
        (pandas.to_timedelta([i * i for i in range(n)], unit="s"), "number"),
        (pandas.date_range("2020-01-01", periods=n), "date"),
        (pandas.date_range("2020-01-01", periods=n, tz="Asia/Tokyo"), "date"),
        (pandas.Series([1, None, 5, 3] * 6, dtype="Int64"), "number"),
        (pandas.Series([True, None, False, True] * 6, dtype="boolean"), "boolean"),
        (pandas.Categorical(["p", "q", "r"] * 8), "category"),
    ):
        frame = pandas.DataFrame({"a": values, "b": np.arange(n) ** 2 % 7, "y": y[::-1]})
        frame["y"] = y if kind != "category" else ["n", "y"] * 12
        assert kinds(question(frame))["a"] == kind, kind
    for values, word in (
        (np.ones(n) * 1j, "complex"),
        (pandas.arrays.SparseArray([0.0, 1.0] * 12), "sparse"),
        ([[1, 2]] * n, "one value"),
        ([{"a": 1}] * n, "one value"),
    ):
        refused(pandas.DataFrame({"a": list(values) if word == "one value" else values, "y": y}), word,
                error=KetgradTypeError)  # fmt: skip
    import scipy.sparse

    for bad in (scipy.sparse.eye(5), 3, None, [[1, 2], [3, 4]], np.ones(5), np.ones((2, 2, 2))):
        with pytest.raises(KetgradTypeError, match=r"sparse|must be a path"):
            tables.read_table(bad)


def test_D29_a_file_that_does_not_fit_into_memory_is_refused_from_its_size_at_once(tmp_path):
    path = tmp_path / "huge.csv"
    with open(path, "wb") as file:
        file.write(rows("{i},{k}").encode())
        file.truncate(2 * 2**40)  # sparse: 2 TiB that take no room on the disk
    started = time.perf_counter()
    with pytest.raises(KetgradMemoryError, match=r"needs \d+\.\d TiB.*rows=2000"):
        tables.read_table(str(path))
    assert time.perf_counter() - started < 0.1


def test_D29_a_sample_of_rows_is_uniform_ordered_repeatable_and_told(tmp_path):
    path = write(tmp_path, rows("{i},{j}", n=5000))
    first, again, other = (tables.read_table(path, rows=100, seed=seed) for seed in (1, 1, 2))
    assert first.frame.equals(again.frame) and not first.frame.equals(other.frame)
    assert len(first.frame) == 100 and first.rows_in_source == 5000
    lines = [int(place.split()[1]) for place in first.places]
    assert lines == sorted(lines) and 1500 < np.mean(lines) < 3500
    assert "100 of 5000" in first.warnings[0]
    for bad in (0, -1, 1.5, True):
        with pytest.raises(KetgradValueError, match="rows"):
            tables.read_table(path, rows=bad)  # pyright: ignore[reportArgumentType]


def test_D30_an_exact_kernel_on_very_many_rows_is_refused_before_work(tmp_path):
    from ketgrad.referee.contest.contestants.quantum import kernel_memory

    assert kernel_memory(100_000, 0, 0) >= 8 * 10**10  # 74.5 GiB
    frame = pandas.DataFrame({"a": np.arange(100_000.0) ** 2 % 97, "y": np.arange(100_000) % 3})
    started = time.perf_counter()
    with pytest.raises(
        KetgradMemoryError,
        match=r"'kernel' on 99900 training rows and 6 qubits needs .* GiB.*rows=2000.*linear",
    ):
        compare(frame, "y", models=["kernel"], folds=1000, threads=16)
    with pytest.raises(KetgradMemoryError, match=r"'variational' .* 30 qubits needs 384\.0 GiB"):
        compare(frame[:100], "y", models=["variational"], qubits=30, threads=1)
    assert time.perf_counter() - started < 0.5


def test_D31_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path, monkeypatch):
    packed = gzip.compress(b"a,y\n" + b"1,2\n" * 200_000)
    path = write(tmp_path, packed, "bomb.csv.gz")
    with monkeypatch.context() as patch:
        patch.setattr(csv_limits, "available_bytes", lambda: 2**25)
        refused(path, "more rows than", "rows=2000", error=KetgradMemoryError)
        assert len(tables.read_table(path, rows=50).frame) == 50, "a sample takes no more room than its rows"
        patch.setattr(csv_reader, "available_bytes", lambda: 2**20)
        patch.setattr(csv_reader, "MOST_BLANK_LINES", 2**40)
        blank = gzip.compress(b"a,y\n1,2\n" + b"\n" * 2**21)
        refused(write(tmp_path, blank, "blank.csv.gz"), "unpacks to more than", "rows=2000")
    assert len(tables.read_table(write(tmp_path, gzip.compress(rows().encode()), "ok.csv.gz")).frame) == 20
    refused(write(tmp_path, packed[:-500], "cut.csv.gz"), "damaged")


def test_D32_archives_and_other_formats_are_named_and_refused(tmp_path):
    archive = tmp_path / "t.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../evil.csv", rows())
    refused(str(archive), "zip archive", "unpack")
    assert not (tmp_path.parent.parent / "evil.csv").exists()
    refused(write(tmp_path, b"%PDF-1.7 ..."), "PDF")


def test_D33_parquet_is_read_and_damaged_or_nested_files_are_refused(tmp_path):
    path = str(tmp_path / "t.parquet")
    good = pandas.DataFrame({"a": np.arange(20.0) ** 2, "w": ["NA", "x"] * 10, "y": ["n", "y", "y", "n"] * 5})
    good.to_parquet(path)
    asked = question(path)
    assert kinds(asked) == {"a": "number", "w": "category"} and asked.raw.sha256
    assert len(tables.read_table(path, rows=7).frame) == 7
    whole = Path(path).read_bytes()
    for cut in (8, 40, len(whole) // 2, len(whole) - 1):
        refused(write(tmp_path, whole[:cut], "cut.parquet"), "Parquet")
    for position in range(len(whole) - 60, len(whole) - 8, 13):
        spoiled = bytearray(whole)
        spoiled[position] ^= 0xFF
        try:
            tables.read_table(write(tmp_path, bytes(spoiled), "bad.parquet"))
        except KetgradError as error:
            assert "bad.parquet" in str(error)
    nested = pyarrow.table({"a": [[1, 2]] * 4, "y": ["n"] * 4})
    pyarrow.parquet.write_table(nested, path)
    refused(path, "'a'", "one value")


def not_utf8(number: int) -> pyarrow.Array:
    ends = pyarrow.array(range(0, 2 * number + 1, 2), pyarrow.int32()).buffers()[1]
    return pyarrow.Array.from_buffers(
        pyarrow.string(), number, [None, ends, pyarrow.py_buffer(b"\xff\xfe" * number)]
    )


UNREADABLE = {
    "a day after the last": pyarrow.array([2**30, -(2**30)] * 10, pyarrow.int32()).cast(pyarrow.date32()),
    "a day in milliseconds": pyarrow.array([2**62, 0] * 10).cast(pyarrow.date64()),
    "a zone of Mars": pyarrow.array([0, 1] * 10).cast(pyarrow.timestamp("us", "Mars/Olympus")),
    "an hour before the first": pyarrow.array([-(10**13), 1] * 10).cast(pyarrow.time64("ns")),
    "texts that are none": not_utf8(20),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_D33_what_python_has_no_value_for_is_refused_in_words(name, tmp_path):
    path = str(tmp_path / "t.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"a": UNREADABLE[name], "y": ["n", "y"] * 10}), path)
    refused(path, "t.parquet", "cannot be read")


def test_D33_times_of_day_with_nanoseconds_are_read(tmp_path):
    path = str(tmp_path / "t.parquet")
    times = pyarrow.array([1_001] * 7 + [5_000_000_001] * 13).cast(pyarrow.time64("ns"))
    pyarrow.parquet.write_table(pyarrow.table({"a": times, "y": ["n", "y"] * 10}), path)
    assert kinds(question(path)) == {"a": "category"}


def test_D33_the_rows_of_a_small_file_are_counted_with_their_places(tmp_path, monkeypatch):
    """A million equal cells take a kilobyte in the file, and each row some hundred bytes of memory."""
    path = str(tmp_path / "t.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"a": np.zeros(10**6, np.int8)}), path)
    monkeypatch.setattr(parquet, "available_bytes", lambda: 2**27)
    with pytest.raises(KetgradMemoryError, match="1000000 rows"):
        tables.read_table(path)
    assert len(tables.read_table(path, rows=10).frame) == 10


def test_D34_hours_of_blank_lines_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_reader, "MOST_BLANK_LINES", 1000)
    text = "a,y\n" + "\n" * 1001 + rows(header="")
    refused(write(tmp_path, gzip.compress(text.encode()), "t.csv.gz"), "blank lines")
    refused(write(tmp_path, text), "blank lines")
    assert len(question(write(tmp_path, "a,y\n" + "\n" * 900 + rows().partition("\n")[2])).raw.frame) == 20


@pytest.mark.parametrize(
    "encoding", ["klingon", "hex", "base64", "rot13", "idna", "punycode", "undefined", "a\0b"]
)
def test_D18_what_is_no_encoding_of_texts_is_refused(encoding, tmp_path):
    path = write(tmp_path, rows())
    with pytest.raises(KetgradError, match="encod"):
        tables.read_table(path, encoding=encoding)


def test_D34_only_regular_files_are_opened_and_nothing_is_downloaded(tmp_path):
    fifo, loop = tmp_path / "fifo", tmp_path / "loop"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    started = time.perf_counter()
    for path, word in (
        (str(tmp_path), "a folder"),
        (str(fifo), "a pipe"),
        ("/dev/zero", "a device"),
        ("https://example.org/t.csv", "web address"),
        ("file:///etc/passwd", "web address"),
        (str(loop), "cannot be opened"),
        ("x" * 5000, "cannot be opened"),
        ("a\0b", "NUL"),
        (str(tmp_path / "absent.csv"), "no file"),
    ):
        with pytest.raises(InputMissing, match=word) as caught:
            tables.read_table(path)
        assert caught.value.exit_code == 66
    assert time.perf_counter() - started < 1
    write(tmp_path, rows(), "table.csv")
    with pytest.raises(InputMissing, match=r"Did you mean 'table\.csv'"):
        tables.read_table(str(tmp_path / "tabel.csv"))


def test_D34_a_file_without_permission_is_named(tmp_path, monkeypatch):
    path = write(tmp_path, rows())

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", deny)
    with pytest.raises(InputForbidden, match="may not be read") as caught:
        tables.read_table(path)
    assert caught.value.exit_code == 77


def test_D35_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path, rows())
    parse = csv_reader._parse

    def append_and_parse(*arguments):
        with open(path, "a", encoding="utf-8") as file:
            file.write("1,2\n")
        return parse(*arguments)

    monkeypatch.setattr(csv_reader, "_parse", append_and_parse)
    with pytest.raises(InputChanged, match="changed while it was read") as caught:
        tables.read_table(path)
    assert caught.value.exit_code == 75


def test_R9_wrong_options_are_refused_with_near_matches(tmp_path):
    path = write(tmp_path, rows("{i},{k}"))
    for options, word in (
        ({"models": ["boostin"]}, "Did you mean 'boosting'"),
        ({"metric": "acuracy"}, "Did you mean 'accuracy'"),
        ({"missing": "dropp"}, "Did you mean 'drop'"),
        ({"folds": 1}, "folds"),
        ({"folds": 10**9}, "folds"),
        ({"repeats": 0}, "repeats"),
        ({"seed": -1}, "seed"),
        ({"seed": True}, "seed"),
        ({"threads": 0}, "threads"),
        ({"qubits": float("nan")}, "qubits"),
        ({"qubits": 1}, "qubits"),
        ({"candidates": 0}, "candidates"),
        ({"candidates": 7}, "from 1 to 6"),
        ({"decimal": "x"}, "decimal"),
        ({"drop": ["b"]}, "no column 'b'"),
        ({"drop": ["y"]}, "must not name the target"),
    ):
        with pytest.raises(KetgradValueError, match=word):
            compare(path, "y", **{**QUICK, **options})  # pyright: ignore[reportArgumentType]
    with pytest.raises(KetgradTypeError, match="list of names"):
        compare(path, "y", models="linear")


def test_P12_a_package_that_is_not_installed_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    import sys

    path = write(tmp_path, rows("{i},{k}{j},{k}", header="a,c,y"))
    for package in ("pandas", "skrub"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(KetgradImportError, match=r"pip install 'ketgrad\[compare\]'"):
                compare(path, "y", **QUICK)


def test_P3_no_more_processes_than_cores_are_allowed(monkeypatch):
    allowed = len(os.sched_getaffinity(0))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert 1 <= available_threads() <= allowed
    for wish, answer in (("1", 1), ("100000", available_threads()), ("x", available_threads()), ("0", None)):
        monkeypatch.setenv("OMP_NUM_THREADS", wish)
        assert available_threads() == (answer or min(allowed, available_threads()))


def test_P10_seeds_of_numpy_are_taken_and_the_result_is_the_same(tmp_path):
    path = write(tmp_path, rows("{i},{k}"))
    first, second = (compare(path, "y", **QUICK, seed=seed) for seed in (3, np.int64(3)))
    assert first.digest() == second.digest()
    assert Comparison.from_json(second.to_json()) == second
