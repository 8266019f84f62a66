"""Where a model's parts are, found by watching one forward pass; no module is looked up by its name.

A *block* is the outermost module call that contains exactly one attention call. The blocks must form a chain
(each gets what the one before returned), or the words "layer" and "residual stream" would mean nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from headscope.errors import ModelError
from headscope.model.capture.capture import held, prepared
from headscope.model.capture.passes import Attend, Attention, is_recorded_by, recording


@dataclass(eq=False)
class Call:
    """One call of one module in one forward pass."""

    module: nn.Module
    nth: int  # which call of this module in the pass, from 0
    inputs: tuple[Tensor, ...]  # its tensor arguments, positional ones first
    output: Any = None
    attentions: list[int] = field(default_factory=list)  # the attention calls inside it
    children: list[Call] = field(default_factory=list)


class Trace:
    """A recorder that also keeps the tree of module calls of one forward pass.

    Some models write over what a module returned (`+=`): copies of everything stay as they were. They take memory, so a
    pass over long texts goes without them in a model that was seen to write over nothing.
    """

    def __init__(self, copies: bool = True) -> None:
        self._copies = copies
        self._originals: list[tuple[Tensor, int]] = []  # and how often torch had seen each written to
        self.attentions: list[Attention] = []
        self.paths: list[list[Call]] = []  # for each attention call, the module calls around it, outermost first
        self.calls: list[Call] = []  # in the order in which they began
        self._stack: list[Call] = []
        self._counts: dict[nn.Module, int] = {}

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> tuple[Tensor, Tensor]:
        for call in self._stack:
            call.attentions.append(layer)
        self.paths.append(list(self._stack))
        z, pattern = attend()
        self.attentions.append(Attention(*(self._kept(x) for x in (q, k, v, pattern, z))))
        return z, pattern

    @property
    def written_over(self) -> bool:
        """Whether the model wrote over anything that was seen."""
        return any(tensor._version != version for tensor, version in self._originals)

    def _kept(self, tensor: Tensor) -> Tensor:
        if not self._copies:
            return tensor
        self._originals.append((tensor, tensor._version))
        return tensor.clone()

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        with ExitStack() as hooks:
            for module in model.modules():
                hooks.callback(module.register_forward_pre_hook(self._enter, with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(self._leave).remove)
            yield

    def calls_of(self, module: nn.Module) -> int:
        """How many calls of a module have begun."""
        return self._counts.get(module, 0)

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not is_recorded_by(self):
            return
        tensors = tuple(self._kept(x) for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
        nth = self._counts.get(module, 0)
        self._counts[module] = nth + 1
        call = Call(module, nth, tensors)
        if self._stack:
            self._stack[-1].children.append(call)
        self._stack.append(call)
        self.calls.append(call)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if not is_recorded_by(self):
            return
        if isinstance(output, (tuple, list)):
            output = tuple(self._kept(x) if isinstance(x, Tensor) else x for x in output)
        self._stack.pop().output = self._kept(output) if isinstance(output, Tensor) else output


@dataclass(frozen=True)
class Block:
    """One layer: the module that holds one attention call, and the projection that takes its z."""

    module: nn.Module
    attention: nn.Module  # the module that calls the attention function
    nth: int  # which of the module's calls in a pass (ALBERT calls one module many times)
    returns: int | None  # None: the hidden states themselves; n: a tuple of n that begins with them
    output: nn.Module  # the output projection W_O, b_O
    heads: int
    kv_heads: int
    d_head: int


@dataclass(frozen=True)
class Anatomy:
    """A model's blocks in order, and how well the captured z obeys its two identities on the probe."""

    blocks: tuple[Block, ...]
    d_model: int
    causal: bool
    sinks: bool  # attention weights do not sum to 1: a share goes to no position
    capture_error: float  # the largest error of z = Σ α v and Σ_h z W_O + b_O, relative to the largest |value|
    used: frozenset[nn.Module]  # modules that ran up to the last block's end
    writes_over: bool  # in place, over what a module returned or was given


def hidden_input(call_inputs: tuple[Tensor, ...]) -> Tensor:
    """The hidden states among a block's arguments: the first float tensor [batch, position, d_model]."""
    for tensor in call_inputs:
        if tensor.is_floating_point() and tensor.dim() == 3:
            return tensor
    raise ModelError("a block takes no hidden states of shape [batch, position, d_model].")


def hidden_output(output: Any) -> Tensor:
    """The hidden states that a block returns, alone or first in a tuple."""
    first = output[0] if isinstance(output, (tuple, list)) else output
    if not isinstance(first, Tensor):
        raise ModelError("a block returns no hidden states.")
    return first


def dissect(model: PreTrainedModel, probe: Tensor) -> Anatomy:
    """Find the blocks of `model` and prove the capture on `probe` (token ids [batch, position]).

    Raises ModelError, naming what was not found, for a model that is not a chain of attention blocks.
    """
    trace = Trace()
    everything = torch.ones_like(probe)
    with prepared(model), trace.watching(model), recording(trace, everything):
        model(input_ids=probe, attention_mask=everything, **without_cache(model))
    name = type(model).__name__
    if not trace.attentions:
        raise ModelError(
            f"{name} has no attention heads that can be found: in its forward pass nothing went through an attention "
            "function, or through a softmax between two products."
        )
    modules = [_block_call(path, layer, model, name) for layer, path in enumerate(trace.paths)]
    _check_finite(trace, modules, model, name)
    _check_only_blocks(trace, modules, model, name)
    for layer, (before, after) in enumerate(itertools.pairwise(modules)):
        if not torch.equal(hidden_output(before.output), hidden_input(after.inputs)):
            raise ModelError(
                f"{name} is no chain of attention blocks: layer {layer + 1} does not read what layer {layer} "
                "returns (other kinds of layers, or several streams, stand between them)."
            )
    blocks, errors = [], []
    for layer, (call, path, seen) in enumerate(zip(modules, trace.paths, trace.attentions, strict=True)):
        projection, projection_error = _output_projection(call, seen.z, f"{name}, layer {layer}")
        blocks.append(
            Block(
                module=call.module,
                attention=path[-1].module,
                nth=call.nth,
                returns=len(call.output) if isinstance(call.output, (tuple, list)) else None,
                output=projection.module,
                heads=seen.z.shape[2],
                kv_heads=seen.v.shape[1],
                d_head=seen.z.shape[3],
            )
        )
        errors += [_mixing_error(seen), projection_error]
    shapes = {(block.heads, block.kv_heads, block.d_head) for block in blocks}
    if len(shapes) > 1:
        listed = ", ".join(f"{h} heads of {d} ({kv} for keys and values)" for h, kv, d in sorted(shapes))
        raise ModelError(f"{name} has layers of different shapes ({listed}), which headscope cannot put side by side.")
    last = trace.calls.index(modules[-1])
    inside_last = {call.module for call in descendants(modules[-1])}
    weights = torch.stack([seen.pattern.float().sum(-1).amin() for seen in trace.attentions])
    error = max(errors)
    if not error <= _tolerance(trace.attentions[0].z):
        raise ModelError(
            f"{name} cannot be read: on a probe its captured head outputs miss z = Σ α v or Σ z W_O + b_O by "
            f"{error:.2g} of the largest value."
        )
    return Anatomy(
        blocks=tuple(blocks),
        d_model=hidden_input(modules[0].inputs).shape[-1],
        causal=all(_is_causal(seen.pattern) for seen in trace.attentions),
        sinks=bool(weights.amin() < 0.99),
        capture_error=error,
        used=frozenset({call.module for call in trace.calls[: last + 1]} | inside_last),
        writes_over=trace.written_over,
    )


def without_cache(model: PreTrainedModel) -> dict[str, bool]:
    """`use_cache=False` for the models that know it."""
    return {"use_cache": False} if hasattr(model.config, "use_cache") else {}


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
        named = ((key, one) for key, one in model.named_parameters() if id(one) in inside)
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


def descendants(call: Call) -> Iterator[Call]:
    """The calls inside a call, in the order in which they began."""
    for child in call.children:
        yield child
        yield from descendants(child)


def _output_projection(block: Call, z: Tensor, where: str) -> tuple[Call, float]:
    """The call inside the block that maps the concatenated z linearly, and the error of Σ_h z W_O + b_O."""
    joined = z.flatten(2)  # (B, S, H * d_head)
    found = []
    for call in descendants(block):
        if len(call.inputs) != 1 or not isinstance(call.output, Tensor):
            continue
        given = call.inputs[0]
        fits = given.numel() == joined.numel() and given.shape[-1] == joined.shape[-1]
        if fits and _changes(call) and torch.equal(given.view_as(joined), joined):
            found.append((call, _projection_error(call, z)))
    if not found:
        raise ModelError(f"{where}: no projection takes the heads' concatenated output, so W_O was not found.")
    # The outermost linear one: an adapter (LoRA) wraps the plain layer, and both get z.
    return next((pair for pair in found if pair[1] <= _tolerance(z)), min(found, key=lambda pair: pair[1]))


def _changes(call: Call) -> bool:
    """Whether a call may be a projection: packed weights (GPTQ, AWQ) are no parameters, and dropout changes nothing."""
    if any(True for _ in call.module.parameters()):
        return True
    given = call.inputs[0]
    return call.output.shape[: given.dim() - 1] == given.shape[:-1] and not torch.equal(call.output, given)


def _tolerance(z: Tensor) -> float:
    """What rounding in the model's own precision may add up to, relative to the largest value."""
    return 1e-4 if z.dtype == torch.float32 else 0.1


def _mixing_error(seen: Attention) -> float:
    """How far z is from Σ_j α_ij v_j, relative to the largest |z|."""
    groups = seen.z.shape[2] // seen.v.shape[1]
    v = _exact(seen.v).repeat_interleave(groups, dim=1)  # (B, H, S, d_head)
    mixed = (_exact(seen.pattern) @ v).transpose(1, 2)  # (B, S, H, d_head)
    return _relative_error(mixed, seen.z)


def _projection_error(projection: Call, z: Tensor) -> float:
    """How far Σ_h z_h W_O^h + b_O is from what the projection returned, relative to its largest value."""
    with held(projection.module):
        weight, bias = projection_weights(projection.module, z.shape[2], z.shape[3], z)
    written = torch.einsum("bshd,hdm->bsm", _exact(z), _exact(weight)) + _exact(bias)
    return _relative_error(written, projection.output.reshape(written.shape))


def projection_weights(module: nn.Module, heads: int, d_head: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """W_O [head, d_head, d_model] and b_O [d_model] of an output projection, measured where it is no plain layer.

    nn.Linear keeps its weight as (out, in), GPT-2's Conv1D as (in, out); anything else is fed zero and the basis.
    """
    matrix: Tensor
    if type(module) is nn.Linear:
        matrix = module.weight.T
    elif type(module) is Conv1D:
        matrix = cast(Tensor, module.weight)
    else:
        zero = module(like.new_zeros(1, 1, heads * d_head)).reshape(-1)
        basis = torch.eye(heads * d_head, dtype=like.dtype, device=like.device)[None]
        return (module(basis)[0] - zero).reshape(heads, d_head, -1), zero
    bias = module.bias
    constant = bias if isinstance(bias, Tensor) else matrix.new_zeros(matrix.shape[1])
    return matrix.reshape(heads, d_head, -1), constant


def _relative_error(got: Tensor, expected: Tensor) -> float:
    expected = _exact(expected)
    return float((got - expected).abs().amax() / expected.abs().amax().clamp_min(torch.finfo(torch.float32).tiny))


def _exact(tensor: Tensor) -> Tensor:
    # On the CPU: not every device has float64.
    return tensor.detach().cpu().double()


def _is_causal(pattern: Tensor) -> bool:
    """No weight on a later position, in a text long enough to show one."""
    return pattern.shape[-1] > 1 and not bool(pattern.triu(1).any())
