"""The captured z is TransformerLens' hook_z, for architectures that its bridge opens; runs where it is installed.

In a subprocess, because TransformerLens patches transformers for the whole process.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch
import zoo

from headscope import Scope

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("transformer_lens") is None,
        reason="TransformerLens is not installed (pip install transformer-lens)",
    ),
]

SCRIPT = """
import sys
import torch
from transformer_lens.model_bridge import TransformerBridge

directory, ids, out = sys.argv[1], [int(id) for id in sys.argv[2].split(",")], sys.argv[3]
bridge = TransformerBridge.boot_transformers(directory, device="cpu")
_, cache = bridge.run_with_cache(torch.tensor([ids]))
torch.save([cache[f"blocks.{layer}.attn.hook_z"][0] for layer in range(bridge.cfg.n_layers)], out)
"""


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama", "qwen3", "gemma2"])
def test_z_is_hook_z(name, tmp_path):
    directory = zoo.save(name, tmp_path / name)
    reading = Scope.from_pretrained(str(directory)).read(zoo.TEXT)
    ids = ",".join(str(token.id) for token in reading.tokens)
    out = tmp_path / "z.pt"
    command = [sys.executable, "-c", SCRIPT, str(directory), ids, str(out)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    theirs = torch.stack([z.reshape(reading.z.shape[1:]) for z in torch.load(out)])
    assert torch.allclose(theirs, reading.z, atol=2e-6)
