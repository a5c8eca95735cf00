"""What a comparison found: frozen values, written to and read from JSON without loss.

The report, the command line and every later analysis read these classes and nothing else. Scores that could
not be computed are None (never NaN), every tuple is in a fixed order, and all times live in fields whose
names end in `seconds` or in `Timings`, so that two runs with one seed differ only there
(`Comparison.digest`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.text import escaped_in_json
from ketgrad.referee.decoding import decode, tree_of

SCHEMA_NAME = "ketgrad.comparison"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class TextCount:
    """A cell text such as "NA" that could mean "missing" and was kept as the word it is, and how often."""

    text: str
    count: int


@dataclass(frozen=True)
class Column:
    """One column of the table as it was understood.

    kind: "number", "category", "text", "date", "boolean", "constant", "empty", "identifier" or "target".
    handling: what is done with it inside each fold, or why it is not used, as one sentence.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    used: bool
    handling: str
    kept_as_text: tuple[TextCount, ...] = ()


@dataclass(frozen=True)
class ClassCount:
    """One class of the target and its number of rows."""

    name: str
    count: int


@dataclass(frozen=True)
class DroppedColumn:
    """A column that no model sees, and the reason as a clause ("always the same value")."""

    name: str
    reason: str


@dataclass(frozen=True)
class Data:
    """The table. `path` and `sha256` are None for a table that was passed in memory.

    rows: rows used; rows_in_file: rows before sampling and dropping. task: "classification" or "regression";
    task_reason: why, as a sentence. classes: empty for regression. target_range: (smallest, largest) for
    regression. separator, decimal, encoding: of a text file, else None. duplicate_rows: rows equal to an
    earlier row.
    """

    name: str
    path: str | None
    sha256: str | None
    rows: int
    rows_in_file: int
    columns: tuple[Column, ...]
    target: str
    task: str
    task_reason: str
    classes: tuple[ClassCount, ...]
    target_range: tuple[float, float] | None
    dropped: tuple[DroppedColumn, ...]
    duplicate_rows: int
    warnings: tuple[str, ...]
    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None

    @property
    def constant_columns(self) -> tuple[str, ...]:
        """Names of the columns that always hold the same value."""
        return tuple(column.name for column in self.columns if column.kind == "constant")

    @property
    def num_features(self) -> int:
        """Number of columns that the models see."""
        return sum(column.used for column in self.columns)


@dataclass(frozen=True)
class Split:
    """One division of the rows: `index` counts all splits, `repeat` and `fold` count from 0."""

    index: int
    repeat: int
    fold: int
    n_train: int
    n_test: int


@dataclass(frozen=True)
class Metric:
    """A score. `unit` is "points" where differences are shown times 100, else ""."""

    name: str
    title: str
    higher_is_better: bool
    unit: str
    explanation: str


@dataclass(frozen=True)
class Protocol:
    """How the models were compared: the same for every model.

    metric: the score that decides; metrics: every score recorded, the deciding one first. split_sha256: hash
    of the test rows of all splits. qubits: the most that a quantum model may use. reduction, preprocessing,
    tuning: sentences for the reader. candidates: settings tried per model and split. rope: half-width of the
    region of practical equivalence, in the metric's own scale (0.01 = one point of accuracy). confidence: of
    all intervals.
    """

    metric: str
    metrics: tuple[Metric, ...]
    folds: int
    repeats: int
    seed: int
    splits: tuple[Split, ...]
    split_sha256: str
    qubits: int
    reduction: str
    preprocessing: str
    tuning: str
    candidates: int
    inner_folds: int
    rope: float
    confidence: float
    planned_models: tuple[str, ...]


@dataclass(frozen=True)
class SplitScore:
    """One model on one split.

    scores: metric name -> value; None where the metric does not exist for this model (no probabilities, say).
    correct: rows of the test part predicted right (classification). chosen: the settings that won the tuning,
    as text. failure: None, or the reason; the scores are then those of the dummy model on this split.
    failed_candidates: settings that failed during tuning. notes: warnings of the fit, shortened.
    candidate_scores: of each setting tried, in order, under the deciding metric, by cross-validation inside
    the training rows; None for one that failed; empty when there was no choice.
    """

    split: int
    scores: dict[str, float | None]
    correct: int | None
    chosen: dict[str, str]
    tune_seconds: float
    fit_seconds: float
    predict_seconds: float
    failure: str | None = None
    failed_candidates: int = 0
    notes: tuple[str, ...] = ()
    candidate_scores: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its interval; low and high are None for fewer than two splits."""

    mean: float
    low: float | None
    high: float | None
    standard_deviation: float | None
    count: int


@dataclass(frozen=True)
class FitCost:
    """What one fit on one training part costs; the median over the splits, None where it does not apply.

    parameters: numbers that the fit determines. qubits, gates, two_qubit_gates, depth: of the circuit for one
    row. circuit_executions: circuits that a device would run for one fit and its tuning left out. fit_seconds
    and predict_seconds: medians; total_seconds: everything this model took, tuning included.
    """

    parameters: int | None
    qubits: int | None
    gates: int | None
    two_qubit_gates: int | None
    depth: int | None
    circuit_executions: int | None
    fit_seconds: float | None
    predict_seconds: float | None
    total_seconds: float


@dataclass(frozen=True)
class Model:
    """One contestant.

    family: "dummy", "classical", "quantum" or "twin" (of the quantum model named `twin_of`). summary: metric
    name -> interval over the splits that were done; empty when none was.
    """

    name: str
    title: str
    family: str
    description: str
    twin_of: str | None
    source: str
    settings: tuple[str, ...]
    splits: tuple[SplitScore, ...]
    summary: dict[str, Interval]
    cost: FitCost

    @property
    def failures(self) -> tuple[SplitScore, ...]:
        """The splits that failed and were scored as the dummy."""
        return tuple(score for score in self.splits if score.failure is not None)

    def values(self, metric: str) -> tuple[float | None, ...]:
        """The scores under one metric, split by split."""
        return tuple(score.scores.get(metric) for score in self.splits)


@dataclass(frozen=True)
class PairedDifference:
    """Two models on the same splits: `first` minus `second`, signed so that positive means `first` is better.

    role: "best classical" (a quantum model against the best classical one), "twin" (against itself without
    entanglers), "dummy" or "classical". differences: split by split. low, high: Nadeau-Bengio corrected
    interval. p, t: its two-sided test; p_holm: p after Holm's correction: over all pairs of quantum with
    classical models, over all twins, or over all pairs with the dummy; but where a quantum model is ahead of
    the best classical one, over the quantum models only (it is then ahead of every classical one). p_better,
    p_equal, p_worse: posterior probabilities of the correlated Bayesian t-test with the protocol's region of
    practical equivalence. detectable: the smallest true difference that this design finds with probability
    0.8. All statistics are None with fewer than two common splits.
    """

    first: str
    second: str
    role: str
    metric: str
    differences: tuple[float, ...]
    mean: float | None
    low: float | None
    high: float | None
    t: float | None
    p: float | None
    p_holm: float | None
    p_better: float | None
    p_equal: float | None
    p_worse: float | None
    detectable: float | None


@dataclass(frozen=True)
class ModelVerdict:
    """The verdict on one quantum model: `kind` as in `Verdict`; `entanglement`: what its twin says."""

    model: str
    against: str
    kind: str
    sentence: str
    entanglement: str
    entanglement_kind: str


@dataclass(frozen=True)
class Verdict:
    """The answer.

    kind: "better", "equivalent", "worse" or "undecided" (the best quantum model against the best classical
    one). sentence: plain words, no symbols. reasons: why, one sentence each. entanglement: whether the
    entanglement is what helps, from the twins; entanglement_kind: "helps", "no difference", "hurts",
    "undecided" or "not tested". minimal_detectable_difference: smallest true difference this design finds
    with probability 0.8, None if unknown.
    """

    kind: str
    sentence: str
    reasons: tuple[str, ...]
    entanglement: str
    entanglement_kind: str
    best_quantum: str | None
    best_classical: str | None
    minimal_detectable_difference: float | None
    models: tuple[ModelVerdict, ...]


@dataclass(frozen=True)
class Environment:
    """Where it ran.

    versions: package -> version. instruction_set: of the compiled core, None if it was not used.
    """

    ketgrad: str
    python: str
    platform: str
    versions: dict[str, str]
    instruction_set: str | None
    threads: int
    seed: int


@dataclass(frozen=True)
class Missing:
    """What an interrupted run did not do: the splits of one model."""

    model: str
    splits: tuple[int, ...]


@dataclass(frozen=True)
class Timings:
    """Wall-clock times; `started` is UTC in ISO 8601."""

    started: str
    read_seconds: float
    compare_seconds: float
    total_seconds: float


@dataclass(frozen=True)
class Comparison:
    """Everything that `ketgrad.compare` found.

    interrupted: True when the run was stopped; `missing` then lists what was not done, and the statistics use
    the splits that both models of a pair have.
    """

    data: Data
    protocol: Protocol
    models: tuple[Model, ...]
    comparisons: tuple[PairedDifference, ...]
    verdict: Verdict
    environment: Environment
    timings: Timings
    interrupted: bool = False
    missing: tuple[Missing, ...] = ()

    def model(self, name: str) -> Model:
        """The contestant called `name`."""
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(model.name for model in self.models)
        raise KetgradValueError(f"there is no model {name!r} in this comparison; it holds {known}.")

    def ranking(self) -> tuple[Model, ...]:
        """The models that have scores, best first by the deciding metric; ties keep the planned order."""
        metric = self.protocol.metrics[0]
        sign = -1.0 if metric.higher_is_better else 1.0
        scored = [model for model in self.models if metric.name in model.summary]
        return tuple(sorted(scored, key=lambda model: sign * model.summary[metric.name].mean))

    def to_json(self) -> str:
        """UTF-8 text, keys in a fixed order, no NaN, nothing invisible; `from_json` gives back an equal value."""
        tree = {"schema": SCHEMA_NAME, "schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}
        return escaped_in_json(json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """The comparison that `to_json` wrote; ValueError names the field that does not fit."""
        return decode(cls, tree_of(text, SCHEMA_NAME, SCHEMA_VERSION), "comparison")

    def digest(self) -> str:
        """SHA-256 over everything but times, paths and thread counts: equal for two runs with one seed."""
        tree = _timeless(dataclasses.asdict(self))
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def _timeless(tree: Any) -> Any:
    if isinstance(tree, dict):
        kept = {key: value for key, value in tree.items() if not key.endswith("seconds")}
        return {
            key: _timeless(value) for key, value in kept.items() if key not in {"timings", "path", "threads"}
        }
    if isinstance(tree, list | tuple):
        return [_timeless(item) for item in tree]
    return tree
