"""A circuit on a mesh of two devices against the same function in plain JAX; run in a process of its own."""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

import ketgrad as kg

ROWS, SHARED = PartitionSpec("d"), PartitionSpec()
MESH = Mesh(np.array(jax.devices()), ("d",))
CIRCUIT = kg.Circuit([kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 0)])
WEIGHTS, INPUTS = jnp.array([0.3]), jnp.array([[0.1], [0.2], [1.0], [2.0]])
TURNS = jnp.array([[0.3], [0.4], [0.5], [0.6]])  # weights of their own for every row


def plain(weights, inputs):
    """<Z0> of the circuit in closed form."""
    return jnp.cos(inputs) * jnp.cos(weights)


def losses(f):
    """Functions of (weights, inputs) of one number, computed on the mesh: by the shares of the rows, and their mean."""

    def share(w, x):
        return jax.lax.pmean(jnp.mean(f(w, x) ** 2), "d")

    def twice_mapped(w, x):
        return jax.lax.pmean(jnp.mean(jax.vmap(f, in_axes=(None, 0))(w, x) ** 2), "d")

    def scanned(w, x):
        return jax.lax.pmean(jax.lax.scan(lambda c, row: (c, f(w, row).sum() ** 2), 0.0, x)[1].mean(), "d")

    over = functools.partial(jax.shard_map, mesh=MESH, in_specs=(SHARED, ROWS), out_specs=SHARED)
    yield "shared weights", over(share), WEIGHTS
    yield "vmap", over(twice_mapped), WEIGHTS
    yield "scan", over(scanned), WEIGHTS
    yield "without the check", over(share, check_vma=False), WEIGHTS
    yield "rows of weights", jax.shard_map(share, mesh=MESH, in_specs=(ROWS, ROWS), out_specs=SHARED), TURNS
    yield (
        "shared inputs",
        jax.shard_map(share, mesh=MESH, in_specs=(ROWS, SHARED), out_specs=SHARED),
        TURNS[:2],
    )


def derivatives(loss, w, x):
    """Name and value of everything that JAX makes of a loss."""
    if len(w) == 2:
        x = x[:1]
    yield "value", jax.jit(loss)(w, x)
    yield "grad", jax.jit(jax.grad(loss, argnums=(0, 1)))(w, x)
    yield "jvp", jax.jit(lambda w, x: jax.jvp(loss, (w, x), (jnp.ones_like(w), x)))(w, x)
    yield "hessian", jax.jit(jax.hessian(loss, argnums=(0, 1)))(w, x)


def more_derivatives(loss, w, x):
    """What is written in other ways, without compiling it or in other mixtures of modes."""
    yield "value", loss(w, x)
    yield "grad", jax.grad(loss)(w, x)
    yield "grad of grad", jax.jit(jax.grad(lambda w, x: (jax.grad(loss)(w, x) ** 2).sum()))(w, x)
    yield "jacfwd of jacfwd", jax.jit(jax.jacfwd(jax.jacfwd(loss)))(w, x)


def inside(f):
    """Gradients that are taken inside of the map."""
    over = functools.partial(jax.shard_map, mesh=MESH, in_specs=(SHARED, ROWS))
    loss = lambda w, x: jnp.mean(f(w, x) ** 2)  # noqa: E731
    yield "summed by its transpose", over(jax.grad(loss), out_specs=SHARED)(WEIGHTS, INPUTS)
    yield "by the inputs", over(jax.grad(loss, argnums=1), out_specs=ROWS)(WEIGHTS, INPUTS)
    yield "values of rows", over(f, out_specs=ROWS)(WEIGHTS, INPUTS)
    parts = INPUTS.reshape(2, 2, 1)
    yield "pmap", jax.pmap(jax.grad(loss), in_axes=(None, 0))(WEIGHTS, parts)
    mean = jax.pmap(lambda w, x: jax.lax.pmean(jax.grad(loss)(w, x), "d"), axis_name="d", in_axes=(None, 0))
    yield "pmap and pmean", mean(WEIGHTS, parts)


def compare(name, ours, theirs):
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(other), rtol=0, atol=1e-12, err_msg=name)


def circuit_on(executor):
    return kg.jax.function(kg.expectation(CIRCUIT, kg.Pauli("Z0"), executor=executor))


def check(executor, names, ways):
    circuit = circuit_on(executor)
    for (name, ours, weights), (_, theirs, _) in zip(losses(circuit), losses(plain), strict=True):
        if name in names:
            pairs = zip(ways(ours, weights, INPUTS), ways(theirs, weights, INPUTS), strict=True)
            for (what, mine), (_, other) in pairs:
                compare(f"{executor}: {name}, {what}", mine, other)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    WEIGHTS, INPUTS, TURNS = (jnp.asarray(np.asarray(a, np.float64)) for a in (WEIGHTS, INPUTS, TURNS))
    check("native", [name for name, _, _ in losses(plain)], derivatives)
    check("native", ["shared weights"], more_derivatives)
    check("reference", ["shared weights"], derivatives)
    for (name, mine), (_, other) in zip(inside(circuit_on("native")), inside(plain), strict=True):
        compare(f"inside of the map, {name}", mine, other)
    print("all equal")
