"""`python -m headscope look` as a whole process, against one that imports, loads the same model and runs it once."""

import os
import subprocess
import sys

from benchmarks.models import TEXT
from benchmarks.timing import interleaved, machine
from headscope.model.opening.default import demo_directory

_PLAIN = """
import sys
import torch
from transformers import AutoModel, AutoTokenizer

model, tokenizer = AutoModel.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
with torch.no_grad():
    model(**tokenizer(sys.argv[2], return_tensors="pt"))
"""


def run() -> dict[str, object]:
    """Seconds of both processes and their ratio."""
    directory = demo_directory()
    assert directory is not None, "the demo weights are not installed (extra: demo)"
    times = interleaved(
        {
            "look": lambda: _process("-m", "headscope", "look", TEXT, "--model", "demo"),
            "import, load and run": lambda: _process("-c", _PLAIN, str(directory), TEXT),
        }
    )
    return {
        "machine": machine(),
        "ratio": times["look"].ratio(times["import, load and run"]),
        "times": {name: timing.to_dict() for name, timing in times.items()},
    }


def _process(*arguments: str) -> object:
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, *arguments], env=offline, check=True, stdout=subprocess.DEVNULL)
