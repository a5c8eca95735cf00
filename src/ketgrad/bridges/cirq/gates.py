"""The gates of Cirq and ours, in both directions: rows out, rules for the powers that Cirq's classes are in."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cirq
import sympy

from ketgrad.circuits import ops as build
from ketgrad.circuits.angles import Angle, as_angle
from ketgrad.circuits.op import Op
from ketgrad.foundation.errors import KetgradValueError


def _pi(value: Any) -> Any:
    return sympy.pi if isinstance(value, sympy.Basic) else math.pi


# -- to Cirq

# Rows without angles that are one gate of Cirq.
FIXED: Mapping[str, cirq.Gate] = {
    "id": cirq.I, "x": cirq.X, "y": cirq.Y, "z": cirq.Z, "h": cirq.H, "s": cirq.S, "sdg": cirq.S**-1, "t": cirq.T,
    "tdg": cirq.T**-1, "sx": cirq.X**0.5, "sxdg": cirq.X**-0.5, "swap": cirq.SWAP, "iswap": cirq.ISWAP,
    "iswap_dg": cirq.ISWAP**-1, "sqrt_iswap": cirq.ISWAP**0.5, "sqrt_iswap_dg": cirq.ISWAP**-0.5,
}  # fmt: skip

# Rows with one angle, from the angle in half turns.
TURNED: Mapping[str, Callable[[Any], cirq.Gate]] = {
    "rx": lambda t: cirq.rx(t * _pi(t)),
    "ry": lambda t: cirq.ry(t * _pi(t)),
    "rz": lambda t: cirq.rz(t * _pi(t)),
    "p": lambda t: cirq.ZPowGate(exponent=t),
    "phase": lambda t: cirq.ZPowGate(exponent=t),
    "u1": lambda t: cirq.ZPowGate(exponent=t),
    "rxx": lambda t: cirq.XXPowGate(exponent=t, global_shift=-0.5),
    "ryy": lambda t: cirq.YYPowGate(exponent=t, global_shift=-0.5),
    "rzz": lambda t: cirq.ZZPowGate(exponent=t, global_shift=-0.5),
    "xy": lambda t: cirq.ISWAP ** (-2 * t),
}

# -- from Cirq: class of a gate -> ops. An exponent t is an angle of pi t; the shift s adds the phase pi t s.

Turn = Callable[[Any], Angle]  # a number or expression in half turns -> the angle in radians
Rule = Callable[[Any, Turn, Sequence[int]], list[Op]]


def phase_ops(angle: Angle) -> list[Op]:
    """The global phase exp(i angle); no op where the angle is zero."""
    return [build.gphase(angle)] if angle.terms else []


def _pauli_power(row: Callable[..., Op], rotation: Callable[..., Op], controls: int = 0) -> Rule:
    """P**t = exp(i pi t / 2) R_P(pi t), under controls."""

    def rule(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
        shift = phase_ops(turn(gate.exponent) * gate.global_shift)
        if gate.exponent == 1:
            return [row(*qubits[controls:]).control(*qubits[:controls]), *shift]
        angle = turn(gate.exponent)
        if controls:
            turned = [rotation(angle, *qubits[controls:]), build.gphase(angle * 0.5)]
            return [*(op.control(*qubits[:controls]) for op in turned), *shift]
        return [rotation(angle, *qubits), *phase_ops(angle * (gate.global_shift + 0.5))]

    return rule


def _phase_power(controls: int) -> Rule:
    """Z**t as a phase of |1>, under controls."""

    def rule(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
        shift = phase_ops(turn(gate.exponent) * gate.global_shift)
        if gate.exponent == 1:
            return [build.z(qubits[-1]).control(*qubits[:controls]), *shift]
        return [build.p(turn(gate.exponent), qubits[-1]).control(*qubits[:controls]), *shift]

    return rule


def _z_power(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
    if gate.global_shift == -0.5:
        return [build.rz(turn(gate.exponent), *qubits)]
    return _phase_power(0)(gate, turn, qubits)


def _h_power(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
    angle = turn(gate.exponent)
    if gate.exponent == 1:
        return [build.h(*qubits), *phase_ops(angle * gate.global_shift)]
    quarter = math.pi / 4  # (X + Z) / sqrt(2) is Z, turned about Y by pi/4
    turned = [build.ry(-quarter, *qubits), build.rz(angle, *qubits), build.ry(quarter, *qubits)]
    return [*turned, *phase_ops(angle * (gate.global_shift + 0.5))]


def _parity_power(rotation: Callable[..., Op]) -> Rule:
    return lambda gate, turn, qubits: [
        rotation(turn(gate.exponent), *qubits),
        *phase_ops(turn(gate.exponent) * (gate.global_shift + 0.5)),
    ]


def _swap_power(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
    """exp(i pi t / 4 (1 - XX - YY - ZZ))."""
    angle = turn(gate.exponent)
    if gate.exponent == 1:
        return [build.swap(*qubits), *phase_ops(angle * gate.global_shift)]
    turned = [rotation(angle * 0.5, *qubits) for rotation in (build.rxx, build.ryy, build.rzz)]
    return [*turned, *phase_ops(angle * (gate.global_shift + 0.25))]


def _iswap_power(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
    """exp(i pi t / 4 (XX + YY))."""
    angle = turn(gate.exponent)
    first = build.iswap(*qubits) if gate.exponent == 1 else build.xy(angle * -0.5, *qubits)
    return [first, *phase_ops(angle * gate.global_shift)]


def _phased_x_power(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
    angle, axis = turn(gate.exponent), turn(gate.phase_exponent)
    turned = [build.rz(-axis, *qubits), build.rx(angle, *qubits), build.rz(axis, *qubits)]
    return [*turned, *phase_ops(angle * (gate.global_shift + 0.5))]


def _phased_xz(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
    angle, axis = turn(gate.x_exponent), turn(gate.axis_phase_exponent)
    turned = [build.rx(angle, *qubits), build.p(axis + turn(gate.z_exponent), *qubits)]
    return [build.p(-axis, *qubits), *turned, *phase_ops(angle * 0.5)]


def _fsim(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
    theta, phi = (turn(value / _pi(value)) for value in (gate.theta, gate.phi))
    return [build.fsim(theta, phi, *qubits)]


def _global_phase(gate: Any, turn: Turn, qubits: Sequence[int]) -> list[Op]:
    factor = gate.coefficient
    if not isinstance(factor, sympy.Basic):
        return phase_ops(as_angle(cmath.phase(complex(factor))))
    angle = _argument(factor)
    if angle is None:
        raise KetgradValueError(
            f"The coefficient of a global phase must be a number or exp(I*angle), but is {factor}."
        )
    return phase_ops(turn(sympy.expand(angle / sympy.pi)))


def _argument(factor: Any) -> Any:
    """The angle a of a factor exp(i a) that is written as powers of numbers, and products of them; else None."""
    if factor.is_number:
        return sympy.arg(factor) if abs(abs(complex(factor)) - 1) < 1e-8 else None
    if isinstance(factor, sympy.exp):  # as `to_cirq` writes it
        return factor.args[0] / sympy.I
    if isinstance(factor, sympy.Pow) and factor.base.is_number and abs(abs(complex(factor.base)) - 1) < 1e-8:
        return sympy.arg(factor.base) * factor.exp
    if isinstance(factor, sympy.Mul):
        parts = [_argument(part) for part in factor.args]
        return None if None in parts else sympy.Add(*parts)
    return None


RULES: Mapping[type, Rule] = {
    cirq.XPowGate: _pauli_power(build.x, build.rx),
    cirq.YPowGate: _pauli_power(build.y, build.ry),
    cirq.ZPowGate: _z_power,
    cirq.HPowGate: _h_power,
    cirq.CXPowGate: _pauli_power(build.x, build.rx, 1),
    cirq.CYPowGate: _pauli_power(build.y, build.ry, 1),
    cirq.CZPowGate: _phase_power(1),
    cirq.CCXPowGate: _pauli_power(build.x, build.rx, 2),
    cirq.CCYPowGate: _pauli_power(build.y, build.ry, 2),
    cirq.CCZPowGate: _phase_power(2),
    cirq.XXPowGate: _parity_power(build.rxx),
    cirq.YYPowGate: _parity_power(build.ryy),
    cirq.ZZPowGate: _parity_power(build.rzz),
    cirq.SwapPowGate: _swap_power,
    cirq.ISwapPowGate: _iswap_power,
    cirq.PhasedXPowGate: _phased_x_power,
    cirq.PhasedXZGate: _phased_xz,
    cirq.FSimGate: _fsim,
    cirq.GlobalPhaseGate: _global_phase,
    cirq.CSwapGate: lambda gate, turn, qubits: [build.cswap(*qubits)],
    cirq.IdentityGate: lambda gate, turn, qubits: [],
    cirq.WaitGate: lambda gate, turn, qubits: [],
    cirq.MatrixGate: lambda gate, turn, qubits: [build.unitary(cirq.unitary(gate), *qubits)],
}


def rule_of(gate: Any) -> Rule | None:
    """The rule of the gate's class or of one it derives from (rx is an XPowGate)."""
    return next((RULES[kind] for kind in type(gate).__mro__ if kind in RULES), None)
