"""The reader of OpenQASM 2 and of the circuit part of OpenQASM 3: statements to ops, with explicit stacks.

The work that a text asks for is counted before it is done: a gate knows how many gate calls it stands for
when its definition has been read, so a definition that doubles sixty times is refused without being expanded.
"""

from __future__ import annotations

import re
from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

from ketgrad.circuits.angles import Angle
from ketgrad.circuits.circuit import Circuit
from ketgrad.circuits.gates import Gate
from ketgrad.circuits.op import Op
from ketgrad.circuits.qasm.blocks import (
    MAX_READ,
    OUTSIDE,
    Blocks,
    Parameter,
    Subroutine,
    as_argument,
    find_body,
)
from ketgrad.circuits.qasm.expressions import (
    Expression,
    Source,
    Tokens,
    evaluate,
    integer,
    parse_expression,
    shortened,
)
from ketgrad.circuits.qasm.gates import (
    BUILT_IN,
    LIBRARIES,
    QELIB1_DEFINITIONS,
    REPLACEABLE,
    Call,
    Definition,
    expanded,
    root,
    settled,
)
from ketgrad.circuits.qasm.names import MAX_BITS, Names, Register, Unknown
from ketgrad.circuits.qasm.plain import PlainCalls
from ketgrad.foundation.errors import near_matches
from ketgrad.foundation.memory import reserve

BYTES_PER_OP = 600  # of an op in a Circuit, its angle included

_CLASSICAL = (
    "angle array bool box break cal case complex continue def defcal defcalgrammar default delay duration else end "
    "extern float for if int let nop opaque output pragma return stretch switch uint while"
).split()
_NOT_IN_BODIES = {*_CLASSICAL, *"measure reset qubit bit qreg creg gate include input const".split()}
_MODIFIERS = ("ctrl", "negctrl", "inv", "pow")
_NUMBERS = ("int", "uint", "float", "angle")
PRAGMA = re.compile(r"#?pragma\b(.*)")
ANNOTATION = re.compile(r"@[ \t]*[^\W\d][\w.]*")
WORD = re.compile(r"\$\d+|[^\W\d]\w*")


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


Recognise = Callable[[str], tuple[str, Gate] | None]


def read_program(source: Source, max_operations: int, same: Recognise) -> Reading:
    """Read a whole text. `same(name)` is the definition that our writer gives to a gate of that name, and the gate."""
    return _Reader(Tokens(source), source, max_operations, same, Names(source)).program()


@dataclass
class _Reader:
    """The state of one reading: names declared so far, ops made so far."""

    tokens: Tokens
    source: Source
    max_operations: int
    same: Recognise
    names: Names
    version: int = 3
    ops: list[Op] = field(default_factory=list)
    count: int = 0
    used: set[int] = field(default_factory=set)
    measured: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    plain: PlainCalls = field(init=False)
    blocks: Blocks = field(init=False)

    def __post_init__(self) -> None:
        self.blocks = Blocks(self.tokens, self.names)

    def program(self) -> Reading:
        """All statements, first to last."""
        tokens = self.tokens
        if tokens.word == "OPENQASM":
            self._header()
        elif tokens.word == "include" and "qelib1.inc" in self.source.text[tokens.position :][:40]:
            self.version = 2
        self.plain = PlainCalls(self.names, self.version)
        self.names.declare_gates(BUILT_IN[self.version], tokens.position)
        while tokens.kind != "end" or self.blocks.open:
            if not self.blocks.open:  # what a text means in a block changes with its variables
                self._plain_calls()
            if tokens.kind != "end":
                self._statement()
            self.blocks.settle()
        circuit = Circuit(self.ops, self.names.sizes["qubit"])
        return Reading(
            circuit, self.version, tuple(self.names.qubits), self.names.parameters, tuple(self.notes)
        )

    def _header(self) -> None:
        tokens = self.tokens
        tokens.advance()
        if tokens.word not in ("2", "2.0", "3", "3.0", "3.1"):
            raise tokens.fault(f"the version must be 2.0, 3.0 or 3.1, but is {tokens.shown()}.")
        self.version = int(tokens.take()[0])
        tokens.expect(";", "after the version")

    def _plain_calls(self) -> None:
        """As long as plain calls follow one another, take them the short way."""
        position, start = self.tokens.position, len(self.ops)
        while self.count < self.max_operations:
            found = self.plain.read(self.source, position, self.measured)
            if found is None:
                break
            op, position = found
            self.count += 1
            self.used.update(op.qubits)
            self.used.update(op.controls)
            self.ops.append(op)
        if len(self.ops) > start:
            self.tokens.restart(position)

    def _statement(self) -> None:
        tokens = self.tokens
        word = tokens.word
        if tokens.kind == "name" and isinstance(self.names.declared.get(word), Definition):
            return self._gate_call()
        if word == ";":
            return tokens.advance()
        if self.blocks.open and word in OUTSIDE:
            raise tokens.fault(f"the statement '{word}' must stand outside of loops, boxes and subroutines.")
        statement = _STATEMENTS[self.version].get(word)
        if statement is not None:
            return statement(self)
        if isinstance(self.names.declared.get(word), Subroutine):
            return self._subroutine_call()
        if word in _MODIFIERS and self.version == 3:
            return self._gate_call()
        if isinstance(self.names.declared.get(word), Register):
            return self._assignment()
        if word in _CLASSICAL or word in "@#" or word in _STATEMENTS[5 - self.version]:
            raise tokens.fault(
                f"the statement '{word}' is not supported - a circuit holds declarations, gates, barriers and final "
                f"measurements - or does not belong to OpenQASM {self.version}."
            )
        if word == "OPENQASM":
            raise tokens.fault("the version must be the first statement.")
        if tokens.kind != "name":
            raise tokens.fault(f"expected a statement, but found {tokens.shown()}.")
        raise self.names.unknown_gate(word, tokens.position, self.version)

    # -- declarations

    def _include(self) -> None:
        tokens = self.tokens
        tokens.advance()
        library = LIBRARIES.get(tokens.word[1:-1]) if tokens.kind == "string" else None
        if library is None:
            raise tokens.fault(
                f'only "stdgates.inc" and "qelib1.inc" can be included - both are built in and no other file '
                f"is read - but here stands {tokens.shown()}."
            )
        name = tokens.word[1:-1]
        self.names.declare_gates(library, tokens.position)
        if name == "qelib1.inc":
            for composite in _composite_gates():
                self.names.declare(composite.name, composite, tokens.position)
            self.names.replaceable.update(REPLACEABLE)
        tokens.advance()
        tokens.expect(";", "after the file name")

    def _old_register(self) -> None:
        """qreg q[3]; or creg c[3]; of OpenQASM 2, which 3 allows too."""
        tokens = self.tokens
        kind = "qubit" if tokens.take() == "qreg" else "bit"
        position, name = tokens.position, tokens.name("a register")
        size = self._designator() if tokens.word == "[" or self.version == 2 else 1
        self.names.declare_register(kind, name, size, True, position)
        tokens.expect(";", f"after the declaration of {name}")

    def _register(self) -> None:
        """Of the forms: qubit[3] q; qubit q; bit[3] c; bit c; bit[3] c = measure q;."""
        tokens = self.tokens
        kind = tokens.take()
        is_array = tokens.word == "["
        size = self._designator() if is_array else 1
        position, name = tokens.position, tokens.name("a register")
        self.names.declare_register(kind, name, size, is_array, position)
        if kind == "bit" and tokens.accept("="):
            self._measurement(Register("bit", range(size)), position)
        tokens.expect(";", f"after the declaration of {name}")

    def _designator(self) -> int:
        tokens = self.tokens
        tokens.expect("[", "before the size")
        position = tokens.position
        size = self._whole_number("a size")
        if size < 1:
            raise self.source.fault(position, f"a size must be at least 1, but is {size}.")
        tokens.expect("]", "after the size")
        return size

    def _input(self) -> None:
        """input float[64] name; becomes w[i] for the name w_i, x[j] for x_j, and else the next free weight."""
        tokens = self.tokens
        tokens.advance()
        if tokens.word not in ("float", "angle"):
            raise tokens.fault(
                f"an input of type {tokens.shown()} is not supported; declare `input float[64] name;`."
            )
        tokens.advance()
        if tokens.word == "[":
            self._designator()
        position, name = tokens.position, tokens.name("an input")
        self.names.declare_input(name, position)
        tokens.expect(";", f"after the declaration of {name}")

    def _constant(self) -> None:
        tokens = self.tokens
        tokens.advance()
        kind = self._type("a constant")
        position, name = tokens.position, tokens.name("a constant")
        tokens.expect("=", f"after const {name}")
        self.names.declare_constant(kind, name, self._value(), position)
        tokens.expect(";", f"after the declaration of {name}")

    def _opaque(self) -> None:
        """opaque name(params) qubits; declares a gate that only hardware knows."""
        tokens = self.tokens
        tokens.advance()
        position, name = tokens.position, tokens.name("a gate")
        if tokens.accept("("):
            self._names_in_brackets()
        self._name_list("a qubit", ";")
        tokens.expect(";", f"after the declaration of {name}")
        self.names.declare(name, Unknown(name), position)

    def _value(self) -> Any:
        return evaluate(
            parse_expression(self.tokens, self.version, self.names.values), self.names.values, self.source
        )

    def _whole_number(self, what: str) -> int:
        tokens = self.tokens
        position = tokens.position
        after = position + len(tokens.word)
        if tokens.kind == "integer" and (self.version == 2 or self.source.text[after : after + 1] in "]),}:"):
            number = integer(tokens)
            tokens.advance()
            return number
        value = self._value()
        if not isinstance(value, int):
            raise self.source.fault(position, f"{what} must be an integer, but is {value}.")
        return value

    # -- gate definitions

    def _gate_definition(self) -> None:
        tokens = self.tokens
        start = tokens.position
        tokens.advance()
        position, name = tokens.position, tokens.name("a gate")
        parameters = self._names_in_brackets() if tokens.accept("(") else ()
        qubits = self._name_list("a qubit", "{")
        self._refuse_repeats((*parameters, *qubits), position)
        known = ChainMap[str, Any](dict.fromkeys(parameters), self.names.constants)
        slots = {qubit: k for k, qubit in enumerate(qubits)}
        tokens.expect("{", f"before the body of {name}")
        body: list[Call] = []
        while tokens.word != "}":
            self._body_statement(name, known, slots, body)
        text = tokens.source.text[start : tokens.position + 1]
        cost = min(1 + sum(call.cost for call in body), self.max_operations + 1)
        made = self._gate_with_this_definition(name, text, body)
        roots = max((call.gate.roots for call in body), default=0)
        own = Definition(name, parameters, len(qubits), cost, body=tuple(body), roots=roots)
        self.names.declare(name, made or own, position)
        tokens.advance()

    def _gate_with_this_definition(self, name: str, text: str, body: list[Call]) -> Definition | None:
        """A definition that our own writer makes, in the same words and of table rows, is read as the gate itself."""
        ours = self.same(name)
        if (
            ours is None
            or ours[0].split() != text.split()
            or not all(call.gate.row is not None for call in body)
        ):
            return None
        gate = ours[1]
        return Definition(name, gate.angle_names, gate.num_qubits, 1, gate)

    def _body_statement(
        self, gate: str, known: ChainMap[str, Any], slots: dict[str, int], body: list[Call]
    ) -> None:
        tokens = self.tokens
        if tokens.accept(";"):
            return
        is_barrier = tokens.word == "barrier"
        if is_barrier:
            tokens.advance()
            operands = self._name_list("a qubit", ";")
        else:
            if tokens.word in _NOT_IN_BODIES and tokens.word not in self.names.declared:
                raise tokens.fault(f"the statement '{tokens.word}' is not supported in the body of a gate.")
            call = self._call_head(known)
            operands = self._name_list("a qubit", ";")
        for operand in operands:
            if operand not in slots:
                raise tokens.fault(
                    f"{shortened(operand)} is not a qubit of the gate {gate}. {near_matches(operand, slots)}"
                )
        if not is_barrier:
            self._refuse_repeats(operands, call.position)
            self._check_number_of_qubits(call, len(operands))
            body.append(settled(call, tuple(slots[q] for q in operands), known, self.source))
        tokens.expect(";", f"in the body of {gate}")

    def _names_in_brackets(self) -> tuple[str, ...]:
        names = self._name_list("a parameter", ")")
        self.tokens.expect(")", "after the parameters")
        return names

    def _name_list(self, what: str, end: str) -> tuple[str, ...]:
        """Names with commas between them, up to `end`."""
        names: list[str] = []
        while self.tokens.word != end:
            names.append(self.tokens.name(what))
            if not self.tokens.accept(","):
                break
        return tuple(names)

    def _refuse_repeats(self, names: tuple[str, ...], position: int) -> None:
        if len(set(names)) != len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise self.source.fault(
                position, f"the name {shortened(twice)} occurs twice; qubits must be distinct."
            )

    # -- gate calls

    def _gate_call(self) -> None:
        """One call at the top level: broadcast over registers, counted, expanded."""
        call = self._call_head(self.names.values)
        operands = self._operands()
        self._check_number_of_qubits(call, len(operands))
        lengths = {len(places) for places, is_array in operands if is_array}
        if len(lengths) > 1:
            raise self.source.fault(call.position, f"registers of different sizes: {sorted(lengths)}.")
        repeats = lengths.pop() if lengths else 1
        self._count(repeats * call.cost, call.position)
        angles = tuple(evaluate(angle, self.names.values, self.source) for angle in call.angles)
        for k in range(repeats):
            places = tuple(places[k] if is_array else places[0] for places, is_array in operands)
            if len(set(places)) != len(places) or (self.measured and not self.measured.isdisjoint(places)):
                raise self._bad_places(call, places)
            self.used.update(places)
            self.ops.extend(expanded(call, angles, places, self.source))
        self.tokens.expect(";", f"after the gate {call.gate.name}")

    def _call_head(self, known: Mapping[str, Any]) -> Call:
        """Modifiers, name and angles of a call."""
        tokens = self.tokens
        start = tokens.position
        modifiers = self._modifiers() if self.version == 3 and tokens.word in _MODIFIERS else ()
        position, name = tokens.position, tokens.word
        gate = self.names.declared.get(name)
        if not isinstance(gate, Definition):
            raise self.names.unknown_gate(name, position, self.version) if tokens.kind == "name" else tokens.fault(
                f"expected the name of a gate, but found {tokens.shown()}.")  # fmt: skip
        tokens.advance()
        angles = self._angles(known) if tokens.word == "(" else ()
        if len(angles) != len(gate.parameters):
            wanted = (
                f"{len(gate.parameters)} angle(s) ({', '.join(gate.parameters)})"
                if gate.parameters
                else "no angle"
            )
            raise self.source.fault(position, f"the gate {name} takes {wanted}, but {len(angles)} are given.")
        return self._modified(gate, angles, modifiers, start)

    def _modified(
        self,
        gate: Definition,
        angles: tuple[Expression, ...],
        modifiers: Sequence[tuple[float, tuple[bool, ...]]],
        start: int,
    ) -> Call:
        """A call under modifiers, the innermost of which is the last."""
        power, inner = 1, []
        for number, controls in reversed(modifiers):
            inner.append(controls)
            if number == int(number):
                power *= int(number)
                if abs(power) > self.max_operations:
                    raise self._too_many(start)
            else:
                gate = root(Call(gate, angles, _outermost_first(inner), power, start), number, self.source)
                power, inner = 1, []
        return Call(gate, angles, _outermost_first(inner), power, start)

    def _angles(self, known: Mapping[str, Any]) -> tuple[Expression, ...]:
        tokens = self.tokens
        tokens.advance()
        angles: list[Expression] = []
        while tokens.word != ")":
            angles.append(parse_expression(tokens, self.version, known))
            if not tokens.accept(","):
                break
        tokens.expect(")", "after the angles")
        return tuple(angles)

    def _modifiers(self) -> list[tuple[float, tuple[bool, ...]]]:
        """ctrl @, negctrl(2) @, inv @, pow(3) @ in any order: the power and the controls of each, outermost first."""
        tokens, found, added = self.tokens, [], 0
        while tokens.word in _MODIFIERS:
            position, word = tokens.position, tokens.take()
            number = self._number_of(word) if word != "inv" and (word == "pow" or tokens.word == "(") else 1
            tokens.expect("@", f"after {word}")
            if word in ("inv", "pow"):
                found.append((number if word == "pow" else -1, ()))
                continue
            if number != int(number):
                raise self.source.fault(
                    position, f"the number of '{word}' must be an integer, but is {number}."
                )
            added += int(number)
            if number < 1 or added > MAX_BITS:
                raise self.source.fault(
                    position, f"'{word}' takes 1 to {MAX_BITS:,} controls, but {int(number)} is given."
                )
            found.append((1, (word == "ctrl",) * int(number)))
        return found

    def _number_of(self, word: str) -> float:
        """The number in brackets behind a modifier."""
        tokens, known = self.tokens, self.names.constants
        tokens.expect("(", f"after {word}")
        value = evaluate(parse_expression(tokens, 3, known), known, self.source)
        tokens.expect(")", f"after {word}")
        return value

    def _check_number_of_qubits(self, call: Call, given: int) -> None:
        if given != call.num_qubits:
            raise self.source.fault(
                call.position,
                f"the gate {call.gate.name} acts on {call.num_qubits} qubit(s), but {given} are given.",
            )

    def _bad_places(self, call: Call, places: tuple[int, ...]) -> Exception:
        qubit, times = Counter(places).most_common(1)[0]
        if times > 1:
            reason = f"names the qubit {self.names.qubits[qubit]} twice; qubits must be distinct."
        else:
            name = self.names.qubits[min(self.measured & set(places))]
            reason = f"acts on {name} after its measurement; measurements must be final."
        return self.source.fault(call.position, f"the gate {call.gate.name} {reason}")

    def _count(self, more: int, position: int) -> None:
        self.count += more
        if self.count > self.max_operations:
            raise self._too_many(position)
        if more > 10**5:
            reserve(more * BYTES_PER_OP, f"the {more:,} operations that this statement expands to")

    def _too_many(self, position: int) -> Exception:
        return self.source.fault(
            position,
            f"here the text expands to more than {self.max_operations:,} operations, which is the limit; "
            "raise it with `max_operations`.",
        )

    # -- loops, boxes, subroutines, other names

    def _loop(self) -> None:
        """for int i in [0:2:8] { ... }, also over {1, 2, 4}; the body is read once for each value."""
        tokens, start = self.tokens, self.tokens.position
        tokens.advance()
        kind = self._type("a loop variable")
        name = tokens.name("a loop variable")
        tokens.expect("in", f"after {name}")
        values, times = self._loop_values()
        self.blocks.repeat(find_body(tokens), kind, name, values, times, start)

    def _type(self, what: str) -> str:
        tokens = self.tokens
        if tokens.word not in _NUMBERS:
            raise tokens.fault(
                f"the type {tokens.shown()} of {what} is not supported; types: {', '.join(_NUMBERS)}."
            )
        kind = tokens.take()
        if tokens.word == "[":
            self._designator()
        return kind

    def _loop_values(self) -> tuple[Iterable[Any], int]:
        """The values of [0:2:8] or {1, 2, 4}, and how many there are."""
        tokens, position = self.tokens, self.tokens.position
        if tokens.accept("{"):
            values = [self._value()]
            while tokens.accept(","):
                values.append(self._value())
            tokens.expect("}", "after the values")
            return values, len(values)
        tokens.expect("[", "or '{' before the values of a loop")
        numbers = [self._whole_number("a bound")]
        while tokens.accept(":"):
            numbers.append(self._whole_number("a bound"))
        tokens.expect("]", "after the bounds")
        if len(numbers) not in (2, 3) or (len(numbers) == 3 and numbers[1] == 0):
            raise self.source.fault(
                position, "a loop takes [first:last] or [first:step:last], with a step other than 0."
            )
        first, last, step = numbers[0], numbers[-1], numbers[1] if len(numbers) == 3 else 1
        times = max(0, (last - first) // step + 1)
        return (first + k * step for k in range(min(times, MAX_READ))), times

    def _box(self) -> None:
        """box { ... } or box[100ns] { ... }: the statements, since a circuit has no time."""
        tokens, start = self.tokens, self.tokens.position
        tokens.advance()
        self._skip_duration()
        if tokens.word != "{":
            raise tokens.fault(f"expected '{{' after box, but found {tokens.shown()}.")
        self.blocks.once(find_body(tokens), start)

    def _delay(self) -> None:
        """delay[100ns] q; is the identity."""
        tokens, start = self.tokens, self.tokens.position
        tokens.advance()
        self._skip_duration()
        self._operands()
        self._note(start, "delay: left out; a circuit has no time")
        tokens.expect(";", "after delay")

    def _nop(self) -> None:
        self.tokens.advance()
        self._operands()
        self.tokens.expect(";", "after nop")

    def _skip_duration(self) -> None:
        tokens = self.tokens
        if tokens.accept("["):
            while tokens.word not in ("]", ";") and tokens.kind != "end":
                tokens.advance()
            tokens.expect("]", "after the duration")

    def _alias(self) -> None:
        """let a = q[0:2] ++ r; gives qubits another name."""
        tokens = self.tokens
        tokens.advance()
        position, name = tokens.position, tokens.name("an alias")
        tokens.expect("=", f"after let {name}")
        parts = [self._operand("qubit")]
        while tokens.accept("++"):
            parts.append(self._operand("qubit"))
        if len(parts) > 1:
            self.source.spend(sum(len(part) for part, _ in parts), position)
        places = parts[0][0] if len(parts) == 1 else tuple(k for part, _ in parts for k in part)
        if not isinstance(places, range) and len(set(places)) != len(places):
            raise self.source.fault(
                position, f"the alias {shortened(name)} names a qubit twice; qubits must be distinct."
            )
        is_array = len(parts) > 1 or parts[0][1]
        self.names.declare(name, Register("qubit", places, is_array), position)
        tokens.expect(";", f"after the alias {name}")

    def _subroutine(self) -> None:
        """def f(qubit q, angle t) { ... }: kept as it stands, and read where it is called."""
        tokens = self.tokens
        tokens.advance()
        position, name = tokens.position, tokens.name("a subroutine")
        tokens.expect("(", f"after def {name}")
        parameters: list[Parameter] = []
        while tokens.word != ")":
            parameters.append(self._parameter())
            if not tokens.accept(","):
                break
        tokens.expect(")", "after the parameters")
        self._refuse_repeats(tuple(parameter.name for parameter in parameters), position)
        if tokens.word != "{":
            raise tokens.fault(
                f"expected the body of the subroutine {name}, but found {tokens.shown()}; only subroutines of gates, "
                "which return nothing, can be read."
            )
        body = find_body(tokens)
        self.names.declare(name, Subroutine(name, tuple(parameters), body), position)
        tokens.restart(body.resume)

    def _parameter(self) -> Parameter:
        tokens = self.tokens
        if tokens.word != "qubit":
            return Parameter(self._type("a parameter"), tokens.name("a parameter"), None)
        tokens.advance()
        size = self._designator() if tokens.word == "[" else None
        return Parameter("qubit", tokens.name("a parameter"), size)

    def _subroutine_call(self) -> None:
        tokens, start = self.tokens, self.tokens.position
        subroutine: Subroutine = self.names.declared[tokens.take()]
        tokens.expect("(", f"after {subroutine.name}")
        arguments: list[Any] = []
        for parameter in subroutine.parameters:
            if arguments:
                tokens.expect(",", f"between the arguments of {subroutine.name}")
            arguments.append(self._argument(subroutine, parameter))
        tokens.expect(")", f"after the {len(arguments)} argument(s) of {subroutine.name}")
        if tokens.word != ";":
            raise tokens.fault(
                f"expected ';' after the call of {subroutine.name}, but found {tokens.shown()}."
            )
        self.blocks.call(subroutine, arguments, tokens.position, start)

    def _argument(self, subroutine: Subroutine, parameter: Parameter) -> Any:
        if parameter.kind != "qubit":
            return self._value()
        position = self.tokens.position
        found = as_argument(parameter, self._operand("qubit"))
        if found is None:
            wanted = "one qubit" if parameter.size is None else f"{parameter.size} qubits"
            message = f"the parameter {parameter.name} of {subroutine.name} takes {wanted}."
            raise self.source.fault(position, message)
        return found

    # -- lines for other tools

    def _pragma(self) -> None:
        """pragma ... and #pragma ...: left out, unless they name qubits and so may change what the circuit does."""
        tokens = self.tokens
        line = self._line()
        words = PRAGMA.match(line)
        if words is None:
            raise tokens.fault(f"expected a statement, but found {tokens.shown()}.")
        for word in WORD.findall(words[1]):
            register = self.names.declared.get(word)
            if word.startswith("$") or (isinstance(register, Register) and register.kind == "qubit"):
                raise tokens.fault(
                    f"this pragma names the qubit {shortened(word)}, so it may change what the circuit does, and it is "
                    "not understood. Remove it, or write it as gates."
                )
        self._note(tokens.position, f"pragma {shortened(words[1].strip())}: left out")
        tokens.restart(tokens.position + len(line))

    def _annotation(self) -> None:
        """@name ...: a hint for a compiler, on a line of its own."""
        tokens, line = self.tokens, self._line()
        if ANNOTATION.match(line) is None:
            raise tokens.fault("an annotation is '@' and a name, on a line of its own.")
        self._note(tokens.position, f"annotation {shortened(line.strip())}: left out")
        tokens.restart(tokens.position + len(line))

    def _line(self) -> str:
        """The rest of the line from the current word on."""
        end = self.source.text.find("\n", self.tokens.position)
        return self.source.text[self.tokens.position : end if end >= 0 else None]

    # -- measurements, resets, barriers

    def _operands(self) -> list[tuple[Sequence[int], bool]]:
        """Qubit operands with commas between them: (places, whether it is an array to broadcast over)."""
        operands: list[tuple[Sequence[int], bool]] = []
        while self.tokens.word not in (";", "->"):
            operands.append(self._operand("qubit"))
            if not self.tokens.accept(","):
                break
        return operands

    def _operand(self, kind: str) -> tuple[Sequence[int], bool]:
        """q, q[2], q[0:2], q[0:2:8] or q[{0, 2}]; $2."""
        tokens = self.tokens
        position, name = tokens.position, tokens.word
        if name.startswith("$") and kind == "qubit" and self.version == 3:
            tokens.advance()
            return self.names.physical_qubit(name, position).places, False
        register = self.names.register(kind, tokens.name(f"a {kind}"), position)
        if tokens.word != "[":
            return register.places, register.is_array
        tokens.advance()
        if tokens.accept("{"):
            chosen = [self._index(name, register)]
            while tokens.accept(","):
                chosen.append(self._index(name, register))
            tokens.expect("}", "after the indices")
            places, is_array = tuple(register.places[k] for k in chosen), True
        else:
            places, is_array = self._index_or_range(name, register)
        tokens.expect("]", "after the index")
        return places, is_array

    def _index_or_range(self, name: str, register: Register) -> tuple[Sequence[int], bool]:
        """2, 0:2 or 0:2:8, whose step is in the middle and whose last index belongs to it; :2 and 1: have open ends."""
        tokens, position = self.tokens, self.tokens.position
        numbers = [self._bound()]
        if tokens.word != ":":
            if numbers[0] is None:
                raise tokens.fault(f"expected an index of {name}, but found {tokens.shown()}.")
            return (register.places[self._inside(numbers[0], name, register)],), False
        while len(numbers) < 3 and tokens.accept(":"):
            numbers.append(self._bound())
        if self.version == 2 and (len(numbers) == 3 or None in numbers):
            raise self.source.fault(position, "a range of OpenQASM 2 has a first and a last index.")
        step = 1 if len(numbers) < 3 else numbers[1][0] if numbers[1] and numbers[2] else 0
        if step == 0:
            raise self.source.fault(
                position,
                "a range of three parts has its step, which is not 0, in the middle and its last index at the end.",
            )
        ends = (0, register.size - 1) if step > 0 else (register.size - 1, 0)
        first, last = (
            end if number is None else self._inside(number, name, register)
            for number, end in zip((numbers[0], numbers[-1]), ends, strict=True)
        )
        chosen = range(first, last + (1 if step > 0 else -1), step)
        if isinstance(register.places, range):  # a part of it takes no memory, however long it is
            origin, stride = register.places.start, register.places.step
            return range(origin + stride * chosen.start, origin + stride * chosen.stop, stride * step), True
        self.source.spend(len(chosen), position)
        return tuple(register.places[k] for k in chosen), True

    def _bound(self) -> tuple[int, int] | None:
        """The number that stands here and its position; None if a ':' or ']' does."""
        if self.tokens.word in (":", "]"):
            return None
        position = self.tokens.position
        return self._whole_number("an index"), position

    def _index(self, name: str, register: Register) -> int:
        """The index that stands here, counted from 0."""
        position = self.tokens.position
        return self._inside((self._whole_number("an index"), position), name, register)

    def _inside(self, number: tuple[int, int], name: str, register: Register) -> int:
        index, position = number
        if not -register.size <= index < register.size or (index < 0 and self.version == 2):
            shown = index if abs(index) < 10**15 else "the index"
            raise self.source.fault(
                position,
                f"{shown} is out of range: {name} is {register}, so indices are 0 to {register.size - 1}.",
            )
        return index % register.size

    def _measure(self) -> None:
        """Of the forms: measure q -> c; measure q;."""
        position = self.tokens.position
        places, _ = self._measurement(None, position)
        if self.tokens.accept("->"):
            bits, _ = self._operand("bit")
            if len(bits) != len(places):
                raise self.source.fault(
                    position, f"{len(places)} qubit(s) are measured into {len(bits)} bit(s)."
                )
        self.tokens.expect(";", "after the measurement")

    def _assignment(self) -> None:
        """Of the form: c = measure q;."""
        position = self.tokens.position
        bits, _ = self._operand("bit")
        self.tokens.expect("=", "after the bit")
        self._measurement(Register("bit", bits), position)
        self.tokens.expect(";", "after the measurement")

    def _measurement(self, target: Register | None, position: int) -> tuple[Sequence[int], bool]:
        self.tokens.expect("measure", "- only a measurement can be assigned -" if target else "")
        places, is_array = self._operand("qubit")
        if target is not None and target.size != len(places):
            raise self.source.fault(
                position, f"{len(places)} qubit(s) are measured into {target.size} bit(s)."
            )
        self._count(len(places), position)
        self.measured.update(places)
        names = ", ".join(self.names.qubits[q] for q in places[:4]) + (", ..." if len(places) > 4 else "")
        self._note(
            position, f"measure {names}: left out; ask ketgrad for probabilities or samples of these qubits"
        )
        return places, is_array

    def _reset(self) -> None:
        tokens = self.tokens
        position = tokens.position
        tokens.advance()
        places, _ = self._operand("qubit")
        self._count(len(places), position)
        late = sorted(self.used.intersection(places) | self.measured.intersection(places))
        if late:
            raise self.source.fault(
                position,
                f"reset of {self.names.qubits[late[0]]} after a gate or measurement is not supported.",
            )
        self._note(position, "reset of qubits that are in |0>: left out")
        tokens.expect(";", "after reset")

    def _barrier(self) -> None:
        self.tokens.advance()
        self._operands()
        self.tokens.expect(";", "after barrier")

    def _note(self, position: int, message: str) -> None:
        if len(self.notes) < 1000:
            self.notes.append(f"line {self.source.text.count(chr(10), 0, position) + 1}: {message}")


def _outermost_first(controls: list[tuple[bool, ...]]) -> tuple[bool, ...]:
    """The polarity of the controls of modifiers that are given from the innermost on."""
    return tuple(chain.from_iterable(reversed(controls)))


_Statements = Mapping[str, Callable[[_Reader], None]]
_BOTH: _Statements = {
    "include": _Reader._include, "gate": _Reader._gate_definition, "barrier": _Reader._barrier,
    "measure": _Reader._measure, "reset": _Reader._reset, "qreg": _Reader._old_register, "creg": _Reader._old_register,
}  # fmt: skip
_STATEMENTS: Mapping[int, _Statements] = {
    2: {**_BOTH, "opaque": _Reader._opaque},
    3: {
        **_BOTH,
        "qubit": _Reader._register,
        "bit": _Reader._register,
        "input": _Reader._input,
        "const": _Reader._constant,
        "let": _Reader._alias,
        "for": _Reader._loop,
        "box": _Reader._box,
        "def": _Reader._subroutine,
        "delay": _Reader._delay,
        "nop": _Reader._nop,
        "pragma": _Reader._pragma,
        "#": _Reader._pragma,
        "@": _Reader._annotation,
    },
}


@lru_cache(maxsize=1)
def _composite_gates() -> tuple[Definition, ...]:
    """The gates of qelib1.inc that are sequences of others."""
    source = Source(QELIB1_DEFINITIONS, "qelib1.inc")
    names = Names(source)
    names.declare_gates(LIBRARIES["qelib1.inc"], 0)
    before = set(names.declared)
    reader = _Reader(Tokens(source), source, 10**7, lambda name: None, names, version=2)
    while reader.tokens.kind != "end":
        reader._gate_definition()
    return tuple(what for name, what in names.declared.items() if name not in before)
