"""The command with contestants that nap, loaded no earlier than others: python napping.py SECONDS ARGUMENTS."""

from __future__ import annotations

import sys

from ketgrad.cli import main as cli


def main() -> int:
    """The command; what it compares is exchanged when it has been asked for."""
    seconds, sys.argv[1:] = float(sys.argv[1]), sys.argv[2:]
    choices = cli._choices

    def exchange(options):
        import nappers

        from ketgrad.referee import run

        run.CONTESTANTS = nappers.contestants(seconds)
        return choices(options)

    cli._choices = exchange
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
