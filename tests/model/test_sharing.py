"""A short pass is computed by one thread, a long one by as many as torch has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import zoo

from headscope import Scope
from headscope.model.capture import sharing


@pytest.mark.parametrize(("large", "expected"), [(2**30, 1), (0, 4)])
@pytest.mark.parametrize("work", ["read", "effects", "journey", "first table"])
def test_a_pass_has_the_threads_of_its_size(
    large: int, expected: int, work: str, scope_of: Callable[[str], Scope], monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = scope_of("bert")
    reading = scope.read(zoo.TEXT)
    # Nothing is encoded there.
    fresh = Scope.from_model(scope.bench.opened.model, scope.bench.opened.names.tokenizer).read(zoo.TEXT)
    seen: set[int] = set()

    def note(*_: object) -> None:
        seen.add(torch.get_num_threads())

    monkeypatch.setattr(sharing, "_LARGE", large)
    hook = scope.bench.opened.anatomy.blocks[0].module.register_forward_pre_hook(note)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        if work == "read":
            scope.read(zoo.TEXT)
        elif work == "effects":
            reading.effects(1)
        elif work == "journey":
            reading.journey(1)
        else:
            fresh.nearest(1, 1)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)
        hook.remove()
    assert seen == {expected}
