"""Exact gradients for code of qiskit's ecosystem: one adjoint pass instead of two circuits for each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.primitives import PrimitiveJob

from ketgrad import executors
from ketgrad.bridges.qiskit_cache import Conversions
from ketgrad.bridges.qiskit_paulis import from_sparse_pauli_op
from ketgrad.bridges.qiskit_primitives import expectation_function
from ketgrad.errors import KetgradValueError


@dataclass(frozen=True)
class EstimatorGradients:
    """gradients[i][j]: the derivative of value i by its parameter j. metadata: the rule, for each value."""

    gradients: list[np.ndarray]
    metadata: list[dict[str, Any]]
    options: Any = None
    precision: float = 0.0


class EstimatorGradient:
    """Gradients of expectation values by the adjoint method, with the `run` of an estimator gradient.

    For `EstimatorQNN(gradient=...)` of qiskit-machine-learning and `VQE(gradient=...)` of qiskit-algorithms.
    executor, dtype, threads: those of `kg.expectation`; the executor must have the ability "adjoint".
    Cost: one forward and one backward pass for each parameter set and observable, all sets of a circuit and an
    observable in one native call, whatever the number of parameters. Exact: no shots, no parameter shifts.
    Raises `KetgradValueError` for arguments of unequal lengths and parameters that the circuit does not have.

    >>> from qiskit.circuit import Parameter, QuantumCircuit
    >>> from qiskit.quantum_info import SparsePauliOp
    >>> qc = QuantumCircuit(1)
    >>> _ = qc.ry(Parameter("t"), 0)
    >>> job = kg.qiskit.EstimatorGradient().run([qc], [SparsePauliOp("Z")], [[np.pi / 2]])
    >>> job.result().gradients[0].round(6)
    array([-1.])
    """

    def __init__(
        self, *, executor: Any = "native", dtype: Any = np.complex128, threads: int | None = None
    ) -> None:
        self.executor = executors.get(executor)
        if "adjoint" not in self.executor.abilities:
            raise KetgradValueError(
                f"`executor` must have the adjoint method, but {self.executor.name!r} has not."
            )
        self.dtype = dtype
        self.threads = threads
        self._conversions = Conversions()

    def run(
        self,
        circuits: Sequence[QuantumCircuit],
        observables: Sequence[Any],
        parameter_values: Sequence[Sequence[float]] | np.ndarray,
        parameters: Sequence[Sequence[Any] | None] | None = None,
        **options: Any,
    ) -> PrimitiveJob:
        """Start a job: the gradient of <observables[i]> after circuits[i] at parameter_values[i], for each i.

        parameters: for each i the parameters by which to differentiate, None for all in the order of the circuit.
        options are passed on to the result; an exact method has none that change it.
        """
        several: list[Any] = [circuits] if isinstance(circuits, QuantumCircuit) else list(circuits)
        single = not isinstance(observables, list | tuple | np.ndarray)
        sums: list[Any] = [observables] if single else list(observables)
        chosen = [None] * len(several) if parameters is None else list(parameters)
        lengths = {len(several), len(sums), len(parameter_values), len(chosen)}
        if len(lengths) != 1:
            raise KetgradValueError(
                "`circuits`, `observables`, `parameter_values` and `parameters` must have one length, but have "
                f"{len(several)}, {len(sums)}, {len(parameter_values)} and {len(chosen)}."
            )
        known: dict[int, _Known] = {}
        found: dict[int, Any] = {}
        tasks = []
        for circuit, observable, values, wanted in zip(several, sums, parameter_values, chosen, strict=True):
            if id(circuit) not in known:
                positions = {parameter.name: k for k, parameter in enumerate(circuit.parameters)}
                known[id(circuit)] = _Known(self._conversions(circuit).circuit, positions)
            if id(observable) not in found:
                found[id(observable)] = from_sparse_pauli_op(observable)
            entry = known[id(circuit)]
            tasks.append(_Task(entry.circuit, found[id(observable)], values, entry.columns(wanted)))
        job = PrimitiveJob(self._run, tasks, options)
        job._submit()
        return job

    def _run(self, tasks: Sequence[_Task], options: Any) -> EstimatorGradients:
        together: dict[Any, list[int]] = {}
        for k, task in enumerate(tasks):
            together.setdefault((task.circuit, task.observable), []).append(k)
        gradients: list[Any] = [None] * len(tasks)
        for (circuit, observable), places in together.items():
            function = expectation_function(
                circuit, (observable,), self.executor, np.dtype(self.dtype).name, self.threads
            )
            rows = np.array([tasks[k].values for k in places], dtype=np.float64)
            by_parameters = np.zeros(rows.shape)  # the last parameters may have dropped out of the circuit
            used = function.num_weights
            by_parameters[:, :used] = function.vjp(rows[:, :used], None, np.ones(1))[1]
            for row, k in enumerate(places):
                gradients[k] = by_parameters[row, tasks[k].columns]
        rule = [{"derivative_type": "adjoint", "parameters": len(task.columns)} for task in tasks]
        return EstimatorGradients(gradients, rule, options)


@dataclass(frozen=True, eq=False)
class _Task:
    circuit: Any
    observable: Any
    values: Any
    columns: np.ndarray


@dataclass(frozen=True, eq=False)
class _Known:
    """A circuit of this run, and the positions of its parameters."""

    circuit: Any
    positions: dict[str, int]
    found: dict[Any, np.ndarray] = field(default_factory=dict)

    def columns(self, wanted: Sequence[Any] | None) -> np.ndarray:
        """The positions of the wanted parameters."""
        if wanted is None:
            return np.arange(len(self.positions))
        names = tuple(parameter.name for parameter in wanted)
        if names not in self.found:
            absent = [name for name in names if name not in self.positions]
            if absent:
                raise KetgradValueError(
                    f"`parameters` must be parameters of the circuit, but {absent[0]!r} is none."
                )
            self.found[names] = np.array([self.positions[name] for name in names], dtype=np.intp)
        return self.found[names]
