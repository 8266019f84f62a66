"""The command line: `headscope` and its commands."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from headscope import __version__
from headscope.commands.corpus import capacity, claims, report, survey
from headscope.commands.look import look
from headscope.commands.maps import draw_map
from headscope.commands.models import models, serve
from headscope.commands.probes import lens, recovery
from headscope.errors import HeadscopeError, InputError

app = typer.Typer(
    name="headscope",
    help="See what every attention head of a transformer writes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


app.command()(look)
app.command("map")(draw_map)
for command in (serve, models, survey, report, claims, capacity, lens, recovery):
    app.command()(command)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; a user's mistake ends in one sentence and exit code 2, a model's fault in 1."""
    try:
        app(arguments)
    except HeadscopeError as error:
        sys.stderr.write(f"headscope: {error}\n")
        sys.exit(2 if isinstance(error, InputError) else 1)


if __name__ == "__main__":
    main()
