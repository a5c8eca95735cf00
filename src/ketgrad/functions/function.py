"""Functions: a circuit, a question and an executor, callable and differentiable like any array function."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

import ketgrad.executors as executors
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.executors.held_states import check_held, check_state
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.numbers import COMPLEX128, REAL_OF, complex_type
from ketgrad.foundation.seeds import numbered_stream, seed_content
from ketgrad.functions import composed, general
from ketgrad.functions.batch import Batch
from ketgrad.functions.cotangents import check_slope
from ketgrad.functions.gradients.choice import check_usable, choose
from ketgrad.functions.gradients.directional import Hessian, HessianProduct
from ketgrad.functions.gradients.rules import is_adjoint
from ketgrad.functions.plan import Plan, make_plan
from ketgrad.functions.shortcut import Shortcut, shortcut
from ketgrad.functions.signature import Signature
from ketgrad.functions.value_limits import check_derivatives, check_observables, is_steep
from ketgrad.programs.lowering import compile
from ketgrad.programs.program import Program
from ketgrad.programs.question import ComposedQuestion, Question


@dataclass(frozen=True, repr=False)
class Function:
    """f(weights, inputs): what a circuit answers to a question, with its derivatives.

    Made by `expectation`, `probabilities`, `state` and `samples`. Immutable, picklable, compared by content, and
    usable from many threads at once: all working memory belongs to the call.

    weights: (..., num_weights), inputs: (..., num_inputs); the leading axes broadcast as in a NumPy generalised
    ufunc and lead the result; an argument that the circuit does not read may be left out. Shared rows are
    simulated with shared gates, never copied out. float64, unless `dtype` is complex64 or all given arrays are
    float32. Angles count modulo 2 pi; beyond 2^26 (2^16 in float32) a warning says what is left of their digits,
    beyond 2^53 (2^24) nothing is left and they are refused. With shots and a `seed`, each call draws fresh noise
    from the next stream under it: the same calls in a new run draw the same, and a copy begins anew.

    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
    >>> f([0.0], [[0.0], [np.pi]]).round(6)
    array([[ 1.],
           [-1.]])
    """

    circuit: Circuit
    question: Question
    executor: Any
    gradient: Any = None
    dtype: np.dtype = COMPLEX128
    threads: int | None = None
    seed: Any = field(default=None, compare=False)  # a SeedSequence is compared by its content, below
    packed: bool = False
    common_random_numbers: bool = False

    _seed_content: Any = field(init=False)
    _shortcut: Shortcut = field(init=False, compare=False)
    _calls: Any = field(init=False, compare=False, default_factory=itertools.count)  # a step of it is atomic

    def __post_init__(self) -> None:
        if self.common_random_numbers and self.seed is None:
            raise KetgradValueError(
                "`common_random_numbers` needs a `seed` - every call repeats the draws of that seed - but `seed` is "
                "None. Pass seed=0, say."
            )
        object.__setattr__(self, "circuit", as_circuit(self.circuit))
        object.__setattr__(self, "executor", executors.get(self.executor))
        object.__setattr__(self, "dtype", complex_type(self.dtype))  # one object, also of a copy from a file
        object.__setattr__(self, "_seed_content", seed_content(self.seed))
        if self.gradient is not None:
            check_usable(self.gradient, self.executor, self.program)
        check_observables(self.program, REAL_OF[self.dtype])
        check_state(self.question.table_qubits(self.circuit.num_qubits), self.dtype.itemsize)
        check_held(self.executor, self.program, self.dtype.itemsize)
        settings = self.executor, self.program, self.threads, self.dtype
        object.__setattr__(self, "_shortcut", shortcut(self.question, *settings))

    # -- what follows from the fields

    @cached_property
    def base(self) -> Function | None:
        """The function whose values those of a composed question follow; None for other questions."""
        if not isinstance(self.question, ComposedQuestion):
            return None
        self.question.check(self.circuit.num_qubits)
        return replace(self, question=self.question.base)

    @cached_property
    def program(self) -> Program:
        """The circuit and the question, or the question of the base, as arrays."""
        return compile(self.circuit, self.question) if self.base is None else self.base.program

    @cached_property
    def num_weights(self) -> int:
        """Length of the last axis of `weights`."""
        return self.circuit.num_weights

    @cached_property
    def num_inputs(self) -> int:
        """Length of the last axis of `inputs`."""
        return self.circuit.num_inputs

    @cached_property
    def num_outputs(self) -> int:
        """Length of the last axis of the values."""
        return self.question.num_outputs(self.circuit.num_qubits)

    @property
    def plan(self) -> Plan:
        """What will run, at which cost, and why not faster. Printable; nothing is simulated.

        >>> print(kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0")).plan)  # doctest: +ELLIPSIS
        question    expectation values of 1 observable, 1 Pauli word
        circuit     1 qubit, 1 weight, 0 inputs
        ...
        """
        return make_plan(self)

    @cached_property
    def _way(self) -> Any:
        """The module of how a call goes that has no shortcut."""
        return general if self.base is None else composed

    @cached_property
    def _signature(self) -> Signature:
        return Signature(
            self.circuit, self.program, self.executor, self.dtype, self.threads, self.num_outputs, self.packed
        )

    @cached_property
    def _rule(self) -> Any:
        """The gradient rule; `KetgradValueError` where there is none."""
        return choose(self.executor, self.program) if self.gradient is None else self.gradient

    @cached_property
    def _is_adjoint(self) -> bool:
        return is_adjoint(self._rule)

    @cached_property
    def _steep(self) -> bool:
        """Whether a derivative may be larger than numbers can be."""
        return is_steep(self.program)

    def __repr__(self) -> str:
        sizes = f"{self.circuit.num_qubits} qubits, {self.num_weights} weights, {self.num_inputs} inputs"
        return f"<Function: {self.question.text()}; {sizes}; {self.executor.name}>"

    def __reduce__(self) -> Any:
        fields = (self.circuit, self.question, self.executor, self.gradient)
        rest = (self.dtype, self.threads, self.seed, self.packed, self.common_random_numbers)
        return Function, (*fields, *rest)

    def __call__(self, weights: Any = None, inputs: Any = None) -> np.ndarray:
        """The values (..., num_outputs).

        Raises `KetgradValueError` or `KetgradTypeError` naming the first entry that is not a finite real number,
        or the shape that is expected; `KetgradMemoryError` before any work if the result does not fit.
        """
        way = self._shortcut
        direct = way.cache.get(way.key)
        if direct is not None:
            values = direct.call(weights, inputs, way.threads, way.single)
            if values is not None:
                return values
        return self._way.values(self, weights, inputs)

    def vjp(
        self, weights: Any = None, inputs: Any = None, cotangent: Any = None, *, slope: Any = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(values, dweights, dinputs): the values, and the derivatives of sum(cotangent * values).

        cotangent: (..., num_outputs), broadcast over missing leading axes; None for 1, where there is one output;
        for `state` complex, with d loss = Re(sum(conj(cotangent) * d psi)). slope: like cotangent, for real values
        only; the cotangent used is then cotangent + slope * values, so that one call differentiates a squared loss:
        sum((values - y)**2) has the cotangent -2 y and the slope 2. The derivatives have the shapes of `weights` and
        `inputs`, summed over the axes along which those were broadcast, and shape (0,) for an argument that was
        left out.
        Cost: see `plan`. Raises `KetgradValueError` if no gradient rule can be used.

        >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
        >>> values, dweights, _ = f.vjp([np.pi / 2], None, [1.0])
        >>> values.round(6) + 0, dweights.round(6)
        (array([0.]), array([-1.]))
        """
        if cotangent is None:
            check_slope(slope)
        way = self._shortcut
        direct = way.cache.get(way.key)
        if direct is not None and self._is_adjoint:
            found = direct.call_vjp(weights, inputs, cotangent, slope, way.threads, way.single)
            if found is not None:
                if self._steep:
                    check_derivatives(self.program, {"dweights": found[1], "dinputs": found[2]})
                return found
        return self._way.vjp(self, weights, inputs, cotangent, slope)

    def jacobian(self, weights: Any = None, inputs: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """(by_weights, by_inputs): (..., num_outputs, num_weights) and (..., num_outputs, num_inputs).

        One derivative for each sample, output and variable; nothing is summed. Complex for `state`.
        Cost: with the adjoint method one forward and backward pass per sample and output, in batches.
        Raises `KetgradMemoryError` before any work if the result does not fit.

        >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), [kg.Pauli("Z0"), kg.Pauli("X0")])
        >>> f.jacobian([0.0])[0].round(6) + 0
        array([[0.],
               [1.]])
        """
        return self._way.jacobian(self, weights, inputs)

    def jvp(
        self,
        weights: Any = None,
        inputs: Any = None,
        weights_direction: Any = None,
        inputs_direction: Any = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(values, tangents): the values, and their derivatives along a direction, both (..., num_outputs).

        weights_direction, inputs_direction: in the shapes of `weights` and `inputs`; None for zero.
        Exact; cost: about two circuit executions. Errors as of `hvp`.

        >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
        >>> f.jvp([np.pi / 2], None, [2.0])[1].round(6)
        array([-2.])
        """
        return self._way.jvp(self, weights, inputs, weights_direction, inputs_direction)

    def hvp(
        self,
        weights: Any = None,
        inputs: Any = None,
        cotangent: Any = None,
        weights_direction: Any = None,
        inputs_direction: Any = None,
        cotangent_direction: Any = None,
    ) -> HessianProduct:
        """(values, tangents, dweights, dinputs, hweights, hinputs): `vjp`, `jvp`, and a product with the Hessian.

        hweights and hinputs are d/de of dweights and dinputs at weights + e weights_direction,
        inputs + e inputs_direction and cotangent + e cotangent_direction: the Hessian of sum(cotangent * values)
        times the direction, and what the change of the cotangent adds. A direction has the shape of what it
        changes; None is zero. Exact: forward mode over the adjoint method. Cost: about twice `vjp`, five states.
        Raises `KetgradValueError` on an executor with shots, with a gradient rule other than `Adjoint`, and along
        an input at the edge of arccos, +-1, where the circuit is not flat there.

        Griewank and Walther 2008, Evaluating Derivatives, chapter 5, doi:10.1137/1.9780898717761; Jones and
        Gacon 2020, arXiv:2009.02823.

        >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0), kg.rx(kg.w[1], 0)]), kg.Pauli("Z0"))
        >>> f.hvp([0.0, 0.0], None, [1.0], [1.0, 0.0]).hweights.round(6) + 0
        array([-1.,  0.])
        """
        moves = weights_direction, inputs_direction, cotangent_direction
        return self._way.hvp(self, weights, inputs, cotangent, *moves)

    def hessian(self, weights: Any = None, inputs: Any = None, cotangent: Any = None) -> Hessian:
        """(weights_weights, weights_inputs, inputs_inputs) of sum(cotangent * values): (..., W, W) and so on.

        cotangent: as of `vjp`. One Hessian for each sample; nothing is summed. Cost: one `hvp` for each sample and
        variable, in batches.
        Errors as of `hvp`; `KetgradMemoryError` before any work if the result does not fit.

        >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0), kg.ry(kg.w[1], 0)]), kg.Pauli("Z0"))
        >>> f.hessian([0.0, 0.0], None, [1.0]).weights_weights.round(6)
        array([[-1., -1.],
               [-1., -1.]])
        """
        return self._way.hessian(self, weights, inputs, cotangent)

    def _batch(self, weights: Any, inputs: Any) -> Batch:
        """Arguments of any kind, checked, with the random numbers of this call."""
        batch = self._signature.batch(weights, inputs)
        if "shots" not in self.executor.abilities or batch.is_empty:
            return batch
        return batch._replace(rng=self._draws())

    def _draws(self) -> np.random.Generator:
        """The random numbers of one call, its derivatives included."""
        repeats = self.seed is None or self.common_random_numbers
        return numbered_stream(self.seed, 0 if repeats else next(self._calls))
