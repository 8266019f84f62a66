"""Reading a text against a plain eager forward of it; opening a model against loading its weights alone."""

import tempfile
from typing import Any

import torch
from transformers import AutoModel, PreTrainedModel

from benchmarks.models import TEXT, gpt2_small, roberta_base
from benchmarks.timing import interleaved, machine
from headscope import Scope

LENGTH = 128  # words of the text


def run() -> dict[str, object]:
    """Seconds of every term; `open` takes a model of GPT-2-small size from a directory."""
    return {
        "machine": machine(),
        "read, roberta-base size": _read(Scope.from_model(*roberta_base())),
        "read, demo": _read(Scope.from_pretrained("demo")),
        "open, GPT-2-small size": _open(),
    }


def _read(scope: Scope) -> dict[str, Any]:
    opened = scope.bench.opened
    model = opened.model
    before = model.config._attn_implementation
    words = TEXT.split()
    text = " ".join(words[n % len(words)] for n in range(LENGTH))
    ids = torch.tensor([[token.id for token in scope.read(text).tokens]])

    def plain() -> object:
        model.config._attn_implementation = "eager"
        try:
            with torch.no_grad():
                return model(input_ids=ids, attention_mask=torch.ones_like(ids), output_attentions=True)
        finally:
            model.config._attn_implementation = before

    times = interleaved({"read": lambda: scope.read(text), "plain eager forward": plain}, rounds=15)
    return {
        "tokens": ids.shape[1],
        "ratio": times["read"].ratio(times["plain eager forward"]),
        "times": {name: timing.to_dict() for name, timing in times.items()},
    }


def _open() -> dict[str, Any]:
    model, tokenizer = gpt2_small()
    with tempfile.TemporaryDirectory() as directory:
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        del model

        def load() -> PreTrainedModel:
            return AutoModel.from_pretrained(directory)

        times = interleaved({"open": lambda: Scope.from_pretrained(directory), "load": load}, rounds=3)
    return {
        "seconds_above_loading": times["open"].median - times["load"].median,
        "times": {name: timing.to_dict() for name, timing in times.items()},
    }
