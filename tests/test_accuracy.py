"""How exact the numbers are: single gates to the last bits, deep circuits by their norm, samples by a G-test."""

import mpmath
import numpy as np
import pytest
from scipy.stats import chi2

import ketgrad as kg
from ketgrad import w
from ketgrad.circuits.gates import GATES

ROTATIONS = [gate for gate in GATES.values() if gate.generator is not None]
ULP = 2.0**-52  # of 1.0: amplitudes are at most 1


def exact_column(gate, angle: float, column: int) -> np.ndarray:
    """One column of exp(-i t G / 2), from 30 digits."""
    with mpmath.workdps(30):
        generator = mpmath.matrix(gate.generator.matrix(gate.num_qubits).tolist())
        unitary = mpmath.expm(mpmath.mpc(0, -0.5) * mpmath.mpf(angle) * generator)
        return np.array([complex(unitary[row, column]) for row in range(unitary.rows)])


def basis_circuit(column: int, num_qubits: int) -> kg.Circuit:
    """X on the qubits that are 1 in the basis state of that index."""
    bits = [q for q in range(num_qubits) if column >> (num_qubits - 1 - q) & 1]
    return kg.Circuit([kg.x(q) for q in bits], num_qubits)


@pytest.mark.parametrize("executor", ["native", "reference"])
def test_a_gate_is_exact_to_four_units_in_the_last_place(executor):
    random = np.random.default_rng(17)
    worst = 0.0
    for case in range(100):
        gate = ROTATIONS[case % len(ROTATIONS)]
        angle = float(random.choice([random.uniform(-7, 7), np.pi / 2 * random.integers(-4, 5), 1e-9]))
        column = int(random.integers(2**gate.num_qubits))
        op = kg.Op.build(gate, range(gate.num_qubits), [w[0]], ())
        f = kg.state(basis_circuit(column, gate.num_qubits) + kg.Circuit([op]), executor=executor)
        worst = max(worst, float(np.abs(f([angle]) - exact_column(gate, angle, column)).max()))
    assert worst <= 4 * ULP


def deep_circuit(num_qubits: int, num_gates: int, seed: int) -> tuple[kg.Circuit, np.ndarray]:
    """Rotations of every row of the table at random places, each with a weight of its own."""
    random = np.random.default_rng(seed)
    ops = []
    for k in range(num_gates):
        gate = ROTATIONS[int(random.integers(len(ROTATIONS)))]
        places = random.permutation(num_qubits)[: gate.num_qubits].tolist()
        ops.append(kg.Op.build(gate, places, [w[k]], ()))
    return kg.Circuit(ops, num_qubits), random.uniform(-np.pi, np.pi, num_gates)


@pytest.mark.parametrize(
    ("num_qubits", "num_gates"), [(4, 100), (5, 1000), (4, 10_000), (10, 1000), (18, 200)]
)
def test_the_norm_drifts_by_less_than_1e13_for_each_root_of_the_gates(num_qubits, num_gates):
    circuit, weights = deep_circuit(num_qubits, num_gates, num_gates)
    state = kg.state(circuit)(weights)
    assert abs(np.vdot(state, state).real - 1) <= 1e-13 * np.sqrt(num_gates)


@pytest.mark.parametrize("num_qubits", [4, 8, 12])
def test_single_precision_is_right_to_1e5(num_qubits):
    circuit, weights = deep_circuit(num_qubits, 100, num_qubits)
    observable = sum((kg.Pauli(f"Z{q}") for q in range(num_qubits)), kg.Pauli("X0"))
    single = kg.expectation(circuit, observable, dtype=np.complex64).vjp(weights, None, [1.0])
    double = kg.expectation(circuit, observable).vjp(weights, None, [1.0])
    for short, full in zip(single[:2], double[:2], strict=True):
        assert np.abs(short - full).max() <= 1e-5 * num_qubits


# G16: 200 circuits at a million shots; the whole family raises a false alarm once in a million sets of seeds

CIRCUITS, SHOTS = 200, 10**6
FALSE_ALARM = 1e-6 / CIRCUITS


def p_value(counts: np.ndarray, chances: np.ndarray) -> float:
    """The G-test of counts against chances; outcomes that are expected less than five times are put together."""
    expected = chances * counts.sum()
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    kept = wanted > 0
    assert not observed[~kept].any(), "an impossible outcome occurred"
    ratio = np.where(observed[kept] > 0, observed[kept] / wanted[kept], 1.0)
    return float(chi2.sf(2 * (observed[kept] * np.log(ratio)).sum(), max(1, kept.sum() - 1)))


def outcomes(circuit: kg.Circuit, weights: np.ndarray, seed: int) -> np.ndarray:
    """How often each outcome occurs in a million shots."""
    packed = kg.samples(circuit, shots=SHOTS, packed=True, seed=seed)(weights)
    return np.bincount(packed.astype(np.int64), minlength=2**circuit.num_qubits)


def test_samples_follow_the_probabilities_in_two_hundred_circuits():
    values = []
    for seed in range(CIRCUITS):
        circuit, weights = deep_circuit(4 + seed % 3, 20, seed)
        values.append(p_value(outcomes(circuit, weights, seed), kg.probabilities(circuit)(weights)))
    assert min(values) > FALSE_ALARM
    # and as a whole they are what chance gives: uniform between 0 and 1 (Kolmogorov's 1e-6 bound for 200 values)
    grid = (np.arange(CIRCUITS) + 0.5) / CIRCUITS
    assert np.abs(np.sort(values) - grid).max() < 0.19


def test_half_a_percent_of_bias_would_be_seen():
    seen = 0
    for seed in range(100):
        circuit, weights = deep_circuit(4 + seed % 3, 20, seed)
        chances = kg.probabilities(circuit)(weights)
        biased = chances.copy()
        low, high = np.argsort(chances)[[-2, -1]]
        biased[high] -= 0.005
        biased[low] += 0.005
        seen += p_value(outcomes(circuit, weights, seed), biased) < FALSE_ALARM
    assert seen >= 99
