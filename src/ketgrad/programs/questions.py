"""What may be asked of a circuit: the checks of observables, qubits, shots and types, and their wording."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.paulis import PauliSum, check_hermitian
from ketgrad.foundation.errors import (
    KetgradIndexError,
    KetgradTypeError,
    KetgradValueError,
)
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.foundation.seeds import check_seed

UNPACKED_AT_ONCE = 2**18  # outcomes, which stay in the cache


def fixed_seed(seed: Any) -> Any:
    """A seed without a state of its own: None, an integer or a SeedSequence."""
    if isinstance(seed, np.random.Generator | np.random.RandomState):
        raise KetgradTypeError(
            "`seed` must be None, an integer or a SeedSequence - a function is compared and saved with it - but is "
            f"a {type(seed).__name__}. Every call draws fresh noise under an integer too."
        )
    check_seed(seed)
    return int(seed) if isinstance(seed, np.integer) else seed


def check_circuit(circuit: Any) -> Circuit:
    """The circuit, itself or as a bridge returned it; raise unless its program fits into memory."""
    circuit = as_circuit(circuit)
    masks = (1 + len(circuit.ops)) * circuit.num_qubits // 2  # bytes: four bits for each qubit and op
    reserve(
        masks, f"the program of {len(circuit.ops)} ops on {circuit.num_qubits} qubits", "Use fewer of them."
    )
    return circuit


def check_state(num_qubits: int, itemsize: int) -> None:
    """Raise unless the state of so many qubits fits into memory."""
    reserve(
        state_bytes(num_qubits, 1, itemsize),
        f"the state of {num_qubits} qubits",
        "Every amplitude that the question can see is kept: use fewer qubits, or circuits on parts of them.",
    )


def hermitian_sums(observables: Any, num_qubits: int) -> tuple[PauliSum, ...]:
    """One Pauli sum or several, all Hermitian and inside the register."""
    several = isinstance(observables, Iterable) and not isinstance(observables, PauliSum | str)
    several = several and np.ndim(observables) == 1 if isinstance(observables, np.ndarray) else several
    sums: tuple[Any, ...] = tuple(observables) if several else (observables,)
    if not sums:
        raise KetgradValueError("`observables` must hold at least one Pauli sum, but is empty.")
    for k, observable in enumerate(sums):
        name = f"observables[{k}]" if several else "observables"
        if not isinstance(observable, PauliSum):
            hint = f" Write kg.Pauli({observable!r})." if isinstance(observable, str) else ""
            raise KetgradTypeError(f"`{name}` must be a Pauli sum, but is {type(observable).__name__}.{hint}")
        if observable.num_qubits > num_qubits:
            raise KetgradIndexError(
                f"`{name}` reads qubit {observable.num_qubits - 1}, but the circuit has qubits 0 to {num_qubits - 1}."
            )
        check_hermitian(observable, name, "only then are its values real")
    return sums


def measured_qubits(qubits: Any, num_qubits: int) -> tuple[int, ...]:
    """Different qubits of the register, at least one."""
    try:
        places = tuple(operator.index(q) for q in qubits)
    except TypeError:
        raise KetgradTypeError(
            f"`qubits` must be None or a sequence of integers, but is {qubits!r}."
        ) from None
    if not places:
        raise KetgradValueError("`qubits` must name at least one qubit, but is empty; None measures all.")
    for k, qubit in enumerate(places):
        if not 0 <= qubit < num_qubits:
            raise KetgradIndexError(
                f"`qubits[{k}]` is {qubit}, but the circuit has qubits 0 to {num_qubits - 1}."
            )
        if qubit in places[:k]:
            raise KetgradValueError(f"`qubits` must differ, but names qubit {qubit} twice.")
    return places


def unpacked(outcomes: np.ndarray, num_qubits: int) -> np.ndarray:
    """One byte per qubit from outcome indices, qubit 0 (the most significant bit) first."""
    bits = np.empty((*outcomes.shape, num_qubits), dtype=np.uint8)
    flat, table = outcomes.reshape(-1), bits.reshape(-1, num_qubits)
    for start in range(0, len(flat), UNPACKED_AT_ONCE):  # a signal is seen between two pieces
        part = slice(start, start + UNPACKED_AT_ONCE)
        for qubit in range(num_qubits):
            table[part, qubit] = (flat[part] >> np.uint64(num_qubits - 1 - qubit)) & np.uint64(1)
    return bits
