"""Reading Parquet in a process of its own, which may use so much memory and no more.

A file of a thousand bytes can stand for any number of long texts, and what it declares about itself need not be
true. So the decoder runs where it cannot hurt: it reads some thousand rows at a time, adds up what they hold before
it hands them on, and the system ends it if it takes more memory than there is. On a system that sets no such limit
(Windows, macOS) the adding up alone protects.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from ketgrad.foundation.errors import KetgradMemoryError, missing_extra
from ketgrad.foundation.memory import available_bytes, readable
from ketgrad.referee.table.raw_table import LONGEST_CELL, BadTable, check_names, sample_indices

BAD_FILE, NO_ROOM = 65, 75
ROWS_AT_A_TIME = 4096
BYTES_PER_CELL = 24  # of a number: here, on its way, and as a column of pandas
BYTES_PER_OBJECT = 105  # of a date, say, that is an object in pandas, and of what it says
BYTES_PER_ROW = 120  # of its number, and of the text that names its place
COPIES = 3  # of each text at the same time
SPARE = 2**28  # address space for threads and the like, which take hardly any memory
WAY_OUT = "Use a part of it: rows=2000 (--rows 2000), or a machine with more memory."


def decode(path: str, binary: IO[bytes], rows: int | None, seed: int) -> tuple[Any, int]:
    """(the rows that `rows` and `seed` choose as a pyarrow Table without dictionaries, the number of all rows).

    path: for messages. Cost: a process, about half a second. Raises `BadTable` and `KetgradMemoryError`.
    """
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise missing_extra("pyarrow", "compare") from None
    room = available_bytes()
    asked = [str(room), "all" if rows is None else str(rows), str(seed)]
    with tempfile.TemporaryFile() as remarks, _process(asked, binary, remarks) as process:
        table = None
        with contextlib.suppress(pyarrow.ArrowException, OSError):  # the exit code says why it was cut off
            table = pyarrow.ipc.open_stream(process.stdout).read_all()
        code = process.wait()
        remarks.seek(0)
        said = remarks.read(10_000).decode("utf-8", "replace").strip()
    if code == BAD_FILE:
        raise BadTable(f"{path!r} {said}")
    if code in (NO_ROOM, -signal.SIGABRT, -getattr(signal, "SIGKILL", signal.SIGABRT)):
        reason = (
            said
            if code == NO_ROOM
            else f"holds more than the {readable(room)} that are usable on this machine."
        )
        raise KetgradMemoryError(f"{path!r} {reason} {WAY_OUT}")
    if code != 0 or table is None:
        raise BadTable(f"{path!r} is not a readable Parquet file: the decoder ended with the code {code}.")
    return table, int(table.schema.metadata[b"rows"])


@contextlib.contextmanager
def _process(asked: list[str], binary: IO[bytes], remarks: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The decoder. It finds its modules where this process does, never in the folder where it happens to run (-P)."""
    places = [str(Path(__file__).parents[3]), *filter(None, sys.path)]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, *asked],
        stdin=binary,
        stdout=subprocess.PIPE,
        stderr=remarks,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


# --------------------------------------------------------------------------------------------------- the decoder


def main(room: int, rows: int | None, seed: int) -> int:
    """Decode the file that is the standard input into a stream of Arrow batches; the exit code says how it went."""
    import pyarrow

    try:
        _decode(room, rows, seed)
    except (MemoryError, pyarrow.ArrowMemoryError) as error:
        reason = (
            str(error)
            if isinstance(error, KetgradMemoryError)
            else f"holds more than the {readable(room)} usable."
        )
        print(reason, file=sys.stderr)
        return NO_ROOM
    except BadTable as error:
        print(error, file=sys.stderr)
        return BAD_FILE
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        print(f"is not a readable Parquet file: {first}.", file=sys.stderr)
        return BAD_FILE
    return 0


def _decode(room: int, rows: int | None, seed: int) -> None:
    import pyarrow
    import pyarrow.ipc
    import pyarrow.parquet

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # others reserve whole gigabytes of addresses
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    _limit(room)
    with os.fdopen(0, "rb", closefd=False) as binary:
        # a memory limit on the metadata: a footer may declare anything
        limits = {"thrift_string_size_limit": 2**26, "thrift_container_size_limit": 2**22}
        source = pyarrow.parquet.ParquetFile(binary, **limits)
        schema = source.schema_arrow
        _check_schema(schema)
        # texts stay numbers into a dictionary until their lengths are known
        source = pyarrow.parquet.ParquetFile(
            binary, read_dictionary=_coded(schema, source.metadata), **limits
        )
        total = source.metadata.num_rows
        chosen = _chosen(total, schema, room, rows, seed)
        plain = pyarrow.schema([(field.name, _plain(field.type)) for field in schema], {"rows": str(total)})
        with pyarrow.ipc.new_stream(sys.stdout.buffer, plain) as sink:
            _copy(source, sink, plain, chosen, total, room)


def _limit(room: int) -> None:
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError):
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = used + room + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def _check_schema(schema: Any) -> None:
    import pyarrow

    check_names(list(schema.names))
    for field in schema:
        kind = field.type
        if isinstance(kind, pyarrow.BaseExtensionType) or pyarrow.types.is_nested(kind):
            raise BadTable(f"has the type {kind} in its column {field.name!r}; a cell must be one value.")


def _coded(schema: Any, metadata: Any) -> list[str]:
    """Names of the columns of texts that can be read as numbers into a dictionary: all but the delta-coded ones."""
    names = [field.name for field in schema if _is_text(_plain(field.type))]
    chunks = (
        metadata.row_group(i).column(j) for i in range(metadata.num_row_groups) for j in range(len(schema))
    )
    delta = {chunk.path_in_schema for chunk in chunks if any("DELTA" in word for word in chunk.encodings)}
    return [name for name in names if name not in delta]


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_string(kind) or types.is_binary(kind)


def _plain(kind: Any) -> Any:
    """The type of the cells, without dictionary; texts of every kind are one."""
    import pyarrow
    import pyarrow.types as types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pyarrow.string()
    return pyarrow.binary() if types.is_large_binary(kind) or types.is_binary_view(kind) else kind


def _bytes_per_row(schema: Any) -> int:
    """What a row takes, its texts not counted."""
    import pyarrow.types as types

    cells = 0
    for field in schema:
        kind = _plain(field.type)
        numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_timestamp(kind)
        cells += BYTES_PER_CELL if numbers or _is_text(kind) else BYTES_PER_OBJECT
    return BYTES_PER_ROW + cells


def _chosen(total: int, schema: Any, room: int, rows: int | None, seed: int) -> np.ndarray:
    if total <= 0:
        raise BadTable("has no rows.")
    need = _bytes_per_row(schema) * (total if rows is None else min(rows, total))
    if max(need, total) > room:  # the choice of rows needs a byte for each row
        raise KetgradMemoryError(
            f"holds {total} rows and {len(schema)} columns, which need {readable(max(need, total))}, but only"
            f" {readable(room)} are usable on this machine."
        )
    return sample_indices(total, rows, seed)


def _copy(source: Any, sink: Any, plain: Any, chosen: np.ndarray, total: int, room: int) -> None:
    """Hand on the chosen rows, some thousand at a time; refuse what would not fit into `room` in the end."""
    import pyarrow

    begin, taken = 0, 0
    for batch in source.iter_batches(ROWS_AT_A_TIME, use_threads=False):
        end = begin + batch.num_rows
        first, last = np.searchsorted(chosen, (begin, end))
        whole = last - first == batch.num_rows
        part = batch if whole else batch.take(pyarrow.array(chosen[first:last] - begin))
        taken += sum(_text_bytes(part.column(i), field.name) for i, field in enumerate(plain))
        if COPIES * taken > room:
            raise KetgradMemoryError(
                f"holds texts that need more than the {readable(room)} usable on this machine."
            )
        columns = [part.column(i).cast(field.type) for i, field in enumerate(plain)]
        _check_texts(columns, plain)
        sink.write_batch(pyarrow.RecordBatch.from_arrays(columns, schema=plain))
        begin = end
    if begin != total:
        raise BadTable(f"declares {total} rows but holds {begin}.")


def _check_texts(columns: list[Any], plain: Any) -> None:
    """Texts are UTF-8: others would be found only where somebody looks at them."""
    import pyarrow

    for column, field in zip(columns, plain, strict=True):
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid as error:
            reason = str(error)[:100].rstrip(".")
            raise BadTable(
                f"holds cells in its column {field.name!r} that cannot be read: {reason}."
            ) from error


def _text_bytes(column: Any, name: str) -> int:
    """Bytes of the texts of a column; 0 for other columns."""
    import pyarrow.compute as compute
    import pyarrow.types as types

    if not _is_text(_plain(column.type)):
        return 0
    if types.is_dictionary(column.type):
        lengths = compute.take(compute.binary_length(column.dictionary), column.indices)
    else:
        lengths = compute.binary_length(column)
    longest = compute.max(lengths).as_py() or 0
    if longest > LONGEST_CELL:
        raise BadTable(
            f"holds a text of {longest} bytes in its column {name!r}; at most {LONGEST_CELL} are read."
        )
    return compute.sum(lengths).as_py() or 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(int(given[0]), None if given[1] == "all" else int(given[1]), int(given[2])))
