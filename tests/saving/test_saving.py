"""One file, no code in it: what is loaded predicts the same, and a file that was touched is refused."""

import json
import os
import pathlib
import pickle
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from estimators import classifiers_with, regressors_with
from forging import forged, nested
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PowerTransformer, RobustScaler, StandardScaler

import ketgrad as kg
from ketgrad import w, x
from ketgrad.circuits.gates import GATES
from ketgrad.saving import file as saving

HERE = pathlib.Path(__file__).parents[1]
GOLDEN = HERE / "golden" / "models"
RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(24, 3))
LABELS = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
NUMBERS = X[:, 0] ** 2

MODELS = {
    "variational classifier": lambda: kg.VariationalClassifier(max_steps=4, random_state=0).fit(X, LABELS),
    "three classes": lambda: kg.VariationalClassifier(max_steps=4, random_state=0).fit(X, THREE),
    "object labels": lambda: kg.VariationalClassifier(max_steps=2, random_state=0).fit(X, LABELS.astype(object)),
    "hinge and Adam": lambda: kg.VariationalClassifier(
        loss=kg.losses.hinge, optimizer=kg.Adam(0.1), max_steps=3, random_state=np.int64(3)
    ).fit(X, LABELS),
    "own circuit": lambda: kg.VariationalClassifier(
        kg.Circuit([kg.rx(x[0] * x[1], 0), kg.ry(w[0] * x[2], 1), kg.crz(w[1] - 0.5, 0, 1)]),
        observables=[kg.Pauli("Z0"), kg.Pauli("0.3 X0 Y1 - Z1")], scaling="range", max_steps=2, random_state=0,
    ).fit(X, LABELS),
    "chebyshev": lambda: kg.VariationalRegressor(encoding="chebyshev", max_steps=2, random_state=0).fit(X, NUMBERS),
    "regressor": lambda: kg.VariationalRegressor(max_steps=4, random_state=0).fit(X, NUMBERS),
    "two outputs": lambda: kg.VariationalRegressor(max_steps=2, random_state=0).fit(X, X[:, :2]),
    "fidelity kernel": lambda: kg.KernelClassifier(C=2.0).fit(X, LABELS),
    "three classes by kernel": lambda: kg.KernelClassifier().fit(X, THREE),
    "projected kernel": lambda: kg.KernelClassifier(kernel="projected").fit(X, LABELS),
    "kernel regressor": lambda: kg.KernelRegressor().fit(X, NUMBERS),
}  # fmt: skip
FITTED = {name: make() for name, make in MODELS.items()}
QUICK = {"max_steps": 2, "random_state": 0}
FITTED |= {name: model.fit(X, LABELS) for name, model in classifiers_with(**QUICK).items()}
FITTED |= {name: model.fit(X, NUMBERS) for name, model in regressors_with(**QUICK).items()}


def saved(model, tmp_path, name="model.ketgrad"):
    return kg.save(model, tmp_path / name)


@pytest.mark.parametrize("name", FITTED)
def test_a_loaded_model_predicts_the_same_bits_and_saves_the_same_bytes(name, tmp_path):
    path = saved(FITTED[name], tmp_path)
    again = kg.load(path)
    assert type(again) is type(FITTED[name])
    np.testing.assert_array_equal(again.predict(X), FITTED[name].predict(X))
    assert again.predict(X).dtype == FITTED[name].predict(X).dtype
    assert saved(again, tmp_path, "again.ketgrad").read_bytes() == path.read_bytes()


def test_everything_that_was_learned_is_there(tmp_path):
    model = FITTED["variational classifier"]
    again = kg.load(saved(model, tmp_path))
    assert vars(again).keys() == vars(model).keys()
    assert again.circuit_ == model.circuit_ and again.function_ == model.function_
    assert str(again.summary_) == str(model.summary_)
    assert again.data_fingerprint_ == model.data_fingerprint_ and len(model.data_fingerprint_) == 64
    np.testing.assert_array_equal(again.fit_.history, model.fit_.history)
    assert again.get_params() == model.get_params()


def test_the_fingerprint_tells_other_data_and_not_another_order():
    def of(rows, labels):
        return kg.VariationalClassifier(max_steps=1, random_state=0).fit(rows, labels).data_fingerprint_

    assert of(X, LABELS) == of(X[::-1], LABELS[::-1])
    assert of(X, LABELS) != of(X + 1e-12, LABELS)


@pytest.mark.parametrize(
    "scaler",
    [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler(), PCA(2), SimpleImputer(), PowerTransformer()],
    ids=lambda scaler: type(scaler).__name__,
)  # fmt: skip
def test_a_pipeline_with_a_scaler_of_scikit_learn_is_saved_whole(scaler, tmp_path):
    model = make_pipeline(scaler, kg.VariationalClassifier(max_steps=2, random_state=0)).fit(X, LABELS)
    again = kg.load(saved(model, tmp_path))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


FUNCTIONS = {
    "expectation": kg.expectation(kg.encodings.zz_feature_map(2) * 2, kg.Pauli("Z0 Z1 + 2")),
    "reference": kg.expectation(kg.Circuit([kg.rx(w[0], 0)]), kg.Pauli("Z0"), executor="reference", threads=1),
    "shots": kg.expectation(kg.Circuit([kg.rx(w[0], 0)]), kg.Pauli("Z0"), shots=100, seed=7),
    "rule": kg.expectation(kg.Circuit([kg.rx(w[0], 0)]), kg.Pauli("Z0"), gradient=kg.ParameterShift()),
    "probabilities": kg.probabilities(kg.Circuit([kg.rx(w[0], 0), kg.cx(0, 2)]), qubits=[2, 0]),
    "state": kg.state(kg.Circuit([kg.prepare_state([x[0], x[1]], 0, normalize=True)]), dtype=np.complex64),
    "samples": kg.samples(kg.Circuit([kg.h(0)]), shots=5, packed=True, seed=np.random.SeedSequence(4)),
    "unitary": kg.state(kg.Circuit([kg.unitary([[0, 1j], [1j, 0]], 1).control(0)])),
    "prepared": kg.state(kg.Circuit([kg.prepare_state([0.6, 0.8j], 0), kg.pauli_rotation(x[0], "XYZ", 2, 0, 1)])),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_comes_back_equal_from_a_file_and_from_json(name, tmp_path):
    f = FUNCTIONS[name]
    if name != "samples":  # two SeedSequences of equal content are not equal
        assert kg.load(saved(f, tmp_path)) == f
        assert saving.restore(json.loads(json.dumps(saving.describe(f)))) == f
    again = kg.load(saved(f, tmp_path, "again"))
    point = np.full(f.num_weights, 0.3), np.full(f.num_inputs, 0.4)
    np.testing.assert_array_equal(again(*point), f(*point))


@pytest.mark.parametrize(
    "gate", [gate for gate in GATES.values() if gate.amplitudes is None], ids=lambda g: g.name
)
def test_every_gate_of_the_table_and_its_inverse_is_saved(gate):
    angles = [w[0] * x[1] - 0.1, 0.25 * w[1], x[0] ** 2, w[2]][: gate.num_angles]
    op = kg.Op.build(gate, range(gate.num_qubits), angles, ())
    circuit = kg.Circuit([op, op.inverse(), op.control(gate.num_qubits)])
    assert saving.restore(json.loads(json.dumps(saving.describe(circuit)))) == circuit


def test_a_callback_is_left_out_with_a_warning_and_nothing_of_the_work_is_lost(tmp_path):
    model = kg.VariationalClassifier(
        max_steps=2, random_state=np.random.RandomState(0), verbose=lambda step: None
    )
    model.fit(X, LABELS)
    with pytest.warns(UserWarning, match="Not saved.*random_state.*verbose") as warned:
        again = kg.load(kg.save(model, tmp_path / "model.ketgrad"))
    assert [warning.filename for warning in warned] == [__file__]
    assert again.verbose is False and again.random_state is None
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_what_no_file_can_hold_is_named_with_its_path(tmp_path):
    class Mine:
        name, abilities = "mine", frozenset({"exact"})

        def run(self, program, weights, inputs, **options):
            return np.zeros((1, 1))

    f = kg.expectation(kg.Circuit([kg.rx(w[0], 0)]), kg.Pauli("Z0"), executor=Mine())
    with pytest.raises(
        kg.KetgradError, match=r"`Function\.executor` cannot be saved: it is a .*Mine.*no code"
    ):
        saved(f, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_stays_unless_overwriting_is_asked_for(tmp_path):
    path = saved(FUNCTIONS["rule"], tmp_path)
    with pytest.raises(kg.KetgradError, match="exists"):
        kg.save(FUNCTIONS["state"], path)
    assert kg.load(path) == FUNCTIONS["rule"]
    assert kg.load(kg.save(FUNCTIONS["state"], path, overwrite=True)) == FUNCTIONS["state"]


# M2, M3: the whole file of two models, bit by bit in steps, and every length

DATA = {name: saving._file(FITTED[name]) for name in ("variational classifier", "kernel regressor")}


def refused(data: bytes) -> bool:
    try:
        saving._value(data, "touched", True)
    except kg.KetgradError:
        return True
    return False


@pytest.mark.parametrize("name", DATA)
def test_every_flipped_bit_is_seen(name):
    data = DATA[name]
    accepted = []
    for place in range(len(data)):
        touched = bytearray(data)
        touched[place] ^= 1 << place % 8
        if not refused(bytes(touched)):
            accepted.append(place)
    assert not accepted


@pytest.mark.parametrize("name", DATA)
def test_every_truncation_and_every_addition_is_seen(name):
    data = DATA[name]
    assert all(refused(data[:length]) for length in range(0, len(data), 7))
    assert refused(data + b"\0") and refused(data + data)


# M1, M4, M5: other files


class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/ketgrad-was-here",)


def other_files(folder):
    yield pickle.dumps(Bomb(), protocol=4), "a pickle"
    yield pickle.dumps({"weights": 1}, protocol=2), "a pickle"
    yield b"cos\nsystem\n(S'ls'\ntR.", "cut short|damaged"
    with zipfile.ZipFile(folder / "archive", "w") as archive:
        archive.writestr("../../model", b"0" * 10**6)
    yield (folder / "archive").read_bytes(), "a zip archive"
    yield b"", "cut short"
    yield b"{}", "a JSON text|cut short"
    yield (2**62).to_bytes(8, "little") + b"{}", "cut short"
    yield b"\xff" * 100, "cut short"
    yield safetensors.numpy.save({"a": np.zeros(3)}), "not a file that kg.save wrote"
    for header in (
        b'{"a":{"dtype":"F64","shape":[1000000000000000000],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"F64","shape":[-1],"data_offsets":[8,0]}}',
        b'{"__metadata__":{"ketgrad":"{}"},"__metadata__":{}}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"__metadata__":{"ketgrad":NaN}}',
        b'{"__metadata__":[]}',
        b'{"__metadata__":{"ketgrad":"' + b"[" * 100_000 + b'"}}',
        b"\xff\xfe",
    ):
        yield len(header).to_bytes(8, "little") + header + b"\0" * 8, "cannot be loaded"


def test_other_files_are_refused_and_none_of_them_runs(tmp_path, monkeypatch):
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.delattr(pickle, name)
    for data, message in other_files(tmp_path):
        (tmp_path / "other").write_bytes(data)
        with pytest.raises(kg.KetgradError, match=message):
            kg.load(tmp_path / "other")
    assert not pathlib.Path("/tmp/ketgrad-was-here").exists()


def test_loading_needs_no_pickle(tmp_path, monkeypatch):
    path = saved(FITTED["kernel regressor"], tmp_path)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.delattr(pickle, name)
    kg.load(path)


def test_a_pipe_a_device_a_folder_and_a_missing_file_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path, tmp_path / "missing"):
        with pytest.raises(kg.KetgradError):
            kg.load(path)


def forged_classifier(change):
    """The file of a model with its JSON changed and its check sum made anew: what an attacker would send."""
    return forged(DATA["variational classifier"], lambda content, _: change(content))


def learned(content):
    return content["value"]["learned"]


def texts(entries, dtype, shape=None):
    return {
        "$array": {"entries": entries, "dtype": dtype, "shape": [len(entries)] if shape is None else shape}
    }


FORGERIES = {
    "a class that is not listed": (lambda c: c["value"].update({"$estimator": "Popen"}), "Popen"),
    "a class of the list that is no estimator": (lambda c: c["value"].update({"$estimator": "Adam"}), "Adam"),
    "a parameter that does not exist": (lambda c: c["value"]["parameters"].update(shell=1), "shell"),
    "a method as an attribute": (lambda c: learned(c).update(predict=1), "predict"),
    "a dunder attribute": (lambda c: learned(c).update(__class__=1), "__class__"),
    "an unknown kind of value": (lambda c: c.update(value={"$code": "1"}), "unknown kind"),
    "an unknown gate": (lambda c: learned(c)["circuit_"]["$circuit"][1][0].__setitem__(0, "system"), "system"),
    "a register of 10^30 qubits": (
        lambda c: learned(c)["function_"]["fields"]["circuit"]["$circuit"].__setitem__(0, 10**30), "at most 10000000",
    ),
    "a negative variable": (
        lambda c: learned(c)["circuit_"]["$circuit"][1][0][2][0][0].__setitem__(1, [["x", -1]]), "variable",
    ),
    "an array that is not there": (lambda c: learned(c)["weights_"]["$array"].update(name="x"), "cannot be read"),
    "deep nesting": (lambda c: c.update(value=nested(150)), "levels deep"),
    "fields that do not exist": (lambda c: learned(c)["scaling_"]["fields"].update(a=1), "does not take"),
    "a mapping as a list": (lambda c: c.update(value={"$tuple": {"a": 1}}), "where a list belongs"),
    "a newer format": (lambda c: c.update(format=2, versions={"ketgrad": "9.0"}), r"ketgrad 9\.0.*format 2.*Update"),
    "other weights": (lambda c: learned(c).update(bias_={"$array": {"name": "probe"}}), "do not fit together"),
    "an empty gate": (lambda c: learned(c)["circuit_"]["$circuit"][1][0].__setitem__(0, {}), "cannot be read"),
    "versions that are none": (lambda c: c.update(format=2, versions=[]), "format 2"),
    "a parameter that calls": (lambda c: c["value"]["parameters"].update(verbose={"$loss": "hinge"}), "verbose"),
    "a parameter of another class": (
        lambda c: c["value"]["parameters"].update(optimizer={"$object": "State", "fields": {}}), "optimizer",
    ),
    "half of what was learned": (lambda c: learned(c).pop("weights_"), "leaves out.*weights_"),
    "a fingerprint that is a path": (lambda c: learned(c).update(data_fingerprint_="/etc/passwd"), "SHA-256"),
    "the circuit of another model": (lambda c: learned(c).update(circuit_={"$circuit": [2, []]}), "do not fit"),
    "a text as a length": (lambda c: learned(c).update(n_features_in_="3"), "n_features_in_"),
    "two texts in gigabytes": (lambda c: learned(c).update(classes_=texts(["a", "b"], "<U500000000")), "longer than 1"),
    "numbers as texts": (lambda c: learned(c).update(classes_=texts([1, 2], "<U9")), "cannot be read"),
    "a length below zero": (lambda c: learned(c).update(classes_=texts(["a", "b"], "|O", [-1])), "shape"),
    "a structured dtype": (lambda c: learned(c).update(classes_=texts([], "f8,f8", [0])), "dtype"),
    "a number of two": (lambda c: learned(c).update(n_iter_={"$scalar": {"name": "probe"}}), "number belongs"),
    "a complex number of texts": (lambda c: learned(c).update(n_iter_={"$complex": ["1", 2]}), "two parts"),
}  # fmt: skip


def test_an_unchanged_forgery_loads():
    """What the forgeries below are refused for is their change, not how they are made."""
    loaded = saving._value(forged_classifier(lambda content: None), "forged", True)
    assert type(loaded) is type(FITTED["variational classifier"])


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_file_with_a_right_check_sum_is_refused(name):
    change, message = FORGERIES[name]
    with pytest.raises(kg.KetgradError, match=message):
        saving._value(forged_classifier(change), "forged", True)


def test_a_model_that_predicts_otherwise_is_noticed(tmp_path):
    def change(content):
        learned(content)["scaling_"]["fields"]["factor"] = 2.0

    path = tmp_path / "forged"
    path.write_bytes(forged_classifier(change))
    with pytest.raises(kg.KetgradError, match=r"predicts otherwise.*check=False"):
        kg.load(path)
    kg.load(path, check=False)


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = saved(FUNCTIONS["rule"], tmp_path)
    before = path.read_bytes()
    code = (
        "import resource, signal, sys, ketgrad as kg\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\n"
        "try:\n    kg.save(kg.state(kg.Circuit([kg.h(0)])), sys.argv[1], overwrite=True)\n"
        "except kg.KetgradError as error:\n    print('refused', error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_of_two_writers_one_wins_whole(tmp_path):
    path = tmp_path / "model"
    both = [FUNCTIONS["rule"], FUNCTIONS["unitary"]]
    threads = [
        threading.Thread(target=lambda f=f: [kg.save(f, path, overwrite=True) for _ in range(20)]) for f in both
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kg.load(path) in both and list(tmp_path.iterdir()) == [path]


def test_a_missing_safetensors_is_named_with_the_install_line():
    code = (
        "import sys\nsys.modules['safetensors'] = None\nimport ketgrad as kg\n"
        "try:\n    kg.save(kg.Circuit([kg.h(0)]), 'never-written')\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'ketgrad[save]'" in done.stdout


@pytest.mark.parametrize("name", FITTED)
def test_pickling_works_too_as_scikit_learn_expects(name):
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(FITTED[name])).predict(X), FITTED[name].predict(X)
    )


# M7: files of older releases load for ever


def golden_files():
    return sorted(GOLDEN.glob("*.ketgrad"))


@pytest.mark.parametrize("path", golden_files(), ids=lambda path: path.stem)
def test_files_of_all_releases_load_and_predict_as_then(path):
    then = json.loads(path.with_suffix(".json").read_text())
    np.testing.assert_allclose(kg.load(path).predict(np.array(then["rows"])), then["predictions"], rtol=1e-12)


def test_there_are_files_of_this_format():
    assert len(golden_files()) >= 3


def write_golden_files():
    """Once for each release: PYTHONPATH=src python tests/saving/test_saving.py."""
    for name in ("regressor", "kernel regressor", "three classes"):
        path = GOLDEN / f"{kg.__version__} {name}.ketgrad"
        kg.save(FITTED[name], path)
        then = {"rows": X[:5].tolist(), "predictions": FITTED[name].predict(X[:5]).tolist()}
        path.with_suffix(".json").write_text(json.dumps(then) + "\n")


if __name__ == "__main__":
    write_golden_files()
