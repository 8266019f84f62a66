"""Whether anything in a model's layers but its heads carries what stands at one position to the others.

A state space may stand beside the heads of every layer (Falcon-H1). Then what a layer mixes, and what the stream is
after its attention, are not told by the heads: neither shows in their identities (dissect.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from headscope.errors import ModelError
from headscope.model.capture.anatomy import hidden_input, hidden_output
from headscope.model.capture.capture import prepared, without_cache
from headscope.model.capture.passes import Attend, Attended, recording
from headscope.model.capture.precision import Arithmetic, exact, tolerance
from headscope.model.capture.trace import Trace


class _Silent(Trace):
    """A trace of a pass in which no head writes anything."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        def silenced() -> Attended:
            found = attend()
            return found._replace(z=torch.zeros_like(found.z))

        return super().attend(layer, q, k, v, silenced)


def check_only_heads_mix(
    model: PreTrainedModel, probe: Tensor, first: nn.Module, last: nn.Module, arithmetic: Arithmetic
) -> None:
    """Refuse a model whose blocks, from `first` to `last`, bring something of a token to other positions though no head
    writes."""
    text, middle = probe[0], probe.shape[1] // 2
    others = probe.flatten()[probe.flatten() != text[middle]]
    if not len(others):
        return
    changed = text.clone()
    changed[middle] = others[0]
    pair = torch.stack([text, changed])
    trace, everything = _Silent(), torch.ones_like(pair)
    with prepared(model), trace.watching(model), recording(trace, everything):
        model(input_ids=pair, attention_mask=everything, **without_cache(model))
    given = next(hidden_input(call.inputs) for call in trace.calls if call.module is first)
    returned = [hidden_output(call.output) for call in trace.calls if call.module is last][-1]
    # Projections that round by the largest number of all positions let each see a little of the others.
    allowed = tolerance(returned.dtype) + arithmetic.allowance
    if given.shape[1] != len(text) or _elsewhere(given, middle, allowed):
        return  # what comes before the blocks is told apart by what it does to values (opened.py)
    if _elsewhere(returned, middle, allowed):
        raise ModelError(
            f"{type(model).__name__} is no chain of attention blocks: with all heads silenced, another token still "
            "changes what its layers return at other positions (a state space, recurrence or convolution stands beside "
            "the heads)."
        )


def _elsewhere(pair: Tensor, position: int, allowed: float) -> bool:
    """Whether two texts [text, position, d_model] that differ in one token differ at other positions, too, by more than
    what is allowed of how they differ there."""
    one, two = exact(pair)
    moved = (one - two).abs().amax(-1)  # (position,)
    others = moved[torch.arange(len(moved)) != position]
    return float(others.amax()) > allowed * float(moved[position])
