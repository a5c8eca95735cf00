"""Where an operation runs: compiled, on the CPU of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from ketgrad.bridges.jax.calls import BoundCall
from ketgrad.foundation.errors import KetgradValueError


def refuse_platform(context: Any, *_: Any, call: BoundCall, **__: Any) -> Any:
    """Raise: the circuit was to be compiled for something else than the CPU."""
    platforms = ", ".join(context.module_context.platforms)
    raise KetgradValueError(
        f"ketgrad's circuits run on the CPU, but this computation is compiled for {platforms}. Place it there: with "
        'jax.default_device(jax.devices("cpu")[0]), or jax.jit(..., backend="cpu").'
    )


def compiled(primitive: Any) -> Callable[..., Any]:
    """What runs outside of jit: the operation alone, compiled, also where jit is switched off to look at a program."""
    run = jax.jit(primitive.bind, static_argnames=("call", "by", "along"))

    def call_compiled(*arrays: Any, **parameters: Any) -> Any:
        if not jax.config.jax_disable_jit:  # pyright: ignore[reportAttributeAccessIssue] - options are made at run time
            return run(*arrays, **parameters)
        with jax.disable_jit(False):
            return run(*arrays, **parameters)

    return call_compiled


def refuse_export(context: Any) -> None:
    """Raise where the computation is to leave this process."""
    if context.module_context.lowering_parameters.for_export:
        raise KetgradValueError(
            "a circuit cannot be exported by jax.export - its compiled program lives in this process, and the exported "
            "bytes would only hold its number. Keep the function with kg.save(f, path), the weights beside it, and "
            "call kg.jax.function(kg.load(path)) in the other process."
        )
