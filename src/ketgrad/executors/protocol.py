"""What an executor is: everything that the layers above ask of a back end, and nothing else.

Three members make an executor: `name`, `abilities` and `run`. The other three of `Executor` (`shots`, `with_shots`,
`describe`) say what only the executor knows; for one that has none of them `execution` and `sampled.with_shots` say
what holds for any simulator of state vectors. A back end that reports counts and nothing else is a `Device`:
one method, and `measured.MeasuredDevice` makes an executor of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypedDict, TypeGuard, Unpack, runtime_checkable

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, shown
from ketgrad.foundation.numbers import check_count
from ketgrad.programs.program import Program
from ketgrad.programs.reach import VisiblePart

Ability = Literal["exact", "shots", "adjoint", "second", "noise", "remote", "gpu"]
WORD = 64  # bits of an outcome that is kept as a machine number


class RunOptions(TypedDict, total=False):
    """What a run may be told beside its arrays, as keywords: a call builds no object for them.

    dtype: complex128 or complex64. threads: None for all cores. rng: where random draws come from; None: fresh ones.
    """

    dtype: Any
    threads: int | None
    rng: np.random.Generator | None


@dataclass(frozen=True)
class Execution:
    """What an executor will do for one value of a program: known before anything runs, printed by `f.plan`.

    engine: what does the work, in one line. simulated_qubits: of the largest state vector that this process holds, a
    density matrix counting twice its qubits; None where it holds none. executions: circuits that are run; shots: of
    each, None where values are exact. price: of a value, with its unit; "" where nothing is known of it. remark: why
    another executor is faster, as a clause.
    """

    engine: str
    simulated_qubits: int | None
    executions: int = 1
    shots: int | None = None
    price: str = ""
    remark: str = ""


@runtime_checkable
class Executor(Protocol):
    """A back end.

    abilities, each a promise that the conformance suite holds it to:

    - "exact": values carry no shot noise. "shots": values are estimates from measurements, drawn with `rng`.
    - "adjoint": has `vjp`. "second": has `jvp` and `hvp`. Their signatures are those of `executors.reference`.
    - "noise": values are those of mixed states, under channels that the executor knows of. With "exact" they are exact
      means over the noise, with "adjoint" their exact derivatives. It never answers `State`: a mixed state is no
      vector. A program has no channels of its own, so the noise is the executor's, compared and saved with it. Where
      it is measured, the rotations that turn a basis are gates of the circuit, and as noisy as the others.
    - "remote": programs leave this process; a run may wait, cost, and fail. No memory is reserved for states.
    - "gpu": states are held by an accelerator.

    Executors hold no state of a call: one instance may be used from many threads. They are compared by content.
    The arrays of a call are the caller's own, and are not written to. An executor whose class has the methods of
    `States`, `Direct`, `InParts` or `Locates` is asked for these too: no other methods may be called so.
    """

    @property
    def name(self) -> str:
        """As messages and plans call it; for one in `EXECUTORS` its name there."""
        ...

    @property
    def abilities(self) -> frozenset[Any]:
        """What it can do, a set of `Ability`."""
        ...

    @property
    def shots(self) -> int | None:
        """Measurements of each circuit; None where values are exact."""
        ...

    def with_shots(self, shots: int) -> Executor:
        """The executor that estimates from so many measurements of each circuit."""
        ...

    def run(self, program: Program, weights: np.ndarray, inputs: np.ndarray,
            **options: Unpack[RunOptions]) -> np.ndarray:  # fmt: skip
        """The answer to the program's question, shape (B, outputs).

        weights: (1 or B, num_weights); inputs: (1 or B, num_inputs); real, C-contiguous.
        """
        ...

    def describe(self, program: Program) -> Execution:
        """How one value of the program is made; nothing runs."""
        ...


class Counts(NamedTuple):
    """How often each outcome was measured.

    outcomes: (m,) different integers, whose most significant bit is the first measured qubit; uint64, beyond 64
    qubits Python's own. numbers: (rows, m), how often each row of weights and inputs gave each of them.
    """

    outcomes: np.ndarray
    numbers: np.ndarray


@runtime_checkable
class Device(Protocol):
    """A back end that runs circuits and reports counts, as a quantum computer does.

    abilities: "shots", and "remote" and "noise" where they hold. shots: of each circuit where a call names no number.
    Expectation values, probabilities, samples, gradients and plans are made of the counts by `measured.MeasuredDevice`.
    """

    @property
    def name(self) -> str:
        """As messages and plans call it."""
        ...

    @property
    def abilities(self) -> frozenset[Any]:
        """What it can do, a set of `Ability`."""
        ...

    @property
    def shots(self) -> int:
        """Of each circuit, where a call names no number."""
        ...

    def counts(self, programs: Sequence[Program], weights: np.ndarray, inputs: np.ndarray, *, shots: int,
               rng: np.random.Generator) -> Sequence[Counts]:  # fmt: skip
        """One job: what `shots` measurements gave, of each program at each row; `counted` makes it of dictionaries.

        programs: alike but for the rotations at their end, which turn the basis that is read into Z; each asks for
        the `Probabilities` of the qubits to measure. weights: (1 or B, num_weights); inputs: (1 or B, num_inputs).
        rng: for a simulator, or for the seed that a service takes.
        """
        ...


@runtime_checkable
class States(Protocol):
    """The ability that kernels use: states that stay with the executor, and products of all pairs of them."""

    def prepare(self, program: Program, weights: np.ndarray, inputs: np.ndarray, *, dtype: Any,
                threads: int | None) -> Any:  # fmt: skip
        """The states of a program that asks for `State`, of all rows, kept for `multiply`."""
        ...

    def pack(self, states: np.ndarray, threads: int | None = None) -> Any:
        """States (n, length) of any origin, complex64 or complex128, kept for `multiply`."""
        ...

    def multiply(
        self,
        rows: Any,
        columns: Any,
        result: np.ndarray,
        first_row: int = 0,
        first_column: int = 0,
        mirrors: bool = False,
        threads: int | None = None,
    ) -> None:
        """Write |<a_i|b_j>|^2 into a real result, <a_i|b_j> into a complex one, from (first_row, first_column) on.

        mirrors: the conjugate goes to the transposed place as well.
        """
        ...


class Direct(Protocol):
    """The ability of a short way for plain arrays, past all rows and checks of Python."""

    @property
    def direct(self) -> Any:
        """The key under which `program.cache` keeps it once the program ran; see `native`."""
        ...


@runtime_checkable
class InParts(Protocol):
    """The ability to run a wide program as several narrow ones, of which a Jacobian is made one by one."""

    def parts(self, program: Program) -> tuple[VisiblePart, ...]:
        """What is run in place of the program; () where that is one program with all weights and outputs."""
        ...


@runtime_checkable
class Locates(Protocol):
    """The ability to find drawn outcomes faster than `sampled.locate`, bit for bit the same."""

    def locate(self, chances: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """For each uniform number the first outcome whose cumulated chance exceeds it times their sum."""
        ...


# A protocol of methods is asked of the class: that answer is remembered, while `isinstance` looks at every member anew.


def says_more(executor: Any) -> TypeGuard[Executor]:
    """Whether an executor says more than the least; `table.get` has seen that it then says all."""
    return hasattr(executor, "describe")


def has_short_way(executor: Any) -> TypeGuard[Direct]:
    """Whether an executor has the ability `Direct`."""
    return hasattr(type(executor), "direct")


def keeps_states(executor: Any) -> TypeGuard[States]:
    """Whether an executor has the ability `States`."""
    return issubclass(type(executor), States)


def locates(executor: Any) -> TypeGuard[Locates]:
    """Whether an executor has the ability `Locates`."""
    return issubclass(type(executor), Locates)


def runs_in_parts(executor: Any) -> TypeGuard[InParts]:
    """Whether an executor has the ability `InParts`."""
    return issubclass(type(executor), InParts)


def execution(executor: Any, program: Program) -> Execution:
    """What the executor says of a program; of one that says nothing, what holds for a simulator of all its qubits.

    >>> from ketgrad.executors import get
    >>> f = kg.expectation(kg.Circuit([kg.ry(kg.w[0], 0)], 3), kg.Pauli("Z0"), executor="reference")
    >>> execution(get("reference"), f.program).simulated_qubits
    3
    """
    if says_more(executor):
        said = executor.describe(program)
        if isinstance(said, Execution):
            return said
        raise KetgradTypeError(
            f"`describe` of the executor {executor.name!r} must give a kg.executors.Execution, but gave {shown(said)}."
        )
    held = None if "remote" in executor.abilities else program.num_qubits
    return Execution(executor.name, held)


def counted(rows: Sequence[Mapping[int, int]]) -> Counts:
    """Counts of one dictionary for each row, outcome -> how often.

    Raises `KetgradTypeError` for anything but dictionaries of integers, `KetgradValueError` for negative ones.

    >>> counted([{0: 3, 2: 1}, {2: 4}])
    Counts(outcomes=array([0, 2], dtype=uint64), numbers=array([[3, 1],
           [0, 4]]))
    """
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise KetgradTypeError(
            f"`rows` must be a sequence of dictionaries, outcome -> how often, but is {shown(rows)}."
        )
    for number in (number for row in rows for pair in row.items() for number in pair):
        check_count(number, "rows", least=0, most=None)
    seen = sorted({outcome for row in rows for outcome in row})
    kind = np.uint64 if max(seen, default=0) < 2**WORD else object
    numbers = np.array([[row.get(outcome, 0) for outcome in seen] for row in rows], np.int64)
    return Counts(np.array(seen, kind), numbers.reshape(len(rows), len(seen)))
