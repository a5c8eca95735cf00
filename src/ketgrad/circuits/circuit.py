"""Circuits are values: a frozen tuple of ops on a register of qubits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ketgrad.circuits.angles import Angle, Variable, as_angle
from ketgrad.circuits.op import Op, known_op, refuse_duplicates
from ketgrad.circuits.paulis import new_names
from ketgrad.circuits.variables import arccos
from ketgrad.foundation.arrays import refuse_gradients
from ketgrad.foundation.errors import KetgradIndexError, KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import MAX_QUBITS, check_count, check_qubit

MOST_OPS = 10**7  # a circuit that is longer is a typing error


@dataclass(frozen=True)
class Circuit:
    """A sequence of ops on `num_qubits` qubits (by default as many as the ops name). Immutable and hashable.

    `a + b` runs a, then b with its weights numbered after those of a (inputs are shared); `circuit * 3` repeats
    with fresh weights each time and the same inputs, which is data re-uploading; `Circuit(a.ops + b.ops)`
    concatenates literally, so that w[0] of both is the same weight. `circuit + op` appends an op that reads no weight.
    `circuit[0]` is an op, `circuit[2:4]` the circuit of those ops. `repr` of up to 12 ops reads back as the same value,
    but for "..." in the place of a matrix or of amplitudes; of longer circuits it only gives the counts.

    >>> import ketgrad as kg
    >>> layer = kg.Circuit([kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 1), kg.cz(0, 1)])
    >>> (layer * 3).num_weights, (layer * 3).num_inputs
    (3, 1)
    """

    ops: tuple[Op, ...]
    num_qubits: int

    def __init__(self, ops: Iterable[Op] = (), num_qubits: int | None = None) -> None:
        sequence = _checked_ops(ops)
        if isinstance(ops, Circuit) and num_qubits is None:
            num_qubits = ops.num_qubits
        needed = 1 + max((max((*op.qubits, *op.controls), default=-1) for op in sequence), default=-1)
        size = needed if num_qubits is None else check_count(num_qubits, "num_qubits", 0, MAX_QUBITS)
        if needed > size:
            where = next(k for k, op in enumerate(sequence) if needed - 1 in (*op.qubits, *op.controls))
            raise KetgradIndexError(
                f"`num_qubits` is {size}, so qubits are 0 to {size - 1}, but op {where}, {sequence[where]!r}, "
                f"acts on qubit {needed - 1}."
            )
        object.__setattr__(self, "ops", sequence)
        object.__setattr__(self, "num_qubits", size)

    @cached_property
    def variables(self) -> frozenset[Variable]:
        """The weights and inputs that the ops read."""
        return frozenset().union(*{angle.variables() for op in self.ops for angle in op.angles})

    @cached_property
    def num_weights(self) -> int:
        """One more than the largest index i of a w[i]."""
        return max((1 + i for kind, i in self.variables if kind == "w"), default=0)

    @cached_property
    def num_inputs(self) -> int:
        """One more than the largest index j of an x[j]."""
        return max((1 + j for kind, j in self.variables if kind != "w"), default=0)

    @property
    def depth(self) -> int:
        """The number of layers when each op starts as early as its qubits allow."""
        level: dict[int, int] = {}
        for op in self.ops:
            places = (*op.qubits, *op.controls)
            layer = 1 + max((level.get(q, 0) for q in places), default=0)
            level.update(dict.fromkeys(places, layer))
        return max(level.values(), default=0)

    def map_angles(self, change: Callable[[Angle], Angle]) -> Circuit:
        """The circuit with every angle replaced by `change(angle)`."""
        if not callable(change):
            raise KetgradTypeError(f"`change` must be a function of an angle, but is {shown(change)}.")

        def changed(angle: Angle) -> Angle:
            return as_angle(change(angle), "What `change` returns")

        return Circuit((op.with_angles(tuple(map(changed, op.angles))) for op in self.ops), self.num_qubits)

    def bind(self, weights: Sequence[float] | np.ndarray) -> Circuit:
        """The circuit with numbers in place of its weights; inputs stay.

        >>> import ketgrad as kg
        >>> kg.Circuit([kg.rx(kg.w[0] * kg.x[0], 0)]).bind([2.0]).ops
        (rx(2 * x[0], 0),)
        """
        values = _sequence(weights, "weights")
        if values.shape != (self.num_weights,):
            raise KetgradValueError(
                f"`weights` must have shape ({self.num_weights},) - the circuit reads w[0] to "
                f"w[{self.num_weights - 1}] - but has shape {values.shape}."
            )
        numbers = {("w", i): as_angle(v, f"`weights[{i}]`") for i, v in enumerate(values)}
        return self.map_angles(lambda angle: angle.substitute(numbers))

    def encode(self, inputs: Sequence[Angle | float]) -> Circuit:
        """The circuit with an angle or a number in place of each input x[j]: inputs[j].

        inputs: one entry for each input of the circuit; x[j] itself where one is to stay.
        Raises `KetgradValueError` or `KetgradTypeError` for another number of entries, and for what cannot stand
        there, such as 2 in place of the x[0] of arccos(x[0]).
        """
        if (
            isinstance(inputs, str)
            or not isinstance(inputs, Sequence | np.ndarray)
            or getattr(inputs, "ndim", 1) == 0
        ):
            raise KetgradTypeError(f"`inputs` must be a list of angles and numbers, but is {shown(inputs)}.")
        if len(inputs) != self.num_inputs:
            raise KetgradValueError(
                f"`inputs` must have {self.num_inputs} entries - one for each input of the circuit; x[j] itself where "
                f"it is to stay - but has {len(inputs)}."
            )
        replaced: Mapping[Variable, Any] = {
            ("x", j): as_angle(v, f"`inputs[{j}]`") for j, v in enumerate(inputs)
        }
        derived = {("arccos", j): arccos(replaced["x", j]) for kind, j in self.variables
                   if kind == "arccos"}  # fmt: skip
        return self.map_angles(lambda angle: angle.substitute({**replaced, **derived}))

    def inverse(self) -> Circuit:
        """The circuit that undoes this one: inverse ops in reverse order."""
        return Circuit((op.inverse() for op in reversed(self.ops)), self.num_qubits)

    def control(self, *qubits: int) -> Circuit:
        """The circuit under control qubits: every op acts only where all of them are 1."""
        refuse_duplicates("control", qubits)
        size = max(self.num_qubits, 1 + max((check_qubit(q, "control") for q in qubits), default=-1))
        return Circuit((op.control(*qubits) for op in self.ops), size)

    def relabel(self, qubits: Sequence[int], num_qubits: int | None = None) -> Circuit:
        """The circuit with qubit k renamed to qubits[k].

        qubits: one number for each qubit of the register, all different. num_qubits: of the new register; None for as
        many as hold all that `qubits` names, whether an op acts on them or not.
        Raises `KetgradValueError` for another number of qubits and for a qubit that is named twice.

        >>> import ketgrad as kg
        >>> kg.Circuit([kg.cx(0, 1)], 3).relabel([2, 0, 1])
        Circuit([x(0).control(2)], num_qubits=3)
        """
        names = new_names(qubits)
        if len(names) != self.num_qubits:
            raise KetgradValueError(f"`qubits` must name {self.num_qubits} qubits, but names {len(names)}.")

        def moved(places: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(names[q] for q in places)

        size = 1 + max(names, default=-1) if num_qubits is None else num_qubits
        return Circuit(
            (known_op(op.gate, moved(op.qubits), op.angles, moved(op.controls)) for op in self.ops), size
        )

    def draw(self, style: str = "text", *, width: int | None = None) -> Any:
        """A picture: style "text" (a string), "svg" (a string) or "matplotlib" (a figure).

        width: where it is folded, in characters (text) or points; see `kg.draw.draw`.

        >>> import ketgrad as kg
        >>> print(kg.Circuit([kg.ry(kg.w[0], 0), kg.cx(0, 1)]).draw())
        q0 ─┤RY(w[0])├─●─
                       │
        q1 ────────────⊕─
        """
        from ketgrad.circuits.drawing.picture import picture  # who draws nothing loads nothing

        return picture(self.ops, self.num_qubits, style, width)

    def _repr_svg_(self) -> str | None:
        """What a notebook shows: the picture, or the text form of a circuit of more than 1000 ops."""
        return self.draw("svg") if len(self.ops) <= 1000 else None

    @staticmethod
    def from_qasm(text: str | bytes, *, max_operations: int = 10**7) -> Circuit:
        """The circuit that a text in OpenQASM 2 or 3 describes; see `ketgrad.from_qasm`, which is the same function.

        >>> import ketgrad as kg
        >>> kg.Circuit.from_qasm('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; h q[0]; cx q[0], q[1];')
        Circuit([h(0), x(1).control(0)], num_qubits=2)
        """
        from ketgrad.circuits.qasm.reader import read_text  # who reads no text loads no reader

        found = read_text(text, max_operations)
        return Circuit(found.ops, found.num_qubits)

    def to_qasm(self) -> str:
        """The circuit as OpenQASM 3."""
        from ketgrad.circuits.qasm.writer import write

        return write(self.ops, self.num_qubits)

    def __add__(self, other: Circuit | Op) -> Circuit:
        if isinstance(other, Op):
            if any(angle.count("w") for angle in other.angles):
                raise KetgradTypeError(
                    f"`circuit + {other!r}` leaves open which weight is meant. Write Circuit([*circuit.ops, op]) to "
                    "keep its weights as they are, or circuit + Circuit([op]) to number them after the circuit's."
                )
            other = Circuit([other])
        if not isinstance(other, Circuit):
            return NotImplemented
        later = other.map_angles(lambda angle: angle.shift_weights(self.num_weights))
        return Circuit(self.ops + later.ops, max(self.num_qubits, other.num_qubits))

    def __mul__(self, times: int) -> Circuit:
        if isinstance(times, bool) or not isinstance(times, int | np.integer):
            return NotImplemented
        if times < 0:
            raise KetgradValueError(f"A circuit is repeated 0 or more times, but {times} was given.")
        if len(self.ops) * int(times) > MOST_OPS:
            raise KetgradValueError(
                f"A circuit may have {MOST_OPS} ops at most, but {len(self.ops)} ops {shown(times)} times are more."
            )
        copies = (
            self.map_angles(lambda a, by=k * self.num_weights: a.shift_weights(by))
            for k in range(times if self.ops else 0)
        )
        return Circuit((op for copy in copies for op in copy.ops), self.num_qubits)

    __rmul__ = __mul__
    __array_ufunc__ = None  # np.int64(3) * circuit is for the circuit to answer, not an array of its ops

    def __getitem__(self, index: Any) -> Any:
        """The op at a position; of a slice, the circuit of those ops on the same register, weights as they are."""
        if isinstance(index, slice):
            return Circuit(self.ops[index], self.num_qubits)
        try:
            return self.ops[operator.index(index)]
        except TypeError:
            raise KetgradTypeError(
                f"A circuit is indexed by the position of an op, as circuit[0], but {shown(index)} was given."
            ) from None
        except IndexError:
            raise KetgradIndexError(
                f"The circuit has {len(self.ops)} ops, but op {shown(index)} was asked for."
            ) from None

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __len__(self) -> int:
        return len(self.ops)

    @cached_property
    def _hash(self) -> int:
        return hash((self.ops, self.num_qubits))

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        return {"ops": self.ops, "num_qubits": self.num_qubits}  # cached values are computed again

    def __str__(self) -> str:
        return self.draw()

    def __repr__(self) -> str:
        if len(self.ops) > 12:
            return f"<Circuit: {len(self.ops)} ops on {self.num_qubits} qubits, {self.num_weights} weights, " \
                f"{self.num_inputs} inputs>"  # fmt: skip
        return f"Circuit([{', '.join(map(repr, self.ops))}], num_qubits={self.num_qubits})"


# the packages whose circuits people have at hand -> how one of theirs becomes one of ours
CONVERTED_BY = {
    "qiskit": "kg.qiskit.from_qiskit(circuit)", "cirq": "kg.cirq.from_cirq(circuit)",
    "pennylane": "kg.pennylane.from_pennylane(circuit)",
}  # fmt: skip


def as_circuit(value: Any, name: str = "circuit") -> Circuit:
    """The circuit that is meant: one itself, or what a bridge returned with the names of its parameters.

    Raises `KetgradTypeError` for anything else, with what to write for a circuit of another library.

    >>> as_circuit([1])  # doctest: +NORMALIZE_WHITESPACE
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradTypeError: `circuit` must be a kg.Circuit, but is list.
      A list of ops becomes one in Circuit(...).
    """
    if isinstance(value, Circuit):
        return value
    origin = type(value).__module__
    inner = getattr(value, "circuit", None) if origin.startswith("ketgrad.bridges.") else None
    if isinstance(inner, Circuit):
        return inner
    hint = ""
    if origin.partition(".")[0] in CONVERTED_BY:
        hint = f" Convert it: {CONVERTED_BY[origin.partition('.')[0]]}."
    elif isinstance(value, str):
        hint = " A text in OpenQASM is read by kg.from_qasm."
    elif isinstance(value, list | tuple | Op):
        hint = " A list of ops becomes one in Circuit(...)."
    elif isinstance(inner := getattr(value, "circuit", None), Circuit):
        hint = " Its own is `.circuit`."
    raise KetgradTypeError(f"`{name}` must be a kg.Circuit, but is {type(value).__name__}.{hint}")


def _checked_ops(ops: Any) -> tuple[Op, ...]:
    if isinstance(ops, Op):
        raise KetgradTypeError(
            f"`ops` must be a list of ops, but is the op {ops!r}. Write Circuit([{ops!r}])."
        )
    if not isinstance(ops, Iterable):
        hint = " Write Circuit([], 3) for three empty qubits: the ops come first." * isinstance(
            ops, int | np.integer
        )
        raise KetgradTypeError(f"`ops` must be a list of ops such as [kg.h(0)], but is {shown(ops)}.{hint}")
    sequence = tuple(ops)
    for position, op in enumerate(sequence):
        if not isinstance(op, Op):
            hint = " Join circuits with +." * isinstance(op, Circuit)
            hint += f" Call it: kg.{getattr(op, '__name__', 'h')}(...)." * callable(op)
            raise KetgradTypeError(
                f"`ops` must hold ops such as kg.rx(0.1, 0), but entry {position} is {type(op).__name__}.{hint}"
            )
    return sequence


def _sequence(values: Any, name: str) -> np.ndarray:
    refuse_gradients(values, name)
    try:
        return np.asarray(values)
    except ValueError:
        raise KetgradValueError(
            f"`{name}` must be a list of numbers, but its rows have unequal lengths."
        ) from None
