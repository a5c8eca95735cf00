"""Forged model files, loaded and used in a process that may not touch a file: `python tests/forger.py SECONDS [SEED]`.

The first process makes the models and watches; the children (`child` and a folder, a seed, a count, a first number)
load and use one forgery after the other, with little memory and little time. A forgery is taken well if it is refused
with an error of ketgrad, or if it loads and then answers or raises an ordinary error: nothing else happens, no file is
opened, no process started, no code found by name, no memory taken that the file does not hold.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from typing import Any

import numpy as np
from estimators import classifiers_with, regressors_with
from forging import Forger
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR

import ketgrad as kg
from ketgrad import w, x
from ketgrad.saving import file as saving
from ketgrad.training.optimize import Adam

SECONDS_EACH = 20
TODAY = int(time.time() // 86_400) * 1000  # other forgeries every night
MEMORY = 1_500 * 2**20  # address space beyond what the libraries take
GROWTH = 300 * 2**20  # resident memory beyond that of the originals
RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(24, 3))
LABELS = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
THREE = np.digitize(X[:, 0], [-0.5, 0.5])


def machines() -> dict[str, Any]:
    """Support vector machines as the documentation offers them."""
    kernel = kg.FidelityKernel(kg.encodings.angle(3))
    pair = kg.FidelityKernel(kg.encodings.angle(2))
    projected = kg.ProjectedKernel(kg.encodings.angle(3), gamma=0.5)
    return {
        "SVC, fidelity": SVC(kernel=kernel).fit(X, LABELS),
        "SVC, projected, three": SVC(kernel=projected, break_ties=True).fit(X, THREE),
        "SVC, rbf, three": SVC(decision_function_shape="ovo", class_weight="balanced").fit(X, THREE),
        "SVC, linear": SVC(kernel="linear").fit(X, LABELS),
        "SVC, precomputed": SVC(kernel="precomputed").fit(X @ X.T, LABELS),
        "SVR, fidelity": SVR(kernel=kernel).fit(X, X[:, 0]),
        "SVR, poly": SVR(kernel="poly", degree=2).fit(X, X[:, 0]),
        "SVR in a pipeline": make_pipeline(StandardScaler(), SVR()).fit(X, X[:, 0]),
        "SVC in a pipeline": make_pipeline(PCA(2), MinMaxScaler(), SVC(kernel=pair)).fit(X, LABELS),
    }  # fmt: skip


def models() -> dict[str, Any]:
    """One of everything that a file can hold."""
    short = {"max_steps": 2, "random_state": 0}
    circuit = kg.Circuit([
        kg.unitary([[0, 1], [1j, 0]], 0).inverse(), kg.prepare_state([0.6, 0.8j], 1), kg.rx(x[0] * w[0] + 0.5, 0),
        kg.pauli_rotation(w[1], "XYZ", 2, 0, 1), kg.crz(x[1] ** 2, 0, 2),
    ])  # fmt: skip
    scalers = [
        StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler(), PCA(2), SimpleImputer(), PowerTransformer(),
        QuantileTransformer(n_quantiles=5), Normalizer(),
    ]  # fmt: skip
    return {
        "variational classifier": kg.VariationalClassifier(**short, optimizer=Adam(0.1)).fit(X, LABELS),
        "three classes": kg.VariationalClassifier(**short, loss=kg.losses.hinge).fit(X, THREE),
        "regressor": kg.VariationalRegressor(**short).fit(X, X[:, :2]),
        "kernel classifier": kg.KernelClassifier().fit(X, THREE),
        "projected": kg.KernelClassifier(kernel="projected").fit(X, LABELS),
        "kernel regressor": kg.KernelRegressor().fit(X, X[:, 0]),
        "expectation": kg.expectation(circuit, [kg.Pauli("Z0"), kg.Pauli("0.5 X0 Y1")], gradient=kg.ParameterShift()),
        "samples": kg.samples(circuit, shots=5, seed=3),
        "probabilities": kg.probabilities(circuit, [2, 0], shots=10),
        "circuit": circuit,
        **{name: model.fit(X, LABELS) for name, model in classifiers_with(**short).items()},
        **{name: model.fit(X, X[:, 0]) for name, model in regressors_with(**short).items()},
        **machines(),
        **{
            f"pipeline {type(scaler).__name__}": make_pipeline(scaler, kg.VariationalRegressor(**short)).fit(X, X[:, 0])
            for scaler in scalers
        },
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- the child


class ForbiddenError(BaseException):
    """Something that no file may make happen."""


FORBIDDEN = (
    "subprocess.",
    "os.",
    "pickle.",
    "socket.",
    "shutil.",
    "ctypes.",
    "code.__new__",
    "builtins.input",
)
HARMLESS = ("os.listdir", "os.scandir", "os.walk")
HOME = (pathlib.Path(kg.__file__).parent, pathlib.Path(__file__).parent)
READABLE = tuple(
    str(pathlib.Path(path).resolve())
    for path in (sys.prefix, sys.base_prefix, *HOME, "/proc", "/sys", "/usr/share/zoneinfo")
)


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse files, processes, code by name; libraries may still import their own modules."""
    if event == "open":
        name, mode, flags = arguments
        reading = (
            not (flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if isinstance(flags, int) else mode == "r"
        )
        known = isinstance(name, str) and os.path.realpath(name).startswith(READABLE)
        if not (reading and known):
            raise ForbiddenError(f"open {name!r} {mode!r} {flags!r}")
    elif event.startswith(FORBIDDEN) and event not in HARMLESS:
        raise ForbiddenError(f"{event} {arguments!r}"[:200])


def use(model: Any, often: bool) -> None:
    """Ask a loaded value everything that a user would."""
    repr(model)
    if isinstance(model, kg.Circuit):
        ordinary(model.inverse)
        if len(model) < 100 and model.num_qubits < 20:
            model.draw()
        return
    if isinstance(model, kg.Function):
        point = np.full(min(model.num_weights, 1000), 0.1), np.full(min(model.num_inputs, 1000), 0.1)
        values = model(*point)
        if values.dtype.kind == "f" and values.size < 100:
            model.vjp(*point, np.ones_like(values))
        return
    if not hasattr(model, "get_params"):
        return
    model.get_params()
    fresh = clone(model)
    rows = X @ X.T if getattr(model, "kernel", None) == "precomputed" else X
    columns = getattr(model, "n_features_in_", 3)
    rows = rows[:, :columns] if isinstance(columns, int) and 0 < columns < 24 else rows
    for question in ("predict", "decision_function", "predict_proba", "transform"):
        if hasattr(model, question):
            ordinary(lambda question=question: getattr(model, question)(rows))
    if often:
        names = fresh.get_params()
        fresh.set_params(**{key: 2 for key in names if key.rpartition("__")[2] == "max_steps"})
        fresh.set_params(**{key: 100 for key in names if key.rpartition("__")[2] == "max_iter"})
        target = X[:, 0] if "Regressor" in repr(model) or "SVR" in repr(model) else LABELS
        ordinary(lambda: fresh.fit(rows, target))
        ordinary(lambda: cross_val_score(clone(fresh), rows, target, cv=2, error_score="raise"))
        if hasattr(model, "score"):
            ordinary(lambda: model.score(rows, target))
        ordinary(lambda: saving._file(model))
        ordinary(lambda: saving.restore(saving.describe(model)))


ORDINARY = (kg.KetgradError, ValueError, TypeError)  # scikit-learn's own refusals among them
NOTES: collections.Counter[str] = collections.Counter()


def ordinary(question: Any) -> None:
    """Ask; an ordinary error is an answer too."""
    try:
        question()
    except ORDINARY as error:
        NOTES[f"use: {type(error).__name__}"] += 1


def try_one(data: bytes, check: bool, often: bool) -> str:
    """The outcome for one forgery; an exception of this function is a fault of ketgrad."""
    try:
        model = saving._value(data, "forged", check)
    except kg.KetgradError as error:
        if type(error.__cause__) is MemoryError:
            raise
        return f"refused: {type(error).__name__}"
    ordinary(lambda: use(model, often))
    return f"loaded: {type(model).__name__}"


def child(folder: str, seed: int, first: int, count: int) -> None:
    """Try forgeries number first to first + count - 1 of a seed; the last line printed is the one in progress."""
    warnings.simplefilter("ignore")
    files = {path.stem: path.read_bytes() for path in sorted(pathlib.Path(folder).glob("*.ketgrad"))}
    for data in files.values():  # imports what is imported late
        ordinary(lambda data=data: use(saving._value(data, "original", True), often=True))
    forger, outcomes = Forger(files, seed), NOTES
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY, pages + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(watch)
    for number in range(first + count):
        description, data = forger.draw()
        if number < first:
            continue
        print(f"{number} {description}".encode("ascii", "backslashreplace").decode(), flush=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS_EACH)  # of computing, whatever else the machine does
        signal.alarm(10 * SECONDS_EACH)  # of waiting
        try:
            outcomes[try_one(data, check=number % 2 == 0, often=number % 5 == 0)] += 1
        except BaseException:
            print(
                "FAULT",
                traceback.format_exc()[-1500:].encode("ascii", "backslashreplace").decode(),
                flush=True,
            )
            sys.exit(1)
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if now > memory + GROWTH:
            print("FAULT", f"memory grew by {(now - memory) >> 20} MiB", flush=True)
            sys.exit(1)
        memory = max(memory, now - GROWTH // 2)  # what the allocator keeps
    print("OUTCOMES " + json.dumps(outcomes), flush=True)


# --------------------------------------------------------------------------------------------- the parent


def write_models(folder: pathlib.Path) -> None:
    """The originals, one file each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model in models().items():
            kg.save(model, folder / f"{name}.ketgrad")


def run(folder: pathlib.Path, seed: int, count: int, first: int = 0) -> tuple[dict[str, int], str]:
    """The outcomes of a child, and what went wrong, if anything did, with what makes it happen again."""
    command = [sys.executable, __file__, "child", str(folder), str(seed), str(first), str(count)]
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder)
        errors.seek(0)
        tail = errors.read()[-1500:]
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines and lines[-1].startswith("OUTCOMES "):
        return json.loads(lines[-1].removeprefix("OUTCOMES ")), ""
    started = [line for line in lines if line[:1].isdigit()]
    fault = done.stdout[done.stdout.find("FAULT") :] if "FAULT" in done.stdout else ""
    how = f"ended with {done.returncode} (negative: by that signal)"
    return {}, f"seed {seed}, {started[-1] if started else 'before the first'}: {how}\n{fault}\n{tail}"


def main(seconds: float, seed: int) -> None:
    """The longer mode: batches until the time is over, faults collected and gone past."""
    began, total, faults = time.monotonic(), collections.Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        write_models(pathlib.Path(folder))
        while time.monotonic() - began < seconds:
            outcomes, fault = run(pathlib.Path(folder), seed, 2000)
            total.update(outcomes)
            if fault:
                faults.append(fault)
                print(fault, flush=True)
            seed += 1
    for outcome, count in total.most_common():
        print(f"{count:8} {outcome}")
    print(f"{sum(c for o, c in total.items() if not o.startswith('use'))} forgeries, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        child(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else TODAY)
