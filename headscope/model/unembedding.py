"""How the residual stream becomes logits, where that can be split by what each head wrote (direct logit attribution).

logits[t] = W_U[t] · N(f) + b_U, f the last block's output. With N(f) = g ⊙ C f / s(f) + b_N, whatever was added to f
adds its own share, as long as it reaches f as it was written: u adds C (g ⊙ W_U[t]) · C u / s(f), both sides without
what a norm that centres takes out of them, so that lengths and angles are those of what counts. That is tried out: with
every norm inside the blocks held to what it returned before, a disturbance of each head projection's output must arrive
at f unchanged.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from headscope.errors import InputError
from headscope.model.capture.anatomy import Anatomy, hidden_output
from headscope.model.capture.arithmetic import rounding
from headscope.model.capture.capture import held, prepared, without_cache
from headscope.model.capture.norms import Norm, measure, normalises
from headscope.model.capture.passes import is_recorded_by, recording
from headscope.model.capture.precision import float32_arithmetic
from headscope.model.capture.stored import device_of, is_plain
from headscope.model.capture.trace import Call, Trace, descendants
from headscope.model.opened import Opened
from headscope.model.telling import as_ours

_TOLERANCE = 1e-4
_OPEN = "Open: value, output, key, query, embedding (what the heads write, without the head of the model)."


@dataclass(frozen=True)
class Unembedding:
    """The final norm and the language-model head; `scale` is what the model multiplies the head's output by.

    `squashed`: the model then bends the logits (a soft cap), so shares are of what it bends. `error`: of the split,
    on a probe, relative to the largest logit.
    """

    model: PreTrainedModel
    head: nn.Module
    norm: Norm
    width: int
    scale: float
    squashed: bool
    error: float

    def rows(self, tokens: int) -> Tensor:
        """C (g ⊙ W_U): what a unit of each coordinate of f adds to every token's logit, times s(f), [token, d_model].

        nan for tokens that the head has no logit for; logits that belong to no token are left out.
        """
        rows = self._rows[:tokens]
        return torch.cat([rows, rows.new_full((tokens - len(rows), rows.shape[1]), torch.nan)])

    @property
    def logits(self) -> int:
        """How many logits the head gives."""
        return len(self.constant())

    @property
    def _rows(self) -> Tensor:
        with held(self.model), float32_arithmetic(self.model):
            basis = torch.eye(self.width, device=device_of(self.model))
            made = self.norm.module(basis[:, None])[:, 0] - self._zero  # (d_model, d_model)
            # The head on the basis itself: of anything else it may round the coordinates (dynamic int8).
            weight = self.head(basis[:, None])[:, 0] - self.head(0 * basis[:1, None])[:, 0]
            rows: Tensor = (self.scale * (self.norm.spread(basis) * made) @ weight).T.float().contiguous()
            return rows

    def constant(self) -> Tensor:
        """What belongs to no component: the norm's and the head's biases, float32 [token]."""
        with held(self.model), float32_arithmetic(self.model):
            constant: Tensor = (self.scale * self.head(self._zero[None, None])).flatten().float()
            return constant

    @cached_property
    def _zero(self) -> Tensor:
        return self.norm.module(torch.zeros(1, 1, self.width, device=device_of(self.model)))[0, 0]  # type: ignore[no-any-return]


def find_unembedding(opened: Opened) -> Unembedding:
    """The way from the last block to the logits, proved on the model's probe.

    Raises InputError where there is none, ModelError for whatever the model itself raises.
    """
    with as_ours(opened.model, "its logits were split"):
        return _found(opened)


def _found(opened: Opened) -> Unembedding:
    model, anatomy = opened.model, opened.anatomy
    kind, head = type(model).__name__, model.get_output_embeddings()
    if head is None:
        raise InputError(f"{kind} has no language-model head, so it has no unembedding. {_OPEN}")
    trace = Trace()
    logits = _run(model, opened.probe, trace)
    stream = _leaving(trace, {block.module for block in anatomy.blocks})
    into_head = [call for call in trace.calls if call.module is head]
    with held(model):
        norms = [call for call in trace.calls if _takes(call, stream) and normalises(call.module, stream.float())]
    if not into_head or not norms or not _takes(into_head[-1], norms[-1].output):
        raise InputError(
            f"{kind} has no final norm that acts on the residual stream right before its language-model head, so its "
            f"logits are no sum over heads. {_OPEN}"
        )
    _check_additive(model, anatomy, trace, opened.probe, kind)
    width = stream.shape[-1]
    with held(model), float32_arithmetic(model):
        norm = measure(norms[-1].module, norms[-1].nth, width, stream)
    made = into_head[-1].output.double()
    scale = float((logits.double() * made).sum() / made.square().sum())
    bent = float((logits - scale * made).abs().amax() / logits.abs().amax())
    squashed = bent > _TOLERANCE
    found = Unembedding(model, head, norm, width, 1.0 if squashed else scale, squashed, 0.0)
    split = (norm.centred(stream.float()) / norm.spread(stream.float())) @ found._rows.T + found.constant()
    expected = found.scale * made
    error = float((split - expected).abs().amax() / expected.abs().amax())
    with held(model), float32_arithmetic(model):
        allowed = 0.0 if is_plain(getattr(head, "weight", None)) else 2 * rounding(head, into_head[-1].inputs[0])
    if not error <= (_TOLERANCE if model.dtype == torch.float32 else 0.1) + allowed:
        raise InputError(
            f"{kind}'s logits are not what its final norm and head make of the stream ({error:.1e}). {_OPEN}"
        )
    return Unembedding(model, head, norm, width, found.scale, squashed, error)


def _takes(call: Call, tensor: Any) -> bool:
    return bool(call.inputs) and isinstance(tensor, Tensor) and torch.equal(call.inputs[0], tensor)


def _run(model: PreTrainedModel, probe: Tensor, trace: Trace) -> Tensor:
    """The logits of the probe, under the eyes of `trace`."""
    everything = torch.ones_like(probe)
    with prepared(model), trace.watching(model), recording(trace, everything):
        return model(input_ids=probe, attention_mask=everything, **without_cache(model))[0]  # type: ignore[no-any-return]


def _check_additive(model: PreTrainedModel, anatomy: Anatomy, before: Trace, probe: Tensor, kind: str) -> None:
    """What a head projection's output gains, the last block's output must gain, while all norms stand still."""
    blocks, projections = ({getattr(block, part) for block in anatomy.blocks} for part in ("module", "output"))
    inside = [call for block in before.calls if block.module in blocks for call in descendants(block)]
    held = {(call.module, call.nth): call.output for call in inside if _is_norm(model, call)}
    generator = torch.Generator().manual_seed(0)
    stream = _leaving(before, blocks)
    size = 0.1 * float(stream.float().std())
    added: list[Tensor] = []
    after = Trace()

    def hold(module: nn.Module, args: Any, output: Any) -> Any:
        if not is_recorded_by(after):
            return None
        if module in projections:
            added.append(size * torch.randn(output.shape, generator=generator).to(output))
            return output + added[-1]
        return held.get((module, after.calls_of(module) - 1))

    with ExitStack() as hooks:
        for module in projections | {module for module, _ in held}:
            hooks.callback(module.register_forward_hook(hold).remove)
        _run(model, probe, after)
    moved = _leaving(after, blocks)
    expected = torch.stack([part.reshape(moved.shape) for part in added]).sum(0)
    error = float((moved - stream - expected).abs().amax() / expected.abs().amax())
    if not error <= (1e-2 if model.dtype == torch.float32 else 0.2):
        raise InputError(
            f"what {kind}'s heads write does not reach the final norm as it is (a norm or a factor stands after the "
            f"attention), so its logits are no sum over heads. {_OPEN}"
        )


def _is_norm(model: PreTrainedModel, call: Call) -> bool:
    given = call.inputs[0] if call.inputs else None
    if call.children or not isinstance(call.output, Tensor) or given is None or not given.is_floating_point():
        return False
    with held(call.module), float32_arithmetic(model):
        return normalises(call.module, given[:1])


def _leaving(trace: Trace, blocks: set[nn.Module]) -> Tensor:
    """The residual stream that the last block returns, [batch, position, d_model]."""
    return hidden_output([call for call in trace.calls if call.module in blocks][-1].output)
