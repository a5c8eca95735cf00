"""Which gradient rule is used, and why another cannot be: a rule that cannot be used is refused with the ways out."""

from __future__ import annotations

from typing import Any

from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.functions.gradients.rules import GradientRule
from ketgrad.functions.gradients.table import rule_classes
from ketgrad.programs.program import Program


def choose(executor: Any, program: Program) -> GradientRule:
    """The exact rule for this executor and program: `Adjoint` where it can be used, else `ParameterShift`.

    Raises `KetgradValueError` with every reason if neither can be used; approximate rules are never chosen.

    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.w[0], 0)]), kg.Pauli("Z0"))
    >>> choose(f.executor, f.program)
    Adjoint()
    """
    _check_parts(executor, program)
    reasons = []
    for name, kind in rule_classes().items():
        if not kind.is_exact:
            continue
        rule = kind()
        reason = rule.objection(executor, program)
        if reason is None:
            return rule
        reasons.append(f"{name}: {reason}")
    raise KetgradValueError(
        f"no exact gradient rule can be used here. {'. '.join(reasons)}.{_ways_out(executor, program)}"
    )


def check_usable(rule: Any, executor: Any, program: Program) -> None:
    """Raise with the reason and the alternatives if `rule` cannot be used; `KetgradTypeError` if it is no rule.

    >>> f = kg.state(kg.Circuit([kg.rx(kg.w[0], 0)]))
    >>> check_usable(kg.ParameterShift(), f.executor, f.program)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ketgrad.foundation.errors.KetgradValueError: ParameterShift() cannot be used here: it differentiates expectation ...
    """
    methods = ("objection", "cost", "vjp", "jacobian")
    _check_parts(executor, program)
    if isinstance(rule, type) or not all(callable(getattr(rule, method, None)) for method in methods):
        raise KetgradTypeError(
            f"`gradient` must be None or a rule such as kg.Adjoint() or kg.ParameterShift(), but is {rule!r}."
        )
    reason = rule.objection(executor, program)
    if reason is not None:
        raise KetgradValueError(f"{rule} cannot be used here: {reason}.{_ways_out(executor, program)}")


def _check_parts(executor: Any, program: Any) -> None:
    if not isinstance(program, Program) or not hasattr(executor, "abilities"):
        raise KetgradTypeError("`executor` and `program` must be those of a Function: f.executor, f.program.")


def _ways_out(executor: Any, program: Program) -> str:
    usable = [
        f"kg.{name.removesuffix(kind.__name__)}{rule!r}"
        for name, kind in rule_classes().items()
        for rule in kind.suggested()
        if rule.objection(executor, program) is None
    ]
    return f" Can be used: {', '.join(usable)}." if usable else ""
