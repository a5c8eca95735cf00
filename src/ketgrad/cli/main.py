"""The command `ketgrad`: from its arguments to its exit code, whatever happens in between.

Nothing heavy is imported before a command needs it, so that `ketgrad --help` and every refusal of an argument answer at
once. A command is a file beside this one; `command_line` lists them.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from ketgrad.cli import streams
from ketgrad.cli.exit_codes import Exit, exit_code
from ketgrad.cli.session import Session, UsageError
from ketgrad.cli.signals import Stop, listening
from ketgrad.foundation.errors import KetgradError, KetgradImportError
from ketgrad.foundation.text import redact, visible


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (those of the process by default) and return the exit code."""
    given = tuple(sys.argv[1:] if arguments is None else arguments)
    session = Session(given, Stop())
    if arguments is None:  # no process that this one starts may take a module from the folder of the table
        os.environ["PYTHONSAFEPATH"] = "1"
    with streams.prepared():
        try:
            with listening(session.stop, to_the_end=arguments is None):
                return int(_run(session))
        except streams.AnswerLost as lost:
            return _unheard(lost, session.stop)
        except KeyboardInterrupt:
            return _stopped(session.stop)
        except Exception as error:
            if session.stop.is_waited_for:  # compiled code can turn the exception of a signal into any other
                return _stopped(session.stop)
            return _explained(error, session)


def _run(session: Session) -> int:
    try:
        from ketgrad.cli.command_line import job_of
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        raise KetgradImportError(
            "the command `ketgrad` needs click, which is not installed. "
            "Install it with: pip install 'ketgrad[compare]'"
        ) from None
    return job_of(session.arguments)(session)


def _stopped(stop: Stop) -> int:
    _say("stopped.")
    return stop.exit_code or Exit.INTERRUPTED


def _unheard(lost: streams.AnswerLost, stop: Stop) -> int:
    """The answer did not arrive: its reader had seen enough, or the disk is full."""
    if stop.exit_code is not None:
        return stop.exit_code
    if lost.reader_left:
        return Exit.PIPE_CLOSED
    _say(f"the answer cannot be written: {lost}.")
    return Exit.INPUT_OUTPUT


def _explained(error: Exception, session: Session) -> int:
    """Say what was wrong, in words; the traceback only for those who asked for it."""
    if isinstance(error, UsageError):
        _say(f"{error}\nTry '{error.command} --help'.")
        return Exit.USAGE
    if session.debug:
        _print_trace(error)
    if isinstance(error, KetgradError):
        return _refused(error)
    if isinstance(error, MemoryError):
        _say("out of memory. Close other programs, or use a part of the table: --rows 2000.")
        return Exit.TRY_AGAIN
    if isinstance(error, OSError):
        place = "" if error.filename is None else f": {str(error.filename)!r}"
        _say(f"input or output failed: {error.strerror or error}{place}")
        return Exit.INPUT_OUTPUT
    return _confessed(error)  # whatever arrives here is our fault, and is said to be


def _refused(error: KetgradError) -> int:
    if isinstance(error, OSError) and error.strerror:
        _say(f"{error.strerror}: {str(error.filename)!r}")
    else:
        _say(str(error))
    return exit_code(error)


def _confessed(error: Exception) -> int:
    name = type(error).__name__
    _say(
        f"this is a fault of ketgrad, not of your data: {name}: {error}\n"
        "Please report it with the output of the same command and --debug."
    )
    return Exit.FAULT


def _say(message: str) -> None:
    lines = [visible(line, 4000) for line in redact(message).splitlines()]
    print("ketgrad: " + "\n".join(lines), file=sys.stderr)


def _print_trace(error: BaseException) -> None:
    for line in redact("".join(traceback.format_exception(error))).splitlines():
        print(visible(line, 4000), file=sys.stderr)
