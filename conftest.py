"""Settings for every test and every docstring example."""

import os
import sys

import numpy as np
import pytest
from hypothesis import settings

import ketgrad as kg

# they need what Linux has: limits of memory, /proc, fork
collect_ignore_glob = [] if sys.platform == "linux" else ["tests/**/test_*_linux.py", "tests/test_mutate.py"]

# Read when SciPy is imported: without it scikit-learn leaves out its checks of array API input.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# Read when Keras is imported: one back end for all examples; test_bridge_keras.py starts processes for the others.
os.environ.setdefault("KERAS_BACKEND", "torch")

# The same examples in every run: a red test must be red for everybody.
settings.register_profile("ketgrad", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("ketgrad")


@pytest.fixture(autouse=True)
def names_in_docstring_examples(doctest_namespace):
    """Docstring examples may say `np` and `kg` without importing them."""
    doctest_namespace.update(np=np, kg=kg)


@pytest.fixture(autouse=True)
def same_print_options():
    """A test that changes NumPy's print options does not change the next one's output."""
    with np.printoptions():
        yield
