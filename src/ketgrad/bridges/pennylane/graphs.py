"""The results of the device inside of a `tf.function`: the numbers of a circuit come when the graph runs.

A graph holds three calls of Python - the results, their slopes, and the changes of these - each with the tensors that
stand for the numbers of the tapes. Slopes are nodes with gradients of their own, as everywhere on this device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
import tensorflow as tf
from pennylane.measurements import StateMP
from pennylane.tape import QuantumScript

from ketgrad.bridges.pennylane.second_derivatives import refuse_third
from ketgrad.bridges.pennylane.slopes import is_fixed
from ketgrad.bridges.pennylane.tape_batch import TapeBatch

Work = Callable[..., Sequence[Any]]


class Graph(NamedTuple):
    """A batch of tapes with tensors in the `places` of each tape; the trainable parameters are some of these."""

    batch: TapeBatch
    places: tuple[tuple[int, ...], ...]
    numbers: tuple[Any, ...]
    trained: tuple[int, ...]  # which of the numbers are parameters

    @property
    def parameters(self) -> list[Any]:
        """The numbers that are differentiated."""
        return [self.numbers[k] for k in self.trained]

    def here(self) -> Graph:
        """The same with tensors of the graph that is built now: a gradient is built in a graph of its own."""
        return self._replace(numbers=tuple(map(tf.identity, self.numbers)))

    def at(self, arrays: Sequence[np.ndarray]) -> TapeBatch:
        """The batch with arrays in the places of the tensors."""
        rest = iter(arrays)
        tapes = tuple(
            tape.bind_new_parameters([next(rest) for _ in places], places)
            for tape, places in zip(self.batch.tapes, self.places, strict=True)
        )
        return self.batch._replace(tapes=tapes)

    def call(self, work: Work, given: Sequence[Any], like: Sequence[tf.TensorSpec]) -> tuple[Any, ...]:
        """`work(batch, *arrays)` when the graph runs, in the types of `like`."""
        count = len(self.numbers)

        def run(*arrays: Any) -> list[np.ndarray]:
            found = work(self.at(arrays[:count]), *arrays[count:])
            return [
                _real_where(one, spec).astype(spec.dtype.as_numpy_dtype, copy=False)
                for one, spec in zip(found, like, strict=True)
            ]

        made = tf.numpy_function(run, [*self.numbers, *given], [spec.dtype for spec in like])
        for tensor, spec in zip(made, like, strict=True):
            tensor.set_shape(spec.shape)
        return tuple(made)


def results(batch: TapeBatch, node: Callable[..., tuple[Any, ...]]) -> tuple[Any, ...]:
    """The results of all tapes, one after the other. node: tensors, as a function of arguments with a gradient."""
    graph = _graph(batch)
    found = graph.call(lambda batch: batch.results(), (), _result_types(graph))
    return node(found, graph.parameters, lambda *cotangents: _slopes(graph, node, cotangents))


def _slopes(graph: Graph, node: Any, cotangents: Sequence[Any]) -> tuple[Any, ...]:
    graph = graph.here()

    def work(batch: TapeBatch, *arrays: Any) -> Sequence[Any]:
        return [np.conj(slope) for slope in batch.slopes([np.conj(array) for array in arrays])]

    found = graph.call(work, cotangents, _types(graph.parameters))
    return node(
        found, [*graph.parameters, *cotangents], lambda *turns: _changes(graph, node, cotangents, turns)
    )


def _changes(graph: Graph, node: Any, cotangents: Sequence[Any], turns: Sequence[Any]) -> tuple[Any, ...]:
    graph, cotangents = graph.here(), [tf.identity(one) for one in cotangents]
    count = len(cotangents)

    def work(batch: TapeBatch, *arrays: Any) -> Sequence[Any]:
        by_parameters, by_cotangents = batch.changes(
            [np.conj(array) for array in arrays[:count]], arrays[count:]
        )
        return [*by_parameters, *by_cotangents]

    def refuse(*_: Any) -> Any:
        raise refuse_third()

    found = graph.call(work, [*cotangents, *turns], _types([*graph.parameters, *cotangents]))
    return node(found, [*graph.parameters, *cotangents, *turns], refuse)


def _graph(batch: TapeBatch) -> Graph:
    tapes, places, numbers, trained = [], [], [], []
    for tape in batch.tapes:
        given = tape.get_parameters(trainable_only=False)
        held = {
            k: tf.convert_to_tensor(n)
            for k, n in enumerate(given)
            if qml.math.get_interface(n) == "tensorflow"
        }
        chosen = [k for k in held if _is_trained(tape, k, given[k], held[k])]
        tapes.append(tape.copy(trainable_params=chosen))
        places.append(tuple(held))
        trained += [len(numbers) + list(held).index(k) for k in chosen]
        numbers += held.values()
    return Graph(batch._replace(tapes=tuple(tapes)), tuple(places), tuple(numbers), tuple(trained))


def _is_trained(tape: QuantumScript, parameter: int, number: Any, tensor: Any) -> bool:
    """Whether a number is differentiated, now or later: a graph outlives the gradient tape of its first call.

    Matrices, which some operators have no derivative by, only where TensorFlow records them now.
    """
    entry = tape.par_info[parameter]
    op = entry["op"]
    behind = parameter - sum(len(one.data) for one in tape.operations)
    if behind < 0:
        single = isinstance(op, qml.StatePrep) or op.ndim_params[entry["p_idx"]] == 0
    else:
        single = tensor.shape.rank == 0 and qml.math.is_abstract(number) and not is_fixed(tape, behind)
    return (single and tensor.dtype.is_floating) or bool(qml.math.requires_grad(number))


def _types(tensors: Sequence[Any]) -> list[tf.TensorSpec]:
    return [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]


def _result_types(graph: Graph) -> list[tf.TensorSpec]:
    known = all(number.shape.is_fully_defined() for number in graph.numbers)
    found = []
    for tape in graph.batch.tapes:
        lead = () if tape.batch_size is None else (tape.batch_size,)
        for process in tape.measurements:
            kind = tf.complex128 if isinstance(process, StateMP) else tf.float64
            own: Any = process.shape(None, len(process.wires or tape.wires))
            shape: Any = (*lead, *own) if known else None
            found.append(tf.TensorSpec(shape, kind))
    return found


def _real_where(array: Any, spec: tf.TensorSpec) -> np.ndarray:
    found = np.asarray(array)
    return found if spec.dtype.is_complex else np.real(found)
