"""Through the layers: what becomes of every token's residual stream, what the heads mix, and what each of them matters.

Results of one text; `Reading.journey`, `.mixing`, `.glance` and `.effects` make them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headscope.model.capture.edits import Edits
from headscope.model.feed.alone import frame_of
from headscope.model.tokens import Token
from headscope.question import notes
from headscope.question.choices import Replacement
from headscope.question.stopping import stop_point
from headscope.reading.answer import frame
from headscope.reading.captured import Captured
from headscope.reading.losses import kl, moved
from headscope.reading.patterns import pattern_figures
from headscope.reading.stream import joined, ranks_alone, stages_of, streams, walk
from headscope.reading.words import WordClass, word_classes
from headscope.show import layers as views

if TYPE_CHECKING:
    import pandas

_TEXTS, _TOKENS = 32, 4096  # copies of a text that run together, and their tokens


@dataclass(frozen=True, repr=False)
class Journey:
    """Every token's residual stream against its own input embedding, stage by stage.

    Stage 0 is block 0's input, stage 2l + 1 the stream after layer l's attention and residual, 2l + 2 after the whole
    layer. own_rank [stage, position] among the vocabulary by cosine; own_cosine, norm [stage, position];
    isolated_cosine [stage, position] with the same stage of the token read alone; overlap [stage − 1, position], the
    share of the k nearest vocabulary tokens that a stage has in common with the one before. word_classes: content,
    function, punctuation or other, for each token, by `reading.words`. norms_input: whether the input embedding has
    gone through a norm of the model, as block 0 gets it. isolated_rank [stage, position]: of the own token's stream
    read alone among those of the whole vocabulary at the same stage, by cosine; None where it was not asked for.
    """

    tokens: tuple[Token, ...]
    word_classes: tuple[WordClass, ...]
    stages: tuple[str, ...]
    own_rank: Tensor
    own_cosine: Tensor
    isolated_cosine: Tensor
    norm: Tensor
    overlap: Tensor
    k: int
    use_position: bool
    norms_input: bool
    notes: tuple[str, ...]
    isolated_rank: Tensor | None = None

    def __repr__(self) -> str:
        return views.journey_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(views.journey(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each token and stage: position, id, token, word_class, stage and the six numbers."""
        return frame(views.journey_rows(self))


@dataclass(frozen=True, repr=False)
class Mixing:
    """How much of a layer's output comes from other positions (Kobayashi et al. 2021, arXiv 2109.07152).

    The ratio |mixing| / (|mixing| + |preserving|), between 0 and 1. `weights` [layer, head, position]: bare attention
    weights. `norms` [layer, head, position]: norms of the transformed values α f(x), f(x) = W_O v. For all heads of a
    layer together, [layer, position]: `norms_all`; `residual`, with the stream that is added (nan where a norm of its
    own comes before the sum); `layernorm`, with the norm of the sum after it (nan in models that have none there).
    """

    tokens: tuple[Token, ...]
    weights: Tensor
    norms: Tensor
    norms_all: Tensor
    residual: Tensor
    layernorm: Tensor
    notes: tuple[str, ...]

    def means(self) -> dict[str, Tensor]:
        """The mean ratio of every layer by kind, over the tokens (and the heads, where each has one): [layer]."""
        return {
            "weights": self.weights.mean((1, 2)),
            "norms": self.norms.mean((1, 2)),
            "norms_all": self.norms_all.mean(1),
            "residual": self.residual.mean(1),
            "layernorm": self.layernorm.mean(1),
        }

    def __repr__(self) -> str:
        return views.mixing_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(views.mixing(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each layer, kind, head (all heads together: none) and token: the ratio."""
        return frame(views.mixing_rows(self))


@dataclass(frozen=True, repr=False)
class Glance:
    """Every head of a text in five numbers, each [layer, head], over the tokens that are no special ones.

    `entropy` of the pattern in nats; the share `on_own` position, `on_previous` (of the tokens that have one before
    them; nan where none has), on all `on_special` tokens; `strength` |W_O z|.
    """

    entropy: Tensor
    on_own: Tensor
    on_previous: Tensor
    on_special: Tensor
    strength: Tensor
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return views.glance_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(views.glance(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each layer and head."""
        return frame(views.glance_rows(self))


@dataclass(frozen=True, repr=False)
class Effects:
    """What the model's output at a token loses when one head's z is replaced everywhere, [layer, head] each.

    `moved`: |f' − f| / |f|, f the last block's output there. `kl`, in nats, of the model's next or masked token, and
    `own_logit`, what the own token's logit gains: None where the model has no language-model head.
    """

    token: Token
    replaced_by: Replacement
    moved: Tensor
    kl: Tensor | None
    own_logit: Tensor | None
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return views.effects_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(views.effects(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each layer and head."""
        return frame(views.effects_rows(self))


def journey(captured: Captured, k: int, position: bool, isolated: bool) -> Journey:
    """See `Journey`; k is for the overlap, `isolated` asks for its rank, which the streams on disk are needed for."""
    k, bench = captured.bench.count(k), captured.bench
    if isolated:
        bench.isolate(what="streams")
    tokens = captured.tokens
    stream = joined(captured.stages)  # (stage, S, d_model)
    use_position = position and captured.vocabulary.has_positions
    ids = torch.tensor([token.id for token in tokens])
    found = walk(captured.vocabulary, stream, ids, captured.spots if use_position else None, k=k)
    normed = bench.opened.feed.norms_input
    if isolated:
        about_rank = notes.ranked_alone(captured.mask, captured.input.context is not None)
    else:
        about_rank = notes.no_rank_alone(captured.vocabulary.size, bench.isolated.streams.nbytes)
    return Journey(
        tokens,
        word_classes(captured.text, tokens),
        tuple(stage.label for stage in stages_of(len(captured.z))),
        found.rank,
        found.cosine,
        _cosine(stream, _alone(captured)),
        found.norm,
        found.overlap_before,
        k,
        use_position,
        normed,
        (*captured.notes, *about_rank, notes.input_embedding(normed, position, use_position)),
        ranks_alone(captured.vocabulary, stream, ids) if isolated else None,
    )


def mixing(captured: Captured) -> Mixing:
    """See `Mixing`."""
    captured.bench.check()
    weights: list[Tensor] = []
    norms: list[Tensor] = []
    together: list[Tensor] = []
    residual: list[Tensor] = []
    layernorm: list[Tensor] = []
    for layer, stages in enumerate(captured.stages):
        stop_point()
        pattern = captured.pattern_of(layer).double()  # (H, Q, S)
        own = pattern.diagonal(dim1=1, dim2=2)  # (H, Q)
        total = pattern.sum(-1).clamp_min(torch.finfo(torch.float64).tiny)
        weights.append(1 - own / total)
        written = torch.einsum(
            "shd,hdm->hsm", captured.vectors("v", layer).double(), captured.bench.w_o(layer).double()
        )
        kept = own[..., None] * written  # (H, Q, d_model)
        mixed = pattern @ written - kept
        norms.append(_ratio(mixed, kept))
        mixed, kept = mixed.sum(0), kept.sum(0)  # (Q, d_model)
        together.append(_ratio(mixed, kept))
        unknown = torch.full_like(mixed[:, 0], torch.nan)
        if stages.factor is None:
            residual.append(unknown)
            layernorm.append(unknown)
            continue
        mixed, kept = stages.factor * mixed[None], stages.factor * kept[None] + stages.before.double()
        residual.append(_ratio(mixed, kept)[0])
        layernorm.append(unknown if stages.norm is None else _ratio(stages.norm(mixed), stages.norm(kept))[0])
    told = [*captured.notes]
    if all(stages.factor is None for stages in captured.stages):
        told.append(notes.no_residual_ratio())
    elif all(stages.norm is None for stages in captured.stages):
        told.append(notes.no_layernorm_ratio())
    return Mixing(
        captured.tokens,
        weights=torch.stack(weights).float(),
        norms=torch.stack(norms).float(),
        norms_all=torch.stack(together).float(),
        residual=torch.stack(residual).float(),
        layernorm=torch.stack(layernorm).float(),
        notes=tuple(told),
    )


def glance(captured: Captured) -> Glance:
    """See `Glance`."""
    captured.bench.check()
    special = torch.tensor([token.special for token in captured.tokens])
    ours = ~special if not special.all() else special
    parts: list[list[Tensor]] = [[] for _ in range(5)]
    for layer in range(len(captured.z)):
        stop_point()
        pattern = captured.pattern_of(layer)  # (H, Q, S)
        strength = torch.einsum("shd,hdm->hsm", captured.z[layer], captured.bench.w_o(layer)).norm(dim=-1)  # (H, Q)
        for part, values in zip(parts, (*pattern_figures(pattern, special), strength), strict=True):
            part.append(values[:, ours].nanmean(-1))
    entropy, own, previous, on_special, strength = (torch.stack(part) for part in parts)
    return Glance(entropy, own, previous, on_special, strength, captured.notes)


def effects(captured: Captured, position: int, replaced_by: Replacement) -> Effects:
    """See `Effects`: as many copies of the text as there are heads, in batches."""
    captured.bench.check()
    layers, heads = captured.z.shape[0], captured.z.shape[2]
    edits: list[Edits] = [{}]
    edits += [{(layer, head): replaced_by} for layer in range(layers) for head in range(heads)]
    own = captured.tokens[position].id
    moves, apart, own_logit = [], [], []
    first: tuple[Tensor, Tensor | None] | None = None
    together = max(1, min(_TEXTS, _TOKENS // len(captured.tokens)))
    for start in range(0, len(edits), together):
        texts = [replace(captured.input, edit={**captured.edit, **edit}) for edit in edits[start : start + together]]
        last, logits = (
            None if made is None else made[:, position].float().cpu() for made in captured.bench.opened.outputs(texts)
        )
        assert last is not None
        if first is None:
            first = last[0], None if logits is None else logits[0].double()
        moves.append(moved(first[0], last))
        if logits is not None and first[1] is not None:
            apart.append(kl(first[1], logits).float())
            if own < logits.shape[-1]:
                own_logit.append((logits[:, own] - first[1][own]).float())

    def by_head(parts: list[Tensor]) -> Tensor:
        return torch.cat(parts)[1:].view(layers, heads)  # the first was the text as it is

    return Effects(
        captured.tokens[position],
        replaced_by,
        by_head(moves),
        by_head(apart) if apart else None,
        by_head(own_logit) if own_logit else None,
        (*captured.notes, *_about_logits(bool(apart), bool(own_logit))),
    )


def _about_logits(any_logits: bool, own_logit: bool) -> tuple[str, ...]:
    if not any_logits:
        return (notes.no_logits(),)
    return () if own_logit else (notes.no_own_logit(),)


def _alone(captured: Captured) -> Tensor:
    """The same stages of every token read alone: [stage, position, d_model]."""
    ids = sorted({token.id for token in captured.tokens})
    frame = frame_of(captured.bench.opened)
    context = captured.input.context
    contexts = None if context is None else [context] * len(ids)
    alone = streams(captured.bench.opened, [frame.around(id) for id in ids], "model", contexts)
    streams_alone = torch.stack([one[:, frame.position] for one in alone], 1)  # (stage, id, d_model)
    which = torch.tensor([ids.index(token.id) for token in captured.tokens])
    chosen: Tensor = streams_alone.index_select(1, which)
    return chosen


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=-1).float()


def _ratio(mixed: Tensor, kept: Tensor) -> Tensor:
    sizes = mixed.norm(dim=-1), kept.norm(dim=-1)
    ratio: Tensor = sizes[0] / (sizes[0] + sizes[1]).clamp_min(torch.finfo(torch.float64).tiny)
    return ratio
