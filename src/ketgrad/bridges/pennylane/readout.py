"""What the measurements of a tape ask: questions to a circuit, and the way from their answers to PennyLane's results.

Every part asks one Function. `read` makes results of its values, `pull` takes cotangents of the results back to a
cotangent of the values, `bend` says how that changes along tangents of the values, and `push` takes such tangents on to
tangents of the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.devices.qubit.measure import measure
from pennylane.exceptions import DeviceError
from pennylane.measurements import (
    DensityMatrixMP,
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    StateMP,
    VarianceMP,
)

from ketgrad.bridges.pennylane.gates import fixed_angles, lower, runs
from ketgrad.bridges.pennylane.observables import (
    EXACT,
    WIDEST,
    from_matrix,
    is_hermitian,
    most_words,
    pauli_sum,
)
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import PauliSum
from ketgrad.functions.builders import expectation, probabilities, state
from ketgrad.functions.function import Function

MOST_WORDS = 2**16  # of an observable or its square; above it the state is asked instead
MOST_MARGINS = 20  # qubits of the outcomes from which several marginals are taken

Results = dict[int, np.ndarray]  # by the index of the measurement; leading axes (tapes, batch)


class Options(NamedTuple):
    """What every Function of a device is made with."""

    dtype: Any
    threads: int | None


@dataclass(frozen=True)
class Averages:
    """Expectation values and variances: `entries` are (measurement, index of <H>, index of <H^2> or -1)."""

    sums: tuple[PauliSum, ...]
    entries: tuple[tuple[int, int, int], ...]

    def function(self, circuit: Circuit, options: Options) -> Function:
        """The Function whose values these are."""
        return expectation(circuit, self.sums, dtype=options.dtype, threads=options.threads)

    @property
    def has_variances(self) -> bool:
        """Whether a result is not linear in the values."""
        return any(square >= 0 for _, _, square in self.entries)

    def read(self, values: np.ndarray) -> Results:
        """<H>, or <H^2> - <H>^2."""
        return {
            m: values[..., mean] if square < 0 else values[..., square] - values[..., mean] ** 2
            for m, mean, square in self.entries
        }

    def pull(self, cotangents: Results, values: np.ndarray) -> np.ndarray:
        """The variance has the slope 1 by <H^2> and -2 <H> by <H>."""
        total = np.zeros_like(values)
        for m, mean, square in self.entries:
            slope = np.real(cotangents[m])
            if square < 0:
                total[..., mean] += slope
            else:
                total[..., square] += slope
                total[..., mean] -= 2 * slope * values[..., mean]
        return total

    def bend(self, cotangents: Results, tangents: np.ndarray) -> np.ndarray | None:
        """How what `pull` returns changes where the values change by `tangents`; None for not at all."""
        if not self.has_variances:
            return None
        total = np.zeros_like(tangents)
        for m, mean, square in self.entries:
            if square >= 0:
                total[..., mean] -= 2 * np.real(cotangents[m]) * tangents[..., mean]
        return total

    def push(self, tangents: np.ndarray, values: np.ndarray) -> Results:
        """The same slopes, forwards."""
        return {
            m: tangents[..., mean]
            if square < 0
            else tangents[..., square] - 2 * values[..., mean] * tangents[..., mean]
            for m, mean, square in self.entries
        }


@dataclass(frozen=True)
class Chances:
    """Probabilities of outcomes: `entries` are (measurement, positions of its wires among `qubits`).

    extra: the ops that turn the eigenbasis of a measured observable into the computational one.
    """

    qubits: tuple[int, ...]
    entries: tuple[tuple[int, tuple[int, ...]], ...]
    extra: tuple[Op, ...] = ()

    def function(self, circuit: Circuit, options: Options) -> Function:
        """The Function whose values these are."""
        turned = Circuit(circuit.ops + self.extra, circuit.num_qubits)
        return probabilities(turned, self.qubits, dtype=options.dtype, threads=options.threads)

    def read(self, values: np.ndarray) -> Results:
        """The marginals."""
        return {m: self._marginal(values, kept) for m, kept in self.entries}

    def _marginal(self, values: np.ndarray, kept: tuple[int, ...]) -> np.ndarray:
        if kept == tuple(range(len(self.qubits))):
            return values
        lead = values.ndim - 1
        tensor = values.reshape(*values.shape[:-1], *[2] * len(self.qubits))
        dropped = [lead + k for k in range(len(self.qubits)) if k not in kept]
        order = np.argsort(np.argsort(kept))
        summed = tensor.sum(axis=tuple(dropped))
        return np.moveaxis(summed, [lead + int(k) for k in order], range(lead, lead + len(kept))).reshape(
            *values.shape[:-1], -1
        )

    def pull(self, cotangents: Results, values: np.ndarray) -> np.ndarray:
        """Every outcome has the cotangents of the marginal outcomes that it belongs to."""
        index = np.arange(values.shape[-1])
        total = np.zeros_like(values)
        for m, kept in self.entries:
            part = np.zeros(len(index), np.int64)
            for position in kept:
                part = 2 * part + (index >> (len(self.qubits) - 1 - position) & 1)
            total += np.real(cotangents[m])[..., part]
        return total

    def bend(self, cotangents: Results, tangents: np.ndarray) -> np.ndarray | None:
        """Marginals are linear: not at all."""
        return None

    def push(self, tangents: np.ndarray, values: np.ndarray) -> Results:
        """Marginals are linear."""
        return self.read(tangents)


@dataclass(frozen=True)
class StateVector:
    """The state itself; qubits are in the order that the measurement asks for."""

    measurement: int

    def function(self, circuit: Circuit, options: Options) -> Function:
        """The Function whose values these are."""
        return state(circuit, dtype=options.dtype, threads=options.threads)

    def read(self, values: np.ndarray) -> Results:
        """The amplitudes as they are."""
        return {self.measurement: values}

    def pull(self, cotangents: Results, values: np.ndarray) -> np.ndarray:
        """PennyLane's cotangent g means dL = Re(sum(g d psi)), ours dL = Re(sum(conj(g) d psi))."""
        return np.conj(cotangents[self.measurement]).astype(values.dtype)

    def bend(self, cotangents: Results, tangents: np.ndarray) -> np.ndarray | None:
        """The amplitudes are linear: not at all."""
        return None

    def push(self, tangents: np.ndarray, values: np.ndarray) -> Results:
        """The tangents as they are."""
        return {self.measurement: tangents}


@dataclass(frozen=True)
class Others:
    """Measurements that PennyLane itself makes from the state: entropies, purity, density matrices, large matrices."""

    measurements: tuple[tuple[int, MeasurementProcess], ...]  # on wires 0, 1, ... of the register

    def function(self, circuit: Circuit, options: Options) -> Function:
        """The Function that gives the state."""
        return state(circuit, dtype=options.dtype, threads=options.threads)

    def read(self, values: np.ndarray) -> Results:
        """The measurements of all states at once."""
        lead, size = values.shape[:-1], values.shape[-1].bit_length() - 1
        states = values.reshape(-1, *[2] * size)
        found = {}
        for m, process in self.measurements:
            results = np.stack([np.asarray(measure(process, one)) for one in states])
            found[m] = results.reshape(*lead, *results.shape[1:])
        return found


Part = Averages | Chances | StateVector | Others


def differentiable(measurement: MeasurementProcess) -> bool:
    """Whether a measurement has a derivative here; some others are made from a state, that has one."""
    obs = measurement.obs
    if isinstance(measurement, ExpectationMP) and obs is not None:
        if obs.pauli_rep is not None:
            return len(obs.pauli_rep) <= MOST_WORDS
        if most_words(obs) <= MOST_WORDS and is_hermitian(obs):
            return True  # without writing it as a sum: a matrix has many words
    if isinstance(measurement, ExpectationMP | VarianceMP):
        return _pauli(measurement, {wire: k for k, wire in enumerate(measurement.wires)}) is not None
    if isinstance(measurement, ProbabilityMP):
        return measurement.mv is None and _diagonal(measurement)
    return type(measurement) is StateMP


def from_state(measurement: MeasurementProcess) -> bool:
    """Whether PennyLane makes the measurement from the amplitudes alone, with its own derivative."""
    return measurement.obs is None or not _turns(measurement)


def _pauli(measurement: MeasurementProcess, place: Mapping[Any, int]) -> PauliSum | None:
    """The real Pauli sum of what is averaged, if it has a short one; eigenvalues are a diagonal matrix."""
    if measurement.obs is not None:
        found = pauli_sum(measurement.obs, place)
    else:
        values, wires = measurement.eigvals(), measurement.wires
        if values is None or len(wires) > WIDEST:
            return None
        numbers = np.asarray(qml.math.unwrap([values])[0], dtype=np.float64)
        found = from_matrix(np.diag(numbers)).relabel(place[wire] for wire in wires)
    if found is None:
        return None
    most = MOST_WORDS if isinstance(measurement, ExpectationMP) else int(MOST_WORDS**0.5)
    if found.antihermitian_part > EXACT:
        raise DeviceError(
            f"an observable must be Hermitian - its average is real - but in {measurement} the antihermitian part is "
            f"{found.antihermitian_part:.3g}. Measure the real and the imaginary part as two observables."
        )
    if len(found.terms) > most:
        return None
    return PauliSum(tuple((x, z, complex(c).real) for x, z, c in found.terms))


def _diagonal(measurement: MeasurementProcess) -> bool:
    """Whether the measured observable is turned into the computational basis by gates that run here."""
    return measurement.obs is None or all(runs(op) for op in _turns(measurement))


def _turns(measurement: MeasurementProcess) -> Sequence[Any]:
    with qml.QueuingManager.stop_recording():
        return measurement.diagonalizing_gates()


def arrange(measurements: Sequence[MeasurementProcess], place: Mapping[Any, int]) -> tuple[Part, ...]:
    """The parts that answer all measurements, with as few questions as possible."""
    sums: list[PauliSum] = []
    averages: list[tuple[int, int, int]] = []
    plain: list[tuple[int, tuple[int, ...]]] = []
    parts: list[Part] = []
    others: list[tuple[int, MeasurementProcess]] = []
    for m, process in enumerate(measurements):
        average = _pauli(process, place) if isinstance(process, ExpectationMP | VarianceMP) else None
        if average is not None:
            squared = -1 if isinstance(process, ExpectationMP) else _index(sums, average * average)
            averages.append((m, _index(sums, average), squared))
        elif isinstance(process, ProbabilityMP) and process.mv is None and process.obs is None:
            plain.append((m, tuple(place[wire] for wire in process.wires or place)))
        elif isinstance(process, ProbabilityMP) and process.mv is None and _diagonal(process):
            extra = [op for turn in _turns(process) for op in lower(turn, fixed_angles(turn), place)]
            qubits = tuple(place[wire] for wire in process.wires)
            parts.append(Chances(qubits, ((m, tuple(range(len(qubits)))),), tuple(extra)))
        elif type(process) is StateMP and _in_order(process, place):
            parts.append(StateVector(m))
        else:
            others.append((m, _on_register(process, place)))
    if averages:
        parts.append(Averages(tuple(sums), tuple(averages)))
    if others:
        parts.append(Others(tuple(others)))
    return (*parts, *_marginals(plain))


def _marginals(plain: list[tuple[int, tuple[int, ...]]]) -> list[Part]:
    """One question for all probabilities, or one each where together they read too many qubits."""
    union = tuple(dict.fromkeys(qubit for _, qubits in plain for qubit in qubits))
    if len(plain) > 1 and len(union) <= MOST_MARGINS:
        where = {qubit: k for k, qubit in enumerate(union)}
        return [Chances(union, tuple((m, tuple(where[q] for q in qubits)) for m, qubits in plain))]
    return [Chances(qubits, ((m, tuple(range(len(qubits)))),)) for m, qubits in plain]


def _index(sums: list[PauliSum], wanted: PauliSum) -> int:
    if wanted not in sums:
        sums.append(wanted)
    return sums.index(wanted)


def _in_order(process: StateMP, place: Mapping[Any, int]) -> bool:
    return not process.wires or [place[wire] for wire in process.wires] == list(range(len(place)))


def _on_register(process: MeasurementProcess, place: Mapping[Any, int]) -> MeasurementProcess:
    """The measurement with wires that are positions in the state."""
    if isinstance(process, DensityMatrixMP | StateMP) and not process.wires:
        return type(process)(wires=range(len(place)))
    return process.map_wires(dict(place))
