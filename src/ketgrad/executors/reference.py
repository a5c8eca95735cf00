"""The executable definition of every Program, in NumPy: short, slow, and what all other executors must equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.executors.protocol import Execution
from ketgrad.executors.sampled import Sampled
from ketgrad.foundation.arrays import divided, row_norms
from ketgrad.foundation.errors import KetgradTypeError
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.programs.program import PAULI_ROTATION, UNITARY, WIDEST, Expect, Probabilities, Program, State


@dataclass(frozen=True)
class Reference:
    """State vectors of shape (batch, 2**n), one instruction at a time."""

    name: str = "reference"
    abilities: frozenset[str] = frozenset({"exact", "adjoint", "second"})

    shots = None

    def with_shots(self, shots: int) -> Sampled:
        """Outcomes drawn from the probabilities that this executor gives."""
        return Sampled(self, shots)

    def describe(self, program: Program) -> Execution:
        """States of all qubits; what is fast stands elsewhere."""
        remark = "the reference executor is written to be read, executor='native' is fast"
        return Execution(self.name, program.num_qubits, remark=remark)

    def run(self, program: Program, weights: np.ndarray, inputs: np.ndarray, *, dtype: Any = np.complex128,
            threads: int | None = None, rng: np.random.Generator | None = None) -> np.ndarray:  # fmt: skip
        """The answer to the program's question, shape (batch, outputs)."""
        values = _answer(program, _forward(program, weights, inputs))
        return values.astype(_result_type(values, dtype), copy=False)

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

        With `slope` (not for states) the cotangent used is cotangent + slope * values.

        psi and lambda are un-applied together: with lambda = d loss / d psi, an instruction exp(-i a G / 2)
        contributes Re <lambda| -i/2 G |psi> = Im <lambda|G|psi> / 2 (Jones & Gacon 2020, arXiv:2009.02823).
        """
        psi = _forward(program, weights, inputs)
        values = _answer(program, psi)
        lam = _cotangent_state(program, psi, cotangent if slope is None else cotangent + slope * values)
        angles, slots = program.angles(weights, inputs), _slots(program, weights, inputs)
        gradient = np.zeros_like(slots)
        for i in reversed(range(program.num_instructions)):
            if program.kind[i] == PAULI_ROTATION:
                by_angle = np.sum(np.conj(lam) * _generator(program, i, psi), axis=1).imag / 2
                _accumulate_angle(program, i, slots, by_angle, gradient)
                psi, lam = (_rotate(program, i, state, -angles[:, i]) for state in (psi, lam))
            elif program.kind[i] == UNITARY:
                psi, lam = (_multiply(program, i, state, adjoint=True) for state in (psi, lam))
            else:
                psi, lam = _unprepare(program, i, slots, psi, lam, gradient)
        dweights = gradient[:, 1 : 1 + program.num_weights]
        dinputs = gradient[:, 1 + program.num_weights :]
        real = np.float64 if np.dtype(dtype) == np.complex128 else np.float32
        return (
            values.astype(_result_type(values, dtype), copy=False),
            _summed(dweights, weights).astype(real, copy=False),
            _summed(dinputs, inputs).astype(real, copy=False),
        )

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
        from ketgrad.executors import reference_duals as reference_second

        found = reference_second.jvp(program, weights, inputs, weights_direction, inputs_direction)
        values, tangents = (array.astype(_result_type(array, dtype), copy=False) for array in found)
        return values, tangents

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
        """(values, tangents, dweights, dinputs, hweights, hinputs): `vjp` and its derivative along the directions."""
        from ketgrad.executors import reference_duals as reference_second

        directions = (weights_direction, inputs_direction, cotangent_direction)
        found = reference_second.hvp(program, weights, inputs, cotangent, *directions)
        return tuple(array.astype(_result_type(array, dtype), copy=False) for array in found)


def _forward(program: Program, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    batch = max(len(weights), len(inputs))
    reserve(3 * state_bytes(program.num_qubits, batch), f"{batch} states of {program.num_qubits} qubits")
    assert program.num_qubits <= WIDEST  # wider states never pass the preflight
    weights, inputs = np.asarray(weights, np.float64), np.asarray(inputs, np.float64)
    psi = np.zeros((batch, 2**program.num_qubits), np.complex128)
    psi[:, 0] = 1.0
    angles, slots = program.angles(weights, inputs), _slots(program, weights, inputs)
    for i in range(program.num_instructions):
        if program.kind[i] == PAULI_ROTATION:
            psi = _rotate(program, i, psi, angles[:, i])
        elif program.kind[i] == UNITARY:
            psi = _multiply(program, i, psi)
        else:
            psi = _outer(program, i, psi, _amplitudes(program, i, slots)[0])
    return psi


def _slots(program: Program, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    batch = max(len(weights), len(inputs))
    parts = [np.ones((1, 1)), np.asarray(weights, np.float64), np.asarray(inputs, np.float64)]
    return np.concatenate([np.broadcast_to(part, (batch, part.shape[1])) for part in parts], axis=1)


def _word(x: int, z: int, psi: np.ndarray) -> np.ndarray:
    """i^|x & z| X^x Z^z psi."""
    source = np.arange(psi.shape[1], dtype=np.uint64) ^ np.uint64(x)
    signs = 1 - 2.0 * (np.bitwise_count(source & np.uint64(z)) & 1)
    return 1j ** ((x & z).bit_count() % 4) * signs * psi[:, source]


def _active(program: Program, i: int, size: int) -> np.ndarray:
    """Which basis states satisfy the controls of instruction i."""
    controls = program.controls[i]
    return np.arange(size, dtype=np.uint64) & controls == controls


def _generator(program: Program, i: int, psi: np.ndarray) -> np.ndarray:
    return _word(int(program.x[i]), int(program.z[i]), psi) * _active(program, i, psi.shape[1])


def _rotate(program: Program, i: int, psi: np.ndarray, angle: np.ndarray) -> np.ndarray:
    active = _active(program, i, psi.shape[1])
    half = angle[:, None] / 2
    return np.where(active, np.cos(half) * psi - 1j * np.sin(half) * _generator(program, i, psi), psi)


def _targets_first(program: Program, i: int, psi: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """A view (batch, 2, ..., 2) whose axes after the batch start with the targets, and the order of its axes."""
    n, rows = program.num_qubits, slice(program.target_start[i], program.target_start[i + 1])
    axes = [n - int(p) for p in program.targets[rows]]  # bit position p is axis n - p, axis 0 is the batch
    order = [0, *axes, *(a for a in range(1, n + 1) if a not in axes)]
    return psi.reshape((len(psi),) + (2,) * n).transpose(order), order


def _multiply(program: Program, i: int, psi: np.ndarray, adjoint: bool = False) -> np.ndarray:
    data = program.data[program.data_start[i] : program.data_start[i + 1]]
    size = 2 ** int(program.target_start[i + 1] - program.target_start[i])
    matrix = data.reshape(size, size)
    view, order = _targets_first(program, i, psi)
    moved = np.matmul(matrix.conj().T if adjoint else matrix, view.reshape(len(psi), size, -1))
    result = moved.reshape(view.shape).transpose(np.argsort(order)).reshape(psi.shape)
    return np.where(_active(program, i, psi.shape[1]), result, psi)


def _amplitudes(program: Program, i: int, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The prepared vector of each batch row, and the norm by which it was divided."""
    rows = slice(program.data_start[i], program.data_start[i + 1])
    vector = program.data[rows] * slots[:, program.amplitude_slot[rows]]
    norm = row_norms(vector) if program.normalize[i] else np.ones((len(slots), 1))
    return divided(vector, norm), norm


def _outer(program: Program, i: int, psi: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """|0...0> of the targets replaced by `vector`."""
    view, order = _targets_first(program, i, psi)
    rest = view.reshape(len(psi), vector.shape[1], -1)[:, :1, :]
    return (vector[:, :, None] * rest).reshape(view.shape).transpose(np.argsort(order)).reshape(psi.shape)


def _unprepare(program: Program, i: int, slots: np.ndarray, psi: np.ndarray, lam: np.ndarray,
               gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Undo a preparation on psi and lambda, and add the derivatives of its amplitudes to `gradient`."""
    vector, norm = _amplitudes(program, i, slots)
    first = np.zeros_like(vector)
    first[:, 0] = 1.0
    view, order = _targets_first(program, i, psi)
    after = view.reshape(len(psi), vector.shape[1], -1)
    by_target = _targets_first(program, i, lam)[0].reshape(after.shape)
    squared = np.sum(np.abs(vector) ** 2, axis=1)[:, None]
    rest = np.einsum("bm,bmr->br", vector.conj(), after) / squared
    environment = np.einsum("bmr,br->bm", by_target, rest.conj())  # d loss = Re <environment|d vector>
    if program.normalize[i]:
        radial = np.sum(np.conj(environment) * vector, axis=1, keepdims=True).real
        environment = divided(environment - radial * vector, norm)
    rows = slice(program.data_start[i], program.data_start[i + 1])
    by_slot = np.real(np.conj(environment) * program.data[rows])
    np.add.at(gradient.T, program.amplitude_slot[rows], by_slot.T)

    def before(rest_of_state: np.ndarray) -> np.ndarray:
        product = first[:, :, None] * rest_of_state[:, None, :]
        return product.reshape(view.shape).transpose(np.argsort(order)).reshape(psi.shape)

    return before(rest), before(np.einsum("bm,bmr->br", vector.conj(), by_target))


def _accumulate_angle(
    program: Program, i: int, slots: np.ndarray, by_angle: np.ndarray, gradient: np.ndarray
) -> None:
    """Chain rule through angle = sum_t c_t z[a_t] z[b_t]."""
    for t in range(program.term_start[i], program.term_start[i + 1]):
        a, b = program.term_a[t], program.term_b[t]
        scaled = program.term_coefficient[t] * by_angle
        gradient[:, a] += scaled * slots[:, b]
        gradient[:, b] += scaled * slots[:, a]


def _apply_observable(program: Program, k: int, psi: np.ndarray) -> np.ndarray:
    total = np.zeros_like(psi)
    for j in range(program.observable_start[k], program.observable_start[k + 1]):
        total += program.word_coefficient[j] * _word(int(program.word_x[j]), int(program.word_z[j]), psi)
    return total


def _outcome(program: Program) -> np.ndarray:
    """The measured outcome of each basis state."""
    basis = np.arange(2**program.num_qubits)
    outcome = np.zeros_like(basis)
    for position in program.measured:
        outcome = outcome << 1 | basis >> position & 1
    return outcome


def _answer(program: Program, psi: np.ndarray) -> np.ndarray:
    if isinstance(program.question, Expect):
        count = program.num_outputs
        columns = [np.sum(psi.conj() * _apply_observable(program, k, psi), axis=1).real for k in range(count)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(psi), 0))
    if isinstance(program.question, Probabilities):
        answer = np.zeros((len(psi), program.num_outputs))
        np.add.at(answer.T, _outcome(program), (np.abs(psi) ** 2).T)
        return answer
    if isinstance(program.question, State):
        return psi
    raise KetgradTypeError("The reference executor is exact and draws no samples; use kg.samples.")


def _cotangent_state(program: Program, psi: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """lambda with d loss = Re <lambda|d psi>."""
    if isinstance(program.question, Expect):
        parts = (
            cotangent[:, k, None] * _apply_observable(program, k, psi) for k in range(program.num_outputs)
        )
        return 2 * sum(parts, np.zeros_like(psi))
    if isinstance(program.question, Probabilities):
        return 2 * cotangent[:, _outcome(program)] * psi
    return np.asarray(cotangent, np.complex128)


def _summed(gradient: np.ndarray, parameter: np.ndarray) -> np.ndarray:
    return gradient.sum(axis=0, keepdims=True) if len(parameter) == 1 else gradient


def _result_type(values: np.ndarray, dtype: Any) -> Any:
    single = np.dtype(dtype) == np.complex64
    return (np.complex64 if single else np.complex128) if np.iscomplexobj(values) else (
        np.float32 if single else np.float64)  # fmt: skip
