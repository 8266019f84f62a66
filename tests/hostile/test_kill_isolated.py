"""The vocabulary read alone, killed at random moments: what is there stays, and the end is the undisturbed one's."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest
import torch
import zoo
from aside import Program

from headscope import Scope
from headscope.question.choices import What

MODEL, KILLS = "llama", 5
PROGRAM = """
import sys
import torch
from headscope import Scope
from headscope.keep import tensors
torch.set_num_threads(1)
tensors.STEP = 2
scope = Scope.from_pretrained(sys.argv[1])
scope.isolate(lambda done, total: None, what=sys.argv[2])
"""


def began(model: Path, what: What, cache: Path) -> Program:
    said = cache.with_name("said")
    return Program(PROGRAM, model, what, folder=said, environment=os.environ | {"HEADSCOPE_CACHE": str(cache)})


def files(cache: Path) -> dict[str, tuple[object, bytes]]:
    """What is in every file below a directory that was not left half written: its metadata, in whatever order the
    library wrote them, and its tensors."""
    return {str(file.relative_to(cache)): contents(file) for file in cache.rglob("*.safetensors")}


def contents(file: Path) -> tuple[object, bytes]:
    written = file.read_bytes()
    length = int.from_bytes(written[:8], "little")
    return json.loads(written[8 : 8 + length]), written[8 + length :]


@pytest.mark.long
@pytest.mark.parametrize("what", ["values", "streams"])
def test_killed_at_random_moments_it_ends_as_an_undisturbed_one(
    what: What, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, broken, whole = zoo.save(MODEL, tmp_path / "model"), tmp_path / "broken", tmp_path / "whole"
    draw, killed = random.Random(3), 0
    for _ in range(3 * KILLS):
        # Killed while shards are being written: some time after this run's first new file.
        before, child = files(broken), began(model, what, broken)
        child.until(lambda before=before: not files(broken).keys() <= before.keys())
        time.sleep(draw.random() * 0.05)
        killed += child.poll() is None
        child.kill()
        child.wait()
        assert before.items() <= files(broken).items(), "what was there is gone, or another"
        if killed == KILLS:
            break
    assert killed == KILLS

    for cache in (broken, whole):
        assert began(model, what, cache).wait() == 0
    assert files(broken) == files(whole)
    monkeypatch.setenv("HEADSCOPE_CACHE", str(whole))
    monkeypatch.setattr("headscope.keep.tensors.STEP", 2)
    kept = Scope.from_pretrained(str(model)).isolated.kept(what)
    assert kept.done() == kept.tokens, "an undisturbed run left some out"
    assert all(torch.isfinite(kept.table(layer).rows).all() for layer in range(kept.shape[0]))
