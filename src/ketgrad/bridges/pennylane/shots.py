"""Finite shots of tapes, with measurements at the end or in mid-circuit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.devices.qubit.sampling import measure_with_samples
from pennylane.measurements import MeasurementProcess, Shots
from pennylane.ops import MidMeasure
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.calls import states
from ketgrad.bridges.pennylane.tapes import Plans, TapePlan


def measured(plan: TapePlan, tape: QuantumScript, state: np.ndarray, rng: np.random.Generator) -> Any:
    """The results of one tape from its final state (or states), by PennyLane's own sampling."""
    made = _sample(plan.measurements, state, tape.shots, plan.is_batched, rng)
    if len(plan.measurements) > 1:
        return made
    return tuple(one[0] for one in made) if tape.shots.has_partitioned_shots else made[0]


def _sample(
    processes: Sequence[MeasurementProcess],
    state: np.ndarray,
    shots: Shots,
    batched: bool,
    rng: np.random.Generator,
) -> Any:
    return measure_with_samples(list(processes), state, shots=shots, is_state_batched=batched, rng=rng)


def has_mid_measurements(tape: QuantumScript) -> bool:
    """Whether something is measured before the end."""
    return any(isinstance(op, MidMeasure) for op in tape.operations)


def one_by_one(plans: Plans, tape: QuantumScript, native: Any, rng: np.random.Generator) -> tuple[Any, ...]:
    """The results of every single shot of a tape with mid-circuit measurements, as `dynamic_one_shot` gathers them.

    The measurements are moved to wires of their own and drawn from the final state for all shots at once; the
    shots with equal outcomes share the collapsed state in which the rest is measured. Outcomes that a
    postselection forbids are drawn like others: `dynamic_one_shot` discards them. native: the transform that
    decomposes what does not run.
    """
    count = sum(isinstance(op, MidMeasure) for op in tape.operations)
    (tape,), _ = qml.defer_measurements(tape, reduce_postselected=False, allow_postselect=True)
    tape = tape.copy(operations=[op for op in tape.operations if not isinstance(op, qml.Projector)])
    (tape,), _ = native(tape)
    ((plan, _, readings),) = plans.groups([tape])
    (state,) = states(plan, readings)
    axes = [plan.place[process.wires[0]] for process in tape.measurements[-count:]]
    outcomes = _draw(state, axes, tape.shots.total_shots, rng)
    results: list[Any] = [None] * len(outcomes)
    for outcome in np.unique(outcomes, axis=0):
        places = np.flatnonzero((outcomes == outcome).all(axis=1))
        collapsed = _collapse(state, axes, outcome)
        made = _sample(plan.measurements, collapsed, Shots([1] * len(places)), False, rng)
        made = made if len(places) > 1 else (made,)
        for place, one in zip(places, made, strict=True):
            results[place] = one if len(one) > 1 else one[0]
    return tuple(results)


def _draw(state: np.ndarray, axes: Sequence[int], shots: int, rng: np.random.Generator) -> np.ndarray:
    """Outcomes (shots, len(axes)) of measuring some qubits of a state."""
    others = tuple(k for k in range(state.ndim) if k not in axes)
    order = np.argsort(np.argsort(axes))
    chances = np.moveaxis((np.abs(state) ** 2).sum(axis=others), order, range(len(axes))).ravel()
    drawn = rng.choice(len(chances), size=shots, p=chances / chances.sum())
    return drawn[:, None] >> np.arange(len(axes))[::-1] & 1


def _collapse(state: np.ndarray, axes: Sequence[int], outcome: np.ndarray) -> np.ndarray:
    """The normalised part of a state in which some qubits have these values."""
    kept = np.zeros_like(state)
    where: list[Any] = [slice(None)] * state.ndim
    for axis, bit in zip(axes, outcome, strict=True):
        where[axis] = int(bit)
    kept[tuple(where)] = state[tuple(where)]
    return kept / np.linalg.norm(kept)
