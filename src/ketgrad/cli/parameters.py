"""How the rows of a table of options become options of the command line, and their help in groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ketgrad.referee.options import DEFAULTS, OPTIONS, RUN, Option


class RowValue(click.ParamType):
    """The values that a row of the table parses."""

    def __init__(self, row: Option) -> None:
        self.name = row.metavar
        self._parse = row.parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What a word stands for; what it cannot stand for is refused with the row's own sentence."""
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class GroupedOption(click.Option):
    """An option that stands in a group of the help."""

    def __init__(self, *names: str, group: str, **settings: Any) -> None:
        super().__init__(list(names), **settings)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists its options group by group."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups in the order in which they begin, then what stands in none."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and not isinstance(param, click.Argument):
                groups.setdefault(getattr(param, "group", "help"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group[:1].upper() + group[1:]):
                formatter.write_dl(records)


def debug_flag(*, hidden: bool) -> GroupedOption:
    """`--debug`, which every command takes as the program itself does."""
    return GroupedOption(
        "--debug", group=RUN, is_flag=True, hidden=hidden, help="Show where in the program an error arose."
    )


def options_of_rows(groups: Sequence[str]) -> list[click.Parameter]:
    """One option for each row of the table, in the order of the groups."""
    return [_option(name, row) for group in groups for name, row in OPTIONS.items() if row.group == group]


def _option(name: str, row: Option) -> GroupedOption:
    default = DEFAULTS[name]
    shown = "" if default is None or default == () else f" ({default})"
    return GroupedOption(
        "--" + name.replace("_", "-"),
        group=row.group,
        type=RowValue(row),
        metavar=row.metavar,
        multiple=row.repeated,
        help=row.help[:1].upper() + row.help[1:] + shown + ".",
    )


def chosen(given: dict[str, Any]) -> dict[str, Any]:
    """The values of the rows that were given; the others keep the defaults of `compare`."""
    return {name: given[name] for name in OPTIONS if given[name] not in (None, ())}
