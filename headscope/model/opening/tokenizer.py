"""Opening a tokenizer from files: nothing run that came with it, and nothing that grows without end."""

from __future__ import annotations

import importlib.util
import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from headscope.errors import ModelError
from headscope.model.opening.default import TOKENIZER_FILES
from headscope.model.opening.files import read_json
from headscope.model.telling import first_line, reraise_ends
from headscope.model.untouched import untouched

# What a normalizer is tried on: ASCII, and a letter or two of the scripts that people write in.
_SAMPLE = string.printable + "éßñ αω Жя אב بح अक อค 日本 かな アイ 한글 …—’“½ﬁ　😀 Time flies like an arrow."
_CONFIG = "tokenizer_config.json"  # what every tokenizer is saved with
_SENTENCEPIECE = {"sentencepiece.bpe.model", "spiece.model"}
_READERS = {"sentencepiece": "sentencepiece", "protobuf": "google"}
_GROWTH = 200  # Unicode's own forms make at most 18 characters of one


def has_tokenizer(directory: Path) -> bool:
    """Whether a tokenizer was saved in a directory, as its files tell."""
    return any((directory / name).is_file() for name in (_CONFIG, *TOKENIZER_FILES))


def open_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a directory; ModelError, in one sentence, where there is none that can be used."""
    names = {path.name for path in directory.iterdir()}
    if "tokenizer.json" in names:
        _refuse_growth(directory / "tokenizer.json")
    elif (found := names & TOKENIZER_FILES) and found <= _SENTENCEPIECE:
        _check_packages(directory / min(found))
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        files = set(getattr(tokenizer, "vocab_files_names", {}).values())
        if files and not names & (files | TOKENIZER_FILES):  # transformers makes an empty one then
            raise _none(directory)
        refuse_unusable(tokenizer, f"in {directory}")
    except ModelError:
        raise
    except BaseException as error:  # tokenizers' own panics derive from BaseException
        reraise_ends(error)
        if not names & TOKENIZER_FILES:
            raise _none(directory) from None
        raise ModelError(f"the tokenizer in {directory} cannot be loaded: {first_line(error)}") from None
    return tokenizer


def _check_packages(file: Path) -> None:
    """Refuse a SentencePiece model where what reads it is not there: transformers would ask for tiktoken instead."""
    lacking = [package for package, module in _READERS.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise ModelError(
            f"the tokenizer in {file.parent} is a SentencePiece model alone, {file.name}, and to read it needs "
            f'{" and ".join(lacking)}: pip install "headscope[sentencepiece]".'
        )


def refuse_unusable(tokenizer: PreTrainedTokenizerBase, where: str) -> None:
    """Raise ModelError for a tokenizer without ordinary tokens, or with a frame that it has no ids for."""
    ordinary = set(tokenizer.get_vocab().values()) - {*tokenizer.all_special_ids, tokenizer.unk_token_id}
    if not ordinary:
        raise ModelError(f"the tokenizer {where} has no vocabulary: no token that is not special.")
    with untouched(tokenizer):
        framed = tokenizer("")["input_ids"]  # what it puts around every text
    if None in framed:
        raise ModelError(f"the tokenizer {where} puts a token around every text that it has no id for.")


def _none(directory: Path) -> ModelError:
    return ModelError(
        f"{directory} has no tokenizer (none of {', '.join(sorted(TOKENIZER_FILES))}): save it there with "
        "tokenizer.save_pretrained."
    )


def _refuse_growth(path: Path) -> None:
    """Try the normalizer step by step, before a tokenizer is made of it: a chain of replacements can double a text
    at every step."""
    told = read_json(path)
    try:
        steps = list(_steps(told.get("normalizer")))
    except RecursionError:
        raise ModelError(f"{path} cannot be read: its normalizer is nested too deeply.") from None
    text = _SAMPLE + "".join(_strings([steps, told.get("added_tokens")]))[:10_000]
    most = _GROWTH * len(text)
    grows = ModelError(
        f"the normalizer in {path} makes texts more than {_GROWTH} times as long, step by step: it is damaged."
    )
    for step in steps:
        if isinstance(step, dict) and len(str(step.get("content"))) > _GROWTH:
            raise grows
        try:
            text = Tokenizer.from_str(json.dumps(_BARE | {"normalizer": step})).normalizer.normalize_str(text)
        except BaseException as error:  # no step that tokenizers knows: it says so itself when it is loaded
            reraise_ends(error)
            return
        if len(text) > most:
            raise grows


_BARE: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
}


def _steps(normalizer: object) -> Iterator[object]:
    """The single steps of a normalizer, in order."""
    if isinstance(normalizer, dict) and isinstance(normalizer.get("normalizers"), list):
        for step in normalizer["normalizers"]:
            yield from _steps(step)
    elif normalizer is not None:
        yield normalizer


def _strings(told: object) -> Iterator[str]:
    """Every short text in a piece of JSON."""
    if isinstance(told, str) and len(told) <= 100:
        yield told
    elif isinstance(told, (list, dict)):
        for part in told.values() if isinstance(told, dict) else told:
            yield from _strings(part)
