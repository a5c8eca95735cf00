"""What an OpenQASM text has declared so far: gates, registers, constants and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ketgrad.angles import Angle, w, x
from ketgrad.errors import near_matches
from ketgrad.qasm_expressions import Source, shortened
from ketgrad.qasm_gates import LIBRARIES, Definition, standard

MAX_BITS = 10**6  # qubits, or classical bits, of all registers together


@dataclass(frozen=True)
class Register:
    """A row of qubits or bits that the text declares."""

    kind: str  # "qubit" or "bit"
    first: int
    size: int
    is_array: bool = True

    def __str__(self) -> str:
        return f"a {self.kind} register of size {self.size}"


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

    def declare(self, name: str, what: Any, position: int) -> None:
        """Give a name its meaning; refused if it has one."""
        if name in self.replaceable and isinstance(what, Definition):
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
        if total > MAX_BITS:
            shown = f"{total:,}" if total < 10**15 else f"about 10^{len(str(total)) - 1}"
            message = f"a text may declare {MAX_BITS:,} {kind}s, but {name} makes it {shown}."
            raise self.source.fault(position, message)
        self.declare(name, Register(kind, first, size, is_array), position)
        self.sizes[kind] = total
        if kind == "qubit":
            self.qubits += [f"{name}[{k}]" for k in range(size)] if is_array else [name]

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
        if isinstance(value, Angle) or (whole and int(value) != value):
            message = f"the constant {name} must have a fixed value of type {kind}."
            raise self.source.fault(position, message)
        self.declare(name, "constant", position)
        self.constants[name] = self.values[name] = int(value) if whole else float(value)

    def register(self, kind: str, name: str, position: int) -> Register:
        """The declared register of that kind and name."""
        register = self.declared.get(name)
        if isinstance(register, Register) and register.kind == kind:
            return register
        if name.startswith("$"):
            message = f"the physical qubit {shortened(name)} is not supported; declare `qubit[n] q;`."
            raise self.source.fault(position, message)
        some = islice(self.declared.items(), 500)
        known = [other for other, what in some if isinstance(what, Register) and what.kind == kind]
        hint = near_matches(name, known) if known else ""
        raise self.source.fault(position, f"{shortened(name)} is not a declared {kind}. {hint}".rstrip())

    def unknown_gate(self, name: str, position: int, version: int) -> Exception:
        """The exception for a call of a gate that is not declared."""
        some = islice(self.declared.items(), 500)
        gates = [known for known, what in some if isinstance(what, Definition)]
        library = "stdgates.inc" if version == 3 else "qelib1.inc"
        hint = near_matches(name, gates) if len(gates) > 2 else ""
        if name in LIBRARIES[library] and name not in gates:
            hint = f'It is in {library}: begin with `include "{library}";`.'
        return self.source.fault(position, f"the gate {shortened(name)} is not declared. {hint}".rstrip())
