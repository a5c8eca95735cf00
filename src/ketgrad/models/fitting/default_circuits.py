"""The circuits that the models build from the shape of the data, and the scaling of data into angles."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ketgrad.circuits import ops
from ketgrad.circuits.angles import w, x
from ketgrad.circuits.ansatz import ansatz_named
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.encodings import encoding_named
from ketgrad.circuits.entanglement import qubit_groups
from ketgrad.circuits.op import Op
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches
from ketgrad.foundation.numbers import check_count

INTERIOR = 0.95  # at the ends of [-1, 1] arccos has no derivative
NOWHERE = np.empty((0, 2), np.int64)
SCALINGS = ("auto", "standard", "range", "none")
MOST_UPLOADS = 512  # features beyond this make a circuit of thousands of gates: reduce them first
AUTOMATIC_SCALING = {"chebyshev": "range", "amplitude": "none", "basis": "none"}  # all others: "standard"


def trainable_uploads(num_features: int, num_qubits: int, num_layers: int = 3) -> Circuit:
    """Layers of RY(w x_j + w') on every qubit, each followed by a ring of CZ; a last layer of RY(w).

    The qubits of all layers, in order, take the features in turn, starting anew after the last one. There are
    `num_layers` layers, or as many more as it takes for each feature to enter once. With few features each enters
    several times, which gives the model higher frequencies in it; with many, the qubits share them.
    Weights: two per upload (scale, offset), one per qubit at the end. All weights zero: the identity, up to signs.
    Cost: layers * (2 num_qubits) + num_qubits gates. Raises `KetgradValueError` for counts below 1.

    Perez-Salinas et al. 2020, arXiv:1907.02085; trained scales: Schuld, Sweke and Meyer 2021, arXiv:2008.08605.

    >>> circuit = trainable_uploads(2, 2, 1)
    >>> circuit.ops[0], circuit.num_weights, len(circuit)
    (ry(w[0] * x[0] + w[1], 0), 6, 5)
    """
    features, qubits = check_count(num_features, "num_features"), check_count(num_qubits, "num_qubits")
    layers = max(check_count(num_layers, "num_layers"), -(-features // qubits))
    ring = [ops.cz(a, b) for a, b in qubit_groups("ring", qubits)] if qubits > 1 else []
    sequence: list[Op] = []
    for upload in range(layers * qubits):
        qubit, j = upload % qubits, upload % features
        sequence.append(ops.ry(w[2 * upload] * x[j] + w[2 * upload + 1], qubit))
        sequence += ring if qubit == qubits - 1 else []
    first = 2 * layers * qubits
    return Circuit([*sequence, *(ops.ry(w[first + q], q) for q in range(qubits))], qubits)


def phase_uploads(num_features: int, num_qubits: int, num_layers: int = 1) -> Circuit:
    """Layers of Hadamards, RZ(x_j) on every qubit and RZZ(x_i x_j) on neighbours: an IQP map for many features.

    The features enter in turn as in `trainable_uploads`. No weights. With as many qubits as features and one layer it
    is `encodings.iqp(n, reps=1, entanglement="linear")`.
    Cost: layers * (3 num_qubits - 1) gates. Raises `KetgradValueError` for counts below 1.

    Havlicek et al. 2019, arXiv:1804.11326.

    >>> phase_uploads(2, 2).ops
    (h(0), h(1), rz(x[0], 0), rz(x[1], 1), rzz(x[0] * x[1], 0, 1))
    """
    features, qubits = check_count(num_features, "num_features"), check_count(num_qubits, "num_qubits")
    layers = max(check_count(num_layers, "num_layers"), -(-features // qubits))
    sequence: list[Op] = []
    for layer in range(layers):
        columns = [x[(layer * qubits + q) % features] for q in range(qubits)]
        sequence += [ops.h(q) for q in range(qubits)]
        sequence += [ops.rz(columns[q], q) for q in range(qubits)]
        sequence += [ops.rzz(columns[q] * columns[q + 1], q, q + 1) for q in range(qubits - 1)]
    return Circuit(sequence, qubits)


def without_entanglers(circuit: Circuit) -> Circuit:
    """The circuit with every gate on two or more qubits removed: its product-state twin.

    Nothing else changes, but the weights that are left are numbered anew without gaps, in the same order.
    Raises `KetgradValueError` if a state preparation on several qubits, or the only gates that read data, would go.

    Bowles et al. 2024, arXiv:2403.07059, section 5: is it the entanglement that helps?

    >>> without_entanglers(trainable_uploads(2, 2, 1)).ops
    (ry(w[0] * x[0] + w[1], 0), ry(w[2] * x[1] + w[3], 1), ry(w[4], 0), ry(w[5], 1))
    """
    wide = [op for op in circuit.ops if len(op.qubits) + len(op.controls) > 1]
    for op in wide:
        if op.gate.amplitudes is not None:
            raise KetgradValueError(
                f"entangle=False removes every gate on several qubits, but the state preparation {op!r} holds the "
                "data. Use an encoding that is made of rotations, for example encoding='angle'."
            )
    kept = Circuit((op for op in circuit.ops if op not in set(wide)), circuit.num_qubits)
    if circuit.num_inputs and not kept.num_inputs:
        raise KetgradValueError(
            "entangle=False removes every gate on several qubits, but the circuit reads its data in no other gate. "
            "Use an encoding with one-qubit rotations, for example encoding='angle'."
        )
    used = sorted(i for kind, i in kept.variables if kind == "w")
    renumbered = {("w", old): w[new] for new, old in enumerate(used)}
    return kept.map_angles(lambda angle: angle.substitute(renumbered))


@dataclass(frozen=True)
class Design:
    """The parameters of an estimator that decide its circuit; see the estimators for their meaning."""

    circuit: Any
    encoding: Any
    ansatz: Any
    num_qubits: int | None
    max_qubits: int
    num_layers: int
    entangle: bool

    def build(self, num_features: int, least_qubits: int, *, trainable: bool) -> Circuit:
        """The circuit for that many features, with `least_qubits` at least where the number is free."""
        if not isinstance(self.entangle, bool | np.bool_):
            raise KetgradTypeError(f"`entangle` must be True or False, but is {self.entangle!r}.")
        layers = check_count(self.num_layers, "num_layers")
        if self.circuit is not None:
            circuit = self._given()
        elif self.encoding is None and self.ansatz is None:
            circuit = self._default(num_features, least_qubits, layers, trainable)
        else:
            circuit = self._composed(num_features, layers, trainable)
        if circuit.num_inputs != num_features:
            raise KetgradValueError(
                f"X has {num_features} feature(s), but the circuit reads {circuit.num_inputs} input(s), x[0] to "
                f"x[{circuit.num_inputs - 1}]. Select or reduce the columns, or leave `circuit` and `encoding` out."
            )
        return circuit if self.entangle else without_entanglers(circuit)

    def _given(self) -> Circuit:
        circuit = as_circuit(self.circuit)
        for name in ("encoding", "ansatz", "num_qubits"):
            if getattr(self, name) is not None:
                raise KetgradValueError(
                    f"`{name}` must be None where `circuit` is given: the circuit decides it."
                )
        if not circuit.num_inputs:
            raise KetgradValueError(
                "`circuit` must read inputs x[0], x[1], ... - else all rows are alike - but reads none."
            )
        return circuit

    def _default(self, num_features: int, least_qubits: int, layers: int, trainable: bool) -> Circuit:
        if self.num_qubits is None:
            limit = check_count(self.max_qubits, "max_qubits")
            size = max(least_qubits, min(max(2, num_features), limit))
        else:
            size = check_count(self.num_qubits, "num_qubits")
        if num_features > MOST_UPLOADS:
            raise KetgradValueError(
                f"X has {num_features} feature(s), and each takes an angle of its own: too many for {size} qubits "
                f"(limit {MOST_UPLOADS}). Reduce them first, for example with "
                f"make_pipeline(StandardScaler(), PCA({size}), ...)."
            )
        return (trainable_uploads if trainable else phase_uploads)(num_features, size, layers)

    def _composed(self, num_features: int, layers: int, trainable: bool) -> Circuit:
        first = self._encoding("angle" if self.encoding is None else self.encoding, num_features, layers)
        if not trainable:
            _refuse_weights(first, self.encoding)
            return first
        if not (self.ansatz is None or isinstance(self.ansatz, str)):
            return first + as_circuit(self.ansatz, "ansatz")
        builder = ansatz_named("hardware_efficient" if self.ansatz is None else self.ansatz)
        takes_layers = "layers" in inspect.signature(builder).parameters
        return first + (
            builder(first.num_qubits, layers=layers) if takes_layers else builder(first.num_qubits)
        )

    def _encoding(self, encoding: Any, num_features: int, layers: int) -> Circuit:
        if not isinstance(encoding, str):
            return as_circuit(encoding, "encoding")
        builder = encoding_named(encoding)
        options = {}
        if "layers" in (known := inspect.signature(builder).parameters):
            options["layers"] = layers
        if "num_qubits" in known:
            size = min(num_features, check_count(self.max_qubits, "max_qubits"))
            options["num_qubits"] = (
                size if self.num_qubits is None else check_count(self.num_qubits, "num_qubits")
            )
        elif self.num_qubits is not None:
            raise KetgradValueError(
                f"`num_qubits` must be None for the encoding {encoding!r}, whose number of qubits follows from the "
                f"number of features, but is {self.num_qubits}."
            )
        if encoding == "amplitude":  # the fewest qubits that hold the features, unless the caller says more
            options = {"num_qubits": self.num_qubits}
        return builder(num_features, **options)


def _refuse_weights(circuit: Circuit, encoding: Any) -> None:
    """Raise if an encoding has weights, which a machine that trains no circuit cannot set."""
    if circuit.num_weights:
        name = repr(encoding) if isinstance(encoding, str) else "given"
        raise KetgradValueError(
            f"`encoding` {name} has {circuit.num_weights} weights, but a kernel machine trains none. Use an encoding "
            "without weights, give them values with circuit.bind(weights), pass kernel=kg.FidelityKernel(circuit, "
            "weights=...), or train them in kg.VariationalClassifier(encoding=...)."
        )


@dataclass(frozen=True, eq=False)
class Scaling:
    """Data into angles: (X - center) / width per column, then clipped to [-limit, limit]. Learned from training rows.

    A column that is constant over the training rows becomes 0. low, high: what the training rows span, where rows
    beyond are neither clipped nor angles as given; else None.
    """

    center: np.ndarray
    width: np.ndarray
    limit: float
    factor: float
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def __call__(self, table: np.ndarray) -> np.ndarray:
        """The angles of a table (n, num_features)."""
        angles = (table - self.center) / self.width
        if np.isfinite(self.limit):
            angles = np.clip(angles, -self.limit, self.limit)
        return angles * self.factor

    def strangers(self, table: np.ndarray) -> np.ndarray:
        """Entries (k, 2) of a table whose angles lie two turns beyond those of the training rows, and a whole span."""
        bounds = self._bounds
        if bounds is None:
            return NOWHERE
        far = (table < bounds[0]) | (table > bounds[1])
        return np.argwhere(far) if far.any() else NOWHERE

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        if self.low is None or self.high is None:
            return None
        with np.errstate(over="ignore"):  # then nothing is beyond
            reach = np.maximum(self.high - self.low, 4 * np.pi / self.factor * self.width)
            return self.low - reach, self.high + reach


def learn_scaling(
    name: str, encoding: Any, table: np.ndarray, weights: np.ndarray, factor: float = 1.0
) -> Scaling:
    """The scaling of that name, fitted on weighted rows.

    "standard": mean 0 and standard deviation 1 per column; "range": the training rows fill [-0.95, 0.95], later
    rows are clipped to it; "none": as given; "auto": what the encoding asks for. `factor` multiplies the outcome.

    >>> learn_scaling("range", None, np.array([[0.0], [4.0]]), np.ones(2))(np.array([[1.0], [9.0]])).ravel()
    array([-0.475,  0.95 ])
    """
    if not isinstance(name, str) or name not in SCALINGS:
        raise KetgradValueError(f"There is no scaling {name!r}. {near_matches(str(name), SCALINGS)}")
    if name == "auto":
        name = AUTOMATIC_SCALING.get(encoding, "standard") if isinstance(encoding, str) else "standard"
    columns = table.shape[1]
    if name == "none":
        return Scaling(np.zeros(columns), np.ones(columns), np.inf, 1.0)
    low, high = table.min(axis=0), table.max(axis=0)
    span: tuple[np.ndarray, ...] = ()
    if name == "range":
        center, width, limit, factor = low / 2 + high / 2, high / 2 - low / 2, 1.0, INTERIOR
    else:
        center, width = weighted_moments(table, weights)
        limit, span = np.inf, (low, high)
    wild = np.flatnonzero(~(np.isfinite(center) & np.isfinite(width)))
    if wild.size:
        raise KetgradValueError(
            f"Column {wild[0]} of X cannot be scaled: its spread overflows float64 (values up to "
            f"{np.abs(table[:, wild[0]]).max():.3g}). Rescale or take logarithms first."
        )
    return Scaling(center, np.where(width > 0, width, 1.0), limit, factor, *span)


def weighted_moments(columns: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; exactly zero spread for a constant one.

    >>> weighted_moments(np.array([[1.0], [4.0]]), np.array([2.0, 1.0]))
    (array([2.]), array([1.41421356]))
    """
    shares = weights / weights.sum()
    constant = (columns == columns[0]).all(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # an overflow shows as a spread that is not finite
        center = np.where(constant, columns[0], (shares[:, None] * columns).sum(axis=0))
        reach = np.abs(columns - center).max(axis=0)
        unit = np.where(reach > 0, reach, 1.0)  # squares of 1e-300 would vanish, those of 1e300 overflow
        spread = unit * np.sqrt((shares[:, None] * ((columns - center) / unit) ** 2).sum(axis=0))
    return center, np.where(constant, 0.0, spread)
