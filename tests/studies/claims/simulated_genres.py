"""Surveys' tables of documents that have genres, drawn: what knows the text, its genre alone, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from headscope.inference.left_out import Jackknifed
from headscope.inference.verdicts import conclusions, corrected
from headscope.studies.claims.sample import Sample
from headscope.studies.claims.surveyed import ChanceOutputs, LayerRows, Lent
from headscope.studies.survey.tables import MATCHED

GENRES, SHARES = 4, (0.4, 0.3, 0.2, 0.1)
BANK, OF_GENRE, ASKED = 64, 16, 4  # outputs, as the census draws them
TAGS, WORDS = 3, 60  # word w is of tag w mod 3
LAYERS = 6


@dataclass(frozen=True)
class Documents:
    """Documents of uneven length with their genres, and whose outputs their tokens are held against."""

    sample: Sample
    genre: np.ndarray  # of each token
    lent: dict[str, Lent]

    @classmethod
    def drawn(cls, draw: np.random.Generator, count: int) -> Documents:
        lengths = np.maximum(1, np.rint(draw.lognormal(3, 0.75, count))).astype(int)
        document = np.repeat(np.arange(count), lengths)
        genre = draw.choice(GENRES, count, p=SHARES)[document]
        first = np.cumsum(lengths) - lengths
        # An output of each document, at a place drawn by chance.
        outputs = first + (draw.random(count) * lengths).astype(int)
        general = draw.permutation(outputs)[:BANK]
        of_genre = [draw.permutation(outputs[genre[outputs] == one])[:OF_GENRE] for one in range(GENRES)]
        asked = np.full((len(document), ASKED), -1), np.full((len(document), ASKED), -1)
        for text in range(count):
            here = slice(first[text], first[text] + lengths[text])
            for found, bank in zip(asked, (general, of_genre[genre[first[text]]]), strict=True):
                others = bank[document[bank] != text]
                if len(others) >= ASKED:
                    found[here] = draw.permuted(np.tile(others, (lengths[text], 1)), axis=1)[:, :ASKED]
        held = [Lent(one, np.where(one >= 0, document[one], 0)) for one in asked]
        return cls(Sample(document, count), genre, dict(zip(("", MATCHED), held, strict=True)))

    def effects(self, draw: np.random.Generator, size: float) -> np.ndarray:
        """A normal effect of each document, at its tokens."""
        return size * draw.standard_normal(self.sample.count)[self.sample.groups]


class Held:
    """S6: layer 0's rows. `text` and `genre`: how much oftener an output's nearest is in its own text, or in any of its
    genre; documents differ as texts and as those that lend outputs."""

    def __init__(self, draw: np.random.Generator, documents: Documents, text: float = 0.0, genre: float = 0.0) -> None:
        self.sample, self.lent, self.chances = documents.sample, documents.lent, tuple(documents.lent)
        as_text, as_output = documents.effects(draw, 0.05), documents.effects(draw, 0.05)
        base = 0.3 + as_text
        inside = draw.random(len(base)) < base + as_output + text + genre
        by_chance = {}
        for ends, held in documents.lent.items():
            same = documents.genre[held.partners] == documents.genre[:, None]
            rate = base[:, None] + as_output[held.partners] + genre * same
            lent = (draw.random(rate.shape) < rate).astype(float)
            lent[held.partners < 0] = np.nan
            by_chance[ends] = ChanceOutputs(np.where(held.partners < 0, np.nan, 9.0)[None], lent[None])
        ranks = np.full((1, len(base)), 9.0)
        self._rows = LayerRows(ranks, ranks, np.where(inside, "text", "elsewhere")[None], by_chance)

    def rows(self, layer: int, reference: str) -> LayerRows:
        return self._rows


class Agreeing:
    """S10: nearest tokens by layer. `text` and `genre`: how often, at the last layer, one is of the own word's part of
    speech, or of what prevails in the genre; at layer 0 never, and in equal steps between."""

    layers = LAYERS

    def __init__(self, draw: np.random.Generator, documents: Documents, text: float = 0.0, genre: float = 0.0) -> None:
        self.sample, self.lent, self.chances = documents.sample, documents.lent, tuple(documents.lent)
        count = len(documents.genre)
        prevails = documents.genre % TAGS
        tag = np.where(draw.random(count) < 0.5, prevails, draw.integers(0, TAGS, count))
        self.tokens = {
            "id": tag + TAGS * draw.integers(0, WORDS // TAGS, count),
            "tag": np.array(list("ABC"), dtype=object)[tag],
        }
        self._nearest = []
        for layer in range(LAYERS):
            share, drawn = layer / (LAYERS - 1), draw.random(count)
            found = draw.integers(0, TAGS, count)
            found = np.where(drawn < share * text, tag, found)
            found = np.where(1 - drawn < share * genre, prevails, found)
            self._nearest.append((found + TAGS * draw.integers(0, WORDS // TAGS, count))[None])
        held = {ends: np.where(one.partners < 0, np.nan, 0.0)[None] for ends, one in self.lent.items()}
        self._chance = {ends: ChanceOutputs(one, one) for ends, one in held.items()}

    @cached_property
    def _elsewhere(self) -> np.ndarray:
        return np.full((1, len(self.tokens["id"])), "elsewhere")

    def rows(self, layer: int, reference: str) -> LayerRows:
        return LayerRows(np.full(self._elsewhere.shape, 9.0), self._nearest[layer], self._elsewhere, self._chance)


class Judged:
    """S5: the verdicts on the last layer, those on all other layers being sure, so that no correction helps.

    `text` and `genre`: by how much the last layer's figures are above chance for their own text, or their genre.
    """

    layers = LAYERS

    def __init__(self, draw: np.random.Generator, documents: Documents, text: float = 0.0, genre: float = 0.0) -> None:
        self._documents, self._rows = documents, dict[str, dict[str, Any]]()
        self.chances = tuple(documents.lent)
        for name, base, effect, is_rate in (("auc_own", 0.5, 0.1, False), ("in_text", 0.1, 0.03, True)):
            as_text, as_output = documents.effects(draw, effect), documents.effects(draw, effect)

            def drawn(mean: np.ndarray, is_rate: bool = is_rate) -> np.ndarray:
                return (draw.random(mean.shape) < mean) * 1.0 if is_rate else draw.normal(mean, 0.3)

            own = drawn(base + as_text + as_output + text + genre)
            for ends, held in documents.lent.items():
                same = documents.genre[held.partners] == documents.genre[:, None]
                of_others = drawn(base + as_text[:, None] + as_output[held.partners] + genre * same)
                self._say(f"{name}{ends}", *self._against(own, of_others, held), is_rate)
        shared = documents.effects(draw, 0.1)
        for ends in documents.lent:
            known = genre * (ends == "")  # beside sets of the same genre the genre tells nothing
            signal = shared + documents.effects(draw, 0.1) + draw.normal(2 * (text + known), 0.5, len(shared))
            self._say(f"signal{ends}", documents.sample.mean(signal), 0.0, False)
        nothing = documents.sample.mean(draw.normal(0, 0.01, len(shared)))
        self._say("own", nothing, 0.0, False)

    def _against(self, own: np.ndarray, others: np.ndarray, held: Lent) -> tuple[Jackknifed[float], float]:
        asked = held.partners >= 0
        share = asked / np.maximum(asked.sum(1, keepdims=True), 1)
        by_chance = self._documents.sample.lent(np.where(asked, others, 0) * share, share, held.lenders)
        mine = self._documents.sample.mean(np.where(asked.any(1), own, np.nan))
        return mine - by_chance, by_chance.value

    def _say(self, name: str, apart: Jackknifed[float], chance: float, is_rate: bool) -> None:
        q = corrected(np.array([apart.p] + [0.0] * (LAYERS - 1)))[:1]
        numbers = (np.array([one]) for one in (apart.value, apart.low, apart.high, q[0], chance))
        found = conclusions(*numbers, np.array([is_rate]))
        ends = {"difference_low": apart.low, "difference_high": apart.high, "p": apart.p}
        self._rows[name] = (
            dict.fromkeys(("value", "low", "high", "chance"), chance) | {"statistic": name, "difference": apart.value}
            | ends | {"verdict": found.verdicts[0], "small": bool(found.small[0])}
        )  # fmt: skip

    def statistic(self, statistic: str, reference: str, layer: int) -> dict[str, Any]:
        return self._rows[statistic]
