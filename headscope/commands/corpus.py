"""`headscope survey`, `report`, `claims` and `capacity`: what is asked of many texts."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from headscope.commands.asking import COMPARED, OUTPUT, TEXTS, chosen_from
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
    GenreColumn,
    GpusPerWorker,
    LanguageColumn,
    Mask,
    Memory,
    Model,
    ModelArgument,
    PageDirectory,
    Quantize,
    Revision,
    Sample,
    Seed,
    Stack,
    TextFormat,
    Truncate,
)
from headscope.commands.running import going_on_later, isolate, print_answer, working
from headscope.commands.streams import say, tell
from headscope.errors import InputError, needing
from headscope.question.model_choice import ModelChoice


def survey(
    texts: Annotated[
        list[str] | None, typer.Argument(help="Files and directories of texts, here or at s3://; - is standard input.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="The survey's directory, here or at s3://; an unfinished one goes on.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    model: Model = None,
    revision: Revision = None,
    adapter: Adapter = None,
    space: Annotated[
        list[str] | None,
        chosen_from("space", "What is compared; may be repeated. Default: value.", but=("fitted",), panel=COMPARED),
    ] = None,
    reference: Annotated[
        list[str] | None,
        chosen_from(
            "reference",
            "Whose projection encodes the vocabulary; may be repeated. Default: input and layer.",
            panel=COMPARED,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        chosen_from("metric", "How far apart two vectors are; may be repeated. Default: cosine.", panel=COMPARED),
    ] = None,
    mask: Annotated[
        list[str] | None, chosen_from("mask", "Attention mask; may be repeated. Default: model.", panel=COMPARED)
    ] = None,
    position: Annotated[
        bool,
        typer.Option(
            "--position/--no-position",
            help="Add the token's position embedding to the vocabulary.",
            rich_help_panel=COMPARED,
        ),
    ] = True,
    candidates: Annotated[str, chosen_from("candidates", "Who may be a neighbour.", panel=COMPARED)] = "all",
    sample: Sample = None,
    seed: Seed = 0,
    null: Annotated[list[str] | None, chosen_from("null", "Also measure a null; may be repeated.")] = None,
    text_format: TextFormat = "auto",
    column: Column = "text",
    document_column: DocumentColumn = "document",
    genre_column: GenreColumn = "genre",
    language_column: LanguageColumn = None,
    truncate: Truncate = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Also measure the residual stream, after every attention and layer.")
    ] = False,
    shard_positions: Annotated[int, typer.Option(help="About how many tokens a shard has.")] = 4096,
    share: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="I/N",
            help="Measure only part I of N; any number of runs may be at work in one directory.",
        ),
    ] = None,
    finish: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Compute the statistics of a survey whose parts are all there; no model."),
    ] = None,
    engine: Engine = None,
    workers: EngineWorkers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    stack: Stack = None,
    device: Device = "auto",
    dtype: Dtype = None,
    quantize: Quantize = None,
    memory: Memory = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask after the plan.")] = False,
) -> None:
    """Measure a corpus: what every head's output is nearest to, and what of it differs from chance."""
    with needing("a survey needs", "survey"):
        from headscope.studies.survey.fleet import run_by
        from headscope.studies.survey.on_store import survey_in
    from headscope.corpus.run import WHOLE, Part
    from headscope.keep.files import directory_to_write
    from headscope.keep.remote import is_remote
    from headscope.show.progress import watched
    from headscope.studies.survey.options import SurveyOptions, checked_nulls
    from headscope.studies.survey.plan import show

    if finish is not None:
        _finish(finish, texts, output)
        return
    if not texts or output is None:
        raise InputError("name the texts, and the survey's directory: headscope survey TEXTS -o DIR.")
    here = WHOLE if share is None else Part.spelled(share)
    asked: dict[str, Any] = {"spaces": space, "references": reference, "metrics": metric, "masks": mask}
    asked = {name: tuple(values) for name, values in asked.items() if values}
    asked |= {"position": position, "candidates": candidates, "sample": sample, "seed": seed, "truncate": truncate}
    asked |= {"stream": stream, "format": text_format, "column": column, "document_column": document_column}
    asked |= {"genre_column": genre_column, "language_column": language_column}
    options = SurveyOptions(**asked, shard_positions=shard_positions)  # checks them
    nulls = checked_nulls(null or ())
    if not is_remote(output):
        directory_to_write(output)
    choice = ModelChoice(model, revision, adapter, stack, device, dtype, quantize)
    fleet = fleet_of(engine, workers, cpus_per_worker, gpus_per_worker, address)
    if fleet is not None and is_remote(output):
        raise InputError(
            f"the workers of a cluster write into a directory that all of them see, and {output} is on an object "
            "store: give such a directory, or leave out --engine and give every machine its --part."
        )
    with ExitStack() as until_the_end:
        with working("starting") as status:
            hands = until_the_end.enter_context(hands_for(status, choice, fleet, memory))
            scope = hands.scope
            if "isolated" in options.references and fleet is None:
                isolate(status, scope)
            prepared = survey_in(output).prepare(
                scope, texts, output, options, part=here, say=lambda step: status.update(f"{step} …")
            )
            quick = yes or fleet is not None
            status.update("planning …" if quick else "estimating the time …")
            plan = prepared.plan(nulls, 0.0) if quick else prepared.plan(nulls)
        for line in show(plan, scope.card, output).splitlines():
            tell(line)
        if plan.shards > plan.done and not yes and sys.stdin.isatty():
            typer.confirm("Begin?", default=True, abort=True)
        with going_on_later("measured"), watched() as progress:
            run_by(hands, prepared, nulls, progress)
    if here == WHOLE:
        _conclude(output)
    else:
        say(f"Part {share} is there. Once all parts are: headscope survey --finish {shlex.quote(output)}")


def _finish(directory: str, texts: list[str] | None, output: str | None) -> None:
    from headscope.studies.survey.on_store import finish

    if texts or output is not None:
        raise InputError(f"--finish {directory} stands alone: it needs neither texts nor -o.")
    with working("computing the statistics"):
        finish(directory)
    _conclude(directory)


def _conclude(directory: str) -> None:
    from headscope.keep.remote import is_remote
    from headscope.studies.survey.away import brought
    from headscope.studies.survey.opened import notes_of
    from headscope.studies.survey.report.three_lines import of_directory

    say(f"Finished: {directory}/statistics.parquet")
    with brought([directory], shards=False) as (here,):
        for line in (*of_directory(here), *notes_of(here)):
            tell(line)
    report = f"{here.name if is_remote(directory) else directory.rstrip(os.sep)}-report"
    say(f"Next: headscope report {shlex.quote(directory)} -o {shlex.quote(report)}")


def report(
    directories: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="Directories of finished surveys, here or at s3://.")
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Where the report is written: a directory.")],
) -> None:
    """Write a report on surveys: one HTML page, Markdown with figures as SVG files, and the numbers as CSV."""
    with needing("a report needs", "survey"):
        from headscope.studies.survey.report.write import write_report
    with working("reading the surveys") as status:
        page = write_report(directories, output, say=lambda step: status.update(f"{step} …"))
    say(f"Finished: {page}")


def claims(
    model: ModelArgument = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            help="Files and directories of texts, tagged ones (CoNLL-U) best; may be repeated.", rich_help_panel=TEXTS
        ),
    ] = None,
    survey: Annotated[
        str | None,
        typer.Option(help="A finished survey of the same weights, whose texts serve.", rich_help_panel=TEXTS),
    ] = None,
    sample: Sample = None,
    seed: Seed = 0,
    mask: Mask = "model",
    output: PageDirectory = None,
    engine: Engine = None,
    workers: EngineWorkers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    address: Address = None,
    revision: Revision = None,
    adapter: Adapter = None,
    stack: Stack = None,
    device: Device = "auto",
    dtype: Dtype = None,
    quantize: Quantize = None,
    as_json: AsJson = False,
) -> None:
    """Every claim of the experiment that headscope began with, and a verdict on it for this model."""
    with needing("claims need", "survey"):
        from headscope.studies.claims.run import ClaimsAsked, settle
    from headscope.show.progress import watched
    from headscope.studies.claims.page import refuse_foreign, write_page

    asked = ClaimsAsked.of(texts, survey, mask, sample, seed)
    if output is not None:
        refuse_foreign(output)
    choice = ModelChoice(model, revision, adapter, stack, device, dtype, quantize)
    fleet = fleet_of(engine, workers, cpus_per_worker, gpus_per_worker, address)
    if fleet is not None and output is None:
        raise InputError("the workers of a cluster write into a directory that all of them see: name it with -o DIR.")
    with ExitStack() as until_the_end:
        with working("starting") as status:
            hands = until_the_end.enter_context(hands_for(status, choice, fleet))
        with watched() as progress:
            found = settle(hands.scope, asked, output, progress, hands)
        page = None if output is None else write_page(found, output)
    print_answer(found, as_json, page)


def capacity(
    model: ModelArgument = None,
    texts: Annotated[
        list[str] | None, typer.Option(help="Files and directories of texts; may be repeated.", rich_help_panel=TEXTS)
    ] = None,
    revision: Revision = None,
    adapter: Adapter = None,
    output: PageDirectory = None,
    part: Annotated[
        list[str] | None,
        chosen_from("part", "What is asked; may be repeated. Default: dimension and number."),
    ] = None,
    site: Annotated[
        list[str] | None,
        chosen_from("site", "Where encodings are cut; may be repeated. Default: all but head."),
    ] = None,
    keep: Annotated[
        list[float] | None, typer.Option(help="A share of the dimensions and encodings that is kept; may be repeated.")
    ] = None,
    mask: Mask = "model",
    sample: Annotated[int, typer.Option(help="How many texts, drawn at random; 0: all.", rich_help_panel=TEXTS)] = 200,
    seed: Seed = 0,
    text_format: TextFormat = "auto",
    column: Column = "text",
    document_column: DocumentColumn = "document",
    truncate: Truncate = False,
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
    """Measure how many dimensions, and how many encodings, each layer needs; and repeat what others measured."""
    with needing("capacity needs", "survey"):
        from headscope.studies.capacity.page import write_page
        from headscope.studies.capacity.run import Run
    from headscope.keep.files import directory_to_write
    from headscope.show.progress import watched
    from headscope.studies.capacity.options import CapacityOptions

    asked: dict[str, Any] = {"parts": part, "sites": site, "keep": keep}
    asked = {name: tuple(values) for name, values in asked.items() if values}
    asked |= {"mask": mask, "sample": sample or None, "seed": seed, "truncate": truncate}
    options = CapacityOptions(**asked, format=text_format, column=column, document_column=document_column)  # type: ignore[arg-type]
    if output is not None:
        directory_to_write(output)
    choice = ModelChoice(model, revision, adapter, stack, device, dtype, quantize)
    fleet = fleet_of(engine, workers, cpus_per_worker, gpus_per_worker, address)
    with ExitStack() as until_the_end:
        with working("starting") as status:
            hands = until_the_end.enter_context(hands_for(status, choice, fleet))
            run = Run.prepare(hands.scope, texts or [], options, output, say=lambda step: status.update(f"{step} …"))
        with watched(run.announced) as progress:
            found = run.run(progress, hands)
    page = None if output is None else write_page(found, output)
    print_answer(found, as_json, page)
