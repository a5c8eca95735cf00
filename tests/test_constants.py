"""Constants, coefficients, indices and matrices at the ends of their ranges: one right number, or a refusal."""

import time

import numpy as np
import pytest
from mpmath import mp
from native_programs import EXACT

import ketgrad as kg
from ketgrad import _native, w, x
from ketgrad.circuits.angles import add_up
from ketgrad.circuits.gate import Gate, known_gate
from ketgrad.circuits.gate_kinds import Fixed
from ketgrad.circuits.op import Op
from ketgrad.executors.native import ARRAYS
from ketgrad.foundation.errors import KetgradError, KetgradMemoryError, KetgradValueError

Z = kg.Pauli("Z0")
HUGE = [2.0**53, -(2.0**53), 1e15, 6755399441055744.0, 2.0**40 + 0.5, 1e7, 2.0**20 + 0.1]
BEYOND = [2.0**53 * (1 + 2**-52), 1e16, -1e25, 1e35, 1e100, 1.7e308]


def cosine(*terms):
    """cos of the exact sum of some floating-point numbers, to 17 digits."""
    with mp.workdps(60):
        return float(mp.cos(sum(mp.mpf(t) for t in terms)))


@pytest.mark.parametrize("executor", EXACT.values(), ids=EXACT)
@pytest.mark.parametrize("constant", HUGE)
def test_a_huge_constant_keeps_every_digit(executor, constant):
    """Alone, behind another rotation, beside a variable, in both precisions."""
    turn = kg.Circuit([kg.rx(constant, 0)])
    assert abs(kg.expectation(turn, Z, executor=executor)()[0] - cosine(constant)) < 1e-14
    assert abs(kg.expectation(turn, Z, executor=executor, dtype=np.complex64)()[0] - cosine(constant)) < 1e-6
    two = kg.Circuit([kg.rx(0.3, 0), kg.rx(constant, 0)])
    assert abs(kg.expectation(two, Z, executor=executor)()[0] - cosine(constant, 0.3)) < 1e-14
    beside = kg.expectation(kg.Circuit([kg.rx(constant + w[0], 0)]), Z, executor=executor)
    value, dweights, _ = beside.vjp([0.3], None, [1.0])
    assert abs(value[0] - cosine(constant, 0.3)) < 1e-14
    with mp.workdps(60):
        assert abs(dweights[0] + float(mp.sin(mp.mpf(constant) + mp.mpf(0.3)))) < 1e-14


@pytest.mark.parametrize("constant", BEYOND)
@pytest.mark.parametrize(
    "ops",
    [
        lambda c: [kg.rx(c, 0)],
        lambda c: [kg.rzz(c, 0, 1)],
        lambda c: [kg.p(c, 0).control(1)],
        lambda c: [kg.u(0.1, c, 0.2, 0)],
        lambda c: [kg.rx(c + w[0], 0)],
        lambda c: [kg.rx(c + x[0] * w[0], 0)],
        lambda c: [kg.gphase(c)],
        lambda c: [kg.pauli_rotation(c, "XY", 0, 1)],
    ],
)
def test_a_constant_without_a_place_on_the_circle_is_refused_when_the_function_is_made(constant, ops):
    with pytest.raises(KetgradValueError, match=r"angle of .* must lie within .*but is"):
        kg.expectation(kg.Circuit(ops(constant), 2), Z)


def test_constants_of_other_languages_and_of_encodings_are_held_to_the_same_bound():
    with pytest.raises(KetgradValueError, match="must lie within"):
        kg.expectation(
            kg.from_qasm("OPENQASM 3.0; include 'stdgates.inc'; qubit q; rx(1e35) q;".replace("'", '"')), Z
        )
    with pytest.raises(KetgradValueError, match="must lie within"):
        kg.expectation(kg.encodings.zz_feature_map(2, alpha=1e300), Z)


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize(
    "angle", [1e20 * w[0], 1e20 * w[0] * x[0], 1e20 * x[0], 1e20 * w[0] - 1e20 * x[0]], ids=str
)
def test_a_coefficient_counts_in_the_bound_of_an_angle(executor, angle):
    """In the short way of plain arrays, and in all others, after a first call that is inside."""
    f = kg.expectation(kg.Circuit([kg.rx(w[0] * 0 + angle, 0), kg.rz(w[0] + x[0], 0)]), Z, executor=executor)
    small, one = np.array([1e-12]), np.array([1.0])
    for _ in range(2):
        f(small, small)
        f.vjp(small, small, one)
        for weights, inputs in ((one, one), (one[None], one[None]), ([1.0], [1.0])):
            calls = (
                lambda a, b: f(a, b),
                lambda a, b: f.vjp(a, b, [[1.0]] if np.ndim(a) == 2 else [1.0]),
                f.jvp,
            )
            for call in calls:
                with pytest.raises(KetgradValueError, match="must lie within"):
                    call(weights, inputs)
        with pytest.raises(KetgradValueError, match="must lie within"):
            f(one.astype(np.float32), one.astype(np.float32))


def test_native_equals_reference_for_random_constants_and_coefficients_of_any_size():
    generator = np.random.default_rng(5)
    agreed = refused = 0
    for _ in range(60):
        size = lambda: float(generator.choice([-1, 1]) * 10 ** generator.uniform(-3, 22))  # noqa: E731
        makers = [kg.rx, kg.ry, kg.rz, kg.p]
        ops = [generator.choice(makers)(size(), int(generator.integers(2))) for _ in range(2)]
        ops += [kg.ry(size() * w[0] + 0.1, 0), kg.crx(size() * x[0], 0, 1), kg.rxx(0.3, 0, 1)]
        values = []
        for executor in EXACT.values():
            try:
                f = kg.expectation(kg.Circuit(ops), [Z, kg.Pauli("X0 Y1")], executor=executor)
                values.append(f(np.array([1e-9]), np.array([1e-10])))
            except KetgradValueError as error:
                assert "must lie within" in str(error)
                values.append(None)
        if values[0] is None:
            assert all(value is None for value in values)
            refused += 1
        else:
            for value in values[1:]:
                np.testing.assert_allclose(value, values[0], atol=1e-9)
            agreed += 1
    assert agreed > 5 and refused > 5


def test_observables_whose_values_would_overflow_are_refused():
    circuit = kg.Circuit([kg.ry(w[0], 0), kg.rx(x[0], 0)])
    for word in (1e308 * Z + 1e308 * kg.Pauli("X0"), 1e200 * Z, -1e160 * Z):
        with pytest.raises(KetgradValueError, match="coefficients whose sizes add up"):
            kg.expectation(circuit, word)
    large = kg.expectation(circuit, 1e30 * Z)
    assert np.isfinite(large.vjp(np.array([0.1]), np.array([0.1]), np.array([1e150]))[1]).all()
    single = np.float32([0.1])
    for call in (
        lambda: large(single, single),
        lambda: kg.expectation(circuit, 1e30 * Z, dtype=np.complex64),
    ):
        with pytest.raises(KetgradValueError, match="in float32"):
            call()


# -- indices of variables ---------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [2**31, 2**40, 2**63 - 1, 10**30])
@pytest.mark.parametrize(
    "variable", [lambda k: w[k], lambda k: x[k], lambda k: w[k] * x[k], lambda k: kg.arccos(x[k])]
)
def test_an_index_whose_array_cannot_be_had_is_refused_at_once(index, variable, monkeypatch, tmp_path):
    monkeypatch.setattr("ketgrad.foundation.memory.available_bytes", lambda: 16 * 2**30)
    start = time.perf_counter()
    circuit = kg.Circuit([kg.rx(variable(index), 0)])
    kg.save(circuit, tmp_path / "one")
    for one in (circuit, kg.load(tmp_path / "one")):
        with pytest.raises(KetgradMemoryError, match=r"\[0\] to .*number the"):
            kg.expectation(one, Z)
    assert time.perf_counter() - start < 10


def test_a_sparse_index_costs_what_its_array_costs():
    start = time.perf_counter()
    f = kg.expectation(kg.Circuit([kg.rx(w[10**6], 0)]), Z)
    weights = np.zeros(10**6 + 1)
    weights[-1] = 0.5
    values, dweights, _ = f.vjp(weights, None, [1.0])
    assert abs(values[0] - np.cos(0.5)) < 1e-14 and abs(dweights[-1] + np.sin(0.5)) < 1e-14
    assert not dweights[:-1].any()
    assert time.perf_counter() - start < 10


def test_slices_without_an_end_that_fits_are_refused():
    for letters in (w, x):
        with pytest.raises(KetgradMemoryError, match=r"\[0:1000000000000000\]"):
            letters[0 : 10**15]


def test_sums_of_many_terms_are_collected_once(tmp_path):
    """Written with +, summed, substituted, saved and loaded."""
    start = time.perf_counter()
    terms = [w[i] * x[i] for i in range(4000)]
    angle = sum(reversed(terms))
    assert angle == add_up(terms) == add_up([angle])
    assert sum(terms, start=-angle) == add_up([]) and (angle - terms[7]).variables() == angle.variables() - {
        ("w", 7),
        ("x", 7),
    }
    circuit = kg.Circuit([kg.rx(angle, 0)])
    kg.save(circuit, tmp_path / "sum")
    assert kg.load(tmp_path / "sum") == circuit
    assert circuit.bind(np.ones(4000)).ops[0].angles[0] == add_up([x[i] for i in range(4000)])
    assert time.perf_counter() - start < 10


def test_small_sums_are_what_collecting_makes_of_them():
    generator = np.random.default_rng(0)
    pieces = [w[0], x[0], w[0] * x[1], -w[0], kg.arccos(x[0]), 0.5 + w[2], -0.5 + x[0], 2.0 * w[0] * w[1]]
    for _ in range(300):
        chosen = [pieces[k] for k in generator.integers(len(pieces), size=generator.integers(1, 12))]
        assert sum(chosen[1:], start=chosen[0]) == add_up(chosen)


# -- matrices that are nearly unitary ---------------------------------------------------------------------


def answers(ops):
    """All that can be asked of RY w0, CX, the ops and RY w1, from both executors and from the whole state."""
    circuit = kg.Circuit([kg.ry(w[0], 0), kg.cx(0, 1), *ops, kg.ry(w[1], 0)])
    point, found = [0.3, 0.4], []
    for executor in EXACT.values():
        f = kg.expectation(circuit, [Z, kg.Pauli("X0 Z1")], executor=executor)
        by_state = np.abs(kg.state(circuit, executor=executor)(point)) ** 2
        found.append(
            np.concatenate([
                f(point),
                f.jacobian(point)[0].ravel(),
                f.hessian(point, None, [1.0, 1.0]).weights_weights.ravel(),
                f.jvp(point, None, [1.0, 0.5])[1],
                kg.expectation(circuit, Z, executor=executor, gradient=kg.ParameterShift()).vjp(point, None, [1.0])[1],
                kg.probabilities(circuit, [0], executor=executor)(point),
                [by_state[:2].sum(), by_state[2:].sum()],
            ])
        )  # fmt: skip
    np.testing.assert_allclose(found[0][-2:], found[0][-4:-2], atol=1e-13)
    np.testing.assert_allclose(found[0][-6:-4], found[0][2:4], atol=1e-13)
    return found


@pytest.mark.parametrize(
    "matrix, check",
    [
        ([[1, 0], [0, 1 + 4e-9]], True),
        (np.float32([[0.6, -0.8], [0.8, 0.6]]), True),
        (np.complex64([[0.6, -0.8j], [0.8, 0.6j]]), True),
        (np.float16([[0.6, -0.8], [0.8, 0.6]]), True),
        ([[0.7071, 0.7071], [0.7071, -0.7071]], False),
        ([[1, 0], [0, 1 - 4e-4]], False),
    ],
)
def test_a_rounded_matrix_is_the_unitary_nearest_to_it_everywhere(matrix, check):
    op = kg.unitary(matrix, 1, check=check)
    u = op.matrix()
    assert np.abs(u @ u.conj().T - np.eye(2)).max() < 1e-12
    assert np.abs(u - np.asarray(matrix, complex)).max() < 6e-4
    assert kg.unitary(u, 1) == op
    found = answers([op])
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-12)


def test_an_exact_unitary_is_kept_bit_for_bit():
    for matrix in (np.eye(4)[[1, 0, 2, 3]], kg.h(0).matrix(), kg.rx(0.3, 0).matrix()):
        qubits = range(len(matrix).bit_length() - 1)
        assert kg.unitary(matrix, *qubits).gate.unitary == np.asarray(matrix, complex).tobytes()


@pytest.mark.parametrize(
    "matrix", [[[1, 0], [0, 0.5]], np.zeros((2, 2)), [[1, 1], [1, 1]], [[1e300, 0], [0, 1]]]
)
def test_a_matrix_that_is_not_unitary_is_refused_however_it_comes(matrix, tmp_path):
    for check in (True, False):
        with pytest.raises(KetgradValueError, match="must be unitary"):
            kg.unitary(matrix, 0, check=check)
    for name in ("unitary", "mine"):
        data = np.array(matrix, complex).tobytes()
        with pytest.raises(KetgradValueError, match="must be a unitary matrix"):
            Gate(name, 1, unitary=data)
        by_hand = Op.build(known_gate(name, Fixed(data), 1), [0])
        with pytest.raises(KetgradValueError, match=f"matrix of {name} on qubit 0 must be unitary"):
            kg.state(kg.Circuit([by_hand]))
        if name == "unitary":
            with pytest.raises(KetgradError, match=r"cannot be saved.*must be unitary"):
                kg.save(kg.Circuit([by_hand]), tmp_path / "forged")


# -- large angles in every engine -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*modulo 2 pi")
@pytest.mark.parametrize("name", _native.instruction_sets())
@pytest.mark.parametrize("real", [np.float64, np.float32])
@pytest.mark.parametrize("block_bits", [0, 6])
def test_weights_of_any_size_are_exact_in_lanes_and_in_blocks(block_bits, real, name):
    """Rotations, diagonal layers and their derivatives; beyond 2^53 the core gives no number."""
    n = 8
    ring = [kg.cx(q, (q + 1) % n) for q in range(n)]
    turns = [kg.rx(w[0], 3), kg.rzz(w[1], 2, 5), kg.rz(w[1], 4), kg.ry(w[2], 7), kg.crz(w[0], 1, 6)]
    ops = [
        *(kg.ry(0.3 * q + 0.1, q) for q in range(n)),
        *ring,
        *turns,
        *ring[::-1],
        *(kg.rx(0.2, q) for q in range(n)),
    ]
    words = [kg.Pauli("Z3 X2"), kg.Pauli("Y5 Z7"), kg.Pauli("X4 X5")]
    f = kg.expectation(kg.Circuit(ops), words, executor="reference")
    arrays = {key: getattr(f.program, key) for key in ARRAYS}
    core = _native.Program(**arrays, question=0, block_bits=block_bits, instruction_set=name)
    assert core.plan(1)["blocked"] == bool(block_bits)
    inputs, ones, tolerance = (
        np.zeros((1, 0), real),
        np.ones((1, 3), real),
        2e-14 if real is np.float64 else 2e-5,
    )
    for size in (1.0, 1e3, 1e5, 1e7, 1e10, 1e13, 2.0**53):
        weights = np.array([[size, 0.7 * size, -0.3 * size]], real)
        wanted = f.vjp(weights.astype(float), None, ones.astype(float))
        found = core.vjp(weights, inputs, ones, 1)
        for k in (0, 1):
            np.testing.assert_allclose(found[k], wanted[k], atol=tolerance)
        np.testing.assert_allclose(
            core.second().jvp(weights, inputs, np.ones_like(weights), None, 1)[0], wanted[0], atol=tolerance
        )
    for size in (2.0**54, 1e25, 1e35, np.inf):
        weights = np.array([[size, 0.7, -0.3]], real)
        assert (
            np.isnan(core.run(weights, inputs, 1)).any() and not np.isinf(core.run(weights, inputs, 1)).any()
        )


def test_an_angle_beyond_all_digits_gives_no_number_where_nothing_can_be_raised():
    import jax

    f = kg.expectation(kg.Circuit([kg.rx(1e10 * w[0], 0), kg.ry(x[0], 1)]), [Z, kg.Pauli("Z1")])
    with jax.enable_x64():
        g = kg.jax.function(f)
        inputs = np.array([[0.1], [0.2]])
        for call in (g, jax.jit(g)):
            values = np.asarray(call(np.array([[1e-10], [1e10]]), inputs))
            np.testing.assert_allclose(values[0], [np.cos(1.0), np.cos(0.1)], atol=1e-14)
            assert np.isnan(values[1, 0])
