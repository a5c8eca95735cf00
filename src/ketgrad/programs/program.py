"""Programs: flat arrays and one question, the only thing that an executor ever sees; and the builder that makes them.

Inside a Program, bit p = n - 1 - q of a mask or basis index is qubit q, so qubit 0 is the most significant bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from ketgrad.circuits.angles import Angle
from ketgrad.programs.question import Question, QuestionArrays, masks

PAULI_ROTATION, UNITARY, STATE_PREPARATION = range(3)
Term = tuple[float, int, int]  # (coefficient, slot, slot): what an angle is a sum of


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
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)  # see `derived`

    @property
    def num_instructions(self) -> int:
        """How many instructions there are."""
        return len(self.kind)

    @property
    def num_outputs(self) -> int:
        """Length of the last axis of the answer."""
        return self.question.num_outputs(self.num_qubits)

    def slots(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The slots [1, weights, inputs] of each sample: (batch, 1 + W + X) of weights and inputs (1 or batch, ...)."""
        split = 1 + weights.shape[1]
        result = np.ones((max(len(weights), len(inputs)), split + inputs.shape[1]))
        result[:, 1:split], result[:, split:] = weights, inputs
        return result

    def angles(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The angles of all instructions, shape (batch, instructions), of weights and inputs (1 or batch, ...)."""
        return self.totals(self._terms(weights, inputs))

    def angle_sizes(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """As `angles`, of the absolute values of the terms: the size of what is added up."""
        return self.totals(np.abs(self._terms(weights, inputs)))

    def _terms(self, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        slots = self.slots(weights, inputs)
        return self.term_coefficient * slots[:, self.term_a] * slots[:, self.term_b]

    def totals(self, terms: np.ndarray) -> np.ndarray:
        """Sums (rows, instructions) of the terms (rows, terms) of each instruction."""
        owner = np.repeat(np.arange(self.num_instructions), np.diff(self.term_start))
        totals = np.zeros((len(terms), self.num_instructions))
        np.add.at(totals.T, owner, terms.T)
        return totals

    @cached_property
    def steepness(self) -> float:
        """The largest sum of the absolute coefficients of an angle: no angle exceeds it times max(1, |z|)**2."""
        return float(self.totals(np.abs(self.term_coefficient)[None]).max(initial=0.0))

    @cached_property
    def observable_size(self) -> float:
        """The largest sum of the absolute coefficients of an observable; 0 where there is none."""
        owner = np.repeat(np.arange(len(self.observable_start) - 1), np.diff(self.observable_start))
        return float(np.bincount(owner, np.abs(self.word_coefficient)).max(initial=0.0))

    @property
    def value_size(self) -> float:
        """No value exceeds it: the size of the observables, or 1 for probabilities and amplitudes."""
        return self.observable_size if self.reads_words else 1.0

    @property
    def reads_words(self) -> bool:
        """Whether values are those of observables, and not of outcomes or amplitudes."""
        return len(self.observable_start) > 1

    def derived(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """`make()`, kept with the program under `key`: the one place for what executors and rules make of it.

        Where a call cannot wait, `cache.get(key)` tells whether it has been made.
        """
        found = self.cache.get(key)
        return self.cache.setdefault(key, make()) if found is None else found

    def edited(self) -> ProgramBuilder:
        """A builder that begins with this program: it adds to it, or changes its angles and amplitudes."""
        return ProgramBuilder(self.num_qubits, self.num_weights, self.num_inputs, self.input_map, self)

    def with_offsets(self) -> Program:
        """The program with one more input per occurrence, added to that occurrence's angle.

        Parameter-shift rules run it once, on a batch whose rows shift one angle each.
        """
        builder = self.edited()
        first = builder.add_inputs(len(self.occurrences))
        for k, occurrence in enumerate(self.occurrences):
            for instruction, scale in zip(occurrence.instructions, occurrence.scales, strict=True):
                builder.add_term(instruction, (scale, first + k, 0))
        return builder.program()

    def asking(self, question: Question) -> Program:
        """The same instructions under another question."""
        question.check(self.num_qubits)
        arrays = question.arrays(self.num_qubits)
        return replace(self, question=question.base, cache={}, **arrays._asdict())

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"cache": {}}


class ProgramBuilder:
    """Collects instructions, one call for each; begun with a program (`Program.edited`), it adds to those of that one.

    Masks and targets are in bits of the program. A term (coefficient, a, b) adds coefficient * z[a] * z[b] to an angle,
    with the slots z = [1, weights..., inputs...].

    >>> builder = ProgramBuilder(num_qubits=1, num_weights=1, num_inputs=0)
    >>> builder.rotate(x=1, z=0, terms=[(1.0, 1, 0)])  # RX(w[0])
    0
    >>> from ketgrad.programs.questions import State
    >>> builder.program(State()).num_instructions
    1
    """

    def __init__(
        self,
        num_qubits: int,
        num_weights: int,
        num_inputs: int,
        input_map: tuple[tuple[str, int], ...] | None = None,
        start: Program | None = None,
    ) -> None:
        self.num_qubits = num_qubits
        self.num_weights = num_weights
        self.num_inputs = num_inputs
        self.input_map = input_map
        self.occurrences: list[Occurrence] = [] if start is None else [*start.occurrences]
        self._start = start
        self._first = 0 if start is None else start.num_instructions
        self._rows: list[tuple[int, int, int, int]] = []  # kind, x, z, controls
        self._terms: list[Sequence[Term]] = []
        self._targets: list[Sequence[int]] = []
        self._data: list[np.ndarray] = []
        self._slots: list[np.ndarray] = []
        self._normalize: list[int] = []
        self._more_terms: list[tuple[int, Term]] = []  # of instructions of the start
        self._amplitudes: list[tuple[int, np.ndarray]] = []  # so

    @property
    def num_instructions(self) -> int:
        """How many there are by now."""
        return self._first + len(self._rows)

    def rotate(self, x: int, z: int, terms: Sequence[Term], controls: int = 0) -> int:
        """exp(-i angle / 2 * i^|x & z| X^x Z^z) where all controls are 1; returns the number of the instruction."""
        return self._add((PAULI_ROTATION, x, z, controls), terms)

    def apply(self, matrix: np.ndarray, targets: Sequence[int], controls: int = 0) -> int:
        """A unitary matrix on targets, the most significant first; returns the number of the instruction."""
        return self._add((UNITARY, 0, 0, controls), (), targets, matrix.ravel())

    def prepare(
        self,
        targets: Sequence[int],
        coefficients: np.ndarray,
        slots: np.ndarray | None = None,
        normalize: bool = False,
    ) -> int:
        """Amplitudes coefficients[j] * z[slots[j]] of targets in |0>; returns the number of the instruction."""
        return self._add((STATE_PREPARATION, 0, 0, 0), (), targets, coefficients, slots, normalize)

    def add_inputs(self, count: int) -> int:
        """Further inputs behind the others; returns the slot of the first."""
        first = 1 + self.num_weights + self.num_inputs
        self.num_inputs += count
        return first

    def add_term(self, instruction: int, term: Term) -> None:
        """One more term in the angle of an instruction of the program that the builder began with."""
        self._more_terms.append((instruction, term))

    def free_amplitudes(self, instruction: int) -> int:
        """Makes each amplitude of a prepared state an input of its own, and the state normalised.

        The instruction is one of the program that the builder began with. Returns the slot of the first amplitude.
        """
        assert self._start is not None
        count = int(self._start.data_start[instruction + 1] - self._start.data_start[instruction])
        first = self.add_inputs(count)
        self._amplitudes.append((instruction, first + np.arange(count)))
        return first

    def _add(
        self,
        row: tuple[int, int, int, int],
        terms: Sequence[Term],
        targets: Sequence[int] = (),
        data: np.ndarray | None = None,
        slots: np.ndarray | None = None,
        normalize: bool = False,
    ) -> int:
        if slots is None:
            slots = _NO_SLOTS if data is None else np.zeros(len(data), np.int64)
        self._rows.append(row)
        self._terms.append(terms)
        self._targets.append(targets)
        self._data.append(_NO_DATA if data is None else data)
        self._slots.append(slots)
        self._normalize.append(int(normalize))
        return self.num_instructions - 1

    def program(self, question: Question | None = None) -> Program:
        """The program; None for the question of the one that the builder began with.

        The question is not checked: `compile` and `Program.asking` do that.
        """
        arrays = self._arrays()
        if self._start is not None:
            arrays = {
                name: _joined(name, getattr(self._start, name), array) for name, array in arrays.items()
            }
            self._edit(arrays)
        if question is None:
            assert self._start is not None
            asked: dict[str, Any] = {
                name: getattr(self._start, name) for name in ("question", *QuestionArrays._fields)
            }
        else:
            asked = {"question": question.base, **question.arrays(self.num_qubits)._asdict()}
        return Program(
            num_qubits=self.num_qubits,
            num_weights=self.num_weights,
            num_inputs=self.num_inputs,
            occurrences=tuple(self.occurrences),
            input_map=self.input_map,
            **arrays,
            **asked,
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        """The instructions that were added, as the arrays of a program."""
        flat = [term for terms in self._terms for term in terms]
        return {
            "kind": np.array([row[0] for row in self._rows], np.uint8),
            "x": masks([row[1] for row in self._rows], self.num_qubits),
            "z": masks([row[2] for row in self._rows], self.num_qubits),
            "controls": masks([row[3] for row in self._rows], self.num_qubits),
            "term_start": _starts(self._terms),
            "term_coefficient": np.array([term[0] for term in flat], np.float64),
            "term_a": np.array([term[1] for term in flat], np.int64),
            "term_b": np.array([term[2] for term in flat], np.int64),
            "target_start": _starts(self._targets),
            "targets": np.array([t for targets in self._targets for t in targets], np.int64),
            "data_start": _starts(self._data),
            "data": np.concatenate([_NO_DATA, *self._data]),
            "amplitude_slot": np.concatenate([_NO_SLOTS, *self._slots]),
            "normalize": np.array(self._normalize, np.uint8),
        }

    def _edit(self, arrays: dict[str, np.ndarray]) -> None:
        """Add the terms and free the amplitudes that were asked for."""
        if self._more_terms:
            start = arrays["term_start"]
            owners, terms = zip(*self._more_terms, strict=True)
            owner = np.concatenate([np.repeat(np.arange(len(start) - 1), np.diff(start)), owners])
            order = np.argsort(owner, kind="stable")  # the terms of an instruction side by side
            for name, column in zip(
                ("term_coefficient", "term_a", "term_b"), zip(*terms, strict=True), strict=True
            ):
                added = np.array(column, arrays[name].dtype)
                arrays[name] = np.concatenate([arrays[name], added])[order]
            arrays["term_start"] = start + np.concatenate(
                [[0], np.cumsum(np.bincount(owners, minlength=len(start) - 1))]
            )
        if self._amplitudes:
            slots, normalize = arrays["amplitude_slot"].copy(), arrays["normalize"].copy()
            for instruction, chosen in self._amplitudes:
                slots[arrays["data_start"][instruction] : arrays["data_start"][instruction + 1]] = chosen
                normalize[instruction] = 1
            arrays["amplitude_slot"], arrays["normalize"] = slots, normalize


_NO_DATA, _NO_SLOTS = np.empty(0, np.complex128), np.empty(0, np.int64)


def _joined(name: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two arrays of a program below each other; those of starts go on where the first one ends."""
    if name.endswith("_start"):
        return first if len(second) == 1 else np.concatenate([first, first[-1] + second[1:]])
    return np.concatenate([first, second]) if len(second) else first


def _starts(lists: Sequence[Any]) -> np.ndarray:
    return np.array([0, *itertools.accumulate(len(entry) for entry in lists)], np.int64)
