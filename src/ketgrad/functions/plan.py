"""What a function is going to do, and why: like EXPLAIN in SQL, known before anything runs."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgrad.executors.sampled import Sampled
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import LARGEST_SIZE, readable, state_bytes
from ketgrad.functions.gradients.adjoint import Adjoint
from ketgrad.functions.gradients.choice import choose
from ketgrad.functions.gradients.rules import is_adjoint
from ketgrad.programs.program import Expect, Probabilities, Samples

WIDTH = 110  # of a printed plan


@dataclass(frozen=True)
class Plan:
    """How a function will be evaluated and differentiated; `print(f.plan)` fits one screen.

    executions: circuit executions per sample for one value and gradient, the value included; None where there is
    no derivative. backward: adjoint passes among them. Memory in bytes: of the states alive for one sample.
    """

    question: str
    num_qubits: int
    num_weights: int
    num_inputs: int
    num_outputs: int
    gates: int
    instructions: int
    executor: str
    engine: str
    threads: int | None
    precision: str
    shots: int | None
    rule: str
    reason: str
    executions: int | None
    backward: int
    memory: int
    not_faster: str

    def __str__(self) -> str:
        sizes = ((self.num_qubits, "qubit"), (self.num_weights, "weight"), (self.num_inputs, "input"))
        rows = [
            ("question", self.question),
            ("circuit", ", ".join(_count(*size) for size in sizes)),
            ("gates", f"{self.gates} written, {_count(self.instructions, 'instruction')} after compilation"),
            ("outputs", f"{self.num_outputs} per sample, {self.precision}"),
            ("engine", f"{self.engine}, {_threads(self.threads)}"),
            ("shots", "none: values are exact" if self.shots is None else f"{self.shots} in each execution"),
            ("gradient", f"{self.rule}: {self.reason}"),
            ("cost", self._executions()),
            ("memory", f"{readable(self.memory)} of states per sample at most"),
            ("not faster", self.not_faster or "nothing stands in the way"),
        ]
        margin = " " * 12
        paragraphs = (
            textwrap.wrap(
                text, WIDTH, initial_indent=f"{name:<12}", subsequent_indent=margin, break_on_hyphens=False
            )
            for name, text in rows
        )
        return "\n".join(line for lines in paragraphs for line in lines)

    def _executions(self) -> str:
        if self.executions is None:
            return "no gradient"
        passes = f" and {_count(self.backward, 'backward pass', 'es')}" if self.backward else ""
        runs = _count(self.executions, "circuit execution")
        return f"{runs}{passes} per sample for a value with its gradient"


def make_plan(function: Any) -> Plan:
    """The plan of a function; nothing is simulated."""
    program, executor = function.program, function.executor
    sampled = isinstance(executor, Sampled)
    memory = state_bytes(program.num_qubits, 1, function.dtype.itemsize)
    chosen, cost = None, None
    try:
        chosen = function.gradient or choose(executor, program)
    except KetgradValueError as refusal:
        reason = str(refusal)
    else:
        cost, reason = chosen.cost(program), _why(chosen, function)
        memory = cost.memory * function.dtype.itemsize // 16
    if hasattr(executor, "simulated_qubits"):  # those of the light cone; each qubit left out halves a state
        memory >>= min(program.num_qubits, LARGEST_SIZE) - executor.simulated_qubits(program)
    circuits = executor.executions(program) if sampled else 1
    return Plan(
        question=question_text(function.question),
        num_qubits=program.num_qubits,
        num_weights=function.num_weights,
        num_inputs=function.num_inputs,
        num_outputs=function.num_outputs,
        gates=len(function.circuit.ops),
        instructions=program.num_instructions,
        executor=executor.name,
        engine=executor.engine(program) if hasattr(executor, "engine") else executor.name,
        threads=function.threads,
        precision=function.dtype.name,
        shots=executor.shots if sampled else None,
        rule="none" if chosen is None else repr(chosen),
        reason=reason,
        executions=None if cost is None else cost.executions * circuits,
        backward=0 if cost is None else cost.backward,
        memory=memory,
        not_faster=_not_faster(function, chosen),
    )


def question_text(question: Any) -> str:
    """What is asked of a circuit, as a noun."""
    if isinstance(question, Expect):
        words = sum(len(observable.terms) for observable in question.observables)
        return f"expectation values of {_count(len(question.observables), 'observable')}, {_count(words, 'Pauli word')}"
    if isinstance(question, Probabilities):
        return f"probabilities of the outcomes of {_count(len(question.qubits), 'qubit')}"
    return f"{question.shots} measured bit strings" if isinstance(question, Samples) else "the state vector"


def _why(rule: Any, function: Any) -> str:
    if function.gradient is not None:
        return "asked for by gradient="
    if is_adjoint(rule):
        return f"exact, at a cost that does not grow with the parameters; {function.executor.name} has an adjoint pass"
    objection = Adjoint().objection(function.executor, function.program)
    return f"exact in the mean; the adjoint method cannot be used: {objection}"


def _not_faster(function: Any, rule: Any) -> str:
    reasons = []
    if function.executor.name == "reference":
        reasons.append("the reference executor is written to be read, executor='native' is fast")
    if rule is not None and not is_adjoint(rule):
        objection = Adjoint().objection(function.executor, function.program)
        reasons.append(
            "finite shots rule out the adjoint method"
            if objection
            else "gradient=None runs the adjoint method"
        )
    if function.threads == 1:
        reasons.append("threads=1 was asked for")
    if function.dtype == np.complex128:
        reasons.append("dtype=complex64 halves the memory, at about 1e-6 accuracy")
    return "; ".join(reasons)


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{plural if number != 1 else ''}"


def _threads(threads: int | None) -> str:
    if threads is None:
        return "as many threads as cores"
    return f"{threads} thread{'s' * (threads != 1)}"
