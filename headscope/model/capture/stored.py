"""What a module computes from, whatever holds it: parameters, buffers, packed objects, weights that are kept elsewhere.

Quantised projections keep integers and scales in buffers (GPTQ, AWQ), in tensors of a class of their own (torchao), in
attributes of a parameter (bitsandbytes) or of the module (HQQ), and in objects that only C++ sees into (torch's int8).
accelerate keeps the weights of an offloaded module with the hook that brings them. Nothing here knows a package: the
attributes of modules and of tensors are gone through.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Buffer, Parameter
from transformers import PreTrainedConfig

Opaque = torch.ScriptObject  # packed by C++, and never written to: another one takes its place
_PLAIN = {Tensor, Parameter, Buffer}
_FLOATS = {torch.float64, torch.float32, torch.float16, torch.bfloat16}
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_DEEP = 6  # attributes of attributes: a hook's map of a dictionary of tensors is as far as anything lies
_SKIPPED = (nn.Module, PreTrainedConfig, type, str, bytes, int, float)


def is_plain(weight: object) -> bool:
    """Whether a weight is numbers that torch itself multiplies: not packed, and in memory."""
    return isinstance(weight, Tensor) and type(weight) in _PLAIN and weight.dtype in _FLOATS and not weight.is_meta


def are_plain(tensors: Iterable[Tensor]) -> bool:
    """Whether all are tensors of torch's own classes: every reading asks."""
    return set(map(type, tensors)) <= _PLAIN


def is_packed(module: nn.Module) -> bool:
    """Whether a module keeps weights otherwise than as plain numbers."""
    own = [tensor for tensor in module._parameters.values() if tensor is not None]
    if any(type(tensor) not in _PLAIN or tensor.dtype not in _FLOATS for tensor in own):
        return True
    if any(tensor is not None and tensor.dim() == 2 and tensor.dtype not in _FLOATS for tensor in _own_buffers(module)):
        return True
    return any(isinstance(value, Opaque) for value in _attributes(module))


def _own_buffers(module: nn.Module) -> list[Tensor | None]:
    lasting = (name for name in module._buffers if name not in module._non_persistent_buffers_set)
    return [module._buffers[name] for name in lasting]


def _attributes(module: nn.Module) -> Iterator[Any]:
    # Listed first, here and below: another thread may run the model, which writes to what packs its weights.
    return (value for name, value in list(module.__dict__.items()) if name not in _OF_EVERY_MODULE)


def parts(tensor: Tensor) -> list[Tensor]:
    """The plain tensors that a tensor is made of, with those in its attributes."""
    return [tensor] if type(tensor) in _PLAIN else [one for one in _parts(tensor, set(), 0) if isinstance(one, Tensor)]


def beside(module: nn.Module, seen: set[int] | None = None) -> list[Tensor | Opaque]:
    """What a module computes from that is neither a parameter nor a buffer, as far as it lies in attributes.

    `seen`: what was found already, in other modules.
    """
    found = set() if seen is None else seen
    return [one for value in _attributes(module) for one in _within(value, found, 0)]


def _within(value: Any, seen: set[int], depth: int) -> Iterator[Tensor | Opaque]:
    if value is None or isinstance(value, _SKIPPED) or callable(value) or id(value) in seen or depth > _DEEP:
        return
    if isinstance(value, Opaque):
        seen.add(id(value))
        yield value
    elif isinstance(value, Tensor):
        yield from _parts(value, seen, depth)
    elif isinstance(value, (list, tuple, dict)):
        seen.add(id(value))
        for one in list(value.values() if isinstance(value, dict) else value):
            yield from _within(one, seen, depth + 1)
    elif hasattr(value, "__dict__"):
        seen.add(id(value))
        for one in list(vars(value).values()):
            yield from _within(one, seen, depth + 1)


def _parts(tensor: Tensor, seen: set[int], depth: int) -> Iterator[Tensor | Opaque]:
    if id(tensor) in seen:
        return
    seen.add(id(tensor))
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        for name in names:
            yield from _within(getattr(tensor, name), seen, depth + 1)
        return
    yield tensor
    for value in vars(tensor).values():
        yield from _within(value, seen, depth + 1)


def packing(module: nn.Module) -> str:
    """What packs a module's weights: the package and the class, of the weight where that has one of its own."""
    own = (tensor for one in module.modules() for tensor in one._parameters.values() if tensor is not None)
    kind = next((type(tensor) for tensor in own if type(tensor) not in _PLAIN), type(module))
    return f"{kind.__module__.partition('.')[0]} {kind.__name__}"


def packed_bytes(module: nn.Module) -> int:
    """How many bytes a module's matrices take, packed, with what it needs to unpack them; its bias is none of them."""
    found: dict[tuple[int, tuple[int, ...]], Tensor] = {}
    for one in module.modules():
        own = [*one._parameters.values(), *one._buffers.values()]
        named = [part for tensor in own if tensor is not None for part in parts(tensor)]
        for part in [*named, *(part for packed in beside(one) for part in _opened(packed))]:
            found[part.data_ptr(), tuple(part.shape)] = part
    plain = (part for part in found.values() if not (part.dim() == 1 and type(part) is Parameter))
    return sum(part.numel() * part.element_size() for part in plain)


@contextmanager
def brought(module: nn.Module) -> Iterator[None]:
    """A module's own weights in memory: those that accelerate keeps elsewhere are there inside, and gone behind."""
    hook = getattr(module, "_hf_hook", None)
    if hook is None or not any(tensor is not None and tensor.is_meta for tensor in module._parameters.values()):
        yield
        return
    hook.pre_forward(module)
    try:
        yield
    finally:
        hook.post_forward(module, None)


def never_loaded(model: nn.Module) -> bool:
    """Whether a weight is a placeholder that nothing would bring into memory when it is wanted."""
    return any(
        tensor is not None and tensor.is_meta and not hasattr(module, "_hf_hook")
        for module in model.modules()
        for tensor in module._parameters.values()
    )


def device_of(model: nn.Module) -> torch.device:
    """Where a model takes its token ids: where its first weight is, or where accelerate will bring it."""
    first: Tensor = next(itertools.chain(model.parameters(), model.buffers()), torch.empty(0))
    if not first.is_meta:
        return first.device
    hooks = (getattr(module, "_hf_hook", None) for module in model.modules())
    devices = (getattr(hook, "execution_device", None) for hook in hooks)
    return next((torch.device(device) for device in devices if device is not None), first.device)


def hash_of_tensors(model: nn.Module) -> str:
    """A SHA-256 over the names, shapes, types and bytes of a model's tensors: for a model that came without files."""
    digest = hashlib.sha256()
    for name, module, own in sorted(_names(model), key=lambda entry: entry[0]):
        with brought(module):
            for tensor in _held(module, own):
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(_raw(tensor))
    return digest.hexdigest()


def _names(model: nn.Module) -> Iterator[tuple[str, nn.Module, str | None]]:
    """The name of each tensor in a model, with its module and its name there; None: what is packed beside them."""
    for path, module in model.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        lasting = [name for name in module._buffers if name not in module._non_persistent_buffers_set]
        for name in (*module._parameters, *lasting):
            if getattr(module, name) is not None:
                yield prefix + name, module, name
        if is_packed(module):
            yield f"{prefix}~packed", module, None


def _held(module: nn.Module, own: str | None) -> list[Tensor]:
    if own is not None:
        return parts(getattr(module, own))
    named = {id(part) for one in (*module._parameters.values(), *module._buffers.values()) for part in _known(one)}
    return [part for one in beside(module, named) for part in _opened(one)]


def _known(tensor: Tensor | None) -> list[Tensor]:
    return [] if tensor is None else parts(tensor)


def _opened(packed: Any) -> Iterator[Tensor]:
    """The tensors in a packed object's own state."""
    if isinstance(packed, Tensor):
        yield packed
    elif isinstance(packed, Opaque):
        yield from _opened(packed.__getstate__())  # type: ignore[attr-defined]
    elif isinstance(packed, Iterable) and not isinstance(packed, str):
        for one in packed:
            yield from _opened(one)


def _raw(tensor: Tensor) -> bytes | memoryview:
    if tensor.is_quantized:
        per_channel = tensor.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric)
        scales = tensor.q_per_channel_scales() if per_channel else torch.tensor(tensor.q_scale())
        zeros = tensor.q_per_channel_zero_points() if per_channel else torch.tensor(tensor.q_zero_point())
        return b"".join(_raw(part) for part in (tensor.int_repr(), scales, zeros))
    raw = tensor.detach().cpu().contiguous().flatten()
    found: memoryview = raw.view(torch.uint8).numpy().data  # where it lies: no copy of a whole table
    return found
