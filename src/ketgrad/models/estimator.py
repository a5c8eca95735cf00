"""The abstract base of all estimators: what they share, and how each says what of it a file keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ketgrad.circuits.circuit import Circuit
from ketgrad.models.fitting.checks import check_table
from ketgrad.models.fitting.rows import TrainingRows, refuse_zero_vectors, warn_of_strangers
from ketgrad.models.fitting.scaling import Scaling, learn_scaling

# What every model has learned: attribute -> its kind, in the words of `Saved`.
FITTED: Mapping[str, str] = {
    "n_features_in_": "length d",
    "circuit_": "circuit",
    "scaling_": "Scaling",
    "summary_": "Summary",
    "data_fingerprint_": "digest",
}


@dataclass(frozen=True)
class Saved:
    """What a file keeps of a fitted model, and what it may say about it: `kg.save` and `kg.load` follow it.

    learned: attribute -> kind, all of them or none: "circuit", "labels", "count", "number", "digest", "length d" (an
    integer that is the length d), "floats n d" (a finite real array of two axes; "numbers n d" if it may be complex),
    or the name of a class that files know, such as "Function"; "|" stands between alternatives. A letter is the same
    length wherever it stands. parameters: of the constructor, beyond those that all models share, where numbers and
    texts are not enough. fits_together: whether the parts belong together, which is more than each by itself can say;
    it sees the whole fitted model.
    """

    learned: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    fits_together: Callable[[Any], bool] = lambda _: True


class Estimator(BaseEstimator, ABC):
    """Abstract base of the models: fit and predict are theirs, the way from a table to angles is common.

    A model is a dataclass: its fields are the parameters of the constructor, and nothing else happens there.
    """

    saved: ClassVar[Saved]

    scaling: Any  # parameters that all models have
    encoding: Any
    circuit_: Circuit  # and what all of them learn
    scaling_: Scaling

    @abstractmethod
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Learn from rows X and targets y."""

    @abstractmethod
    def predict(self, X: Any) -> np.ndarray:
        """Targets for rows X."""

    def _training_angles(
        self, rows: TrainingRows, circuit: Circuit, factor: float = 1.0
    ) -> tuple[Scaling, np.ndarray]:
        """The scaling that the rows teach, times `factor`, and the rows as inputs of a circuit."""
        scaling = learn_scaling(self.scaling, self.encoding, rows.table, rows.weights, factor)
        angles = np.ascontiguousarray(scaling(rows.table)[:, : circuit.num_inputs])
        refuse_zero_vectors(circuit, angles, rows.places)
        return scaling, angles

    def _angles(self, X: Any) -> np.ndarray:
        """The rows of X as the inputs of the fitted circuit."""
        check_is_fitted(self)
        table, scaling = check_table(self, X, fitting=False), self.scaling_
        warn_of_strangers(table, scaling, getattr(self, "feature_names_in_", None))
        angles = scaling(table)
        refuse_zero_vectors(self.circuit_, angles, np.arange(len(table)))
        return np.ascontiguousarray(angles[:, : self.circuit_.num_inputs])


def reads_its_columns(model: Any) -> bool:
    """Whether the scaled columns of a fitted model are enough for its circuit."""
    width = len(model.scaling_.center)
    return width == model.n_features_in_ and model.circuit_.num_inputs <= width
