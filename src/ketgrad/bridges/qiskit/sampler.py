"""Qiskit's V2 sampler on our executors: all parameter sets of a circuit in one native call."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.primitives import (
    BaseSamplerV2,
    BitArray,
    DataBin,
    PrimitiveJob,
    PrimitiveResult,
    SamplerPubResult,
)
from qiskit.primitives.containers.sampler_pub import SamplerPub

from ketgrad.bridges.qiskit.cache import Conversions
from ketgrad.bridges.qiskit.evaluable import Evaluable, evaluable
from ketgrad.bridges.qiskit.exact import ExactBits, ExactResult, probabilities_function
from ketgrad.bridges.qiskit.pubs import child_seed, exact_executor, parameter_rows
from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import shot_count
from ketgrad.foundation.seeds import Seed, check_seed
from ketgrad.functions.builders import samples
from ketgrad.functions.function import Function


class Sampler(BaseSamplerV2):
    """Qiskit's V2 sampler: measured bits by ketgrad, for all code that takes a `BaseSamplerV2`.

    default_shots: of each parameter set when `run` names none; None for exact probabilities, as the default sampler
    of qiskit-machine-learning gives them. seed: None for fresh shots in every run, an integer for the same ones in
    every run, as Qiskit's own sampler does, or a NumPy generator. executor, dtype, threads: those of `kg.samples`; the
    executor must be exact.
    A result holds one `BitArray` for each classical register, of the shape of the parameter values; bits that no
    measurement writes are 0. Without shots it holds `ExactBits`: `get_probabilities`, and `get_counts` out of 2**53.
    Circuits seen before are not compiled again. Angles may be any expressions, since all parameters have values.
    Raises `KetgradValueError` naming the instruction for measurements that are not final.

    >>> from qiskit.circuit import QuantumCircuit
    >>> qc = QuantumCircuit(2)
    >>> _ = qc.x(0), qc.measure_all()
    >>> kg.qiskit.Sampler().run([qc], shots=100).result()[0].data.meas.get_counts()
    {'01': 100}
    >>> kg.qiskit.Sampler(default_shots=None).run([qc]).result()[0].data.meas.get_probabilities()
    {'01': 1.0}
    """

    def __init__(
        self,
        *,
        default_shots: int | None = 1024,
        seed: Seed = None,
        executor: Any = "native",
        dtype: Any = np.complex128,
        threads: int | None = None,
    ) -> None:
        check_seed(seed if not isinstance(seed, np.random.Generator) else None)
        self.default_shots = None if default_shots is None else shot_count(default_shots)
        self.seed = seed
        self.executor = exact_executor(executor)
        self.dtype = dtype
        self.threads = threads
        self._conversions = Conversions(evaluable)

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> PrimitiveJob:
        """Start a job for PUBs (circuit[, parameter values[, shots]]); `result()` waits for it."""
        chosen = self.default_shots if shots is None else shot_count(shots)
        coerced = [SamplerPub.coerce(pub, chosen) for pub in pubs]
        if any(not pub.circuit.cregs for pub in coerced):
            warnings.warn(
                "A circuit has no classical register, so its result holds no bits. Measure it, as with measure_all().",
                stacklevel=2,
            )
        work = []
        for pub in coerced:
            program, rows = self._conversions(pub.circuit), parameter_rows(pub)
            program.check(rows)
            work.append(_SamplerTask(pub, program, rows, _layout(pub.circuit)))
        job = PrimitiveJob(self._run, work, check_seed(self.seed))
        job._submit()
        return job

    def _run(self, work: Sequence[_SamplerTask], root: np.random.SeedSequence) -> PrimitiveResult:
        results = [
            self._exact_result(entry) if entry.pub.shots is None else self._result(entry, child_seed(root, k))
            for k, entry in enumerate(work)
        ]
        return PrimitiveResult(results, metadata={"version": 2})

    def _result(self, work: _SamplerTask, seed: np.random.SeedSequence) -> SamplerPubResult:
        pub, rng = work.pub, np.random.Generator(np.random.Philox(seed))
        outcomes, measured = [np.zeros((0, pub.shots), dtype=np.uint64)], ()
        for found, weights in work.program.parts(work.rows):
            measured = found.measured
            if len(weights):
                outcomes.append(self._outcomes(found.circuit, weights, pub.shots, rng))
        read = {(name, k): qubit for name, k, qubit in measured}
        drawn, count = np.concatenate(outcomes), pub.circuit.num_qubits
        bits = {
            name: _bit_array(drawn, [read.get((name, k)) for k in range(size)], count, pub)
            for name, size in work.layout
        }
        return SamplerPubResult(DataBin(**bits, shape=pub.shape), metadata=_metadata(pub))

    def _outcomes(
        self, circuit: Circuit, rows: np.ndarray, shots: int, rng: np.random.Generator
    ) -> np.ndarray:
        function = samples_function(circuit, shots, self.executor, np.dtype(self.dtype).name, self.threads)
        real = np.float32 if function.dtype == np.complex64 else np.float64
        return function.executor.run(
            function.program,
            np.ascontiguousarray(rows, real),
            np.zeros((1, 0), real),
            dtype=function.dtype,
            threads=self.threads,
            rng=rng,
        )

    def _exact_result(self, work: _SamplerTask) -> SamplerPubResult:
        """The probabilities of all outcomes of the measured qubits, read by each register."""
        first = work.program.check(work.rows)
        measured = () if first is None else first.measured
        qubits = tuple(dict.fromkeys(qubit for _, _, qubit in measured))
        tables = [np.zeros((0, 2 ** len(qubits)))]
        for found, weights in work.program.parts(work.rows):
            if not qubits:
                tables.append(np.ones((len(weights), 1)))
                continue
            dtype = np.dtype(self.dtype).name
            function = probabilities_function(found.circuit, qubits, self.executor, dtype, self.threads)
            tables.append(np.maximum(function(weights).astype(np.float64), 0.0))
        outcomes = np.concatenate(tables).reshape(*work.pub.shape, 2 ** len(qubits))
        outcomes = outcomes / outcomes.sum(axis=-1, keepdims=True)
        place = {(name, k): qubits.index(qubit) for name, k, qubit in measured}
        bits = {
            name: ExactBits(outcomes, tuple(place.get((name, k)) for k in range(size)))
            for name, size in work.layout
        }
        return ExactResult(DataBin(**bits, shape=work.pub.shape), metadata=_metadata(work.pub))


class _SamplerTask(NamedTuple):
    """A PUB of a sampler: its circuit, its parameter sets, and (name, size) of its classical registers."""

    pub: SamplerPub
    program: Evaluable
    rows: np.ndarray
    layout: list[tuple[str, int]]


def _metadata(pub: SamplerPub) -> dict[str, Any]:
    return {"shots": pub.shots, "circuit_metadata": pub.circuit.metadata}


def _layout(circuit: QuantumCircuit) -> list[tuple[str, int]]:
    return [(register.name, register.size) for register in circuit.cregs]


@lru_cache(maxsize=128)
def samples_function(
    circuit: Circuit, shots: int, executor: Any, dtype: str, threads: int | None
) -> Function:
    """The function (parameters) -> outcome indices; compiled once."""
    return samples(circuit, shots=shots, packed=True, executor=executor, dtype=dtype, threads=threads)


def _bit_array(
    outcomes: np.ndarray, qubits: Sequence[int | None], num_qubits: int, pub: SamplerPub
) -> BitArray:
    """The bits that a register reads, bit 0 last as qiskit packs them; None: no qubit, always 0."""
    width = len(qubits)
    reserve(outcomes.size * (width + 8), f"the bits of {outcomes.size} shots and {width} classical bits")
    bits = np.zeros((*outcomes.shape, width + -width % 8), dtype=np.uint8)
    for k, qubit in enumerate(qubits):
        if qubit is not None:
            shift = np.uint64(num_qubits - 1 - qubit)
            bits[..., bits.shape[-1] - 1 - k] = outcomes >> shift & np.uint64(1)
    packed = np.packbits(bits, axis=-1)
    return BitArray(packed.reshape(*pub.shape, pub.shots, packed.shape[-1]), width)
