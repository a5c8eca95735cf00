"""PyTorch: one derivative, twice differentiable, under every transform; a module like any other."""

import contextlib
import copy
import io
import itertools
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from devices import FakeDevice
from test_process import environment, python
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch_models import CIRCUIT, OBSERVABLES, descend, model

import ketgrad as kg
from ketgrad import w, x
from ketgrad.executors.native import Native

FUNCTIONS = {
    "expectation": kg.expectation(CIRCUIT, OBSERVABLES),
    "probabilities": kg.probabilities(CIRCUIT),
    "state": kg.state(CIRCUIT),
    "variance": kg.variance(CIRCUIT, OBSERVABLES),
}
F = FUNCTIONS["expectation"]
KINDS = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def tensors(
    *leads: Any, dtype: Any = torch.float64, requires_grad: bool = False, f: kg.Function = F
) -> list[Any]:
    """Weights and inputs with those leading axes."""
    generator = torch.Generator().manual_seed(1)
    widths = (f.num_weights, f.num_inputs)
    return [
        torch.randn(*lead, width, generator=generator, dtype=dtype).requires_grad_(requires_grad)
        for lead, width in zip(leads, widths, strict=True)
    ]


def apply(weights, inputs):
    return kg.torch.apply(F, weights, inputs)


def loss(weights, inputs):
    return (apply(weights, inputs) ** 2).sum()


@contextlib.contextmanager
def counted(monkeypatch):
    """How often the core runs a circuit or differentiates it: {"run": ..., "vjp": ...}."""
    calls = {"run": 0, "vjp": 0}

    def watch(name):
        plain = getattr(Native, name)

        def counting(*arguments, **options):
            calls[name] += 1
            return plain(*arguments, **options)

        return counting

    with monkeypatch.context() as patch:
        # the direct way into the core passes by the methods that are watched
        patch.setitem(vars(F), "_shortcut", replace(F._shortcut, key=None))
        for name in calls:
            patch.setattr(Native, name, watch(name))
        yield calls


# -- values and types ---------------------------------------------------------------------------------------------

LEADS = [
    ((), ()),
    ((), (4,)),
    ((4,), ()),
    ((4,), (4,)),
    ((3, 1), (2,)),
    ((), (2, 3)),
    ((1, 3), (2, 1)),
    ((), (0,)),
]


@pytest.mark.parametrize("leads", LEADS, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients_are_those_of_the_function_for_any_leading_axes(name, leads):
    f = FUNCTIONS[name]
    weights, inputs = tensors(*leads, requires_grad=True)
    values: Any = kg.torch.apply(f, weights, inputs)
    cotangent = torch.randn(values.shape, dtype=values.dtype, generator=torch.Generator().manual_seed(2))
    values.backward(cotangent)
    arrays = [tensor.detach().numpy() for tensor in (weights, inputs)]
    expected = f.vjp(*arrays, cotangent.numpy())
    for found, wanted in zip((values.detach(), weights.grad, inputs.grad), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found.numpy(), wanted)
    np.testing.assert_array_equal(values.detach().numpy(), f(*arrays))


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_type_of_the_arguments_is_the_type_of_values_and_gradients(name, dtype):
    weights, inputs = tensors((), (3,), dtype=dtype, requires_grad=True)
    values = kg.torch.apply(FUNCTIONS[name], weights, inputs)
    assert values.dtype is (KINDS[dtype] if name == "state" else dtype)
    (values.abs() ** 2).sum().backward()
    assert weights.grad.dtype is inputs.grad.dtype is dtype


def test_a_single_precision_function_computes_in_single_precision():
    f = kg.expectation(CIRCUIT, OBSERVABLES, dtype=np.complex64)
    weights, inputs = tensors((), (3,), dtype=torch.float32)
    assert kg.torch.apply(f, weights, inputs).dtype is torch.float32
    with pytest.raises(
        kg.KetgradError, match="`weights` and `inputs` must be float32 - the function computes in"
    ):
        kg.torch.apply(f, weights.double(), inputs.double())
    with pytest.raises(
        kg.KetgradError, match=r"`dtype` must be torch.float32 - the function computes in complex64"
    ):
        kg.torch.Layer(f, dtype=torch.float64)


def test_under_autocast_half_precision_is_computed_in_single_precision():
    net: Any = model()
    inputs = torch.linspace(-1, 1, 10).reshape(2, 5)
    plain = net(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net[0](inputs).dtype is torch.bfloat16
        middle = net[1](net[0](inputs))
        assert middle.dtype is torch.float32
        mixed = net(inputs)
    torch.testing.assert_close(mixed.float(), plain, atol=0.02, rtol=0)
    mixed.sum().backward()
    assert net[1].weights.grad.dtype is torch.float32


W64, X64 = tensors((), (3,))
REFUSED = {
    "mixed types": (W64, X64.float(), "must have the same type - nothing is converted silently - but are float64 and"),
    "half precision": (W64.half(), X64.half(), "`weights` must be float32 or float64 .* but is float16"),
    "integers": (W64, X64.long(), "`inputs` must be float32 or float64 .* but is int64. Write inputs.float()"),
    "an array": (W64, X64.numpy(), r"`inputs` must be a tensor, but is ndarray - write torch.as_tensor\(inputs\)"),
    "another device": (W64, X64.to("meta"), "`inputs` must be on the CPU .* but is on meta"),
    "wrong width": (W64, X64[:, :1], r"`inputs` must have shape \(..., 2\) .* but has shape \(3, 1\)"),
    "axes that do not fit": (W64.expand(2, 3), X64, "the leading axes of `weights` and `inputs` must broadcast"),
    "not a number": (W64, X64.clone().index_fill_(0, torch.tensor(2), torch.nan), r"inputs\[2, 0\] is nan"),
    "infinity": (W64 * torch.tensor([1, torch.inf, 1]), X64, r"weights\[1\] is -?inf"),
    "missing": (None, X64, r"`weights` must have shape \(..., 3\) .* but is missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_computed_is_refused_by_name(case):
    weights, inputs, message = REFUSED[case]
    with pytest.raises(kg.KetgradError, match=message):
        kg.torch.apply(F, weights, inputs)


def test_only_functions_with_derivatives_are_taken():
    with pytest.raises(kg.KetgradError, match="samples are integers"):
        kg.torch.Layer(kg.samples(CIRCUIT, shots=3))
    with pytest.raises(kg.KetgradError, match=r"must be made by kg.expectation, .* but is Circuit"):
        kg.torch.Layer(CIRCUIT)
    with pytest.raises(kg.KetgradError, match="but is function"):
        kg.torch.apply(apply, W64, X64)


def test_an_argument_that_the_circuit_does_not_read_may_be_left_out():
    energy = kg.torch.Layer(kg.expectation(kg.Circuit([kg.ry(w[0], 0)]), kg.Pauli("Z0")), seed=0)
    energy().sum().backward()
    assert torch.allclose(energy.weights.grad, -torch.sin(energy.weights.detach()))
    feature = kg.torch.Layer(kg.expectation(kg.Circuit([kg.ry(x[0], 0)]), kg.Pauli("Z0")))
    angles = torch.tensor([[0.3], [0.4]], requires_grad=True)
    feature(angles).sum().backward()
    assert torch.allclose(angles.grad, -torch.sin(angles.detach()))
    assert vmap(feature)(angles.detach()).shape == (2, 1)
    constant = kg.expectation(kg.Circuit([kg.h(0)]), kg.Pauli("X0"))
    assert torch.allclose(kg.torch.apply(constant), torch.ones(1))


# -- which calls are made -----------------------------------------------------------------------------------------


def test_a_step_is_one_run_and_one_backward_pass(monkeypatch):
    weights, inputs = tensors((), (5,), requires_grad=True)
    with counted(monkeypatch) as calls:
        values = apply(weights, inputs)
        assert calls == {"run": 1, "vjp": 0}
        values.sum().backward()
        assert calls == {"run": 1, "vjp": 1}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
def test_without_gradients_nothing_is_kept_or_differentiated(mode, monkeypatch):
    layer = kg.torch.Layer(F)
    with counted(monkeypatch) as calls, mode():
        values = layer(torch.zeros(2, 2))
    assert not values.requires_grad and calls == {"run": 1, "vjp": 0}


def test_what_needs_no_gradient_gets_none():
    for learn_weights, learn_inputs in itertools.product([False, True], repeat=2):
        weights, inputs = tensors((), (3,))
        weights.requires_grad_(learn_weights)
        inputs.requires_grad_(learn_inputs)
        values = apply(weights, inputs)
        assert values.requires_grad is (learn_weights or learn_inputs)
        if values.requires_grad:
            values.sum().backward()
        assert (weights.grad is not None, inputs.grad is not None) == (learn_weights, learn_inputs)


def test_weights_that_change_between_the_passes_are_noticed():
    layer = kg.torch.Layer(F)
    values = layer(torch.zeros(3, 2))
    with torch.no_grad():
        layer.weights.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        values.sum().backward()


def test_a_batch_under_vmap_is_one_call_of_the_core(monkeypatch):
    weights, inputs = tensors((50,), (50,))
    with counted(monkeypatch) as calls:
        vmap(apply)(weights, inputs)
        assert calls == {"run": 1, "vjp": 0}
        vmap(grad(loss))(weights, inputs)
        assert calls == {"run": 2, "vjp": 1}
        jacrev(apply)(weights, inputs)
        assert calls == {"run": 3, "vjp": 2}


# -- derivatives of every order and mode --------------------------------------------------------------------------


@pytest.mark.parametrize("leads", [((), ()), ((), (3,)), ((2,), (2,)), ((2, 1), (2,))], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck_and_gradgradcheck_pass_in_both_modes(name, leads):
    arguments = tensors(*leads, requires_grad=True)

    def f(weights, inputs):
        return kg.torch.apply(FUNCTIONS[name], weights, inputs)

    assert gradcheck(f, arguments, check_forward_ad=True)
    assert gradgradcheck(f, arguments, check_fwd_over_rev=True, check_rev_over_rev=True)


def test_gradcheck_and_gradgradcheck_pass_for_one_argument_alone():
    for fixed in (0, 1):
        arguments = tensors((), (3,))
        arguments[1 - fixed].requires_grad_()
        assert gradcheck(apply, arguments, check_forward_ad=True)
        assert gradgradcheck(apply, arguments, check_fwd_over_rev=True)


def test_a_differential_equation_can_be_trained():
    f = kg.expectation(kg.Circuit([kg.ry(x[0], 0), kg.ry(w[0], 0)]), kg.Pauli("Z0"))
    layer = kg.torch.Layer(f, initializer=[0.1], dtype=torch.float64)
    times = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None].requires_grad_()
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=20)

    def residual():
        (slope,) = torch.autograd.grad(layer(times).sum(), times, create_graph=True)
        loss = (slope + torch.sin(times + 0.7)).square().mean()  # du/dt = -sin(t + 0.7)
        optimizer.zero_grad()
        loss.backward()
        return loss

    optimizer.step(residual)
    torch.testing.assert_close(layer.weights.detach(), torch.tensor([0.7]).double(), atol=1e-5, rtol=0)


IN_DIMS = [(0, 0), (None, 0), (0, None), (1, 0), (0, 1), (-1, -2)]


@pytest.mark.parametrize("dims", IN_DIMS, ids=str)
@pytest.mark.parametrize("own", [((), ()), ((), (3,)), ((2, 1), (3,)), ((3,), ())], ids=str)
def test_vmap_over_weights_inputs_and_both_is_the_stack_of_single_calls(dims, own):
    size = 4
    full = tensors(*[(size, *lead) for lead in own])
    given = [t[0] if d is None else t.movedim(0, d) for t, d in zip(full, dims, strict=True)]
    singles = [[t[0 if d is None else k] for t, d in zip(full, dims, strict=True)] for k in range(size)]
    cases = {
        "values": apply,
        "gradients": grad(loss, (0, 1)),
        "forward": lambda *a: jvp(apply, a, tuple(map(torch.cos, a)))[1],
        "second": lambda *a: jvp(grad(loss, (0, 1)), a, tuple(map(torch.cos, a)))[1],
    }
    for name, f in cases.items():
        found = vmap(f, in_dims=dims)(*given)
        expected = [f(*single) for single in singles]
        if isinstance(found, torch.Tensor):
            found, expected = (found,), [(e,) for e in expected]
        for k, part in enumerate(found):
            torch.testing.assert_close(part, torch.stack([e[k] for e in expected]), msg=name)


def test_vmap_may_be_nested():
    weights, inputs = tensors((4,), (5,))
    pairs = vmap(vmap(apply, (None, 0)), (0, None))(weights, inputs)
    torch.testing.assert_close(pairs, apply(weights[:, None], inputs))
    slopes = vmap(vmap(grad(loss), (None, 0)), (0, None))(weights, inputs)
    torch.testing.assert_close(slopes[2, 3], grad(loss)(weights[2], inputs[3]))


def test_jacrev_and_jacfwd_are_the_jacobian_of_the_function():
    weights, inputs = tensors((), ())
    expected = F.jacobian(weights.numpy(), inputs.numpy())
    for transform in (jacrev, jacfwd):
        for found, wanted in zip(transform(apply, (0, 1))(weights, inputs), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-14)
    found: Any = vjp(apply, weights, inputs)
    values, pull = found
    assert not values.requires_grad and not pull(values)[0].requires_grad
    np.testing.assert_array_equal(values, F(weights.numpy(), inputs.numpy()))
    np.testing.assert_allclose(pull(torch.tensor([0.0, 1.0]).double())[0], expected[0][1], atol=1e-14)


def test_the_hessian_is_the_same_by_every_way_that_leads_to_it():
    weights, inputs = tensors((), (2,))
    ways = {
        "hessian": hessian(loss, (0, 1)),
        "reverse over reverse": jacrev(jacrev(loss, (0, 1)), (0, 1)),
        "reverse over forward": jacrev(jacfwd(loss, (0, 1)), (0, 1)),
        "torch.autograd": lambda *a: torch.autograd.functional.hessian(loss, a),
    }
    expected = ways["hessian"](weights, inputs)
    for name, way in ways.items():
        found = way(weights, inputs)
        for i, j in itertools.product(range(2), repeat=2):
            torch.testing.assert_close(found[i][j], expected[i][j], msg=name)
    step = 1e-5 * torch.eye(3).double()[1]
    difference = (grad(loss)(weights + step, inputs) - grad(loss)(weights - step, inputs)) / 2e-5
    torch.testing.assert_close(expected[0][0][1], difference, atol=1e-8, rtol=1e-6)


def test_a_hessian_for_every_sample_is_a_batch():
    weights, inputs = tensors((), (4,))
    found = vmap(hessian(loss, 1), (None, 0))(weights, inputs)
    torch.testing.assert_close(found, torch.stack([hessian(loss, 1)(weights, row) for row in inputs]))


def test_an_ensemble_of_layers_is_one_batch():
    layers = [kg.torch.Layer(F, seed=k) for k in range(3)]
    parameters, buffers = stack_module_state(layers)
    inputs = tensors((), (5,), dtype=torch.float32)[1]
    found = vmap(lambda p, b: functional_call(layers[0], (p, b), (inputs,)))(parameters, buffers)
    torch.testing.assert_close(found, torch.stack([layer(inputs) for layer in layers]))


def test_what_is_not_provided_is_refused_and_never_zero():
    weights, inputs = tensors((), (2,), requires_grad=True)
    (first,) = torch.autograd.grad(loss(weights, inputs), inputs, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), inputs, create_graph=True)
    with pytest.raises(kg.KetgradError, match="a third derivative of a circuit was asked for"):
        second.sum().backward()
    with pytest.raises(kg.KetgradError, match="which is forward over reverse"):
        jacfwd(jacfwd(loss))(weights.detach(), inputs.detach())


STEPS = {
    "grad": lambda f, by: grad(f, argnums=by),
    "vjp": lambda f, by: lambda *at: vjp(lambda z: f(*at[:by], z, *at[by + 1 :]), at[by])[1](at[2])[0],
    "jacfwd": lambda f, by: jacfwd(f, argnums=by),
    "jvp": lambda f, by: lambda *at: jvp(lambda z: f(*at[:by], z, *at[by + 1 :]), at[by : by + 1], at[2:])[1],
}


@pytest.mark.parametrize("order", [1, 2, 3])
def test_every_mixture_of_forward_and_reverse_mode_is_exact_or_refused_in_words(order):
    node = kg.expectation(kg.Circuit([kg.rx(kg.w[0], 0), kg.ry(kg.x[0], 0)]), kg.Pauli("Z0"))
    ours = lambda w, x, one: kg.torch.apply(node, w[None], x[None])[0]  # noqa: E731
    at = tuple(torch.tensor(number, dtype=torch.float64) for number in (0.4, 0.7, 1.0))
    for names in itertools.product(STEPS, repeat=order):
        for variables in itertools.product((0, 1), repeat=order):
            found, wanted = ours, lambda w, x, one: torch.cos(w) * torch.cos(x)
            for name, by in zip(names, variables, strict=True):
                found, wanted = STEPS[name](found, by), STEPS[name](wanted, by)
            refused = order == 3 or (order == 2 and {"jacfwd", "jvp"}.issuperset(names))
            if refused:
                with pytest.raises(
                    kg.KetgradError, match=r"a third derivative of a circuit|forward over reverse"
                ):
                    found(*at)
            else:
                torch.testing.assert_close(found(*at), wanted(*at), msg=f"{names} {variables}")


def test_products_with_the_hessian_in_every_way_of_pytorch_are_the_hessian_times_the_direction():
    weights, inputs = tensors((), (2,))
    loss = lambda w, x: (apply(w, x) * torch.cos(torch.arange(2) + 1.0)).sum() ** 2  # noqa: E731
    turns = (
        torch.linspace(-1, 1, F.num_weights, dtype=torch.float64),
        torch.linspace(0.3, 1, 4, dtype=torch.float64).reshape(2, 2),
    )
    blocks = torch.autograd.functional.hessian(loss, (weights, inputs))
    wanted = [
        sum(torch.tensordot(block, turn, turn.ndim) for block, turn in zip(row, turns, strict=True))
        for row in blocks
    ]
    legacy, plain = torch.autograd.functional, torch.func
    found = {
        "hvp": legacy.hvp(loss, (weights, inputs), turns)[1],
        "vhp": legacy.vhp(loss, (weights, inputs), turns)[1],
        "jvp of grad": plain.jvp(plain.grad(loss, argnums=(0, 1)), (weights, inputs), turns)[1],
        "vjp of grad": plain.vjp(plain.grad(loss, argnums=(0, 1)), weights, inputs)[1](turns),
    }
    for name, products in found.items():
        for ours, theirs in zip(products, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, msg=lambda text, name=name: f"{name}: {text}")


def test_what_is_linear_in_a_product_with_the_hessian_is_differentiated_and_the_rest_refused():
    weights, inputs = tensors((), (2,), requires_grad=True)
    turn = torch.linspace(-1, 1, F.num_weights, dtype=torch.float64).requires_grad_()
    tilt = torch.linspace(0.2, 1, 4, dtype=torch.float64).reshape(2, 2).requires_grad_()

    def products(turn, tilt):
        """The slopes, and how they change along `turn`, of values that count by `tilt`."""
        (slope,) = torch.autograd.grad((apply(weights, inputs) * tilt).sum(), weights, create_graph=True)
        (change,) = torch.autograd.grad(slope @ turn, weights, create_graph=True)
        return slope, change

    change = products(turn, tilt)[1]
    (by_turn,) = torch.autograd.grad(change.sum(), turn, retain_graph=True)
    hessian = torch.stack([products(unit, tilt)[1] for unit in torch.eye(F.num_weights, dtype=torch.float64)])
    torch.testing.assert_close(by_turn, hessian.sum(dim=1).detach())
    for by in (weights, inputs, tilt):
        with pytest.raises(kg.KetgradError, match="a third derivative of a circuit"):
            torch.autograd.grad(change.sum(), by, retain_graph=True)
    with pytest.raises(kg.KetgradError, match="a third derivative of a circuit"):
        change.sum().backward()


CAPTURES = {
    "make_fx": lambda layer, x: make_fx(layer)(x),
    "make_fx of a gradient": lambda layer, x: make_fx(grad(lambda x: layer(x).sum()))(x),
    "make_fx before autograd": lambda layer, x: make_fx(layer, pre_dispatch=True)(x),
    "make_fx without numbers": lambda layer, x: make_fx(layer, tracing_mode="fake")(x),
    "torch.fx": lambda layer, x: torch.fx.symbolic_trace(layer),
    "torch.export": lambda layer, x: torch.export.export(layer, (x,)),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_a_graph_that_would_hold_a_circuit_is_refused_in_words(name):
    layer = kg.torch.Layer(F, seed=0)
    with pytest.raises(kg.KetgradError, match="a circuit cannot be traced by"):
        CAPTURES[name](layer, torch.ones(4, 2))


def test_modes_that_only_look_on_let_circuits_pass():
    class Looking(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            return function(*arguments, **(options or {}))

    layer, inputs = kg.torch.Layer(F, seed=0), torch.ones(4, 2)
    with Looking():
        seen = layer(inputs)
    assert torch.equal(seen, layer(inputs))


def test_legacy_batches_and_tensors_without_numbers_are_refused_in_words():
    weights, inputs = tensors((), (2,), requires_grad=True)
    legacy = torch.autograd.functional
    values = apply(weights, inputs)
    for compute in (
        lambda: legacy.jacobian(lambda w: apply(w, inputs), weights, vectorize=True),
        lambda: legacy.hessian(lambda w: apply(w, inputs).sum(), weights, vectorize=True),
        lambda: legacy.jacobian(lambda w: apply(w, inputs), weights, vectorize=True, strategy="forward-mode"),
        lambda: torch.autograd.grad(
            values, weights, torch.ones(5, *values.shape).double(), is_grads_batched=True
        ),
    ):
        with pytest.raises(kg.KetgradError, match=r"Use torch\.func: jacrev, jacfwd"):
            compute()
    for strange, kind in (
        (inputs.detach().to_sparse(), "torch.sparse_coo"),
        (torch.nested.nested_tensor([inputs.detach()], layout=torch.jagged), "nested tensor"),
    ):
        with pytest.raises(kg.KetgradError, match=f"must be dense .* but one is a {kind}"):
            apply(weights, strange)


# -- shots --------------------------------------------------------------------------------------------------------


def test_with_shots_first_derivatives_are_shift_rules_and_second_ones_are_refused():
    gradients = []
    for _ in range(2):
        noisy = kg.expectation(CIRCUIT, OBSERVABLES, shots=20_000, seed=3)
        weights, inputs = tensors((), (3,), requires_grad=True)
        kg.torch.apply(noisy, weights, inputs).sum().backward()
        gradients.append(weights.grad)
    assert torch.equal(*gradients)
    torch.testing.assert_close(
        gradients[0], grad(lambda w: apply(w, inputs).sum())(weights), atol=0.1, rtol=0
    )
    values = kg.torch.apply(noisy, weights, inputs)
    (first,) = torch.autograd.grad(values.sum(), weights, create_graph=True)
    with pytest.raises(kg.KetgradError, match="Make the function without `shots`"):
        first.sum().backward()
    with pytest.raises(kg.KetgradError, match="Make the function without `shots`"):
        jacfwd(lambda w: kg.torch.apply(noisy, w, inputs))(weights.detach())


def test_measured_values_and_gradients_are_fresh_at_every_call_and_the_same_in_every_run():
    def run(**options):
        layer = kg.torch.Layer(kg.expectation(CIRCUIT, OBSERVABLES, shots=100, seed=3, **options), seed=0)
        found = []
        for _ in range(3):
            values = layer(torch.ones(2, 2))
            found.append((values.detach(), *torch.autograd.grad(values.sum(), layer.weights)))
        return list(zip(*found, strict=True))

    fresh, again, frozen = run(), run(), run(common_random_numbers=True)
    for column, same, repeated in zip(fresh, again, frozen, strict=True):
        assert not any(torch.equal(a, b) for a, b in itertools.combinations(column, 2))
        assert all(torch.equal(a, b) for a, b in zip(column, same, strict=True))
        assert all(torch.equal(a, repeated[0]) for a in repeated)


# -- a module like any other --------------------------------------------------------------------------------------


def test_initializers_and_seeds():
    generator = torch.random.get_rng_state()
    a, b, c = (kg.torch.Layer(F, seed=seed).weights for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c) and a.dtype is torch.float32
    assert torch.equal(torch.random.get_rng_state(), generator)
    torch.manual_seed(7)
    first = kg.torch.Layer(F).weights
    torch.manual_seed(7)
    assert torch.equal(kg.torch.Layer(F).weights, first)
    many = kg.torch.Layer(kg.expectation(kg.Circuit([kg.ry(w[999], 0)]), kg.Pauli("Z0")), seed=0)
    assert 0.08 < float(many.weights.detach().std()) < 0.12
    assert torch.equal(kg.torch.Layer(F, initializer=torch.nn.init.ones_).weights, torch.ones(3))
    layer = kg.torch.Layer(F, initializer=[0.1, 0.2, 0.3], dtype=torch.float64)
    assert layer.weights.tolist() == [0.1, 0.2, 0.3]
    torch.nn.init.zeros_(layer.weights)
    layer.reset_parameters()
    assert layer.weights.tolist() == [0.1, 0.2, 0.3]
    with pytest.raises(
        kg.KetgradError, match=r"`initializer` must have shape \(3,\) - one value for each weight"
    ):
        kg.torch.Layer(F, initializer=[0.1])


def test_the_module_moves_between_types_like_any_other():
    layer: Any = kg.torch.Layer(F, seed=0)
    assert layer.double()(torch.zeros(2, 2).double()).dtype is torch.float64
    with pytest.raises(
        kg.KetgradError, match="same type - nothing is converted silently - but are float64 and float32"
    ):
        layer(torch.zeros(2, 2))
    with pytest.raises(kg.KetgradError, match=r"`weights` must be on the CPU .* but is on meta"):
        layer.to("meta")(torch.zeros(2, 2).double())
    assert [name for name, _ in layer.named_parameters()] == ["weights"]
    assert "expectation values of 2 observables" in repr(layer)


def test_copies_pickles_and_state_dicts_hold_the_same_model(tmp_path):
    original = model()
    inputs = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    expected = original(inputs)
    torch.save(original.state_dict(), tmp_path / "state.pt")
    loaded = model(seed=1)
    assert not torch.equal(loaded(inputs), expected)
    loaded.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    stream = io.BytesIO()
    torch.save(original, stream)
    stream.seek(0)
    copies = {
        "state_dict": loaded,
        "deepcopy": copy.deepcopy(original),
        "pickle": pickle.loads(pickle.dumps(original)),
        "torch.save": torch.load(stream, weights_only=False),
    }
    for name, other in copies.items():
        assert torch.equal(other(inputs), expected), name
        assert list(other.state_dict()) == list(original.state_dict()), name
        with torch.no_grad():
            other[1].weights.add_(1.0)
        assert torch.equal(original(inputs), expected), name


# torch.compile itself looks at .grad of tensors between two graphs
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_torch_compile_breaks_the_graph_around_the_layer_and_changes_nothing():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = model()

        def forward(self, inputs):
            return torch.tanh(self.parts[2](self.parts[1](torch.sin(self.parts[0](inputs)))))

    graphs = []

    def backend(graph, _):
        graphs.append([node.target.__name__ for node in graph.graph.nodes if node.op == "call_function"])
        return graph.forward

    net, inputs = Net(), torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    net(inputs).sum().backward()
    expected = [parameter.grad for parameter in net.parameters()]
    compiled = torch.compile(net, backend=backend)
    for _ in range(2):
        net.zero_grad(set_to_none=True)
        compiled(inputs).sum().backward()
        for parameter, wanted in zip(net.parameters(), expected, strict=True):
            assert torch.equal(parameter.grad, wanted)
    assert graphs == [["linear", "sin"], ["linear", "tanh"]]


WORKERS = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


class Same(torch.utils.data.Dataset):
    """The values of a layer at the same inputs, four times."""

    def __init__(self, layer):
        self.layer = layer

    def __len__(self):
        return 4

    def __getitem__(self, k):
        with torch.no_grad():
            return self.layer(torch.ones(2))


class Features(torch.utils.data.Dataset):
    """What a worker process computes with a circuit."""

    def __init__(self, layer):
        self.layer = layer

    def __len__(self):
        return 8

    def __getitem__(self, index):
        with torch.no_grad():
            return self.layer(torch.full((2,), 0.1 * index))


def test_the_layer_works_in_the_workers_of_a_data_loader():
    layer = kg.torch.Layer(F, seed=0)
    layer(torch.zeros(200, 2)).sum().backward()  # the core's threads exist before the workers do
    start = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    loader = torch.utils.data.DataLoader(
        Features(layer), batch_size=2, num_workers=WORKERS, multiprocessing_context=start
    )
    found = torch.cat(list(loader))
    assert torch.equal(found, torch.stack([Features(layer)[k] for k in range(8)]))


def test_workers_and_epochs_draw_noise_of_their_own():
    def epochs(**options):
        torch.manual_seed(5)
        layer = kg.torch.Layer(kg.expectation(CIRCUIT, OBSERVABLES, shots=50, seed=3, **options), seed=0)
        start = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        loader = torch.utils.data.DataLoader(
            Same(layer), batch_size=1, num_workers=WORKERS, multiprocessing_context=start
        )
        return [tuple(row.ravel().tolist()) for _ in range(2) for row in loader]

    fresh = epochs()
    assert len(set(fresh)) == len(fresh) == 8 and epochs() == fresh
    assert len(set(epochs(common_random_numbers=True))) == 1


DISTRIBUTED = """
import json, sys
import torch, torch.distributed as dist
from torch_models import descend, model

rank, file = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
net = torch.nn.parallel.DistributedDataParallel(model(seed=rank))
inputs = torch.linspace(-1, 1, 40).reshape(8, 5)
descend(net, inputs[rank::2])
print(json.dumps([parameter.tolist() for parameter in net.parameters()]))
dist.destroy_process_group()
"""


def test_two_processes_train_as_one(tmp_path):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", DISTRIBUTED, str(rank), (tmp_path / "meet").as_posix()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for rank in range(2)
    ]
    outputs = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    net, inputs = model(seed=0), torch.linspace(-1, 1, 40).reshape(8, 5)
    descend(net, inputs)
    for found, wanted in zip(json.loads(outputs[0][0]), net.parameters(), strict=True):
        torch.testing.assert_close(torch.tensor(found), wanted.detach(), atol=1e-5, rtol=1e-4)


def test_without_torch_the_install_line_is_given():
    code = (
        "import sys; sys.modules['torch'] = None; import ketgrad as kg\n"
        "try: kg.torch\nexcept kg.KetgradError as error: print(type(error).__name__, error)"
    )
    assert python(code).stdout == (
        "KetgradImportError `torch` is not installed - this part of ketgrad needs it. "
        "Install it with: pip install 'ketgrad[torch]'\n"
    )


def test_a_layer_is_trained_on_a_device_that_reports_counts():
    device = FakeDevice(shots=200)
    f = kg.expectation(kg.Circuit([kg.rx(x[0], 0), kg.ry(w[0], 0)]), kg.Pauli("Z0"), executor=device, seed=0)
    layer = kg.torch.Layer(f, initializer=lambda weights: torch.nn.init.constant_(weights, 0.3))
    rows = torch.zeros(4, 1)
    loss = layer(rows).mean()
    loss.backward()
    assert abs(loss.item() - np.cos(0.3)) < 5 * np.sin(0.3) / np.sqrt(800)
    (slope,) = (parameter.grad for parameter in layer.parameters())
    assert abs(slope.item() + np.sin(0.3)) < 5 * np.cos(0.3) / np.sqrt(2 * 800)
    assert device.executions == 4 * f.plan.executions + 4  # forwards, then values and shifts backwards
