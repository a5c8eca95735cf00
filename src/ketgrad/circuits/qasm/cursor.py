"""Where the reading of an OpenQASM text stands, and the small steps that several statements share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ketgrad.circuits.op import Op
from ketgrad.circuits.qasm.blocks import Blocks
from ketgrad.circuits.qasm.expressions import evaluate, parse_expression
from ketgrad.circuits.qasm.names import Names
from ketgrad.circuits.qasm.tokens import Source, Tokens, integer, shortened
from ketgrad.foundation.memory import reserve

BYTES_PER_OP = 600  # of an op in a circuit, its angle included
MOST_NOTES = 1000
NUMBERS = ("int", "uint", "float", "angle")  # types of numbers


@dataclass
class Cursor:
    """The current word, the names declared so far, the ops made so far, and the limits on more.

    used, measured: the qubits on which a gate has acted, and those that have been measured.
    """

    tokens: Tokens
    source: Source
    names: Names
    max_operations: int
    version: int = 3
    ops: list[Op] = field(default_factory=list)
    count: int = 0
    used: set[int] = field(default_factory=set)
    measured: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    blocks: Blocks = field(init=False)

    def __post_init__(self) -> None:
        self.blocks = Blocks(self.tokens, self.names)

    def value(self) -> Any:
        """The number or angle of the expression that stands here."""
        return evaluate(
            parse_expression(self.tokens, self.version, self.names.values), self.names.values, self.source
        )

    def whole_number(self, what: str) -> int:
        """The integer that stands here; `what` is what errors call it."""
        tokens = self.tokens
        position = tokens.position
        after = position + len(tokens.word)
        if tokens.kind == "integer" and (self.version == 2 or self.source.text[after : after + 1] in "]),}:"):
            number = integer(tokens)
            tokens.advance()
            return number
        number = self.value()
        if not isinstance(number, int):
            raise self.source.fault(position, f"{what} must be an integer, but is {number}.")
        return number

    def size(self) -> int:
        """The size of a register or type that stands here in square brackets."""
        tokens = self.tokens
        tokens.expect("[", "before the size")
        position = tokens.position
        size = self.whole_number("a size")
        if size < 1:
            raise self.source.fault(position, f"a size must be at least 1, but is {size}.")
        tokens.expect("]", "after the size")
        return size

    def type_of(self, what: str) -> str:
        """The type of a number that stands here, without its size in bits."""
        tokens = self.tokens
        if tokens.word not in NUMBERS:
            raise tokens.fault(
                f"the type {tokens.shown()} of {what} is not supported; types: {', '.join(NUMBERS)}."
            )
        kind = tokens.take()
        if tokens.word == "[":
            self.size()
        return kind

    def names_up_to(self, what: str, end: str) -> tuple[str, ...]:
        """Names with commas between them, up to `end`."""
        names: list[str] = []
        while self.tokens.word != end:
            names.append(self.tokens.name(what))
            if not self.tokens.accept(","):
                break
        return tuple(names)

    def names_in_brackets(self) -> tuple[str, ...]:
        """The parameters behind an opening bracket, and the closing one."""
        names = self.names_up_to("a parameter", ")")
        self.tokens.expect(")", "after the parameters")
        return names

    def refuse_repeats(self, names: tuple[str, ...], position: int) -> None:
        """Raise where a name occurs twice."""
        if len(set(names)) != len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise self.source.fault(
                position, f"the name {shortened(twice)} occurs twice; qubits must be distinct."
            )

    def spend(self, more: int, position: int) -> None:
        """Count operations before they are made."""
        self.count += more
        if self.count > self.max_operations:
            raise self.too_many(position)
        if more > 10**5:
            reserve(more * BYTES_PER_OP, f"the {more:,} operations that this statement expands to")

    def too_many(self, position: int) -> Exception:
        """The exception for a text that stands for more operations than are allowed."""
        return self.source.fault(
            position,
            f"here the text expands to more than {self.max_operations:,} operations, which is the limit; "
            "raise it with `max_operations`.",
        )

    def note(self, position: int, message: str) -> None:
        """Note a statement that was understood and left out."""
        if len(self.notes) < MOST_NOTES:
            self.notes.append(f"line {self.source.text.count(chr(10), 0, position) + 1}: {message}")

    def skip_duration(self) -> None:
        """Go past a duration such as [100ns], if one stands here."""
        tokens = self.tokens
        if tokens.accept("["):
            while tokens.word not in ("]", ";") and tokens.kind != "end":
                tokens.advance()
            tokens.expect("]", "after the duration")
