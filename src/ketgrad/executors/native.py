"""The C++ core as an executor: arrays in, arrays out, many samples per instruction."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ketgrad.executors import in_parts
from ketgrad.executors.protocol import Execution
from ketgrad.executors.sampled import Sampled
from ketgrad.foundation.errors import KetgradImportError, KetgradTypeError
from ketgrad.foundation.memory import FREE_BELOW, reserve, state_bytes
from ketgrad.programs.program import Program
from ketgrad.programs.question import Question
from ketgrad.programs.questions import Expect, Probabilities, State
from ketgrad.programs.reach import VisiblePart, described, reach, whole_of
from ketgrad.programs.word_cones import check_width

FLOAT64, FLOAT32, COMPLEX128 = np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.complex128)
QUESTION_CODES: Mapping[type[Question], int] = {
    Expect: 0,
    Probabilities: 1,
    State: 2,
}  # as the core counts them
ARRAYS = (
    "num_qubits", "num_weights", "num_inputs", "kind", "x", "z", "controls", "term_start", "term_coefficient", "term_a",
    "term_b", "target_start", "targets", "data_start", "data", "amplitude_slot", "normalize", "observable_start",
    "word_x", "word_z", "word_coefficient", "measured",
)  # fmt: skip


@dataclass(frozen=True)
class Native:
    """State vectors in compiled code; lanes of the vector registers are samples.

    `instruction_set` is "avx512", "avx2", "baseline", or "" for the best that this machine runs.
    Results do not depend on the number of threads, bit for bit. The last bits of a row may depend on how many rows
    there are, because few are laid out otherwise than many: up to 5 units in the last place.

    >>> Native().name
    'native'
    """

    name: str = "native"
    abilities: frozenset[str] = frozenset({"exact", "adjoint", "second"})
    instruction_set: str = ""

    shots = None

    def with_shots(self, shots: int) -> Sampled:
        """Outcomes drawn from the probabilities that this executor gives."""
        return Sampled(self, shots)

    def describe(self, program: Program) -> Execution:
        """What the core made of the program, and how many qubits its states have."""
        return Execution(self.engine(program), self.simulated_qubits(program))

    def run(self, program: Program, weights: np.ndarray, inputs: np.ndarray, *, dtype: Any = np.complex128,
            threads: int | None = None, rng: np.random.Generator | None = None) -> np.ndarray:  # fmt: skip
        """The answer to the program's question, shape (batch, outputs).

        weights: (1 or batch, num_weights), inputs: (1 or batch, num_inputs). Raises `KetgradMemoryError` before any
        work if states or outputs do not fit.
        """
        if parts := self.parts(program):
            return in_parts.run(
                self, parts, weights, inputs, program.num_outputs, dtype=dtype, threads=threads
            )
        core = self._core(program)
        weights, inputs = _as_real(weights, dtype), _as_real(inputs, dtype)
        workers = default_threads() if threads is None else threads
        core.check_memory(program, max(len(weights), len(inputs)), workers, weights.itemsize, backward=False)
        return core.program.run(weights, inputs, workers)

    def vjp(
        self,
        program: Program,
        weights: np.ndarray,
        inputs: np.ndarray,
        cotangent: np.ndarray,
        *,
        dtype: Any = np.complex128,
        threads: int | None = None,
        slope: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values, and the derivatives of sum(cotangent * values) in the shapes of `weights` and `inputs`.

        One forward and one backward pass; memory does not grow with the depth of the circuit. With `slope` (like
        `cotangent`, not for states) the cotangent used is cotangent + slope * values: the derivative of a squared
        loss sum (values - y)**2 in one call, with cotangent -2 y and slope 2.
        """
        if parts := self.parts(program):
            options: dict[str, Any] = {"dtype": dtype, "threads": threads, "slope": slope}
            return in_parts.vjp(self, parts, weights, inputs, cotangent, **options)
        core = self._core(program)
        weights, inputs = _as_real(weights, dtype), _as_real(inputs, dtype)
        kind = dtype if core.is_state else weights.dtype
        if (cotangent.dtype is not kind and cotangent.dtype != kind) or not cotangent.flags.c_contiguous:
            cotangent = np.ascontiguousarray(cotangent, kind)
        workers = default_threads() if threads is None else threads
        core.check_memory(program, len(cotangent), workers, weights.itemsize, backward=True)
        if slope is None:
            return core.program.vjp(weights, inputs, cotangent, workers)
        return core.program.vjp(weights, inputs, cotangent, workers, np.ascontiguousarray(slope, kind))

    def jvp(
        self,
        program: Program,
        weights: np.ndarray,
        inputs: np.ndarray,
        weights_direction: np.ndarray | None,
        inputs_direction: np.ndarray | None,
        *,
        dtype: Any = np.complex128,
        threads: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values and their derivatives along the directions, in the shapes of `weights` and `inputs`; None for zero."""
        if parts := self.parts(program):
            directions = weights_direction, inputs_direction
            options: dict[str, Any] = {"dtype": dtype, "threads": threads}
            return in_parts.jvp(self, parts, weights, inputs, directions, program.num_outputs, **options)
        weights, inputs = _as_real(weights, dtype), _as_real(inputs, dtype)
        moves = [None if d is None else _as_real(d, dtype) for d in (weights_direction, inputs_direction)]
        workers = default_threads() if threads is None else threads
        core = self._second(program, max(len(weights), len(inputs)), workers, backward=False)
        return core.jvp(weights, inputs, *moves, workers)

    def hvp(
        self,
        program: Program,
        weights: np.ndarray,
        inputs: np.ndarray,
        cotangent: np.ndarray,
        weights_direction: np.ndarray | None,
        inputs_direction: np.ndarray | None,
        cotangent_direction: np.ndarray | None = None,
        *,
        dtype: Any = np.complex128,
        threads: int | None = None,
    ) -> tuple[np.ndarray, ...]:
        """(values, tangents, dweights, dinputs, hweights, hinputs): `vjp` and its derivative along the directions.

        One forward and one backward pass of states with their tangents; memory does not grow with the depth.
        """
        if parts := self.parts(program):
            directions = weights_direction, inputs_direction
            options: dict[str, Any] = {"dtype": dtype, "threads": threads}
            return in_parts.hvp(
                self, parts, weights, inputs, cotangent, directions, cotangent_direction, **options
            )
        weights, inputs = _as_real(weights, dtype), _as_real(inputs, dtype)
        moves = [None if d is None else _as_real(d, dtype) for d in (weights_direction, inputs_direction)]
        kind = dtype if self._core(program).is_state else weights.dtype
        change = None if cotangent_direction is None else np.ascontiguousarray(cotangent_direction, kind)
        workers = default_threads() if threads is None else threads
        core = self._second(program, len(cotangent), workers, backward=True)
        return core.hvp(weights, inputs, np.ascontiguousarray(cotangent, kind), *moves, change, workers)

    def prepare(
        self, program: Program, weights: np.ndarray, inputs: np.ndarray, *, dtype: Any, threads: int | None
    ) -> Any:
        """States as `run` gives them, kept for `multiply`, in an order of the amplitudes that is the program's own."""
        core = self._core(program)
        weights, inputs = _as_real(weights, dtype), _as_real(inputs, dtype)
        workers = default_threads() if threads is None else threads
        core.check_memory(program, max(len(weights), len(inputs)), workers, weights.itemsize, backward=False)
        return core.program.lane_states(weights, inputs, workers)

    def pack(self, states: np.ndarray, threads: int | None = None) -> Any:
        """States (n, length) of any origin, complex64 or complex128, kept for `multiply`."""
        workers = default_threads() if threads is None else threads
        return load_core().LaneStates(np.ascontiguousarray(states), workers, self.instruction_set)

    def multiply(
        self,
        rows: Any,
        columns: Any,
        result: np.ndarray,
        first_row: int = 0,
        first_column: int = 0,
        mirrors: bool = False,
        threads: int | None = None,
    ) -> None:
        """Writes |<a_i|b_j>|^2, at most 1, into a real result, or <a_i|b_j> into a complex one.

        The entry of the first two states goes to (first_row, first_column).
        rows, columns: from `prepare` or `pack`; one object twice takes half the work and gives an exactly
        Hermitian result. mirrors: the conjugate goes to the transposed place as well. An entry depends on its two
        states alone, bit for bit.
        """
        workers = default_threads() if threads is None else threads
        load_core().multiply_states(rows, columns, result, first_row, first_column, mirrors, workers)

    def locate(self, chances: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """For each uniform number u in [0, 1) the first outcome whose cumulated chance exceeds u times their sum.

        chances: (outcomes,), uniforms: (shots,), float64. Returns (shots,) uint64. Cost: linear in both.
        """
        return load_core().draw(np.ascontiguousarray(chances), np.ascontiguousarray(uniforms))

    def parts(self, program: Program) -> tuple[VisiblePart, ...]:
        """What is run of a wide program: () where that is one program with all weights, inputs and outputs."""
        return () if whole_of(program) is not None else reach(program)

    def engine(self, program: Program) -> str:
        """What the core made of the program, in one line: for many samples, and for one where that goes another way."""
        if parts := self.parts(program):
            return f"{self.name}, {self.facts(program)['instruction_set']}, {described(parts, program)}"
        many, one = self.facts(program), self.facts(program, 1)
        start = f"{self.name}, {many['instruction_set']}, "
        if many["seen"] < program.num_qubits:
            start += f"the {many['seen']} of {program.num_qubits} qubits that the question can see, "
        if many["qubits"] < many["seen"]:
            start += f"{many['qubits']} without what Clifford gates alone act on, "
        if many["blocked"]:
            return f"{start}{_in_blocks(many)}"
        unseen = program.num_instructions - many["instructions"] + many["unseen"]
        layout = "one sample at a time" if many["spread"] else f"{many['lanes']} samples per register"
        alone = f"; one sample alone: {_in_blocks(one)}" if one["blocked"] else ""
        return (
            f"{start}{layout}; of {program.num_instructions} instructions {unseen} out of sight, "
            f"{many['absorbed']} absorbed; of the {many['operations']} operations that the others make "
            f"{many['pruned']} dropped, {many['product']} in the product state; "
            f"{many['tables']} phase tables, {many['rotation_passes']} passes of rotations, {many['dense']} matrices"
            f"{alone}"
        )

    def simulated_qubits(self, program: Program) -> int:
        """How many qubits the largest state has that is held: of those that the question can see, what is moved."""
        parts = self.parts(program)
        programs = [part.program for part in parts] if parts else [program]
        return max(self._core(one).program.num_qubits for one in programs)

    def facts(self, program: Program, batch: int = 64) -> dict[str, Any]:
        """What each pass of the core did to the program, its layout for a batch of that size, and its memory.

        Of a program that is run in parts: what it did to the largest of them.
        """
        largest = max(self.parts(program), key=lambda part: part.program.num_qubits, default=None)
        return self._core(program if largest is None else largest.program).program.plan(batch)

    def _second(self, program: Program, batch: int, threads: int, backward: bool) -> Any:
        """The program compiled for states with tangents, once the memory that they need is known to be there."""
        core = self._core(program)
        found = program.derived(("native second", self.instruction_set), core.program.second)
        reserve(
            found.bytes_needed(batch, threads, backward) + 2 * batch * core.row_bytes,
            f"the tangents of {batch} samples on {program.num_qubits} qubits",
            "Use fewer qubits, fewer threads or a smaller batch.",
        )
        return found

    @property
    def direct(self) -> tuple[str, str]:
        """The key of `program.cache` under which a program that ran once keeps its way for plain arrays."""
        return "native", self.instruction_set

    def _core(self, program: Program) -> _Core:
        return program.derived(self.direct, lambda: _compile(program, self.instruction_set))


def _in_blocks(facts: dict[str, Any]) -> str:
    return (
        "one sample at a time in blocks of the cache: passes over the state: "
        f"{facts['blocked_passes']}, with {facts['blocked_turns']} rotations, {facts['blocked_tables']} phase tables, "
        f"{facts['blocked_matrices']} matrices"
    )


@dataclass(frozen=True, slots=True)
class _Core:
    """The compiled program, the sizes that the preflight needs, and the way for small plain arrays.

    call(weights, inputs, threads, single) and call_vjp(weights, inputs, cotangent, slope, threads, single) take
    contiguous arrays of one or two axes as they are, or None, and check them; None means: not this way.
    """

    program: Any
    call: Any
    call_vjp: Any
    is_state: bool
    state_bytes: int  # one state
    row_bytes: int  # the values of one sample

    def check_memory(self, program: Program, batch: int, threads: int, itemsize: int, backward: bool) -> None:
        # A group of lanes holds 8 states at most (AVX-512); up to three per lane: psi, lambda, scratch.
        if 24 * self.state_bytes * threads + batch * self.row_bytes <= FREE_BELOW:
            return
        values = batch * self.row_bytes * itemsize // 8
        reserve(
            self.program.bytes_needed(batch, threads, backward, single=itemsize == 4) + values,
            f"the native run of {batch} samples on {program.num_qubits} qubits",
            "Use fewer qubits, fewer threads or a smaller batch.",
        )


def _compile(program: Program, instruction_set: str) -> _Core:
    question = QUESTION_CODES.get(type(program.question))
    if question is None:
        raise KetgradTypeError("The native executor is exact and draws no samples; use kg.samples.")
    seen = whole_of(program)
    assert seen is not None, "parts are compiled one by one"
    check_width(seen.num_qubits)  # it leaves out what Clifford gates alone act on, but of no more qubits
    native = load_core().Program(
        **{name: getattr(seen, name) for name in ARRAYS},
        question=question,
        instruction_set=instruction_set,
        default_threads=default_threads(),
        free_bytes=FREE_BELOW,
    )
    _reserve_state(native.num_qubits)
    return _Core(
        program=native,
        call=native.call,
        call_vjp=native.call_vjp,
        is_state=program.question.is_complex,
        state_bytes=state_bytes(native.num_qubits),
        row_bytes=program.num_outputs * (16 if program.question.is_complex else 8),
    )


def _reserve_state(num_qubits: int) -> None:
    reserve(
        state_bytes(num_qubits),
        f"the state of {num_qubits} qubits",
        "Every amplitude that the question can see is kept: ask about fewer qubits at a time.",
    )


def load_core() -> Any:
    """The compiled module; `KetgradImportError` with the way out if it was not built."""
    try:
        import ketgrad._native as _native
    except ImportError as error:
        raise KetgradImportError(
            f"The compiled core of ketgrad cannot be loaded ({error}). Install the package with `pip install .` "
            '(needs a C++20 compiler), or choose `executor="reference"`.'
        ) from error
    return _native


def _as_real(array: np.ndarray, dtype: Any) -> np.ndarray:
    real = FLOAT64 if dtype is COMPLEX128 or dtype == COMPLEX128 else FLOAT32
    if array.dtype is real and array.flags.c_contiguous:
        return array
    return np.ascontiguousarray(array, real)


@functools.cache
def default_threads() -> int:
    """The least of the CPUs this process may use, the quota of its control group, and OMP_NUM_THREADS."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    quota = _cpu_quota()
    if quota is not None:
        limits.append(quota)
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdigit() and int(first) > 0:
        limits.append(int(first))
    return max(1, min(limits))


def _cpu_quota() -> int | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None  # no version 2 control group
