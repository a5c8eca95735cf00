"""Circuits of qiskit that were converted before, found again by what they hold, since they can change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar

from qiskit.circuit import Barrier, Clbit, Gate, Instruction, Measure, QuantumCircuit, Qubit

from ketgrad.bridges.qiskit.reader import DEEPEST, size

KEPT = 128  # circuits
LONGEST = 10**5  # gates of a definition that is compared; longer ones are converted anew
_STANDARD = "qiskit.circuit.library.standard_gates"  # their classes and angles say all about them


_Made = TypeVar("_Made")


class Conversions(Generic[_Made]):
    """A conversion of circuits that remembers its last results; safe to use from many threads.

    convert: what makes the result, a function of a module. The results are the same objects for equal circuits, so
    what is compiled for them is found again too.
    """

    def __init__(self, convert: Callable[[QuantumCircuit], _Made]) -> None:
        self.convert = convert
        self._found: OrderedDict[Hashable, _Made] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> Any:
        """Copies start empty."""
        return Conversions, (self.convert,)

    def __call__(self, circuit: QuantumCircuit) -> _Made:
        """The conversion of a circuit."""
        key = fingerprint(circuit)
        if key is None:
            return self.convert(circuit)
        with self._lock:
            try:
                found = self._found.get(key)
            except OverflowError:  # the hash of Qiskit's expression for a negative number
                return self.convert(circuit)
            if found is not None:
                self._found.move_to_end(key)
                return found
        found = self.convert(circuit)
        with self._lock:
            found = self._found.setdefault(key, found)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
        return found


def fingerprint(circuit: QuantumCircuit) -> Hashable | None:
    """Equal for circuits that hold the same standard gates on the same places; None where that cannot be told."""
    return _parts(circuit, {}, 0)


def _parts(circuit: QuantumCircuit, sizes: dict[int, int], depth: int) -> Hashable | None:
    bits: dict[Qubit | Clbit, int] = {qubit: k for k, qubit in enumerate(circuit.qubits)}
    bits |= {clbit: k for k, clbit in enumerate(circuit.clbits)}
    rows: list[Hashable] = [circuit.num_qubits, circuit.global_phase]
    rows += [(register.name, *map(bits.__getitem__, register)) for register in circuit.cregs]
    for instruction in circuit.data:
        head = _head(instruction.operation, sizes, depth)
        if head is None:
            return None
        rows.append((head, *(bits[q] for q in instruction.qubits), *(bits[c] for c in instruction.clbits)))
    return tuple(rows)


def _head(operation: Any, sizes: dict[int, int], depth: int) -> Hashable | None:
    """What an operation is: its class and its numbers, or the parts of its definition."""
    kind = getattr(operation, "base_class", type(operation))
    if kind.__module__.startswith(_STANDARD) or kind in (Barrier, Measure):
        return kind, getattr(operation, "ctrl_state", None), *operation.params
    if kind not in (Gate, Instruction) or operation.definition is None or depth >= DEEPEST:
        return None
    if size(operation.definition, sizes) > LONGEST:
        return None
    return _parts(operation.definition, sizes, depth + 1)
