"""Functions: a circuit, a question and an executor, callable and differentiable like any array function."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ketgrad import arguments, executors, gradients
from ketgrad.angles import INPUT_FUNCTIONS
from ketgrad.arguments import Rows
from ketgrad.circuit import Circuit
from ketgrad.errors import KetgradIndexError, KetgradTypeError, KetgradValueError
from ketgrad.executors.sampled import MAX_SHOTS, Sampled
from ketgrad.memory import FREE_BELOW, reserve, state_bytes
from ketgrad.paulis import PauliSum
from ketgrad.plan import Plan
from ketgrad.program import STATE_PREPARATION, Expect, Probabilities, Program, Samples, State, compile
from ketgrad.streams import check_seed, stream

FLOAT64 = np.dtype(np.float64)
FLOAT32 = np.dtype(np.float32)
COMPLEX128 = np.dtype(np.complex128)
COMPLEX64 = np.dtype(np.complex64)
REAL_OF = {COMPLEX128: FLOAT64, COMPLEX64: FLOAT32}
NORM_TOLERANCE = {FLOAT64: 1e-8, FLOAT32: 1e-4}
QUICK_BOUND = 2.0**52  # a sum of squares below this holds no NaN, no infinity and no angle above 2^26


@dataclass(frozen=True)
class Function:
    """f(weights, inputs): what a circuit answers to a question, with its derivatives.

    Made by `expectation`, `probabilities`, `state` and `samples`. Immutable, picklable, compared by content, and
    usable from many threads at once: all working memory belongs to the call.

    weights: (..., num_weights), inputs: (..., num_inputs); the leading axes broadcast as in a NumPy generalised
    ufunc and lead the result; an argument that the circuit does not read may be left out. Shared rows are
    simulated with shared gates, never copied out. float64, unless `dtype` is complex64 or all given arrays are
    float32. Angles count modulo 2 pi; beyond 2^26 (2^16 in float32) a warning says what is left of their digits.

    >>> f = kg.expectation(kg.Circuit([kg.rx(kg.x[0], 0), kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
    >>> f([0.0], [[0.0], [np.pi]]).round(6)
    array([[ 1.],
           [-1.]])
    """

    circuit: Circuit
    question: Expect | Probabilities | State | Samples
    executor: Any
    gradient: Any = None
    dtype: np.dtype = COMPLEX128
    threads: int | None = None
    seed: Any = None
    packed: bool = False

    program: Program = field(init=False, repr=False, compare=False)
    num_weights: int = field(init=False, repr=False, compare=False)
    num_inputs: int = field(init=False, repr=False, compare=False)
    num_outputs: int = field(init=False, repr=False, compare=False)
    _random: bool = field(init=False, repr=False, compare=False)
    _plain: bool = field(init=False, repr=False, compare=False)
    _quick_rows: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        reserve(
            state_bytes(self.circuit.num_qubits, 1, self.dtype.itemsize),
            f"the state of {self.circuit.num_qubits} qubits",
            "Every amplitude is kept: use fewer qubits, or split the circuit.",
        )
        program = compile(self.circuit, self.question)
        outputs = self.question.shots if isinstance(self.question, Samples) else program.num_outputs
        row = self.dtype.itemsize * 2**program.num_qubits + 16 * outputs
        own = {
            "program": program,
            "num_weights": self.circuit.num_weights,
            "num_inputs": self.circuit.num_inputs,
            "num_outputs": outputs,
            "_random": "shots" in self.executor.abilities,
            # nothing to expand, nothing to check row by row: the arrays can go to the executor as they are
            "_plain": program.input_map is None
            and not gradients.has_variable_amplitudes(program)
            and self.dtype == COMPLEX128
            and "shots" not in self.executor.abilities,
            "_quick_rows": FREE_BELOW // row,
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)
        if self.gradient is not None:
            gradients.check_usable(self.gradient, self.executor, program)

    def __reduce__(self):
        fields = (self.circuit, self.question, self.executor, self.gradient)
        return Function, (*fields, self.dtype, self.threads, self.seed, self.packed)

    def __call__(self, weights: Any = None, inputs: Any = None) -> np.ndarray:
        """The values (..., num_outputs).

        Raises `KetgradValueError` or `KetgradTypeError` naming the first entry that is not a finite real number,
        and the shape that is expected; `KetgradMemoryError` before any work if the result does not fit.
        """
        rows = self._quick(weights, inputs)
        if rows is not None:
            values = self.executor.run(
                self.program, rows.weights, rows.inputs, dtype=COMPLEX128, threads=self.threads
            )
            return values if len(rows.lead) == 1 else values[0]
        rows, dtype = self._rows(weights, inputs)
        values = self._run(rows, dtype)
        return self._bits(values, rows.lead) if isinstance(self.question, Samples) else values

    def vjp(self, weights: Any = None, inputs: Any = None, cotangent: Any = None) -> tuple[np.ndarray, ...]:
        """(values, dweights, dinputs): the values and the derivatives of sum(cotangent * values).

        cotangent: (..., num_outputs), broadcast over missing leading axes; for `state` complex, with
        d loss = Re(sum(conj(cotangent) * d psi)). The derivatives have the shapes of `weights` and `inputs`, summed
        over the axes along which they were broadcast, and shape (0,) for an argument that was left out.
        Cost: see `plan`. Raises `KetgradValueError` if the gradient rule cannot be used.

        >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)]), kg.Pauli("Z0"))
        >>> values, dweights, _ = f.vjp([np.pi / 2], None, [1.0])
        >>> values.round(6) + 0, dweights.round(6)
        (array([0.]), array([-1.]))
        """
        rule = self._rule()
        rows = self._quick(weights, inputs)
        dtype = COMPLEX128
        if rows is None:
            rows, dtype = self._rows(weights, inputs)
        if math.prod(rows.lead) == 0:
            return self._empty(rows, dtype), np.zeros(rows.weights_shape), np.zeros(rows.inputs_shape)
        real = REAL_OF[dtype]
        direction = self._cotangent(cotangent, rows.lead, dtype)
        values, dweights, dinputs = rule.vjp(self._point(rows, dtype), direction)
        if self.program.input_map is not None:
            dinputs = self._chain_inputs(dinputs, rows)
        return (
            values.reshape(*rows.lead, self.num_outputs),
            arguments.unbroadcast(dweights, rows.lead, rows.weights_shape).astype(real, copy=False),
            arguments.unbroadcast(dinputs, rows.lead, rows.inputs_shape).astype(real, copy=False),
        )

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
        rule = self._rule()
        rows, dtype = self._rows(weights, inputs)
        batch, variables = math.prod(rows.lead), self.num_weights + self.program.num_inputs
        item = 16 if isinstance(self.question, State) else 8
        reserve(
            2 * item * batch * self.num_outputs * variables,
            f"the Jacobian of {batch} samples, {self.num_outputs} outputs and {variables} variables",
            "Use f.vjp, which needs one number per variable, or smaller batches.",
        )
        kind = dtype if isinstance(self.question, State) else REAL_OF[dtype]
        shape = (*rows.lead, self.num_outputs)
        if batch == 0:
            return np.zeros((*shape, self.num_weights), kind), np.zeros((*shape, self.num_inputs), kind)
        by_weights, by_inputs = rule.jacobian(self._point(rows, dtype))
        if self.program.input_map is not None:
            by_inputs = self._chain_inputs(by_inputs, rows)
        return (
            by_weights.reshape(*shape, self.num_weights).astype(kind, copy=False),
            by_inputs.reshape(*shape, self.num_inputs).astype(kind, copy=False),
        )

    @property
    def plan(self) -> Plan:
        """What will run, at which cost, and why not faster. Printable; nothing is simulated."""
        program, executor = self.program, self.executor
        rule, reason, cost = "none", "", None
        try:
            chosen = self._rule()
        except KetgradValueError as refusal:
            reason = str(refusal)
        else:
            rule, cost = str(chosen), chosen.cost(program)
            reason = _why(chosen, self.gradient, executor, program)
        exact = executor.executor if isinstance(executor, Sampled) else executor
        return Plan(
            question=_question_text(self.question),
            num_qubits=program.num_qubits,
            num_weights=self.num_weights,
            num_inputs=self.num_inputs,
            num_outputs=self.num_outputs,
            gates=len(self.circuit.ops),
            instructions=len(program.kind),
            executor=executor.name,
            engine=exact.engine(program) if hasattr(exact, "engine") else exact.name,
            threads=self.threads,
            precision=f"{self.dtype}",
            shots=executor.shots if isinstance(executor, Sampled) else None,
            rule=rule,
            reason=reason,
            executions=None if cost is None else cost.executions,
            backward=0 if cost is None else cost.backward,
            memory=state_bytes(program.num_qubits, 1, self.dtype.itemsize) if cost is None else cost.memory,
            not_faster=_not_faster(self, rule),
        )

    # -- from arguments to rows ------------------------------------------------------------------------

    def _quick(self, weights: Any, inputs: Any) -> Rows | None:
        """Rows without any copy, where both arguments are plain float64 arrays of one or two axes; else None."""
        if not self._plain:
            return None
        w = _quick_rows(weights, self.num_weights)
        x = _quick_rows(inputs, self.num_inputs)
        if w is None or x is None:
            return None
        count, other = len(w), len(x)
        if count != other:
            if count != 1 and other != 1:
                return None
            count = max(count, other) if count and other else 0
        if not 0 < count <= self._quick_rows:
            return None
        w_shape = (0,) if weights is None else weights.shape
        x_shape = (0,) if inputs is None else inputs.shape
        return Rows(w, x, () if len(w_shape) == 1 == len(x_shape) else (count,), w_shape, x_shape)

    def _rows(self, weights: Any, inputs: Any) -> tuple[Rows, np.dtype]:
        """Rows from anything that may be passed, checked; and the complex type to compute in."""
        w = None if weights is None else arguments.real_array(weights, "weights")
        x = None if inputs is None else arguments.real_array(inputs, "inputs")
        given = [a.dtype for a in (w, x) if a is not None and a.size]
        single = self.dtype == COMPLEX64 or (bool(given) and all(kind == FLOAT32 for kind in given))
        dtype = COMPLEX64 if single else COMPLEX128
        w = self._checked(w, "weights", "w", self.num_weights)
        x = self._checked(x, "inputs", "x", self.num_inputs)
        rows = arguments.align(w, x, REAL_OF[dtype])
        self._preflight(math.prod(rows.lead), dtype)
        if self.program.input_map is not None:
            rows = rows._replace(inputs=self._expand(rows.inputs))
        if gradients.has_variable_amplitudes(self.program) and math.prod(rows.lead):
            _check_amplitudes(self.program, rows)
        return rows, dtype

    def _checked(self, array: np.ndarray | None, name: str, letter: str, width: int) -> np.ndarray:
        if array is None and width == 0:
            return np.zeros(0)
        arguments.check_width(array, name, letter, width)
        assert array is not None
        first = 1 if name == "weights" else 1 + self.num_weights
        arguments.check_finite(array, name, lambda column: _reader(self, name, column))
        angles = np.unique(np.concatenate([self.program.term_a, self.program.term_b])) - first
        if self.program.input_map is None or name == "weights":
            arguments.warn_of_large_angles(array, name, angles[(angles >= 0) & (angles < width)])
        return array

    def _preflight(self, batch: int, dtype: np.dtype) -> None:
        if isinstance(self.question, Samples):
            size = batch * self.num_outputs * (8 if self.packed else 8 + self.circuit.num_qubits)
            what = f"{self.num_outputs} samples of {self.circuit.num_qubits} qubits for {batch} rows"
            reserve(size, what, "Take fewer shots at a time, or packed=True.")
            return
        item = dtype.itemsize if isinstance(self.question, State) else dtype.itemsize // 2
        size = batch * self.num_outputs * item + state_bytes(self.circuit.num_qubits, 1, dtype.itemsize)
        what = f"the result of {batch} samples with {self.num_outputs} outputs each, on {self.circuit.num_qubits} qubits,"
        reserve(size, what, "Call it in smaller batches.")

    def _expand(self, inputs: np.ndarray) -> np.ndarray:
        """The columns that the program reads: the inputs themselves, and elementwise functions of them."""
        columns = np.empty((len(inputs), self.program.num_inputs), dtype=inputs.dtype)
        for k, (name, j) in enumerate(self.program.input_map or ()):
            columns[:, k] = inputs[:, j]
            if name == "identity":
                continue
            function = INPUT_FUNCTIONS[name]
            inside = (inputs[:, j] >= function.low) & (inputs[:, j] <= function.high)
            if not inside.all():
                row = int(np.argmin(inside))
                raise KetgradValueError(
                    f"`inputs` column {j} must lie in [{function.low:g}, {function.high:g}] - the circuit takes "
                    f"{name}(x[{j}]) - but row {row} holds {inputs[row, j]}. Scale the inputs into that interval."
                )
            columns[:, k] = function.value(inputs[:, j])
        return columns

    def _chain_inputs(self, derivative: np.ndarray, rows: Rows) -> np.ndarray:
        """From derivatives by the program's columns to derivatives by the inputs that they were made of.

        A column whose derivative vanishes contributes nothing, also at an edge where arccos is infinitely steep.
        """
        total = np.zeros((*derivative.shape[:-1], self.num_inputs), dtype=derivative.dtype)
        for k, (name, j) in enumerate(self.program.input_map or ()):
            slope = derivative[..., k]
            if name != "identity":
                slope = self._steepen(slope, name, k, rows)
            total[..., j] += slope
        return total

    def _steepen(self, slope: np.ndarray, name: str, column: int, rows: Rows) -> np.ndarray:
        with np.errstate(divide="ignore"):
            # x = cos(arccos x) to the last bits; exact at the edges, where the derivative is infinite
            factor = INPUT_FUNCTIONS[name].derivative(np.cos(rows.inputs[:, column]))
        factor = factor.reshape(-1, *(1,) * (slope.ndim - 1))
        negligible = np.abs(slope) <= 64 * np.finfo(rows.inputs.dtype).eps
        return np.where(negligible & np.isinf(factor), 0.0, slope) * np.where(
            negligible & np.isinf(factor), 0.0, factor
        )

    # -- running -----------------------------------------------------------------------------------------

    def _rule(self) -> Any:
        return gradients.choose(self.executor, self.program) if self.gradient is None else self.gradient

    def _point(self, rows: Rows, dtype: np.dtype) -> gradients.Point:
        rng = stream(self.seed) if self._random else None
        return gradients.Point(
            self.executor, self.program, rows.weights, rows.inputs, dtype, self.threads, rng
        )

    def _run(self, rows: Rows, dtype: np.dtype) -> np.ndarray:
        if math.prod(rows.lead) == 0:
            return self._empty(rows, dtype)
        point = self._point(rows, dtype)
        return point.run(rows.weights, rows.inputs).reshape(*rows.lead, self.num_outputs)

    def _empty(self, rows: Rows, dtype: np.dtype) -> np.ndarray:
        kinds = {State: dtype, Samples: np.dtype(np.uint64)}
        return np.zeros((*rows.lead, self.num_outputs), dtype=kinds.get(type(self.question), REAL_OF[dtype]))

    def _bits(self, outcomes: np.ndarray, lead: tuple[int, ...]) -> np.ndarray:
        """Outcome indices, or one byte per qubit, qubit 0 first."""
        if self.packed:
            return outcomes
        size = self.circuit.num_qubits
        places = np.arange(size - 1, -1, -1, dtype=np.uint64)
        bits = np.empty((*lead, self.num_outputs, size), dtype=np.uint8)
        for qubit, place in enumerate(places):
            bits[..., qubit] = (outcomes >> place) & np.uint64(1)
        return bits

    def _cotangent(self, cotangent: Any, lead: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        shape = (*lead, self.num_outputs)
        if isinstance(self.question, State):
            array = np.asarray(cotangent)
            if array.dtype.kind not in "iufc":
                raise KetgradTypeError(
                    f"`cotangent` must hold complex numbers, but has the dtype {array.dtype}."
                )
            kind = dtype
        else:
            array, kind = arguments.real_array(cotangent, "cotangent"), REAL_OF[dtype]
        arguments.check_finite(array, "cotangent")
        if array.shape != shape:
            expected = f"`cotangent` must have shape {shape} - one entry for each output - but has shape {array.shape}."
            if array.ndim == 0 or array.shape[-1] != self.num_outputs:
                raise KetgradValueError(expected)
            try:
                array = np.broadcast_to(array, shape)
            except ValueError:
                raise KetgradValueError(expected) from None
        return np.ascontiguousarray(array, dtype=kind).reshape(-1, self.num_outputs)


def _quick_rows(array: Any, width: int) -> np.ndarray | None:
    if type(array) is np.ndarray and array.dtype is FLOAT64 and array.flags.c_contiguous:
        if array.ndim == 1:
            if len(array) == width and array.dot(array) < QUICK_BOUND:
                return array.reshape(1, width)
        elif array.ndim == 2 and array.shape[1] == width and np.vdot(array, array) < QUICK_BOUND:
            return array
        return None
    return _NO_COLUMNS if array is None and width == 0 else None


_NO_COLUMNS = np.zeros((1, 0))
_NO_COLUMNS.flags.writeable = False


# -- constructors -----------------------------------------------------------------------------------------


def expectation(
    circuit: Circuit,
    observables: PauliSum | Iterable[PauliSum],
    *,
    executor: Any = "native",
    gradient: Any = None,
    shots: int | None = None,
    dtype: Any = np.complex128,
    threads: int | None = None,
    seed: Any = None,
) -> Function:
    """The function (weights, inputs) -> expectation values (..., K) of K observables after the circuit.

    observables: one `Pauli` sum, or several; real coefficients. executor: a name or an instance. gradient: a rule
    such as `ParameterShift()`; None chooses an exact one. shots: None for exact values, or the number of
    measurements for each group of observables that can be read together. dtype: complex128 or complex64.
    threads: None for all cores. seed: of the measurements; the same seed gives the same bits.
    Cost: one circuit execution per sample; about 10 microseconds per call beyond that.
    Raises `KetgradValueError` for an observable that is not Hermitian, with its largest deviation,
    `KetgradIndexError` for one outside the circuit, `KetgradMemoryError` for a circuit that does not fit.

    >>> bell = kg.Circuit([kg.h(0), kg.cx(0, 1)])
    >>> kg.expectation(bell, [kg.Pauli("Z0 Z1"), kg.Pauli("Z0")])().round(6) + 0
    array([1., 0.])
    """
    _check_circuit(circuit)
    question = Expect(_observables(observables, circuit.num_qubits))
    return _function(circuit, question, executor, gradient, shots, dtype, threads, seed)


def probabilities(
    circuit: Circuit,
    qubits: Iterable[int] | None = None,
    *,
    executor: Any = "native",
    gradient: Any = None,
    shots: int | None = None,
    dtype: Any = np.complex128,
    threads: int | None = None,
    seed: Any = None,
) -> Function:
    """The function (weights, inputs) -> probabilities (..., 2**m) of the outcomes of m measured qubits.

    qubits: which, the first the most significant bit of the outcome; None for all in order.
    The other arguments and errors are those of `expectation`.

    >>> kg.probabilities(kg.Circuit([kg.h(0), kg.cx(0, 1)]))().round(6)
    array([0.5, 0. , 0. , 0.5])
    """
    _check_circuit(circuit)
    measured = tuple(range(circuit.num_qubits)) if qubits is None else _qubits(qubits, circuit.num_qubits)
    reserve(
        state_bytes(len(measured), 1, 8), f"the probabilities of {len(measured)} qubits", "Measure fewer."
    )
    return _function(circuit, Probabilities(measured), executor, gradient, shots, dtype, threads, seed)


def state(
    circuit: Circuit,
    *,
    executor: Any = "native",
    gradient: Any = None,
    dtype: Any = np.complex128,
    threads: int | None = None,
) -> Function:
    """The function (weights, inputs) -> the state (..., 2**n), qubit 0 the most significant bit of the index.

    The arguments and errors are those of `expectation`; amplitudes cannot be measured, so there are no shots.

    >>> kg.state(kg.Circuit([kg.x(1)], num_qubits=2))().real.round(6)
    array([0., 1., 0., 0.])
    """
    _check_circuit(circuit)
    return _function(circuit, State(), executor, gradient, None, dtype, threads, None)


def samples(
    circuit: Circuit,
    *,
    shots: int,
    packed: bool = False,
    executor: Any = "native",
    dtype: Any = np.complex128,
    threads: int | None = None,
    seed: Any = None,
) -> Function:
    """The function (weights, inputs) -> measured bits (..., shots, n) as uint8, qubit 0 first.

    packed: outcome indices (..., shots) as uint64 instead, qubit 0 the most significant bit.
    The same seed gives the same bits at any thread count; None draws fresh ones at each call.
    Raises `KetgradValueError` for shots that are not a positive integer, `KetgradMemoryError` if they do not fit.

    >>> kg.samples(kg.Circuit([kg.x(1)], num_qubits=2), shots=3)().tolist()
    [[0, 1], [0, 1], [0, 1]]
    """
    _check_circuit(circuit)
    return _function(
        circuit, Samples(_shots(shots)), executor, None, shots, dtype, threads, seed, bool(packed)
    )


def _function(circuit, question, executor, gradient, shots, dtype, threads, seed, packed=False) -> Function:
    engine = executors.get(executor)
    if shots is not None:
        exact = engine.executor if isinstance(engine, Sampled) else engine
        engine = Sampled(exact, _shots(shots))
    if threads is not None and (
        isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1
    ):
        raise KetgradValueError(f"`threads` must be None or a positive integer, but is {threads!r}.")
    if isinstance(seed, np.random.Generator | np.random.RandomState):
        raise KetgradTypeError(
            "`seed` must be None, an integer or a SeedSequence - a function has no changing state."
        )
    check_seed(seed)
    return Function(circuit, question, engine, gradient, _complex_type(dtype), threads, seed, packed)


def _complex_type(dtype: Any) -> np.dtype:
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = None
    if kind not in (COMPLEX128, COMPLEX64):
        raise KetgradTypeError(
            f"`dtype` must be complex128 or complex64, the type of the amplitudes, but is {dtype!r}."
        )
    return kind


def _shots(shots: Any) -> int:
    try:
        count = operator.index(shots)
    except TypeError:
        raise KetgradTypeError(f"`shots` must be a positive integer, but is {shots!r}.") from None
    if isinstance(shots, bool | np.bool_) or not 0 < count <= MAX_SHOTS:
        raise KetgradValueError(f"`shots` must be an integer from 1 to 2^53, but is {shots!r}.")
    return count


def _check_circuit(circuit: Any) -> None:
    if not isinstance(circuit, Circuit):
        raise KetgradTypeError(f"`circuit` must be a kg.Circuit, but is {type(circuit).__name__}.")


def _observables(observables: Any, num_qubits: int) -> tuple[PauliSum, ...]:
    several = isinstance(observables, Iterable) and not isinstance(observables, PauliSum | str)
    sums = tuple(observables) if several else (observables,)
    if not sums:
        raise KetgradValueError("`observables` must hold at least one Pauli sum, but is empty.")
    for k, observable in enumerate(sums):
        name = f"observables[{k}]" if several else "observables"
        if not isinstance(observable, PauliSum):
            hint = f" Write kg.Pauli({observable!r})." if isinstance(observable, str) else ""
            raise KetgradTypeError(f"`{name}` must be a Pauli sum, but is {type(observable).__name__}.{hint}")
        if observable.num_qubits > num_qubits:
            raise KetgradIndexError(
                f"`{name}` reads qubit {observable.num_qubits - 1}, but the circuit has qubits 0 to {num_qubits - 1}."
            )
        _check_hermitian(observable, name)
    return sums


def _check_hermitian(observable: PauliSum, name: str) -> None:
    largest = max((abs(complex(c).imag) for _, _, c in observable.terms), default=0.0)
    scale = max((abs(c) for _, _, c in observable.terms), default=0.0)
    if not math.isfinite(scale):
        raise KetgradValueError(f"`{name}` must have finite coefficients, but is {observable!r}.")
    if largest > 1e-12 * scale:
        term = max(observable.terms, key=lambda entry: abs(complex(entry[2]).imag))
        raise KetgradValueError(
            f"`{name}` must be Hermitian - only then are its values real - but deviates from its adjoint by "
            f"{2 * largest:g} in the term {PauliSum((term,))!r}. Measure its real and imaginary parts as two observables."
        )


def _qubits(qubits: Any, num_qubits: int) -> tuple[int, ...]:
    try:
        places = tuple(operator.index(q) for q in qubits)
    except TypeError:
        raise KetgradTypeError(
            f"`qubits` must be None or a sequence of integers, but is {qubits!r}."
        ) from None
    if not places:
        raise KetgradValueError("`qubits` must name at least one qubit, but is empty; None measures all.")
    for k, qubit in enumerate(places):
        if not 0 <= qubit < num_qubits:
            raise KetgradIndexError(
                f"`qubits[{k}]` is {qubit}, but the circuit has qubits 0 to {num_qubits - 1}."
            )
        if qubit in places[:k]:
            raise KetgradValueError(f"`qubits` must differ, but names qubit {qubit} twice.")
    return places


# -- checks and texts -------------------------------------------------------------------------------------


def _reader(function: Function, name: str, column: int) -> str:
    """The gate whose angle reads a weight or input, for messages: 'the angle of rx on qubit 2 (op 0)'."""
    wanted = (
        {("w", column)} if name == "weights" else {("x", column), *((f, column) for f in INPUT_FUNCTIONS)}
    )
    for index, op in enumerate(function.circuit.ops):
        if any(wanted & angle.variables() for angle in op.angles):
            places = (*op.controls, *op.qubits)
            where = f"qubit{'s' * (len(places) != 1)} {', '.join(str(q) for q in places)}"
            return f"the angle of {op.gate.name} on {where} (op {index}) reads it"
    return ""


def _check_amplitudes(program: Program, rows: Rows) -> None:
    """Raise unless every vector that a prepared state takes from variables has norm 1, or is to be normalised."""
    slots = np.concatenate(
        [
            np.ones((len(rows.inputs), 1)),
            np.broadcast_to(rows.weights[:1], (len(rows.inputs), rows.weights.shape[1])),
        ]
        if len(rows.weights) == 1
        else [np.ones((len(rows.weights), 1)), rows.weights],
        axis=1,
    )
    inputs = np.broadcast_to(rows.inputs, (len(slots), rows.inputs.shape[1]))
    slots = np.concatenate([slots, inputs], axis=1)
    for k in np.flatnonzero(program.kind == STATE_PREPARATION):
        part = slice(int(program.data_start[k]), int(program.data_start[k + 1]))
        norm = np.linalg.norm(program.data[part] * slots[:, program.amplitude_slot[part]], axis=1)
        wrong = norm == 0 if program.normalize[k] else np.abs(norm - 1) > NORM_TOLERANCE[rows.inputs.dtype]
        if wrong.any():
            row = int(np.argmax(wrong))
            rule = "must not be zero" if program.normalize[k] else "must have norm 1"
            hint = (
                ""
                if program.normalize[k]
                else " Pass normalize=True to `prepare_state` to divide by the norm."
            )
            raise KetgradValueError(
                f"the state that is prepared {rule}, but row {row} has norm {norm[row]:g}.{hint}"
            )


def _question_text(question: Any) -> str:
    if isinstance(question, Expect):
        words = sum(len(observable.terms) for observable in question.observables)
        return f"expectation values of {len(question.observables)} observables, {words} Pauli words"
    if isinstance(question, Probabilities):
        return f"probabilities of the outcomes of {len(question.qubits)} qubits"
    if isinstance(question, Samples):
        return f"{question.shots} measured bit strings"
    return "the state vector"


def _why(rule: Any, given: Any, executor: Any, program: Program) -> str:
    if given is not None:
        return "asked for by gradient="
    if isinstance(rule, gradients.Adjoint):
        return f"exact and independent of the number of parameters; {executor.name} has an adjoint pass"
    return f"exact; the adjoint method cannot be used: {gradients.Adjoint().objection(executor, program)}"


def _not_faster(function: Function, rule: str) -> str:
    reasons = []
    if function.executor.name == "reference":
        reasons.append("the reference executor defines results, executor='native' computes them fast")
    if rule.startswith(("FiniteDifference", "SPSA", "ParameterShift")):
        objection = gradients.Adjoint().objection(function.executor, function.program)
        reasons.append(
            f"no adjoint method: {objection}" if objection else "gradient=kg.Adjoint() needs fewer executions"
        )
    if function.threads == 1:
        reasons.append("threads=1 was asked for")
    if function.dtype == COMPLEX128:
        reasons.append("dtype=complex64 halves memory and time, at 1e-6 accuracy")
    return "; ".join(reasons)
