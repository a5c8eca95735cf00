"""What a file may say about each class: every parameter and learned attribute, and nothing that is code."""

import importlib
import inspect
import pathlib

import numpy as np
import pytest

import ketgrad as kg
from ketgrad.executors.table import EXECUTORS
from ketgrad.foundation.numbers import MOST_THREADS
from ketgrad.functions.gradients.table import RULES as GRADIENT_RULES
from ketgrad.models import MODELS
from ketgrad.models.estimator import Saved
from ketgrad.programs.questions import QUESTIONS
from ketgrad.saving.allow_list import WRITTEN, rules_of
from ketgrad.saving.allow_list import models as rules_of_models
from ketgrad.saving.allow_list.shared_kinds import in_words
from ketgrad.saving.classes import CLASSES, ESTIMATORS, FIELDS, NAMES, PARAMETERS, class_named, written_fields
from ketgrad.training.optimizers import OPTIMIZERS

RULES = {name: rules_of(name) for name in CLASSES}


def kind_of(name):
    module, _ = CLASSES[name]
    return getattr(importlib.import_module(module), name.rpartition(".")[2])


def test_every_rule_that_is_written_is_of_a_class_and_no_two_classes_share_a_name():
    assert WRITTEN.keys() <= CLASSES.keys() and not WRITTEN.keys() & MODELS.keys()
    assert len(NAMES) == len(CLASSES)
    tables = (QUESTIONS, EXECUTORS, GRADIENT_RULES, OPTIMIZERS, MODELS)
    assert len([name for name, (module, _) in CLASSES.items() if module.startswith("ketgrad.")]) == 6 + sum(
        map(len, tables)
    )


@pytest.mark.parametrize("name", CLASSES)
def test_the_rules_of_a_class_name_all_its_parameters_and_no_other(name):
    kind, written = kind_of(name), CLASSES[name][1]
    if written == PARAMETERS:
        known = set(inspect.signature(kind.__init__).parameters) - {"self"}
    else:
        known = set(written_fields(kind, written))
    assert set(RULES[name].parameters) == known


def callables_and_paths():
    from joblib import Memory

    class Caller:
        def __call__(self, *arguments):
            raise AssertionError("code from a file was called")

    return [
        print,
        Caller(),
        Caller,
        lambda step: None,
        pathlib.Path("folder"),
        Memory(None),
        object(),
        np.random,
        b"x",
    ]


@pytest.mark.parametrize("name", RULES)
def test_no_parameter_and_no_learned_attribute_can_be_code_a_path_or_a_foreign_object(name):
    rules = RULES[name]
    for kinds in (rules.parameters, rules.learned, rules.maybe):
        for key, kind in kinds.items():
            for value in callables_and_paths():
                assert not kind.holds(value, {}), key
                assert not kind.holds([value], {}) and not kind.holds({"a": value}, {}), key
                assert not kind.holds(np.array([value, None], object), {}), key


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_what_decides_about_code_folders_and_compiled_code_is_in_no_list(name):
    rules = RULES[name]
    given = {**rules.parameters, **rules.learned, **rules.maybe}
    assert not {
        "_impl",
        "_kernels",
        "_sparse_kernels",
        "n_jobs",
        "cache",
        "callback",
        "_metadata_request",
    } & set(given)
    for key in ("memory", "_sparse"):
        if key in given:
            for text in ("folder", "/tmp", "", True, 1, {"a": 1}):
                assert not given[key].holds(text, {})


@pytest.mark.parametrize(
    ("name", "parameter", "held", "refused"),
    [
        ("Function", "seed", [None, 0, 2**200], [-1, True, 1.0]),
        ("Function", "threads", [None, 1, MOST_THREADS], [0, MOST_THREADS + 1]),
        ("ProjectedKernel", "gamma", [5e-324, 1.0], [0.0, -1e-300]),
        ("SVC", "random_state", [None, 0, 2**32 - 1], [-1, 2**32]),
        ("SVC", "degree", [0, 2**31 - 1], [-1, 2**31]),
        ("FidelityKernel", "weights", [None, (), (0.5,)], [(np.nan,), [0.5]]),
    ],
)
def test_ranges_hold_their_ends_and_nothing_beyond(name, parameter, held, refused):
    kind = RULES[name].parameters[parameter]
    assert all(kind.holds(value, {}) for value in held)
    assert not any(kind.holds(value, {}) for value in refused)


# ------------------------------------------------------------------------------- what models say themselves


class Mine:
    """A model that keeps a circuit beside its numbers, and fits together only if it says so."""

    saved = Saved({"level_": "number"}, {"mixer": "circuit | Adam"}, lambda model: model.level_ > 0)

    def __init__(self, mixer=None, depth=1):
        self.mixer, self.depth = mixer, depth


@pytest.fixture
def mine(monkeypatch):
    monkeypatch.setattr(rules_of_models, "MODELS", {"Mine": Mine})
    return rules_of_models.of_model("Mine")


def test_a_model_names_the_kinds_of_its_own_parameters_and_the_others_are_plain(mine):
    mixer, depth = mine.parameters["mixer"], mine.parameters["depth"]
    assert mixer.holds(kg.Circuit([kg.h(0)]), {}) and mixer.holds(kg.Adam(), {})
    assert not mixer.holds(kg.SPSA(), {}) and not mixer.holds("ring", {})
    assert depth.holds(3, {}) and not depth.holds(kg.Circuit([kg.h(0)]), {})


def test_whether_the_parts_belong_together_is_asked_of_a_fitted_model_alone(mine):
    fitted = Mine()
    assert mine.fits(fitted)  # nothing was learned
    fitted.level_ = 1.0
    assert mine.fits(fitted)
    fitted.level_ = -1.0
    assert not mine.fits(fitted)


def test_a_count_may_be_zero_and_a_number_may_not_be_infinite():
    assert in_words("count").holds(0, {}) and not in_words("count").holds(-1, {})
    assert in_words("number").holds(-0.5, {}) and not in_words("number").holds(np.inf, {})


def test_words_that_are_no_kind_are_an_error_of_who_wrote_them():
    for word in ("circus", "floatsn", "os.system", ""):
        with pytest.raises(KeyError):
            in_words(word)


@pytest.mark.parametrize("name", ["os.system", "Mine", "", 3, None, ["Adam"], {"Adam": 1}])
def test_a_class_that_is_in_no_table_cannot_be_named(name):
    with pytest.raises(kg.KetgradError, match=r"names the class .* which no ketgrad file may build"):
        class_named(name)


def test_of_what_is_no_dataclass_no_field_is_written():
    assert written_fields(int, FIELDS) == () and written_fields(type(kg.Adam()), FIELDS)[0] == "learning_rate"
