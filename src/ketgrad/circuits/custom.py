"""Gates that carry their own data: a matrix, a Pauli word, or the amplitudes of a state."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ketgrad.circuits.angles import ZERO, Angle, as_angle
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gate_checks import TOLERANCE
from ketgrad.circuits.matrices import deviation_from_unitary, nearest_unitary
from ketgrad.circuits.op import Op
from ketgrad.circuits.pauli_words import LETTERS
from ketgrad.circuits.paulis import PauliSum
from ketgrad.foundation.arrays import refuse_gradients
from ketgrad.foundation.errors import KetgradTypeError, KetgradValueError, shown
from ketgrad.foundation.numbers import flag

HALF, SINGLE = 1e-2, 1e-5  # how far from unitary, where the matrix comes in that precision
ROUNDED = 1e-3  # with check=False: a matrix that was written with few digits


def pauli_rotation(angle: Angle | float, word: str, *qubits: int) -> Op:
    """exp(-i angle P / 2) for a Pauli word on any number of qubits; letter k acts on qubits[k].

    angle: radians, a number or an angle in w and x. word: letters of I, X, Y, Z.

    >>> pauli_rotation(0.5, "XYZ", 0, 1, 2)
    pauli_rotation(0.5, 'XYZ', 0, 1, 2)
    """
    if not isinstance(word, str) or not word or set(word) - set("IXYZ"):
        raise KetgradValueError(f"`word` must be a string of the letters I, X, Y, Z, but is {shown(word)}.")
    return Op.build(_rotation(word), qubits, (angle,))


@lru_cache(maxsize=1024)
def _rotation(word: str) -> Gate:
    x = sum(LETTERS[letter][0] << k for k, letter in enumerate(word))
    z = sum(LETTERS[letter][1] << k for k, letter in enumerate(word))
    return Gate("pauli_rotation", len(word), 1, "Rotation exp(-i theta P / 2) about a Pauli word.", None,
                PauliSum([(x, z, 1.0)]), angle_names=("theta",), label=f"R({word})")  # fmt: skip


def unitary(matrix: Any, *qubits: int, check: bool = True) -> Op:
    """An arbitrary unitary matrix on qubits; the first qubit is the most significant bit of its index.

    matrix: (2**k, 2**k), real or complex, copied; unitary to 1e-8 (1e-5 in single, 1e-2 in half precision). Where it
    deviates by more than 1e-12, the unitary matrix nearest to it acts. check: False for a matrix that was rounded, to
    1e-3. Every method of simulation and differentiation takes U U† = 1 for granted, so nothing else can be had: put
    a matrix that is not unitary into one that is, on one qubit more.
    Raises `KetgradValueError` if the size does not fit the qubits, or for a larger deviation.

    >>> unitary([[0, 1], [1, 0]], 3)
    unitary(..., 3)
    """
    _refuse_no_qubits("unitary", qubits)
    array = _numbers(matrix, "matrix")
    size = 2 ** len(qubits)
    if array.shape != (size, size):
        raise KetgradValueError(
            f"`matrix` must have shape ({size}, {size}) - it acts on {len(qubits)} qubits - "
            f"but has shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise KetgradValueError("`matrix` must be finite, but holds NaN or infinity.")
    allowed = _allowed_deviation(matrix) if check else ROUNDED
    if not deviation_from_unitary(array) <= allowed:
        raise KetgradValueError(_not_unitary(deviation_from_unitary(array)))
    data = (nearest_unitary(array) + 0.0).tobytes()
    gate = Gate("unitary", len(qubits), 0, "An arbitrary unitary matrix.", data, label="U")
    return Op.build(gate, qubits)


def _allowed_deviation(matrix: Any) -> float:
    refuse_gradients(matrix, "matrix")
    kind = np.asarray(matrix).dtype
    if kind == np.float16:
        return HALF
    return SINGLE if kind in (np.float32, np.complex64) else TOLERANCE


def _not_unitary(deviation: float) -> str:
    hint = (
        "Pass check=False if it was rounded: the nearest unitary matrix is used."
        if deviation <= ROUNDED
        else "Only unitary matrices can be simulated: put it into one on a further qubit."
    )
    return (
        "`matrix` must be unitary - a gate keeps the norm - but U U† differs from the identity by up to "
        f"{deviation:.3g}. {hint}"
    )


def prepare_state(amplitudes: Any, *qubits: int, normalize: bool = False) -> Op:
    """Put qubits that are still in |0...0> into the state with the given amplitudes (amplitude encoding).

    amplitudes: 2**k real or complex numbers, or angles such as x[0:4] (each a number times one weight or input);
    shorter lists of angles are padded with zeros. The first qubit is the most significant bit of the index.
    normalize: divide by the norm (then differentiated through); without it, numbers must have norm 1 to 1e-8.
    Amplitudes that are angles must be normalised by the caller or by `normalize=True`.
    Raises `KetgradValueError` for a wrong length, a zero vector, NaN, or a norm other than 1.

    >>> prepare_state([0.6, 0.8], 0)
    prepare_state(..., 0)
    """
    _refuse_no_qubits("prepare_state", qubits)
    normalize = flag(normalize, "normalize")
    size = 2 ** len(qubits)
    listed = isinstance(amplitudes, Sequence) or getattr(amplitudes, "dtype", None) == np.dtype(object)
    if listed and any(isinstance(a, Angle) for a in amplitudes):
        return _prepare_from_angles(amplitudes, qubits, size, normalize)
    vector = _numbers(amplitudes, "amplitudes")
    if vector.shape != (size,):
        raise KetgradValueError(
            f"`amplitudes` must have shape ({size},) - there are {len(qubits)} qubits - but has shape {vector.shape}."
        )
    if not np.isfinite(vector).all():
        position = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise KetgradValueError(f"`amplitudes` must be finite, but entry {position} is {vector[position]}.")
    parts = vector.view(np.float64)
    largest = float(np.abs(parts).max())
    if largest == 0.0:
        raise KetgradValueError("`amplitudes` must not all be zero - the zero vector is no state.")
    scaled = (parts / largest).view(np.complex128)  # the squares of 1e-200 or 1e200 would be 0 or infinite
    norm = float(np.linalg.norm(scaled)) * largest
    if not normalize and abs(norm - 1.0) > TOLERANCE:
        raise KetgradValueError(
            f"`amplitudes` must have norm 1 - they are a quantum state - but the norm is {norm:.9g}. "
            "Pass normalize=True to divide by it."
        )
    vector = scaled / np.linalg.norm(scaled) if normalize else vector
    return Op.build(_preparation(len(qubits), 0, vector.tobytes(), False), qubits)


def _prepare_from_angles(
    amplitudes: Sequence[Any], qubits: tuple[int, ...], size: int, normalize: bool
) -> Op:
    entries = [as_angle(a, f"`amplitudes[{k}]`") for k, a in enumerate(amplitudes)]
    if len(entries) > size:
        raise KetgradValueError(
            f"`amplitudes` must have at most {size} entries - there are {len(qubits)} qubits - but has {len(entries)}."
        )
    for k, entry in enumerate(entries):
        if len(entry.terms) > 1 or any(len(monomial) > 1 for monomial, _ in entry.terms):
            raise KetgradValueError(
                f"`amplitudes[{k}]` must be a number times one weight or input, but is {entry}."
            )
    entries += [ZERO] * (size - len(entries))
    return Op.build(_preparation(len(qubits), size, b"", normalize), qubits, entries)


def _preparation(num_qubits: int, num_angles: int, amplitudes: bytes, normalize: bool) -> Gate:
    return Gate("prepare_state", num_qubits, num_angles, "Prepares a state from |0...0>.", None, None, None,
                amplitudes, normalize, label="STATE")  # fmt: skip


def _refuse_no_qubits(name: str, qubits: tuple[int, ...]) -> None:
    if not qubits:
        raise KetgradValueError(
            f"`{name}` takes qubits after its data, as in {name}(..., 0, 1), but has none."
        )


def _numbers(value: Any, name: str) -> np.ndarray:
    refuse_gradients(value, name)
    try:
        array = np.asarray(value)
    except ValueError:  # NumPy's own words for rows of unequal lengths name no argument
        raise KetgradValueError(f"`{name}` must be rectangular, but its rows have unequal lengths.") from None
    if array.dtype.kind not in "iufcb" or isinstance(value, str):
        raise KetgradTypeError(f"`{name}` must be an array of numbers, but has dtype {array.dtype}.")
    # always a copy: later changes by the caller are not seen. + 0.0, because -0.0 is the same number in other bits
    return np.array(array, dtype=np.complex128, order="C") + 0.0
