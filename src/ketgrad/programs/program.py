"""compile(circuit, question) -> Program: flat arrays, the only thing that an executor ever sees.

Inside a Program, bit p = n - 1 - q of a mask or basis index is qubit q, so qubit 0 is the most significant bit.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ketgrad.circuits.angles import Angle, Monomial, Variable
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.gate_checks import deviation_from_unitary
from ketgrad.circuits.gates import GATES, Gate
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import PauliSum, check_hermitian, reverse_bits
from ketgrad.foundation.errors import KetgradIndexError, KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.memory import reserve

PAULI_ROTATION, UNITARY, STATE_PREPARATION, CHANNEL = range(4)
MASKS_PER_OP = 3  # that are as wide as the register, where that is wider than 62 qubits
WIDEST = 62  # qubits that fit into the masks of an executor; wider programs can be described, not simulated
LARGEST_COEFFICIENT = sys.float_info.max
LARGEST_CONSTANT = 2.0**53  # of an angle: float64 numbers beyond it stand more than 1 rad apart
REDUCED_ABOVE = (
    2.0**20
)  # constants beyond it are brought back by whole turns, so that what is added to them keeps its digits
LARGEST_OBSERVABLE = 2.0**500  # sum of the coefficients: twice it, times another such number, is still finite
BYTES_PER_VARIABLE = 64  # what a call holds of each weight and input at least: values, slots, derivatives
FOUR_PI = 4 * Fraction("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


@dataclass(frozen=True)
class Expect:
    """Expectation values of Hermitian Pauli sums."""

    observables: tuple[PauliSum, ...]


@dataclass(frozen=True)
class Probabilities:
    """Probabilities of the 2**m outcomes of measuring `qubits`; the first is the most significant bit."""

    qubits: tuple[int, ...]


@dataclass(frozen=True)
class State:
    """The state vector."""


@dataclass(frozen=True)
class Samples:
    """`shots` measured outcomes of all qubits."""

    shots: int


Question = Expect | Probabilities | State | Samples


@dataclass(frozen=True)
class Occurrence:
    """One angle of one op that depends on weights or inputs, and where the program uses it.

    Instruction `instructions[k]` turns by `scales[k]` times this angle. `frequencies` are those of an
    expectation value as a function of it; None where there are none (amplitudes of a prepared state).
    """

    op_index: int
    gate_name: str
    qubits: tuple[int, ...]
    frequencies: tuple[float, ...] | None
    instructions: tuple[int, ...]
    scales: tuple[float, ...]
    angle: Angle


@dataclass(frozen=True, eq=False)
class Program:
    """Instructions, angles and question as arrays.

    angle of instruction i = sum over t in term_start[i]:term_start[i+1] of
    term_coefficient[t] * z[term_a[t]] * z[term_b[t]] with the slots z = [1, weights..., inputs...].

    kind: uint8 (PAULI_ROTATION, UNITARY, STATE_PREPARATION). x, z, controls: uint64 masks; a rotation is
    exp(-i angle / 2 * i^|x & z| X^x Z^z), on the subspace where all `controls` are 1.
    targets: bit positions of a UNITARY or STATE_PREPARATION, most significant first.
    data: row-major matrix, or coefficients c_j of the amplitudes c_j * z[amplitude_slot[j]].
    input_map: for each input that executors see, (function, index of the user's input).
    """

    num_qubits: int
    num_weights: int
    num_inputs: int
    kind: np.ndarray
    x: np.ndarray
    z: np.ndarray
    controls: np.ndarray
    term_start: np.ndarray
    term_coefficient: np.ndarray
    term_a: np.ndarray
    term_b: np.ndarray
    target_start: np.ndarray
    targets: np.ndarray
    data_start: np.ndarray
    data: np.ndarray
    amplitude_slot: np.ndarray
    normalize: np.ndarray
    question: Question
    observable_start: np.ndarray
    word_x: np.ndarray
    word_z: np.ndarray
    word_coefficient: np.ndarray
    measured: np.ndarray
    occurrences: tuple[Occurrence, ...]
    input_map: tuple[tuple[str, int], ...] | None
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)  # executors keep their compiled form here

    @property
    def num_instructions(self) -> int:
        """How many instructions there are."""
        return len(self.kind)

    @property
    def num_outputs(self) -> int:
        """Length of the last axis of the answer: observables, outcomes, amplitudes, or measured qubits."""
        if isinstance(self.question, Expect):
            return len(self.question.observables)
        return 2 ** (len(self.measured) if isinstance(self.question, Probabilities) else self.num_qubits)

    def angles(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The angles of all instructions, shape (batch, instructions), of weights and inputs (1 or batch, ...)."""
        batch = max(len(weights), len(inputs))
        return self._totals(self._terms(weights, inputs, batch))

    def angle_sizes(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """As `angles`, of the absolute values of the terms: the size of what is added up."""
        batch = max(len(weights), len(inputs))
        return self._totals(np.abs(self._terms(weights, inputs, batch)))

    @cached_property
    def steepness(self) -> float:
        """The largest sum of the absolute coefficients of an angle: no angle exceeds it times max(1, |z|)**2."""
        return float(self._totals(np.abs(self.term_coefficient)[None]).max(initial=0.0))

    @cached_property
    def observable_size(self) -> float:
        """The largest sum of the absolute coefficients of an observable: no value exceeds it."""
        owner = np.repeat(np.arange(len(self.observable_start) - 1), np.diff(self.observable_start))
        return float(np.bincount(owner, np.abs(self.word_coefficient)).max(initial=0.0))

    def _terms(self, weights: np.ndarray, inputs: np.ndarray, batch: int) -> np.ndarray:
        parts = (np.ones((1, 1)), weights, inputs)
        slots = np.concatenate([np.broadcast_to(part, (batch, part.shape[1])) for part in parts], axis=1)
        return self.term_coefficient * slots[:, self.term_a] * slots[:, self.term_b]

    def _totals(self, terms: np.ndarray) -> np.ndarray:
        """Sums (rows, instructions) of the terms (rows, terms) of each instruction."""
        owner = np.repeat(np.arange(self.num_instructions), np.diff(self.term_start))
        totals = np.zeros((len(terms), self.num_instructions))
        np.add.at(totals.T, owner, terms.T)
        return totals

    def with_offsets(self) -> Program:
        """The program with one more input per occurrence, added to that occurrence's angle.

        Parameter-shift rules run it once, on a batch whose rows shift one angle each.
        """
        extra: dict[int, list[tuple[float, int]]] = {}
        for k, occurrence in enumerate(self.occurrences):
            slot = 1 + self.num_weights + self.num_inputs + k
            for instruction, scale in zip(occurrence.instructions, occurrence.scales, strict=True):
                extra.setdefault(instruction, []).append((scale, slot))
        start, coefficient, a, b = [0], [], [], []
        for i in range(self.num_instructions):
            rows = slice(self.term_start[i], self.term_start[i + 1])
            coefficient += [*self.term_coefficient[rows], *(scale for scale, _ in extra.get(i, []))]
            a += [*self.term_a[rows], *(slot for _, slot in extra.get(i, []))]
            b += [*self.term_b[rows], *(0 for _ in extra.get(i, []))]
            start.append(len(a))
        return replace(
            self,
            num_inputs=self.num_inputs + len(self.occurrences),
            term_start=np.array(start, np.int64),
            term_coefficient=np.array(coefficient, np.float64),
            term_a=np.array(a, np.int64),
            term_b=np.array(b, np.int64),
            cache={},
        )

    def asking(self, question: Question) -> Program:
        """The same instructions under another question."""
        return replace(self, question=question, cache={}, **_question_arrays(question, self.num_qubits))

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"cache": {}}


def compile(circuit: Circuit, question: Question) -> Program:
    """Lower a circuit to the instructions of a Program.

    Rotations become one Pauli rotation per word of their generator, fixed gates unitaries, sequences their parts.
    Constants beyond 2^20 are reduced by multiples of 4 pi, exactly. Cost: linear in the number of ops. Raises
    `KetgradValueError` if a state is prepared on a qubit that something has acted on, a constant in an angle lies
    beyond 2^53, or an observable is not Hermitian; `KetgradIndexError` if the question names a qubit that the circuit
    does not have; `KetgradMemoryError` if the weights and inputs up to the largest index, or the instructions on a
    very wide register, do not fit into memory.

    >>> import ketgrad as kg
    >>> program = compile(kg.Circuit([kg.xy(kg.w[0], 0, 1)]), State())
    >>> program.num_instructions, program.occurrences[0].frequencies
    (2, (1.0, 2.0))
    """
    circuit = as_circuit(circuit)
    if not isinstance(question, Expect | Probabilities | State | Samples):
        raise KetgradTypeError(
            f"`question` must be an Expect, Probabilities, State or Samples, but is {type(question).__name__}."
        )
    _reserve_variables(circuit)
    if circuit.num_qubits > WIDEST:
        _reserve_masks(circuit, question)
    lowering = _Lowering(circuit)
    touched = 0
    for index, op in enumerate(circuit.ops):
        places = lowering.mask((*op.qubits, *op.controls))
        if op.gate.amplitudes is not None and touched & places:
            raise KetgradValueError(
                f"Op {index}, `prepare_state` on qubits {op.qubits}, must come before all other ops on these qubits "
                "- it prepares qubits that are in |0>. Put it first, or use `unitary`."
            )
        touched |= places
        lowering.add(index, op)
    return lowering.program(question)


class _Lowering:
    """Collects the instruction lists of one circuit."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.num_qubits = circuit.num_qubits
        self.input_map = _input_map(circuit)
        first_input = 1 + circuit.num_weights
        derived = () if self.input_map is None else self.input_map[circuit.num_inputs :]
        self.first_slot = {"w": 1, "x": first_input}
        self.slot_of_derived = {
            variable: first_input + circuit.num_inputs + k for k, variable in enumerate(derived)
        }
        self.num_inputs = circuit.num_inputs + len(derived)
        self.rows: list[tuple[int, int, int, int]] = []  # kind, x, z, controls
        self.terms: list[list[tuple[float, int, int]]] = []
        self.targets: list[list[int]] = []
        self.data: list[np.ndarray] = []
        self.slots: list[np.ndarray] = []
        self.normalize: list[int] = []
        self.uses: dict[
            tuple[int, int], list[tuple[int, float]]
        ] = {}  # (op, angle position) -> instruction, scale
        self.occurrences: list[Occurrence] = []

    def slot(self, variable: Variable) -> int:
        kind, index = variable
        first = self.first_slot.get(kind)
        return self.slot_of_derived[variable] if first is None else first + index

    def mask(self, qubits: Iterable[int]) -> int:
        return sum(1 << (self.num_qubits - 1 - q) for q in qubits)

    def add(self, index: int, op: Op) -> None:
        if op.gate.amplitudes is not None:
            self._prepare(index, op)
        elif op.gate.equals is not None:
            self._sequence(index, op)
        else:
            first = len(self.rows)
            scales = self._simple(op.gate, op.qubits, op.angles, op.controls)
            if op.angles and not op.angles[0].is_constant:
                uses = [(first + k, scale) for k, scale in enumerate(scales)]
                self._occurrence(index, op, op.angles[0], op.gate.frequencies(bool(op.controls)), uses)

    def _simple(
        self, gate: Gate, qubits: tuple[int, ...], angles: tuple[Angle, ...], controls: tuple[int, ...]
    ) -> list[float]:
        """Emit a fixed gate or a rotation; returns by how much each instruction scales the angle."""
        conditions = self.mask(controls)
        if gate.generator is None:
            _check_unitary(gate, qubits)
            matrix = gate.matrix().ravel()
            self._emit(UNITARY, 0, 0, conditions, (), [self.num_qubits - 1 - q for q in qubits], matrix)
            return []
        scales = []
        for x, z, coefficient in gate.generator.terms:
            scale = complex(coefficient).real
            flip = self.mask(qubits[k] for k in range(len(qubits)) if x >> k & 1)
            parity = self.mask(qubits[k] for k in range(len(qubits)) if z >> k & 1)
            self._emit(
                PAULI_ROTATION, flip, parity, conditions, self._scaled_terms(angles[0], scale, gate, qubits)
            )
            scales.append(scale)
        return scales

    def _sequence(self, index: int, op: Op) -> None:
        """Emit the parts of a sequence; each use of a variable angle is an occurrence of its own."""
        assert op.gate.equals is not None
        for name, angles, local, controls in op.gate.equals(*op.angles):
            gate = GATES.get(name) or GATES[name.removesuffix("_dg")].inverse()
            part = Op.build(
                gate, [op.qubits[k] for k in local], angles, (*op.controls, *(op.qubits[k] for k in controls))
            )
            self.add(index, part)

    def _prepare(self, index: int, op: Op) -> None:
        targets = [self.num_qubits - 1 - q for q in op.qubits]
        if not op.angles:
            vector = np.frombuffer(op.gate.amplitudes or b"", dtype=np.complex128)
            self._emit(STATE_PREPARATION, 0, 0, 0, (), targets, vector, normalize=op.gate.normalize)
            return
        coefficients = np.array([a.terms[0][1] if a.terms else 0.0 for a in op.angles], dtype=np.complex128)
        monomials = [a.terms[0][0] if a.terms else () for a in op.angles]
        slots = np.array([self.slot(m[0]) if m else 0 for m in monomials], dtype=np.int64)
        variable = next((a for a in op.angles if not a.is_constant), None)
        if variable is not None:
            self._occurrence(index, op, variable, None, [(len(self.rows), 1.0)])
        self._emit(STATE_PREPARATION, 0, 0, 0, (), targets, coefficients, slots, op.gate.normalize)

    def _occurrence(
        self, index: int, op: Op, angle: Angle, frequencies: Any, uses: list[tuple[int, float]]
    ) -> None:
        instructions, scales = zip(*uses, strict=True)
        places = (*op.controls, *op.qubits)
        name = self.circuit.ops[index].gate.name
        self.occurrences.append(Occurrence(index, name, places, frequencies, instructions, scales, angle))

    def _scaled_terms(
        self, angle: Angle, scale: float, gate: Gate, qubits: tuple[int, ...]
    ) -> list[tuple[float, int, int]]:
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

    def _emit(self, kind: int, x: int, z: int, controls: int, terms: Sequence[tuple[float, int, int]],
              targets: Sequence[int] = (), data: np.ndarray | None = None, slots: np.ndarray | None = None,
              normalize: bool = False) -> None:  # fmt: skip
        entries = np.empty(0, np.complex128) if data is None else data
        self.rows.append((kind, x, z, controls))
        self.terms.append(list(terms))
        self.targets.append(list(targets))
        self.data.append(entries)
        self.slots.append(np.zeros(len(entries), np.int64) if slots is None else slots)
        self.normalize.append(int(normalize))

    def program(self, question: Question) -> Program:
        flat = [term for terms in self.terms for term in terms]
        masks = np.uint64 if self.num_qubits <= WIDEST else object
        empty = np.empty(0, np.complex128)
        return Program(
            num_qubits=self.num_qubits,
            num_weights=self.circuit.num_weights,
            num_inputs=self.num_inputs,
            kind=np.array([row[0] for row in self.rows], np.uint8),
            x=np.array([row[1] for row in self.rows], masks),
            z=np.array([row[2] for row in self.rows], masks),
            controls=np.array([row[3] for row in self.rows], masks),
            term_start=_starts(self.terms),
            term_coefficient=np.array([term[0] for term in flat], np.float64),
            term_a=np.array([term[1] for term in flat], np.int64),
            term_b=np.array([term[2] for term in flat], np.int64),
            target_start=_starts(self.targets),
            targets=np.array([t for targets in self.targets for t in targets], np.int64),
            data_start=_starts(self.data),
            data=np.concatenate([empty, *self.data]),
            amplitude_slot=np.concatenate([np.empty(0, np.int64), *self.slots]),
            normalize=np.array(self.normalize, np.uint8),
            question=question,
            occurrences=tuple(self.occurrences),
            input_map=self.input_map,
            **_question_arrays(question, self.num_qubits),
        )


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


def _check_unitary(gate: Gate, qubits: tuple[int, ...]) -> None:
    """Refuse a matrix that is not unitary in a gate made by hand: the executors take U U† = 1 for granted."""
    if gate.unitary is None or GATES.get(gate.name) is gate:
        return
    deviation = _deviation(gate.unitary)
    if not deviation <= 1e-7:
        raise KetgradValueError(
            f"the matrix of {gate.name}{_on(qubits)} must be unitary - a gate keeps the norm - but U U† differs from "
            f"the identity by up to {deviation:.3g}."
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
    words = sum(len(sums.terms) for sums in question.observables) if isinstance(question, Expect) else 0
    reserve(
        (len(circuit.ops) * MASKS_PER_OP + 2 * words) * (circuit.num_qubits // 8),
        f"the program of {len(circuit.ops)} ops on {circuit.num_qubits} qubits",
        "The highest qubit decides: number the qubits from 0 without gaps.",
    )


def _input_map(circuit: Circuit) -> tuple[tuple[str, int], ...] | None:
    """The inputs as executors see them, or None where they are the user's own."""
    derived = sorted((kind, j) for kind, j in circuit.variables if kind not in "wx")
    if not derived:
        return None
    return (*(("identity", j) for j in range(circuit.num_inputs)), *derived)


def _question_arrays(question: Question, num_qubits: int) -> dict[str, Any]:
    words: list[tuple[int, int, float]] = []
    starts, measured = [0], []
    if isinstance(question, Expect):
        for k, observable in enumerate(question.observables):
            words += _observable_words(observable, k, num_qubits)
            starts.append(len(words))
    if isinstance(question, Probabilities):
        measured = [num_qubits - 1 - q for q in _measured(question, num_qubits)]
    masks = np.uint64 if num_qubits <= WIDEST else object
    return {
        "observable_start": np.array(starts, np.int64),
        "word_x": np.array([word[0] for word in words], masks),
        "word_z": np.array([word[1] for word in words], masks),
        "word_coefficient": np.array([word[2] for word in words], np.float64),
        "measured": np.array(measured, np.int64),
    }


def _observable_words(observable: PauliSum, position: int, num_qubits: int) -> list[tuple[int, int, float]]:
    if not isinstance(observable, PauliSum):
        raise KetgradTypeError(
            f"`observables[{position}]` must be a Pauli sum such as kg.Pauli('Z0'), but is {type(observable).__name__}."
        )
    check_hermitian(observable, f"observables[{position}]", "only then are its values real")
    if observable.num_qubits > num_qubits:
        raise KetgradIndexError(
            f"`observables[{position}]` acts on qubit {observable.num_qubits - 1}, but the circuit has the qubits "
            f"0 to {num_qubits - 1}."
        )
    size = sum(abs(complex(c)) for _, _, c in observable.terms)
    if not size <= LARGEST_OBSERVABLE:
        raise KetgradValueError(
            f"`observables[{position}]` must have coefficients whose sizes add up to {LARGEST_OBSERVABLE:.1g} at most "
            f"- beyond, values and derivatives are no finite numbers - but they add up to {size:.3g}. Divide them by "
            "their scale, and multiply the values by it."
        )
    return [
        (reverse_bits(x, num_qubits), reverse_bits(z, num_qubits), complex(c).real)
        for x, z, c in observable.terms
    ]


def _measured(question: Probabilities, num_qubits: int) -> tuple[int, ...]:
    for q in question.qubits:
        if not 0 <= q < num_qubits:
            raise KetgradIndexError(
                f"`qubits` names qubit {q}, but the circuit has the qubits 0 to {num_qubits - 1}."
            )
    if len(set(question.qubits)) != len(question.qubits):
        raise KetgradValueError(f"`qubits` must be distinct, but are {shown(question.qubits)}.")
    return question.qubits


def _starts(lists: Sequence[Any]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(entry) for entry in lists], dtype=np.int64)]).astype(np.int64)
