"""Qiskit circuits in: an instruction becomes ops by its row in the table, its parts, its definition or its matrix."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import (
    AnnotatedOperation,
    Barrier,
    Clbit,
    ControlFlowOp,
    ControlledGate,
    ControlModifier,
    Delay,
    Gate,
    Instruction,
    InverseModifier,
    Measure,
    Parameter,
    ParameterExpression,
    PowerModifier,
    QuantumCircuit,
    Reset,
)
from qiskit.circuit import library as lib
from qiskit.quantum_info import Clifford, Operator

from ketgrad.bridges.importing import Computed
from ketgrad.bridges.qiskit.angles import angle_of, chosen_parameters
from ketgrad.bridges.qiskit.evolution import WIDEST, evolution
from ketgrad.bridges.qiskit.gates import RULES, u_ops
from ketgrad.bridges.qiskit.paulis import from_sparse_pauli_op
from ketgrad.circuits import ops as build
from ketgrad.circuits.angles import Angle
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.matrices import embed
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import PauliSum
from ketgrad.circuits.variables import w, x
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError

MAX_OPERATIONS = 10**7
DEEPEST = 100  # definitions inside definitions


class Imported(NamedTuple):
    """A circuit that was read from qiskit, and the names that its numbers have there.

    weights[i] and inputs[j] are the names of the parameters that are w[i] and x[j].
    measured: (classical register, index in it, qubit) for each final measurement; a bit without a register is ("", k).

    >>> from qiskit import QuantumCircuit
    >>> qc = QuantumCircuit(2)
    >>> _ = qc.h(1), qc.measure_all()
    >>> kg.qiskit.from_qiskit(qc).measured
    (('meas', 0, 0), ('meas', 1, 1))
    """

    circuit: Circuit
    weights: tuple[str, ...]
    inputs: tuple[str, ...]
    measured: tuple[tuple[str, int, int], ...]


def from_qiskit(circuit: QuantumCircuit, *, inputs: Any = ()) -> Imported:
    """The circuit of ketgrad that equals a `QuantumCircuit`, and the names of its parameters.

    inputs: the parameters that are data: `Parameter`s, `ParameterVector`s, or names of either; the first becomes x[0],
    and so on. All other parameters become weights, in the order of `circuit.parameters`. Qubits keep their numbers:
    qubit k is the k-th of `circuit.qubits`, whatever its register. The global phase is kept. Read are all standard
    gates, controls in any state, matrices, state preparations of fresh qubits, Pauli gates and evolutions, annotated
    and composite instructions; barriers and delays are dropped. Final measurements are left out and listed.
    A Pauli evolution is the exponential, its time a number or an angle. Only where words that do not commute act on
    more than 8 qubits together, it is the product formula of its synthesis, and a warning says so.
    Raises `KetgradValueError` naming the instruction for measurements that are not final, resets of used qubits,
    control flow, and angles that are not polynomials of degree 2.

    >>> from qiskit import QuantumCircuit
    >>> from qiskit.circuit import Parameter
    >>> a, b, qc = Parameter("a"), Parameter("b"), QuantumCircuit(2)
    >>> _ = qc.rx(2 * a * b, 0), qc.cx(0, 1)
    >>> kg.qiskit.from_qiskit(qc, inputs=["b"])[:3]
    (Circuit([rx(2 * w[0] * x[0], 0), x(1).control(0)], num_qubits=2), ('a',), ('b',))
    """
    return _read(circuit, inputs, None)


def computable(circuit: QuantumCircuit) -> tuple[Imported, tuple[ParameterExpression, ...]]:
    """As `from_qiskit`, for callers that know all values: expressions that no angle holds are weights of their own.

    They come after those of the parameters, in the order returned.
    """
    computed = Computed(circuit.num_parameters)
    return _read(circuit, (), computed), tuple(computed.expressions)


def _read(circuit: QuantumCircuit, inputs: Any, computed: Computed | None) -> Imported:
    if not isinstance(circuit, QuantumCircuit):
        raise KetgradTypeError(f"`circuit` must be a QuantumCircuit, but is {type(circuit).__name__}.")
    parameters = tuple(circuit.parameters)
    data = chosen_parameters(inputs, parameters)
    weights = [parameter for parameter in parameters if parameter not in set(data)]
    names = {parameter: x[j] for j, parameter in enumerate(data)}
    names |= {parameter: w[i] for i, parameter in enumerate(weights)}
    refuse_too_many(size(circuit, {}), "circuit")
    reader = _QiskitReader(names, tuple(circuit.clbits), computed)
    qubits = tuple(range(circuit.num_qubits))
    found = reader.sequence(circuit, qubits, tuple(range(circuit.num_clbits)), 0)
    return Imported(
        Circuit(found, circuit.num_qubits),
        tuple(parameter.name for parameter in weights),
        tuple(parameter.name for parameter in data),
        _registers(circuit, reader.measured),
    )


def _registers(circuit: QuantumCircuit, measured: Mapping[int, int]) -> tuple[tuple[str, int, int], ...]:
    """(register, index, qubit) for each classical bit that a final measurement writes."""
    result: list[tuple[str, int, int]] = []
    for bit, qubit in sorted(measured.items()):
        places = circuit.find_bit(circuit.clbits[bit]).registers
        result += [(register.name, index, qubit) for register, index in places] or [("", bit, qubit)]
    return tuple(result)


@dataclass
class _QiskitReader:
    """One reading: the angle of each parameter, the qubits touched so far, the bits written so far.

    computed: where expressions go that no angle holds; None to refuse them.
    """

    names: Mapping[Parameter, Angle]
    clbits: tuple[Clbit, ...]
    computed: Computed | None = None
    used: set[int] = field(default_factory=set)
    measured: dict[int, int] = field(default_factory=dict)  # classical bit -> qubit
    gone: set[int] = field(default_factory=set)  # qubits measured, also those whose bit was written again

    def sequence(
        self,
        circuit: QuantumCircuit,
        qubits: Sequence[int],
        clbits: Sequence[int],
        depth: int,
        alone: bool = True,
    ) -> list[Op]:
        """The ops of a circuit on the given places. alone: not under a control, so states may be prepared."""
        place = dict(zip(circuit.qubits, qubits, strict=True))
        bit = dict(zip(circuit.clbits, clbits, strict=True))
        found: list[Op] = []
        for instruction in circuit.data:
            operation, places = instruction.operation, tuple(place[q] for q in instruction.qubits)
            if isinstance(operation, Measure):
                self._measure(places[0], bit[instruction.clbits[0]], alone)
                continue
            late = self.gone.intersection(places)
            if late and not isinstance(operation, Barrier | Delay):
                raise KetgradValueError(
                    f"The instruction '{operation.name}' acts on qubit {min(late)} after its measurement - a circuit "
                    "of ketgrad has final measurements only. Defer the measurement, or split the circuit."
                )
            found += self.ops(operation, places, tuple(bit[c] for c in instruction.clbits), depth, alone)
            self.used.update(places if not isinstance(operation, Barrier | Delay) else ())
        phase = self._angle(circuit.global_phase, "The global phase")
        return [*found, build.gphase(phase)] if phase.terms else found

    def ops(
        self, operation: Any, qubits: tuple[int, ...], clbits: tuple[int, ...], depth: int, alone: bool
    ) -> list[Op]:
        """The ops of one instruction."""
        kind = getattr(operation, "base_class", type(operation))
        rule = RULES.get(kind)
        if rule is not None and getattr(operation, "ctrl_state", None) in (
            None,
            2 ** _controls(operation) - 1,
        ):
            return rule(self._angles(operation), qubits)
        if isinstance(operation, Barrier | Delay):
            return []
        if isinstance(operation, Reset):
            return self._reset(qubits[0], alone)
        if isinstance(operation, ControlFlowOp):
            raise KetgradValueError(
                f"The instruction '{operation.name}' is control flow, which a circuit of ketgrad has not - it is a "
                "fixed sequence of gates. Unroll it first."
            )
        if isinstance(operation, lib.UnitaryGate):
            return [build.unitary(operation.to_matrix(), *reversed(qubits))]
        if isinstance(operation, lib.PauliGate):
            letter = {"X": build.x, "Y": build.y, "Z": build.z}
            pairs = zip(reversed(operation.params[0]), qubits, strict=True)
            return [letter[name](qubit) for name, qubit in pairs if name != "I"]
        if isinstance(operation, lib.PauliEvolutionGate):
            evolved = self._evolution(operation, qubits)
            if evolved is not None:
                return evolved
        if isinstance(operation, AnnotatedOperation):
            return self._annotated(operation, qubits, depth)
        if isinstance(operation, ControlledGate) and operation.num_qubits == _controls(operation) + (
            operation.base_gate.num_qubits
        ):
            return self._controlled(operation, qubits, depth)
        if isinstance(operation, lib.StatePreparation) and alone and not self.used.intersection(qubits):
            amplitudes = _amplitudes(operation)
            if amplitudes is not None:
                return [build.prepare_state(amplitudes, *reversed(qubits), normalize=True)]
        return self._by_definition(operation, qubits, clbits, depth, alone)

    def _angles(self, operation: Any) -> list[Angle]:
        if not operation.params:
            return []
        where = f"The angle of '{operation.name}'"
        return [self._angle(parameter, where) for parameter in operation.params]

    def _angle(self, value: Any, where: str) -> Angle:
        return angle_of(value, self.names, where, self.computed)

    def _measure(self, qubit: int, bit: int, alone: bool) -> None:
        if not alone:
            raise KetgradValueError(
                "A measurement cannot stand in an instruction that is controlled or inverted."
            )
        self.measured[bit] = qubit
        self.gone.add(qubit)

    def _reset(self, qubit: int, alone: bool) -> list[Op]:
        if not alone or qubit in self.used:
            raise KetgradValueError(
                f"The circuit resets qubit {qubit} after a gate - a circuit of ketgrad is unitary, so only resets of "
                "qubits that are still in |0> are accepted, and dropped."
            )
        return []

    def _controlled(self, gate: Any, qubits: tuple[int, ...], depth: int) -> list[Op]:
        """The base gate under controls; controls that must be 0 are flipped before and after."""
        count = _controls(gate)
        controls, targets = qubits[:count], qubits[count:]
        if isinstance(gate, lib.CUGate):  # its fourth angle is not among those of the base gate
            base = u_ops(self._angles(gate), targets)
        else:
            base = self.ops(gate.base_gate, targets, (), depth + 1, False)
        inner = [op.control(*controls) for op in base]
        flips = [build.x(qubit) for k, qubit in enumerate(controls) if not gate.ctrl_state >> k & 1]
        return [*flips, *inner, *flips]

    def _annotated(self, operation: AnnotatedOperation, qubits: tuple[int, ...], depth: int) -> list[Op]:
        """Modifiers in the order in which they were put on; the last one's controls are the first qubits."""
        count = sum(m.num_ctrl_qubits for m in operation.modifiers if isinstance(m, ControlModifier))
        free, below = qubits[:count], ()
        found = self.ops(operation.base_op, qubits[count:], (), depth + 1, False)
        for modifier in operation.modifiers:
            if isinstance(modifier, InverseModifier):
                found = [op.inverse() for op in reversed(found)]
            elif isinstance(modifier, PowerModifier):
                found = _power(found, modifier.power, operation, [*below, *qubits[count:]])
            elif isinstance(modifier, ControlModifier):
                split = len(free) - modifier.num_ctrl_qubits
                free, controls = free[:split], free[split:]
                below = (*controls, *below)
                state = modifier.ctrl_state
                flips = [build.x(q) for k, q in enumerate(controls) if not state >> k & 1]
                found = [*flips, *(op.control(*controls) for op in found), *flips]
        return found

    def _evolution(self, gate: Any, qubits: tuple[int, ...]) -> list[Op] | None:
        """exp(-i t H), exact; None, with a warning, where that would be a matrix of too many qubits."""
        operators = gate.operator if isinstance(gate.operator, list) else [gate.operator]
        total = sum(map(from_sparse_pauli_op, operators), start=PauliSum(()))
        time = self._angle(gate.time, f"The time of '{gate.name}'")
        found = evolution(total, time, qubits)
        if found is None:
            warnings.warn(
                f"The instruction '{gate.name}' evolves by words that do not commute on more than {WIDEST} qubits "
                "together, so it is read as the product formula of its synthesis, which is not the exponential. "
                "Decompose it to say so yourself, or split the operator.",
                stacklevel=2,
            )
        return found

    def _by_definition(
        self, operation: Any, qubits: tuple[int, ...], clbits: tuple[int, ...], depth: int, alone: bool
    ) -> list[Op]:
        if depth >= DEEPEST:
            raise KetgradValueError(f"The instruction '{operation.name}' is nested more than {DEEPEST} deep.")
        if isinstance(operation, Clifford):
            operation = operation.to_instruction()
        definition = _asked(operation, "definition", lambda: getattr(operation, "definition", None))
        if definition is not None:
            if definition.num_qubits > len(qubits) or definition.num_clbits > len(clbits):
                raise KetgradValueError(
                    f"The instruction '{operation.name}' acts on {len(qubits)} qubits and {len(clbits)} bits, but its "
                    f"definition on {definition.num_qubits} and {definition.num_clbits}."
                )
            places = qubits[: definition.num_qubits]  # qiskit lets a definition leave out the last ones
            return self.sequence(definition, places, clbits[: definition.num_clbits], depth + 1, alone)
        if hasattr(operation, "to_matrix"):
            matrix = _asked(operation, "matrix", operation.to_matrix)
            return [build.unitary(np.asarray(matrix), *reversed(qubits))]
        raise KetgradValueError(
            f"The instruction '{operation.name}' has neither a definition nor a matrix, so it cannot be read. "
            "Decompose it into gates first."
        )


def _controls(operation: Any) -> int:
    return getattr(operation, "num_ctrl_qubits", 0)


def _asked(operation: Any, what: str, ask: Callable[[], Any]) -> Any:
    """What an instruction says of itself; any exception of its own code becomes ours, with its name."""
    try:
        return ask()
    except Exception as error:
        raise KetgradValueError(
            f"The instruction '{operation.name}' has no {what}: {str(error).rstrip('.')}. Decompose it into gates "
            "first, or bind its parameters."
        ) from error


def _power(ops: list[Op], power: float, operation: AnnotatedOperation, qubits: Sequence[int]) -> list[Op]:
    """A whole power as a sequence, any other as the principal power of the matrix, as qiskit takes it."""
    if math.isfinite(power) and power == int(power):
        once = ops if power >= 0 else [op.inverse() for op in reversed(ops)]
        return once * abs(int(power))
    reason = None
    if not math.isfinite(power):
        reason = "which is no number"
    elif any(not angle.is_constant for op in ops for angle in op.angles):
        reason = "but such a power of a gate with free parameters is no sequence of gates. Bind them first"
    elif len(qubits) > WIDEST:
        reason = f"but such powers are matrices, of {WIDEST} qubits at most. Use its `power` method"
    if reason is not None:
        raise KetgradValueError(
            f"The instruction '{operation.base_op.name}' is raised to the power {power}, {reason}."
        )
    place = {qubit: k for k, qubit in enumerate(qubits)}
    matrix = np.eye(2 ** len(qubits), dtype=np.complex128)
    for op in ops:
        places = [place[qubit] for qubit in op.qubits]
        matrix = embed(op.matrix(), places, len(qubits), [place[qubit] for qubit in op.controls]) @ matrix
    return [build.unitary(Operator(matrix).power(power).data, *qubits)]


def size(circuit: QuantumCircuit, known: dict[int, int]) -> int:
    """How many gates a circuit stands for, counted before it is expanded; definitions that occur twice once.

    known: the sizes found so far, by the identity of the definitions, which the circuit keeps alive.
    """
    if id(circuit) not in known:
        known[id(circuit)] = sum(_size(instruction.operation, known) for instruction in circuit.data)
    return known[id(circuit)]


def _size(operation: Any, known: dict[int, int]) -> int:
    if isinstance(operation, AnnotatedOperation):
        powers = [abs(m.power) for m in operation.modifiers if isinstance(m, PowerModifier)]
        whole = [int(power) for power in powers if math.isfinite(power) and power == int(power)]
        return _size(operation.base_op, known) * math.prod(max(1, power) for power in whole)
    if isinstance(operation, ControlledGate) and type(operation) is ControlledGate:
        return _size(operation.base_gate, known)
    if type(operation) not in (Gate, Instruction) or operation.definition is None:
        return 1  # a gate of the library: its definition has a bounded size
    return size(operation.definition, known)


def refuse_too_many(count: int, name: str) -> None:
    """Raise if what is called `name` stands for more gates than a circuit may have."""
    if count > MAX_OPERATIONS:
        raise KetgradValueError(
            f"The {name} stands for {count:,} gates or more, but a circuit of ketgrad may have {MAX_OPERATIONS:,}."
        )


def _amplitudes(preparation: Any) -> np.ndarray | None:
    """The state vector that a preparation holds as numbers; None for one that is named by letters or an integer."""
    values = preparation.params
    if any(isinstance(value, str) for value in values) or len(values) != 2**preparation.num_qubits:
        return None
    return np.array(values, dtype=np.complex128)
