"""`ketgrad compare`: everything that can be wrong is checked, the comparison is run, written and shown."""

from __future__ import annotations

import contextlib
import functools
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ketgrad.cli import streams
from ketgrad.cli.exit_codes import Exit
from ketgrad.cli.parameters import GroupedCommand, GroupedOption, chosen, debug_flag, options_of_rows
from ketgrad.cli.results_folder import JOURNAL_FILE, check_folder, write_results
from ketgrad.cli.session import Job, Session, UsageError
from ketgrad.cli.signals import Stop
from ketgrad.foundation.errors import KetgradImportError, KetgradOSError
from ketgrad.foundation.text import redact, slug, visible, without_secrets
from ketgrad.referee.options import COMPARED, READ, RUN, quoted

if TYPE_CHECKING:
    from ketgrad.referee.contest.journal import Journal
    from ketgrad.referee.contest.progress import Progress
    from ketgrad.referee.results import Comparison

NAME = "ketgrad compare"
PACKAGES = ("pandas", "skrub", "jinja2", "rich")
RESULTS = "where the results go"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for. choices: the options of `referee.compare` that were given."""

    table: str
    target: str
    choices: dict[str, Any]
    folder: Path
    overwrite: bool
    resume: bool
    raw_csv: bool
    quiet: bool


def run(session: Session, *, request: Request) -> int:
    """Refuse before any work what can be refused; then compare, write, and show the answer."""
    from ketgrad.referee.table.files import check_file

    check_file(request.table)
    _check_packages()
    check_folder(request.folder, overwrite=request.overwrite, resume=request.resume)
    import ketgrad.referee as referee
    from ketgrad.referee.contest.journal import Journal
    from ketgrad.referee.report import terminal

    begin = Journal.resume if request.resume else Journal.begin
    with contextlib.closing(begin(request.folder / JOURNAL_FILE)) as journal:
        with terminal.ProgressDisplay(sys.stderr, quiet=request.quiet) as display:
            comparison = referee.compare(
                request.table,
                request.target,
                progress=_listener(display, session.stop),
                journal=journal,
                **request.choices,
            )
        session.stop.settle()
        return _report(without_secrets(comparison), journal, request, session)


def _check_packages() -> None:
    from importlib.util import find_spec

    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise KetgradImportError(
            f"`ketgrad compare` needs {', '.join(absent)}, which is not installed. "
            "Install it with: pip install 'ketgrad[compare]'"
        )


def _listener(display: Callable[[Progress], None], stop: Stop) -> Callable[[Progress], None]:
    """`display`, behind a look whether a signal asks for the end; none may once the last fit is over."""

    def told(event: Progress) -> None:
        if event.kind in ("interrupted", "finished"):
            stop.settle()
        stop.check()
        display(event)

    return told


def _report(comparison: Comparison, journal: Journal, request: Request, session: Session) -> int:
    """Say the verdict, write the results, say the rest; the fits by themselves are needed no more once all is written.

    Nothing that becomes of the standard output keeps the results from being written.
    """
    from ketgrad.referee.report import terminal

    command = shlex.join(["ketgrad", *map(redact, session.arguments)])
    verdict, details = terminal.answer(comparison, sys.stdout)
    answer = streams.Answer()
    answer.say(verdict)
    try:
        written = write_results(
            comparison,
            request.folder,
            command,
            overwrite=request.overwrite or request.resume,
            raw_csv=request.raw_csv,
        )
    except KetgradOSError:
        answer.say(details)  # minutes of work: the answer is shown even if it cannot be written
        raise
    details += "Written: " + ", ".join(visible(path, 200) for path in written) + "\n"
    if comparison.interrupted:
        details += "The same command with --resume goes on from here.\n"
    else:
        journal.discard()
    answer.say(details)
    answer.end()
    return session.stop.exit_code or (Exit.INTERRUPTED if comparison.interrupted else Exit.OK)


# ---------------------------------------------------------------------------------------------- the command line


def _job(table: tuple[str, ...], **given: Any) -> Job:
    """What is asked for, if it can be understood."""
    target, out = given["target"], given["out"]
    if len(table) != 1:
        needs = f"`{NAME}` needs a table: {NAME} TABLE --target COLUMN"
        raise UsageError(f"unexpected {quoted(table[1])}: `{NAME}` takes one file." if table else needs, NAME)
    if target is None:
        raise UsageError(f"`{NAME}` needs the column to predict: --target COLUMN", NAME)
    if given["resume"] and given["overwrite"]:
        raise UsageError(
            "--resume goes on with what is there and --overwrite throws it away: choose one.", NAME
        )
    request = Request(
        table=table[0],
        target=target,
        choices=chosen(given),
        folder=Path(out or f"ketgrad-{slug(Path(table[0]).stem)}-{slug(target)}"),
        **{name: given[name] for name in ("overwrite", "resume", "raw_csv", "quiet")},
    )
    return functools.partial(run, request=request)


def _flag(name: str, group: str, help: str) -> GroupedOption:
    return GroupedOption(name, group=group, is_flag=True, help=help)


COMMAND = GroupedCommand(
    "compare",
    callback=_job,
    params=[
        click.Argument(["table"], metavar="TABLE", nargs=-1),
        GroupedOption("--target", group=COMPARED, metavar="COLUMN", help="The column to predict (required)."),
        *options_of_rows((COMPARED, READ)),
        GroupedOption(
            "--out", group=RESULTS, metavar="DIR", help="Folder for the results (ketgrad-TABLE-COLUMN)."
        ),
        _flag("--overwrite", RESULTS, "Replace results that are already there."),
        _flag("--resume", RESULTS, "Go on with the fits of a run that was stopped or killed."),
        _flag(
            "--raw-csv", RESULTS, "Leave cells of scores.csv as they are, even if they begin like a formula."
        ),
        *options_of_rows((RUN,)),
        _flag("--quiet", RUN, "No progress display."),
        debug_flag(hidden=False),
    ],
    options_metavar="--target COLUMN [OPTIONS]",
    help="Compare quantum with tuned classical models on TABLE, a CSV, TSV or Parquet file with a header."
    " Writes report.html, results.json and scores.csv.",
    short_help="compare quantum with classical models on a table",
)
