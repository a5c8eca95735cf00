"""What a short file can ask for is limited: memory, time, nesting and ranges; refusals are in words."""

import json
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from forging import closed, forged, has_the_same_form, nested, nodes
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Normalizer,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR

import ketgrad as kg
from ketgrad import w, x
from ketgrad.saving import file as saving
from ketgrad.saving import reader as saving_reader
from ketgrad.saving.reader import ValueReader

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(24, 3))
TWO = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
NUMBERS = X[:, 0] ** 2


def test_a_short_text_in_a_long_dtype_is_refused_but_labels_keep_their_dtype():
    labels = np.array(["a", "bc"], "<U40")
    again = has_the_same_form(labels)
    assert again.dtype == labels.dtype and (again == labels).all()
    bomb = {"$array": {"entries": ["a"], "dtype": "<U250000", "shape": [1]}}
    tracemalloc.start()
    try:
        with pytest.raises(kg.KetgradError, match="longer than 1"):
            saving.restore({"ketgrad": 1, "value": [bomb] * 1000})  # a gigabyte of a hundred kilobytes
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["<U60", "|S60"])
def test_only_what_a_dtype_adds_to_its_texts_counts_as_padding(dtype, monkeypatch):
    monkeypatch.setattr(saving_reader, "MOST_PADDING", 100)
    whole = {"$array": {"entries": ["a" * 60] * 3, "dtype": dtype, "shape": [3]}}
    assert ValueReader({}).read(whole).tolist() == np.array(["a" * 60] * 3, dtype).tolist()
    short = {"$array": {"entries": ["a" * 20] * 3, "dtype": dtype, "shape": [3]}}
    with pytest.raises(kg.KetgradError, match="longer than 20"):
        ValueReader({}).read(short)


@pytest.mark.parametrize("parts", [[1, 2.0], [1.0, 2], [1, 2], [True, 2.0]])
def test_both_parts_of_a_complex_number_are_floats(parts):
    with pytest.raises(kg.KetgradError, match="two parts"):
        ValueReader({}).read({"$complex": parts})


def test_values_nest_a_hundred_levels_deep_and_no_deeper():
    assert ValueReader({}).read(nested(100)) == nested(100)
    with pytest.raises(kg.KetgradError, match="levels deep"):
        ValueReader({}).read(nested(101))


def pipelines(depth, width=1):
    """The form of pipelines inside one another, around a scaler."""
    step = {"$estimator": "StandardScaler", "parameters": {}, "learned": {}}
    for k in range(depth):
        steps = [{"$tuple": [f"step {k} {j}", step]} for j in range(width)]
        step = {"$estimator": "Pipeline", "parameters": {"steps": steps}, "learned": {}}
    return step


def with_field(name, field, value):
    """The form of an object of which one field is another."""
    circuit = kg.Circuit([kg.ry(w[0] * x[0], 0)])
    made = {
        "Function": kg.expectation(circuit, kg.Pauli("Z0"), shots=10, seed=1, threads=2),
        "FidelityKernel": kg.FidelityKernel(kg.encodings.angle(2), threads=2),
        "ProjectedKernel": kg.ProjectedKernel(kg.encodings.angle(2), gamma=1.0, threads=2),
    }[name]
    form = saving.describe(made)["value"]
    form["fields"][field] = value
    return form


TOO_MUCH = {
    "one long text among many": {
        "$array": {"entries": ["a" * 2000] + [""] * 10_000, "dtype": "<U2000", "shape": [10_001]}
    },
    "many such texts": [{"$array": {"entries": ["a" * 500] + [""] * 500, "dtype": "<U500", "shape": [501]}}] * 100,
    "such bytes": {"$array": {"entries": ["a" * 8000] + [""] * 10_000, "dtype": "|S8000", "shape": [10_001]}},
    "pipelines in pipelines": pipelines(5),
    "pipelines in many pipelines": pipelines(20),
    "wide pipelines in pipelines": pipelines(6, 2),
    "a qubit twice among many": {"$circuit": [10**5, [["x", [0], [], [*range(1, 90_000), 1]]]]},
    "many qubits twice": {"$circuit": [10**5, [["x", [0], [], [*range(1, 45_000), *range(1, 45_000)]]]]},
    "one qubit many times": {
        "$object": "Probabilities", "fields": {"qubits": {"$tuple": [0] * 100_000}},
    },
    "a monomial of many variables": {"$circuit": [1, [["rx", [0], [[[1.0, [["w", 0]] * 100_000]]], []]]]},
    **{
        f"{threads} threads of a {name}": with_field(name, "threads", threads)
        for name in ("Function", "FidelityKernel", "ProjectedKernel")
        for threads in (2**31, 2**53, 2**63 - 1)
    },
    "a seed that is no number": with_field("Function", "seed", True),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_short_form_cannot_ask_for_much_memory_or_time(name):
    form = TOO_MUCH[name]
    if name == "one qubit many times":  # it is known to be too many only beside its circuit
        form = with_field("Function", "question", form)
    began = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(kg.KetgradError) as caught:
            saving.restore({"ketgrad": 1, "value": form})
        assert tracemalloc.get_traced_memory()[1] < 80 * 2**20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000 and time.monotonic() - began < 30


def test_pipelines_in_pipelines_are_read_as_far_as_they_stay_quick():
    assert has_the_same_form(saving.restore({"ketgrad": 1, "value": pipelines(4, 2)})).steps


OVERFLOWING = [
    (model, name)
    for model in (kg.KernelClassifier(), kg.KernelRegressor(), SVC(), SVR())
    for name in ("_dual_coef_", "_intercept_", "support_vectors_")
    if name != "support_vectors_" or isinstance(model, SVC | SVR)
]


@pytest.mark.parametrize(
    ("model", "name"), OVERFLOWING, ids=lambda part: part if isinstance(part, str) else type(part).__name__
)
def test_numbers_whose_products_overflow_never_reach_compiled_code(model, name):
    """Predictions would be infinite or NaN without a word: compiled code looks at no sum."""
    data = saving._file(model.fit(X, NUMBERS if isinstance(model, kg.KernelRegressor | SVR) else TWO))

    def change(_, arrays):
        (found,) = [other for other in arrays if other.rpartition(".")[2] == name]
        arrays[found] = np.full_like(arrays[found], 1e308)
        assert arrays[found].size

    with pytest.raises(kg.KetgradError, match="below 1e"):
        saving._value(forged(data, change), "forged", False)


def test_a_model_that_cannot_predict_is_refused_in_words_when_it_is_saved():
    model = kg.KernelClassifier().fit(X, TWO)
    model.features_ = np.full_like(model.features_, 1e308)
    with np.errstate(all="ignore"), pytest.raises(kg.errors.KetgradTypeError, match="cannot predict"):
        saving._file(model)


WORST = {
    "empty lists": [[]] * 20_000,
    "empty objects": [{}] * 20_000,
    "small lists": [[1]] * 20_000,
    "small objects": [{"a": 1}] * 20_000,
    "numbers": [1.5] * 20_000,
    "texts": ["é"] * 20_000,
    "one astral text": "𝄞" * 20_000,
}


@pytest.mark.parametrize("name", WORST)
def test_the_memory_asked_for_is_more_than_a_header_can_take(name, monkeypatch):
    content = {"format": 1, "versions": {}, "value": WORST[name], "sha256": saving.NO_DIGEST}
    data, asked = closed(content, {}), []
    monkeypatch.setattr(saving, "reserve", lambda size, *words: asked.append(size))
    with pytest.raises(kg.KetgradError) if "objects" in name else warnings.catch_warnings():
        saving._value(data, "worst", False)  # imports
    tracemalloc.start()
    try:
        with pytest.raises(kg.KetgradError) if "objects" in name else warnings.catch_warnings():
            saving._value(data, "worst", False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < asked[-1]


def test_a_header_that_is_too_long_or_was_changed_is_refused_before_it_is_parsed(monkeypatch):
    data = saving._file(kg.Circuit([kg.h(0)]))

    def fail(*arguments, **options):
        raise AssertionError("parsed")

    monkeypatch.setattr(saving, "_json", fail)
    touched = data.replace(b"[0]", b"[1]")
    assert touched != data
    with pytest.raises(kg.KetgradError, match="SHA-256"):
        saving._value(touched, "touched", False)
    monkeypatch.setattr(saving, "MOST_HEADER_BYTES", 100)
    with pytest.raises(kg.KetgradError, match="more than the 100"):
        saving._value(data, "long", False)


class OfAGigabyte(bytes):
    """The beginning of a file that says that it is long."""

    def __len__(self):
        return 10**9


def test_a_header_may_be_as_long_as_safetensors_reads_and_no_longer():
    first, beyond = (OfAGigabyte(size.to_bytes(8, "little")) for size in (100_000_000, 100_000_001))
    assert saving._header_end(first, "file") == 100_000_008
    with pytest.raises(kg.KetgradError, match="more than the 100000000"):
        saving._header_end(beyond, "file")


@pytest.mark.parametrize(
    "description",
    [None, [], "text", {}, {"value": 1}, {"ketgrad": 2, "value": 1}, {"ketgrad": "1", "value": 1}],
)
def test_a_description_of_another_format_is_refused(description):
    with pytest.raises(kg.errors.KetgradValueError, match="no description"):
        saving.restore(description)


@pytest.mark.parametrize(
    "error", [MemoryError(), np._core._exceptions._ArrayMemoryError((9,), np.dtype(float))]
)
def test_a_file_that_does_not_fit_into_memory_is_refused_in_words(error, tmp_path, monkeypatch):
    path = kg.save(kg.Circuit([kg.h(0)]), tmp_path / "c")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(saving, "_arrays", fail)
    with pytest.raises(kg.errors.KetgradMemoryError, match="does not fit into memory"):
        kg.load(path)


FOREIGN_ARRAYS = {
    "16 bits of a brain": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]},
    "8 bits": {"dtype": "F8_E5M2", "shape": [8], "data_offsets": [0, 8]},
    "8 other bits": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]},
    "no dtype at all": {"dtype": "XX", "shape": [1], "data_offsets": [0, 8]},
    "more than there is": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
    "less than it says": {"dtype": "F64", "shape": [5], "data_offsets": [0, 8]},
    "beyond every number": {"dtype": "F64", "shape": [2**62, 2**62], "data_offsets": [0, 8]},
    "below zero": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]},
    "a list": [],
}


@pytest.mark.parametrize("name", FOREIGN_ARRAYS)
def test_arrays_that_cannot_be_read_are_refused_in_words(name):
    text = json.dumps(
        {"format": 1, "value": {"$array": {"name": "a"}}, "sha256": saving.NO_DIGEST}, separators=(",", ":")
    )
    header = json.dumps(
        {"__metadata__": {"ketgrad": text}, "a": FOREIGN_ARRAYS[name]}, separators=(",", ":")
    ).encode()
    blank = len(header).to_bytes(8, "little") + header + b"\0" * 8
    place = saving._digest_place(blank, len(blank), "blank").start(1)
    data = blank[:place] + saving.hashlib.sha256(blank).hexdigest().encode() + blank[place + 64 :]
    with pytest.raises(kg.KetgradError, match=r"its arrays are damaged|cannot be read"):
        saving._value(data, "foreign", False)


def test_an_angle_of_many_terms_is_read_in_one_pass():
    """One by one, 30,000 terms would take minutes."""
    terms = [[0.5, [["w", k % 300], ["x", k // 300]]] for k in range(30_000)]
    circuit = saving.restore({"ketgrad": 1, "value": {"$circuit": [1, [["rx", [0], [terms], []]]]}})
    assert len(circuit.ops[0].angles[0].terms) == 30_000
    twice = saving.restore({"ketgrad": 1, "value": {"$circuit": [1, [["rx", [0], [terms[:3] * 2], []]]]}})
    assert twice.ops[0].angles[0] == w[0] * x[0] + w[1] * x[0] + w[2] * x[0]


@pytest.mark.parametrize(
    "terms", [[[0.5, [["w", 0]] * 3]], [[0.5, [["y", 0]]]], [[0.5, [["w", -1]]]], [[0.5, [["w", 1.0]]]], [["a", []]],
              [[True, []]], [[10**400, []]], [[0.5, [["w", True]]]], [0.5], [[0.5]]],
)  # fmt: skip
def test_an_angle_that_no_circuit_has_is_refused(terms):
    with pytest.raises(kg.KetgradError):
        saving.restore({"ketgrad": 1, "value": {"$circuit": [1, [["rx", [0], [terms], []]]]}})


def test_places_of_a_description_are_found():
    """What forgeries change: each entry of each object and list, once."""
    assert len(list(nodes({"a": [1, {"b": 2}], "c": 3}))) == 5


def test_a_short_file_about_a_wide_register_is_refused_before_it_fills_the_memory():
    """Each instruction on 10^7 qubits holds integers of a megabyte."""
    op = ["rx", [0], [[[1.0, [["x", 0]]]]], []]
    circuit = {"$circuit": [10**7, [op] * 10_000]}
    state = {"$object": "State", "fields": {}}
    native = {"$object": "Native", "fields": {}}
    for name, fields in {
        "Function": {"circuit": circuit, "question": state, "executor": native},
        "FidelityKernel": {"circuit": circuit},
    }.items():
        with pytest.raises(kg.errors.KetgradMemoryError, match=r"register|ops on 10000000 qubits|state of"):
            value = saving.restore({"ketgrad": 1, "value": {"$object": name, "fields": fields}})
            value.features([[0.1]])


@pytest.mark.parametrize("index", [2**31, 10**12, 2**62])
def test_a_short_file_about_a_far_variable_is_refused_at_once(index):
    circuit = {"$circuit": [1, [["rx", [0], [[[1.0, [["w", index]]]]], []]]]}
    fields = {
        "circuit": circuit,
        "question": {"$object": "State", "fields": {}},
        "executor": {"$object": "Native", "fields": {}},
    }
    with pytest.raises(kg.errors.KetgradMemoryError, match="largest index"):
        saving.restore({"ketgrad": 1, "value": {"$object": "Function", "fields": fields}})


@pytest.mark.parametrize(
    "value", [object(), (1, 2), b"x", 1j, {1: 2}, {None: 1}, {"$array": 3}, {"$circuit": []}]
)
def test_what_is_no_description_is_refused_in_words(value):
    with pytest.raises(kg.KetgradError):
        saving.restore({"ketgrad": 1, "value": value})


@pytest.mark.parametrize(
    "probe", [["a"], {"$array": {"entries": ["a"], "dtype": "<U1", "shape": [1]}}, True, "x", 1.0]
)
def test_predictions_that_are_no_numbers_are_refused_in_words(probe):
    data = forged(
        saving._file(kg.KernelRegressor().fit(X, NUMBERS)), lambda content, _: content.update(probe=probe)
    )
    with pytest.raises(kg.KetgradError, match="no numbers"):
        saving._value(data, "forged", True)


@pytest.mark.parametrize(
    ("now", "then", "fits"),
    [(100.0, 100 * (1 + 5e-10), True), (100.0, 100 * (1 + 2e-9), False), (0.0, 9e-10, True), (0.0, 2e-9, False)],
)  # fmt: skip
def test_predictions_agree_to_nine_digits(now, then, fits, monkeypatch):
    monkeypatch.setattr(saving, "_probe", lambda model: np.array([now]))
    with warnings.catch_warnings() if fits else pytest.raises(kg.KetgradError, match="predicts otherwise"):
        saving._compare(None, np.array([then]), {}, "file")


@pytest.mark.parametrize("key", ["mean_", "scale_", "center_", "_scaler", "_fit_dtype", "add_indicator"])
def test_what_a_parameter_asks_for_was_learned(key):
    """Else the first prediction would end in an error about a missing attribute."""

    def change(content, _):
        fitted = content["value"]["parameters"]["steps"][0]["$tuple"][1]
        if key == "add_indicator":
            fitted["parameters"][key] = True
        elif key in ("_scaler", "_fit_dtype"):
            fitted["learned"].pop(key)
        else:
            fitted["learned"][key] = None

    tried = 0
    for scaler in (StandardScaler(), RobustScaler(), PowerTransformer(), SimpleImputer()):
        data = saving._file(make_pipeline(scaler, Normalizer()).fit(X))
        if key in vars(scaler):
            tried += 1
            with pytest.raises(kg.KetgradError, match=r"do not fit together|leaves out"):
                saving._value(forged(data, change), "forged", False)
    assert tried


@pytest.mark.parametrize(
    "model",
    [
        kg.VariationalClassifier(max_steps=3),
        kg.VariationalRegressor(verbose=True),
        kg.KernelClassifier(C=2.0),
        kg.KernelRegressor(),
        SVC(verbose=0),
        SVR(verbose=1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_model_that_was_never_fitted_comes_back_with_its_parameters(model, tmp_path):
    again = kg.load(kg.save(model, tmp_path / "model"))
    assert type(again) is type(model) and again.get_params() == model.get_params()
    assert vars(again).keys() == vars(model).keys()


AT_THE_EDGE = {
    "one step kept": kg.LBFGSB(memory=1),
    "the most steps kept": kg.LBFGSB(memory=10_000),
    "four points": kg.FiniteDifference(order=4),
    "one qubit": kg.probabilities(kg.Circuit([kg.h(0), kg.h(1)]), [1]),
}


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_values_at_the_edge_of_what_a_file_may_say_come_back(name):
    assert saving.restore(saving.describe(AT_THE_EDGE[name])) == AT_THE_EDGE[name]


def test_values_beyond_the_edge_of_what_a_file_may_say_are_refused():
    with pytest.raises(kg.errors.KetgradTypeError, match=r"memory.*10001"):
        saving.describe(kg.LBFGSB(memory=10_001))


@pytest.mark.parametrize("step", [None, "passthrough"])
def test_a_step_that_does_nothing_comes_back(step, tmp_path):
    pipeline = make_pipeline(step, kg.KernelClassifier())
    again = kg.load(kg.save(pipeline, tmp_path / "model"))
    assert again.steps[0][1] == step and type(again.steps[1][1]) is kg.KernelClassifier


def test_a_machine_whose_kernel_reads_other_columns_than_it_learned_is_refused(tmp_path):
    rows, labels = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    machine = SVC(kernel=kg.FidelityKernel(kg.encodings.angle(3))).fit(rows, labels)
    machine.kernel = kg.FidelityKernel(kg.encodings.angle(2))
    with pytest.raises(kg.errors.KetgradTypeError, match="cannot be saved"):
        kg.save(machine, tmp_path / "model")
