"""Random programs as flat arrays, and what they mean as dense matrices: the independent check of the native core."""

from types import SimpleNamespace

import numpy as np

from ketgrad import _native
from ketgrad.circuits.paulis import PauliSum
from ketgrad.executors.native import Native
from ketgrad.programs.program import Program
from ketgrad.programs.questions import Expect, Probabilities, State

# The exact executors, the native one on every instruction set of this machine.
EXACT = {"reference": "reference"} | {
    name: Native(instruction_set=name) for name in _native.instruction_sets()
}


def random_unitary(rng, size):
    q, r = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))
    return q * (np.diagonal(r) / abs(np.diagonal(r)))


def _angle(rng, num_slots, special):
    terms = [(rng.choice([-1.0, 0.5, 1.0, 2.0]), int(rng.integers(num_slots)), int(rng.integers(num_slots)))]
    if special:
        return [(rng.integers(-4, 5) * np.pi / 2 * (1 - special * 1e-9 * rng.integers(2)), 0, 0)]
    if rng.random() < 0.3:
        terms.append((rng.normal(), 0, int(rng.integers(num_slots))))
    return terms


CLIFFORDS = {
    "x": np.array([[0, 1], [1, 0]]),
    "y": np.array([[0, -1j], [1j, 0]]),
    "z": np.diag([1, -1]),
    "h": np.array([[1, 1], [1, -1]]) / np.sqrt(2),
    "s": np.diag([1, 1j]),
    "sdg": np.diag([1, -1j]),
    "t": np.diag([1, np.exp(0.25j * np.pi)]),
    "sx": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "cx": np.eye(4)[[0, 1, 3, 2]],
    "cz": np.diag([1, 1, 1, -1]),
    "swap": np.eye(4)[[0, 2, 1, 3]],
    "iswap": np.array([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]]),
    "ccz": np.diag([1, 1, 1, 1, 1, 1, 1, -1]),
    "ccx": np.eye(8)[[0, 1, 2, 3, 4, 5, 7, 6]],
}


def _instruction(rng, n, num_slots, special, controlled):
    qubits = [int(q) for q in rng.permutation(n)]
    kind = rng.random()
    mask = sum(1 << q for q in qubits if controlled and rng.random() < 0.15)
    free = [q for q in qubits if not mask >> q & 1]
    item = SimpleNamespace(
        x=0, z=0, controls=mask, angle=[], targets=[], data=np.zeros(0), slots=[], normalize=0
    )
    if kind < 0.6 or not free:
        item.kind = 0
        support = free[: int(rng.integers(0 if rng.random() < 0.1 else 1, 4))]
        for q in support:
            letter = rng.integers(1, 4)
            item.x |= int(letter & 1) << q
            item.z |= int(letter >> 1) << q
        item.angle = _angle(rng, num_slots, special and rng.random() < 0.8)
        return item
    item.kind = 1
    names = [name for name, matrix in CLIFFORDS.items() if matrix.shape[0] <= 1 << len(free)]
    if kind < 0.9:
        matrix = CLIFFORDS[names[int(rng.integers(len(names)))]]
    else:
        matrix = random_unitary(rng, 1 << int(rng.integers(1, min(4, len(free) + 1))))
    item.targets = free[: int(matrix.shape[0]).bit_length() - 1]
    item.data = np.asarray(matrix, complex).ravel()
    return item


def _preparations(rng, n, num_weights, num_slots):
    qubits = [int(q) for q in rng.permutation(n)]
    items = []
    while qubits and rng.random() < 0.8:
        targets = [qubits.pop() for _ in range(int(rng.integers(1, min(3, len(qubits)) + 1)))]
        size = 1 << len(targets)
        slots = [int(s) for s in rng.integers(0, num_slots, size)] if rng.random() < 0.7 else [0] * size
        items.append(SimpleNamespace(kind=2, x=0, z=0, controls=0, angle=[], targets=targets, slots=slots,
                                     data=rng.normal(size=size) + 1j * rng.normal(size=size),
                                     normalize=int(rng.random() < 0.7)))  # fmt: skip
    return items


def random_program(seed, n, length=None, question=0, special=False, controlled=True, prepare=None):
    """A program of `length` instructions on n qubits with 3 weights and 2 inputs."""
    rng = np.random.default_rng([seed, n, question])
    num_weights, num_inputs = 3, 2
    num_slots = 1 + num_weights + num_inputs
    prepare = rng.random() < 0.4 if prepare is None else prepare
    items = _preparations(rng, n, num_weights, num_slots) if prepare else []
    for _ in range(length if length is not None else 4 + 4 * n):
        items.append(_instruction(rng, n, num_slots, special, controlled and rng.random() < 0.4))
    words = [[(int(rng.integers(1 << n)), int(rng.integers(1 << n)), float(rng.normal()))
              for _ in range(int(rng.integers(1, 4)))] for _ in range(int(rng.integers(1, 4)))]  # fmt: skip
    measured = [int(q) for q in rng.permutation(n)[: int(rng.integers(1, n + 1))]]
    return make_program(n, num_weights, num_inputs, items, question, words, measured)


def _starts(lists):
    return np.cumsum([0, *map(len, lists)]).astype(np.int64)


def _flat(lists, dtype):
    return np.array([value for one in lists for value in one], dtype=dtype)


def make_program(n, num_weights, num_inputs, items, question, words=(), measured=()):
    """The arrays of the contract, as keyword arguments of the native Program, from a list of instructions."""
    data = [list(item.data) for item in items]
    slots = [list(item.slots) if len(item.slots) else [0] * len(item.data) for item in items]
    flat_words = [word for one in words for word in one]
    return dict(
        num_qubits=n, num_weights=num_weights, num_inputs=num_inputs,
        kind=np.array([i.kind for i in items], np.uint8), x=np.array([i.x for i in items], np.uint64),
        z=np.array([i.z for i in items], np.uint64), controls=np.array([i.controls for i in items], np.uint64),
        term_start=_starts([i.angle for i in items]),
        term_coefficient=_flat([[t[0] for t in i.angle] for i in items], float),
        term_a=_flat([[t[1] for t in i.angle] for i in items], np.int64),
        term_b=_flat([[t[2] for t in i.angle] for i in items], np.int64),
        target_start=_starts([i.targets for i in items]), targets=_flat([i.targets for i in items], np.int64),
        data_start=_starts(data), data=_flat(data, complex), amplitude_slot=_flat(slots, np.int64),
        normalize=np.array([i.normalize for i in items], np.uint8), question=question,
        observable_start=_starts(words), word_x=np.array([w[0] for w in flat_words], np.uint64),
        word_z=np.array([w[1] for w in flat_words], np.uint64),
        word_coefficient=np.array([w[2] for w in flat_words], float),
        measured=np.array(measured, np.int64),
    )  # fmt: skip


def pauli_matrix(n, x, z):
    """i^|x&z| X^x Z^z on 2^n basis indices."""
    index = np.arange(1 << n)
    sign = np.array([(-1) ** bin(k & z).count("1") for k in index])
    matrix = np.zeros((1 << n, 1 << n), complex)
    matrix[index ^ x, index] = sign * 1j ** bin(x & z).count("1")
    return matrix


def _controlled(n, controls, matrix):
    on = np.array([(k & controls) == controls for k in range(1 << n)])
    return np.where(on[:, None] & on[None, :], matrix, np.eye(1 << n))


def _embed(n, targets, matrix):
    size, index = len(matrix), np.arange(1 << n)
    offsets = np.array(
        [sum((j >> (len(targets) - 1 - t) & 1) << p for t, p in enumerate(targets)) for j in range(size)]
    )
    mask = int(offsets[-1])
    full = np.zeros((1 << n, 1 << n), complex)
    for i in range(size):
        for j in range(size):
            base = index[(index & mask) == 0]
            full[base ^ offsets[i], base ^ offsets[j]] = matrix[i, j]
    return full


def dense_state(p, weights, inputs):
    """The final state of one sample, by dense matrices in double precision."""
    n = p["num_qubits"]
    slots = np.concatenate([[1.0], weights, inputs])
    psi = np.zeros(1 << n, complex)
    psi[0] = 1
    for i in range(len(p["kind"])):
        x, z, controls = (int(p[name][i]) for name in ("x", "z", "controls"))
        part = slice(p["data_start"][i], p["data_start"][i + 1])
        targets = [int(t) for t in p["targets"][p["target_start"][i] : p["target_start"][i + 1]]]
        if p["kind"][i] == 0:
            t = slice(p["term_start"][i], p["term_start"][i + 1])
            angle = np.sum(p["term_coefficient"][t] * slots[p["term_a"][t]] * slots[p["term_b"][t]])
            word = pauli_matrix(n, x, z)
            gate = np.cos(angle / 2) * np.eye(1 << n) - 1j * np.sin(angle / 2) * word
            psi = _controlled(n, controls, gate) @ psi
        elif p["kind"][i] == 1:
            size = 1 << len(targets)
            psi = _controlled(n, controls, _embed(n, targets, p["data"][part].reshape(size, size))) @ psi
        else:
            vector = p["data"][part] * slots[p["amplitude_slot"][part]]
            if p["normalize"][i]:
                vector = vector / np.linalg.norm(vector)
            columns = np.zeros((len(vector), len(vector)), complex)
            columns[:, 0] = vector
            psi = _embed(n, targets, columns) @ psi
    return psi


def dense_values(p, weights, inputs):
    """What the question asks of one sample."""
    n, psi = p["num_qubits"], dense_state(p, weights, inputs)
    if p["question"] == 2:
        return psi
    if p["question"] == 1:
        measured, out = p["measured"], np.zeros(1 << len(p["measured"]))
        for k in range(1 << n):
            outcome = 0
            for bit in measured:
                outcome = outcome << 1 | (k >> int(bit) & 1)
            out[outcome] += abs(psi[k]) ** 2
        return out
    values = []
    for first, last in zip(p["observable_start"], p["observable_start"][1:], strict=False):
        words = zip(
            p["word_x"][first:last], p["word_z"][first:last], p["word_coefficient"][first:last], strict=True
        )
        values.append(sum(c * np.vdot(psi, pauli_matrix(n, int(x), int(z)) @ psi).real for x, z, c in words))
    return np.array(values)


def as_program(p):
    """The same program for the other executors. Its observables are only counted there: the words are in the arrays."""
    arrays = {name: value for name, value in p.items() if name != "question"}
    one = PauliSum(((0, 0, 1.0),))
    questions = [
        Expect((one,) * (len(p["observable_start"]) - 1)),
        Probabilities(tuple(p["measured"])),
        State(),
    ]
    return Program(**arrays, question=questions[p["question"]], occurrences=(), input_map=None)
