"""Model files with a changed content and a check sum made anew: what somebody would send who means harm."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import safetensors.numpy

from ketgrad.saving import file as saving

Node = tuple[Any, Any]  # a container of the JSON tree, and the key or the position of one of its entries


def opened(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The JSON and the arrays of a file that kg.save wrote."""
    content = saving._content(data, "original")
    return content | {"sha256": saving.NO_DIGEST}, saving._arrays(data, "original")


def closed(content: Any, arrays: dict[str, np.ndarray]) -> bytes:
    """The file of these parts, with a right check sum."""
    text = json.dumps(content, separators=(",", ":"))
    blank = safetensors.numpy.save(arrays, metadata={"ketgrad": text})
    place = saving._digest_place(blank, len(blank), "forged").start(1)
    digest = hashlib.sha256(blank).hexdigest().encode()
    return blank[:place] + digest + blank[place + 64 :]


def forged(data: bytes, change: Callable[[dict[str, Any], dict[str, np.ndarray]], None]) -> bytes:
    """A file after `change(content, arrays)`."""
    content, arrays = opened(data)
    change(content, arrays)
    return closed(content, arrays)


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 255, 2**31, -(2**31), 2**63, 10**7, 10**30, 1e-300, 0.5, 1e308, "", "a",
    "/etc/passwd", "../../x", "a\0b", "\ud800", "linear", "rbf", "precomputed", "nu_svr", "c_svc", [], {}, [[]],
    nested(150),
    {"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}, {"$tuple": []}, {"$tuple": [2**40, 2**40]}, {"$dict": []},
    {"$complex": [0.0, 1.0]}, {"$loss": "squared"}, {"$dtype": "<U500000000"}, {"$dtype": "<f8"},
    {"$array": {"entries": ["a", "b"], "dtype": "<U500000000", "shape": [2]}},
    {"$array": {"entries": [], "dtype": "|O", "shape": [0, 2**40]}},
    {"$array": {"base64": "AAAAAAAA8D8=", "dtype": "<f8", "shape": [1]}},
    {"$seeds": [2**200, {"$tuple": []}]}, {"$pauli": [[1, 2**60, 1.0]]}, {"$circuit": [1, []]},
    {"$circuit": [10**7, [["h", [10**7 - 1], [], []]]]},
    {"$circuit": [1, [["rx", [0], [[[1e300, [["w", 2**31]]]]], []]]]},
    {"$estimator": "StandardScaler", "parameters": {}, "learned": {}},
    {"$estimator": "Pipeline", "parameters": {"steps": [], "memory": "/tmp/x"}, "learned": {}},
    {"$object": "State", "fields": {}}, {"$object": "Native", "fields": {"instruction_set": "x"}},
)  # fmt: skip
HOSTILE_KEYS = (
    "_impl", "memory", "__class__", "__dict__", "predict", "fit", "verbose", "kernel", "_sparse", "_gamma", "steps",
    "n_features_in_", "classes_", "copy", "$array", "$estimator", "$object", "name", "base64", "complex", "strides",
)  # fmt: skip


def nodes(tree: Any) -> Iterator[Node]:
    """Every place of a JSON tree."""
    todo = [tree]
    while todo:
        container = todo.pop()
        places = list(container) if isinstance(container, dict) else range(len(container))
        for place in places:
            yield container, place
            if isinstance(container[place], dict | list):
                todo.append(container[place])


class Forger:
    """Draws forgeries of some files: the same seed gives the same ones."""

    def __init__(self, files: dict[str, bytes], seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.files = {name: opened(data) for name, data in files.items()}
        self.keys = sorted(
            {key for content, _ in self.files.values() for box, key in nodes(content) if isinstance(key, str)}
        )

    def draw(self) -> tuple[str, bytes]:
        """What was done to which file, and the file."""
        name = self._choice(list(self.files))
        content, arrays = copy.deepcopy(self.files[name][0]), dict(self.files[name][1])
        done = []
        for _ in range(int(self.random.geometric(0.6))):
            change = self._change_array if arrays and self.random.random() < 0.3 else self._change_tree
            done.append(change(content, arrays))
        return f"{name}: {'; '.join(done)}", closed(content, arrays)

    def _choice(self, options: Any) -> Any:
        return options[int(self.random.integers(len(options)))]

    def _place(self, content: Any) -> Node:
        """Any place, but at every second time one of the upper levels, where there are few."""
        places = list(nodes({"value": content["value"], "probe": content.get("probe")}))
        if self.random.random() < 0.5:
            places = [(box, key) for box, key in places if isinstance(key, str) and not key.startswith("$")]
        return self._choice(places) if places else (content, "value")

    def _change_tree(self, content: Any, arrays: Any) -> str:
        box, key = self._place(content)
        actions = [self._replace, self._replace, self._swap, self._step, self._delete]
        actions += [self._rename, self._add] if isinstance(box, dict) else [self._repeat]
        return f"{self._choice(actions)(box, key)} at {key!r}"

    def _replace(self, box: Any, key: Any) -> str:
        box[key] = copy.deepcopy(self._choice(HOSTILE))
        return f"replace by {str(box[key])[:50]}"

    def _swap(self, box: Any, key: Any) -> str:
        other, place = self._choice(list(nodes(self.files[self._choice(list(self.files))][0]["value"])))
        box[key] = copy.deepcopy(other[place])
        return f"swap with {place!r}: {str(box[key])[:50]}"

    def _step(self, box: Any, key: Any) -> str:
        if isinstance(box[key], bool) or not isinstance(box[key], int | float):
            return self._replace(box, key)
        box[key] = self._choice([box[key] + 1, box[key] - 1, -box[key], box[key] * 1000, float(box[key])])
        return f"number {box[key]}"

    def _delete(self, box: Any, key: Any) -> str:
        del box[key]
        return "delete"

    def _rename(self, box: Any, key: Any) -> str:
        new = self._choice(self.keys if self.random.random() < 0.7 else HOSTILE_KEYS)
        box[new] = box.pop(key)
        return f"rename to {new!r}"

    def _add(self, box: Any, key: Any) -> str:
        new = self._choice(self.keys if self.random.random() < 0.5 else HOSTILE_KEYS)
        box[new] = copy.deepcopy(box[key] if self.random.random() < 0.5 else self._choice(HOSTILE))
        return f"add {new!r}: {str(box[new])[:50]}"

    def _repeat(self, box: Any, key: Any) -> str:
        box.insert(key, copy.deepcopy(box[key]))
        return "repeat"

    def _change_array(self, content: Any, arrays: dict[str, np.ndarray]) -> str:
        name = self._choice(sorted(arrays))
        array = arrays[name]
        if self.random.random() < 0.05:
            del arrays[name]
            return f"array {name} deleted"
        other = arrays[self._choice(sorted(arrays))]
        dtype = self._choice(["<f4", "<f8", "<i4", "<i8", "<u1", "|b1", "<f2", "<u8"])
        with np.errstate(all="ignore"):
            changes: list[Callable[[], np.ndarray]] = [
                lambda: array.astype(dtype),
                lambda: other,
                lambda: array[..., :-1] if array.ndim else array[None],
                lambda: array[:-1] if array.ndim else array[None],
                lambda: array[None],
                lambda: array.ravel(),
                lambda: np.concatenate([array, array]) if array.ndim else array[None],
                lambda: array[:0] if array.ndim else array[None],
                lambda: -array if array.dtype.kind in "if" else ~array,
                lambda: (array + np.float64(self._choice([1, -1, 7, 10**6]))).astype(array.dtype),
                lambda: self._poisoned(array),
                lambda: self._poisoned(array),
            ]
            arrays[name] = np.ascontiguousarray(self._choice(changes)()).copy()
        new = arrays[name]
        return f"array {name} {array.dtype}{array.shape} -> {new.dtype}{new.shape} {new.ravel()[:4]}"

    def _poisoned(self, array: np.ndarray) -> np.ndarray:
        """One entry of an extreme value."""
        if not array.size:
            return array
        new = array.copy()
        extremes = (
            [np.nan, np.inf, -np.inf, 1e300, -1.0, 0.0]
            if array.dtype.kind == "f"
            else [-1, 2**31 - 1, 0, -(2**31)]
        )
        new.ravel()[int(self.random.integers(new.size))] = np.array(self._choice(extremes)).astype(
            array.dtype
        )
        return new


def has_the_same_form(value):
    """What comes back of a value that was written as JSON text."""
    return saving.restore(json.loads(json.dumps(saving.describe(value))))
