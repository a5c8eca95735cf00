"""The rules of scikit-learn's pipelines and of the transformers that may be their steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ketgrad.saving.allow_list.shared_kinds import COLUMN_NAMES, RANDOM_STATE
from ketgrad.saving.classes import ESTIMATORS
from ketgrad.saving.kinds import (
    DTYPE,
    FLAG,
    NONE,
    REAL,
    SCALARS,
    TEXT,
    Kind,
    ObjectRules,
    array,
    floats,
    instance,
    length,
    number,
    one_of,
    several,
    whole,
)

MOST_POWER_ITERATIONS = 10_000  # more would be a calculation without end, or rows without number
MOST_PIPELINES = 4  # inside one another: scikit-learn asks two steps of each about theirs, so time doubles
FEATURES: Mapping[str, Kind] = {"n_features_in_": length("d")}
PAIR = several(tuple, number(), 2, 2)

OUTPUT: Mapping[str, Kind] = {
    "_sklearn_output_config": Kind(
        "the kind of tables that come out",
        lambda v, _: (
            isinstance(v, dict) and v in [{"transform": kind} for kind in ("default", "pandas", "polars")]
        ),
    )
}
COPY: Mapping[str, Kind] = {"copy": FLAG}
SEEN = whole(0) | number(0.0) | array("iuf", "d")


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


def _scaler(parameters: Mapping[str, Kind], learned: Mapping[str, Kind], **more: Any) -> ObjectRules:
    """The rules of one of scikit-learn's transformers."""
    maybe = {**COLUMN_NAMES, **OUTPUT, **more.pop("maybe", {})}
    return ObjectRules({**COPY, **parameters}, {**FEATURES, **learned}, maybe, **more)


STEPS: Mapping[str, ObjectRules] = {
    "Pipeline": ObjectRules(
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
