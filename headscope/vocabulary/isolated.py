"""Every vocabulary token read alone by the model, once, and kept on disk: the values of the reference `isolated`, and
the residual streams that a journey is ranked among.

One run of the model gives a token's values in all layers (its stream at all stages), so a shard holds all layers of
some tokens, and reading a layer takes its slice of every shard. What is on disk belongs to the weights, named by their
hash, and to what else is known to change a number. What is not known (an adapter's scale, another version's
arithmetic) is seen on a sample, which is run anew by every process and compared with the one that the shards were made
with.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from headscope.errors import InputError, ModelError
from headscope.keep.cache import cache_directory
from headscope.keep.tensors import ShardedTensor, read_layer, write_tensor
from headscope.model.feed.alone import Frame, frame_of, streams_alone, values_alone
from headscope.model.opened import Opened
from headscope.model.staying import Stays
from headscope.neighbors import Table
from headscope.question.choices import What
from headscope.question.stopping import stop_point
from headscope.vocabulary.encoded import unbiased

_FORMAT = 1  # of the files; another number makes other directories
_SAMPLE, _SAMPLE_FILE = 16, "sample.safetensors"
_SAME = 1e-3  # of the largest |v|: float32 on another machine stays far below, another model does not
_ELSEWHERE = "Set HEADSCOPE_CACHE to a directory that has room and can be written to; what was read so far stays."


class ReadAlone(Stays, ABC):
    """What the model makes of every vocabulary token alone, made shard by shard and found again by later processes.

    Raises ModelError, with the place and what would work, where the disk does not take it.
    """

    what: ClassVar[What]
    _folder: ClassVar[str]  # of the cache

    def __init__(self, opened: Opened, weights_sha256: str) -> None:
        self.opened, self.weights_sha256 = opened, weights_sha256
        self._lock = threading.Lock()
        self._whole = False

    def __repr__(self) -> str:
        whole = f"{self.tokens:,} tokens read alone, {_mebibytes(self.nbytes)} in all"
        return f"{type(self).__name__}, for the {self.what} of {whole}; done() tells how many are read"

    @property
    def directory(self) -> Path:
        """Where the shards are."""
        return self._shards.directory

    @property
    def nbytes(self) -> int:
        """Bytes on disk when all is there."""
        return 4 * math.prod(self.shape)

    @property
    def shards(self) -> int:
        """How many files there are when all is there."""
        return len(self._shards)

    @property
    def tokens(self) -> int:
        """How many tokens there are to read."""
        return self.opened.feed.vocab_size

    def done(self) -> int:
        """How many of the tokens have been read."""
        return self.tokens if self._whole else sum(len(self._shards.tokens(n)) for n in self._there())

    def steps(self) -> Iterator[int]:
        """Read what is missing, one shard a step; each step tells how many tokens are done.

        May be left at any step: what was read stays. Raises ModelError where there is no room for the rest.
        """
        if self._whole:
            return
        there = self._there()
        done = sum(len(self._shards.tokens(n)) for n in there)
        missing = [n for n in range(self.shards) if n not in there]
        if missing:
            self._shards.sweep()
            self._check_room(self.nbytes * (self.tokens - done) // self.tokens)
        for shard in missing:
            self._make(shard)
            done += len(self._shards.tokens(shard))
            yield done
        self._whole = True

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int, int]:
        """Of all that is kept: [layer, head, token, width]."""

    def table(self, layer: int) -> Table:
        """Every token's rows [head, token, width] in `layer`; what is missing or damaged is made (again)."""
        _, heads, tokens, width = self.shape
        rows = torch.empty(heads, tokens, width)
        for shard in range(self.shards):
            stop_point()
            part = self._shards.read(shard, layer)
            if part is None:
                self._make(shard, layer)
                part = self._shards.read(shard, layer)
            if part is None:
                raise ModelError(f"{self.directory} does not give back what was written to it. {_ELSEWHERE}")
            ids = self._shards.tokens(shard)
            rows[:, ids.start : ids.stop] = part
        return unbiased(rows.to(self.opened.feed.device))

    def _there(self) -> set[int]:
        return {n for n in range(self.shards) if self._shards.has(n)}

    def _make(self, shard: int, layer: int = 0) -> None:
        """Read the tokens of a shard, unless another thread or process has done so meanwhile."""
        with self._lock:
            if self._shards.read(shard, layer) is not None:
                return
            rows = self._run(torch.tensor(self._shards.tokens(shard)))
            if self.opened.freshness.changed():
                raise InputError("the model's weights changed while the vocabulary was read: ask again.")
            with self._told():
                self.directory.mkdir(parents=True, exist_ok=True)
                if not (self.directory / _SAMPLE_FILE).exists():
                    write_tensor(self.directory / _SAMPLE_FILE, self._sample)
                self._shards.write(shard, rows)

    @abstractmethod
    def _run(self, ids: Tensor) -> Tensor:
        """What there is of `ids` [token] in all layers: [layer, head, token, width]."""

    def _check_room(self, needed: int) -> None:
        with self._told():
            place = self.directory
            while not os.path.exists(place):  # nor does what no path can be
                place = place.parent
            free = shutil.disk_usage(place).free
        if free < needed:
            raise ModelError(
                f"reading the vocabulary alone takes {_mebibytes(needed)} more on disk, and {place} has "
                f"{_mebibytes(free)} free. {_ELSEWHERE}"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the disk refuses, as a sentence."""
        try:
            yield
        except OSError as error:
            raise ModelError(
                f"the {self.what} of the tokens read alone cannot be kept in {self.directory} "
                f"({error.strerror or error}); they take {_mebibytes(self.nbytes)} in all. {_ELSEWHERE}"
            ) from error

    @cached_property
    def _frame(self) -> Frame:
        return frame_of(self.opened)

    @cached_property
    def _sample(self) -> Tensor:
        """A few tokens from all over the vocabulary, run now: [layer, head, token, width]."""
        return self._run(torch.linspace(0, self.tokens - 1, min(_SAMPLE, self.tokens)).long())

    @cached_property
    def _shards(self) -> ShardedTensor:
        """The shards of the first directory of this key that was made with the same numbers, or by nobody yet."""
        key = {
            "format": _FORMAT,
            "weights": self.weights_sha256,
            "dtype": str(self.opened.model.dtype),
            "decoder": self.opened.stack.encoder is not None,
            "frame": [self._frame.before, self._frame.after],
            "shape": self.shape,
        }
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        for variant in itertools.count():
            directory = cache_directory() / self._folder / (f"{name}-{variant}" if variant else name)
            if not os.path.lexists(directory / _SAMPLE_FILE) or self._made_alike(directory / _SAMPLE_FILE):
                break
        return ShardedTensor(directory, self.shape)

    def _made_alike(self, sample: Path) -> bool:
        mine = self._sample
        theirs = [read_layer(sample, tuple(mine.shape), layer) for layer in range(len(mine))]
        largest = float(mine[mine.isfinite()].abs().amax())
        return all(
            other is not None and torch.allclose(one, other, rtol=0, atol=_SAME * largest, equal_nan=True)
            for one, other in zip(mine, theirs, strict=True)
        )


class IsolatedStreams(ReadAlone):
    """The residual stream of every token read alone; a layer of it is a stage, as `reading.stream` counts them."""

    what = "streams"
    _folder = "isolated-streams"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[stage, 1, token, d_model]."""
        anatomy = self.opened.anatomy
        return 2 * len(anatomy.blocks) + 1, 1, self.tokens, anatomy.d_model

    def _run(self, ids: Tensor) -> Tensor:
        return streams_alone(self.opened, ids, self._frame)


class Isolated(ReadAlone):
    """The values of every token read alone: the reference `isolated`."""

    what = "values"
    _folder = "isolated"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[layer, kv_head, token, d_head]."""
        blocks = self.opened.anatomy.blocks
        return len(blocks), blocks[0].kv_heads, self.tokens, blocks[0].d_head

    @cached_property
    def streams(self) -> IsolatedStreams:
        """The residual streams of the same runs, which are kept apart: few ask for them, and they are larger."""
        return IsolatedStreams(self.opened, self.weights_sha256)

    def kept(self, what: What) -> ReadAlone:
        """The one or the other."""
        return self if what == "values" else self.streams

    def _run(self, ids: Tensor) -> Tensor:
        return values_alone(self.opened, ids, self._frame)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
