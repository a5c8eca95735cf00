"""VariationalClassifier and VariationalRegressor: a trained circuit as a scikit-learn estimator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.seeds import check_seed
from ketgrad.models.estimator import Estimator, Rows, class_rows, number_rows, refuse_zero_vectors
from ketgrad.models.fitting.circuits import Design, learn_scaling
from ketgrad.models.fitting.training import PREDICTION, Recipe, check_known, raise_if_interrupted, with_seed
from ketgrad.training.run import Fit

LEAST_QUBITS = 2  # one qubit could not be entangled


class VariationalClassifier(ClassifierMixin, Estimator):
    """A classifier whose classes are scored by expectation values of a trained circuit.

    score_c(x) = sum_k A[k, c] <O_k>(weights, s(x)) + b[c], and the probabilities are softmax(score). Circuit weights,
    A and b are trained together. s standardises the columns to mean 0 and deviation 1; it is learned from the rows
    given to `fit` and from nothing else. A column that is constant there becomes the angle 0.

    circuit: reads x[0] to x[n_features - 1] and has weights; None builds one when fitting. The default
        (`models.designs.trainable_uploads`) is a real data re-uploading circuit on min(features, max_qubits) qubits
        (2 at least): RY(w x_j + w') on each qubit, a ring of CZ, again and again until each feature has entered
        num_layers times (if there are no more features than qubits) or once, whichever is more; then RY(w).
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

    def __init__(
        self,
        circuit=None,
        *,
        encoding=None,
        ansatz=None,
        num_qubits=None,
        max_qubits=4,
        num_layers=3,
        entangle=True,
        scaling="auto",
        observables=None,
        loss="cross_entropy",
        optimizer=None,
        max_steps=100,
        batch_size=None,
        tolerance=1e-6,
        regularisation=0.5,
        class_weight=None,
        executor="native",
        gradient=None,
        threads=None,
        random_state=None,
        verbose=False,
    ):
        self.circuit = circuit
        self.encoding = encoding
        self.ansatz = ansatz
        self.num_qubits = num_qubits
        self.max_qubits = max_qubits
        self.num_layers = num_layers
        self.entangle = entangle
        self.scaling = scaling
        self.observables = observables
        self.loss = loss
        self.optimizer = optimizer
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.tolerance = tolerance
        self.regularisation = regularisation
        self.class_weight = class_weight
        self.executor = executor
        self.gradient = gradient
        self.threads = threads
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> VariationalClassifier:
        """Train on rows X (n, num_features) and labels y (n,) of any kind; returns self."""
        check_known("loss", self.loss, ("cross_entropy", "hinge"))
        rows, classes = class_rows(self, X, y, sample_weight)
        least = max(LEAST_QUBITS, (len(classes) - 1).bit_length())
        fit = _train(self, rows, len(classes), least_qubits=least)
        self.classes_ = classes
        raise_if_interrupted(fit)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (n, num_classes); for two classes (n,), positive where the second one is predicted."""
        scores = _outputs(self, X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row."""
        check_is_fitted(self)
        return self.classes_[_outputs(self, X).argmax(axis=1)]

    @available_if(lambda self: _gives_probabilities(self))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (n, num_classes), rows sum to 1; columns in the order of `classes_`."""
        scores = _outputs(self, X)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    @available_if(lambda self: _gives_probabilities(self))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The natural logarithm of `predict_proba`, accurate where that underflows."""
        scores = _outputs(self, X)
        shifted = scores - scores.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


class VariationalRegressor(RegressorMixin, Estimator):
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

    def __init__(
        self,
        circuit=None,
        *,
        encoding=None,
        ansatz=None,
        num_qubits=None,
        max_qubits=5,
        num_layers=3,
        entangle=True,
        scaling="auto",
        observables=None,
        loss="squared",
        optimizer=None,
        max_steps=100,
        batch_size=None,
        tolerance=1e-6,
        regularisation=2.5,
        executor="native",
        gradient=None,
        threads=None,
        random_state=None,
        verbose=False,
    ):
        self.circuit = circuit
        self.encoding = encoding
        self.ansatz = ansatz
        self.num_qubits = num_qubits
        self.max_qubits = max_qubits
        self.num_layers = num_layers
        self.entangle = entangle
        self.scaling = scaling
        self.observables = observables
        self.loss = loss
        self.optimizer = optimizer
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.tolerance = tolerance
        self.regularisation = regularisation
        self.executor = executor
        self.gradient = gradient
        self.threads = threads
        self.random_state = random_state
        self.verbose = verbose

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
        fit = _train(self, flat, len(mean), least_qubits=LEAST_QUBITS)
        self.target_mean_, self.target_scale_ = mean.reshape(shape), scale.reshape(shape)
        raise_if_interrupted(fit)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Targets for rows X, in the shape and unit of those given to `fit`."""
        outputs = _outputs(self, X)
        return (
            outputs.reshape(len(outputs), *self.target_mean_.shape) * self.target_scale_ + self.target_mean_
        )


def _train(model: Any, rows: Rows, num_outputs: int, least_qubits: int) -> Fit:
    """Build the circuit, scale the rows and fit; nothing of the model changes before the fit is done."""
    design = Design(
        model.circuit,
        model.encoding,
        model.ansatz,
        model.num_qubits,
        model.max_qubits,
        model.num_layers,
        model.entangle,
    )
    recipe = Recipe(
        model.observables,
        model.loss,
        model.optimizer,
        model.max_steps,
        model.batch_size,
        model.tolerance,
        model.regularisation,
        model.executor,
        model.gradient,
        model.threads,
        model.random_state,
        model.verbose,
    )
    circuit = design.build(rows.table.shape[1], least_qubits, trainable=True)
    if num_outputs > 2 ** min(circuit.num_qubits, 60) and isinstance(model, ClassifierMixin):
        raise KetgradValueError(
            f"y has {num_outputs} classes, more than the {2**circuit.num_qubits} basis states of {circuit.num_qubits} "
            f"qubit(s). Use at least {(num_outputs - 1).bit_length()} qubits."
        )
    scaling = learn_scaling(model.scaling, model.encoding, rows.table, rows.weights)
    angles = np.ascontiguousarray(scaling(rows.table)[:, : circuit.num_inputs])
    seed = check_seed(model.random_state)
    refuse_zero_vectors(circuit, angles, rows.places)
    head = recipe.head(circuit, num_outputs, seed)
    fit = recipe.train(head, angles, rows, seed)
    weights, readout, bias = (part.copy() for part in head.split(fit.weights))
    model.circuit_, model.scaling_ = circuit, scaling
    model.function_ = with_seed(head.function, seed, PREDICTION)
    model.weights_, model.readout_, model.bias_ = weights, readout, bias
    model.fit_, model.n_iter_ = fit, fit.steps
    model.summary_ = recipe.summary(type(model).__name__, head, rows, fit)
    return fit


def _outputs(model: Any, X: Any) -> np.ndarray:
    angles = model._angles(X)
    return model.function_(model.weights_, angles) @ model.readout_ + model.bias_


def _gives_probabilities(model: Any) -> bool:
    if model.loss != "cross_entropy":
        raise AttributeError(
            f"probabilities need loss='cross_entropy', but `loss` is {model.loss!r}: its scores are no log-odds. Use "
            "decision_function, or sklearn.calibration.CalibratedClassifierCV."
        )
    return True
