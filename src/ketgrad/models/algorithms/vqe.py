"""The variational quantum eigensolver, with the exact energy beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad.circuits.ansatz import ansatz_named, two_local
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import check_count
from ketgrad.foundation.seeds import check_seed, stream
from ketgrad.models.algorithms.several_starts import (
    check_width,
    given_starts,
    minimum,
    noise_text,
    starts_text,
)
from ketgrad.problems.exact import exact_ground_state, num_qubits_of
from ketgrad.training.optimizers import Optimizer
from ketgrad.training.progress import Progress
from ketgrad.training.run import Fit

WIDEST = 60  # qubits up to which a circuit of n layers is made, and refused where its state does not fit
DIAGONALISED = 12  # qubits up to which vqe computes the exact energy: well under a second


@dataclass(frozen=True, eq=False)
class VQEResult:
    """What `vqe` found. Energies in the unit of the Hamiltonian.

    energy: the expectation value at `weights`. exact: the ground state energy by diagonalisation, None if there are
    more than 12 qubits. error: energy - exact. weights: of `circuit`, those of the best start. history: the energy
    after each step of that start. fit: its `Fit`. energies: of all starts at their ends.
    uncertainty: the standard error of `energy`, 0 for exact values, where `error` is not below 0 except by rounding.
    With finite shots energies are measured anew at the weights that are returned, 100 times (those of all starts to
    choose one, then that one again), never taken from the search, whose lowest value would be a lucky one; `error`
    then carries the uncertainty and may be below 0.
    """

    energy: float
    exact: float | None
    error: float | None
    weights: np.ndarray = field(repr=False)
    circuit: Circuit = field(repr=False)
    history: np.ndarray = field(repr=False)
    fit: Fit = field(repr=False)
    energies: tuple[float, ...]
    interrupted: bool = False
    uncertainty: float = 0.0

    def __str__(self) -> str:
        if self.exact is None:
            beside = (
                f"exact    not computed beyond {DIAGONALISED} qubits (kg.hamiltonians.exact_ground_state)"
            )
        else:
            beside = f"exact    {self.exact:.10f}   error {self.error:.2g}"
        return "\n".join(
            [
                f"Ground state energy of {self.circuit.num_qubits} qubits by VQE, {len(self.weights)} weights",
                f"energy   {self.energy:.10f}{noise_text(self.uncertainty)}",
                beside,
                starts_text(self.energies, self.fit, self.interrupted),
            ]
        )


def vqe(
    hamiltonian: PauliSum,
    ansatz: Circuit | str | None = None,
    optimizer: Optimizer | str | None = None,
    *,
    start: Any = None,
    num_starts: int = 6,
    max_steps: int = 1000,
    tolerance: float = 1e-11,
    executor: Any = "native",
    gradient: Any = None,
    threads: int | None = None,
    seed: Any = 0,
    progress: Progress = False,
) -> VQEResult:
    """The variational quantum eigensolver: the lowest energy that a circuit reaches, beside the exact one.

    hamiltonian: a Hermitian `PauliSum`. ansatz: a circuit without inputs, the name of one in `ansatz.ANSATZE`, or
    None for RY (and RZ if the Hamiltonian is complex) with a chain of CX, max(3, n) layers. Registers may be of any
    width, where the circuit is so shallow that each word of the Hamiltonian sees few qubits: then few are simulated.
    optimizer: None for `LBFGSB()`, or `Adam()` where the executor has shots, whose noise a line search cannot use;
    a name or a value as in `minimise`. start: weights (W,) or (starts, W); None draws `num_starts` of them, half
    close to zero and half anywhere, from `seed`. max_steps, tolerance, progress: as in `minimise`. seed: of the
    starts, of the optimiser and of the measurements, which are fresh at every step.
    The best of all starts is returned; Ctrl-C after the first step returns the best so far.
    Cost: one energy and gradient per step and start; up to 12 qubits also a diagonalisation.
    Raises `KetgradValueError` for an ansatz with inputs, without weights or too small, and for a Hamiltonian that
    is not Hermitian; `KetgradMemoryError` if the state of what a word sees does not fit.

    Peruzzo et al. 2014, arXiv:1304.3061.

    >>> result = vqe(kg.hamiltonians.molecule("H2"))
    >>> round(result.energy, 6), result.error < 1e-6
    (-1.137306, True)
    """
    circuit, root = _trial_circuit(hamiltonian, ansatz), check_seed(seed)
    starts = _starts(start, circuit.num_weights, num_starts, root)
    running = {"executor": executor, "gradient": gradient, "threads": threads}
    search = {"max_steps": max_steps, "tolerance": tolerance, "progress": progress}
    found = minimum(circuit, hamiltonian, starts, optimizer, seed=root, **running, **search)
    exact = None
    if circuit.num_qubits <= DIAGONALISED:
        exact = exact_ground_state(hamiltonian, circuit.num_qubits).energy
    return VQEResult(
        energy=found.value,
        exact=exact,
        error=None if exact is None else found.value - exact,
        weights=found.fit.weights,
        circuit=circuit,
        history=found.fit.history,
        fit=found.fit,
        energies=found.values,
        interrupted=found.interrupted,
        uncertainty=found.uncertainty,
    )


def _trial_circuit(hamiltonian: PauliSum, ansatz: Circuit | str | None) -> Circuit:
    size = num_qubits_of(hamiltonian)
    if isinstance(ansatz, str):
        check_width(size)
        ansatz = ansatz_named(ansatz)(size)
    if ansatz is None:
        check_width(size, WIDEST)  # so many layers let every qubit see all others
        is_real = all((x & z).bit_count() % 2 == 0 for x, z, _ in hamiltonian.terms)
        return two_local(size, ("ry",) if is_real else ("ry", "rz"), "cx", "linear", max(3, size))
    ansatz = as_circuit(ansatz, "ansatz")
    if ansatz.num_inputs:
        raise KetgradValueError(
            f"`ansatz` must have no inputs - an energy has no data - but reads x[0] to x[{ansatz.num_inputs - 1}]. "
            "Use `circuit.encode` to put numbers in their place."
        )
    if not ansatz.num_weights:
        raise KetgradValueError(
            "`ansatz` must have weights w[0], ... - they are what is trained - but has none."
        )
    if ansatz.num_qubits < size:
        raise KetgradValueError(
            f"`ansatz` must have at least {size} qubits - the Hamiltonian acts on them - but has {ansatz.num_qubits}."
        )
    return ansatz


def _starts(start: Any, num_weights: int, num_starts: int, seed: Any) -> np.ndarray:
    """Alternately near zero, where circuits are close to the identity and gradients are large, and anywhere."""
    if start is not None:
        return given_starts(start, num_weights)
    count = check_count(num_starts, "num_starts")
    spread = np.where(np.arange(count) % 2 == 0, 0.3, math.pi)[:, None]
    return spread * stream(seed, 0).uniform(-1, 1, (count, num_weights))
