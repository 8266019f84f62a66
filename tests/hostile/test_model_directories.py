"""Whatever a model's directory holds, it opens as what transformers makes of it, or is refused in one sentence.

tests/model/test_damaged.py has one wrong value at one place. Here several things are wrong at once, beside everything
that could be run: files that are pipes, devices or circles, bytes that were changed, names that lead elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zoo
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import laws
from tests.hostile.apart import Apart, apart
from tests.hostile.nasty import NASTY, AnyChange, remove
from tests.model.damage import (
    MODULES,
    PICKLES,
    WRONG,
    Place,
    arm,
    header_of,
    opens_right_or_is_refused,
    places,
    put,
    template_that_leaves,
    with_header,
)

KINDS = ("bert", "gpt2", "llama")
WEIGHTS = "model.safetensors"
JSON = ("config.json", "tokenizer_config.json", "tokenizer.json")
# All that a loader may look for, there or not.
FILES = (
    *(*JSON, WEIGHTS, "model.safetensors.index.json", "generation_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates", "preprocessor_config.json"),
    *("processor_config.json", "adapter_config.json", "model-00001-of-00002.safetensors", "custom_generate"),
    *("README.md", "tekken.json", "params.json", "configuration.json", MODULES[0], PICKLES[0]),
)
ELSEWHERE = [
    "/dev/zero",
    "../left",
    "/proc/self/environ",
    "pipe",
    ".",
    "~nosuch/x",
    "https://nowhere.invalid/x",
    "\x00",
]
# Entries that name code, kinds, kernels or files.
SETTINGS: dict[str, dict[str, list[Any]]] = {
    "config.json": {
        "model_type": [*KINDS, "t5", "rag", "encoder-decoder", "mistral", "timm_wrapper", "mine", "bloom", "roberta"],
        "architectures": [[one] for one in ("LlamaForCausalLM", "RagModel", "BertLMHeadModel", "Mine", "os.system")],
        "auto_map": [{"AutoConfig": "mine.Config"}, {"AutoModel": "nowhere/mine--mine.Model"}, {"AutoModel": ["/x"]}],
        "_attn_implementation": ["flash_attention_2", "sdpa", "kernels-community/flash-attn", "paged|eager"],
        "attn_implementation": ["kernels-community/flash-attn", "flex_attention"],
        "_experts_implementation": ["nowhere/kernel"],
        "transformers_weights": ["pytorch_model.bin", *ELSEWHERE],
        "quantization_config": [{"quant_method": one} for one in ("bitsandbytes", "gptq", "awq", "mine", "torchao")],
        "dtype": ["float16", "float8_e4m3fn", "complex64", "system", "int8"],
        "gguf_file": ELSEWHERE,
        "_name_or_path": ELSEWHERE,
        "hidden_act": ["silu", "mine", "exec"],
        "rope_scaling": [{"rope_type": "dynamic", "factor": 0}, {"rope_type": "yarn", "factor": float("nan")}],
    },
    "tokenizer_config.json": {
        "tokenizer_class": [
            *("BertTokenizer", "GPT2Tokenizer", "LlamaTokenizer", "T5Tokenizer", "RagTokenizer", "ByT5Tokenizer"),
            *("CanineTokenizer", "EsmTokenizer", "BertJapaneseTokenizer", "TapexTokenizer", "LukeTokenizer"),
            *("MistralCommonTokenizer", "XLMTokenizer", "PreTrainedTokenizerFast", "Wav2Vec2PhonemeCTCTokenizer"),
            *("BertweetTokenizer", "MarianTokenizer", "mine.Tokenizer", "Mine", "Popen", "PreTrainedTokenizer"),
        ],
        "auto_map": [{"AutoTokenizer": ["mine.Tokenizer", None]}, {"AutoTokenizer": "nowhere/mine--mine.Tokenizer"}],
        "vocab_file": ELSEWHERE,
        "merges_file": ELSEWHERE,
        "tokenizer_file": ELSEWHERE,
        "special_tokens_map_file": ELSEWHERE,
        "chat_template": [template_that_leaves(Path("left")), ["x"], {"default": 1}],
        "model_max_length": [-1, 0, 1, 10**30],
        "added_tokens_decoder": [{"0": {"content": "a"}}, {"x": {}}, {"99999999999": {"content": "a"}}],
        "unk_token": ["nosuch", {"content": "a", "__type": "AddedToken"}, "a" * 10_000],
    },
}


class Change(AnyChange):
    """Also of a file a value at a place, or a pickle in its place."""

    def make(self, directory: Path) -> None:
        if self.how != "pickle":
            super().make(directory)
            return
        remove(directory / self.file)
        shutil.copyfile(directory.parent / KINDS[0] / PICKLES[0], directory / self.file)

    def _change(self, path: Path, directory: Path) -> None:
        """Put a value into JSON, of a file or of the header of the weights."""
        try:
            told, values = header_of(path) if self.file == WEIGHTS else (json.loads(path.read_text("utf-8")), None)
            changed = put(told, self.at, self.value)
        except (ValueError, LookupError, TypeError):  # an earlier change has been here
            return
        if values is None:
            path.write_text(json.dumps(changed), "utf-8")
        else:
            with_header(path, changed, values)


@dataclass(frozen=True)
class Example:
    """A directory: the kind of model, and all that is wrong with it."""

    kind: str
    changes: tuple[Change, ...]


@st.composite
def examples(draw: st.DrawFn, inside: dict[str, dict[str, list[Place]]]) -> Example:
    """Directories with one to three things wrong."""
    kind = draw(st.sampled_from(KINDS))
    changes = st.sampled_from(
        ["json", "json", "setting", "setting", "nasty", "nasty", "bytes", "cut", "gone", "pickle"]
    )
    made = [_change(draw, how, inside[kind]) for how in draw(st.lists(changes, min_size=1, max_size=3))]
    return Example(kind, tuple(made))


def _change(draw: st.DrawFn, how: str, inside: dict[str, list[Place]]) -> Change:
    if how == "json":
        file = draw(st.sampled_from(sorted(inside)))
        return Change("put", file, draw(st.sampled_from(inside[file])), draw(st.sampled_from(WRONG)))
    if how == "setting":
        file = draw(st.sampled_from(sorted(SETTINGS)))
        key = draw(st.sampled_from(sorted(SETTINGS[file])))
        return Change("put", file, (key,), draw(st.sampled_from(SETTINGS[file][key])))
    file = draw(st.sampled_from(FILES))
    if how == "nasty":
        return Change(how, file, value=draw(st.sampled_from(sorted(NASTY))))
    if how == "bytes":
        at = draw(st.lists(st.integers(0, 2**20), min_size=1, max_size=3))
        return Change(how, file, tuple(at), tuple(draw(st.integers(0, 255)) for _ in at))
    return Change(how, file, draw(st.integers(0, 2**20)))


class Attempt:
    """Makes a directory beside everything that could be run, and holds it against the laws."""

    def __init__(self, root: Path, cache: Path, opens: Any = opens_right_or_is_refused) -> None:
        self.root, self.cache, self.opens = root, cache, opens

    def __call__(self, example: Example) -> None:
        directory, left = self.root / "model", self.root / "left"
        remove(directory)
        shutil.copytree(self.root / example.kind, directory)
        os.mkfifo(directory / "pipe")
        for change in example.changes:
            change.make(directory)
        os.chdir(self.root)  # where a name leads that is relative
        with laws.nothing_run(self.cache, canary=left):
            told = self.opens(directory)
        if told:
            laws.is_a_sentence(f"{told[:-1]}." if told.endswith("?") else told)  # one ends in a question


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Honest directories, each with all that could be run beside it."""
    made = tmp_path_factory.mktemp("hostile")
    for kind in KINDS:
        directory = zoo.save(kind, made / kind)
        _spell(directory)
        arm(directory, made / "left")
    return made


def _spell(directory: Path) -> None:
    """The vocabulary also in the files that tokenizers of other classes read."""
    model = json.loads((directory / "tokenizer.json").read_text("utf-8"))["model"]
    words = sorted(model["vocab"], key=model["vocab"].get)
    (directory / "vocab.txt").write_text("\n".join(words), "utf-8")
    (directory / "vocab.json").write_text(json.dumps(model["vocab"]), "utf-8")
    merges = (one if isinstance(one, str) else " ".join(one) for one in model.get("merges", []))
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges), "utf-8")


@pytest.fixture(scope="module")
def tried(root: Path, _cache_of_its_own: Path) -> Iterator[Apart]:
    with apart(Attempt(root, _cache_of_its_own)) as one:
        yield one


@pytest.mark.parametrize(
    "count",
    [pytest.param(20, marks=pytest.mark.slow), pytest.param(500, marks=pytest.mark.long)],
)
def test_every_directory_opens_right_or_is_refused_in_a_sentence(root: Path, tried: Apart, count: int) -> None:
    inside = {
        kind: {name: list(places(json.loads((root / kind / name).read_text("utf-8")))) for name in JSON}
        | {WEIGHTS: list(places(header_of(root / kind / WEIGHTS)[0]))}
        for kind in KINDS
    }

    @given(example=examples(inside))
    @laws.of_so_many(count)
    def every(example: Example) -> None:
        tried(example)

    every()


@pytest.mark.parametrize("kind", KINDS)
def test_beside_all_that_could_be_run_a_model_opens(tried: Apart, kind: str) -> None:
    """Else nothing is proved by what is refused."""
    tried(Example(kind, ()))


@pytest.mark.parametrize("name", FILES[:13])
@pytest.mark.parametrize("what", ["pipe", "endless file"])
def test_what_never_ends_is_not_waited_for(tried: Apart, name: str, what: str) -> None:
    tried(Example("llama", (Change("nasty", name, value=what),)))
