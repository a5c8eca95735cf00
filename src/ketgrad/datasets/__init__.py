"""Layer 12: three small real tables; origin and licence of each are in the README of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ketgrad.foundation.errors import KetgradValueError, missing_extra, near_matches, shown

__all__ = ["TARGETS", "load", "path"]


def __dir__() -> list[str]:
    return __all__


TARGETS = {"breast_cancer": "diagnosis", "diabetes": "progression", "wine_messy": "cultivar"}


def path(name: str) -> Path:
    """The CSV file of a table, for `ketgrad compare` or any other reader.

    >>> path("diabetes").name
    'diabetes.csv'
    """
    if not isinstance(name, str) or name not in TARGETS:
        raise KetgradValueError(f"There is no data set {shown(name)}. {near_matches(str(name), TARGETS)}")
    return Path(__file__).with_name(f"{name}.csv")


def load(name: str) -> tuple[Any, Any]:
    """The table as (X, y): a pandas DataFrame of the columns and a Series of the target.

    Nothing is cleaned: `wine_messy` has its decimal commas and missing values. `path(name)` is the file
    itself.

    >>> X, y = load("breast_cancer")
    >>> X.shape, sorted(y.unique())
    ((569, 30), ['benign', 'malignant'])
    """
    file = path(name)
    try:
        import pandas
    except ImportError:
        raise missing_extra("pandas", "compare") from None
    separator = ";" if name == "wine_messy" else ","
    frame = pandas.read_csv(file, sep=separator, keep_default_na=False, na_values=[""])
    return frame.drop(columns=TARGETS[name]), frame[TARGETS[name]]
