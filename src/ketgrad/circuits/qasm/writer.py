"""OpenQASM: circuits out as version 3, texts of version 2 and of the circuit part of version 3 in.

    kg.from_qasm(text), qasm.read(path)      a circuit
    qasm.parse(text)                         the circuit, the names of the text, and notes on what was left out
    circuit.to_qasm()                        the text, exact: angles come back to the last bit

Qubit k of a circuit is the k-th qubit that the text declares. Cross et al. 2022, arXiv:2104.14722.
"""

from __future__ import annotations

import itertools
import math
import os
import stat
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ketgrad.circuits import decompositions
from ketgrad.circuits.angles import Angle, Variable, w
from ketgrad.circuits.circuit import Circuit, as_circuit
from ketgrad.circuits.gates import CONTROLLED, GATES, Gate
from ketgrad.circuits.op import Op
from ketgrad.circuits.paulis import LETTERS, PauliSum, letters
from ketgrad.circuits.qasm.expressions import Source
from ketgrad.circuits.qasm.gates import LIBRARIES
from ketgrad.circuits.qasm.reader import Reading, read_program
from ketgrad.foundation.errors import KetgradOSError, KetgradTypeError, KetgradValueError
from ketgrad.foundation.numbers import check_count

__all__ = ["from_qasm", "write"]


def __dir__() -> list[str]:
    return __all__


MAX_BYTES = 64 * 2**20  # of a text
MAX_OPERATIONS = 10**7  # of a circuit that is read
MAX_MATRIX_QUBITS = 8  # a matrix of k qubits becomes about 4**k gates


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
    check_count(max_operations, "max_operations", 0, None)
    return parse(text, max_operations=max_operations).circuit


def parse(text: str | bytes, *, max_operations: int = MAX_OPERATIONS, name: str = "qasm") -> Reading:
    """As `from_qasm`, but returns the `Reading`: circuit, names of qubits and parameters, notes.

    `name` is what errors call the text.

    >>> parse('OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; h q; measure q -> c;').notes
    ('line 1: measure q[0]: left out; ask ketgrad for probabilities or samples of these qubits',)
    """
    if not isinstance(text, str | bytes):
        raise KetgradTypeError(f"`text` must be a string or bytes, but is {type(text).__name__}.")
    if len(text) > MAX_BYTES:
        raise KetgradValueError(
            f"{name}: a text may have {MAX_BYTES:,} bytes at most, but this one has {len(text):,}."
        )
    decoded = _decode(text, name) if isinstance(text, bytes) else text
    return read_program(Source(decoded.removeprefix("\ufeff"), name), max_operations, _own_definition)


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
    place = Path(path)
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


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise KetgradValueError(
            f"{name}:{line}:{column}: the text must be UTF-8, but the byte 0x{data[error.start]:02x} is not."
        ) from None


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
    circuit = as_circuit(circuit)
    definitions = _Definitions()
    body = [_statement(op, position, definitions) for position, op in enumerate(circuit.ops)]
    order = sorted(circuit.variables, key=lambda variable: (variable[0] != "w", variable[1]))
    inputs = dict.fromkeys(f"input float[64] {_identifier(variable)};" for variable in order)
    register = [f"qubit[{circuit.num_qubits}] q;"] if circuit.num_qubits else []
    return "\n".join(
        ["OPENQASM 3.0;", 'include "stdgates.inc";', *inputs, *definitions.texts, *register, *body, ""]
    )


@dataclass
class _Definitions:
    """Gate definitions that the text needs, each after those it uses, and the names of matrices and states."""

    texts: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    data_names: dict[Gate, str] = field(default_factory=dict)

    def add(self, name: str, text: str, needs: Sequence[str]) -> None:
        """Add a definition, after those of the table rows in `needs`."""
        if name not in self.known:
            self.known.add(name)
            for need in needs:
                self.add(need, *_row_definition(GATES[need]))
            self.texts.append(text)

    def name_of_data(self, gate: Gate) -> str:
        """The name under which a matrix or state is defined; equal ones share it."""
        if gate not in self.data_names:
            number = sum(other.name == gate.name for other in self.data_names)
            self.data_names[gate] = f"{gate.name}_{number}"
        return self.data_names[gate]


def _statement(op: Op, position: int, definitions: _Definitions) -> str:
    gate, angles = op.gate, [_expression(angle) for angle in op.angles]
    row = _row_undone_by(gate)
    if row is not None:
        gate = row
    if op.controls and gate.name in (
        "u2",
        "u3",
    ):  # texts differ in the phase of these two; that of u is defined here
        angles = [_expression(math.pi / 2), *angles] if gate.name == "u2" else angles
        gate = GATES["u"]
    covered = _WITH_CONTROLS.get((gate.name, len(op.controls)))
    name = covered or gate.qasm or _defined_name(gate, op, position, definitions)
    modifiers = _controls(0 if covered else len(op.controls)) + ("" if row is None else "inv @ ")
    return _call(modifiers, name, [] if gate.amplitudes else angles, (*op.controls, *op.qubits))


def _row_undone_by(gate: Gate) -> Gate | None:
    """The row of which `gate` is the inverse, where that is the better name: iswap for iswap_dg, sx for sxdg."""
    if gate.name.endswith("_dg"):
        return gate.inverse()
    if (
        gate.qasm is None
        and gate.name in GATES
        and gate.unitary is not None
        and gate.inverse().qasm is not None
    ):
        return gate.inverse()
    return None


def _defined_name(gate: Gate, op: Op, position: int, definitions: _Definitions) -> str:
    """The name of a gate that stdgates.inc lacks; its definition is added to the text."""
    if gate.name in GATES or gate.generator is not None:
        name = gate.name if gate.name in GATES else _word_name(gate)
        if name not in definitions.known:
            definitions.add(name, *_row_definition(gate))
        return name
    name = definitions.name_of_data(gate)
    if name not in definitions.known:
        definitions.add(name, _data_definition(name, op, position), ())
    return name


_WITH_CONTROLS = {CONTROLLED[name]: name for name in LIBRARIES["stdgates.inc"] if name in CONTROLLED}


def _controls(number: int) -> str:
    return "" if number == 0 else "ctrl @ " if number == 1 else f"ctrl({number}) @ "


def _call(modifiers: str, name: str, angles: Sequence[str], qubits: Sequence[int]) -> str:
    places = ", ".join(f"q[{qubit}]" for qubit in qubits)
    return f"{modifiers}{name}{_in_brackets(angles)}{' ' * bool(places)}{places};"


def _in_brackets(words: Sequence[str]) -> str:
    return f"({', '.join(words)})" if words else ""


# -- numbers and angles


def _expression(angle: Angle | float, names: Mapping[Variable, str] | None = None) -> str:
    """An angle as OpenQASM arithmetic that gives back the same coefficients, to the last bit."""
    if not isinstance(angle, Angle):
        return _number(float(angle))
    pieces: list[str] = []
    for monomial, coefficient in angle.terms:
        variables = "*".join(names[v] if names else _symbol(v) for v in monomial)
        size = "" if variables and abs(coefficient) == 1 else _number(abs(coefficient))
        sign = "-" if coefficient < 0 else "+"
        pieces.append(f" {sign} {size}{'*' * bool(size and variables)}{variables}")
    text = "".join(pieces) or " + 0.0"
    return text.replace(" - ", "-", 1) if text.startswith(" - ") else text.removeprefix(" + ")


def _identifier(variable: Variable) -> str:
    return f"w_{variable[1]}" if variable[0] == "w" else f"x_{variable[1]}"


def _symbol(variable: Variable) -> str:
    return _identifier(variable) if variable[0] in "wx" else f"{variable[0]}({_identifier(variable)})"


@lru_cache(maxsize=4096)
def _number(value: float) -> str:
    """A multiple of pi where that is exact, else the shortest decimal number that is read back as `value`."""
    for divisor in (1, 2, 3, 4, 6, 8) if abs(value) < 60 else ():
        factor = round(value * divisor / math.pi)
        if 0 < abs(factor) <= 16 and factor * math.pi / divisor == value and math.gcd(factor, divisor) == 1:
            top = {1: "pi", -1: "-pi"}.get(factor, f"{factor}*pi")
            return top if divisor == 1 else f"{top}/{divisor}"
    return repr(value)


# -- definitions of what stdgates.inc lacks


def _row_definition(gate: Gate) -> tuple[str, Sequence[str]]:
    """The definition of a row of the table, and the rows that it needs to be defined before."""
    name = gate.name if gate.name in GATES else _word_name(gate)
    qubits = _local_names(gate.num_qubits)
    if gate.generator is not None:
        body, needs = _word_steps(gate.generator, "theta"), ()
    elif gate.equals is not None:
        body, needs = _sequence_steps(gate)
    else:
        body, needs = _fixed_steps(gate)
    return _definition(name, _parameter_names(gate), qubits, body), [
        need for need in needs if GATES[need].qasm is None
    ]


_Line = tuple[str, str, tuple[int, ...]]  # modifiers and name, angle text, local qubits


def _definition(name: str, parameters: Sequence[str], qubits: Sequence[str], body: Sequence[_Line]) -> str:
    lines = [
        f"{head}{f'({angle})' if angle else ''}{' ' * bool(places)}{', '.join(qubits[k] for k in places)};"
        for head, angle, places in body
    ]
    head = f"gate {name}{_in_brackets(parameters)} {', '.join(qubits)}"
    short = f"{head} {{ {' '.join(lines)} }}"
    if len(short) <= 110:
        return short
    filled = textwrap.wrap(
        "\n".join(lines).replace(" ", "\0"), 104, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join([f"{head} {{", *(f"  {line}".replace("\0", " ") for line in filled), "}"])


def _parameter_names(gate: Gate) -> Sequence[str]:
    """Names whose alphabetical order is their order in the call: a reader that sorts them stays right."""
    return ["theta"] if gate.num_angles == 1 else [f"theta_{k}" for k in range(gate.num_angles)]


def _local_names(number: int) -> Sequence[str]:
    return "abcdefg"[:number] if number <= 7 else [f"a{k}" for k in range(number)]


def _word_steps(generator: PauliSum, parameter: str) -> list[_Line]:
    """exp(-i t c P / 2) for each word: turn P into Z on every qubit, collect the parity, rotate, and go back."""
    body: list[_Line] = []
    for x, z, coefficient in generator.terms:
        value = complex(coefficient).real
        places = letters(x, z)
        if not places:
            body.append(("gphase", _scaled(-value / 2, parameter), ()))
            continue
        turn: list[_Line] = []
        for qubit, letter in places:
            names = {"X": ["h"], "Y": ["sdg", "h"], "Z": []}[letter]
            turn += [(name, "", (qubit,)) for name in names]
        back = [("s" if name == "sdg" else name, angle, qubits) for name, angle, qubits in reversed(turn)]
        chain = [("cx", "", (a, b)) for (a, _), (b, _) in itertools.pairwise(places)]
        body += [*turn, *chain, ("rz", _scaled(value, parameter), (places[-1][0],)), *reversed(chain), *back]
    return body


def _scaled(factor: float, parameter: str) -> str:
    return {1.0: parameter, -1.0: f"-{parameter}"}.get(factor, f"{factor!r}*{parameter}")


def _sequence_steps(gate: Gate) -> tuple[list[_Line], list[str]]:
    assert gate.equals is not None
    names = {("w", k): name for k, name in enumerate(_parameter_names(gate))}
    body: list[_Line] = []
    needs: list[str] = []
    for row, angles, qubits, controls in gate.equals(*(w[k] for k in range(gate.num_angles))):
        text = ", ".join(_expression(angle, names) for angle in angles)
        body.append((_controls(len(controls)) + row, text, (*controls, *qubits)))
        needs.append(row)
    return body, needs


def _fixed_steps(gate: Gate) -> tuple[list[_Line], list[str]]:
    """A rotation row at a multiple of pi/4 if one is equal to the matrix, else the general decomposition."""
    for row in GATES.values():
        if row.generator is not None and row.num_qubits == gate.num_qubits:
            for eighths in range(-4, 5):
                if np.allclose(row.matrix(eighths * math.pi / 4), gate.matrix(), rtol=0, atol=1e-14):
                    return [(row.name, _number(eighths * math.pi / 4), tuple(range(gate.num_qubits)))], [
                        row.name
                    ]
    return _lines(decompositions.of_unitary(gate.matrix())), []


def _lines(steps: Sequence[decompositions.Step]) -> list[_Line]:
    return [(name, "" if angle is None else _number(angle), qubits) for name, angle, qubits in steps]


def _data_definition(name: str, op: Op, position: int) -> str:
    """The definition of a matrix or of a constant state, or the reason why OpenQASM has none."""
    gate = op.gate
    if gate.amplitudes == b"":
        raise KetgradValueError(
            f"op {position}, {op!r}, cannot be written as OpenQASM - its amplitudes are weights or inputs, and "
            "OpenQASM has no gate for that; give it numbers, or encode with rotations."
        )
    if gate.num_qubits > MAX_MATRIX_QUBITS:
        raise KetgradValueError(
            f"op {position}, {op!r}, cannot be written as OpenQASM - its data on {gate.num_qubits} qubits would "
            f"become too many gates, the limit is {MAX_MATRIX_QUBITS} qubits; build it from smaller gates."
        )
    if gate.amplitudes is not None:
        steps = decompositions.of_state(np.frombuffer(gate.amplitudes, dtype=np.complex128))
    else:
        deviation = float(np.abs(gate.matrix() @ gate.matrix().conj().T - np.eye(2**gate.num_qubits)).max())
        if deviation > 1e-8:
            raise KetgradValueError(
                f"op {position}, {op!r}, cannot be written as OpenQASM - its matrix is not unitary: U U† differs from "
                f"the identity by up to {deviation:.3g}."
            )
        steps = decompositions.of_unitary(gate.matrix())
    return _definition(name, (), _local_names(gate.num_qubits), _lines(steps))


# -- own definitions, recognised when they are read


def _word_name(gate: Gate) -> str:
    """pauli_rotation_xyz for the rotation about XYZ: the name holds the whole gate."""
    assert gate.generator is not None
    (x, z, _), *_ = gate.generator.terms
    word = ["i"] * gate.num_qubits
    for qubit, letter in letters(x, z):
        word[qubit] = letter.lower()
    return "pauli_rotation_" + "".join(word)


@lru_cache(maxsize=256)
def _own_definition(name: str) -> tuple[str, Gate] | None:
    """The definition that `write` gives to a gate of this name, and the gate; None if it defines no such gate."""
    from ketgrad.circuits.custom import pauli_rotation

    row = GATES.get(name)
    if row is not None:
        return None if row.qasm is not None else (_row_definition(row)[0], row)
    prefix, _, word = name.rpartition("_")
    if prefix != "pauli_rotation" or not 0 < len(word) <= 64 or not set(word.upper()) <= set(LETTERS):
        return None
    gate = pauli_rotation(0.0, word.upper(), *range(len(word))).gate
    return _row_definition(gate)[0], gate
