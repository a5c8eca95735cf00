"""What a kernel is to the machines that use it, and the checks of circuits and rows that all kernels share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

import ketgrad.executors as executors
from ketgrad.circuits.circuit import Circuit
from ketgrad.foundation.arrays import as_array, check_finite, real_array
from ketgrad.foundation.errors import KetgradValueError, check_shape
from ketgrad.foundation.memory import reserve
from ketgrad.foundation.numbers import thread_count

SMALLER = (
    "Take fewer rows: a Nystroem approximation needs one column per landmark only "
    "(sklearn.kernel_approximation.Nystroem(kernel=..., n_components=300)), a variational model needs no matrix."
)


class Kernel(Protocol):
    """What the kernel machines need of a kernel."""

    @property
    def circuit(self) -> Circuit:
        """The circuit that prepares the state of a row."""
        ...

    def features(self, X: Any) -> np.ndarray:
        """What is kept of each row: one circuit execution per row."""
        ...

    def compare(self, features: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
        """The Gram matrix of rows whose features are known: no circuit execution."""
        ...

    def reserve(self, num_rows: int, num_columns: int) -> None:
        """Raise before any work if a Gram matrix of this shape does not fit into memory."""
        ...


def check_kernel_circuit(circuit: Circuit) -> None:
    """Raise unless `circuit` is a circuit that reads inputs and has no weights.

    >>> check_kernel_circuit(kg.encodings.angle(2))
    """
    check_inputs(circuit)
    if circuit.num_weights:
        raise KetgradValueError(
            f"`circuit` must have no weights - this kernel is a function of data alone - but has "
            f"{circuit.num_weights}. Give them values with circuit.bind(weights)."
        )


def check_run(executor: Any, threads: Any) -> None:
    """Raise unless there is such an executor and such a number of threads."""
    executors.get(executor)
    thread_count(threads)


def check_inputs(circuit: Circuit) -> None:
    """Raise unless the circuit reads inputs."""
    if not circuit.num_inputs:
        raise KetgradValueError(
            "`circuit` must read inputs x[0], x[1], ... - else all rows are alike - but reads none."
        )


def pair_of_rows(X: Any, Y: Any, circuit: Circuit) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows of both arguments; None for the second where it is the first."""
    rows = checked_rows(X, "X", circuit)
    return rows, None if Y is None or Y is X else checked_rows(Y, "Y", circuit)


def are_single_rows(X: Any, Y: Any) -> bool:
    """Whether both are one row, which is how scikit-learn's `pairwise_kernels` calls a kernel."""
    return Y is not None and as_array(X, "X").ndim == as_array(Y, "Y").ndim == 1


def checked_rows(values: Any, name: str, circuit: Circuit) -> np.ndarray:
    """The rows (n, num_inputs) as contiguous float64; raise unless they are finite numbers of that shape."""
    array = real_array(values, name).astype(np.float64, copy=False)
    width = circuit.num_inputs
    check_shape(array, name, f"(n, {width})", f"the circuit reads x[0] to x[{width - 1}]")
    check_finite(array, name)
    return np.ascontiguousarray(array)


def reserve_gram(num_rows: int, num_columns: int, more_bytes: int = 0) -> None:
    """Raise `KetgradMemoryError` if a Gram matrix and `more_bytes` beside it do not fit into memory.

    >>> reserve_gram(1000, 1000)
    """
    what = f"the kernel matrix of {num_rows} x {num_columns} entries"
    reserve(8 * num_rows * num_columns + more_bytes, what, SMALLER)
