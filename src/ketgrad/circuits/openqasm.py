"""OpenQASM: circuits out as version 3, texts of version 2 and of the circuit part of version 3 in.

    kg.from_qasm(text), qasm.read(path)      a circuit
    qasm.parse(text)                         the circuit, the names of the text, and notes on what was left out
    circuit.to_qasm()                        the text, exact: angles come back to the last bit

Qubit k of a circuit is the k-th qubit that the text declares. Cross et al. 2022, arXiv:2104.14722.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from ketgrad.circuits.angles import Angle
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.qasm.reader import MAX_BYTES, MAX_OPERATIONS, read_text
from ketgrad.foundation.errors import KetgradOSError
from ketgrad.foundation.files import file_name

__all__ = ["Reading", "from_qasm", "parse", "read", "write"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Reading:
    """What a text says: the circuit, and what of the text is not part of a circuit.

    qubits: the names of qubits 0, 1, ... in the text. parameters: the angle that each `input` has become.
    notes: one line for each statement that was understood and left out (final measurements, resets of |0>).
    """

    circuit: Circuit
    version: int
    qubits: tuple[str, ...]
    parameters: Mapping[str, Angle]
    notes: tuple[str, ...]


def from_qasm(text: str | bytes, *, max_operations: int = MAX_OPERATIONS) -> Circuit:
    """The circuit that a text in OpenQASM 2 or 3 describes.

    Read: registers, physical qubits ($3 is qubit 3), every gate of qelib1.inc and stdgates.inc, gate definitions,
    the modifiers ctrl, negctrl, inv and pow (a power that is no integer is the principal one, of at most 8 qubits),
    broadcasting, ranges, aliases, arithmetic in angles, `input float` parameters (w_3 becomes w[3], x_3 becomes x[3],
    any other name the next free weight), constants, barriers, loops over constants, boxes, and subroutines of gates.
    Final measurements, resets of fresh qubits, delays, annotations and pragmas that name no qubit are left out;
    `parse` notes them. Any other statement is refused.
    Cost: linear in the number of ops; 64 MB of text, `max_operations` ops, a million characters of loops and
    subroutines that are read again, names of a thousand characters, and ten million qubits in lists that the text
    puts together at most, counted before expansion.
    Raises `KetgradValueError` with line and column.

    >>> from_qasm('OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];')
    Circuit([h(0), x(1).control(0)], num_qubits=2)
    """
    return Circuit.from_qasm(text, max_operations=max_operations)


def parse(text: str | bytes, *, max_operations: int = MAX_OPERATIONS, name: str = "qasm") -> Reading:
    """As `from_qasm`, but returns the `Reading`: circuit, names of qubits and parameters, notes.

    `name` is what errors call the text.

    >>> parse('OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; h q; measure q -> c;').notes
    ('line 1: measure q[0]: left out; ask ketgrad for probabilities or samples of these qubits',)
    """
    found = read_text(text, max_operations, name)
    circuit = Circuit(found.ops, found.num_qubits)
    return Reading(circuit, found.version, found.qubits, found.parameters, found.notes)


def read(path: str | os.PathLike[str], *, max_operations: int = MAX_OPERATIONS) -> Circuit:
    """The circuit in an OpenQASM file; only this one file is opened, whatever it includes.

    Raises `KetgradOSError` if the file cannot be read or is no regular file, `KetgradValueError` with file name,
    line and column for what cannot be understood.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "bell.qasm")
    ...     size = file.write_text('OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];')
    ...     read(file).depth
    2
    """
    place = file_name(path)
    try:
        status = place.stat()
        if not stat.S_ISREG(status.st_mode):
            raise KetgradOSError(22, "only regular files are read", str(place))
        with place.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        if isinstance(error, KetgradOSError):
            raise
        raise KetgradOSError(error.errno, f"cannot read the file: {error.strerror}", str(place)) from error
    return parse(data, max_operations=max_operations, name=place.name).circuit


def write(circuit: Circuit) -> str:
    """The circuit as OpenQASM 3, to be read by any tool that knows stdgates.inc.

    Rows of the gate table that stdgates.inc lacks are defined in the text; matrices and constant states are
    decomposed into ry, rz, cx and gphase. Weights and inputs become `input float[64] w_0`, `x_0`. `from_qasm` gives
    the same circuit back, angles exact to the last bit; matrices and states come back as their decompositions.
    Cost: linear in the number of ops, 4**k for a matrix of k qubits.
    Raises `KetgradValueError` naming the op that OpenQASM cannot express: a state whose amplitudes are weights or
    inputs, a matrix that is not unitary or acts on more than 8 qubits.

    >>> import ketgrad as kg
    >>> print(write(kg.Circuit([kg.h(0), kg.crx(2 * kg.w[0], 0, 1)])))
    OPENQASM 3.0;
    include "stdgates.inc";
    input float[64] w_0;
    qubit[2] q;
    h q[0];
    crx(2.0*w_0) q[0], q[1];
    <BLANKLINE>
    """
    return as_circuit(circuit).to_qasm()
