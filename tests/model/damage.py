"""Damaging a model's directory, and the law that a damaged one is held to."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn

from headscope import InputError, ModelError, Scope

Place = tuple[str | int, ...]
# Stands where a value of another kind is expected.
WRONG: list[Any] = [
    *(None, True, 0, -1, 10**9, 10**30, 2.5, float("inf"), "x", ""),
    *([], {}, [1], {"a": 1}, [[]], ["x", None]),
]
# What the output projection of an attention is called in the kinds that are damaged here.
_PROJECTIONS = ("attention.output.dense", "attn.c_proj", "self_attn.o_proj")


def opens_right_or_is_refused(directory: Path) -> str:
    """The law. "Right" is what transformers computes with what it makes of the same directory.

    Returns the sentence; "" where it opens.
    """
    try:
        scope = Scope.from_pretrained(str(directory))
        reading = scope.read(zoo.TEXT)
    except (ModelError, InputError) as refusal:
        told = str(refusal)
        assert "\n" not in told
        assert "above report" not in told
        return told
    opened = scope.bench.opened.model
    ways: dict[str, Any] = {
        "attn_implementation": "eager",
        "experts_implementation": "eager",
    }
    theirs = type(opened).from_pretrained(directory, dtype=torch.float32, **ways).eval()
    assert torch.equal(reading.z, Scope.from_model(theirs, scope.bench.opened.names.tokenizer).read(zoo.TEXT).z)
    own = _projected(theirs, torch.tensor([[token.id for token in reading.tokens]]))
    if own:
        assert torch.allclose(reading.z.flatten(2), torch.stack(own), atol=1e-5)
    return ""


def refused(source: object, sentence: str, kind: type[Exception] = ModelError, **options: Any) -> None:
    """Opening it is refused in one line, in which a pattern is found."""
    with pytest.raises(kind, match=sentence) as caught:
        Scope.from_pretrained(str(source), **options)
    assert "\n" not in str(caught.value)


def _projected(model: nn.Module, ids: Tensor) -> list[Tensor]:
    """What goes into every attention's output projection when transformers itself runs the model: [position, z]."""
    found: list[Tensor] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, given: found.append(given[0][0]))
        for name, module in model.named_modules()
        if name.endswith(_PROJECTIONS)
    ]
    with torch.no_grad():
        model(input_ids=ids)
    for hook in hooks:
        hook.remove()
    return found


def places(told: Any, path: Place = ()) -> Iterator[Place]:
    """Every path into a piece of JSON."""
    if isinstance(told, dict):
        for key, part in told.items():
            yield (*path, key)
            yield from places(part, (*path, key))
    elif isinstance(told, list) and told:
        yield (*path, 0)
        yield from places(told[0], (*path, 0))


def put(told: Any, path: Place, value: Any) -> Any:
    """The same JSON with `value` at one place."""
    changed = copy.deepcopy(told)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return changed


def header_of(path: Path) -> tuple[Any, bytes]:
    """The header of a safetensors file, and the bytes behind it."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def with_header(path: Path, header: Any, values: bytes) -> None:
    """Write a safetensors file with any header."""
    told = json.dumps(header).encode()
    path.write_bytes(len(told).to_bytes(8, "little") + told + values)


class Leaves:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


# Names under which a loader may look for what would be run.
MODULES = (
    *("mine.py", "modeling_llama.py", "modeling_bert.py", "configuration_llama.py", "tokenization_mine.py"),
    *("__init__.py", "sitecustomize.py", "conftest.py", "custom_generate/generate.py", "handler.py"),
)
PICKLES = (
    *("pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "training_args.bin", "optimizer.pt", "scheduler.pt"),
    *("adapter_model.bin", "tokenizer.pkl", "model.pt", "model.pth", "model.ckpt", "rng_state.pth", "spiece.pkl"),
    *("consolidated.00.pth", "flax_model.msgpack", "tf_model.h5", "weights.npz", "vocab.pkl", "rag_index.pkl"),
)
AUTO_MAP = {
    **{f"Auto{what}": f"mine.{what}" for what in ("Config", "Model", "ModelForCausalLM", "ModelForMaskedLM")},
    "AutoTokenizer": ["mine.Tokenizer", "mine.Tokenizer"],
}


def arm(directory: Path, left: Path) -> None:
    """Put beside a model whatever could be run that comes with one: each would leave the file `left`."""
    names = "Config = Model = Tokenizer = ModelForCausalLM = ModelForMaskedLM"
    code = f"open({str(left)!r}, 'w')\nclass Mine: pass\n{names} = Mine"
    for name in MODULES:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(code, "utf-8")
    for name in PICKLES:
        (directory / name).write_bytes(pickle.dumps(Leaves(left)))
    template = template_that_leaves(left)
    (directory / "chat_template.jinja").write_text(template, "utf-8")
    (directory / "additional_chat_templates").mkdir(exist_ok=True)
    (directory / "additional_chat_templates" / "tool.jinja").write_text(template, "utf-8")
    for name, key in (("config.json", "AutoModel"), ("tokenizer_config.json", "AutoTokenizer")):
        path = directory / name
        told = json.loads(path.read_text("utf-8"))
        told |= {"auto_map": AUTO_MAP if key == "AutoModel" else {key: AUTO_MAP[key]}}
        path.write_text(json.dumps(told | {"custom_generate": "custom_generate"}), "utf-8")


def template_that_leaves(left: Path) -> str:
    """A Jinja template that leaves a file when it is rendered outside a sandbox."""
    return "{{ cycler.__init__.__globals__.os.open('LEFT', 66) }}".replace("LEFT", str(left))
