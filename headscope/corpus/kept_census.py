"""A census on disk, so that of many runs on one directory only the first reads and tokenises all texts.

It is deterministic: where two runs take it at one time, it does not matter whose stands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.bank import BankPlan
from headscope.corpus.census import Census, ShardPlan, TextTypes
from headscope.corpus.texts import TextFile, Unreadable
from headscope.keep.checksums import intact, write_sealed

_ARRAYS = ("numbers", "groups", "positions", "frequencies")
_BANK = ("stratum", "document", "text", "position")
_PLAIN = ("longest", "documents", "left_out", "sha256")


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
            found = source.path.stat() if source.fault is None else None
            files.append([source.name, source.format, None if found is None else [found.st_size, found.st_mtime_ns]])
        options = [asked.sample, asked.seed, asked.truncate, asdict(asked.columns), shard_positions]
        return cls(path, json.dumps([files, options]))

    def read(self) -> Census | None:
        """What was counted; None where it is not there, is of other files or another question, or is damaged."""
        return _read(self.path) if intact(self.path, self.about) else None

    def write(self, census: Census) -> None:
        """Keep a census. InputError where the disk does not take it."""
        write_sealed(self.path, self.about, lambda beside: _write(beside, census))


def _write(path: Path, census: Census) -> None:
    plain = {name: getattr(census, name) for name in _PLAIN} | {
        "shards": [asdict(shard) for shard in census.shards],
        "examples": [asdict(example) for example in census.examples],
        "digests": {number: digest.hex() for number, digest in census.bank.digests.items()},
        "distractors": [(text, document) for text, document, _ in census.distractors],
    }
    types = {f"types-{n}": one.types for n, one in enumerate(census.distractors)}
    arrays = {name: getattr(census, name) for name in _ARRAYS} | {
        f"bank-{name}": getattr(census.bank, name) for name in _BANK
    }
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, plain=np.frombuffer(json.dumps(plain).encode(), np.uint8), **arrays, **types)


def _read(path: Path) -> Census:
    with np.load(path, allow_pickle=False) as found:
        plain: dict[str, Any] = json.loads(found["plain"].tobytes())
        digests = {int(number): bytes.fromhex(digest) for number, digest in plain["digests"].items()}
        return Census(
            **{name: found[name] for name in _ARRAYS},
            **{name: plain[name] for name in _PLAIN},
            bank=BankPlan(**{name: found[f"bank-{name}"] for name in _BANK}, digests=digests),
            distractors=tuple(
                TextTypes(text, document, found[f"types-{n}"])
                for n, (text, document) in enumerate(plain["distractors"])
            ),
            examples=tuple(Unreadable(**example) for example in plain["examples"]),
            shards=tuple(ShardPlan(**shard) for shard in plain["shards"]),
        )
