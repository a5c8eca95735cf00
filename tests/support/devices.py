"""Devices that report counts and nothing else, and an executor with noise: material for the tests of executors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad.executors import Counts, Execution, counted, get
from ketgrad.executors.sampled import Sampled
from ketgrad.programs.program import Program
from ketgrad.programs.questions import Expect, Probabilities


@dataclass(frozen=True)
class FakeDevice:
    """The reference executor behind counts. `jobs` holds (circuits, rows, shots) of each job that was sent."""

    shots: int = 1000
    abilities: frozenset[str] = frozenset({"shots", "remote"})
    jobs: list[tuple[int, int, int]] = field(default_factory=list, compare=False)

    name = "fake"

    @property
    def executions(self) -> int:
        """Circuits that were run."""
        return sum(circuits * rows for circuits, rows, _ in self.jobs)

    def counts(
        self,
        programs: Sequence[Program],
        weights: np.ndarray,
        inputs: np.ndarray,
        *,
        shots: int,
        rng: np.random.Generator,
    ) -> list[Counts]:
        """What the measured qubits of each program gave, only outcomes that were seen."""
        self.jobs.append((len(programs), max(len(weights), len(inputs)), shots))
        tables = []
        for program in programs:
            drawn = rng.multinomial(shots, get("reference").run(program, weights, inputs))
            tables.append(
                counted([{k: int(n) for k, n in enumerate(row) if n} for row in np.atleast_2d(drawn)])
            )
        return tables


@dataclass(frozen=True)
class WideDevice:
    """Finds every qubit in |1> in all but the first of its shots, however many qubits there are."""

    name = "wide"
    abilities = frozenset({"shots", "remote"})
    shots = 4

    def counts(
        self,
        programs: Sequence[Program],
        weights: np.ndarray,
        inputs: np.ndarray,
        *,
        shots: int,
        rng: np.random.Generator,
    ) -> list[Counts]:
        """Zeros once, and ones."""
        rows = max(len(weights), len(inputs))
        return [counted([{0: 1, 2 ** len(p.measured) - 1: shots - 1}] * rows) for p in programs]


@dataclass(frozen=True)
class Depolarised:
    """Exact values after the whole register was replaced, with probability `strength`, by a uniform mixture."""

    strength: float = 0.2
    name = "depolarised"
    abilities = frozenset({"exact", "adjoint", "noise"})
    shots = None

    def with_shots(self, shots: int) -> Sampled:
        """Outcomes drawn from the probabilities that this executor gives."""
        return Sampled(self, shots)

    def describe(self, program: Program) -> Execution:
        """States of all qubits, and their mixture in closed form."""
        return Execution("states of the reference, mixed", program.num_qubits)

    def run(self, program: Program, weights: np.ndarray, inputs: np.ndarray, **options: Any) -> np.ndarray:
        """(1 - strength) times the value of the pure state, and strength times that of the uniform mixture."""
        return self._mixed(program, get("reference").run(program, weights, inputs, **options))

    def vjp(
        self, program: Program, weights: np.ndarray, inputs: np.ndarray, cotangent: np.ndarray, **options: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mixture does not depend on the angles."""
        found = get("reference").vjp(program, weights, inputs, cotangent, **options)
        values, *derivatives = found
        return self._mixed(program, values), *((1 - self.strength) * d for d in derivatives)

    def _mixed(self, program: Program, pure: np.ndarray) -> np.ndarray:
        if isinstance(program.question, Probabilities):
            uniform: Any = 1 / program.num_outputs
        else:  # all words but the identity have trace zero
            assert isinstance(program.question, Expect)
            terms = [observable.terms for observable in program.question.observables]
            uniform = [sum(complex(c).real for x, z, c in words if not x | z) for words in terms]
        return (1 - self.strength) * pure + self.strength * np.array(uniform)
