"""Circuits, matrices and arrays come back from a file bit by bit, in their order in memory."""

import json

import numpy as np
import pytest
from forging import forged, has_the_same_form
from hypothesis import given
from hypothesis import strategies as st
from programs import random_circuit
from sklearn.decomposition import PCA
from sklearn.preprocessing import (
    QuantileTransformer,
)

import ketgrad as kg
from ketgrad.saving import file as saving
from ketgrad.saving.arrays import strides_to_keep
from ketgrad.saving.reader import ValueReader
from ketgrad.saving.writer import ValueWriter

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(24, 3))


@st.composite
def circuits(draw):
    """Random rows of the gate table, prepared states, matrices, Pauli words, all of them inverted and controlled."""
    seed = draw(st.integers(0, 2**32 - 1))
    circuit = random_circuit(draw(st.integers(2, 4)), draw(st.integers(0, 8)), seed, draw(st.booleans()))
    prepared = [op for op in circuit.ops if op.gate.amplitudes is not None]
    rest = kg.Circuit([op for op in circuit.ops if op.gate.amplitudes is None], circuit.num_qubits)
    for change in draw(st.lists(st.sampled_from(["inverse", "control", "bind", "twice"]), max_size=4)):
        if change == "control":
            rest = rest.control(rest.num_qubits)
        elif change == "bind":
            rest = rest.bind(np.random.default_rng(seed).normal(size=rest.num_weights))
        else:
            rest = rest.inverse() if change == "inverse" else rest + rest.inverse()
    return kg.Circuit([*prepared, *rest.ops], rest.num_qubits)


@given(circuits())
def test_every_circuit_comes_back_equal_from_a_file_and_from_json(circuit):
    for again in (saving._value(saving._file(circuit), "circuit", True), has_the_same_form(circuit)):
        assert again == circuit and again.num_qubits == circuit.num_qubits
        assert [op.gate.label for op in again.ops] == [op.gate.label for op in circuit.ops]
        assert again.draw() == circuit.draw()


MATRIX = [[0, 1], [1j, 0]]
UNITARIES = {
    "as it is": lambda: kg.unitary(MATRIX, 0),
    "inverted": lambda: kg.unitary(MATRIX, 0).inverse(),
    "inverted twice": lambda: kg.unitary(MATRIX, 0).inverse().inverse(),
    "inverted and controlled": lambda: kg.unitary(MATRIX, 0).inverse().control(2),
    "controlled and inverted": lambda: kg.unitary(MATRIX, 0).control(2, 1).inverse(),
}


@pytest.mark.parametrize("name", UNITARIES)
def test_a_unitary_comes_back_with_its_label(name):
    circuit = kg.Circuit([UNITARIES[name]()])
    assert (
        has_the_same_form(circuit) == circuit and saving._value(saving._file(circuit), "c", True) == circuit
    )


def test_a_label_is_written_where_it_is_not_the_usual_one():
    form = ValueWriter(None).write(kg.Circuit([kg.unitary(MATRIX, 0)]), "circuit")
    gate = form["$circuit"][1][0][0]
    assert gate.keys() == {"unitary"}
    gate["label"] = "U†"  # as files of older versions say of an inverse
    again = ValueReader({}).read(form)
    assert again.ops[0].gate.label == "U†" and ValueWriter(None).write(again, "circuit") == form


@pytest.mark.parametrize("name", ["nothing", "os.system", "rx_dg_dg", ""])
def test_a_gate_that_is_no_row_is_refused_by_its_name(name):
    with pytest.raises(kg.KetgradError, match=f"the unknown gate '{name}'"):
        ValueReader({}).read({"$circuit": [1, [[name, [0], [], []]]]})


@pytest.mark.parametrize("factor", [5.0, 0.0, 1.001, np.nan])
def test_a_matrix_in_a_file_is_unitary(factor):
    f = kg.expectation(kg.Circuit([kg.unitary(MATRIX, 0)]), kg.Pauli("Z0"))

    def enlarge(_, arrays):
        for name in arrays:
            arrays[name] = arrays[name] * factor

    with pytest.raises(kg.KetgradError, match=r"unitary|finite"):
        saving._value(forged(saving._file(f), enlarge), "forged", False)


@pytest.mark.parametrize(("factor", "kept"), [(1 + 1e-11, True), (1 + 1e-9, False)])
def test_the_bits_of_a_matrix_stay_unless_it_is_further_from_unitary_than_rounding(factor, kept):
    matrix = np.array(MATRIX) * factor
    op = ValueReader({"a": matrix}).read_op([{"unitary": {"name": "a"}}, [0], [], []])
    assert (op.gate.unitary == matrix.tobytes()) == kept
    np.testing.assert_allclose(op.gate.matrix(), matrix, atol=1e-8)


@pytest.mark.parametrize("label", ["<b>", "U" * 100, "", 1, None, ["U"]])
def test_a_label_in_a_file_is_one_of_two(label):
    def rename(content, _):
        content["value"]["$circuit"][1][0][0]["label"] = label

    with pytest.raises(kg.KetgradError, match="label"):
        saving._value(forged(saving._file(kg.Circuit([kg.unitary(MATRIX, 0)])), rename), "forged", False)


LAYOUTS = {
    "rows": lambda a: a,
    "columns": np.asfortranarray,
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[..., ::-1],
    "both": lambda a: np.asfortranarray(a)[::-1, ..., ::-1] if a.ndim > 1 else a[::-1],
    "part of the rows": lambda a: np.asfortranarray(np.concatenate([a, a]))[: len(a)],
    "every other column": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "axes exchanged": lambda a: np.ascontiguousarray(a.swapaxes(0, -1)).swapaxes(0, -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_come_back_in_their_order_in_memory(layout):
    """Linear algebra rounds by it: the same numbers in another order predict other last bits."""
    for shape in ((3, 4), (1, 4), (4, 1), (2, 3, 4), (5,), (0, 3), (3, 1, 2)):
        for dtype in (np.float64, np.float32, np.complex128, np.int64, bool):
            array = LAYOUTS[layout]((RANDOM.normal(size=shape) * 9).astype(dtype))
            arrays = {}
            form = ValueWriter(arrays).write(array, "a")
            plain = json.loads(json.dumps(ValueWriter(None).write(array, "a")))
            for again in (ValueReader(arrays).read(form), ValueReader({}).read(plain)):
                np.testing.assert_array_equal(again, array)
                assert again.dtype == array.dtype
                steps = [(a, b) for a, b, n in zip(again.strides, array.strides, shape, strict=True) if n > 1]
                assert not array.size or all(a == b for a, b in steps)


def test_wide_gaps_are_closed_and_axes_keep_their_order():
    for array in (
        np.zeros((3, 1000))[:, ::400],
        np.zeros((1000, 3))[::400].T,
        np.zeros((3, 1000))[::-1, ::400],
    ):
        again = has_the_same_form(array)
        steps = np.array(again.strides) * np.sign(array.strides)
        assert sorted(steps) == [8, 24] and (np.argsort(steps) == np.argsort(np.abs(array.strides))).all()
    assert has_the_same_form(np.broadcast_to(np.arange(3.0), (4, 3))).strides == (24, 8)
    for step, kept in ((31, 31), (32, 1)):  # 16 entries of memory for each of the two, and more
        assert has_the_same_form(np.zeros(80)[: 2 * step : step]).strides == (8 * kept,)
    assert strides_to_keep(np.zeros((2, 1000))[:, ::400]) is None  # closed, it lies row by row


@pytest.mark.parametrize(
    "strides",
    [[1, 1], [1, 2], [0, 1], [3], [3, 1, 1], [2**62, 1], [10**30, 1], [100, 1], ["3", 1], [3.0, 1], [True, 3], 3, None],
)  # fmt: skip
def test_strides_that_no_array_has_are_refused(strides):
    arrays = {"a": np.zeros((3, 3))}
    with pytest.raises(kg.KetgradError):
        ValueReader(arrays).read({"$array": {"name": "a", "strides": strides}})


def test_an_array_of_one_entry_has_any_strides():
    arrays = {"a": np.full((1, 1), 7.0)}
    assert ValueReader(arrays).read({"$array": {"name": "a", "strides": [5, -5]}}).tolist() == [[7.0]]


def test_an_array_is_copied_once_however_often_it_is_named():
    arrays = {"a": np.zeros((3, 3))}
    first, second = ValueReader(arrays).read([{"$array": {"name": "a", "strides": [1, 3]}}] * 2)
    assert first is second
    with pytest.raises(kg.KetgradError, match="two orders"):
        ValueReader(arrays).read([{"$array": {"name": "a", "strides": s}} for s in ([1, 3], [-1, 3])])


@pytest.mark.parametrize(
    "scaler",
    [
        *(
            PCA(2, svd_solver=solver, random_state=0)
            for solver in ("full", "covariance_eigh", "arpack", "randomized")
        ),
        QuantileTransformer(n_quantiles=5),
    ],
    ids=str,
)
def test_what_scikit_learn_has_learned_comes_back_in_its_order_in_memory(scaler, tmp_path):
    fitted = scaler.fit(X)
    again = kg.load(kg.save(fitted, tmp_path / "scaler"))
    for name, value in vars(fitted).items():
        if isinstance(value, np.ndarray):
            assert vars(again)[name].strides == value.strides, name
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
