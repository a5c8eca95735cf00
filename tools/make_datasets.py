"""Write the tables of src/ketgrad/datasets from the data sets that scikit-learn carries.

    python tools/make_datasets.py            write them
    python tools/make_datasets.py --check    fail if they differ from what would be written

The messy table is the wine table made untidy on purpose, always in the same way (the seed is fixed).
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from ketgrad.foundation.files import write_atomically
from ketgrad.foundation.seeds import stream

FOLDER = Path(__file__).parents[1] / "src" / "ketgrad" / "datasets"


def breast_cancer() -> str:
    """569 rows: 30 measurements of cell nuclei and the diagnosis in words."""
    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    rows = [[f"{value:g}" for value in row] for row in data.data]
    labels = [str(data.target_names[code]) for code in data.target]
    return as_csv([*names, "diagnosis"], [[*row, label] for row, label in zip(rows, labels, strict=True)])


def diabetes() -> str:
    """442 rows: ten measurements in their own units and the progression one year later."""
    data = load_diabetes(scaled=False)
    long = {"bp": "blood_pressure", "s1": "cholesterol", "s2": "ldl", "s3": "hdl", "s4": "cholesterol_ratio",
            "s5": "log_triglycerides", "s6": "glucose"}  # fmt: skip
    names = [long.get(str(name), str(name)) for name in data.feature_names]
    rows = [
        [*(f"{value:g}" for value in row), f"{y:g}"] for row, y in zip(data.data, data.target, strict=True)
    ]
    return as_csv([*names, "progression"], rows)


def wine_messy() -> str:
    """178 rows of wine analyses with everything that real tables have: see the README of the folder."""
    data, rng = load_wine(), stream(2026)
    columns = {name.replace("/", "_"): [f"{value:g}" for value in data.data[:, j]]
               for j, name in enumerate(data.feature_names)}  # fmt: skip
    n = len(data.target)
    columns["alcohol"] = [f"{value:.2f}".replace(".", ",") for value in data.data[:, 0]]  # decimal comma
    columns["magnesium"] = [text if rng.random() > 0.08 else "n/a" for text in columns["magnesium"]]
    columns["hue"] = [text if rng.random() > 0.1 else "" for text in columns["hue"]]
    proline = data.data[:, 12]
    bands = np.digitize(proline, np.quantile(proline, [0.33, 0.66]))
    del columns["proline"], columns["flavanoids"]
    columns["body"] = [("light", "medium", "full")[band] for band in bands]
    grapes = ("NA", "DOC", "DOCG", "IGT")  # here NA is a word: "not assigned"
    columns["label"] = [grapes[(code + int(rng.integers(0, 3))) % 4] for code in data.target]
    first = datetime.date(1989, 9, 1)
    columns["bottled"] = [str(first + datetime.timedelta(days=int(rng.integers(0, 700)))) for _ in range(n)]
    columns["organic"] = [("yes", "no")[int(rng.integers(0, 2))] for _ in range(n)]
    columns["laboratory"] = ["Genoa"] * n  # constant
    columns["sample_id"] = [f"W{1000 + 7 * i}" for i in range(n)]  # an identifier
    columns["cultivar"] = [("first", "second", "third")[code] for code in data.target]
    shuffled = rng.permutation(n)
    names = ["sample_id", *(name for name in columns if name not in ("sample_id", "cultivar")), "cultivar"]
    return as_csv(names, [[columns[name][i] for name in names] for i in shuffled], separator=";")


def as_csv(names: list[str], rows: list[list[str]], separator: str = ",") -> str:
    """The text of a CSV file with Unix line ends."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()


def main() -> int:
    """Write or check every table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table differs")
    check = parser.parse_args().check
    for make in (breast_cancer, diabetes, wine_messy):
        path = FOLDER / f"{make.__name__}.csv"
        if check and path.read_text(encoding="utf-8") != make():
            print(f"{path} is not what tools/make_datasets.py writes", file=sys.stderr)
            return 1
        if not check:
            write_atomically(path, make(), overwrite=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
