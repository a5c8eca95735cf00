"""`ketgrad info`: what is installed, and what would be used."""

from __future__ import annotations

import click

from ketgrad.cli import streams
from ketgrad.cli.exit_codes import Exit
from ketgrad.cli.parameters import debug_flag
from ketgrad.cli.session import Job, Session


def run(session: Session) -> int:
    """Versions, instruction set, threads and extras."""
    from ketgrad.referee.report.system import info_text

    streams.answer(info_text() + "\n")
    return Exit.OK


def _job(debug: bool) -> Job:
    return run


COMMAND = click.Command(
    "info",
    callback=_job,
    params=[debug_flag(hidden=True)],
    help="Show what is installed and used: versions, instruction set, threads and extras.",
    short_help="versions, instruction set, threads and extras",
)
