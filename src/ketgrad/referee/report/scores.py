"""The scores as a CSV file that a spreadsheet may open without running anything from it."""

from __future__ import annotations

import csv
import io

from ketgrad.foundation.text import formula_safe
from ketgrad.referee.results import Comparison


def scores_csv(comparison: Comparison, *, raw: bool = False) -> str:
    """One line per model and split: every metric, the times, the settings chosen, the failure if there was one.

    Text that begins like a formula gets a `'` in front unless `raw`; numbers are never changed.
    """
    metrics = [metric.name for metric in comparison.protocol.metrics]
    splits = {split.index: split for split in comparison.protocol.splits}
    header = ["model", "family", "repeat", "fold", "rows_train", "rows_test", *metrics]
    header += ["fit_seconds", "predict_seconds", "tune_seconds", "chosen", "failure"]
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(header)
    for model in comparison.models:
        for score in model.splits:
            split = splits[score.split]
            chosen = ", ".join(f"{name}={value}" for name, value in score.chosen.items())
            cells = [model.name, model.family, split.repeat, split.fold, split.n_train, split.n_test]
            cells += [score.scores.get(metric) for metric in metrics]
            cells += [score.fit_seconds, score.predict_seconds, score.tune_seconds, chosen, score.failure]
            filled = ["" if cell is None else cell for cell in cells]
            writer.writerow(filled if raw else [formula_safe(cell) for cell in filled])
    return text.getvalue()
