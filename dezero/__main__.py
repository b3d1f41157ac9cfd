"""``python -m dezero``."""

import sys

if __name__ == "__main__":
    try:
        from dezero.cli import main

        sys.exit(main())
    except KeyboardInterrupt:  # before there is a run that could be left in order
        sys.exit(130)
