"""The quantum approximate optimisation algorithm, with the optimum over all bit strings beside it."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad.circuits.ansatz import qaoa_ansatz
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradMemoryError
from ketgrad.foundation.numbers import check_count
from ketgrad.foundation.seeds import check_seed, stream
from ketgrad.functions.builders import samples
from ketgrad.functions.function import Function
from ketgrad.models.algorithms.problem_forms import Problem, read_problem
from ketgrad.models.algorithms.several_starts import (
    Minimum,
    check_width,
    child_seed,
    given_starts,
    minimum,
    noise_text,
    starts_text,
)
from ketgrad.problems.exact import diagonal_energies
from ketgrad.training.optimizers import Optimizer
from ketgrad.training.progress import Progress
from ketgrad.training.run import Fit

ENUMERATED = 20  # qubits up to which qaoa looks at every bit string


@dataclass(frozen=True, eq=False)
class QAOAResult:
    """What `qaoa` found, in the unit of the problem: the weight of a cut, the cost of a QUBO, an energy.

    sense: "cut" (larger is better), "cost" or "energy" (smaller is better). expected: the expectation value of the
    circuit. best_bits: the best of the measured bit strings, qubit 0 first; best_value: what it is worth; None where
    the state of all bits does not fit into memory, so that nothing can be measured.
    optimum, optimum_bits: over all bit strings, None beyond 20 qubits. approximation_ratio: (worst - expected) /
    (worst - optimum), 1 at the optimum; for cuts of positive weights the usual expected / optimum. None beyond 20.
    weights: gamma_1, beta_1, gamma_2, ... of `circuit`. history, fit, values, uncertainty (of `expected`): as in
    `VQEResult`. nodes: the names of the bits in the order of the bit strings: dict(zip(nodes, best_bits)).
    """

    sense: str
    expected: float
    best_bits: str | None
    best_value: float | None
    optimum: float | None
    optimum_bits: str | None
    approximation_ratio: float | None
    weights: np.ndarray = field(repr=False)
    circuit: Circuit = field(repr=False)
    history: np.ndarray = field(repr=False)
    fit: Fit = field(repr=False)
    values: tuple[float, ...]
    interrupted: bool = False
    uncertainty: float = 0.0
    nodes: tuple[Hashable, ...] = ()

    def __str__(self) -> str:
        name, size = self.sense, self.circuit.num_qubits
        first = "Largest" if name == "cut" else "Smallest"
        optimum = f"optimum  not computed beyond {ENUMERATED} qubits"
        if self.optimum is not None:
            ratio = f"approximation ratio {self.approximation_ratio:.6f}"
            optimum = f"optimum  {self.optimum:.10g} at {self.optimum_bits}   {ratio}"
        best = f"best     no bit string: to measure one takes the state of {size} qubits, which does not fit"
        if self.best_value is not None:
            best = f"best     {self.best_value:.10g} at {self.best_bits}, measured"
        return "\n".join(
            [
                f"{first} {name} of {size} bits by QAOA, depth {len(self.weights) // 2}",
                f"expected {self.expected:.10g}{noise_text(self.uncertainty)}",
                best,
                optimum,
                starts_text(self.values, self.fit, self.interrupted),
            ]
        )


def qaoa(
    problem: Any,
    depth: int = 1,
    optimizer: Optimizer | str | None = None,
    *,
    start: Any = None,
    num_starts: int = 6,
    max_steps: int = 1000,
    tolerance: float = 1e-12,
    shots: int = 1024,
    executor: Any = "native",
    gradient: Any = None,
    threads: int | None = None,
    seed: Any = 0,
    progress: Progress = False,
) -> QAOAResult:
    """The quantum approximate optimisation algorithm, beside the optimum over all bit strings.

    problem: a networkx graph or a list of edges (i, j) or (i, j, weight): the largest cut is sought; an array or a
    data frame (n, n) or a dictionary {(i, j): Q_ij}: the bits b with the smallest b Q b are sought; a `PauliSum` of
    Z words: the smallest energy is sought. Bits may be numbered or named; names keep the order of the nodes or
    columns, else that of first mention. (An adjacency matrix goes through `kg.hamiltonians.maxcut`.)
    depth: the number p of layers of `qaoa_ansatz`, with 2 p weights. optimizer, seed: as in `vqe`.
    start: weights (2p,) or (starts, 2p); None for a linear ramp and num_starts - 1 random points from `seed`.
    shots: measurements of the final state, of which the best bit string is reported. Of a wide register whose state
    does not fit none is: expectation values need only the state of the bits that a term sees, on a sparse graph few.
    The best of all starts is returned; Ctrl-C after the first step returns the best so far.
    Cost: one gradient of depth * (words + n) gates per step and start; up to 20 qubits also all 2**n values.
    Raises `KetgradValueError` for problems that are not diagonal or not well formed, `KetgradMemoryError` if the
    state of what a term sees does not fit.

    Farhi et al. 2014, arXiv:1411.4028.

    >>> square = [(0, 1), (1, 2), (2, 3), (0, 3)]
    >>> result = qaoa(square, depth=2)
    >>> round(result.expected, 6), result.optimum, result.best_value
    (4.0, 4.0, 4.0)
    """
    asked = read_problem(problem)
    check_width(asked.size)
    circuit, root = qaoa_ansatz(asked.energy, depth, asked.size), check_seed(seed)
    starts = (
        _starts(asked.energy, depth, num_starts, root) if start is None else given_starts(start, 2 * depth)
    )
    running = {"executor": executor, "gradient": gradient, "threads": threads}
    search = {"max_steps": max_steps, "tolerance": tolerance, "progress": progress}
    found = minimum(circuit, asked.energy, starts, optimizer, seed=root, **running, **search)
    options: dict[str, Any] = {"shots": shots, "executor": executor, "threads": threads}
    return _result(asked, circuit, found, _sampler(circuit, child_seed(root, 2), options))


def _result(asked: Problem, circuit: Circuit, found: Minimum, sampler: Function | None) -> QAOAResult:
    """The best start and the best of the measured bits, in the unit of the problem, beside the optimum."""
    bits, energy = _best_measured(asked.energy, sampler, found.fit.weights)
    sign = -1.0 if asked.sense == "cut" else 1.0
    optimum, optimum_bits, ratio = _optimum(asked.energy, asked.size, found.value)
    return QAOAResult(
        sense=asked.sense,
        expected=sign * found.value,
        best_bits=bits,
        best_value=None if energy is None else sign * energy,
        optimum=None if optimum is None else sign * optimum,
        optimum_bits=optimum_bits,
        approximation_ratio=ratio,
        weights=found.fit.weights,
        circuit=circuit,
        history=sign * found.fit.history,
        fit=found.fit,
        values=tuple(sign * value for value in found.values),
        interrupted=found.interrupted,
        uncertainty=found.uncertainty,
        nodes=asked.nodes,
    )


def _optimum(cost: PauliSum, size: int, expected: float) -> tuple[float | None, str | None, float | None]:
    """The lowest energy over all bit strings, its bits, and the approximation ratio; None beyond 20 qubits."""
    if size > ENUMERATED:
        return None, None, None
    energies = diagonal_energies(cost, size)
    least, most = float(energies.min()), float(energies.max())
    ratio = 1.0 if most == least else (most - expected) / (most - least)
    return least, f"{int(energies.argmin()):0{size}b}", ratio


def _starts(cost: PauliSum, depth: int, num_starts: int, seed: Any) -> np.ndarray:
    """First a ramp, an annealing path in `depth` steps; then anywhere within a period for unit weights."""
    count, layers = check_count(num_starts, "num_starts"), check_count(depth, "depth")
    typical = math.sqrt(np.mean([abs(2 * c) ** 2 for _, z, c in cost.terms if z] or [1.0]))
    times = (np.arange(layers) + 0.5) / layers
    ramp = np.stack([times, 1 - times], axis=1) * 0.75
    anywhere = stream(seed, 0).uniform(-1, 1, (count - 1, layers, 2)) * [math.pi / 2, math.pi / 4]
    starts = np.concatenate([ramp[None], anywhere])
    starts[:, :, 0] /= typical
    return starts.reshape(count, 2 * layers)


def _sampler(circuit: Circuit, seed: Any, options: dict[str, Any]) -> Function | None:
    """What measures the final state; None where that does not fit, though each word of an energy sees little of it."""
    try:
        return samples(circuit, seed=seed, **options)
    except KetgradMemoryError:
        return None


def _best_measured(
    cost: PauliSum, sampler: Function | None, weights: np.ndarray
) -> tuple[str | None, float | None]:
    """The measured bit string of the lowest energy and that energy; None where nothing can be measured."""
    if sampler is None:
        return None, None
    strings = np.unique(sampler(weights), axis=0)
    signs = 1.0 - 2.0 * strings
    energies = np.zeros(len(strings))
    for _, z, coefficient in cost.terms:
        word = [q for q in range(strings.shape[1]) if z >> q & 1]
        energies += complex(coefficient).real * signs[:, word].prod(axis=1)
    best = int(energies.argmin())
    return "".join(map(str, strings[best])), float(energies[best])
