"""The quantum contestants and their twins: the same circuit, settings and random numbers without entanglers."""

from __future__ import annotations

from typing import Any

from ketgrad.foundation.memory import state_bytes
from ketgrad.referee.contest.contestants.contestant import (
    Contestant,
    Facts,
    Settings,
    reduced,
    without_reduction,
)

MOST_COLUMNS_PER_QUBIT = (
    16  # beyond, a quantum model without a reduction of its own gets principal components
)

VARIATIONAL_SETTINGS: tuple[Settings, ...] = (
    {},
    {"regularisation": 10.0},
    {"reduce": "pca", "regularisation": 0.1},
    {"reduce": "select"},
    {"regularisation": 0.1},
    {"reduce": "pca"},
)
KERNEL_SETTINGS: tuple[Settings, ...] = (
    {},
    {"C": 10.0, "bandwidth": 0.25, "reduce": "pca"},
    {"C": 1.0, "bandwidth": 1.0, "reduce": "pca"},
    {"C": 10.0, "bandwidth": 0.5, "reduce": "select"},
    {"C": 100.0, "bandwidth": 0.25},
    {"C": 1.0, "bandwidth": 1.5, "reduce": "pca"},
)


def kernel_memory(n_train: int, n_test: int, qubits: int) -> int:
    """Bytes of an exact kernel: the matrices in doubles, and one state per row."""
    return 8 * n_train * (n_train + n_test) + state_bytes(qubits, n_train + n_test)


def circuit_memory(n_train: int, n_test: int, qubits: int) -> int:
    """Bytes of the states that a gradient holds at once: three for each of eight rows."""
    return state_bytes(qubits, 24)


def variational(settings: Settings, facts: Facts) -> Any:
    """A trained circuit."""
    return _variational(settings, facts, entangle=True)


def variational_twin(settings: Settings, facts: Facts) -> Any:
    """The trained circuit without its entangling gates."""
    return _variational(settings, facts, entangle=False)


def kernel(settings: Settings, facts: Facts) -> Any:
    """A support vector machine on overlaps of quantum states."""
    return _kernel(settings, facts, entangle=True)


def kernel_twin(settings: Settings, facts: Facts) -> Any:
    """The same machine on states without entanglement."""
    return _kernel(settings, facts, entangle=False)


def _variational(settings: Settings, facts: Facts, *, entangle: bool) -> Any:
    from ketgrad.models import VariationalClassifier, VariationalRegressor

    kind = VariationalRegressor if facts.task == "regression" else VariationalClassifier
    common = {
        "max_qubits": facts.qubits,
        "entangle": entangle,
        "threads": 1,
        "random_state": facts.random_state,
    }
    return reduced(kind(**common, **without_reduction(settings)), _with_reduction(settings, facts), facts)


def _kernel(settings: Settings, facts: Facts, *, entangle: bool) -> Any:
    from ketgrad.models import KernelClassifier, KernelRegressor

    kind = KernelRegressor if facts.task == "regression" else KernelClassifier
    estimator = kind(max_qubits=facts.qubits, entangle=entangle, threads=1, **without_reduction(settings))
    return reduced(estimator, _with_reduction(settings, facts), facts)


def _with_reduction(settings: Settings, facts: Facts) -> Settings:
    if "reduce" in settings or facts.num_features <= MOST_COLUMNS_PER_QUBIT * facts.qubits:
        return settings
    return {**settings, "reduce": "pca"}


QUANTUM = (
    Contestant(
        name="variational",
        titles=("Variational quantum classifier", "Variational quantum regressor"),
        family="quantum",
        description="A quantum circuit with adjustable angles, trained by gradients: the columns turn the qubits again"
        " and again, entangling gates connect them, and measurements of the qubits are weighed into an answer.",
        source="Perez-Salinas et al. 2020, arXiv:1907.02085; ketgrad VariationalClassifier, VariationalRegressor",
        settings=VARIATIONAL_SETTINGS,
        build=variational,
        memory=circuit_memory,
        effort=20.0,
    ),
    Contestant(
        name="variational_twin",
        titles=("Variational, entanglers removed", "Variational, entanglers removed"),
        family="twin",
        description="The same trained circuit without the gates that connect qubits. An ordinary computer needs no"
        " exponential effort for it. If it does as well, entanglement is not what helps.",
        source="Bowles et al. 2024, arXiv:2403.07059",
        settings=VARIATIONAL_SETTINGS,
        build=variational_twin,
        twin_of="variational",
        memory=circuit_memory,
        effort=15.0,
    ),
    Contestant(
        name="kernel",
        titles=("Quantum kernel machine", "Quantum kernel regression"),
        family="quantum",
        description="A support vector machine that compares two rows by how much the quantum states made from them"
        " overlap.",
        source="Havlicek et al. 2019, arXiv:1804.11326; ketgrad KernelClassifier, KernelRegressor",
        settings=KERNEL_SETTINGS,
        build=kernel,
        memory=kernel_memory,
        effort=1.0,
    ),
    Contestant(
        name="kernel_twin",
        titles=("Kernel, entanglers removed", "Kernel, entanglers removed"),
        family="twin",
        description="The same machine on states whose qubits are never connected. If it does as well, entanglement is"
        " not what helps.",
        source="Bowles et al. 2024, arXiv:2403.07059",
        settings=KERNEL_SETTINGS,
        build=kernel_twin,
        twin_of="kernel",
        memory=kernel_memory,
        effort=1.0,
    ),
)
