"""Circuits are values: an Op is a gate on qubits, a Circuit a frozen tuple of ops."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ketgrad.angles import Angle, Variable, arccos, as_angle
from ketgrad.errors import KetgradIndexError, KetgradTypeError, KetgradValueError
from ketgrad.gates import GATES, Gate

MAX_QUBITS = 10**7  # a register larger than this is a typing error; states end far earlier, by memory


@dataclass(frozen=True)
class Op:
    """A gate on qubits, with its angles, acting where all `controls` are 1.

    Made by the builders (`rx(w[0], 2)`, `cx(0, 1)`) rather than by hand.

    >>> import ketgrad as kg
    >>> kg.rx(kg.w[0], 2).control(0)
    rx(w[0], 2).control(0)
    """

    gate: Gate
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()
    controls: tuple[int, ...] = ()

    @staticmethod
    def build(
        gate: Gate, qubits: Iterable[Any], angles: Iterable[Any] = (), controls: Iterable[Any] = ()
    ) -> Op:
        """An op from user values: qubits and angles are checked, numbers become constant angles."""
        name = gate.name
        places = tuple(_qubit(q, name) for q in qubits)
        conditions = tuple(_qubit(q, name) for q in controls)
        if len(places) != gate.num_qubits:
            raise KetgradValueError(
                f"`{name}` acts on {gate.num_qubits} qubits, but {len(places)} were given."
            )
        _refuse_duplicates(name, places + conditions)
        turns = tuple(as_angle(a, _parameter_name(gate, k)) for k, a in enumerate(angles))
        if len(turns) != gate.num_angles:
            raise KetgradValueError(f"`{name}` takes {gate.num_angles} angles, but {len(turns)} were given.")
        return Op(gate, places, turns, conditions)

    @property
    def angle(self) -> Angle | None:
        """The angle of a gate that has exactly one, else None."""
        return self.angles[0] if len(self.angles) == 1 else None

    def control(self, *qubits: int) -> Op:
        """The op under further control qubits: it acts only where all of them are 1."""
        if self.gate.amplitudes is not None:
            raise KetgradTypeError("`prepare_state` takes no controls - it prepares qubits that are in |0>.")
        return Op.build(self.gate, self.qubits, self.angles, (*self.controls, *qubits))

    def with_angles(self, angles: tuple[Angle, ...]) -> Op:
        """The op with other angles; a preparation whose amplitudes become numbers turns into a constant one."""
        if angles and self.gate.amplitudes is not None and all(angle.is_constant for angle in angles):
            return replace(self, gate=self.gate.prepared([angle.constant for angle in angles]), angles=())
        return replace(self, angles=angles) if angles else self

    def inverse(self) -> Op:
        """The op that undoes this one."""
        gate = self.gate.inverse()
        angles = tuple(-angle for angle in self.angles) if gate.generator is not None else self.angles
        return Op(gate, self.qubits, angles, self.controls)

    def matrix(self, weights: Any = (), inputs: Any = ()) -> np.ndarray:
        """The unitary of the gate on its own qubits, controls left out, at given weights and inputs."""
        return self.gate.matrix(*(angle.evaluate(weights, inputs) for angle in self.angles))

    def __repr__(self) -> str:
        name, controls = self.gate.name, self.controls
        angles = [repr(angle) for angle in self.angles] if self.gate.amplitudes is None else ["..."]
        if self.gate.unitary is not None and name not in GATES:
            angles = ["..."]
        if name == "pauli_rotation":  # a gate of its own for every word
            angles.append(repr(self.gate.word))
        text = f"{name}({', '.join([*angles, *map(str, self.qubits)])})"
        return text + (f".control({', '.join(map(str, controls))})" if controls else "")


@dataclass(frozen=True)
class Circuit:
    """A sequence of ops on `num_qubits` qubits (by default as many as the ops name). Immutable and hashable.

    `a + b` runs a, then b with its weights numbered after those of a (inputs are shared); `circuit * 3` repeats
    with fresh weights each time and the same inputs, which is data re-uploading; `Circuit(a.ops + b.ops)`
    concatenates literally, so that w[0] of both is the same weight.

    >>> import ketgrad as kg
    >>> layer = kg.Circuit([kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 1), kg.cz(0, 1)])
    >>> (layer * 3).num_weights, (layer * 3).num_inputs
    (3, 1)
    """

    ops: tuple[Op, ...]
    num_qubits: int

    def __init__(self, ops: Iterable[Op] = (), num_qubits: int | None = None) -> None:
        if not isinstance(ops, Iterable):
            raise KetgradTypeError(f"`ops` must be a list of ops such as [kg.h(0)], but is {ops!r}.")
        sequence = tuple(ops)
        for position, op in enumerate(sequence):
            if not isinstance(op, Op):
                raise KetgradTypeError(
                    f"`ops` must hold ops such as kg.rx(0.1, 0), but entry {position} is {type(op).__name__}."
                )
        needed = 1 + max((max((*op.qubits, *op.controls), default=-1) for op in sequence), default=-1)
        size = needed if num_qubits is None else _register(num_qubits)
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
        return Circuit((op.with_angles(tuple(map(change, op.angles))) for op in self.ops), self.num_qubits)

    def bind(self, weights: Sequence[float] | np.ndarray) -> Circuit:
        """The circuit with numbers in place of its weights; inputs stay.

        >>> import ketgrad as kg
        >>> kg.Circuit([kg.rx(kg.w[0] * kg.x[0], 0)]).bind([2.0]).ops
        (rx(2 x[0], 0),)
        """
        values = np.asarray(weights)
        if values.shape != (self.num_weights,):
            raise KetgradValueError(
                f"`weights` must have shape ({self.num_weights},) - the circuit reads w[0] to "
                f"w[{self.num_weights - 1}] - but has shape {values.shape}."
            )
        numbers = {("w", i): as_angle(v, f"`weights[{i}]`") for i, v in enumerate(values)}
        return self.map_angles(lambda angle: angle.substitute(numbers))

    def encode(self, inputs: Sequence[Angle | float]) -> Circuit:
        """The circuit with an angle or a number in place of each input x[j]: inputs[j].

        Raises `KetgradValueError` or `KetgradTypeError` for what cannot stand there, such as 2 in place of the
        x[0] of arccos(x[0]).
        """
        replaced: Mapping[Variable, Any] = {
            ("x", j): as_angle(v, f"`inputs[{j}]`") for j, v in enumerate(inputs)
        }
        derived = {("arccos", j): arccos(replaced["x", j]) for kind, j in self.variables
                   if kind == "arccos" and j < len(inputs)}  # fmt: skip
        return self.map_angles(lambda angle: angle.substitute({**replaced, **derived}))

    def inverse(self) -> Circuit:
        """The circuit that undoes this one: inverse ops in reverse order."""
        return Circuit((op.inverse() for op in reversed(self.ops)), self.num_qubits)

    def control(self, *qubits: int) -> Circuit:
        """The circuit under control qubits: every op acts only where all of them are 1."""
        size = max(self.num_qubits, 1 + max((_qubit(q, "control") for q in qubits), default=-1))
        return Circuit((op.control(*qubits) for op in self.ops), size)

    def relabel(self, qubits: Sequence[int], num_qubits: int | None = None) -> Circuit:
        """The circuit with qubit k renamed to qubits[k]."""
        if len(qubits) != self.num_qubits:
            raise KetgradValueError(f"`qubits` must name {self.num_qubits} qubits, but names {len(qubits)}.")
        _refuse_duplicates("relabel", tuple(qubits))

        def moved(places: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(_qubit(qubits[q], "relabel") for q in places)

        return Circuit(
            (replace(o, qubits=moved(o.qubits), controls=moved(o.controls)) for o in self.ops), num_qubits
        )

    def draw(self, style: str = "text", *, width: int | None = None) -> Any:
        """A picture: style "text" (a string), "svg" (a string) or "matplotlib" (a figure).

        width: where it is folded, in characters (text) or points; see `ketgrad.draw.draw`.

        >>> import ketgrad as kg
        >>> print(kg.Circuit([kg.ry(kg.w[0], 0), kg.cx(0, 1)]).draw())
        q0 ─┤RY(w[0])├─●─
                       │
        q1 ────────────⊕─
        """
        from ketgrad import draw  # drawing stands above circuits; the method is only a door

        return draw.draw(self, style, width=width)

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
        from ketgrad import qasm

        return qasm.from_qasm(text, max_operations=max_operations)

    def to_qasm(self) -> str:
        """The circuit as OpenQASM 3."""
        from ketgrad import qasm

        return qasm.write(self)

    def __add__(self, other: Circuit) -> Circuit:
        if not isinstance(other, Circuit):
            return NotImplemented
        later = other.map_angles(lambda angle: angle.shift_weights(self.num_weights))
        return Circuit(self.ops + later.ops, max(self.num_qubits, other.num_qubits))

    def __mul__(self, times: int) -> Circuit:
        if isinstance(times, bool) or not isinstance(times, int | np.integer):
            return NotImplemented
        if times < 0:
            raise KetgradValueError(f"A circuit is repeated 0 or more times, but {times} was given.")
        copies = (
            self.map_angles(lambda a, by=k * self.num_weights: a.shift_weights(by)) for k in range(times)
        )
        return Circuit((op for copy in copies for op in copy.ops), self.num_qubits)

    __rmul__ = __mul__

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


def _qubit(value: Any, name: str) -> int:
    if type(value) is int and 0 <= value < MAX_QUBITS:
        return value
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise KetgradTypeError(f"`{name}` takes qubit numbers such as 0, but {value!r} was given.")
    if number < 0:
        raise KetgradIndexError(f"`{name}` takes qubit numbers from 0, but {number} was given.")
    if number >= MAX_QUBITS:
        raise KetgradIndexError(f"`{name}` takes qubit numbers below {MAX_QUBITS}, but {number} was given.")
    return number


def _register(value: Any) -> int:
    try:
        size = operator.index(value)
    except TypeError:
        size = None
    if size is None or isinstance(value, bool | np.bool_):
        raise KetgradTypeError(f"`num_qubits` must be an integer, but is {value!r}.")
    if size < 0:
        raise KetgradValueError(f"`num_qubits` must not be negative, but is {size}.")
    return size


def _refuse_duplicates(name: str, places: tuple[int, ...]) -> None:
    if len(set(places)) != len(places):
        twice = sorted({q for q in places if places.count(q) > 1})
        raise KetgradValueError(
            f"`{name}` acts on distinct qubits (targets and controls), but qubit {', '.join(map(str, twice))} "
            f"is named more than once in {places}."
        )


def _parameter_name(gate: Gate, position: int) -> str:
    names = gate.angle_names
    return (
        f"`{names[position]}` of `{gate.name}`"
        if position < len(names)
        else f"Angle {position} of `{gate.name}`"
    )
