"""Bad input to circuits and to the OpenQASM reader: one test per row of the catalogue, named after its row."""

import ast
import os
import pathlib
import pickle
import re
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import ketgrad as kg
from ketgrad.circuits import openqasm as qasm
from ketgrad.foundation.errors import KetgradError

w, x = kg.w, kg.x
V2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
V3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
TWO_QUBITS = kg.Circuit([kg.rx(w[0] * x[0], 0), kg.ry(w[1], 1), kg.cx(0, 1)])


def refuses(cases):
    """Each case is (what is called, kind of error, pieces of the message); ours, in a sentence, never a bare one."""
    for call, kind, *parts in cases:
        with pytest.raises(kind) as caught:
            call()
        assert isinstance(caught.value, KetgradError), repr(caught.value)
        for part in parts:
            assert part in str(caught.value), str(caught.value)


def reference(make, *arguments):
    return make(*arguments, executor="reference")


# -- circuits


def test_Q1_qubit_out_of_range_negative_or_huge_is_refused_with_index_and_register():
    refuses([
        (lambda: kg.rx(0.1, -1), IndexError, "`rx`", "-1"),
        (lambda: kg.rx(0.1, 2**63), IndexError, "9223372036854775808"),
        (lambda: kg.cx(0, 10**30), IndexError, "below 10000000"),
        (lambda: kg.h(1.0), TypeError, "1.0"),
        (lambda: kg.h("0"), TypeError, "'0'"),
        (lambda: kg.h(True), TypeError, "True"),
        (lambda: kg.Circuit([kg.h(5)], num_qubits=3), IndexError, "0 to 2", "h(5)"),
        (lambda: reference(kg.expectation, TWO_QUBITS, kg.Pauli("Z5")), IndexError, "qubit 5", "0 to 1"),
        (lambda: reference(kg.probabilities, TWO_QUBITS, [7]), IndexError, "7", "0 to 1"),
        (lambda: reference(kg.probabilities, TWO_QUBITS, [-1]), IndexError, "-1"),
        (lambda: TWO_QUBITS.relabel([0, -1]), IndexError, "-1"),
        (lambda: kg.Circuit([], num_qubits=-1), ValueError, "-1"),
        (lambda: kg.Circuit([], num_qubits=1.5), TypeError, "1.5"),
        (lambda: kg.Circuit([], num_qubits=True), TypeError, "True"),
        (lambda: kg.Circuit(kg.h(0)), TypeError, "list of ops"),
        (lambda: kg.Circuit(None), TypeError, "None"),
        (lambda: kg.Circuit(["h"]), TypeError, "entry 0 is str"),
    ])  # fmt: skip


def test_Q2_a_qubit_named_twice_is_refused():
    refuses([
        (lambda: kg.cx(1, 1), ValueError, "qubit 1"),
        (lambda: kg.rx(0.1, 0).control(0), ValueError, "qubit 0"),
        (lambda: kg.rzz(0.1, 2, 2), ValueError, "qubit 2"),
        (lambda: kg.x(0).control(1, 1), ValueError, "qubit 1"),
        (lambda: TWO_QUBITS.control(0), ValueError, "qubit 0"),
        (lambda: TWO_QUBITS.relabel([1, 1]), ValueError, "qubit 1"),
        (lambda: reference(kg.probabilities, TWO_QUBITS, [0, 0]), ValueError, "qubit 0 twice"),
    ])  # fmt: skip


def test_Q6_non_unitary_matrix_is_refused_with_its_deviation():
    matrix = np.array([[1, 0], [0, 1.1]])
    refuses([
        (lambda: kg.unitary(matrix, 0), ValueError, "unitary", "0.21", "further qubit"),
        (lambda: kg.unitary(matrix, 0, check=False), ValueError, "unitary", "0.21", "further qubit"),
        (lambda: kg.unitary([[1, 0], [0, 1.0001]], 0), ValueError, "unitary", "0.0002", "check=False"),
        (lambda: kg.unitary([[1e200, 0], [0, 1]], 0, check=False), ValueError, "unitary"),
    ])  # fmt: skip


def test_Q7_matrices_of_a_wrong_shape_are_refused_and_odd_layouts_are_copied():
    refuses([
        (lambda: kg.unitary(np.eye(3), 0), ValueError, "(2, 2)", "(3, 3)"),
        (lambda: kg.unitary(np.ones(4), 0), ValueError, "(2, 2)", "(4,)"),
        (lambda: kg.unitary(np.eye(4), 0), ValueError, "(2, 2)", "(4, 4)"),
        (lambda: kg.unitary(np.eye(2)), ValueError, "qubits"),
        (lambda: kg.unitary([[1, 0], [0]], 0), ValueError, "`matrix`", "unequal"),
        (lambda: kg.unitary("ab", 0), TypeError, "`matrix`"),
        (lambda: kg.unitary([[1, None], [0, 1]], 0), TypeError, "`matrix`"),
        (lambda: kg.unitary(None, 0), TypeError, "`matrix`"),
        (lambda: kg.unitary([[1, 0], [0, np.nan]], 0), ValueError, "finite"),
    ])  # fmt: skip
    swap = np.eye(4, dtype=int)[[0, 2, 1, 3]]
    read_only = swap.copy()
    read_only.setflags(write=False)
    wide = np.zeros((4, 8))
    wide[:, ::2] = swap
    for matrix in (
        swap,
        swap.tolist(),
        read_only,
        wide[:, ::2],
        np.asfortranarray(swap),
        swap.astype(np.complex64),
    ):
        np.testing.assert_array_equal(kg.unitary(matrix, 0, 1).matrix(), swap)


def test_Q8_non_hermitian_observable_is_refused_with_its_deviation():
    refuses([
        (lambda: reference(kg.expectation, TWO_QUBITS, kg.Pauli("1j Z0")), ValueError, "Hermitian", "by 2"),
        (lambda: reference(kg.expectation, TWO_QUBITS, kg.Pauli("Z0") * kg.Pauli("X0")), ValueError, "Hermitian", "Y0"),
        (lambda: reference(kg.expectation, TWO_QUBITS, [kg.Pauli("Z0"), kg.Pauli("0.25j Z1 + Z0")]), ValueError,
         "observables[1]", "by 0.5"),
    ])  # fmt: skip


def test_Q9_nan_and_infinite_angles_are_refused_with_gate_and_parameter():
    refuses([
        (lambda: kg.rx(np.nan, 0), ValueError, "`theta` of `rx`", "nan"),
        (lambda: kg.u3(0, np.inf, 0, 0), ValueError, "`phi` of `u3`", "inf"),
        (lambda: kg.rx(np.float32("nan") * w[0], 0), ValueError, "nan"),
        (lambda: kg.rx(w[0] * -np.inf, 0), ValueError, "inf"),
        (lambda: TWO_QUBITS.bind([0.1, np.nan]), ValueError, "weights[1]", "nan"),
        (lambda: reference(kg.state, TWO_QUBITS)([np.nan, 0], [0]), ValueError, "weights[0]", "nan", "rx"),
        (lambda: reference(kg.state, TWO_QUBITS)([0, 0], [np.inf]), ValueError, "inputs[0]", "inf"),
    ])  # fmt: skip


def test_Q10_angles_that_are_no_real_numbers_are_refused_and_huge_ones_count_modulo_two_pi():
    for value in ("0.1", None, 1j, True, [0.1], b"1", np.datetime64("2020-01-01")):
        refuses([(lambda value=value: kg.rx(value, 0), TypeError, "`theta` of `rx`", "real number")])
    for value in (np.float32(0.5), np.int8(1), np.array(0.5), 10**15, -(2.0**53)):
        state = reference(kg.state, kg.Circuit([kg.rx(value, 0)]))()
        np.testing.assert_allclose(
            state, [np.cos(float(value) / 2), -1j * np.sin(float(value) / 2)], atol=1e-12
        )
    for value in (10**20, 1e300):  # as for weights and inputs: nothing is left of their digits
        refuses(
            [
                (
                    lambda value=value: kg.state(kg.Circuit([kg.rx(value, 0)])),
                    ValueError,
                    "rx on qubit 0",
                    "modulo 2 pi",
                )
            ]
        )
    f = reference(kg.state, kg.Circuit([kg.rx(w[0], 0)]))
    with pytest.warns(UserWarning, match=r"weights\[0\] is 1e\+12: angles count modulo 2 pi.* 0.0001 apart"):
        f([1e12])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its digits are few: in fact none is left
        refuses([(lambda: f([1e300]), ValueError, "w[0]", "rx on qubit 0", "modulo 2 pi")])


def test_Q11_amplitudes_that_are_no_state_are_refused_and_normalize_helps():
    refuses([
        (lambda: kg.prepare_state([1, 1], 0), ValueError, "norm 1", "1.414", "normalize=True"),
        (lambda: kg.prepare_state([0, 0], 0), ValueError, "zero"),
        (lambda: kg.prepare_state([0, 0], 0, normalize=True), ValueError, "zero"),
        (lambda: kg.prepare_state([np.nan, 0], 0), ValueError, "finite", "entry 0"),
        (lambda: kg.prepare_state([1, 0, 0], 0), ValueError, "(2,)", "(3,)"),
        (lambda: kg.prepare_state([[1, 0]], 0), ValueError, "(2,)"),
        (lambda: kg.prepare_state(None, 0), TypeError, "`amplitudes`"),
        (lambda: kg.prepare_state("10", 0), TypeError, "`amplitudes`"),
        (lambda: kg.prepare_state([1, 0]), ValueError, "qubits"),
        (lambda: kg.prepare_state([x[0], x[1], x[2]], 0), ValueError, "at most 2"),
        (lambda: kg.prepare_state([x[0] + 1, x[1]], 0), ValueError, "amplitudes[0]"),
        (lambda: kg.prepare_state([1, 0], 0).control(1), TypeError, "controls"),
        (lambda: kg.prepare_state([1, 0], 0).inverse(), TypeError, "inverse"),
        (lambda: reference(kg.state, kg.Circuit([kg.h(0), kg.prepare_state([1, 0], 0)]))(), ValueError, "Op 1",
         "first"),
        (lambda: _encoded(True)(inputs=[0, 0]), ValueError, "zero"),
        (lambda: _encoded(False)(inputs=[1, 1]), ValueError, "norm 1", "normalize=True"),
    ])  # fmt: skip
    for size in (1.0, 1e-200, 1e200, 5e-324, 1e308):
        op = kg.prepare_state([size, size], 0, normalize=True)
        np.testing.assert_allclose(
            reference(kg.state, kg.Circuit([op]))(), np.full(2, np.sqrt(0.5)), atol=1e-12
        )
    np.testing.assert_allclose(_encoded(True)(inputs=[3, 4]), [0.6, 0.8], atol=1e-12)


def _encoded(normalize):
    return reference(kg.state, kg.Circuit([kg.prepare_state(x[0:2], 0, normalize=normalize)]))


def test_Q14_empty_circuits_and_repeated_measurements_have_a_meaning():
    empty, z = kg.Circuit([], 2), kg.Pauli("Z0")
    np.testing.assert_array_equal(reference(kg.state, kg.Circuit())(), [1])
    np.testing.assert_array_equal(reference(kg.state, empty)(), [1, 0, 0, 0])
    np.testing.assert_array_equal(
        reference(kg.expectation, empty, [z, z])(), [1, 1]
    )  # measured twice: twice the value
    np.testing.assert_array_equal(reference(kg.probabilities, empty, [1])(), [1, 0])
    refuses([(lambda: reference(kg.expectation, empty, []), ValueError, "at least one")])  # no measurement
    assert kg.from_qasm(kg.Circuit().to_qasm()) == kg.Circuit()
    assert (empty.draw(), kg.Circuit().draw(), empty * 3, empty.inverse()) == ("q0 ─\nq1 ─", "", empty, empty)


def test_Q14_mid_circuit_reset_and_measurement_are_refused_by_name():
    text = V3 + "qubit[2] q; bit[2] c;\n"
    refuses([
        (lambda: kg.from_qasm(text + "h q[0];\nreset q[0];"), ValueError, "qasm:5:1", "reset", "q[0]"),
        (lambda: kg.from_qasm(text + "c = measure q;\nh q[1];"), ValueError, "qasm:5:1", "q[1]", "measurement"),
        (lambda: kg.from_qasm(text + "measure q[0]; reset q[0];"), ValueError, "reset"),
    ])  # fmt: skip
    assert len(kg.from_qasm(text + "reset q; h q; c = measure q; c = measure q;").ops) == 2


def test_Q15_missing_and_surplus_parameters_are_refused_with_the_expected_shape():
    f = reference(kg.expectation, TWO_QUBITS, kg.Pauli("Z0"))
    refuses([
        (lambda: f(), ValueError, "`weights`", "(..., 2)", "missing"),
        (lambda: f([1, 2]), ValueError, "`inputs`", "(..., 1)", "missing"),
        (lambda: f([1, 2, 3], [1]), ValueError, "(..., 2)", "w[0] to w[1]", "(3,)"),
        (lambda: f([1, 2], np.ones((1, 5))), ValueError, "(..., 1)", "(1, 5)", "transposed"),
        (lambda: reference(kg.state, kg.Circuit([kg.h(0)]))([1.0]), ValueError, "reads no weights"),
        (lambda: TWO_QUBITS.bind([1]), ValueError, "(2,)", "(1,)"),
        (lambda: TWO_QUBITS.bind([[1, 2]]), ValueError, "(2,)", "(1, 2)"),
        (lambda: w[-1], IndexError, "w[-1]"),
        (lambda: x[1.5], TypeError, "1.5"),
        (lambda: w[0] * w[1] * x[0], ValueError, "degree 2"),
    ])  # fmt: skip
    assert (f([1, 2], [1]).shape, f([[1, 2]], [1]).shape) == ((1,), (1, 1))  # (n,) and (1, n) keep their axes
    gap = kg.Circuit([kg.rx(w[3], 0)])
    assert gap.num_weights == 4  # w[0] to w[2] are unused: they are asked for, and do not matter
    assert reference(kg.expectation, gap, kg.Pauli("Z0"))([9, 9, 9, np.pi]) == pytest.approx(-1)


def without_recursion(action):
    """Run `action` in a thread that may nest calls only fifty deep."""
    outcome = {}

    def run():
        frame, depth = sys._getframe(), 0
        while frame:
            frame, depth = frame.f_back, depth + 1
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(depth + 50)
        try:
            outcome["value"] = action()
        finally:
            sys.setrecursionlimit(limit)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome["value"]


def test_Q18_a_million_gates_need_no_recursion():
    ops = [kg.h(0), kg.rx(w[0], 0), kg.cx(0, 1), kg.rz(0.3, 1)] * 250_000
    circuit = without_recursion(lambda: kg.Circuit(ops))
    assert len(circuit) == 10**6
    assert (
        without_recursion(lambda: circuit.depth) == 750_001
    )  # h, rx and cx wait for each other, the last rz adds one
    assert without_recursion(lambda: circuit.num_weights) == 1
    assert without_recursion(lambda: hash(circuit)) == hash(circuit)
    tenth = kg.Circuit(ops[:100_000])
    assert without_recursion(lambda: tenth.inverse().inverse()) == tenth


def test_Q18_a_hundred_thousand_parameters_are_compiled_read_written_and_drawn_in_linear_time():
    def work(size):
        circuit = kg.Circuit(
            [op for k in range(size) for op in (kg.ry(w[k], k % 3), kg.cx(k % 3, (k + 1) % 3))]
        )
        assert circuit.num_weights == size
        start = time.thread_time()
        assert kg.from_qasm(circuit.to_qasm()) == circuit
        assert circuit.bind(np.zeros(size)).num_weights == 0
        assert circuit.draw(width=10**9).count("RY") == size
        assert pickle.loads(pickle.dumps(circuit)) == circuit
        return time.thread_time() - start

    small, large = min(work(500), work(500)), work(4_000)
    assert large < 24 * small + 1.0
    assert kg.Circuit([kg.ry(w[k], 0) for k in range(10**5)]).num_weights == 10**5


def test_Q19_arrays_that_are_given_twice_or_changed_later_are_safe():
    vector, matrix = np.array([0.6, 0.8]), np.array([[0.0, 1.0], [1.0, 0.0]])
    circuit = kg.Circuit([kg.prepare_state(vector, 0), kg.unitary(matrix, 0)])
    before = reference(kg.state, circuit)()
    vector[:], matrix[:] = 9, 9
    np.testing.assert_array_equal(reference(kg.state, circuit)(), before)
    numbers = np.array([0.3, 0.4, 0.5])
    f = reference(kg.expectation, kg.Circuit([kg.rx(w[0] * x[0], 0), kg.ry(w[1] + x[1], 0)]), kg.Pauli("Z0"))
    shared = f.vjp(numbers[:2], numbers[:2], numbers[1:2])
    apart = f.vjp(numbers[:2].copy(), numbers[:2].copy(), numbers[1:2].copy())
    for ours, wanted in zip(shared, apart, strict=True):
        np.testing.assert_array_equal(ours, wanted)
    np.testing.assert_array_equal(numbers, [0.3, 0.4, 0.5])


# -- the reader


def test_S1_deep_nesting_is_refused_and_never_overflows_the_stack():
    for deep in (
        "(" * 10**5 + "1" + ")" * 10**5,
        "-" * 10**5 + "1",
        "2**" * 10**5 + "1",
        "sin(" * 10**5,
        "(-" * 300 + "1",
    ):
        without_recursion(lambda deep=deep: refuses([
            (lambda: kg.from_qasm(f"{V3}qubit q; rx({deep}) q;"), ValueError, "qasm:3:",
             "nesting > 256")]))  # fmt: skip
    fine = "(" * 256 + "1" + ")" * 256
    assert without_recursion(lambda: len(kg.from_qasm(f"{V3}qubit q; rx({fine}) q;"))) == 1
    assert without_recursion(lambda: len(kg.from_qasm(f"{V3}qubit q; rx({'1+' * 10**4}1) q;"))) == 1
    refuses([(lambda: kg.from_qasm(V3 + "{" * 10**5), ValueError, "qasm:3:1")])
    many = "inv @ " * 10**5
    assert len(without_recursion(lambda: kg.from_qasm(f"{V3}qubit q; {many} s q;"))) == 1


def test_S2_gate_bombs_are_counted_before_they_are_expanded():
    levels = "".join(f"gate g{k + 1} a {{ g{k} a; g{k} a; }}\n" for k in range(60))
    start = time.perf_counter()
    refuses([
        (lambda: kg.from_qasm(f"{V3}gate g0 a {{ x a; }}\n{levels}qubit q;\ng60 q;"), ValueError, "qasm:65:1",
         "10,000,000"),
        (lambda: kg.from_qasm(f"{V3}gate g0 a {{ }}\n{levels}qubit q;\ng60 q;"), ValueError, "10,000,000"),
        (lambda: kg.from_qasm(f"{V3}qubit q; pow(10**18) @ x q;"), ValueError, "qasm:3:10", "10,000,000"),
        (lambda: kg.from_qasm(f"{V3}gate g a {{ pow(4000) @ x a; }} qubit q; pow(-4000) @ g q;"), ValueError,
         "10,000,000"),
        (lambda: qasm.parse(V3 + "qubit[5] q; h q; h q;", max_operations=9), ValueError, "more than 9 "),
    ])  # fmt: skip
    assert time.perf_counter() - start < 2
    chain = "".join(f"gate g{k + 1} a {{ g{k} a; }} " for k in range(5000))
    assert (
        len(without_recursion(lambda: kg.from_qasm(f"{V3}gate g0 a {{ x a; }} {chain} qubit q; g5000 q;")))
        == 1
    )
    assert len(kg.from_qasm(V3 + "qubit[5] q; h q; h q;", max_operations=10)) == 10


def test_S3_registers_of_any_written_size_are_refused_at_once():
    start = time.perf_counter()
    for size in (10**9, 10**30, 2**63, 10**399):
        refuses([
            (lambda size=size: kg.from_qasm(f"{V2}qreg q[{size}];"), ValueError, "qasm:3:", "1,000,000"),
            (lambda size=size: kg.from_qasm(f"{V3}bit[{size}] c;"), ValueError, "qasm:3:", "1,000,000"),
        ])  # fmt: skip
    refuses([
        (lambda: kg.from_qasm(f"{V2}qreg q[{'9' * 10**6}];"), ValueError, "400 digits"),
        (lambda: kg.from_qasm(f"{V2}qreg q[0];"), ValueError, "at least 1"),
        (lambda: kg.from_qasm(f"{V3}qubit[-2] q;"), ValueError, "-2"),
        (lambda: kg.from_qasm(f"{V3}qubit[2.0] q;"), ValueError, "integer"),
        (lambda: kg.from_qasm(f"{V3}qubit[10**5] q; ctrl(10**12) @ x q;"), ValueError, "controls"),
    ])  # fmt: skip
    assert time.perf_counter() - start < 2


def test_S4_endless_loops_and_recursion_are_refused_by_name():
    refuses([
        (lambda: kg.from_qasm(V3 + "qubit q;\nwhile (true) { x q; }"), ValueError, "qasm:4:1", "'while'"),
        (lambda: kg.from_qasm(V3 + "qubit q; for int i in [0:1000000000000] { x q; }"), ValueError, "qasm:3:10",
         "1,000,000"),
        (lambda: kg.from_qasm(V3 + "for int i in [0:9999] { for int j in [0:9999] { } }"), ValueError, "1,000,000"),
        (lambda: kg.from_qasm(V3 + "def f(qubit q) { f(q); } qubit q; f(q);"), ValueError, "nested more than 100"),
        (lambda: kg.from_qasm(V3 + "qubit q; " + "box { " * 101 + "x q; " + "}" * 101), ValueError, "more than 100"),
        (lambda: kg.from_qasm(V3 + "gate g a { g a; }"), ValueError, "qasm:3:12", "'g' is not declared"),
        (lambda: kg.from_qasm(V3 + "gate g a { for int i in [0:9] { x a; } }"), ValueError, "'for'", "body"),
    ])  # fmt: skip


def test_S5_S6_S7_no_other_file_is_ever_opened_by_an_include(tmp_path):
    os.mkfifo(tmp_path / "pipe.inc")
    (tmp_path / "secret.inc").write_text("top secret")
    names = [
        "/etc/passwd",
        "../secret.inc",
        "\\\\server\\x",
        str(tmp_path / "pipe.inc"),
        "/dev/zero",
        str(tmp_path / "secret.inc"),
    ]
    for name in [*names, "", "QELIB1.INC", "stdgates.inc\x00"]:
        with pytest.raises(KetgradError, match=r"qasm:2:9: only") as caught:
            kg.from_qasm(f'OPENQASM 3.0;\ninclude "{name}";')
        assert "top secret" not in str(caught.value)
    refuses([
        (lambda: kg.from_qasm(V2 + 'include "qelib1.inc";' * 10**4), ValueError, "qasm:3:9", "declared already"),
        (lambda: qasm.read(tmp_path / "pipe.inc"), OSError, "regular"),
        (lambda: qasm.read("/dev/zero"), OSError, "regular"),
        (lambda: qasm.read(tmp_path), OSError, "regular"),
        (lambda: qasm.read(tmp_path / "absent.qasm"), OSError, "absent.qasm"),
    ])  # fmt: skip


def test_S8_arithmetic_without_a_finite_result_is_refused_with_its_place():
    cases = {
        "1/0": "zero", "1.0/(2-2)": "zero", "log(-1)": "domain", "sqrt(-1)": "domain", "1e400": "1.8e308",
        "0.0**-1": "zero",
        "1e308*10": "larger", "exp(1e4)": "larger", "2**2**2**2**2**2": "larger", "(-1)**0.5": "real",
        "arccos(2)": "domain",
        "1/2": "1.0/2", "9223372036854775807 + 1": "64 bits", "tan(1e999)": "1.8e308", "mod(1, 0)": "zero",
        "2^3": "'**'",
        "foo": "not declared", "foo(1)": "not known", "1 2": "expected ')'", "": "angle", "1 +": "expected a number",
        "(1, 2)": "expected ')'", "sin(1, 2)": "takes 1", "pow(1)": "takes 2", "1ns": "durations",
        "1 < 2": "expected ')'",
        "'a'": "expected a number", "true": "not declared", "0x": "runs into",
    }  # fmt: skip
    for text, part in cases.items():
        refuses(
            [(lambda text=text: kg.from_qasm(f"{V3}qubit q;\nrx({text}) q;"), ValueError, "qasm:4:", part)]
        )
    for text, part in {
        "ln(-1)": "domain",
        "0^-1": "zero",
        "1/0": "zero",
        "tau": "not declared",
        "2**3": "'^'",
    }.items():
        refuses(
            [
                (
                    lambda text=text: kg.from_qasm(f"{V2}qreg q[1];\nrx({text}) q[0];"),
                    ValueError,
                    "qasm:4:",
                    part,
                )
            ]
        )
    symbolic = V3 + "input float a; input float x_0; qubit q;\n"
    for text, part in {
        "sin(a)": "polynomials",
        "a**3": "power",
        "a*a*a": "degree 2",
        "1/a": "'/'",
        "2**a": "power",
    }.items():
        refuses([(lambda text=text: kg.from_qasm(f"{symbolic}rx({text}) q;"), ValueError, "qasm:4:", part)])


def test_S9_odd_bytes_are_accepted_as_the_language_says_or_refused_with_their_place():
    good = V3 + "qubit q; h q;"
    for text in (
        good.encode(),
        b"\xef\xbb\xbf" + good.encode(),
        "\ufeff" + good,
        good.replace("\n", "\r\n"),
        good + "/* é */ // é",
    ):
        assert kg.from_qasm(text) == kg.Circuit([kg.h(0)])
    assert kg.from_qasm(V3 + "gate θ(é) ψ { rx(é) ψ; } qubit q; θ(π) q;").ops == (kg.rx(np.pi, 0),)
    refuses([
        (lambda: kg.from_qasm(good + "\n\x00"), ValueError, "qasm:4:1", r"'\x00'"),
        (lambda: kg.from_qasm(b"OPENQASM 3.0;\n h \xff"), ValueError, "qasm:2:4", "UTF-8", "0xff"),
        (lambda: kg.from_qasm(good + "\n /* open"), ValueError, "qasm:4:2", "comment"),
        (lambda: kg.from_qasm('OPENQASM 3.0; include "std'), ValueError, "qasm:1:23", "string"),
        (lambda: kg.from_qasm(" " * (64 * 2**20 + 1)), ValueError, "67,108,864"),
        (lambda: kg.from_qasm(";\x1b[2J"), ValueError, "qasm:1:2", r"'\x1b'"),
        (lambda: kg.from_qasm("x" * 10**7), ValueError, "qasm:1:1"),
        (lambda: kg.from_qasm(None), TypeError, "NoneType"),
        (lambda: kg.from_qasm(["h q;"]), TypeError, "list"),
    ])  # fmt: skip
    assert kg.from_qasm(good + " " * 10**7 + "// " + "c" * 10**7) == kg.Circuit([kg.h(0)])


def test_S10_empty_texts_are_empty_circuits_and_wrong_versions_are_refused():
    for text in ("", "OPENQASM 2.0;", "OPENQASM 3;", "OPENQASM 3.1;\n", V2, V3, "// nothing"):
        assert kg.from_qasm(text) == kg.Circuit([], 0)
    for version in ("1.0", "4.0", "2.1", "x", "-3", "3e0", ""):
        text = f"OPENQASM {version};"
        refuses([(lambda text=text: kg.from_qasm(text), ValueError, "qasm:1:10", "version")])
    refuses([
        (lambda: kg.from_qasm("OPENQASM 3.0"), ValueError, "qasm:1:13", "';'"),
        (lambda: kg.from_qasm(V3 + "OPENQASM 3.0;"), ValueError, "qasm:3:1", "first"),
    ])  # fmt: skip


def test_S11_duplicates_and_undeclared_names_are_refused_with_their_place():
    cases = {
        "qubit[2] q;\ncx q[0], q[0];": ("qasm:4:1", "q[0] twice"),
        "qubit[2] q;\ncx q, q;": ("qasm:4:1", "q[0] twice"),
        "qubit[2] q; qubit q;": ("qasm:3:19", "'q' is declared already"),
        "gate h a { }": ("qasm:3:6", "'h' is declared already"),
        "gate g a { } gate g a { }": ("qasm:3:19", "'g' is declared already"),
        "gate g a, a { }": ("qasm:3:6", "'a' occurs twice"),
        "gate g(t, t) a { }": ("qasm:3:6", "'t' occurs twice"),
        "gate g a, b { cx a, a; }": ("qasm:3:15", "'a' occurs twice"),
        "gate g a { x b; }": ("qasm:3:", "'b' is not a qubit of the gate g"),
        "gate g a { rx(t) a; }": ("qasm:3:15", "'t' is not declared"),
        "gate g a { x a[0]; }": ("qasm:3:", "expected ';'"),
        "qubit[2] q; x q[2];": ("qasm:3:17", "0 to 1"),
        "qubit[2] q; x q[-3];": ("qasm:3:17", "-3"),
        "qubit[2] q; x r[0];": ("qasm:3:15", "'r' is not a declared qubit"),
        "qubit[2] q; xx q[0];": ("qasm:3:13", "'xx' is not declared"),
        "bit[2] c; x c[0];": ("qasm:3:13", "not a declared qubit"),
        "qubit[2] q; bit[3] c; c = measure q;": ("qasm:3:23", "2 qubit(s) are measured into 3"),
        "qubit[2] q; qubit[3] r; cx q, r;": ("qasm:3:25", "different sizes"),
        "qubit[2] q; cx q[0];": ("qasm:3:13", "2 qubit(s), but 1"),
        "qubit q; rx q;": ("qasm:3:10", "1 angle(s)", "but 0"),
        "qubit q; rx(1, 2) q;": ("qasm:3:10", "but 2"),
        "qubit q; pow(0.5) @ ctrl(8) @ x q;": ("qasm:3:10", "1 to 8 qubits"),
        "qubit q; h(1) q;": ("qasm:3:10", "no angle"),
        "qubit q; x $0;": ("qasm:3:12", "physical ones such as $0"),
        "qubit q; h q": ("qasm:3:13", "end of the text"),
        "input float v; qubit q; pow(v) @ x q;": ("qasm:3:29", "'v' is not declared"),
        "qubit q; ctrl x q;": ("qasm:3:15", "'@'"),
        "input int n;": ("qasm:3:7", "float"),
        "const int n = 0.5;": ("qasm:3:11", "int"),
    }  # fmt: skip
    for text, parts in cases.items():
        refuses([(lambda text=text: kg.from_qasm(V3 + text), ValueError, *parts)])
    refuses([(lambda: kg.from_qasm("OPENQASM 3.0; qubit q; h q;"), ValueError, 'include "stdgates.inc"')])


def test_S12_custom_gates_keep_the_order_of_their_controls():
    text = V2 + "gate g a,b,c { ccx c,a,b; cu1(pi/2) b,a; } qreg q[3]; g q[2],q[0],q[1];"
    assert kg.from_qasm(text).ops == (
        kg.ccx(1, 2, 0),
        kg.cu1(np.pi / 2, 0, 2),
    )  # against Qiskit: test_qasm.py


def test_S13_no_text_is_ever_run_as_code():
    package = pathlib.Path(kg.__path__[0])
    readers = [
        *package.glob("circuits/qasm/*.py"),
        *package.glob("circuits/drawing/*.py"),
        *package.glob("circuits/p*.py"),
    ]
    assert len(readers) > 8
    for path in readers:
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Name)
        }
        assert not names & {"eval", "exec", "compile", "__import__", "sympify", "globals"}, path
    for text in (
        "__import__('os').system('true')",
        "print(1)",
        "q.__class__",
        "(lambda: 1)()",
        "[1][0]",
        "x if y else z",
    ):
        refuses([(lambda text=text: kg.from_qasm(f"{V3}qubit q; rx({text}) q;"), ValueError, "qasm:3:")])


def test_S14_statements_that_are_no_circuit_are_refused_by_name():
    statements = {
        "if (c == 1) x q;": "'if'", "def f() -> int { }": "return nothing", "int n = 1;": "'int'",
        "extern f() -> int;": "'extern'", "cal { }": "'cal'", "#x": "expected a statement", "@ 3\nx q;": "annotation",
        "array[int, 3] a;": "'array'", "output bit c;": "'output'", "switch (1) { }": "'switch'",
        "x = 1;": "expected", "3;": "statement",
    }  # fmt: skip
    for text, part in statements.items():
        refuses(
            [(lambda text=text: kg.from_qasm(f"{V3}qubit q; bit d;\n{text}"), ValueError, "qasm:4:", part)]
        )
    refuses([
        (lambda: kg.from_qasm(V2 + "opaque g(t) a, b; qreg q[2]; g(1) q[0], q[1];"), ValueError, "qasm:3:30", "opaque"),
        (lambda: kg.from_qasm(V3 + "opaque g a;"), ValueError, "qasm:3:1", "'opaque'"),
        (lambda: kg.from_qasm(V2 + "qreg q[1]; creg c[1]; if (c==1) x q[0];"), ValueError, "'if'"),
        (lambda: kg.from_qasm(V2 + "qubit q;"), ValueError, "'qubit'", "OpenQASM 2"),
        (lambda: kg.from_qasm(V2 + "qreg q[1]; inv @ x q[0];"), ValueError, "'inv'"),
    ])  # fmt: skip


def test_S15_written_names_are_legal_and_angles_come_back_exactly():
    numbers = [
        np.pi,
        np.pi / 3,
        0.1 + 0.2,
        5e-324,
        1.7976931348623157e308,
        -1e-17,
        2**-0.5,
        np.nextafter(np.pi / 2, 2),
    ]
    circuit = kg.Circuit(
        [kg.rx(number, 0) for number in numbers]
        + [kg.ry(number * w[2] * x[10] - number, 0) for number in numbers[:3]]
    )
    text = circuit.to_qasm()
    assert text.isascii() and "input float[64] w_2;" in text and "input float[64] x_10;" in text
    assert kg.from_qasm(text) == circuit


SCRAPS = [
    "(", ")", "[", "]", "{", "}", ";", ",", "@", "ctrl @ ", "inv @ ", "pow(2) @ ", "negctrl(2) @ ", "q",
    "q[0]", "gate ", "measure ",
    "->", "=", "-", "1e9", "9" * 30, "pi", "*", "/", "^", "**", "//", "/*", "*/", '"', "\x00", "é",
    "input float ", "const int ",
    "qubit[2] ", "bit ", "reset ", "barrier ", "OPENQASM 3;", "$0", ":", "0", "-1", "{0,1}", "arccos(", "0x",
    "0x_", "1.", "_", "w_0",
    "pauli_rotation_", "\n", "#", "9" * 309, "9" * 400, "0x" + "f" * 300, "pow(0.5) @ ", "for int i in [0:3] ",
    "let a = ",
    "def f(qubit p) {", "box ", "delay[1ns] ", "%", "++", "opaque ",
]  # fmt: skip


def test_S14_damaged_programs_are_read_or_refused_with_their_place():
    whole = [
        V2 + "gate a(x,y) p,q { rx(x*y) p; cx q,p; u1(-y/2) q; } qreg q[3]; creg c[3]; h q; "
        "a(pi,-1) q[2],q[0]; measure q -> c;",
        V3 + "const int n = 2; input float w_1; qubit[n] q; bit[2] c; ctrl @ rx(w_1/2 + 1) q[0], q[1]; "
        "pow(-2) @ s q; c = measure q;",
        kg.Circuit([kg.fsim(w[0], x[1], 0, 1), kg.pauli_rotation(0.1, "XYZ", 0, 1, 2).control(3)]).to_qasm(),
    ]
    rng, refused = np.random.default_rng(1), 0
    for _ in range(4000):
        text = whole[rng.integers(len(whole))]
        start = text.index('.inc";') + 6
        for _ in range(rng.integers(1, 4)):
            cut, length = int(rng.integers(start, len(text) + 1)), int(rng.integers(0, 9))
            scrap = SCRAPS[rng.integers(len(SCRAPS))] if rng.random() < 0.6 else text[cut : cut + length] * 2
            text = text[:cut] + scrap + text[cut + length * (rng.random() < 0.4) :]
        try:
            kg.from_qasm(text, max_operations=10**4)
        except KetgradError as error:
            assert re.match(r"qasm:\d+:\d+: ", str(error)), (text, str(error))
            refused += 1
    assert 0 < refused < 4000
