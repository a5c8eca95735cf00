"""What becomes of a tape before the device runs it: transforms from tapes to tapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pennylane as qml
from pennylane.devices.preprocess import (
    decompose,
)
from pennylane.exceptions import DeviceError
from pennylane.fourier.mark import MarkedOp
from pennylane.operation import Operator
from pennylane.ops import MidMeasure
from pennylane.ops.op_math import Conditional
from pennylane.tape import QuantumScript
from pennylane.transforms import broadcast_expand
from pennylane.transforms.core import transform

from ketgrad.bridges.pennylane.gates import ROWS, SEQUENCES, runs
from ketgrad.bridges.pennylane.readout import differentiable, from_state
from ketgrad.bridges.pennylane.tapes import real_amplitudes

NAME = "ketgrad.qubit"
GATE_SET = frozenset({*ROWS, *SEQUENCES, *(f"C({name})" for name in ROWS), *(f"Adjoint({name})" for name in ROWS),
                      "QubitUnitary", "GlobalPhase", "Identity"})  # fmt: skip
SHADOWS = (qml.measurements.ClassicalShadowMP, qml.measurements.ShadowExpvalMP)

Tapes = Sequence[QuantumScript]


def first_of(found: Sequence[Any]) -> Any:
    """The result of the only tape."""
    return found[0]


@transform
def run_natively(tape: QuantumScript, wires: Any = None) -> tuple[Tapes, Callable[..., Any]]:
    """Decompose what does not run as it is, and split a broadcast over matrices or complex states into its samples."""
    if any(isinstance(op, MarkedOp) for op in tape.operations):
        bare = [op.base if isinstance(op, MarkedOp) else op for op in tape.operations]
        tape = tape.copy(operations=bare, trainable_params=tape.trainable_params)
    first = tape.operations[0] if tape.operations else None
    keeps_state = isinstance(first, qml.StatePrep | qml.BasisState) and prepares(first)
    if not all(map(_runs_or_measures, tape.operations[keeps_state:])):
        (tape,), _ = decompose(
            tape,
            stopping_condition=_runs_or_measures,
            device_wires=wires,
            target_gates=GATE_SET,
            skip_initial_state_prep=keeps_state,
            name=NAME,
        )
    return (tape,), first_of


def _runs_or_measures(op: Operator) -> bool:
    return runs(op) or isinstance(op, MidMeasure | Conditional)


def prepares(op: Operator) -> bool:
    """Whether a state runs as it is: not where a complex one is trained."""
    if isinstance(op, qml.BasisState) or getattr(op, "is_sparse", False):
        return True
    if not qml.math.requires_grad(op.data[0]):
        return True
    return "complex" not in str(qml.math.get_dtype_name(op.data[0]))


@transform
def split_samples(tape: QuantumScript) -> tuple[Tapes, Callable[..., Any]]:
    """One tape for each sample where a matrix or a complex state differs, or where shadows are measured.

    PennyLane's measurement of shadows takes every axis of a state for a wire.
    """
    constants = any(
        op.name not in ROWS and op.batch_size is not None and _is_constant(op) for op in tape.operations
    )
    shadows = tape.batch_size is not None and any(isinstance(one, SHADOWS) for one in tape.measurements)
    return broadcast_expand(tape) if constants or shadows else ((tape,), first_of)


def _is_constant(op: Operator) -> bool:
    if isinstance(op, qml.StatePrep):
        return not qml.math.is_abstract(op.data[0]) and real_amplitudes(op) is None
    return not runs(op)


def _is_differentiated(number: Any) -> bool:
    if qml.math.get_interface(number) == "torch":
        return bool(number.requires_grad)
    return bool(qml.math.in_backprop(number))


@transform
def exact_where_differentiated(tape: QuantumScript) -> tuple[Tapes, Callable[..., Any]]:
    """Refuse shots where the device shall differentiate; one tape of several, as of a snapshot, may have shots."""
    if tape.shots and any(map(_is_differentiated, tape.get_parameters(trainable_only=False))):
        raise DeviceError(
            f"{NAME} has no derivatives of its own with finite shots, but a tape among exact ones has {tape.shots}. "
            "Use diff_method='parameter-shift'."
        )
    return (tape,), first_of


@transform
def state_for_others(tape: QuantumScript) -> tuple[Tapes, Callable[..., Any]]:
    """Make measurements that have no derivative here from the state, which has one."""
    if tape.shots or all(differentiable(process) for process in tape.measurements):
        return (tape,), first_of
    if not all(map(from_state, tape.measurements)):
        names = ", ".join(str(process) for process in tape.measurements if not differentiable(process))
        raise DeviceError(
            f"{NAME} has no derivative of {names} - it is neither a short sum of Pauli words nor made from the state, "
            "or stands beside one that is. Write observables in Pauli words, or use diff_method='parameter-shift'."
        )
    wires = tape.wires
    # Entropies count the wires of a state by their numbers, whatever order is given: wire k becomes position k.
    places = {wire: k for k, wire in enumerate(wires)}
    mapped = [process.map_wires(places) for process in tape.measurements]

    def finish(found: Sequence[Any]) -> Any:
        made = tuple(
            process.process_state(found[0], wire_order=qml.wires.Wires(range(len(wires))))
            for process in mapped
        )
        return made[0] if len(made) == 1 else made

    return (tape.copy(measurements=[qml.measurements.StateMP(wires=wires)]),), finish
