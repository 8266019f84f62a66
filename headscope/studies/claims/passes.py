"""What no survey keeps, measured shard by shard: the nearest with and without the position, and what attention mixes.

Each shard is a file that is there as a whole or not at all, so a run that was killed goes on with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import Self

from headscope.corpus.run import RowFiles
from headscope.keep.files import told
from headscope.question.choices import Mask
from headscope.reading.reading import Reading
from headscope.scope import Scope
from headscope.show.progress import Progress, Tick
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.hands import Hands, OfShard, Task, by_shard
from headscope.vocabulary.placed import places_of, search_placed

NEAREST = 15
_TEXTS = 32  # read at a time
Measured = dict[str, NDArray[np.float32]]  # each [token, …], tokens as in the survey


def measured(
    survey: Surveyed,
    hands: Hands,
    task: Task[OfShard, list[Measured]],
    directory: Path,
    progress: Progress,
    doing: str,
) -> Measured:
    """What a task finds at every token of a survey's texts, kept in `directory`, one file a shard."""
    with told(directory):
        directory.mkdir(parents=True, exist_ok=True)
    shards = survey.manifest["shards"]
    files = RowFiles(
        path=lambda n: directory / f"{n:05d}.npz",
        # The same texts may be two shards, and two measures' files have the same names.
        about=lambda n: f"{shards[n]['sha256']} {directory.name} {n}",
        write=_write,
        load=_load,
    )
    return _joined(by_shard(hands, task, files, [shard["positions"] for shard in shards], progress, doing))


@dataclass(frozen=True)
class _ShardTexts:
    """The texts of a survey, as its own shards keep them: the files they came from may be gone."""

    shards: tuple[Path, ...]
    mask: Mask

    @classmethod
    def of(cls, survey: Surveyed, mask: Mask) -> Self:
        """Those of a survey's every shard, under names that mean the same wherever a process stands."""
        return cls(tuple(shard.absolute() for shard in survey.shards), mask)

    def read(self, scope: Scope, piece: OfShard, tick: Tick) -> Iterator[list[Reading]]:
        """The readings of a shard, some at a time; `tick` is told of their tokens when the next are asked for."""
        texts = pq.read_table(self.shards[piece.number] / "texts.parquet", columns=["content"])["content"].to_pylist()
        for start in range(0, len(texts), _TEXTS):
            readings = scope.read_many(texts[start : start + _TEXTS], self.mask, truncate=True)
            yield readings
            tick(sum(len(_places(reading)) for reading in readings))
            readings.clear()  # or they would be held beside the next, by whoever was given them


@dataclass(frozen=True)
class OverlapsTask(_ShardTexts):
    """See `overlaps`."""

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[OfShard], list[Measured]]:
        """What measures a shard."""
        return lambda piece: [overlaps(readings) for readings in self.read(scope, piece, tick)]


@dataclass(frozen=True)
class MixingPassTask(_ShardTexts):
    """See `mixing`."""

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[OfShard], list[Measured]]:
        """What measures a shard."""
        return lambda piece: [mixing(readings) for readings in self.read(scope, piece, tick)]


def overlaps(readings: Sequence[Reading]) -> Measured:
    """`jaccard` [token, head]: the 15 nearest of layer 0's outputs with and without the position embedding.

    nan where all tokens are as near, so that none is.
    """
    vocabulary = readings[0].vocabulary
    at = [(reading, position) for reading in readings for position in _places(reading)]
    z = torch.stack([reading.z[0, position] for reading, position in at])  # (token, head, d_head)
    own = torch.tensor([reading.tokens[position].id for reading, position in at])

    encode = partial(vocabulary.encoded, "value", "input", 0)
    k = min(NEAREST, encode(None).table.candidates)
    spots = [reading.spots[position] for reading, position in at]
    vocabulary.expect("value", "input", 0, spots)
    with_position, without = (
        search_placed(places_of(some, len(at)), encode, z, own, k=k).nearest["cosine"] for some in (spots, None)
    )
    # Two sets of k that have c in common have 2 k − c in all.
    common = (with_position.ids[..., :, None] == without.ids[..., None, :]).any(-1).sum(-1)  # (token, head)
    jaccard = (common / (2 * k - common)).float()
    return {"jaccard": jaccard.masked_fill(with_position.tied | without.tied, torch.nan).numpy()}


def mixing(readings: Sequence[Reading]) -> Measured:
    """Mixing ratios [token, layer], see `Reading.mixing`: of the norms of all heads, with residual, with LayerNorm."""
    found: dict[str, list[Tensor]] = {"norms_all": [], "residual": [], "layernorm": []}
    for reading in readings:
        here, mixed = _places(reading), reading.mixing()
        for name, parts in found.items():
            parts.append(getattr(mixed, name)[:, here].T)
    return {name: torch.cat(parts).float().numpy() for name, parts in found.items()}


def _places(reading: Reading) -> list[int]:
    return [token.position for token in reading.tokens if not token.special]


def _joined(parts: Sequence[Measured]) -> Measured:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _write(path: Path, parts: Sequence[Measured]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **_joined(parts))


def _load(path: Path) -> list[Measured]:
    with np.load(path) as kept:
        return [{name: kept[name] for name in kept.files}]
