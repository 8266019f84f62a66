"""Whether a model still computes what it computed when it was opened.

Two looks. The first is at what a model computes *from*, and is cheap enough for every read: its tensors (where they
lie, torch's count of writes, and a sample that meets every row and column of each), its hooks, the state of its
adapters. The second asks the model itself: a fixed text through all layers, and the embedding of every token of the
vocabulary. Changed parameters are changed weights; where something else moved, the second look decides, so that a hook
that only watches changes nothing. The embeddings that a pass used, and those of an answer's tokens, are compared each
time. What neither look can see, a reading's own pass can (vocabulary/witness.py).
"""

from __future__ import annotations

import hashlib
import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from headscope.cores.one_thread import alone
from headscope.model.adapters import state
from headscope.model.capture.capture import held
from headscope.model.capture.heads import AllHeads
from headscope.model.capture.parts import modules_of
from headscope.model.capture.precision import HALF
from headscope.model.capture.runner import Runner, Text
from headscope.model.capture.stored import Opaque, are_plain, beside, device_of, hash_of_tensors, parts
from headscope.model.feed.embeddings import ROWS
from headscope.model.looks import looks_here

_SAME = 1e-5  # of the largest value: what float32 arithmetic in another order may differ by
_SAME_HALF = 1e-3  # the same run on the same machine: half-precision rounds alike
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.int64}  # by bytes


class Freshness:
    """Remembers what an opened model computes; says whether it has changed since."""

    def __init__(self, runner: Runner, probe: list[int], vocab_size: int) -> None:
        self._runner, self._probe, self._vocab_size = runner, probe, vocab_size
        self._model = runner.stack.model
        self._models = [model for model in (self._model, runner.stack.encoder) if model is not None]
        self._tolerance = _SAME_HALF if self._model.dtype in HALF else _SAME
        self._direction: Tensor | None = None
        self._noted = self._note(None)
        self._computed = self._compute()
        self._changed = False

    def changed(self) -> bool:
        """Whether the model computes anything else than when it was opened, as far as the two looks can see."""
        if self._changed or looks_here().are_young(self):
            return self._changed
        began = time.monotonic()
        if not self._judge(self._note(self._noted)):
            looks_here().note(self, began)
        return self._changed

    def before_pass(self) -> tuple[bool, frozenset[int]]:
        """At one look: whether the model has changed, and the hooks that have come, if nothing else moved.

        A reading's own pass can show whether these only watch. Whoever registers a hook and reads a text then sees
        that text's pass alone.
        """
        if self._changed:
            return True, frozenset()
        noted = self._note(self._noted)
        come = self._come(noted)
        return (False, come) if come else (self._judge(noted), come)

    def moved(self) -> bool:
        """Whether anything that the model computes from is another than when it was last looked at; runs nothing.

        Other threads may look, or run the model, meanwhile: one that takes note of more makes this say that it has.
        """
        if self._changed or looks_here().are_young(self):
            return self._changed
        noted, began = self._noted, time.monotonic()
        moved = self._note(noted) != noted
        if not moved:
            looks_here().note(self, began)
        return moved

    def only_watch(self) -> None:
        """Take the hooks that have come for such as change nothing, on the word of who watched them."""
        self._noted = self._note(self._noted)

    def deny(self) -> None:
        """Take the model for changed, on the word of who saw it compute something else."""
        self._changed = True

    @alone()
    def embeds_as_before(self, ids: Tensor) -> bool:
        """Whether the model's embeddings of `ids` are those that it was opened with; if not, it has changed."""
        ids = ids.unique()
        return self._embedding_is(ids, self._embedded(ids))

    @alone()
    def embedded_as_before(self, ids: Tensor, rows: Tensor) -> bool:
        """The same of the embeddings [token, d] that a pass has used for `ids` [token]."""
        return self._embedding_is(ids, self._number(rows))

    def _embedding_is(self, ids: Tensor, numbers: Tensor) -> bool:
        if not self._same([numbers], [self._computed[-1][ids]]):
            self._changed = True
        return not self._changed

    def _judge(self, noted: _Noted) -> bool:
        self._changed = noted.parameters != self._noted.parameters
        if not self._changed and (noted.hooks, noted.rest) != (self._noted.hooks, self._noted.rest):
            self._changed = not self._same(self._compute(), self._computed)
            self._noted = noted
        return self._changed

    def _come(self, noted: _Noted) -> frozenset[int]:
        """The hooks that have come; none if any has gone, or anything else moved."""
        before = self._noted
        if noted.hooks == before.hooks or (noted.parameters, noted.rest) != (before.parameters, before.rest):
            return frozenset()
        come = frozenset(noted.hooks) - frozenset(before.hooks)
        return come if len(noted.hooks) == len(before.hooks) + len(come) else frozenset()

    def _note(self, before: _Noted | None) -> _Noted:
        return _Noted.of(self._models, before)

    def _same(self, now: list[Tensor], before: list[Tensor]) -> bool:
        return all(_close(*pair, self._tolerance) for pair in zip(now, before, strict=True))

    def _compute(self) -> list[Tensor]:
        """What a fixed text makes of every head and of the output, and a number for each token's embedding."""
        stack, layers = self._runner.stack, len(self._runner.anatomy.blocks)
        recorder = AllHeads([len(self._probe)], layers)
        probe = Text(self._probe, context=None if stack.encoder is None else self._probe)
        output = self._runner.run([probe], recorder)[0]
        heads = recorder.captured()[0]
        embedded = self._embedded(torch.arange(self._vocab_size))
        return [heads.q, heads.k, heads.v, heads.z, _last(output), embedded]

    def _embedded(self, ids: Tensor) -> Tensor:
        """A number for each of `ids` [token] that changes with its embedding: float32 [token]."""
        embeddings = self._model.get_input_embeddings()
        with held(embeddings):
            chunks = ids.to(device_of(self._model)).split(ROWS)
            return torch.cat([self._number(embeddings(chunk)) for chunk in chunks])

    def _number(self, rows: Tensor) -> Tensor:
        if self._direction is None:
            self._direction = torch.randn(rows.shape[-1], generator=torch.Generator().manual_seed(0)).to(rows.device)
        # Row by row, not as a product of matrices: a row's number is the same to the bit, whichever rows stand around.
        found: Tensor = (rows.float() * self._direction).sum(-1).cpu()
        return found


def weights_sha256(model: PreTrainedModel) -> str:
    """A SHA-256 over a model's tensors, and over which of its adapters act, if it has any."""
    tensors = hash_of_tensors(model)
    adapters = [f"{name} {acting}" for name, module in model.named_modules() if (acting := state(module))]
    if not adapters:
        return tensors
    return hashlib.sha256("\n".join([tensors, *adapters]).encode()).hexdigest()


@dataclass(frozen=True)
class _TensorState:
    """Where tensors lie, how often torch saw them written to, and a sample of what is in them."""

    places: tuple[Any, ...]
    views: tuple[Tensor, ...]
    sample: tuple[Tensor, ...]
    opaque: tuple[Opaque, ...]  # kept, so that no other takes the place of one that is gone

    @staticmethod
    @alone()  # in the few milliseconds that it takes no thread comes to help in time
    def of(
        found: list[Tensor | None], before: _TensorState | None, others: Sequence[Tensor | Opaque] = ()
    ) -> _TensorState:
        opaque = tuple(one for one in others if isinstance(one, Opaque))
        tensors = [tensor for tensor in found if tensor is not None]
        if not are_plain(tensors):
            tensors = [part for tensor in tensors for part in parts(tensor)]
        tensors += [one for one in others if isinstance(one, Tensor)]
        places = tuple([(t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors])
        places += tuple([(id(one), 0) for one in opaque])
        if before is not None and before.places == places:
            views = before.views  # the same memory
        else:
            there = (tensor for tensor in tensors if tensor.numel() and not (tensor.is_meta or tensor.is_quantized))
            views = tuple(_through(tensor.detach()) for tensor in there)
        return _TensorState(places, views, _bytes(views), opaque)

    @alone()
    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _TensorState)
            and self.places == other.places
            and len(self.sample) == len(other.sample)
            and all(map(torch.equal, self.sample, other.sample))
        )


@dataclass(frozen=True)
class _Noted:
    """What a model computes from, as far as it can be seen without running it."""

    parameters: _TensorState
    hooks: tuple[int, ...]  # all but headscope's own, by the numbers that torch gives them
    rest: tuple[_TensorState, tuple[str, ...]]  # buffers and what is packed, adapters
    packing: tuple[nn.Module, ...]  # the modules that have something in attributes, found once

    @staticmethod
    def of(models: Sequence[nn.Module], before: _Noted | None) -> _Noted:
        parameters: list[Tensor | None] = []
        buffers: list[Tensor | None] = []
        hooks: list[int] = []
        adapters: list[str] = []
        modules = [*itertools.chain.from_iterable(map(modules_of, models))]
        seen: set[int] = set()
        held = [(one, beside(one, seen)) for one in (modules if before is None else before.packing)]
        for module in modules:
            parameters += module._parameters.values()
            buffers += module._buffers.values()
            for registered in (module._forward_hooks, module._forward_pre_hooks):
                if registered:
                    hooks += [key for key, hook in list(registered.items()) if not _is_ours(hook)]  # a pass adds some
            if "_disable_adapters" in module.__dict__:
                adapters.append(state(module))
        return _Noted(
            _TensorState.of(parameters, None if before is None else before.parameters),
            tuple(hooks),
            (
                _TensorState.of(
                    buffers, None if before is None else before.rest[0], [one for _, some in held for one in some]
                ),
                tuple(adapters),
            ),
            tuple(one for one, some in held if some) if before is None else before.packing,
        )


def _is_ours(hook: object) -> bool:
    """Whether a hook is of a pass of headscope's own, which may be under way in another thread: it changes nothing."""
    return str(getattr(hook, "__module__", "")).startswith("headscope.")


def _through(tensor: Tensor) -> Tensor:
    """A view of some elements of a tensor, that meets every row and every column of a matrix."""
    if not tensor.is_contiguous():
        tensor = tensor.t() if tensor.dim() == 2 and tensor.t().is_contiguous() else tensor
    if not tensor.is_contiguous():
        return tensor.flatten()[:1] if tensor.dim() < 2 else tensor.select(-1, 0).reshape(-1)
    flat = tensor.view(-1)
    width = tensor.shape[-1] if tensor.dim() else 1
    # No longer than a row, so that none is passed over; prime to its length, so that each column has its turn.
    step = min(width, len(flat) // width)
    while math.gcd(step, width) > 1:
        step -= 1
    return flat[::step]


def _bytes(views: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The bits of all views, for each dtype and device: numbers that are none are not equal to themselves."""
    alike: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for view in views:
        alike.setdefault((view.dtype, view.device), []).append(view)
    # Not every kind of 8-bit float can be put together; any is so many bits.
    return tuple(
        torch.cat(some if some[0].itemsize > 1 else [view.view(torch.uint8) for view in some]).view(
            _WHOLE[some[0].itemsize]
        )
        for some in alike.values()
    )


def _last(output: Any) -> Tensor:
    """What the model makes of the text's last token: logits, or the last layer's hidden state."""
    first = output if isinstance(output, Tensor) else output[0]
    found: Tensor = first.reshape(-1, first.shape[-1])[-1].detach().float().cpu()
    return found


def _close(now: Tensor, before: Tensor, tolerance: float) -> bool:
    if torch.equal(now, before):
        return True
    if now.shape != before.shape or not torch.equal(now.isfinite(), before.isfinite()):
        return False
    known = before.isfinite()
    apart, size = (now[known] - before[known]).abs(), before[known].abs()
    return not len(apart) or bool(apart.amax() <= tolerance * size.amax())
