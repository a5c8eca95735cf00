"""JAX: every transformation, compiled without Python inside, against the Function's own derivatives."""

import functools
import gc
import itertools
import os
import pathlib
import pickle
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import ketgrad as kg
from ketgrad.executors.native import load_core

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROTATIONS = [kg.rx(kg.x[0], 0), kg.ry(kg.x[1], 1), kg.ry(kg.w[0], 0), kg.rx(kg.w[1], 2)]
MIXED = [kg.cx(0, 1), kg.cx(1, 2), kg.rz(kg.w[2] * kg.x[0], 1), kg.rxx(kg.w[3], 0, 2), kg.ry(kg.w[0], 2)]
CIRCUIT = kg.Circuit(ROTATIONS + MIXED)
OBSERVABLES = [kg.Pauli("Z0"), 0.5 * kg.Pauli("Z1 X2") - kg.Pauli("Y0")]
QUESTIONS = {
    "expectation": lambda **options: kg.expectation(CIRCUIT, OBSERVABLES, **options),
    "probabilities": lambda **options: kg.probabilities(CIRCUIT, [0, 2], **options),
    "state": lambda **options: kg.state(CIRCUIT, **options),
    "variance": lambda **options: kg.variance(CIRCUIT, OBSERVABLES, **options),
}
EXECUTORS = ["native", "reference"]
every_question = pytest.mark.parametrize("question", QUESTIONS)
every_executor = pytest.mark.parametrize("executor", EXECUTORS)
# what goes through Python is the same for every question
EVERY = [*((question, "native") for question in QUESTIONS), ("expectation", "reference")]
every = pytest.mark.parametrize(("question", "executor"), EVERY)


@pytest.fixture(autouse=True)
def double_precision():
    """Float64 inside this file's tests only: the setting is JAX's own and global."""
    with jax.enable_x64(True):
        yield


def arrays(*shapes, seed=0):
    random = np.random.default_rng(seed)
    return tuple(random.normal(size=shape) for shape in shapes)


def close(found, wanted, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=0, atol=tolerance)


def real_loss(g, outputs):
    """A real scalar in which every output counts differently, real and imaginary parts too."""
    factors = jnp.cos(1.0 + jnp.arange(outputs))

    def loss(w, x):
        y = g(w, x)
        return jnp.sum(factors * jnp.real(y) ** 2 + factors**2 * jnp.imag(y))

    return loss


# -- values and first derivatives ----------------------------------------------------------------------------


@every
def test_values_equal_the_functions_own_with_and_without_jit_for_every_broadcast(question, executor):
    f = QUESTIONS[question](executor=executor)
    g = kg.jax.function(f)
    for w_shape, x_shape in [
        ((4,), (2,)),
        ((4,), (5, 2)),
        ((3, 1, 4), (5, 2)),
        ((5, 4), (5, 2)),
        ((1, 4), (2, 3, 2)),
    ]:
        w, x = arrays(w_shape, x_shape)
        for found in (g(w, x), jax.jit(g)(w, x)) if len(x_shape) == 2 else (jax.jit(g)(w, x),):
            assert found.dtype == (np.complex128 if question == "state" else np.float64)
            close(found, f(w, x))


@pytest.mark.parametrize(("question", "executor"), [case for case in EVERY if case[0] != "state"])
def test_grad_and_value_and_grad_are_the_functions_vjp(question, executor):
    f = QUESTIONS[question](executor=executor)
    g = kg.jax.function(f)
    w, x = arrays((4,), (5, 2))
    (cotangent,) = arrays((5, f.num_outputs), seed=1)
    values, dweights, dinputs = f.vjp(w, x, cotangent)

    def loss(w, x):
        return jnp.sum(cotangent * g(w, x))

    for transform in (jax.value_and_grad(loss, (0, 1)), jax.jit(jax.value_and_grad(loss, (0, 1)))):
        total, (by_weights, by_inputs) = transform(w, x)
        close(total, (cotangent * values).sum())
        close(by_weights, dweights)
        close(by_inputs, dinputs)
    close(jax.jit(jax.grad(loss))(w, x), dweights)
    close(jax.jit(jax.grad(loss, 1))(w, x), dinputs)


def test_gradients_of_states_follow_the_convention_of_jax():
    f = QUESTIONS["state"]()
    g = kg.jax.function(f)
    w, x = arrays((4,), (3, 2))
    t = np.exp(1j * np.arange(8.0))
    _, pull = jax.vjp(g, w, x)
    # JAX's cotangent is not conjugated: d loss = Re(sum(t * d psi)); ketgrad's is
    _, dweights, dinputs = f.vjp(w, x, np.conj(np.broadcast_to(t, (3, 8))))
    by_weights, by_inputs = pull(jnp.broadcast_to(t, (3, 8)))
    close(by_weights, dweights)
    close(by_inputs, dinputs)
    # what JAX itself makes of a complex function of real variables
    rotation = lambda a: jnp.stack([jnp.cos(a[0] / 2) + 0j, -1j * jnp.sin(a[0] / 2)])  # noqa: E731
    own = kg.jax.function(kg.state(kg.Circuit([kg.rx(kg.w[0], 0)])))
    a = jnp.array([0.7])
    for loss in (lambda psi: jnp.real(psi @ t[:2]), lambda psi: jnp.imag(psi[0] * jnp.conj(psi[1]))):
        close(
            jax.grad(lambda a, loss=loss: loss(own(a)))(a),
            jax.grad(lambda a, loss=loss: loss(rotation(a)))(a),
        )


@every
def test_jacobians_in_both_modes_are_the_functions_jacobian(question, executor):
    f = QUESTIONS[question](executor=executor)
    g = kg.jax.function(f)
    w, x = arrays((4,), (2,))
    wanted = f.jacobian(w, x)
    close_pair = lambda found: [close(a, b) for a, b in zip(found, wanted, strict=True)]  # noqa: E731
    close_pair(jax.jit(jax.jacfwd(g, (0, 1)))(w, x))
    if question == "state":  # jacrev wants real outputs
        for part in (jnp.real, jnp.imag):
            found = jax.jacrev(lambda w, part=part: part(g(w, x)))(w)
            close(found, np.asarray(part(wanted[0])))
    else:
        close_pair(jax.jit(jax.jacrev(g, (0, 1)))(w, x))


# -- second derivatives --------------------------------------------------------------------------------------


@every
def test_check_grads_passes_up_to_the_second_order_in_both_modes(question, executor):
    g = kg.jax.function(QUESTIONS[question](executor=executor))
    check_grads(jax.jit(g), arrays((4,), (3, 2)), order=2, modes=["fwd", "rev"])


@every_executor
def test_the_hessian_in_every_mixture_of_modes_is_the_functions_hessian(executor):
    f = QUESTIONS["expectation"](executor=executor)
    g = kg.jax.function(f)
    w, x = arrays((4,), (2,))
    cotangent = np.array([0.3, -1.2])
    wanted = f.hessian(w, x, cotangent)
    loss = lambda w, x: jnp.sum(cotangent * g(w, x))  # noqa: E731
    modes = jax.jacfwd, jax.jacrev
    for outer, inner in itertools.product(modes, modes):
        found = jax.jit(outer(inner(loss, (0, 1)), (0, 1)))(w, x)
        close(found[0][0], wanted.weights_weights)
        close(found[0][1], wanted.weights_inputs)
        close(found[1][1], wanted.inputs_inputs)
    close(jax.hessian(loss)(w, x), wanted.weights_weights)


@every_question
def test_the_hessian_of_a_loss_equals_differences_of_its_gradient(question):
    f = QUESTIONS[question]()
    loss = real_loss(kg.jax.function(f), f.num_outputs)
    w, x = arrays((4,), (3, 2))
    gradient, step = jax.jit(jax.grad(loss)), 1e-5
    units = step * np.eye(4)
    wanted = np.stack([(gradient(w + e, x) - gradient(w - e, x)) / (2 * step) for e in units], axis=1)
    close(jax.jit(jax.hessian(loss))(w, x), wanted, 1e-8)


def test_grad_of_grad_products_with_the_hessian_and_linearize_agree():
    f = QUESTIONS["probabilities"]()
    loss = real_loss(kg.jax.function(f), f.num_outputs)
    w, x, v = arrays((4,), (3, 2), (4,))
    gradient = jax.grad(loss)

    @jax.jit
    def products(w, v):
        return {
            "hessian": jax.hessian(loss)(w, x) @ v,
            "grad of grad": jax.grad(lambda w: gradient(w, x) @ v)(w),
            "jvp of grad": jax.jvp(lambda w: gradient(w, x), (w,), (v,))[1],
            "linearize": jax.linearize(lambda w: gradient(w, x), w)[1](v),
            "vjp of grad": jax.vjp(lambda w: gradient(w, x), w)[1](v)[0],
        }

    found = products(w, jnp.asarray(v))
    for product in found.values():
        close(product, found["hessian"])


def test_a_third_derivative_is_refused_in_words():
    g = kg.jax.function(QUESTIONS["expectation"]())
    w, x = arrays((4,), (2,))
    third = jax.jacfwd(jax.hessian(lambda w: g(w, x)[0]))
    with pytest.raises(
        kg.KetgradError, match=r"a third derivative of a circuit was asked for.* Differentiate twice"
    ):
        third(w)


# -- mapped axes ---------------------------------------------------------------------------------------------


@every
def test_vmap_over_weights_inputs_and_both_equals_a_loop(question, executor):
    f = QUESTIONS[question](executor=executor)
    g = kg.jax.function(f)
    cases = [
        ((3, 4), (2,), (0, None)),
        ((4,), (3, 2), (None, 0)),
        ((3, 4), (3, 2), (0, 0)),
        ((4, 3), (2, 3), (1, 1)),
    ]
    cases += [((3, 4), (5, 2), (0, None)), ((4,), (3, 5, 2), (None, 0)), ((3, 1, 4), (5, 3, 2), (0, 1))]
    for w_shape, x_shape, axes in cases:
        w, x = arrays(w_shape, x_shape)
        of = lambda a, axis, i: a if axis is None else np.take(a, i, axis)  # noqa: E731
        wanted = np.stack([f(of(w, axes[0], i), of(x, axes[1], i)) for i in range(3)])
        close(jax.jit(jax.vmap(g, axes))(w, x), wanted)
    w, x = arrays((3, 4), (5, 2))
    close(jax.vmap(jax.vmap(g, (None, 0)), (0, None))(w, x), f(w[:, None], x))


def test_what_is_not_mapped_stays_one_row_and_a_mapped_axis_is_one_call():
    g = kg.jax.function(QUESTIONS["expectation"]())
    w, x = arrays((4,), (6, 2))

    def calls(function, *arguments):
        def walk(jaxpr):
            for eqn in jaxpr.eqns:
                if eqn.primitive.name.startswith("ketgrad_"):
                    yield eqn.primitive.name, tuple(v.aval.shape for v in eqn.invars)
                for sub in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")):
                    if hasattr(sub, "jaxpr"):
                        yield from walk(sub.jaxpr)

        return list(walk(jax.make_jaxpr(function)(*arguments).jaxpr))

    assert calls(jax.vmap(g, (None, 0)), w, x) == [("ketgrad_value", ((1, 4), (6, 2)))]
    assert calls(jax.vmap(g, (0, None)), np.stack([w] * 3), x[0]) == [("ketgrad_value", ((3, 4), (1, 2)))]
    loss = lambda w, x: jax.vmap(g, (None, 0))(w, x).sum()  # noqa: E731
    found = calls(jax.grad(loss), w, x)
    assert found[-1] == ("ketgrad_vjp", ((1, 4), (6, 2), (6, 2)))  # the weights are still shared


@every_executor
def test_derivatives_of_mapped_functions_and_mapped_derivatives_equal_a_loop(executor):
    f = QUESTIONS["expectation"](executor=executor)
    loss = real_loss(kg.jax.function(f), f.num_outputs)
    w, x = arrays((4,), (3, 5, 2))
    gradient, hessian = jax.jit(jax.grad(loss, (0, 1))), jax.jit(jax.hessian(loss))
    each = jax.jit(jax.vmap(gradient, (None, 0)))(w, x)  # one gradient for each entry: nothing is added up
    for i in range(3):
        for found, wanted in zip(each, gradient(w, x[i]), strict=True):
            close(found[i], wanted)
    products = jax.jit(jax.vmap(hessian, (None, 0)))(w, x)
    close(products, np.stack([hessian(w, x[i]) for i in range(3)]))
    total = lambda w: jax.vmap(loss, (None, 0))(w, x).sum()  # noqa: E731
    close(jax.jit(jax.grad(total))(w), sum(gradient(w, x[i])[0] for i in range(3)))
    close(jax.jit(jax.hessian(total))(w), sum(hessian(w, x[i]) for i in range(3)))


# -- control flow --------------------------------------------------------------------------------------------


def test_a_training_loop_in_scan_equals_the_loop_in_python():
    f = QUESTIONS["expectation"]()
    g = kg.jax.function(f)
    w, x = arrays((4,), (5, 2))
    target = np.tile([1.0, -0.5], (5, 1))

    def step(w, _):
        value, gradient = jax.value_and_grad(lambda w: jnp.mean((g(w, x) - target) ** 2))(w)
        return w - 0.2 * gradient, value

    trained, losses = jax.jit(lambda w: jax.lax.scan(step, w, None, length=60))(w)
    assert losses[-1] < 0.7 * losses[0]
    for _ in range(60):
        _, dweights, _ = f.vjp(w, x, 0.2 * (f(w, x) - target))
        w = w - 0.2 * dweights
    close(trained, w, 1e-10)


def test_lax_map_checkpoint_and_ahead_of_time_compilation_give_the_same():
    f = QUESTIONS["expectation"]()
    g = kg.jax.function(f)
    loss = real_loss(g, f.num_outputs)
    w, x = arrays((4,), (5, 2))
    close(jax.jit(lambda w: jax.lax.map(lambda row: g(w, row), x))(w), f(w, x))
    close(jax.lax.map(lambda row: g(w, row), jnp.asarray(x), batch_size=2), f(w, x))
    for transform in (jax.grad, jax.hessian):
        close(jax.jit(transform(jax.checkpoint(loss)))(w, x), jax.jit(transform(loss))(w, x))
    close(jax.jit(loss).lower(w, x).compile()(w, x), loss(w, x))


def test_a_branch_and_a_while_loop_may_call_the_circuit():
    f = QUESTIONS["expectation"]()
    g = kg.jax.function(f)
    w, x = arrays((4,), (2,))
    branch = jax.jit(lambda sign, w: jax.lax.cond(sign > 0, lambda w: g(w, x), lambda w: -g(w, x), w))
    close(branch(-1.0, w), -f(w, x))
    descend = lambda carry: carry - 0.1 * jax.grad(lambda w: g(w, x)[0])(carry)  # noqa: E731
    found = jax.jit(lambda w: jax.lax.while_loop(lambda w: g(w, x)[0] > -0.5, descend, w))(w)
    assert f(found, x)[0] <= -0.5


# -- precision -----------------------------------------------------------------------------------------------


@every_question
def test_precision_follows_the_rules_of_jax(question):
    f = QUESTIONS[question]()
    g = kg.jax.function(f)
    w, x = arrays((4,), (3, 2))
    single, double = (np.complex64, np.complex128) if question == "state" else (np.float32, np.float64)
    w32, x32 = w.astype(np.float32), x.astype(np.float32)
    kinds = [
        ((w, x), double),
        ((w32, x), double),
        ((w32, x32), single),
        ((w32, [[1, 2]]), single),
        (([0, 1, 2, 3], [1, 2]), double),
    ]
    for arguments, kind in kinds:
        assert g(*arguments).dtype == kind
    assert kg.jax.function(QUESTIONS[question](dtype=np.complex64))(w, x).dtype == single
    loss = real_loss(g, f.num_outputs)
    gradient = jax.jit(jax.grad(loss))
    assert gradient(w32, x32).dtype == np.float32
    close(gradient(w32, x32), gradient(w, x), 2e-5)
    with jax.enable_x64(False):
        assert g(w, x).dtype == single
        close(jax.jit(g)(w, x), f(w, x), 2e-6)
        assert gradient(w, x).dtype == np.float32


# -- the way out of XLA --------------------------------------------------------------------------------------


def test_compiled_code_calls_the_core_and_no_python():
    for dtype, suffix in ((np.float64, "f64"), (np.float32, "f32")):
        for question in QUESTIONS:
            f = QUESTIONS[question]()
            loss = real_loss(kg.jax.function(f), f.num_outputs)
            w, x = (a.astype(dtype) for a in arrays((4,), (3, 2)))
            text = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(w, x).compile().as_text() or ""
            assert f"ketgrad_value_{suffix}" in text and f"ketgrad_vjp_{suffix}" in text
            assert "callback" not in text
        second = jax.jit(jax.hessian(lambda w: loss(w, x))).lower(w).as_text()  # noqa: B023
        assert f"ketgrad_hvp_{suffix}" in second and f"ketgrad_jvp_{suffix}" in second
        assert "callback" not in second


def test_the_plan_says_what_goes_through_python_and_compiled_code_agrees():
    w, x = arrays((4,), (3, 2))
    ways = {
        "native": (QUESTIONS["expectation"](), False, False),
        "a rule of its own": (QUESTIONS["expectation"](gradient=kg.ParameterShift()), False, True),
        "reference": (QUESTIONS["expectation"](executor="reference"), True, True),
        "sampled": (QUESTIONS["expectation"](shots=100, seed=0), True, True),
    }
    for name, (f, value_in_python, vjp_in_python) in ways.items():
        g = kg.jax.function(f)
        lines = dict(line.rsplit("   ", 1) for line in g.plan.splitlines() if line.startswith("jax "))
        found = {key.strip(): "Python callback" in way for key, way in lines.items()}
        in_python = {"jax value": value_in_python, "jax vjp": vjp_in_python, "jax jvp": vjp_in_python}
        assert found == in_python | {"jax hvp": name == "reference"}, name
        loss = lambda w, x, g=g: g(w, x).sum()  # noqa: E731
        assert ("callback" in jax.jit(g).lower(w, x).as_text()) == value_in_python, name
        assert ("callback" in jax.jit(jax.grad(loss)).lower(w, x).as_text()) == vjp_in_python, name


def test_measured_values_and_their_gradients_are_the_functions_own():
    f = QUESTIONS["expectation"](shots=200, seed=3, common_random_numbers=True)
    g = kg.jax.function(f)
    w, x = arrays((4,), (3, 2))
    close(jax.jit(g)(w, x), f(w, x))
    found = jax.jit(jax.grad(lambda w: g(w, x).sum()))(w)
    close(found, f.vjp(w, x, np.ones((3, 2)))[1])
    rotated = jax.jvp(lambda w: g(w, x), (w,), (np.ones(4),))[1]
    close(rotated, f.jacobian(w, x)[0].sum(-1))
    with pytest.raises(Exception, match="derivatives along a direction cannot be had here"):
        jax.hessian(lambda w: g(w, x).sum())(w)


def test_measured_values_and_gradients_are_fresh_at_every_call_and_the_same_in_every_run():
    def run(**options):
        g = kg.jax.function(QUESTIONS["expectation"](shots=100, seed=3, **options))
        w, x = arrays((4,), (3, 2))
        both = jax.jit(jax.value_and_grad(lambda w: g(w, x).sum()))
        steps = [both(w) for _ in range(3)]
        looped = jax.jit(lambda w: jax.lax.map(lambda k: both(w + 0 * k)[1], jnp.arange(3.0)))(w)
        apart = [
            kg.jax.function(g.function)(w, x) for _ in range(3)
        ]  # made anew for each call, as Keras does
        pushed = [jax.jvp(lambda w: g(w, x), (w,), (w,))[1] for _ in range(3)]
        columns = ([value for value, _ in steps], [slope for _, slope in steps], list(looped), apart, pushed)
        return [np.stack([np.asarray(one) for one in column]) for column in columns]

    fresh, again, frozen = run(), run(), run(common_random_numbers=True)
    for column, same, repeated in zip(fresh, again, frozen, strict=True):
        assert all(np.any(column[a] != column[b]) for a, b in itertools.combinations(range(3), 2))
        assert np.array_equal(column, same)
        assert all(np.array_equal(one, repeated[0]) for one in repeated)


def test_a_gradient_rule_that_was_asked_for_is_the_one_that_is_used():
    exact, coarse = QUESTIONS["expectation"](), QUESTIONS["expectation"](gradient=kg.FiniteDifference(0.3))
    w, x = arrays((4,), (3, 2))
    found = jax.grad(lambda w: kg.jax.function(coarse)(w, x).sum())(w)
    close(found, coarse.vjp(w, x, np.ones((3, 2)))[1])
    assert np.abs(found - exact.vjp(w, x, np.ones((3, 2)))[1]).max() > 1e-4


def test_the_core_runs_without_the_lock_of_python():
    layers = [kg.Circuit([kg.ry(kg.w[q], q) for q in range(14)] + [kg.cz(q, q + 1) for q in range(13)])] * 6
    f = kg.expectation(sum(layers[1:], layers[0]), kg.Pauli("X0"), threads=1)
    g = jax.jit(lambda w: kg.jax.function(f)(w))
    (w,) = (jnp.asarray(a, np.float32) for a in arrays((60, f.num_weights)))
    g(w).block_until_ready()
    thread = threading.Thread(target=lambda: g(w + 1).block_until_ready())
    steps_while_it_ran = 0
    thread.start()
    while thread.is_alive():
        steps_while_it_ran += 1
    assert steps_while_it_ran > 1000


def test_results_do_not_depend_on_threads_and_many_python_threads_may_call_at_once():
    w, x = (a.astype(np.float32) for a in arrays((4,), (257, 2)))  # float64 is a setting of each thread
    wanted = None
    for threads in (1, 2, 5):
        f = QUESTIONS["expectation"](threads=threads)
        g = jax.jit(jax.grad(real_loss(kg.jax.function(f), f.num_outputs), (0, 1)))
        found = [np.asarray(a).tobytes() for a in g(w, x)]
        wanted = wanted or found
        assert found == wanted
        others = []
        workers = [
            threading.Thread(target=lambda g=g, others=others: others.append(g(w, x))) for _ in range(6)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert all([np.asarray(a).tobytes() for a in other] == wanted for other in others)
        assert len(others) == 6


def kept():
    jax.clear_caches()
    gc.collect()
    return set(load_core().xla_kept())


def test_a_program_lives_as_long_as_compiled_code_may_call_it_and_no_longer():
    before = kept()
    f = kg.expectation(CIRCUIT, kg.Pauli("Y2 Z0"))
    w, x = arrays((4,), (3, 2))
    wanted = f(w, x)
    compiled = jax.jit(kg.jax.function(f)).lower(w, x).compile()
    again = kg.jax.function(kg.expectation(CIRCUIT, kg.Pauli("Y2 Z0")))  # equal programs share one name
    del f
    assert len(kept() - before) == 1
    del again
    assert len(kept() - before) == 1
    close(compiled(w, x), wanted)
    del compiled
    assert kept() == before


def test_compiled_code_whose_program_is_not_there_is_refused_in_words():
    kg.jax.function(QUESTIONS["expectation"]())  # the handlers are known to XLA
    shape = jax.ShapeDtypeStruct((1, 2), np.float64)
    one = np.int64(1)
    call = jax.jit(lambda w, x: jax.ffi.ffi_call("ketgrad_value_f64", shape)(w, x, program=one, threads=one))
    with pytest.raises(Exception, match="calls a circuit that this process does not know"):
        call(jnp.zeros((1, 4)), jnp.zeros((1, 2)))


def test_arrays_that_do_not_fit_the_program_are_refused_by_the_core():
    f = QUESTIONS["expectation"]()
    g = kg.jax.function(f)
    name = np.int64(g._call.name)
    call = lambda shape, w, x: jax.ffi.ffi_call("ketgrad_value_f64", jax.ShapeDtypeStruct(shape, np.float64))(  # noqa: E731
        w, x, program=name, threads=np.int64(1)
    )
    good = jnp.zeros((1, 4)), jnp.zeros((3, 2))
    close(call((3, 2), *good), f(*map(np.asarray, good)))
    for shape, w, x in [
        ((3, 3), *good),
        ((2, 2), *good),
        ((3, 2), good[0][:, :3], good[1]),
        ((3, 2), jnp.zeros((2, 4)), good[1]),
    ]:
        with pytest.raises(Exception, match=r"wrong shape|differ in"):
            call(shape, w, x)


CHECK = """
#include <xla/ffi/api/c_api.h>
#include "python/xla_ffi.hpp"
using namespace ketgrad::xla;
#define SAME(mine, my, theirs, their) static_assert(offsetof(mine, my) == offsetof(theirs, their)); \\
    static_assert(sizeof(mine::my) == sizeof(theirs::their))
#define SIZE(mine, theirs) static_assert(sizeof(mine) == sizeof(theirs))
#define VALUE(mine, theirs) static_assert(int(mine) == int(theirs))
static_assert(api_major == XLA_FFI_API_MAJOR && api_minor <= XLA_FFI_API_MINOR);
VALUE(Stage::execute, XLA_FFI_ExecutionStage_EXECUTE);
VALUE(ErrorCode::invalid_argument, XLA_FFI_Error_Code_INVALID_ARGUMENT);
VALUE(ErrorCode::not_found, XLA_FFI_Error_Code_NOT_FOUND);
VALUE(ErrorCode::resource_exhausted, XLA_FFI_Error_Code_RESOURCE_EXHAUSTED);
VALUE(ErrorCode::internal, XLA_FFI_Error_Code_INTERNAL);
VALUE(DataType::s64, XLA_FFI_DataType_S64);
VALUE(DataType::f32, XLA_FFI_DataType_F32);
VALUE(DataType::f64, XLA_FFI_DataType_F64);
VALUE(DataType::c64, XLA_FFI_DataType_C64);
VALUE(DataType::c128, XLA_FFI_DataType_C128);
VALUE(AttributeKind::scalar, XLA_FFI_AttrType_SCALAR);
VALUE(ExtensionKind::metadata, XLA_FFI_Extension_Metadata);
SIZE(Extension, XLA_FFI_Extension_Base);
SAME(Extension, kind, XLA_FFI_Extension_Base, type);
SAME(Extension, next, XLA_FFI_Extension_Base, next);
SIZE(Version, XLA_FFI_Api_Version);
SAME(Version, major_version, XLA_FFI_Api_Version, major_version);
SAME(Version, minor_version, XLA_FFI_Api_Version, minor_version);
SIZE(ErrorArguments, XLA_FFI_Error_Create_Args);
SAME(ErrorArguments, message, XLA_FFI_Error_Create_Args, message);
SAME(ErrorArguments, code, XLA_FFI_Error_Create_Args, errc);
SAME(Api, version, XLA_FFI_Api, api_version);
SAME(Api, create_error, XLA_FFI_Api, XLA_FFI_Error_Create);
SIZE(Buffer, XLA_FFI_Buffer);
SAME(Buffer, type, XLA_FFI_Buffer, dtype);
SAME(Buffer, data, XLA_FFI_Buffer, data);
SAME(Buffer, rank, XLA_FFI_Buffer, rank);
SAME(Buffer, dimensions, XLA_FFI_Buffer, dims);
SIZE(Buffers, XLA_FFI_Args);
SAME(Buffers, size, XLA_FFI_Args, size);
SAME(Buffers, kinds, XLA_FFI_Args, types);
SAME(Buffers, buffers, XLA_FFI_Args, args);
SIZE(Buffers, XLA_FFI_Rets);
SAME(Buffers, buffers, XLA_FFI_Rets, rets);
SIZE(Text, XLA_FFI_ByteSpan);
SIZE(Scalar, XLA_FFI_Scalar);
SAME(Scalar, value, XLA_FFI_Scalar, value);
SIZE(Attributes, XLA_FFI_Attrs);
SAME(Attributes, kinds, XLA_FFI_Attrs, types);
SAME(Attributes, names, XLA_FFI_Attrs, names);
SAME(Attributes, values, XLA_FFI_Attrs, attrs);
SAME(Frame, extension, XLA_FFI_CallFrame, extension_start);
SAME(Frame, api, XLA_FFI_CallFrame, api);
SAME(Frame, stage, XLA_FFI_CallFrame, stage);
SAME(Frame, arguments, XLA_FFI_CallFrame, args);
SAME(Frame, results, XLA_FFI_CallFrame, rets);
SAME(Frame, attributes, XLA_FFI_CallFrame, attrs);
static_assert(sizeof(Frame) <= sizeof(XLA_FFI_CallFrame));
SAME(Metadata, version, XLA_FFI_Metadata, api_version);
SAME(Metadata, traits, XLA_FFI_Metadata, traits);
SAME(MetadataExtension, metadata, XLA_FFI_Metadata_Extension, metadata);
"""


def test_the_declarations_of_xlas_interface_are_those_of_the_installed_headers(tmp_path):
    source = tmp_path / "check.cpp"
    source.write_text(CHECK, "utf-8")
    compiler = os.environ.get("CXX", "c++")  # the one that built the core
    command = [
        compiler,
        "-std=c++20",
        "-fsyntax-only",
        f"-I{jax.ffi.include_dir()}",
        f"-I{ROOT / 'cpp'}",
        str(source),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


# -- refusals and edges --------------------------------------------------------------------------------------


def test_on_a_mesh_every_derivative_of_shared_and_of_own_weights_is_that_of_plain_jax():
    command = [sys.executable, str(ROOT / "tests/support/jax_meshes.py")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.stdout == "all equal\n", result.stderr[-3000:]


@every_executor
def test_with_jit_switched_off_values_and_derivatives_are_the_same(executor):
    g = kg.jax.function(kg.expectation(CIRCUIT, OBSERVABLES, executor=executor))
    w, x = arrays((4,), (3, 2))
    computations = (
        g,
        jax.grad(real_loss(g, 2)),
        jax.jacfwd(g),
        jax.hessian(real_loss(g, 2)),
        jax.vmap(g, (None, 0)),
    )
    for compute in computations:
        wanted = compute(w, x)
        with jax.disable_jit():
            close(compute(w, x), wanted)


def test_what_jax_export_cannot_keep_is_refused_in_words():
    g = kg.jax.function(kg.expectation(CIRCUIT, OBSERVABLES))
    w, x = arrays((4,), (3, 2))
    for compute in (g, jax.grad(real_loss(g, 2)), jax.jacfwd(g)):
        with pytest.raises(kg.errors.KetgradValueError, match="a circuit cannot be exported"):
            jax.export.export(jax.jit(compute))(w, x)
    (rows,) = jax.export.symbolic_shape("rows")
    for compute in (g, jax.grad(real_loss(g, 2)), jax.vmap(g, in_axes=(None, 0))):
        with pytest.raises(kg.errors.KetgradValueError, match="one is the symbol rows"):
            jax.export.export(jax.jit(compute))(w, jax.ShapeDtypeStruct((rows, 2), np.float64))


def test_functions_that_compute_the_same_are_equal_and_trace_once():
    f = kg.expectation(CIRCUIT, OBSERVABLES)
    g, same, other = (kg.jax.function(one) for one in (f, f, kg.expectation(CIRCUIT, OBSERVABLES[:1])))
    assert g == same and hash(g) == hash(same) and g != other and g != f
    traced = []

    @functools.partial(jax.jit, static_argnums=0)
    def run(function, w, x):
        traced.append(function)
        return function(w, x)

    w, x = arrays((4,), (3, 2))
    run(g, w, x), run(same, w, x)
    assert len(traced) == 1


def test_arguments_that_do_not_fit_are_refused_when_they_are_traced():
    g = kg.jax.function(QUESTIONS["expectation"]())
    w, x = arrays((4,), (3, 2))
    cases = [
        (
            (w[:3], x),
            kg.errors.KetgradValueError,
            r"`weights` must have shape \(\.\.\., 4\) - the circuit reads w\[0\]",
        ),
        ((w, x[:, :1]), kg.errors.KetgradValueError, r"`inputs` must have shape \(\.\.\., 2\)"),
        ((w,), kg.errors.KetgradValueError, "`inputs` .* is missing"),
        ((w + 0j, x), kg.errors.KetgradTypeError, "`weights` must hold real numbers"),
        ((np.stack([w, w]), x), kg.errors.KetgradValueError, "leading axes .* must broadcast"),
    ]
    for arguments, kind, sentence in cases:
        for call in (g, jax.jit(g)):
            with pytest.raises(kind, match=sentence):
                call(*arguments)


def test_only_functions_with_a_derivative_are_taken():
    with pytest.raises(kg.errors.KetgradTypeError, match="must be a ketgrad Function"):
        kg.jax.function(CIRCUIT)
    with pytest.raises(kg.errors.KetgradValueError, match="draws samples, which have no derivative"):
        kg.jax.function(kg.samples(CIRCUIT, shots=3))


def test_another_device_than_the_cpu_is_refused_in_words():
    g = kg.jax.function(QUESTIONS["expectation"]())
    traced = jax.jit(g).trace(*arrays((4,), (3, 2)))
    with pytest.raises(kg.KetgradError, match=r"run on the CPU, but this computation is compiled for cuda"):
        traced.lower(lowering_platforms=("cuda",))


def test_a_batch_whose_states_do_not_fit_is_refused_when_it_is_compiled():
    chain = [kg.cx(q, q + 1) for q in range(25)]  # what is measured depends on every qubit
    f = kg.probabilities(kg.Circuit([kg.ry(kg.w[0], q) for q in range(26)] + chain), [25])
    g = jax.jit(kg.jax.function(f))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ketgrad.foundation.memory.available_bytes", lambda: 2**20)
        with pytest.raises(kg.errors.KetgradMemoryError, match="26 qubits"):
            g.lower(np.zeros(1))


@every_executor
def test_a_number_that_is_not_finite_gives_nan_for_its_sample_and_all_that_it_has_a_part_in(executor):
    g = jax.jit(kg.jax.function(QUESTIONS["expectation"](executor=executor)))
    gradient = jax.jit(jax.grad(lambda w, x: g(w, x)[:, 0].sum(), (0, 1)))
    w, x = arrays((4,), (4, 2))
    for bad in (np.nan, np.inf):
        spoilt = x.copy()
        spoilt[1, 1] = bad
        values = np.asarray(g(w, spoilt))
        assert np.isnan(values[1]).all()
        close(values[[0, 2, 3]], np.asarray(g(w, x))[[0, 2, 3]])
        by_weights, by_inputs = gradient(w, spoilt)
        assert np.isnan(by_weights).any() and np.isnan(by_inputs[1]).any()
        assert np.isfinite(np.asarray(by_inputs)[[0, 2, 3]]).all()


def test_no_samples_give_no_values_and_zero_gradients():
    for executor in EXECUTORS:
        g = kg.jax.function(QUESTIONS["expectation"](executor=executor))
        (w,), x = arrays((4,)), np.zeros((0, 2))
        assert g(w, x).shape == (0, 2) and jax.jit(g)(w, x).shape == (0, 2)
        for mode in (jax.grad, jax.jacfwd):
            close(mode(lambda w, g=g, x=x: g(w, x).sum())(w), np.zeros(4))


def test_what_a_circuit_does_not_read_may_be_left_out():
    f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
    g = kg.jax.function(f)
    close(jax.jit(g)(np.array([0.3])), [np.cos(0.3)])
    inputs_only = kg.jax.function(kg.expectation(kg.Circuit([kg.ry(kg.x[0], 0)]), kg.Pauli("Z0")))
    found = jax.vmap(jax.grad(lambda x: inputs_only(inputs=x)[0]))(np.array([[0.3], [0.4]]))
    close(found, -np.sin([[0.3], [0.4]]))


def test_functions_of_inputs_have_their_derivatives_at_the_ends_too():
    circuit = kg.Circuit([kg.ry(3 * kg.arccos(kg.x[0]), 0), kg.rx(kg.w[0] * kg.x[1], 0)])
    f = kg.expectation(circuit, kg.Pauli("Z0"))
    g = kg.jax.function(f)
    w, x = np.array([0.4]), np.array([[0.3, 1.0], [1.0, 0.2], [-1.0, 0.0]])
    close(jax.jit(g)(w, x), f(w, x))
    _, dweights, dinputs = f.vjp(w, x, np.ones((3, 1)))
    by_weights, by_inputs = jax.jit(jax.grad(lambda w, x: g(w, x).sum(), (0, 1)))(w, x)
    close(by_weights, dweights, 1e-6)
    close(by_inputs, dinputs, 1e-4)  # 9 at the ends, where the difference of the places is 1e-10
    assert np.isnan(g(w, np.array([1.5, 0.0]))).all()
    inside = np.array([0.3, 1.0])
    close(
        jax.jit(jax.hessian(lambda x: g(w, x)[0]))(inside),
        f.hessian(w, inside, np.ones(1)).inputs_inputs,
        1e-10,
    )


def test_amplitudes_from_inputs_are_states_or_nan():
    for normalize in (True, False):
        circuit = kg.Circuit(
            [kg.prepare_state([kg.x[0], kg.x[1]], 0, normalize=normalize), kg.ry(kg.w[0], 0)]
        )
        f = kg.expectation(circuit, kg.Pauli("Z0"))
        g = kg.jax.function(f)
        w, x = np.array([0.4]), np.array([[0.6, 0.8], [1.0, 0.0]])
        close(g(w, x), f(w, x))
        found = jax.jit(jax.grad(lambda w, x, g=g: g(w, x).sum(), (0, 1)))(w, x)
        for own, wanted in zip(found, f.vjp(w, x, np.ones((2, 1)))[1:], strict=True):
            close(own, wanted)
        bad = np.zeros(2) if normalize else np.array([0.5, 0.5])
        assert np.isnan(g(w, np.stack([bad, x[0]])))[:, 0].tolist() == [True, False]


def test_a_jax_function_can_be_pickled_and_printed():
    f = QUESTIONS["expectation"]()
    g = kg.jax.function(f)
    w, x = arrays((4,), (3, 2))
    close(pickle.loads(pickle.dumps(g))(w, x), f(w, x))
    assert repr(g).startswith("<JAX function: expectation values of 2 observables")


def test_without_jax_the_bridge_gives_the_install_command():
    program = "import sys; sys.modules['jax'] = None\nimport ketgrad as kg\nkg.jax"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "KetgradImportError: `jax` is not installed" in result.stderr
    assert "pip install 'ketgrad[jax]'" in result.stderr
    assert "ketgrad" in sys.modules and "import jax" not in (ROOT / "src/ketgrad/__init__.py").read_text(
        "utf-8"
    )


def test_wide_registers_that_are_simulated_in_parts_have_every_derivative():
    n = 60
    ops = [kg.ry(kg.w[q], q) for q in range(n)] + [kg.cz(q, q + 1) for q in range(n - 1)]
    circuit = kg.Circuit([*ops, *(kg.rx(kg.w[n + q], q) for q in range(n))])
    f = kg.expectation(circuit, [kg.Pauli(f"Z{q} X{q + 1}") for q in range(n - 1)])
    (weights,) = arrays((2 * n,))
    loss, ones = (lambda w: kg.jax.function(f)(w).sum()), np.ones(n - 1)
    wanted = f.hvp(weights, None, ones, weights)
    close(jax.jit(jax.grad(loss))(weights), wanted.dweights)
    close(jax.jvp(jax.grad(loss), (weights,), (weights,))[1], wanted.hweights)
