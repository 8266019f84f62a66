"""What no survey keeps, measured shard by shard: the nearest with and without the position, and what attention mixes.

Each shard is a file that is there as a whole or not at all, so a run that was killed goes on with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.question.choices import Mask
from headscope.reading.reading import Reading
from headscope.scope import Scope
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.survey.checksums import intact
from headscope.studies.survey.store import write_sealed
from headscope.vocabulary import Encoded
from headscope.vocabulary.placed import members_of, placed

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
    found: list[Measured] = []
    for n, shard in enumerate(survey.shards):
        path = directory / f"{n:05d}.npz"
        about = f"{survey.manifest['shards'][n]['sha256']} {directory.name} {n}"
        if not intact(path, about):
            texts = pq.read_table(shard / "texts.parquet", columns=["content"])["content"].to_pylist()
            parts: list[Measured] = []
            for start in range(0, len(texts), _TEXTS):
                readings = scope.read_many(texts[start : start + _TEXTS], mask, truncate=True)
                parts.append(measure(scope, readings))
                tick(sum(len(_places(reading)) for reading in readings))
            _write(path, about, _joined(parts))
        with np.load(path) as kept:
            found.append({name: kept[name] for name in kept.files})
    return _joined(found)


def overlaps(scope: Scope, readings: Sequence[Reading]) -> Measured:
    """`jaccard` [token, head]: the 15 nearest of layer 0's outputs with and without the position embedding."""
    vocabulary = readings[0].vocabulary
    at = [(reading, position) for reading in readings for position in _places(reading)]
    z = torch.stack([reading.z[0, position] for reading, position in at])  # (token, head, d_head)
    own = torch.tensor([reading.tokens[position].id for reading, position in at])

    def encodings(moved: bool) -> Iterator[tuple[Tensor, Encoded]]:
        if not moved:
            yield torch.arange(len(at)), vocabulary.encoded("value", "input", 0, None)
            return
        for spot, members in members_of(reading.spots[position] for reading, position in at):
            yield members, vocabulary.encoded("value", "input", 0, spot)

    k = min(NEAREST, vocabulary.encoded("value", "input", 0, None).table.candidates)
    both = []
    for moved in (True, False):
        ids, order = [], []
        for run in placed(encodings(moved), z):
            ids.append(run.search(own, torch.full_like(own, -1), k=k)["cosine"].ids.cpu())
            order.append(run.which)
        both.append(torch.cat(ids)[torch.cat(order).argsort()])  # (token, head, k)
    common = (both[0][..., :, None] == both[1][..., None, :]).any(-1).sum(-1)
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


def _write(path: Path, about: str, found: Measured) -> None:
    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **found)

    write_sealed(path, about, write)
