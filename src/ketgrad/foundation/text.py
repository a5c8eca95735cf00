"""Text that comes from the user, made safe for a place: a terminal, a page, a file name, a spreadsheet cell."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")

# Control and format characters, half characters, line separators, and what no version of Unicode knows yet: marks and
# overrides of direction, spaces without width, tags and the like make two names look alike, or one read as another.
INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Cn"})
# Letters and marks that are drawn as nothing: fillers, joiners of graphemes, variation selectors (Unicode, property
# Default_Ignorable_Code_Point).
INVISIBLE_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# Joiners belong to the spelling of Persian, Hindi and others, and to pictures; only between characters of these.
JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
SECRET_NAME = re.compile(
    r"(^|_)(TOKENS?|SECRETS?|PASSWORDS?|PASSWD|APIKEY|KEY|CREDENTIALS?)($|_)", re.IGNORECASE
)
URL_LOGIN = re.compile(r"(?<=://)[^/\s@]*@")
URL_QUERY = re.compile(r"(://[^\s?#]*)[?#]\S*")
HIDDEN = "(hidden)"


def visible(text: object, limit: int = 80) -> str:
    r"""Return `text` on one line with every character that cannot be seen written out, at most `limit` characters long.

    Terminal escapes, NUL, line breaks, lone surrogates, bidi overrides and spaces without width appear as `\x1b`, `\n`,
    `\u202e`, so a name can neither clear a terminal nor look like another name. Too long names keep their beginning and
    end.

    >>> print(visible("age\x1b[2J"))
    age\x1b[2J
    >>> visible("a" * 50, limit=11)
    'aaaaaa…aaaa'
    """
    source = shorten(str(text), 4 * limit)
    return shorten("".join(map(_written_out, " " + source, source, source[1:] + " ")), limit)


def is_invisible(character: str) -> bool:
    r"""Whether a character by itself leaves no mark on paper.

    >>> [is_invisible(character) for character in ("a", "ö", "\u200b", "\x9b")]
    [False, False, True, True]
    """
    if unicodedata.category(character) in INVISIBLE_CATEGORIES:
        return True
    return INVISIBLE_LETTERS.match(character) is not None


def _written_out(before: str, character: str, after: str) -> str:
    if not is_invisible(character):
        return character
    joins_forward = character in "\ufe0e\ufe0f" or (not after.isascii() and not after.isspace())
    if character in JOINERS and joins_forward and not before.isascii() and not before.isspace():
        return character
    return character.encode("unicode_escape").decode("ascii")


def escaped_in_json(text: str) -> str:
    r"""JSON text with every character in it that cannot be seen as an escape, which a reader of JSON undoes.

    >>> print(escaped_in_json('"a\u202eb\x9b"'))
    "a\u202eb\u009b"
    """
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        json.dumps(character)[1:-1] if is_invisible(character) and character != "\n" else character
        for character in text
    )


def shorten(text: str, limit: int) -> str:
    """Return `text`, its middle replaced by an ellipsis where it is longer than `limit` characters.

    >>> shorten("petal length", 7)
    'peta…th'
    """
    if len(text) <= limit:
        return text
    end = (limit - 1) * 2 // 5
    return text[: limit - 1 - end] + "…" + text[len(text) - end :]


def slug(text: object, limit: int = 48) -> str:
    """Return a file name made of a-z, 0-9 and single hyphens: no path can be left with it.

    >>> slug("../../Petal Length (cm)")
    'petal-length-cm'
    >>> slug("///")
    'unnamed'
    """
    ascii_text = (
        unicodedata.normalize("NFKD", str(text)[: 8 * limit]).encode("ascii", "ignore").decode("ascii")
    )
    words = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")
    return words[:limit].strip("-") or "unnamed"


def formula_safe(cell: object) -> object:
    """Return a spreadsheet cell that no program takes for a formula: text that begins like one gets a `'` in front.

    Numbers stay numbers, negative ones too; the rule is for text only.

    >>> formula_safe("=1+1"), formula_safe(-3.5)
    ("'=1+1", -3.5)
    """
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return "'" + cell
    return cell


def hide_secrets(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return `text` without the values of secret environment variables.

    A variable counts as secret when a word of its name is TOKEN, SECRET, PASSWORD, KEY or CREDENTIAL, and its value
    has at least 8 characters. `environment` defaults to that of the process.

    >>> hide_secrets("failed with abcd-efgh", {"IBM_TOKEN": "abcd-efgh"})
    'failed with (hidden)'
    """
    for secret in sorted(_secrets(os.environ if environment is None else environment), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(environment: Mapping[str, str]) -> set[str]:
    return {value for name, value in environment.items() if SECRET_NAME.search(name) and len(value) >= 8}


def redact(text: str) -> str:
    """Return `text` without secrets, and without the logins and queries of web addresses.

    >>> redact("https://me:pass@host/table.csv?token=1")
    'https://(hidden)@host/table.csv?(hidden)'
    """
    return URL_QUERY.sub(rf"\1?{HIDDEN}", URL_LOGIN.sub(f"{HIDDEN}@", hide_secrets(text)))


def without_secrets(value: Value) -> Value:
    """Return a frozen dataclass, tuple, dictionary or text with secrets hidden in every text inside it.

    >>> without_secrets(("fold", 3))
    ('fold', 3)
    """
    return _scrubbed(value) if _secrets(os.environ) else value


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, tuple):
        return tuple(_scrubbed(item) for item in value)
    if isinstance(value, dict):
        return {key: _scrubbed(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _scrubbed(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value
