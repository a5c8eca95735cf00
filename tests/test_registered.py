"""Whatever stands in a table is registered by that alone: public, saved, documented and in the loops of the tests."""

import importlib.util
import pathlib
import re
from dataclasses import is_dataclass

import pytest

import ketgrad as kg
from ketgrad.bridges import BRIDGES
from ketgrad.circuits.encodings import ENCODINGS, SCALINGS
from ketgrad.executors.table import EXECUTORS
from ketgrad.foundation.tables import Table
from ketgrad.functions.gradients.table import RULES
from ketgrad.models import ALGORITHMS, MODELS
from ketgrad.programs.questions import QUESTIONS
from ketgrad.saving.classes import CLASSES, class_named
from ketgrad.training.optimizers import OPTIMIZERS

ROOT = pathlib.Path(__file__).parent.parent
API = (ROOT / "docs" / "api.md").read_text("utf-8")

# The names on `kg` of all that is registered. Executors are asked for by name, `executor="native"`, and questions by
# functions such as kg.expectation: neither has a name of its own there.
PUBLIC = [*MODELS, *ALGORITHMS, *OPTIMIZERS, *RULES]
SAVED = [
    *MODELS,
    *OPTIMIZERS,
    *RULES,
    *(name for _, name in EXECUTORS.values()),
    *(q.__name__ for q in QUESTIONS),
]
LOOPS = {
    "models/test_models.py": "models_with(",
    "models/test_robust_models.py": "models_with(",
    "models/test_sklearn.py": "classifiers_with(",
    "test_hostile_arguments.py": "for make in MODELS.values()",
    "saving/test_saving.py": "classifiers_with(",
    "support/forger.py": "classifiers_with(",
    "support/estimators.py": "MODELS.items()",
    "saving/test_allow_list.py": "for name in CLASSES",
    "training/test_minimise.py": 'parametrize("name", OPTIMIZERS)',
    "training/test_optimizers.py": 'parametrize("name", OPTIMIZERS)',
    "executors/test_executors.py": 'parametrize("name", EXECUTORS)',
}


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_registered_is_public_and_documented(name):
    value = kg
    for part in name.split("."):
        value = getattr(value, part)
    assert name.partition(".")[0] in kg.__all__
    assert re.search(rf"`kg\.{re.escape(name)}\b", API), (
        f"run tools/generate.py: kg.{name} is not on the page"
    )


@pytest.mark.parametrize("name", BRIDGES)
def test_a_bridge_has_its_folder_and_its_page(name):
    # not loaded here: that would import the framework
    assert importlib.util.find_spec(f"ketgrad.bridges.{name}") and f"## `kg.{name}`" in API
    assert (ROOT / "docs" / f"{name}.md").exists()


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_is_found_by_its_name(name):
    assert kg.executors.get(name).name == name


def test_no_two_tables_share_a_public_name():
    names = [*PUBLIC, *BRIDGES]
    assert len({*names}) == len(names) and len({*SAVED}) == len(SAVED)


@pytest.mark.parametrize("name", SAVED)
def test_what_is_registered_can_be_saved(name):
    kind, _ = class_named(name)
    assert name in CLASSES and is_dataclass(kind) and kind.__name__ == name.rpartition(".")[2]


@pytest.mark.parametrize("file", LOOPS)
def test_the_tests_loop_over_the_tables(file):
    assert LOOPS[file] in (ROOT / "tests" / file).read_text("utf-8")


def test_a_table_knows_its_names_without_loading_what_they_stand_for():
    table = Table({"here": "ketgrad.circuits.paulis:Pauli", "nowhere": "ketgrad.nowhere:Nothing"})
    assert list(table) == ["here", "nowhere"] and "nowhere" in table and len(table) == 2
    assert table["here"] is kg.Pauli and table.get("neither") is None
    with pytest.raises(ModuleNotFoundError):
        table["nowhere"]


def test_every_encoding_says_what_scaling_it_asks_for():
    assert SCALINGS.keys() == ENCODINGS.keys() and {*SCALINGS.values()} == {"standard", "range", "none"}


def test_nothing_is_on_kg_twice():
    assert len(kg.__all__) == len({*kg.__all__})
