"""What an OpenQASM text has declared so far: gates, registers, constants and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ketgrad.circuits.angles import Angle
from ketgrad.circuits.qasm.gates import LIBRARIES, CallableGate, standard
from ketgrad.circuits.qasm.tokens import Source, shortened
from ketgrad.circuits.variables import w, x
from ketgrad.foundation.errors import near_matches
from ketgrad.foundation.memory import reserve

WORK_PER_NAME = 10  # that is hidden while a subroutine is read
BYTES_PER_NAME = 70  # of a text and its place in a list, beyond its characters
MAX_BITS = 10**6  # qubits, or classical bits, of all registers together
_NOTHING = object()
_Meaning = tuple[Any, ...]  # of a name: as a declaration, a constant and a value
_MIXED = "the text declares qubits and names physical ones such as $0, so their order is unclear; use one or the other."


@dataclass(frozen=True)
class Register:
    """A row of qubits or bits that the text declares, or to which it gives another name."""

    kind: str  # "qubit" or "bit"
    places: Sequence[int]
    is_array: bool = True

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.places)

    def __str__(self) -> str:
        return f"a {self.kind} register of size {self.size}"


@dataclass(frozen=True)
class Unknown:
    """A gate that the text declares and leaves undefined; it may be declared, not called."""

    name: str


@dataclass
class Names:
    """The declarations of one text; each name means one thing."""

    source: Source
    declared: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Angle] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)  # of constants and of parameters
    sizes: dict[str, int] = field(default_factory=lambda: {"qubit": 0, "bit": 0})
    qubits: list[str] = field(default_factory=list)
    replaceable: set[str] = field(default_factory=set)  # names of a library that the text may define itself
    taken: set[tuple[str, int]] = field(default_factory=set)  # weights and inputs that have a name
    next_weight: int = 0
    scopes: list[dict[str, _Meaning]] = field(default_factory=list)  # of open blocks: what names meant before
    owned: list[set[str]] = field(default_factory=list)  # of open blocks: the names that they declare
    physical: bool = False  # whether qubits are $0, $1, ..., which are not declared

    def open_scope(self) -> None:
        """Begin a block: names that it declares hide those outside until it is closed."""
        self.scopes.append({})
        self.owned.append(set())

    def open_global_scope(self, position: int) -> None:
        """Begin a block that sees what is declared outside of all blocks, as the body of a subroutine does."""
        outside: dict[str, _Meaning] = {}
        for scope in reversed(self.scopes):  # the outermost block has hidden the meaning outside
            outside |= scope
        self.source.spend(WORK_PER_NAME * len(outside), position)
        self.open_scope()
        for name, meaning in outside.items():
            self._hide(name)
            self._restore(name, meaning)

    def close_scope(self) -> None:
        """End a block: its names mean again what they meant before."""
        self.owned.pop()
        for name, meaning in self.scopes.pop().items():
            self._restore(name, meaning)

    def _hide(self, name: str) -> None:
        meaning = tuple(table.pop(name, _NOTHING) for table in self._tables())
        self.scopes[-1].setdefault(name, meaning)

    def _restore(self, name: str, meaning: _Meaning) -> None:
        for table, value in zip(self._tables(), meaning, strict=True):
            table.pop(name, None)
            if value is not _NOTHING:
                table[name] = value

    def _tables(self) -> tuple[dict[str, Any], ...]:
        return self.declared, self.constants, self.values

    def declare(self, name: str, what: Any, position: int) -> None:
        """Give a name its meaning; refused if it has one in this block."""
        if self.owned and name not in self.owned[-1]:
            self.owned[-1].add(name)
            self._hide(name)
        if name in self.replaceable and isinstance(what, CallableGate):
            self.replaceable.discard(name)
        elif name in self.declared:
            raise self.source.fault(position, f"the name {shortened(name)} is declared already.")
        self.declared[name] = what

    def declare_gates(self, library: Mapping[str, tuple[str, int]], position: int) -> None:
        """Give rows of the gate table the names of a library."""
        for name, (row, num_controls) in library.items():
            self.declare(name, standard(name, row, num_controls), position)

    def declare_register(self, kind: str, name: str, size: int, is_array: bool, position: int) -> None:
        """Append qubits or bits; a text that asks for more than a million is refused, however it writes them."""
        first, total = self.sizes[kind], self.sizes[kind] + size
        self._refuse_too_many(kind, name, total, position)
        if kind == "qubit":
            room = size * (BYTES_PER_NAME + 4 * len(name))
            reserve(room, f"the names of the {size:,} qubits of {shortened(name)}")
        if kind == "qubit" and self.physical:
            raise self.source.fault(position, _MIXED)
        self.declare(name, Register(kind, range(first, total), is_array), position)
        self.sizes[kind] = total
        if kind == "qubit":
            self.qubits += [f"{name}[{k}]" for k in range(size)] if is_array else [name]

    def _refuse_too_many(self, kind: str, name: str, total: int, position: int) -> None:
        if total > MAX_BITS:
            shown = f"{total:,}" if total < 10**15 else f"about 10^{len(str(total)) - 1}"
            message = (
                f"a text may declare {MAX_BITS:,} {kind}s, but {shortened(name)[1:-1]} makes it {shown}."
            )
            raise self.source.fault(position, message)

    def physical_qubit(self, name: str, position: int) -> Register:
        """The qubit $k, which is qubit k of the circuit; the first use of one declares all up to it."""
        if self.sizes["qubit"] and not self.physical:
            raise self.source.fault(position, _MIXED)
        self.physical = True
        index = int(name[1:10]) if len(name) <= 10 else MAX_BITS * 10
        self._refuse_too_many("qubit", name, index + 1, position)
        if index >= self.sizes["qubit"]:
            self.qubits += [f"${k}" for k in range(self.sizes["qubit"], index + 1)]
            self.sizes["qubit"] = index + 1
        return Register("qubit", range(index, index + 1), is_array=False)

    def declare_input(self, name: str, position: int) -> None:
        """w_3 is w[3] and x_3 is x[3], as our writer names them; another name is the next free weight."""
        self.declare(name, "input", position)
        kind, _, digits = name.partition("_")
        chosen = None
        if kind in ("w", "x") and digits.isascii() and digits.isdigit() and str(int(digits[:8])) == digits:
            chosen = (kind, int(digits))
        if chosen is None or chosen in self.taken:
            chosen = ("w", self.next_weight)
        self.taken.add(chosen)
        if chosen[0] == "w":
            self.next_weight = max(self.next_weight, chosen[1] + 1)
        self.parameters[name] = self.values[name] = (w if chosen[0] == "w" else x)[chosen[1]]

    def declare_constant(self, kind: str, name: str, value: Any, position: int) -> None:
        """A number with a name, of type int, uint, float or angle."""
        whole = kind in ("int", "uint")
        if isinstance(value, Angle) or (whole and int(value) != value) or (kind == "uint" and value < 0):
            message = f"the constant {name} must have a fixed value of type {kind}."
            raise self.source.fault(position, message)
        self.declare(name, "constant", position)
        self.constants[name] = self.values[name] = int(value) if whole else float(value)

    def declare_value(self, kind: str, name: str, value: Any, position: int) -> None:
        """As `declare_constant`, and angles that depend on parameters of the text."""
        if not isinstance(value, Angle) or value.is_constant or kind not in ("float", "angle"):
            number = value.constant if isinstance(value, Angle) and value.is_constant else value
            return self.declare_constant(kind, name, number, position)
        self.declare(name, "parameter", position)
        self.values[name] = value

    def register(self, kind: str, name: str, position: int) -> Register:
        """The declared register of that kind and name."""
        register = self.declared.get(name)
        if isinstance(register, Register) and register.kind == kind:
            return register
        some = islice(self.declared.items(), 500)
        known = [other for other, what in some if isinstance(what, Register) and what.kind == kind]
        hint = near_matches(name, known) if known else ""
        raise self.source.fault(position, f"{shortened(name)} is not a declared {kind}. {hint}".rstrip())

    def unknown_gate(self, name: str, position: int, version: int) -> Exception:
        """The exception for a call of a gate that is not declared, or not defined."""
        if isinstance(self.declared.get(name), Unknown):
            message = f"the gate {shortened(name)} is opaque: the text does not say what it does, so it cannot be used."
            return self.source.fault(position, message)
        some = islice(self.declared.items(), 500)
        gates = [known for known, what in some if isinstance(what, CallableGate)]
        library = "stdgates.inc" if version == 3 else "qelib1.inc"
        hint = near_matches(name, gates) if len(gates) > 2 else ""
        if name in LIBRARIES[library] and name not in gates:
            hint = f'It is in {library}: begin with `include "{library}";`.'
        return self.source.fault(position, f"the gate {shortened(name)} is not declared. {hint}".rstrip())
