"""Every public callable, one argument at a time replaced by what nobody should pass: it works, or refuses in words.

A row of `CALLS` is a callable with arguments that are right; each argument in turn takes each value of `HOSTILE`. The
call may succeed with finite numbers, or raise a `KetgradError`, and it ends within seconds. Names that the package
offers and the table does not hold are a failure.
"""

import signal
import threading
import warnings
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

import ketgrad as kg
from ketgrad.circuits import ops
from ketgrad.circuits.gates import CONTROLLED
from ketgrad.models import MODELS
from ketgrad.programs.questions import State

HOSTILE = {
    "None": None,
    "nan": np.nan,
    "inf": np.inf,
    "-inf": -np.inf,
    "-1": -1,
    "0": 0,
    "0.5": 0.5,
    "2^63": 2**63,
    "10^400": 10**400,
    "1e308": 1e308,
    "-1e308": -1e308,
    "1e-320": 1e-320,
    "empty text": "",
    "text": "a",
    "bytes": b"a",
    "empty list": [],
    "list of None": [None],
    "list of text": ["a"],
    "nested list": [[1.0], [1.0, 2.0]],
    "nan in a list": [np.nan],
    "nan in a row": [[np.nan]],
    "object": object(),
    "True": True,
    "False": False,
    "complex": 1j,
    "dict": {},
    "type": int,
    "function": lambda *a: None,
    "empty array": np.zeros(0),
    "array of no rows": np.zeros((0, 2)),
    "cube": np.zeros((2, 2, 2)),
    "text array": np.array(["a", "b"]),
    "object array": np.array([None, object()]),
    "inf in an array": np.array([[np.inf, 1.0]]),
    "huge numbers": np.full((2, 2), 1e308),
    "a date": np.datetime64("2020-01-01"),
    "tuple": (1, 2),
}

SECONDS = 10
LAYER = kg.Circuit([kg.ry(kg.w[0] * kg.x[0], 0), kg.cx(0, 1), kg.rx(kg.w[1] + kg.x[1], 1)])
DATA = np.array([[0.1, 0.4], [1.0, -0.3], [0.7, 0.2], [-0.5, 0.9]])
W, X, GRAM = [0.3, 0.4], [0.1, 0.2], np.eye(4)
Z = kg.Pauli("Z0")
F = kg.expectation(LAYER, [Z, kg.Pauli("X1")])
QUADRATIC = {"loss": lambda w: ((w**2).sum(), 2 * w), "start": [1.0, -2.0], "max_steps": 3}


def ruled(rule):
    """The derivative by that rule."""
    return kg.expectation(LAYER, [Z], gradient=rule).vjp(W, X, [1.0])


E, A, H = kg.encodings, kg.ansatz, kg.hamiltonians

CALLS = {
    "Pauli": (kg.Pauli, {"text": "Z0"}),
    "PauliSum": (kg.PauliSum, {"terms": ((1, 0, 1.0),)}),
    "PauliSum.collect": (kg.PauliSum.collect, {"words": ((1, 0, 1.0),)}),
    "PauliSum.relabel": (kg.Pauli("Z0 X1").relabel, {"qubits": [1, 0]}),
    "PauliSum.matrix": (Z.matrix, {"num_qubits": 1}),
    "PauliSum.commutes_with": (Z.commutes_with, {"other": Z}),
    "PauliSum.__pow__": (Z.__pow__, {"power": 2}),
    "Angle": (kg.Angle, {"terms": (((), 1.0),)}),
    "Angle.__pow__": (kg.w[0].__pow__, {"power": 2}),
    "Angle.evaluate": (kg.w[0].evaluate, {"weights": [1.0], "inputs": [1.0]}),
    "Angle.substitute": (kg.w[0].substitute, {"values": {("w", 0): 1.0}}),
    "Angle.shift_weights": (kg.w[0].shift_weights, {"by": 1}),
    "w": (kg.w.__getitem__, {"index": 0}),
    "arccos": (kg.arccos, {"angle": kg.x[0]}),
    "Circuit": (kg.Circuit, {"ops": [kg.h(0)], "num_qubits": 2}),
    "Circuit.bind": (LAYER.bind, {"weights": W}),
    "Circuit.encode": (LAYER.encode, {"inputs": X}),
    "Circuit.relabel": (LAYER.relabel, {"qubits": [1, 0], "num_qubits": 3}),
    "Circuit.map_angles": (LAYER.map_angles, {"change": lambda a: a}),
    "Circuit.draw": (LAYER.draw, {"style": "text", "width": 80}),
    "Circuit.__getitem__": (LAYER.__getitem__, {"index": 0}),
    "Op": (kg.Op, {"gate": kg.GATES["rx"], "qubits": [0], "angles": [0.1], "controls": [1]}),
    "Op.build": (kg.Op.build, {"gate": kg.GATES["rx"], "qubits": [0], "angles": [0.1], "controls": [1]}),
    "Op.matrix": (kg.rx(kg.w[0] + kg.x[0], 0).matrix, {"weights": [1.0], "inputs": [1.0]}),
    "Gate": (
        kg.Gate,
        {
            "name": "mine",
            "num_qubits": 1,
            "num_angles": 1,
            "doc": "",
            "generator": Z,
            "normalize": False,
            "angle_names": ("t",),
            "qasm": None,
            "label": "M",
            "unitary": None,
            "equals": None,
            "amplitudes": None,
            "definition": None,
        },
    ),
    "Gate.eigenvalues": (kg.GATES["rx"].eigenvalues, {"controlled": True}),
    "Gate.prepared": (
        kg.prepare_state(kg.x[0:2], 0, normalize=True).gate.prepared,
        {"amplitudes": [3.0, 4.0]},
    ),
    "pauli_rotation": (
        lambda angle, word, qubit: kg.pauli_rotation(angle, word, qubit),
        {"angle": 0.1, "word": "X", "qubit": 0},
    ),
    "unitary": (lambda matrix, qubit: kg.unitary(matrix, qubit), {"matrix": np.eye(2), "qubit": 0}),
    "prepare_state": (
        lambda amplitudes, qubit, normalize: kg.prepare_state(amplitudes, qubit, normalize=normalize),
        {"amplitudes": [0.6, 0.8], "qubit": 0, "normalize": False},
    ),
    "from_qasm": (kg.from_qasm, {"text": "OPENQASM 3.0; qubit q;", "max_operations": 10}),
    "qasm.parse": (
        kg.qasm.parse,
        {"text": "OPENQASM 3.0; qubit q;", "max_operations": 10, "name": "qasm"},
    ),
    "qasm.read": (kg.qasm.read, {"path": "no such file", "max_operations": 10}),
    "qasm.write": (kg.qasm.write, {"circuit": LAYER}),
    "draw.draw": (kg.draw.draw, {"circuit": LAYER, "style": "svg", "width": 800}),
    "draw.layout": (kg.draw.layout, {"circuit": LAYER}),
    # functions
    "expectation": (
        kg.expectation,
        {
            "circuit": LAYER,
            "observables": [Z],
            "executor": "native",
            "gradient": kg.Adjoint(),
            "shots": None,
            "dtype": "complex128",
            "threads": 1,
            "seed": 0,
            "common_random_numbers": False,
        },
    ),
    "variance": (
        kg.variance,
        {
            "circuit": LAYER,
            "observables": [Z],
            "executor": "native",
            "gradient": None,
            "shots": None,
            "dtype": "complex128",
            "threads": 1,
            "seed": 0,
            "common_random_numbers": False,
        },
    ),
    "probabilities": (
        kg.probabilities,
        {
            "circuit": LAYER,
            "qubits": [0],
            "executor": "native",
            "gradient": None,
            "shots": None,
            "dtype": "complex128",
            "threads": 1,
            "seed": 0,
            "common_random_numbers": False,
        },
    ),
    "state": (
        kg.state,
        {"circuit": LAYER, "executor": "native", "gradient": None, "dtype": "complex128", "threads": 1},
    ),
    "samples": (
        kg.samples,
        {
            "circuit": LAYER,
            "shots": 10,
            "executor": "native",
            "packed": False,
            "dtype": "complex128",
            "threads": 1,
            "seed": 0,
            "common_random_numbers": False,
        },
    ),
    "Function": (
        kg.Function,
        {"circuit": LAYER, "question": State(), "executor": kg.executors.get("native")},
    ),
    "Function.__call__": (F.__call__, {"weights": W, "inputs": X}),
    "Function.vjp": (F.vjp, {"weights": W, "inputs": X, "cotangent": [1.0, 1.0]}),
    "Function.jacobian": (F.jacobian, {"weights": W, "inputs": X}),
    "Function.hessian": (F.hessian, {"weights": W, "inputs": X, "cotangent": [1.0, 1.0]}),
    "check_gradients": (kg.check_gradients, {"function": F, "points": 1, "seed": 0, "tolerance": None}),
    "executors.get": (kg.executors.get, {"executor": "native"}),
    "executors.counted": (kg.executors.counted, {"rows": [{0: 3}]}),
    "gradients.check_usable": (
        kg.gradients.check_usable,
        {"rule": kg.Adjoint(), "executor": F.executor, "program": F.program},
    ),
    "gradients.choose": (kg.gradients.choose, {"executor": F.executor, "program": F.program}),
    "FiniteDifference": (kg.FiniteDifference, {"step": 0.1, "order": 2}),
    "gradients.SPSA": (kg.gradients.SPSA, {"step": 0.1, "num_samples": 2, "seed": 0}),
    # parts
    "encodings.angle": (E.angle, {"num_inputs": 2, "axis": "x"}),
    "encodings.basis": (E.basis, {"num_inputs": 2}),
    "encodings.amplitude": (E.amplitude, {"num_inputs": 3, "num_qubits": 2}),
    "encodings.iqp": (E.iqp, {"num_inputs": 2, "reps": 1, "entanglement": "full"}),
    "encodings.pauli_feature_map": (
        E.pauli_feature_map,
        {"num_inputs": 2, "reps": 1, "entanglement": "full", "alpha": 2.0, "paulis": ["Z"]},
    ),
    "encodings.zz_feature_map": (
        E.zz_feature_map,
        {"num_inputs": 2, "reps": 1, "entanglement": "full", "alpha": 2.0},
    ),
    "encodings.z_feature_map": (E.z_feature_map, {"num_inputs": 2, "reps": 1, "alpha": 2.0}),
    "encodings.reuploading": (
        E.reuploading,
        {"num_inputs": 2, "num_qubits": 2, "layers": 1, "entanglement": "ring"},
    ),
    "encodings.chebyshev": (E.chebyshev, {"num_inputs": 2, "qubits_per_input": 2}),
    "encodings.hamiltonian_evolution": (
        E.hamiltonian_evolution,
        {"num_inputs": 2, "steps": 2, "time": 1.0, "seed": 0},
    ),
    "encodings.encoding_named": (E.encoding_named, {"name": "iqp"}),
    "ansatz.two_local": (
        A.two_local,
        {
            "num_qubits": 2,
            "rotations": ["ry"],
            "entangler": "cx",
            "entanglement": "full",
            "layers": 1,
            "final_rotations": True,
        },
    ),
    "ansatz.hardware_efficient": (
        A.hardware_efficient,
        {"num_qubits": 2, "layers": 1, "entangler": "cz", "entanglement": "linear"},
    ),
    "ansatz.real_amplitudes": (A.real_amplitudes, {"num_qubits": 2, "layers": 1, "entanglement": "linear"}),
    "ansatz.strongly_entangling": (
        A.strongly_entangling,
        {"num_qubits": 2, "layers": 1, "ranges": [1], "entangler": "cx"},
    ),
    "ansatz.basic_entangler": (A.basic_entangler, {"num_qubits": 2, "layers": 1, "rotation": "rx"}),
    "ansatz.simplified_two_design": (A.simplified_two_design, {"num_qubits": 2, "layers": 1}),
    "ansatz.tree": (A.tree, {"num_qubits": 3}),
    "ansatz.qaoa_ansatz": (A.qaoa_ansatz, {"cost": Z, "depth": 1, "num_qubits": 2}),
    "ansatz.ansatz_named": (A.ansatz_named, {"name": "tree"}),
    "hamiltonians.ising": (
        H.ising,
        {"num_qubits": 3, "coupling": 1.0, "field": 1.0, "longitudinal": 0.1, "periodic": True},
    ),
    "hamiltonians.heisenberg": (
        H.heisenberg,
        {"num_qubits": 3, "coupling": (1.0, 2.0, 3.0), "field": 1.0, "periodic": False},
    ),
    "hamiltonians.xy": (
        H.xy,
        {"num_qubits": 3, "coupling": 1.0, "anisotropy": 0.5, "field": 1.0, "periodic": False},
    ),
    "hamiltonians.maxcut": (H.maxcut, {"graph": [(0, 1)]}),
    "hamiltonians.graph_edges": (H.graph_edges, {"graph": [(0, 1)]}),
    "hamiltonians.qubo": (H.qubo, {"matrix": [[1.0, 0.0], [0.0, 1.0]], "offset": 0.0}),
    "hamiltonians.molecule": (H.molecule, {"name": "H2", "bond_length": 0.735}),
    "hamiltonians.molecule_data": (H.molecule_data, {"name": "H2", "bond_length": 0.735}),
    "hamiltonians.exact_ground_state": (H.exact_ground_state, {"hamiltonian": Z, "num_qubits": 1}),
    "hamiltonians.diagonal_energies": (H.diagonal_energies, {"hamiltonian": Z, "num_qubits": 1}),
    "hamiltonians.num_qubits_of": (H.num_qubits_of, {"hamiltonian": Z, "num_qubits": 1}),
    "losses.cross_entropy": (
        kg.losses.cross_entropy,
        {"outputs": [[0.0, 1.0]], "targets": [1], "sample_weight": [1.0]},
    ),
    "losses.squared": (kg.losses.squared, {"outputs": [0.0], "targets": [1.0], "sample_weight": [1.0]}),
    "losses.hinge": (kg.losses.hinge, {"outputs": [[0.0, 1.0]], "targets": [1], "sample_weight": [1.0]}),
    "losses.loss_named": (kg.losses.loss_named, {"loss": "hinge"}),
    "FidelityKernel": (
        kg.FidelityKernel,
        {
            "circuit": LAYER,
            "executor": "native",
            "threads": 1,
            "weights": W,
            "memory": 10**6,
            "dtype": "complex128",
        },
    ),
    "FidelityKernel.__call__": (kg.FidelityKernel(LAYER, weights=W).__call__, {"X": DATA, "Y": DATA}),
    "FidelityKernel.vjp": (
        kg.FidelityKernel(LAYER, weights=W).vjp,
        {"X": DATA, "Y": DATA, "cotangent": GRAM},
    ),
    "FidelityKernel.features": (kg.FidelityKernel(LAYER, weights=W).features, {"X": DATA}),
    "FidelityKernel.with_weights": (kg.FidelityKernel(LAYER, weights=W).with_weights, {"weights": W}),
    "ProjectedKernel": (
        kg.ProjectedKernel,
        {"circuit": LAYER.bind(W), "gamma": 1.0, "observables": [Z], "executor": "native", "threads": 1},
    ),
    "ProjectedKernel.__call__": (kg.ProjectedKernel(LAYER.bind(W)).__call__, {"X": DATA, "Y": DATA}),
    "ProjectedKernel.scaled_to": (kg.ProjectedKernel(LAYER.bind(W)).scaled_to, {"X": DATA}),
    "kernels.target_alignment": (kg.kernels.target_alignment, {"gram": GRAM, "labels": [0, 1, 0, 1]}),
    "kernels.alignment_loss": (
        lambda **given: kg.kernels.alignment_loss(**given)(W),
        {"kernel": kg.FidelityKernel(LAYER, weights=W), "X": DATA, "labels": [0, 1, 0, 1]},
    ),
    # optimisers and solvers
    "Adam": (kg.Adam, {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8}),
    "LBFGSB": (kg.LBFGSB, {"memory": 5, "gradient_tolerance": 1e-9, "bounds": ((0, 1), (None, 2))}),
    "SPSA": (
        kg.SPSA,
        {
            "learning_rate": 0.1,
            "perturbation": 0.1,
            "first_step": 0.1,
            "stability": 1.0,
            "alpha": 0.6,
            "gamma": 0.1,
        },
    ),
    "COBYLA": (kg.COBYLA, {"first_step": 0.1}),
    "minimise": (
        kg.minimise,
        {
            **QUADRATIC,
            "optimizer": kg.Adam(),
            "tolerance": 1e-8,
            "window": 2,
            "stochastic": False,
            "progress": False,
            "callback": None,
            "seed": 0,
        },
    ),
    "Adam, run": (
        lambda **given: kg.minimise(**QUADRATIC, optimizer=kg.Adam(**given)),
        {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8},
    ),
    "LBFGSB, run": (
        lambda **given: kg.minimise(**QUADRATIC, optimizer=kg.LBFGSB(**given)),
        {"memory": 5, "gradient_tolerance": 1e-9, "bounds": ((0, 1), (None, 2))},
    ),
    "SPSA, run": (
        lambda **given: kg.minimise(**QUADRATIC, optimizer=kg.SPSA(**given), seed=0),
        {
            "learning_rate": 0.1,
            "perturbation": 0.1,
            "first_step": 0.1,
            "stability": 1.0,
            "alpha": 0.6,
            "gamma": 0.1,
        },
    ),
    "SPSA, calibrated": (
        lambda **given: kg.minimise(**QUADRATIC, optimizer=kg.SPSA(**given), seed=0),
        {"perturbation": 0.1, "first_step": 0.1, "stability": 1.0, "alpha": 0.6, "gamma": 0.1},
    ),
    "COBYLA, run": (
        lambda **given: kg.minimise(**QUADRATIC, optimizer=kg.COBYLA(**given)),
        {"first_step": 0.1},
    ),
    "FiniteDifference, run": (lambda **given: ruled(kg.FiniteDifference(**given)), {"step": 0.1, "order": 2}),
    "gradients.SPSA, run": (
        lambda **given: ruled(kg.gradients.SPSA(**given)),
        {"step": 0.1, "num_samples": 2, "seed": 0},
    ),
    "optimizer_named": (kg.optimize.optimizer_named, {"optimizer": "Adam"}),
    "vqe": (
        kg.vqe,
        {
            "hamiltonian": Z,
            "ansatz": "tree",
            "start": None,
            "num_starts": 1,
            "max_steps": 3,
            "tolerance": 1e-9,
            "optimizer": "LBFGSB",
            "executor": "native",
            "gradient": None,
            "threads": 1,
            "seed": 0,
        },
    ),
    "qaoa": (
        kg.qaoa,
        {
            "problem": [(0, 1)],
            "depth": 1,
            "start": None,
            "num_starts": 1,
            "max_steps": 3,
            "tolerance": 1e-9,
            "shots": 10,
            "optimizer": "LBFGSB",
            "executor": "native",
            "gradient": None,
            "threads": 1,
            "seed": 0,
        },
    ),
    "datasets.path": (kg.datasets.path, {"name": "diabetes"}),
    "datasets.load": (kg.datasets.load, {"name": "diabetes"}),
}


class TooLong(BaseException):
    """The call did not end within the limit."""


def called(function, arguments):
    """The result of the call; `TooLong` after `SECONDS`."""

    def stop(*_):
        raise TooLong

    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return function(**arguments)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        return function(**arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def numbers_of(value, depth=0):
    """All numbers that a result holds."""
    if isinstance(value, float | complex | np.number):
        yield value
    elif isinstance(value, np.ndarray):
        if value.dtype.kind in "fc":
            yield from value.ravel().tolist()
    elif depth < 4 and isinstance(value, tuple | list | kg.Angle | kg.PauliSum):
        entries = value.terms if isinstance(value, kg.Angle | kg.PauliSum) else value
        for entry in entries:
            yield from numbers_of(entry, depth + 1)
    elif depth < 4 and is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from numbers_of(getattr(value, one.name, None), depth + 1)


OWN_FUNCTIONS = ("loss", "change", "progress", "callback", "equals")
CASES = [(name, argument) for name, (_, given) in CALLS.items() for argument in given]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "argument"), CASES)
def test_a_hostile_argument_is_refused_in_words_or_works(name, argument):
    function, given = CALLS[name]
    wrong = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for label, value in HOSTILE.items():
            if label == "type" and argument in OWN_FUNCTIONS:
                continue  # what a function of the caller's raises is the caller's
            try:
                result = called(function, {**given, argument: value})
            except kg.KetgradError as refusal:
                if len(str(refusal)) > 4000:
                    wrong.append(f"{label}: a message of {len(str(refusal))} characters")
            except (Exception, TooLong) as error:
                wrong.append(f"{label}: {type(error).__name__}: {error}"[:160])
            else:
                if not np.isfinite(np.array(list(numbers_of(result)), complex)).all():
                    wrong.append(f"{label}: a result that is not finite, without a word")
    assert not wrong, "\n".join(["", *wrong])


# what other tests hold to the same rule, and what takes no arguments
ELSEWHERE = {
    "KetgradError", "save", "load", "compare", "Adjoint", "ParameterShift", "Fit", "Molecule", "GroundState",
    "GramGradient", "Cost", "Cell", "Layout", "Comparison", "Progress", "render", "scores_csv", "Kernel", "Optimizer",
    "Reading", "Counts", "Device", "Execution",
    "Executor", "GradientRule", "Step", "NonFiniteLoss", *MODELS,
}  # fmt: skip


def offered():
    """Every public callable that takes arguments, by the name under which `CALLS` has it."""
    errors = set(kg.errors.__all__)  # raised, not called
    for name in kg.__all__:
        value = getattr(kg, name)
        if type(value) is type(kg):
            yield from (
                f"{name}.{inner}"
                for inner in value.__all__
                if callable(getattr(value, inner)) and inner not in errors
            )
        elif callable(value) and name not in ops.__all__:
            yield name


def test_the_table_holds_every_callable_that_the_package_offers():
    held = {*CALLS, *(name.rpartition(".")[2] for name in CALLS)}
    missing = [name for name in offered() if not {name, name.rpartition(".")[2]} & (held | ELSEWHERE)]
    assert not missing


@pytest.mark.parametrize("name", [*kg.GATES, *CONTROLLED])
def test_a_builder_takes_angles_and_qubits_and_nothing_else(name):
    row, controls = CONTROLLED.get(name, (name, 0))
    num_angles, num_qubits = kg.GATES[row].num_angles, kg.GATES[row].num_qubits + controls
    good = [0.1] * num_angles + list(range(num_qubits))
    for position in range(len(good)):
        for value in HOSTILE.values():
            try:
                op = getattr(kg, name)(*good[:position], value, *good[position + 1 :])
            except kg.KetgradError:
                continue
            assert np.isfinite(list(numbers_of(op.angles))).all() and all(0 <= q < 10**7 for q in op.qubits)


def tried(make, parameter):
    """What goes wrong when an estimator with one hostile parameter is fitted and asked."""
    known = make().get_params(deep=False)
    for label, value in HOSTILE.items():
        if callable(value) and parameter in ("loss", "verbose"):
            continue  # what a function of the caller's raises is the caller's
        try:
            model = make(
                **({"random_state": 0, "max_steps": 2} if "max_steps" in known else {}) | {parameter: value}
            )
            predicted = called(lambda model=model: model.fit(DATA, [0, 1, 0, 1]).predict(DATA), {})
        except (ValueError, TypeError, kg.KetgradError) as refusal:
            # scikit-learn's kinds; a refusal of ours wherever the value is ours to look at
            if not isinstance(refusal, kg.KetgradError) and parameter != "random_state":
                yield f"{label}: {type(refusal).__name__}: {refusal}"[:160]
        except (Exception, TooLong) as error:
            yield f"{label}: {type(error).__name__}: {error}"[:160]
        else:
            if not np.isfinite(np.asarray(predicted, float)).all():
                yield f"{label}: a prediction that is not finite"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "parameter"),
    [(make, parameter) for make in MODELS.values() for parameter in make().get_params(deep=False)],
)
def test_a_hostile_parameter_of_an_estimator_is_refused_by_fit_or_works(make, parameter):
    assert not list(tried(make, parameter))
