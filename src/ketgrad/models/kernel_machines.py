"""KernelClassifier and KernelRegressor: scikit-learn's support vector machines with a quantum kernel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.svm import SVC, SVR

import ketgrad.executors as executors
from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import check_positive
from ketgrad.foundation.seeds import check_seed
from ketgrad.kernels.fidelity import FidelityKernel
from ketgrad.kernels.kernel import Kernel, reserve_gram
from ketgrad.kernels.projected import ProjectedKernel
from ketgrad.models.estimator import FITTED, Estimator, Saved, reads_its_columns
from ketgrad.models.fitting.circuit_choice import CircuitChoice
from ketgrad.models.fitting.rows import TrainingRows, class_rows, number_rows
from ketgrad.models.fitting.seeds import PREDICTION, TRAINING, child
from ketgrad.models.fitting.summary import Summary, count_gates

KERNELS = ("fidelity", "projected")
LEAST_QUBITS = 2

COMPARED: Mapping[str, str] = {
    **FITTED,
    "kernel_": "FidelityKernel | ProjectedKernel",
    "features_": "numbers n m",
}


@dataclass(eq=False, repr=False)
class KernelMachine(Estimator):
    """Abstract base of scikit-learn's machines with a quantum kernel: their parameters, and the matrix of the rows."""

    circuit: Circuit | None = None
    _: KW_ONLY
    kernel: Kernel | str = "fidelity"
    encoding: Circuit | str | None = None
    num_qubits: int | None = None
    max_qubits: int = 10
    num_layers: int = 1
    entangle: bool = True
    scaling: str = "auto"
    bandwidth: float = 1.0
    gamma: float | str = "scale"
    C: float = 1.0
    tolerance: float = 1e-3
    executor: Any = "native"
    threads: int | None = None
    random_state: Any = None

    def _fit(self, machine: Any, rows: TrainingRows) -> None:
        """Prepare one state per row, compare them, and hand the matrix to scikit-learn."""
        began = time.perf_counter()
        num_features, count = rows.table.shape[1], len(rows.weights)
        seed = check_seed(self.random_state)
        kernel = self._kernel(num_features, child(seed, TRAINING))
        kernel.reserve(count, count)
        factor = _positive(self.bandwidth, "bandwidth") / np.sqrt(num_features)
        scaling, angles = self._training_angles(rows, kernel.circuit, factor)
        features = kernel.features(angles)
        if isinstance(kernel, ProjectedKernel) and isinstance(self.kernel, str) and self.gamma == "scale":
            kernel = kernel.scaled_to_features(features)
        machine.random_state = 0  # else scikit-learn would draw from NumPy's global generator
        gram = kernel.compare(features)
        try:
            _interruptibly(lambda: machine.fit(gram, rows.targets, sample_weight=rows.weights))
        except (ValueError, OverflowError) as error:
            # scikit-learn words what is wrong with C, epsilon or tol
            raise KetgradValueError(str(error)) from error
        if isinstance(kernel, ProjectedKernel) and _measures(kernel.executor):  # predictions measure anew
            kernel = replace(kernel, seed=child(check_seed(kernel.seed), PREDICTION))
        self.circuit_, self.kernel_, self.scaling_, self.features_ = kernel.circuit, kernel, scaling, features
        self.machine_ = machine
        support = len(machine.support_)
        self.summary_ = Summary(
            model=type(self).__name__,
            num_readout_weights=int(machine.dual_coef_.size + machine.intercept_.size),
            num_rows=count,
            circuit_executions=count,
            # a device measures each overlap in a circuit of its own, but expectation values once per row
            device_executions=count if isinstance(kernel, ProjectedKernel) else count * (count - 1) // 2,
            seconds=time.perf_counter() - began,
            outcome=f"{support} of {count} distinct rows are support vectors",
            **count_gates(kernel.circuit),
        )

    def _ask(self, X: Any, question: str) -> np.ndarray:
        """What the fitted machine answers for the rows of a table."""
        angles = self._angles(X)
        self.kernel_.reserve(len(angles), len(self.features_))
        gram = self.kernel_.compare(self.kernel_.features(angles), self.features_)
        return getattr(self.machine_, question)(gram)

    def _kernel(self, num_features: int, seed: int) -> Kernel:
        """The kernel that the parameters choose for so many features."""
        given = self.kernel
        if isinstance(given, FidelityKernel | ProjectedKernel):
            if self.circuit is not None or self.encoding is not None:
                raise KetgradValueError(
                    "`circuit` and `encoding` must be None where `kernel` brings its own circuit."
                )
            circuit = given.circuit
            if isinstance(given, FidelityKernel) and given.weights is not None:
                circuit = circuit.bind(given.weights)
            circuit = replace(CircuitChoice.of(self), circuit=circuit).build(
                num_features, LEAST_QUBITS, trainable=False
            )
            if isinstance(given, FidelityKernel):
                return replace(given, circuit=circuit, weights=None)
            return replace(given, circuit=circuit, seed=_needed(given.executor, seed, given.seed))
        if not isinstance(given, str) or given not in KERNELS:
            raise KetgradValueError(
                f"`kernel` must be 'fidelity', 'projected' or a kernel of ketgrad, but is {given!r}."
            )
        circuit = CircuitChoice.of(self).build(num_features, LEAST_QUBITS, trainable=False)
        if given == "fidelity":
            return FidelityKernel(circuit, self.executor, self.threads)
        if isinstance(self.gamma, str) and self.gamma != "scale":
            raise KetgradValueError(f"`gamma` must be 'scale' or a positive number, but is {self.gamma!r}.")
        gamma = 1.0 if self.gamma == "scale" else self.gamma
        needed = _needed(self.executor, seed, None)
        return ProjectedKernel(circuit, gamma, None, self.executor, self.threads, needed)


def _machine_fits(model: Any, kind: type) -> bool:
    """Whether the learned parts of a kernel machine belong together."""
    machine = model.machine_
    return (
        reads_its_columns(model)
        and type(machine) is kind
        and machine.kernel == "precomputed"
        and model.kernel_.circuit == model.circuit_
        and len(model.features_) == machine.shape_fit_[0]
        and _features_fit(model.kernel_, model.features_)
    )


def _features_fit(kernel: Any, features: np.ndarray) -> bool:
    """States of the register, or one expectation value per observable."""
    qubits = kernel.circuit.num_qubits
    if isinstance(kernel, FidelityKernel):
        return features.dtype == kernel.dtype and qubits <= 62 and features.shape[1] == 2**qubits
    observables = kernel.observables
    return features.dtype == np.float64 and features.shape[1] == (
        3 * qubits if observables is None else len(observables)
    )


def _classes_are_codes(model: Any) -> bool:
    return bool(np.array_equal(model.machine_.classes_, np.arange(len(model.classes_))))


@dataclass(eq=False, repr=False, kw_only=True)
class KernelClassifier(ClassifierMixin, KernelMachine):
    """The support vector machine with a quantum kernel, any number of classes (one against one).

    The state of each distinct training row is prepared once (n circuit executions, not n^2) and kept; a prediction
    prepares one state per new row. Rows are standardised inside, then multiplied by bandwidth / sqrt(num_features),
    so that for few layers and close rows the kernel is about exp(-bandwidth^2 |x - y|^2 / (4 num_features)).

    circuit: reads x[0] to x[n_features - 1], without weights; None builds one when fitting. The default
        (`phase_uploads` of ketgrad.models.fitting.default_circuits) is an IQP map on min(features, max_qubits) qubits
        (2 at least): Hadamards, RZ(x_i), RZZ(x_i x_j) on neighbours; more features take more such layers.
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

    saved: ClassVar[Saved] = Saved(
        {**COMPARED, "machine_": "SVC", "classes_": "labels"},
        fits_together=lambda model: _machine_fits(model, SVC) and _classes_are_codes(model),
    )

    class_weight: Any = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelClassifier:
        """Fit to rows X (n, num_features) and labels y (n,) of any kind; returns self."""
        rows, classes = class_rows(self, X, y, sample_weight, _preflight)
        machine = SVC(kernel="precomputed", C=self.C, tol=self.tolerance, break_ties=len(classes) > 2)
        self._fit(machine, rows)
        self.classes_ = classes
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (n, num_classes); for two classes (n,), positive where the second one is predicted."""
        return self._ask(X, "decision_function")

    def predict(self, X: Any) -> np.ndarray:
        """The class of each row."""
        codes = self._ask(X, "predict")
        return self.classes_[codes]


@dataclass(eq=False, repr=False, kw_only=True)
class KernelRegressor(RegressorMixin, KernelMachine):
    """Support vector regression with a quantum kernel.

    Targets are standardised inside, so C and epsilon are in units of their standard deviation. epsilon: errors
    below it cost nothing. All other parameters, what is learned and the errors are those of `KernelClassifier`;
    instead of classes_ there are target_mean_ and target_scale_.

    Smola and Schoelkopf 2004, doi:10.1023/B:STCO.0000035301.49549.88; kernels: Havlicek et al. 2019, arXiv:1804.11326.

    >>> X = np.linspace(0, 1, 20)[:, None]
    >>> bool(kg.KernelRegressor().fit(X, 3 * X[:, 0]).score(X, 3 * X[:, 0]) > 0.9)
    True
    """

    saved: ClassVar[Saved] = Saved(
        {**COMPARED, "machine_": "SVR", "target_mean_": "number", "target_scale_": "number"},
        fits_together=lambda model: _machine_fits(model, SVR),
    )

    epsilon: float = 0.1

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KernelRegressor:
        """Fit to rows X (n, num_features) and targets y (n,); returns self."""
        rows, mean, scale = number_rows(self, X, y, sample_weight, columns=False, preflight=_preflight)
        self._fit(SVR(kernel="precomputed", C=self.C, epsilon=self.epsilon, tol=self.tolerance), rows)
        self.target_mean_, self.target_scale_ = float(mean[0]), float(scale[0])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Targets for rows X, in the unit of those given to `fit`."""
        return self._ask(X, "predict") * self.target_scale_ + self.target_mean_


def _preflight(num_rows: int) -> None:
    """Refuse before any work; rows that occur twice are counted twice here, which takes no time."""
    reserve_gram(num_rows, num_rows)


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


def _needed(executor: Any, seed: Any, given: Any) -> Any:
    """The seed of a kernel: its own, else that of the model if the executor measures anything."""
    return seed if given is None and _measures(executor) else given


def _measures(executor: Any) -> bool:
    return "shots" in executors.get(executor).abilities


def _positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise KetgradTypeError(f"`{name}` must be a positive number, but is {shown(value)}.")
    return check_positive(value, name)
