"""Variational algorithms with the exact answer beside theirs: ground states (vqe) and optimisation (qaoa)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ketgrad.circuits.ansatz import ansatz_named, qaoa_ansatz, two_local
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.arrays import real_array
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import reserve, state_bytes
from ketgrad.foundation.numbers import check_count
from ketgrad.foundation.seeds import check_seed, stream
from ketgrad.functions.builders import expectation, samples
from ketgrad.functions.function import Function
from ketgrad.functions.gradients.rules import begun_anew
from ketgrad.models.algorithms.problems import read_problem
from ketgrad.problems.exact import diagonal_energies, exact_ground_state, num_qubits_of
from ketgrad.training.minimise import minimised, warn_if_flat
from ketgrad.training.noise import by_adam, noise_of, optimizer_for
from ketgrad.training.optimizers import Optimizer
from ketgrad.training.progress import Progress
from ketgrad.training.run import ASKED, Fit

DIAGONALISED = 12  # qubits up to which vqe computes the exact energy: well under a second
ENUMERATED = 20  # qubits up to which qaoa looks at every bit string
REPEATS = 100  # fresh evaluations behind an energy from finite shots: a tenth of the noise of one


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
                f"energy   {self.energy:.10f}{_noise_text(self.uncertainty)}",
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
    weights: gamma_1, beta_1, gamma_2, ... of `circuit`. history, fit, values, uncertainty (of `expected`): as in
    `VQEResult`. nodes: the names of the bits in the order of the bit strings: dict(zip(nodes, best_bits)).
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
    uncertainty: float = 0.0
    nodes: tuple[Hashable, ...] = ()

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
                f"expected {self.expected:.10g}{_noise_text(self.uncertainty)}",
                f"best     {self.best_value:.10g} at {self.best_bits}, measured",
                optimum,
                _starts_text(self.values, self.fit, self.interrupted),
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
    None for RY (and RZ if the Hamiltonian is complex) with a chain of CX, max(3, n) layers.
    optimizer: None for `LBFGSB()`, or `Adam()` where the executor has shots, whose noise a line search cannot use;
    a name or a value as in `minimise`. start: weights (W,) or (starts, W); None draws `num_starts` of them, half
    close to zero and half anywhere, from `seed`. max_steps, tolerance, progress: as in `minimise`. seed: of the
    starts, of the optimiser and of the measurements, which are fresh at every step.
    The best of all starts is returned; Ctrl-C after the first step returns the best so far.
    Cost: one energy and gradient per step and start; up to 12 qubits also a diagonalisation.
    Raises `KetgradValueError` for an ansatz with inputs, without weights or too small, and for a Hamiltonian that
    is not Hermitian; `KetgradMemoryError` if the state does not fit.

    Peruzzo et al. 2014, arXiv:1304.3061.

    >>> result = vqe(kg.hamiltonians.molecule("H2"))
    >>> round(result.energy, 6), result.error < 1e-6
    (-1.137306, True)
    """
    circuit, root = _trial_circuit(hamiltonian, ansatz), check_seed(seed)
    rule = begun_anew(gradient, _child(root, 4))
    options: dict[str, Any] = {"executor": executor, "gradient": rule, "threads": threads}
    function = expectation(circuit, hamiltonian, seed=_child(root, 3), **options)
    fits, interrupted = _minimise_all(
        function,
        _starts(start, circuit.num_weights, num_starts, root),
        optimizer,
        max_steps=max_steps,
        tolerance=tolerance,
        seed=root,
        progress=progress,
    )
    warn_if_flat(fits)
    best, energy, energies, uncertainty = _best(function, fits)
    exact = None
    if circuit.num_qubits <= DIAGONALISED:
        exact = exact_ground_state(hamiltonian, circuit.num_qubits).energy
    return VQEResult(
        energy=energy,
        exact=exact,
        error=None if exact is None else energy - exact,
        weights=best.weights,
        circuit=circuit,
        history=best.history,
        fit=best,
        energies=energies,
        interrupted=interrupted,
        uncertainty=uncertainty,
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
    shots: measurements of the final state, of which the best bit string is reported.
    The best of all starts is returned; Ctrl-C after the first step returns the best so far.
    Cost: one gradient of depth * (words + n) gates per step and start; up to 20 qubits also all 2**n values.
    Raises `KetgradValueError` for problems that are not diagonal or not well formed, `KetgradMemoryError` if the
    state does not fit.

    Farhi et al. 2014, arXiv:1411.4028.

    >>> square = [(0, 1), (1, 2), (2, 3), (0, 3)]
    >>> result = qaoa(square, depth=2)
    >>> round(result.expected, 6), result.optimum, result.best_value
    (4.0, 4.0, 4.0)
    """
    cost, size, sense, nodes = read_problem(problem)
    _check_memory(size)
    circuit, root = qaoa_ansatz(cost, depth, size), check_seed(seed)
    rule = begun_anew(gradient, _child(root, 4))
    options: dict[str, Any] = {"executor": executor, "gradient": rule, "threads": threads}
    function = expectation(circuit, cost, seed=_child(root, 3), **options)
    fits, interrupted = _minimise_all(
        function,
        _qaoa_starts(cost, depth, num_starts, root) if start is None else _given_starts(start, 2 * depth),
        optimizer,
        max_steps=max_steps,
        tolerance=tolerance,
        seed=root,
        progress=progress,
    )
    warn_if_flat(fits)
    best, expected, values, uncertainty = _best(function, fits)
    sampler = samples(circuit, shots=shots, executor=executor, threads=threads, seed=_child(root, 2))
    bits, energy = _best_measured(cost, sampler(best.weights))
    sign = -1.0 if sense == "cut" else 1.0
    optimum, optimum_bits, ratio = None, None, None
    if size <= ENUMERATED:
        energies = diagonal_energies(cost, size)
        least, most = float(energies.min()), float(energies.max())
        optimum, optimum_bits = sign * least, f"{int(energies.argmin()):0{size}b}"
        ratio = 1.0 if most == least else (most - expected) / (most - least)
    return QAOAResult(
        sense=sense,
        expected=sign * expected,
        best_bits=bits,
        best_value=sign * energy,
        optimum=optimum,
        optimum_bits=optimum_bits,
        approximation_ratio=ratio,
        weights=best.weights,
        circuit=circuit,
        history=sign * best.history,
        fit=best,
        values=tuple(sign * value for value in values),
        interrupted=interrupted,
        uncertainty=uncertainty,
        nodes=nodes,
    )


def _trial_circuit(hamiltonian: PauliSum, ansatz: Circuit | str | None) -> Circuit:
    size = num_qubits_of(hamiltonian)
    _check_memory(size)
    if isinstance(ansatz, str):
        ansatz = ansatz_named(ansatz)(size)
    if ansatz is None:
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


def _check_memory(num_qubits: int) -> None:
    """Refuse before a circuit is built: the ansatz of a million qubits alone would take minutes."""
    reserve(
        state_bytes(num_qubits),
        f"the state of {num_qubits} qubits",
        "Every amplitude is kept: use fewer qubits.",
    )


def _loss(function: Function) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    def energy(weights: np.ndarray) -> tuple[float, np.ndarray]:
        values, gradient, _ = function.vjp(weights, None, np.ones(1))
        return float(values[0]), gradient

    return energy


def _value(function: Function) -> Callable[[np.ndarray], float]:
    return lambda weights: float(function(weights)[0])


def _minimise_all(
    function: Function,
    starts: np.ndarray,
    optimizer: Optimizer | str | None,
    *,
    max_steps: int,
    tolerance: float,
    seed: Any,
    progress: Progress,
) -> tuple[list[Fit], bool]:
    """The fits from all starts, and whether Ctrl-C ended them early."""
    noise = noise_of(function)
    method = optimizer_for(optimizer, noise)
    fits: list[Fit] = []
    for k, start in enumerate(starts):
        try:
            fit = minimised(
                _loss(function),
                start,
                method,
                value_alone=_value(function),
                max_steps=max_steps,
                tolerance=tolerance,
                stochastic=noise is not None and noise.in_values,
                progress=progress,
                seed=_child(seed, 1, k),
            )
        except KeyboardInterrupt:
            if not fits:  # nothing to keep yet
                raise
            return fits, True
        fits.append(fit if optimizer is not None or noise is None else by_adam(fit, noise))
        if fit.interrupted or fit.reason == ASKED:
            return fits, fit.interrupted
    return fits, False


class Best(NamedTuple):
    """The best start, its value, the values of all starts, and the standard error of that value."""

    fit: Fit
    value: float
    values: tuple[float, ...]
    uncertainty: float


def _best(function: Function, fits: list[Fit]) -> Best:
    """The lowest start; among equals up to rounding the first, so that the answer does not hang on the last digit.

    With finite shots the values are measured anew: once to choose, and again to report, for the lowest of several
    noisy values is too low on average.
    """
    noise = noise_of(function)
    if noise is None or not noise.in_values:
        values = tuple(fit.value for fit in fits)
        least = min(values)
        first = next(k for k, value in enumerate(values) if value <= least + 1e-12 * max(1.0, abs(least)))
        return Best(fits[first], values[first], values, 0.0)
    measured = [_measured(function, fit.weights)[0] for fit in fits]
    chosen = int(np.argmin(measured))
    value, uncertainty = _measured(function, fits[chosen].weights)
    return Best(fits[chosen], value, tuple(measured), uncertainty)


def _measured(function: Function, weights: np.ndarray) -> tuple[float, float]:
    """The mean of fresh evaluations and its standard error."""
    values = function(np.tile(weights, (REPEATS, 1)))[:, 0]
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(REPEATS))


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
    if array.size == 0:
        raise KetgradValueError("`start` must hold at least one start, but is empty.")
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


def _noise_text(uncertainty: float) -> str:
    return f" +- {uncertainty:.2g} by finite shots" if uncertainty else ""


def _starts_text(values: tuple[float, ...], fit: Fit, interrupted: bool) -> str:
    many = f"best of {len(values)} starts" if len(values) > 1 else "one start"
    state = "converged" if fit.converged else "not converged"
    return f"{'interrupted, ' * interrupted}{many}, {fit.steps} steps in {fit.seconds:.2g} s: {state}, {fit.reason}"
