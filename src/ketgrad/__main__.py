"""`python -m ketgrad` is `ketgrad`."""

import sys

from ketgrad.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
