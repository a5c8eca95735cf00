"""One run of the command: what it was given, and whether a signal asks for its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ketgrad.cli.signals import Stop


@dataclass(frozen=True)
class Session:
    """The arguments of the command, and the signals that it hears."""

    arguments: tuple[str, ...]
    stop: Stop

    @property
    def debug(self) -> bool:
        """Whether tracebacks are asked for."""
        return "--debug" in self.arguments


# What a command line asks for, to be done: answers with the exit code.
Job = Callable[[Session], int]


class UsageError(Exception):
    """A command line that asks for something that does not exist; `command` has the help."""

    def __init__(self, message: str, command: str = "ketgrad") -> None:
        super().__init__(message)
        self.command = command
