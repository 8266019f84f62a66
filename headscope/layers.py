"""Through the layers: what becomes of every token's residual stream, what the heads mix, and what each of them matters.

Results of one text; `Reading.journey`, `.mixing`, `.glance` and `.effects` make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headscope.model.alone import frame_of
from headscope.model.edits import Edits, Kind
from headscope.model.opened import Text
from headscope.model.projections import output_weights
from headscope.model.stages import Stages
from headscope.model.tokens import Token
from headscope.neighbors import search
from headscope.views import layers as views

if TYPE_CHECKING:
    from headscope.reading import Reading

_TEXTS = 32  # copies of a text that run together


@dataclass(frozen=True, repr=False)
class Journey:
    """Every token's residual stream against its own input embedding, stage by stage.

    Stage 0 is block 0's input, stage 2l + 1 the stream after layer l's attention and residual, 2l + 2 after the whole
    layer. own_rank [stage, position] among the vocabulary by cosine; own_cosine, norm [stage, position];
    isolated_cosine [stage, position] with the same stage of the token read alone; overlap [stage − 1, position], the
    share of the k nearest vocabulary tokens that a stage has in common with the one before.
    """

    tokens: tuple[Token, ...]
    stages: tuple[str, ...]
    own_rank: Tensor
    own_cosine: Tensor
    isolated_cosine: Tensor
    norm: Tensor
    overlap: Tensor
    k: int
    use_position: bool
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return views.journey_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return views.journey(self)


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

    def __repr__(self) -> str:
        return views.mixing_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return views.mixing(self)


@dataclass(frozen=True, repr=False)
class Glance:
    """Every head of a text in five numbers, each [layer, head], over the tokens that are no special ones.

    `entropy` of the pattern in nats; the share `on_own` position, `on_previous`, on all `on_special` tokens;
    `strength` |W_O z|.
    """

    entropy: Tensor
    on_own: Tensor
    on_previous: Tensor
    on_special: Tensor
    strength: Tensor

    def __repr__(self) -> str:
        return views.glance_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return views.glance(self)


@dataclass(frozen=True, repr=False)
class Effects:
    """What the model's output at a token loses when one head's z is replaced everywhere, [layer, head] each.

    `moved`: |f' − f| / |f|, f the last block's output there. `kl`, in nats, of the model's next or masked token, and
    `own_logit`, what the own token's logit gains: None where the model has no language-model head.
    """

    token: Token
    replaced_by: Kind
    moved: Tensor
    kl: Tensor | None
    own_logit: Tensor | None

    def __repr__(self) -> str:
        return views.effects_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return views.effects(self)


def journey(reading: Reading, k: int, position: bool) -> Journey:
    """See `Journey`; k is for the overlap."""
    vocabulary, tokens = reading.vocabulary, reading.tokens
    stream = _stream(reading.stages)  # (stage, S, d_model)
    use_position = position and vocabulary.has_positions
    encoded = [vocabulary.arriving(token.position if use_position else None) for token in tokens]
    device = encoded[0].table.rows.device
    own = torch.tensor([token.id for token in tokens], device=device)
    queries = stream.transpose(0, 1).contiguous().to(device)  # (S, stage, d_model)
    groups = [range(len(tokens))]
    if any(one.table is not encoded[0].table for one in encoded):
        groups = [range(n, n + 1) for n in range(len(tokens))]
    found = [
        search(
            encoded[group.start].table,
            [encoded[n].place for n in group],
            queries[group.start : group.stop],
            own[group.start : group.stop],
            place_of=torch.arange(len(group), device=device),
            k=k,
        )["cosine"]
        for group in groups
    ]
    ids = torch.cat([near.ids for near in found]).transpose(0, 1).cpu()  # (stage, S, k)
    common = (ids[1:, :, :, None] == ids[:-1, :, None, :]).any(-1).float().mean(-1)
    return Journey(
        tokens,
        ("input", *(f"L{layer} {stage}" for layer in range(len(reading.z)) for stage in ("attention", "layer"))),
        torch.cat([near.own_rank for near in found]).T.cpu(),
        1 - torch.cat([near.own_distance for near in found]).T.cpu(),
        _cosine(stream, _alone(reading)),
        stream.norm(dim=-1),
        common,
        k,
        use_position,
        reading.notes,
    )


def mixing(reading: Reading) -> Mixing:
    """See `Mixing`."""
    weights: list[Tensor] = []
    norms: list[Tensor] = []
    together: list[Tensor] = []
    residual: list[Tensor] = []
    layernorm: list[Tensor] = []
    for layer, stages in enumerate(reading.stages):
        pattern = reading.pattern_of(layer).double()  # (H, Q, S)
        own = pattern.diagonal(dim1=1, dim2=2)  # (H, Q)
        total = pattern.sum(-1).clamp_min(torch.finfo(torch.float64).tiny)
        weights.append(1 - own / total)
        written = torch.einsum("shd,hdm->hsm", reading.vectors("v", layer).double(), _w_o(reading, layer).double())
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
    return Mixing(
        reading.tokens,
        weights=torch.stack(weights).float(),
        norms=torch.stack(norms).float(),
        norms_all=torch.stack(together).float(),
        residual=torch.stack(residual).float(),
        layernorm=torch.stack(layernorm).float(),
        notes=reading.notes,
    )


def glance(reading: Reading) -> Glance:
    """See `Glance`."""
    special = torch.tensor([token.special for token in reading.tokens])
    ours = ~special if not special.all() else special
    parts: list[list[Tensor]] = [[] for _ in range(5)]
    for layer in range(len(reading.z)):
        pattern = reading.pattern_of(layer)  # (H, Q, S)
        previous = torch.zeros_like(pattern[..., 0])
        previous[:, 1:] = pattern.diagonal(-1, dim1=1, dim2=2)
        strength = torch.einsum("shd,hdm->hsm", reading.z[layer], _w_o(reading, layer)).norm(dim=-1)  # (H, Q)
        found = (
            torch.special.entr(pattern).sum(-1),
            pattern.diagonal(dim1=1, dim2=2),
            previous,
            pattern[..., special].sum(-1),
            strength,
        )
        for part, values in zip(parts, found, strict=True):
            part.append(values[:, ours].mean(-1))
    return Glance(*(torch.stack(part) for part in parts))


def effects(reading: Reading, position: int, replaced_by: Kind) -> Effects:
    """See `Effects`: as many copies of the text as there are heads, in batches."""
    layers, heads = reading.z.shape[0], reading.z.shape[2]
    edits: list[Edits] = [{}, *({(layer, head): replaced_by} for layer in range(layers) for head in range(heads))]
    own = reading.tokens[position].id
    moved, kl, own_logit = [], [], []
    first: tuple[Tensor, Tensor | None] | None = None
    for start in range(0, len(edits), _TEXTS):
        last, logits = reading._opened.outputs(reading._input, edits[start : start + _TEXTS], position)
        if first is None:
            first = last[0], None if logits is None else logits[0].double()
        moved.append((last - first[0]).norm(dim=-1) / first[0].norm())
        if logits is not None and first[1] is not None:
            before, after = first[1].log_softmax(-1), logits.double().log_softmax(-1)
            kl.append((before.exp() * (before - after)).sum(-1).float())
            own_logit.append((logits[:, own] - first[1][own]).float())

    def by_head(parts: list[Tensor]) -> Tensor:
        return torch.cat(parts)[1:].view(layers, heads)  # the first was the text as it is

    return Effects(
        reading.tokens[position],
        replaced_by,
        by_head(moved),
        by_head(kl) if kl else None,
        by_head(own_logit) if own_logit else None,
    )


def _stream(stages: tuple[Stages, ...], text: int = 0) -> Tensor:
    """[stage, position, d_model] of one text."""
    return torch.stack([stages[0].before[text], *(x[text] for one in stages for x in (one.middle, one.after))])


def _alone(reading: Reading) -> Tensor:
    """The same stages of every token read alone: [stage, position, d_model]."""
    ids = sorted({token.id for token in reading.tokens})
    frame = frame_of(reading._opened)
    like = Text([], "model", reading._input.context, {})
    stages = reading._opened.stages([frame.around(id) for id in ids], like)
    streams = torch.stack([_stream(stages, n)[:, frame.position] for n in range(len(ids))], 1)  # (stage, id, d_model)
    which = torch.tensor([ids.index(token.id) for token in reading.tokens])
    chosen: Tensor = streams.index_select(1, which)
    return chosen


def _w_o(reading: Reading, layer: int) -> Tensor:
    """W_O [head, d_head, d_model], on the CPU."""
    return output_weights(reading._opened.feed, layer)[0].cpu()


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=-1).float()


def _ratio(mixed: Tensor, kept: Tensor) -> Tensor:
    sizes = mixed.norm(dim=-1), kept.norm(dim=-1)
    ratio: Tensor = sizes[0] / (sizes[0] + sizes[1]).clamp_min(torch.finfo(torch.float64).tiny)
    return ratio
