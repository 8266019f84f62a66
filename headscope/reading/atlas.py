"""The nearest token of every layer and head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import starmap

import torch
from torch import Tensor

from headscope.inference.estimates import number
from headscope.model.tokens import Token, TokenName
from headscope.question import notes
from headscope.question.kinds import KINDS
from headscope.question.question import Question
from headscope.question.shown import Summarised
from headscope.reading.answer import SCHEMA, Answer, choices, question_record, token_cell
from headscope.reading.bank_records import AtlasChanceRecord, AtlasHeldRecord, WindowRecord
from headscope.reading.records import CellRecord, RatesRecord
from headscope.show.heat import grounded
from headscope.show.marks import KEY
from headscope.show.numbers import percent
from headscope.show.sheet import Cell, Row, Sheet, head_rows, of_heads


@dataclass(frozen=True, eq=False, repr=False)
class LayerChance(Summarised):
    """What the outputs of other texts at positions `first` to `last` are nearest to, seen from this text.

    kinds uint8 [layer, output × head]: indices of headscope.question.kinds.KINDS. `tied` bool, likewise: all tokens are
    as near to the output, so none is the nearest. `outputs` of the bank of that name.
    """

    kinds: Tensor
    tied: Tensor
    first: int
    last: int
    outputs: int
    bank: str

    def rates(self) -> Tensor:
        """The share of them in each layer that is of a kind: [layer, kind], kinds as in KINDS."""
        return _counts(self.kinds, self.tied) / self.kinds.shape[1]


@dataclass(frozen=True, repr=False, eq=False)
class Atlas(Answer):
    """For every layer and head, the one vocabulary token that the head's output at a token is nearest to.

    ids, distances, own_rank [layer, head], 0 where the token has no rank; kinds uint8 [layer, head]: indices of
    headscope.question.kinds.KINDS. `tied` bool [layer, head]: all tokens are as near, and the id is the first of them.
    """

    question: Question
    token: Token
    ids: Tensor
    distances: Tensor
    own_rank: Tensor
    kinds: Tensor
    tied: Tensor
    places: Mapping[int, tuple[int, ...]]  # positions of the ids that the text has, itself or in another form
    names: Mapping[int, TokenName]
    notes: tuple[str, ...]
    chance: LayerChance | None = None  # where it was asked for: `Reading.atlas_chance`

    def rates(self) -> Tensor:
        """The share of each layer's heads whose nearest token is of a kind: [layer, kind], kinds as in KINDS.

        A head under which all tokens tie has none, and is of no kind.
        """
        return self.counts() / self.kinds.shape[1]

    def counts(self) -> Tensor:
        """How many of each layer's heads these are: float64 [layer, kind]."""
        return _counts(self.kinds, self.tied)

    def rows(self) -> list[CellRecord]:
        """One row for each layer and head: layer, head, id, token, label, distance, own_rank, kind, positions."""
        by_layer = zip(
            self.ids.tolist(), self.distances.tolist(), self.own_rank.tolist(), self.kinds.tolist(), strict=True
        )
        return [
            {
                "layer": layer,
                "head": head,
                "id": id,
                "token": self.names[id].text,
                "label": self.names[id].label,
                "distance": number(distance),
                "own_rank": own_rank,
                "kind": KINDS[kind],
                "positions": list(self.places.get(id, ())),
            }
            for layer, parts in enumerate(by_layer)
            for head, (id, distance, own_rank, kind) in enumerate(zip(*parts, strict=True))
        ]

    def to_dict(self) -> AtlasHeldRecord:
        """The nearest token of every layer and head, and each layer's kinds, ready for JSON."""
        return {
            "schema": SCHEMA,
            "selected": self.token.position,
            **question_record(self.question),
            "notes": list(self.notes),
            "cells": self.rows(),
            "layers": _by_layer(self.rates()),
            **self._chance_record(),
        }

    def _chance_record(self) -> AtlasChanceRecord:
        """Where chance was asked for, what it is; nothing else."""
        found = self.chance
        if found is None:
            return {}
        window: WindowRecord = {"first": found.first, "last": found.last, "outputs": found.outputs}
        return {"chance": {"bank": found.bank, "window": window, "layers": _by_layer(found.rates())}}

    def sheets(self) -> tuple[Sheet, ...]:
        """Layers × heads: the nearest token of each; and the share of each layer's heads by kind."""
        by_layer = zip(self.ids.tolist(), self.distances.tolist(), self.kinds.tolist(), strict=True)
        rows = (
            Row(
                name,
                tuple(
                    token_cell(id, distance, KINDS[kind], self.names, self.places)
                    for id, distance, kind in zip(*parts, strict=True)
                ),
            )
            for name, parts in zip(self._layers(), by_layer, strict=True)
        )
        rates = (
            Row(Cell(f"L{layer}"), tuple(starmap(_share, zip(shares, usual, strict=True))))
            for layer, (shares, usual) in enumerate(zip(self.rates().tolist(), self._usual(), strict=True))
        )
        return (
            Sheet(
                "atlas",
                f"Nearest vocabulary token in every layer and head at {self.token.position} {self.token.label} · "
                f"{choices(self.question)}",
                of_heads(self.ids.shape[1], "distance"),
                tuple(rows),
                stub="in text",
                legend=(KEY,),
                notes=self.notes,
                figure="labels",
            ),
            Sheet(
                "kinds",
                "Share of each layer's heads by the kind of their nearest token",
                KINDS,
                tuple(rates),
                legend=self._about_chance(),
            ),
        )

    def _layers(self) -> list[Cell]:
        """Of the rows: how many of a layer's heads are nearest to the own token or another of the text, and chance."""
        heads = self.kinds.shape[1]
        own, text = (self.counts()[:, KINDS.index(kind)].int().tolist() for kind in ("own", "text"))
        cells = []
        for layer, (mine, others, usual) in enumerate(zip(own, text, self._usual(), strict=True)):
            says = f"{mine} of {heads} heads nearest to the own token, {others} to another of the text"
            beside = ""
            if usual[0] is not None and usual[1] is not None:
                beside = f"chance {percent(usual[0] + usual[1])}"
                says += f"; by chance {percent(usual[0])} and {percent(usual[1])} of them"
            cells.append(Cell(f"L{layer}", f"{mine + others}/{heads}", beside=beside, says=says, layer=layer))
        return cells

    def _usual(self) -> list[list[float | None]]:
        """Chance beside every share, None where it was not asked for."""
        return [[None] * len(KINDS)] * len(self.kinds) if self.chance is None else self.chance.rates().tolist()

    def _about_chance(self) -> tuple[str, ...]:
        if self.chance is None:
            return ()
        found = self.chance
        return (
            f"Chance: the same share of {found.outputs:,} outputs of other texts ({found.bank}) at "
            f"{notes.at_positions(found.first, found.last)}, counted as this text's are.",
        )

    def of_layer(self, layer: int) -> tuple[Sheet]:
        """The nearest token of each head of one layer alone."""
        sheet = self.sheets()[0]
        return (replace(sheet, rows=sheet.rows[layer : layer + 1]),)

    def by_head(self) -> Sheet:
        """Heads × the nearest token and the own token's rank; it stands beside others of every head."""
        near = [cell for row in self.sheets()[0].rows for cell in row.cells]
        return Sheet(
            "atlas_by_head",
            f"nearest token at {self.token.position} {self.token.label} ({choices(self.question)})",
            (
                Cell("nearest token", measure="near", says="the vocabulary token that the output is nearest to"),
                Cell("own rank", measure="own_rank", says="where the selected token itself stands among all"),
            ),
            head_rows(
                self.ids.shape[1],
                [cell._replace(number="", value=None) for cell in near],
                grounded(self.own_rank.flatten().tolist(), "{:,}".format),
            ),
            stub="head",
            legend=(KEY,),
            notes=self.notes,
            figure="cells",
        )


def _counts(kinds: Tensor, tied: Tensor) -> Tensor:
    """How often each kind is there in every layer, but where all tokens tie: float64 [layer, kind]."""
    found = torch.nn.functional.one_hot(kinds.long(), len(KINDS)).double()  # (layer, output, kind)
    return found.masked_fill(tied[..., None], 0.0).sum(1)


def _share(share: float, usual: float | None) -> Cell:
    return Cell(number=percent(share), share=share, beside="" if usual is None else f"chance {percent(usual)}")


def _by_layer(rates: Tensor) -> list[RatesRecord]:
    return [
        {"layer": n, "own": own, "text": text, "variant": variant, "special": special, "elsewhere": elsewhere}
        for n, (own, text, variant, special, elsewhere) in enumerate(rates.tolist())
    ]
