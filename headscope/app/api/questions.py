"""The questions about a text: each is one function of its turn and what is asked, and returns the answer's record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from headscope.app.api.addressed import ViewAsk
from headscope.app.api.answers import (
    AllHeadsRecord,
    AttendedRecord,
    ComparedRecord,
    ExplainedRecord,
    FollowedRecord,
    FoundLayerRecord,
    GlancedRecord,
    HeldRecord,
    Introduced,
    LaidOut,
    LookedRecord,
    LostRecord,
    MixedRecord,
    PatternRecord,
    PortraitCardsRecord,
    StoodWhereRecord,
    TakenOutRecord,
    TextRecord,
    VisitRecord,
    WorkedOutRecord,
    WrittenWhereRecord,
)
from headscope.app.api.asks import (
    AllHeadsAsk,
    AttentionAsk,
    BackgroundAsk,
    CompareAsk,
    EffectsAsk,
    GlanceAsk,
    JourneyAsk,
    LaidOutAsk,
    MixingAsk,
    NearestAsk,
    ReadAsk,
    RemovedAsk,
    StandingAsk,
    VisitAsk,
    WhyAsk,
    WorkedAsk,
    WrittenAsk,
)
from headscope.app.api.limits import Limits
from headscope.app.page import visit as visiting
from headscope.app.page.method import method
from headscope.app.page.verdict import verdict
from headscope.errors import InputError
from headscope.keep.memory import Recent
from headscope.model.card import Card
from headscope.question.choices import Replacement, Weigh
from headscope.reading.answer import Answer
from headscope.reading.atlas import Atlas
from headscope.reading.attention import pattern as pattern_sheet
from headscope.reading.comparison import compared
from headscope.reading.effects import Effects
from headscope.reading.nearest import Neighbors
from headscope.reading.positions import PositionNeighbors
from headscope.reading.reading import Reading
from headscope.reading.records import LookRecord
from headscope.reading.standing import Standing
from headscope.reading.told import look_record, read_record
from headscope.reading.worked import Worked
from headscope.reading.written import Written
from headscope.scope import Scope
from headscope.show import html
from headscope.show.brief import brief
from headscope.show.sheet import Sheet, grouped

A = TypeVar("A", bound=Answer)


@dataclass(frozen=True)
class Turn:
    """A question's turn: its text as the model read it, and the server's bounds; `other` makes the turn beside it.

    `kept` holds answers that many requests are made of, under the `key` of their reading.
    """

    scope: Scope
    reading: Reading
    limits: Limits
    other: Callable[[CompareAsk], OtherSide]
    kept: Recent[Answer]
    key: Hashable

    @property
    def card(self) -> Card:
        """What is known of the model that the text was read by."""
        return self.reading.bench.card

    def once(self, ask: Callable[..., A], *choices: Hashable, tell: Callable[[A], None] | None = None) -> A:
        """What a method of the reading answers, worked out once for as long as it is kept; `tell`: who hears meanwhile
        how far that is."""
        self.reading.bench.check()

        def work() -> A:
            found = ask(*choices) if tell is None else ask(*choices, tell)
            return dataclasses.replace(found, asking=None)  # what is kept holds no reading

        return work() if self.key is None else self.kept.made((self.key, ask.__name__, choices), work)


class OtherSide(NamedTuple):
    """The other side of a comparison: its turn, and its question, the token found."""

    turn: Turn
    ask: NearestAsk


def read(turn: Turn, ask: ReadAsk) -> TextRecord:
    """The text's tokens."""
    return {**read_record(turn.card, turn.reading), "notes": list(turn.reading.notes)}


def nearest(turn: Turn, ask: NearestAsk) -> LookedRecord:
    """The nearest tokens and positions of every head of a layer."""
    found, places = near(turn.reading, ask), near_positions(turn.reading, ask)
    record = look_record(turn.card, turn.reading, found, places)
    return {**record, **_introduced(turn, ask, found, record, (found, places))}


def background(turn: Turn, ask: BackgroundAsk) -> HeldRecord:
    """What other texts' outputs say of the nearest tokens."""
    held = turn.reading.background(near(turn.reading, ask))
    return {**held.to_dict(), **laid_out(turn, ask, held.sheets)}


def why(turn: Turn, ask: WhyAsk) -> ExplainedRecord:
    """One token's score in a head, split over the sources."""
    split = near(turn.reading, ask).why(ask.head, ask.id)
    return {**split.to_dict(), **laid_out(turn, ask, split.sheets)}


def worked(turn: Turn, ask: WorkedAsk) -> WorkedOutRecord:
    """One distance worked out, in numbers and as HTML."""
    steps = work_out(turn.reading, near(turn.reading, ask), ask.head, ask.id)
    return {**steps.to_dict(), "html": steps._repr_html_()}


def compare(turn: Turn, ask: CompareAsk) -> ComparedRecord:
    """The nearest tokens on both sides, and what differs."""
    other = turn.other(ask)
    both = compared(near(turn.reading, ask), near(other.turn.reading, other.ask))
    places = near_positions(turn.reading, ask)
    one = look_record(turn.card, turn.reading, both.one, places)
    return {
        "one": one,
        "other": _look(other.turn, other.ask, both.other),
        "heads": both.rows(),
        **_introduced(turn, ask, both.one, one, (both, places)),
    }


def _introduced(
    turn: Turn, ask: NearestAsk, near: Neighbors, record: LookRecord, answers: Sequence[Answer]
) -> Introduced:
    """Answers laid out, a portrait of the heads, and the method."""
    if not ask.html:
        return {}
    portrait = turn.reading.ask_portrait(near)
    told: PortraitCardsRecord = {
        "says": portrait.says,
        "shown": portrait.shown,
        "says_shown": portrait.says_shown,
        "cards": [html.cards(card) for card in portrait.cards()],
    }
    tables = laid_out(turn, ask, lambda: [sheet for one in answers for sheet in one.sheets()])
    return {**tables, "portrait": told, "method": method(record, turn.card)}


def atlas(turn: Turn, ask: AllHeadsAsk) -> AllHeadsRecord:
    """The nearest token of every layer and head."""

    def atlas_beside_chance(*choices: Any) -> Atlas:
        return turn.reading.atlas_chance(
            turn.once(turn.reading.ask_atlas, *choices), turn.scope.bank(mask=turn.reading.mask)
        )

    found = turn.once(atlas_beside_chance if ask.chance else turn.reading.ask_atlas, ask.of_all_layers, ask.token)
    return {**found.to_dict(), **laid_out(turn, ask, lambda: [found.by_head()] if ask.by_head else found.sheets())}


def atlas_by_layer(turn: Turn, ask: AllHeadsAsk, tell: Callable[[FoundLayerRecord], None]) -> AllHeadsRecord:
    """The same; `tell` hears of each layer when it is found."""
    told = 0

    def found(so_far: Atlas) -> None:
        nonlocal told
        record, layers = so_far.to_dict(), range(told, len(so_far.ids))
        told = layers.stop
        for layer in layers:
            tell(
                {
                    "layer": layer,
                    "reference": record["reference"],
                    "cells": [cell for cell in record["cells"] if cell["layer"] == layer],
                    "rates": record["layers"][layer],
                    **laid_out(turn, ask, partial(so_far.of_layer, layer)),
                }
            )

    turn.once(turn.reading.ask_atlas, ask.of_all_layers, ask.token, tell=found)
    return atlas(turn, ask)


def attention(turn: Turn, ask: AttentionAsk) -> AttendedRecord:
    """What a layer's heads attend to at a token, and one head's whole pattern where it is asked for."""
    found = turn.reading.attention(ask.token, ask.layer, ask.weigh)
    if ask.head is None:
        return {**found.to_dict(), "pattern": None, **laid_out(turn, ask, found.sheets)}
    tokens, most = turn.reading.tokens, turn.limits.pattern
    if len(tokens) > most:
        raise InputError(f"the text has {len(tokens)} tokens; this server gives whole patterns of up to {most}.")
    pattern: PatternRecord = {
        "head": ask.head,
        "queries": pattern_of(turn.reading, ask.layer, ask.weigh, ask.head),
    }
    own, sees = found.token.position, turn.reading.attended(ask.layer).visible.tolist()
    whole = pattern_sheet(ask.layer, ask.head, tokens, pattern["queries"], sees, ask.weigh, own)
    return {**found.to_dict(), "pattern": pattern, **laid_out(turn, ask, lambda: (*found.sheets(), whole))}


def written(turn: Turn, ask: WrittenAsk) -> WrittenWhereRecord:
    """What a layer's heads write where, within the text; kept, for another head of the layer asks for the same."""
    _check_matrices(turn)
    choices = (ask.layer, ask.space, ask.reference, ask.metric, ask.position)
    found = turn.once(turn.reading.written, *choices).of(ask.head)
    return {**found.to_dict(), **laid_out(turn, ask, found.sheets)}


def standing(turn: Turn, ask: StandingAsk) -> StoodWhereRecord:
    """Where the text's tokens stand under every head's output, and what that says."""
    found = standing_of(turn, ask)
    if ask.head is not None:
        _check_head(ask.head, len(found.ranks))
    told: LaidOut = {"html": verdict(found, ask.head)} if ask.html else {}
    return {**found.to_dict(), **told}


def journey(turn: Turn, ask: JourneyAsk) -> FollowedRecord:
    """Every token's residual stream, stage by stage."""
    found = turn.once(turn.reading.journey, ask.k, ask.position, ask.isolated)
    at = None if ask.token is None else turn.reading.position_of(ask.token)
    return {**found.to_dict(), **laid_out(turn, ask, lambda: found.sheets() if at is None else [found.of(at)])}


def mixing(turn: Turn, ask: MixingAsk) -> MixedRecord:
    """How much of every layer's output comes from other positions."""
    found = turn.once(turn.reading.mixing)
    at = None if ask.token is None else turn.reading.position_of(ask.token)
    if ask.by_head and at is None:
        raise InputError("by_head lays out what each head mixes at a token: name the token.")

    def sheets() -> Sequence[Sheet]:
        if at is None:
            return found.sheets()
        return [found.by_head(at)] if ask.by_head else found.sheets_at(at)

    return {**found.to_dict(), **laid_out(turn, ask, sheets)}


def glance(turn: Turn, ask: GlanceAsk) -> GlancedRecord:
    """Every head in five numbers."""
    found = turn.once(turn.reading.glance)
    return {**found.to_dict(), **laid_out(turn, ask, found.sheets)}


def effects(turn: Turn, ask: EffectsAsk) -> LostRecord:
    """What the output loses without each head."""
    found = effects_of(turn, ask.token, ask.replaced_by)
    return {**found.to_dict(), **laid_out(turn, ask, lambda: [found.by_head()] if ask.by_head else found.sheets())}


def removed(turn: Turn, ask: RemovedAsk) -> TakenOutRecord:
    """What the output loses without each head of a layer."""
    _check_runs(turn, turn.card.heads + 1)
    found = turn.once(turn.reading.removed, ask.token, ask.layer, ask.replaced_by)
    return {**found.to_dict(), **laid_out(turn, ask, found.sheets)}


def visit(turn: Turn, ask: VisitAsk) -> VisitRecord:
    """What a first visitor is shown of the text."""
    return visiting.steps(turn.reading, lambda asked, position: turn.once(turn.reading.ask_atlas, asked, position))


def near(reading: Reading, ask: NearestAsk) -> Neighbors:
    """A question's nearest tokens, from its reading."""
    return reading.ask_nearest(ask.question, ask.token)


def near_positions(reading: Reading, ask: NearestAsk) -> PositionNeighbors:
    """The text's positions by their distance, as many as are asked for."""
    order = reading.nearest_positions(ask.token, ask.layer, ask.metric)
    return dataclasses.replace(
        order, positions=order.positions[:, : ask.positions], distances=order.distances[:, : ask.positions]
    )


def work_out(reading: Reading, nearest: Neighbors, head: int, id: int | None) -> Worked:
    """One distance of an answer worked out; id None: the head's nearest token."""
    _check_head(head, len(nearest.ids))
    return reading.work_out(nearest, head, int(nearest.ids[head, 0]) if id is None else id)


def pattern_of(reading: Reading, layer: int, weigh: Weigh, head: int) -> list[list[float]]:
    """The whole pattern of a head: what each query (a row) mixes of each source."""
    heads = reading.pattern_of(layer, weigh)
    _check_head(head, len(heads))
    queries: list[list[float]] = heads[head].tolist()
    return queries


def written_of(turn: Turn, ask: ViewAsk) -> Written:
    """What is written where, of a view that is taken away; InputError where the text is too long."""
    _check_matrices(turn)
    return turn.reading.written(ask.layer, ask.space, ask.reference, ask.metric, ask.position, ask.head)


def _check_matrices(turn: Turn) -> None:
    tokens, most = len(turn.reading.tokens), turn.limits.pattern
    if tokens > most:
        raise InputError(
            f"the text has {tokens} tokens; this server gives whole matrices of up to {most}: take a shorter text. The "
            "command line has no such limit."
        )


def standing_of(turn: Turn, ask: StandingAsk) -> Standing:
    """Where the text's tokens stand; kept, for another head of the layer asks for the same."""
    choices = (ask.token, ask.layer, ask.space, ask.reference, ask.metric, ask.position)
    if not ask.others:
        return turn.once(turn.reading.standing, *choices)

    def standing_beside_others(*choices: Any) -> Standing:
        return turn.reading.standing(*choices, bank=turn.scope.bank(mask=ask.mask))

    return turn.once(standing_beside_others, *choices)


def effects_of(turn: Turn, token: int | str, replaced_by: Replacement = "zero") -> Effects:
    """The effects of all heads; InputError where they take too long."""
    card = turn.card
    _check_runs(turn, card.layers * card.heads + 1)
    return turn.once(turn.reading.effects, token, replaced_by)


def _check_runs(turn: Turn, runs: int) -> None:
    length, most = len(turn.reading.tokens), turn.limits.effects
    if runs * length > most:
        raise InputError(
            f"the effects of these heads take {runs} runs of {length} tokens, and this server does {most:,} tokens "
            "at most: take a shorter text. The command line has no such limit."
        )


def laid_out(turn: Turn, ask: LaidOutAsk, sheets: Callable[[], Sequence[Sheet]]) -> LaidOut:
    """The answer as HTML, where it is asked for: as briefly as the page says it."""
    if not ask.html:
        return {}
    card = turn.card
    return {"html": html.tables(brief(grouped(sheets(), card.heads, card.kv_heads)))}


def _look(turn: Turn, ask: NearestAsk, nearest: Neighbors) -> LookRecord:
    return look_record(turn.card, turn.reading, nearest, near_positions(turn.reading, ask))


def _check_head(head: int, heads: int) -> None:
    if head >= heads:
        raise InputError(f"there is no head {head}; the layer's heads are 0 to {heads - 1}.")
