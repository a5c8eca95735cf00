"""Text that comes from the user, made safe for a place: a terminal, a page, a file name, a spreadsheet cell."""

from __future__ import annotations

import os
import re
import unicodedata

# Left-to-right and right-to-left marks, embeddings, overrides and isolates: they can make a name read as another.
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
INVISIBLE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp", "Cn"})
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
SECRET_NAME = re.compile(r"(^|_)(TOKENS?|SECRETS?|PASSWORDS?|PASSWD|APIKEY|KEY|CREDENTIALS?)($|_)", re.IGNORECASE)
URL_LOGIN = re.compile(r"(?<=://)[^/\s@]*@")
URL_QUERY = re.compile(r"(://[^\s?#]*)[?#]\S*")
HIDDEN = "(hidden)"


def visible(text: object, limit: int = 80) -> str:
    r"""Return `text` on one line with every control character written out, at most `limit` characters long.

    Terminal escapes, NUL, line breaks, lone surrogates and bidi overrides appear as `\x1b`, `\n`, `\u202e`, so a
    name can neither clear a terminal nor read as another name. Too long names keep their beginning and end.

    >>> print(visible("age\x1b[2J"))
    age\x1b[2J
    >>> visible("a" * 50, limit=11)
    'aaaaaa…aaaa'
    """
    source = shorten(str(text), 4 * limit)
    return shorten("".join(_written_out(character) for character in source), limit)


def _written_out(character: str) -> str:
    if character in BIDI_CONTROLS or unicodedata.category(character) in INVISIBLE_CATEGORIES:
        return character.encode("unicode_escape").decode("ascii")
    return character


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
    ascii_text = unicodedata.normalize("NFKD", str(text)[: 8 * limit]).encode("ascii", "ignore").decode("ascii")
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


def redact(text: str, environment: dict[str, str] | None = None) -> str:
    """Return `text` without logins and queries of URLs and without the values of secret environment variables.

    A variable counts as secret when a word of its name is TOKEN, SECRET, PASSWORD, KEY or CREDENTIAL.

    >>> redact("https://me:pass@host/table.csv?token=1")
    'https://(hidden)@host/table.csv?(hidden)'
    """
    variables = dict(os.environ) if environment is None else environment
    secrets = {value for name, value in variables.items() if SECRET_NAME.search(name) and len(value) >= 8}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return URL_QUERY.sub(rf"\1?{HIDDEN}", URL_LOGIN.sub(f"{HIDDEN}@", text))
