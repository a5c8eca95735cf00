"""What a JAX program calls: the compiled core through XLA's foreign function interface, or Python where it must.

A `BoundCall` is a function's program as it stands in a jaxpr. Its methods are traced by JAX when a program is compiled;
all arrays are matrices, one row for each sample or one row for all: weights (1 or B, W), inputs (1 or B, X), values
and cotangents (B, K). A cotangent t of a state is JAX's: the loss changes by Re(sum(t * d psi)), without conjugation.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ketgrad.executors.native import ARRAYS, QUESTION_CODES, Native, default_threads, load_core
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.seeds import numbered_stream
from ketgrad.functions.batch import Batch
from ketgrad.functions.function import Function
from ketgrad.functions.gradients.directional import check_along_directions
from ketgrad.functions.gradients.rules import is_adjoint

VJP, JVP = 1, 2  # kinds of calls with draws of their own; those of values are the function's
WEIGHTS, INPUTS = 1, 2  # bits of `by` and `along`: which variables a derivative is taken by
COMPLEX_OF = {np.dtype(np.float64): np.dtype(np.complex128), np.dtype(np.float32): np.dtype(np.complex64)}
SUFFIX = {np.dtype(np.float64): "f64", np.dtype(np.float32): "f32"}


class BoundCall:
    """One function as JAX sees it: compared by what it computes, alive as long as a jaxpr or compiled code needs it."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.program = function.program
        self.is_state = function.question.is_complex
        executor = function.executor  # which calls the core once for each part of a wide program
        self.native = isinstance(executor, Native) and not executor.parts(function.program)
        self.threads = default_threads() if function.threads is None else function.threads
        self.core: Any = function.executor._core(function.program) if self.native else None
        self.name = program_name(function) if self.native else id(function)
        self.key = (self.native, self.name, self.threads, repr(function.gradient))
        if self.core is not None:
            register_handlers()
            load_core().xla_keep(self.name, self.core.program)
            weakref.finalize(self, load_core().xla_drop, self.name).atexit = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundCall) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return repr(self.function)

    # -- what runs where

    @property
    def adjoint(self) -> bool:
        """Whether the derivative is the adjoint method's, and not asked to be another rule's."""
        return is_adjoint(self.rule)

    @property
    def rule(self) -> Any:
        """The gradient rule; `KetgradValueError` where there is none."""
        return self.function._rule

    def route(self, what: str) -> str:
        """Through which door "value", "vjp", "jvp" or "hvp" leaves XLA."""
        if what == "hvp" and not (self.adjoint and "second" in self.function.executor.abilities):
            return "refused: there is no exact second derivative"
        compiled = self.native and (what == "value" or self.adjoint)
        return "foreign function call into the compiled core" if compiled else "Python callback"

    def outputs(self, rows: int, real: Any) -> jax.ShapeDtypeStruct:
        """The values of so many samples."""
        kind = COMPLEX_OF[np.dtype(real)] if self.is_state else real
        return jax.ShapeDtypeStruct((rows, self.program.num_outputs), kind)

    # -- the computations, traced when JAX compiles them

    def value(self, weights: Any, inputs: Any) -> Any:
        """Values (B, K)."""
        result = self.outputs(batch_of(weights, inputs), weights.dtype)
        if self.native:
            return self._foreign("value", (result,), weights, inputs)[0]
        return self._callback(self._run, (result,), weights, inputs)[0]

    def vjp(self, weights: Any, inputs: Any, cotangent: Any, by: int) -> list[Any]:
        """Derivatives of Re(sum(cotangent * values)) by the weights, the inputs, or both."""
        cotangent = jnp.conj(cotangent) if self.is_state else cotangent
        results = selected((like(weights), like(inputs)), by)
        if self.native and self.adjoint:
            return self._foreign("vjp", results, weights, inputs, cotangent, by=by)
        return self._callback(functools.partial(self._vjp, by), results, weights, inputs, cotangent)

    def jvp(self, weights: Any, inputs: Any, directions: Sequence[Any], by: int) -> Any:
        """The derivative of the values along a direction, (B, K)."""
        result = self.outputs(batch_of(weights, inputs), weights.dtype)
        if self.native and self.adjoint:
            return self._foreign("jvp", (result,), weights, inputs, *directions, by=by)[0]
        work = functools.partial(self._jvp, by)
        return self._callback(work, (result,), weights, inputs, *directions)[0]

    def hvp(
        self, weights: Any, inputs: Any, cotangent: Any, directions: Sequence[Any], by: int, along: int
    ) -> list[Any]:
        """The derivative of `vjp` along a direction of the variables; refused where it cannot be had exactly."""
        check_along_directions(self.function.gradient, self.function.executor, self.program)
        cotangent = jnp.conj(cotangent) if self.is_state else cotangent
        results = selected((like(weights), like(inputs)), by)
        if self.native:
            return self._foreign("hvp", results, weights, inputs, cotangent, *directions, by=by, along=along)
        work = functools.partial(self._hvp, by, along)
        return self._callback(work, results, weights, inputs, cotangent, *directions)

    def _foreign(self, what: str, results: Sequence[Any], *arrays: Any, **numbers: int) -> list[Any]:
        """One call of the compiled core."""
        rows = batch_of(*arrays[:2])
        if rows == 0:
            return [jnp.zeros(r.shape, r.dtype) for r in results]
        backward = what in ("vjp", "hvp")
        if what in ("jvp", "hvp"):
            second = self.function.executor._second(self.program, rows, self.threads, backward)
            load_core().xla_keep_second(self.name, second)
        else:
            self.core.check_memory(self.program, rows, self.threads, arrays[0].dtype.itemsize, backward)
        target = f"ketgrad_{what}_{SUFFIX[np.dtype(arrays[0].dtype)]}"
        attributes = {"program": self.name, "threads": self.threads, **numbers}
        foreign = jax.ffi.ffi_call(target, tuple(results))
        return list(foreign(*arrays, **{name: np.int64(value) for name, value in attributes.items()}))

    def _callback(
        self, work: Callable[..., Sequence[np.ndarray]], results: Sequence[Any], *arrays: Any
    ) -> list[Any]:
        """One call of Python; samples whose weights or inputs are not finite give NaN, as in compiled code."""
        rows = batch_of(*arrays[:2])
        if rows == 0:
            return [jnp.zeros(r.shape, r.dtype) for r in results]

        def run(*given: Any) -> list[np.ndarray]:
            weights, inputs, *others = (np.ascontiguousarray(array) for array in given)
            finite = np.isfinite(weights).all(1) & np.isfinite(inputs).all(1)
            spoilt = np.broadcast_to(~finite, (rows,))
            found = work(_finite(weights), _finite(inputs), *others)
            return [
                _spoil(a, spoilt).astype(r.dtype, copy=False) for a, r in zip(found, results, strict=True)
            ]

        return list(jax.pure_callback(run, tuple(results), *arrays))

    # -- the same in Python, on NumPy arrays

    def _rows(self, weights: np.ndarray, inputs: np.ndarray, kind: int = 0) -> Batch:
        f = self.function
        rng = _draws(f, kind) if "shots" in f.executor.abilities else None
        return Batch.of_rows(
            f.executor, self.program, weights, inputs, COMPLEX_OF[weights.dtype], f.threads, rng
        )

    def _run(self, weights: np.ndarray, inputs: np.ndarray) -> Sequence[np.ndarray]:
        return (self._rows(weights, inputs).run(weights, inputs),)

    def _vjp(
        self, by: int, weights: np.ndarray, inputs: np.ndarray, cotangent: np.ndarray
    ) -> Sequence[np.ndarray]:
        return selected(self.rule.vjp(self._rows(weights, inputs, VJP), cotangent)[1:], by)

    def _jvp(
        self, by: int, weights: np.ndarray, inputs: np.ndarray, *directions: np.ndarray
    ) -> Sequence[np.ndarray]:
        batch, f = self._rows(weights, inputs, JVP), self.function
        moves = placed(directions, by)
        if self.adjoint and "second" in f.executor.abilities:
            options = {"dtype": batch.dtype, "threads": f.threads}
            return (f.executor.jvp(self.program, weights, inputs, *moves, **options)[1],)
        total = np.zeros(
            (batch.num_rows, self.program.num_outputs), batch.dtype if self.is_state else weights.dtype
        )
        for jacobian, move in zip(self.rule.jacobian(batch), moves, strict=True):
            if move is not None:
                total = total + np.einsum(
                    "bkv,bv->bk", jacobian, np.broadcast_to(move, (batch.num_rows, move.shape[1]))
                )
        return (total,)

    def _hvp(
        self,
        by: int,
        along: int,
        weights: np.ndarray,
        inputs: np.ndarray,
        cotangent: np.ndarray,
        *rest: np.ndarray,
    ) -> Sequence[np.ndarray]:
        batch, f = self._rows(weights, inputs), self.function
        moves = placed(rest, along)
        found = f.executor.hvp(
            self.program, weights, inputs, cotangent, *moves, None, dtype=batch.dtype, threads=f.threads
        )
        return selected(found[4:], by)


def _draws(function: Function, kind: int) -> np.random.Generator | None:
    """The random numbers of one call: values go on where the function itself stands, each derivative for itself.

    A compiled program may call for a value and for a derivative at the same time; counting them apart makes its draws
    the same in every run.
    """
    if kind == 0 or function.seed is None or function.common_random_numbers:
        return function._draws()
    counters = vars(function).setdefault("_calls_of_jax", {VJP: itertools.count(), JVP: itertools.count()})
    return numbered_stream(function.seed, next(counters[kind]), kind)


def selected(pair: Sequence[Any], by: int) -> list[Any]:
    """Those of (by weights, by inputs) whose bit is set."""
    return [entry for bit, entry in zip((WEIGHTS, INPUTS), pair, strict=True) if by & bit]


def placed(entries: Sequence[Any], by: int) -> list[Any]:
    """The inverse of `selected`: (for weights, for inputs), None where there is none."""
    rest = iter(entries)
    return [next(rest) if by & bit else None for bit in (WEIGHTS, INPUTS)]


def like(array: Any) -> jax.ShapeDtypeStruct:
    """A result in the shape of an argument."""
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


def batch_of(weights: Any, inputs: Any) -> int:
    """The number of samples."""
    rows = inputs.shape[0] if weights.shape[0] == 1 else weights.shape[0]
    return rows if type(rows) is int else check_known((rows,))[0]


def check_known(lead: tuple[Any, ...]) -> tuple[int, ...]:
    """The leading axes, if they are numbers."""
    for size in lead:
        if not isinstance(size, int):
            raise KetgradValueError(
                "`inputs` and `weights` must have leading axes of known sizes - the states of a batch are laid out "
                f"when it is compiled - but one is the symbol {size}. Compile for a fixed number of samples."
            )
    return lead


def _finite(array: np.ndarray) -> np.ndarray:
    finite = np.isfinite(array)
    return array if finite.all() else np.where(finite, array, array.dtype.type(0))


def _spoil(array: np.ndarray, spoilt: np.ndarray) -> np.ndarray:
    """NaN in the rows of the samples that are not finite; everywhere, where all samples share the row."""
    if spoilt.any():
        array = np.array(array)
        array[spoilt if len(array) == len(spoilt) else slice(None)] = np.nan
    return array


def program_name(function: Function) -> int:
    """A 63-bit number made from the content of a program, the same in every process."""
    digest = hashlib.blake2b(digest_size=8)
    for name in ARRAYS:
        array = np.ascontiguousarray(getattr(function.program, name))
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(array.tobytes())
    digest.update(
        f"{QUESTION_CODES[type(function.program.question)]} {function.executor.instruction_set}".encode()
    )
    return int.from_bytes(digest.digest(), "little") >> 1


@functools.cache
def register_handlers() -> None:
    """Tell XLA the handlers of the compiled core; once."""
    for name, handler in load_core().xla_handlers().items():
        jax.ffi.register_ffi_target(name, handler, platform="cpu")
