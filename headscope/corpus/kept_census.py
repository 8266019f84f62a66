"""A census on disk, so that of many runs on one directory only the first reads and tokenises all texts.

It is deterministic: where two runs take it at one time, it does not matter whose stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.bank import BankPlan
from headscope.corpus.census import Census, ShardPlan
from headscope.corpus.files import TextFile
from headscope.corpus.genres import Genres, TextTypes
from headscope.corpus.lines import Readable
from headscope.corpus.texts import Unreadable
from headscope.keep.checksums import intact, write_sealed
from headscope.keep.remote import RemoteFile

Array = NDArray[Any]
_ARRAYS = ("numbers", "groups", "positions", "frequencies")
_BANK = ("stratum", "document", "text", "position")
_PLAIN = ("longest", "documents", "same", "left_out", "sha256")
_COUNTED = 2  # as what: 1 took texts that are the same for independent ones


@dataclass(frozen=True)
class KeptCensus:
    """A census in the file `path`, and what tells that it is the one that is asked for."""

    path: Path
    about: str

    @classmethod
    def of(cls, path: Path, sources: Sequence[TextFile], asked: CorpusOptions, shard_positions: int) -> KeptCensus:
        """That of these files as they are now, told by their names, sizes and times: none is read."""
        files = []
        for source in sources:
            files.append([source.name, source.format, _now(source.path) if source.fault is None else None])
        options = [asked.sample, asked.seed, asked.truncate, asdict(asked.columns), shard_positions]
        return cls(path, json.dumps([files, options, _COUNTED]))

    def read(self) -> Census | None:
        """What was counted; None where it is not there, is of other files or another question, or is damaged."""
        return _read(self.path) if intact(self.path, self.about) else None

    def write(self, census: Census) -> None:
        """Keep a census. InputError where the disk does not take it."""
        write_sealed(self.path, self.about, lambda beside: _write(beside, census))


def _now(path: Readable) -> list[int | str | None]:
    if isinstance(path, RemoteFile):
        return [path.size, path.stamp]
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _write(path: Path, census: Census) -> None:
    genres = census.genres
    plain = {name: getattr(census, name) for name in _PLAIN} | {
        "shards": [asdict(shard) for shard in census.shards],
        "examples": [asdict(example) for example in census.examples],
        "bank": _digests(census.bank),
        "distractors": _named(census.distractors),
        "genres": genres
        and {
            "documents": genres.documents,
            "bank": genres.bank and _digests(genres.bank),
            "of": genres.of.tolist(),
            "distractors": {genre: _named(some) for genre, some in genres.distractors.items()},
        },
    }
    arrays = {name: getattr(census, name) for name in _ARRAYS}
    arrays |= _columns("bank", census.bank) | _types("types", census.distractors)
    if genres is not None:
        arrays |= {} if genres.bank is None else _columns("genres-bank", genres.bank)
        for n, some in enumerate(genres.distractors.values()):
            arrays |= _types(f"genre-{n}-types", some)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, plain=np.frombuffer(json.dumps(plain).encode(), np.uint8), **arrays)


def _read(path: Path) -> Census:
    with np.load(path, allow_pickle=False) as found:
        plain: dict[str, Any] = json.loads(found["plain"].tobytes())
        return Census(
            **{name: found[name] for name in _ARRAYS},
            **{name: plain[name] for name in _PLAIN},
            bank=_bank(found, "bank", plain["bank"]),
            distractors=_texts(found, "types", plain["distractors"]),
            genres=plain["genres"] and _genres(found, plain["genres"]),
            examples=tuple(Unreadable(**example) for example in plain["examples"]),
            shards=tuple(ShardPlan(**shard) for shard in plain["shards"]),
        )


def _genres(found: Mapping[str, Array], plain: dict[str, Any]) -> Genres:
    return Genres(
        plain["documents"],
        plain["bank"] and _bank(found, "genres-bank", plain["bank"]),
        np.array(plain["of"], dtype=np.str_),
        {
            genre: _texts(found, f"genre-{n}-types", some)
            for n, (genre, some) in enumerate(plain["distractors"].items())
        },
    )


def _columns(prefix: str, bank: BankPlan) -> dict[str, Array]:
    return {f"{prefix}-{name}": getattr(bank, name) for name in _BANK}


def _digests(bank: BankPlan) -> dict[int, str]:
    return {number: digest.hex() for number, digest in bank.digests.items()}


def _bank(found: Mapping[str, Array], prefix: str, digests: Mapping[str, str]) -> BankPlan:
    columns = {name: found[f"{prefix}-{name}"] for name in _BANK}
    return BankPlan(**columns, digests={int(number): bytes.fromhex(digest) for number, digest in digests.items()})


def _named(some: Sequence[TextTypes]) -> list[tuple[int, int]]:
    return [(text, document) for text, document, _ in some]


def _types(prefix: str, some: Sequence[TextTypes]) -> dict[str, Array]:
    return {f"{prefix}-{n}": one.types for n, one in enumerate(some)}


def _texts(found: Mapping[str, Array], prefix: str, named: Sequence[tuple[int, int]]) -> tuple[TextTypes, ...]:
    return tuple(TextTypes(text, document, found[f"{prefix}-{n}"]) for n, (text, document) in enumerate(named))
