"""Circuits of qiskit all of whose parameters get values: what the primitives run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression, QuantumCircuit

from ketgrad.bridges.qiskit.angles import value_of
from ketgrad.bridges.qiskit.reader import Imported, computable, from_qiskit
from ketgrad.foundation.errors import KetgradValueError


@dataclass(frozen=True, eq=False)
class Evaluable:
    """A circuit, and how its weights follow from rows of its parameters.

    found: None where the circuit can only be read with numbers in place of its parameters; `template` is it then.
    computed: expressions that no angle holds, the weights after the parameters. columns: the place of each parameter.
    """

    found: Imported | None
    computed: tuple[ParameterExpression, ...]
    columns: Mapping[Parameter, int]
    template: QuantumCircuit | None

    @property
    def key(self) -> Any:
        """Equal for circuits whose parameter sets may be rows of one call."""
        if self.found is None:
            return id(self)
        return self.found.circuit, self.computed, tuple(self.columns) if self.computed else ()

    def parts(self, rows: np.ndarray) -> Iterator[tuple[Imported, np.ndarray]]:
        """(conversion, rows of its weights): all rows at once, or row by row where the circuit must be bound first.

        rows: (n, parameters), in the order of `circuit.parameters`.
        """
        if self.found is not None:
            yield self.found, self._weights(rows, self.found.circuit.num_weights)
            return
        assert self.template is not None
        for row in rows:
            yield from_qiskit(self.template.assign_parameters(row)), np.zeros((1, 0))

    def check(self, rows: np.ndarray) -> Imported | None:
        """The conversion, that of the first row if need be: what cannot be read raises here. None without rows."""
        return self.found or next((found for found, _ in self.parts(rows[:1])), None)

    def _weights(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Rows of weights as far as the circuit reads them: the last parameters may have dropped out of it."""
        if not self.computed:
            return np.ascontiguousarray(rows[:, :count])
        values = [[self._value(part, row) for part in self.computed] for row in rows]
        return np.hstack([rows, np.array(values, dtype=np.float64).reshape(len(rows), -1)])

    def _value(self, expression: ParameterExpression, row: np.ndarray) -> float:
        values = {parameter: float(row[self.columns[parameter]]) for parameter in expression.parameters}
        number = value_of(expression, values)
        if not np.isfinite(number):
            shown = ", ".join(f"{parameter.name} = {value:g}" for parameter, value in values.items())
            raise KetgradValueError(
                f"The expression {expression} is an angle, so it must be a finite real number, but is none at {shown}."
            )
        return number


def evaluable(circuit: QuantumCircuit) -> Evaluable:
    """The conversion of a circuit for callers that know the values of all parameters.

    Raises `KetgradValueError` for a circuit without parameters that cannot be read.
    """
    columns = {parameter: k for k, parameter in enumerate(circuit.parameters)}
    try:
        found, computed = computable(circuit)
    except KetgradValueError:
        if not columns:
            raise
        return Evaluable(None, (), columns, circuit.copy())  # its owner may change it later
    return Evaluable(found, computed, columns, None)
