"""What a pass may change in a model, and how it is put back: modes, attention implementations, submodules, buffers.

Whatever a model's modules and configurations hold is compared before and after, by identity, so that nothing here knows
what a model changes about itself. BigBird exchanges its attention modules for good when it meets a short text: what it
put there is kept aside and put in again for the next pass, so that headscope always sees the same modules. Modules that
are made draw their weights: torch's generator goes on as if they had not, and only then, since other threads draw from
the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from headscope.model.capture.parts import Parts

_ABSENT: Any = object()
_OURS = {"training", "_attn_implementation_internal"}  # what headscope itself sets for a pass


@dataclass(frozen=True)
class _Change:
    """One entry of a module's or a configuration's dictionaries that is another now."""

    held: dict[str, Any]
    key: str
    before: Any
    after: Any

    def put(self, value: Any) -> None:
        if value is _ABSENT:
            self.held.pop(self.key, None)
        else:
            self.held[self.key] = value

    @property
    def is_due(self) -> bool:
        """Whether what was there before is there again."""
        return self.held.get(self.key, _ABSENT) is self.before


_exchanged: WeakKeyDictionary[nn.Module, list[_Change]] = WeakKeyDictionary()


@contextmanager
def left_alone(parts: Parts, *, as_found: bool = False) -> Iterator[Parts]:
    """Put everything that a model's parts hold back where it was when the context was entered.

    Submodules that the model exchanged in an earlier pass are exchanged inside, unless it is wanted `as_found`; what is
    given are the parts that it then has.
    """
    model, held = parts.model, parts.held()
    before = [*zip(held, map(dict.copy, held), strict=True)]
    generator = torch.get_rng_state()
    for change in _exchanged.get(model, ()) if not as_found else ():
        if change.is_due:
            change.put(change.after)
    try:
        yield parts if as_found or model not in _exchanged else Parts.of(model)
    finally:
        changes = [change for one, was in before if not _is_same(one, was) for change in _changes(one, was)]
        for change in changes:
            change.put(change.before)
        if any(_is_exchange(change) for change in changes):
            torch.set_rng_state(generator)
            if not as_found and model not in _exchanged:
                _exchanged[model] = [change for change in changes if change.key not in _OURS]


def forget(model: nn.Module) -> None:
    """Let go of the submodules that the model exchanged: it is opened anew."""
    _exchanged.pop(model, None)


def exchanges(model: nn.Module) -> bool:
    """Whether the model was seen to exchange submodules in a pass."""
    return model in _exchanged


def is_as_found(model: nn.Module) -> bool:
    """Whether a submodule stands where it stood before the model exchanged it, as a pass is under way."""
    return any(_is_exchange(change) and change.is_due for change in _exchanged[model])


def _is_same(held: dict[str, Any], was: dict[str, Any]) -> bool:
    return len(held) == len(was) and all(map(is_, held.values(), was.values()))


def _changes(held: dict[str, Any], was: dict[str, Any]) -> list[_Change]:
    keys = {**was, **held}
    pairs = [(key, was.get(key, _ABSENT), held.get(key, _ABSENT)) for key in keys]
    return [_Change(held, key, before, after) for key, before, after in pairs if before is not after]


def _is_exchange(change: _Change) -> bool:
    return isinstance(change.before, nn.Module) and isinstance(change.after, nn.Module)
