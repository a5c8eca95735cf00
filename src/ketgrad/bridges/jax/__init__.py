"""JAX: a circuit as a pure function for jit, grad, vmap, jacobians, Hessians, scan - compiled, without Python inside.

>>> import jax, jax.numpy as jnp
>>> f = kg.expectation(kg.Circuit([kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
>>> g = kg.jax.function(f)
>>> loss = jax.jit(lambda w, x: g(w, x).sum())
>>> round(float(jax.grad(loss)(jnp.array([0.5]), jnp.array([[0.0], [0.3]]))[0]), 3)
-0.937
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad.foundation.arrays import check_width
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, missing_extra
from ketgrad.functions import composed
from ketgrad.functions.batch import common_lead
from ketgrad.functions.function import Function

try:
    import jax.numpy as jnp
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] not in ("jax", "jaxlib"):
        raise
    raise missing_extra("jax", "jax") from None

from ketgrad.bridges.jax.calls import BoundCall, check_known
from ketgrad.bridges.jax.inputs import circuit_values

__all__ = ["JaxFunction", "function"]


def __dir__() -> list[str]:
    return sorted(__all__)


def function(f: Function) -> JaxFunction:
    """The function as JAX wants it: g(weights, inputs), pure, with the shapes and broadcasting of `f`.

    Works under jit, grad, value_and_grad, vjp, jvp, linearize, vmap (over weights, inputs or both), jacrev, jacfwd,
    hessian, checkpoint, lax.scan, lax.map, and on a mesh of devices under shard_map and pmap. Mapped axes become rows
    of one batched call, and what is not mapped stays shared. Derivatives up to the second order, in any mixture of
    modes; a third raises `KetgradValueError`, and so does jax.export: the compiled circuit lives in the process.

    Precision is JAX's: float32, unless float64 is enabled (jax_enable_x64) and given; dtype=complex64 in `f` means
    float32 always. The values of a `kg.state` are complex, with JAX's convention for complex gradients.

    On the native executor values and all derivatives leave XLA by its foreign function interface into the compiled
    core: no Python, no lock, any number of threads; Ctrl-C is heard when the call has ended. Other executors, and
    derivatives by another rule than the adjoint method, go through `jax.pure_callback`, that is through Python;
    `g.plan` says which. A function with `shots` draws fresh noise at every call, also of compiled code, from the stream
    under its `seed`, so that a run repeats; JAX may merge calls in one program that look the same. With
    `common_random_numbers` every call draws the same.

    Compiled code cannot refuse numbers: where `f` raises, `g` gives NaN for that sample, and for every gradient that
    it has a part in. Angles are used as they are, however large, without a warning. At the ends of the interval of
    arccos the derivative is taken a little inside.

    Cost: that of `f` and `f.vjp`; the values and their gradient are two calls, as JAX needs the values first. `jvp`
    costs about two executions; the derivative of a `jvp` by forward mode one product with the Hessian per output
    (prefer jax.hessian, or grad of grad).

    Raises `KetgradTypeError` if `f` is no `Function`, `KetgradValueError` for `kg.samples` (integers have no
    derivative) and, when compiled, for another device than the CPU; `KetgradMemoryError` when compiled if the states
    of the batch do not fit. `KetgradImportError` if JAX is not installed.

    >>> import jax
    >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
    >>> g = kg.jax.function(f)
    >>> round(float(jax.jit(jax.hessian(lambda w: g(w)[0]))(np.array([0.0]))[0, 0]), 5)
    -1.0
    """
    if not isinstance(f, Function):
        raise KetgradTypeError(
            f"`f` must be a ketgrad Function, such as kg.expectation returns, but is {type(f).__name__}."
        )
    if not f.question.differentiable:
        raise KetgradValueError(
            "`f` draws samples, which have no derivative, and JAX would be free to draw them once or twice. Use "
            "kg.probabilities or kg.expectation with `shots`, or call the function itself outside JAX."
        )
    return JaxFunction(f)


@dataclass(frozen=True, eq=False, repr=False)
class JaxFunction:
    """g(weights, inputs) for JAX; made by `kg.jax.function`, which says what it can do.

    >>> g = kg.jax.function(kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0")))
    >>> print(g([0.0]).round(5))
    [1.]
    """

    function: Function
    _call: BoundCall = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_call", BoundCall(self.function.base or self.function))

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, JaxFunction) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Any, ...]:
        """What is computed: the call, and what a composed question makes of it."""
        return (self._call,) if self.function.base is None else (self._call, self.function.question)

    def __repr__(self) -> str:
        return repr(self.function).replace("<Function", "<JAX function", 1)

    def __reduce__(self) -> Any:
        return JaxFunction, (self.function,)

    def __call__(self, weights: Any = None, inputs: Any = None) -> Any:
        """The values (..., num_outputs); weights (..., num_weights), inputs (..., num_inputs), as of the function."""
        f = self.function
        real = _precision(f, weights, inputs)
        w = _array(weights, "weights", "w", f.num_weights, real)
        x = _array(inputs, "inputs", "x", f.num_inputs, real)
        lead = common_lead(check_known(w.shape), check_known(x.shape))
        values = circuit_values(self._call, _rows(w, lead), _rows(x, lead))
        values = values.reshape(*lead, self._call.program.num_outputs)
        return composed.of_base(f, values)

    @property
    def plan(self) -> str:
        """The plan of the function, and by which way each computation leaves JAX.

        >>> print(
        ...     kg.jax.function(kg.expectation(kg.Circuit([kg.h(0)]), kg.Pauli("X0"))).plan
        ... )  # doctest: +ELLIPSIS
        question    expectation values of 1 observable, 1 Pauli word
        ...
        jax value   foreign function call into the compiled core
        jax vjp     foreign function call into the compiled core
        ...
        """
        ways = [f"{'jax ' + name:<12}{self._call.route(name)}" for name in ("value", "vjp", "jvp", "hvp")]
        return "\n".join([str(self.function.plan), *ways])


def _precision(f: Function, weights: Any, inputs: Any) -> Any:
    """float32 or float64, by JAX's own rules of promotion."""
    for array, name in ((weights, "weights"), (inputs, "inputs")):
        if array is not None and jnp.iscomplexobj(array):
            raise KetgradTypeError(f"`{name}` must hold real numbers, but they are complex.")
    double = jnp.result_type(float)  # float32 unless float64 is enabled
    if f.dtype == np.complex64 or double == jnp.float32:
        return jnp.dtype(jnp.float32)
    given = [jnp.asarray(array) for array in (weights, inputs) if array is not None]
    return jnp.promote_types(jnp.result_type(*given, float), jnp.float32)


def _array(value: Any, name: str, letter: str, width: int, real: Any) -> Any:
    """The argument as an array of JAX with that many columns; no argument where there are none."""
    array = None if value is None else jnp.asarray(value, real)
    checked = check_width(array, name, letter, width)  # type: ignore[arg-type]  # looks at the shape alone
    return jnp.zeros((0,), real) if array is None else checked


def _rows(array: Any, lead: tuple[int, ...]) -> Any:
    """One row for all samples, or one for each."""
    width, own, size = array.shape[-1], math.prod(array.shape[:-1]), math.prod(lead)
    if own == size or own == 1:
        return array.reshape(own, width)
    return jnp.broadcast_to(array, (*lead, width)).reshape(size, width)
