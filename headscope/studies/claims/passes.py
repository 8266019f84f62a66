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

from headscope.corpus.run import RowFiles, collected
from headscope.question.choices import Mask
from headscope.reading.reading import Reading
from headscope.scope import Scope
from headscope.studies.claims.surveyed import Surveyed
from headscope.vocabulary.placed import places_of, search_placed

NEAREST = 15
_TEXTS = 32  # read at a time
Measured = dict[str, NDArray[np.float32]]  # each [token, …], tokens as in the survey
Measure = Callable[[Scope, Sequence[Reading]], Measured]


def by_shard(
    survey: Surveyed,
    scope: Scope,
    mask: Mask,
    directory: Path,
    measure: Measure,
    tick: Callable[[int], None] = lambda tokens: None,
) -> Measured:
    """What `measure` finds at every token of a survey's texts, kept in `directory`, one file a shard."""
    directory.mkdir(parents=True, exist_ok=True)
    files = RowFiles(
        path=lambda n: directory / f"{n:05d}.npz",
        # The same texts may be two shards, and two measures' files have the same names.
        about=lambda n: f"{survey.manifest['shards'][n]['sha256']} {directory.name} {n}",
        write=_write,
        load=_load,
    )

    def of_shard(texts: list[str]) -> Iterator[Measured]:
        for start in range(0, len(texts), _TEXTS):
            readings = scope.read_many(texts[start : start + _TEXTS], mask, truncate=True)
            yield measure(scope, readings)
            tick(sum(len(_places(reading)) for reading in readings))

    return _joined(collected(_Contents(survey), files, of_shard))


@dataclass(frozen=True)
class _Contents:
    """The texts of a survey, as its own shards keep them: the files they came from may be gone."""

    survey: Surveyed

    def __len__(self) -> int:
        return len(self.survey.shards)

    def read(self, wanted: set[int]) -> Iterator[tuple[int, list[str]]]:
        for n in sorted(wanted):
            table = pq.read_table(self.survey.shards[n] / "texts.parquet", columns=["content"])
            yield n, table["content"].to_pylist()


def overlaps(scope: Scope, readings: Sequence[Reading]) -> Measured:
    """`jaccard` [token, head]: the 15 nearest of layer 0's outputs with and without the position embedding."""
    vocabulary = readings[0].vocabulary
    at = [(reading, position) for reading in readings for position in _places(reading)]
    z = torch.stack([reading.z[0, position] for reading, position in at])  # (token, head, d_head)
    own = torch.tensor([reading.tokens[position].id for reading, position in at])

    encode = partial(vocabulary.encoded, "value", "input", 0)
    k = min(NEAREST, encode(None).table.candidates)
    spots = [reading.spots[position] for reading, position in at]
    with_position, without = (
        search_placed(places_of(some, len(at)), encode, z, own, k=k).nearest["cosine"].ids  # (token, head, k)
        for some in (spots, None)
    )
    # Two sets of k that have c in common have 2 k − c in all.
    common = (with_position[..., :, None] == without[..., None, :]).any(-1).sum(-1)
    return {"jaccard": (common / (2 * k - common)).float().numpy()}


def mixing(scope: Scope, readings: Sequence[Reading]) -> Measured:
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
