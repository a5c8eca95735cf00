"""A unitary matrix, under controls or not, is the product of the rotations that it is written as."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import unitary_group

import ketgrad as kg
from ketgrad.programs.matrix_rotations import clifford_of, turns_of


def under_controls(matrix, controls):
    full = np.eye(len(matrix) << controls, dtype=complex)
    full[-len(matrix) :, -len(matrix) :] = matrix
    return full


def word(x, z, bits):
    letters = {(0, 0): "I", (1, 0): "X", (1, 1): "Y", (0, 1): "Z"}
    text = " ".join(f"{letters[x >> j & 1, z >> j & 1]}{bits - 1 - j}" for j in range(bits))
    return kg.Pauli(text or "1").matrix(bits)


def product(turns, bits):
    total = np.eye(2**bits, dtype=complex)
    for x, z, angle in turns:
        total = np.cos(angle / 2) * total - 1j * np.sin(angle / 2) * word(x, z, bits) @ total
    return total


@pytest.mark.parametrize(
    "bits, controls", [(1, 0), (1, 1), (1, 3), (2, 0), (2, 2), (3, 0), (3, 1), (4, 0), (5, 0)]
)
def test_rotations_multiply_to_the_matrix(bits, controls):
    generator = np.random.default_rng(bits)
    matrices = [unitary_group.rvs(2**bits, random_state=generator) for _ in range(2)]
    matrices.append(np.diag(np.exp(1j * generator.normal(size=2**bits))))
    matrices.append(np.eye(2**bits)[generator.permutation(2**bits)].astype(complex))
    for matrix in matrices:
        wanted = under_controls(matrix, controls)
        found = product(turns_of(matrix.astype(complex).tobytes(), controls), bits + controls)
        phase = np.vdot(found, wanted) / len(wanted)
        np.testing.assert_allclose(found * phase, wanted, atol=1e-12)


NEAR = {1: ["1", "X0", "Y0", "Z0"], 2: ["1", "X0 Z1", "Y0 Y1"], 3: ["1", "X0 Z1 Y2"]}


@pytest.mark.parametrize("size", [1e-11, 1e-9, 1e-7, 1e-5, 1e-3, 1e-2])
@pytest.mark.parametrize("bits, controls", [(1, 0), (1, 2), (2, 0), (2, 1), (3, 0)])
def test_what_turns_a_matrix_a_little_away_from_a_word_is_kept(bits, controls, size):
    """To first order it is in entries that are as small: an overlap does not see them."""
    generator = np.random.default_rng(bits)
    for letters in NEAR[bits]:
        for _ in range(5):
            hermitian = generator.normal(size=(2**bits, 2**bits, 2)) @ [1, 1j]
            turn = expm(1j * size * (hermitian + hermitian.conj().T))
            matrix = np.exp(1j * generator.normal()) * kg.Pauli(letters).matrix(bits) @ turn
            wanted = under_controls(matrix, controls)
            found = product(turns_of(matrix.tobytes(), controls), bits + controls)
            phase = np.vdot(found, wanted) / len(wanted)
            np.testing.assert_allclose(found * phase, wanted, atol=1e-13)


def test_small_steps_of_a_wide_register_are_those_of_a_narrow_one():
    """exp(-i H / 10^4), times a phase, on one qubit of each of 22 pairs, a hundred times."""
    generator = np.random.default_rng(0)
    pairs = []
    for _ in range(22):
        hermitian = generator.normal(size=(2, 2, 2)) @ [1, 1j]
        step = np.exp(1j * generator.normal()) * expm(-1e-4j * (hermitian + hermitian.conj().T))
        rotations = [kg.ry(kg.w[0], 1), kg.crx(kg.w[1], 1, 0)]
        pairs.append(kg.Circuit([*[kg.unitary(step, 0)] * 50, *rotations, *[kg.unitary(step, 0)] * 50]))
    ops = [op for k, pair in enumerate(pairs) for op in pair.relabel([2 * k, 2 * k + 1])]
    wide = kg.expectation(kg.Circuit(ops), [kg.Pauli(f"Y{2 * k} X{2 * k + 1}") for k in range(22)])
    weights = [0.4, 1.1]
    wanted = [kg.expectation(pair, kg.Pauli("Y0 X1")).jacobian(weights)[0] for pair in pairs]
    np.testing.assert_allclose(wide.jacobian(weights)[0], np.concatenate(wanted), atol=1e-13)


@pytest.mark.parametrize(
    "name, controls, count", [("x", 2, 7), ("z", 2, 7), ("swap", 1, 7), ("t", 0, 1), ("x", 3, 15)]
)
def test_gates_of_the_field_take_few_rotations(name, controls, count):
    assert len(turns_of(kg.GATES[name].matrix().tobytes(), controls)) == count


def test_matrices_too_large_are_said_to_be():
    assert turns_of(np.eye(64, dtype=complex).tobytes(), 0) is None
    assert turns_of(np.eye(2, dtype=complex).tobytes(), 9) is None


CLIFFORDS = [("h", 0), ("s", 0), ("sx", 0), ("y", 0), ("x", 1), ("y", 1), ("z", 1), ("swap", 0), ("iswap", 0)]


@pytest.mark.parametrize("name, controls", CLIFFORDS)
def test_clifford_gates_map_words_as_their_matrices_do(name, controls):
    matrix = kg.GATES[name].matrix()
    gate, full = clifford_of(matrix.tobytes(), controls), under_controls(matrix, controls)
    assert gate is not None
    bits = len(full).bit_length() - 1
    for x in range(2**bits):
        for z in range(2**bits):
            old = [x >> j & 1 for j in range(bits)] + [z >> j & 1 for j in range(bits)]
            new = [sum(old[k] for k in sources) % 2 for sources in gate.sources]
            sign = (-1) ** sum(all(old[k] for k in both) for both in gate.signs)
            image = word(
                sum(new[j] << j for j in range(bits)), sum(new[bits + j] << j for j in range(bits)), bits
            )
            np.testing.assert_allclose(full.conj().T @ word(x, z, bits) @ full, sign * image, atol=1e-12)


@pytest.mark.parametrize("name, controls", [("t", 0), ("x", 2), ("h", 1), ("s", 1)])
def test_other_gates_are_not_taken_for_clifford_gates(name, controls):
    assert clifford_of(kg.GATES[name].matrix().tobytes(), controls) is None
    nearly = kg.GATES["h"].matrix() @ np.diag([1, np.exp(1e-9j)])
    assert clifford_of(nearly.tobytes(), 0) is None
