"""What makes a Function: `expectation`, `variance`, `probabilities`, `state` and `samples` of a circuit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import ketgrad.executors as executors
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.paulis import PauliSum
from ketgrad.executors.held_states import check_register, check_state
from ketgrad.executors.sampled import with_shots
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import complex_type, flag, shot_count, thread_count
from ketgrad.foundation.seeds import fixed_seed
from ketgrad.functions.function import Function
from ketgrad.programs.lowering import check_circuit
from ketgrad.programs.question import Question
from ketgrad.programs.questions import (
    Expect,
    Probabilities,
    Samples,
    State,
    Variance,
    as_observables,
    as_qubits,
)


def expectation(
    circuit: Circuit,
    observables: PauliSum | Iterable[PauliSum],
    *,
    executor: Any = "native",
    gradient: Any = None,
    shots: int | None = None,
    dtype: Any = np.complex128,
    threads: int | None = None,
    seed: Any = None,
    common_random_numbers: bool = False,
) -> Function:
    """The function (weights, inputs) -> expectation values (..., K) of K observables after the circuit.

    observables: one `Pauli` sum, or several; real coefficients. executor: a name or an instance; "sampled" alone
    measures 1000 shots. gradient: a rule such as `ParameterShift()`; None chooses an exact one. shots: None for exact
    values, or the number of measurements for each group of observables that can be read together. dtype: complex128
    or complex64. threads: None for all cores. seed: of the measurements: every call draws fresh noise, and the same
    calls after the same seed give the same bits; None draws what no run repeats. common_random_numbers: True lets
    every call repeat the draws of the first one, so that values at different weights share their noise.
    Cost: one circuit execution per sample; about 3 microseconds per call beyond that.
    Raises `KetgradValueError` for an observable that is not Hermitian, with its largest deviation,
    `KetgradIndexError` for one outside the circuit, `KetgradMemoryError` for a circuit that does not fit.

    >>> bell = kg.Circuit([kg.h(0), kg.cx(0, 1)])
    >>> kg.expectation(bell, [kg.Pauli("Z0 Z1"), kg.Pauli("Z0")])().round(6) + 0
    array([1., 0.])
    """
    circuit = check_circuit(circuit)
    question = Expect(as_observables(observables))
    draws = seed, common_random_numbers
    return _function(circuit, question, executor, gradient, shots, dtype, threads, draws)


def variance(
    circuit: Circuit,
    observables: PauliSum | Iterable[PauliSum],
    *,
    executor: Any = "native",
    gradient: Any = None,
    shots: int | None = None,
    dtype: Any = np.complex128,
    threads: int | None = None,
    seed: Any = None,
    common_random_numbers: bool = False,
) -> Function:
    """The function (weights, inputs) -> variances <O^2> - <O>^2 (..., K) of K observables after the circuit.

    How much single measurements of an observable scatter: zero for an eigenstate. The squares are multiplied out, up
    to half as many words as the square of the number of words; values and their derivatives are those of the
    expectation values of both, by the chain rule, so that a gradient takes one circuit execution more. The rounding of
    <O^2> stays in the difference: a variance of zero may be -1e-15 times <O^2>, in complex64 -1e-6 times. With shots
    both the means and the mean squares are estimates, which makes the variance too small by that of the estimated mean:
    by 1/shots of itself where the words of an observable are measured together. Where they are not, in groups, or on a
    wide register whose parts `plan` counts, the noise of the mean and of the mean square do not cancel: then single
    estimates scatter by the mean square, and may be negative.
    The arguments and errors are those of `expectation`; `KetgradMemoryError` if the squares do not fit.

    >>> kg.variance(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))([np.pi / 6]).round(6)
    array([0.25])
    """
    circuit = check_circuit(circuit)
    question = Variance(as_observables(observables))
    draws = seed, common_random_numbers
    return _function(circuit, question, executor, gradient, shots, dtype, threads, draws)


def probabilities(
    circuit: Circuit,
    qubits: Iterable[int] | None = None,
    *,
    executor: Any = "native",
    gradient: Any = None,
    shots: int | None = None,
    dtype: Any = np.complex128,
    threads: int | None = None,
    seed: Any = None,
    common_random_numbers: bool = False,
) -> Function:
    """The function (weights, inputs) -> probabilities (..., 2**m) of the outcomes of m measured qubits.

    qubits: which, the first the most significant bit of the outcome; None for all in order.
    The other arguments and errors are those of `expectation`.

    >>> kg.probabilities(kg.Circuit([kg.h(0), kg.cx(0, 1)]))().round(6)
    array([0.5, 0. , 0. , 0.5])
    """
    circuit = check_circuit(circuit)
    itemsize = complex_type(dtype).itemsize
    if qubits is None:
        check_state(circuit.num_qubits, itemsize)  # before a million of them are listed
        measured = tuple(range(circuit.num_qubits))
    else:
        measured = as_qubits(qubits)
    question, draws = Probabilities(measured), (seed, common_random_numbers)
    return _function(circuit, question, executor, gradient, shots, dtype, threads, draws)


def state(
    circuit: Circuit,
    *,
    executor: Any = "native",
    gradient: Any = None,
    dtype: Any = np.complex128,
    threads: int | None = None,
) -> Function:
    """The function (weights, inputs) -> the state (..., 2**n), qubit 0 the most significant bit of the index.

    The arguments and errors are those of `expectation`; amplitudes cannot be measured, so there are no shots.

    >>> kg.state(kg.Circuit([kg.x(1)], num_qubits=2))().real.round(6)
    array([0., 1., 0., 0.])
    """
    circuit = check_circuit(circuit)
    check_state(circuit.num_qubits, complex_type(dtype).itemsize)
    return _function(circuit, State(), executor, gradient, None, dtype, threads, (None, False))


def samples(
    circuit: Circuit,
    *,
    shots: int,
    packed: bool = False,
    executor: Any = "native",
    dtype: Any = np.complex128,
    threads: int | None = None,
    seed: Any = None,
    common_random_numbers: bool = False,
) -> Function:
    """The function (weights, inputs) -> measured bits (..., shots, n) as uint8, qubit 0 first.

    packed: outcome indices (..., shots) instead, qubit 0 the most significant bit: uint64, and Python's own integers
    beyond 64 qubits.
    seed, common_random_numbers: as in `expectation`; the bits do not depend on the number of threads.
    Raises `KetgradValueError` for shots that are not a positive integer, `KetgradMemoryError` if they do not fit.

    >>> kg.samples(kg.Circuit([kg.x(1)], num_qubits=2), shots=3)().tolist()
    [[0, 1], [0, 1], [0, 1]]
    """
    circuit = check_circuit(circuit)
    check_register(executors.get(executor), circuit.num_qubits, complex_type(dtype).itemsize)
    question, draws = Samples(shot_count(shots)), (seed, common_random_numbers)
    return _function(circuit, question, executor, None, shots, dtype, threads, draws, flag(packed, "packed"))


def _function(
    circuit: Circuit,
    question: Question,
    executor: Any,
    gradient: Any,
    shots: int | None,
    dtype: Any,
    threads: Any,
    draws: tuple[Any, Any],
    packed: bool = False,
) -> Function:
    engine = executors.get(executor)
    if shots is not None:
        engine = with_shots(engine, shot_count(shots))
    if not question.measurable:
        _check_gives_states(engine)
    kind, workers = complex_type(dtype), thread_count(threads)
    seed, repeats = fixed_seed(draws[0]), flag(draws[1], "common_random_numbers")
    return Function(circuit, question, engine, gradient, kind, workers, seed, packed, repeats)


def _check_gives_states(engine: Any) -> None:
    """Raise for an executor that measures, or whose states are mixed."""
    if "exact" in engine.abilities and "noise" not in engine.abilities:
        return
    reason = "a mixed state is no vector" if "exact" in engine.abilities else "a state cannot be measured"
    raise KetgradValueError(
        f"{reason}, so the executor {engine.name!r} cannot give it - use an exact executor, or kg.probabilities."
    )
