"""The comparison in a terminal: a display that runs along, and the table and the answer at the end.

Names pass `visible`, so that no control character of a file reaches the terminal, and are never read as markup.
Everything works without a terminal, in any locale and at any width.
"""

from __future__ import annotations

import io
import time
from types import TracebackType
from typing import IO, Any

from ketgrad.foundation.errors import missing_extra
from ketgrad.foundation.text import visible
from ketgrad.referee.contest.progress import Progress
from ketgrad.referee.report import wording
from ketgrad.referee.results import Comparison

LEAST_WIDTH = 72
STYLES = {"quantum": "bold magenta", "twin": "magenta", "classical": "cyan", "dummy": "bright_black"}
VERDICT_STYLES = {
    "worse": "bold red",
    "undecided": "bold yellow",
    "equivalent": "bold blue",
    "better": "bold green",
}
SECONDS_BETWEEN_LINES = 10.0


def console(stream: IO[str]) -> Any:
    """A rich console on `stream`: coloured only on a terminal, never narrower than 72 columns.

    Raises `KetgradImportError` if rich is not installed.
    """
    try:
        from rich.console import Console
    except ImportError as error:
        raise missing_extra("rich", "compare") from error
    made = Console(file=stream, highlight=False, markup=False, emoji=False)
    made.width = max(made.width, LEAST_WIDTH)
    return made


class _Page(io.StringIO):
    """Text that is collected for a stream, and coloured if that is a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._is_terminal = stream.isatty()

    def isatty(self) -> bool:
        return self._is_terminal


def answer(comparison: Comparison, stream: IO[str]) -> tuple[str, str]:
    """What `show` prints on `stream` as texts, the verdict and the rest; the stream itself is left alone."""
    texts = []
    for part in (_show_verdict, _show_details):
        page = _Page(stream)
        part(comparison, console(page))
        texts.append(page.getvalue())
    return texts[0], texts[1]


def show(comparison: Comparison, output: Any) -> None:
    """Print the answer, the table and the sentence on entanglement to a rich console."""
    _show_verdict(comparison, output)
    _show_details(comparison, output)


def _show_verdict(comparison: Comparison, output: Any) -> None:
    from rich.text import Text

    output.print()
    output.print(Text(wording.headline(comparison), style=VERDICT_STYLES[wording.tone(comparison)]))
    output.print(Text(visible(comparison.verdict.sentence, 800)))
    output.print()


def _show_details(comparison: Comparison, output: Any) -> None:
    from rich.text import Text

    verdict = comparison.verdict
    output.print(Text(caption(comparison), style="dim"))
    output.print(result_table(comparison))
    output.print()
    if verdict.entanglement:
        output.print(Text(visible(verdict.entanglement, 800)))
    if verdict.minimal_detectable_difference is not None:
        size = wording.numbers_of(comparison).size(verdict.minimal_detectable_difference)
        output.print(
            Text(f"Differences below {size} would often be missed with this many rows.", style="dim")
        )
    failures = sum(len(model.failures) for model in comparison.models)
    if failures:
        words = "1 fit failed and was" if failures == 1 else f"{failures} fits failed and were"
        output.print(
            Text(
                f"{words} given the score of a model that learns nothing; the report says why.", style="bold"
            )
        )
    if comparison.interrupted:
        output.print(Text("Stopped before the end: the numbers use what was finished.", style="bold yellow"))
    output.print()


def result_table(comparison: Comparison) -> Any:
    """The final table as a rich table, best model first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("model", min_width=18, overflow="fold")
    for header in ("mean", "95 % interval", "difference"):
        table.add_column(header, justify="right", no_wrap=True)
    for line in wording.table_lines(comparison):
        interval = f" ({line.difference_interval})" if line.difference_interval else ""
        table.add_row(
            Text(str(line.rank or "")),
            Text(visible(line.title, 60), style=STYLES.get(line.model.family, "")),
            Text(line.score),
            Text(line.interval),
            Text("reference" if line.is_reference else line.difference + interval),
        )
    return table


def caption(comparison: Comparison) -> str:
    """What the columns of the final table hold, as one line."""
    numbers = wording.numbers_of(comparison)
    unit = " in points" if numbers.percent else " (positive is better)"
    return f"{numbers.title}; difference to the best classical model{unit}"


class ProgressDisplay:
    """Shows the events of a comparison while it runs: call it with each `Progress`, inside a `with` block.

    On a terminal it draws a table that renews itself; elsewhere it prints a line every ten seconds. Nothing is
    printed with `quiet`.
    """

    def __init__(self, stream: IO[str], *, quiet: bool = False) -> None:
        self._console = console(stream)
        self._quiet = quiet
        self._live: Any = None
        self._scores: dict[str, list[float]] = {}
        self._done: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._running: dict[str, int] = {}
        self._last: Progress | None = None
        self._received = 0.0
        self._last_line = -SECONDS_BETWEEN_LINES

    def __enter__(self) -> ProgressDisplay:
        if self._console.is_terminal and not self._quiet:
            from rich.live import Live

            self._live = Live(
                console=self._console, get_renderable=self.picture, refresh_per_second=4, transient=True
            )
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
            self._live = None

    def __call__(self, event: Progress) -> None:
        """Take in one event."""
        self._last, self._received = event, time.monotonic()
        if event.model:
            name = visible(event.title or event.model, 40)
            done = event.kind in ("done", "failed")
            self._running[name] = max(0, self._running.get(name, 0) + (event.kind == "started") - done)
            self._done[name] = self._done.get(name, 0) + done
            self._failed[name] = self._failed.get(name, 0) + (event.kind == "failed")
            if done and event.score is not None:
                self._scores.setdefault(name, []).append(event.score)
        if self._live is None and not self._quiet and self._speaks(event):
            if event.kind != "plan":
                self._last_line = event.elapsed_seconds
            self._console.print(self.line(event), soft_wrap=True)

    def _speaks(self, event: Progress) -> bool:
        if event.kind in ("plan", "failed", "warning", "interrupted", "finished"):
            return True
        return event.kind == "done" and event.elapsed_seconds - self._last_line >= SECONDS_BETWEEN_LINES

    def line(self, event: Progress) -> str:
        """One event as one line of plain text."""
        goes_on = event.kind not in ("interrupted", "finished") and (event.seconds_left or 0) >= 1
        left = f"; about {wording.duration(event.seconds_left)} left" if goes_on else ""
        return f"[{event.done}/{event.total}] {visible(event.message, 300)}{left}"

    def picture(self) -> Any:
        """The state of the comparison as a rich renderable."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        event = self._last
        if event is None:
            return Text("reading the table ...", style="dim")
        table = Table.grid(padding=(0, 2))
        for name, done in self._done.items():
            scores = self._scores.get(name, [])
            mean = f"{sum(scores) / len(scores):.3f}" if scores else ""
            failed = f"{self._failed[name]} failed" if self._failed[name] else ""
            bar = ProgressBar(total=max(event.splits, 1), completed=done, width=20, complete_style="magenta")
            table.add_row(
                Text("›" if self._running[name] else " "),
                Text(name),
                bar,
                Text(f"{done}/{event.splits}"),
                Text(mean),
                Text(failed, "red"),
            )
        left = (
            f", about {wording.duration(event.seconds_left)} left" if (event.seconds_left or 0) >= 1 else ""
        )
        status = f"{event.done} of {event.total} fits, {wording.duration(event.elapsed_seconds)}{left}"
        overall = Table.grid(padding=(0, 2))
        overall.add_row(
            ProgressBar(total=max(event.total, 1), completed=event.done, width=24, complete_style="magenta"),
            Text(status),
        )
        return Group(table, Text(), overall, Text("Ctrl-C stops and writes what is done.", style="dim"))
