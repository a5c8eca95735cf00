"""Builders: one function per gate, generated from the gate table by tools/generate.py - do not edit.

Every builder takes the angles first (numbers in radians, or angles in w and x), then the qubits, and returns an `Op`.
"""

from __future__ import annotations

from ketgrad.circuits.angles import Angle
from ketgrad.circuits.custom import pauli_rotation, prepare_state, unitary
from ketgrad.circuits.gates import GATES
from ketgrad.circuits.op import Op

__all__ = [
    "ccx",
    "ccz",
    "ch",
    "cp",
    "cphase",
    "crx",
    "cry",
    "crz",
    "cs",
    "cswap",
    "csx",
    "cu",
    "cu1",
    "cu3",
    "cx",
    "cy",
    "cz",
    "double_excitation",
    "ecr",
    "fsim",
    "gphase",
    "h",
    "id",
    "iswap",
    "p",
    "pauli_rotation",
    "phase",
    "prepare_state",
    "rot",
    "rx",
    "rxx",
    "ry",
    "ryy",
    "rz",
    "rzx",
    "rzz",
    "s",
    "sdg",
    "single_excitation",
    "sqrt_iswap",
    "swap",
    "sx",
    "sxdg",
    "t",
    "tdg",
    "u",
    "u1",
    "u2",
    "u3",
    "unitary",
    "x",
    "xx_minus_yy",
    "xx_plus_yy",
    "xy",
    "y",
    "z",
]


def id(qubit: int) -> Op:
    """Identity.

    >>> id(0)
    id(0)
    """
    return Op.build(GATES["id"], (qubit,))


def x(qubit: int) -> Op:
    """Pauli X: flips |0> and |1>.

    >>> x(0)
    x(0)
    """
    return Op.build(GATES["x"], (qubit,))


def y(qubit: int) -> Op:
    """Pauli Y.

    >>> y(0)
    y(0)
    """
    return Op.build(GATES["y"], (qubit,))


def z(qubit: int) -> Op:
    """Pauli Z: the sign of |1>.

    >>> z(0)
    z(0)
    """
    return Op.build(GATES["z"], (qubit,))


def h(qubit: int) -> Op:
    """Hadamard: exchanges X and Z.

    >>> h(0)
    h(0)
    """
    return Op.build(GATES["h"], (qubit,))


def s(qubit: int) -> Op:
    """Phase i on |1>: the square root of Z.

    >>> s(0)
    s(0)
    """
    return Op.build(GATES["s"], (qubit,))


def sdg(qubit: int) -> Op:
    """Phase -i on |1>: the inverse of S.

    >>> sdg(0)
    sdg(0)
    """
    return Op.build(GATES["sdg"], (qubit,))


def t(qubit: int) -> Op:
    """Phase exp(i pi/4) on |1>: the square root of S.

    >>> t(0)
    t(0)
    """
    return Op.build(GATES["t"], (qubit,))


def tdg(qubit: int) -> Op:
    """Phase exp(-i pi/4) on |1>: the inverse of T.

    >>> tdg(0)
    tdg(0)
    """
    return Op.build(GATES["tdg"], (qubit,))


def sx(qubit: int) -> Op:
    """The square root of X.

    >>> sx(0)
    sx(0)
    """
    return Op.build(GATES["sx"], (qubit,))


def sxdg(qubit: int) -> Op:
    """The inverse of the square root of X.

    >>> sxdg(0)
    sxdg(0)
    """
    return Op.build(GATES["sxdg"], (qubit,))


def rx(theta: Angle | float, qubit: int) -> Op:
    """Rotation about X: exp(-i theta X / 2).

    >>> rx(0.5, 0)
    rx(0.5, 0)
    """
    return Op.build(GATES["rx"], (qubit,), (theta,))


def ry(theta: Angle | float, qubit: int) -> Op:
    """Rotation about Y: exp(-i theta Y / 2).

    >>> ry(0.5, 0)
    ry(0.5, 0)
    """
    return Op.build(GATES["ry"], (qubit,), (theta,))


def rz(theta: Angle | float, qubit: int) -> Op:
    """Rotation about Z: exp(-i theta Z / 2).

    >>> rz(0.5, 0)
    rz(0.5, 0)
    """
    return Op.build(GATES["rz"], (qubit,), (theta,))


def p(theta: Angle | float, qubit: int) -> Op:
    """Phase exp(i theta) on |1>.

    >>> p(0.5, 0)
    p(0.5, 0)
    """
    return Op.build(GATES["p"], (qubit,), (theta,))


def phase(theta: Angle | float, qubit: int) -> Op:
    """Phase exp(i theta) on |1>; the long name of p.

    >>> phase(0.5, 0)
    phase(0.5, 0)
    """
    return Op.build(GATES["phase"], (qubit,), (theta,))


def u1(theta: Angle | float, qubit: int) -> Op:
    """Phase exp(i theta) on |1>; the OpenQASM 2 name of p.

    >>> u1(0.5, 0)
    u1(0.5, 0)
    """
    return Op.build(GATES["u1"], (qubit,), (theta,))


def gphase(theta: Angle | float) -> Op:
    """Global phase exp(i theta); with controls a relative one.

    >>> gphase(0.5)
    gphase(0.5)
    """
    return Op.build(GATES["gphase"], (), (theta,))


def rxx(theta: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Ising rotation exp(-i theta XX / 2).

    >>> rxx(0.5, 0, 1)
    rxx(0.5, 0, 1)
    """
    return Op.build(GATES["rxx"], (qubit0, qubit1), (theta,))


def ryy(theta: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Ising rotation exp(-i theta YY / 2).

    >>> ryy(0.5, 0, 1)
    ryy(0.5, 0, 1)
    """
    return Op.build(GATES["ryy"], (qubit0, qubit1), (theta,))


def rzz(theta: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Ising rotation exp(-i theta ZZ / 2).

    >>> rzz(0.5, 0, 1)
    rzz(0.5, 0, 1)
    """
    return Op.build(GATES["rzz"], (qubit0, qubit1), (theta,))


def rzx(theta: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Cross-resonance rotation exp(-i theta ZX / 2).

    >>> rzx(0.5, 0, 1)
    rzx(0.5, 0, 1)
    """
    return Op.build(GATES["rzx"], (qubit0, qubit1), (theta,))


def xy(theta: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Exchange rotation exp(-i theta (XX + YY) / 2): mixes |01> and |10>.

    >>> xy(0.5, 0, 1)
    xy(0.5, 0, 1)
    """
    return Op.build(GATES["xy"], (qubit0, qubit1), (theta,))


def single_excitation(theta: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Givens rotation of |01> and |10> by theta / 2 (one electron moves).

    >>> single_excitation(0.5, 0, 1)
    single_excitation(0.5, 0, 1)
    """
    return Op.build(GATES["single_excitation"], (qubit0, qubit1), (theta,))


def double_excitation(theta: Angle | float, qubit0: int, qubit1: int, qubit2: int, qubit3: int) -> Op:
    """Givens rotation of |0011> and |1100> by theta / 2 (two electrons move).

    >>> double_excitation(0.5, 0, 1, 2, 3)
    double_excitation(0.5, 0, 1, 2, 3)
    """
    return Op.build(GATES["double_excitation"], (qubit0, qubit1, qubit2, qubit3), (theta,))


def swap(qubit0: int, qubit1: int) -> Op:
    """Exchanges two qubits.

    >>> swap(0, 1)
    swap(0, 1)
    """
    return Op.build(GATES["swap"], (qubit0, qubit1))


def iswap(qubit0: int, qubit1: int) -> Op:
    """Swap with phase i.

    >>> iswap(0, 1)
    iswap(0, 1)
    """
    return Op.build(GATES["iswap"], (qubit0, qubit1))


def sqrt_iswap(qubit0: int, qubit1: int) -> Op:
    """The square root of iswap.

    >>> sqrt_iswap(0, 1)
    sqrt_iswap(0, 1)
    """
    return Op.build(GATES["sqrt_iswap"], (qubit0, qubit1))


def ecr(qubit0: int, qubit1: int) -> Op:
    """Echoed cross resonance: RZX(pi/4), X on the first qubit, RZX(-pi/4).

    >>> ecr(0, 1)
    ecr(0, 1)
    """
    return Op.build(GATES["ecr"], (qubit0, qubit1))


def u2(phi: Angle | float, lam: Angle | float, qubit: int) -> Op:
    """One-qubit gate of OpenQASM: u3(pi/2, phi, lam).

    >>> u2(0.5, 0.5, 0)
    u2(0.5, 0.5, 0)
    """
    return Op.build(GATES["u2"], (qubit,), (phi, lam))


def u3(theta: Angle | float, phi: Angle | float, lam: Angle | float, qubit: int) -> Op:
    """General one-qubit gate RZ(phi) RY(theta) RZ(lam) exp(i (phi + lam) / 2).

    >>> u3(0.5, 0.5, 0.5, 0)
    u3(0.5, 0.5, 0.5, 0)
    """
    return Op.build(GATES["u3"], (qubit,), (theta, phi, lam))


def u(theta: Angle | float, phi: Angle | float, lam: Angle | float, qubit: int) -> Op:
    """General one-qubit gate; the same as u3.

    >>> u(0.5, 0.5, 0.5, 0)
    u(0.5, 0.5, 0.5, 0)
    """
    return Op.build(GATES["u"], (qubit,), (theta, phi, lam))


def rot(phi: Angle | float, theta: Angle | float, omega: Angle | float, qubit: int) -> Op:
    """General rotation RZ(omega) RY(theta) RZ(phi).

    >>> rot(0.5, 0.5, 0.5, 0)
    rot(0.5, 0.5, 0.5, 0)
    """
    return Op.build(GATES["rot"], (qubit,), (phi, theta, omega))


def cu(
    theta: Angle | float,
    phi: Angle | float,
    lam: Angle | float,
    gamma: Angle | float,
    qubit0: int,
    qubit1: int,
) -> Op:
    """Controlled u3 with a phase gamma on the control.

    >>> cu(0.5, 0.5, 0.5, 0.5, 0, 1)
    cu(0.5, 0.5, 0.5, 0.5, 0, 1)
    """
    return Op.build(GATES["cu"], (qubit0, qubit1), (theta, phi, lam, gamma))


def fsim(theta: Angle | float, phi: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Fermionic simulation gate: xy(theta), then the phase exp(-i phi) on |11>.

    >>> fsim(0.5, 0.5, 0, 1)
    fsim(0.5, 0.5, 0, 1)
    """
    return Op.build(GATES["fsim"], (qubit0, qubit1), (theta, phi))


def xx_plus_yy(theta: Angle | float, beta: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Exchange of |01> and |10> by theta / 2 with the phase beta: xy(theta / 2) between rotations about Z.

    >>> xx_plus_yy(0.5, 0.5, 0, 1)
    xx_plus_yy(0.5, 0.5, 0, 1)
    """
    return Op.build(GATES["xx_plus_yy"], (qubit0, qubit1), (theta, beta))


def xx_minus_yy(theta: Angle | float, beta: Angle | float, qubit0: int, qubit1: int) -> Op:
    """Exchange of |00> and |11> by theta / 2 with the phase beta.

    >>> xx_minus_yy(0.5, 0.5, 0, 1)
    xx_minus_yy(0.5, 0.5, 0, 1)
    """
    return Op.build(GATES["xx_minus_yy"], (qubit0, qubit1), (theta, beta))


def cx(control: int, target: int) -> Op:
    """Controlled x. Pauli X: flips |0> and |1>.

    >>> cx(0, 1)
    x(1).control(0)
    """
    return Op.build(GATES["x"], (target,), (), (control,))


def cy(control: int, target: int) -> Op:
    """Controlled y. Pauli Y.

    >>> cy(0, 1)
    y(1).control(0)
    """
    return Op.build(GATES["y"], (target,), (), (control,))


def cz(control: int, target: int) -> Op:
    """Controlled z. Pauli Z: the sign of |1>.

    >>> cz(0, 1)
    z(1).control(0)
    """
    return Op.build(GATES["z"], (target,), (), (control,))


def ch(control: int, target: int) -> Op:
    """Controlled h. Hadamard: exchanges X and Z.

    >>> ch(0, 1)
    h(1).control(0)
    """
    return Op.build(GATES["h"], (target,), (), (control,))


def cs(control: int, target: int) -> Op:
    """Controlled s. Phase i on |1>: the square root of Z.

    >>> cs(0, 1)
    s(1).control(0)
    """
    return Op.build(GATES["s"], (target,), (), (control,))


def csx(control: int, target: int) -> Op:
    """Controlled sx. The square root of X.

    >>> csx(0, 1)
    sx(1).control(0)
    """
    return Op.build(GATES["sx"], (target,), (), (control,))


def cp(theta: Angle | float, control: int, target: int) -> Op:
    """Controlled p. Phase exp(i theta) on |1>.

    >>> cp(0.5, 0, 1)
    p(0.5, 1).control(0)
    """
    return Op.build(GATES["p"], (target,), (theta,), (control,))


def cphase(theta: Angle | float, control: int, target: int) -> Op:
    """Controlled phase. Phase exp(i theta) on |1>; the long name of p.

    >>> cphase(0.5, 0, 1)
    phase(0.5, 1).control(0)
    """
    return Op.build(GATES["phase"], (target,), (theta,), (control,))


def crx(theta: Angle | float, control: int, target: int) -> Op:
    """Controlled rx. Rotation about X: exp(-i theta X / 2).

    >>> crx(0.5, 0, 1)
    rx(0.5, 1).control(0)
    """
    return Op.build(GATES["rx"], (target,), (theta,), (control,))


def cry(theta: Angle | float, control: int, target: int) -> Op:
    """Controlled ry. Rotation about Y: exp(-i theta Y / 2).

    >>> cry(0.5, 0, 1)
    ry(0.5, 1).control(0)
    """
    return Op.build(GATES["ry"], (target,), (theta,), (control,))


def crz(theta: Angle | float, control: int, target: int) -> Op:
    """Controlled rz. Rotation about Z: exp(-i theta Z / 2).

    >>> crz(0.5, 0, 1)
    rz(0.5, 1).control(0)
    """
    return Op.build(GATES["rz"], (target,), (theta,), (control,))


def cswap(control: int, target0: int, target1: int) -> Op:
    """Controlled swap. Exchanges two qubits.

    >>> cswap(0, 1, 2)
    swap(1, 2).control(0)
    """
    return Op.build(GATES["swap"], (target0, target1), (), (control,))


def ccx(control0: int, control1: int, target: int) -> Op:
    """Doubly controlled x. Pauli X: flips |0> and |1>.

    >>> ccx(0, 1, 2)
    x(2).control(0, 1)
    """
    return Op.build(GATES["x"], (target,), (), (control0, control1))


def ccz(control0: int, control1: int, target: int) -> Op:
    """Doubly controlled z. Pauli Z: the sign of |1>.

    >>> ccz(0, 1, 2)
    z(2).control(0, 1)
    """
    return Op.build(GATES["z"], (target,), (), (control0, control1))


def cu1(theta: Angle | float, control: int, target: int) -> Op:
    """Controlled u1. Phase exp(i theta) on |1>; the OpenQASM 2 name of p.

    >>> cu1(0.5, 0, 1)
    u1(0.5, 1).control(0)
    """
    return Op.build(GATES["u1"], (target,), (theta,), (control,))


def cu3(theta: Angle | float, phi: Angle | float, lam: Angle | float, control: int, target: int) -> Op:
    """Controlled u3. General one-qubit gate RZ(phi) RY(theta) RZ(lam) exp(i (phi + lam) / 2).

    >>> cu3(0.5, 0.5, 0.5, 0, 1)
    u3(0.5, 0.5, 0.5, 1).control(0)
    """
    return Op.build(GATES["u3"], (target,), (theta, phi, lam), (control,))
