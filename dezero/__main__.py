"""``python -m dezero``."""

import sys

from dezero.cli import main

if __name__ == "__main__":
    sys.exit(main())
