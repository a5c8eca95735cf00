"""Circuits from PennyLane, and to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.measurements import (
    ExpectationMP,
    MeasurementProcess,
    ProbabilityMP,
    SampleMP,
    StateMP,
    VarianceMP,
)
from pennylane.ops import MidMeasure
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.gates import evaluate, lower, operators, preparation, reads_angles
from ketgrad.bridges.pennylane.observables import from_observable, to_observable
from ketgrad.bridges.pennylane.tapes import real_amplitudes
from ketgrad.bridges.pennylane.transforms import run_natively
from ketgrad.circuits.angles import Angle, as_angle
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.op import Op
from ketgrad.circuits.variables import w, x
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.functions.builders import expectation, probabilities, samples, state, variance
from ketgrad.functions.function import Function
from ketgrad.programs.question import Question
from ketgrad.programs.questions import Expect, Probabilities, Samples, State, Variance

AVERAGES: Mapping[type[MeasurementProcess], Callable[..., Function]] = {
    ExpectationMP: expectation,
    VarianceMP: variance,
}


@dataclass(frozen=True, eq=False)
class Converted:
    """What `from_pennylane` found.

    circuit: qubit k is wires[k]. weights: (num_weights,) and inputs: (samples, num_inputs) or (0,), the numbers that
    stood where the circuit reads w[i] and x[j]. measurements: as PennyLane has them.

    >>> tape = qml.tape.QuantumScript([qml.RY(0.5, "a")], [qml.probs("a")])
    >>> found = from_pennylane(tape)
    >>> found.wires, found.weights, found.function()(found.weights).round(3)
    (('a',), array([0.5]), array([0.939, 0.061]))
    """

    circuit: Circuit
    wires: tuple[Any, ...]
    weights: np.ndarray
    inputs: np.ndarray
    measurements: tuple[MeasurementProcess, ...]

    def function(self, *, shots: int | None = None, **options: Any) -> Function:
        """The Function that the measurements ask for; options: those of `kg.expectation`, such as threads.

        Expectation values, or variances, make one Function of several outputs; probabilities, the state or samples
        stand alone.
        Raises `KetgradValueError` where there are no measurements or none of these.
        """
        kinds = {type(process) for process in self.measurements}
        ask = AVERAGES.get(*kinds) if len(kinds) == 1 else None
        if ask is not None:
            sums = [from_observable(process.obs, self.wires) for process in self.measurements if process.obs]
            return ask(self.circuit, sums, shots=shots, **options)
        if len(self.measurements) == 1 and self.measurements[0].obs is None:
            (process,) = self.measurements
            if isinstance(process, ProbabilityMP):
                measured = [self.wires.index(wire) for wire in process.wires or self.wires]
                return probabilities(self.circuit, measured, shots=shots, **options)
            if type(process) is StateMP:
                return state(self.circuit, **options)
            if isinstance(process, SampleMP) and shots is not None:
                return samples(self.circuit, shots=shots, **options)
        raise KetgradValueError(
            "the measurements must be expectation values, or variances, or one qml.probs, qml.state or (with shots=) "
            f"qml.sample - a Function answers one question - but are {list(self.measurements)}. Make the Function from "
            "`circuit`."
        )


def from_pennylane(source: Any, *arguments: Any, **keywords: Any) -> Converted:
    """A circuit from a QNode, a quantum function (called with the arguments) or a tape.

    Angles may be passed as arguments: what then stands in a gate, such as 2 * x[0] * w[1], stays as it is, and all
    numbers are constants. Otherwise numbers take roles: a parameter with an axis of samples (parameter broadcasting)
    becomes an input; one that requires a gradient becomes a weight - or, where none does, one that the tape calls
    trainable, by default all -; the others are constants. Weights and inputs are numbered in the order of the gates.

    Operators without a row in the gate table are decomposed by PennyLane; mid-circuit measurements are deferred.
    Qubits are the wires in the order of the tape, or their numbers where these are 0 to n - 1.
    Raises `KetgradTypeError` or PennyLane's `DeviceError` for what cannot be converted.

    >>> def layer(a, b):
    ...     qml.RX(a, wires=0)
    ...     qml.CRY(2 * b, wires=[0, 1])
    ...     return qml.expval(qml.Z(1))
    >>> found = from_pennylane(layer, x[0], w[0])
    >>> found.circuit
    Circuit([rx(x[0], 0), ry(2 * w[0], 1).control(0)], num_qubits=2)
    >>> found.function()([0.0], [0.0])
    array([1.])
    """
    tape = _native(_tape(source, arguments, keywords))
    labels = tape.wires.labels
    wires = tuple(range(len(labels))) if set(labels) == set(range(len(labels))) else tuple(labels)
    place = {wire: k for k, wire in enumerate(wires)}
    roles = _Roles(tape)
    ops: list[Op] = []
    for op in tape.operations:
        given = roles.angles(op)
        ops += (preparation if isinstance(op, qml.StatePrep) else lower)(op, given, place)
    weights, inputs = roles.numbers()
    return Converted(Circuit(ops, len(wires)), wires, weights, inputs, tuple(tape.measurements))


def _tape(source: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> QuantumScript:
    if isinstance(source, QuantumScript):
        return source
    if not callable(source):
        raise KetgradTypeError(
            f"`source` must be a QNode, a quantum function or a tape, but is {type(source).__name__}."
        )
    arrays = [_object_array(argument) for argument in arguments]
    given = {name: _object_array(argument) for name, argument in keywords.items()}
    if not isinstance(source, qml.QNode):
        return qml.tape.make_qscript(source)(*arrays, **given)
    tapes, _ = source.transform_program([qml.tape.make_qscript(source.func)(*arrays, **given)])
    if len(tapes) != 1:
        raise KetgradValueError(
            f"`source` must be one circuit, but its transforms make {len(tapes)} of it. Convert the tapes one by one."
        )
    return tapes[0]


def _object_array(argument: Any) -> Any:
    """A list of angles as an array, which quantum functions index as they do arrays of numbers."""
    if not isinstance(argument, list | tuple) or not argument:
        return argument
    array = np.array(argument, dtype=object)
    return array if any(isinstance(entry, Angle) for entry in array.flat) else argument


def _native(tape: QuantumScript) -> QuantumScript:
    if any(isinstance(op, MidMeasure) for op in tape.operations):
        (tape,), _ = qml.defer_measurements(tape)
    (tape,), _ = run_natively(tape)
    return tape


class _Roles:
    """Gives each number of a tape its role, in the order of the gates."""

    def __init__(self, tape: QuantumScript) -> None:
        numbers = [number for op in tape.operations for number in op.data]
        self.symbolic = any(_is_symbolic(number) for number in numbers)
        marked = [qml.math.requires_grad(number) for number in numbers] if not self.symbolic else []
        chosen = {k for k, mark in enumerate(marked) if mark} or set(tape.trainable_params)
        self.trained = [k in chosen for k in range(len(numbers))]
        self.position = 0
        self.weights: list[float] = []
        self.columns: list[np.ndarray] = []

    def angles(self, op: Any) -> list[Angle]:
        """An angle for each number of an operator that is one, or for each real amplitude of a state."""
        trained = self.trained[self.position : self.position + len(op.data)]
        self.position += len(op.data)
        if isinstance(op, qml.StatePrep):
            return self._amplitudes(op)
        if not reads_angles(op):
            return []
        return [self._angle(number, mark, op.name) for number, mark in zip(op.data, trained, strict=True)]

    def _angle(self, number: Any, trained: bool, name: str) -> Angle:
        if _is_symbolic(number):
            return number if isinstance(number, Angle) else np.asarray(number, dtype=object).item()
        value = np.asarray(qml.math.unwrap([number])[0])
        if value.dtype.kind not in "iuf" or value.ndim > 1:
            raise KetgradTypeError(
                f"the parameters of {name} must be real numbers, arrays over samples or angles such as kg.w[0], "
                f"but one is {number!r}."
            )
        if self.symbolic and value.ndim == 0:
            return as_angle(float(value))
        if value.ndim:
            self.columns.append(value.astype(np.float64))
            return x[len(self.columns) - 1]
        if not trained:
            return as_angle(float(value))
        self.weights.append(float(value))
        return w[len(self.weights) - 1]

    def _amplitudes(self, op: Any) -> list[Angle]:
        """Amplitudes over samples are inputs; those of one state stay numbers."""
        if op.batch_size is None:
            symbolic = np.asarray(op.data[0], dtype=object) if _is_symbolic(op.data[0]) else np.zeros(0)
            return [as_angle(entry) for entry in symbolic.flat]
        vectors = real_amplitudes(op)
        if vectors is None:
            raise KetgradTypeError(
                "a StatePrep over samples must have real amplitudes - inputs are real - but has complex ones. Convert "
                "the samples one by one."
            )
        first = len(self.columns)
        self.columns += list(vectors.T)
        return x[first : len(self.columns)]

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights, and the inputs with one row for each sample."""
        inputs = np.stack(self.columns, axis=1) if self.columns else np.zeros(0)
        return np.array(self.weights, dtype=np.float64), inputs


def _is_symbolic(number: Any) -> bool:
    return isinstance(number, Angle) or (getattr(number, "dtype", None) == np.dtype(object))


def to_pennylane(source: Circuit | Function, wires: Sequence[Any] | None = None) -> Callable[..., Any]:
    """A quantum function (weights=None, inputs=None) that applies the circuit; qubit q acts on wires[q], or on q.

    Of a Function it also returns the measurements: expectation values, probabilities, the state or samples.
    weights: (..., num_weights), inputs: (..., num_inputs), of any library that PennyLane differentiates; leading
    axes of the inputs are PennyLane's parameter broadcasting. Call it in a QNode, or make a tape of it with
    `qml.tape.make_qscript`. Raises `KetgradTypeError` for what is neither, `KetgradValueError` for missing wires.

    >>> from ketgrad import expectation
    >>> circuit = from_pennylane(lambda a: qml.RX(a, wires=0), w[0]).circuit
    >>> function = to_pennylane(expectation(circuit, from_observable(qml.Z(0))))
    >>> qml.tape.make_qscript(function)([0.5]).circuit
    [RX(0.5, wires=[0]), expval(Z(0))]
    """
    circuit = source.circuit if isinstance(source, Function) else as_circuit(source, "source")
    names = list(range(circuit.num_qubits)) if wires is None else list(wires)
    if len(names) < circuit.num_qubits or len(set(names)) != len(names):
        raise KetgradValueError(
            f"`wires` must name {circuit.num_qubits} different wires - one for each qubit - but is {names}."
        )

    def quantum_function(weights: Any = None, inputs: Any = None) -> Any:
        _check_width(weights, "weights", circuit.num_weights)
        _check_width(inputs, "inputs", circuit.num_inputs)
        for op in circuit.ops:
            operators(op, [evaluate(angle, weights, inputs) for angle in op.angles], names)
        return _measured(source, names) if isinstance(source, Function) else None

    return quantum_function


def _check_width(given: Any, name: str, width: int) -> None:
    shape = () if given is None else qml.math.shape(given)
    if width and (not shape or shape[-1] < width):
        raise KetgradValueError(
            f"`{name}` must have shape (..., {width}) - the circuit reads that many - but "
            + ("is None." if given is None else f"has shape {tuple(shape)}.")
        )


MEASUREMENTS: Mapping[type[Question], Callable[[Any, list[Any]], list[Any]]] = {
    Expect: lambda question, names: [qml.expval(to_observable(one, names)) for one in question.observables],
    Variance: lambda question, names: [qml.var(to_observable(one, names)) for one in question.observables],
    Probabilities: lambda question, names: [qml.probs(wires=[names[q] for q in question.qubits])],
    State: lambda question, names: [qml.state()],
    Samples: lambda question, names: [qml.sample(wires=names)],
}


def _measured(function: Function, names: list[Any]) -> Any:
    kind = type(function.question)
    if kind not in MEASUREMENTS:
        raise KetgradTypeError(f"PennyLane has no measurement that asks for {function.question.text()}.")
    found = MEASUREMENTS[kind](function.question, names[: function.circuit.num_qubits])
    return found[0] if len(found) == 1 else tuple(found)
