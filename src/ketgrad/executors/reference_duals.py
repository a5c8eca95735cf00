"""Second derivatives as the reference executor defines them: the adjoint method on dual numbers, in NumPy.

Every quantity q is followed by its tangent dq = d/de of q at (weights + e weights_direction, ...), through the forward
pass, the question and the backward pass; the tangents of a gradient are a row of the Hessian times a vector.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ketgrad.executors.state_vectors import (
    Readout,
    apply_generator,
    apply_matrix,
    prepare,
    prepared_vector,
    rotate,
    summed,
    targets_first,
)
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.programs.program import PAULI_ROTATION, UNITARY, Program
from ketgrad.programs.question import WIDEST


class Dual(NamedTuple):
    """A quantity and its derivative along the direction."""

    value: np.ndarray
    tangent: np.ndarray


class Lines(NamedTuple):
    """The slots [1, weights, inputs] and the angles of each sample along the direction."""

    slots: Dual
    angles: Dual


def jvp(program: Program, readout: Readout, weights: np.ndarray, inputs: np.ndarray,
        weights_direction: np.ndarray | None,
        inputs_direction: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(values, tangents), each (batch, outputs)."""
    lines = _lines(program, weights, inputs, weights_direction, inputs_direction)
    return tuple(_answers(program, readout, _forward(program, lines)))  # type: ignore[return-value]


def hvp(program: Program, readout: Readout, weights: np.ndarray, inputs: np.ndarray, cotangent: np.ndarray,
        weights_direction: np.ndarray | None, inputs_direction: np.ndarray | None,
        cotangent_direction: np.ndarray | None) -> tuple[np.ndarray, ...]:  # fmt: skip
    """(values, tangents, dweights, dinputs, hweights, hinputs).

    With lambda = d loss / d psi, the instruction exp(-i a G / 2) adds Im <lambda|G|psi> / 2 to d loss / d a, and
    (Im <dlambda|G|psi> + Im <lambda|G|dpsi>) / 2 to its tangent; all four states are un-applied together.
    """
    lines = _lines(program, weights, inputs, weights_direction, inputs_direction)
    psi = _forward(program, lines)
    answers = _answers(program, readout, psi)
    lam = _seeds(program, readout, psi, cotangent, cotangent_direction)
    gradient = Dual(np.zeros_like(lines.slots.value), np.zeros_like(lines.slots.value))
    for i in reversed(range(program.num_instructions)):
        if program.kind[i] == PAULI_ROTATION:
            _accumulate_angle(program, i, lines.slots, _by_angle(program, i, psi, lam), gradient)
            psi, lam = (_turn(program, i, state, lines.angles, -1) for state in (psi, lam))
        elif program.kind[i] == UNITARY:
            psi, lam = (
                Dual(*(apply_matrix(program, i, s, adjoint=True) for s in state)) for state in (psi, lam)
            )
        else:
            psi, lam = _unprepare(program, i, lines.slots, psi, lam, gradient)
    split = 1 + program.num_weights
    first, second = ((summed(g[:, 1:split], weights), summed(g[:, split:], inputs)) for g in gradient)
    return (*answers, *first, *second)


def _lines(program: Program, weights: np.ndarray, inputs: np.ndarray, weights_direction: Any,
           inputs_direction: Any) -> Lines:  # fmt: skip
    values = np.asarray(weights, np.float64), np.asarray(inputs, np.float64)
    given = (weights_direction, inputs_direction)
    moves = [
        np.zeros_like(v) if d is None else np.asarray(d, np.float64)
        for v, d in zip(values, given, strict=True)
    ]
    slots = Dual(program.slots(*values), program.slots(*moves))
    slots.tangent[:, 0] = 0.0
    a, b = program.term_a, program.term_b
    terms = program.term_coefficient * (
        slots.tangent[:, a] * slots.value[:, b] + slots.value[:, a] * slots.tangent[:, b]
    )
    return Lines(slots, Dual(program.angles(*values), program.totals(terms)))


def _forward(program: Program, lines: Lines) -> Dual:
    batch = len(lines.slots.value)
    reserve(6 * state_bytes(program.num_qubits, batch), f"{6 * batch} states of {program.num_qubits} qubits")
    assert program.num_qubits <= WIDEST  # wider states never pass the preflight
    psi = Dual(*(np.zeros((batch, 2**program.num_qubits), np.complex128) for _ in range(2)))
    psi.value[:, 0] = 1.0
    for i in range(program.num_instructions):
        if program.kind[i] == PAULI_ROTATION:
            psi = _turn(program, i, psi, lines.angles, 1)
        elif program.kind[i] == UNITARY:
            psi = Dual(*(apply_matrix(program, i, state) for state in psi))
        else:
            vector, _ = _vectors(program, i, lines.slots)
            moved = prepare(program, i, psi.value, vector.tangent) + prepare(
                program, i, psi.tangent, vector.value
            )
            psi = Dual(prepare(program, i, psi.value, vector.value), moved)
    return psi


def _turn(program: Program, i: int, state: Dual, angles: Dual, sense: int) -> Dual:
    """U(a) or its inverse on a state, whose tangent becomes U dpsi -+ (i/2) da G U psi."""
    value, moved = (rotate(program, i, s, sense * angles.value[:, i]) for s in state)
    return Dual(value, moved - 0.5j * sense * angles.tangent[:, i, None] * apply_generator(program, i, value))


def _by_angle(program: Program, i: int, psi: Dual, lam: Dual) -> Dual:
    turned = Dual(*(apply_generator(program, i, state) for state in psi))
    value = np.sum(np.conj(lam.value) * turned.value, axis=1).imag / 2
    moved = np.sum(np.conj(lam.tangent) * turned.value + np.conj(lam.value) * turned.tangent, axis=1).imag / 2
    return Dual(value, moved)


def _accumulate_angle(program: Program, i: int, slots: Dual, by_angle: Dual, gradient: Dual) -> None:
    """Chain rule through angle = sum_t c_t z[a_t] z[b_t], and its tangent."""
    for t in range(program.term_start[i], program.term_start[i + 1]):
        coefficient = program.term_coefficient[t]
        for a, b in ((program.term_a[t], program.term_b[t]), (program.term_b[t], program.term_a[t])):
            gradient.value[:, a] += coefficient * by_angle.value * slots.value[:, b]
            gradient.tangent[:, a] += coefficient * (
                by_angle.tangent * slots.value[:, b] + by_angle.value * slots.tangent[:, b]
            )


def _vectors(program: Program, i: int, slots: Dual) -> tuple[Dual, Dual]:
    """The prepared vector v = u / N of each sample and its norm N; dN = Re <v|du>, dv = (du - v dN) / N."""
    rows = slice(program.data_start[i], program.data_start[i + 1])
    vector, norm = prepared_vector(program, i, slots.value)
    rate = program.data[rows] * slots.tangent[:, program.amplitude_slot[rows]]
    if not program.normalize[i]:
        return Dual(vector, rate), Dual(norm, np.zeros_like(norm))
    growth = np.sum(np.real(np.conj(vector) * rate), axis=1, keepdims=True)
    return Dual(vector, (rate - vector * growth) / norm), Dual(norm, growth)


def _unprepare(
    program: Program, i: int, slots: Dual, psi: Dual, lam: Dual, gradient: Dual
) -> tuple[Dual, Dual]:
    """Undo a preparation on psi and lambda, and add the derivatives of its amplitudes to `gradient`."""
    vector, norm = _vectors(program, i, slots)
    view, order = targets_first(program, i, psi.value)
    shape = (len(view), vector.value.shape[1], -1)
    by_target, of_lam = (
        Dual(*(targets_first(program, i, s)[0].reshape(shape) for s in d)) for d in (psi, lam)
    )
    rest = _rest(vector, by_target)
    outside = Dual(
        _environment(of_lam.value, rest.value),
        _environment(of_lam.tangent, rest.value) + _environment(of_lam.value, rest.tangent),
    )
    if program.normalize[i]:
        outside = _projected(outside, vector, norm)
    rows = slice(program.data_start[i], program.data_start[i + 1])
    for total, part in zip(gradient, outside, strict=True):
        by_slot = np.real(np.conj(part) * program.data[rows])
        np.add.at(total.T, program.amplitude_slot[rows], by_slot.T)

    def before(part: np.ndarray) -> np.ndarray:
        product = np.zeros((len(view), vector.value.shape[1], part.shape[1]), np.complex128)
        product[:, 0] = part
        return product.reshape(view.shape).transpose(np.argsort(order)).reshape(psi.value.shape)

    behind = Dual(
        _contracted(vector.value, of_lam.value),
        _contracted(vector.value, of_lam.tangent) + _contracted(vector.tangent, of_lam.value),
    )
    return Dual(*(before(part) for part in rest)), Dual(*(before(part) for part in behind))


def _contracted(vector: np.ndarray, state: np.ndarray) -> np.ndarray:
    return np.einsum("bm,bmr->br", vector.conj(), state)


def _environment(state: np.ndarray, rest: np.ndarray) -> np.ndarray:
    return np.einsum("bmr,br->bm", state, rest.conj())


def _rest(vector: Dual, psi: Dual) -> Dual:
    """From psi = v rest, and so dpsi = dv rest + v drest, to rest and drest."""
    squared = np.sum(np.abs(vector.value) ** 2, axis=1, keepdims=True)
    rest = _contracted(vector.value, psi.value) / squared
    overlap = np.sum(np.conj(vector.value) * vector.tangent, axis=1, keepdims=True)
    return Dual(rest, (_contracted(vector.value, psi.tangent) - overlap * rest) / squared)


def _projected(outside: Dual, vector: Dual, norm: Dual) -> Dual:
    """(e - v Re <e|v>) / N: from the derivative by v = u / N to that by u."""

    def real_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.real(np.sum(np.conj(a) * b, axis=1, keepdims=True))

    radial = real_overlap(outside.value, vector.value)
    growth = real_overlap(outside.tangent, vector.value) + real_overlap(outside.value, vector.tangent)
    value = (outside.value - radial * vector.value) / norm.value
    moved = outside.tangent - growth * vector.value - radial * vector.tangent - value * norm.tangent
    return Dual(value, moved / norm.value)


def _answers(program: Program, readout: Readout, psi: Dual) -> Dual:
    return Dual(readout.values(program, psi.value), readout.rates(program, *psi))


def _seeds(
    program: Program, readout: Readout, psi: Dual, cotangent: np.ndarray, direction: np.ndarray | None
) -> Dual:
    """lambda = O_c psi and dlambda = O_c dpsi + O_dc psi; for a state the cotangents themselves."""
    change = np.zeros_like(cotangent) if direction is None else direction
    value, moved = (readout.seed(program, psi.value, c) for c in (cotangent, change))
    if readout.reads_squares:
        moved = moved + readout.seed(program, psi.tangent, cotangent)
    return Dual(value, moved)
