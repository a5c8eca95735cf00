"""One table of options makes the arguments of `compare`, their checks, and the options of the command."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.referee import compare
from ketgrad.referee.options import COMPARED, DEFAULTS, OPTIONS, READ, RUN, Choices, check_whole


def test_compare_takes_the_options_of_the_table_with_their_defaults():
    parameters = dict(inspect.signature(compare).parameters)
    for name in ("table", "target"):
        assert parameters.pop(name).default is inspect.Parameter.empty
    for name in ("progress", "journal"):
        assert parameters.pop(name).default is None
    assert {name: parameter.default for name, parameter in parameters.items()} == DEFAULTS
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values())
    told = compare.__doc__ or ""
    assert not [name for name in DEFAULTS if not re.search(rf"\b{name}(, [a-z_]+)*:", told)]


def test_every_row_belongs_to_a_group_and_takes_its_own_default():
    for name, option in OPTIONS.items():
        assert option.group in (COMPARED, READ, RUN) and option.help and option.metavar, name
        if DEFAULTS[name]:
            assert option.check(name, DEFAULTS[name]) == DEFAULTS[name]
            assert option.parse(str(DEFAULTS[name])) == DEFAULTS[name]


RANGES = {
    "folds": (2, 1000),
    "repeats": (1, 1000),
    "qubits": (2, 30),
    "candidates": (1, 6),
    "inner_folds": (1, 1000),
    "rows": (1, 10**9),
    "threads": (1, 1024),
    "seed": (0, 2**63 - 1),
}


def test_the_ranges_of_numbers_are_those_that_are_promised_in_python_and_in_the_command():
    assert set(RANGES) == {name for name, option in OPTIONS.items() if option.metavar == "N"}
    for name, (low, high) in RANGES.items():
        option = OPTIONS[name]
        assert [option.parse(str(value)) for value in (low, high, f"+{high}")] == [low, high, high]
        for value in (low - 1, high + 1):
            with pytest.raises(ValueError, match=f"is not a whole number from {low} to {high}"):
                option.parse(str(value))
            if name != "rows":  # which `read_table` refuses
                with pytest.raises(
                    KetgradValueError, match=f"`{name}` must be .* {low} to {high}, but is {value}"
                ):
                    Choices(**{name: value})
        assert getattr(Choices(**{name: high}), name) == high


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("task", "regression", "regression"),
        ("models", "svm, linear,svm,", ("svm", "linear")),
        ("metric", "rmse", "rmse"),
        ("separator", "semicolon", ";"),
        ("separator", "|", "|"),
        ("decimal", ",", ","),
        ("encoding", "latin1", "iso8859-1"),
        ("text", "zip code", "zip code"),
    ],
)
def test_a_word_of_the_command_line_stands_for_a_value(name, text, value):
    assert OPTIONS[name].parse(text) == value


def test_choices_are_checked_whoever_makes_them():
    assert Choices(folds=np.int64(3)).folds == 3 and Choices().repeats is None
    assert Choices.among({"folds": 7, "table": "t.csv"}) == Choices(folds=7)
    for wrong in ({"folds": 1}, {"folds": None}, {"seed": -1}, {"threads": 0}, {"repeats": 0}):
        with pytest.raises(KetgradValueError, match=f"`{next(iter(wrong))}` must be a whole number"):
            Choices(**wrong)


def test_a_count_is_a_whole_number_between_its_limits():
    for value in (2, 5, np.int64(3)):
        found = check_whole(2, 5)("folds", value)
        assert found == value and type(found) is int
    for value in (1, 6, 3.0, True, "3", None):
        with pytest.raises(
            KetgradValueError, match=f"`folds` must be a whole number from 2 to 5, but is {value!r}"
        ):
            check_whole(2, 5)("folds", value)
