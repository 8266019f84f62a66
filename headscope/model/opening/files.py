"""The files of a checkpoint: which a directory has, whether they are whole, their hash, and the tensors in them."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from headscope.errors import ModelError

CONVERT = (
    "headscope reads safetensors only, because loading a pickle runs code. Convert it once, on a machine where you "
    "trust the file: AutoModel.from_pretrained(DIR).save_pretrained(NEW_DIR, safe_serialization=True)"
)


_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
# A shard's name has the variant too (model.fp16-00001-of-00002.safetensors); its index says what it is.
_VARIANT = re.compile(
    r"model\.((?!.*-\d+-of-\d+)[\w-]+)\.safetensors|model\.safetensors\.index\.([\w-]+)\.json", re.ASCII
)
_CHECKPOINT = re.compile(r"checkpoint-(\d+)", re.ASCII)  # as a Trainer names them, by its steps
_LARGEST = 2**28  # bytes of a file that is read as a whole: tokenizers of a million tokens are below 2**26
# What transformers itself reads as a whole, of any tokenizer.
_READ_WHOLE = {
    *("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "tokenizer.model"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json", "vocab.json"),
    *("processor_config.json", "merges.txt", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tekken.json"),
}


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files that make up a checkpoint, as transformers chooses among them.

    Raises ModelError where there are none, where an index is unreadable or leads elsewhere, and where transformers
    would add an adapter to them.
    """
    names = [path.name for path in directory.iterdir()]
    refuse_adapters(str(directory), names)
    whole, index = directory / _WHOLE, directory / _INDEX
    shards = [directory / name for name in _shards(index)] if index.is_file() else []
    # With both there, transformers takes the one; but shards that are still to come will be newer.
    if whole.is_file() and all(path.is_file() for path in shards):
        return [whole]
    if shards:
        return shards
    variant = variant_of(directory)
    if variant is not None:
        index = directory / f"{_INDEX.removesuffix('.json')}.{variant}.json"
        there = index.is_file()
        return [directory / name for name in _shards(index)] if there else [directory / f"model.{variant}.safetensors"]
    refuse_pickles(str(directory), names)
    gguf = min((name for name in names if name.lower().endswith(".gguf")), default=None)
    instead = f", but a GGUF file: name that, {directory / gguf}" if gguf else _of_training(directory)
    raise ModelError(f"{directory} has no weights: no {_WHOLE} and no {_INDEX}{instead}.")


def _of_training(directory: Path) -> str:
    """What a directory has in the place of weights that a training went on in, and what would work; else nothing."""
    steps = [(int(match[1]), path) for path in directory.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))]
    if not steps:
        return ""
    what = "a checkpoint of a training: name that" if len(steps) == 1 else "checkpoints of a training: name one"
    return f", but {what}, {max(steps)[1]}"


def variant_of(directory: Path) -> str | None:
    """The variant (fp16, say) that the weights of a directory are saved under, where there are no others; None: none.

    Raises ModelError where there are several.
    """
    names = [path.name for path in directory.iterdir()]
    if _WHOLE in names or _INDEX in names:
        return None
    found = sorted({match[1] or match[2] for name in names if (match := _VARIANT.fullmatch(name))})
    if len(found) > 1:
        raise ModelError(
            f"{directory} has {'two' if len(found) == 2 else len(found)} variants of its weights ({', '.join(found)}) "
            f"and no {_WHOLE}: rename the one that is to be read to that."
        )
    return found[0] if found else None


def model_directory(directory: Path) -> Path:
    """Where the model lies in a directory: itself, or what sentence-transformers as they were name as their first."""
    if (directory / "config.json").is_file() or not (directory / "modules.json").is_file():
        return directory
    listed = _json(directory / "modules.json")
    first = listed[0] if isinstance(listed, list) and listed else None
    name = first.get("path") if isinstance(first, dict) else None
    inside = directory / str(name)
    return inside if isinstance(name, str) and Path(name).name == name and inside.is_dir() else directory


def refuse_adapters(where: str, names: list[str]) -> None:
    """Raise ModelError for a checkpoint that is a PEFT adapter, or that transformers would put one onto."""
    if "adapter_config.json" not in names:
        return
    if _WHOLE not in names and _INDEX not in names:
        raise ModelError(
            f"{where} holds a PEFT adapter, not a whole model: get it into a directory, and open it with its base, "
            "--model BASE --adapter DIR (Scope.from_pretrained(BASE, adapter=DIR))."
        )
    added = [name for name in sorted(names) if name.startswith("adapter_model")]
    if added:
        raise ModelError(
            f"{where} holds a whole model and a PEFT adapter for it ({added[0]}), so it stands for two models: take "
            "the adapter out, or merge it into the model and save that."
        )


def _shards(index: Path) -> list[str]:
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise ModelError(f"{index} cannot be read (its weight_map is no table of file names): it is damaged.")
    names = sorted(set(named.values()))
    if not names:
        raise ModelError(f"{index} names no file of weights: its weight_map is empty.")
    elsewhere = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
    if elsewhere:
        raise ModelError(
            f"{index} names {elsewhere[0]!r}, which is no safetensors file in its own directory: nothing else is read."
        )
    return names


def refuse_endless(directory: Path) -> None:
    """Raise ModelError where a file that transformers reads as a whole has no end that can be waited for."""
    for path in [*directory.iterdir(), *directory.glob("additional_chat_templates/*.jinja")]:
        if (path.name in _READ_WHOLE or path.suffix == ".jinja") and path.is_file():
            _check_small(path)


def _check_small(path: Path) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe or a device may have no end
        raise ModelError(f"{path} cannot be read: it is no regular file.")
    if found.st_size > _LARGEST:
        raise ModelError(
            f"{path} cannot be read: it has {found.st_size:,} bytes, and of files beside the weights at most "
            f"{_LARGEST:,} are read."
        )


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a checkpoint, in UTF-8 as transformers writes it; ModelError where it is none."""
    told = _json(path)
    if not isinstance(told, dict):
        raise ModelError(f"{path} cannot be read: it holds {json.dumps(told)[:40]} where a JSON object should stand.")
    return told


def _json(path: Path) -> Any:
    try:
        _check_small(path)
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ModelError(f"{path} cannot be read: it is nested too deeply.") from None
    except (ValueError, OSError) as error:
        raise ModelError(f"{path} cannot be read ({error}): it is damaged, or still being written.") from None


def refuse_pickles(where: str, names: list[str]) -> None:
    """Raise ModelError for a checkpoint that has pickles and no safetensors among its files."""
    pickles = [name for name in sorted(names) if name.endswith((".bin", ".pt", ".pth")) and "training" not in name]
    if pickles and not any(name.endswith(".safetensors") for name in names):
        raise ModelError(f"{where} has its weights as a pickle ({pickles[0]}). {CONVERT}.")


def check_whole(path: Path) -> None:
    """Raise ModelError where a safetensors file is missing, cut short or no safetensors at all."""
    if not path.is_file():
        raise ModelError(f"{path} is missing: the checkpoint's index names it. Perhaps it is still being written.")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(size - 8, 100_000_000):
            raise ModelError(f"{path} ({size:,} bytes) is no safetensors file: damaged, or still being written.")
        try:
            header = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
            raise ModelError(f"{path} has an unreadable header: it is damaged, or still being written.") from None
    announced = 8 + length + max(ends, default=0)
    if announced != size:
        raise ModelError(
            f"{path} has {size:,} bytes where its header announces {announced:,}: it is damaged, or still being "
            "written."
        )


@contextmanager
def tensors(paths: list[Path]) -> Iterator[dict[str, Any]]:
    """The tensors in safetensors files, by name, read from the disk when they are indexed.

    Raises ModelError for a name that is in two of the files.
    """
    from safetensors import safe_open

    found: dict[str, Any] = {}
    with ExitStack() as stack:
        for path in paths:
            file = stack.enter_context(safe_open(path, framework="pt"))
            for name in file.keys():  # noqa: SIM118 - it is no dict
                if name in found:
                    raise ModelError(f"the tensor {name} is in {path.name} and in another file of {path.parent}.")
                found[name] = file.get_slice(name)
        yield found


def stamp(paths: list[Path]) -> list[tuple[int, int]]:
    """Size and time of change of each file, to see whether it changed while it was read."""
    return [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def sha256(path: Path) -> str:
    """The SHA-256 of a file; the Hub's cache names its files by it, which saves reading them."""
    blob = path.resolve()
    if (
        path.is_symlink()
        and _is_in_hub_cache(blob)
        and len(blob.name) == 64
        and set(blob.name) <= set("0123456789abcdef")
    ):
        return blob.name
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _is_in_hub_cache(blob: Path) -> bool:
    """Whether a file lies where only the Hub's client writes: any other name may say anything."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE).resolve()
    return blob.parent.name == "blobs" and blob.parent.parent.parent == cache


def combined_sha256(paths: list[Path]) -> str:
    """The SHA-256 of one file, or of the list of the hashes of several (shards), in the order of their names."""
    hashes = [sha256(path) for path in sorted(paths)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
