"""`headscope look`: one text, in tables, JSON or CSV."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headscope.commands.asking import COMPARED, OUTPUT, TEXT, chosen_from, is_given
from headscope.commands.options import Adapter, AsJson, Device, Dtype, Mask, Memory, Model, Quantize, Revision, Stack
from headscope.commands.outputs import spare
from headscope.commands.passages import Chat, Ids, Pair, Special, System, given
from headscope.commands.running import isolate, open_scope, print_json, print_tables, terminal_width, working
from headscope.commands.streams import write_data
from headscope.errors import InputError
from headscope.question import defaults, meanings
from headscope.question.model_choice import ModelChoice
from headscope.question.question import Question

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from headscope.model.card import Card
    from headscope.model.tokens import Token


def look(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The text to read; - is standard input.")] = defaults.TEXT,
    model: Model = None,
    revision: Revision = None,
    adapter: Adapter = None,
    pair: Pair = None,
    special: Special = True,
    chat: Chat = False,
    system: System = None,
    ids: Ids = None,
    token: Annotated[
        str, typer.Option(help="A position (digits), or the text of a token; '=2023' is a text too.")
    ] = str(defaults.TOKEN),
    layer: Annotated[int, typer.Option(help="From 0.")] = 0,
    view: Annotated[
        str,
        chosen_from(
            "view",
            "heads, atlas (every layer and head), attention, written (which tokens of the text each output of a "
            "head is near to, beside its attention); through the layers: journey (of every token), mixing, glance "
            "(every head in five numbers), effects (of every head on the output at the token); of one layer: portrait "
            "(whole words that each head resembles, and where it looked), removed (what is lost without each).",
        ),
    ] = "heads",
    head: Annotated[
        int | None, typer.Option(help="With --view written: whose matrices; without it, of the largest mean Carry.")
    ] = None,
    weigh: Annotated[str, chosen_from("weigh", "With --view attention: by what a source counts.")] = "weights",
    space: Annotated[str, chosen_from("space", "What is compared.", panel=COMPARED)] = "value",
    reference: Annotated[
        str | None,
        chosen_from(
            "reference",
            f"Without it: {defaults.REFERENCE}. "
            + " ".join(f"{name}: {meaning}" for name, meaning in meanings.REFERENCES.items()),
            panel=COMPARED,
        ),
    ] = None,
    metric: Annotated[str, chosen_from("metric", "How far apart two vectors are.", panel=COMPARED)] = "cosine",
    position: Annotated[
        bool,
        typer.Option(
            "--position/--no-position",
            help="Add the token's position embedding to the vocabulary.",
            rich_help_panel=COMPARED,
        ),
    ] = True,
    mask: Mask = "model",
    candidates: Annotated[str, chosen_from("candidates", "Who may be a neighbour.", panel=COMPARED)] = "all",
    vector: Annotated[
        str, chosen_from("vector", "What the head's side is: z (its output), q, k, v.", panel=COMPARED)
    ] = "z",
    at: Annotated[
        int | None,
        typer.Option(
            help="The position at which the vocabulary stands; without it, the token's own.", rich_help_panel=COMPARED
        ),
    ] = None,
    why: Annotated[
        int | None, typer.Option(help="A head: split its neighbours' scores over the positions that it mixed.")
    ] = None,
    hubs: Annotated[
        bool,
        typer.Option(
            "--hubs",
            help="Hub-aware neighbours beside the raw ones, and what chance would give; with --view atlas: chance "
            "beside each layer's shares.",
            rich_help_panel=COMPARED,
        ),
    ] = False,
    bank: Annotated[
        str | None,
        typer.Option(
            help="With --hubs: a file of other texts, one a line; else English sentences.", rich_help_panel=COMPARED
        ),
    ] = None,
    lens: Annotated[
        str | None, typer.Option(help="For the space fitted: a file of headscope lens.", rich_help_panel=COMPARED)
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "-k", help=f"How many neighbours; without it {defaults.K}, in a journey 10.", rich_help_panel=COMPARED
        ),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(
            help="L5H1=zero or L5H1=mean: replace the z of a head while the model reads; may be repeated.",
            rich_help_panel=TEXT,
        ),
    ] = None,
    isolated: Annotated[
        bool,
        typer.Option("--isolated", help="With --view journey: the rank among the vocabulary read alone too."),
    ] = False,
    replace_by: Annotated[str, chosen_from("replace_by", "With --view effects: zero, mean (over the text).")] = "zero",
    stack: Stack = None,
    decoder_text: Annotated[
        str | None, typer.Option(help="What the decoder reads; else the text again.", rich_help_panel=TEXT)
    ] = None,
    device: Device = "auto",
    dtype: Dtype = None,
    quantize: Quantize = None,
    memory: Memory = None,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut a text that is too long for the model.", rich_help_panel=TEXT)
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the view into a file instead, by its ending: .html (token, layer, head switch in it), .md, "
            ".csv, .json, .svg, .pdf, .png.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the rows of the view as CSV, and nothing else.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Show, for every head of a layer, what its output at a token is nearest to; or another view of the text."""
    from headscope.commands import look_views as views

    edits, passage = views.edits(edit or []), given(context, text, pair, special, chat, system, ids)
    choices: dict[str, Any] = {"space": space, "reference": reference, "metric": metric, "candidates": candidates}
    choices |= {"vector": vector, "at": at}
    question = Question(layer, use_position=position, k=defaults.K if k is None else k, **choices)
    choices |= {"layer": layer, "head": head, "position": position, "k": k, "weigh": weigh, "isolated": isolated}
    choices = {name: value for name, value in choices.items() if is_given(context, name)} | {"token": _token(token)}
    if is_given(context, "replace_by"):
        choices["replaced_by"] = replace_by
    if output is not None:
        views.to_write(output)
        spare(output, (lens, bank), model, adapter)
    asked = views.ViewOptions(choices["token"], question, choices, why, hubs, bank)
    with working("starting") as status:
        scope = open_scope(status, ModelChoice(model, revision, adapter, stack, device, dtype, quantize), memory)
        if lens is not None:
            scope.use_lens(lens)
        status.update("reading the text …")
        options: dict[str, Any] = {"mask": mask, "decoder_text": decoder_text, "truncate": truncate, "edit": edits}
        reading = scope.read(**passage.given, **options)
        if reference == "isolated":
            isolate(status, scope)
        if isolated:
            isolate(status, scope, "streams")
        shown = views.view(view)(scope, reading, asked, status.update)
        if output is not None:
            status.update(f"writing {output} …")
            views.write(shown, output)
    if as_json:
        print_json(shown.told)
        return
    if as_csv:
        from headscope.show.rows import csv_of

        write_data(csv_of(shown.rows))
        return
    if output is not None:
        from headscope.keep.cells import visible

        write_data(visible(f"Written: {output}") + "\n")  # not wrapped: a path is copied whole
        return

    width, gap = terminal_width(), ""
    tokens = _token_line(reading.tokens, shown.told["selected"], width)
    top: list[RenderableType] = [_model_line(scope.card), gap, tokens, gap]
    print_tables([*top, *(part for tables in shown.tables for part in tables(width))])


def _model_line(card: Card) -> Text:
    """Which model is open, why, and how well its capture proved itself."""
    from rich.text import Text

    return Text.assemble((card.name, "bold"), (f" · {card.why}\n{card.shape}", "dim"))


def _token(given: str) -> int | str:
    """Digits are a position; `=2023` is a text."""
    if given.startswith("=") and len(given) > 1:
        return given[1:]
    if not (given.isascii() and given.isdigit()):
        return given
    if len(given) > 18:
        raise InputError(f"there is no position of {len(given)} digits; ={given[:20]}… is a text.")
    return int(given)


def _token_line(tokens: Iterable[Token], selected: int, width: int) -> Text:
    """The tokens of a text with their positions, the selected one marked; never broken inside a token."""
    from rich.text import Text

    shown, used = Text(), 0
    for token in tokens:
        style = "bold reverse" if token.position == selected else "dim" if token.special else ""
        piece = Text.assemble((f"{token.position} ", "dim"), (token.label, style))
        if used and used + piece.cell_len > width:
            shown, used = shown.append("\n"), 0
        shown.append_text(piece).append("  ")
        used += piece.cell_len + 2
    return shown
