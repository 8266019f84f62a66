"""The views of `headscope look`: what each asks of a reading, as tables, as a JSON object and as rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from headscope.errors import InputError
from headscope.show.progress import Say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from headscope.question.question import Question
    from headscope.reading.answer import Answer
    from headscope.reading.bank import Bank
    from headscope.reading.offers import Offer
    from headscope.reading.reading import Reading
    from headscope.scope import Scope

Record = dict[str, Any]
Tables = Callable[[int], "list[RenderableType]"]


@dataclass(frozen=True)
class ViewOptions:
    """The options that a view may depend on, as they were given; the library checks them.

    `choices`: those of a question of a reading that stand on the command line, by its names for them, and the token.
    """

    token: int | str
    question: Question  # of the heads
    choices: Mapping[str, Any]
    why: int | None
    hubs: bool
    bank: str | None


@dataclass(frozen=True)
class LookView:
    """A view of a reading: its JSON object, its rows, the answers that its files are of, and its tables for a width."""

    told: Record
    rows: Sequence[Mapping[str, Any]]
    answers: Sequence[Answer]
    tables: list[Tables] = field(default_factory=list)


def heads(scope: Scope, reading: Reading, asked: ViewOptions, say: Say) -> LookView:
    """What every head of a layer is nearest to; its rows are the neighbours."""
    from headscope.reading.told import look_record
    from headscope.reading.why import together
    from headscope.show.sheet import Sheet, grouped
    from headscope.show.terminal import tables as laid_out

    def tables(sheets: Sequence[Sheet], width: int) -> list[RenderableType]:
        return laid_out(grouped(sheets, scope.card.heads, scope.card.kv_heads), width)

    say(f"encoding the vocabulary ({scope.card.vocab_size:,} tokens) …")
    near = reading.ask_nearest(asked.question, asked.token)
    positions = reading.nearest_positions(asked.token, near.question.layer or 0, near.question.metric)
    told: Record = dict(look_record(scope.card, reading, near, positions))
    shown = LookView(told, near.rows(), [near, positions])
    held = None
    if asked.hubs:
        say("reading other texts …")
        held = scope.bank(asked.bank, mask=reading.mask)
        say(f"comparing {len(held):,} other outputs …")
        background = reading.background(near, held)
        told["background"] = background.to_dict()
        shown = LookView(told, background.rows(), [background, near, positions])
        shown.tables.append(lambda width: tables(background.sheets(), width))
    else:
        shown.tables.append(lambda width: tables(near.sheets(), width))
    shown.tables.append(lambda width: tables(positions.sheets(), width))
    if asked.question.vector == "z":
        told["verdict"] = _verdict(reading, asked, held)
        shown.tables.append(lambda width: _paragraph(told["verdict"]))
    if asked.why is not None:
        reasons = [near.why(asked.why, id) for id in near.ids[asked.why % len(near.ids)].tolist()]
        told["why"] = [why.to_dict() for why in reasons]
        shown = replace(shown, answers=[*shown.answers, *reasons])
        shown.tables.append(lambda width: tables([together(reasons)], width))
    return shown


def _verdict(reading: Reading, asked: ViewOptions, bank: Bank | None) -> str:
    """What the layer, or the head that is asked why, writes of this text's own tokens, in words."""
    of = asked.question
    found = reading.standing(asked.token, of.layer or 0, of.space, of.reference, of.metric, of.use_position, bank=bank)
    return found.says() if asked.why is None else found.says_of(asked.why % len(found.ranks))


def _paragraph(words: str) -> list[RenderableType]:
    from rich.text import Text

    from headscope.keep.cells import isolated

    return [Text(isolated(words)), ""]


_SAYS = {
    "atlas": "encoding the vocabulary ({vocabulary:,} tokens) …",
    "written": "encoding the vocabulary ({vocabulary:,} tokens) …",
    "journey": "following {tokens} tokens through {layers} layers …",
    "effects": "running the text {runs} times …",
}


def view(name: str) -> Callable[[Scope, Reading, ViewOptions, Say], LookView]:
    """How a view is made: that of the heads, or what a reading answers by the name."""
    from headscope.reading.offers import offers

    return heads if name == "heads" else partial(_answered, offers()[name])


def _answered(offer: Offer, scope: Scope, reading: Reading, asked: ViewOptions, say: Say) -> LookView:
    """An answer as it is; its record says what was read, and which token is selected, too."""
    from headscope.reading.atlas import Atlas
    from headscope.reading.told import read_record
    from headscope.show.sheet import grouped
    from headscope.show.terminal import tables

    card, tokens = scope.card, len(reading.tokens)
    size = {"vocabulary": card.vocab_size, "layers": card.layers, "runs": card.layers * card.heads + 1}
    say(_SAYS.get(offer.name, "working it out …").format(tokens=tokens, **size))
    found, selected = offer.asked(reading, asked.choices), reading.position_of(asked.token)
    if asked.hubs and isinstance(found, Atlas):
        say("reading other texts …")
        found = reading.atlas_chance(found, scope.bank(asked.bank, mask=reading.mask))
    told = {**read_record(card, reading), "selected": selected, **found.to_dict()}
    return LookView(
        told,
        found.rows(),
        [found],
        [lambda width: tables(grouped(found.sheets_at(selected), card.heads, card.kv_heads), width)],
    )


def to_write(path: str) -> None:
    """InputError for a file that no view can be written into, before any work is done."""
    from headscope.reading.answer import ENDINGS, to_save

    to_save(path, ENDINGS)


def write(shown: LookView, path: str) -> None:
    """Write a view into a file, by its ending: all answers alive, or what the first of them has."""
    from headscope.reading.alive import View

    if path.lower().endswith(".html"):
        View(tuple(shown.answers)).save(path)
    else:
        shown.answers[0].save(path)


def edits(given: Sequence[str]) -> dict[tuple[int, int], Any]:
    """What `--edit` asks for: (layer, head) → "zero" or "mean". InputError for one that does not say so.

    >>> edits(["L5H1=zero", "L0H11=mean"])
    {(5, 1): 'zero', (0, 11): 'mean'}
    """
    found: dict[tuple[int, int], str] = {}
    for one in given:
        parts = re.fullmatch(r"L(\d{1,9})H(\d{1,9})=(zero|mean)", one, re.ASCII)
        if parts is None:
            raise InputError(f"--edit is {one!r}; it is a head and what its z becomes: L5H1=zero, L5H1=mean.")
        head = int(parts[1]), int(parts[2])
        if found.setdefault(head, parts[3]) != parts[3]:
            raise InputError(f"--edit names L{head[0]}H{head[1]} twice, with zero and with mean.")
    return found
