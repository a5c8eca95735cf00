"""Functions: a circuit, a question and an executor, callable and differentiable like any array function."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ketgrad import executors
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.executors.held_states import check_held, check_state, held_bytes
from ketgrad.executors.protocol import Direct
from ketgrad.foundation.arrays import (
    as_cotangent,
    check_finite,
    check_width,
    real_array,
    warn_of_large_angles,
)
from ketgrad.foundation.errors import KetgradValueError
from ketgrad.foundation.memory import FREE_BELOW, reserve
from ketgrad.foundation.numbers import COMPLEX64, COMPLEX128, COMPLEX_OF, FLOAT32, FLOAT64, REAL_OF
from ketgrad.foundation.seeds import numbered_stream, seed_content
from ketgrad.functions import composed
from ketgrad.functions.angle_limits import check_angles
from ketgrad.functions.batch import (
    Rows,
    align,
    angle_columns,
    check_amplitudes,
    check_derivatives,
    check_observables,
    common_lead,
    contiguous,
    converted,
    expand,
    is_steep,
    missing_cotangent,
    quick_bounds,
    quick_rows,
    reader,
    unbroadcast,
)
from ketgrad.functions.gradients import directional as second
from ketgrad.functions.gradients.adjoint import Adjoint
from ketgrad.functions.gradients.amplitude_shifts import has_variable_amplitudes
from ketgrad.functions.gradients.choice import check_usable, choose
from ketgrad.functions.gradients.rules import is_adjoint, vjp_with_slope
from ketgrad.functions.gradients.sweeps import Point
from ketgrad.functions.input_functions import Near, chain_inputs, near_edges
from ketgrad.functions.plan import Plan, make_plan
from ketgrad.programs.lowering import compile
from ketgrad.programs.program import Program
from ketgrad.programs.questions import (
    ComposedQuestion,
    Question,
    unpacked,
)


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

    base: Function | None = field(
        init=False, compare=False
    )  # whose values those of a composed question follow
    program: Program = field(init=False, compare=False)
    num_weights: int = field(init=False, compare=False)
    num_inputs: int = field(init=False, compare=False)
    num_outputs: int = field(init=False, compare=False)
    _chosen: Any = field(init=False, compare=False)  # the rule, where that is known beforehand
    _quick_rows: int = field(init=False, compare=False)  # calls up to this size need no preflight
    _bounds: dict[np.dtype, float] = field(
        init=False, compare=False
    )  # sums of squares that need no look at the angles
    _direct: Any = field(init=False, compare=False)  # the key of the executor's own way for plain arrays
    _single: bool = field(init=False, compare=False)
    _steep: bool = field(init=False, compare=False)  # a derivative may be larger than numbers can be
    _seed_content: Any = field(init=False)
    _calls: Any = field(init=False, compare=False)  # numbers the calls that draw; a step of it is atomic

    def __post_init__(self) -> None:
        if self.common_random_numbers and self.seed is None:
            raise KetgradValueError(
                "`common_random_numbers` needs a `seed` - every call repeats the draws of that seed - but `seed` is "
                "None. Pass seed=0, say."
            )
        object.__setattr__(self, "circuit", as_circuit(self.circuit))
        object.__setattr__(self, "executor", executors.get(self.executor))
        base = self._base()
        program = compile(self.circuit, self.question) if base is None else base.program
        if self.gradient is not None:
            check_usable(self.gradient, self.executor, program)
        check_observables(program, REAL_OF[self.dtype])
        check_state(self.question.table_qubits(self.circuit.num_qubits), self.dtype.itemsize)
        check_held(self.executor, program, self.dtype.itemsize)
        adjoint = Adjoint()
        plain = (
            program.input_map is None
            and not has_variable_amplitudes(program)
            and base is None
            and "shots" not in self.executor.abilities
        )
        outputs = self.question.num_outputs(self.circuit.num_qubits)
        found = {
            "base": base,
            "program": program,
            "num_weights": self.circuit.num_weights,
            "num_inputs": self.circuit.num_inputs,
            "num_outputs": outputs,
            "_chosen": self.gradient
            or (adjoint if adjoint.objection(self.executor, program) is None else None),
            "_quick_rows": self._rows_without_preflight(program, outputs) if plain else 0,
            "_bounds": quick_bounds(program),
            "_direct": self.executor.direct if plain and isinstance(self.executor, Direct) else None,
            "_single": self.dtype == COMPLEX64,
            "_steep": is_steep(program),
            "_seed_content": seed_content(self.seed),
            "_calls": itertools.count(),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def _rows_without_preflight(self, program: Program, outputs: int) -> int:
        return FREE_BELOW // (held_bytes(self.executor, program, COMPLEX128.itemsize) + 16 * outputs)

    def _base(self) -> Function | None:
        if not isinstance(self.question, ComposedQuestion):
            return None
        self.question.check(self.circuit.num_qubits)
        return replace(self, question=self.question.base)

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
        direct = self.program.cache.get(self._direct)
        if direct is not None:
            values = direct.call(weights, inputs, self.threads, self._single)
            if values is not None:
                return values
        if self.base is not None:
            return composed.values(self, weights, inputs)
        rows = self._quick(weights, inputs) or self._rows(weights, inputs)
        if math.prod(rows.lead) == 0:
            values = self._nothing(rows)
        else:
            values = self._point(rows).run(rows.weights, rows.inputs)
            values = values.reshape(*rows.lead, self.num_outputs)
        unpack = self.question.is_drawn and not self.packed
        return unpacked(values, self.circuit.num_qubits) if unpack else values

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
        rule = self._rule()
        if cotangent is None and slope is not None:
            raise KetgradValueError(
                "`cotangent` must be given beside `slope` - their use is cotangent + slope * values - but is missing. "
                "Pass zeros for the slope alone."
            )
        if self.base is not None:
            return composed.vjp(self, weights, inputs, cotangent, slope)
        if is_adjoint(rule):
            direct = self.program.cache.get(self._direct)
            if direct is not None:
                found = direct.call_vjp(weights, inputs, cotangent, slope, self.threads, self._single)
                if found is not None:
                    if self._steep:
                        self._check(dweights=found[1], dinputs=found[2])
                    return found
        rows = self._quick(weights, inputs) or self._rows(weights, inputs)
        direction = self._cotangent(cotangent, rows)
        real = REAL_OF[rows.dtype]
        if not len(direction):
            return self._nothing(rows), np.zeros(rows.weights_shape, real), np.zeros(rows.inputs_shape, real)
        point = self._point(rows)
        if slope is None:
            values, dweights, dinputs = rule.vjp(point, direction)
        else:
            tilt = self._slope(slope, rows)
            values, dweights, dinputs = vjp_with_slope(rule, point, direction, tilt)
            direction = direction + tilt * values
        if self.program.input_map is not None:
            wide = np.complex128 if self.question.is_complex else np.float64
            dinputs = chain_inputs(
                self.program,
                self._near_edges(point),
                rows.inputs,
                dinputs,
                point.size(direction),
                lambda some, columns: rule.vjp(point.at(some, columns), direction[some].astype(wide))[2],
            )
        with np.errstate(over="ignore"):  # is looked at below
            dweights = unbroadcast(dweights, rows.lead, rows.weights_shape).astype(real, copy=False)
            dinputs = unbroadcast(dinputs, rows.lead, rows.inputs_shape).astype(real, copy=False)
        self._check(dweights=dweights, dinputs=dinputs)
        return values.reshape(*rows.lead, self.num_outputs), dweights, dinputs

    def _near_edges(self, point: Point) -> Near | None:
        """The rows whose exact derivatives need care; what shots give has no digits to lose."""
        if "exact" not in self.executor.abilities:
            return None
        return near_edges(self.program, point.weights, point.inputs, point.batch)

    def _slope(self, slope: Any, rows: Rows) -> np.ndarray:
        if self.question.is_complex:
            raise KetgradValueError(
                "`slope` is for real values, but `state` gives complex ones. Pass the cotangent of the state alone."
            )
        return self._cotangent(slope, rows, "slope")

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
        if self.base is not None:
            return composed.jacobian(self, weights, inputs)
        rule = self._rule()
        rows = self._rows(weights, inputs)
        kind = rows.dtype if self.question.is_complex else REAL_OF[rows.dtype]
        batch, variables = math.prod(rows.lead), self.num_weights + self.program.num_inputs
        reserve(
            2 * kind.itemsize * batch * self.num_outputs * variables,
            f"the Jacobian of {batch} samples, {self.num_outputs} outputs and {variables} variables",
            "Use f.vjp, which needs one number per variable, or smaller batches.",
        )
        shape = (*rows.lead, self.num_outputs)
        if batch == 0:
            return np.zeros((*shape, self.num_weights), kind), np.zeros((*shape, self.num_inputs), kind)
        point = self._point(rows)
        by_weights, by_inputs = rule.jacobian(point)
        if self.program.input_map is not None:
            by_inputs = chain_inputs(
                self.program,
                self._near_edges(point),
                np.broadcast_to(rows.inputs, (batch, rows.inputs.shape[1])),
                by_inputs,
                point.size(),
                lambda some, columns: rule.jacobian(point.at(some, columns))[1],
            )
        with np.errstate(over="ignore"):  # is looked at below
            by_weights = by_weights.reshape(*shape, self.num_weights).astype(kind, copy=False)
            by_inputs = by_inputs.reshape(*shape, self.num_inputs).astype(kind, copy=False)
        self._check(by_weights=by_weights, by_inputs=by_inputs)
        return by_weights, by_inputs

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
        if self.base is not None:
            return composed.jvp(self, weights, inputs, weights_direction, inputs_direction)
        second.check_usable(self.gradient, self.executor, self.program)
        rows = self._quick(weights, inputs) or self._rows(weights, inputs)
        found = second.tangents(self._point(rows), rows, weights_direction, inputs_direction)
        self._check(tangents=found[1])
        return found

    def hvp(
        self,
        weights: Any = None,
        inputs: Any = None,
        cotangent: Any = None,
        weights_direction: Any = None,
        inputs_direction: Any = None,
        cotangent_direction: Any = None,
    ) -> second.HessianProduct:
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
        if self.base is not None:
            return composed.hvp(
                self,
                weights,
                inputs,
                cotangent,
                weights_direction,
                inputs_direction,
                cotangent_direction,
            )
        second.check_usable(self.gradient, self.executor, self.program)
        rows = self._quick(weights, inputs) or self._rows(weights, inputs)
        change = cotangent_direction
        found = second.hessian_product(
            self._point(rows),
            rows,
            self._cotangent(cotangent, rows),
            weights_direction,
            inputs_direction,
            None if change is None else self._cotangent(change, rows, "cotangent_direction"),
        )
        self._check(**{name: array for name, array in found._asdict().items() if name != "values"})
        return found

    def hessian(self, weights: Any = None, inputs: Any = None, cotangent: Any = None) -> second.Hessian:
        """(weights_weights, weights_inputs, inputs_inputs) of sum(cotangent * values): (..., W, W) and so on.

        cotangent: as of `vjp`. One Hessian for each sample; nothing is summed. Cost: one `hvp` for each sample and
        variable, in batches.
        Errors as of `hvp`; `KetgradMemoryError` before any work if the result does not fit.

        >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0), kg.ry(kg.w[1], 0)]), kg.Pauli("Z0"))
        >>> f.hessian([0.0, 0.0], None, [1.0]).weights_weights.round(6)
        array([[-1., -1.],
               [-1., -1.]])
        """
        if self.base is not None:
            return composed.hessian(self, weights, inputs, cotangent)
        second.check_usable(self.gradient, self.executor, self.program)
        rows = self._rows(weights, inputs)
        found = second.hessian(self._point(rows), rows, self._cotangent(cotangent, rows))
        self._check(**found._asdict())
        return found

    def _check(self, **derivatives: np.ndarray) -> None:
        check_derivatives(self.program, derivatives)

    @property
    def plan(self) -> Plan:
        """What will run, at which cost, and why not faster. Printable; nothing is simulated.

        >>> print(kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0")).plan)  # doctest: +ELLIPSIS
        question    expectation values of 1 observable, 1 Pauli word
        circuit     1 qubit, 1 weight, 0 inputs
        ...
        """
        return make_plan(self)

    def _quick(self, weights: Any, inputs: Any) -> Rows | None:
        """Rows without any copy, where both arguments are plain arrays of one type and one or two axes; else None."""
        limit = self._quick_rows
        kind = getattr(inputs if weights is None else weights, "dtype", FLOAT64)
        if not limit or kind not in COMPLEX_OF or (kind is FLOAT64 and self.dtype is COMPLEX64):
            return None
        bound = self._bounds[kind]
        w, x = (
            quick_rows(weights, self.num_weights, kind, bound),
            quick_rows(inputs, self.num_inputs, kind, bound),
        )
        if w is None or x is None:
            return None
        count, other = len(w), len(x)
        if count != other:
            if count != 1 and other != 1:
                return None
            count = max(count, other) if count and other else 0
        if not 0 < count <= limit:
            return None
        w_shape = (0,) if weights is None else weights.shape
        x_shape = (0,) if inputs is None else inputs.shape
        lead = () if len(w_shape) == 1 == len(x_shape) else (count,)
        return Rows(w, x, lead, w_shape, x_shape, COMPLEX_OF[kind])

    def _rows(self, weights: Any, inputs: Any) -> Rows:
        """Rows from anything that may be passed, checked: shapes and memory first, then the numbers."""
        w = None if weights is None else real_array(weights, "weights")
        x = None if inputs is None else real_array(inputs, "inputs")
        given = [a.dtype for a in (w, x) if a is not None and a.size]
        single = self.dtype == COMPLEX64 or (bool(given) and all(kind == FLOAT32 for kind in given))
        real = FLOAT32 if single else FLOAT64
        w = check_width(w, "weights", "w", self.num_weights)
        x = check_width(x, "inputs", "x", self.num_inputs)
        self._preflight(common_lead(w.shape, x.shape), COMPLEX_OF[real])
        w, x = contiguous(w, real, "weights"), contiguous(x, real, "inputs")
        return self._quick(w, x) or self._any_rows(w, x, COMPLEX_OF[real])

    def _any_rows(self, weights: np.ndarray, inputs: np.ndarray, dtype: np.dtype) -> Rows:
        """The general case of `_rows`: any number of axes, input functions, amplitudes, and every refusal."""
        for array, name in ((weights, "weights"), (inputs, "inputs")):
            check_finite(array, name, lambda column, name=name: reader(self.circuit, name, column))
            warn_of_large_angles(array, name, lambda name=name: angle_columns(self.program, name))
        rows = align(weights, inputs, REAL_OF[dtype], dtype)
        if self.program.input_map is not None:
            rows = rows._replace(inputs=expand(self.program, rows.inputs))
        check_angles(self.program, rows.weights, rows.inputs, len(rows.weights) * len(rows.inputs))
        check_observables(self.program, REAL_OF[dtype])
        if has_variable_amplitudes(self.program) and math.prod(rows.lead):
            check_amplitudes(self.program, rows)
        return rows

    def _preflight(self, lead: tuple[int, ...], dtype: np.dtype) -> None:
        """Refuse, before any copy, a batch whose rows and results do not fit."""
        batch, qubits, outputs = math.prod(lead), self.circuit.num_qubits, self.num_outputs
        if self.question.is_drawn:
            size, kind = (8 if self.packed else 8 + qubits), f"samples of {qubits} qubits"
        else:
            size = dtype.itemsize if self.question.is_complex else dtype.itemsize // 2
            kind = "outputs"
        reserve(
            batch * outputs * size + held_bytes(self.executor, self.program, dtype.itemsize),
            f"the result of {batch} rows with {outputs} {kind} each",
            "Call it in smaller batches.",
        )

    def _rule(self) -> Any:
        return self._chosen or choose(self.executor, self.program)

    def _draws(self) -> np.random.Generator | None:
        """The random numbers of one call, its derivatives included; None for an executor that draws none."""
        if "shots" not in self.executor.abilities:
            return None
        repeats = self.seed is None or self.common_random_numbers
        return numbered_stream(self.seed, 0 if repeats else next(self._calls))

    def _point(self, rows: Rows) -> Point:
        rng = self._draws()
        return Point(self.executor, self.program, rows.weights, rows.inputs, rows.dtype, self.threads, rng)

    def _nothing(self, rows: Rows) -> np.ndarray:
        """The values of no samples."""
        kind = rows.dtype if self.question.is_complex else REAL_OF[rows.dtype]
        kind = np.dtype(np.uint64) if self.question.is_drawn else kind
        return np.zeros((*rows.lead, self.num_outputs), dtype=kind)

    def _cotangent(self, cotangent: Any, rows: Rows, name: str = "cotangent") -> np.ndarray:
        """The cotangent (or the slope) in rows, checked; None is the derivative of a single real output."""
        complex_valued = self.question.is_complex
        if cotangent is None:
            if name != "cotangent" or self.num_outputs != 1 or complex_valued:
                raise missing_cotangent(name, self.num_outputs, self.question.outputs)
            cotangent = np.ones(1)
        kind = rows.dtype if complex_valued else REAL_OF[rows.dtype]
        shape = (*rows.lead, self.num_outputs)
        if (
            type(cotangent) is np.ndarray
            and cotangent.dtype is kind
            and cotangent.shape == shape
            and cotangent.flags.c_contiguous
            and math.isfinite(abs(np.vdot(cotangent, cotangent)))
        ):
            return cotangent if rows.lead and len(rows.lead) == 1 else cotangent.reshape(-1, shape[-1])
        array = as_cotangent(cotangent, shape, complex_valued, name)
        return converted(array, kind, name).reshape(-1, self.num_outputs)
