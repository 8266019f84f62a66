"""An answer is made on the calling thread and the pool's: torch's own threads are not waited for."""

from __future__ import annotations

import pytest
import torch
import zoo
from torch.utils._python_dispatch import TorchDispatchMode

from headscope import Scope


class Threads(TorchDispatchMode):
    """How many threads torch had for each operation inside."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.seen.append(torch.get_num_threads())
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_an_answer_waits_for_no_other_thread(name, build, tmp_path, monkeypatch):
    """Not even the first of a program, where what an earlier one measured is on disk."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    model, tokenizer = build(name)
    Scope.from_model(model, tokenizer).read(zoo.TEXT).atlas(1)
    reading, before = Scope.from_model(model, tokenizer).read(zoo.TEXT), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Threads() as of_atlas:
            reading.atlas(1)
        with Threads() as of_click:
            reading.nearest(2, 1)
    finally:
        torch.set_num_threads(before)
    for one in (of_atlas, of_click):
        assert len(one.seen) > 20
        assert set(one.seen) == {1}
