"""The command line: `headscope` and its commands."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn, cast

import typer

from headscope import __version__
from headscope.commands.asking import Command
from headscope.commands.corpus import capacity, claims, report, survey
from headscope.commands.look import look
from headscope.commands.maps import draw_map
from headscope.commands.models import models, serve
from headscope.commands.probes import lens, recovery
from headscope.commands.streams import complain, give_up, say, standard_streams
from headscope.cores.environment import share_the_cores
from headscope.errors import HeadscopeError, InputError
from headscope.keep.cache import lend_to_matplotlib

# ClickException, of the click that this typer brings.
_Mistyped = cast("type[Exception]", typer.BadParameter.__mro__[2])

app = typer.Typer(
    name="headscope",
    help="See what every attention head of a transformer writes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        say(__version__)
        raise typer.Exit


app.command(cls=Command)(look)
app.command("map", cls=Command)(draw_map)
for command in (serve, models, survey, report, claims, capacity, lens, recovery):
    app.command(cls=Command)(command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; a user's mistake ends in one sentence and exit code 2, a model's fault in 1."""
    share_the_cores(os.environ)  # torch is not loaded yet
    lend_to_matplotlib(os.environ)
    code = 0
    with standard_streams() as out:
        try:
            code = _run(arguments)
            out.flush()
        except OSError:
            if out.fault is None:
                raise
        if out.fault is not None:
            code = max(code, give_up(out))
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        left = app(arguments, prog_name="headscope", standalone_mode=False)  # by whatever it was started
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 0
    except HeadscopeError as error:
        complain(error)
        return 2 if isinstance(error, InputError) else 1
    except _Mistyped as error:
        return _mistyped(error)
    except typer.Abort:
        complain("stopped.")
        return 1
    return left or 0


def _mistyped(error: Any) -> int:
    """A command line that typer refuses, in one sentence; where nothing is asked, its help is told already."""
    message = error.format_message().strip()
    if message:
        sentence = message[0].lower() + message[1:].rstrip(".")
        if "extra argument" in sentence and any(one.name == "text" for one in error.ctx.command.params):
            sentence += ": a text of several words stands in quotation marks"
        command = error.ctx.command_path if error.ctx else "headscope"
        complain(f"{' '.join(sentence.split())}; {command} --help tells what there is.")
    code: int = error.exit_code
    return code


if __name__ == "__main__":
    main()
