"""The residual stream of texts against every token's own input embedding, stage by stage.

Stage 0 is block 0's input, stage 2l + 1 the stream after layer l's attention and residual, 2l + 2 after the whole
layer. One text's journey and a survey's figures are both made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from headscope.errors import ModelError
from headscope.model.capture.runner import Text
from headscope.model.capture.stages import Stages
from headscope.model.feed.positions import Spot
from headscope.model.lengths import alike
from headscope.model.opened import Opened
from headscope.neighbors import Place, search
from headscope.vocabulary import Vocabulary
from headscope.vocabulary.placed import Encode, Spots, places_of, search_placed

After = Literal["input", "attention", "layer"]
AFTER: tuple[After, ...] = get_args(After)
_BATCH_TOKENS = 512  # of one pass, padding included: all that its modules see is held until it ends
_COMPONENTS = 2**21  # of streams that are compared in float64 at a time


class Stage(NamedTuple):
    """Where in the model a stream is read: before all layers (`layer` None), or after a layer's attention or all of it.

    >>> [stage.label for stage in stages_of(1)]
    ['input', 'L0 attention', 'L0 layer']
    """

    layer: int | None
    after: After

    @property
    def label(self) -> str:
        """The stage in a word or two."""
        return self.after if self.layer is None else f"L{self.layer} {self.after}"


def stages_of(layers: int) -> tuple[Stage, ...]:
    """The stages of a model with so many layers, in order."""
    later = (Stage(layer, after) for layer in range(layers) for after in AFTER[1:])
    return (Stage(None, "input"), *later)


def joined(stages: Sequence[Stages], text: int = 0) -> Tensor:
    """The stream of one text of a pass: float32 [stage, position, d_model]."""
    return torch.stack([stages[0].before[text], *(x[text] for one in stages for x in (one.middle, one.after))])


def streams(opened: Opened, texts: Sequence[Text]) -> list[Tensor]:
    """The streams of texts under one mask, in padded batches: float32 [stage, position, d_model] each, on the CPU.

    Raises ModelError where the model computes what is not finite.
    """
    found = dict(each_stream(opened, texts))
    return [found[n] for n in range(len(texts))]


def each_stream(opened: Opened, texts: Sequence[Text]) -> Iterator[tuple[int, Tensor]]:
    """The same one after another, each with its text's place in `texts`."""
    for batch in alike([len(text.ids) for text in texts], _BATCH_TOKENS, opened.positions.together):
        stages = opened.stages([texts[n] for n in batch])
        for row, n in enumerate(batch):
            found = joined(stages, row)[:, : len(texts[n].ids)].clone()
            if not bool(found.isfinite().all()):
                name = type(opened.model).__name__
                raise ModelError(f"{name} computes a residual stream that is not finite: try another dtype.")
            yield n, found


@dataclass(frozen=True)
class Walk:
    """Tokens' streams against the vocabulary's input embeddings, by cosine: [stage, token] each, on the CPU.

    `rank` of the own input embedding (0 where it is not finite), `cosine` to it, `norm` of the stream;
    `other_rank`, `other_cosine` [stage, token, other]: of the other tokens that were asked for (0 and nan where there
    is none). `nearest` int64 [stage, token, k] are the tokens whose input embeddings are nearest.
    """

    rank: Tensor  # int64
    cosine: Tensor  # float32
    norm: Tensor  # float32
    other_rank: Tensor  # int64
    other_cosine: Tensor  # float32
    nearest: Tensor

    @property
    def overlap_before(self) -> Tensor:
        """The share of the k nearest that a stage has in common with the one before: float32 [stage − 1, token]."""
        return _common(self.nearest[1:], self.nearest[:-1])

    @property
    def overlap_input(self) -> Tensor:
        """The share of the k nearest that a stage has in common with the input: float32 [stage, token]."""
        return _common(self.nearest, self.nearest[:1].expand_as(self.nearest))


def walk(
    vocabulary: Vocabulary,
    stream: Tensor,
    ids: Tensor,
    spots: Sequence[Spot | None] | None,
    *,
    k: int,
    others: Tensor | None = None,
) -> Walk:
    """Compare `stream` float32 [stage, token, d_model] with what block 0 gets for every token of the vocabulary.

    `ids` int64 [token] are the own tokens, `spots` [token] where they stood; None leaves the positions out of the
    embeddings, of all or of one. `others` int64 [token, other]: more tokens to rank, −1 for none. Exact, as
    `neighbors.search` is.
    """
    others = torch.full((len(ids), 0), -1) if others is None else others
    vectors = stream.transpose(0, 1).contiguous()  # (token, stage, d_model)
    places = places_of(spots, len(ids))
    vocabulary.expect_arrivals(spot for spot, _ in places)
    near = search_placed(places, vocabulary.arriving, vectors, ids, k=k, others=others).nearest["cosine"]
    assert near.other_ranks is not None, "others were asked for"
    return Walk(
        rank=near.own_rank.T,
        cosine=1 - near.own_distance.T,
        norm=stream.norm(dim=-1),
        other_rank=near.other_ranks.transpose(0, 1),
        other_cosine=_other_cosine(places, vocabulary.arriving, vectors, others),
        nearest=near.ids.transpose(0, 1),
    )


def ranks_alone(vocabulary: Vocabulary, stream: Tensor, ids: Tensor) -> Tensor:
    """Ranks of the own tokens' streams read alone among all tokens' at the same stage: int64 [stage, token], by cosine.

    `stream` float32 [stage, token, d_model], `ids` int64 [token]; 1 + the tokens whose stream is strictly nearer, 0
    where the own token's is not finite. Exact, and one stage's vocabulary at a time.
    """
    found = []
    for stage, vectors in enumerate(stream):
        table = vocabulary.isolated_stream(stage)
        device = table.device
        near = search(table, [Place.none], vectors[:, None].to(device), ids.to(device), k=1)["cosine"]
        found.append(near.own_rank[:, 0].cpu())
    return torch.stack(found)


def _other_cosine(places: Spots, encode: Encode, vectors: Tensor, others: Tensor) -> Tensor:
    """Cosine of every stream to its other tokens' input embeddings, [stage, token, other]; nan where there is none."""
    found = torch.full((*vectors.shape[:2], others.shape[1]), torch.nan)
    size = max(1, _COMPONENTS // vectors[0].numel())
    for spot, members in places:
        member, column = (others[members] >= 0).nonzero(as_tuple=True)
        if not len(member):
            continue
        one = encode(spot)
        for asked, of in zip(members[member].split(size), column.split(size), strict=True):
            rows = one.rows(others[asked, of].to(one.table.device)).cpu()  # (pair, 1, d_model)
            cosines = torch.nn.functional.cosine_similarity(vectors[asked].double(), rows, dim=-1)  # (pair, stage)
            found[asked, :, of] = cosines.float()
    return found.transpose(0, 1)


def _common(one: Tensor, other: Tensor) -> Tensor:
    """The share of ids [stage, token, k] that are in both."""
    shares = [
        # Sorted together, an id that is in both stands twice in a row.
        (pair[..., 1:] == pair[..., :-1]).sum(-1) / one.shape[-1]
        for pair in (torch.cat([a, b], -1).sort(-1).values for a, b in zip(one, other, strict=True))
    ]
    return torch.stack(shares)
