"""Values into plain JSON and arrays: what has no form of its own here cannot be saved.

A number, a text, None, True and a list stand for themselves; everything else is an object with one tag, such as
{"$circuit": ...}. Nothing in it names code: classes are looked up in `classes.CLASSES`, gates in the gate table.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import PauliSum
from ketgrad.executors.measured import MeasuredDevice
from ketgrad.foundation.errors import KetgradError, KetgradTypeError
from ketgrad.saving.allow_list.support_vectors import TRAINING_ROWS
from ketgrad.saving.arrays import strides_to_keep
from ketgrad.saving.circuits import check_same, op_form
from ketgrad.saving.classes import CLASSES, PARAMETERS, name_of, written_fields
from ketgrad.saving.reader import BAD_FORM, ValueReader
from ketgrad.training.losses import LOSSES


class ValueWriter:
    """Turns values into JSON. `arrays` collects the arrays by name; None writes them into the JSON, as base64.

    left_out: what an estimator was given and a file cannot hold (a callback, an open generator), by its path.
    """

    def __init__(self, arrays: dict[str, np.ndarray] | None) -> None:
        self.arrays = arrays
        self.left_out: list[str] = []

    def write(self, value: Any, path: str) -> Any:
        """The JSON of `value`; `path` is how an error names it. Raises `KetgradTypeError` for what has no form."""
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if type(value) is complex:
            return {"$complex": [self.write(value.real, path), self.write(value.imag, path)]}
        if type(value) is list:
            return self._list(value, path)
        forms: tuple[tuple[type, str, Callable[[Any, str], Any]], ...] = (
            (tuple, "$tuple", self._list),
            (frozenset, "$frozenset", lambda v, p: self._list(sorted(v), p)),
            (dict, "$dict", lambda v, p: [self._list(pair, f"{p}[{pair[0]!r}]") for pair in v.items()]),
            (np.ndarray, "$array", self._array),
            (np.generic, "$scalar", self._array),
            (np.dtype, "$dtype", lambda v, _: v.str),
            (np.random.SeedSequence, "$seeds", lambda v, p: self._list([v.entropy, tuple(v.spawn_key)], p)),
            (PauliSum, "$pauli", lambda v, p: [self._list(term, p) for term in v.terms]),
            (Circuit, "$circuit", self._circuit),
        )
        for kind, tag, form in forms:
            if isinstance(value, kind):
                return {tag: form(value, path)}
        return self._object(value, path)

    def _list(self, values: Any, path: str) -> list[Any]:
        return [self.write(entry, f"{path}[{k}]") for k, entry in enumerate(values)]

    def _array(self, value: Any, path: str) -> Any:
        array = np.asarray(value, order="C")
        if array.dtype.kind in "OUS":
            entries = [self.write(entry, path) for entry in array.ravel().tolist()]
            return {"entries": entries, "shape": list(array.shape), "dtype": array.dtype.str}
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16 or array.dtype.char in "gG":
            raise KetgradTypeError(
                f"`{path}` cannot be saved: arrays of {array.dtype} have no portable form."
            )
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        parts = array[..., None].view(f"<f{array.itemsize // 2}") if array.dtype.kind == "c" else array
        form: dict[str, Any] = {"complex": True} if array.dtype.kind == "c" else {}
        if strides := strides_to_keep(value):
            form["strides"] = strides  # linear algebra rounds by the order in memory
        if self.arrays is None:
            data = base64.b64encode(parts.tobytes()).decode("ascii")
            return form | {"base64": data, "dtype": parts.dtype.str, "shape": list(parts.shape)}
        name = path if path not in self.arrays else f"{path}#{len(self.arrays)}"
        self.arrays[name] = parts
        return form | {"name": name}

    def _circuit(self, circuit: Any, path: str) -> Any:
        return [circuit.num_qubits, [self._op(op, f"{path}.ops[{k}]") for k, op in enumerate(circuit.ops)]]

    def _op(self, op: Op, path: str) -> Any:
        form = op_form(op, path, lambda array: self._array(array, path))
        if not isinstance(form[0], str):
            check_same(op, self._read_back(form, path), path)
        return form

    def _read_back(self, form: Any, path: str) -> Op:
        try:
            return ValueReader(self.arrays or {}).read_op(form)
        except (*BAD_FORM, KetgradError) as error:
            raise KetgradTypeError(f"`{path}` cannot be saved: {error}") from error

    def _object(self, value: Any, path: str) -> Any:
        if callable(value) and LOSSES.get(getattr(value, "__name__", "")) is value:
            return {"$loss": value.__name__}
        kind = type(value)
        name = name_of(kind)
        if name is None:
            # an executor that was made of a device: the device is what the caller knows
            kind = type(value.device) if isinstance(value, MeasuredDevice) else kind
            raise KetgradTypeError(
                f"`{path}` cannot be saved: it is a {kind.__module__}.{kind.__qualname__}, and a file holds no code. "
                "Saved are ketgrad's models, Functions, circuits, executors and kernels, scikit-learn's scalers and "
                "pipelines of them, arrays, numbers and texts."
            )
        written = CLASSES[name][1]
        if written == PARAMETERS:
            return {"$estimator": name, **self._estimator(value, path)}
        names = written_fields(kind, written)
        state = {field: self.write(getattr(value, field), f"{path}.{field}") for field in names}
        return {"$object": name, "fields": state}

    def _estimator(self, value: Any, path: str) -> dict[str, Any]:
        parameters, learned = {}, {}
        known = value.get_params(deep=False)
        for name, entry in vars(value).items():
            if name not in known:
                content = (
                    np.asarray(entry) if name == TRAINING_ROWS else entry
                )  # scikit-learn keeps them as given
                learned[name] = self.write(content, f"{path}.{name}")
                continue
            try:
                parameters[name] = self.write(entry, f"{path}.{name}")
            except KetgradTypeError:
                if type(value).__module__.startswith("sklearn."):
                    raise  # a step of a pipeline, say: without it the model would be another one
                self.left_out.append(f"{path}.{name}")
        return {"parameters": parameters, "learned": learned}
