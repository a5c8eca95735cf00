"""Keras 3: the layer of a circuit holds its promises on every back end, TensorFlow among them."""

import ast
import functools
import json
import pathlib
import subprocess
import sys

import pytest
from test_process import environment, python

CHECKS = pathlib.Path(__file__).parents[1] / "support" / "keras_checks.py"
NAMES = [
    node.name
    for node in ast.parse(CHECKS.read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]


@functools.cache
def outcome(backend: str) -> dict[str, str]:
    """What became of the checks on that back end: all of them run in one process of its own."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(
        [sys.executable, CHECKS],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(KERAS_BACKEND=backend, **quiet),
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_keras(backend, name):
    failure = outcome(backend)[name]
    assert not failure, failure


def test_without_keras_the_install_line_is_given():
    code = (
        "import sys; sys.modules['keras'] = None; import ketgrad as kg\n"
        "try: kg.keras\nexcept kg.KetgradError as error: print(type(error).__name__, error)"
    )
    assert python(code).stdout == (
        "KetgradImportError `keras` is not installed - this part of ketgrad needs it. "
        "Install it with: pip install 'ketgrad[keras]'\n"
    )
