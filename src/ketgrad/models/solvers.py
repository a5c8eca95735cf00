"""Variational algorithms with the exact answer beside theirs: ground states (vqe) and optimisation (qaoa)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad.ansatz import ansatz_named, qaoa_ansatz, two_local
from ketgrad.arguments import real_array
from ketgrad.circuit import Circuit
from ketgrad.errors import KetgradTypeError, KetgradValueError
from ketgrad.function import Function, expectation, samples
from ketgrad.hamiltonians import (
    diagonal_energies,
    exact_ground_state,
    graph_edges,
    maxcut,
    num_qubits_of,
    qubo,
)
from ketgrad.memory import reserve, state_bytes
from ketgrad.optimize import LBFGSB, Optimizer, minimise
from ketgrad.patterns import check_count
from ketgrad.paulis import PauliSum
from ketgrad.search import Fit, Step
from ketgrad.streams import check_seed, stream

DIAGONALISED = 12  # qubits up to which vqe computes the exact energy: well under a second
ENUMERATED = 20  # qubits up to which qaoa looks at every bit string

Progress = bool | Callable[[Step], Any]


@dataclass(frozen=True, eq=False)
class VQEResult:
    """What `vqe` found. Energies in the unit of the Hamiltonian.

    energy: the lowest expectation value. exact: the ground state energy by diagonalisation, None if there are more
    than 12 qubits. error: energy - exact, not below 0 except by rounding. weights: of `circuit`, at `energy`.
    history: the energy after each step of the best start. fit: that start's `Fit`. energies: of all starts.
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
                f"energy   {self.energy:.10f}",
                beside,
                _starts_text(self.energies, self.fit, self.interrupted),
            ]
        )


@dataclass(frozen=True, eq=False)
class QAOAResult:
    """What `qaoa` found, in the unit of the problem: the weight of a cut, the cost of a QUBO, an energy.

    sense: "cut" (larger is better), "cost" or "energy" (smaller is better). expected: the expectation value of the
    circuit. best_bits: the best of the measured bit strings, qubit 0 first; best_value: what it is worth.
    optimum, optimum_bits: over all bit strings, None beyond 20 qubits. approximation_ratio: (worst - expected) /
    (worst - optimum), 1 at the optimum; for cuts of positive weights the usual expected / optimum. None beyond 20.
    weights: gamma_1, beta_1, gamma_2, ... of `circuit`. history, fit, values: as in `VQEResult`.
    """

    sense: str
    expected: float
    best_bits: str
    best_value: float
    optimum: float | None
    optimum_bits: str | None
    approximation_ratio: float | None
    weights: np.ndarray = field(repr=False)
    circuit: Circuit = field(repr=False)
    history: np.ndarray = field(repr=False)
    fit: Fit = field(repr=False)
    values: tuple[float, ...]
    interrupted: bool = False

    def __str__(self) -> str:
        name, size = self.sense, self.circuit.num_qubits
        first = "Largest" if name == "cut" else "Smallest"
        optimum = f"optimum  not computed beyond {ENUMERATED} qubits"
        if self.optimum is not None:
            ratio = f"approximation ratio {self.approximation_ratio:.6f}"
            optimum = f"optimum  {self.optimum:.10g} at {self.optimum_bits}   {ratio}"
        return "\n".join(
            [
                f"{first} {name} of {size} bits by QAOA, depth {len(self.weights) // 2}",
                f"expected {self.expected:.10g}",
                f"best     {self.best_value:.10g} at {self.best_bits}, measured",
                optimum,
                _starts_text(self.values, self.fit, self.interrupted),
            ]
        )


def vqe(
    hamiltonian: PauliSum,
    ansatz: Circuit | str | None = None,
    optimizer: Optimizer | None = None,
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
    None for RY (and RZ if the Hamiltonian is complex) with a chain of CX, max(3, n) layers.
    optimizer: None for `LBFGSB()`. start: weights (W,) or (starts, W); None draws `num_starts` of them, half close
    to zero and half anywhere, from `seed`. max_steps, tolerance, progress: as in `minimise`.
    The best of all starts is returned; Ctrl-C returns the best so far.
    Cost: one energy and gradient per step and start; up to 12 qubits also a diagonalisation.
    Raises `KetgradValueError` for an ansatz with inputs, without weights or too small, and for a Hamiltonian that
    is not Hermitian; `KetgradMemoryError` if the state does not fit.

    Peruzzo et al. 2014, arXiv:1304.3061.

    >>> result = vqe(kg.hamiltonians.molecule("H2"))
    >>> round(result.energy, 6), result.error < 1e-6
    (-1.137306, True)
    """
    circuit = _trial_circuit(hamiltonian, ansatz)
    function = expectation(circuit, hamiltonian, executor=executor, gradient=gradient, threads=threads)
    fits, interrupted = _minimise_all(
        _loss(function),
        _starts(start, circuit.num_weights, num_starts, seed),
        optimizer,
        max_steps=max_steps,
        tolerance=tolerance,
        seed=seed,
        progress=progress,
    )
    best = _best(fits)
    exact = None
    if circuit.num_qubits <= DIAGONALISED:
        exact = exact_ground_state(hamiltonian, circuit.num_qubits).energy
    return VQEResult(
        energy=best.value,
        exact=exact,
        error=None if exact is None else best.value - exact,
        weights=best.weights,
        circuit=circuit,
        history=best.history,
        fit=best,
        energies=tuple(fit.value for fit in fits),
        interrupted=interrupted,
    )


def qaoa(
    problem: Any,
    depth: int = 1,
    optimizer: Optimizer | None = None,
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

    problem: a networkx graph or a list of edges (i, j) or (i, j, weight): the largest cut is sought; an array
    (n, n) or a dictionary {(i, j): Q_ij}: the bits b with the smallest b Q b are sought; a `PauliSum` of Z words:
    the smallest energy is sought. (An adjacency matrix goes through `kg.hamiltonians.maxcut`.)
    depth: the number p of layers of `qaoa_ansatz`, with 2 p weights. optimizer: None for `LBFGSB()`.
    start: weights (2p,) or (starts, 2p); None for a linear ramp and num_starts - 1 random points from `seed`.
    shots: measurements of the final state, of which the best bit string is reported.
    The best of all starts is returned; Ctrl-C returns the best so far.
    Cost: one gradient of depth * (words + n) gates per step and start; up to 20 qubits also all 2**n values.
    Raises `KetgradValueError` for problems that are not diagonal or not well formed, `KetgradMemoryError` if the
    state does not fit.

    Farhi et al. 2014, arXiv:1411.4028.

    >>> square = [(0, 1), (1, 2), (2, 3), (0, 3)]
    >>> result = qaoa(square, depth=2)
    >>> round(result.expected, 6), result.optimum, result.best_value
    (4.0, 4.0, 4.0)
    """
    cost, size, sense = _problem(problem)
    _check_memory(size)
    circuit = qaoa_ansatz(cost, depth, size)
    function = expectation(circuit, cost, executor=executor, gradient=gradient, threads=threads)
    fits, interrupted = _minimise_all(
        _loss(function),
        _qaoa_starts(cost, depth, num_starts, seed) if start is None else _given_starts(start, 2 * depth),
        optimizer,
        max_steps=max_steps,
        tolerance=tolerance,
        seed=seed,
        progress=progress,
    )
    best = _best(fits)
    sampler = samples(circuit, shots=shots, executor=executor, threads=threads, seed=_child(seed, 2))
    bits, energy = _best_measured(cost, sampler(best.weights))
    sign = -1.0 if sense == "cut" else 1.0
    optimum, optimum_bits, ratio = None, None, None
    if size <= ENUMERATED:
        energies = diagonal_energies(cost, size)
        least, most = float(energies.min()), float(energies.max())
        optimum, optimum_bits = sign * least, f"{int(energies.argmin()):0{size}b}"
        ratio = 1.0 if most == least else (most - best.value) / (most - least)
    return QAOAResult(
        sense=sense,
        expected=sign * best.value,
        best_bits=bits,
        best_value=sign * energy,
        optimum=optimum,
        optimum_bits=optimum_bits,
        approximation_ratio=ratio,
        weights=best.weights,
        circuit=circuit,
        history=sign * best.history,
        fit=best,
        values=tuple(sign * fit.value for fit in fits),
        interrupted=interrupted,
    )


def _trial_circuit(hamiltonian: PauliSum, ansatz: Circuit | str | None) -> Circuit:
    size = num_qubits_of(hamiltonian)
    _check_memory(size)
    if isinstance(ansatz, str):
        ansatz = ansatz_named(ansatz)(size)
    if ansatz is None:
        is_real = all((x & z).bit_count() % 2 == 0 for x, z, _ in hamiltonian.terms)
        return two_local(size, ("ry",) if is_real else ("ry", "rz"), "cx", "linear", max(3, size))
    if not isinstance(ansatz, Circuit):
        raise KetgradTypeError(
            f"`ansatz` must be a kg.Circuit, a name or None, but is {type(ansatz).__name__}."
        )
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


def _check_memory(num_qubits: int) -> None:
    """Refuse before a circuit is built: the ansatz of a million qubits alone would take minutes."""
    reserve(
        state_bytes(num_qubits),
        f"the state of {num_qubits} qubits",
        "Every amplitude is kept: use fewer qubits.",
    )


def _problem(problem: Any) -> tuple[PauliSum, int, str]:
    """The energy to minimise, the number of bits, and what it is called."""
    if isinstance(problem, PauliSum):
        return problem, num_qubits_of(problem), "energy"
    if isinstance(problem, np.ndarray):
        return qubo(problem), len(problem), "cost"
    if isinstance(problem, Mapping):
        cost = qubo(problem)
        return cost, 1 + max((k for pair in problem for k in pair), default=0), "cost"
    size, _ = graph_edges(problem)
    return maxcut(problem), size, "cut"


def _loss(function: Function) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    def energy(weights: np.ndarray) -> tuple[float, np.ndarray]:
        values, gradient, _ = function.vjp(weights, None, np.ones(1))
        return float(values[0]), gradient

    return energy


def _minimise_all(
    loss: Callable[[np.ndarray], tuple[float, np.ndarray]],
    starts: np.ndarray,
    optimizer: Optimizer | None,
    *,
    max_steps: int,
    tolerance: float,
    seed: Any,
    progress: Progress,
) -> tuple[list[Fit], bool]:
    """The fits from all starts, and whether Ctrl-C ended them early."""
    fits: list[Fit] = []
    for k, start in enumerate(starts):
        try:
            fit = minimise(
                loss,
                start,
                LBFGSB() if optimizer is None else optimizer,
                max_steps=max_steps,
                tolerance=tolerance,
                progress=progress,
                seed=_child(seed, 1, k),
            )
        except KeyboardInterrupt:
            if not fits:  # nothing to keep yet
                raise
            return fits, True
        fits.append(fit)
        if fit.interrupted:
            return fits, True
    return fits, False


def _best(fits: list[Fit]) -> Fit:
    """The lowest; among equals up to rounding the first, so that the answer does not hang on the last digit."""
    least = min(fit.value for fit in fits)
    return next(fit for fit in fits if fit.value <= least + 1e-12 * max(1.0, abs(least)))


def _starts(start: Any, num_weights: int, num_starts: int, seed: Any) -> np.ndarray:
    """Alternately near zero, where circuits are close to the identity and gradients are large, and anywhere."""
    if start is not None:
        return _given_starts(start, num_weights)
    count = check_count(num_starts, "num_starts")
    spread = np.where(np.arange(count) % 2 == 0, 0.3, math.pi)[:, None]
    return spread * stream(seed, 0).uniform(-1, 1, (count, num_weights))


def _qaoa_starts(cost: PauliSum, depth: int, num_starts: int, seed: Any) -> np.ndarray:
    """First a ramp, an annealing path in `depth` steps; then anywhere within a period for unit weights."""
    count, layers = check_count(num_starts, "num_starts"), check_count(depth, "depth")
    typical = math.sqrt(np.mean([abs(2 * c) ** 2 for _, z, c in cost.terms if z] or [1.0]))
    times = (np.arange(layers) + 0.5) / layers
    ramp = np.stack([times, 1 - times], axis=1) * 0.75
    anywhere = stream(seed, 0).uniform(-1, 1, (count - 1, layers, 2)) * [math.pi / 2, math.pi / 4]
    starts = np.concatenate([ramp[None], anywhere])
    starts[:, :, 0] /= typical
    return starts.reshape(count, 2 * layers)


def _given_starts(start: Any, num_weights: int) -> np.ndarray:
    array = np.atleast_2d(real_array(start, "start").astype(np.float64))
    if array.ndim != 2 or array.shape[1] != num_weights:
        raise KetgradValueError(
            f"`start` must have shape ({num_weights},) or (starts, {num_weights}) - one number per weight - but has "
            f"shape {np.shape(start)}."
        )
    return array


def _child(seed: Any, *counters: int) -> np.random.SeedSequence:
    root = check_seed(seed)
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *counters))


def _best_measured(cost: PauliSum, bits: np.ndarray) -> tuple[str, float]:
    """The measured bit string of the lowest energy and that energy; bits (shots, n)."""
    strings = np.unique(bits, axis=0)
    signs = 1.0 - 2.0 * strings
    energies = np.zeros(len(strings))
    for _, z, coefficient in cost.terms:
        word = [q for q in range(strings.shape[1]) if z >> q & 1]
        energies += complex(coefficient).real * signs[:, word].prod(axis=1)
    best = int(energies.argmin())
    return "".join(map(str, strings[best])), float(energies[best])


def _starts_text(values: tuple[float, ...], fit: Fit, interrupted: bool) -> str:
    many = f"best of {len(values)} starts" if len(values) > 1 else "one start"
    state = "converged" if fit.converged else "not converged"
    return f"{'interrupted, ' * interrupted}{many}, {fit.steps} steps in {fit.seconds:.2g} s: {state}, {fit.reason}"
