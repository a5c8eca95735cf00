"""Pictures: the layout never overlaps, every op is there, nothing in a label is markup, and nothing is loaded."""

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import ketgrad as kg
from ketgrad.circuits.draw import draw, layout
from ketgrad.circuits.drawing.figure import Box, Circle, Words, shapes, text_width
from ketgrad.circuits.drawing.layout import angle_text
from ketgrad.circuits.gates import CONTROLLED, GATES

w, x = kg.w, kg.x
SVG = "{http://www.w3.org/2000/svg}"


def sample(num_ops, num_qubits=5, seed=0):
    """Random ops of every row of the table, plain and controlled, inverses among them."""
    rng, names, ops = np.random.default_rng(seed), list(GATES), []
    angles = [w[0], 2 * x[1], w[1] * x[0] + 0.5, kg.arccos(x[2]), np.pi / 3]
    for _ in range(num_ops):
        row = GATES[names[rng.integers(len(names))]]
        places = [int(q) for q in rng.permutation(num_qubits)]
        turns = [angles[rng.integers(len(angles))] for _ in range(row.num_angles)]
        number = min(int(rng.integers(3)), num_qubits - row.num_qubits)
        op = kg.Op.build(row, places[: row.num_qubits], turns, places[row.num_qubits :][:number])
        ops.append(op.inverse() if rng.random() < 0.3 else op)
    return kg.Circuit(ops, num_qubits)


def test_a_circuit_is_drawn_as_people_draw_it():
    circuit = kg.Circuit(
        [
            kg.h(0),
            kg.cx(0, 1),
            kg.ry(w[0], 1),
            kg.rx(2 * x[1], 2),
            kg.cz(0, 2),
            kg.cswap(1, 0, 2),
            kg.rzz(np.pi / 2, 1, 2),
        ]
    )
    assert draw(circuit, width=100).splitlines() == [
        "q0 ─────┤H├──────●────────────●─×────────────",
        "                 │            │ │",
        "q1 ──────────────⊕─┤RY(w[0])├─┼─●─┤        ├─",
        "                              │ │ │RZZ(π/2)│",
        "q2 ─┤RX(2 x[1])├──────────────●─×─┤        ├─",
    ]


@given(st.integers(0, 10**6), st.integers(4, 9))
@settings(max_examples=60)
def test_no_two_ops_of_a_column_share_a_wire_and_the_order_on_each_wire_is_kept(seed, num_qubits):
    circuit = sample(25, num_qubits, seed)
    plan = layout(circuit)
    for column in plan.columns:
        covered = [q for cell in column for q in range(cell.span[0], cell.span[1] + 1)]
        assert len(covered) == len(set(covered))
    drawn = [cell for column in plan.columns for cell in column]
    assert len(drawn) == sum(bool(op.qubits or op.controls) for op in circuit.ops)
    for q in range(num_qubits):
        wanted = [
            (set(op.qubits) | set(op.controls)) for op in circuit.ops if q in (*op.qubits, *op.controls)
        ]
        assert [
            set(cell.rows) | set(cell.controls) for cell in drawn if q in (*cell.rows, *cell.controls)
        ] == wanted


@pytest.mark.parametrize("width", [1, 20, 60, 100, 10**6])
def test_text_is_folded_to_the_width_and_no_line_is_longer_than_it_needs(width):
    circuit = sample(30)
    lines = draw(circuit, width=width).splitlines()
    widest = 3 + 2 + max(len(cell.label) + 5 for column in layout(circuit).columns for cell in column)
    phases = len("global phase: ") + sum(len(phase) + 2 for phase in layout(circuit).phases)
    assert max(len(line) for line in lines if "phase" not in line) <= max(width, widest)
    assert max(map(len, lines)) <= max(width, widest, phases)
    for name in ("q0", "q4"):
        assert sum(line.startswith(name) for line in lines) == sum(line.startswith("q0") for line in lines)


@pytest.mark.parametrize("name", [*GATES, *CONTROLLED])
def test_every_gate_has_a_picture_of_each_kind(name):
    row = GATES[CONTROLLED[name][0] if name in CONTROLLED else name]
    controls = CONTROLLED[name][1] if name in CONTROLLED else 0
    places = range(controls + row.num_qubits)
    op = kg.Op.build(row, places[controls:], [w[k] for k in range(row.num_angles)], places[:controls])
    circuit = kg.Circuit([op, op.inverse()], 4)
    text = circuit.draw(width=200)
    for k in range(row.num_angles):
        assert f"w[{k}]" in text
    assert text.count("●") == (2 * controls if name not in ("cz", "ccz") else 2 * (controls + 1))
    ElementTree.fromstring(circuit.draw("svg"))


def test_symbols_stand_for_the_gates_that_have_one():
    text = kg.Circuit(
        [
            kg.ccx(0, 1, 2),
            kg.swap(0, 2),
            kg.cz(0, 1),
            kg.sxdg(0),
            kg.s(1).inverse(),
            kg.gphase(0.5).control(0),
        ]
    )
    drawn = text.draw(width=100)
    assert (drawn.count("●"), drawn.count("⊕"), drawn.count("×")) == (4, 1, 2)
    assert all(label in drawn for label in ("┤√X†├", "┤S†├", "┤P(0.5)├"))
    assert kg.Circuit([kg.gphase(np.pi), kg.x(0)]).draw().endswith("global phase: π")


def test_the_order_of_qubits_is_shown_where_it_matters():
    ordered, turned = kg.Circuit([kg.rzx(0.5, 0, 1)]), kg.Circuit([kg.rzx(0.5, 1, 0)])
    assert "0" not in ordered.draw().replace("0.5", "").replace("q0", "")
    assert turned.draw().splitlines()[0] == "q0 ─┤1         ├─"
    assert "RZX(0.5)₁" in kg.Circuit([kg.rzx(0.5, 2, 0)]).draw()
    assert kg.Circuit([kg.rzz(0.5, 1, 0)]).draw() == kg.Circuit([kg.rzz(0.5, 0, 1)]).draw()  # symmetric


ANGLES = {

    "π": np.pi, "-π/2": -np.pi / 2, "3π/4": 3 * np.pi / 4, "0.1": 0.1, "1e+300": 1e300, "2 x[0]": 2 * x[0],
    "0": 0.0, "-w[0]": -w[0],
    "π w[1] - 1": np.pi * w[1] - 1, "w[0]² + x[1]": w[0] * w[0] + x[1], "3 arccos(x[2])": 3 * kg.arccos(x[2]),
    "w[0] x[0] + w[1]": w[0] * x[0] + w[1], "3.142": 3.1416, "5e-324": 5e-324,
}  # fmt: skip


@pytest.mark.parametrize("text", ANGLES)
def test_angles_are_written_as_people_write_them(text):
    assert angle_text(kg.rx(ANGLES[text], 0).angles[0]).replace("4.941e-324", "5e-324") == text


def test_svg_is_one_safe_element_that_loads_nothing():
    picture = sample(40, seed=3).draw("svg", width=700)
    root = ElementTree.fromstring(picture)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert root.tag == f"{SVG}svg" and tags <= {"svg", "title", "rect", "line", "circle", "text", "tspan"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in attributes if name.startswith("on") or name in ("href", "style", "class")}
    assert picture.count("http") == 1  # the name of the format


def test_labels_are_text_whatever_stands_in_them():
    hostile = '</text><script>alert(1)</script>&"\x1b[2J\u202e'
    gate = replace(GATES["h"], name="hostile", label=hostile)
    circuit = kg.Circuit([kg.Op.build(gate, [0])])
    root = ElementTree.fromstring(circuit.draw("svg"))
    assert not [element for element in root.iter() if "script" in element.tag]
    assert "<script>alert(1)" in "".join(root.itertext())
    for picture in (circuit.draw(), circuit.draw("svg")):
        assert "\x1b" not in picture and "\u202e" not in picture
    gate = replace(GATES["h"], name="long", label="$\\frac{1" + "y" * 1000)
    assert len(kg.Circuit([kg.Op.build(gate, [0])]).draw()) < 100


def test_boxes_hold_their_words_and_stay_inside_the_picture():
    for width in (200, 1000):
        found, right, bottom = shapes(layout(sample(30, seed=5)), width)
        boxes = [shape for shape in found if isinstance(shape, Box)]
        words = [shape for shape in found if isinstance(shape, Words) and shape.anchor == "middle"]
        assert words
        for box in boxes:
            assert box.corner[0] >= 0 and box.corner[1] >= 0
            assert box.corner[0] + box.size[0] <= right and box.corner[1] + box.size[1] <= bottom
        for word in words:
            half = text_width(word.text, word.size) / 2
            assert any(
                box.corner[0] <= word.place[0] - half and word.place[0] + half <= box.corner[0] + box.size[0]
                for box in boxes if box.corner[1] <= word.place[1] <= box.corner[1] + box.size[1]
            )  # fmt: skip
        assert all(0 < shape.centre[0] < right for shape in found if isinstance(shape, Circle))


def test_colours_say_what_is_data_and_what_is_trained():
    circuit = kg.Circuit([kg.rx(x[0], 0), kg.ry(w[0], 0), kg.rz(w[1] * x[1], 0), kg.h(0)])
    assert [cell.role for column in layout(circuit).columns for cell in column] == [
        "input",
        "weight",
        "both",
        "fixed",
    ]
    picture = circuit.draw("svg")
    assert all(f">{word}</text>" in picture for word in ("data", "trained", "data and trained"))
    assert ">trained</text>" not in kg.Circuit([kg.h(0)]).draw("svg")


def test_matplotlib_draws_the_same_picture_without_reading_labels_as_mathematics(tmp_path):
    gate = replace(GATES["h"], name="hostile", label="$\\frac{1$")
    circuit = kg.Circuit([*sample(12, seed=1).ops, kg.Op.build(gate, [0])])
    picture = circuit.draw("matplotlib")
    assert isinstance(picture, Figure)
    picture.savefig(tmp_path / "circuit.png")
    picture.savefig(tmp_path / "circuit.pdf")
    assert "$\\frac{1$" in [text.get_text() for text in picture.axes[0].texts]


def test_without_matplotlib_the_error_holds_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'ketgrad\[draw\]'"):
        kg.Circuit([kg.h(0)]).draw("matplotlib")


def test_a_notebook_shows_the_picture_of_a_circuit_that_is_not_too_long():
    circuit = kg.Circuit([kg.h(0)])
    assert circuit._repr_svg_() == circuit.draw("svg")
    assert (circuit * 1001)._repr_svg_() is None


def test_a_picture_that_does_not_fit_into_memory_is_refused_at_once():
    circuit = kg.Circuit([kg.h(q) for q in range(5000)] + [kg.cx(0, 4999)] * 3, 10**6)
    with pytest.raises(MemoryError, match=r"picture .* needs .* usable on this machine. Draw a part"):
        draw(kg.Circuit([*circuit.ops, *[kg.rx(0.1, 0)] * 10**4], 10**6))


def test_wrong_arguments_are_refused_with_the_right_ones():
    circuit = kg.Circuit([kg.h(0)])
    for call, message in [
        (lambda: circuit.draw("mpl"), "'text', 'svg' or 'matplotlib', but is 'mpl'"),
        (lambda: circuit.draw(width=0), "`width` must be a positive integer up to 1000000000, but is 0"),
        (lambda: circuit.draw(width=2.5), "`width`"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_only_circuits_are_drawn():
    with pytest.raises(TypeError, match=r"must be a kg\.Circuit, but is list\. A list of ops"):
        draw([kg.h(0)])
