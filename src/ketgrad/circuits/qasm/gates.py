"""The gates that an OpenQASM text may call: those of its two libraries, and those that it defines."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ketgrad.circuits.angles import Angle, as_angle
from ketgrad.circuits.custom import unitary
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gates import CONTROLLED, GATES
from ketgrad.circuits.matrices import embed
from ketgrad.circuits.op import Op, known_op
from ketgrad.circuits.qasm.expressions import SHORT_ANGLE, Expression, Item, evaluate
from ketgrad.circuits.qasm.tokens import Source

# Gates of qelib1.inc that are no row of the gate table; the others are found by their names.
QELIB1_DEFINITIONS = """
gate u0(gamma) q { }
gate rccx a, b, c {
  h c; t c; cx b, c; tdg c; cx a, c; t c; cx b, c; tdg c; h c;
}
gate rc3x a, b, c, d {
  h d; t d; cx c, d; tdg d; h d; cx a, d; t d; cx b, d; tdg d; cx a, d; t d; cx b, d; tdg d;
  h d; t d; cx c, d; tdg d; h d;
}
"""
# name in OpenQASM -> (row of the gate table, number of controls in front of its qubits)
_NAMED = {row.qasm: (name, 0) for name, row in GATES.items() if row.qasm and name != "gphase"}
_STDGATES = set("cx cy cz ch cp cphase crx cry crz cswap ccx".split())
_QELIB1 = set(
    "u3 u2 u1 cx id x y z h s sdg t tdg rx ry rz cz cy swap ch ccx cswap crx cry crz cu1 cu3".split()
)
_QELIB1 |= set("u p sx sxdg cp csx cu rxx rzz".split())
# Later additions to qelib1.inc: texts that follow the first one (arXiv:1707.03429) may define these names themselves.
REPLACEABLE = frozenset(
    "u0 u p sx sxdg swap cswap crx cry cp csx cu rxx rzz rccx rc3x c3x c4x c3sqrtx".split()
)
BUILT_IN = {
    2: {"U": ("u", 0), "CX": ("x", 1)},
    3: {"U": ("u", 0), "gphase": ("gphase", 0)},
}
LIBRARIES: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "stdgates.inc": _NAMED | {name: CONTROLLED[name] for name in _STDGATES} | {"CX": ("x", 1)},
    "qelib1.inc": {name: CONTROLLED.get(name, (name, 0)) for name in _QELIB1}
    | {"c3x": ("x", 3), "c4x": ("x", 4), "c3sqrtx": ("sx", 3)},
}


WIDEST_ROOT = 8  # qubits of a gate that may be raised to a power which is no integer: a matrix
DEEPEST_ROOT = 20  # such powers inside such powers


@dataclass(frozen=True)
class CallableGate:
    """A gate that may be called: a row of the table under `num_controls` controls, or a body of calls.

    exponent: the power of the body, whose only call it is, where that is no integer. roots: such powers inside.
    """

    name: str
    parameters: tuple[str, ...]
    num_qubits: int
    cost: int  # gate calls after expansion, this one included
    row: Gate | None = None
    num_controls: int = 0
    body: tuple[GateCall, ...] = ()
    exponent: float | None = None
    roots: int = 0


@dataclass(frozen=True)
class GateCall:
    """One gate call: `power` repetitions (negative: of the inverse), `polarity` of the controls in front."""

    gate: CallableGate
    angles: tuple[Expression, ...]
    polarity: tuple[bool, ...]
    power: int
    position: int
    qubits: tuple[int, ...] = ()

    @property
    def num_qubits(self) -> int:
        """Of the controls that the modifiers add and of the gate itself."""
        return len(self.polarity) + self.gate.num_qubits

    @property
    def cost(self) -> int:
        """Gate calls after expansion: each repetition also evaluates its angle expressions."""
        words = sum(map(len, self.angles)) // 16
        return abs(self.power) * (self.gate.cost + words) + 2 * self.polarity.count(False)


@lru_cache(maxsize=256)
def standard(name: str, row_name: str, num_controls: int) -> CallableGate:
    """The definition of a library gate: a row of the table with `num_controls` controls in front."""
    row = GATES[row_name]
    return CallableGate(name, row.angle_names, row.num_qubits + num_controls, 1, row, num_controls)


Task = tuple[CallableGate, tuple[Any, ...], tuple[int, ...], tuple[int, ...], int]


def settled(call: GateCall, qubits: tuple[int, ...], known: ChainMap[str, Any], source: Source) -> GateCall:
    """The call with its qubit slots; constants are put in, and angles without parameters are computed now, once.

    known: the parameters of the gate in front of the constants of the text.
    """
    parameters, constants = known.maps
    angles = []
    for angle in call.angles:
        items = tuple(_with_constant(item, parameters, constants) for item in angle)
        if len(items) > 1 and all(item.kind != "name" for item in items):
            items = (Item("number", evaluate(items, {}, source), items[0].position),)
        angles.append(items)
    return GateCall(call.gate, tuple(angles), call.polarity, call.power, call.position, qubits)


def _with_constant(item: Item, parameters: Mapping[str, Any], constants: Mapping[str, Any]) -> Item:
    if item.kind != "name" or item.value in parameters:
        return item
    return Item("number", constants[item.value], item.position)


def push(stack: list[Task], call: GateCall, angles: tuple[Any, ...], places: tuple[int, ...],
          controls: tuple[int, ...], sign: int) -> None:  # fmt: skip
    """Put one call on the stack. A control on 0 is one on 1 between two X, which need no controls themselves."""
    added = places[: len(call.polarity)]
    flips = [
        (standard("x", "x", 0), (), (q,), (), 1) for q, on in zip(added, call.polarity, strict=True) if not on
    ]
    stack += flips
    stack.append((call.gate, angles, places[len(added) :], controls + added, sign * call.power))
    stack += flips


def expanded(
    call: GateCall, angles: tuple[Any, ...], places: tuple[int, ...], source: Source
) -> Iterator[Op]:
    """The ops of one call. The stack holds what is still to come, next on top."""
    stack: list[Task] = []
    push(stack, call, angles, places, (), 1)
    while stack:
        gate, values, qubits, controls, power = stack.pop()
        if abs(power) != 1:
            if power:
                sign = 1 if power > 0 else -1
                stack.append((gate, values, qubits, controls, power - sign))
                stack.append((gate, values, qubits, controls, sign))
        elif gate.row is not None:
            middle = gate.num_controls
            turns = tuple(map(as_angle, values))
            if (terms := sum(len(turn.terms) for turn in turns)) > SHORT_ANGLE:
                source.spend(terms, call.position)
            op = known_op(gate.row, qubits[middle:], turns, controls + qubits[:middle])
            yield op.inverse() if power < 0 else op
        elif gate.exponent is not None:
            op = unitary(_root(gate, values, source), *qubits).control(*controls)
            yield op.inverse() if power < 0 else op
        else:
            named = dict(zip(gate.parameters, values, strict=True))
            for inner in gate.body if power < 0 else reversed(gate.body):
                numbers = tuple(evaluate(angle, named, source) for angle in inner.angles)
                push(stack, inner, numbers, tuple(qubits[k] for k in inner.qubits), controls, power)


def root(call: GateCall, exponent: float, source: Source) -> CallableGate:
    """The gate that is the principal power of a call; its parameters are those of the gate that is called."""
    size, depth = call.num_qubits, call.gate.roots + 1
    if not 0 < size <= WIDEST_ROOT or depth > DEEPEST_ROOT:
        raise source.fault(
            call.position,
            f"a gate that is raised to a power which is no integer, here {exponent}, must act on 1 to {WIDEST_ROOT} "
            f"qubits and hold fewer than {DEEPEST_ROOT} such powers inside; {call.gate.name} acts on {size} here.",
        )
    angles = tuple((Item("name", name, call.position),) for name in call.gate.parameters)
    inner = GateCall(call.gate, angles, call.polarity, call.power, call.position, tuple(range(size)))
    cost = (call.cost + 1) * max(16, 4**size)  # of the product of matrices, in gate calls
    name = f"pow({exponent:g}) of {call.gate.name}"
    return CallableGate(name, call.gate.parameters, size, cost, None, 0, (inner,), exponent, depth)


def _root(gate: CallableGate, values: tuple[Any, ...], source: Source) -> np.ndarray:
    """The principal power of the matrix of a body: each eigenvalue exp(i t) with -pi < t <= pi becomes exp(i r t)."""
    (call,) = gate.body
    if any(isinstance(value, Angle) and not value.is_constant for value in values):
        raise source.fault(
            call.position, "a power that is no integer needs a gate whose angles are numbers, not parameters."
        )
    named = dict(zip(gate.parameters, values, strict=True))
    angles = tuple(evaluate(angle, named, source) for angle in call.angles)
    matrix = np.eye(2**gate.num_qubits, dtype=np.complex128)
    for op in expanded(call, angles, call.qubits, source):
        matrix = embed(op.matrix(), op.qubits, gate.num_qubits, op.controls) @ matrix
    return principal_power(matrix, gate.exponent or 0.0)


def principal_power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """The power of a unitary matrix; an eigenvalue within 1e-9 of -1 counts as exp(i pi)."""
    from scipy.linalg import schur

    triangle, vectors = schur(matrix, output="complex")
    turns = np.angle(np.diag(triangle))
    turns = np.where(turns < -np.pi + 1e-9, turns + 2 * np.pi, turns)
    return vectors * np.exp(1j * exponent * turns) @ vectors.conj().T
