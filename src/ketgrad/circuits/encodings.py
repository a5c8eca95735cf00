"""Encodings: functions that return a circuit which reads data x[0], x[1], ... and has few or no weights.

Each is called as `encoding(num_inputs)`, with options after it; `ENCODINGS` lists them by name. Angles are in
radians: scale the data to a period, such as [-pi/2, pi/2], before encoding it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import cycle, product
from types import MappingProxyType
from typing import Any

from ketgrad.circuits import ops
from ketgrad.circuits.angles import Angle
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.entanglement import Entanglement, check_size, qubit_groups
from ketgrad.circuits.op import Op
from ketgrad.circuits.variables import arccos, w, x
from ketgrad.foundation.arrays import sequence_of
from ketgrad.foundation.errors import KetgradValueError, near_matches, shown
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import check_count, check_number
from ketgrad.foundation.seeds import stream

__all__ = [
    "ENCODINGS",
    "amplitude",
    "angle",
    "basis",
    "chebyshev",
    "encoding_named",
    "hamiltonian_evolution",
    "iqp",
    "pauli_feature_map",
    "reuploading",
    "z_feature_map",
    "zz_feature_map",
]


def __dir__() -> list[str]:
    return __all__


AXES: Mapping[str, Callable[[Angle | float, int], Op]] = MappingProxyType(
    {"x": ops.rx, "y": ops.ry, "z": ops.rz}
)


def angle(num_inputs: int, axis: str = "x") -> Circuit:
    """One qubit per input, turned by it: exp(-i x_j P / 2) with P = X, Y or Z.

    num_inputs: also the number of qubits. axis: "x", "y" or "z"; "z" starts from |+>, where it has an effect.
    Inputs in radians, period 2 pi. Cost: num_inputs gates, depth 1 (2 for "z").
    Raises `KetgradValueError` for another axis or num_inputs < 1.

    Stoudenmire and Schwab 2016, arXiv:1605.05775.

    >>> angle(2)
    Circuit([rx(x[0], 0), rx(x[1], 1)], num_qubits=2)
    """
    size = check_count(num_inputs, "num_inputs")
    if not isinstance(axis, str) or axis not in AXES:
        raise KetgradValueError(f"`axis` must be 'x', 'y' or 'z', but is {shown(axis)}.")
    start = [ops.h(q) for q in range(size)] if axis == "z" else []
    return Circuit(start + [AXES[axis](x[q], q) for q in range(size)], size)


def basis(num_inputs: int) -> Circuit:
    """Bits as basis states: the inputs 1, 0, 1 prepare |101>.

    num_inputs: also the number of qubits. Inputs 0 or 1; between them the state is a superposition, since the
    gates are RY(pi x_j). Cost: num_inputs gates, depth 1. Raises `KetgradValueError` for num_inputs < 1.

    Schuld and Petruccione 2018, Supervised Learning with Quantum Computers, section 3.4.

    >>> kg.probabilities(basis(2))([], [1, 0]).round(9)
    array([0., 0., 1., 0.])
    """
    size = check_count(num_inputs, "num_inputs")
    return Circuit([ops.ry(math.pi * x[q], q) for q in range(size)], size)


def amplitude(num_inputs: int, num_qubits: int | None = None) -> Circuit:
    """The inputs as the amplitudes of a state, divided by their norm and padded with zeros.

    num_qubits: None for the fewest that hold num_inputs amplitudes. Qubit 0 is the most significant bit of the
    index. Inputs: any real numbers, not all zero. Cost: one state preparation; it differentiates.
    Raises `KetgradValueError` if num_inputs > 2**num_qubits.

    Schuld and Petruccione 2018, Supervised Learning with Quantum Computers, section 3.4.

    >>> kg.probabilities(amplitude(3))([], [3, 0, 4]).round(2)
    array([0.36, 0.  , 0.64, 0.  ])
    """
    length = check_count(num_inputs, "num_inputs")
    reserve(400 * length, f"the {length} amplitudes", "Encode fewer inputs.")
    least = max(1, (length - 1).bit_length())
    size = least if num_qubits is None else check_count(num_qubits, "num_qubits")
    if size < least:
        raise KetgradValueError(
            f"`num_qubits` must be at least {least} - {length} inputs need as many amplitudes - but is {size}."
        )
    reserve(40 << min(size, 100), f"the amplitudes of {size} qubits", "Use fewer qubits.")
    return Circuit([ops.prepare_state(x[0:length], *range(size), normalize=True)], size)


def iqp(num_inputs: int, reps: int = 2, entanglement: Entanglement = "full") -> Circuit:
    """Hadamards, then RZ(x_i) and RZZ(x_i x_j): states that are hard to sample classically in general.

    num_inputs: also the number of qubits. reps: how often the block is repeated. entanglement: the pairs (i, j), a
    name or a list as in `qubit_groups`. Cost: reps * (2 n + pairs) gates.
    Raises `KetgradValueError` for counts below 1 and unknown patterns.

    Shepherd and Bremner 2009, arXiv:0809.0847; Havlicek et al. 2019, arXiv:1804.11326.

    >>> iqp(2, reps=1)
    Circuit([h(0), h(1), rz(x[0], 0), rz(x[1], 1), rzz(x[0] * x[1], 0, 1)], num_qubits=2)
    """
    size = check_count(num_inputs, "num_inputs")
    pairs = qubit_groups(entanglement, size) if size > 1 else ()
    block = [ops.h(q) for q in range(size)]
    block += [ops.rz(x[q], q) for q in range(size)]
    block += [ops.rzz(x[a] * x[b], a, b) for a, b in pairs]
    return Circuit(block, size) * check_count(reps, "reps")


def pauli_feature_map(
    num_inputs: int,
    reps: int = 2,
    entanglement: Entanglement | Mapping[int, Iterable[tuple[int, ...]]] = "full",
    alpha: float = 2.0,
    paulis: Iterable[str] = ("Z", "ZZ"),
) -> Circuit:
    """Hadamards, then exp(-i alpha phi_S(x) P_S / 2) for each Pauli word and each group S of qubits.

    phi is x_i for one qubit and (pi - x_i)(pi - x_j) for two; longer words would need a polynomial of degree 3
    and are refused. num_inputs: also the number of qubits. paulis: words of one or two letters; as in Qiskit the
    last letter acts on the first qubit of a group. entanglement: a name, a list of pairs, or one list per word
    length such as {1: [(0,)], 2: [(0, 2)]}. Equal to Qiskit's `pauli_feature_map` up to a global phase.
    Cost: reps * (n + one rotation per word and group) gates.
    Raises `KetgradValueError` for other words, patterns and counts.

    Havlicek et al. 2019, arXiv:1804.11326.

    >>> pauli_feature_map(2, reps=1, paulis=["ZZ"]).ops[-1]
    rzz(19.739208802178716 - 6.283185307179586 * x[0] + 2 * x[0] * x[1] - 6.283185307179586 * x[1], 0, 1)
    """
    size = check_count(num_inputs, "num_inputs")
    factor = check_number(alpha, "alpha")
    block = [ops.h(q) for q in range(size)]
    for word in sequence_of(paulis, "paulis", "['Z', 'ZZ']"):
        if not isinstance(word, str) or not 1 <= len(word) <= 2 or set(word) - set("IXYZ"):
            raise KetgradValueError(
                "`paulis` must hold words of one or two letters of I, X, Y, Z - the angle of a longer word would "
                f"be a product of three inputs, but angles have degree 2 at most - but holds {shown(word)}."
            )
        block += _evolutions(word, _word_groups(entanglement, size, len(word)), factor)
    return Circuit(block, size) * check_count(reps, "reps")


def zz_feature_map(
    num_inputs: int, reps: int = 2, entanglement: Entanglement = "full", alpha: float = 2.0
) -> Circuit:
    """The Pauli feature map with the words Z and ZZ: angles alpha x_i and alpha (pi - x_i)(pi - x_j).

    num_inputs: also the number of qubits. Equal to Qiskit's `zz_feature_map` up to a global phase.
    Cost: reps * (2 n + pairs) gates. Raises as `pauli_feature_map`.

    Havlicek et al. 2019, arXiv:1804.11326.

    >>> len(zz_feature_map(3, reps=1))
    9
    """
    return pauli_feature_map(num_inputs, reps, entanglement, alpha)


def z_feature_map(num_inputs: int, reps: int = 2, alpha: float = 2.0) -> Circuit:
    """The Pauli feature map with the word Z alone: a product state, so its kernel is classically easy.

    num_inputs: also the number of qubits. Equal to Qiskit's `z_feature_map` up to a global phase.
    Cost: 2 reps * n gates. Raises `KetgradValueError` for counts below 1.

    Havlicek et al. 2019, arXiv:1804.11326.

    >>> z_feature_map(1, reps=1)
    Circuit([h(0), rz(2 * x[0], 0)], num_qubits=1)
    """
    return pauli_feature_map(num_inputs, reps, "none", alpha, ["Z"])


def reuploading(
    num_inputs: int, num_qubits: int = 1, layers: int = 3, entanglement: Entanglement = "ring"
) -> Circuit:
    """The whole input in every layer, with trained scales: RY(w + w' x_0), RZ(w + w' x_1), RY(w + w' x_2) per qubit.

    Three inputs enter per RY RZ RY, any rotation of a qubit, in an order in which neither |0> nor a measurement of
    Z wastes an angle; more inputs take more of them in a row. CZ gates on the pairs of `entanglement` stand between
    the layers. Weights: two per input (offset, scale), one for each angle that reads no input; in the order of the
    gates. Cost: 3 layers * num_qubits * ceil(num_inputs / 3) rotations.
    Raises `KetgradValueError` for counts below 1 and unknown patterns.

    Perez-Salinas et al. 2020, arXiv:1907.02085.

    >>> reuploading(2, layers=1)
    Circuit([ry(w[0] + w[1] * x[0], 0), rz(w[2] + w[3] * x[1], 0), ry(w[4], 0)], num_qubits=1)
    """
    length, size = check_count(num_inputs, "num_inputs"), check_count(num_qubits, "num_qubits")
    depth = check_count(layers, "layers")
    entangle = [ops.cz(a, b) for a, b in qubit_groups(entanglement, size)] if size > 1 else []
    per_upload = length + 3 * math.ceil(length / 3)
    check_size(depth * size * (per_upload + 1), "layers")
    circuit: list[Op] = []
    for layer in range(depth):
        for q in range(size):
            circuit += _upload(length, q, (layer * size + q) * per_upload)
        if layer < depth - 1:
            circuit += entangle
    return Circuit(circuit, size)


def chebyshev(num_inputs: int, qubits_per_input: int = 2) -> Circuit:
    """The Chebyshev tower: qubit k of an input is turned by RY(2 (k + 1) arccos x_j), so <Z> = T_{2k+2}(x_j).

    num_inputs * qubits_per_input qubits, those of one input side by side. Inputs in [-1, 1]; others are refused
    when the circuit is evaluated, and the derivative is infinite at the ends. Cost: one gate per qubit, depth 1.
    Raises `KetgradValueError` for counts below 1.

    Kyriienko et al. 2021, arXiv:2011.10395.

    >>> chebyshev(1)
    Circuit([ry(2 * arccos(x[0]), 0), ry(4 * arccos(x[0]), 1)], num_qubits=2)
    """
    length, tower = check_count(num_inputs, "num_inputs"), check_count(qubits_per_input, "qubits_per_input")
    check_size(length * tower, "qubits_per_input")
    places = product(range(length), range(tower))
    return Circuit([ops.ry(2 * (k + 1) * arccos(x[j]), j * tower + k) for j, k in places], length * tower)


def hamiltonian_evolution(
    num_inputs: int, steps: int = 20, time: float | None = None, seed: int = 0
) -> Circuit:
    """Evolution under a Heisenberg chain whose couplings are the data: exp(-i t sum_j x_j (XX + YY + ZZ)_{j,j+1}).

    num_inputs + 1 qubits; they start in states drawn from `seed`, uniform on the sphere and the same for all data.
    steps: first-order Trotter steps. time: t in all, None for num_inputs / 3. Cost: 3 steps * num_inputs gates.
    Raises `KetgradValueError` for counts below 1.

    After Huang et al. 2021, arXiv:2011.01938.

    >>> circuit = hamiltonian_evolution(2)
    >>> circuit.num_qubits, len(circuit)
    (3, 126)
    """
    length, count = check_count(num_inputs, "num_inputs"), check_count(steps, "steps")
    total = length / 3 if time is None else check_number(time, "time")
    check_size(3 * length * count, "steps")
    draws = stream(seed).random((length + 1, 2))
    start = [
        op
        for q, (height, turn) in enumerate(draws)
        for op in (ops.ry(math.acos(1 - 2 * height), q), ops.rz(2 * math.pi * turn, q))
    ]
    step = [
        pair(2 * total / count * x[j], j, j + 1)
        for j in range(length)
        for pair in (ops.rxx, ops.ryy, ops.rzz)
    ]
    return Circuit(start + step * count, length + 1)


# An encoding, and the scaling of data that it asks for: "standard" (mean 0, deviation 1), "range" (within [-1, 1],
# where arccos is defined) or "none" (as given).
_ROWS: tuple[tuple[Callable[..., Circuit], str], ...] = (
    (angle, "standard"),
    (basis, "none"),
    (amplitude, "none"),
    (iqp, "standard"),
    (zz_feature_map, "standard"),
    (z_feature_map, "standard"),
    (pauli_feature_map, "standard"),
    (reuploading, "standard"),
    (chebyshev, "range"),
    (hamiltonian_evolution, "standard"),
)
ENCODINGS: Mapping[str, Callable[..., Circuit]] = MappingProxyType({row.__name__: row for row, _ in _ROWS})
SCALINGS: Mapping[str, str] = MappingProxyType({row.__name__: scaling for row, scaling in _ROWS})


def encoding_named(name: str) -> Callable[..., Circuit]:
    """The encoding of that name from `ENCODINGS`.

    Raises `KetgradValueError` with the nearest names for a name that does not exist.

    >>> encoding_named("iqp") is iqp
    True
    """
    if not isinstance(name, str) or name not in ENCODINGS:
        raise KetgradValueError(
            f"There is no encoding {shown(name)}. {near_matches(str(name), list(ENCODINGS))}"
        )
    return ENCODINGS[name]


def _word_groups(entanglement: Any, num_qubits: int, length: int) -> tuple[tuple[int, ...], ...]:
    if isinstance(entanglement, Mapping):
        return qubit_groups(entanglement.get(length, ()), num_qubits, length)
    if length == 1:  # single letters act on every qubit, whatever pairs are joined
        return tuple((q,) for q in range(num_qubits))
    return qubit_groups(entanglement, num_qubits, length) if length <= num_qubits else ()


def _upload(num_inputs: int, qubit: int, first: int) -> list[Op]:
    """All inputs into one qubit, with weights from w[first] on."""
    angles = [w[first + 2 * j] + w[first + 2 * j + 1] * x[j] for j in range(num_inputs)]
    angles += w[first + 2 * num_inputs : first + num_inputs + 3 * math.ceil(num_inputs / 3)]
    return [
        rotation(turn, qubit) for rotation, turn in zip(cycle((ops.ry, ops.rz, ops.ry)), angles, strict=False)
    ]


def _evolutions(word: str, chosen: Iterable[tuple[int, ...]], alpha: float) -> list[Op]:
    evolutions = []
    for qubits in chosen:
        first, *rest = qubits
        phase = alpha * ((math.pi - x[first]) * (math.pi - x[rest[0]]) if rest else x[first])
        letters = word[::-1]
        if letters == "Z":
            evolutions.append(ops.rz(phase, first))
        elif letters == "ZZ":
            evolutions.append(ops.rzz(phase, *qubits))
        else:
            evolutions.append(ops.pauli_rotation(phase, letters, *qubits))
    return evolutions
