"""How large the states are that an executor holds in this process, and whether they fit."""

from __future__ import annotations

from typing import Any

from ketgrad.executors.protocol import execution, runs_in_parts
from ketgrad.foundation.errors import KetgradMemoryError
from ketgrad.foundation.memory import FREE_BELOW, reserve, state_bytes
from ketgrad.programs.program import Program


def check_state(num_qubits: int, itemsize: int) -> None:
    """Raise unless the state of so many qubits fits into memory."""
    reserve(
        state_bytes(num_qubits, 1, itemsize),
        f"the state of {num_qubits} qubits",
        "Every amplitude that the question can see is kept: use fewer qubits, or circuits on parts of them.",
    )


def check_register(executor: Any, num_qubits: int, itemsize: int) -> None:
    """Raise unless a state of all qubits fits, if the executor holds one: no device, and none that runs in parts."""
    exact = getattr(executor, "executor", executor)
    if "exact" in exact.abilities and not runs_in_parts(exact):
        check_state(num_qubits, itemsize)


def check_held(executor: Any, program: Program, itemsize: int) -> None:
    """Raise unless the state that the executor holds fits: of all qubits, or of those that the question can see."""
    try:
        check_state(program.num_qubits, itemsize)
    except KetgradMemoryError:
        held = execution(executor, program).simulated_qubits
        if held is not None:
            check_state(held, itemsize)


def held_bytes(executor: Any, program: Program, itemsize: int) -> int:
    """Bytes of one state that the executor holds: of all qubits, of those that the question can see, or of none.

    Below 64 MiB the difference does not matter, and the program need not be compiled to be told.
    """
    held: int | None = program.num_qubits
    if state_bytes(program.num_qubits) > FREE_BELOW:
        held = execution(executor, program).simulated_qubits
    return 0 if held is None else state_bytes(held, 1, itemsize)
