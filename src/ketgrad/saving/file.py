"""Saving and loading models and Functions: one file, no code in it, the same predictions wherever it is read.

The file is a safetensors file, so any reader of that format can look at it: the arrays under their names, and in its
metadata one JSON text with everything else (parameters, circuit, versions, a few predictions to check the reader
against) and the SHA-256 of the whole. Reading builds only what `classes.CLASSES` lists and never runs anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import platform
import re
import stat
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ketgrad.foundation.errors import (
    KetgradIndexError,
    KetgradMemoryError,
    KetgradOSError,
    KetgradTypeError,
    KetgradValueError,
    missing_extra,
)
from ketgrad.foundation.files import file_name, write_atomically
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.user_warnings import warn_user
from ketgrad.foundation.version import __version__
from ketgrad.saving.reader import BAD_FORM, ValueReader
from ketgrad.saving.writer import ValueWriter

FORMAT = 1  # raised when an older ketgrad could not read the file
DIGEST = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"')
NO_DIGEST = "0" * 64
NOT_OURS = "it is not a file that kg.save wrote (it has no single check sum, or no format)"
MOST_HEADER_BYTES = 100_000_000  # what safetensors itself reads; arrays do not count
HEADER_GROWTH = 64  # bytes of Python values that a byte of JSON may become, in the worst case
MAGIC = {
    b"\x80": "a pickle, which could run any code when it is read",
    b"PK": "a zip archive (torch.save and np.savez write those)",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a .npy file",
    b"{": "a JSON text",
}


def save(model: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a fitted estimator, a Pipeline of one with scikit-learn's scalers, a Function or a Circuit to one file.

    path: any name, `.ketgrad` by habit. The old file stays untouched unless everything is written. Stored are the
    parameters, all that was learned (the scaling of the data too), the circuit gate by gate, versions, and the
    predictions for a few made-up rows; no training data, except the states of the training rows in kernel machines.
    A constructor parameter that is code or an open generator (a callback, say) is left out with a warning: the model
    predicts as before and has the default there. The same model gives the same bytes.
    Returns the path. Raises `KetgradTypeError` for what no file can hold, `KetgradOSError` if the file exists or the
    system refuses, `KetgradImportError` without the package safetensors.

    >>> import tempfile
    >>> model = kg.VariationalRegressor(max_steps=5, random_state=0).fit(
    ...     [[0.0], [0.5], [1.0]], [0.0, 1.0, 0.0]
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     same = kg.load(kg.save(model, f"{folder}/model.ketgrad"))
    >>> bool((same.predict([[0.3]]) == model.predict([[0.3]])).all())
    True
    """
    named = file_name(path)
    return write_atomically(named, _file(model), overwrite=overwrite)


def load(path: str | os.PathLike[str], *, check: bool = True) -> Any:
    """What `save` wrote, on any machine and by any later version.

    A file that was changed by a single bit, cut short, or made by something else is refused before anything is
    built; pickles are never read. check: compare a few predictions with those at the time of saving (1e-9), which
    tells whether the libraries here compute the same; False leaves that out.
    Raises `KetgradOSError` if there is no such file, `KetgradValueError` if it cannot be used, with the reason.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kg.load(kg.save(kg.Circuit([kg.ry(kg.w[0], 0)]), f"{folder}/circuit.ketgrad")).ops
    (ry(w[0], 0),)
    """
    named = file_name(path)
    try:
        return _value(_content_of(named), str(path), check)
    except MemoryError as error:
        if isinstance(error, KetgradMemoryError):
            raise
        raise KetgradMemoryError(f"{str(path)!r} cannot be loaded: it does not fit into memory.") from error


def describe(value: Any) -> dict[str, Any]:
    """A Function, a Circuit or an estimator as a JSON object, arrays included: for the configuration files of others.

    >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
    >>> restore(describe(f)) == f
    True
    """
    form = ValueWriter(None).write(value, type(value).__name__)
    with _refusing_what_cannot_be_read(value):
        ValueReader({}).read(form)
    return {"ketgrad": FORMAT, "value": form}


def restore(description: Mapping[str, Any]) -> Any:
    """What `describe` was given. Raises `KetgradValueError` for anything else."""
    if not isinstance(description, Mapping) or description.get("ketgrad") != FORMAT:
        raise KetgradValueError("This is no description of a ketgrad object (of format 1).")
    return ValueReader({}).read(description.get("value"))


def _file(model: Any) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    writer = ValueWriter(arrays)
    content = {
        "format": FORMAT,
        "versions": _versions(),
        "value": writer.write(model, type(model).__name__),
        "probe": writer.write(_probe_to_save(model), "probe"),
        "sha256": NO_DIGEST,
    }
    if writer.left_out:
        warn_user(
            f"Not saved, because a file holds no code: {', '.join(writer.left_out)}. The loaded model predicts the "
            "same and has the default there."
        )
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    blank = _safetensors().numpy.save(arrays, metadata={"ketgrad": text})
    place = _digest_place(blank, _header_end(blank, "the new file"), "the new file").start(1)
    digest = hashlib.sha256(blank).hexdigest().encode("ascii")
    data = blank[:place] + digest + blank[place + len(digest) :]
    del blank  # reading it back takes memory too
    with _refusing_what_cannot_be_read(model):
        _value(data, "the file", check=True)
    return data


@contextlib.contextmanager
def _refusing_what_cannot_be_read(value: Any) -> Iterator[None]:
    """What was written is read before it counts: work that could never be loaded again is not saved by halves."""
    try:
        yield
    except (KetgradTypeError, KetgradValueError, KetgradIndexError) as error:
        raise KetgradTypeError(f"`{type(value).__name__}` cannot be saved: {error}") from error


def _versions() -> dict[str, str]:
    others = {name: version(name) for name in ("numpy", "scikit-learn")}
    return {"ketgrad": __version__, "python": platform.python_version(), **others}


def _content_of(path: Path) -> bytes:
    try:
        with open(path, "rb", opener=_open_regular) as stream:
            size = os.fstat(stream.fileno()).st_size
            reserve(3 * size, f"reading the {size} bytes of {path}", "Load it on a larger machine.")
            return stream.read()
    except OSError as error:
        if isinstance(error, KetgradOSError):
            raise
        raise KetgradOSError(error.errno, f"cannot read the file: {error.strerror}", str(path)) from error


def _open_regular(path: str, flags: int) -> int:
    """Open a file, but neither a pipe that never ends nor a device."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise KetgradOSError(22, "is no regular file, so no model can be read from it", str(path))
    return descriptor


def _value(data: bytes, path: str, check: bool) -> Any:
    _check_digest(data, _header_end(data, path), path)
    content = _content(data, path)
    arrays = _arrays(data, path)
    reader = ValueReader(arrays)
    value = reader.read(content.get("value"))
    if check:
        _compare(value, reader.read(content.get("probe")), content, path)
    return value


def _header_end(data: bytes, path: str) -> int:
    """Where the header ends, of a file that may be anything."""
    length = int.from_bytes(data[:8], "little")
    for magic, what in MAGIC.items():
        if data.startswith(magic) and int.from_bytes(data[:8].ljust(8, b"\xff"), "little") > len(data):
            raise _unusable(path, f"it is {what}")
    if len(data) < 10 or length > len(data) - 8:
        raise _unusable(path, "it is cut short, or was never written by kg.save")
    if length > MOST_HEADER_BYTES:
        raise _unusable(
            path, f"its header has {length} bytes, more than the {MOST_HEADER_BYTES} that are read"
        )
    return 8 + length


def _check_digest(data: bytes, header_end: int, path: str) -> None:
    """Refuse what was changed, before any of it is parsed."""
    place = _digest_place(data, header_end, path)
    digest = hashlib.sha256(data[: place.start(1)])
    digest.update(NO_DIGEST.encode("ascii"))
    digest.update(memoryview(data)[place.end(1) :])
    if digest.hexdigest().encode("ascii") != place.group(1):
        raise _unusable(path, "it was changed or damaged since it was saved (its SHA-256 does not fit)")


def _content(data: bytes, path: str) -> dict[str, Any]:
    """The JSON text about everything but the arrays, in a format that this version reads."""
    end = _header_end(data, path)
    reserve(
        HEADER_GROWTH * end,
        f"the description in {path}, {end} bytes of JSON,",
        "Load it on a larger machine.",
    )
    header = _json(data[8:end], path)
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict):
        raise _unusable(path, "its header is damaged")
    content = _json(metadata.get("ketgrad", "null"), path)
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise _unusable(path, NOT_OURS)
    if content["format"] != FORMAT:
        versions = content.get("versions")
        made_by = str(versions.get("ketgrad") if isinstance(versions, dict) else None)[:40]
        raise _unusable(
            path,
            f"it was made by ketgrad {made_by} in format {str(content['format'])[:40]}, and this is ketgrad "
            f"{_versions()['ketgrad']}, which reads formats up to {FORMAT}. Update ketgrad",
        )
    return content


def _arrays(data: bytes, path: str) -> dict[str, np.ndarray]:
    safetensors = _safetensors()
    try:
        return {name: np.array(array) for name, array in safetensors.numpy.load(data).items()}
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise _unusable(path, f"its arrays are damaged ({str(error)[:80]})") from error


def _json(text: str | bytes, path: str) -> Any:
    """JSON with each key once and without NaN, however deep it nests."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key occurs twice")
        return dict(pairs)

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError, TypeError) as error:
        raise _unusable(path, f"its header is damaged ({str(error)[:80]})") from error


def _digest_place(data: bytes, header_end: int, path: str) -> re.Match[bytes]:
    places = list(itertools.islice(DIGEST.finditer(data, 0, header_end), 2))
    if len(places) != 1:
        raise _unusable(path, NOT_OURS)
    return places[0]


def _unusable(path: str, reason: str) -> KetgradValueError:
    return KetgradValueError(f"{path!r} cannot be loaded: {reason}.")


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise missing_extra("safetensors", "save") from error
    return safetensors


def _probe(model: Any) -> np.ndarray | None:
    """Predictions of a fitted model for a few made-up rows; None where there are none, or where they are drawn."""
    scaling, circuit = getattr(model, "scaling_", None), getattr(model, "circuit_", None)
    if scaling is None or circuit is None or not _is_exact(model):
        return None
    steps = np.linspace(0.0, 1.7, 4)[:, None] * (1 + np.arange(len(scaling.center))) % 2 - 1
    rows = scaling.center + scaling.width * steps
    if hasattr(model, "feature_names_in_"):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return np.asarray(_scores(model, rows))
    return np.asarray(_scores(model, rows))


def _probe_to_save(model: Any) -> np.ndarray | None:
    try:
        return _probe(model)
    except BAD_FORM as error:
        raise KetgradTypeError(
            f"`{type(model).__name__}` cannot be saved: it cannot predict, {error}"
        ) from error


def _scores(model: Any, rows: np.ndarray) -> Any:
    return (getattr(model, "decision_function", None) or model.predict)(rows)


def _is_exact(model: Any) -> bool:
    runner = getattr(model, "function_", None) or getattr(model, "kernel_", None)
    executor = getattr(runner, "executor", None)
    return isinstance(executor, str) or "exact" in getattr(executor, "abilities", ())


def _compare(model: Any, saved: np.ndarray | None, content: Mapping[str, Any], path: str) -> None:
    if saved is None:
        return
    if not isinstance(saved, np.ndarray) or saved.dtype.kind != "f":
        raise KetgradTypeError(f"{path!r} holds predictions that are no numbers.")
    try:
        now = _probe(model)
    except BAD_FORM as error:
        raise _unusable(path, f"its parts do not fit together, so it cannot predict ({error})") from error
    if now is None or now.shape != saved.shape or not np.allclose(now, saved, rtol=1e-9, atol=1e-9):
        raise _unusable(
            path,
            f"its model predicts otherwise here than where it was saved, with {str(content.get('versions'))[:200]}; "
            "kg.load(path, check=False) loads it nevertheless",
        )
