"""Hooks of the caller's, judged in a pass: do they only watch, or change what the model computes?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from headscope.model.capture.parts import modules_of


@contextmanager
def judged(model: nn.Module, keys: frozenset[int]) -> Iterator[list[int]]:
    """Watch the hooks with these `keys` in the pass inside; the list has those that returned or wrote anything."""
    changing: list[int] = []
    if not keys:
        yield changing
        return
    found = [
        (held, key, held[key])
        for module in modules_of(model)
        for held in (module._forward_hooks, module._forward_pre_hooks)
        for key in keys & held.keys()
    ]
    for held, key, hook in found:
        held[key] = _watched(hook, key, changing)
    try:
        yield changing
    finally:
        for held, key, hook in found:
            if key in held:  # else it removed itself
                held[key] = hook


def _watched(hook: Callable[..., Any], key: int, changing: list[int]) -> Callable[..., Any]:
    def watched(*args: Any, **kwargs: Any) -> Any:
        given = list(_tensors((args, kwargs)))
        before = [tensor._version for tensor in given]
        returned = hook(*args, **kwargs)
        if returned is not None or [tensor._version for tensor in given] != before:
            changing.append(key)
        return returned

    return watched


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _tensors(one)
