"""What a function is going to do, and why: like EXPLAIN in SQL, known before anything runs."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ketgrad.executors.protocol import Execution, execution
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import LARGEST_SIZE, readable, state_bytes
from ketgrad.functions.gradients.adjoint import Adjoint
from ketgrad.functions.gradients.choice import choose
from ketgrad.functions.gradients.rules import Cost, is_adjoint

WIDTH = 110  # of a printed plan


@dataclass(frozen=True)
class Plan:
    """How a function will be evaluated and differentiated; `print(f.plan)` fits one screen.

    abilities: of the executor. circuits: that are run for one value of one sample. shots: of each; None where values
    are exact, or the executor does not say. executions: circuit executions per sample for one value and gradient, the
    value included; None where there is no derivative. backward: adjoint passes among them. memory: bytes of the states
    alive in this process for one sample. price: of one value; "" where it is not known.
    """

    question: str
    num_qubits: int
    num_weights: int
    num_inputs: int
    num_outputs: int
    gates: int
    instructions: int
    executor: str
    abilities: frozenset[str]
    engine: str
    threads: int | None
    precision: str
    circuits: int
    shots: int | None
    price: str
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
            ("engine", f"{self.engine}, {_threads(self.threads)}" if self.memory else self.engine),
            ("shots", self._shots()),
            ("gradient", f"{self.rule}: {self.reason}"),
            ("cost", self._executions()),
            (
                "memory",
                f"{readable(self.memory)} of states per sample at most"
                if self.memory
                else "none: states are not held in this process",
            ),
            ("not faster", self.not_faster or "nothing stands in the way"),
        ]
        if self.is_remote:
            rows.append(
                ("price", self.price or "not known: ask whoever runs the device, before the first call")
            )
        margin = " " * 12
        paragraphs = (
            textwrap.wrap(
                text, WIDTH, initial_indent=f"{name:<12}", subsequent_indent=margin, break_on_hyphens=False
            )
            for name, text in rows
        )
        return "\n".join(line for lines in paragraphs for line in lines)

    @property
    def is_remote(self) -> bool:
        """Whether programs leave this process."""
        return "remote" in self.abilities

    def _shots(self) -> str:
        if "exact" in self.abilities:
            return "none: values are exact" + " means over the noise" * ("noise" in self.abilities)
        number = "a number that the executor does not say" if self.shots is None else str(self.shots)
        runs = _count(self.circuits, "execution")
        return f"{number} in each execution, {runs} for a value of one sample: values are estimates"

    def _executions(self) -> str:
        if self.executions is None:
            return "no gradient"
        passes = f" and {_count(self.backward, 'backward pass', 'es')}" if self.backward else ""
        runs = _count(self.executions, "circuit execution")
        return f"{runs}{passes} per sample for a value with its gradient"


def make_plan(function: Any) -> Plan:
    """The plan of a function; nothing is simulated."""
    program, executor = function.program, function.executor
    run = execution(executor, program)
    memory = state_bytes(program.num_qubits, 1, function.dtype.itemsize)
    chosen, cost = None, None
    try:
        chosen = function.gradient or choose(executor, program)
    except KetgradValueError as refusal:
        reason = str(refusal)
    else:
        cost, reason = _cost(chosen, function), _why(chosen, function)
        memory = cost.memory * function.dtype.itemsize // 16
    return Plan(
        question=function.question.text(),
        num_qubits=program.num_qubits,
        num_weights=function.num_weights,
        num_inputs=function.num_inputs,
        num_outputs=function.num_outputs,
        gates=len(function.circuit.ops),
        instructions=program.num_instructions,
        executor=executor.name,
        abilities=executor.abilities,
        engine=run.engine,
        threads=function.threads,
        precision=function.dtype.name,
        circuits=run.executions,
        shots=run.shots,
        price=run.price,
        rule="none" if chosen is None else repr(chosen),
        reason=reason,
        executions=None if cost is None else cost.executions * run.executions,
        backward=0 if cost is None else cost.backward,
        memory=_held(memory, run, program.num_qubits),
        not_faster=_not_faster(function, chosen, run),
    )


def _cost(rule: Any, function: Any) -> Cost:
    """That of the rule; the derivatives of a composed question ask for the values of its base first."""
    if function.base is None:
        return rule.cost(function.program)
    cost = _cost(rule, function.base)
    return replace(cost, executions=cost.executions + 1)


def _held(memory: int, run: Execution, num_qubits: int) -> int:
    """Bytes of the states that are held, of those of the whole register: each qubit left out halves a state."""
    if run.simulated_qubits is None:
        return 0
    return memory << run.simulated_qubits >> min(num_qubits, LARGEST_SIZE)


def _why(rule: Any, function: Any) -> str:
    if function.gradient is not None:
        return "asked for by gradient="
    if is_adjoint(rule):
        return f"exact, at a cost that does not grow with the parameters; {function.executor.name} has an adjoint pass"
    objection = Adjoint().objection(function.executor, function.program)
    exact = "exact" if "exact" in function.executor.abilities else "exact in the mean"
    return f"{exact}; the adjoint method cannot be used: {objection}"


def _not_faster(function: Any, rule: Any, run: Execution) -> str:
    reasons = [run.remark] if run.remark else []
    if rule is not None and not is_adjoint(rule):
        objection = Adjoint().objection(function.executor, function.program)
        if objection is None:
            reasons.append("gradient=None runs the adjoint method")
        elif "exact" in function.executor.abilities:
            reasons.append(f"the executor {function.executor.name!r} has no adjoint method")
        else:
            reasons.append("finite shots rule out the adjoint method")
    if function.threads == 1:
        reasons.append("threads=1 was asked for")
    if function.dtype == np.complex128 and run.simulated_qubits is not None:
        reasons.append("dtype=complex64 halves the memory, at about 1e-6 accuracy")
    return "; ".join(reasons)


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{plural if number != 1 else ''}"


def _threads(threads: int | None) -> str:
    if threads is None:
        return "as many threads as cores"
    return f"{threads} thread{'s' * (threads != 1)}"
