"""What a function takes: how the arguments of a call are checked and become a `Batch`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ketgrad.circuits.circuit import Circuit
from ketgrad.executors.held_states import held_bytes
from ketgrad.foundation.arrays import check_finite, check_width, real_array
from ketgrad.foundation.memory import FREE_BELOW, reserve
from ketgrad.foundation.numbers import COMPLEX64, COMPLEX128, COMPLEX_OF, FLOAT32, FLOAT64
from ketgrad.functions.amplitude_norms import check_amplitudes, has_variable_amplitudes
from ketgrad.functions.angle_limits import MEANINGFUL, check_angles, warn_of_large_angles
from ketgrad.functions.batch import Batch, common_lead, contiguous, in_rows
from ketgrad.functions.input_functions import expand
from ketgrad.functions.value_limits import LARGEST_VALUE, check_observables
from ketgrad.programs.program import Program

# A sum of squares below this holds no NaN, no infinity, and no number of which too few digits are left for an angle.
HARMLESS = {FLOAT64: 2.0**52, FLOAT32: 2.0**24}
NO_VARIABLES = {kind: np.zeros(0, kind) for kind in (FLOAT64, FLOAT32)}


@dataclass(frozen=True)
class Signature:
    """What a function takes: widths and types of its arguments, and how large their numbers and its results may be.

    dtype: complex64 computes in single precision always, complex128 where not all arguments are float32.
    output_bytes: of one entry of the result in double precision.
    """

    circuit: Circuit
    program: Program
    executor: Any
    dtype: np.dtype
    threads: int | None
    num_outputs: int
    packed: bool

    def batch(self, weights: Any, inputs: Any) -> Batch:
        """Anything that may be passed, checked and in rows: shapes and memory first, then the numbers."""
        w, x = _given(weights, "weights"), _given(inputs, "inputs")
        real, dtype, bound = self._kinds[self._is_single(w, x)]
        w = _of_width(w, "weights", "w", self.circuit.num_weights, real)
        x = _of_width(x, "inputs", "x", self.circuit.num_inputs, real)
        lead = common_lead(w.shape, x.shape)
        self._reserve(math.prod(lead), dtype.itemsize)
        w, x = contiguous(w, real, "weights"), contiguous(x, real, "inputs")
        plain = _square(w) < bound and _square(x) < bound
        if not plain:
            self._look_at(w, x)
        rows = in_rows(w, lead, real, "weights"), in_rows(x, lead, real, "inputs")
        if self.program.input_map is not None:
            rows, plain = (rows[0], expand(self.program, rows[1])), False
        if not plain:
            check_angles(self.program, *rows, len(rows[0]) * len(rows[1]))
            check_observables(self.program, real)
        batch = Batch(self.executor, self.program, *rows, dtype, self.threads, None, lead, w.shape, x.shape)
        if self._has_variable_amplitudes and not batch.is_empty:
            check_amplitudes(batch)
        return batch

    def _is_single(self, weights: np.ndarray | None, inputs: np.ndarray | None) -> bool:
        """Single precision is used where the function asks for it, or where every argument (with numbers) is in it."""
        if self.dtype is COMPLEX64:
            return True
        for array in (weights, inputs):
            if array is not None and array.dtype != FLOAT32 and array.size:
                return False
        given = [array for array in (weights, inputs) if array is not None]
        if any(array.size for array in given):
            return True
        return bool(given) and all(array.dtype == FLOAT32 for array in given)

    def _reserve(self, batch: int, itemsize: int) -> None:
        """Refuse, before any copy, a batch whose rows and results do not fit."""
        if batch <= self._free_rows:
            return
        question, qubits = self.program.question, self.circuit.num_qubits
        if question.is_drawn:
            size, kind = (8 if self.packed else 8 + qubits), f"samples of {qubits} qubits"
        else:
            size, kind = itemsize if question.is_complex else itemsize // 2, "outputs"
        reserve(
            batch * self.num_outputs * size + held_bytes(self.executor, self.program, itemsize),
            f"the result of {batch} rows with {self.num_outputs} {kind} each",
            "Call it in smaller batches.",
        )

    def _look_at(self, weights: np.ndarray, inputs: np.ndarray) -> None:
        """Refuse what is no number, and warn of angles that have lost their digits."""
        for array, name in ((weights, "weights"), (inputs, "inputs")):
            check_finite(array, name, lambda column, name=name: reader(self.circuit, name, column))
            warn_of_large_angles(self.program, array, name)

    @cached_property
    def _free_rows(self) -> int:
        """Batches up to this size need no preflight."""
        row_bytes = self.num_outputs * max(16, 8 + self.circuit.num_qubits)
        return FREE_BELOW // (held_bytes(self.executor, self.program, COMPLEX128.itemsize) + row_bytes)

    @cached_property
    def _kinds(self) -> tuple[tuple[np.dtype, np.dtype, float], ...]:
        """In double and in single precision: the real and the complex type, and the sum of squares that is harmless.

        Of weights, or of inputs, below which no angle and no value can be too large: an angle is at most
        steepness * max(1, sum of squares), since its terms have two variables at most.
        """
        kinds, program = [], self.program
        for real in (FLOAT64, FLOAT32):
            limit = MEANINGFUL[real]
            fits = program.steepness <= limit and program.observable_size <= LARGEST_VALUE[real]
            bound = min(HARMLESS[real], limit / max(1.0, program.steepness)) if fits else 0.0
            kinds.append((real, COMPLEX_OF[real], bound))
        return tuple(kinds)

    @cached_property
    def _has_variable_amplitudes(self) -> bool:
        return has_variable_amplitudes(self.program)


def _given(value: Any, name: str) -> np.ndarray | None:
    """An argument as an array of float64 or float32; None where it was left out."""
    if value is None or (type(value) is np.ndarray and (value.dtype is FLOAT64 or value.dtype is FLOAT32)):
        return value
    return real_array(value, name)


def _of_width(array: np.ndarray | None, name: str, letter: str, width: int, real: np.dtype) -> np.ndarray:
    if array is None and width == 0:
        return NO_VARIABLES[real]
    return check_width(array, name, letter, width)


def _square(array: np.ndarray) -> float:
    """The sum of the squares; vdot, because dot reports an overflow as a warning."""
    return float(np.vdot(array, array)) if array.size else 0.0


def reader(circuit: Circuit, name: str, column: int) -> str:
    """The gate that reads one of the "weights" or "inputs", for messages: 'rx on qubit 2 (op 0) reads it'."""
    for index, op in enumerate(circuit.ops):
        read = {(kind == "w", j) for angle in op.angles for kind, j in angle.variables()}
        if (name == "weights", column) in read:
            places = (*op.controls, *op.qubits)
            where = f"qubit{'s' * (len(places) != 1)} {', '.join(str(q) for q in places)}"
            return f"{op.gate.name} on {where} (op {index}) reads it"
    return ""
