"""Sums of many shards put together: what a part leaves for the end, which then reads nothing of its shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from headscope.errors import InputError
from headscope.inference.left_out import group_count
from headscope.keep.checksums import CHECKSUMS, outline_fault, seal, sealed_files
from headscope.keep.files import read_small, told, whole_folder
from headscope.keep.lock import making
from headscope.studies.survey.kept_sums import FORMULA, SUMS, opened_sums, write_sums
from headscope.studies.survey.pieces import Piece
from headscope.studies.survey.store import Store
from headscope.studies.survey.summing import Summer
from headscope.studies.survey.sums import CLASSES
from headscope.studies.survey.totals import PieceSums, Tally

HELD = 2**29  # bytes of sums: those of a layer with 32 heads, in 1,000 groups, are a quarter of it
_NAMES = {"patterns": 4, "rows": 36, "stream": 36}  # about so many figures each
Opener = Callable[[], AbstractContextManager[Summer]]


def put_together(store: Store, parts: Sequence[Opener]) -> Iterator[tuple[Piece, Tally]]:
    """Every piece of a survey with the sums of all parts: as many at a time as are held without taking much memory.

    Part by part: where all pieces are held at a time, each part is opened once.
    """
    groups = group_count(store.summing.documents)
    for pieces in _batches(store, groups):
        tallies = [(piece, Tally(groups, store.summing.heads, store.summing.vocab_size)) for piece in pieces]
        for opener in parts:
            with opener() as summer:
                for piece, tally in tallies:
                    tally.add(summer(piece))
        while tallies:
            yield tallies.pop(0)


@dataclass(frozen=True)
class Gathered:
    """The sums of some shards in one folder, a file for each piece."""

    folder: Path
    shards: frozenset[int]
    pieces: Sequence[Piece]

    @contextmanager
    def opened(self) -> Iterator[Summer]:
        """What gives the sums of a piece, whose file is looked at as it is read; InputError where it is damaged."""
        sealed = sealed_files(self.folder)

        def summed(piece: Piece) -> PieceSums:
            name = _name(self.pieces.index(piece))
            whole = (self.folder / name).read_bytes()
            if hashlib.sha256(whole).hexdigest() != sealed.get(name):
                raise InputError(
                    f"{self.folder} is damaged ({name} is not what was written): remove it, and finish again. It was "
                    "made of the shards' own sums, which are then read in its place."
                )
            with opened_sums(whole, [piece]) as summer:
                return summer(piece)

        yield summed


def sources(store: Store, shards: Sequence[int]) -> list[Opener]:
    """What the sums of these shards are read from: as few as there are, each shard in one of them."""
    left, found = set(shards), list[Opener]()
    for one in sorted(_known(store), key=lambda one: (-len(one.shards), one.folder.name)):
        if one.shards <= left:
            left -= one.shards
            found.append(one.opened)
    return [*found, *(partial(store.opened, shard) for shard in sorted(left))]


def gather(store: Store, shards: Sequence[int]) -> Path | None:
    """Put the sums of shards together, and keep them; None: they are kept already, or another run does it.

    InputError where a shard is not there, or is not what was written. Shards without sums are left to the end.
    """
    kept = [shard for shard in shards if SUMS in sealed_files(store.outlined(shard))]
    if len(kept) < 2 or any(one.shards >= set(kept) for one in _known(store)):
        return None
    parts = sources(store, kept)
    return keep(store, kept, ((piece, tally.sums()) for piece, tally in put_together(store, parts)))


def keep(store: Store, shards: Sequence[int], pieces: Iterable[tuple[Piece, PieceSums]]) -> Path | None:
    """Keep what shards come to, piece by piece, and return the folder; None: another run does it."""
    described = about(store, shards)
    named = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
    with making(store.directory, f"sums-{store.null or 'model'}-{named}") as beginning:
        if beginning is None:
            return None
        with whole_folder(place(store) / named, beginning, store.directory) as folder, told(store.directory):
            for number, one in enumerate(pieces):
                write_sums(folder / _name(number), [one])
            seal(folder, [_name(number) for number in range(len(store.pieces))], described, folder / CHECKSUMS)
    return place(store) / named


def described_by(store: Store, folder: Path) -> frozenset[int]:
    """The shards whose sums were put together in a folder, by its checksums; none where these are others now."""
    try:
        shards = json.loads(read_small(folder / CHECKSUMS))["shards"]
        known = not outline_fault(folder, (), about(store, shards))
    except (InputError, OSError, ValueError, RecursionError, LookupError, TypeError):
        return frozenset()
    return frozenset(shards) if known else frozenset()


def _known(store: Store) -> Iterator[Gathered]:
    """What was put together of shards that are still the same."""
    folders = place(store)
    names = [_name(number) for number in range(len(store.pieces))]
    for folder in sorted(folders.iterdir()) if folders.is_dir() else ():
        shards = described_by(store, folder)  # where it is none of these, they have sums of their own
        if shards and outline_fault(folder, names, about(store, sorted(shards))) is None:
            yield Gathered(folder, shards, store.pieces)


def about(store: Store, shards: Sequence[int]) -> dict[str, Any]:
    """What tells sums that were put together from those of other shards, or of these when they were others."""
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(f"{shard:d} {sealed_files(store.shard(shard))[SUMS]}\n".encode())
    return {
        "survey": store.identity,
        "null": store.null,
        "formula": FORMULA,
        "shards": list(shards),
        "sums_sha256": digest.hexdigest(),
    }


def place(store: Store) -> Path:
    """The folder of what was put together of a survey's shards, or of a null's."""
    return store.folder.with_name("sums")


def _name(number: int) -> str:
    return f"{number:05d}.parquet"


def _batches(store: Store, groups: int) -> Iterator[list[Piece]]:
    """The pieces in order, cut into batches whose sums fit into what may be held."""
    batch: list[Piece] = []
    held = 0
    for piece in store.pieces:
        size = _bytes(store, piece, groups)
        if batch and held + size > HELD:
            yield batch
            batch, held = [], 0
        batch.append(piece)
        held += size
    yield batch


def _bytes(store: Store, piece: Piece, groups: int) -> int:
    """About what the sums of a piece take."""
    summing = store.summing
    names = _NAMES[piece.table] * len(summing.lenders)  # each kind of chance has figures of its own
    heads, counts = summing.heads, summing.heads * summing.vocab_size
    if piece.table == "stream":
        heads, counts = 1, len(CLASSES) * summing.vocab_size
    return 8 * (names * heads * len(CLASSES) * groups + (0 if piece.table == "patterns" else counts))
