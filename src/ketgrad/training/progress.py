"""The progress of a search: one line that redraws itself, or whatever a caller does with the steps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ketgrad.foundation.errors import KetgradTypeError, shown
from ketgrad.training.run import Step

Listener = Callable[[Step], Any]
Progress = bool | Listener


@contextmanager
def progress_shown(progress: Any) -> Iterator[list[Listener]]:
    """The listeners that `progress` asks for: a line on stderr for True, a function itself, none for False.

    The line ends with the context. Raises `KetgradTypeError` for anything else.

    >>> with progress_shown(False) as listeners:
    ...     listeners
    []
    """
    check_progress(progress)
    if not progress:
        yield []
        return
    listener = progress if callable(progress) else ProgressLine()
    try:
        yield [listener]
    finally:
        if isinstance(listener, ProgressLine):
            listener.close()


def check_progress(progress: Any) -> None:
    """Raise `KetgradTypeError` unless it is True, False or a function."""
    if not (callable(progress) or isinstance(progress, bool | np.bool_)):
        raise KetgradTypeError(
            f"`progress` must be True, False or a function of a Step, but is {shown(progress)}."
        )


class ProgressLine:
    """One line on stderr that redraws itself ten times a second; one line every ten seconds into a file."""

    def __init__(self, out: Any = None) -> None:
        self.out = sys.stderr if out is None else out
        self.live = self.out.isatty()
        self.pause = 0.1 if self.live else 10.0
        self.due = 0.0
        self.text = ""
        self.shown = ""

    def __call__(self, step: Step) -> None:
        """Draw the step if the last drawing is old enough."""
        self.text = (
            f"step {step.number}/{step.max_steps}  loss {step.value:.6g}  best {step.best_value:.6g}  "
            f"{step.seconds:.1f} s"
        )
        if step.seconds >= self.due:
            self.due = step.seconds + self.pause
            self._draw()

    def close(self) -> None:
        """Show the last step and end the line."""
        if self.text and self.text != self.shown:
            self._draw()
        if self.live and self.shown:
            self.out.write("\n")
            self.out.flush()

    def _draw(self) -> None:
        self.out.write(f"\r\x1b[K{self.text}" if self.live else f"{self.text}\n")
        self.out.flush()
        self.shown = self.text
