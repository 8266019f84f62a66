"""`headscope map`: one head's space as a drawing."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headscope.commands.asking import COMPARED, OUTPUT, TEXT, chosen_from
from headscope.commands.options import Adapter, Device, Dtype, Mask, Model, Quantize, Revision, Stack
from headscope.commands.outputs import spare
from headscope.commands.passages import Chat, Ids, Pair, Special, System, given
from headscope.commands.running import isolate, open_scope, working
from headscope.commands.streams import say, tell
from headscope.errors import InputError
from headscope.question import defaults
from headscope.question.model_choice import ModelChoice


def draw_map(
    context: typer.Context,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="The file: .svg, .png, .pdf, .html, .md, .json, .csv.", rich_help_panel=OUTPUT
        ),
    ],
    text: Annotated[str, typer.Argument(help="The text to read; - is standard input.")] = defaults.TEXT,
    also: Annotated[
        list[str] | None,
        typer.Option("--with", help="Another text, placed into the same map; may be repeated.", rich_help_panel=TEXT),
    ] = None,
    model: Model = None,
    revision: Revision = None,
    adapter: Adapter = None,
    pair: Pair = None,
    special: Special = True,
    chat: Chat = False,
    system: System = None,
    ids: Ids = None,
    layer: Annotated[int, typer.Option(help="From 0.")] = 0,
    head: Annotated[int, typer.Option(help="From 0.")] = 0,
    method: Annotated[str, chosen_from("method", "How the dimensions become two.")] = "tsne",
    space: Annotated[
        str, chosen_from("space", "What is drawn.", but=("key", "query", "fitted"), panel=COMPARED)
    ] = "value",
    reference: Annotated[
        str | None,
        chosen_from(
            "reference", f"Whose projection encodes the vocabulary. Without it: {defaults.REFERENCE}.", panel=COMPARED
        ),
    ] = None,
    metric: Annotated[
        str, chosen_from("metric", "How far apart two vectors are.", but=("dot",), panel=COMPARED)
    ] = "cosine",
    at: Annotated[
        int | None,
        typer.Option(help="The position at which the vocabulary stands. Without it: none.", rich_help_panel=COMPARED),
    ] = None,
    candidates: Annotated[
        str, chosen_from("candidates", "Which vocabulary tokens are drawn from.", panel=COMPARED)
    ] = "all",
    size: Annotated[int, typer.Option(help="How many vocabulary tokens.", rich_help_panel=COMPARED)] = 2000,
    k: Annotated[
        int,
        typer.Option(
            "-k", help="How many of the nearest tokens of each output are among them.", rich_help_panel=COMPARED
        ),
    ] = 10,
    perplexity: Annotated[float, typer.Option(help="Of t-SNE: about how many neighbours count.")] = 30,
    seed: Annotated[int, typer.Option(help="Of the random rest, and of t-SNE.")] = 0,
    theme: Annotated[str | None, chosen_from("theme", "Of a drawing. Without it: light.", panel=OUTPUT)] = None,
    mask: Mask = "model",
    stack: Stack = None,
    device: Device = "auto",
    dtype: Dtype = None,
    quantize: Quantize = None,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut texts that are too long for the model.", rich_help_panel=TEXT)
    ] = False,
) -> None:
    """Draw one head's space in two dimensions: the vocabulary, and the values and outputs of texts."""
    passage = given(context, text, pair, special, chat, system, ids)
    passages = [passage, *(passage.saying(one) for one in also or [])]
    with working("starting") as status:
        from headscope.question.choices import THEMES, one_of
        from headscope.reading.answer import ENDINGS, FIGURES, SCHEMA, as_json, saved, to_save
        from headscope.reading.told import read_record

        ending, _ = to_save(output, ENDINGS)  # before the minutes, not after
        spare(output, (), model, adapter)
        if theme is not None:
            one_of("theme", theme, THEMES)
            if ending not in FIGURES:
                raise InputError(f"--theme is for a drawing, and {ending} is none: leave it out.")
        scope = open_scope(status, ModelChoice(model, revision, adapter, stack, device, dtype, quantize))
        status.update("reading the text …")
        options: Any = {"mask": mask, "truncate": truncate}
        readings = [scope.read(**one.given, **options) for one in passages]
        if reference == "isolated":
            isolate(status, scope)
        status.stop()  # t-SNE shows a bar of its own
        choices: Any = {"space": space, "reference": reference, "metric": metric, "candidates": candidates}
        choices |= {"method": method, "at": at, "size": size, "k": k, "seed": seed}
        choices |= {"perplexity": perplexity} if method == "tsne" else {}
        made = readings[0].map(layer, head, **choices)
        status.start()
        status.update("drawing …")
        for other in readings[1:]:
            made = made.place(other)
        if ending == ".json":
            told = {"schema": SCHEMA, **read_record(scope.card, readings[0]), **made.to_dict()}
            saved(output, {ending: lambda: as_json(told) + b"\n"})
        else:
            made.save(output, theme or "light")  # type: ignore[arg-type]
    for sentence in (*made.facts, *(f"Note: {note}" for note in made.notes)):
        tell(sentence)
    say(f"Finished: {output}")
