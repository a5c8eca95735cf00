"""Qiskit's V2 estimator on our executors: all parameter sets of a circuit in one native call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from qiskit.primitives import (
    BaseEstimatorV2,
    DataBin,
    PrimitiveJob,
    PrimitiveResult,
    PubResult,
)
from qiskit.primitives.containers.estimator_pub import EstimatorPub

from ketgrad.bridges.qiskit.cache import Conversions
from ketgrad.bridges.qiskit.evaluable import Evaluable, evaluable
from ketgrad.bridges.qiskit.paulis import sum_of_labels
from ketgrad.bridges.qiskit.pubs import child_seed, exact_executor, parameter_rows, unmeasured
from ketgrad.bridges.qiskit.reader import Imported
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.paulis import PauliSum
from ketgrad.executors.measured import groups
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.seeds import Seed, check_seed
from ketgrad.functions.builders import expectation
from ketgrad.functions.function import Function
from ketgrad.programs.program import Program

FINEST = 1e-7  # the smallest precision above 0
WASTE = 4  # values computed in one call may be this many times those asked for


class Estimator(BaseEstimatorV2):
    """Qiskit's V2 estimator: expectation values by ketgrad, for all code that takes a `BaseEstimatorV2`.

    default_precision: of values when `run` names none. 0 gives exact values; p > 0 measures ceil(1 / p**2) shots for
    each group of Pauli words that can be read together, and `stds` are the standard errors of those estimates.
    seed: None for fresh shots in every run, an integer for the same ones in every run, as with Qiskit's own estimator,
    or a NumPy generator.
    executor, dtype, threads: those of `kg.expectation`; the executor must be exact.
    Values and `stds` have the shape to which the parameter values and observables of a PUB broadcast. PUBs of a run
    with the same circuit, observables and precision are one call; circuits seen before are not compiled again.
    Angles may be any expressions, since all parameters have values. Only circuits that cannot be read before they
    have, such as a gate that makes its matrix from a parameter, are converted for each parameter set.
    Raises `KetgradValueError` for circuits with measurements, whose state after them is no vector.

    >>> from qiskit.circuit import Parameter, QuantumCircuit
    >>> qc = QuantumCircuit(1)
    >>> _ = qc.ry(Parameter("t"), 0)
    >>> kg.qiskit.Estimator().run([(qc, "Z", [[0.0], [np.pi]])]).result()[0].data.evs.round(6)
    array([ 1., -1.])
    """

    def __init__(
        self,
        *,
        default_precision: float = 0.0,
        seed: Seed = None,
        executor: Any = "native",
        dtype: Any = np.complex128,
        threads: int | None = None,
    ) -> None:
        check_seed(seed if not isinstance(seed, np.random.Generator) else None)
        self.default_precision = _precision(default_precision)
        self.seed = seed
        self.executor = exact_executor(executor)
        self.dtype = dtype
        self.threads = threads
        self._conversions = Conversions(evaluable)

    def run(self, pubs: Iterable[Any], *, precision: float | None = None) -> PrimitiveJob:
        """Start a job for PUBs (circuit, observables[, parameter values[, precision]]); `result()` waits for it."""
        chosen = self.default_precision if precision is None else _precision(precision)
        coerced = [EstimatorPub.coerce(pub, chosen) for pub in pubs]
        found: dict[int, Evaluable] = {}
        for pub in coerced:  # converted now: the caller may change a circuit while the job runs
            if id(pub.circuit) not in found:
                found[id(pub.circuit)] = self._conversions(pub.circuit)
        tasks = [_task(pub, found[id(pub.circuit)]) for pub in coerced]
        job = PrimitiveJob(self._run, tasks, check_seed(self.seed))
        job._submit()
        return job

    def _run(self, tasks: Sequence[_EstimatorTask], root: np.random.SeedSequence) -> PrimitiveResult:
        together: dict[Any, list[int]] = {}
        for k, task in enumerate(tasks):
            together.setdefault((task.program.key, task.sums, task.precision), []).append(k)
        results: list[Any] = [None] * len(tasks)
        for places in together.values():
            rows = np.concatenate([tasks[k].rows for k in places])
            picked, start = [], 0
            for k in places:
                picked.append(np.stack([tasks[k].row_of.ravel() + start, tasks[k].sum_of.ravel()]))
                start += len(tasks[k].rows)
            rng = np.random.Generator(np.random.Philox(child_seed(root, places[0])))
            values, errors = self._values(tasks[places[0]], rows, np.concatenate(picked, axis=1), rng)
            start = 0
            for k in places:
                size = tasks[k].row_of.size
                part = slice(start, start + size)
                results[k] = _estimator_result(tasks[k], values[part], errors[part])
                start += size
        return PrimitiveResult(results, metadata={"version": 2})

    def _values(
        self, task: _EstimatorTask, rows: np.ndarray, pairs: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values and standard errors of pairs (2, N) of a row of parameters and an observable.

        A pair that occurs again is another experiment, with shots of its own.
        """
        values, errors = np.zeros(pairs.shape[1]), np.zeros(pairs.shape[1])
        draw = np.zeros(pairs.shape[1], dtype=np.intp) if task.shots is None else _occurrence(pairs)
        for number in np.unique(draw):
            chosen = np.flatnonzero(draw == number)
            values[chosen], errors[chosen] = self._drawn(task, rows, pairs[:, chosen], rng)
        return values, errors

    def _drawn(
        self, task: _EstimatorTask, rows: np.ndarray, pairs: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same, where equal pairs may share their shots."""
        if len(rows) * len(task.sums) <= WASTE * pairs.shape[1]:
            values, errors = self._table(task, task.sums, rows, rng)
            return values[pairs[0], pairs[1]], errors[pairs[0], pairs[1]]
        values, errors = np.zeros(pairs.shape[1]), np.zeros(pairs.shape[1])
        for k, observable in enumerate(task.sums):  # each value for its own row only: one call per observable
            wanted = np.flatnonzero(pairs[1] == k)
            needed, back = np.unique(pairs[0][wanted], return_inverse=True)
            found, spread = self._table(task, (observable,), rows[needed], rng)
            values[wanted], errors[wanted] = found[back, 0], spread[back, 0]
        return values, errors

    def _table(
        self, task: _EstimatorTask, sums: tuple[PauliSum, ...], rows: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values and standard errors (rows, observables)."""
        found = [self._part(task, sums, *part, rng) for part in task.program.parts(rows)]
        empty = np.zeros((0, len(sums)))
        return (
            np.concatenate([empty, *(values for values, _ in found)]),
            np.concatenate([empty, *(errors for _, errors in found)]),
        )

    def _part(
        self,
        task: _EstimatorTask,
        sums: tuple[PauliSum, ...],
        found: Imported,
        weights: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        circuit, dtype = unmeasured(found).circuit, np.dtype(self.dtype).name
        function = expectation_function(circuit, sums, self.executor, dtype, self.threads)
        if task.shots is None or not len(weights):
            values = function(weights).astype(np.float64)
            return values, np.zeros(values.shape)
        return _measured(function, weights, task.shots, rng)


def _occurrence(pairs: np.ndarray) -> np.ndarray:
    """How often the same pair (a column) stands further left."""
    order = np.lexsort(pairs)
    ordered = pairs[:, order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    position = np.arange(len(order))
    result = np.empty(len(order), dtype=np.intp)
    result[order] = position - np.maximum.accumulate(np.where(is_first, position, 0))
    return result


class _EstimatorTask(NamedTuple):
    """A PUB in arrays: values[i] belongs to parameters rows[row_of[i]] and observable sums[sum_of[i]]."""

    program: Evaluable
    sums: tuple[PauliSum, ...]
    rows: np.ndarray
    row_of: np.ndarray
    sum_of: np.ndarray
    precision: float
    metadata: Any

    @property
    def shots(self) -> int | None:
        """The shots that give a Pauli word this precision; None for exact values."""
        return None if self.precision == 0 else math.ceil(1 / self.precision**2)


def _task(pub: EstimatorPub, program: Evaluable) -> _EstimatorTask:
    rows, precision = parameter_rows(pub), _precision(pub.precision)
    first = program.check(rows)
    if first is not None:
        unmeasured(first)
    numbers: dict[PauliSum, int] = {}
    sum_of = np.zeros(pub.observables.shape, dtype=np.intp)
    for index, terms in np.ndenumerate(np.asarray(pub.observables)):
        observable = sum_of_labels(tuple(terms.items()))
        sum_of[index] = numbers.setdefault(observable, len(numbers))
    row_of = np.arange(len(rows)).reshape(pub.parameter_values.shape)
    row_of, sum_of = np.broadcast_arrays(row_of, sum_of)
    return _EstimatorTask(program, tuple(numbers), rows, row_of, sum_of, precision, pub.circuit.metadata)


@lru_cache(maxsize=128)
def expectation_function(
    circuit: Circuit, sums: tuple[PauliSum, ...], executor: Any, dtype: str, threads: int | None
) -> Function:
    """The function (parameters) -> values of all sums; compiled once."""
    return expectation(circuit, sums, executor=executor, dtype=dtype, threads=threads)


def _estimator_result(task: _EstimatorTask, values: np.ndarray, errors: np.ndarray) -> PubResult:
    shape = task.row_of.shape
    data = DataBin(evs=values.reshape(shape), stds=errors.reshape(shape), shape=shape)
    metadata = {"target_precision": task.precision, "circuit_metadata": task.metadata}
    return PubResult(data, metadata if task.shots is None else metadata | {"shots": task.shots})


def _measured(
    function: Function, rows: np.ndarray, shots: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard errors (rows, observables) from `shots` simulated measurements of each group of words."""
    values = np.zeros((len(rows), function.num_outputs))
    variances = np.zeros_like(values)
    for group in groups(function.program):
        if group.program is None:
            values += group.coefficients[0]
            continue
        signs = _signs(len(group.program.measured), group.parities)
        outcomes = signs @ group.coefficients  # what an observable is worth at an outcome
        for start, chances in _chances(function, group.program, rows):
            frequencies = rng.multinomial(shots, chances) / shots
            part = slice(start, start + len(chances))
            means = frequencies @ outcomes
            values[part] += means
            variances[part] += np.maximum(frequencies @ outcomes**2 - means**2, 0.0) / shots
    return values, np.sqrt(variances)


def _chances(function: Function, program: Program, rows: np.ndarray) -> Iterable[tuple[int, np.ndarray]]:
    """(first row, exact probabilities) for some rows at a time."""
    width = 8 * 2 ** len(program.measured)
    step = max(1, 2**25 // width)
    reserve(3 * width * min(step, len(rows)), f"the probabilities of {min(step, len(rows))} parameter sets")
    none = np.zeros((1, 0))
    for start in range(0, len(rows), step):
        part = np.ascontiguousarray(rows[start : start + step, : function.num_weights])
        found = function.executor.run(program, part, none, dtype=function.dtype, threads=function.threads)
        chances = np.maximum(np.broadcast_to(found, (len(part), found.shape[1])).astype(np.float64), 0.0)
        yield start, chances / chances.sum(axis=1, keepdims=True)


def _signs(num_bits: int, parities: np.ndarray) -> np.ndarray:
    """(outcomes, words): -1 where an odd number of the bits in `parities` is set."""
    reserve(9 * len(parities) << num_bits, f"the signs of {len(parities)} Pauli words on {num_bits} qubits")
    outcomes = np.arange(2**num_bits, dtype=np.uint64)[:, None]
    return 1.0 - 2.0 * (np.bitwise_count(outcomes & parities) & 1)


def _precision(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise KetgradTypeError(f"`precision` must be a number from 0, but is {value!r}.")
    if not (value == 0 or FINEST <= value < math.inf):
        raise KetgradValueError(
            f"`precision` must be 0, for exact values, or at least {FINEST:g} - it takes 1 / precision**2 shots - but "
            f"is {value}."
        )
    return float(value)
