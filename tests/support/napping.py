"""The command with contestants that nap, loaded no earlier than others: python napping.py SECONDS ARGUMENTS."""

from __future__ import annotations

import sys

from ketgrad.cli import main as cli


def main() -> int:
    """The command; what it compares is exchanged when it has been asked for."""
    seconds, sys.argv[1:] = float(sys.argv[1]), sys.argv[2:]
    understood = cli._run

    def exchanged(session):
        from ketgrad.cli import compare

        checked = compare._check_packages

        def exchange() -> None:
            import nappers

            from ketgrad.referee import run

            run.CONTESTANTS = nappers.contestants(seconds)
            checked()

        compare._check_packages = exchange
        return understood(session)

    cli._run = exchanged
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
