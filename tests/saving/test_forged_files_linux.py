"""Thousands of forged model files in processes with little memory, little time, and no files: see forger.py."""

import pathlib

import pytest
from forger import run, write_models


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    write_models(folder)
    return pathlib.Path(folder)


@pytest.mark.parametrize("seed", range(4))
def test_a_forged_file_is_refused_or_answers_and_nothing_else_happens(seed, originals):
    outcomes, fault = run(originals, seed, 1000)
    assert not fault, fault
    refused = sum(count for outcome, count in outcomes.items() if outcome.startswith("refused"))
    loaded = sum(count for outcome, count in outcomes.items() if outcome.startswith("loaded"))
    assert refused + loaded == 1000 and min(refused, loaded) > 100
