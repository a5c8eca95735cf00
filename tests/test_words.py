"""The page of words names files that are there, each word once, and no two words for a public class."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "words.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([^`]+)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_word_is_defined_where_the_page_says(row):
    word, _, place = row
    file = ROOT / place if place.startswith("cpp/") else ROOT / "src" / "ketgrad" / place
    letters = re.sub(r" ?`.*`", "", word).split()[-1].lower().removesuffix("s")
    text = re.sub(r"[_\s]+", "", file.read_text("utf-8").lower())
    assert letters in text, f"{place} does not say {word!r}"


def test_every_row_of_the_page_is_read_and_no_word_stands_twice():
    lines = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| ") and not line.startswith(("| word | means", "| ---"))
    ]
    words = [row[0] for row in ROWS]
    assert len(words) == len(lines) == len(set(words)) > 40
