"""`python -m headscope` is `headscope`."""

from headscope.commands.cli import main

main()
