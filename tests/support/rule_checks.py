"""Material for the tests of gradient rules: observables, points, executors that take notes, and all rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from programs import random_observable

import ketgrad as kg
from ketgrad.executors import get
from ketgrad.functions.batch import Batch
from ketgrad.functions.gradients.table import rule_classes

w, x = kg.w, kg.x
NATIVE: Any = get("native")
ADJOINT, SHIFT, DIFFERENCE = kg.Adjoint(), kg.ParameterShift(), kg.FiniteDifference(order=4)
SUGGESTED: list[Any] = [rule for kind in rule_classes().values() for rule in kind.suggested()]
RULES: list[Any] = [*SUGGESTED, DIFFERENCE, kg.gradients.SPSA(num_samples=7, seed=1)]
OBSERVABLES = {n: [random_observable(n, 5, seed) for seed in (1, 2)] for n in range(1, 6)}
CIRCUIT = kg.Circuit([kg.rx(w[0], 0), kg.crx(w[1] * x[0], 0, 1), kg.rz(0.3, 2)])  # 1, 2 and 0 frequencies
Z = kg.Pauli("Z0 Z1")


class Recording:
    """The native core with the abilities that are wished, and a note of the rows of each run."""

    name = "recording"

    def __init__(self, *abilities: str) -> None:
        self.abilities = frozenset(abilities)
        self.rows: list[int] = []

    def run(self, program, weights, inputs, **options):
        self.rows.append(max(len(weights), len(inputs)))
        return NATIVE.run(program, weights, inputs, **options)

    def vjp(self, program, weights, inputs, *arguments, **options):
        self.rows.append(max(len(weights), len(inputs)))
        return NATIVE.vjp(program, weights, inputs, *arguments, **options)


def named(rule):
    """The rule as it is written behind `kg.`."""
    name = next(name for name, kind in rule_classes().items() if isinstance(rule, kind))
    return f"{name.removesuffix(type(rule).__name__)}{rule!r}"


def data(f, batch, seed):
    """Weights, rows of inputs that no amplitude makes zero, and a cotangent."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-3, 3, f.num_weights)
    inputs = rng.uniform(0.2, 2, (batch, f.num_inputs))
    return weights, inputs, rng.normal(size=(batch, f.num_outputs))


def largest_difference(first, second):
    return max(np.abs(a - b).max(initial=0) for a, b in zip(first, second, strict=True))


def batch_of(f, weights, inputs, executor: Any = None) -> Batch:
    arrays = np.atleast_2d(np.asarray(weights, float)), np.atleast_2d(np.asarray(inputs, float))
    return Batch.of_rows(executor or NATIVE, f.program, *arrays)
