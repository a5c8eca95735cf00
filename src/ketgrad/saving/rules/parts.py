"""What a file may say about the objects of each class: the allow-list of parameters and of what was learned.

A file may come from anyone. So a parameter that names a folder or calls something (`Pipeline.memory`) can only be None,
an attribute that decides what compiled code does (`SVC._impl`) cannot be given at all, and every array by which
compiled code indexes has the type, the lengths and the range that a fit would have given it. `kg.save` keeps the same
rules, so that whatever is saved can be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ketgrad.foundation.numbers import MOST_THREADS
from ketgrad.programs.questions import QUESTIONS, Expect
from ketgrad.saving.kinds import (
    CIRCUIT,
    DIGEST_TEXT,
    DTYPE,
    FLAG,
    LABELS,
    LOSS,
    NAMES_OF_COLUMNS,
    NONE,
    PLAIN,
    REAL,
    SCALARS,
    SUMS,
    TEXT,
    Kind,
    Rules,
    array,
    doubles,
    floats,
    instance,
    length,
    number,
    one_of,
    several,
    whole,
)

MOST_POWER_ITERATIONS = 10_000  # more would be a calculation without end, or rows without number
LEAST_TOLERANCE = 1e-12  # libsvm would go on for ever below the rounding errors

EXACT = instance("ketgrad.executors.native.Native", "ketgrad.executors.reference.Reference")
EXECUTOR = EXACT | instance("ketgrad.executors.sampled.Sampled")
SCALING = instance("ketgrad.models.fitting.scaling.Scaling")
RULE = NONE | instance(
    "ketgrad.functions.gradients.adjoint.Adjoint",
    "ketgrad.functions.gradients.parameter_shift.ParameterShift",
    "ketgrad.functions.gradients.finite_difference.FiniteDifference",
    "ketgrad.functions.gradients.spsa.SPSA",
)
OPTIMIZER = NONE | instance(
    "ketgrad.training.optimizers.adam.Adam",
    "ketgrad.training.optimizers.scipy.LBFGSB",
    "ketgrad.training.optimizers.spsa.SPSA",
    "ketgrad.training.optimizers.scipy.COBYLA",
)
QUESTION = instance(*(f"{kind.__module__}.{kind.__name__}" for kind in QUESTIONS))
KERNEL = instance("ketgrad.kernels.fidelity.FidelityKernel", "ketgrad.kernels.projected.ProjectedKernel")
SEED = NONE | Kind(
    "an integer or a SeedSequence",
    lambda v, _: isinstance(v, np.random.SeedSequence) or (type(v) is int and v >= 0),
)
THREADS = NONE | whole(1, MOST_THREADS)
MOST_PIPELINES = 4  # inside one another: scikit-learn asks two steps of each about theirs, so time doubles
POSITIVE = number(5e-324)
AMPLITUDES = Kind(
    "complex128 or complex64", lambda v, _: isinstance(v, np.dtype) and v in (np.complex128, np.complex64)
)
RANDOM_STATE = NONE | whole(0, 2**32 - 1)
PAIR = several(tuple, number(), 2, 2)

DESIGN: Mapping[str, Kind] = {
    "circuit": NONE | CIRCUIT,
    "encoding": NONE | TEXT | CIRCUIT,
    "num_qubits": PLAIN,
    "max_qubits": PLAIN,
    "num_layers": PLAIN,
    "entangle": PLAIN,
    "scaling": PLAIN,
    "executor": TEXT | EXECUTOR,
    "threads": PLAIN,
    "random_state": PLAIN | SEED,
}
TRAINING: Mapping[str, Kind] = {
    "ansatz": NONE | TEXT | CIRCUIT,
    "observables": NONE | SUMS,
    "loss": TEXT | LOSS,
    "optimizer": TEXT | OPTIMIZER,
    "max_steps": PLAIN,
    "batch_size": PLAIN,
    "tolerance": PLAIN,
    "regularisation": PLAIN,
    "gradient": RULE,
    "verbose": PLAIN,
}
MACHINE: Mapping[str, Kind] = {
    "kernel": TEXT | KERNEL,
    "bandwidth": PLAIN,
    "gamma": PLAIN,
    "C": PLAIN,
    "tolerance": PLAIN,
}
FEATURES: Mapping[str, Kind] = {"n_features_in_": length("d")}
COLUMN_NAMES: Mapping[str, Kind] = {"feature_names_in_": NAMES_OF_COLUMNS}
OUTPUT: Mapping[str, Kind] = {
    "_sklearn_output_config": Kind(
        "the kind of tables that come out",
        lambda v, _: (
            isinstance(v, dict) and v in [{"transform": kind} for kind in ("default", "pandas", "polars")]
        ),
    )
}
FITTED: Mapping[str, Kind] = {
    **FEATURES,
    "circuit_": CIRCUIT,
    "scaling_": SCALING,
    "summary_": instance("ketgrad.models.fitting.summary.Summary"),
    "data_fingerprint_": DIGEST_TEXT,
}
TRAINED: Mapping[str, Kind] = {
    **FITTED,
    "function_": instance("ketgrad.functions.function.Function"),
    "weights_": floats("w", finite=True),
    "readout_": floats("o c", finite=True),
    "bias_": floats("c", finite=True),
    "fit_": instance("ketgrad.training.run.Fit"),
    "n_iter_": whole(0),
}
COMPARED: Mapping[str, Kind] = {
    **FITTED,
    "kernel_": KERNEL,
    "features_": array("fc", "n m", finite=True),
}
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
COPY: Mapping[str, Kind] = {"copy": FLAG}


def _function_fits(function: Any) -> bool:
    function.question.check(function.circuit.num_qubits)
    return function.question.measurable or "exact" in function.executor.abilities


def _scaling_fits(scaling: Any) -> bool:
    return bool((scaling.width != 0).all())


def _reads(model: Any) -> bool:
    """Whether the scaled columns are enough for the circuit."""
    width = len(model.scaling_.center)
    return width == model.n_features_in_ and model.circuit_.num_inputs <= width


def _variational_fits(model: Any) -> bool:
    if not hasattr(model, "weights_"):
        return True
    function = model.function_
    shape = (function.num_outputs, len(model.bias_))
    return (
        _reads(model)
        and isinstance(function.question, Expect)
        and function.circuit == model.circuit_
        and len(model.weights_) == function.num_weights
        and model.readout_.shape == shape
        and len(model.bias_) >= 1
    )


def _outputs_fit(model: Any) -> bool:
    """Several outputs have a mean and a scale each, a single one may have them without an axis."""
    if not hasattr(model, "weights_"):
        return True
    outputs = len(model.bias_)
    mean, scale = model.target_mean_, model.target_scale_
    return (
        _variational_fits(model)
        and mean.shape == scale.shape
        and mean.shape in ((), (outputs,))
        and (mean.shape != () or outputs == 1)
    )


def _kernel_machine_fits(kind: str, codes: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def fits(model: Any) -> bool:
        if not hasattr(model, "machine_"):
            return True
        machine = model.machine_
        return (
            _reads(model)
            and type(machine).__name__ == kind
            and machine.kernel == "precomputed"
            and model.kernel_.circuit == model.circuit_
            and len(model.features_) == machine.shape_fit_[0]
            and _features_fit(model.kernel_, model.features_)
            and codes(model)
        )

    return fits


def _features_fit(kernel: Any, features: np.ndarray) -> bool:
    """States of the register, or one expectation value per observable."""
    qubits = kernel.circuit.num_qubits
    if type(kernel).__name__ == "FidelityKernel":
        return features.dtype == kernel.dtype and qubits <= 62 and features.shape[1] == 2**qubits
    observables = kernel.observables
    return features.dtype == np.float64 and features.shape[1] == (
        3 * qubits if observables is None else len(observables)
    )


def _classes_are_codes(model: Any) -> bool:
    return bool(np.array_equal(model.machine_.classes_, np.arange(len(model.classes_))))


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


def _pipeline_fits(pipeline: Any) -> bool:
    names = [name for name, _ in pipeline.steps]
    *first, last = [step for _, step in pipeline.steps]
    return (
        _depth(pipeline) <= MOST_PIPELINES
        and len(set(names)) == len(names)
        and not any(
            "__" in name or name in ("steps", "memory", "verbose", "transform_input") for name in names
        )
        and all(step in (None, "passthrough") or hasattr(step, "transform") for step in first)
        and (last in (None, "passthrough") or hasattr(last, "fit"))
    )


def _depth(step: Any) -> int:
    """How many pipelines are inside one another; of those inside it is known that they are few."""
    return 1 + max(_depth(inner) for _, inner in step.steps) if type(step).__name__ == "Pipeline" else 0


def _is_step(value: Any, _: Any) -> bool:
    if type(value) is not tuple or len(value) != 2 or not isinstance(value[0], str):
        return False
    step = value[1]
    return (
        step is None or (isinstance(step, str) and step == "passthrough") or type(step).__name__ in ESTIMATORS
    )


def _has_learned(**parameters: str) -> Callable[[Any], bool]:
    """Whether a fitted object has the attributes that a parameter of it asks for."""

    def fits(value: Any) -> bool:
        return all(
            getattr(value, name, 0) is not None for name, asked in parameters.items() if getattr(value, asked)
        )

    return fits


def _power_fits(transformer: Any) -> bool:
    if not hasattr(transformer, "lambdas_") or not transformer.standardize:
        return True
    scaler = getattr(transformer, "_scaler", None)
    return getattr(scaler, "n_features_in_", None) == len(transformer.lambdas_)


def _scaler(parameters: Mapping[str, Kind], learned: Mapping[str, Kind], **more: Any) -> Rules:
    """The rules of one of scikit-learn's transformers."""
    maybe = {**COLUMN_NAMES, **OUTPUT, **more.pop("maybe", {})}
    return Rules({**COPY, **parameters}, {**FEATURES, **learned}, maybe, **more)


REGRESSOR: Mapping[str, Kind] = {
    "probability": one_of(False),
    "class_weight": NONE,
    "random_state": RANDOM_STATE,
}
XFIT: Mapping[str, Kind] = {TRAINING_ROWS: array("biuf", "n d", finite=True)}
CLASSIFIER_MAYBE: Mapping[str, Kind] = {"epsilon": one_of(0.0), **XFIT}
TARGETS = floats("t", finite=True) | floats("", finite=True)
SEEN = whole(0) | number(0.0) | array("iuf", "d")

# what the fields of questions hold, by their names
ASKED = {
    "observables": several(tuple, SUMS, 1),
    "qubits": several(tuple, whole(0), 1),
    "shots": whole(1, 2**53),
}

RULES: Mapping[str, Rules] = {
    "Function": Rules(
        {
            "circuit": CIRCUIT,
            "question": QUESTION,
            "executor": EXECUTOR,
            "gradient": RULE,
            "dtype": AMPLITUDES,
            "threads": THREADS,
            "seed": SEED,
            "packed": FLAG,
            "common_random_numbers": FLAG,
        },
        fits=_function_fits,
    ),
    **{kind.__name__: Rules({f.name: ASKED[f.name] for f in fields(kind)}) for kind in QUESTIONS},
    "Native": Rules({"instruction_set": one_of("", "baseline", "avx2", "avx512")}),
    "Reference": Rules({}),
    "Sampled": Rules({"executor": one_of("native", "reference") | EXACT, "shots": whole(1, 2**53)}),
    "Adjoint": Rules({}),
    "ParameterShift": Rules({}),
    "FiniteDifference": Rules({"step": NONE | number(), "order": whole(2, 4)}),
    "gradients.SPSA": Rules({"step": number(), "num_samples": whole(1), "seed": SEED, "common_random_numbers": FLAG}),
    "Adam": Rules({name: number() for name in ("learning_rate", "beta1", "beta2", "epsilon")}),
    "LBFGSB": Rules({"memory": whole(1, 10_000), "gradient_tolerance": number(0.0), "bounds": PLAIN}),
    "SPSA": Rules(
        {
            name: NONE | number()
            for name in ("learning_rate", "perturbation", "first_step", "stability", "alpha", "gamma")
        }
    ),
    "COBYLA": Rules({"first_step": number()}),
    "Fit": Rules(
        {
            "weights": array("f", "w", finite=True) | PLAIN,
            "value": REAL,
            "history": floats("h"),
            "steps": whole(0),
            "evaluations": whole(0),
            "converged": FLAG,
            "reason": TEXT,
            "seconds": REAL,
            "interrupted": FLAG,
        }
    ),
    "FidelityKernel": Rules(
        {
            "circuit": CIRCUIT,
            "executor": TEXT | EXECUTOR,
            "threads": THREADS,
            "weights": NONE | several(tuple, number()),
            "memory": NONE | whole(1),
            "dtype": AMPLITUDES,
        }
    ),
    "ProjectedKernel": Rules(
        {
            "circuit": CIRCUIT,
            "gamma": POSITIVE,
            "observables": NONE | several(tuple, SUMS, 1),
            "executor": TEXT | EXECUTOR,
            "threads": THREADS,
            "seed": SEED,
        }
    ),
    "Scaling": Rules(
        {
            "center": floats("d", finite=True),
            "width": floats("d", finite=True),
            "limit": REAL,
            "factor": POSITIVE,
            "low": NONE | floats("d", finite=True),
            "high": NONE | floats("d", finite=True),
        },
        fits=_scaling_fits,
    ),
    "Summary": Rules(
        {
            "model": TEXT,
            **{
                name: whole(0)
                for name in (
                    "num_qubits", "num_weights", "num_readout_weights", "num_gates", "num_entangling_gates",
                    "depth", "num_rows", "circuit_executions",
                )
            },
            "device_executions": NONE | whole(0),
            "seconds": REAL,
            "outcome": TEXT,
        }
    ),
    "VariationalClassifier": Rules(
        {**DESIGN, **TRAINING, "class_weight": PLAIN}, {**TRAINED, "classes_": LABELS}, COLUMN_NAMES, _variational_fits
    ),
    "VariationalRegressor": Rules(
        {**DESIGN, **TRAINING}, {**TRAINED, "target_mean_": TARGETS, "target_scale_": TARGETS}, COLUMN_NAMES,
        _outputs_fit,
    ),
    "KernelClassifier": Rules(
        {**DESIGN, **MACHINE, "class_weight": PLAIN},
        {**COMPARED, "machine_": instance("sklearn.svm.SVC"), "classes_": LABELS},
        COLUMN_NAMES,
        _kernel_machine_fits("SVC", _classes_are_codes),
    ),
    "KernelRegressor": Rules(
        {**DESIGN, **MACHINE, "epsilon": PLAIN},
        {**COMPARED, "machine_": instance("sklearn.svm.SVR"), "target_mean_": number(), "target_scale_": number()},
        COLUMN_NAMES,
        _kernel_machine_fits("SVR", lambda _: True),
    ),
    "SVC": Rules(
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
    "SVR": Rules(
        {**LIBSVM, "epsilon": number(0.0)},
        {**LIBSVM_LEARNED, "n_iter_": whole(0)},
        {**LIBSVM_MAYBE, **REGRESSOR, **XFIT},
        _machine_fits(lambda machine: 2, is_regression=True),  # one set of coefficients, as if of two classes
    ),
    "Pipeline": Rules(
        {
            "steps": several(list, Kind("a name and an estimator", _is_step), 1),
            "memory": NONE,  # a folder, whose files scikit-learn would unpickle
            "verbose": FLAG,
            "transform_input": NONE | several(list, TEXT),
        },
        {},
        OUTPUT,
        _pipeline_fits,
    ),
    "PCA": _scaler(
        {
            "n_components": NONE | one_of("mle") | whole(0) | number(0.0, 1.0),
            "whiten": FLAG,
            "svd_solver": one_of("auto", "full", "covariance_eigh", "arpack", "randomized"),
            "tol": number(0.0),
            "iterated_power": one_of("auto") | whole(0, MOST_POWER_ITERATIONS),
            "n_oversamples": whole(1, MOST_POWER_ITERATIONS),
            "power_iteration_normalizer": one_of("auto", "QR", "LU", "none"),
            "random_state": RANDOM_STATE,
        },
        {
            "n_components_": length("k"),
            "n_samples_": whole(0),
            "mean_": floats("d"),
            "components_": floats("k d"),
            "explained_variance_": floats("k"),
            "explained_variance_ratio_": floats("k"),
            "singular_values_": floats("k"),
            "noise_variance_": REAL | floats(""),
        },
        maybe={"_fit_svd_solver": TEXT},
    ),
    "SimpleImputer": _scaler(
        {
            "missing_values": NONE | REAL | TEXT,
            "strategy": one_of("mean", "median", "most_frequent", "constant"),
            "fill_value": NONE | REAL | TEXT | FLAG,
            "add_indicator": FLAG,
            "keep_empty_features": FLAG,
        },
        {"statistics_": SCALARS, "_fit_dtype": DTYPE},
        maybe={"indicator_": NONE, "_fill_dtype": DTYPE},
        fits=lambda imputer: not (imputer.add_indicator and hasattr(imputer, "statistics_")),
    ),
    "StandardScaler": _scaler(
        {"with_mean": FLAG, "with_std": FLAG},
        {
            "n_samples_seen_": SEEN,
            "mean_": NONE | floats("d"),
            "var_": NONE | floats("d"),
            "scale_": NONE | floats("d"),
        },
        fits=_has_learned(mean_="with_mean", scale_="with_std"),
    ),
    "MinMaxScaler": _scaler(
        {"feature_range": PAIR, "clip": FLAG},
        {
            "n_samples_seen_": SEEN,
            **{name: floats("d") for name in ("scale_", "min_", "data_min_", "data_max_", "data_range_")},
        },
    ),
    "MaxAbsScaler": _scaler(
        {"clip": FLAG}, {"n_samples_seen_": SEEN, "max_abs_": floats("d"), "scale_": floats("d")}
    ),
    "RobustScaler": _scaler(
        {"with_centering": FLAG, "with_scaling": FLAG, "quantile_range": PAIR, "unit_variance": FLAG},
        {"center_": NONE | floats("d"), "scale_": NONE | floats("d")},
        fits=_has_learned(center_="with_centering", scale_="with_scaling"),
    ),
    "PowerTransformer": _scaler(
        {"method": one_of("yeo-johnson", "box-cox"), "standardize": FLAG},
        {"lambdas_": floats("d")},
        maybe={"_scaler": instance("sklearn.preprocessing.StandardScaler")},
        fits=_power_fits,
    ),
    "QuantileTransformer": _scaler(
        {
            "n_quantiles": whole(1),
            "output_distribution": one_of("uniform", "normal"),
            "ignore_implicit_zeros": FLAG,
            "subsample": NONE | whole(1),
            "random_state": RANDOM_STATE,
        },
        {"n_quantiles_": length("q"), "references_": floats("q"), "quantiles_": floats("q d")},
    ),
    "Normalizer": _scaler({"norm": one_of("l1", "l2", "max")}, {}),
}  # fmt: skip
ESTIMATORS = frozenset(
    ("VariationalClassifier", "VariationalRegressor", "KernelClassifier", "KernelRegressor", "SVC", "SVR", "Pipeline",
     "PCA", "SimpleImputer", "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "PowerTransformer",
     "QuantileTransformer", "Normalizer")
)  # fmt: skip
