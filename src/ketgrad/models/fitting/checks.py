"""What an estimator is given: tables, targets and sample weights, checked with messages that name the place.

scikit-learn's own checks run first and give the wording that its users know; what they leave vague (which row,
which column, how many) is said here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from ketgrad.foundation.arrays import refuse_gradients
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError
from ketgrad.foundation.user_warnings import warn_user

LEAST_ROWS = 3  # two rows fix a straight line and leave nothing to learn from
FILL = "Fill the gaps first, for example with make_pipeline(sklearn.impute.SimpleImputer(), ...), or drop those rows"


def check_table(estimator: Any, X: Any, *, fitting: bool) -> np.ndarray:
    """`X` as a finite float64 table (n_samples, n_features) that fits the estimator.

    Accepted: arrays, lists and data frames of real numbers of any width, booleans, text and objects that are
    numbers. Sets `n_features_in_` and `feature_names_in_` when fitting and compares with them otherwise.
    Raises `KetgradValueError` or `KetgradTypeError` naming the row and the column.
    """
    _refuse_kinds(X)
    least = LEAST_ROWS if fitting else 1
    try:
        table = validate_data(
            estimator, X, reset=fitting, dtype=np.float64, ensure_all_finite=False, ensure_min_samples=least
        )
    except (TypeError, ValueError) as error:
        _explain_cell(X, error)
        raise _ours(error) from error
    names: list[str] = list(getattr(estimator, "feature_names_in_", ()))
    _refuse_gaps(table, names)
    return np.ascontiguousarray(table)


def check_classes(estimator: Any, y: Any, num_rows: int) -> np.ndarray:
    """Class labels of any kind that sorts, one per row; gaps and real numbers that are no labels are refused."""
    _refuse_no_target(estimator, y)
    _refuse_indicators(y)
    try:
        labels = column_or_1d(y, warn=True)
        _refuse_target_gaps(labels)
        check_classification_targets(labels)
        _check_length(labels, num_rows)
    except (TypeError, ValueError) as error:
        raise _ours(error) from error
    return labels


def _refuse_indicators(y: Any) -> None:
    """Say how columns of zeros and ones, one per class, become labels."""
    shape = getattr(y, "shape", None) or np.shape(y if isinstance(y, list | tuple) else ())
    if len(shape) == 2 and shape[1] > 1:
        raise KetgradValueError(
            f"y should be a 1d array of labels, got an array of shape {tuple(shape)} instead. From one column per "
            "class take y.argmax(axis=1); for several labels per row use sklearn.multioutput.MultiOutputClassifier."
        )


def check_numbers(estimator: Any, y: Any, num_rows: int, *, columns: bool) -> np.ndarray:
    """Finite float64 targets, (n,) or, where `columns` allows several outputs, (n, K)."""
    _refuse_no_target(estimator, y)
    _refuse_kinds(y, "y")
    try:
        targets = check_array(y, ensure_2d=False, dtype=np.float64, ensure_all_finite=False, input_name="y")
        if not columns:
            targets = column_or_1d(targets, warn=True)
        _refuse_target_gaps(targets)
        _check_length(targets, num_rows)
    except (TypeError, ValueError) as error:
        raise _ours(error) from error
    return targets


def check_sample_weight(sample_weight: Any, num_rows: int) -> np.ndarray:
    """Weights (n,), finite and not negative, not all zero; ones for None."""
    if sample_weight is None:
        return np.ones(num_rows)
    try:
        refuse_gradients(sample_weight, "sample_weight")
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise KetgradTypeError(f"`sample_weight` must hold real numbers: {error}.") from error
    if weights.ndim == 0:
        weights = np.full(num_rows, float(weights))
    if weights.shape != (num_rows,):
        raise KetgradValueError(
            f"`sample_weight` must have shape ({num_rows},) - one weight per row of X - but has shape {weights.shape}."
        )
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise KetgradValueError(
            f"`sample_weight` must be finite and not negative, but is {weights[bad[0]]} at row {bad[0]} "
            f"({bad.size} such {'row' if bad.size == 1 else 'rows'})."
        )
    if not weights.any():
        raise KetgradValueError(
            "`sample_weight` must not be zero everywhere: with all weights zero no row counts."
        )
    return weights


def merge_rows(
    table: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The distinct rows (with their targets) in sorted order, the weight of each, and where each stood in the table.

    Weight zero drops a row.

    A row that occurs twice is simulated once. It also makes a fit independent of the order of the rows, to the
    last bit, and makes a weight of 2 the same as a row given twice. Cost: O(n log n).
    """
    kept = weights > 0
    columns = targets.reshape(len(targets), -1)
    joined = np.column_stack([table, columns])[kept] + 0.0  # + 0.0: -0.0 and 0.0 are one value
    order = np.lexsort([weights[kept], *joined.T[::-1]])  # the last key counts first
    ordered = joined[order]
    starts = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    totals = np.bincount(np.cumsum(starts) - 1, weights=weights[kept][order])
    distinct, width = ordered[starts], table.shape[1]
    places = np.flatnonzero(kept)[order][starts]
    return distinct[:, :width].copy(), distinct[:, width:].reshape(-1, *targets.shape[1:]), totals, places


def warn_of_constant_columns(table: np.ndarray, names: Any) -> None:
    """Refuse a table without information; warn of the columns that have none."""
    constant = np.flatnonzero((table == table[0]).all(axis=0))
    if constant.size == table.shape[1]:
        raise KetgradValueError(
            f"X holds no information: all {table.shape[1]} feature(s) are constant over the {len(table)} distinct rows "
            "that count. A model needs at least one column that varies."
        )
    if constant.size:
        listed = ", ".join(column_text(j, names) for j in constant[:10])
        warn_user(
            f"{constant.size} column(s) of X are constant and tell nothing, so they are encoded as the angle 0: "
            f"{listed}{', ...' if constant.size > 10 else ''}."
        )


def _refuse_kinds(X: Any, name: str = "X") -> None:
    refuse_gradients(X, name)
    if isinstance(X, np.ma.MaskedArray):
        raise KetgradTypeError(f"`{name}` must be a plain array, but is masked. {FILL}.")
    if hasattr(X, "tocsr"):
        raise KetgradTypeError(
            f"Sparse input is not supported: `{name}` is {type(X).__name__}, and every angle of a circuit is a number "
            f"of its own. Pass {name}.toarray()."
        )
    for column, dtype in _dtypes(X):
        kind = getattr(dtype, "kind", "")
        if kind == "c":
            raise KetgradValueError(
                f"Complex data not supported: `{name}`{column} has dtype {dtype}. Pass real and imaginary parts as "
                "columns of their own."
            )
        if kind in "mM" and kind:
            raise KetgradTypeError(
                f"`{name}`{column} holds dates or times ({dtype}), which have no natural angle. Turn them into numbers "
                "first, for example days since a start, or sin and cos of the season."
            )


def _dtypes(X: Any) -> list[tuple[str, Any]]:
    dtypes = getattr(X, "dtypes", None)
    if dtypes is not None and hasattr(X, "columns"):
        return [(f" column {column!r}", dtype) for column, dtype in zip(X.columns, dtypes, strict=True)]
    return [("", X.dtype if hasattr(X, "dtype") else _list_dtype(X))]


def _list_dtype(X: Any) -> Any:
    try:
        return np.asarray(X).dtype
    except ValueError:  # ragged lists: scikit-learn's check words that
        return None


def _explain_cell(X: Any, error: Exception) -> None:
    """Name the first cell that is no number, if that is what `error` is about."""
    cells = np.asarray(X, dtype=object) if hasattr(X, "shape") or isinstance(X, list | tuple) else np.empty(0)
    if cells.ndim != 2:
        return
    names = [str(name) for name in getattr(X, "columns", ())]
    for (row, column), cell in np.ndenumerate(cells):
        if isinstance(cell, int | float) or cell is None:
            continue
        try:
            float(cell)
        except (TypeError, ValueError) as reason:
            kind = KetgradTypeError if isinstance(reason, TypeError) else KetgradValueError
            shown = repr(cell) if len(repr(cell)) <= 40 else repr(cell)[:37] + "..."
            raise kind(
                f"X must hold numbers, but row {row}, column {column_text(column, names)} holds {shown}: {reason}. "
                "Encode categories first, for example with sklearn.preprocessing.OneHotEncoder."
            ) from error


def _refuse_gaps(table: np.ndarray, names: list[str]) -> None:
    finite = np.isfinite(table)
    if finite.all():
        return
    missing = np.isnan(table)
    for wrong, what in (
        (missing, "Input X contains NaN."),
        (~finite & ~missing, "Input X contains infinity or a value too large for dtype('float64')."),
    ):
        if not wrong.any():
            continue
        row, column = (int(k) for k in np.unravel_index(int(np.argmax(wrong)), table.shape))
        empty = np.flatnonzero(missing.all(axis=0)) if what.endswith("NaN.") else ()
        columns = "".join(f" Column {column_text(j, names)} holds nothing else." for j in empty[:5])
        count = int(np.count_nonzero(wrong))
        raise KetgradValueError(
            f"{what} {count} such {'entry' if count == 1 else 'entries'} in {int(wrong.any(axis=1).sum())} of "
            f"{len(table)} rows, the first at row {row}, column {column_text(column, names)}.{columns} {FILL} "
            "(`ketgrad compare` offers --missing=drop and --missing=median)."
        )


def _refuse_target_gaps(y: np.ndarray) -> None:
    if y.dtype.kind == "O":
        missing = np.array([_is_gap(entry) for entry in y.ravel()], dtype=bool).reshape(y.shape)
        infinite = np.zeros(y.shape, bool)
    elif y.dtype.kind in "fc":
        missing, infinite = np.isnan(y), np.isinf(y)
    else:
        return
    for wrong, what in (
        (missing, "Input y contains NaN."),
        (infinite, "Input y contains infinity or a value too large for dtype('float64')."),
    ):
        if wrong.any():
            rows = np.flatnonzero(wrong.reshape(len(y), -1).any(axis=1))
            raise KetgradValueError(
                f"{what} {rows.size} such {'row' if rows.size == 1 else 'rows'} of {len(y)}, the first is row "
                f"{rows[0]}. A row without a target teaches nothing: drop it."
            )


def _is_gap(entry: Any) -> bool:
    """None, NaN, and the missing values of pandas, whose comparison is neither true nor false."""
    try:
        return entry is None or bool(entry != entry)
    except TypeError:
        return True


def _refuse_no_target(estimator: Any, y: Any) -> None:
    if y is None:
        raise KetgradValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )


def _check_length(y: np.ndarray, num_rows: int) -> None:
    if len(y) != num_rows:
        raise KetgradValueError(
            f"Found input variables with inconsistent numbers of samples: X has {num_rows} rows, but y has {len(y)}."
        )


def column_text(index: Any, names: Any) -> str:
    """A column as messages name it: its number, and its name where it has one.

    >>> column_text(1, ["age", "size"])
    "1 ('size')"
    """
    names = () if names is None else names
    label = f" ({str(names[index])[:60]!r})" if index < len(names) else ""
    return f"{int(index)}{label}"


def _ours(error: Exception) -> Exception:
    """The same message as one of our exceptions, so that one `except KetgradError` catches every refusal."""
    if isinstance(error, KetgradTypeError | KetgradValueError):
        return error
    return (KetgradTypeError if isinstance(error, TypeError) else KetgradValueError)(str(error))
