"""Weights files: which a directory has, whether they are whole, and their hash."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

from headscope.errors import ModelError

_CONVERT = (
    "headscope reads safetensors only, because loading a pickle runs code. Convert it once, on a machine where you "
    "trust the file: AutoModel.from_pretrained(DIR).save_pretrained(NEW_DIR, safe_serialization=True)"
)


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files that make up a checkpoint; ModelError where it has none, or its index is unreadable."""
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{index} cannot be read ({error}): it is damaged, or still being written.") from None
        return [directory / name for name in names]
    if (directory / "model.safetensors").is_file():
        return [directory / "model.safetensors"]
    adapters = directory / "adapter_config.json"
    if adapters.is_file():
        raise ModelError(
            f"{directory} holds a PEFT adapter, not a whole model: load it with peft and hand the model to "
            "Scope.from_model, or merge it into its base model and save that."
        )
    refuse_pickles(str(directory), [path.name for path in directory.iterdir()])
    raise ModelError(f"{directory} has no weights: no model.safetensors and no model.safetensors.index.json.")


def refuse_pickles(where: str, names: list[str]) -> None:
    """Raise ModelError for a checkpoint that has pickles and no safetensors among its files."""
    pickles = [name for name in sorted(names) if name.endswith((".bin", ".pt", ".pth")) and "training" not in name]
    if pickles and not any(name.endswith(".safetensors") for name in names):
        raise ModelError(f"{where} has its weights as a pickle ({pickles[0]}). {_CONVERT}.")


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
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise ModelError(f"{path} has an unreadable header: it is damaged, or still being written.") from None
    announced = 8 + length + max(ends, default=0)
    if announced != size:
        raise ModelError(
            f"{path} has {size:,} bytes where its header announces {announced:,}: it is damaged, or still being "
            "written."
        )


def stamp(paths: list[Path]) -> list[tuple[int, int]]:
    """Size and time of change of each file, to see whether it changed while it was read."""
    return [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def sha256(path: Path) -> str:
    """The SHA-256 of a file; the Hub's cache names its files by it, which saves reading them."""
    blob = path.resolve().name
    if path.is_symlink() and len(blob) == 64 and set(blob) <= set("0123456789abcdef"):
        return blob
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def combined_sha256(paths: list[Path]) -> str:
    """The SHA-256 of one file, or of the list of the hashes of several (shards), in the order of their names."""
    hashes = [sha256(path) for path in sorted(paths)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
