"""`python -m headscope` is `headscope`: the command line, which Ctrl+C ends in a line from its first moment on."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; what it imports takes a moment, too."""
    try:
        from headscope.commands.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("headscope: stopped.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
