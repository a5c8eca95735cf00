"""Tables of what can be chosen by name: a kind is registered once, by one row that says where it stands."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Table(Mapping[str, Any]):
    """A table by name; each row is loaded when it is first asked for.

    rows: name -> "module:Name", as in entry points. So a table costs nothing to import, whatever stands in its rows,
    and what is above a layer can be named in it without being imported there.

    >>> table = Table({"Pauli": "ketgrad.circuits.paulis:Pauli"})
    >>> list(table), table["Pauli"]("Z0")
    (['Pauli'], Pauli('1.0 Z0'))
    """

    rows: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = self.rows[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, name: object) -> bool:  # without loading the row
        return name in self.rows
