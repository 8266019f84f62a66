"""A layer's projections per head, measured on the basis vectors: no weight is looked up by its name or layout.

The attention module gets c·e_i, the i-th basis vector, as the hidden states of a text of one token at position 0,
where RoPE turns nothing; what arrives at the attention function is row i of the projection. Fused, transposed,
grouped and adapted (LoRA) weights come out alike, with whatever scale the model gives them on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from headscope.model.capture.capture import held
from headscope.model.capture.output_projection import projection_weights
from headscope.model.capture.precision import basis_length, float32_arithmetic
from headscope.model.capture.stored import device_of
from headscope.model.feed.feed import Feed
from headscope.model.feed.runs import Part
from headscope.model.telling import as_ours

_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Projection:
    """x ↦ x W + b for every head: weight float32 [head, d_model, d_head], bias float32 [head, d_head]."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class HeadWeights:
    """What a layer's heads read and write, as the attention uses it, at position 0 for q and k.

    q, v, k: [head or kv_head, d_model, d_head]; `w_o` [head, d_head, d_model] and `b_o` [d_model], which belongs to
    no head. q or k is None where it is no one matrix; `notes` says why, and `reading.q`, `reading.k` have the values.
    """

    q: Projection | None
    k: Projection | None
    v: Projection | None
    w_o: Tensor
    b_o: Tensor
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        shapes = [f"{part} {list(one.weight.shape)}" for part in get_args(Part) if (one := getattr(self, part))]
        shapes += [f"w_o {list(self.w_o.shape)}", f"b_o {list(self.b_o.shape)}"]
        return "\n".join([f"HeadWeights: {', '.join(shapes)}", *self.notes])


def measure_projections(feed: Feed, layer: int) -> HeadWeights:
    """The projections of `layer`, each checked on random hidden states."""
    notes = []
    found: dict[Part, Projection | None] = {}
    for part in get_args(Part):
        with as_ours(feed.model, f"W_{part.upper()} of layer {layer} was measured"):
            found[part] = _affine(feed, layer, part)
        if found[part] is None:
            notes.append(
                f"W_{part.upper()} cannot be written as one matrix: between the projection and the attention the "
                f"model normalises or clips {part}."
            )
    rounding = feed.anatomy.arithmetic.rounding
    if rounding:
        notes.append(f"The model rounds activations by {rounding:.1%} of the largest before these matrices see them.")
    w_o, b_o = output_weights(feed, layer)
    return HeadWeights(found["q"], found["k"], found["v"], w_o.cpu(), b_o.cpu(), tuple(notes))


def output_weights(feed: Feed, layer: int) -> tuple[Tensor, Tensor]:
    """W_O float32 [head, d_head, d_model] and b_O [d_model] of `layer`, where encodings are kept."""
    block, like = feed.anatomy.blocks[layer], torch.zeros(1, device=device_of(feed.model))
    with held(block.output), float32_arithmetic(feed.model):
        w_o, b_o = projection_weights(block.output, block.heads, block.d_head, like)
    return w_o.detach().float().to(feed.device), b_o.detach().float().to(feed.device)


def _affine(feed: Feed, layer: int, part: Part) -> Projection | None:
    width, device = feed.anatomy.d_model, feed.device
    zero = torch.zeros(1, width, device=device)
    bias = feed.projected(zero, layer, part)  # (1, heads, d_head)
    length = basis_length(feed.model.dtype)
    rows = (feed.projected(length * torch.eye(width, device=device), layer, part) - bias) / length
    sample = torch.randn(8, width, generator=torch.Generator().manual_seed(layer)).to(device)
    expected = feed.projected(sample, layer, part)
    got = torch.einsum("nd,dhe->nhe", sample.double(), rows.double()) + bias.double()
    error = (got - expected).abs().amax() / expected.abs().amax().clamp_min(1e-30)
    if not float(error) <= _TOLERANCE + feed.anatomy.arithmetic.allowance:
        return None
    return Projection(rows.transpose(0, 1).contiguous().cpu(), bias[0].cpu())


def normalised_error(feed: Feed, layer: int, part: Part) -> float:
    """How far `part` is from W norm(A x), relative to its largest: 0 where only a norm stands between two projections.

    Far from its origin such a part does not grow with x, and of x + y it is a sum of what it is of x and of y, in each
    head. A part that is clipped does not grow, either; but of x + y it is no such sum.
    """
    width, length = feed.anatomy.d_model, basis_length(feed.model.dtype)
    x, y = length * torch.randn(2, 4, width, generator=torch.Generator().manual_seed(layer)).to(feed.device)
    origin = feed.projected(torch.zeros_like(x[:1]), layer, part)  # (1, head, d_head)
    one, other, longer, both = (
        (feed.projected(rows, layer, part) - origin).double() for rows in (x, y, 2 * x, x + y)
    )  # each (row, head, d_head)
    pair = torch.stack([one, other], -1)  # (row, head, d_head, 2)
    if pair.shape[-2] < 3:
        return float("inf")  # any two vectors span heads that narrow
    sums = pair @ torch.linalg.lstsq(pair, both[..., None]).solution  # (row, head, d_head, 1)
    missed = torch.stack([(longer - one).abs().amax(), (sums[..., 0] - both).abs().amax()]).amax()
    return float(missed / one.abs().amax().clamp_min(1e-30))
