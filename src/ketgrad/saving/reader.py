"""Values from JSON and arrays, by an allow-list: what a file can hold is all that reading one can build.

Everything is checked: the JSON may come from anyone. `writer` says what the forms are.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradError, KetgradValueError
from ketgrad.saving.allow_list import rules_of
from ketgrad.saving.arrays import laid_out
from ketgrad.saving.circuits import read_op
from ketgrad.saving.classes import PARAMETERS, class_named, written_fields
from ketgrad.saving.kinds import Kind, Sizes
from ketgrad.training.losses import LOSSES

MOST_NESTING = 100
MOST_PADDING = 48 * 2**20  # bytes that texts in a file take beyond their own, in dtypes for longer ones
BAD_FORM = (
    LookupError, AttributeError, TypeError, ValueError, ArithmeticError, StopIteration, RecursionError, AssertionError,
)  # fmt: skip


class ValueReader:
    """Builds values from what `ValueWriter` wrote. Everything is checked: the JSON may come from anyone."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.laid_out: dict[str, tuple[list[int], np.ndarray]] = {}
        self.padding = 0

    def read(self, form: Any, depth: int = 0) -> Any:
        """The value. Raises `KetgradValueError` for a form that nothing of ours has written."""
        if depth > MOST_NESTING:
            raise KetgradValueError(f"The file nests values more than {MOST_NESTING} levels deep.")
        if form is None or isinstance(form, bool | int | float | str):
            return form
        if isinstance(form, list):
            return [self.read(entry, depth + 1) for entry in form]
        tag = next(iter(form), "") if isinstance(form, dict) else type(form).__name__
        reader: Callable[[Any, int], Any] | None = self._readers().get(tag)
        if reader is None:
            raise KetgradValueError(f"The file holds a value of the unknown kind {str(tag)[:40]!r}.")
        try:
            return reader(form if tag in ("$object", "$estimator") else form[tag], depth + 1)
        except BAD_FORM as error:
            if isinstance(error, KetgradError):
                raise
            raise KetgradValueError(f"The file holds a {tag} that cannot be read: {error}") from error

    def _readers(self) -> Mapping[str, Callable[[Any, int], Any]]:
        return {
            "$float": lambda form, _: {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[form],
            "$complex": lambda form, depth: _complex(*self._list(form, depth)),
            "$tuple": lambda form, depth: tuple(self._list(form, depth)),
            "$frozenset": lambda form, depth: frozenset(self._list(form, depth)),
            "$dict": lambda form, depth: dict(self._list(pair, depth) for pair in form),
            "$array": lambda form, depth: self._array(form, depth),
            "$scalar": lambda form, depth: _scalar(self._array(form, depth)),
            "$dtype": lambda form, _: _dtype(form, "biufcOUS"),
            "$seeds": lambda form, depth: _seeds(*self._list(form, depth)),
            "$pauli": lambda form, depth: _pauli([self._list(term, depth) for term in form]),
            "$circuit": lambda form, depth: self._circuit(form, depth),
            "$loss": lambda form, _: LOSSES[form],
            "$object": self._object,
            "$estimator": self._estimator,
        }

    def _list(self, form: Any, depth: int) -> list[Any]:
        if not isinstance(form, list):
            raise KetgradValueError(f"The file holds {type(form).__name__} where a list belongs.")
        return [self.read(entry, depth) for entry in form]

    def _array(self, form: Any, depth: int) -> np.ndarray:
        if "entries" in form:
            return self._entries(form, depth)
        if "strides" not in form:
            return self._numbers(form)
        strides, name = form["strides"], form.get("name")
        if name not in self.laid_out:  # one copy of an array, however often it is named
            array = laid_out(self._numbers(form), strides)
            if name is None:
                return array
            self.laid_out[name] = strides, array
        if self.laid_out[name][0] != strides:
            raise KetgradValueError(f"The file gives the array {str(name)[:80]!r} two orders in memory.")
        return self.laid_out[name][1]

    def _numbers(self, form: Any) -> np.ndarray:
        if "base64" in form:
            data = base64.b64decode(form["base64"], validate=True)
            parts = np.frombuffer(data, _dtype(form["dtype"], "biuf")).reshape(_shape(form["shape"])).copy()
        else:
            parts = self.arrays[form["name"]]
        if not form.get("complex"):
            return parts
        return parts.view(np.result_type(parts.dtype, np.complex64))[..., 0]

    def _entries(self, form: Any, depth: int) -> np.ndarray:
        entries, shape, kind = (
            self._list(form["entries"], depth),
            _shape(form["shape"]),
            _dtype(form["dtype"], "OUS"),
        )
        if kind.kind != "O":
            self._check_padding(entries, kind)
        flat = np.empty(len(entries), object)
        flat[:] = entries
        return (flat if kind.kind == "O" else flat.astype(kind)).reshape(shape)

    def _check_padding(self, entries: list[Any], kind: np.dtype) -> None:
        """A short text in a long dtype takes the memory of a long one."""
        lengths = [len(entry) for entry in entries]
        own = sum(lengths) * (4 if kind.kind == "U" else 1)
        self.padding += max(0, len(entries) * kind.itemsize - own)
        if self.padding > MOST_PADDING:
            raise KetgradValueError(
                f"The file holds {len(entries)} texts of the dtype {kind}, but most are shorter, and none is longer "
                f"than {max(lengths, default=0)}. An array of the dtype object takes less memory."
            )

    def _circuit(self, form: Any, depth: int) -> Circuit:
        num_qubits, ops = form
        return Circuit([self.read_op(op, depth) for op in ops], num_qubits)

    def read_op(self, form: Any, depth: int = 0) -> Op:
        """The op of a form [gate, qubits, angles, controls]."""
        return read_op(form, lambda array: self._array(array, depth))

    def _object(self, form: Any, depth: int) -> Any:
        name = form["$object"]
        kind, written = class_named(name)
        names = written_fields(kind, written)
        unknown = sorted(set(form["fields"]) - set(names))
        if written == PARAMETERS or unknown:
            raise KetgradValueError(f"The file gives {name!r} what it does not take: {unknown}.")
        state = {key: self.read(entry, depth) for key, entry in form["fields"].items()}
        _check_kinds(name, state, rules_of(name).parameters, {})
        return _check_whole(name, kind(**state))

    def _estimator(self, form: Any, depth: int) -> Any:
        name = form["$estimator"]
        kind, written = class_named(name)
        if written != PARAMETERS:
            raise KetgradValueError(f"The file calls {name!r} an estimator, which it is not.")
        rules, sizes = rules_of(name), Sizes()
        parameters = {key: self.read(entry, depth) for key, entry in form["parameters"].items()}
        _check_kinds(name, parameters, rules.parameters, sizes)
        learned = {key: self.read(entry, depth) for key, entry in form["learned"].items()}
        _check_kinds(name, learned, {**rules.learned, **rules.maybe}, sizes)
        missing = sorted(rules.learned.keys() - learned.keys())
        if missing and rules.learned.keys() & learned.keys():
            raise KetgradValueError(f"The file leaves out what {name!r} has learned: {', '.join(missing)}.")
        model = kind(**parameters)
        for key, value in learned.items():
            setattr(model, key, value)
        return _check_whole(name, model)


def _check_kinds(name: str, values: Mapping[str, Any], kinds: Mapping[str, Kind], sizes: Sizes) -> None:
    for key, value in values.items():
        if key not in kinds:
            raise KetgradValueError(f"The file gives {name!r} {key[:40]!r}, which it does not take.")
        if not kinds[key].holds(value, sizes):
            raise KetgradValueError(
                f"The file holds a {name} whose parts do not fit together: `{key}` must be {kinds[key].text}, but is "
                f"{_shown(value)}."
            )


def _check_whole(name: str, value: Any) -> Any:
    if not rules_of(name).fits(value):
        raise KetgradValueError(f"The file holds a {name} whose parts do not fit together.")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    return (
        repr(value)[:60]
        if isinstance(value, bool | int | float | str | None)
        else f"a {type(value).__name__}"
    )


def _dtype(text: str, kinds: str) -> np.dtype:
    kind = np.dtype(text[:20])
    if kind.kind not in kinds:
        raise KetgradValueError(f"The file names the dtype {text[:40]!r}, which cannot stand there.")
    return kind.newbyteorder("=")


def _shape(lengths: list[int]) -> tuple[int, ...]:
    if not all(type(length) is int and length >= 0 for length in lengths):
        raise KetgradValueError(f"The file holds an array of the shape {str(lengths)[:40]}.")
    return tuple(lengths)


def _scalar(array: np.ndarray) -> Any:
    if array.ndim:
        raise KetgradValueError(f"The file holds an array {array.shape} where a number belongs.")
    return array[()]


def _complex(real: float, imaginary: float) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise KetgradValueError("The file holds a complex number that has no two parts.")
    return complex(real, imaginary)


def _seeds(entropy: Any, spawn_key: Any) -> np.random.SeedSequence:
    return np.random.SeedSequence(entropy, spawn_key=spawn_key)


def _pauli(terms: list[list[Any]]) -> PauliSum:
    for x, z, coefficient in terms:
        if type(x) is not int or type(z) is not int or x < 0 or z < 0 or not np.isfinite(coefficient):
            raise KetgradValueError("The file holds a Pauli word whose masks or coefficient are impossible.")
    return PauliSum.collect((x, z, coefficient) for x, z, coefficient in terms)
