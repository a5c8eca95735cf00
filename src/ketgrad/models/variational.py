"""VariationalClassifier and VariationalRegressor: a trained circuit as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.seeds import check_seed
from ketgrad.functions.gradients.rules import GradientRule
from ketgrad.models.estimator import FITTED, Estimator, Saved, reads_its_columns
from ketgrad.models.fitting.circuit_choice import CircuitChoice
from ketgrad.models.fitting.rows import TrainingRows, class_rows, number_rows
from ketgrad.models.fitting.seeds import PREDICTION, with_seed
from ketgrad.models.fitting.training import Training, check_known, raise_if_interrupted
from ketgrad.programs.questions import Expect
from ketgrad.training.losses import Loss
from ketgrad.training.optimizers import Optimizer
from ketgrad.training.progress import Progress
from ketgrad.training.run import Fit

LEAST_QUBITS = 2  # one qubit could not be entangled

TRAINED: Mapping[str, str] = {
    **FITTED,
    "function_": "Function",
    "weights_": "floats w",
    "readout_": "floats o c",
    "bias_": "floats c",
    "fit_": "Fit",
    "n_iter_": "count",
}


@dataclass(eq=False, repr=False)
class Variational(Estimator):
    """Abstract base of the models with a trained circuit: their parameters, and the fit of all weights together."""

    circuit: Circuit | None = None
    _: KW_ONLY
    encoding: Circuit | str | None = None
    ansatz: Circuit | str | None = None
    num_qubits: int | None = None
    max_qubits: int = 4
    num_layers: int = 3
    entangle: bool = True
    scaling: str = "auto"
    observables: Any = None
    loss: Loss | str = "cross_entropy"
    optimizer: Optimizer | str | None = None
    max_steps: int = 100
    batch_size: int | None = None
    tolerance: float = 1e-6
    regularisation: float = 0.5
    executor: Any = "native"
    gradient: GradientRule | None = None
    threads: int | None = None
    random_state: Any = None
    verbose: Progress = False

    def _circuit(self, rows: TrainingRows, least_qubits: int) -> Circuit:
        """The circuit that the parameters choose for these rows."""
        return CircuitChoice.of(self).build(rows.table.shape[1], least_qubits, trainable=True)

    def _fit(self, rows: TrainingRows, circuit: Circuit, num_outputs: int) -> Fit:
        """Scale the rows and train; nothing of the model changes before the fit is done."""
        training, seed = Training.of(self), check_seed(self.random_state)
        scaling, angles = self._training_angles(rows, circuit)
        head = training.head(circuit, num_outputs, seed)
        fit = training.train(head, angles, rows, seed)
        self.circuit_, self.scaling_ = circuit, scaling
        self.function_ = with_seed(head.function, seed, PREDICTION)
        self.weights_, self.readout_, self.bias_ = (part.copy() for part in head.split(fit.weights))
        self.fit_, self.n_iter_ = fit, fit.steps
        self.summary_ = training.summary(type(self).__name__, head, rows, fit)
        return fit

    def _outputs(self, X: Any) -> np.ndarray:
        """(n, num_outputs) for the rows of a table."""
        angles = self._angles(X)
        return self.function_(self.weights_, angles) @ self.readout_ + self.bias_


def _variational_fits(model: Any) -> bool:
    """Whether the learned parts of a variational model belong together."""
    function = model.function_
    return (
        reads_its_columns(model)
        and isinstance(function.question, Expect)
        and function.circuit == model.circuit_
        and len(model.weights_) == function.num_weights
        and model.readout_.shape == (function.num_outputs, len(model.bias_))
        and len(model.bias_) >= 1
    )


def _outputs_fit(model: Any) -> bool:
    """Several outputs have a mean and a scale each, a single one may have them without an axis."""
    outputs = len(model.bias_)
    mean, scale = model.target_mean_, model.target_scale_
    return (
        _variational_fits(model)
        and mean.shape == scale.shape
        and mean.shape in ((), (outputs,))
        and (mean.shape != () or outputs == 1)
    )


@dataclass(eq=False, repr=False, kw_only=True)
class VariationalClassifier(ClassifierMixin, Variational):
    """A classifier whose classes are scored by expectation values of a trained circuit.

    score_c(x) = sum_k A[k, c] <O_k>(weights, s(x)) + b[c], and the probabilities are softmax(score). Circuit weights,
    A and b are trained together. s standardises the columns to mean 0 and deviation 1; it is learned from the rows
    given to `fit` and from nothing else. A column that is constant there becomes the angle 0.

    circuit: reads x[0] to x[n_features - 1] and has weights; None builds one when fitting. The default
        (`trainable_uploads` of ketgrad.models.fitting.default_circuits) is a real data re-uploading circuit on
        min(features, max_qubits) qubits (2 at least): RY(w x_j + w') on each qubit, a ring of CZ, again and again until
        each feature has entered num_layers times (if there are no more features than qubits) or once, whichever is
        more; then RY(w).
    encoding, ansatz: a name from `kg.encodings` or `kg.ansatz`, or a Circuit: then the circuit is encoding + ansatz.
        Either alone is completed by "angle" or "hardware_efficient".
    num_qubits: of the default circuit and of encodings that leave it open; None as above. max_qubits: its limit.
    num_layers: of the default circuit, the re-uploading encoding and the ansatz.
    entangle: False removes every gate on two or more qubits from whatever circuit there is, and changes nothing
        else: the twin that shows what the entanglement contributes.
    scaling: "standard", "range" ([-0.95, 0.95], clipped), "none" (radians as given), or "auto": "standard" except for
        encodings that ask for something else (Chebyshev: "range"; amplitude and basis: "none").
    observables: Pauli sums; None for Z and X of each qubit.
    loss: "cross_entropy", "hinge" (then without probabilities), or a function as in `kg.losses`.
    optimizer: None for L-BFGS-B, or Adam if the loss has noise, by `batch_size` or by an executor with shots (then
        `fit_.reason` says so); any of `kg.optimize`, learning rate included, or a name as in `kg.minimise`.
    max_steps, tolerance: of `kg.minimise`. batch_size: rows per step; None for all.
    regularisation: regularisation / n * |circuit weights and A|^2 is added to the mean loss; n is the number of
        distinct rows, so that a factor in all sample weights changes nothing. The defaults of this and of max_qubits
        were chosen on scikit-learn's bundled sets; elsewhere, tune them.
    class_weight: None, "balanced" (by how many rows a class has, whatever they weigh) or a dict. executor, gradient,
        threads: as in `kg.expectation`; "sampled" measures 1000 shots, `Sampled(shots=...)` of
        ketgrad.executors.sampled another number.
    random_state: None for another start each time, an integer for the same bits each time that it is fitted and
        asked, shots included, which are fresh at every step and prediction.
    verbose: True draws one line on stderr; a function is called with each `kg.optimize.Step`; returning True stops.

    Learned: classes_, circuit_, weights_, readout_ (num_observables, num_classes), bias_, scaling_, function_ (the
    Function), fit_ (history, reason, ...), n_iter_, summary_ (qubits, gates, circuit executions), n_features_in_,
    feature_names_in_, data_fingerprint_ (SHA-256 of the rows that count). Rows that occur twice are simulated
    once; a fit does not depend on the order of the rows. Ctrl-C raises KeyboardInterrupt, with the `Fit` so far as its
    attribute `fit`; after the first step the estimator is fitted to the best weights so far.
    Cost: max_steps * n forward and adjoint passes. Raises `KetgradValueError` or `KetgradTypeError` for data that
    cannot be used, naming row and column.

    Havlicek et al. 2019, arXiv:1804.11326; Perez-Salinas et al. 2020, arXiv:1907.02085.

    >>> X = [[0.0], [0.1], [1.0], [1.1]]
    >>> kg.VariationalClassifier(random_state=0).fit(X, ["no", "no", "yes", "yes"]).predict([[0.05], [1.2]])
    array(['no', 'yes'], dtype='<U3')
    """

    saved: ClassVar[Saved] = Saved({**TRAINED, "classes_": "labels"}, fits_together=_variational_fits)

    class_weight: Any = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> VariationalClassifier:
        """Train on rows X (n, num_features) and labels y (n,) of any kind; returns self."""
        check_known("loss", self.loss, ("cross_entropy", "hinge"))
        rows, classes = class_rows(self, X, y, sample_weight)
        circuit = self._circuit(rows, max(LEAST_QUBITS, (len(classes) - 1).bit_length()))
        _check_enough_states(circuit, len(classes))
        fit = self._fit(rows, circuit, len(classes))
        self.classes_ = classes
        raise_if_interrupted(fit)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (n, num_classes); for two classes (n,), positive where the second one is predicted."""
        scores = self._outputs(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row."""
        check_is_fitted(self)
        return self.classes_[self._outputs(X).argmax(axis=1)]

    @available_if(lambda self: _gives_probabilities(self))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, num_classes), rows sum to 1; columns in the order of `classes_`."""
        scores = self._outputs(X)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    @available_if(lambda self: _gives_probabilities(self))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The natural logarithm of `predict_proba`, accurate where that underflows."""
        scores = self._outputs(X)
        shifted = scores - scores.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@dataclass(eq=False, repr=False, kw_only=True)
class VariationalRegressor(RegressorMixin, Variational):
    """A regressor whose outputs are expectation values of a trained circuit, scaled: y_j = sum_k A[k, j] <O_k> + b[j].

    Any number of outputs. Targets are standardised inside and predictions scaled back. loss: "squared" (the mean of
    the squared errors of the standardised targets), or a function as in `kg.losses`. All other parameters, what is
    learned and the errors are those of `VariationalClassifier`; instead of classes_ there are target_mean_ and
    target_scale_.

    Mitarai et al. 2018, arXiv:1803.00745; Perez-Salinas et al. 2020, arXiv:1907.02085.

    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> model = kg.VariationalRegressor(random_state=0, regularisation=0.01).fit(X, X[:, 0] ** 2)
    >>> round(model.score(X, X[:, 0] ** 2), 1)
    1.0
    """

    saved: ClassVar[Saved] = Saved(
        {**TRAINED, "target_mean_": "floats t | floats", "target_scale_": "floats t | floats"},
        fits_together=_outputs_fit,
    )

    max_qubits: int = 5
    loss: Loss | str = "squared"
    regularisation: float = 2.5

    def __sklearn_tags__(self):
        """Several outputs are supported."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> VariationalRegressor:
        """Train on rows X (n, num_features) and targets y, (n,) or (n, num_outputs); returns self."""
        check_known("loss", self.loss, ("squared",))
        rows, mean, scale = number_rows(self, X, y, sample_weight, columns=True)
        shape = rows.targets.shape[1:]
        flat = replace(rows, targets=rows.targets.reshape(len(rows.targets), -1))
        fit = self._fit(flat, self._circuit(flat, LEAST_QUBITS), len(mean))
        self.target_mean_, self.target_scale_ = mean.reshape(shape), scale.reshape(shape)
        raise_if_interrupted(fit)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Targets for rows X, in the shape and unit of those given to `fit`."""
        outputs = self._outputs(X)
        return (
            outputs.reshape(len(outputs), *self.target_mean_.shape) * self.target_scale_ + self.target_mean_
        )


def _check_enough_states(circuit: Circuit, num_classes: int) -> None:
    """Raise if there are more classes than basis states: some could never be told apart."""
    if num_classes > 2 ** min(circuit.num_qubits, 60):
        raise KetgradValueError(
            f"y has {num_classes} classes, more than the {2**circuit.num_qubits} basis states of {circuit.num_qubits} "
            f"qubit(s). Use at least {(num_classes - 1).bit_length()} qubits."
        )


def _gives_probabilities(model: Any) -> bool:
    if model.loss != "cross_entropy":
        raise AttributeError(
            f"probabilities need loss='cross_entropy', but `loss` is {model.loss!r}: its scores are no log-odds. Use "
            "decision_function, or sklearn.calibration.CalibratedClassifierCV."
        )
    return True
