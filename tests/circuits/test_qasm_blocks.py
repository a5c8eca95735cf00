"""OpenQASM 3 beyond sequences of gates: what is unitary and finite is read as the sequence for which it stands."""

import re
import time
import tracemalloc

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm3, transpile
from qiskit.circuit import library as lib
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator, Statevector
from scipy.linalg import fractional_matrix_power

import ketgrad as kg
from ketgrad.circuits import openqasm as qasm
from ketgrad.circuits.qasm.tokens import TOKEN

V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Each text stands for the one beside it.
SAME = {
    "loop over a range": (
        "qubit[4] q; for int i in [0:3] { rx(pi*i/4) q[i]; }",
        "qubit[4] q; rx(0) q[0]; rx(pi/4) q[1]; rx(pi/2) q[2]; rx(3*pi/4) q[3];",
    ),
    "loop with a step": ("qubit[6] q; for uint i in [1:2:5] x q[i];", "qubit[6] q; x q[1]; x q[3]; x q[5];"),
    "loop backwards, past its end": (
        "qubit[6] q; for int[32] i in [5:-2:0] h q[i];", "qubit[6] q; h q[5]; h q[3]; h q[1];",
    ),
    "loop that never runs": ("qubit q; for int i in [3:1] { x q; } h q;", "qubit q; h q;"),
    "loop over a set": ("qubit[5] q; for uint i in {4, 0, 1+1} z q[i];", "qubit[5] q; z q[4]; z q[0]; z q[2];"),
    "loop over numbers": ("qubit q; for float t in {0.5, pi} rx(t) q;", "qubit q; rx(0.5) q; rx(pi) q;"),
    "loops in loops": (
        "const int n = 3; qubit[n] q; for int i in [0:n-1] { h q[i]; "
        "for int j in [i+1:n-1] cp(pi/2**(j-i)) q[j], q[i]; }",
        "qubit[3] q; h q[0]; cp(pi/2) q[1], q[0]; cp(pi/4) q[2], q[0]; h q[1]; cp(pi/2) q[2], q[1]; h q[2];",
    ),
    "loop of one statement that is a loop": (
        "qubit[2] q; for int i in [0:1] for int j in [0:1] { rx(i) q[j]; } x q[0];",
        "qubit[2] q; rx(0) q[0]; rx(0) q[1]; rx(1) q[0]; rx(1) q[1]; x q[0];",
    ),
    "loop whose variable hides a constant": (
        "const int i = 7; qubit q; for int i in [0:1] { const float t = i + 0.5; rx(t) q; } ry(i) q;",
        "qubit q; rx(0.5) q; rx(1.5) q; ry(7) q;",
    ),
    "loop at the end of the text": ("qubit q; for int i in [1:2] rz(i) q;", "qubit q; rz(1) q; rz(2) q;"),
    "loop over weights": (
        "input float w_0; qubit q; for int i in [1:2] rz(i*w_0) q;",
        "input float w_0; qubit q; rz(w_0) q; rz(2*w_0) q;",
    ),
    "box": ("qubit q; box { x q; box[10ns] { h q; } } z q;", "qubit q; x q; h q; z q;"),
    "delay": ("qubit[2] q; x q; delay[100ns] q[0]; delay[3dt] q; delay[2.5µs] q; h q;", "qubit[2] q; x q; h q;"),
    "nothing": ("qubit[2] q; x q; nop q; nop; nop q[0], q[1]; h q;", "qubit[2] q; x q; h q;"),
    "aliases": (
        "qubit[4] q; qubit r; let a = q[1:2]; let b = r ++ q[{3, 0}]; let c = b[1:2]; let d = q[2]; "
        "h a; x b[0]; y c[0]; z d;",
        "qubit[4] q; qubit r; h q[1]; h q[2]; x r; y q[3]; z q[2];",
    ),
    "ranges with steps and open ends": (
        "qubit[6] q; x q[0:2:5]; y q[:1]; z q[4:]; h q[5:-2:0]; s q[-2:]; t q[:]; sx q[:-3:-6];",
        "qubit[6] q; x q[0]; x q[2]; x q[4]; y q[0]; y q[1]; z q[4]; z q[5]; h q[5]; h q[3]; h q[1]; s q[4]; s q[5]; "
        "t q; sx q[5]; sx q[2];",
    ),
    "remainders": ("qubit[3] q; for int i in [0:4] rx(7 % 4 + i) q[i % 3];",
                   "qubit[3] q; rx(3) q[0]; rx(4) q[1]; rx(5) q[2]; rx(6) q[0]; rx(7) q[1];"),
    "subroutines": (
        "def f(qubit a, qubit[2] b, angle t, int n) { for int i in [1:n] rx(i*t) a; "
        "ctrl @ ry(t/2) a, b[1]; cx b[0], b[1]; } "
        "qubit[4] q; f(q[3], q[0:1], pi/2, 2); f(q[0], q[{3, 1}], 0.5, 0);",
        "qubit[4] q; rx(pi/2) q[3]; rx(pi) q[3]; ctrl @ ry(pi/4) q[3], q[1]; cx q[0], q[1]; "
        "ctrl @ ry(0.25) q[0], q[1]; cx q[3], q[1];",
    ),
    "subroutines that call others": (
        "def g(qubit a, float t) { rz(2*t) a; } def f(qubit a, float t) { g(a, t + 1.0); let b = a; g(b, t); } "
        "input float w_0; qubit q; f(q, w_0);",
        "input float w_0; qubit q; rz(2*(w_0 + 1)) q; rz(2*w_0) q;",
    ),
    "subroutines see what is declared outside of the loop that calls them": (
        "const int i = 5; def f(qubit a, int j) { rx(i + j) a; } qubit q; for int i in [0:1] { f(q, i); rz(i) q; }",
        "qubit q; rx(5) q; rz(0) q; rx(6) q; rz(1) q;",
    ),
    "subroutines whose parameter has the name of a constant and of the loop's variable": (
        "const int i = 5; def f(qubit a, int i) { rx(i) a; } qubit q; for int i in [0:1] f(q, i + 1); rz(i) q;",
        "qubit q; rx(1) q; rx(2) q; rz(5) q;",
    ),
    "a subroutine that is never called": ("def f(qubit a) { while (true) { x a; } } qubit q; x q;", "qubit q; x q;"),
    "pragmas and annotations": (
        "#pragma vendor fast\npragma vendor [slow] \"\n@hint(1, '\n qubit q;\n@a.b\nx q;\n", "qubit q; x q;",
    ),
    "final measurements in a loop": (
        "qubit[3] q; bit[3] c; h q; for int i in [0:2] c[i] = measure q[i];", "qubit[3] q; h q;",
    ),
    "physical qubits": (
        "bit[2] c; h $1; cx $1, $3; rz(0.3) $3; gphase(0.2); ctrl @ x $0, $1; barrier $0, $3; c[0] = measure $3;",
        "qubit[4] q; h q[1]; cx q[1], q[3]; rz(0.3) q[3]; gphase(0.2); ctrl @ x q[0], q[1];",
    ),
    "an aliased physical qubit": ("let a = $2; x a;", "qubit[3] q; x q[2];"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_a_text_is_read_as_the_sequence_for_which_it_stands(name):
    text, plain = SAME[name]
    assert kg.from_qasm(V3 + text) == kg.from_qasm(V3 + plain)
    assert kg.from_qasm(kg.from_qasm(V3 + text).to_qasm()) == kg.from_qasm(V3 + plain)


def test_opaque_gates_of_version_2_may_be_declared_and_not_used():
    text = "opaque magic(a, b) q, r; opaque other q; qreg q[2]; h q; cx q[0], q[1];"
    assert kg.from_qasm(V2 + text) == kg.from_qasm(V2 + "qreg q[2]; h q; cx q[0], q[1];")


@pytest.mark.parametrize("seed", range(4))
def test_transpiled_circuits_are_read_on_their_physical_qubits(seed):
    circuit = transpile(
        random_circuit(4, 4, max_operands=3, seed=seed),
        basis_gates=["rz", "sx", "x", "cx"],
        coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]],
        seed_transpiler=seed,
    )
    text = qasm3.dumps(circuit)
    assert "$" in text
    found = kg.from_qasm(text)
    theirs = Statevector(circuit.remove_final_measurements(inplace=False).reverse_bits()).data
    ours = kg.state(kg.Circuit(found.ops, 5))()
    overlap = np.vdot(ours, theirs)
    np.testing.assert_allclose(ours * overlap, theirs, atol=1e-9)


def matrix_of(text):
    circuit = kg.from_qasm(V3 + text)
    size = circuit.num_qubits
    columns = [
        kg.state(
            kg.Circuit([*(kg.x(q) for q in range(size) if k >> (size - 1 - q) & 1), *circuit.ops], size)
        )()
        for k in range(2**size)
    ]
    return np.array(columns).T


def operator(gate):
    """The matrix of a gate of qiskit with its first qubit as the most significant."""
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))
    return Operator(circuit.reverse_bits()).data


POWERS = {
    "pow(0.5) @ x q[0];": operator(lib.SXGate()),
    "inv @ pow(0.5) @ x q[0];": operator(lib.SXdgGate()),
    "pow(0.5) @ inv @ x q[0];": operator(lib.SXGate()),  # the inverse of X is X
    "pow(-0.5) @ x q[0];": operator(lib.SXdgGate()),
    "pow(0.25) @ z q[0];": operator(lib.TGate()),
    "pow(1.0/3) @ h q[0];": fractional_matrix_power(operator(lib.HGate()), 1 / 3),
    "pow(2) @ pow(0.5) @ rx(2.8) q[0];": operator(lib.RXGate(2.8)),
    "pow(0.5) @ pow(2) @ s q[0];": operator(lib.SGate()),
    "pow(0.5) @ pow(4) @ s q[0];": np.eye(2),
    "ctrl @ pow(0.5) @ x q[0], q[1];": operator(lib.CSXGate()),
    "pow(0.5) @ ctrl @ x q[0], q[1];": operator(lib.CSXGate()),
    "negctrl @ pow(0.5) @ x q[0], q[1];": operator(lib.SXGate().control(1, ctrl_state=0)),
    "pow(0.5) @ swap q[0], q[1];": fractional_matrix_power(operator(lib.SwapGate()), 0.5),
    "pow(0.7) @ cu(0.3, 0.4, 0.5, 0.6) q[1], q[0];": None,
    "gate g(a, b) p, r { rx(a) p; cx p, r; rz(b) r; } pow(0.3) @ g(0.4, 0.7) q[1], q[0];": None,
    "gate g(a) p { pow(0.5) @ rx(2*a) p; } ctrl @ inv @ g(0.7) q[0], q[1];": operator(
        lib.RXGate(-0.7).control(1)
    ),
    "gate g(a) p { pow(0.5) @ rx(2*a) p; } pow(0.5) @ g(0.7) q[0];": operator(lib.RXGate(0.35)),
    "pow(0.5) @ gphase(pi) ;": None,
}


@pytest.mark.parametrize("text", POWERS)
def test_powers_that_are_no_integers_are_principal_powers(text):
    size = 2 if "q[1]" in text else 1
    if "gphase" in text:
        with pytest.raises(ValueError, match="must act on 1 to 8 qubits"):
            matrix_of(f"qubit q; {text}")
        return
    ours, wanted = matrix_of(f"qubit[{size}] q; {text}"), POWERS[text]
    if wanted is None:
        start = text.index("pow(")
        once = matrix_of(f"qubit[{size}] q; {text[:start]}{text[text.index('@', start) + 1 :]}")
        wanted = fractional_matrix_power(once, float(text[start + 4 :].partition(")")[0]))
    np.testing.assert_allclose(ours, wanted, atol=1e-9)


REFUSED = {
    "qubit q; def f(qubit a) { x a; }\nf();": ("qasm:4:3", "qubit"),
    "qubit[2] q; def f(qubit a) { x a; }\nf(q);": ("qasm:4:3", "takes one qubit"),
    "qubit[3] q; def f(qubit[2] a) { x a; }\nf(q);": ("qasm:4:3", "takes 2 qubits"),
    "qubit q; def f(qubit a, int n) { x a; }\nf(q, 0.5);": ("qasm:4:1", "type int"),
    "qubit q; def f(qubit a) { x a; }\nf(q, q);": ("qasm:4:4", "argument"),
    "qubit[2] q; def f(qubit a, qubit b) { cx a, b; }\nf(q[0], q[0]);": ("qasm:3:39", "twice"),
    "def f(qubit a) { qubit b; } qubit q;\nf(q);": ("qasm:3:18", "outside"),
    "def f(bit a) { }": ("qasm:3:7", "type 'bit'"),
    "def f(qubit a, qubit a) { }": ("qasm:3:5", "twice"),
    "qubit q; def f(qubit a) {\nreturn a; } f(q);": ("qasm:4:1", "'return'"),
    "def f(qubit a) { x a;": ("qasm:3:16", "never closed"),
    "qubit q; for int i in [0:3] { x q;": ("qasm:3:29", "never closed"),
    "qubit q; for int i in [0:0:3] x q;": ("qasm:3:23", "step other than 0"),
    "qubit q; for int i in [0] x q;": ("qasm:3:23", "[first:last]"),
    "qubit q; for bit i in [0:1] x q;": ("qasm:3:14", "type 'bit'"),
    "qubit q; for uint i in [-1:1] x q;": ("qasm:3:10", "uint"),
    "qubit q; for int i in {0.5} x q;": ("qasm:3:10", "type int"),
    "qubit q; for int i in [0:1] { const int i = 3; }": ("qasm:3:41", "declared already"),
    "qubit q; for int i in [0:1] { gate g a { } }": ("qasm:3:31", "outside"),
    "qubit q; for int i in [0:1] { x q }": ("qasm:3:35", "';'"),
    "qubit q; for int i in [0:1] { x q; }\nrx(i) q;": ("qasm:4:4", "'i' is not declared"),
    "qubit[2] q; for int i in [0:2] x q[i];": ("qasm:3:36", "out of range"),
    "qubit[2] q; let a = q[0] ++ q;": ("qasm:3:17", "twice"),
    "qubit[2] q; let q = q[0];": ("qasm:3:17", "declared already"),
    "qubit[2] q; let a = c;": ("qasm:3:21", "not a declared qubit"),
    "qubit[2] q; x q[];": ("qasm:3:17", "expected an index"),
    "qubit[2] q; x q[0:0:1];": ("qasm:3:17", "its step, which is not 0, in the middle"),
    "qubit[2] q; x q[::1];": ("qasm:3:17", "its step, which is not 0, in the middle"),
    "qubit[2] q; x q[0:1:];": ("qasm:3:17", "its last index at the end"),
    "qubit[2] q; x q[0:1:1:1];": ("qasm:3:22", "']'"),
    "qubit[2] q; x q[0:4];": ("qasm:3:19", "4 is out of range"),
    "qubit q; rx(-7 % 4) q;": ("qasm:3:16", "not negative"),
    "qubit q; rx(7.5 % 4) q;": ("qasm:3:17", "remainder of integers"),
    "qubit q; rx(7 % 0) q;": ("qasm:3:15", "zero"),
    "qubit q; x q; h $0;": ("qasm:3:17", "one or the other"),
    "h $0; qubit q;": ("qasm:3:13", "one or the other"),
    "h $1000000;": ("qasm:3:3", "1,000,001"),
    f"h ${'9' * 400};": ("qasm:3:3", "1,000,000"),
    "h $0; cx $1, $1;": ("qasm:3:7", "twice"),
    "h $0; bit c; c = measure $0; x $0;": ("qasm:3:30", "after its measurement"),
    "input float a; qubit q; pow(0.5) @ rx(a) q;": ("qasm:3:25", "angles are numbers"),
    "qubit q; pow(0.5) @ gphase(1);": ("qasm:3:10", "1 to 8 qubits"),
    "qubit q;\n#pragma braket noise depolarizing(0.1) q[0]\nx q;": ("qasm:4:1", "names the qubit 'q'"),
    "x $0;\npragma noise $0\n": ("qasm:4:1", "names the qubit '$0'"),
    "qubit q; delay[10ns q;": ("qasm:3:22", "']'"),
    "qubit q; box x q;": ("qasm:3:14", "'{'"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_wrong_in_a_block_is_refused_with_its_place(text):
    place, part = REFUSED[text]
    with pytest.raises(kg.KetgradError) as caught:
        kg.from_qasm(V3 + text)
    assert str(caught.value).startswith(f"{place}: "), caught.value
    assert part in str(caught.value)


def test_the_work_of_blocks_is_counted_before_it_is_done():
    bombs = [
        "for int i in [0:1000000000000000000] { }",
        "for int i in [0:9999] for int j in [0:9999] for int k in [0:9999] { }",
        f"for int i in [0:999999] {{ /* {'long ' * 100} */ }}",
        "def a(qubit q) { x q; } "
        + " ".join(
            f"def {b}(qubit q) {{ {f'{a}(q);' * 20} }}" for a, b in ("ab", "bc", "cd", "de", "ef", "fg")
        )
        + " qubit q; g(q);",
        "gate g a { pow(1000) @ x a; } qubit[8] q; pow(0.5) @ ctrl(7) @ g q[0],q[1],q[2],q[3],q[4],q[5],q[6],q[7];",
        "qubit q; " + "pow(0.5) @ " * 21 + "x q;",
    ]
    for text in bombs:
        with pytest.raises(
            kg.KetgradError,
            match=r"10,000,000 operations|longer than 1,000,000 characters|such powers inside",
        ):
            kg.from_qasm(V3 + text)
    assert len(kg.from_qasm(V3 + "qubit q; for int i in [1:1000] x q;", max_operations=1000)) == 1000
    with pytest.raises(kg.KetgradError, match="more than 999 operations"):
        kg.from_qasm(V3 + "qubit q; for int i in [1:1000] x q;", max_operations=999)


def doubled(number):
    """The gates g1, g2, ...: each calls the one before twice."""
    return " ".join(f"gate g{k}(t) a {{ g{k - 1}(t) a; g{k - 1}(t) a; }}" for k in range(1, number))


LONG_ANGLE = " ".join(f"input float w_{k};" for k in range(1000)) + " qubit q; "
LONG_SUM = "+".join(f"w_{k}" for k in range(1000))
GREEDY = {
    "a long name for each qubit": f"qubit[1000000] {'a' * 5000};",
    "a long name in each note": f"qubit[4] {'a' * 5000}; let b = {'a' * 5000}; {'measure b;' * 20}",
    "names hidden in each call": "qubit q; def f() { } for int i in [0:0] { "
    + " ".join(f"const int a{k} = 1;" for k in range(1500)) + "f();" * 1500 + " }",
    "long angles in each gate": f"{LONG_ANGLE} gate g0(t) a {{ rx(2*t) a; }} {doubled(14)} g13({LONG_SUM}) q;",
    "long angles turned in each gate": (
        f"{LONG_ANGLE} gate g0(t) a {{ inv @ rx(t) a; }} {doubled(15)} g14({LONG_SUM}) q;"
    ),
    "long products": f"{LONG_ANGLE} rx(({LONG_SUM}){'*2*0.5' * 3000}) q;",
    "lists of qubits": "qubit[200000] q; qubit r; let a = r ++ q; " + " ".join(
        f"let b{k} = a[0:199999];" for k in range(100)
    ),
    "lists of lists": "qubit[200000] q; qubit r; " + " ".join(f"let b{k} = r ++ q;" for k in range(100)),
}  # fmt: skip
MODEST = {
    "parts of a register": "qubit[200000] q; " + " ".join(f"let a{k} = q[1:199998];" for k in range(100)),
    "parts of parts": "qubit[200000] q; let b = q[0:2:199999]; " + "barrier b[99999:-1:0];" * 100,
    "parts as arguments": "qubit[200000] q; def f(qubit[199999] p) { } " + "f(q[1:199999]);" * 100,
    "many long sums": LONG_ANGLE + f"rx({LONG_SUM}) q;" * 20,
    "many parts of a list": "qubit[3] q; qubit[3] r; let a = q ++ r; " + "barrier a[0:5];" * 10_000,
}


@pytest.mark.parametrize("name", GREEDY)
def test_a_short_text_cannot_ask_for_much_memory_or_time(name):
    with pytest.raises(kg.KetgradError, match=r"more than is read|characters at most"):
        kg.from_qasm(V3 + GREEDY[name])


@pytest.mark.parametrize("name", MODEST)
def test_parts_of_registers_and_sums_take_little_memory(name):
    tracemalloc.start()
    try:
        kg.from_qasm(V3 + MODEST[name])
        assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
    finally:
        tracemalloc.stop()


def test_parts_of_parts_are_the_qubits_that_they_name():
    text = (
        V3
        + "qubit[20] q; let a = q[1:3:19]; let b = a[-1:-2:1]; x b; let c = b[1:0]; x c; let d = b ++ q[0]; x d[2:3];"
    )
    assert [op.qubits[0] for op in kg.from_qasm(text).ops] == [19, 13, 7, 7, 0]


def test_many_modifiers_take_time_in_proportion():
    begin = time.monotonic()
    with pytest.raises(kg.KetgradError, match="acts on 200001 qubit"):
        kg.from_qasm(V3 + "qubit q; " + "ctrl @ " * 200_000 + "x q;")
    many = ", ".join(f"a{k}_{'a' * 900}" for k in range(20_000))
    with pytest.raises(kg.KetgradError, match="is not a qubit of the gate"):
        kg.from_qasm(V3 + f"gate g {many} {{ x b_{'a' * 900}; }}")
    assert time.monotonic() - begin < 30


NUMBERS = [
    "0", "1", "-1", "2", "0.5", "1e308", "1e-320", "1e999", "9" * 308, "9" * 309, "9" * 400, "0x" + "f" * 256,
    "2**63", "9223372036854775807", "9223372036854775808", "1/3", "7 % 3", "(1+1)", "pi", "i", "q", "[0:2]", "{0, 1}",
]  # fmt: skip
WORDS = (
    "q r a b i t n x cx rx gate def for in let box const int input float angle qubit bit measure reset ctrl inv "
    "pow $0 $7"
).split()


def mutated(text, rng):
    """The text with some of its words replaced, doubled, left out or exchanged; numbers by numbers, names by names."""
    words = [match[0] for match in TOKEN.finditer(text)]
    kinds = [match.lastgroup for match in TOKEN.finditer(text)]
    for _ in range(rng.integers(1, 5)):
        k, other = (int(place) for place in rng.integers(0, len(words), 2))
        match rng.integers(5):
            case 0 if kinds[k] in ("integer", "float"):
                words[k] = NUMBERS[rng.integers(len(NUMBERS))]
            case 0 | 1 if kinds[k] == "name":
                words[k] = WORDS[rng.integers(len(WORDS))]
            case 2:
                words[k] = words[k] + " " + words[k]
            case 3:
                words[k] = ""
            case _:
                words[k], words[other] = words[other], words[k]
    return "".join(words)


PROGRAMS_2 = [
    "opaque magic(a) q; gate g(a, b) p, r { U(a/2, -b, sin(b)^2) p; CX p, r; barrier p, r; } "
    "qreg q[3]; creg c[3]; h q; g(pi/3, 0.2) q[0], q[2]; cu1(-3*pi/8) q[1], q[0]; "
    "u3(1, 2, ln(3)) q[1]; measure q -> c;",
]


@pytest.mark.parametrize("seed", range(4))
def test_mutated_programs_are_read_or_refused_with_their_place(seed):
    rng = np.random.default_rng(seed)
    corpus = (
        [V3 + text for text, _ in SAME.values()]
        + [V3 + text for text in REFUSED]
        + [V3 + text for text in POWERS]
    )
    corpus += [V2 + text for text in PROGRAMS_2 * 10]
    refused = 0
    for _ in range(800):
        text = mutated(corpus[rng.integers(len(corpus))], rng)
        try:
            kg.from_qasm(text, max_operations=2000)
        except kg.KetgradError as error:
            assert re.match(r"qasm:\d+:\d+: ", str(error)), (text, str(error))
            refused += 1
    assert 100 < refused < 800


def test_whole_numbers_of_any_length_are_read_or_refused_with_their_place():
    places = {
        2: ["qreg q[1]; rx({}) q[0];", "qreg q[{}];", "qreg q[2]; x q[{}];", "qreg q[1]; rx(1/{}) q[0];"],
        3: ["qubit q; rx({}) q;", "qubit[{}] q;", "qubit[2] q; x q[{}];", "qubit q; pow({}) @ x q;",
            "const int n = {};", "const float n = {};", "qubit q; for int i in [0:{}] x q;", "x ${};",
            "qubit q; for int i in {{{}}} rx(i) q;", "qubit[3] q; ctrl({}) @ x q;", "qubit[2] q; x q[0:{}];",
            "qubit q; rx(2**{}) q;", "qubit q; rx({} % 3) q;", "input float[{}] w_0;", "input float w_{};",
            "bit[{}] c;"],
    }  # fmt: skip
    for version, texts in places.items():
        for text in texts:
            for digits in (17, 18, 19, 20, 39, 77, 154, 308, 309, 310, 400, 401, 4300, 5000):
                for number in ("9" * digits, "1" + "0" * (digits - 1), "0" * digits, "0x" + "f" * digits):
                    whole = (V2 if version == 2 else V3) + text.format(number)
                    try:
                        kg.from_qasm(whole, max_operations=2000)
                    except kg.KetgradError as error:
                        assert re.match(r"qasm:\d+:\d+: ", str(error)), (whole, str(error))


def test_what_was_left_out_is_noted():
    text = V3 + "#pragma fast\n@hint\nqubit q; delay[1ns] q;\n"
    notes = qasm.parse(text).notes
    assert notes == (
        "line 3: pragma 'fast': left out",
        "line 4: annotation '@hint': left out",
        "line 5: delay: left out; a circuit has no time",
    )
