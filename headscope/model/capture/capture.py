"""One attention function for every architecture.

transformers lets a model's attention be swapped by name (`AttentionInterface`). The function registered here
delegates to the model's own eager attention, so softcaps, sinks and biases stay right, and hands q, k, v, the
pattern and z of each call to the recorder that is active in the current thread of control. Nothing is
recomputed, and no module name is known here. Models that compute their attention themselves are watched
instead (watching.py); both end in `hand_over`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

from headscope.errors import ModelError
from headscope.model.capture.kept import left_alone
from headscope.model.capture.parts import Parts
from headscope.model.capture.passes import Attended, hand_over, is_recorded, other_mask, with_bias
from headscope.model.capture.versions import mask_shape
from headscope.model.capture.visible import LastScores
from headscope.model.capture.watching import Watching

BY_NAME = "headscope"
WATCHED = "headscope-watched"


class _TakenFor(str):
    """A name of headscope's that a model's own code takes for `own`, which it may ask for.

    DeepSeek-V3.2 and its kin hide what a sparse layer does not look at under the names "eager" and "sdpa" alone, and
    Falcon adds ALiBi once or twice by the name.
    """

    __slots__ = ("own",)
    own: str

    def __new__(cls, name: str, own: str = "sdpa") -> _TakenFor:
        made = super().__new__(cls, name)
        made.own = own
        return made

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or other == self.own

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


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
    if not is_recorded(module):
        return eager(module, query, key, value, attention_mask, **options)
    other = other_mask(query.shape[2], key.shape[2], query.dtype, query.device)
    mask = attention_mask if other is None else with_bias(other, attention_mask)

    def attend() -> Attended:
        with LastScores() as scores:
            z, pattern = eager(module, query, key, value, mask, **options)
        return Attended(z, _scaled(pattern, z, value) if module in _scaling else pattern, scores.last)

    found = hand_over(query, key, value, attend)
    return found.z, found.pattern


def _scaled(pattern: Tensor, z: Tensor, value: Tensor) -> Tensor:
    """The weights that z [batch, query, head, d_head] is mixed with, where it is a multiple of what `pattern` mixes.

    Granite's sinks take their share behind the softmax, from the output, and the weights are handed over as they were.
    """
    v = value.float().repeat_interleave(pattern.shape[1] // value.shape[1], dim=1)  # (B, H, S, d_head)
    mixed = pattern.float() @ v
    size = mixed.square().sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    share = (z.transpose(1, 2).float() * mixed).sum(-1, keepdim=True) / size  # (B, H, Q, 1)
    return (pattern.float() * share).to(pattern.dtype)


def _eager_attention(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor]]:
    """The eager attention that stands in the file of the module's class, or of a class it derives from."""
    for cls in type(module).__mro__:
        found = getattr(sys.modules.get(cls.__module__), "eager_attention_forward", None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    raise ModelError(f"{type(module).__name__} has no eager attention function in its own file to delegate to.")


def _mask_of_watched(*args: Any, **options: Any) -> Tensor:
    # transformers' own protocol again. Biases such as ALiBi are merged with this mask, so the other one goes in here.
    shape = mask_shape(args, options)
    other = other_mask(shape.queries, shape.sources, shape.dtype, shape.device)
    if other is not None:
        return other.expand(shape.texts, -1, -1, -1)
    made: Tensor = eager_mask(*args, **options)
    return made


AttentionInterface.register(BY_NAME, _attention)
# Without the second registration the mask silently becomes None and causality is lost.
AttentionMaskInterface.register(BY_NAME, eager_mask)
AttentionMaskInterface.register(WATCHED, _mask_of_watched)

# One for all models: two stacks of one model share its configuration, and a pass uses every core anyway.
_one_at_a_time = threading.RLock()
_by_other_name: WeakSet[nn.Module] = WeakSet()
_the_other_way: WeakSet[nn.Module] = WeakSet()
_scaling: WeakSet[nn.Module] = WeakSet()


@contextmanager
def prepared(model: PreTrainedModel, *, as_found: bool = False) -> Iterator[None]:
    """Hold the model in eval mode, without gradients, with the recording attention; then leave it as it was.

    One thread at a time, because the mode belongs to the whole model. `as_found`: with the submodules that it had when
    the context was entered, whatever it exchanged in earlier passes (kept.py).
    """
    with _held(model, as_found=as_found) as parts:
        by_name = _is_by_name(parts)
        name = BY_NAME if by_name else "eager" if parts.are_open_in_eager else WATCHED
        plainly = model in _by_other_name or name == "eager"
        own = [config._attn_implementation for config in parts.configs]  # read first: setting one sets those inside it
        for config, before in zip(parts.configs, own, strict=True):
            config._attn_implementation = name if plainly else _TakenFor(name, before if before == "eager" else "sdpa")
        with nullcontext() if by_name else Watching(), _uncompiled():
            yield


@contextmanager
def unwatched(model: PreTrainedModel, attention: str | None = None) -> Iterator[None]:
    """Hold the model in eval mode, without gradients, with an attention of transformers'.

    None: the one that it came with.
    """
    with _held(model) as parts, _uncompiled():
        for config in parts.configs if attention is not None else ():
            config._attn_implementation = attention
        yield


def is_by_name(model: nn.Module) -> bool:
    """Whether a model's attention is replaced by name; else it is watched while the model computes it in the open."""
    return _is_by_name(Parts.of(model))


def _is_by_name(parts: Parts) -> bool:
    return parts.take_attention_by_name != (parts.model in _the_other_way)


def other_name(model: nn.Module) -> AbstractContextManager[None]:
    """Let the model's code find that its attention is another than the one it came with: from here on, and not only
    inside, unless what is inside is refused.

    Code that makes no mask for a function that needs none (transformers 5.0), or that goes a way of its own where it
    finds its own name, has to know.
    """
    return _from_here_on(_by_other_name, [model])


def other_way(model: nn.Module) -> AbstractContextManager[None]:
    """Watch a model whose code looks attention up by name, or replace by name that of one whose code does not: from
    here on, and not only inside, unless what is inside is refused.

    Whether it does is told by the files of all its parts, where what sees or hears may do otherwise than what reads
    (GIT, Granite Speech).
    """
    return _from_here_on(_the_other_way, [model])


def scaling(model: nn.Module) -> AbstractContextManager[None]:
    """Take the weights of a model's attention for those that its outputs are multiples of, each head's at each query:
    from here on, and not only inside, unless what is inside is refused."""
    return _from_here_on(_scaling, list(model.modules()))


@contextmanager
def _from_here_on(known: WeakSet[nn.Module], modules: Sequence[nn.Module]) -> Iterator[None]:
    known.update(modules)
    try:
        yield
    except BaseException:
        known.difference_update(modules)
        raise


def own_name(model: nn.Module) -> None:
    """Let the model's code find the name of the attention that it came with, and take its weights for what they are, as
    is done if nothing is said."""
    _by_other_name.discard(model)
    _the_other_way.discard(model)
    _scaling.difference_update(list(model.modules()))


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """Hold a module of a model in eval mode, without gradients, to call it by itself; then leave it as it was."""
    with _held(module):
        yield


@contextmanager
def _held(module: nn.Module, *, as_found: bool = False) -> Iterator[Parts]:
    # Gone through once, and only when no other thread's pass has the model in its hands.
    with _one_at_a_time, torch.no_grad(), left_alone(Parts.of(module), as_found=as_found) as parts:
        for one in parts.modules:
            if one.training:
                one.training = False
        yield parts


def without_cache(model: PreTrainedModel) -> dict[str, bool]:
    """`use_cache=False` for the models that know it."""
    return {"use_cache": False} if hasattr(model.config, "use_cache") else {}


def _uncompiled() -> AbstractContextManager[Any]:
    """Let what torch.compile made run as it is written; nothing can be compiled where the compiler was never loaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
