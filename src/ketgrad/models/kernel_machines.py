"""KernelClassifier and KernelRegressor: scikit-learn's support vector machines with a quantum kernel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.svm import SVC, SVR

from ketgrad import executors
from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import check_positive
from ketgrad.foundation.seeds import check_seed
from ketgrad.kernels.fidelity import FidelityKernel
from ketgrad.kernels.kernel import Kernel, reserve_gram
from ketgrad.kernels.projected import ProjectedKernel
from ketgrad.models.estimator import (
    Estimator,
    Rows,
    Summary,
    class_rows,
    count_gates,
    number_rows,
    refuse_zero_vectors,
)
from ketgrad.models.fitting.circuits import Design, learn_scaling
from ketgrad.models.fitting.training import PREDICTION, TRAINING, child

KERNELS = ("fidelity", "projected")
LEAST_QUBITS = 2


class KernelClassifier(ClassifierMixin, Estimator):
    """The support vector machine with a quantum kernel, any number of classes (one against one).

    The state of each distinct training row is prepared once (n circuit executions, not n^2) and kept; a prediction
    prepares one state per new row. Rows are standardised inside, then multiplied by bandwidth / sqrt(num_features),
    so that for few layers and close rows the kernel is about exp(-bandwidth^2 |x - y|^2 / (4 num_features)).

    circuit: reads x[0] to x[n_features - 1], without weights; None builds one when fitting. The default
        (`models.designs.phase_uploads`) is an IQP map on min(features, max_qubits) qubits (2 at least): Hadamards,
        RZ(x_i), RZZ(x_i x_j) on neighbours; more features take more such layers.
    kernel: "fidelity", "projected", or a `FidelityKernel` or `ProjectedKernel` (then `circuit` stays None).
    encoding: a name from `kg.encodings` or a Circuit, instead of `circuit`.
    num_qubits, max_qubits, num_layers, entangle, scaling: as in `VariationalClassifier`.
    bandwidth: scales the angles ("standard" scaling only): small is smooth, large makes all rows strangers.
    gamma: of the projected kernel: "scale" (see `ProjectedKernel.scaled_to`, from training rows) or a number.
    C, tolerance, class_weight: of scikit-learn's SVC, where sample weights multiply C. executor, threads: as in
        `kg.expectation`. random_state: of the measurements of a projected kernel, if the executor has shots; an
        integer for the same bits each time that the model is fitted and asked.

    Learned: classes_, circuit_, kernel_, scaling_, features_ (of the distinct training rows), machine_ (the fitted
    SVC), summary_, n_features_in_, feature_names_in_, data_fingerprint_ (SHA-256 of the rows that count).
    Probabilities: sklearn.calibration.CalibratedClassifierCV.
    Cost: n circuit executions, n^2 overlaps, memory 8 n^2 bytes; refused before any work if that does not fit. Ctrl-C
    is answered at once, though libsvm, which cannot be stopped, may run on unheard for the rest of its search.
    Raises `KetgradValueError` or `KetgradTypeError` for data that cannot be used, naming row and column.

    Havlicek et al. 2019, arXiv:1804.11326; bandwidth: Shaydulin and Wild 2022, arXiv:2111.05451.

    >>> X = [[0.0], [0.1], [1.0], [1.1]]
    >>> kg.KernelClassifier().fit(X, ["no", "no", "yes", "yes"]).predict([[0.05], [1.2]])
    array(['no', 'yes'], dtype='<U3')
    """

    def __init__(
        self,
        circuit=None,
        *,
        kernel="fidelity",
        encoding=None,
        num_qubits=None,
        max_qubits=10,
        num_layers=1,
        entangle=True,
        scaling="auto",
        bandwidth=1.0,
        gamma="scale",
        C=1.0,
        tolerance=1e-3,
        class_weight=None,
        executor="native",
        threads=None,
        random_state=None,
    ):
        self.circuit = circuit
        self.kernel = kernel
        self.encoding = encoding
        self.num_qubits = num_qubits
        self.max_qubits = max_qubits
        self.num_layers = num_layers
        self.entangle = entangle
        self.scaling = scaling
        self.bandwidth = bandwidth
        self.gamma = gamma
        self.C = C
        self.tolerance = tolerance
        self.class_weight = class_weight
        self.executor = executor
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelClassifier:
        """Fit to rows X (n, num_features) and labels y (n,) of any kind; returns self."""
        rows, classes = class_rows(self, X, y, sample_weight, _preflight)
        machine = SVC(kernel="precomputed", C=self.C, tol=self.tolerance, break_ties=len(classes) > 2)
        _fit_machine(self, machine, rows)
        self.classes_ = classes
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (n, num_classes); for two classes (n,), positive where the second one is predicted."""
        return _ask_machine(self, X, "decision_function")

    def predict(self, X: Any) -> np.ndarray:
        """The class of each row."""
        codes = _ask_machine(self, X, "predict")
        return self.classes_[codes]


class KernelRegressor(RegressorMixin, Estimator):
    """Support vector regression with a quantum kernel.

    Targets are standardised inside, so C and epsilon are in units of their standard deviation. epsilon: errors
    below it cost nothing. All other parameters, what is learned and the errors are those of `KernelClassifier`;
    instead of classes_ there are target_mean_ and target_scale_.

    Smola and Schoelkopf 2004, doi:10.1023/B:STCO.0000035301.49549.88; kernels: Havlicek et al. 2019, arXiv:1804.11326.

    >>> X = np.linspace(0, 1, 20)[:, None]
    >>> bool(kg.KernelRegressor().fit(X, 3 * X[:, 0]).score(X, 3 * X[:, 0]) > 0.9)
    True
    """

    def __init__(
        self,
        circuit=None,
        *,
        kernel="fidelity",
        encoding=None,
        num_qubits=None,
        max_qubits=10,
        num_layers=1,
        entangle=True,
        scaling="auto",
        bandwidth=1.0,
        gamma="scale",
        C=1.0,
        epsilon=0.1,
        tolerance=1e-3,
        executor="native",
        threads=None,
        random_state=None,
    ):
        self.circuit = circuit
        self.kernel = kernel
        self.encoding = encoding
        self.num_qubits = num_qubits
        self.max_qubits = max_qubits
        self.num_layers = num_layers
        self.entangle = entangle
        self.scaling = scaling
        self.bandwidth = bandwidth
        self.gamma = gamma
        self.C = C
        self.epsilon = epsilon
        self.tolerance = tolerance
        self.executor = executor
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelRegressor:
        """Fit to rows X (n, num_features) and targets y (n,); returns self."""
        rows, mean, scale = number_rows(self, X, y, sample_weight, columns=False, preflight=_preflight)
        _fit_machine(
            self, SVR(kernel="precomputed", C=self.C, epsilon=self.epsilon, tol=self.tolerance), rows
        )
        self.target_mean_, self.target_scale_ = float(mean[0]), float(scale[0])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Targets for rows X, in the unit of those given to `fit`."""
        return _ask_machine(self, X, "predict") * self.target_scale_ + self.target_mean_


def _preflight(num_rows: int) -> None:
    """Refuse before any work; rows that occur twice are counted twice here, which takes no time."""
    reserve_gram(num_rows, num_rows)


def _fit_machine(model: Any, machine: Any, rows: Rows) -> None:
    """Prepare one state per row, compare them, and hand the matrix to scikit-learn."""
    began = time.perf_counter()
    num_features, count = rows.table.shape[1], len(rows.weights)
    seed = check_seed(model.random_state)
    kernel = _kernel(model, num_features, child(seed, TRAINING))
    kernel.reserve(count, count)
    factor = _positive(model.bandwidth, "bandwidth") / np.sqrt(num_features)
    scaling = learn_scaling(model.scaling, model.encoding, rows.table, rows.weights, factor)
    angles = np.ascontiguousarray(scaling(rows.table)[:, : kernel.circuit.num_inputs])
    refuse_zero_vectors(kernel.circuit, angles, rows.places)
    features = kernel.features(angles)
    if isinstance(kernel, ProjectedKernel) and isinstance(model.kernel, str) and model.gamma == "scale":
        kernel = kernel.scaled_to_features(features)
    machine.random_state = 0  # else scikit-learn would draw from NumPy's global generator
    gram = kernel.compare(features)
    try:
        _interruptibly(lambda: machine.fit(gram, rows.targets, sample_weight=rows.weights))
    except (ValueError, OverflowError) as error:  # scikit-learn words what is wrong with C, epsilon or tol
        raise KetgradValueError(str(error)) from error
    if isinstance(kernel, ProjectedKernel) and _measures(kernel.executor):  # predictions measure anew
        kernel = replace(kernel, seed=child(check_seed(kernel.seed), PREDICTION))
    model.circuit_, model.kernel_, model.scaling_, model.features_ = kernel.circuit, kernel, scaling, features
    model.machine_ = machine
    support = len(machine.support_)
    model.summary_ = Summary(
        model=type(model).__name__,
        num_readout_weights=int(machine.dual_coef_.size + machine.intercept_.size),
        num_rows=count,
        circuit_executions=count,
        # a device measures each overlap in a circuit of its own, but expectation values once per row
        device_executions=count if isinstance(kernel, ProjectedKernel) else count * (count - 1) // 2,
        seconds=time.perf_counter() - began,
        outcome=f"{support} of {count} distinct rows are support vectors",
        **count_gates(kernel.circuit),
    )


def _interruptibly(work: Callable[[], Any]) -> None:
    """Run compiled code that never looks up, such as libsvm, so that Ctrl-C is answered at once.

    It runs in a thread and is waited for; after Ctrl-C it runs out there, and nobody reads what it finds.
    """
    if threading.current_thread() is not threading.main_thread():  # Ctrl-C is raised in the main thread alone
        work()
        return
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)  # without a limit Windows would not see Ctrl-C
    if failures:
        raise failures[0]


def _ask_machine(model: Any, X: Any, question: str) -> np.ndarray:
    angles = model._angles(X)
    model.kernel_.reserve(len(angles), len(model.features_))
    gram = model.kernel_.compare(model.kernel_.features(angles), model.features_)
    return getattr(model.machine_, question)(gram)


def _kernel(model: Any, num_features: int, seed: int) -> Kernel:
    given = model.kernel
    if isinstance(given, FidelityKernel | ProjectedKernel):
        if model.circuit is not None or model.encoding is not None:
            raise KetgradValueError(
                "`circuit` and `encoding` must be None where `kernel` brings its own circuit."
            )
        circuit = given.circuit
        if isinstance(given, FidelityKernel) and given.weights is not None:
            circuit = circuit.bind(given.weights)
        circuit = _design(model, circuit).build(num_features, LEAST_QUBITS, trainable=False)
        if isinstance(given, FidelityKernel):
            return replace(given, circuit=circuit, weights=None)
        return replace(given, circuit=circuit, seed=_needed(given.executor, seed, given.seed))
    if not isinstance(given, str) or given not in KERNELS:
        raise KetgradValueError(
            f"`kernel` must be 'fidelity', 'projected' or a kernel of ketgrad, but is {given!r}."
        )
    circuit = _design(model, model.circuit).build(num_features, LEAST_QUBITS, trainable=False)
    if given == "fidelity":
        return FidelityKernel(circuit, model.executor, model.threads)
    if isinstance(model.gamma, str) and model.gamma != "scale":
        raise KetgradValueError(f"`gamma` must be 'scale' or a positive number, but is {model.gamma!r}.")
    gamma = 1.0 if model.gamma == "scale" else model.gamma
    needed = _needed(model.executor, seed, None)
    return ProjectedKernel(circuit, gamma, None, model.executor, model.threads, needed)


def _needed(executor: Any, seed: Any, given: Any) -> Any:
    """The seed of a kernel: its own, else that of the model if the executor measures anything."""
    return seed if given is None and _measures(executor) else given


def _measures(executor: Any) -> bool:
    return "shots" in executors.get(executor).abilities


def _design(model: Any, circuit: Circuit | None) -> Design:
    qubits = (model.num_qubits, model.max_qubits, model.num_layers)
    return Design(circuit, model.encoding, None, *qubits, model.entangle)


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise KetgradTypeError(f"`{name}` must be a positive number, but is {shown(value)}.")
    return check_positive(value, name)
