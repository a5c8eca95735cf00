"""What a function is going to do, and why: like EXPLAIN in SQL, known before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

from ketgrad.memory import readable


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
        rows = [
            ("question", self.question),
            ("circuit", f"{self.num_qubits} qubits, {self.num_weights} weights, {self.num_inputs} inputs"),
            ("gates", f"{self.gates} written, {self.instructions} instructions after compilation"),
            ("outputs", f"{self.num_outputs} per sample, {self.precision}"),
            ("executor", f"{self.executor}: {self.engine}, {_threads(self.threads)}"),
            ("shots", "none: exact values" if self.shots is None else f"{self.shots} per value"),
            ("gradient", f"{self.rule}: {self.reason}"),
            ("executions", self._executions()),
            ("memory", f"{readable(self.memory)} of states per sample"),
            ("not faster", self.not_faster),
        ]
        return "\n".join(f"{name:<11} {text}" for name, text in rows if text)

    def _executions(self) -> str:
        if self.executions is None:
            return "1 per sample for a value"
        passes = f" and {self.backward} backward pass" if self.backward else ""
        return f"{self.executions}{passes} per sample for a value with its gradient"


def _threads(threads: int | None) -> str:
    if threads is None:
        return "as many threads as cores"
    return f"{threads} thread{'s' * (threads != 1)}"
