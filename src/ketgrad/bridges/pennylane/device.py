"""The device `ketgrad.qubit` of PennyLane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.devices.preprocess import (
    device_resolve_dynamic_wires,
    validate_device_wires,
    validate_measurements,
)
from pennylane.exceptions import DeviceError
from pennylane.operation import Operator
from pennylane.tape import QuantumScript
from pennylane.transforms import broadcast_expand, defer_measurements, dynamic_one_shot
from pennylane.transforms.core import CompilePipeline

from ketgrad.bridges.pennylane.calls import jacobians, results, states, vjps
from ketgrad.bridges.pennylane.nodes import differentiable as differentiable_results
from ketgrad.bridges.pennylane.readout import Options, differentiable, from_state
from ketgrad.bridges.pennylane.second_derivatives import Change, changes
from ketgrad.bridges.pennylane.shots import has_mid_measurements, measured, one_by_one
from ketgrad.bridges.pennylane.tapes import Plans
from ketgrad.bridges.pennylane.transforms import (
    NAME,
    SHADOWS,
    Tapes,
    exact_where_differentiated,
    run_natively,
    split_samples,
    state_for_others,
)
from ketgrad.foundation.numbers import complex_type, thread_count

OURS = ("adjoint", "device", "best")
WITHIN = "backprop"  # what PennyLane calls it when a device returns values that are differentiable themselves
WITH_NODES = (
    qml.math.Interface.TORCH,
    qml.math.Interface.AUTOGRAD,
    qml.math.Interface.TF,
    qml.math.Interface.TF_AUTOGRAPH,
)


def _analytic(process: Any) -> bool:
    return isinstance(process, qml.measurements.StateMeasurement)


def _sampled(process: Any) -> bool:
    if not isinstance(process, (qml.measurements.SampleMeasurement, *SHADOWS)):
        return False
    return process.obs is None or _can_be_sampled(process.obs)


def _can_be_sampled(observable: Operator) -> bool:
    if isinstance(observable, qml.ops.CompositeOp):
        return all(map(_can_be_sampled, observable.operands))
    if isinstance(observable, qml.ops.SymbolicOp):
        return _can_be_sampled(observable.base)
    return observable.has_diagonalizing_gates


def _asks_us(config: ExecutionConfig) -> bool:
    """Whether the derivatives are those of this device; `WITHIN` counts where `setup_execution_config` has set it."""
    method = config.gradient_method
    return method in OURS or (method == WITHIN and config.use_device_gradient is True)


def _method(config: ExecutionConfig) -> str:
    return WITHIN if config.interface in WITH_NODES else "adjoint"


@simulator_tracking
@single_tape_support
class QubitDevice(Device):
    """`qml.device("ketgrad.qubit", wires=n)`: PennyLane circuits on ketgrad's compiled core.

    wires: their number, their labels, or None for those of each circuit. shots: the default number of measurements;
    better set by `qml.set_shots`. seed: of the measurements: an integer, None for fresh ones, "global" to draw it
    from NumPy's global generator as other PennyLane devices do. c_dtype: complex128 or complex64. threads: None for all
    cores.

    Circuits of equal structure are compiled once and run as one batch, and so do broadcasted parameters.
    Derivatives (`diff_method` "best", "device" or "adjoint"): of expectation values, variances, probabilities and
    states, and of all that PennyLane makes from a state, by one vector-Jacobian product; without shots. With autograd,
    PyTorch and TensorFlow second derivatives are exact too, by one product with the Hessian; where there are none, as
    with JAX and by the numbers of an observable, they are refused, and so are third ones.

    >>> import pennylane as qml
    >>> @qml.qnode(QubitDevice(wires=2))
    ... def circuit(angle):
    ...     qml.RX(angle, wires=0)
    ...     qml.CNOT([0, 1])
    ...     return qml.expval(qml.Z(1))
    >>> circuit(np.array([0.0, np.pi])).round(6)
    array([ 1., -1.])
    """

    name = NAME

    def __init__(
        self,
        wires: Any = None,
        shots: Any = None,
        *,
        seed: Any = "global",
        c_dtype: Any = np.complex128,
        threads: int | None = None,
    ) -> None:
        super().__init__(wires=wires, shots=shots)
        self._options = Options(complex_type(c_dtype), thread_count(threads))
        self._plans = Plans(self._options)
        start: Any = np.random.randint(2**31 - 1) if isinstance(seed, str) and seed == "global" else seed
        self._rng = np.random.default_rng(start)

    @property
    def c_dtype(self) -> Any:
        """The type of the amplitudes."""
        return self._options.dtype

    # -- what PennyLane asks beforehand

    def supports_derivatives(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Whether first derivatives by the device exist: of exact results, without measurements in mid-circuit."""
        if execution_config is None:
            return True
        if not _asks_us(execution_config) or execution_config.derivative_order != 1:
            return False
        if circuit is None:
            return True
        if circuit.shots:
            return False
        processes = circuit.measurements
        return all(map(differentiable, processes)) or all(map(from_state, processes))

    def supports_vjp(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Wherever derivatives exist."""
        return self.supports_derivatives(execution_config, circuit)

    def supports_jvp(
        self, execution_config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> bool:
        """Wherever derivatives exist."""
        return self.supports_derivatives(execution_config, circuit)

    def setup_execution_config(
        self, config: ExecutionConfig | None = None, circuit: QuantumScript | None = None
    ) -> ExecutionConfig:
        """The config with the choices of this device: its own vector-Jacobian products, tapes taken as they are."""
        given: Any = config or ExecutionConfig()
        if given.device_options:
            raise DeviceError(f"{NAME} has no device options, but was given {sorted(given.device_options)}.")
        ours = _asks_us(given)
        interface, products = given.interface, given.use_device_jacobian_product
        with_jax = interface in (qml.math.Interface.JAX, qml.math.Interface.JAX_JIT)
        if interface != qml.math.Interface.AUTO and not products:
            # With jax, Jacobians keep vmap and forward mode, and products keep broadcasts in one piece.
            products = ours and (not with_jax or (circuit is not None and circuit.batch_size is not None))
            if ours and not products and with_jax:
                interface = qml.math.Interface.JAX_JIT  # a callback that vmap can repeat
        jitted = interface == qml.math.Interface.JAX_JIT
        mcm = given.mcm_config
        method = mcm.mcm_method or ("one-shot" if circuit is not None and circuit.shots else "deferred")
        if method not in ("deferred", "one-shot") or (method, mcm.postselect_mode) == (
            "one-shot",
            "fill-shots",
        ):
            raise DeviceError(
                f"{NAME} runs mid-circuit measurements with mcm_method 'deferred', or 'one-shot' without "
                f"postselect_mode='fill-shots', but {method!r} with {mcm.postselect_mode!r} was given."
            )
        return replace(
            given,
            interface=interface,
            gradient_method=_method(given) if ours else given.gradient_method,
            use_device_gradient=ours if given.use_device_gradient is None else given.use_device_gradient,
            use_device_jacobian_product=products,
            grad_on_execution=ours and not products
            if given.grad_on_execution is None
            else given.grad_on_execution,
            # This device reads tensors itself, faster than tapes are copied. With jax-jit only products allow it.
            convert_to_numpy=not products if jitted else given.derivative_order > 1,
            mcm_config=replace(mcm, mcm_method=method),
        )

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """What happens to a tape before it runs; nothing to one that runs as it is."""
        config = execution_config or ExecutionConfig()
        pipeline = CompilePipeline()
        pipeline.add_transform(validate_measurements, _analytic, _sampled, name=NAME)
        single = config.mcm_config.mcm_method == "one-shot"
        if not single:
            pipeline.add_transform(defer_measurements, allow_postselect=False)
        pipeline.add_transform(run_natively, wires=self.wires)
        pipeline.add_transform(device_resolve_dynamic_wires, wires=self.wires, allow_resets=single)
        pipeline.add_transform(validate_device_wires, self.wires, name=NAME)
        if single:
            pipeline.add_transform(dynamic_one_shot, postselect_mode=config.mcm_config.postselect_mode)
        pipeline.add_transform(split_samples)
        if _asks_us(config):
            pipeline.add_transform(exact_where_differentiated)
            pipeline.add_transform(state_for_others)
            if not config.use_device_jacobian_product:
                pipeline.add_transform(broadcast_expand)
        return pipeline

    # -- what PennyLane runs

    def execute(self, circuits: Tapes, execution_config: ExecutionConfig | None = None) -> tuple[Any, ...]:
        """The results of a batch of tapes: one call for all of equal structure."""
        if execution_config is not None and execution_config.gradient_method == WITHIN:
            return differentiable_results(self, circuits, execution_config)
        if execution_config is not None and execution_config.mcm_config.mcm_method == "one-shot":
            several = [tape for tape in circuits if not has_mid_measurements(tape)]
            rest = iter(self.results_of(several))
            return tuple(
                one_by_one(self._plans, tape, run_natively, self._rng)
                if has_mid_measurements(tape)
                else next(rest)
                for tape in circuits
            )
        return self.results_of(circuits)

    def results_of(self, circuits: Tapes) -> tuple[Any, ...]:
        """The results of a batch of tapes without measurements in mid-circuit, as arrays."""
        found: list[Any] = [None] * len(circuits)
        for plan, positions, readings in self._plans.groups(circuits):
            tapes = [circuits[k] for k in positions]
            if tapes[0].shots:
                several = zip(tapes, states(plan, readings), strict=True)
                made = [measured(plan, tape, state, self._rng) for tape, state in several]
            else:
                made = results(plan, readings)
            for k, result in zip(positions, made, strict=True):
                found[k] = result
        return tuple(found)

    def compute_vjp(
        self, circuits: Tapes, cotangents: Any, execution_config: ExecutionConfig | None = None
    ) -> tuple[Any, ...]:
        """For each tape the products of its cotangents with the Jacobian: one array for each trainable parameter."""
        found: list[Any] = [None] * len(circuits)
        for plan, positions, readings in self._plans.groups(circuits):
            tapes, given = [circuits[k] for k in positions], [cotangents[k] for k in positions]
            for k, result in zip(positions, vjps(plan, readings, tapes, given), strict=True):
                found[k] = result
        return tuple(found)

    def changes_of(self, circuits: Tapes, cotangents: Any, turns: Sequence[Any]) -> list[Change]:
        """For each tape the derivatives of sum(turns * vector-Jacobian product) by its parameters and cotangents."""
        found: list[Any] = [None] * len(circuits)
        for plan, positions, readings in self._plans.groups(circuits):
            columns = ([several[k] for k in positions] for several in (circuits, cotangents, turns))
            for k, change in zip(positions, changes(plan, readings, *columns), strict=True):
                found[k] = change
        return found

    def execute_and_compute_vjp(
        self, circuits: Tapes, cotangents: Any, execution_config: ExecutionConfig | None = None
    ) -> tuple[Any, Any]:
        """The results and the vector-Jacobian products."""
        return self.execute(circuits, execution_config), self.compute_vjp(
            circuits, cotangents, execution_config
        )

    def compute_derivatives(
        self, circuits: Tapes, execution_config: ExecutionConfig | None = None
    ) -> tuple[Any, ...]:
        """The Jacobians of a batch of tapes."""
        return self.execute_and_compute_derivatives(circuits, execution_config)[1]

    def execute_and_compute_derivatives(
        self, circuits: Tapes, execution_config: ExecutionConfig | None = None
    ) -> tuple[Any, Any]:
        """The results and the Jacobians."""
        values: list[Any] = [None] * len(circuits)
        slopes: list[Any] = [None] * len(circuits)
        for plan, positions, readings in self._plans.groups(circuits):
            made, shaped, _ = jacobians(plan, readings, [circuits[k] for k in positions])
            for k, value, slope in zip(positions, made, shaped, strict=True):
                values[k], slopes[k] = value, slope
        return tuple(values), tuple(slopes)

    def compute_jvp(
        self, circuits: Tapes, tangents: Any, execution_config: ExecutionConfig | None = None
    ) -> tuple[Any, ...]:
        """For each tape the derivative of its results along a direction of its trainable parameters."""
        return self.execute_and_compute_jvp(circuits, tangents, execution_config)[1]

    def execute_and_compute_jvp(
        self, circuits: Tapes, tangents: Any, execution_config: ExecutionConfig | None = None
    ) -> tuple[Any, Any]:
        """The results and their derivatives along a direction."""
        values: list[Any] = [None] * len(circuits)
        slopes: list[Any] = [None] * len(circuits)
        for plan, positions, readings in self._plans.groups(circuits):
            made, _, tables = jacobians(plan, readings, [circuits[k] for k in positions])
            for k, value, table in zip(positions, made, tables, strict=True):
                along = [
                    sum(
                        np.asarray(turn) * slope
                        for turn, slope in zip(tangents[k], table.get(m, []), strict=True)
                    )
                    for m in range(len(plan.measurements))
                ]
                values[k], slopes[k] = (
                    value,
                    np.asarray(along[0]) if len(along) == 1 else tuple(map(np.asarray, along)),
                )
        return tuple(values), tuple(slopes)
