"""The views of `headscope look`: what each asks of a reading, as tables, as a JSON object and as rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from headscope.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from headscope.question.question import Question
    from headscope.reading.answer import Answer
    from headscope.reading.reading import Reading
    from headscope.scope import Scope
    from headscope.show.sheet import Sheet

Record = dict[str, Any]
Say = Callable[[str], None]
Tables = Callable[[int], "list[RenderableType]"]


@dataclass(frozen=True)
class Asked:
    """The options that a view may depend on, as they were given; the library checks them."""

    token: int | str
    question: Question  # its k is the default where none was given
    k: int | None
    weigh: str
    why: int | None
    hubs: bool
    bank: str | None
    replace_by: str
    isolated: bool


@dataclass(frozen=True)
class Shown:
    """A view of a reading: its JSON object, its rows, and its tables for a width."""

    told: Record
    rows: Sequence[Mapping[str, Any]]
    tables: list[Tables] = field(default_factory=list)


def heads(scope: Scope, reading: Reading, asked: Asked, say: Say) -> Shown:
    """What every head of a layer is nearest to; its rows are the neighbours."""
    from headscope.reading.told import look_record
    from headscope.reading.why import together
    from headscope.show.terminal import tables

    say(f"encoding the vocabulary ({scope.card.vocab_size:,} tokens) …")
    near = reading.ask_nearest(asked.question, asked.token)
    positions = reading.nearest_positions(asked.token, near.question.layer or 0, near.question.metric)
    told: Record = dict(look_record(scope.card, reading, near, positions))
    shown = Shown(told, near.rows())
    if asked.hubs:
        say("reading other texts …")
        held = scope.bank(asked.bank, mask=reading.mask)
        say(f"comparing {len(held):,} other outputs …")
        background = reading.background(near, held)
        told["background"] = background.to_dict()
        shown = Shown(told, background.rows())
        shown.tables.append(lambda width: tables(background.sheets(), width))
    else:
        shown.tables.append(lambda width: tables(near.sheets(), width))
    shown.tables.append(lambda width: tables(positions.sheets(), width))
    if asked.why is not None:
        reasons = [near.why(asked.why, id) for id in near.ids[asked.why % len(near.ids)].tolist()]
        told["why"] = [why.to_dict() for why in reasons]
        shown.tables.append(lambda width: tables([together(reasons)], width))
    return shown


def atlas(scope: Scope, reading: Reading, asked: Asked, say: Say) -> Shown:
    """The nearest token of every layer and head."""
    from headscope.reading.told import read_record
    from headscope.show.terminal import tables

    say(f"encoding the vocabulary ({scope.card.vocab_size:,} tokens) …")
    found = reading.ask_atlas(replace(asked.question, layer=None, k=1), asked.token)
    told = {**read_record(scope.card, reading), **found.to_dict()}
    return Shown(told, found.rows(), [lambda width: tables(found.sheets(), width)])


def attention(scope: Scope, reading: Reading, asked: Asked, say: Say) -> Shown:
    """What every head of a layer mixes at a token."""
    from headscope.reading.told import read_record
    from headscope.show.terminal import tables

    found = reading.attention(asked.token, asked.question.layer or 0, asked.weigh)  # type: ignore[arg-type]
    told = {**read_record(scope.card, reading), **found.to_dict()}
    return Shown(told, found.rows(), [lambda width: tables(found.sheets(), width)])


def journey(scope: Scope, reading: Reading, asked: Asked, say: Say) -> Shown:
    """Every token's residual stream against its own input embedding."""
    say(f"following {len(reading.tokens)} tokens through {scope.card.layers} layers …")
    k: Record = {} if asked.k is None else {"k": asked.k}
    found = reading.journey(**k, position=asked.question.use_position, isolated=asked.isolated)
    return _of_text(scope, reading, asked, found, found.sheets())


def mixing(scope: Scope, reading: Reading, asked: Asked, say: Say) -> Shown:
    """How much of every layer's output comes from other positions."""
    found = reading.mixing()
    return _of_text(scope, reading, asked, found, [found.at(reading.position_of(asked.token))])


def glance(scope: Scope, reading: Reading, asked: Asked, say: Say) -> Shown:
    """Every head in five numbers."""
    found = reading.glance()
    return _of_text(scope, reading, asked, found, found.sheets())


def effects(scope: Scope, reading: Reading, asked: Asked, say: Say) -> Shown:
    """What the output at a token loses without each head."""
    say(f"running the text {scope.card.layers * scope.card.heads + 1} times …")
    found = reading.effects(asked.token, asked.replace_by)  # type: ignore[arg-type]
    return _of_text(scope, reading, asked, found, found.sheets())


VIEWS: dict[str, Callable[[Scope, Reading, Asked, Say], Shown]] = {
    view.__name__: view for view in (heads, atlas, attention, journey, mixing, glance, effects)
}


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


def _of_text(scope: Scope, reading: Reading, asked: Asked, found: Answer, sheets: Sequence[Sheet]) -> Shown:
    """An answer about the whole text; its record says what was read and which token is selected too."""
    from headscope.reading.told import read_record
    from headscope.show.terminal import tables

    about = {**read_record(scope.card, reading), "selected": reading.position_of(asked.token)}
    return Shown({**about, **found.to_dict()}, found.rows(), [lambda width: tables(sheets, width)])
