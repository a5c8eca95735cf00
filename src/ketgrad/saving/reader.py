"""Values as plain JSON and arrays, by an allow-list: what a file can hold is all that reading one can build.

A number, a text, None, True and a list stand for themselves; everything else is an object with one tag, such as
{"$circuit": ...}. Nothing in it names code: classes are looked up in `CLASSES`, gates in the gate table.
"""

from __future__ import annotations

import base64
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from ketgrad.circuits import custom
from ketgrad.circuits.angles import INPUT_FUNCTIONS, Angle, Variable, add_up, as_angle
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.custom import deviation_from_unitary
from ketgrad.circuits.gates import GATES, Gate, gate_named
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradError, KetgradTypeError, KetgradValueError
from ketgrad.programs.questions import QUESTIONS
from ketgrad.saving.arrays import laid_out, strides_to_keep
from ketgrad.saving.kinds import Kind, Sizes
from ketgrad.saving.rules import RULES, TRAINING_ROWS
from ketgrad.training.losses import LOSSES

MOST_NESTING = 100
MOST_PADDING = 48 * 2**20  # bytes that texts in a file take beyond their own, in dtypes for longer ones
NEARLY = 1e-10  # far more than the inverse of a unitary matrix deviates
LABELS = ("U", "U†")  # of a unitary, and of one that was inverted
KINDS_OF_VARIABLES = ("w", "x", *INPUT_FUNCTIONS)
BAD_FORM = (
    LookupError, AttributeError, TypeError, ValueError, ArithmeticError, StopIteration, RecursionError, AssertionError,
)  # fmt: skip
FIELDS = "fields"  # written: the fields of a dataclass that its constructor takes
PARAMETERS = "parameters"  # written: the parameters of an estimator, and what it learned

# name in the file (kept for ever) -> (module, what is written of an instance: FIELDS, PARAMETERS or field names)
CLASSES: Mapping[str, tuple[str, str | tuple[str, ...]]] = {
    "Function": ("ketgrad.functions.function", FIELDS),
    **{kind.__name__: (kind.__module__, FIELDS) for kind in QUESTIONS},
    "Native": ("ketgrad.executors.native", ("instruction_set",)),
    "Reference": ("ketgrad.executors.reference", ()),
    "Sampled": ("ketgrad.executors.sampled", FIELDS),
    "Adjoint": ("ketgrad.functions.gradients.adjoint", FIELDS),
    "ParameterShift": ("ketgrad.functions.gradients.parameter_shift", FIELDS),
    "FiniteDifference": ("ketgrad.functions.gradients.finite_difference", FIELDS),
    "gradients.SPSA": ("ketgrad.functions.gradients.spsa", FIELDS),
    "Adam": ("ketgrad.training.optimizers.adam", FIELDS),
    "LBFGSB": ("ketgrad.training.optimizers.scipy", FIELDS),
    "SPSA": ("ketgrad.training.optimizers.spsa", FIELDS),
    "COBYLA": ("ketgrad.training.optimizers.scipy", FIELDS),
    "Fit": ("ketgrad.training.run", FIELDS),
    "FidelityKernel": ("ketgrad.kernels.fidelity", FIELDS),
    "ProjectedKernel": ("ketgrad.kernels.projected", FIELDS),
    "Scaling": ("ketgrad.models.fitting.scaling", FIELDS),
    "Summary": ("ketgrad.models.fitting.summary", FIELDS),
    "VariationalClassifier": ("ketgrad.models.variational", PARAMETERS),
    "VariationalRegressor": ("ketgrad.models.variational", PARAMETERS),
    "KernelClassifier": ("ketgrad.models.kernel_machines", PARAMETERS),
    "KernelRegressor": ("ketgrad.models.kernel_machines", PARAMETERS),
    "SVC": ("sklearn.svm", PARAMETERS),
    "SVR": ("sklearn.svm", PARAMETERS),
    "Pipeline": ("sklearn.pipeline", PARAMETERS),
    "PCA": ("sklearn.decomposition", PARAMETERS),
    "SimpleImputer": ("sklearn.impute", PARAMETERS),
    "StandardScaler": ("sklearn.preprocessing", PARAMETERS),
    "MinMaxScaler": ("sklearn.preprocessing", PARAMETERS),
    "MaxAbsScaler": ("sklearn.preprocessing", PARAMETERS),
    "RobustScaler": ("sklearn.preprocessing", PARAMETERS),
    "PowerTransformer": ("sklearn.preprocessing", PARAMETERS),
    "QuantileTransformer": ("sklearn.preprocessing", PARAMETERS),
    "Normalizer": ("sklearn.preprocessing", PARAMETERS),
}
NAMES = {(module, name.rpartition(".")[2]): name for name, (module, _) in CLASSES.items()}


class Writer:
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
        angles = [
            [[c, [list(variable) for variable in monomial]] for monomial, c in angle.terms]
            for angle in op.angles
        ]
        form = [self._gate(op.gate, path), list(op.qubits), angles, list(op.controls)]
        if not isinstance(form[0], str):
            _check_same(op, self._read_back(form, path), path)
        return form

    def _read_back(self, form: Any, path: str) -> Op:
        try:
            return Reader(self.arrays or {}).read_op(form)
        except (*BAD_FORM, KetgradError) as error:
            raise KetgradTypeError(f"`{path}` cannot be saved: {error}") from error

    def _gate(self, gate: Gate, path: str) -> Any:
        if gate.amplitudes is not None:
            vector = np.frombuffer(gate.amplitudes, np.complex128)
            return {"prepare_state": self._array(vector, path), "normalize": gate.normalize}
        if gate.name == "pauli_rotation":
            return {"pauli_rotation": gate.word}
        if gate.name == "unitary":
            label = {} if gate.label == LABELS[0] else {"label": gate.label}
            return {"unitary": self._array(gate.matrix(), path)} | label
        _check_same(gate, gate_named(gate.name) if _is_known(gate.name) else None, path)
        return gate.name

    def _object(self, value: Any, path: str) -> Any:
        if callable(value) and LOSSES.get(getattr(value, "__name__", "")) is value:
            return {"$loss": value.__name__}
        kind = type(value)
        name = NAMES.get((kind.__module__, kind.__name__)) or _public_name(kind)
        if name is None:
            raise KetgradTypeError(
                f"`{path}` cannot be saved: it is a {kind.__module__}.{kind.__qualname__}, and a file holds no code. "
                "Saved are ketgrad's models, Functions, circuits, executors and kernels, scikit-learn's scalers and "
                "pipelines of them, arrays, numbers and texts."
            )
        written = CLASSES[name][1]
        if written == PARAMETERS:
            return {"$estimator": name, **self._estimator(value, path)}
        names = _constructor_fields(kind) if written == FIELDS else written
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


class Reader:
    """Builds values from what `Writer` wrote. Everything is checked: the JSON may come from anyone."""

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
        gate, qubits, angles, controls = form
        turns = [_angle(terms) for terms in angles]
        if isinstance(gate, str):
            if not _is_known(gate):
                raise KetgradValueError(f"The file holds the unknown gate {gate[:40]!r}.")
            return Op.build(gate_named(gate), qubits, turns, controls)
        if "pauli_rotation" in gate:
            (turn,) = turns
            op = custom.pauli_rotation(turn, gate["pauli_rotation"], *qubits)
        elif "unitary" in gate:
            op = self._unitary(gate, qubits, depth)
        else:
            entries = turns or self._array(gate["prepare_state"], depth)
            op = custom.prepare_state(entries, *qubits, normalize=gate["normalize"] is True)
        return op.control(*controls) if controls else op

    def _unitary(self, form: Any, qubits: Any, depth: int) -> Op:
        matrix, label = self._array(form["unitary"], depth), form.get("label", LABELS[0])
        op = custom.unitary(matrix, *qubits)
        if label not in LABELS:
            raise KetgradValueError(f"The file holds a unitary with the label {str(label)[:40]!r}.")
        kept = (
            deviation_from_unitary(matrix) <= NEARLY
        )  # the bits of the file, and not those of the nearest matrix
        data = np.ascontiguousarray(matrix, np.complex128).tobytes() if kept else op.gate.unitary
        return replace(op, gate=replace(op.gate, unitary=data, label=label))

    def _object(self, form: Any, depth: int) -> Any:
        name = form["$object"]
        kind, written = _class(name)
        names = _constructor_fields(kind) if written == FIELDS else written
        unknown = sorted(set(form["fields"]) - set(names))
        if written == PARAMETERS or unknown:
            raise KetgradValueError(f"The file gives {name!r} what it does not take: {unknown}.")
        state = {key: self.read(entry, depth) for key, entry in form["fields"].items()}
        _check_kinds(name, state, RULES[name].parameters, {})
        return _check_whole(name, kind(**state))

    def _estimator(self, form: Any, depth: int) -> Any:
        name = form["$estimator"]
        kind, written = _class(name)
        if written != PARAMETERS:
            raise KetgradValueError(f"The file calls {name!r} an estimator, which it is not.")
        rules, sizes = RULES[name], Sizes()
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


def _public_name(kind: type) -> str | None:
    """The name of a class of another library, which may be defined in a private module of its package."""
    for name, (module, _) in CLASSES.items():
        package = module.partition(".")[0]
        if name == kind.__name__ and package != "ketgrad" and kind.__module__.startswith(f"{package}."):
            return name if getattr(importlib.import_module(module), name, None) is kind else None
    return None


def _class(name: Any) -> tuple[type, str | tuple[str, ...]]:
    if not isinstance(name, str) or name not in CLASSES:
        raise KetgradValueError(
            f"The file names the class {str(name)[:40]!r}, which no ketgrad file may build."
        )
    module, written = CLASSES[name]
    return getattr(importlib.import_module(module), name.rpartition(".")[2]), written


def _constructor_fields(kind: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.init) if is_dataclass(kind) else ()


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
    if not RULES[name].fits(value):
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


def _check_same(written: Any, read: Any, path: str) -> None:
    if written != read:
        raise KetgradTypeError(
            f"`{path}` cannot be saved: it is a gate of your own making, {written!r}, and a file holds those of "
            "ketgrad, kg.unitary, kg.pauli_rotation and kg.prepare_state."
        )


def _is_known(gate: str) -> bool:
    return gate in GATES or (gate.endswith("_dg") and gate[:-3] in GATES)


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


def _angle(terms: Any) -> Angle:
    """The angle of its terms, collected once: adding them one by one would take the square of their number."""
    return add_up(_term(coefficient, variables) for coefficient, variables in terms)


def _term(coefficient: Any, variables: Any) -> Angle:
    constant = as_angle(coefficient, "A coefficient in the file").constant
    return Angle(((_monomial(variables), constant),))


def _monomial(variables: Any) -> tuple[Variable, ...]:
    for kind, index in variables:
        if kind not in KINDS_OF_VARIABLES or type(index) is not int or index < 0:
            raise KetgradValueError(f"The file holds the variable {str(kind)[:8]}[{str(index)[:20]}].")
    return tuple(sorted((kind, index) for kind, index in variables))
