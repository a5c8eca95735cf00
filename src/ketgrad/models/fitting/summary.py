"""The summary of a fit: what the model is, and what its training took."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ketgrad.circuits.circuit import Circuit


@dataclass(frozen=True)
class Summary:
    """What a fitted model is and what its training took; `print(model.summary_)` is one screen.

    circuit_executions: runs of the circuit in this fit, forward and backward passes of the simulator included.
    device_executions: circuits that the same fit would send to a quantum computer, each to be measured many times;
    None where the gradient rule has no form for a device.
    """

    model: str
    num_qubits: int
    num_weights: int
    num_readout_weights: int
    num_gates: int
    num_entangling_gates: int
    depth: int
    num_rows: int
    circuit_executions: int
    device_executions: int | None
    seconds: float
    outcome: str

    def __str__(self) -> str:
        texts = {f.name: getattr(self, f.name) for f in fields(self)}
        texts["seconds"] = f"{self.seconds:.2f}"
        texts["device_executions"] = "none" if self.device_executions is None else self.device_executions
        return "\n".join(f"{name.replace('_', ' '):<22} {text}" for name, text in texts.items())


def count_gates(circuit: Circuit) -> dict[str, int]:
    """The entries of a summary that the circuit decides.

    >>> count_gates(kg.Circuit([kg.ry(kg.w[0], 0), kg.cz(0, 1)]))["num_entangling_gates"]
    1
    """
    return {
        "num_qubits": circuit.num_qubits,
        "num_weights": circuit.num_weights,
        "num_gates": len(circuit.ops),
        "num_entangling_gates": sum(len(op.qubits) + len(op.controls) > 1 for op in circuit.ops),
        "depth": circuit.depth,
    }
