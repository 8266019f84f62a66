"""Other processes read with a scope as docs/inside.md says: a forked child with one thread, a DataLoader's workers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_FORKS = """
import os, sys
import torch
from torch.utils.data import DataLoader
sys.path.insert(0, sys.argv[1])
import zoo
from headscope import Scope

torch.set_num_threads(2)
scope = Scope.from_model(*zoo.build("bert"))
(torch.ones(1000, 1000) @ torch.ones(1000, 1000)).exp()  # torch's threads are there, and stay behind
own = scope.read(zoo.TEXT)
near = own.nearest(1).ids

class Nearest:
    def __len__(self):
        return 2

    def __getitem__(self, _):
        return scope.read(zoo.TEXT).nearest(1).ids

for batch in DataLoader(Nearest(), num_workers=2, timeout=60, multiprocessing_context="fork"):
    assert torch.equal(batch[0], near)
if os.fork() == 0:
    torch.set_num_threads(1)
    (torch.ones(1000, 1000) @ torch.ones(1000, 1000)).exp()
    again = scope.read(zoo.TEXT)
    assert torch.equal(again.z, own.z)
    assert torch.equal(again.nearest(1).ids, near)
    print("alike", flush=True)
    os._exit(0)
assert os.wait()[1] == 0
print("left")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_reads_alike_with_one_thread():
    here = os.path.dirname(os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKS, here], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.stdout.split() == ["alike", "left"], done.stderr
