"""The results of the device as nodes in the graph of PyTorch: `Results`, their `Slopes`, and the `Changes` of these.

Derivatives by complex numbers are those of PyTorch: those of PennyLane, which the device takes and gives, are their
conjugates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd import Function as Node

from ketgrad.bridges.pennylane.second_derivatives import refuse_third
from ketgrad.bridges.pennylane.tape_batch import TapeBatch


def results(batch: TapeBatch) -> tuple[Any, ...]:
    """The results of all tapes, one after the other."""
    return Results.apply(batch, *batch.parameters)


def _tensors(arrays: Sequence[np.ndarray], like: Sequence[Any]) -> tuple[Any, ...]:
    """Arrays as tensors; beside a parameter on another device, there."""
    place = next((tensor.device for tensor in like if not tensor.is_cpu), None)
    return tuple(torch.as_tensor(np.require(array, requirements="W"), device=place) for array in arrays)


def _arrays(tensors: Sequence[Any]) -> list[np.ndarray]:
    return [tensor.numpy(force=True) for tensor in tensors]


def _conjugates(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.conj(array) if array.dtype.kind == "c" else array for array in arrays]


class Results(Node):
    """The results at the parameters of the tapes."""

    @staticmethod
    def forward(ctx: Any, batch: TapeBatch, *parameters: Any) -> tuple[Any, ...]:
        """One run."""
        ctx.batch = batch
        ctx.save_for_backward(*parameters)
        return _tensors(batch.results(), parameters)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
        """The derivatives by the parameters, as a node of their own."""
        return None, *Slopes.apply(ctx.batch, *ctx.saved_tensors, *cotangents)


class Slopes(Node):
    """The derivatives by the parameters, at the parameters and the cotangents."""

    @staticmethod
    def forward(ctx: Any, batch: TapeBatch, *tensors: Any) -> tuple[Any, ...]:
        """One vector-Jacobian product."""
        ctx.batch = batch
        ctx.save_for_backward(*tensors)
        count = len(batch.parameters)
        slopes = batch.slopes(_conjugates(_arrays(tensors[count:])))
        return _tensors(_conjugates(slopes), tensors)

    @staticmethod
    def backward(ctx: Any, *turns: Any) -> tuple[Any, ...]:
        """Second derivatives by the parameters, first ones by the cotangents."""
        return None, *Changes.apply(ctx.batch, *ctx.saved_tensors, *turns)


class Changes(Node):
    """The derivatives of sum(turns * slopes) by the parameters and the cotangents."""

    @staticmethod
    def forward(ctx: Any, batch: TapeBatch, *tensors: Any) -> tuple[Any, ...]:
        """One product with the Hessian."""
        count = len(batch.parameters)
        cotangents, turns = tensors[count:-count], tensors[-count:]
        by_parameters, by_cotangents = batch.changes(_conjugates(_arrays(cotangents)), _arrays(turns))
        return _tensors([*by_parameters, *by_cotangents], tensors)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        """Refused."""
        raise refuse_third()
