"""What a file may say about each class: every parameter and learned attribute, and nothing that is code."""

import importlib
import inspect
import pathlib

import numpy as np
import pytest

from ketgrad.executors.table import EXECUTORS
from ketgrad.functions.gradients.table import RULES as GRADIENT_RULES
from ketgrad.models import MODELS
from ketgrad.programs.questions import QUESTIONS
from ketgrad.saving.classes import CLASSES, ESTIMATORS, NAMES, PARAMETERS, written_fields
from ketgrad.saving.rules import WRITTEN, rules_of
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
        ("SVC", "random_state", [None, 0, 2**32 - 1], [-1, 2**32]),
        ("SVC", "degree", [0, 2**31 - 1], [-1, 2**31]),
        ("FidelityKernel", "weights", [None, (), (0.5,)], [(np.nan,), [0.5]]),
    ],
)
def test_ranges_hold_their_ends_and_nothing_beyond(name, parameter, held, refused):
    kind = RULES[name].parameters[parameter]
    assert all(kind.holds(value, {}) for value in held)
    assert not any(kind.holds(value, {}) for value in refused)
