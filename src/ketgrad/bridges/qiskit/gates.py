"""The table of qiskit's standard gates, read in both directions: one row for each gate that both libraries have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qiskit.circuit.library as lib

from ketgrad.circuits import ops as build
from ketgrad.circuits.angles import Angle
from ketgrad.circuits.gates import GATES
from ketgrad.circuits.op import Op

Rule = Callable[[Sequence[Angle], Sequence[int]], list[Op]]

# The builder here, the class there: the same qubits in the same order, the same angles.
SAME: Mapping[str, type] = {
    "id": lib.IGate, "x": lib.XGate, "y": lib.YGate, "z": lib.ZGate, "h": lib.HGate, "s": lib.SGate,
    "sdg": lib.SdgGate, "t": lib.TGate, "tdg": lib.TdgGate, "sx": lib.SXGate, "sxdg": lib.SXdgGate,
    "rx": lib.RXGate, "ry": lib.RYGate, "rz": lib.RZGate, "p": lib.PhaseGate, "u1": lib.U1Gate, "u2": lib.U2Gate,
    "u3": lib.U3Gate, "u": lib.UGate, "rxx": lib.RXXGate, "ryy": lib.RYYGate, "rzz": lib.RZZGate,
    "rzx": lib.RZXGate, "swap": lib.SwapGate, "iswap": lib.iSwapGate, "ecr": lib.ECRGate,
    "gphase": lib.GlobalPhaseGate, "cu": lib.CUGate,
    "cx": lib.CXGate, "cy": lib.CYGate, "cz": lib.CZGate, "ch": lib.CHGate, "cp": lib.CPhaseGate, "crx": lib.CRXGate,
    "cry": lib.CRYGate, "crz": lib.CRZGate, "csx": lib.CSXGate, "cswap": lib.CSwapGate, "ccx": lib.CCXGate,
    "ccz": lib.CCZGate, "xx_plus_yy": lib.XXPlusYYGate, "xx_minus_yy": lib.XXMinusYYGate,
}  # fmt: skip

# Rows that are written as another row, which equals them: qiskit has no such gate, or advises against it.
WRITTEN_AS: Mapping[str, str] = {"phase": "p", "u1": "p", "u3": "u"}
OTHERWISE = {"gphase", "u2"}  # a global phase is added to the circuit's; u2 is the sequence that it equals

# Rows of the gate table that are one gate of qiskit; a control is put around it.
WRITTEN: Mapping[str, Callable[..., Any]] = {
    row: SAME[WRITTEN_AS.get(row, row)]
    for row in GATES
    if row not in OTHERWISE and WRITTEN_AS.get(row, row) in SAME
}


def u_ops(angles: Sequence[Angle], qubits: Sequence[int]) -> list[Op]:
    """U, with a fourth angle where it is the base of a CU: a phase, which becomes relative under the control."""
    theta, phi, lam, *rest = angles
    return [build.u(theta, phi, lam, *qubits), *map(build.gphase, rest)]


def _row(builder: Callable[..., Op]) -> Rule:
    return lambda angles, qubits: [builder(*angles, *qubits)]


# Classes of standard gates -> ops from their angles and qubits; those that are no single row here come last.
RULES: Mapping[type, Rule] = {
    **{kind: _row(getattr(build, name)) for name, kind in SAME.items()},
    lib.UGate: u_ops,
    lib.RGate: lambda angles, qubits: [
        build.rz(-angles[1], *qubits),
        build.rx(angles[0], *qubits),
        build.rz(angles[1], *qubits),
    ],
    lib.DCXGate: lambda _, qubits: [build.cx(*qubits), build.cx(*reversed(qubits))],
}
