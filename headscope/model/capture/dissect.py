"""Where a model's parts are, found by watching one forward pass, and its capture proved on it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from headscope.errors import ModelError
from headscope.model.capture.anatomy import Anatomy, Block, hidden_input, hidden_output
from headscope.model.capture.arithmetic import arithmetic_of
from headscope.model.capture.beside import check_only_heads_mix
from headscope.model.capture.capture import (
    is_by_name,
    other_name,
    other_way,
    own_name,
    prepared,
    scaling,
    without_cache,
)
from headscope.model.capture.output_projection import output_projection
from headscope.model.capture.passes import AttentionCall, recording
from headscope.model.capture.picking import Picking
from headscope.model.capture.precision import exact, relative_error, tolerance
from headscope.model.capture.stored import is_plain
from headscope.model.capture.trace import Call, Trace, descendants
from headscope.model.capture.unwatched import check_unwatched


def dissect(model: PreTrainedModel, probe: Tensor) -> Anatomy:
    """Find the blocks of `model` and prove the capture on `probe` (token ids [batch, position]).

    Raises ModelError, naming what was not found, for a model that is not a chain of attention blocks, or that
    computes something else by itself.
    """
    own_name(model)
    refused: list[Exception] = []
    for way in (nullcontext, other_name, other_way, scaling):
        try:
            with way(model):
                return _dissected(model, probe)
        except Exception as error:  # what is watched may look up an attention by a name that nothing has
            refused.append(error)
    raise next((error for error in refused if isinstance(error, ModelError)), refused[0])


def _dissected(model: PreTrainedModel, probe: Tensor) -> Anatomy:
    trace = Trace()
    picking = Picking(trace, probe.shape[1])
    everything = torch.ones_like(probe)
    with prepared(model), trace.watching(model), recording(trace, everything), picking:
        made = model(input_ids=probe, attention_mask=everything, **without_cache(model))
    name = type(model).__name__
    if not trace.attentions:
        raise ModelError(_nothing_seen(model, trace, name))
    calls = [_block_call(path, layer, model, name) for layer, path in enumerate(trace.paths)]
    _check_streams(calls, name)
    _check_finite(trace, calls, model, name)
    _check_only_blocks(trace, calls, model, name)
    _check_chain(calls, name)
    blocks, projections = [], trace.calls[: trace.calls.index(calls[0])]
    mixing, projecting = [], []
    for layer, (call, path, seen) in enumerate(zip(calls, trace.paths, trace.attentions, strict=True)):
        projection, projection_error = output_projection(call, seen.z, f"{name}, layer {layer}")
        _check_width(call, path[-1], name)
        blocks.append(_block(call, path[-1], projection, seen))
        mixing.append(_mixing_error(seen))
        projecting.append(projection_error)
        inside = [*descendants(call)]
        projections += inside[: inside.index(projection) + 1]
    _check_shapes(blocks, name)
    _check_own_values(trace.attentions, name)
    arithmetic = arithmetic_of(model, projections)
    error, exact_error = max(*mixing, *projecting), tolerance(trace.attentions[0].z.dtype)
    if not (max(mixing) <= exact_error and max(projecting) <= exact_error + arithmetic.allowance):
        raise ModelError(
            f"{name} cannot be read: on a probe its captured head outputs miss z = Σ α v or Σ z W_O + b_O by "
            f"{error:.2g} of the largest value."
        )
    check_unwatched(model, probe, made, arithmetic)
    check_only_heads_mix(model, probe, blocks[0].module, blocks[-1].module, arithmetic)
    last = trace.calls.index(calls[-1])
    inside_last = {call.module for call in descendants(calls[-1])}
    weights = torch.stack([seen.pattern.float().sum(-1).amin() for seen in trace.attentions])
    return Anatomy(
        blocks=tuple(blocks),
        d_model=hidden_input(calls[0].inputs).shape[-1],
        causal=all(_is_causal(seen.pattern) for seen in trace.attentions),
        sinks=bool(weights.amin() < 0.99),
        capture_error=error,
        arithmetic=arithmetic,
        used=frozenset({call.module for call in trace.calls[: last + 1]} | inside_last),
        writes_over=trace.written_over,
        picks=picking.is_before_attention(calls),
        numbers=_numbers(trace, calls, model),
    )


def _nothing_seen(model: PreTrainedModel, trace: Trace, name: str) -> str:
    """What was looked for, and which modules are by their names what was not found: for this sentence alone."""
    looked = (
        "called the attention function that transformers looks up by name"
        if is_by_name(model)
        else "went through a softmax between two products (matmul, bmm, baddbmm) or scaled_dot_product_attention"
    )
    attend = [call for call in trace.calls if _is_called_attention(call)]
    inmost = [call for call in attend if not any(map(_is_called_attention, descendants(call)))]
    kinds = " and ".join(dict.fromkeys(type(call.module).__name__ for call in inmost))
    other = f", and how {kinds} attends was not seen" if kinds else ""
    return f"{name} has no attention heads that can be found: in its forward pass nothing {looked}{other}."


def _is_called_attention(call: Call) -> bool:
    return "attention" in type(call.module).__name__.lower()


def _block(call: Call, attention: Call, projection: Call, seen: AttentionCall) -> Block:
    """The layer of one attention: the call of its block, the call that attends, and the one that takes its z."""
    return Block(
        module=call.module,
        attention=attention.module,
        nth=call.nth,
        returns=len(call.output) if isinstance(call.output, (tuple, list)) else None,
        output=projection.module,
        heads=seen.z.shape[2],
        kv_heads=seen.v.shape[1],
        d_head=seen.z.shape[3],
    )


def _block_call(path: list[Call], layer: int, model: nn.Module, name: str) -> Call:
    """The outermost call around attention call `layer` that holds no other, a member of a list if there is one."""
    alone = [call for call in path if call.attentions == [layer]]
    listed = {child for m in model.modules() if isinstance(m, nn.ModuleList) for child in m}
    found = [call for call in alone if call.module in listed] or alone
    if not found:
        raise ModelError(f"{name}: no module holds attention call {layer} and no other, so it has no layer {layer}.")
    return found[0]


def _check_finite(trace: Trace, blocks: list[Call], model: nn.Module, name: str) -> None:
    """Refuse a model that computes no numbers, and name the first layer where it stops."""
    for layer, (call, seen) in enumerate(zip(blocks, trace.attentions, strict=True)):
        made = (hidden_output(call.output),) if layer + 1 < len(blocks) else ()  # nothing is read behind the last
        if all(bool(tensor.isfinite().all()) for tensor in (seen.v, seen.z, seen.pattern, *made)):
            continue
        inside = {id(parameter) for parameter in call.module.parameters()}
        named = ((key, one) for key, one in model.named_parameters() if id(one) in inside and is_plain(one))
        broken = next((key for key, one in named if not bool(one.isfinite().all())), None)
        raise ModelError(
            f"{name} computes numbers that are not finite, first in layer {layer}: "
            + (
                f"its weight {broken} holds some, so it is damaged or was never trained well."
                if broken
                else f"they are too large for {str(seen.z.dtype).removeprefix('torch.')}; another dtype may hold them."
            )
        )


def _check_only_blocks(trace: Trace, blocks: list[Call], model: nn.Module, name: str) -> None:
    """Refuse hybrids: layers of another kind between the attention blocks, or before the first."""
    ours = {call.module for call in blocks}
    called = {call.module for call in trace.calls}
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and ours & set(module):
            others = [type(layer).__name__ for layer in module if layer in called and layer not in ours]
            if others:
                raise ModelError(
                    f"{name} is no chain of attention blocks: {len(others)} of its {len(module)} layers have no "
                    "attention heads (state space, recurrence, convolution or linear attention)."
                )


def _numbers(trace: Trace, blocks: list[Call], model: nn.Module) -> tuple[int, ...]:
    """Which of the model's own layers the blocks are, where it has some that do not run on a text; else none."""
    ours, called = {call.module for call in blocks}, {call.module for call in trace.calls}
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and ours <= set(module) and any(one not in called for one in module):
            return tuple(n for n, one in enumerate(module) if one in ours)
    return ()


def _check_streams(blocks: list[Call], name: str) -> None:
    """Refuse layers that read or return something else than one stream of hidden states."""
    shapes = [tuple(one.shape) for call in blocks for one in call.inputs[:1] if one.is_floating_point()]
    if any(len(shape) != 3 for shape in shapes):
        raise ModelError(
            f"{name} is no chain of attention blocks: its layers read no stream [text, position, d_model], but one of "
            f"{len(shapes[0])} axes (several streams side by side, say)."
        )
    given = next((call.output for call in blocks if isinstance(call.output, Mapping)), None)
    if given is not None:
        raise ModelError(
            f"{name} cannot be read: its layers return a {type(given).__name__} where others return hidden states."
        )


def _check_chain(blocks: list[Call], name: str) -> None:
    """Refuse layers that do not read what the one before returned."""
    for layer, (before, after) in enumerate(itertools.pairwise(blocks)):
        if not torch.equal(hidden_output(before.output), hidden_input(after.inputs)):
            raise ModelError(
                f"{name} is no chain of attention blocks: layer {layer + 1} does not read what layer {layer} "
                "returns (other kinds of layers, or several streams, stand between them)."
            )


def _check_width(block: Call, attention: Call, name: str) -> None:
    """Refuse attention that reads and writes other vectors than those of the residual stream."""
    stream = hidden_input(block.inputs).shape[-1]
    widths = [given.shape[-1] for given in attention.inputs if given.is_floating_point() and given.dim() == 3]
    if widths and widths[0] != stream:
        raise ModelError(
            f"{name} cannot be read: its attention reads vectors of {widths[0]} numbers, and its residual stream has "
            f"{stream} (a bottleneck stands between them, as in MobileBERT)."
        )


def _check_shapes(blocks: list[Block], name: str) -> None:
    """Refuse layers of unequal heads."""
    shapes = {(block.heads, block.kv_heads, block.d_head) for block in blocks}
    if len(shapes) > 1:
        listed = ", ".join(f"{h} heads of {d} ({kv} for keys and values)" for h, kv, d in sorted(shapes))
        raise ModelError(f"{name} has layers of different shapes ({listed}), which headscope cannot put side by side.")


def _check_own_values(attentions: list[AttentionCall], name: str) -> None:
    """Refuse layers that mix the values of another (Gemma 4 and 3n share them): a token has none of theirs."""
    values = [seen.v for seen in attentions]
    telling = [layer for layer, v in enumerate(values) if bool((v != v[:, :, :1]).any())]  # not all of pruned heads
    pairs = itertools.combinations(telling, 2)
    taken = {later: layer for layer, later in pairs if torch.equal(values[layer], values[later])}
    if taken:
        later, layer = next(iter(sorted(taken.items())))
        raise ModelError(
            f"{name} cannot be read: {len(taken)} of its {len(attentions)} layers have no values of their own (layer "
            f"{later} mixes those of layer {layer}), so there is no vocabulary of theirs to compare with."
        )


def _mixing_error(seen: AttentionCall) -> float:
    """How far z is from Σ_j α_ij v_j, relative to the largest |z|."""
    groups = seen.z.shape[2] // seen.v.shape[1]
    v = exact(seen.v).repeat_interleave(groups, dim=1)  # (B, H, S, d_head)
    mixed = (exact(seen.pattern) @ v).transpose(1, 2)  # (B, S, H, d_head)
    return relative_error(mixed, seen.z)


def _is_causal(pattern: Tensor) -> bool:
    """No weight on a later position, in a text long enough to show one."""
    return pattern.shape[-1] > 1 and not bool(pattern.triu(1).any())
