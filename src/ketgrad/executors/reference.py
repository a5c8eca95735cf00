"""The executable definition of every Program, in NumPy: short, slow, and what all other executors must equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.executors import reference_duals
from ketgrad.executors.protocol import Execution
from ketgrad.executors.sampled import Sampled
from ketgrad.executors.state_vectors import (
    READOUTS,
    Readout,
    apply_generator,
    apply_matrix,
    prepare,
    prepared_vector,
    rotate,
    rounded,
    summed,
    targets_first,
)
from ketgrad.foundation.arrays import divided
from ketgrad.foundation.errors import KetgradTypeError
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.programs.program import PAULI_ROTATION, UNITARY, Program
from ketgrad.programs.question import WIDEST


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
        values = _readout(program).values(program, _forward(program, weights, inputs))
        return rounded(values, dtype)

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
        readout = _readout(program)
        psi = _forward(program, weights, inputs)
        values = readout.values(program, psi)
        lam = readout.seed(program, psi, cotangent if slope is None else cotangent + slope * values)
        angles, slots = program.angles(weights, inputs), program.slots(weights, inputs)
        gradient = np.zeros_like(slots)
        for i in reversed(range(program.num_instructions)):
            if program.kind[i] == PAULI_ROTATION:
                by_angle = np.sum(np.conj(lam) * apply_generator(program, i, psi), axis=1).imag / 2
                _accumulate_angle(program, i, slots, by_angle, gradient)
                psi, lam = (rotate(program, i, state, -angles[:, i]) for state in (psi, lam))
            elif program.kind[i] == UNITARY:
                psi, lam = (apply_matrix(program, i, state, adjoint=True) for state in (psi, lam))
            else:
                psi, lam = _unprepare(program, i, slots, psi, lam, gradient)
        dweights = gradient[:, 1 : 1 + program.num_weights]
        dinputs = gradient[:, 1 + program.num_weights :]
        dweights, dinputs = summed(dweights, weights), summed(dinputs, inputs)
        return rounded(values, dtype), rounded(dweights, dtype), rounded(dinputs, dtype)

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
        directions = (weights_direction, inputs_direction)
        values, tangents = reference_duals.jvp(program, _readout(program), weights, inputs, *directions)
        return rounded(values, dtype), rounded(tangents, dtype)

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
        directions = (weights_direction, inputs_direction, cotangent_direction)
        found = reference_duals.hvp(program, _readout(program), weights, inputs, cotangent, *directions)
        return tuple(rounded(array, dtype) for array in found)


def _readout(program: Program) -> Readout:
    found = READOUTS.get(type(program.question))
    if found is None:
        raise KetgradTypeError("The reference executor is exact and draws no samples; use kg.samples.")
    return found


def _forward(program: Program, weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    batch = max(len(weights), len(inputs))
    reserve(3 * state_bytes(program.num_qubits, batch), f"{batch} states of {program.num_qubits} qubits")
    assert program.num_qubits <= WIDEST  # wider states never pass the preflight
    weights, inputs = np.asarray(weights, np.float64), np.asarray(inputs, np.float64)
    psi = np.zeros((batch, 2**program.num_qubits), np.complex128)
    psi[:, 0] = 1.0
    angles, slots = program.angles(weights, inputs), program.slots(weights, inputs)
    for i in range(program.num_instructions):
        if program.kind[i] == PAULI_ROTATION:
            psi = rotate(program, i, psi, angles[:, i])
        elif program.kind[i] == UNITARY:
            psi = apply_matrix(program, i, psi)
        else:
            psi = prepare(program, i, psi, prepared_vector(program, i, slots)[0])
    return psi


def _unprepare(program: Program, i: int, slots: np.ndarray, psi: np.ndarray, lam: np.ndarray,
               gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Undo a preparation on psi and lambda, and add the derivatives of its amplitudes to `gradient`."""
    vector, norm = prepared_vector(program, i, slots)
    first = np.zeros_like(vector)
    first[:, 0] = 1.0
    view, order = targets_first(program, i, psi)
    after = view.reshape(len(psi), vector.shape[1], -1)
    by_target = targets_first(program, i, lam)[0].reshape(after.shape)
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
