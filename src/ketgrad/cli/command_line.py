"""The words of the command line: from arguments to a job, or to a refusal that offers what was meant."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
from collections.abc import Sequence

import click

from ketgrad.cli import compare, draw, info, streams
from ketgrad.cli.exit_codes import Exit
from ketgrad.cli.parameters import debug_flag
from ketgrad.cli.session import Job, Session, UsageError
from ketgrad.foundation.errors import near_matches
from ketgrad.foundation.version import __version__
from ketgrad.referee.options import quoted

SHELL_ASKS = "_KETGRAD_COMPLETE"  # by this variable a shell asks click for completions
COMMANDS = (compare.COMMAND, info.COMMAND, draw.COMMAND)
NAMES = tuple(command.name or "" for command in COMMANDS)


def _ketgrad() -> click.Group:
    return click.Group(
        "ketgrad",
        commands=COMMANDS,
        params=[
            debug_flag(hidden=False),
        ],
        help="Quantum machine learning with a referee inside: do quantum models beat tuned classical ones on your"
        " data?",
        subcommand_metavar="COMMAND [ARGUMENTS]",
        callback=lambda debug: None,
    )


def job_of(arguments: Sequence[str]) -> Job:
    """What the command line asks for; raises `UsageError` for one that cannot be understood.

    The help is a job, too: click writes it without taking notice of a stream that cannot be written.
    """
    group = click.version_option(__version__, message="%(prog)s %(version)s")(_ketgrad())
    if not arguments and SHELL_ASKS not in os.environ:
        return functools.partial(_show_help_on_stderr, group)
    if arguments:
        _refuse_unknown_command(arguments)
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    try:
        with contextlib.redirect_stdout(printed):
            job = group.main(list(arguments), prog_name="ketgrad", standalone_mode=False)
    except SystemExit:  # a shell has asked for completions
        job: Job | None = None
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        raise _refusal(error, arguments) from None
    return job if callable(job) else functools.partial(_answer, _text(printed))


def _text(printed: io.TextIOWrapper) -> str:
    printed.seek(0)
    return printed.read()


def _answer(text: str, session: Session) -> int:
    streams.answer(text)
    return Exit.OK


def _show_help_on_stderr(group: click.Group, session: Session) -> int:
    with click.Context(group, info_name="ketgrad") as context:
        print(context.get_help(), file=sys.stderr)
    return Exit.USAGE


def _refuse_unknown_command(arguments: Sequence[str]) -> None:
    if not arguments[0].startswith("-") and arguments[0] not in NAMES:
        raise UsageError(f"there is no command {quoted(arguments[0])}. {near_matches(arguments[0], NAMES)}")


def _refusal(error: click.ClickException, arguments: Sequence[str]) -> UsageError:
    """What click says, in our words: the option, the fault, and what was meant."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    words = ["ketgrad", *[word for word in arguments[:1] if word in NAMES]]
    command = " ".join(words) if context is None else context.command_path
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and context is not None:
        known = [name for option in context.command.get_params(context) for name in option.opts]
        offers = near_matches(error.option_name, [name for name in known if name.startswith("--")])
        message = f"there is no option {quoted(error.option_name)}. {offers}"
    elif isinstance(error, click.BadParameter) and error.param is not None and error.message:
        message = f"{error.param.opts[0]}: {error.message}"
    return UsageError(message, command)
