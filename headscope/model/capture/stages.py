"""What one block does to the residual stream: before, after attention and its residual, after the whole block.

Where norms stand differs (before the attention, after the sum, after the attention itself), so the stream after
the attention is recognised among the tensors that the block's own modules see, by value.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headscope.model.capture.anatomy import Anatomy, hidden_input, hidden_output
from headscope.model.capture.norms import measure, normalises
from headscope.model.capture.trace import Call, Trace, descendants
from headscope.question.shown import Summarised

_TOLERANCE = 1e-3


@dataclass(frozen=True)
class SumNorm:
    """The norm of a sum, at the sums that it met: y ↦ gain ⊙ C y / spread, without its bias.

    gain [d_model]; spread [text, position, 1]. Linear, so that it can be asked of the parts of the sum.
    """

    gain: Tensor
    spread: Tensor
    centres: bool

    def __call__(self, y: Tensor) -> Tensor:
        """What the norm makes of a part y [text, position, d_model] of the sum."""
        centred = y - y.mean(-1, keepdim=True) if self.centres else y
        normed: Tensor = centred * self.gain.to(y) / self.spread.to(y)
        return normed


@dataclass(frozen=True, repr=False)
class Stages(Summarised):
    """One block on the texts of a pass, padding included: float32 [text, position, d_model], on the CPU.

    `before` is what the block gets; `middle` the stream after attention and residual (normed, in models that norm the
    sum: `norm`); `after` what the block returns. `factor` is what the heads' output is multiplied by when it is
    added; None where a norm of its own comes between.
    """

    before: Tensor
    middle: Tensor
    after: Tensor
    norm: SumNorm | None
    factor: float | None


def stages(anatomy: Anatomy, trace: Trace, own: Trace) -> tuple[Stages, ...]:
    """The stages of every block of a traced pass.

    `own` is a pass in which the blocks return what they computed: the same, unless the stream was replaced in `trace`.
    """
    found = []
    for block, path, own_path in zip(anatomy.blocks, trace.paths, own.paths, strict=True):
        call, same = (next(call for call in calls if call.module is block.module) for calls in (path, own_path))
        found.append(_of_block(call, block.output, _ends_in_norm(same)))
    return tuple(found)


def _ends_in_norm(block: Call) -> bool:
    """Whether a block's last word is a norm."""
    after = hidden_output(block.output)
    return any(
        isinstance(call.output, Tensor) and torch.equal(call.output, after) and _is_norm(call)
        for call in descendants(block)
    )


def _of_block(block: Call, projection: nn.Module, ends_in_norm: bool) -> Stages:
    inside = list(descendants(block))
    written_by = next(call for call in inside if call.module is projection)
    before, after = hidden_input(block.inputs), hidden_output(block.output)
    written = hidden_output(written_by.output).reshape(before.shape)
    later = inside[inside.index(written_by) + 1 :]
    # Sandwich norms: what is added is the norm of what the heads wrote.
    own_norm = next((c for c in later if _takes(c, written) and _is_norm(c)), None)
    if own_norm is not None:
        factor, summed = None, before + own_norm.output
    else:
        factor = _factor(before, written, later)
        summed = before + factor * written
    # Norm of the sum, passed on as the stream: then the block's last word is a norm too.
    normed = next((c for c in later if ends_in_norm and _takes(c, summed) and _is_norm(c)), None)
    middle = summed if normed is None else normed.output
    return Stages(
        before=before.detach().float().cpu(),
        middle=middle.detach().float().cpu(),
        after=after.detach().float().cpu(),
        norm=None if normed is None else _sum_norm(normed, summed),
        factor=factor,
    )


def _sum_norm(call: Call, summed: Tensor) -> SumNorm:
    width = summed.shape[-1]
    norm = measure(call.module, call.nth, width, summed)
    basis = torch.eye(width, device=summed.device, dtype=summed.dtype)
    gained = call.module(basis[:, None])[:, 0] - call.module(torch.zeros_like(basis[:1, None]))[0]
    gain = (norm.spread(basis) * gained).diagonal() / norm.centred(basis).diagonal()
    return SumNorm(gain.float().cpu(), norm.spread(summed.float()).cpu(), norm.centres)


def _factor(before: Tensor, added: Tensor, later: list[Call]) -> float:
    """What the model multiplies by before it adds (Granite): told by the first module that gets the sum."""
    size = float(added.float().square().sum())
    for call in later:
        if not call.inputs or call.inputs[0].shape != added.shape:
            continue
        gained = (call.inputs[0] - before).float()
        factor = float((gained * added.float()).sum()) / max(size, 1e-30)
        if factor and float((gained - factor * added.float()).square().sum()) <= _TOLERANCE**2 * factor**2 * size:
            return round(factor, 6)
    return 1.0


def _takes(call: Call, tensor: Tensor) -> bool:
    if not call.inputs or not isinstance(call.output, Tensor) or call.inputs[0].shape != tensor.shape:
        return False
    apart = (call.inputs[0].float() - tensor.float()).abs().amax()
    return bool(apart <= _TOLERANCE * tensor.float().abs().amax())


def _is_norm(call: Call) -> bool:
    if call.children or not isinstance(call.output, Tensor) or not call.inputs or call.inputs[0].dim() != 3:
        return False
    return call.output.shape == call.inputs[0].shape and normalises(call.module, call.inputs[0][:1])
