"""One attention function for every architecture.

transformers lets a model's attention be swapped by name (`AttentionInterface`). The function registered here
delegates to the model's own eager attention, so softcaps, sinks and biases stay right, and hands q, k, v, the
pattern and z of each call to the recorder that is active in the current thread of control. Nothing is
recomputed, and no module name is known here.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

from headscope.errors import ModelError

IMPLEMENTATION = "headscope"
Mask = Literal["model", "full", "causal"]
MASKS: tuple[Mask, ...] = get_args(Mask)


@dataclass(frozen=True)
class Attention:
    """What one attention call used (after RoPE and q/k norms) and made.

    q [batch, head, position, d_head]; k, v [batch, kv_head, position, d_head];
    pattern [batch, head, query, source]; z [batch, position, head, d_head].
    """

    q: Tensor
    k: Tensor
    v: Tensor
    pattern: Tensor
    z: Tensor


Attend = Callable[[], tuple[Tensor, Tensor]]


class Recorder(Protocol):
    """Sees the attention calls of one forward pass, in order."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> tuple[Tensor, Tensor]:
        """Return (z [batch, position, head, d_head], pattern), usually what `attend()` returns."""
        ...


@dataclass
class _Pass:
    """One forward pass that is being recorded."""

    recorder: Recorder
    mask: Mask
    padding: Tensor | None  # [batch, position], 1 = a token, 0 = padding; None: nothing is padded
    layer: int = 0


# A context variable, not a global: a forward pass of the same model in another thread is not recorded.
_current: ContextVar[_Pass | None] = ContextVar("headscope_pass", default=None)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    # `options` is transformers' own protocol (scaling, dropout, softcap, …): it goes on unread.
    eager = _eager_attention(module)
    current = _current.get()
    if current is None:
        return eager(module, query, key, value, attention_mask, **options)
    layer = current.layer
    current.layer += 1
    if current.mask != "model":
        attention_mask = _other_mask(current.mask, current.padding, query, key)

    def attend() -> tuple[Tensor, Tensor]:
        return eager(module, query, key, value, attention_mask, **options)

    return current.recorder.attend(layer, query, key, value, attend)


def _eager_attention(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
    """The eager attention that stands in the file of the module's class, or of a class it derives from."""
    for cls in type(module).__mro__:
        found = getattr(sys.modules.get(cls.__module__), "eager_attention_forward", None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    raise ModelError(f"{type(module).__name__} has no eager attention function in its own file to delegate to.")


def _other_mask(mask: Mask, padding: Tensor | None, query: Tensor, key: Tensor) -> Tensor:
    """An additive mask [batch, 1, query, source] that lets every token see all others, or only earlier ones."""
    seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
    if mask == "causal":
        seen = seen.tril()
    seen = seen[None, None]  # (1, 1, Q, S)
    if padding is not None:
        seen = seen & padding.to(query.device).bool()[:, None, None, :]  # (B, 1, Q, S)
    return torch.zeros(seen.shape, dtype=query.dtype, device=query.device).masked_fill(
        ~seen, torch.finfo(query.dtype).min
    )


AttentionInterface.register(IMPLEMENTATION, _attention)
# Without the second registration the mask silently becomes None and causality is lost.
AttentionMaskInterface.register(IMPLEMENTATION, eager_mask)

_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


@contextmanager
def prepared(model: PreTrainedModel) -> Iterator[None]:
    """Hold the model in eval mode, without gradients, with the recording attention; then restore it exactly.

    One thread at a time: a forward pass uses every core anyway, and the mode belongs to the whole model.
    """
    with _locks_guard:
        lock = _locks.setdefault(model, threading.RLock())
    with lock, torch.no_grad():
        training = [module for module in model.modules() if module.training]
        configs = {id(m.config): m.config for m in model.modules() if isinstance(m, PreTrainedModel)}
        implementations = {key: config._attn_implementation for key, config in configs.items()}
        try:
            model.eval()
            if any(name != IMPLEMENTATION for name in implementations.values()):
                model.set_attn_implementation(IMPLEMENTATION)
            yield
        finally:
            for key, config in configs.items():
                config._attn_implementation = implementations[key]
            for module in training:
                module.training = True


@contextmanager
def recording(recorder: Recorder, mask: Mask = "model", padding: Tensor | None = None) -> Iterator[None]:
    """Hand the attention calls of the forward pass inside to `recorder`, under another mask if one is named."""
    token = _current.set(_Pass(recorder, mask, padding))
    try:
        yield
    finally:
        _current.reset(token)


def is_recorded_by(recorder: Recorder) -> bool:
    """Whether the forward pass that runs in this thread of control is the recorder's."""
    current = _current.get()
    return current is not None and current.recorder is recorder


def require_interface(model: PreTrainedModel) -> None:
    """Raise ModelError where the model's attention cannot be replaced by name."""
    if not model._can_set_attn_implementation():
        raise ModelError(
            f"{type(model).__name__} does not take its attention from transformers' AttentionInterface, so its "
            "heads cannot be captured."
        )
