"""Exact gradients for code of qiskit's ecosystem: one adjoint pass instead of two circuits for each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.primitives import PrimitiveJob

import ketgrad.executors as executors
from ketgrad.bridges.qiskit.cache import Conversions
from ketgrad.bridges.qiskit.estimator import expectation_function
from ketgrad.bridges.qiskit.exact import probabilities_function
from ketgrad.bridges.qiskit.paulis import from_sparse_pauli_op
from ketgrad.bridges.qiskit.pubs import unmeasured
from ketgrad.bridges.qiskit.reader import Imported, from_qiskit
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.arrays import real_array
from ketgrad.foundation.errors import KetgradValueError


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
        self.executor = _adjoint(executor)
        self.dtype = dtype
        self.threads = threads
        self._conversions = Conversions(from_qiskit)

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
        _check_lengths(
            circuits=several, observables=sums, parameter_values=parameter_values, parameters=chosen
        )
        known = _known(several, self._conversions)
        found: dict[int, Any] = {}
        tasks = []
        for circuit, observable, values, wanted in zip(several, sums, parameter_values, chosen, strict=True):
            if id(observable) not in found:
                found[id(observable)] = from_sparse_pauli_op(observable)
                _refuse_other_size(observable, circuit)
            entry = known[id(circuit)]
            row = entry.row(values)
            tasks.append(
                _GradientTask(
                    unmeasured(entry.found).circuit, found[id(observable)], row, entry.columns(wanted)
                )
            )
        job = PrimitiveJob(self._run, tasks, options)
        job._submit()
        return job

    def _run(self, tasks: Sequence[_GradientTask], options: Any) -> EstimatorGradients:
        together: dict[Any, list[int]] = {}
        for k, task in enumerate(tasks):
            together.setdefault((task.circuit, task.observable), []).append(k)
        gradients: list[Any] = [None] * len(tasks)
        for (circuit, observable), places in together.items():
            function = expectation_function(
                circuit, (observable,), self.executor, np.dtype(self.dtype).name, self.threads
            )
            rows = _rows([tasks[k].values for k in places], circuit)
            by_parameters = function.vjp(rows, None, np.ones(1))[1]
            for row, k in enumerate(places):
                gradients[k] = _picked(by_parameters[row], tasks[k].columns)
        rule = [{"derivative_type": "adjoint", "parameters": len(task.columns)} for task in tasks]
        return EstimatorGradients(gradients, rule, options)


@dataclass(frozen=True)
class SamplerGradients:
    """gradients[i][j]: outcome -> the derivative of its probability by parameter j of circuit i."""

    gradients: list[list[dict[int, float]]]
    metadata: list[dict[str, Any]]
    options: Any = None


class SamplerGradient:
    """Gradients of outcome probabilities by the adjoint method, with the `run` of a sampler gradient.

    For `SamplerQNN(gradient=...)` and the classifiers on it. Outcomes are integers as qiskit counts them, bit k of the
    classical register having the value 2**k. executor, dtype, threads: those of `kg.probabilities`; the executor must
    have the ability "adjoint".
    Cost: one forward and 2**m backward passes for m measured bits and each parameter set, all sets of a circuit in one
    call, whatever the number of parameters. Exact: no shots, no parameter shifts.
    Raises `KetgradValueError` for a circuit without measurements or with several classical registers.

    >>> from qiskit.circuit import Parameter, QuantumCircuit
    >>> qc = QuantumCircuit(1)
    >>> _ = qc.ry(Parameter("t"), 0), qc.measure_all()
    >>> found = kg.qiskit.SamplerGradient().run([qc], [[np.pi / 2]]).result().gradients[0][0]
    >>> {outcome: round(value, 6) for outcome, value in found.items()}
    {0: -0.5, 1: 0.5}
    """

    def __init__(
        self, *, executor: Any = "native", dtype: Any = np.complex128, threads: int | None = None
    ) -> None:
        self.executor = _adjoint(executor)
        self.dtype = dtype
        self.threads = threads
        self._conversions = Conversions(from_qiskit)

    def run(
        self,
        circuits: Sequence[QuantumCircuit],
        parameter_values: Sequence[Sequence[float]] | np.ndarray,
        parameters: Sequence[Sequence[Any] | None] | None = None,
        **options: Any,
    ) -> PrimitiveJob:
        """Start a job: the gradients of all outcomes of circuits[i] at parameter_values[i], for each i."""
        several: list[Any] = [circuits] if isinstance(circuits, QuantumCircuit) else list(circuits)
        chosen = [None] * len(several) if parameters is None else list(parameters)
        _check_lengths(circuits=several, parameter_values=parameter_values, parameters=chosen)
        known = _known(several, self._conversions)
        tasks = []
        for circuit, values, wanted in zip(several, parameter_values, chosen, strict=True):
            entry = known[id(circuit)]
            row = entry.row(values)
            tasks.append(_GradientTask(entry.found.circuit, _bits(entry.found), row, entry.columns(wanted)))
        job = PrimitiveJob(self._run, tasks, options)
        job._submit()
        return job

    def _run(self, tasks: Sequence[_GradientTask], options: Any) -> SamplerGradients:
        together: dict[Any, list[int]] = {}
        for k, task in enumerate(tasks):
            together.setdefault((task.circuit, task.observable), []).append(k)
        gradients: list[Any] = [None] * len(tasks)
        for (circuit, bits), places in together.items():
            qubits = tuple(dict.fromkeys(qubit for _, qubit in bits))
            function = probabilities_function(
                circuit, qubits, self.executor, np.dtype(self.dtype).name, self.threads
            )
            by_parameters = function.jacobian(_rows([tasks[k].values for k in places], circuit))[0]
            outcomes = _outcomes(bits, qubits)
            for row, k in enumerate(places):
                columns = _picked(by_parameters[row].T, tasks[k].columns)
                gradients[k] = [dict(zip(outcomes, column.tolist(), strict=True)) for column in columns]
        rule = [{"derivative_type": "adjoint", "parameters": len(task.columns)} for task in tasks]
        return SamplerGradients(gradients, rule, options)


def _bits(found: Imported) -> tuple[tuple[int, int], ...]:
    """(bit, qubit) of the classical register."""
    registers = {name for name, _, _ in found.measured}
    if len(registers) != 1:
        raise KetgradValueError(
            "A circuit whose outcomes are differentiated must measure into one classical register, but measures into "
            f"{', '.join(sorted(registers)) or 'none'}. Use measure_all()."
        )
    return tuple((bit, qubit) for _, bit, qubit in found.measured)


def _outcomes(bits: Sequence[tuple[int, int]], qubits: Sequence[int]) -> list[int]:
    """The integer of qiskit for each of our outcomes, in which the first of `qubits` is the most significant bit."""
    count = len(qubits)
    place = {qubit: count - 1 - k for k, qubit in enumerate(qubits)}
    return [sum((k >> place[qubit] & 1) << bit for bit, qubit in bits) for k in range(2**count)]


def _adjoint(executor: Any) -> Any:
    engine = executors.get(executor)
    if "adjoint" not in engine.abilities:
        raise KetgradValueError(f"`executor` must have the adjoint method, but {engine.name!r} has not.")
    return engine


def _check_lengths(**arguments: Any) -> None:
    lengths = {name: len(value) for name, value in arguments.items()}
    if len(set(lengths.values())) != 1:
        names = ", ".join(f"`{name}` ({length})" for name, length in lengths.items())
        raise KetgradValueError(
            f"All arguments must have one length - one entry for each value - but: {names}."
        )


def _refuse_other_size(observable: Any, circuit: QuantumCircuit) -> None:
    size = len(observable) if isinstance(observable, str) else getattr(observable, "num_qubits", None)
    if not isinstance(observable, PauliSum) and size not in (None, circuit.num_qubits):
        raise KetgradValueError(
            f"`observables` must act on the {circuit.num_qubits} qubits of the circuit, but one acts on {size}."
        )


def _rows(values: Sequence[Any], circuit: Circuit) -> np.ndarray:
    """The parameter sets as rows; the last parameters may have dropped out of the circuit."""
    return np.ascontiguousarray(np.array(values, dtype=np.float64)[:, : circuit.num_weights])


def _picked(by_weights: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The derivatives by the wanted parameters, zero for those that dropped out."""
    padded = np.zeros((columns.max(initial=-1) + 1, *by_weights.shape[1:]))
    count = min(len(padded), len(by_weights))
    padded[:count] = by_weights[:count]
    return padded[columns]


@dataclass(frozen=True, eq=False)
class _GradientTask:
    circuit: Circuit
    observable: Any  # a Pauli sum, or the measured bits
    values: np.ndarray
    columns: np.ndarray


def _known(circuits: Sequence[QuantumCircuit], convert: Conversions[Imported]) -> dict[int, _Known]:
    """Each circuit once, by its identity: they are compared and converted one time."""
    result: dict[int, _Known] = {}
    for circuit in circuits:
        if id(circuit) not in result:
            positions = {parameter.name: k for k, parameter in enumerate(circuit.parameters)}
            result[id(circuit)] = _Known(convert(circuit), positions)
    return result


@dataclass(frozen=True, eq=False)
class _Known:
    """A circuit of this run, and the positions of its parameters."""

    found: Imported
    positions: dict[str, int]
    chosen: dict[Any, np.ndarray] = field(default_factory=dict)

    def row(self, values: Any) -> np.ndarray:
        """One parameter set, which must have a value for each parameter and no more."""
        row = real_array(values, "parameter_values")
        if row.shape != (len(self.positions),):
            raise KetgradValueError(
                f"Each entry of `parameter_values` must have shape ({len(self.positions)},) - the circuit has so many "
                f"parameters - but one has shape {row.shape}."
            )
        return row

    def columns(self, wanted: Sequence[Any] | None) -> np.ndarray:
        """The positions of the wanted parameters."""
        if wanted is None:
            return np.arange(len(self.positions))
        names = tuple(parameter.name for parameter in wanted)
        if names not in self.chosen:
            absent = [name for name in names if name not in self.positions]
            if absent:
                raise KetgradValueError(
                    f"`parameters` must be parameters of the circuit, but {absent[0]!r} is none."
                )
            self.chosen[names] = np.array([self.positions[name] for name in names], dtype=np.intp)
        return self.chosen[names]
