"""Layer 4: executors run programs. The whole protocol of a back end is here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, near_matches
from ketgrad.programs.program import Program

__all__ = ["EXECUTORS", "Executor", "get"]


def __dir__() -> list[str]:
    return __all__


@runtime_checkable
class Executor(Protocol):
    """A back end: a name, what it can do, and one or two methods.

    abilities: "exact" (no shot noise), "shots", "adjoint" (has `vjp`), "second" (has `jvp` and `hvp`), "noise", "gpu".
    weights: (1 or B, num_weights); inputs: (1 or B, num_inputs); real, C-contiguous. `run` returns (B, outputs).
    Executors hold no state of a call: one instance may be used from many threads. One that has a short way for plain
    arrays names in `direct` the key under which `program.cache` keeps it (see `native`).
    """

    @property
    def name(self) -> str:
        """The name in `EXECUTORS`."""
        ...

    @property
    def abilities(self) -> frozenset[str]:
        """What the executor can do."""
        ...

    def run(self, program: Program, weights: np.ndarray, inputs: np.ndarray, *, dtype: Any = np.complex128,
            threads: int | None = None, rng: np.random.Generator | None = None) -> np.ndarray:  # fmt: skip
        """The answer to the program's question, shape (B, outputs)."""
        ...


EXECUTORS: Mapping[str, tuple[str, str]] = {
    "reference": ("ketgrad.executors.reference", "Reference"),
    "native": ("ketgrad.executors.native", "Native"),
    "sampled": ("ketgrad.executors.sampled", "Sampled"),
}


def get(executor: str | Executor) -> Executor:
    """The executor of that name, or the instance itself.

    >>> get("reference").name
    'reference'
    """
    if isinstance(executor, str):
        if executor not in EXECUTORS:
            raise KetgradValueError(f"`executor` is {executor!r}. {near_matches(executor, EXECUTORS)}")
        module, name = EXECUTORS[executor]
        return getattr(importlib.import_module(module), name)()
    if not isinstance(executor, Executor):
        raise KetgradTypeError(
            f"`executor` must be a name or an object with name, abilities and run, but is {type(executor).__name__}."
        )
    return executor
