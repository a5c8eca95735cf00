"""Tapes as calls of compiled Functions.

The structure of a tape - its operators, wires and measurements, and every number that is no angle - is a key; its
angles and real amplitudes are slots. Tapes of one key are one call: what they share are weights, everything else
(broadcasted parameters, and parameters in which the tapes differ) are columns of the inputs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from pennylane.measurements import MeasurementProcess, StateMP
from pennylane.operation import Operator
from pennylane.ops import Prod, SProd, Sum
from pennylane.ops.op_math import Adjoint, Controlled
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.gates import ROWS, SEQUENCES, SKIPPED, lower, preparation, reads_angles
from ketgrad.bridges.pennylane.observables import number_of
from ketgrad.bridges.pennylane.readout import Options, Part, StateVector, arrange
from ketgrad.circuits.angles import Angle
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.op import Op
from ketgrad.circuits.variables import w, x
from ketgrad.functions.function import Function

KEPT_STRUCTURES = 512
KEPT_SPLITS = 6  # ways to divide the slots of one structure into weights and inputs
PAULIS = frozenset({"PauliX", "PauliY", "PauliZ"})
NUMBERS = (float, int, np.float64)
NOTHING = np.zeros(0)


class TapeReading(NamedTuple):
    """One tape: its key, and its numbers: scalars, arrays over samples, and vectors of amplitudes."""

    key: Hashable
    numbers: list[Any]


def read(tape: QuantumScript) -> TapeReading:
    """The key and the numbers of a tape."""
    key: list[Hashable] = []
    numbers: list[Any] = []
    for op in tape.operations:
        name = op.name
        if name in ROWS:
            key.append((name, op.wires.labels))
            numbers += op.data
        else:
            key.append(_operator_key(op))
            numbers += _read_numbers(op)
    numbers = [number if type(number) in NUMBERS else _plain(number) for number in numbers]
    key.append(tuple(number.ndim if type(number) is np.ndarray else 0 for number in numbers))
    key += map(_measurement_key, tape.measurements)
    key.append(bool(tape.shots))
    return TapeReading(tuple(key), numbers)


def _plain(number: Any) -> Any:
    """A float, or an array of several axes, of any library that PennyLane works with."""
    if type(number) is not np.ndarray:
        number = number.detach().numpy() if hasattr(number, "detach") else qml.math.unwrap([number])[0]
    array = np.asarray(number)
    return array if array.ndim else float(array)


def real_amplitudes(op: Operator) -> np.ndarray | None:
    """The amplitudes of a dense StatePrep, if they are real: (2**k,) or (samples, 2**k)."""
    if getattr(op, "is_sparse", False):
        return None
    given = np.asarray(_plain(op.data[0]))
    if np.any(np.imag(given)):
        return None
    vector = np.real(given).astype(np.float64)
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector / norm if np.all(np.abs(norm - 1) < 1e-5) else vector  # single precision is made exact


def _read_numbers(op: Operator) -> Sequence[Any]:
    if isinstance(op, qml.StatePrep):
        vector = real_amplitudes(op)
        return () if vector is None else (vector,)
    return op.data if reads_angles(op) else ()


def _operator_key(op: Operator) -> Hashable:
    name, labels = op.name, op.wires.labels
    if name in SKIPPED:
        return name, labels
    if isinstance(op, Controlled):
        return "C", _operator_key(op.base), op.control_wires.labels, tuple(map(bool, op.control_values))
    if isinstance(op, Adjoint):
        return "Adjoint", _operator_key(op.base)
    if name in SEQUENCES:
        return name, labels, op.hyperparameters.get("pauli_word")
    if name in ROWS:
        return name, labels
    if isinstance(op, qml.StatePrep) and real_amplitudes(op) is not None:
        return "StatePrep", labels
    if isinstance(op, qml.StatePrep | qml.BasisState):
        vector = op.state_vector(wire_order=op.wires) if isinstance(op, qml.StatePrep) else op.data[0]
        dense = vector.toarray() if hasattr(vector, "toarray") else np.asarray(_plain(vector))
        return name, labels, dense.dtype.str, dense.tobytes()
    return name, type(op), labels, np.asarray(_plain(op.matrix()), np.complex128).tobytes()


def _measurement_key(process: MeasurementProcess) -> Hashable:
    obs = process.obs
    if obs is None:
        if process.mv is None and process._eigvals is None and type(process) is not qml.measurements.SampleMP:
            extra = [getattr(process, name, None) for name in ("all_outcomes", "log_base", "seed", "H", "k")]
            if all(value is None or isinstance(value, bool | int | float) for value in extra):
                wires = getattr(process, "raw_wires", None)
                return type(process), process.wires.labels, str(wires), tuple(extra)
        return type(process), process.hash, process.wires.labels
    if obs.name in PAULIS:
        return type(process), obs.name, obs.wires.labels, getattr(process, "all_outcomes", None)
    sentence = obs.pauli_rep
    if sentence is not None and type(process) in (
        qml.measurements.ExpectationMP,
        qml.measurements.VarianceMP,
    ):
        words = tuple((word, number_of(number)) for word, number in sentence.items())
        return type(process), words, obs.wires.labels
    key = _observable_key(obs)
    return type(process), process.hash if key is None else key, obs.wires.labels


def _observable_key(observable: Operator) -> Hashable:
    """The content of an observable with matrices, whichever library holds their numbers; None for another kind."""
    if isinstance(observable, qml.Hermitian):
        matrix = np.asarray(_plain(observable.data[0]), np.complex128)
        return observable.wires.labels, matrix.tobytes()
    if isinstance(observable, SProd):
        inner = _observable_key(observable.base)
        return None if inner is None else (number_of(observable.scalar), inner)
    if isinstance(observable, Sum | Prod):
        parts = tuple(map(_observable_key, observable.operands))
        return None if None in parts else (type(observable), parts)
    sentence = observable.pauli_rep
    if sentence is None:
        return None
    return tuple((word, number_of(number)) for word, number in sentence.items())


# -- plans ----------------------------------------------------------------------------------------------------


class TapeRows(NamedTuple):
    """The arrays of one call, and which slots are weights; of `tapes` tapes with `batch` samples each."""

    functions: tuple[Function, ...]
    weights: np.ndarray
    inputs: np.ndarray
    shared: np.ndarray
    tapes: int
    batch: int


@dataclass(frozen=True, eq=False)
class TapePlan:
    """What is known of all tapes with one key.

    steps: the operators, and the positions of their numbers. starts: the first slot of each number. vectors: whether
    a number is a vector of amplitudes. batched: whether a number comes for every sample. parameters: for each
    parameter of the operators its number, or -1 for what is no slot.
    """

    place: Mapping[Any, int]
    steps: tuple[tuple[Operator, tuple[int, ...]], ...]
    starts: np.ndarray
    vectors: tuple[bool, ...]
    batched: np.ndarray
    parameters: tuple[int, ...]
    parts: tuple[Part, ...]
    measurements: tuple[MeasurementProcess, ...]  # on wires 0, 1, ... of the register
    options: Options
    splits: dict[bytes, tuple[Function, ...]] = field(default_factory=dict)

    @property
    def is_batched(self) -> bool:
        """Whether the tapes have parameter broadcasting."""
        return bool(self.batched.any())

    def columns(self, number: int) -> slice:
        """The slots of a number."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def circuit(self, angles: Sequence[Angle]) -> Circuit:
        """The circuit with these angles in the slots."""
        ops: list[Op] = []
        for operator, numbers in self.steps:
            given = [angle for number in numbers for angle in angles[self.columns(number)]]
            make = preparation if isinstance(operator, qml.StatePrep) else lower
            ops += make(operator, given, self.place)
        return Circuit(ops, len(self.place))

    def functions(self, shared: np.ndarray) -> tuple[Function, ...]:
        """One Function per part, with the `shared` slots as weights and the others as inputs."""
        key = shared.tobytes()
        found = self.splits.get(key)
        if found is None:
            rank = np.where(shared, np.cumsum(shared), np.cumsum(~shared)) - 1
            circuit = self.circuit([(w if ours else x)[int(k)] for ours, k in zip(shared, rank, strict=True)])
            found = self.splits[key] = tuple(part.function(circuit, self.options) for part in self.parts)
        return found


def make_plan(tape: QuantumScript, reading: TapeReading, options: Options) -> TapePlan:
    """The plan of a tape, and of all that are alike."""
    place = {wire: k for k, wire in enumerate(_register(tape))}
    steps, count, widths, vectors, batched, parameters = [], 0, [], [], [], []
    for op in tape.operations:
        found = len(_read_numbers(op))
        numbers = tuple(range(count, count + found))
        steps.append((op, numbers))
        parameters += numbers or [-1] * len(op.data)
        count += found
        vector = isinstance(op, qml.StatePrep)
        vectors += [vector] * found
        widths += [2 ** len(op.wires) if vector else 1] * found
        batched += [np.ndim(number) > vector for number in reading.numbers[count - found : count]]
    starts = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)]).astype(np.int64)
    mapped = tuple(process.map_wires(dict(place)) for process in tape.measurements)
    parts = (StateVector(-1),) if tape.shots else arrange(tape.measurements, place)
    return TapePlan(
        place,
        tuple(steps),
        starts,
        tuple(vectors),
        np.array(batched, bool),
        tuple(parameters),
        parts,
        mapped,
        options,
    )


def _register(tape: QuantumScript) -> Sequence[Any]:
    """The wires of a tape as qubits: as the state is asked for, in order where they are numbers, or as they come."""
    for process in tape.measurements:
        if type(process) is StateMP and set(process.wires) >= set(tape.wires):
            return process.wires.labels
    labels = tape.wires.labels
    return range(len(labels)) if set(labels) == set(range(len(labels))) else labels


@dataclass(frozen=True, eq=False)
class Plans:
    """The plans of a device by their keys, the least recently used dropped first; usable from many threads."""

    options: Options
    known: OrderedDict[Hashable, TapePlan] = field(default_factory=OrderedDict)
    lock: Any = field(default_factory=threading.Lock)

    def find(self, tape: QuantumScript, reading: TapeReading) -> TapePlan:
        """The plan of a tape."""
        with self.lock:
            plan = self.known.get(reading.key)
            if plan is not None:
                self.known.move_to_end(reading.key)
                return plan
        plan = make_plan(tape, reading, self.options)
        with self.lock:
            self.known[reading.key] = plan
            while len(self.known) > KEPT_STRUCTURES:
                self.known.popitem(last=False)
        return plan

    def groups(self, tapes: Sequence[QuantumScript]) -> list[tuple[TapePlan, list[int], list[TapeReading]]]:
        """The tapes by plan: (plan, their positions, what was read from them)."""
        found: dict[Hashable, tuple[TapePlan, list[int], list[TapeReading]]] = {}
        for position, tape in enumerate(tapes):
            reading = read(tape)
            entry = found.get(reading.key)
            if entry is None:
                entry = found[reading.key] = (self.find(tape, reading), [], [])
            entry[1].append(position)
            entry[2].append(reading)
        return list(found.values())


def rows(plan: TapePlan, readings: Sequence[TapeReading], apart: Sequence[int] = ()) -> TapeRows:
    """The arrays of one call. apart: numbers that stand in the inputs when there are several tapes."""
    if len(readings) == 1:
        return _rows_of_one(plan, readings[0].numbers)
    shared = np.zeros(int(plan.starts[-1]), bool)
    table = _table(plan, readings)
    batch = table.shape[1]
    for number, several in enumerate(plan.batched):
        columns = plan.columns(number)
        first = table[:1, :1, columns]
        shared[columns] = not several and number not in apart and bool((table[:, :, columns] == first).all())
    if shared.tobytes() not in plan.splits and len(plan.splits) >= KEPT_SPLITS:
        shared[:] = False  # accidents of equal numbers shall not compile for ever
    inputs = np.ascontiguousarray(table[:, :, ~shared].reshape(len(readings) * batch, -1))
    weights = np.ascontiguousarray(table[0, 0, shared])
    return TapeRows(plan.functions(shared), weights, inputs, shared, len(readings), batch)


def _table(plan: TapePlan, readings: Sequence[TapeReading]) -> np.ndarray:
    """(tapes, batch, slots): the numbers of several tapes."""
    batch = _batch(plan, readings[0].numbers)
    table = np.empty((len(readings), batch, int(plan.starts[-1])))
    for number, several in enumerate(plan.batched):
        for row, reading in zip(table, readings, strict=True):
            value = np.asarray(reading.numbers[number])
            row[:, plan.columns(number)] = value.reshape(batch, -1) if several else value
    return table


def directions(plan: TapePlan, readings: Sequence[TapeReading], given: TapeRows) -> TapeRows:
    """Directions, read like numbers, in the rows of a call; with several tapes those of shared slots are zero."""
    if len(readings) == 1:
        return _rows_of_one(plan, readings[0].numbers)
    inputs = _table(plan, readings)[:, :, ~given.shared].reshape(len(given.inputs), -1)
    return given._replace(weights=np.zeros_like(given.weights), inputs=np.ascontiguousarray(inputs))


def _rows_of_one(plan: TapePlan, numbers: Sequence[Any]) -> TapeRows:
    shared = np.repeat(~plan.batched, np.diff(plan.starts))
    if not plan.is_batched:
        scalars = len(shared) == len(numbers)
        weights = (
            np.array(numbers, np.float64) if scalars else np.concatenate([NOTHING, *map(np.ravel, numbers)])
        )
        return TapeRows(plan.functions(shared), weights, NOTHING, shared, 1, 1)
    weights = [np.ravel(n) for n, several in zip(numbers, plan.batched, strict=True) if not several]
    columns = [n.reshape(len(n), -1).T for n, several in zip(numbers, plan.batched, strict=True) if several]
    inputs = np.ascontiguousarray(np.concatenate(columns).T, np.float64)
    flat = np.concatenate([NOTHING, *weights])
    return TapeRows(plan.functions(shared), flat, inputs, shared, 1, len(inputs))


def _batch(plan: TapePlan, numbers: Sequence[Any]) -> int:
    return next((len(n) for n, several in zip(numbers, plan.batched, strict=True) if several), 1)


def arguments(function: Function, given: TapeRows) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The weights and inputs that this Function reads, or None for none."""
    weights = given.weights[: function.num_weights] if function.num_weights else None
    inputs = given.inputs
    if not function.num_inputs:
        return weights, None
    if inputs.shape[-1] != function.num_inputs:
        inputs = np.ascontiguousarray(inputs[:, : function.num_inputs])
    return weights, inputs


def on_one_axis(
    plan: TapePlan, readings: Sequence[TapeReading]
) -> tuple[Sequence[TapeReading], tuple[int, ...] | None]:
    """Readings whose samples lie on one axis, and the axes on which they lay; None for one axis as it is.

    Where jax maps a circuit that is broadcast already, a tape has several axes: those of the map lead, of length 1 in a
    number that is not mapped, and the axis of the broadcast follows in the numbers that have it.
    """
    if len(readings) > 1 or not plan.is_batched:
        return readings, None
    (reading,) = readings
    each = list(zip(reading.numbers, plan.batched, plan.vectors, strict=True))
    own = [np.shape(number)[: np.ndim(number) - vector] for number, several, vector in each if several]
    if all(len(shape) == 1 and shape == own[0] for shape in own):
        return readings, None
    most = max(map(len, own))
    lead = np.broadcast_shapes(*(shape + (1,) * (most - len(shape)) for shape in own))
    numbers = [_flat(number, lead, vector) if several else number for number, several, vector in each]
    return [TapeReading(reading.key, numbers)], lead


def _flat(number: np.ndarray, lead: tuple[int, ...], vector: bool) -> np.ndarray:
    """(samples,) or (samples, amplitudes), all samples of `lead`."""
    axes, tail = (number.shape[:-1], number.shape[-1:]) if vector else (number.shape, ())
    number = number.reshape(*axes, *[1] * (len(lead) - len(axes)), *tail)
    return np.broadcast_to(number, lead + tail).reshape(-1, *tail)


def values_of(function: Function, given: TapeRows) -> np.ndarray:
    """The values of one Function: (tapes, batch, outputs)."""
    values = function(*arguments(function, given))
    if values.size == given.tapes * given.batch * function.num_outputs:
        return values.reshape(given.tapes, given.batch, -1)
    return np.broadcast_to(values, (given.tapes, given.batch, function.num_outputs))
