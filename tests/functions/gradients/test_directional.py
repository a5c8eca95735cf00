"""Derivatives along a direction: against the definition, against other exact rules, and refused."""

import itertools

import numpy as np
import pytest
import torch
from native_programs import as_program, random_program
from programs import random_circuit, random_observable

import ketgrad as kg
from ketgrad import _native, w, x
from ketgrad.executors import get
from ketgrad.executors.reference import Reference
from ketgrad.functions.gradients import along_direction, directional
from ketgrad.functions.gradients.frequencies import shift_rule
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import Expect, Probabilities, State

TOLERANCE = {np.float64: 1e-10, np.float32: 5e-3}
NAMES = ("values", "tangents", "dweights", "dinputs", "hweights", "hinputs")
PASSES = ["frame", "merge", "prune", "quartets", "spread"]
ROWS = [(1, 1), (1, 3), (3, 1), (9, 9)]


def noise(rng, shape, real=np.float64, complex_valued=False):
    array = rng.normal(size=shape)
    if complex_valued:
        return (array + 1j * rng.normal(size=shape)).astype(np.result_type(real, np.complex64))
    return array.astype(real)


def close(got, want, tolerance, what):
    np.testing.assert_allclose(
        got, want, rtol=0, atol=tolerance * (1 + np.abs(want).max(initial=0)), err_msg=str(what)
    )


def some_function(executor="native", num_observables=2, **options):
    circuit = kg.Circuit(
        [kg.ry(x[0], 0), kg.rx(x[0] * w[0], 1), kg.cx(0, 1), kg.rzz(w[1] * w[0], 1, 2), kg.crx(w[2], 2, 0)]
        + [kg.rx(w[1], q) for q in range(3)]
        + [kg.ry(x[1] ** 2 + w[2], 2), kg.cz(0, 2), kg.ry(0.4, 0)]
    )
    observables = [kg.Pauli("Z0 X1"), kg.Pauli("Y2") + 0.5 * kg.Pauli("Z0")][:num_observables]
    return kg.expectation(circuit, observables, executor=executor, **options)


# -- the definition -------------------------------------------------------------------------------------------


def test_the_reference_equals_differences_of_its_own_gradients():
    reference, step = get("reference"), 1e-5
    for seed, n, rows in itertools.product(range(3), [1, 3], [(1, 1), (1, 3), (3, 1)]):
        circuit = random_circuit(n, 10, seed, prepare=seed % 2 == 1)
        for question in (
            Expect((random_observable(n, 5, seed), kg.Pauli("Z0"))),
            Probabilities((0,)),
            State(),
        ):
            program, rng = compile(circuit, question), np.random.default_rng(seed)
            point = [
                rng.uniform(0.3, 2, (r, k))
                for r, k in zip(rows, (program.num_weights, program.num_inputs), strict=True)
            ]
            shape, is_state = (max(rows), program.num_outputs), isinstance(question, State)
            point.append(noise(rng, shape, complex_valued=is_state))
            moves = [noise(rng, array.shape, complex_valued=np.iscomplexobj(array)) for array in point]
            ahead, behind = (
                reference.vjp(program, *(p + s * m for p, m in zip(point, moves, strict=True)))
                for s in (step, -step)
            )
            found = dict(zip(NAMES, reference.hvp(program, *point, *moves), strict=True))
            for name, high, low in zip(("tangents", "hweights", "hinputs"), ahead, behind, strict=True):
                close(found[name], (high - low) / (2 * step), 1e-7, (seed, n, rows, name))
            for name, want in zip(
                ("values", "dweights", "dinputs"), reference.vjp(program, *point), strict=True
            ):
                close(found[name], want, 1e-12, name)
            for got, name in zip(reference.jvp(program, *point[:2], *moves[:2]), NAMES, strict=False):
                close(got, found[name], 1e-12, name)


def check(arrays, rows, rng, real=np.float64, **options):
    """Native and reference agree on a random program, with and without each direction."""
    program = as_program(arrays)
    native = _native.Program(**arrays, **options).second()
    point = [noise(rng, (r, k), real) for r, k in zip(rows, (3, 2), strict=True)]
    shape, is_state = (max(rows), program.num_outputs), arrays["question"] == 2
    point.append(noise(rng, shape, real, is_state))
    moves = [noise(rng, array.shape, real, np.iscomplexobj(array)) for array in point]
    for used in ((1, 1, 1), (0, 1, 0)):
        given = [move if use else None for move, use in zip(moves, used, strict=True)]
        wanted = Reference().hvp(program, *point, *given)
        for name, got, want in zip(NAMES, native.hvp(*point, *given, 1), wanted, strict=True):
            assert got.shape == want.shape
            close(got, want, TOLERANCE[real], (rows, options, name))
        for got, want in zip(native.jvp(*point[:2], *given[:2], 1), wanted, strict=False):
            close(got, want, TOLERANCE[real], rows)


@pytest.mark.parametrize("real", TOLERANCE)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_the_native_core_equals_the_reference(n, real):
    for seed, question, rows in itertools.product(range(3), range(3), ROWS):
        check(
            random_program(seed, n, question=question, special=seed % 2),
            rows,
            np.random.default_rng(seed),
            real,
        )


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_can_be_switched_off_and_works_alone(name):
    for seed, n, question in itertools.product(range(2), [2, 5], range(3)):
        rng, arrays = np.random.default_rng(seed), random_program(50 + seed, n, question=question)
        check(arrays, (1, 2), rng, without=[name])
        check(arrays, (1, 2), rng, without=[other for other in PASSES if other != name])


@pytest.mark.parametrize("name", _native.instruction_sets())
@pytest.mark.parametrize("real", TOLERANCE)
def test_every_instruction_set_of_this_machine(name, real):
    for seed, question, rows in itertools.product(range(2), range(3), [(1, 1), (1, 11)]):
        arrays = random_program(200 + seed, 6, question=question)
        check(arrays, rows, np.random.default_rng(seed), real, instruction_set=name)


def test_every_row_of_the_gate_table_and_prepared_states_on_both_executors():
    for seed, n in itertools.product(range(6), [2, 4]):
        circuit = random_circuit(n, 14, seed, prepare=seed % 2 == 1)
        rng = np.random.default_rng(seed)
        observables = [random_observable(n, 8, seed), kg.Pauli("Z0")]
        native, reference = (
            kg.expectation(circuit, observables, executor=name) for name in ("native", "reference")
        )
        point = rng.uniform(0.3, 2, native.num_weights), rng.uniform(0.3, 2, (3, native.num_inputs))
        moves = [noise(rng, array.shape) for array in point]
        cotangents = noise(rng, (2, 2))
        got, want = (f.hvp(*point, cotangents[0], *moves, cotangents[1]) for f in (native, reference))
        for name in NAMES:
            close(getattr(got, name), getattr(want, name), 1e-10, (seed, n, name))


# -- rules that are exact -------------------------------------------------------------------------------------


def test_a_column_of_the_hessian_is_a_shift_rule_applied_to_the_gradient():
    """In one angle a gradient is a Fourier sum with the frequencies of the value, so its shift rule is exact."""
    gates = [
        kg.rx(w[0], 0),
        kg.ry(w[1], 1),
        kg.crx(w[2], 0, 1),
        kg.xy(w[3], 1, 2),
        kg.rzz(w[4], 0, 2),
        kg.ry(w[5], 2),
    ]
    circuit = kg.Circuit([kg.h(0), kg.ry(0.3, 2), *gates, kg.cx(2, 0), kg.rx(w[6], 0)])
    weights = np.random.default_rng(0).uniform(-3, 3, 7)
    for executor in ("native", "reference"):
        f = kg.expectation(circuit, kg.Pauli("Z0 Y1") + kg.Pauli("X2"), executor=executor)
        hessian = f.hessian(weights, None, [1.0]).weights_weights
        assert len(f.program.occurrences) == 7
        for k, occurrence in enumerate(f.program.occurrences):
            rule = shift_rule(occurrence.frequencies)
            shifted = (c * f.vjp(weights + s * np.eye(7)[k], None, [1.0])[1] for s, c in rule)
            close(hessian[k], sum(shifted), 1e-12, (executor, k))


def test_the_hessian_equals_that_of_automatic_differentiation():
    letters = {
        "X": torch.tensor([[0, 1], [1, 0]], dtype=torch.complex128),
        "Z": torch.tensor([[1, 0], [0, -1]], dtype=torch.complex128),
        "I": torch.eye(2, dtype=torch.complex128),
    }

    def turn(word, angle):
        product = letters[word[0]]
        for letter in word[1:]:
            product = torch.kron(product, letters[letter])
        return (
            torch.cos(angle / 2) * torch.eye(8, dtype=torch.complex128) - 1j * torch.sin(angle / 2) * product
        )

    def loss(weights, inputs):
        psi = torch.zeros(8, dtype=torch.complex128)
        psi[0] = 1
        for word, angle in (
            ("XII", inputs[0]), ("IXI", weights[0]), ("IXX", weights[0] * inputs[1]), ("ZZI", weights[1]),
            ("IXI", inputs[0] ** 2), ("IIX", weights[1] + 0.5), ("XXI", weights[0]), ("ZIZ", inputs[1]),
        ):  # fmt: skip
            psi = turn(word, angle) @ psi
        chances = (psi.conj() * psi).real
        return chances @ torch.arange(8, dtype=torch.float64) ** 0.5

    word = kg.pauli_rotation
    circuit = kg.Circuit([
        word(x[0], "X", 0), word(w[0], "X", 1), word(w[0] * x[1], "XX", 1, 2), word(w[1], "ZZ", 0, 1),
        word(x[0] ** 2, "X", 1), word(w[1] + 0.5, "X", 2), word(w[0], "XX", 0, 1), word(x[1], "ZZ", 0, 2),
    ])  # fmt: skip
    point = torch.tensor([0.7, -0.4], dtype=torch.float64), torch.tensor([0.3, 1.1], dtype=torch.float64)
    blocks = torch.autograd.functional.hessian(loss, point)
    wanted = blocks[0][0], blocks[0][1], blocks[1][1]
    for executor in ("native", "reference"):
        f = kg.probabilities(circuit, executor=executor)
        found = f.hessian(*(p.numpy() for p in point), np.arange(8) ** 0.5)
        for got, want in zip(found, wanted, strict=True):
            close(got, want.numpy(), 1e-12, executor)


def test_the_hessian_is_symmetric():
    f = some_function()
    rng = np.random.default_rng(3)
    point, cotangent = (rng.normal(size=3), rng.normal(size=(5, 2))), rng.normal(size=(5, 2))
    a, b = ([noise(rng, array.shape) for array in point] for _ in range(2))
    of_a, of_b = (f.hvp(*point, cotangent, *move) for move in (a, b))
    left = np.vdot(b[0], of_a.hweights) + np.vdot(b[1], of_a.hinputs)
    right = np.vdot(a[0], of_b.hweights) + np.vdot(a[1], of_b.hinputs)
    assert abs(left - right) < 1e-12 * (1 + abs(left))
    blocks = f.hessian(*point, cotangent)
    for square in (blocks.weights_weights, blocks.inputs_inputs):
        close(square, np.swapaxes(square, -1, -2), 1e-13, "symmetry")


def test_the_hessian_holds_the_products_with_every_direction():
    f = some_function()
    rng = np.random.default_rng(4)
    weights, inputs, cotangent = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    blocks = f.hessian(weights, inputs, cotangent)
    assert [block.shape for block in blocks] == [(4, 3, 3), (4, 3, 2), (4, 2, 2)]
    a, b = noise(rng, (4, 3)), noise(rng, (4, 2))
    product = f.hvp(weights, inputs, cotangent, a, b)
    by_weights = np.einsum("bij,bj->bi", blocks.weights_weights, a) + np.einsum(
        "bij,bj->bi", blocks.weights_inputs, b
    )
    by_inputs = np.einsum("bij,bi->bj", blocks.weights_inputs, a) + np.einsum(
        "bij,bj->bi", blocks.inputs_inputs, b
    )
    close(product.hweights, by_weights, 1e-12, "weights")
    close(product.hinputs, by_inputs, 1e-12, "inputs")


@pytest.mark.parametrize("real", TOLERANCE)
def test_the_hessian_asks_for_the_memory_of_two_copies(real, monkeypatch):
    asked, f, rng = [], some_function(), np.random.default_rng(4)
    monkeypatch.setattr(directional, "reserve", lambda size, *words: asked.append(size))
    blocks = f.hessian(*(noise(rng, (4, n), real) for n in (3, 2, 2)))
    numbers = 4 * (3 + 2) ** 2
    assert blocks.weights_weights.dtype == real and asked == [2 * numbers * np.dtype(real).itemsize]


def test_the_change_of_the_cotangent_adds_the_gradient_of_that_change():
    f = some_function()
    rng = np.random.default_rng(5)
    point, cotangents = (rng.normal(size=3), rng.normal(size=(4, 2))), rng.normal(size=(2, 4, 2))
    product = f.hvp(*point, cotangents[0], None, None, cotangents[1])
    assert not product.tangents.any()
    for got, want in zip((product.hweights, product.hinputs), f.vjp(*point, cotangents[1])[1:], strict=True):
        close(got, want, 1e-13, "cotangent")


# -- functions of inputs ----------------------------------------------------------------------------------------


def test_both_chain_rules_run_through_arccos():
    """cos(3 arccos u) is the Chebyshev polynomial 4 u^3 - 3 u, whose second derivative is 24 u."""
    circuit = kg.Circuit([kg.ry(3 * kg.arccos(x[0]), 0), kg.ry(w[0] * x[0], 1)])
    for executor in ("native", "reference"):
        f = kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("Z1")], executor=executor)
        u = np.array([[0.3], [-0.9], [0.0]])
        values, tangents = f.jvp([0.7], u, None, np.full_like(u, 2.0))
        close(values[:, 0], (4 * u**3 - 3 * u)[:, 0], 1e-12, "values")
        close(tangents[:, 0], 2 * (12 * u**2 - 3)[:, 0], 1e-12, "tangents")
        product = f.hvp([0.7], u, [1.0, 0.0], None, np.full_like(u, 2.0))
        close(product.dinputs, 12 * u**2 - 3, 1e-12, "first")
        close(product.hinputs, 48 * u, 1e-11, "second")


@pytest.mark.parametrize("executor", ["native", "reference"])
def test_near_the_edge_of_arccos_single_precision_loses_no_digits(executor):
    f = kg.expectation(kg.Circuit([kg.ry(3 * kg.arccos(x[0]), 0)]), kg.Pauli("Z0"), executor=executor)
    u = np.array([[0.3], [1 - 1e-5], [-1.0]], np.float32)
    product = f.hvp([], u, np.ones(1, np.float32), None, np.ones_like(u))
    np.testing.assert_allclose(product.hinputs[1:], 24 * u[1:], rtol=1e-6)


def test_rows_near_an_edge_and_far_from_it_add_up_in_shared_weights():
    circuit = kg.Circuit([kg.ry(3 * kg.arccos(x[0]) + w[0], 0), kg.rx(w[1], 0)])
    f = kg.expectation(circuit, kg.Pauli("Z0"))
    weights, u = np.array([0.4, -0.7]), np.array([[1 - 1e-5], [0.3], [-0.2]])
    together = f.hvp(weights, u, [1.0], [1.0, 2.0])
    alone = [f.hvp(weights, row, [1.0], [1.0, 2.0]) for row in u]
    for name in ("dweights", "hweights"):
        close(getattr(together, name), sum(getattr(one, name) for one in alone), 1e-10, name)


def test_rounding_near_an_edge_is_measured_by_all_that_is_added_up(monkeypatch):
    sizes, continued = [], along_direction.continued

    def watched(*arguments):
        sizes.extend(np.ravel(size).tolist() for size in arguments[-1])
        return continued(*arguments)

    monkeypatch.setattr(along_direction, "continued", watched)
    f = kg.expectation(kg.Circuit([kg.ry(3 * kg.arccos(x[0]), 0)]), 7.0 * kg.Pauli("Z0"))
    f.hvp([], [1 - 1e-5], [2.0], None, [-5.0], [3.0])
    assert sizes == [
        [35.0],
        [14.0],
        [7.0 * 13],
        [7.0 * 13],
    ]  # the values, and what the cotangents make of them


def test_at_the_edge_of_arccos_only_a_direction_that_moves_the_input_is_refused_where_it_is_not_flat():
    u = np.array([[1.0], [0.5]])
    for circuit, flat in (
        (kg.Circuit([kg.ry(2 * kg.arccos(x[0]), 0), kg.rx(w[0], 0)]), True),
        (kg.Circuit([kg.ry(2 * kg.arccos(x[0]) + w[0], 0), kg.rx(w[0], 0)]), False),
    ):
        f = kg.expectation(circuit, kg.Pauli("Z0"))
        if flat:
            product = f.hvp([0.3], u, [1.0], [1.0], [[0.0], [1.0]])
            near = f.hvp([0.3], u - [[1e-7], [0.0]], [1.0], [1.0], [[0.0], [1.0]])
            close(product.hinputs, near.hinputs, 1e-5, "edge")
        for call in (
            lambda f=f: f.hvp([0.3], u, [1.0], None, [[1.0], [0.0]]).tangents,
            lambda f=f: f.jvp([0.3], u, None, [[1.0], [0.0]])[1],
        ):
            if flat:
                close(call(), [[4 * np.cos(0.3)], [0.0]], 1e-12, "limit")
                continue
            with pytest.raises(kg.KetgradError, match=r"inputs\[0, 0\] is 1, where arccos is vertical"):
                call()


# -- batches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["native", "reference"])
def test_each_sample_of_a_batch_is_as_alone_and_shared_rows_are_summed(executor):
    f = some_function(executor)
    rng = np.random.default_rng(6)
    weights, inputs, cotangent = (
        rng.normal(size=(2, 1, 3)),
        rng.normal(size=(5, 2)),
        rng.normal(size=(2, 5, 2)),
    )
    moves = noise(rng, weights.shape), noise(rng, inputs.shape), noise(rng, cotangent.shape)
    product = f.hvp(weights, inputs, cotangent, *moves)
    assert product.values.shape == product.tangents.shape == (2, 5, 2)
    totals = {name: np.zeros_like(getattr(product, name)) for name in NAMES[2:]}
    for i, j in np.ndindex(2, 5):
        alone = f.hvp(weights[i, 0], inputs[j], cotangent[i, j], moves[0][i, 0], moves[1][j], moves[2][i, j])
        close(product.values[i, j], alone.values, 1e-12, "values")
        close(product.tangents[i, j], alone.tangents, 1e-12, "tangents")
        for name in NAMES[2:]:
            place = (i, 0) if name.endswith("weights") else (j,)
            totals[name][place] += getattr(alone, name)
    for name, total in totals.items():
        close(getattr(product, name), total, 1e-12, name)


def test_no_samples_and_no_variables():
    f = some_function()
    empty = np.zeros((0, 2))
    product = f.hvp(np.ones(3), empty, np.ones(2), np.ones(3), empty)
    assert [getattr(product, name).shape for name in NAMES] == [(0, 2), (0, 2), (3,), (0, 2), (3,), (0, 2)]
    assert not product.hweights.any()
    assert f.jvp(np.ones(3), empty)[1].shape == (0, 2)
    assert f.hessian(np.ones(3), empty, np.ones(2)).weights_inputs.shape == (0, 3, 2)
    fixed = kg.state(kg.Circuit([kg.h(0)]))
    product = fixed.hvp(None, None, [1.0, 1j])
    assert product.hweights.shape == product.hinputs.shape == (0,)
    assert fixed.jvp()[1].tolist() == [0, 0]


def test_single_precision_is_kept():
    f = some_function()
    rng = np.random.default_rng(7)
    arrays = [noise(rng, shape, np.float32) for shape in ((3,), (9, 2), (9, 2), (3,), (9, 2))]
    product = f.hvp(*arrays)
    wanted = f.hvp(*(array.astype(float) for array in arrays))
    for name in NAMES:
        assert getattr(product, name).dtype == np.float32
        close(getattr(product, name), getattr(wanted, name), 1e-4, name)


def test_bits_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(8)
    for n, batch in ((3, 41), (9, 2), (9, 40)):
        ops = [kg.ry(x[q % 2] + w[q % 3], q) for q in range(n)] + [
            kg.rzz(w[q % 3], q, (q + 1) % n) for q in range(n)
        ]
        circuit = kg.Circuit([*ops, *(kg.rx(w[q % 3] * x[1], q) for q in range(n))])
        arrays = [noise(rng, s) for s in ((3,), (batch, 2), (batch, 1), (3,), (batch, 2))]
        products = [kg.expectation(circuit, kg.Pauli("Z0 Y1"), threads=t).hvp(*arrays) for t in (1, 2, 3)]
        for name in NAMES:
            assert len({getattr(product, name).tobytes() for product in products}) == 1, (n, batch, name)


def test_a_larger_state_spread_over_the_lanes():
    n = 12
    ops = [kg.ry(w[q % 3] + 0.1 * q, q) for q in range(n)] + [kg.cx(q, q + 1) for q in range(n - 1)]
    circuit = kg.Circuit(
        [*ops, *(kg.rzz(w[q % 3], q, (q + 1) % n) for q in range(n)), *(kg.rx(w[1], q) for q in range(n))]
    )
    f = kg.expectation(circuit, kg.Pauli("Z0") + kg.Pauli("Y3 X7"))
    weights, move, step = np.array([0.3, -0.8, 1.2]), np.array([1.0, -0.5, 0.25]), 1e-5
    product = f.hvp(weights, None, [1.0], move)
    ahead, behind = (f.vjp(weights + s * move, None, [1.0]) for s in (step, -step))
    for got, high, low in zip((product.tangents, product.hweights), ahead, behind, strict=False):
        close(got, (high - low) / (2 * step), 1e-7, "difference")


# -- refusals ---------------------------------------------------------------------------------------------------


def test_a_direction_that_does_not_fit_is_named():
    f = some_function()
    weights, inputs = np.zeros(3), np.zeros((4, 2))
    nan = np.array([0.0, np.nan, 0.0])
    for moves, message in (
        (([1.0], None), r"`weights_direction` must have shape \(3,\).*has shape \(1,\)"),
        ((np.ones((4, 3)), None), r"`weights_direction` must have shape \(3,\)"),
        ((None, np.ones(2)), r"`inputs_direction` must have shape \(4, 2\).*has shape \(2,\)"),
        ((nan, None), r"`weights_direction` must be finite.*weights_direction\[1\]"),
        ((["a", 1.0, 2.0], None), r"`weights_direction` must hold real numbers"),
    ):
        for call in (
            lambda m=moves: f.jvp(weights, inputs, *m),
            lambda m=moves: f.hvp(weights, inputs, [1, 1], *m),
        ):
            with pytest.raises(kg.KetgradError, match=message):
                call()
    with pytest.raises(kg.KetgradError, match=r"`cotangent_direction` must have shape \(4, 2\)"):
        f.hvp(weights, inputs, [1.0, 1.0], None, None, [1.0])


def test_states_that_do_not_fit_are_refused_before_any_work():
    word = kg.Pauli(" ".join(f"Z{q}" for q in range(24)))
    f = kg.expectation(kg.Circuit([kg.rx(w[0], q) for q in range(24)]), word)
    with pytest.raises(MemoryError, match="the tangents of 1000 samples on 24 qubits"):
        f.executor.hvp(
            f.program, np.zeros((1000, 1)), np.zeros((1, 0)), np.ones((1000, 1)), None, None, threads=1000
        )


def test_an_executor_without_the_ability_is_named():
    class Plain:
        name, abilities = "plain", frozenset({"exact", "adjoint"})
        run, vjp = Reference.run, Reference.vjp

    f = some_function(Plain())
    with pytest.raises(kg.KetgradError, match=r"'plain' does not give.*abilities: adjoint, exact"):
        f.hvp(np.zeros(3), np.zeros(2), [1.0, 1.0])
