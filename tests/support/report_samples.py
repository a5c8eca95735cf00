"""Comparisons invented for the tests of the report: no model is fitted for them."""

from __future__ import annotations

import dataclasses

import numpy as np

from ketgrad.referee.results import (
    ClassCount,
    Column,
    Comparison,
    Data,
    DroppedColumn,
    Environment,
    FitCost,
    Interval,
    Metric,
    Model,
    ModelVerdict,
    PairedDifference,
    Protocol,
    Split,
    SplitScore,
    TextCount,
    Timings,
    Verdict,
)

ACCURACY = Metric(
    "balanced_accuracy",
    "Balanced accuracy",
    True,
    "points",
    "The share of rows predicted right, averaged over the classes so that a rare class counts as much as a common one.",
)
LOG_LOSS = Metric(
    "log_loss", "Log loss", False, "", "The surprise of the true answers under the predicted probabilities."
)
RMSE = Metric(
    "rmse", "Root mean squared error", False, "", "The typical size of an error, in the unit of the target."
)
# name, title, family, twin_of, mean score, seconds per fit, qubits
CONTESTANTS = (
    ("dummy", "Always the commonest class", "dummy", None, 0.50, 0.001, None),
    ("logistic", "Logistic regression", "classical", None, 0.951, 0.02, None),
    ("svm", "Support vector machine (RBF)", "classical", None, 0.963, 0.01, None),
    ("forest", "Random forest", "classical", None, 0.958, 0.4, None),
    ("boosting", "Gradient boosting", "classical", None, 0.949, 0.6, None),
    ("mlp", "Small neural network", "classical", None, 0.946, 0.9, None),
    ("variational", "Variational quantum circuit", "quantum", None, 0.921, 6.5, 6),
    ("variational-twin", "Variational circuit, no entanglers", "twin", "variational", 0.918, 4.1, 6),
    ("kernel", "Quantum kernel machine", "quantum", None, 0.937, 0.3, 6),
    ("kernel-twin", "Kernel machine, no entanglers", "twin", "kernel", 0.941, 0.2, 6),
)
SPLITS = tuple(Split(index, index // 5, index % 5, 144, 36) for index in range(10))


def interval(values: list[float]) -> Interval:
    """Mean and a rough interval."""
    spread = float(np.std(values, ddof=1))
    mean = float(np.mean(values))
    return Interval(mean, mean - 0.9 * spread, mean + 0.9 * spread, spread, len(values))


def model(place: int, row: tuple, scale: float = 1.0) -> Model:
    """A contestant with ten scores around its mean."""
    name, title, family, twin_of, mean, seconds, qubits = row
    noise = np.random.default_rng(place).normal(0, 0.018, len(SPLITS)) + np.random.default_rng(99).normal(
        0, 0.012, len(SPLITS)
    )
    values = [float(scale * (mean + deviation)) for deviation in noise - noise.mean()]
    if scale == 1.0:
        values = [min(value, 1.0) for value in values]
    metric = ACCURACY if scale == 1.0 else RMSE
    scores = tuple(
        SplitScore(
            index,
            {metric.name: value, "log_loss": 1.2 * (1 - value)},
            round(36 * value) if scale == 1.0 else None,
            {"C": "1.0"},
            3 * seconds,
            seconds,
            seconds / 10,
        )
        for index, value in enumerate(values)
    )
    cost = FitCost(
        parameters=None if family == "dummy" else 14 + 10 * place,
        qubits=qubits,
        gates=qubits and 60,
        two_qubit_gates=qubits and (0 if family == "twin" else 18),
        depth=qubits and 21,
        circuit_executions=qubits and (28_680 if "kernel" in name else 691_200),
        fit_seconds=seconds,
        predict_seconds=seconds / 10,
        total_seconds=seconds * 40,
    )
    return Model(
        name,
        title,
        family,
        f"{title}, tuned inside each part of the data.",
        twin_of,
        "Cortes and Vapnik 1995, doi:10.1007/BF00994018",
        ("C in 0.1, 1, 10",),
        scores,
        {metric.name: interval(values)},
        cost,
    )


def difference(first: Model, second: Model, role: str, metric: Metric) -> PairedDifference:
    """A paired difference with invented but consistent statistics."""
    sign = 1.0 if metric.higher_is_better else -1.0
    pairs = zip(first.values(metric.name), second.values(metric.name), strict=True)
    values = tuple(sign * ((a or 0.0) - (b or 0.0)) for a, b in pairs)
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    return PairedDifference(
        first.name,
        second.name,
        role,
        metric.name,
        values,
        mean,
        mean - 1.3 * spread,
        mean + 1.3 * spread,
        -2.1,
        0.03,
        0.06,
        0.01,
        0.14,
        0.85,
        0.031,
    )


def verdict(kind: str) -> Verdict:
    """A verdict of one kind in the referee's manner."""
    sentence = (
        "The best quantum model, Quantum kernel machine, scored 2.6 points of balanced accuracy below the best "
        "classical one, Support vector machine (RBF)."
    )
    models = (
        ModelVerdict(
            "kernel", "svm", kind, sentence, "Its twin without entanglers does as well.", "no difference"
        ),
        ModelVerdict(
            "variational",
            "svm",
            "worse",
            "Variational quantum circuit scored 4.2 points below.",
            "Its twin without entanglers does as well.",
            "no difference",
        ),
    )
    return Verdict(
        kind,
        sentence,
        ("The difference is larger than chance explains (corrected p = 0.03).",),
        "Removing all entanglers changed the scores by less than chance explains, so entanglement is not "
        "what drives these models.",
        "no difference",
        "kernel",
        "svm",
        0.031,
        models,
    )


def data() -> Data:
    """A table of 180 rows with one column of each kind."""
    columns = (
        Column("alcohol", "number", 0, 126, True, "scaled"),
        Column(
            "magnesium", "number", 7, 53, True, "missing values replaced by the median of the training part"
        ),
        Column("country", "category", 0, 9, True, "one column per category", (TextCount("NA", 12),)),
        Column("bottle id", "identifier", 0, 180, False, "every row has its own value"),
        Column("colour code", "constant", 0, 1, False, "always the same value"),
        Column("cultivar", "target", 0, 3, False, "to be predicted"),
    )
    return Data(
        "wine.csv",
        "/tmp/wine.csv",
        "ab" * 32,
        180,
        184,
        columns,
        "cultivar",
        "classification",
        "The target holds 3 different words, so each row belongs to one of 3 classes.",
        (ClassCount("barolo", 60), ClassCount("grignolino", 71), ClassCount("barbera", 49)),
        None,
        (
            DroppedColumn("bottle id", "every row has its own value"),
            DroppedColumn("colour code", "always the same value"),
        ),
        2,
        ("4 rows without a target were left out.",),
        ",",
        ".",
        "utf-8",
    )


def comparison(kind: str = "worse", task: str = "classification") -> Comparison:
    """A whole comparison with a verdict of the kind."""
    metric = ACCURACY if task == "classification" else RMSE
    scale = 1.0 if task == "classification" else 54.0
    rows = CONTESTANTS if scale == 1.0 else tuple((*row[:4], 2.0 - row[4], *row[5:]) for row in CONTESTANTS)
    models = tuple(model(place, row, scale) for place, row in enumerate(rows))
    named = {contestant.name: contestant for contestant in models}
    pairs = [
        difference(each, named["svm"], "best classical", metric) for each in models if each.name != "svm"
    ]
    pairs += [difference(named[each.twin_of], each, "twin", metric) for each in models if each.twin_of]
    protocol = Protocol(
        metric.name,
        (metric, LOG_LOSS),
        5,
        2,
        0,
        SPLITS,
        "cd" * 32,
        6,
        "Columns are reduced to 6 numbers by principal components, learned on the training part.",
        "Numbers are scaled, categories become columns, all learned on the training part.",
        "Each model tries 3 settings by inner cross-validation.",
        3,
        3,
        0.01,
        0.95,
        tuple(str(row[0]) for row in rows),
    )
    environment = Environment(
        "0.1.0", "3.11.9", "Linux x86_64", {"numpy": "2.4.6", "scikit-learn": "1.9.1"}, "avx512", 2, 0
    )
    timings = Timings("2026-11-21T08:00:00+00:00", 0.1, 74.0, 75.2)
    found = (
        data()
        if task == "classification"
        else dataclasses.replace(data(), task=task, classes=(), target_range=(25.0, 346.0))
    )
    return Comparison(found, protocol, models, tuple(pairs), verdict(kind), environment, timings)


def with_text(sample: Comparison, texts: tuple[str, ...]) -> Comparison:
    """The comparison with every text that can come from a table, a file or a failing model replaced, in turn."""
    place = iter(range(10**6))

    def text(old: object = None) -> str:
        return texts[next(place) % len(texts)]

    replace = dataclasses.replace
    columns = tuple(
        replace(
            each,
            name=text(),
            handling=text(),
            kept_as_text=tuple(replace(word, text=text()) for word in each.kept_as_text),
        )
        for each in sample.data.columns
    )
    table = replace(
        sample.data,
        name=text(),
        path=text(),
        target=text(),
        columns=columns,
        task_reason=text(),
        classes=tuple(replace(each, name=text()) for each in sample.data.classes),
        dropped=tuple(replace(each, name=text(), reason=text()) for each in sample.data.dropped),
        warnings=tuple(map(text, sample.data.warnings)),
    )
    models = tuple(
        replace(
            each,
            title=text(),
            description=text(),
            source=text(),
            settings=tuple(map(text, each.settings)),
            splits=tuple(replace(score, failure=text(), notes=(text(),)) for score in each.splits[:2])
            + each.splits[2:],
        )
        for each in sample.models
    )
    verdicts = tuple(replace(each, sentence=text(), entanglement=text()) for each in sample.verdict.models)
    answer = replace(sample.verdict, sentence=text(), entanglement=text(), reasons=(text(),), models=verdicts)
    protocol = replace(sample.protocol, reduction=text(), preprocessing=text(), tuning=text())
    environment = replace(sample.environment, platform=text(), versions={"numpy": text()})
    return replace(
        sample, data=table, models=models, verdict=answer, protocol=protocol, environment=environment
    )
