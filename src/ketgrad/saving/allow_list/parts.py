"""The rules of ketgrad's own parts: functions, questions, executors, gradient rules, optimisers, kernels, fits.

A dataclass of plain numbers and flags needs no row: its annotations say what a file may give it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ketgrad.programs.questions import QUESTIONS
from ketgrad.saving.allow_list.shared_kinds import (
    AMPLITUDES,
    EXACT,
    EXECUTOR,
    POSITIVE,
    QUESTION,
    RULE,
    SEED,
    THREADS,
)
from ketgrad.saving.classes import class_named, written_fields
from ketgrad.saving.kinds import (
    CIRCUIT,
    FLAG,
    MOST_INT,
    NONE,
    PLAIN,
    REAL,
    SUMS,
    TEXT,
    Kind,
    ObjectRules,
    array,
    floats,
    number,
    one_of,
    several,
    whole,
)

# what the fields of dataclasses hold, by their annotations; whatever else a class has needs a row of its own
ANNOTATED: Mapping[str, Kind] = {
    "float": number(),
    "float | None": NONE | number(),
    "int": whole(-MOST_INT),
    "int | None": NONE | whole(-MOST_INT),
    "bool": FLAG,
    "str": TEXT,
}

# what the fields of questions hold, by their names
ASKED = {
    "observables": several(tuple, SUMS, 1),
    "qubits": several(tuple, whole(0), 1),
    "shots": whole(1, 2**53),
}


def _function_fits(function: Any) -> bool:
    function.question.check(function.circuit.num_qubits)
    return function.question.measurable or "exact" in function.executor.abilities


def _scaling_fits(scaling: Any) -> bool:
    return bool((scaling.width != 0).all())


def of_fields(name: str) -> ObjectRules:
    """The rules that the annotations of a dataclass give; a field of no plain kind is one that no file may give.

    >>> of_fields("COBYLA").parameters["first_step"].text
    'a finite number'
    """
    kind, written = class_named(name)
    names = written_fields(kind, written)
    plain = {field.name: ANNOTATED.get(str(field.type)) for field in fields(kind) if field.name in names}
    return ObjectRules({field: found for field, found in plain.items() if found is not None})


PARTS: Mapping[str, ObjectRules] = {
    "Function": ObjectRules(
        {
            "circuit": CIRCUIT,
            "question": QUESTION,
            "executor": EXECUTOR,
            "gradient": RULE,
            "dtype": AMPLITUDES,
            "threads": THREADS,
            "seed": SEED,
            "packed": FLAG,
            "common_random_numbers": FLAG,
        },
        fits=_function_fits,
    ),
    **{kind.__name__: ObjectRules({f.name: ASKED[f.name] for f in fields(kind)}) for kind in QUESTIONS},
    "Native": ObjectRules({"instruction_set": one_of("", "baseline", "avx2", "avx512")}),
    "Sampled": ObjectRules({"executor": one_of("native", "reference") | EXACT, "shots": whole(1, 2**53)}),
    "FiniteDifference": ObjectRules({"step": NONE | number(), "order": whole(2, 4)}),
    "gradients.SPSA": ObjectRules(
        {"step": number(), "num_samples": whole(1), "seed": SEED, "common_random_numbers": FLAG}
    ),
    "LBFGSB": ObjectRules({"memory": whole(1, 10_000), "gradient_tolerance": number(0.0), "bounds": PLAIN}),
    "Fit": ObjectRules(
        {
            "weights": array("f", "w", finite=True) | PLAIN,
            "value": REAL,
            "history": floats("h"),
            "steps": whole(0),
            "evaluations": whole(0),
            "converged": FLAG,
            "reason": TEXT,
            "seconds": REAL,
            "interrupted": FLAG,
        }
    ),
    "FidelityKernel": ObjectRules(
        {
            "circuit": CIRCUIT,
            "executor": TEXT | EXECUTOR,
            "threads": THREADS,
            "weights": NONE | several(tuple, number()),
            "memory": NONE | whole(1),
            "dtype": AMPLITUDES,
        }
    ),
    "ProjectedKernel": ObjectRules(
        {
            "circuit": CIRCUIT,
            "gamma": POSITIVE,
            "observables": NONE | several(tuple, SUMS, 1),
            "executor": TEXT | EXECUTOR,
            "threads": THREADS,
            "seed": SEED,
        }
    ),
    "Scaling": ObjectRules(
        {
            "center": floats("d", finite=True),
            "width": floats("d", finite=True),
            "limit": REAL,
            "factor": POSITIVE,
            "low": NONE | floats("d", finite=True),
            "high": NONE | floats("d", finite=True),
        },
        fits=_scaling_fits,
    ),
    "Summary": ObjectRules(
        {
            "model": TEXT,
            **{
                name: whole(0)
                for name in (
                    "num_qubits", "num_weights", "num_readout_weights", "num_gates", "num_entangling_gates",
                    "depth", "num_rows", "circuit_executions",
                )
            },
            "device_executions": NONE | whole(0),
            "seconds": REAL,
            "outcome": TEXT,
        }
    ),
}  # fmt: skip
