"""Tensors on disk in files that are whole or not there, a large table in many of them: what is there stays.

Whatever ends a process, and whatever befalls a file: it is what was written, or is not read.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from headscope.errors import InputError
from headscope.keep import files
from headscope.keep.cache import cache_directory, keep_within, touch

STEP = 256  # tokens a file: one run of the model, and so what an interruption loses at most
_NAME = "v"
_STALE = 3600.0  # seconds after which a file that was begun is no longer being written


def write_tensor(path: Path, tensor: Tensor) -> None:
    """Write `tensor` [layer, …] to `path` with a check sum a layer: other processes see all of it, or nothing.

    The file also says which one it is, so that none is read in another's place. Raises OSError, and leaves nothing
    behind, where the disk does not take it.
    """
    tensor = tensor.contiguous()
    sums = ",".join(f"{_sum_of(layer):08x}" for layer in tensor)
    files.write_bytes(path, save({_NAME: tensor}, {"crc32": sums, "is": _own_name(path)}))


def read_layer(path: Path, shape: tuple[int, ...], layer: int) -> Tensor | None:
    """One layer of the tensor [layer, …] of `shape` in `path`, nothing else read; None: not there, or damaged."""
    if not os.path.isfile(path):
        return None  # a pipe would be waited for; nor is a file where no path can be
    try:
        with safe_open(path, framework="pt") as file:
            part = file.get_slice(_NAME)
            told = file.metadata()
            if tuple(part.get_shape()) != shape or told.get("is", _own_name(path)) != _own_name(path):
                return None
            rows: Tensor = part[layer]
            sums = told["crc32"].split(",")
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError):
        return None
    return rows if len(sums) == shape[0] and sums[layer] == f"{_sum_of(rows):08x}" else None


class Tensors:
    """Tensors by name in a folder of the user's cache; those used the longest ago go, until `budget` bytes are left."""

    def __init__(self, folder: str, budget: int) -> None:
        self._folder, self._budget = folder, budget

    def get(self, name: str, shape: tuple[int, ...]) -> Tensor | None:
        """A tensor of `shape`; None: not there, or damaged, or there is no cache."""
        try:
            path = self._path(name)
        except InputError:
            return None
        found = read_layer(path, (1, *shape), 0)
        if found is not None:
            touch(path)
        return found

    def put(self, name: str, tensor: Tensor) -> None:
        """Keep a tensor; OSError where the disk does not take it, InputError where there is no cache."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensor(path, tensor[None])
        keep_within(path.parent, self._budget)

    def _path(self, name: str) -> Path:
        return cache_directory() / self._folder / f"{name}.safetensors"


class ShardedTensor:
    """A float32 tensor [layer, head, token, width] of `shape`, kept in `directory` as files of `STEP` tokens each."""

    def __init__(self, directory: Path, shape: tuple[int, int, int, int]) -> None:
        self.directory, self.shape = directory, shape

    def __len__(self) -> int:
        return -(-self.shape[2] // STEP)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole tensor."""
        return 4 * math.prod(self.shape)

    def tokens(self, shard: int) -> range:
        """The ids whose rows are in a shard."""
        return range(shard * STEP, min((shard + 1) * STEP, self.shape[2]))

    def has(self, shard: int) -> bool:
        """Whether a shard is there in full length; what is in it is checked as it is read."""
        if not os.path.isfile(self._path(shard)):
            return False  # a pipe would be waited for
        try:
            with safe_open(self._path(shard), framework="pt") as file:
                return tuple(file.get_slice(_NAME).get_shape()) == self._shape_of(shard)
        except (OSError, SafetensorError):
            return False

    def read(self, shard: int, layer: int) -> Tensor | None:
        """One layer of a shard [head, token, width]; None: not there, or damaged."""
        return read_layer(self._path(shard), self._shape_of(shard), layer)

    def write(self, shard: int, rows: Tensor) -> None:
        """Keep a shard [layer, head, token, width]; OSError where the disk does not take it."""
        assert tuple(rows.shape) == self._shape_of(shard), f"{tuple(rows.shape)} is no shard of {self.shape}"
        write_tensor(self._path(shard), rows)

    def sweep(self) -> None:
        """Remove what processes that were killed had begun to write."""
        with contextlib.suppress(OSError):
            for begun in self.directory.glob("*.part"):
                with contextlib.suppress(OSError):
                    if time.time() - begun.stat().st_mtime > _STALE:
                        begun.unlink()

    def _path(self, shard: int) -> Path:
        return self.directory / f"{shard:06d}.safetensors"

    def _shape_of(self, shard: int) -> tuple[int, int, int, int]:
        layers, heads, _, width = self.shape
        return layers, heads, len(self.tokens(shard)), width


def _own_name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _sum_of(layer: Tensor) -> int:
    return zlib.crc32(layer.contiguous().view(torch.uint8).numpy().reshape(-1).data)
