"""The rules of scikit-learn's support vector machines: libsvm indexes by their arrays, unchecked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ketgrad.saving.allow_list.shared_kinds import COLUMN_NAMES, KERNEL, POSITIVE, RANDOM_STATE
from ketgrad.saving.kinds import (
    FLAG,
    LABELS,
    NONE,
    PLAIN,
    Kind,
    ObjectRules,
    array,
    doubles,
    floats,
    number,
    one_of,
    several,
    whole,
)

LEAST_TOLERANCE = 1e-12  # libsvm would go on for ever below the rounding errors

LIBSVM: Mapping[str, Kind] = {
    "kernel": one_of("linear", "poly", "rbf", "sigmoid", "precomputed") | KERNEL,
    "degree": whole(0, 2**31 - 1),
    "gamma": one_of("scale", "auto") | number(0.0),
    "coef0": number(),
    "tol": number(LEAST_TOLERANCE),
    "C": POSITIVE,
    "shrinking": FLAG,
    "cache_size": number(5e-324, 1e9),
    "verbose": FLAG | whole(0, 1),
    "max_iter": whole(-1, 2**31 - 1),
}
LIBSVM_LEARNED: Mapping[str, Kind] = {
    "_sparse": one_of(False),
    "shape_fit_": several(tuple, whole(0), 1, 2),
    "_gamma": number(0.0),
    "support_": array("i", "s", itemsize=4),
    "support_vectors_": doubles("v u"),
    "_n_support": array("i", "c", itemsize=4),
    "dual_coef_": doubles("m s"),
    "_dual_coef_": doubles("m s"),
    "intercept_": doubles("p"),
    "_intercept_": doubles("p"),
    "_probA": doubles("q"),
    "_probB": doubles("q"),
    "_num_iter": array("i", "p", itemsize=4),
    "fit_status_": one_of(0, 1),
}
TRAINING_ROWS = "_BaseLibSVM__Xfit"  # of a machine whose kernel is called
TO_LIBSVM = ("support_", "support_vectors_", "_n_support", "_dual_coef_", "_intercept_", "_probA", "_probB")
LIBSVM_MAYBE: Mapping[str, Kind] = {
    "n_features_in_": whole(0),
    "_effective_probability": FLAG,
    "nu": one_of(0.0),
    **COLUMN_NAMES,
}


def _machine_fits(classes: Callable[[Any], int], is_regression: bool) -> Callable[[Any], bool]:
    """Whether the arrays of a support vector machine fit together: libsvm indexes by them, unchecked."""

    def fits(machine: Any) -> bool:
        if not hasattr(machine, "support_"):
            return True
        groups, counts = classes(machine), machine._n_support
        support, pairs = machine.support_, groups * (groups - 1) // 2
        total = counts if is_regression else counts.sum(keepdims=True, dtype=np.int64)
        probabilities = machine._probA.size
        return (
            counts.shape == (groups,)
            and bool((counts >= 0).all() and (total == len(support)).all())
            and bool(((support >= 0) & (support < machine.shape_fit_[0])).all())
            and machine._dual_coef_.shape == (groups - 1, len(support))
            and machine._intercept_.shape == (pairs,)
            and probabilities in (0, pairs)
            and (probabilities > 0 or not getattr(machine, "_effective_probability", False))
            and (probabilities == 0 or not is_regression)
            and _vectors_fit(machine)
            and all(getattr(machine, name).flags.c_contiguous for name in TO_LIBSVM)
        )

    return fits


def _vectors_fit(machine: Any) -> bool:
    """The support vectors for libsvm's own kernels; for the others the training rows, or none."""
    vectors, shape = machine.support_vectors_, machine.shape_fit_
    trained_on = getattr(machine, TRAINING_ROWS, None)
    features = getattr(machine, "n_features_in_", None)
    if isinstance(machine.kernel, str) and machine.kernel != "precomputed":
        return (
            vectors.shape == (len(machine.support_), features)
            and shape[1:] == (features,)
            and trained_on is None
        )
    if vectors.shape != (0, 0):
        return False
    if isinstance(machine.kernel, str):
        return shape == (features, features) and trained_on is None
    if trained_on is None or trained_on.shape[: len(shape)] != shape:
        return False
    columns = trained_on.shape[1]
    return features in (None, columns) and machine.kernel.circuit.num_inputs == columns


REGRESSOR: Mapping[str, Kind] = {
    "probability": one_of(False),
    "class_weight": NONE,
    "random_state": RANDOM_STATE,
}
XFIT: Mapping[str, Kind] = {TRAINING_ROWS: array("biuf", "n d", finite=True)}
CLASSIFIER_MAYBE: Mapping[str, Kind] = {"epsilon": one_of(0.0), **XFIT}


MACHINES: Mapping[str, ObjectRules] = {
    "SVC": ObjectRules(
        {
            **LIBSVM,
            "probability": FLAG | one_of("deprecated"),
            "class_weight": PLAIN,
            "random_state": RANDOM_STATE,
            "decision_function_shape": one_of("ovr", "ovo"),
            "break_ties": FLAG,
        },
        {
            **LIBSVM_LEARNED,
            "classes_": LABELS,
            "class_weight_": floats("c"),
            "n_iter_": array("i", "p", itemsize=4),
        },
        {**LIBSVM_MAYBE, **CLASSIFIER_MAYBE},
        _machine_fits(lambda machine: len(machine.classes_), is_regression=False),
    ),
    "SVR": ObjectRules(
        {**LIBSVM, "epsilon": number(0.0)},
        {**LIBSVM_LEARNED, "n_iter_": whole(0)},
        {**LIBSVM_MAYBE, **REGRESSOR, **XFIT},
        _machine_fits(lambda machine: 2, is_regression=True),  # one set of coefficients, as if of two classes
    ),
}  # fmt: skip
