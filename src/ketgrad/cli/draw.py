"""`ketgrad draw`: the circuit of an OpenQASM file as text, or as an SVG picture in a file."""

from __future__ import annotations

import functools
from typing import Any

import click

from ketgrad.cli import streams
from ketgrad.cli.exit_codes import FORBIDDEN_ERRORS, Exit
from ketgrad.cli.parameters import debug_flag
from ketgrad.cli.session import Job, Session
from ketgrad.foundation.errors import KetgradOSError
from ketgrad.foundation.text import visible
from ketgrad.referee.table.raw_table import InputForbidden, InputMissing


def run(session: Session, *, file: str, svg: str | None, overwrite: bool) -> int:
    """Read the circuit, and print it or write its picture."""
    from ketgrad.foundation.files import write_atomically

    circuit = _circuit(file)
    if svg is None:
        streams.answer(circuit.draw() + "\n")
    else:
        path = write_atomically(svg, circuit.draw("svg"), overwrite=overwrite)
        streams.answer(f"Written: {visible(path, 200)}\n")
    return Exit.OK


def _circuit(file: str) -> Any:
    """The circuit in a file; one that cannot be read is a missing input, whatever the system calls it."""
    from ketgrad.circuits import openqasm

    try:
        return openqasm.read(file)
    except KetgradOSError as error:
        kind = InputForbidden if error.errno in FORBIDDEN_ERRORS else InputMissing
        what = (error.errno, error.strerror, error.filename) if error.strerror else error.args
        raise kind(*what) from error


def _job(debug: bool, **given: Any) -> Job:
    return functools.partial(run, **given)


COMMAND = click.Command(
    "draw",
    callback=_job,
    params=[
        click.Argument(["file"], metavar="FILE.qasm"),
        click.Option(["--svg"], metavar="FILE", help="Write a picture instead of text."),
        click.Option(["--overwrite"], is_flag=True, help="Replace the picture if it exists."),
        debug_flag(hidden=True),
    ],
    help="Draw the circuit of an OpenQASM 2 or 3 file.",
    short_help="draw the circuit of an OpenQASM file",
)
