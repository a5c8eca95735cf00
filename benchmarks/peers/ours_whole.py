"""Workload W3 with nothing left out: beside the adapter `ours`, whose question sees a part of the qubits only.

A second observable, a word on all qubits, makes the whole state count; the first one is what the harness checks.
"""

from adapters import ours  # pyright: ignore[reportMissingImports]  # the harness's package, where this file is put
from common import Runner  # pyright: ignore[reportMissingImports]  # the harness's own module

import ketgrad as kg

NAME = "ketgrad-whole"
VENV = "ours"  # the harness reads this line without running it
PRECISION = "complex128"
version, set_threads = ours.version, ours.set_threads


def w3(case):
    """One large state and two expectation values."""
    circuit, weights = ours.brickwork(case)
    everywhere = kg.Pauli(" ".join(f"Z{q}" for q in range(case.n)))
    f = kg.expectation(circuit, [kg.Pauli("Z0 Z1"), everywhere], threads=ours.threads)
    return Runner(lambda: {"zz": f(weights)[0]}, note="all qubits simulated, for a second observable")
