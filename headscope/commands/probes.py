"""`headscope lens` and `headscope recovery`: what can be read out linearly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headscope.commands.asking import OUTPUT, TEXTS, chosen_from, flag_of, is_given
from headscope.commands.hands import fleet_of, hands_for
from headscope.commands.options import (
    Adapter,
    Address,
    AsJson,
    Column,
    CpusPerWorker,
    Device,
    DocumentColumn,
    Dtype,
    Engine,
    EngineWorkers,
    GpusPerWorker,
    Mask,
    Model,
    Quantize,
    Revision,
    Sample,
    Seed,
    Stack,
    TextFormat,
)
from headscope.commands.outputs import spare
from headscope.commands.running import bar_instead, print_answer, print_json, print_sheets, working
from headscope.commands.streams import say
from headscope.errors import InputError, needing
from headscope.question.model_choice import ModelChoice

if TYPE_CHECKING:
    from rich.status import Status

    from headscope.scope import Scope
    from headscope.studies.probes.texts import Texts


TextPaths = Annotated[
    list[str], typer.Argument(metavar="TEXTS...", help="Files and directories of texts, or a survey's directory.")
]


def lens(
    ctx: typer.Context,
    texts: TextPaths,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The lens: a safetensors file.", rich_help_panel=OUTPUT)
    ],
    target: Annotated[
        str,
        chosen_from("target", "Whose input embedding z is taken to: own (the own token's), sources (what is mixed)."),
    ] = "own",
    model: Model = None,
    revision: Revision = None,
    adapter: Adapter = None,
    mask: Mask = "model",
    sample: Sample = None,
    seed: Seed = 0,
    text_format: TextFormat = "auto",
    column: Column = "text",
    document_column: DocumentColumn = "document",
    engine: Engine = None,
    workers: EngineWorkers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    stack: Stack = None,
    device: Device = "auto",
    dtype: Dtype = None,
    quantize: Quantize = None,
    as_json: AsJson = False,
) -> None:
    """Fit a linear lens: for every head a map from z to token embeddings, and what it finds on held-out texts."""
    from headscope.keep.files import file_to_write

    file_to_write(output)  # before the minutes, not after
    ending = Path(output).suffix
    if ending not in ("", ".safetensors"):
        raise InputError(
            f"a lens is written as .safetensors, not as {ending}: its scores alone are saved so in Python "
            '(lens.save("lens.html")), and no lens is read from them.'
        )
    spare(output, texts, model, adapter)
    choice = ModelChoice(model, revision, adapter, stack, device, dtype, quantize)
    fleet = fleet_of(engine, workers, cpus_per_worker, gpus_per_worker, address)
    with working("starting") as status:
        from headscope.reading.lens import save_or_keep
        from headscope.studies.probes import fit_lens

        with hands_for(status, choice, fleet) as hands:
            found = _texts(ctx, status, hands.scope, texts, sample, seed, text_format, column, document_column)
            with bar_instead(status, f"Fitting a lens on {len(found.contents):,} texts", "Fitting") as tell:
                made = fit_lens(
                    hands.scope,
                    found.contents,
                    groups=found.groups,
                    target=target,  # type: ignore[arg-type]
                    name=found.name,
                    mask=mask,  # type: ignore[arg-type]
                    seed=seed,
                    tell=tell,
                    hands=hands,
                )
            save_or_keep(made, output)
    if as_json:
        print_json(made.to_dict() | {"file": output})
        return
    print_sheets(made.sheets())
    say(f"Finished: {output}")


def recovery(
    ctx: typer.Context,
    texts: TextPaths,
    offset: Annotated[
        list[int] | None,
        typer.Option(help="i − j; may be repeated. Default: 0, and 1, 2, 4 and 8 to either side."),
    ] = None,
    heads: Annotated[bool, typer.Option("--heads/--no-heads", help="Also from each head alone.")] = True,
    model: Model = None,
    revision: Revision = None,
    adapter: Adapter = None,
    mask: Mask = "model",
    sample: Annotated[int, typer.Option(help="How many texts, drawn at random.", rich_help_panel=TEXTS)] = 200,
    seed: Seed = 0,
    text_format: TextFormat = "auto",
    column: Column = "text",
    document_column: DocumentColumn = "document",
    engine: Engine = None,
    workers: EngineWorkers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    stack: Stack = None,
    device: Device = "auto",
    dtype: Dtype = None,
    quantize: Quantize = None,
    as_json: AsJson = False,
) -> None:
    """Where the information is: how well the token at i is read off z and the residual stream at j, by layer."""
    choice = ModelChoice(model, revision, adapter, stack, device, dtype, quantize)
    fleet = fleet_of(engine, workers, cpus_per_worker, gpus_per_worker, address)
    with working("starting") as status:
        from headscope.studies import probes
        from headscope.studies.probes.offsets import OFFSETS

        with hands_for(status, choice, fleet) as hands:
            found = _texts(ctx, status, hands.scope, texts, sample, seed, text_format, column, document_column)
            with bar_instead(status, f"Recovering tokens in {len(found.contents):,} texts", "Judging maps") as tell:
                made = probes.recovery(
                    hands.scope,
                    found.contents,
                    groups=found.groups,
                    offsets=offset or OFFSETS,
                    heads=heads,
                    mask=mask,  # type: ignore[arg-type]
                    seed=seed,
                    tell=tell,
                    hands=hands,
                )
    print_answer(made, as_json)


def _texts(
    ctx: typer.Context, status: Status, scope: Scope, paths: list[str], sample: int | None, seed: int, *names: str
) -> Texts:
    """The texts that are asked for; `names`: format, column, document column."""
    with needing("these texts need", "survey"):
        from headscope.corpus.asked import CorpusOptions
        from headscope.studies.probes.texts import find_texts, surveys_in

        for name in ("sample", "text_format", "column", "document_column") if surveys_in(paths) else ():
            if is_given(ctx, name):
                raise InputError(f"a survey's texts are those that it measured: leave out {flag_of(ctx, name)}.")

        status.update("counting the texts …")
        kind, column, document_column = names
        asked: dict[str, Any] = {"format": kind, "column": column, "document_column": document_column}
        return find_texts(scope, paths, CorpusOptions(sample=sample, seed=seed, truncate=True, **asked))
