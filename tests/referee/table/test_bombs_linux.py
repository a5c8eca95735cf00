"""Small files that stand for huge tables: refused before the memory is taken, and no process is ended by them."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from ketgrad.foundation.errors import KetgradMemoryError
from ketgrad.referee.table import parquet
from ketgrad.referee.table import reading as tables
from ketgrad.referee.table.csv_limits import BYTES_OF_BUFFERS
from ketgrad.referee.table.raw_table import BadTable, sample_indices

SOURCE = str(Path(tables.__file__).parents[3])
SHAPES = {
    "one digit a line": lambda: b"y\n" + b"1\n2\n" * 150_000,
    "three short cells": lambda: b"a,b,c\n" + b"1,2,3\n" * 150_000,
    "three cells of two digits": lambda: b"a,b,c\n" + b"11,22,33\n" * 150_000,
    "numbers": lambda: b"a,b,c,d\n" + b"0.123456789,1.23456789,2.3456789,3.456789\n" * 60_000,
    "five thousand columns": lambda: ",".join(f"c{i}" for i in range(5000)).encode() + (b"\n1,2" + b",3" * 4998) * 99,
    "long cells": lambda: b"a,b\n" + (b"x" * 100_000 + b",1\n") * 400,
    "Greek": lambda: ("a,b\n" + ("α" * 200 + ",1\n") * 40_000).encode(),
    "pictures": lambda: ("a,b\n" + ("🙂" * 50 + ",1\n") * 40_000).encode(),
    "one picture in each long cell": lambda: ("a,b\n" + ("x" * 20_000 + "🙂,1\n") * 400).encode(),
    "empty cells": lambda: b"a,b,c,d,e,f\n" + b",,,,,\n" * 100_000,
    "quoted line breaks": lambda: b"a,b\n" + b'"x""y\nz",1\n' * 100_000,
}  # fmt: skip

PEAK = """
import sys, pandas
from ketgrad.referee.table import csv_reader, reading as tables
budgets = []
class Counted(csv_reader.RowBudget):
    def __init__(self, path, source):
        super().__init__(path, source)
        budgets.append((self, source))
csv_reader.RowBudget = Counted
def status(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
table = tables.read_table(sys.argv[1])
budget, source = budgets[0]
print(status("VmHWM") - before, budget.taken + source.width)
"""


def child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env={"PYTHONPATH": SOURCE}, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_a_text_file_takes_at_most_what_was_counted(tmp_path, shape):
    path = tmp_path / "t.csv"
    path.write_bytes(SHAPES[shape]())
    done = child(PEAK, str(path))
    peak, counted = map(int, done.stdout.split())
    assert peak <= counted, done.stderr
    assert counted - BYTES_OF_BUFFERS <= 5 * peak, "nor is much more refused than must be"


def texts(cell: str, count: int, **options) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        table = pyarrow.table({"a": pyarrow.array([cell] * count), "y": pyarrow.array([0, 1] * (count // 2))})
        pyarrow.parquet.write_table(table, path, compression="zstd", **options)

    return write


def repeated(cell: str, count: int) -> Callable[[Path], None]:
    """Texts that stand in the file once, and many times in the table."""

    def write(path: Path) -> None:
        coded = pyarrow.DictionaryArray.from_arrays(np.zeros(count, "int32"), [cell])
        pyarrow.parquet.write_table(pyarrow.table({"a": coded, "y": np.arange(count) % 2}), path)

    return write


def nothings(path: Path) -> None:
    empty = pyarrow.nulls(4_000_000, pyarrow.float64())
    pyarrow.parquet.write_table(pyarrow.table({f"c{i}": empty for i in range(20)}), path)


BOMBS = {
    "digits.csv": (lambda path: path.write_bytes(b"y\n" + b"1\n2\n" * 2_000_000), "MemoryError"),
    "changing.csv": (
        lambda path: path.write_bytes(b"y\n" + (b"x" * 1000 + b"\n") * 100 + b"1\n2\n" * 2_000_000),
        "MemoryError",
    ),
    "digits.csv.gz": (
        lambda path: path.write_bytes(gzip.compress(b"y\n" + b"1\n2\n" * 2_000_000)),
        "MemoryError",
    ),
    "one_line.csv": (lambda path: path.write_bytes(b"a,y\n" + b"," * 2**26), "BadTable"),
    "one_record.csv": (lambda path: path.write_bytes(b"a,y\n" + b'"a\n",' * 2**23), "BadTable"),
    "zeros.csv.gz": (lambda path: path.write_bytes(gzip.compress(b"a,y\n" + b"\0" * 2**28)), "BadTable"),
    "long_cells.parquet": (texts("x" * 10**6, 400), "BadTable"),
    "plain.parquet": (texts("x" * 10**6, 400, use_dictionary=False), "BadTable"),
    "delta.parquet": (
        texts("x" * 10**5, 10_000, use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY", "y": "PLAIN"}),
        "MemoryError",
    ),
    "repeated.parquet": (repeated("x" * 10**5, 100_000), "MemoryError"),
    "nothings.parquet": (nothings, "MemoryError"),
}  # fmt: skip

REFUSED = """
import resource, sys
import pandas, pyarrow
from ketgrad.foundation.errors import KetgradError
from ketgrad.referee.table import reading as tables
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, resource.RLIM_INFINITY))
try:
    tables.read_table(sys.argv[1])
    print("read")
except KetgradError as error:
    print(type(error).__name__, error)
own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_one_gibibyte(tmp_path, name):
    write, kind = BOMBS[name]
    write(tmp_path / name)
    done = child(REFUSED, str(tmp_path / name))
    assert done.returncode == 0, done.stderr
    said, most = done.stdout.splitlines()
    assert kind in said and name in said and "Traceback" not in done.stderr
    assert int(most) < 1700, "MiB: what Python and its packages take, and the gibibyte"


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV])
def test_a_decoder_that_dies_is_a_refusal(tmp_path, monkeypatch, number):
    path = tmp_path / "t.parquet"
    pandas.DataFrame({"a": [1, 2], "y": [0, 1]}).to_parquet(path)
    start = subprocess.Popen

    def doomed(command, **options):
        return start([sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(number)})"], **options)

    monkeypatch.setattr(parquet.subprocess, "Popen", doomed)
    error = BadTable if number == signal.SIGSEGV else KetgradMemoryError
    with pytest.raises(error, match=r"t\.parquet"):
        tables.read_table(str(path))


def test_columns_of_every_kind_come_through_the_decoder_as_they_are(tmp_path):
    words = ["p", "", None, "größe 🙂", "NA", "x" * 1000]
    columns = {
        "string": pyarrow.array(words),
        "large_string": pyarrow.array(words, pyarrow.large_string()),
        "string_view": pyarrow.array(words, pyarrow.string_view()),
        "category": pyarrow.array(words).dictionary_encode(),
        "binary": pyarrow.array([b"a", None, b"", b"\xff", b"0", b"b"]),
        "fixed": pyarrow.array([b"ab", None, b"cd", b"ef", b"gh", b"ij"], pyarrow.binary(2)),
        "whole": pyarrow.array([1, 2, None, 4, 5, 2**62]),
        "small": pyarrow.array([1, 2, 3, 4, 5, 6], pyarrow.uint8()),
        "number": pyarrow.array([1.5, float("nan"), None, 4, 5, 6]),
        "boolean": pyarrow.array([True, None, False, True, True, False]),
        "date": pyarrow.array([1, 2, 3, None, 5, 6], pyarrow.date32()),
        "time": pyarrow.array([1, 2, 3, None, 5, 6], pyarrow.timestamp("us", tz="Asia/Tokyo")),
        "span": pyarrow.array([1, 2, 3, None, 5, 6], pyarrow.duration("ms")),
        "decimal": pyarrow.array([1, 2, None, 4, 5, 6]).cast(pyarrow.decimal128(30, 2)),
        "with.dot": pyarrow.array(words),
        "null": pyarrow.nulls(6),
    }
    table = pyarrow.table(columns)
    for options in ({}, {"use_dictionary": False}, {"row_group_size": 2, "compression": "gzip"}):
        pyarrow.parquet.write_table(table, tmp_path / "t.parquet", **options)
        frame = tables.read_table(str(tmp_path / "t.parquet")).frame
        plain = table.set_column(3, "category", table["string"]).to_pandas()
        pandas.testing.assert_frame_equal(frame, plain)
        some = tables.read_table(str(tmp_path / "t.parquet"), rows=3, seed=4)
        assert [int(place.split()[1]) for place in some.places] == list(sample_indices(6, 3, 4))
        assert some.frame["small"].tolist() == [int(place.split()[1]) + 1 for place in some.places]
