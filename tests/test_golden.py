"""Texts that are committed and compared to the letter: generated pages, drawings, error messages.

After an intended change: python tools/generate.py, and PYTHONPATH=src python tests/test_golden.py for the rest.
"""

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import ketgrad as kg

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
w, x = kg.w, kg.x


def generator():
    specification = importlib.util.spec_from_file_location("generate", ROOT / "tools" / "generate.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


GENERATOR = generator()


def circuits():
    """The circuits that are drawn: what the documentation shows, and one of each symbol."""
    layer = kg.Circuit(
        [kg.ry(x[q], q) for q in range(3)] + [kg.rz(w[q], q) for q in range(3)] + [kg.cz(0, 1), kg.cz(1, 2)]
    )
    symbols = [kg.h(0), kg.ccx(0, 2, 1), kg.cswap(1, 0, 2), kg.cz(2, 0), kg.sxdg(1), kg.s(2).inverse()]
    boxes = [
        kg.rzz(w[0] / 2, 0, 1), kg.rzz(x[0] * w[1], 0, 2), kg.rzx(np.pi / 3, 2, 1), kg.pauli_rotation(-w[2],
        "XYZ", 0, 1, 2),
        kg.unitary(np.eye(4), 1, 2).control(0), kg.iswap(0, 1).inverse(), kg.prepare_state([1, 0], 3), kg.gphase(0.5),
        kg.u3(0.1, w[3], np.pi / 4, 3), kg.rx(2 * kg.arccos(x[1]) + 1, 3).control(0),
    ]  # fmt: skip
    return {
        "bell": (kg.Circuit([kg.h(0), kg.cx(0, 1)]), 80),
        "re-uploading, folded": (layer * 3, 80),
        "symbols": (kg.Circuit(symbols), 80),
        "boxes": (kg.Circuit(boxes), 110),
        "no op": (kg.Circuit([], 2), 80),
        "ZZ feature map": (kg.encodings.zz_feature_map(2, reps=1), 120),
    }


def drawings():
    return "\n".join(
        f"## {name}\n{circuit.draw(width=width)}\n" for name, (circuit, width) in circuits().items()
    )


MODEL = kg.Circuit([kg.rx(w[0] * x[0], 0), kg.ry(w[1], 1), kg.cx(0, 1)])


def function():
    return kg.expectation(MODEL, kg.Pauli("Z0"), executor="reference")


REFUSED = {
    "negative qubit": lambda: kg.rx(0.1, -1),
    "qubit outside of the register": lambda: kg.Circuit([kg.h(5)], num_qubits=3),
    "qubit named twice": lambda: kg.cx(1, 1),
    "angle NaN": lambda: kg.u3(0.1, float("nan"), 0.2, 0),
    "angle as text": lambda: kg.rx("0.1", 0),
    "degree three": lambda: w[0] * w[1] * x[0],
    "matrix of a wrong shape": lambda: kg.unitary(np.eye(3), 0),
    "matrix that is not unitary": lambda: kg.unitary([[1, 0], [0, 1.1]], 0),
    "state that is not normalised": lambda: kg.prepare_state([1, 1], 0),
    "state prepared too late": lambda: kg.state(
        kg.Circuit([kg.h(0), kg.prepare_state([1, 0], 0)]), executor="reference"
    )(),
    "observable that is not Hermitian": lambda: kg.expectation(MODEL, kg.Pauli("1j Z0")),
    "observable outside of the register": lambda: kg.expectation(MODEL, kg.Pauli("Z5")),
    "Pauli word that cannot be read": lambda: kg.Pauli("Z0 Q1"),
    "missing weights": lambda: function()(),
    "too many weights": lambda: function()([1, 2, 3], [1]),
    "weights to bind": lambda: MODEL.bind([1.0]),
    "unknown executor": lambda: kg.expectation(MODEL, kg.Pauli("Z0"), executor="natve"),
    "unknown picture": lambda: MODEL.draw("mpl"),
    "amplitudes in OpenQASM": lambda: kg.Circuit([kg.prepare_state(x[0:2], 0, normalize=True)]).to_qasm(),
    "OpenQASM: unknown gate": lambda: kg.from_qasm(
        'OPENQASM 3.0; include "stdgates.inc"; qubit q;\nrxx(1) q;'
    ),
    "OpenQASM: no include": lambda: kg.from_qasm("OPENQASM 2.0;\nqreg q[1];\nh q[0];"),
    "OpenQASM: index": lambda: kg.from_qasm('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; x q[2];'),
    "OpenQASM: include": lambda: kg.from_qasm('OPENQASM 3.0; include "../secret.inc";'),
    "OpenQASM: loop": lambda: kg.from_qasm("OPENQASM 3.0; qubit q; while (true) { }"),
    "OpenQASM: division": lambda: kg.from_qasm('OPENQASM 3.0; include "stdgates.inc"; qubit q; rx(1/0) q;'),
    "OpenQASM: integers": lambda: kg.from_qasm('OPENQASM 3.0; include "stdgates.inc"; qubit q; rx(1/2) q;'),
    "OpenQASM: size": lambda: kg.from_qasm("OPENQASM 3.0; qubit[1000000000000000000000] q;"),
    "OpenQASM: bomb": lambda: kg.from_qasm(
        'OPENQASM 3.0; include "stdgates.inc"; qubit q; pow(10**9) @ x q;'
    ),
}


def messages():
    lines = []
    for name, call in REFUSED.items():
        with pytest.raises(kg.KetgradError) as caught:
            call()
        lines.append(f"## {name}\n{type(caught.value).__name__}: {caught.value}\n")
    return "\n".join(lines)


TEXTS = {
    "drawings.txt": drawings,
    "circuit.svg": lambda: circuits()["boxes"][0].draw("svg", width=600),
    "errors.txt": messages,
}


@pytest.mark.parametrize("name", TEXTS)
def test_drawings_and_messages_are_the_committed_ones(name):
    assert TEXTS[name]() == (GOLDEN / name).read_text("utf-8")


@pytest.mark.parametrize("path", GENERATOR.PAGES)
def test_generated_files_are_up_to_date(path):
    assert GENERATOR.difference(path, GENERATOR.PAGES[path]()) == ""


FRAMEWORKS = ("torch", "jax", "keras", "tensorflow", "pennylane", "qiskit", "cirq")
WITHOUT_FRAMEWORKS = f"""
import runpy, sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {FRAMEWORKS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent)
sys.argv = ["generate.py", "--check", *sys.argv[1:]]
runpy.run_path({str(ROOT / "tools" / "generate.py")!r}, run_name="__main__")
"""


def generated_without_frameworks(*pages):
    command = [sys.executable, "-c", WITHOUT_FRAMEWORKS, *pages]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_follows_from_the_gate_table_is_generated_where_no_framework_is_installed():
    done = generated_without_frameworks("ops.py", "gates.md")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_page_of_public_names_says_which_framework_it_lacks():
    done = generated_without_frameworks("api.md")
    assert done.returncode == 1 and "docs/api.md: `" in done.stdout and "pip install" in done.stdout
    unknown = generated_without_frameworks("apt.md")
    assert unknown.returncode == 2 and "there is no page apt.md" in unknown.stderr


if __name__ == "__main__":
    for file_name, text in TEXTS.items():
        (GOLDEN / file_name).write_text(text(), encoding="utf-8", newline="\n")
