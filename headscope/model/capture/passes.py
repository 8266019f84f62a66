"""One forward pass that is being recorded: who watches it, and under which mask it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from headscope.errors import ModelError
from headscope.model.capture.edits import Edits, attended_otherwise, edited
from headscope.model.capture.visible import MASKED, unhidden
from headscope.question.choices import Mask
from headscope.question.stopping import stop_point


@dataclass(frozen=True)
class AttentionCall:
    """What one attention call used (after RoPE and q/k norms) and made.

    q [batch, head, position, d_head]; k, v [batch, kv_head, position, d_head];
    pattern [batch, head, query, source]; z [batch, position, head, d_head].
    """

    q: Tensor
    k: Tensor
    v: Tensor
    pattern: Tensor
    z: Tensor


class Attended(NamedTuple):
    """What one attention call made: z [batch, position, head, d_head], the pattern [batch, head, query, source].

    `scores`, what went into its softmax, likewise; None where none was seen.
    """

    z: Tensor
    pattern: Tensor
    scores: Tensor | None


Attend = Callable[[], Attended]


class Recorder(Protocol):
    """Sees the attention calls of one forward pass, in order."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        """Return what the model goes on with, usually what `attend()` returns."""
        ...


class Arrived(BaseException):
    """The run has come as far as it was wanted, to what is in its `args`.

    No `Exception`: who catches a failure on the way must not take this for one.
    """


@dataclass
class _Pass:
    recorder: Recorder
    attention_mask: Tensor  # [batch, position], 1 = a token, 0 = padding
    mask: Mask
    only: frozenset[nn.Module] | None  # the modules whose attention is meant; None: all
    edits: Sequence[Edits]  # what takes the place of the pattern, of z and of the stream, text by text
    layer: int = 0


# A context variable, not a global: a forward pass of the same model in another thread is not recorded.
_current: ContextVar[_Pass | None] = ContextVar("headscope_pass", default=None)


@contextmanager
def recording(
    recorder: Recorder,
    attention_mask: Tensor,
    mask: Mask = "model",
    only: frozenset[nn.Module] | None = None,
    edits: Sequence[Edits] = (),
) -> Iterator[None]:
    """Hand the attention calls of the forward pass inside to `recorder`, under another mask if one is named.

    `only` names the modules whose attention is meant: the calls of others (cross-attention) run as they would. `edits`
    say what takes the place of the pattern and of z, text by text (that of the stream: reading/stream.py).
    """
    token = _current.set(_Pass(recorder, attention_mask, mask, only, edits))
    try:
        yield
    finally:
        _current.reset(token)


def is_recorded(module: nn.Module | None = None) -> bool:
    """Whether the forward pass that runs in this thread of control is recorded, and `module`'s attention in it."""
    current = _current.get()
    return current is not None and (module is None or current.only is None or module in current.only)


def is_recorded_by(recorder: Recorder) -> bool:
    """Whether the forward pass that runs in this thread of control is the recorder's."""
    current = _current.get()
    return current is not None and current.recorder is recorder


def batch_size() -> int:
    """How many texts the recorded pass runs."""
    return _the_pass().attention_mask.shape[0]


def _the_pass() -> _Pass:
    current = _current.get()
    assert current is not None, "only called while a pass is recorded"
    return current


def hand_over(q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
    """Show one attention call to the recorder of this pass, which answers with what it made."""
    stop_point()
    current = _the_pass()
    layer = current.layer
    current.layer += 1
    if not current.edits:
        return current.recorder.attend(layer, q, k, v, attend)
    lengths = current.attention_mask.sum(-1).tolist()

    def edited_attend() -> Attended:
        found = attend()
        z, pattern = attended_otherwise(found.z, found.pattern, v, layer, current.edits, lengths)
        return found._replace(z=edited(z, layer, current.edits, lengths), pattern=pattern)

    return current.recorder.attend(layer, q, k, v, edited_attend)


def other_mask(queries: int, sources: int, dtype: torch.dtype, device: torch.device) -> Tensor | None:
    """The additive mask [batch, 1, query, source] that this pass was asked for; None: the model's own.

    "full" lets every token see all others, "causal" only those before it; padding is never seen.
    """
    current = _current.get()
    if current is None or current.mask == "model":
        return None
    seen = torch.ones(queries, sources, dtype=torch.bool, device=device)
    if current.mask == "causal":
        seen = seen.tril()
    seen = seen[None, None]  # (1, 1, Q, S)
    seen = seen & current.attention_mask.to(device).bool()[:, None, None, :]  # (B, 1, Q, S)
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill(~seen, torch.finfo(dtype).min)


def with_bias(other: Tensor, own: Tensor | None) -> Tensor:
    """Another mask with the bias that the model merged with its own (Falcon's ALiBi, what Doge learned).

    Raises ModelError where there is a bias, and none is known for what the model's own mask hides and the other shows.
    """
    if own is None or own.dtype == torch.bool:
        return other
    own = own[..., : other.shape[-1]]
    bias: Tensor = unhidden(own)
    if not bool(bias.any()):
        return other
    if bool(((own <= MASKED) & (other > MASKED)).any()):
        raise ModelError(
            f"the mask {_the_pass().mask!r} has no hold on this model: it merges a bias of its own with its mask, and "
            "has none for what that hides."
        )
    return other + bias
