"""The folders of the referee stand in one order, which its page says, and import from those before them only."""

import ast
import re
from pathlib import Path

import ketgrad.referee

HOUSE = Path(ketgrad.referee.__file__).parent


def place(module: str) -> str:
    """The folder, or the file beside the folders, that a module of the referee belongs to."""
    return module.removeprefix("ketgrad.referee.").split(".")[0]


def imported(path: Path) -> set[str]:
    """The folders and files of the referee that a file imports from, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ketgrad.referee."):
            found.add(place(node.module or ""))
        elif isinstance(node, ast.ImportFrom) and node.module == "ketgrad.referee":
            found |= {alias.name for alias in node.names}
    return found


def test_the_folders_of_the_referee_import_in_the_order_that_it_says():
    told = re.findall("`([a-z/ ]+)`", (ketgrad.referee.__doc__ or "").replace("`compare`", ""))
    order = [word.rstrip("/") for group in told for word in group.split()]
    files = [path for path in HOUSE.rglob("*.py") if path != HOUSE / "__init__.py"]
    places = {place(".".join(path.relative_to(HOUSE).with_suffix("").parts)) for path in files}
    assert sorted(order) == sorted(places), (
        "name a new folder in the docstring of ketgrad/referee/__init__.py"
    )
    for path in files:
        own = order.index(place(".".join(path.relative_to(HOUSE).with_suffix("").parts)))
        above = {name for name in imported(path) if order.index(name) > own}
        assert not above, f"{path.relative_to(HOUSE)} imports {above}, which stand above it"
