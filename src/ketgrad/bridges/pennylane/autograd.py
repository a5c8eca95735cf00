"""The results of the device as primitives of autograd: the results, their slopes, and the changes of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import autograd
import numpy as np
from autograd.extend import defvjp, defvjp_argnums, primitive

from ketgrad.bridges.pennylane.second_derivatives import refuse_third
from ketgrad.bridges.pennylane.tape_batch import TapeBatch


def results(batch: TapeBatch) -> Sequence[Any]:
    """The results of all tapes, one after the other."""
    return _results(autograd.builtins.tuple(batch.parameters), batch)


@primitive
def _results(parameters: tuple[Any, ...], batch: TapeBatch) -> tuple[np.ndarray, ...]:
    return tuple(batch.results())


@primitive
def _slopes(
    parameters: tuple[Any, ...], cotangents: tuple[np.ndarray, ...], batch: TapeBatch
) -> tuple[np.ndarray, ...]:
    return tuple(batch.slopes(cotangents))


@primitive
def _changes(
    parameters: tuple[Any, ...],
    cotangents: tuple[np.ndarray, ...],
    turns: tuple[np.ndarray, ...],
    batch: TapeBatch,
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    by_parameters, by_cotangents = batch.changes(cotangents, turns)
    return tuple(by_parameters), tuple(by_cotangents)


def _results_pulled(_: Any, parameters: Any, batch: TapeBatch) -> Callable[..., Any]:
    return lambda cotangents: _slopes(parameters, cotangents, batch)


def _slopes_pulled(argnums: Sequence[int], _: Any, arguments: Any, options: Any) -> Callable[..., Any]:
    parameters, cotangents, batch = arguments

    def pull(turns: Any) -> tuple[Any, ...]:
        found = _changes(parameters, cotangents, turns, batch)
        return tuple(found[argnum] for argnum in argnums)

    return pull


def _changes_pulled(*_: Any) -> Callable[..., Any]:
    def refuse(_: Any) -> Any:
        raise refuse_third()

    return refuse


defvjp(_results, _results_pulled, argnums=(0,))
defvjp_argnums(_slopes, _slopes_pulled)
defvjp_argnums(_changes, _changes_pulled)
