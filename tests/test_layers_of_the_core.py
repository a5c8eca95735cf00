"""The folders of the C++ core are layers: a file includes its own folder and those before it, in no circle."""

import pathlib
import re

import pytest

CPP = pathlib.Path(__file__).resolve().parent.parent / "cpp"
CORE_LAYERS = (
    "base",
    "program",
    "passes",
    "simd",
    "gram",
    "lanes",
    "blocks",
    "duals",
    "simulator",
    "python",
    "tests",
)
SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in {".cpp", ".hpp"})
INCLUDE = re.compile(r'^\s*#include "([^"]+)"', re.MULTILINE)


def included(source: pathlib.Path) -> list[pathlib.Path]:
    """The files of the core that a file includes."""
    return [CPP / name for name in INCLUDE.findall(source.read_text())]


def folder(source: pathlib.Path) -> str:
    """The layer of a file."""
    return source.relative_to(CPP).parts[0]


def room(source: pathlib.Path) -> str:
    """A header and its source are one room."""
    return str(source.relative_to(CPP).with_suffix(""))


def test_every_folder_of_the_core_is_a_layer_and_nothing_lies_beside_them():
    assert not [source for source in SOURCES if source.parent == CPP]
    assert {folder(source) for source in SOURCES} == set(CORE_LAYERS)


@pytest.mark.parametrize("source", SOURCES, ids=room)
def test_includes_exist_and_only_go_down(source):
    for target in included(source):
        assert target.is_file(), f"{target} does not exist"
        assert CORE_LAYERS.index(folder(target)) <= CORE_LAYERS.index(folder(source)), f"{target} lies above"


def test_no_circle_of_includes():
    below: dict[str, set[str]] = {}
    for source in SOURCES:
        below.setdefault(room(source), set()).update(room(target) for target in included(source))
    below = {one: others - {one} for one, others in below.items()}
    while free := [one for one, others in below.items() if not others & below.keys()]:
        for one in free:
            del below[one]
    assert not below, f"these include each other: {sorted(below)}"


def test_the_readme_of_the_core_names_the_folders_in_their_order():
    text = (CPP / "README.md").read_text()
    places = [text.index(f"`{name}/`") for name in CORE_LAYERS]
    assert places == sorted(places)
