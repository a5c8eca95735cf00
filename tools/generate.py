"""Write what follows from the tables: the builders, the page of gates and the page of public names.

python tools/generate.py                    # write src/ketgrad/circuits/ops.py, docs/gates.md, docs/api.md
python tools/generate.py ops.py gates.md    # only these, which follow from the gate table and need no framework
python tools/generate.py --check            # write nothing; show the differences and exit with 1 if there are any

The page of public names describes the bridges too, so all of their frameworks must be installed for it.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import math
import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ketgrad as kg
from ketgrad.circuits import gate_kinds as definitions
from ketgrad.circuits import ops
from ketgrad.circuits.angles import as_angle
from ketgrad.circuits.drawing.layout import angle_text
from ketgrad.circuits.gate import Gate
from ketgrad.circuits.gates import CONTROLLED, GATES
from ketgrad.circuits.variables import w
from ketgrad.programs.lowering import compile
from ketgrad.programs.questions import State

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINE_LENGTH = 110
DATA_BUILDERS = ("pauli_rotation", "prepare_state", "unitary")  # written by hand, in custom.py


# -- src/ketgrad/circuits/ops.py


def ops_module() -> str:
    """One builder for each row of the table and for each name with controls."""
    rows = [(name, row, 0) for name, row in GATES.items()]
    rows += [(name, GATES[row], controls) for name, (row, controls) in CONTROLLED.items()]
    names = sorted([name for name, _, _ in rows] + list(DATA_BUILDERS))
    exported = "\n".join(f'    "{name}",' for name in names)
    head = f'''"""Builders: one function per gate, generated from the gate table by tools/generate.py - do not edit.

Every builder takes the angles first (numbers in radians, or angles in w and x), then the qubits, and returns an `Op`.
"""

from __future__ import annotations

from ketgrad.circuits.angles import Angle
from ketgrad.circuits.custom import {", ".join(DATA_BUILDERS)}
from ketgrad.circuits.gates import GATES
from ketgrad.circuits.op import Op

__all__ = [
{exported}
]
'''
    return "\n\n".join([head, *(_builder(name, row, controls) for name, row, controls in rows)])


def _numbered(word: str, count: int) -> list[str]:
    return [word] if count == 1 else [f"{word}{k}" for k in range(count)]


def _builder(name: str, row: Gate, num_controls: int) -> str:
    controls = _numbered("control", num_controls) if num_controls else []
    targets = _numbered("target" if num_controls else "qubit", row.num_qubits)
    angles = list(row.angle_names)
    parameters = [f"{angle}: Angle | float" for angle in angles] + [
        f"{place}: int" for place in controls + targets
    ]
    signature = f"def {name}({', '.join(parameters)}) -> Op:"
    if len(signature) > LINE_LENGTH:
        signature = "\n".join(
            [f"def {name}(", *(f"    {parameter}," for parameter in parameters), ") -> Op:"]
        )
    kind = {0: "", 1: f"Controlled {row.name}. ", 2: f"Doubly controlled {row.name}. "}[num_controls]
    numbers = ["0.5"] * len(angles)
    places = [str(k) for k in range(len(controls + targets))]
    shown = f"{row.name}({', '.join(numbers + places[num_controls:])})"
    shown += f".control({', '.join(places[:num_controls])})" if controls else ""
    arguments = [f'GATES["{row.name}"]', _tuple(targets)]
    arguments += [_tuple(angles)] if angles or controls else []
    arguments += [_tuple(controls)] if controls else []
    return f'''{signature}
    """{kind}{row.doc}

    >>> {name}({", ".join(numbers + places)})
    {shown}
    """
    return Op.build({", ".join(arguments)})
'''


def _tuple(names: list[str]) -> str:
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"


# -- docs/gates.md


def gates_page() -> str:
    """Every row of the table and every builder with controls."""
    fixed, rotations, sequences = (
        [(name, row, 0) for name, row in GATES.items() if isinstance(row.definition, kind)]
        for kind in (definitions.Fixed, definitions.Rotation, definitions.Sequence)
    )
    controlled = [(name, GATES[row], controls) for name, (row, controls) in CONTROLLED.items()]
    return "\n".join(
        [
            "# Gates",
            "",
            "Written by `tools/generate.py` from the table in `src/ketgrad/circuits/gates.py`; do not edit.",
            "",
            "Angles are in radians. The first qubit of a gate is the most significant bit of its matrix. *Frequencies*",
            "are those of an expectation value as a function of the angle: the parameter-shift rule follows from them.",
            "In the column *OpenQASM* stands what `circuit.to_qasm()` writes; what `stdgates.inc` lacks is defined in",
            "the text. Any gate takes further controls: `kg.rzz(0.5, 0, 1).control(2)`.",
            "",
            f"## Fixed gates ({len(fixed)})",
            "",
            *_table(["Gate", "Matrix", "OpenQASM", "What it does"], map(_fixed_row, fixed)),
            "",
            f"## Rotations ({len(rotations)})",
            "",
            "U(t) = exp(-i t G / 2) with the generator G.",
            "",
            *_table(
                ["Gate", "Generator G", "Frequencies", "under a control", "OpenQASM", "What it does"],
                map(_rotation_row, rotations),
            ),
            "",
            f"## Sequences ({len(sequences)})",
            "",
            "First in time first.",
            "",
            *_table(
                ["Gate", "Equals", "Frequencies", "OpenQASM", "What it does"], map(_sequence_row, sequences)
            ),
            "",
            f"## Builders with controls ({len(controlled)})",
            "",
            "Controls come before targets.",
            "",
            *_table(["Gate", "Is", "Frequencies", "OpenQASM"], map(_controlled_row, controlled)),
            "",
            f"## Gates that carry data ({len(DATA_BUILDERS)})",
            "",
            *_table(
                ["Gate", "What it does"],
                (
                    [f"`{name}{_signature(getattr(kg, name))}`", _first_line(getattr(kg, name))]
                    for name in DATA_BUILDERS
                ),
            ),
            "",
        ]
    )


def _table(head: list[str], rows: Any) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


Row = tuple[str, Gate, int]


def _call(name: str, row: Gate, num_controls: int = 0) -> str:
    places = _numbered("target" if num_controls else "q", row.num_qubits)
    controls = _numbered("control", num_controls) if num_controls else []
    return f"`{name}({', '.join([*row.angle_names, *controls, *places])})`"


def _fixed_row(entry: Row) -> list[str]:
    name, row, _ = entry
    matrix = "[" + ", ".join("[" + ", ".join(map(_entry, line)) + "]" for line in row.matrix()) + "]"
    return [_call(name, row), f"`{matrix}`", _qasm_name(row), row.doc]


def _rotation_row(entry: Row) -> list[str]:
    name, row, _ = entry
    assert row.generator is not None
    generator = re.sub(r"\b1\.0 (?=[XYZ])", "", str(row.generator))
    plain, controlled = (_numbers(row.frequencies(controlled=flag)) for flag in (False, True))
    return [_call(name, row), f"`{generator}`", plain, controlled, _qasm_name(row), row.doc]


def _sequence_row(entry: Row) -> list[str]:
    name, row, _ = entry
    assert row.equals is not None
    angles = {f"w[{k}]": angle for k, angle in enumerate(row.angle_names)}
    steps = []
    for part, turns, qubits, controls in row.equals(*(w[k] for k in range(row.num_angles))):
        texts = [_renamed(angle_text(as_angle(turn)), angles) for turn in turns] + [f"q{q}" for q in qubits]
        steps.append(f"{part}({', '.join(texts)})" + "".join(f".control(q{q})" for q in controls))
    return [_call(name, row), f"`{' '.join(steps)}`", _frequencies(row, 0), _qasm_name(row), row.doc]


def _controlled_row(entry: Row) -> list[str]:
    name, row, num_controls = entry
    shown = f"`{row.name}` under {num_controls} control{'s' * (num_controls > 1)}"
    return [
        _call(name, row, num_controls),
        shown,
        _frequencies(row, num_controls),
        _qasm_name(row, num_controls),
    ]


def _renamed(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def _frequencies(row: Gate, num_controls: int) -> str:
    """For each angle the frequencies of its uses, as the compiled program reports them."""
    qubits = range(num_controls, num_controls + row.num_qubits)
    op = kg.Op.build(row, qubits, [w[k] for k in range(row.num_angles)], range(num_controls))
    uses = compile(kg.Circuit([op]), State()).occurrences
    texts = []
    for k, name in enumerate(row.angle_names):
        found = {
            value for use in uses if ("w", k) in use.angle.variables() for value in use.frequencies or ()
        }
        texts.append(
            f"{name}: {_numbers(tuple(sorted(found)))}"
            if row.num_angles > 1
            else _numbers(tuple(sorted(found)))
        )
    return "; ".join(texts) or "-"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "none"


def _qasm_name(row: Gate, num_controls: int = 0) -> str:
    """How the exporter calls the gate, "gate" in front of what it defines itself."""
    qubits = range(num_controls, num_controls + row.num_qubits)
    op = kg.Op.build(row, qubits, [w[k] for k in range(row.num_angles)], range(num_controls))
    text = kg.Circuit([op]).to_qasm()
    call = re.sub(r"(?<=\w)\((pi|w_).*\)", "", text.splitlines()[-1].split(" q[")[0].rstrip(";"))
    defined = f"\ngate {call.split()[-1]}" in text
    return f"`{call}`" + (" (defined in the text)" if defined else "")


_PARTS = {0.0: "", 1.0: "1", 0.5: "½", math.sqrt(0.5): "√½"}


def _entry(value: complex) -> str:
    """A matrix entry made of 0, 1, ½ and √½."""
    pieces = []
    for part, unit in ((value.real, ""), (value.imag, "i")):
        text = next(
            (text for known, text in _PARTS.items() if abs(known - abs(part)) < 1e-15), f"{abs(part):.6g}"
        )
        if text:
            text = unit if text == "1" and unit else text + unit
            pieces.append(("-" if part < 0 else "+") + text)
    return "".join(pieces).removeprefix("+") or "0"


# -- docs/api.md


def api_page() -> str:
    """Every public name: signature and first line of its documentation, by module."""
    lines = [
        "# Public names",
        "",
        "Written by `tools/generate.py`; do not edit. `kg` is `import ketgrad as kg`. The builders of gates are on",
        "their own page, [gates.md](gates.md). `w[i]` is the i-th trained weight, `x[j]` the j-th input of a circuit.",
    ]
    builders = set(ops.__all__)
    modules = [name for name in kg.__all__ if inspect.ismodule(getattr(kg, name))]
    top = [name for name in kg.__all__ if name not in builders and name not in modules]
    lines += ["", "## On `kg` itself", ""]
    for name in sorted(top, key=str.lower):
        lines += _entry_lines(f"kg.{name}", getattr(kg, name))
    described: dict[str, str] = {}  # a module may have a second name
    for name in sorted([*modules, *kg._BRIDGES]):
        module = getattr(kg, name)
        first = described.setdefault(module.__name__, name)
        lines += [
            "",
            f"## `kg.{name}`",
            "",
            _first_line(module) if first == name else f"The same as `kg.{first}`.",
            "",
        ]
        if first != name:
            continue
        for public in _public_names(module):
            lines += _entry_lines(f"kg.{name}.{public}", getattr(module, public))
    return "\n".join(lines) + "\n"


def _public_names(module: Any) -> list[str]:
    """What a module defines or lists in `__all__`: no private names, nothing that it merely imports."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__, key=str.lower)
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(inspect.unwrap(value)) or inspect.isclass(value))
        and value.__module__.startswith(module.__name__)
    ]
    return sorted(own, key=str.lower)


def _entry_lines(path: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        lines = [f"- `{path}{_signature(value)}`: {_first_line(value)}"]
        for name, member in vars(value).items():
            if not name.startswith("_") and _is_method(member) and inspect.getdoc(getattr(value, name, None)):
                function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
                call = _signature(function) if inspect.isfunction(function) else ""
                lines.append(f"  - `.{name}{call}`: {_first_line(member)}")
        return lines
    if inspect.isfunction(inspect.unwrap(value)):
        return [f"- `{path}{_signature(value)}`: {_first_line(value)}"]
    is_ours = type(value).__module__.startswith("ketgrad")
    return [f"- `{path}`: {_first_line(type(value)) if is_ours else 'a table by name.'}"]


def _is_method(member: Any) -> bool:
    kinds = (property, staticmethod, classmethod)
    return isinstance(member, kinds) or inspect.isfunction(member) or hasattr(member, "func")


def _signature(function: Callable[..., Any]) -> str:
    """As it is written, without quotes and without `self`."""
    if inspect.isclass(function) and (
        issubclass(function, Exception) or getattr(function, "_is_protocol", False)
    ):
        return ""  # raised or implemented, not called
    signature = inspect.signature(function)
    parameters, shown, starred = list(signature.parameters.values()), [], False
    for parameter in parameters:
        if parameter.name in ("self", "cls") and parameter is parameters[0]:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            shown.append("*")
            starred = True
        shown.append(_parameter(parameter))
    result = signature.return_annotation
    arrow = (
        f" -> {_annotation(result)}"
        if result is not signature.empty and not inspect.isclass(function)
        else ""
    )
    return f"({', '.join(shown)}){arrow}"


def _parameter(parameter: inspect.Parameter) -> str:
    star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    typed = parameter.annotation is not parameter.empty
    text = star + parameter.name + (f": {_annotation(parameter.annotation)}" if typed else "")
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {_default(parameter.default)}" if typed else f"{text}={_default(parameter.default)}"


def _annotation(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _default(value: Any) -> str:
    if inspect.isfunction(value) or inspect.isclass(value):
        return value.__name__
    text = repr(value)
    return text if len(text) <= 40 and " at 0x" not in text else "..."


def _first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").split("\n")[0]


# -- the command

PAGES: dict[str, Callable[[], str]] = {
    "src/ketgrad/circuits/ops.py": ops_module,
    "docs/gates.md": gates_page,
    "docs/api.md": api_page,
}


def difference(path: str, wanted: str) -> str:
    """What would change in a file, as a unified diff; empty if nothing."""
    file = ROOT / path
    present = file.read_text("utf-8") if file.exists() else ""
    lines = difflib.unified_diff(
        present.splitlines(True), wanted.splitlines(True), path, f"{path} (generated)"
    )
    return "".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages that are named, or compare them; one after the other, so that one that fails stops no other."""
    names = {pathlib.PurePosixPath(path).name: path for path in PAGES}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "pages", nargs="*", metavar="page", help=f"of {', '.join(names)}; all if none is named"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if a file differs")
    options = parser.parse_args(arguments)
    if unknown := set(options.pages) - set(names):
        parser.error(f"there is no page {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    stale, failed = [], False
    for path in (names[page] for page in options.pages or names):
        try:
            wanted = PAGES[path]()
        except kg.errors.KetgradImportError as error:
            print(f"{path}: {error}")
            failed = True
            continue
        if text := difference(path, wanted):
            stale.append(path)
            if options.check:
                print(text)
            else:
                (ROOT / path).write_text(wanted, encoding="utf-8", newline="\n")
                print(f"wrote {path}")
    if options.check and stale:
        print(f"not up to date: {', '.join(stale)}; run: python tools/generate.py")
    return int(failed or (options.check and bool(stale)))


if __name__ == "__main__":
    sys.exit(main())
