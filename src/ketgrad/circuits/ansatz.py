"""Trainable circuits: functions that return a circuit with weights w[0], w[1], ... and no inputs.

Each is called as `ansatz(num_qubits)`, with options after it; `ANSATZE` lists them by name. Weights are numbered
in the order in which the gates act. `qaoa_ansatz` takes a cost instead of a number of qubits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from types import MappingProxyType

from ketgrad.circuits import ops
from ketgrad.circuits.angles import Angle
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.entanglement import Entanglement, check_size, qubit_groups
from ketgrad.circuits.gates import CONTROLLED, GATES
from ketgrad.circuits.op import Op
from ketgrad.circuits.pauli_words import letters
from ketgrad.circuits.paulis import PauliSum, check_hermitian
from ketgrad.circuits.variables import w
from ketgrad.foundation.arrays import sequence_of
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches, shown
from ketgrad.foundation.numbers import check_count, flag

__all__ = [
    "ANSATZE",
    "ansatz_named",
    "basic_entangler",
    "hardware_efficient",
    "qaoa_ansatz",
    "real_amplitudes",
    "simplified_two_design",
    "strongly_entangling",
    "tree",
    "two_local",
]


def __dir__() -> list[str]:
    return __all__


def two_local(
    num_qubits: int,
    rotations: Iterable[str] = ("ry",),
    entangler: str = "cx",
    entanglement: Entanglement = "full",
    layers: int = 3,
    final_rotations: bool = True,
) -> Circuit:
    """Layers of one-qubit rotations and of one two-qubit gate per pair, and a last layer of rotations.

    rotations: names of one-qubit gates, each on all qubits in turn ("ry", "rz", "rot", "h", ...). entangler: the
    name of a two-qubit gate; if it has angles ("crx", "rzz"), each use has weights of its own. entanglement: the
    pairs, a name or a list as in `qubit_groups`. Equal to Qiskit's `n_local`, weights in the same order.
    Cost: (layers + 1) * n * rotations + layers * pairs gates.
    Raises `KetgradValueError` for unknown gates and patterns and for counts out of range.

    Kandala et al. 2017, arXiv:1704.05018.

    >>> two_local(4, ["ry", "rz"], "crx", "linear", layers=2).num_weights
    30
    """
    size, depth = check_count(num_qubits, "num_qubits"), check_count(layers, "layers", 0)
    names = (
        (rotations,) if isinstance(rotations, str) else sequence_of(rotations, "rotations", "['ry', 'rz']")
    )
    last = flag(final_rotations, "final_rotations")
    check_size((depth + 1) * size * len(names), "layers")
    turns = [(_builder(name, 1, "rotations"), q) for name in names for q in range(size)]
    joins = [_builder(entangler, 2, "entangler")] if size > 1 else []
    pairs = qubit_groups(entanglement, size) if size > 1 else ()
    check_size((depth + 1) * len(turns) + depth * len(pairs), "layers")
    weights = count()
    circuit: list[Op] = []
    for layer in range(depth + 1):
        if layer < depth or last:
            circuit += [_op(gate, weights, q) for gate, q in turns]
        if layer < depth:
            circuit += [_op(gate, weights, *pair) for gate in joins for pair in pairs]
    return Circuit(circuit, size)


def hardware_efficient(
    num_qubits: int, layers: int = 3, entangler: str = "cz", entanglement: Entanglement = "linear"
) -> Circuit:
    """Layers of RY and RZ on every qubit and CZ between neighbours, and a last layer of rotations.

    2 (layers + 1) n weights. Cost: 2 (layers + 1) n + layers (n - 1) gates. Options and errors as `two_local`.

    Kandala et al. 2017, arXiv:1704.05018.

    >>> hardware_efficient(4).num_weights
    32
    """
    return two_local(num_qubits, ("ry", "rz"), entangler, entanglement, layers)


def real_amplitudes(
    num_qubits: int, layers: int = 3, entanglement: Entanglement = "reverse_linear"
) -> Circuit:
    """Layers of RY and CX, and a last layer of RY: states with real amplitudes.

    (layers + 1) n weights. Equal to Qiskit's `real_amplitudes`. Cost: (layers + 1) n + layers * pairs gates.
    Options and errors as `two_local`.

    Kandala et al. 2017, arXiv:1704.05018.

    >>> real_amplitudes(3).num_weights
    12
    """
    return two_local(num_qubits, ("ry",), "cx", entanglement, layers)


def strongly_entangling(
    num_qubits: int, layers: int = 3, ranges: Iterable[int] | None = None, entangler: str = "cx"
) -> Circuit:
    """Layers of ROT on every qubit, then a ring of CX from qubit i to i + r, with r growing from layer to layer.

    ranges: r of each layer; None for 1, 2, ..., n - 1, 1, 2, ... 3 layers n weights, the array (layers, n, 3) of
    PennyLane's `StronglyEntanglingLayers`, flattened; equal to it. Cost: 2 layers n gates.
    Raises `KetgradValueError` for ranges that are not one per layer in 1 to n - 1.

    Schuld et al. 2020, arXiv:1804.00633.

    >>> strongly_entangling(3, layers=2).num_weights
    18
    """
    size, depth = check_count(num_qubits, "num_qubits"), check_count(layers, "layers", 0)
    check_size(2 * depth * size, "layers")
    chosen = [1 + layer % max(1, size - 1) for layer in range(depth)]
    if ranges is not None:
        chosen = list(sequence_of(ranges, "ranges", "[1, 2]"))
    if len(chosen) != depth:
        raise KetgradValueError(
            f"`ranges` must hold one range per layer, {depth} in all, but holds {len(chosen)}."
        )
    if size > 1 and any(not 1 <= check_count(r, "ranges", 0) < size for r in chosen):
        raise KetgradValueError(
            f"`ranges` must lie in 1 to {size - 1} - a qubit is not joined to itself - but is {chosen}."
        )
    weights = count()
    rotate, join = _builder("rot", 1, "rotations"), _builder(entangler, 2, "entangler")
    circuit: list[Op] = []
    for distance in chosen:
        circuit += [_op(rotate, weights, q) for q in range(size)]
        if size > 1:
            circuit += [_op(join, weights, q, (q + distance) % size) for q in range(size)]
    return Circuit(circuit, size)


def basic_entangler(num_qubits: int, layers: int = 3, rotation: str = "rx") -> Circuit:
    """Layers of one rotation per qubit and a ring of CX.

    rotation: the name of a one-qubit gate. layers * n weights for a gate with one angle. Equal to PennyLane's
    `BasicEntanglerLayers`. Cost: 2 layers n gates. Errors as `two_local`.

    Schuld et al. 2020, arXiv:1804.00633.

    >>> basic_entangler(4, layers=2).num_weights
    8
    """
    return two_local(num_qubits, (rotation,), "cx", "ring", layers, final_rotations=False)


def simplified_two_design(num_qubits: int, layers: int = 3) -> Circuit:
    """RY on every qubit, then layers of CZ and two RY on the pairs (0, 1), (2, 3), ... and (1, 2), (3, 4), ...

    n + 2 layers (n - 1) weights. Equal to PennyLane's `SimplifiedTwoDesign`, its two weight arrays one after the
    other. Gradients vanish exponentially with n when layers grows: a test bed for barren plateaus.
    Cost: n + 3 layers (n - 1) gates. Raises `KetgradValueError` for counts out of range.

    Cerezo et al. 2021, arXiv:2001.00550.

    >>> simplified_two_design(4, layers=2).num_weights
    16
    """
    size, depth = check_count(num_qubits, "num_qubits"), check_count(layers, "layers", 0)
    check_size(size + 3 * depth * (size - 1), "layers")
    circuit = [ops.ry(w[q], q) for q in range(size)]
    pairs = (qubit_groups("pairwise", size) if size > 1 else ()) * depth
    for k, (a, b) in enumerate(pairs):
        circuit += [ops.cz(a, b), ops.ry(w[size + 2 * k], a), ops.ry(w[size + 2 * k + 1], b)]
    return Circuit(circuit, size)


def tree(num_qubits: int) -> Circuit:
    """A tree tensor network: RY on two neighbours, CX from the second to the first, go on with the first.

    Any number of qubits; one without a partner moves up a level. The last RY acts on qubit 0, the root: measure
    Z0. 2 n - 1 weights, depth 2 log2(n) + 1, cost 3 n - 2 gates. Raises `KetgradValueError` for num_qubits < 1.

    Grant et al. 2018, arXiv:1804.03680.

    >>> circuit = tree(5)
    >>> circuit.num_weights, len(circuit)
    (9, 13)
    """
    size = check_count(num_qubits, "num_qubits")
    alive, weights = list(range(size)), count()
    circuit: list[Op] = []
    while len(alive) > 1:
        for a, b in zip(alive[::2], alive[1::2], strict=False):
            circuit += [ops.ry(w[next(weights)], a), ops.ry(w[next(weights)], b), ops.cx(b, a)]
        alive = alive[::2]
    return Circuit([*circuit, ops.ry(w[next(weights)], 0)], size)


def qaoa_ansatz(cost: PauliSum, depth: int = 1, num_qubits: int | None = None) -> Circuit:
    """The alternating circuit of QAOA for a cost that is to be made small.

    With C = -cost, the quantity to make large, and B = X0 + X1 + ..., the state is Farhi's
    exp(-i beta_p B) exp(-i gamma_p C) ... exp(-i beta_1 B) exp(-i gamma_1 C) |+...+>.
    cost: words of Z alone. Weights: gamma_1, beta_1, gamma_2, beta_2, ...: 2 depth of them.
    Cost: depth * (words + n) gates. Raises `KetgradValueError` if the cost is not diagonal or not Hermitian.

    Farhi et al. 2014, arXiv:1411.4028.

    >>> qaoa_ansatz(kg.Pauli("0.5 Z0 Z1 - 0.5")).ops[2:]
    (rzz(-w[0], 0, 1), rx(2 * w[1], 0), rx(2 * w[1], 1))
    """
    if not isinstance(cost, PauliSum):
        raise KetgradTypeError(
            f"`cost` must be a PauliSum such as kg.hamiltonians.maxcut(graph), but is {shown(cost)}."
        )
    check_hermitian(cost, "cost", "the cost of a bit string is a phase")
    if any(x for x, _, _ in cost.terms):
        raise KetgradValueError(
            f"`cost` must be a sum of words of Z - the phase of a bit string is its cost - but is {cost}."
        )
    size = max(1, cost.num_qubits) if num_qubits is None else check_count(num_qubits, "num_qubits")
    if size < cost.num_qubits:
        raise KetgradValueError(
            f"`num_qubits` must be at least {cost.num_qubits} - the cost needs it - but is {size}."
        )
    check_size(check_count(depth, "depth") * (len(cost) + size), "depth")
    circuit = [ops.h(q) for q in range(size)]
    for layer in range(depth):
        gamma, beta = w[2 * layer], w[2 * layer + 1]
        circuit += [_phase(-2 * complex(c).real * gamma, z) for _, z, c in cost.terms if z]
        circuit += [ops.rx(2 * beta, q) for q in range(size)]
    return Circuit(circuit, size)


ANSATZE: Mapping[str, Callable[..., Circuit]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            hardware_efficient,
            strongly_entangling,
            real_amplitudes,
            two_local,
            simplified_two_design,
            basic_entangler,
            tree,
        )
    }
)


def ansatz_named(name: str) -> Callable[..., Circuit]:
    """The ansatz of that name from `ANSATZE`.

    Raises `KetgradValueError` with the nearest names for a name that does not exist.

    >>> ansatz_named("tree") is tree
    True
    """
    if not isinstance(name, str) or name not in ANSATZE:
        raise KetgradValueError(f"There is no ansatz {shown(name)}. {near_matches(str(name), list(ANSATZE))}")
    return ANSATZE[name]


Builder = tuple[Callable[..., Op], int]  # the builder of a gate and how many angles it takes


def _builder(name: str, num_qubits: int, argument: str) -> Builder:
    row, controls = CONTROLLED.get(name, (name, 0)) if isinstance(name, str) else ("", 0)
    if row not in GATES or GATES[row].num_qubits + controls != num_qubits:
        fitting = [g for g in GATES if GATES[g].num_qubits == num_qubits]
        fitting += [g for g, (r, k) in CONTROLLED.items() if GATES[r].num_qubits + k == num_qubits]
        raise KetgradValueError(
            f"`{argument}` must name a gate on {num_qubits} qubit{'s' * (num_qubits > 1)}, but is {shown(name)}. "
            f"{near_matches(str(name), fitting)}"
        )
    return getattr(ops, name), GATES[row].num_angles


def _op(gate: Builder, weights: count[int], *qubits: int) -> Op:
    builder, num_angles = gate
    return builder(*(w[next(weights)] for _ in range(num_angles)), *qubits)


def _phase(angle: Angle, z: int) -> Op:
    """exp(-i angle Z...Z / 2) on the qubits of the mask z."""
    qubits = [qubit for qubit, _ in letters(0, z)]
    if len(qubits) == 1:
        return ops.rz(angle, *qubits)
    return (
        ops.rzz(angle, *qubits) if len(qubits) == 2 else ops.pauli_rotation(angle, "Z" * len(qubits), *qubits)
    )
