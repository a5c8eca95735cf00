"""Which qubits an entangling layer joins: one function for every encoding, ansatz and spin chain."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from math import comb

from ketgrad.foundation.arrays import sequence_of
from ketgrad.foundation.errors import KetgradIndexError, KetgradValueError, near_matches, shown
from ketgrad.foundation.numbers import check_count

Entanglement = str | Iterable[tuple[int, ...]]

MOST_GROUPS = 10**6  # a layer with more gates than this is a typing error
MOST_GATES = 10**7  # and so is a circuit with more

PATTERNS = ("none", "linear", "reverse_linear", "circular", "ring", "pairwise", "full")


def qubit_groups(entanglement: Entanglement, num_qubits: int, size: int = 2) -> tuple[tuple[int, ...], ...]:
    """The groups of `size` qubits that a layer joins, in the order in which its gates are applied.

    entanglement: a list of groups, or a name: "none"; "linear": (0, 1), (1, 2), ...; "reverse_linear": the same
        from the end; "circular": the group across the end, then linear; "ring": linear, then the group across the
        end; "pairwise": (0, 1), (2, 3), ..., then (1, 2), (3, 4), ...; "full": every group.
    Names mean what they mean in Qiskit, except "ring", the order of PennyLane's entangling layers. A register no
    larger than the group has no group across the end.
    Cost: O(groups). Raises `KetgradValueError` for an unknown name and for more than 10^6 groups, `KetgradIndexError`
    for qubits that do not exist.

    >>> qubit_groups("ring", 3), qubit_groups("circular", 3)
    (((0, 1), (1, 2), (2, 0)), ((2, 0), (0, 1), (1, 2)))
    """
    if not isinstance(entanglement, str):
        chosen = sequence_of(entanglement, "entanglement", "[(0, 1), (2, 0)]")
        return _given(chosen, num_qubits, size)
    if entanglement not in PATTERNS:
        raise KetgradValueError(
            f"There is no entanglement {entanglement!r}. {near_matches(entanglement, PATTERNS)} "
            "A list of pairs such as [(0, 1), (2, 0)] is also accepted."
        )
    number = comb(num_qubits, size) if entanglement == "full" else num_qubits
    if number > MOST_GROUPS:
        raise KetgradValueError(
            f"`entanglement` may join at most {MOST_GROUPS} groups of qubits, but {entanglement!r} on {num_qubits} "
            f"qubits joins {number}. Use fewer qubits or features, or 'linear'."
        )
    chain = [tuple(range(k, k + size)) for k in range(num_qubits - size + 1)]
    across = [
        tuple((k + j) % num_qubits for j in range(size)) for k in range(num_qubits - size + 1, num_qubits)
    ]
    if size == 1 or num_qubits <= size:
        across = []
    orders = {
        "none": [],
        "linear": chain,
        "reverse_linear": chain[::-1],
        "circular": across + chain,
        "ring": chain + across,
        "pairwise": chain[::2] + chain[1::2],
    }
    return (
        tuple(combinations(range(num_qubits), size))
        if entanglement == "full"
        else tuple(orders[entanglement])
    )


def check_size(num_gates: int, name: str) -> None:
    """Raise before a circuit of more than 10^7 gates is built; `name` is the argument that makes it so large.

    >>> check_size(100, "layers")
    """
    if num_gates > MOST_GATES:
        raise KetgradValueError(
            f"`{name}` must be such that the circuit has at most {MOST_GATES} gates - more are a typing error - but it "
            f"would have {shown(num_gates)}. Use fewer layers, repetitions or qubits."
        )


def _given(
    entanglement: Iterable[tuple[int, ...]], num_qubits: int, size: int
) -> tuple[tuple[int, ...], ...]:
    pairs = (sequence_of(group, "a group of `entanglement`", "(0, 1)") for group in entanglement)
    chosen = tuple(tuple(check_count(q, "entanglement", 0) for q in group) for group in pairs)
    for group in chosen:
        if len(group) != size or len(set(group)) != size:
            raise KetgradValueError(
                f"`entanglement` must hold groups of {size} different qubits, but holds {group}."
            )
        if max(group) >= num_qubits:
            raise KetgradIndexError(
                f"`entanglement` holds {group}, but the register has the qubits 0 to {num_qubits - 1}."
            )
    return chosen
