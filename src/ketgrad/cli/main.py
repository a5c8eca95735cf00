"""The command `ketgrad`: compare, info and draw.

Exit codes: 0 done, 2 wrong usage, 65 bad data, 66 input missing, 70 a fault of ketgrad, 73 cannot create the output,
74 input or output failed, 75 try again later, 77 not permitted, 129, 130 and 143 stopped by a closed terminal, Ctrl-C
and SIGTERM, 141 the reader closed the pipe. Nothing heavy is imported before a command needs it, so that
`ketgrad --help` and every refusal of an argument answer at once.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import io
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ketgrad.cli import streams as cli_streams
from ketgrad.cli.signals import Stop, listening
from ketgrad.foundation.errors import (
    KetgradError,
    KetgradImportError,
    KetgradMemoryError,
    KetgradOSError,
    near_matches,
)
from ketgrad.foundation.text import redact, slug, visible, without_secrets

if TYPE_CHECKING:
    from ketgrad.referee.contest.journal import Journal
    from ketgrad.referee.contest.progress import Progress
    from ketgrad.referee.results import Comparison

OK, USAGE, BAD_DATA, NO_INPUT, FAULT, CANNOT_CREATE, INPUT_OUTPUT, TRY_AGAIN, FORBIDDEN = (
    0,
    2,
    65,
    66,
    70,
    73,
    74,
    75,
    77,
)
INTERRUPTED, PIPE_CLOSED = 130, 141
CREATE_ERRORS = frozenset(
    {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
)
FORBIDDEN_ERRORS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
OUTPUT_FILES = ("report.html", "scores.csv", "results.json")  # the one that programs read is complete last
JOURNAL_FILE = "fits.jsonl"
COMPARE_PACKAGES = ("pandas", "skrub", "jinja2", "rich")


class UsageError(Exception):
    """A command line that asks for something that does not exist."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (those of the process by default) and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    stop = Stop()
    if arguments is None:  # no process that this one starts may take a module from the folder of the table
        os.environ["PYTHONSAFEPATH"] = "1"
    with cli_streams.prepared():
        try:
            with listening(stop, to_the_end=arguments is None):
                return _run(given, stop)
        except cli_streams.AnswerLost as lost:
            return _unheard(lost, stop)
        except KeyboardInterrupt:
            return _stopped(stop)
        except Exception as error:
            if stop.is_waited_for:  # compiled code can turn the exception of a signal into any other
                return _stopped(stop)
            return _explained(error, debug="--debug" in given)


def _stopped(stop: Stop) -> int:
    _say("stopped.")
    return stop.exit_code or INTERRUPTED


def _unheard(lost: cli_streams.AnswerLost, stop: Stop) -> int:
    """The answer did not arrive: its reader had seen enough, or the disk is full."""
    if stop.exit_code is not None:
        return stop.exit_code
    if lost.reader_left:
        return PIPE_CLOSED
    _say(f"the answer cannot be written: {lost}.")
    return INPUT_OUTPUT


def _explained(error: Exception, *, debug: bool) -> int:
    if isinstance(error, UsageError):
        _say(f"{error}\nTry 'ketgrad --help'.")
        return USAGE
    if isinstance(error, KetgradError):
        return _refuse(error, debug=debug)
    if debug:
        _print_trace(error)
    if isinstance(error, MemoryError):
        _say("out of memory. Close other programs, or use a part of the table: --rows 2000.")
        return TRY_AGAIN
    if isinstance(error, OSError):
        place = "" if error.filename is None else f": {str(error.filename)!r}"
        _say(f"input or output failed: {error.strerror or error}{place}")
        return INPUT_OUTPUT
    return _confess(error)  # whatever arrives here is our fault, and is said to be


def _say(message: str) -> None:
    lines = [visible(line, 4000) for line in redact(message).splitlines()]
    print("ketgrad: " + "\n".join(lines), file=sys.stderr)


def _quoted(text: str) -> str:
    return f"'{visible(redact(text), 60)}'"


def _refuse(error: KetgradError, *, debug: bool, code: int | None = None) -> int:
    if debug:
        _print_trace(error)
    if isinstance(error, OSError) and error.strerror:
        _say(f"{error.strerror}: {str(error.filename)!r}")
    else:
        _say(str(error))
    return exit_code(error) if code is None else code


def exit_code(error: KetgradError) -> int:
    """The exit code that says what was wrong."""
    code = getattr(error, "exit_code", None)
    if code is not None:
        return code
    if isinstance(error, KetgradOSError):
        if error.errno in FORBIDDEN_ERRORS:
            return FORBIDDEN
        if error.errno == errno.EAGAIN:  # another run has the file
            return TRY_AGAIN
        return CANNOT_CREATE if error.errno in CREATE_ERRORS else INPUT_OUTPUT
    if isinstance(error, KetgradMemoryError):
        return TRY_AGAIN
    return USAGE if isinstance(error, KetgradImportError) else BAD_DATA


def _confess(error: Exception) -> int:
    name = type(error).__name__
    _say(
        f"this is a fault of ketgrad, not of your data: {name}: {error}\n"
        "Please report it with the output of the same command and --debug."
    )
    return FAULT


def _print_trace(error: BaseException) -> None:
    for line in redact("".join(traceback.format_exception(error))).splitlines():
        print(visible(line, 4000), file=sys.stderr)


# ---------------------------------------------------------------------------------------------- the command line


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    from ketgrad.foundation.version import __version__

    parser = argparse.ArgumentParser(
        prog="ketgrad",
        allow_abbrev=False,
        description="Quantum machine learning with a referee inside: "
        "do quantum models beat tuned classical ones on your data?",
    )
    parser.add_argument("--version", action="version", version=f"ketgrad {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where in the program an error arose")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_compare(commands)
    info = commands.add_parser(
        "info",
        allow_abbrev=False,
        help="versions, instruction set, threads and extras",
        description="Show what is installed and used.",
    )
    draw = commands.add_parser(
        "draw",
        allow_abbrev=False,
        help="draw the circuit of an OpenQASM file",
        description="Draw the circuit of an OpenQASM file.",
    )
    draw.add_argument("file", metavar="FILE.qasm", help="an OpenQASM 2 or 3 file")
    draw.add_argument("--svg", metavar="FILE", help="write a picture instead of text")
    draw.add_argument("--overwrite", action="store_true", help="replace the picture if it exists")
    for command in (info, draw):
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    return parser


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        allow_abbrev=False,
        help="compare quantum with classical models on a table",
        description="Compare quantum with tuned classical models on a table. "
        "Writes report.html, results.json and scores.csv.",
    )
    compare.add_argument("table", metavar="TABLE", nargs="?", help="a CSV, TSV or Parquet file with a header")
    compare.add_argument("--target", metavar="COLUMN", help="the column to predict (required)")
    add = compare.add_argument_group("what is compared").add_argument
    add(
        "--task",
        type=_one_of("classification", "regression"),
        metavar="TASK",
        help="classification or regression; found out if left out",
    )
    add(
        "--metric",
        metavar="NAME",
        help="the score that decides, such as accuracy, balanced_accuracy, roc_auc, r2, rmse",
    )
    add("--models", metavar="A,B", help="only these models, separated by commas")
    add("--drop", action="append", metavar="COLUMN", help="leave this column out; may be given several times")
    add("--candidates", type=_whole(1, 100), metavar="N", help="settings that each model may try")
    add("--folds", type=_whole(2, 100), metavar="N", help="parts that the rows are cut into")
    add("--repeats", type=_whole(1, 100), metavar="N", help="how often they are cut anew")
    add("--qubits", type=_whole(1, 30), metavar="N", help="most qubits that a quantum model may use")
    add("--seed", type=_whole(0, 2**63 - 1), default=0, metavar="N", help="decides every random choice (0)")
    add = compare.add_argument_group("how the table is read").add_argument
    add("--rows", type=_whole(1, 10**9), metavar="N", help="use this many rows, drawn at random")
    add(
        "--missing",
        type=_one_of("median", "drop", "error"),
        metavar="RULE",
        help="missing numbers: median of the training part, drop the rows, or error (refuse the table)",
    )
    add(
        "--text",
        action="append",
        metavar="COLUMN",
        help="a column whose numbers are names; may be given several times",
    )
    add(
        "--separator",
        type=_separator,
        metavar="CHAR",
        help="between the cells of a text file: one character, or tab",
    )
    add("--decimal", type=_one_of(".", ","), metavar="CHAR", help="the decimal sign of a text file")
    add(
        "--encoding", type=_encoding, metavar="NAME", help="of a text file that is not UTF-8, such as latin-1"
    )
    add = compare.add_argument_group("where the results go").add_argument
    add("--out", metavar="DIR", help="folder for the results (ketgrad-TABLE-COLUMN)")
    add("--overwrite", action="store_true", help="replace results that are already there")
    add("--resume", action="store_true", help="go on with the fits of a run that was stopped or killed")
    add(
        "--raw-csv",
        action="store_true",
        help="leave cells of scores.csv as they are, even if they begin like a formula",
    )
    add = compare.add_argument_group("how it runs").add_argument
    add(
        "--threads",
        type=_whole(1, 1024),
        metavar="N",
        help="processes that fit at the same time, with one thread each (all cores)",
    )
    add("--quiet", action="store_true", help="no progress display")
    add(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show where in the program an error arose",
    )


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.strip().lstrip("+-")
        value = int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{_quoted(text)} is not a whole number from {low} to {high}.")
        return value

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"{_quoted(text)} is not known. {near_matches(text, words)}")
        return text

    return parse


def _separator(text: str) -> str:
    words = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " "}
    if text not in words and len(text) != 1:
        raise argparse.ArgumentTypeError(f"{_quoted(text)} is not one character. {near_matches(text, words)}")
    return words.get(text, text)


def _encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except (LookupError, ValueError):
        near = near_matches(text, ("utf-8", "utf-16", "latin-1", "cp1252", "shift_jis", "gb18030"))
        raise argparse.ArgumentTypeError(f"no encoding is called {_quoted(text)}. {near}") from None


def _run(given: list[str], stop: Stop) -> int:
    parser = build_parser()
    commands = {"compare": run_compare, "info": run_info, "draw": run_draw}
    wrong = next((word for word in given[:1] if not word.startswith("-") and word not in commands), None)
    if wrong is not None:
        raise UsageError(f"there is no command {_quoted(wrong)}. {near_matches(wrong, commands)}")
    printed = io.StringIO()  # argparse takes no notice of a stream that cannot be written
    try:
        with contextlib.redirect_stdout(printed):
            options, unknown = parser.parse_known_args(given)
    except SystemExit as ending:  # it ends the process for --help, --version and wrong usage
        cli_streams.answer(printed.getvalue())
        return ending.code if isinstance(ending.code, int) else OK
    if unknown:
        raise UsageError(_unknown_argument(parser, options.command, unknown))
    if options.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    options.arguments, options.stop = given, stop
    return commands[options.command](options)


def _unknown_argument(parser: argparse.ArgumentParser, command: str | None, unknown: list[str]) -> str:
    option = next((word.split("=")[0] for word in unknown if word.startswith("-")), None)
    if option is None:
        return f"unexpected {_quoted(unknown[0])}: `ketgrad {command}` takes one file."
    words = parser.format_help() if command is None else _subparser(parser, command).format_help()
    known = {word.strip("[],=") for word in words.split() if word.startswith(("--", "[--"))}
    return f"there is no option {_quoted(option)}. {near_matches(option, known)}"


def _subparser(parser: argparse.ArgumentParser, command: str) -> argparse.ArgumentParser:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return actions[0].choices[command]


# ------------------------------------------------------------------------------------------------------- compare


def run_compare(options: argparse.Namespace) -> int:
    """`ketgrad compare`: check everything that can be wrong, run the comparison, write, and show the answer."""
    _check_usage(options)
    from ketgrad.referee.table.files import check_file

    check_file(options.table)
    _check_packages()
    folder = Path(options.out or f"ketgrad-{slug(Path(options.table).stem)}-{slug(options.target)}")
    _check_folder(folder, overwrite=options.overwrite, resume=options.resume)
    choices = _choices(options)
    from ketgrad import referee
    from ketgrad.referee.contest.journal import Journal
    from ketgrad.referee.report import terminal

    journal = (Journal.resume if options.resume else Journal.begin)(folder / JOURNAL_FILE)
    with contextlib.closing(journal):
        with terminal.ProgressDisplay(sys.stderr, quiet=options.quiet) as display:
            told = _listener(display, options.stop)
            comparison = referee.compare(
                options.table, options.target, progress=told, journal=journal, **choices
            )
        options.stop.settle()
        return _report(without_secrets(comparison), folder, journal, options)


def _check_usage(options: argparse.Namespace) -> None:
    if options.table is None:
        raise UsageError("`ketgrad compare` needs a table: ketgrad compare TABLE --target COLUMN")
    if options.target is None:
        raise UsageError("`ketgrad compare` needs the column to predict: --target COLUMN")
    if options.resume and options.overwrite:
        raise UsageError("--resume goes on with what is there and --overwrite throws it away: choose one.")


def _listener(display: Callable[[Progress], None], stop: Stop) -> Callable[[Progress], None]:
    """`display`, behind a look whether a signal asks for the end; none may once the last fit is over."""

    def told(event: Progress) -> None:
        if event.kind in ("interrupted", "finished"):
            stop.settle()
        stop.check()
        display(event)

    return told


def _report(comparison: Comparison, folder: Path, journal: Journal, options: argparse.Namespace) -> int:
    """Say the verdict, write the results, say the rest; the fits by themselves are needed no more once all is written.

    Nothing that becomes of the standard output keeps the results from being written.
    """
    from ketgrad.referee.report import terminal

    command = shlex.join(["ketgrad", *map(redact, options.arguments)])
    verdict, details = terminal.answer(comparison, sys.stdout)
    answer = cli_streams.Answer()
    answer.say(verdict)
    try:
        written = write_results(
            comparison,
            folder,
            command,
            overwrite=options.overwrite or options.resume,
            raw_csv=options.raw_csv,
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
    return options.stop.exit_code or (INTERRUPTED if comparison.interrupted else OK)


def _choices(options: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, as arguments of `referee.compare`; the others keep its defaults."""
    names = (
        "task",
        "metric",
        "folds",
        "repeats",
        "candidates",
        "seed",
        "qubits",
        "drop",
        "text",
        "rows",
        "missing",
        "separator",
        "decimal",
        "encoding",
        "threads",
    )
    choices = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.metric is not None:
        choices["metric"] = _known_metric(options.metric)
    if options.models is not None:
        choices["models"] = known_models(options.models)
    return choices


def _known_metric(name: str) -> str:
    from ketgrad.referee.metrics import DECIDING

    known = [metric for metrics in DECIDING.values() for metric in metrics]
    if name not in known:
        raise UsageError(f"there is no metric {_quoted(name)}. {near_matches(name, known)}")
    return name


def known_models(text: str) -> tuple[str, ...]:
    """The models named in `text`, separated by commas; `UsageError` with near matches if one does not exist."""
    from ketgrad.referee import MODELS

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in MODELS:
            raise UsageError(f"there is no model {_quoted(name)}. {near_matches(name, MODELS)}")
    if not names:
        raise UsageError(f"--models names no model. {near_matches('', MODELS)}")
    return names


def _check_packages() -> None:
    from importlib.util import find_spec

    absent = [name for name in COMPARE_PACKAGES if find_spec(name) is None]
    if absent:
        raise KetgradImportError(
            f"`ketgrad compare` needs {', '.join(absent)}, which is not installed. "
            "Install it with: pip install 'ketgrad[compare]'"
        )


def _check_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse before any work what could not be written after it."""
    _check_name(folder)
    journal = folder / JOURNAL_FILE
    for name in OUTPUT_FILES:
        if os.path.lexists(folder / name) and not overwrite and not (resume and journal.is_file()):
            finished = "are there" if not resume else "are complete"
            way_out = (
                f"the results of an earlier run {finished}; add --overwrite, or choose a folder with --out"
            )
            raise KetgradOSError(errno.EEXIST, way_out, str(folder / name))
    if os.path.lexists(journal) and not overwrite and not resume:
        way_out = (
            "the fits of a run that did not end are there; add --resume to go on from them, or --overwrite"
        )
        raise KetgradOSError(errno.EEXIST, way_out, str(journal))
    existing = next(parent for parent in (folder, *folder.absolute().parents) if os.path.lexists(parent))
    if not existing.is_dir():
        raise KetgradOSError(
            errno.ENOTDIR, "the results need a folder, but there is a file in its place", str(existing)
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise KetgradOSError(
            errno.EACCES, "nothing may be written in this folder; choose another with --out", str(existing)
        )


def _check_name(folder: Path) -> None:
    """Refuse a name that no folder can have: too long, or with a NUL character."""
    whole = folder.absolute()
    existing = Path(whole.anchor)
    for part in whole.parts[1:]:
        _refuse_impossible(
            existing / part, folder
        )  # in the last folder that exists, for only names matter here
        existing = existing / part if (existing / part).is_dir() else existing
    _refuse_impossible(whole / max(OUTPUT_FILES, key=len), folder)


def _refuse_impossible(path: Path, folder: Path) -> None:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it contains a NUL character"
        way_out = f"no folder can have this name ({reason}); choose another with --out"
        raise KetgradOSError(errno.ENAMETOOLONG, way_out, visible(folder, 200)) from None


def write_results(
    comparison: Comparison, folder: Path, command: str = "", *, overwrite: bool = False, raw_csv: bool = False
) -> tuple[Path, ...]:
    """Write report.html, scores.csv and results.json into `folder`, all or none, and return their paths.

    They take their places in this order. The report names the digest of the results that it shows.
    """
    from ketgrad.foundation.files import write_together
    from ketgrad.referee.report.page import render
    from ketgrad.referee.report.scores import scores_csv

    texts = (render(comparison, command), scores_csv(comparison, raw=raw_csv), comparison.to_json())
    # A name that is no text in any encoding stays readable: JSON takes \udcff for what it was.
    contents: dict[str | os.PathLike[str], str | bytes] = {
        folder / name: text.encode("utf-8", "backslashreplace")
        for name, text in zip(OUTPUT_FILES, texts, strict=True)
    }
    return write_together(contents, overwrite=overwrite)


# ------------------------------------------------------------------------------------------------- info and draw


def run_info(options: argparse.Namespace) -> int:
    """`ketgrad info`: what is installed, and what would be used."""
    from ketgrad.referee.report.system import info_text

    cli_streams.answer(info_text() + "\n")
    return OK


def run_draw(options: argparse.Namespace) -> int:
    """`ketgrad draw`: the circuit of an OpenQASM file as text, or as an SVG picture in a file."""
    from ketgrad.circuits import openqasm as qasm
    from ketgrad.foundation.files import write_atomically

    try:
        circuit = qasm.read(options.file)
    except KetgradOSError as error:
        code = FORBIDDEN if error.errno in FORBIDDEN_ERRORS else NO_INPUT
        return _refuse(error, debug=options.debug, code=code)
    if options.svg is None:
        cli_streams.answer(circuit.draw() + "\n")
    else:
        path = write_atomically(options.svg, circuit.draw("svg"), overwrite=options.overwrite)
        cli_streams.answer(f"Written: {visible(path, 200)}\n")
    return OK
