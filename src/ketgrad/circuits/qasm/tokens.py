"""The words of an OpenQASM text: a lexer that says where in the text something is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ketgrad.foundation.errors import KetgradValueError

MAX_DIGITS = 400  # of one integer literal
MAX_NAME = 1000  # characters of a name that is declared: it is repeated for each qubit of a register
MAX_WORK = (
    10**7
)  # qubits that are copied, terms of long angles: what a short text can ask for again and again


TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f\v]+|//[^\n]*|/\*[\s\S]*?\*/)
      | (?P<float>(?:\d[\d_]*\.[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?|\d[\d_]*[eE][+-]?\d+)
      | (?P<integer>0[xX][0-9a-fA-F][0-9a-fA-F_]*|0[bB][01][01_]*|0[oO][0-7][0-7_]*|\d[\d_]*)
      | (?P<name>[^\W\d]\w*|\$\d+)
      | (?P<string>"[^"\n]*"|'[^'\n]*')
      | (?P<opened>/\*)
      | (?P<sign>->|\*\*|==|!=|<=|>=|&&|\|\||<<|>>|\+\+|[-+*/%^@(){}\[\],;:=<>!~&|.\#])
      | (?P<bad>[\s\S])""",
    re.VERBOSE,
)


@dataclass
class Work:
    """What a text has asked for so far beyond what its length shows."""

    done: int = 0


@dataclass(frozen=True)
class Source:
    """A text, the name under which errors speak of it, and the work that it has asked for."""

    text: str
    name: str
    work: Work = field(default_factory=Work, compare=False)

    def spend(self, amount: int, position: int) -> None:
        """Count work before it is done, or before more of its kind; raises beyond what any text may ask for."""
        self.work.done += amount
        if self.work.done > MAX_WORK:
            raise self.fault(
                position,
                "here lists of qubits, long angles and calls in blocks full of names become more than is read. "
                "Name fewer qubits at a time, and write shorter angles.",
            )

    def fault(self, position: int, message: str) -> KetgradValueError:
        """The exception for what stands at `position`, with line and column (both from 1)."""
        line = self.text.count("\n", 0, position) + 1
        column = position - (self.text.rfind("\n", 0, position) + 1) + 1
        return KetgradValueError(f"{self.name}:{line}:{column}: {message}")


class Tokens:
    """The words of a source one by one: `kind`, `word` and `position` are those of the current one."""

    __slots__ = ("_matches", "kind", "position", "source", "word")

    def __init__(self, source: Source) -> None:
        self.source = source
        self._matches = TOKEN.finditer(source.text)
        self.kind, self.word, self.position = "", "", 0
        self.advance()

    def advance(self) -> None:
        """Go to the next word; after the last one `kind` is "end"."""
        for match in self._matches:
            kind = match.lastgroup
            if kind != "space":
                self.kind, self.word, self.position = str(kind), match[0], match.start()
                if kind == "bad" or kind == "opened":
                    raise self.fault(self._bad())
                return
        self.kind, self.word, self.position = "end", "", len(self.source.text)

    def restart(self, position: int) -> None:
        """Go on with the word at or after `position`."""
        self._matches = TOKEN.finditer(self.source.text, position)
        self.advance()

    def take(self) -> str:
        """The current word, and go on."""
        word = self.word
        self.advance()
        return word

    def expect(self, word: str, why: str = "") -> None:
        """Go past `word`, which must stand here; `why` says after or in what."""
        if self.word != word:
            raise self.fault(f"expected '{word}'{f' {why}' if why else ''}, but found {self.shown()}.")
        self.advance()

    def accept(self, word: str) -> bool:
        """Go past `word` if it stands here, and say whether it did."""
        if self.word != word:
            return False
        self.advance()
        return True

    def name(self, what: str) -> str:
        """The identifier that must stand here; `what` says whose name it is."""
        if self.kind != "name" or self.word.startswith("$"):
            raise self.fault(f"expected the name of {what}, but found {self.shown()}.")
        if len(self.word) > MAX_NAME:
            raise self.fault(
                f"a name may have {MAX_NAME} characters at most, but {self.shown()} has {len(self.word)}."
            )
        return self.take()

    def fault(self, message: str) -> KetgradValueError:
        """The exception for the current word."""
        return self.source.fault(self.position, message)

    def shown(self) -> str:
        """The current word for an error message: quoted, shortened, without control characters."""
        return "the end of the text" if self.kind == "end" else shortened(self.word)

    def _bad(self) -> str:
        if self.source.text.startswith("/*", self.position):
            return "a comment is opened here and never closed; close it with '*/'."
        if self.word in "\"'":
            return f"a string is opened here and not closed on its line; close it with {self.word}."
        return f"the character {self.word!a} does not belong to OpenQASM."


def shortened(word: str) -> str:
    """`word` quoted for an error message, at most 40 characters, control characters escaped."""
    return ascii(word if len(word) <= 40 else word[:37] + "...")


def integer(tokens: Tokens) -> int:
    """The integer literal that stands here, of any base; refused beyond 400 digits."""
    word = tokens.word.replace("_", "")
    if len(word) > MAX_DIGITS:
        raise tokens.fault(f"an integer may have {MAX_DIGITS} digits at most, but this one has {len(word)}.")
    base = {"0x": 16, "0b": 2, "0o": 8}.get(word[:2].lower(), 10)
    return int(word, base)
