"""Blocks of OpenQASM 3 that are read several times: bodies of loops, boxes and subroutines, on a stack of their own.

A block is a part of the text. It is entered by going on at its first word, and left at its end, once for each value of
its variable; what is declared inside is forgotten then. What is to be read is counted before it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ketgrad.circuits.qasm.names import Names, Register
from ketgrad.circuits.qasm.tokens import TOKEN, Tokens

DEEPEST = 100  # blocks inside blocks
MAX_READ = 10**6  # characters of bodies that are read again, in all; some seconds of work
PER_PASS = 10  # characters, for which entering a body counts

# What may stand outside of blocks only.
OUTSIDE = frozenset("gate include qubit qreg creg bit input def opaque".split())


class Body(NamedTuple):
    """The place of a body in the text: its first word, its end, and where the text goes on."""

    start: int
    end: int
    resume: int

    @property
    def cost(self) -> int:
        """What reading it once counts as, in characters."""
        return PER_PASS + self.end - self.start


class Parameter(NamedTuple):
    """Of a subroutine: its type, its name, and the size of an array of qubits (None for one qubit, or a number)."""

    kind: str
    name: str
    size: int | None


@dataclass(frozen=True)
class Subroutine:
    """A `def` whose calls are replaced by its body."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Body


def find_body(tokens: Tokens) -> Body:
    """The body that begins with the current word: up to the '}' of a '{', or one statement."""
    start, depth = tokens.position, 0
    for match in TOKEN.finditer(tokens.source.text, start):
        word = match[0]
        if match.lastgroup == "opened":
            raise tokens.source.fault(
                match.start(), "a comment is opened here and never closed; close it with '*/'."
            )
        if word == "{":
            depth += 1
        elif word == "}":
            depth -= 1
        elif word != ";":
            continue
        if depth < 0:
            break
        if depth == 0:
            if tokens.word == "{":
                return Body(start + 1, match.start(), match.end())
            return Body(start, match.end(), match.end())
    raise tokens.fault("the block that begins here is never closed; close it with '}' or ';'.")


@dataclass
class _Open:
    """A block that is being read, and the declarations of its next passes."""

    body: Body
    passes: Iterator[Callable[[], None]]


@dataclass
class Blocks:
    """The blocks that are open, the innermost last, and the characters that were read in blocks so far."""

    tokens: Tokens
    names: Names
    open: list[_Open] = field(default_factory=list)
    read: int = 0

    def settle(self) -> None:
        """Where the innermost block ends here, begin its next pass, or leave it."""
        while self.open and self.tokens.position >= self.open[-1].body.end:
            self.names.close_scope()
            self._next_pass()

    def repeat(
        self, body: Body, kind: str, name: str, values: Iterable[Any], times: int, position: int
    ) -> None:
        """Read a body once for each value of a variable of the given type."""
        self._count(times * body.cost, position)

        def passes() -> Iterator[Callable[[], None]]:
            for value in values:
                yield lambda value=value: self._begin_pass(kind, name, value, position)

        self._enter(body, passes(), position)

    def once(self, body: Body, position: int) -> None:
        """Read a body once."""
        self._count(body.cost, position)
        self._enter(body, iter([self.names.open_scope]), position)

    def call(self, subroutine: Subroutine, arguments: list[Any], resume: int, position: int) -> None:
        """Read the body of a subroutine with its parameters standing for the arguments, then go on at `resume`."""
        body = subroutine.body._replace(resume=resume)
        self._count(body.cost, position)

        def begin() -> None:
            self.names.open_global_scope(position)
            for parameter, argument in zip(subroutine.parameters, arguments, strict=True):
                if parameter.kind == "qubit":
                    self.names.declare(parameter.name, argument, position)
                else:
                    self.names.declare_value(parameter.kind, parameter.name, argument, position)

        self._enter(body, iter([begin]), position)

    def _count(self, more: int, position: int) -> None:
        self.read += more
        if self.read > MAX_READ:
            raise self.tokens.source.fault(
                position,
                f"here loops and subroutines make the text longer than {MAX_READ:,} characters, which is the limit. "
                "Write a gate, which is read once.",
            )

    def _begin_pass(self, kind: str, name: str, value: Any, position: int) -> None:
        self.names.open_scope()
        self.names.declare_constant(kind, name, value, position)

    def _enter(self, body: Body, passes: Iterator[Callable[[], None]], position: int) -> None:
        if len(self.open) >= DEEPEST:
            raise self.tokens.source.fault(position, f"blocks are nested more than {DEEPEST} deep here.")
        self.open.append(_Open(body, passes))
        self._next_pass()

    def _next_pass(self) -> None:
        block = self.open[-1]
        begin = next(block.passes, None)
        if begin is None:
            self.open.pop()
            self.tokens.restart(block.body.resume)
        else:
            begin()
            self.tokens.restart(block.body.start)


def as_argument(parameter: Parameter, places: tuple[Any, bool]) -> Register | None:
    """The register that a parameter of qubits becomes; None if the sizes differ."""
    qubits, is_array = places
    if parameter.size is None:
        return Register("qubit", qubits, is_array=False) if len(qubits) == 1 and not is_array else None
    return Register("qubit", qubits) if len(qubits) == parameter.size else None
