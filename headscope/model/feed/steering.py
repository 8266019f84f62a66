"""How one run of a model is steered on its way: what a call is given, what it returns, where the run ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from headscope.model.capture.anatomy import hidden_input
from headscope.model.capture.passes import Arrived, Recorder, is_recorded_by


class _Counter:
    """Tells the `wanted`-th of a series of events (from 0)."""

    def __init__(self, wanted: int) -> None:
        self.left = wanted

    def hit(self) -> bool:
        self.left -= 1
        return self.left == -1


def arrive(hidden: Tensor) -> None:
    raise Arrived(hidden)


def before(
    hooks: ExitStack, recorder: Recorder, station: nn.Module, nth: int, change: Callable[[Tensor], Tensor | None]
) -> None:
    """Show the hidden states that call `nth` of `station` is about to get to `change`, which may replace them."""
    counter = _Counter(nth)

    def hook(
        module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not is_recorded_by(recorder) or not counter.hit():
            return None
        given = hidden_input(tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)))
        changed = change(given)
        if changed is None:
            return None
        return (
            tuple(changed if x is given else x for x in args),
            {key: changed if x is given else x for key, x in kwargs.items()},
        )

    hooks.callback(station.register_forward_pre_hook(hook, with_kwargs=True).remove)


def instead(hooks: ExitStack, recorder: Recorder, station: nn.Module, nth: int, hidden: Tensor) -> None:
    """Let call `nth` of `station` return `hidden`."""
    counter = _Counter(nth)

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        return hidden if is_recorded_by(recorder) and counter.hit() else None

    hooks.callback(station.register_forward_hook(hook).remove)


def giving(row: Tensor | None, recorder: Recorder) -> Callable[..., Tensor | None]:
    """A forward hook: the position module returns `row` [width], or nothing but zeros, for every token.

    Rows [text, 1, width] are those of texts of one token each, whether or not the module tells texts apart.
    """

    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
        if not is_recorded_by(recorder):
            return None
        if row is None:
            return torch.zeros_like(output)
        given = row.to(output)
        return given if given.dim() > 1 else given.expand_as(output)

    return hook


def passing(forward: Callable[..., Any], skipped: int, returns: int | None, recorder: Recorder) -> Callable[..., Any]:
    """A block's forward whose first `skipped` calls return the hidden states that they were given."""
    left = skipped

    def passing(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if left == 0 or not is_recorded_by(recorder):
            return forward(*args, **kwargs)
        left -= 1
        hidden = hidden_input(tuple(x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)))
        return hidden if returns is None else (hidden, *[None] * (returns - 1))

    return passing


def told_at(whole: Tensor, now: Tensor, index: int) -> Tensor:
    """What position `index` of a text is told by an argument of the whole text's run, in place of `now` (one token)."""
    if whole.dim() != now.dim():
        return now
    for axis, (there, here) in enumerate(zip(whole.shape, now.shape, strict=True)):
        if there != here and here == 1:
            whole = whole.narrow(axis, index, 1)
    return whole.expand_as(now) if all(a in (1, b) for a, b in zip(whole.shape, now.shape, strict=True)) else now


def restore_forward(module: nn.Module, had: Callable[..., Any] | None) -> None:
    if had is None:
        del module.forward
    else:
        module.forward = had
