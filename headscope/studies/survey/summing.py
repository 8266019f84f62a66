"""From a shard's tables to its sums: the one way, whether the shard was measured just now or long ago."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.left_out import folded
from headscope.studies.survey import stream_figures, sums
from headscope.studies.survey.pieces import Piece
from headscope.studies.survey.sums import ItemSums, Membership, Summed
from headscope.studies.survey.totals import PieceSums

Summer = Callable[[Piece], PieceSums]


@dataclass(frozen=True)
class Summing:
    """What a survey's tables are summed by, beside themselves.

    `heads` of a layer, `documents` of all texts, `quarter` int64 [vocab_size]: the frequency class of every id, and
    `lenders` int64 [output] by the ending of their sums (`sums.chances`): the group of every output of each bank.
    """

    heads: int
    documents: int
    quarter: NDArray[np.int64]
    lenders: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, manifest: Mapping[str, Any], vocabulary: pa.Table, banks: Mapping[str, pa.Table]) -> Summing:
        """By a survey's manifest, vocabulary.parquet, and the tables of its banks by the ending of their sums."""
        documents = manifest["texts"]["groups"]
        lenders = {ends: folded(bank["group"].to_numpy().astype(np.int64), documents) for ends, bank in banks.items()}
        return cls(
            manifest["model"]["heads"], documents, sums.quarters(vocabulary["frequency"].to_numpy()), lenders
        )  # fmt: skip

    @property
    def vocab_size(self) -> int:
        """How many tokens the vocabulary has."""
        return len(self.quarter)

    @contextmanager
    def opened(self, shard: Path) -> Iterator[Summer]:
        """A shard's folder, opened: what gives the sums of a piece of it. Tables are read a piece at a time."""
        members = self._members(shard)
        with ExitStack() as stack:
            files: dict[str, pq.ParquetFile] = {}

            def read(table: str, group: int) -> pa.Table:
                if table not in files:
                    files[table] = stack.enter_context(pq.ParquetFile(shard / f"{table}.parquet"))
                return files[table].read_row_group(group)

            def summed(piece: Piece) -> PieceSums:
                table = read(piece.table, piece.group)
                if piece.table == "patterns":
                    of_patterns = sums.of_patterns(table, self.heads)
                    return PieceSums(None, list(members.tokens.summed(of_patterns, "own")))
                candidates = int(table["candidates"][0].as_py())
                if piece.table == "rows":
                    found = members.summed(*sums.of_rows(table, self.heads))
                    return PieceSums(candidates, [*found, sums.nearest(table, self.heads, self.vocab_size)])
                before = read("stream", piece.group - 1) if piece.keys["stage"] else None
                found = members.summed(*stream_figures.of_stage(table, before))
                return PieceSums(candidates, [*found, stream_figures.ranks(members.tokens, table, candidates)])

            yield summed

    def _members(self, shard: Path) -> _Members:
        texts = pq.read_table(shard / "texts.parquet", columns=["text", "group"])
        asked = {ends: f"asked{ends}" for ends in self.lenders}
        columns = ["text", "position", "id", "word_class", *asked.values()]
        tokens = pq.read_table(shard / "tokens.parquet", columns=columns)
        numbers, groups = texts["text"].to_numpy(), texts["group"].to_numpy()
        of_tokens = folded(groups[np.searchsorted(numbers, tokens["text"].to_numpy())].astype(np.int64), self.documents)
        classes = sums.classes_of(tokens, self.quarter)
        lent = {
            ends: _Lent.of(classes, of_tokens, sums.lists(tokens, asked[ends]), lenders)
            for ends, lenders in self.lenders.items()
        }
        return _Members(Membership.of(classes, of_tokens), lent)


@dataclass(frozen=True)
class _Lent:
    """A shard's pairs of a token and an output that it is held against, by whom it is lent."""

    lenders: Membership
    pairs: NDArray[np.int64]  # which of all pairs

    @classmethod
    def of(
        cls, classes: NDArray[np.int64], groups: NDArray[np.int64], asked: Array, lenders: NDArray[np.int64]
    ) -> _Lent:
        """Of tokens with classes [classification, token] and groups, `asked` [1, token, ASKED]; nan: none."""
        held = asked[0].ravel()
        token = np.repeat(np.arange(len(groups)), asked.shape[2])
        lender = lenders[np.nan_to_num(held).astype(np.int64)]
        # Where documents were put together, one may stand on both sides: what is left out with it is gone once.
        pairs = np.flatnonzero(~np.isnan(held) & (lender != groups[token]))
        return cls(Membership.of(classes[:, token[pairs]], lender[pairs]), pairs)


@dataclass(frozen=True)
class _Members:
    """The tokens of a shard, and what they are held against, by the ending of their sums: see `sums.chances`."""

    tokens: Membership
    lent: dict[str, _Lent]

    def summed(self, tokens: ItemSums, pairs: Mapping[str, ItemSums]) -> Iterator[Summed]:
        """What the tokens have, and who lent it."""
        yield from self.tokens.summed(tokens, "own")
        for ends, items in pairs.items():
            of = self.lent[ends]
            lent = ItemSums(
                {name: values[:, of.pairs] for name, values in items.values.items()},
                {name: counts[..., of.pairs] for name, counts in items.counts.items()},
            )
            yield from of.lenders.summed(lent, "lent")
