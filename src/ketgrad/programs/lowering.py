"""compile(circuit, question) -> Program: gates become Pauli rotations, matrices and prepared states."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from ketgrad.circuits.angles import Angle, Monomial, Variable
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gate_kinds import Fixed, Preparation, Rotation, Sequence
from ketgrad.circuits.gates import GATES
from ketgrad.circuits.matrices import deviation_from_unitary
from ketgrad.circuits.op import Op, parts_of
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.memory import reserve
from ketgrad.programs.program import Occurrence, Program, ProgramBuilder, Term
from ketgrad.programs.question import WIDEST, Question
from ketgrad.programs.questions import QUESTIONS, num_words

MASKS_PER_OP = 3  # that are as wide as the register, where that is wider than 62 qubits
LARGEST_COEFFICIENT = sys.float_info.max
LARGEST_CONSTANT = 2.0**53  # of an angle: float64 numbers beyond it stand more than 1 rad apart
REDUCED_ABOVE = (
    2.0**20
)  # constants beyond it are brought back by whole turns, so that what is added to them keeps its digits
BYTES_PER_VARIABLE = 64  # what a call holds of each weight and input at least: values, slots, derivatives
FOUR_PI = 4 * Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


def check_circuit(circuit: Any) -> Circuit:
    """The circuit, itself or as a bridge returned it; raise unless its program fits into memory."""
    circuit = as_circuit(circuit)
    reserve(
        _bytes_of_masks(circuit),
        f"the program of {len(circuit.ops)} ops on {circuit.num_qubits} qubits",
        "Use fewer of them.",
    )
    return circuit


def compile(circuit: Circuit, question: Question) -> Program:
    """Lower a circuit to the instructions of a Program.

    Rotations become one Pauli rotation per word of their generator, fixed gates unitaries, sequences their parts.
    Constants beyond 2^20 are reduced by multiples of 4 pi, exactly. Cost: linear in the number of ops. Raises
    `KetgradValueError` if a state is prepared on a qubit that something has acted on, a constant in an angle lies
    beyond 2^53, or an observable is not Hermitian; `KetgradIndexError` if the question names a qubit that the circuit
    does not have; `KetgradMemoryError` if the weights and inputs up to the largest index, or the instructions on a
    very wide register, do not fit into memory.

    >>> import ketgrad as kg
    >>> from ketgrad.programs.questions import State
    >>> program = compile(kg.Circuit([kg.xy(kg.w[0], 0, 1)]), State())
    >>> program.num_instructions, program.occurrences[0].frequencies
    (2, (1.0, 2.0))
    """
    circuit = as_circuit(circuit)
    if not isinstance(question, Question):
        kinds = ", ".join(kind.__name__ for kind in QUESTIONS[:-1])
        raise KetgradTypeError(
            f"`question` must be an {kinds} or {QUESTIONS[-1].__name__}, but is {type(question).__name__}."
        )
    question.check(circuit.num_qubits)
    _reserve_variables(circuit)
    if circuit.num_qubits > WIDEST:
        _reserve_masks(circuit, question)
    lowering = _Lowering(circuit)
    for index, op in enumerate(circuit.ops):
        lowering.add(index, op)
        lowering.touched.update(op.qubits, op.controls)
    return lowering.builder.program(question)


class _Lowering:
    """Lowers the ops of one circuit, one after the other, into a builder."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.num_qubits = circuit.num_qubits
        self.masks: dict[
            tuple[int, ...], int
        ] = {}  # equal masks are one object: they may be as wide as the register
        input_map = _input_map(circuit)
        first_input = 1 + circuit.num_weights
        derived = () if input_map is None else input_map[circuit.num_inputs :]
        self.first_slot = {"w": 1, "x": first_input}
        self.slot_of_derived = {
            variable: first_input + circuit.num_inputs + k for k, variable in enumerate(derived)
        }
        num_inputs = circuit.num_inputs + len(derived)
        self.touched: set[int] = set()  # the qubits that something has acted on
        self.builder = ProgramBuilder(self.num_qubits, circuit.num_weights, num_inputs, input_map)

    def slot(self, variable: Variable) -> int:
        kind, index = variable
        first = self.first_slot.get(kind)
        return self.slot_of_derived[variable] if first is None else first + index

    def mask(self, qubits: Iterable[int]) -> int:
        places = tuple(qubits)
        found = self.masks.get(places)
        if found is None:
            found = self.masks[places] = sum(1 << (self.num_qubits - 1 - q) for q in places)
        return found

    def add(self, index: int, op: Op) -> None:
        match op.gate.definition:
            case Rotation(generator):
                self._rotation(index, op, generator)
            case Fixed(unitary):
                _check_unitary(op, unitary)
                self.builder.apply(op.gate.matrix(), self._targets(op), self.mask(op.controls))
            case Sequence() as sequence:  # each use of a variable angle is an occurrence of its own
                for part in parts_of(op, sequence):
                    self.add(index, part)
            case Preparation() as state:
                self._prepare(index, op, state)

    def _targets(self, op: Op) -> list[int]:
        return [self.num_qubits - 1 - q for q in op.qubits]

    def _rotation(self, index: int, op: Op, generator: PauliSum) -> None:
        """Emit one rotation for each word of the generator, which scales the angle by its coefficient."""
        qubits, (angle,), conditions = op.qubits, op.angles, self.mask(op.controls)
        first, scales = self.builder.num_instructions, []
        for x, z, coefficient in generator.terms:
            scale = complex(coefficient).real
            flip = self.mask(qubits[k] for k in range(len(qubits)) if x >> k & 1)
            parity = self.mask(qubits[k] for k in range(len(qubits)) if z >> k & 1)
            self.builder.rotate(flip, parity, self._scaled_terms(angle, scale, op.gate, qubits), conditions)
            scales.append(scale)
        if not angle.is_constant:
            uses = [(first + k, scale) for k, scale in enumerate(scales)]
            self._occurrence(index, op, angle, op.gate.frequencies(bool(op.controls)), uses)

    def _prepare(self, index: int, op: Op, state: Preparation) -> None:
        if not self.touched.isdisjoint(op.qubits):
            raise KetgradValueError(
                f"Op {index}, `prepare_state` on qubits {op.qubits}, must come before all other ops on these qubits "
                "- it prepares qubits that are in |0>. Put it first, or use `unitary`."
            )
        targets = self._targets(op)
        if not op.angles:
            self.builder.prepare(targets, state.vector(), normalize=state.normalize)
            return
        coefficients = np.array([a.terms[0][1] if a.terms else 0.0 for a in op.angles], dtype=np.complex128)
        monomials = [a.terms[0][0] if a.terms else () for a in op.angles]
        slots = np.array([self.slot(m[0]) if m else 0 for m in monomials], dtype=np.int64)
        variable = next((a for a in op.angles if not a.is_constant), None)
        if variable is not None:
            self._occurrence(index, op, variable, None, [(self.builder.num_instructions, 1.0)])
        self.builder.prepare(targets, coefficients, slots, state.normalize)

    def _occurrence(
        self, index: int, op: Op, angle: Angle, frequencies: Any, uses: list[tuple[int, float]]
    ) -> None:
        instructions, scales = zip(*uses, strict=True)
        places = (*op.controls, *op.qubits)
        name = self.circuit.ops[index].gate.name
        self.builder.occurrences.append(
            Occurrence(index, name, places, frequencies, instructions, scales, angle)
        )

    def _scaled_terms(self, angle: Angle, scale: float, gate: Gate, qubits: tuple[int, ...]) -> list[Term]:
        rows = []
        for monomial, unscaled in angle.terms:
            coefficient = unscaled * scale
            if not abs(coefficient) <= (LARGEST_COEFFICIENT if monomial else LARGEST_CONSTANT):
                raise _too_large(angle, unscaled, abs(scale), monomial, gate, qubits)
            if monomial:
                slots = [self.slot(variable) for variable in monomial] + [0]
                rows.append((coefficient, slots[0], slots[1]))
            else:
                within = coefficient if abs(coefficient) <= REDUCED_ABOVE else _within_a_turn(coefficient)
                rows.append((within, 0, 0))
        return rows


def _too_large(
    angle: Angle, coefficient: float, scale: float, monomial: Monomial, gate: Gate, qubits: tuple[int, ...]
) -> KetgradValueError:
    part = (
        "constant"
        if angle.is_constant
        else f"coefficient of {Angle(((monomial, 1.0),))!r}"
        if monomial
        else "constant term"
    )
    largest = (LARGEST_COEFFICIENT if monomial else LARGEST_CONSTANT) / max(1.0, scale)
    rule = f"must lie within +-{largest:.1g}"
    rule += "," if monomial else " - float64 numbers beyond that stand more than 1 rad apart -"
    return KetgradValueError(
        f"the {part} in the angle of {gate.name}{_on(qubits)} {rule} but is {coefficient:.3g}. Reduce it modulo 2 pi "
        "where it is made."
    )


def _on(qubits: tuple[int, ...]) -> str:
    return f" on qubit{'s' * (len(qubits) != 1)} {', '.join(str(q) for q in qubits)}" if qubits else ""


def _check_unitary(op: Op, unitary: bytes) -> None:
    """Refuse a matrix that is not unitary in a gate made by hand: the executors take U U† = 1 for granted."""
    gate = op.gate
    if GATES.get(gate.name) is gate:
        return
    deviation = _deviation(unitary)
    if not deviation <= 1e-7:
        raise KetgradValueError(
            f"the matrix of {gate.name}{_on(op.qubits)} must be unitary - a gate keeps the norm - but U U† differs "
            f"from the identity by up to {deviation:.3g}."
        )


@lru_cache(maxsize=256)
def _deviation(unitary: bytes) -> float:
    entries = np.frombuffer(unitary, np.complex128)
    return deviation_from_unitary(entries.reshape(math.isqrt(len(entries)), -1))


def _within_a_turn(angle: float) -> float:
    """The angle less a multiple of 4 pi, after which every rotation is what it was: correctly rounded."""
    exact = Fraction(angle)
    return float(exact - round(exact / FOUR_PI) * FOUR_PI)


def _reserve_variables(circuit: Circuit) -> None:
    """Refuse indices of weights and inputs whose arrays cannot be had."""
    derived = any(kind not in "wx" for kind, _ in circuit.variables)
    for letter, count in (("w", circuit.num_weights), ("x", circuit.num_inputs)):
        name = "weights" if letter == "w" else "inputs"
        reserve(
            BYTES_PER_VARIABLE * count * (3 if derived and letter == "x" else 1),
            f"one row of `{name}`, {letter}[0] to {letter}[{count - 1}],",
            f"The largest index decides: number the {name} from 0 without gaps.",
        )


def _reserve_masks(circuit: Circuit, question: Question) -> None:
    """Refuse a program of which each instruction, and each word, holds integers as wide as the register."""
    words = num_words(question.base.observables)
    reserve(
        _bytes_of_masks(circuit) + 2 * words * (circuit.num_qubits // 8),
        f"the program of {len(circuit.ops)} ops on {circuit.num_qubits} qubits",
        "The highest qubit decides: number the qubits from 0 without gaps.",
    )


def _bytes_of_masks(circuit: Circuit) -> int:
    """Of integers as wide as the register: equal ones are kept once. Of machine words every instruction has its own."""
    different = len(circuit.ops)
    if circuit.num_qubits > WIDEST:
        different = len({(op.qubits, op.controls) for op in circuit.ops})
    return (1 + different) * MASKS_PER_OP * max(8, circuit.num_qubits // 8)


def _input_map(circuit: Circuit) -> tuple[tuple[str, int], ...] | None:
    """The inputs as executors see them, or None where they are the user's own."""
    derived = sorted((kind, j) for kind, j in circuit.variables if kind not in "wx")
    if not derived:
        return None
    return (*(("identity", j) for j in range(circuit.num_inputs)), *derived)
