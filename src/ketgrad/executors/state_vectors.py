"""State vectors in NumPy, one instruction or one question at a time: the steps that the reference executor is made of.

States have the shape (batch, 2**n). Instructions are named by their number in a program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.foundation.arrays import divided, row_norms
from ketgrad.programs.program import Program
from ketgrad.programs.question import Question
from ketgrad.programs.questions import Expect, Probabilities, State

# -- instructions -----------------------------------------------------------------------------------------


def apply_word(x: int, z: int, psi: np.ndarray) -> np.ndarray:
    """i^|x & z| X^x Z^z psi."""
    source = np.arange(psi.shape[1], dtype=np.uint64) ^ np.uint64(x)
    signs = 1 - 2.0 * (np.bitwise_count(source & np.uint64(z)) & 1)
    return 1j ** ((x & z).bit_count() % 4) * signs * psi[:, source]


def controlled(program: Program, i: int, size: int) -> np.ndarray:
    """Which of the basis states satisfy the controls of instruction i."""
    controls = program.controls[i]
    return np.arange(size, dtype=np.uint64) & controls == controls


def apply_generator(program: Program, i: int, psi: np.ndarray) -> np.ndarray:
    """G psi of the rotation exp(-i a G / 2)."""
    return apply_word(int(program.x[i]), int(program.z[i]), psi) * controlled(program, i, psi.shape[1])


def rotate(program: Program, i: int, psi: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """exp(-i angle G / 2) psi, one angle for each row."""
    half = angle[:, None] / 2
    turned = np.cos(half) * psi - 1j * np.sin(half) * apply_generator(program, i, psi)
    return np.where(controlled(program, i, psi.shape[1]), turned, psi)


def apply_matrix(program: Program, i: int, psi: np.ndarray, adjoint: bool = False) -> np.ndarray:
    """U psi, or U† psi, of a unitary instruction."""
    data = program.data[program.data_start[i] : program.data_start[i + 1]]
    size = 2 ** int(program.target_start[i + 1] - program.target_start[i])
    matrix = data.reshape(size, size)
    view, order = targets_first(program, i, psi)
    moved = np.matmul(matrix.conj().T if adjoint else matrix, view.reshape(len(psi), size, -1))
    result = moved.reshape(view.shape).transpose(np.argsort(order)).reshape(psi.shape)
    return np.where(controlled(program, i, psi.shape[1]), result, psi)


def prepared_vector(program: Program, i: int, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vector that a preparation makes in each row, and the norm by which it was divided."""
    rows = slice(program.data_start[i], program.data_start[i + 1])
    vector = program.data[rows] * slots[:, program.amplitude_slot[rows]]
    norm = row_norms(vector) if program.normalize[i] else np.ones((len(slots), 1))
    return divided(vector, norm), norm


def prepare(program: Program, i: int, psi: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """|0...0> of the targets replaced by `vector`."""
    view, order = targets_first(program, i, psi)
    rest = view.reshape(len(psi), vector.shape[1], -1)[:, :1, :]
    return (vector[:, :, None] * rest).reshape(view.shape).transpose(np.argsort(order)).reshape(psi.shape)


def targets_first(program: Program, i: int, psi: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """A view (batch, 2, ..., 2) whose axes after the batch start with the targets, and the order of its axes."""
    n, rows = program.num_qubits, slice(program.target_start[i], program.target_start[i + 1])
    axes = [n - int(p) for p in program.targets[rows]]  # bit position p is axis n - p, axis 0 is the batch
    order = [0, *axes, *(a for a in range(1, n + 1) if a not in axes)]
    return psi.reshape((len(psi),) + (2,) * n).transpose(order), order


# -- questions --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Readout:
    """How one kind of question is answered.

    values(program, psi): the answer (batch, outputs). rates(program, psi, change): its derivative where psi changes
    so. seed(program, psi, cotangent): lambda with d loss = Re <lambda|d psi>. reads_squares: whether values are
    quadratic in psi, so that lambda is linear in it; else lambda does not depend on it.
    """

    values: Callable[[Program, np.ndarray], np.ndarray]
    rates: Callable[[Program, np.ndarray, np.ndarray], np.ndarray]
    seed: Callable[[Program, np.ndarray, np.ndarray], np.ndarray]
    reads_squares: bool


def apply_observable(program: Program, k: int, psi: np.ndarray) -> np.ndarray:
    """O psi of observable k."""
    total = np.zeros_like(psi)
    for j in range(program.observable_start[k], program.observable_start[k + 1]):
        total += program.word_coefficient[j] * apply_word(int(program.word_x[j]), int(program.word_z[j]), psi)
    return total


def outcome_of_basis_states(program: Program) -> np.ndarray:
    """The measured outcome of each basis state."""
    basis = np.arange(2**program.num_qubits)
    outcome = np.zeros_like(basis)
    for position in program.measured:
        outcome = outcome << 1 | basis >> position & 1
    return outcome


def _overlaps(program: Program, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Re <left|O_k|right>, (batch, observables)."""
    count = len(program.observable_start) - 1
    columns = [np.sum(left.conj() * apply_observable(program, k, right), axis=1).real for k in range(count)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(left), 0))


def _expectation_seed(program: Program, psi: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    parts = (
        cotangent[:, k, None] * apply_observable(program, k, psi)
        for k in range(len(program.observable_start) - 1)
    )
    return 2 * sum(parts, np.zeros_like(psi))


def _by_outcome(program: Program, weight: np.ndarray) -> np.ndarray:
    """Sums (batch, outcomes) over the basis states (batch, 2**n) of each outcome."""
    answer = np.zeros((len(weight), program.num_outputs))
    np.add.at(answer.T, outcome_of_basis_states(program), weight.T)
    return answer


READOUTS: Mapping[type[Question], Readout] = {
    Expect: Readout(
        values=lambda program, psi: _overlaps(program, psi, psi),
        rates=lambda program, psi, change: 2 * _overlaps(program, change, psi),
        seed=_expectation_seed,
        reads_squares=True,
    ),
    Probabilities: Readout(
        values=lambda program, psi: _by_outcome(program, np.abs(psi) ** 2),
        rates=lambda program, psi, change: _by_outcome(program, 2 * np.real(np.conj(psi) * change)),
        seed=lambda program, psi, cotangent: 2 * cotangent[:, outcome_of_basis_states(program)] * psi,
        reads_squares=True,
    ),
    State: Readout(
        values=lambda program, psi: psi,
        rates=lambda program, psi, change: change,
        seed=lambda program, psi, cotangent: np.asarray(cotangent, np.complex128),
        reads_squares=False,
    ),
}


# -- results ----------------------------------------------------------------------------------------------


def summed(gradient: np.ndarray, parameter: np.ndarray) -> np.ndarray:
    """Derivatives row by row, summed where all rows share the parameter."""
    return gradient.sum(axis=0, keepdims=True) if len(parameter) == 1 else gradient


def rounded(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Real or complex values in the precision of `dtype`."""
    single = np.dtype(dtype) == np.complex64
    complex_kind, real_kind = (np.complex64, np.float32) if single else (np.complex128, np.float64)
    return values.astype(complex_kind if np.iscomplexobj(values) else real_kind, copy=False)
