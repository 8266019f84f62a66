"""Mixing ratios over a corpus (Kobayashi et al. 2021, arXiv 2109.07152)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from headscope.inference.estimates import Estimate
from headscope.inference.left_out import mean_by

if TYPE_CHECKING:
    from headscope.model.card import Card
    from headscope.reading.mixing import Mixing

KINDS = {
    "weights": "attention weights",
    "norms": "with norms",
    "residual": "with residual",
    "layernorm": "with LayerNorm",
}
EVERY = {
    "all": "each text alone",
    "words": "without special ones",
    "joined": "joined",
    "masked": "joined and masked",
}


@dataclass(frozen=True)
class PublishedRatios:
    """The mean ratios that the paper gives for a model, in the order of `KINDS`; `shape`: layers, heads, d_model,
    vocabulary."""

    names: tuple[str, ...]
    shape: tuple[int, int, int, int]
    ratios: tuple[float, float, float, float]


PUBLISHED = (
    PublishedRatios(("roberta-base",), (12, 12, 768, 50265), (0.958, 0.844, 0.196, 0.162)),
    PublishedRatios(("bert-base-uncased", "bert-base"), (12, 12, 768, 30522), (0.971, 0.852, 0.223, 0.188)),
)


class MixingRow(NamedTuple):
    """The mean ratio of a text's tokens, or of an input's that texts were joined to, in one layer: `tokens` of them.

    `of`: one of `EVERY`, all positions but where it says otherwise.
    """

    text: int
    group: int
    layer: int
    kind: str
    of: str
    tokens: int
    ratio: float  # nan where the model has no such ratio


@dataclass(frozen=True)
class Mixed:
    """The mean ratio over the corpus's tokens, in one layer or (`layer` None) in all."""

    layer: int | None
    kind: str
    of: str
    figure: Estimate[float]


def rows_of(found: Mixing, text: int, group: int, every: Sequence[str]) -> list[MixingRow]:
    """The four ratios of a reading, layer by layer. Of the bare weights, the mean over heads; of the norms, all heads
    together."""
    ours = torch.tensor([not token.special for token in found.tokens])
    places = {of: ours if of == "words" else torch.ones_like(ours) for of in every}
    ratios = {
        "weights": found.weights.mean(1), "norms": found.norms_all,
        "residual": found.residual, "layernorm": found.layernorm,
    }  # fmt: skip
    return [
        MixingRow(text, group, layer, kind, of, int(which.sum()), float(ratio[layer, which].double().mean()))
        for kind, ratio in ratios.items()
        for of, which in places.items()
        for layer in range(len(ratio))
    ]


def mixed(rows: Iterable[MixingRow]) -> list[Mixed]:
    """Means over tokens, by layer and over all layers, with intervals by document."""
    kept = list(rows)
    _, groups = np.unique([row.group for row in kept], return_inverse=True)
    layers = sorted({row.layer for row in kept})

    def mean(some: Sequence[int]) -> Estimate[float]:
        # Over tokens, not texts: the means of long texts count for more.
        tokens = [kept[n].tokens for n in some]
        ratios = np.array([kept[n].ratio for n in some])
        return mean_by(groups[some], int(groups.max()) + 1, ratios * tokens, tokens).estimate

    found = []
    for kind in KINDS:
        for of in EVERY:
            here = [n for n, row in enumerate(kept) if row.kind == kind and row.of == of]
            if not here:  # nothing can be masked
                continue
            found.append(Mixed(None, kind, of, mean(here)))
            by_layer: dict[int, list[int]] = {layer: [] for layer in layers}
            for n in here:
                by_layer[kept[n].layer].append(n)
            found += [Mixed(layer, kind, of, mean(some)) for layer, some in by_layer.items()]
    return found


def published(card: Card) -> PublishedRatios | None:
    """The paper's ratios, where the model has the name and the shape of one of its models."""
    name = card.name.rstrip("/").rpartition("/")[2]
    shape = (card.layers, card.heads, card.d_model, card.vocab_size)
    return next((one for one in PUBLISHED if name in one.names and one.shape == shape), None)
