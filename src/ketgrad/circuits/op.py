"""An op: a gate on qubits, with its angles, acting where all of its controls are 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.circuits.angles import Angle, as_angle
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gate_kinds import Preparation, Sequence, gate_named, is_row
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import check_qubit


@dataclass(frozen=True, init=False)
class Op:
    """A gate on qubits, with its angles, acting where all `controls` are 1.

    Made by the builders (`rx(w[0], 2)`, `cx(0, 1)`) rather than by hand. `repr` of it reads back as the same value,
    but for "..." in the place of a matrix or of amplitudes.

    >>> import ketgrad as kg
    >>> kg.rx(kg.w[0], 2).control(0)
    rx(w[0], 2).control(0)
    """

    gate: Gate
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...]
    controls: tuple[int, ...]

    def __init__(
        self, gate: Gate, qubits: Iterable[Any], angles: Iterable[Any] = (), controls: Iterable[Any] = ()
    ) -> None:
        if not isinstance(gate, Gate):
            raise KetgradTypeError(f"`gate` must be a Gate such as kg.GATES['rx'], but is {shown(gate)}.")
        name = gate.name
        places, conditions = _places(qubits, name, "qubits"), _places(controls, name, "controls")
        if len(places) != gate.num_qubits:
            raise KetgradValueError(
                f"`{name}` acts on {gate.num_qubits} qubits, but {len(places)} were given."
            )
        refuse_duplicates(name, places + conditions)
        if type(angles) is not tuple and (isinstance(angles, str) or not isinstance(angles, Iterable)):
            raise KetgradTypeError(f"`angles` of `{name}` must be a list of angles, but is {shown(angles)}.")
        turns = tuple(
            [a if type(a) is Angle else as_angle(a, _parameter_name(gate, k)) for k, a in enumerate(angles)]
        )
        if len(turns) != gate.num_angles:
            raise KetgradValueError(f"`{name}` takes {gate.num_angles} angles, but {len(turns)} were given.")
        _set_op(self, gate, places, turns, conditions)

    @staticmethod
    def build(
        gate: Gate, qubits: Iterable[Any], angles: Iterable[Any] = (), controls: Iterable[Any] = ()
    ) -> Op:
        """An op from user values: qubits and angles are checked, numbers become constant angles."""
        return Op(gate, qubits, angles, controls)

    @property
    def angle(self) -> Angle | None:
        """The angle of a gate that has exactly one, else None."""
        return self.angles[0] if len(self.angles) == 1 else None

    def control(self, *qubits: int) -> Op:
        """The op under further control qubits: it acts only where all of them are 1."""
        if self.gate.definition.objection_to_controls:
            raise KetgradTypeError(self.gate.definition.objection_to_controls)
        return Op.build(self.gate, self.qubits, self.angles, (*self.controls, *qubits))

    def with_angles(self, angles: tuple[Angle, ...]) -> Op:
        """The op with other angles; a preparation whose amplitudes become numbers turns into a constant one."""
        if not angles:
            return self
        if isinstance(self.gate.definition, Preparation) and all(angle.is_constant for angle in angles):
            gate = self.gate.prepared([angle.constant for angle in angles])
            return known_op(gate, self.qubits, (), self.controls)
        return known_op(self.gate, self.qubits, angles, self.controls)

    def inverse(self) -> Op:
        """The op that undoes this one."""
        negates = self.gate.definition.negates_angles
        angles = tuple(-angle for angle in self.angles) if negates else self.angles
        return known_op(self.gate.inverse(), self.qubits, angles, self.controls)

    def matrix(self, weights: Any = (), inputs: Any = ()) -> np.ndarray:
        """The unitary of the gate on its own qubits, controls left out, at given weights and inputs."""
        return self.gate.matrix(*(angle.evaluate(weights, inputs) for angle in self.angles))

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Op):
            raise KetgradTypeError(
                f"Ops are not added: one after the other they are Circuit([{self!r}, {other!r}])."
            )
        return NotImplemented

    def __mul__(self, times: Any) -> Any:
        if isinstance(times, int):
            raise KetgradTypeError(f"An op is not repeated. Write Circuit([{self!r}]) * {times}.")
        return NotImplemented

    __rmul__ = __mul__

    def __repr__(self) -> str:
        gate, name = self.gate, self.gate.name
        is_inverse = name.endswith("_dg") and is_row(name)
        arguments = gate.definition.arguments(gate, [repr(angle) for angle in self.angles])
        arguments += [*map(str, self.qubits), *["normalize=True"] * gate.normalize]
        text = f"{name[:-3] if is_inverse else name}({', '.join(arguments)}){'.inverse()' * is_inverse}"
        return text + (f".control({', '.join(map(str, self.controls))})" if self.controls else "")


def parts_of(op: Op, sequence: Sequence) -> Iterator[Op]:
    """The ops that an op of a sequence of rows equals, first in time first, under its controls.

    >>> import ketgrad as kg
    >>> op = kg.fsim(0.1, 0.2, 0, 1)
    >>> list(parts_of(op, op.gate.definition))
    [xy(0.1, 0, 1), p(-0.2, 1).control(0)]
    """
    for name, angles, qubits, controls in sequence.equals(*op.angles):
        conditions = (*op.controls, *(op.qubits[k] for k in controls))
        yield Op(gate_named(name), [op.qubits[k] for k in qubits], angles, conditions)


def known_op(
    gate: Gate, qubits: tuple[int, ...], angles: tuple[Angle, ...] = (), controls: tuple[int, ...] = ()
) -> Op:
    """An op whose parts are known to fit: nothing is checked.

    >>> known_op(kg.GATES["x"], (1,), (), (0,))
    x(1).control(0)
    """
    made = object.__new__(Op)
    _set_op(made, gate, qubits, angles, controls)
    return made


def _set_op(
    op: Op, gate: Gate, qubits: tuple[int, ...], angles: tuple[Angle, ...], controls: tuple[int, ...]
) -> None:
    object.__setattr__(op, "gate", gate)
    object.__setattr__(op, "qubits", qubits)
    object.__setattr__(op, "angles", angles)
    object.__setattr__(op, "controls", controls)


def _places(qubits: Any, name: str, argument: str) -> tuple[int, ...]:
    if type(qubits) is not tuple and (isinstance(qubits, str) or not isinstance(qubits, Iterable)):
        raise KetgradTypeError(
            f"`{argument}` of `{name}` must be a list of qubit numbers, but is {shown(qubits)}."
        )
    return tuple([check_qubit(q, name) for q in qubits])


def _beginning(places: tuple[int, ...]) -> str:
    return str(places) if len(places) <= 20 else f"({', '.join(map(str, places[:20]))}, ...)"


def refuse_duplicates(name: str, places: tuple[int, ...]) -> None:
    """Raise `KetgradValueError` where `name`, a gate or a method, is given a qubit twice."""
    if len(set(places)) != len(places):
        twice = sorted(q for q, times in Counter(places).items() if times > 1)
        raise KetgradValueError(
            f"`{name}` acts on distinct qubits (targets and controls), but qubit "
            f"{', '.join(map(str, twice[:10]))} is named more than once in {_beginning(places)}."
        )


def _parameter_name(gate: Gate, position: int) -> str:
    names = gate.angle_names
    return (
        f"`{names[position]}` of `{gate.name}`"
        if position < len(names)
        else f"Angle {position} of `{gate.name}`"
    )
