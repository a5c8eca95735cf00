"""From the tree of a JSON text to frozen dataclasses, by their annotations; what does not fit is named by its field."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

from ketgrad.foundation.errors import KetgradValueError

Value = TypeVar("Value")


def tree_of(text: str, schema: str, version_read: int) -> dict[str, Any]:
    """The tree of a JSON text that begins with our `schema` and a version that this ketgrad reads, without the two."""
    try:
        tree = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise KetgradValueError(f"this is not the JSON of a comparison: {error}.") from error
    if not isinstance(tree, dict) or tree.pop("schema", None) != schema:
        raise KetgradValueError(f"this JSON is not a comparison: its `schema` must be {schema!r}.")
    version = tree.pop("schema_version", None)
    if not isinstance(version, int) or version < 1 or version > version_read:
        raise KetgradValueError(
            f"this comparison has schema version {version!r}, but this ketgrad reads 1 to"
            f" {version_read}. Install a newer ketgrad to read it."
        )
    return tree


def decode(kind: Any, tree: Any, where: str) -> Any:
    """`tree` as a value of the annotated type `kind`; `where` names the field in errors."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast(type, kind), tree, where)
    if origin in (typing.Union, types.UnionType):
        if tree is None and type(None) in arguments:
            return None
        return decode(next(item for item in arguments if item is not type(None)), tree, where)
    if origin is tuple and isinstance(tree, list):
        if arguments[-1] is Ellipsis:
            return tuple(decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(tree))
        if len(tree) == len(arguments):
            pairs = zip(arguments, tree, strict=True)
            return tuple(decode(each, item, f"{where}[{i}]") for i, (each, item) in enumerate(pairs))
    if origin is dict and isinstance(tree, dict):
        return {key: decode(arguments[1], value, f"{where}.{key}") for key, value in tree.items()}
    if kind is float and isinstance(tree, int | float) and not isinstance(tree, bool):
        with contextlib.suppress(OverflowError):  # a whole number beyond all floats
            return float(tree)
    if origin is None and type(tree) is kind:
        return tree
    raise KetgradValueError(f"`{where}` must be {kind}, but is {str(tree)[:80]!r}.")


def _decode_dataclass(kind: type[Value], tree: Any, where: str) -> Value:
    if not isinstance(tree, dict):
        raise KetgradValueError(f"`{where}` must be an object, but is {str(tree)[:80]!r}.")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(tree) - set(hints))
    required = {
        field.name
        for field in dataclasses.fields(typing.cast(Any, kind))
        if field.default is dataclasses.MISSING
    }
    absent = sorted(required - set(tree))
    if unknown or absent:
        raise KetgradValueError(f"`{where}` has unknown fields {unknown} and lacks the fields {absent}.")
    return kind(**{name: decode(hints[name], value, f"{where}.{name}") for name, value in tree.items()})
