"""Names: what is public is listed and nothing else, and what others call things is answered with the name here."""

import importlib
import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest

import ketgrad as kg
from ketgrad.foundation import foreign_names as foreign
from ketgrad.programs.questions import State

ASKED_FOR = (
    "RX RY RZ CNOT Hadamard PauliX AngleEmbedding AmplitudeEmbedding StronglyEntanglingLayers QSVC VQC ZZFeatureMap "
    "RealAmplitudes EfficientSU2 TwoLocal QuantumCircuit Parameter SparsePauliOp Hamiltonian qnode device expval probs "
    "Estimator Sampler VQE QAOA TorchLayer KerasLayer Toffoli CX minimize AdamOptimizer grad FidelityQuantumKernel PQC "
    "LineQubit Statevector QubitUnitary StatePrep IsingZZ adjoint ctrl transpile EstimatorQNN QuantumDevice "
    "var jvp hvp NoiseModel"
).split()


def test_no_name_of_another_library_is_answered_twice_or_is_ours_already():
    names = [name for _, row in foreign.ROWS for name in row.split()]
    assert len(names) == len(set(names)) == len(foreign.ANSWERS) >= 150
    assert not set(names) & {*kg.__all__, *kg._BRIDGES}
    assert not [name for name in names if importlib.util.find_spec(f"ketgrad.{name}")]
    assert set(ASKED_FOR) <= set(names)


@pytest.mark.parametrize("answer", [answer for answer, _ in foreign.ROWS])
def test_every_answer_names_what_exists(answer):
    paths = re.findall(r"kg\.([A-Za-z_][\w.]*\w|\w)", answer)
    assert paths
    for path in paths:
        value = kg
        for part in path.split("."):
            value = getattr(value, part)
    for call in re.findall(r"kg\.(\w+)\(", answer):
        assert callable(getattr(kg, call))


def test_a_name_of_another_library_raises_what_says_ours():
    for name in foreign.ANSWERS:
        assert not hasattr(kg, name) and getattr(kg, name, 7) == 7
        with pytest.raises(kg.KetgradError, match=re.escape(foreign.ANSWERS[name])) as refusal:
            getattr(kg, name)
        assert isinstance(refusal.value, AttributeError)


@pytest.mark.parametrize(
    ("name", "said"),
    [("expectatoin", "'expectation'"), ("Curcuit", "'Circuit'"), ("variationalclassifier", "'VariationalClassifier'"),
     ("penylane", "'pennylane'"), ("AngleEmbeddng", "kg.encodings.angle"), ("qqqqqq", "dir(ketgrad)")],
)  # fmt: skip
def test_a_misspelt_name_is_answered_with_the_nearest(name, said):
    with pytest.raises(AttributeError, match=re.escape(said)):
        getattr(kg, name)


@pytest.mark.parametrize("name", ["__path_hooks__", "__wrapped__", "_nothing", "a.b", ""])
def test_special_names_are_refused_in_the_words_of_python(name):
    with pytest.raises(AttributeError) as refusal:
        getattr(kg, name)
    assert (name and not isinstance(refusal.value, kg.KetgradError)) or name in ("", "a.b")


MODULES = [name for name in kg.__all__ if type(getattr(kg, name)) is type(kg)] + [*kg._BRIDGES]


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_lists_what_it_offers_and_nothing_else(name):
    module = getattr(kg, name)
    assert dir(module) == sorted(module.__all__) and module.__all__
    for public in module.__all__:
        value = getattr(module, public)
        assert not public.startswith("_") and type(value) is not type(kg)
        home = getattr(value, "__module__", None) or type(value).__module__
        assert public.isupper() or home.startswith("ketgrad."), f"kg.{name}.{public} is defined in {home}"


def test_the_package_lists_its_names_and_star_imports_them():
    there: dict = {}
    exec("from ketgrad import *", there)
    assert set(kg.__all__) <= set(there) and not set(kg._BRIDGES) & set(there)
    assert set(kg.__all__) <= set(dir(kg)) <= {*kg.__all__, *kg._BRIDGES}
    for name in dir(kg):
        assert hasattr(kg, name)


def test_help_on_the_package_loads_no_framework():
    code = (
        "import pydoc, sys, ketgrad\n"
        "text = pydoc.render_doc(ketgrad)\n"
        "assert 'expectation' in text\n"
        "print(sorted({'torch', 'jax', 'keras', 'tensorflow', 'pennylane', 'qiskit', 'cirq'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# -- what a bridge returns is a circuit, wherever one is expected -------------------------------------------


def imported():
    """The same circuit, RX(x0) and CX, as each bridge returns it."""
    import qiskit

    circuits = {}
    theta = qiskit.circuit.Parameter("t")
    theirs = qiskit.QuantumCircuit(2)
    theirs.rx(theta, 0)
    theirs.cx(0, 1)
    circuits["qiskit"] = (theirs, kg.qiskit.from_qiskit(theirs, inputs=[theta]))
    import cirq
    import sympy

    a, b = cirq.LineQubit.range(2)
    theirs = cirq.Circuit(cirq.rx(sympy.Symbol("t"))(a), cirq.CNOT(a, b))
    circuits["cirq"] = (theirs, kg.cirq.from_cirq(theirs, inputs=["t"]))
    import pennylane as qml

    def function(t):
        qml.RX(t, wires=0)
        qml.CNOT(wires=[0, 1])
        return qml.expval(qml.Z(0))

    tape = qml.tape.make_qscript(function)(0.3)
    circuits["pennylane"] = (tape, kg.pennylane.from_pennylane(function, kg.x[0]))
    return circuits


X = np.array([[0.1], [0.4], [1.1], [2.0]])
Y = [0, 1, 0, 1]


def gates_of(function):
    """The gates of a quantum function of PennyLane's."""
    import pennylane as qml

    return str(qml.tape.make_qscript(function)([], X[0]).operations)


TAKES_A_CIRCUIT = {
    "expectation": lambda c: kg.expectation(c, kg.Pauli("Z0"))(None, X),
    "probabilities": lambda c: kg.probabilities(c)(None, X),
    "state": lambda c: kg.state(c)(None, X),
    "samples": lambda c: kg.samples(c, shots=5, seed=0)(None, X),
    "Function": lambda c: kg.Function(c, State(), kg.executors.get("native"))(None, X),
    "FidelityKernel": lambda c: kg.FidelityKernel(c)(X),
    "ProjectedKernel": lambda c: kg.ProjectedKernel(c)(X),
    "draw": lambda c: kg.draw.draw(c),
    "KernelClassifier": lambda c: kg.KernelClassifier(circuit=c).fit(X, Y).predict(X),
    "encoding": lambda c: kg.KernelClassifier(encoding=c).fit(X, Y).predict(X),
    "to_qiskit": lambda c: str(kg.qiskit.to_qiskit(c)),
    "to_cirq": lambda c: str(kg.cirq.to_cirq(c)),
    "to_pennylane": lambda c: gates_of(kg.pennylane.to_pennylane(c)),
}


@pytest.mark.parametrize("use", TAKES_A_CIRCUIT)
def test_what_a_bridge_returned_is_taken_wherever_a_circuit_is(use):
    for _, found in imported().values():
        np.testing.assert_array_equal(TAKES_A_CIRCUIT[use](found), TAKES_A_CIRCUIT[use](found.circuit))


@pytest.mark.parametrize("use", TAKES_A_CIRCUIT)
def test_what_is_no_circuit_is_refused_with_the_way_to_one(use):
    wrong = {bridge: theirs for bridge, (theirs, _) in imported().items()}
    for bridge, theirs in wrong.items():
        with pytest.raises(kg.KetgradError, match=rf"kg\.{bridge}\.from_{bridge}|\.from_qiskit|Function"):
            TAKES_A_CIRCUIT[use](theirs)
    for given, said in (([kg.h(0)], "list of ops"), ("OPENQASM 3.0;", "from_qasm"), (3, "int")):
        if use == "encoding" and isinstance(given, str):
            continue  # a text names an encoding
        with pytest.raises(kg.KetgradError, match=said):
            TAKES_A_CIRCUIT[use](given)
