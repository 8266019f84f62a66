"""A finished survey's tables, as the claims ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headscope.corpus.bank import ASKED
from headscope.corpus.genres import matched
from headscope.inference.left_out import Jackknifed, folded
from headscope.studies.claims.sample import Sample
from headscope.studies.survey.contrasts import KeptFigure
from headscope.studies.survey.finished import LEFT_OUT, STATISTICS, refuse_unfinished
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.shape import told
from headscope.studies.survey.store import Store, read_bank, read_matched_bank
from headscope.studies.survey.sums import lists, numbers
from headscope.studies.survey.tables import MATCHED

_BEGINS = {"": "chance", MATCHED: "matched"}  # the columns of rows.parquet, by `Surveyed.chances`


@dataclass(frozen=True)
class Lent:
    """The outputs that tokens are held against: int64 [token, output] each.

    `partners`: the tokens whose outputs they are, −1 where there is none. `lenders`: the groups of these, 0 there.
    """

    partners: NDArray[np.int64]
    lenders: NDArray[np.int64]


@dataclass(frozen=True)
class ChanceOutputs:
    """What the outputs that tokens are held against have: [head, token, output], nan where there is none."""

    own_rank: NDArray[np.float64]
    in_text: NDArray[np.float64]


@dataclass(frozen=True)
class LayerRows:
    """One layer of one view: arrays [head, token], in the order of the tokens; a number that is not there is nan.

    Where all tokens tie none is `nearest`, which is −1, and its kind is "".

    `by_chance`: by whose outputs tokens are held against, see `Surveyed.chances`.
    """

    own_rank: NDArray[np.float64]
    nearest: NDArray[np.int64]
    kind: NDArray[np.str_]
    by_chance: Mapping[str, ChanceOutputs]

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which heads tell any token from another: bool [head]."""
        return np.asarray((self.nearest >= 0).any(1))


@dataclass(frozen=True)
class Streams:
    """The residual stream at every token, float64 [token] each; of the own input embedding, nan where it has none.

    `rank_after_attention` of every layer; `rank`, `cosine` and `overlap` (of the 100 nearest with those of the input)
    before all layers and after each: one more than there are layers.
    """

    rank_after_attention: list[NDArray[np.float64]]
    rank: list[NDArray[np.float64]]
    cosine: list[NDArray[np.float64]]
    overlap: list[NDArray[np.float64]]


class Surveyed:
    """The value space of a finished survey under cosine and one mask."""

    def __init__(self, directory: Path, mask: str) -> None:
        """Raises InputError for a directory that holds no finished survey, and for damage to its tables."""
        manifest = survey_manifest(directory)
        refuse_unfinished(directory, manifest)
        self.directory, self.mask, self.manifest = directory, mask, manifest
        self.layers: int = manifest["model"]["layers"]
        self.heads: int = manifest["model"]["heads"]
        store = Store(directory)
        self.shards = [store.whole(n) for n in range(len(manifest["shards"]))]

    @cached_property
    def chances(self) -> tuple[str, ...]:
        """Whose outputs tokens are held against, by how the survey's figures of that end.

        "" for all other documents, and MATCHED for those of the text's own genre, where texts have genres.
        """
        return ("", MATCHED) if matched(self.manifest["texts"].get("genres")) else ("",)

    @cached_property
    def texts(self) -> pa.Table:
        """texts.parquet of all shards."""
        return self._whole("texts", ["text", "group", "content"])

    @cached_property
    def tokens(self) -> dict[str, NDArray[Any]]:
        """The columns of tokens.parquet, in order; `asked`… [token, output] −1 where there is none."""
        asked = [f"asked{ends}" for ends in self.chances]
        table = self._whole("tokens", ["text", "position", "id", "tag", "word_class", *asked])
        found = {name: table[name].to_numpy() for name in ("text", "position", "id")}
        found |= {name: np.array(table[name].to_pylist(), dtype=object) for name in ("tag", "word_class")}
        return found | {name: np.nan_to_num(lists(table, name)[0], nan=-1).astype(np.int64) for name in asked}

    @cached_property
    def sample(self) -> Sample:
        """The tokens' groups, as the survey's own figures have them."""
        numbers, groups = self.texts["text"].to_numpy(), self.texts["group"].to_numpy()
        order = np.argsort(numbers)
        at = order[np.searchsorted(numbers[order], self.tokens["text"])]
        documents, seed = self.manifest["texts"]["groups"], self.manifest["options"]["seed"]
        return Sample.of(groups[at].astype(np.int64), documents, seed)

    @cached_property
    def lent(self) -> dict[str, Lent]:
        """Whose outputs each token is held against, by `chances`."""
        return {ends: self._lent(ends) for ends in self.chances}

    def _lent(self, ends: str) -> Lent:
        text, position, asked = (
            self.tokens[name].astype(np.int64) for name in ("text", "position", f"asked{ends}")
        )  # fmt: skip
        with told(self.directory):
            table = (read_matched_bank if ends else read_bank)(self.directory)
        bank = {name: table[name].to_numpy().astype(np.int64) for name in ("text", "position", "group")}
        length = int(position.max()) + 1
        keys = text * length + position
        order = np.argsort(keys)
        wanted = bank["text"] * length + bank["position"]
        at = order[np.searchsorted(keys[order], wanted).clip(max=len(keys) - 1)]
        tokens = np.where(keys[at] == wanted, at, -1)
        groups = folded(bank["group"], self.manifest["texts"]["groups"])
        there, output = asked >= 0, asked.clip(min=0)
        return Lent(np.where(there, tokens[output], -1), np.where(there, groups[output], 0))

    def rows(self, layer: int, reference: str) -> LayerRows:
        """One layer under one reference."""
        columns = {ends: [f"{_BEGINS[ends]}_{name}" for name in ("own_rank", "in_text")] for ends in self.chances}
        held = [name for both in columns.values() for name in both]
        asked = [("layer", "==", layer), ("reference", "==", reference), *self._view]
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("own_rank", "nearest", "kind", "distance", *held)}
        for shard in self.shards:
            table = self._table(shard / "rows.parquet", list(parts), asked)
            for name, of_shards in parts.items():
                column = table[name]
                if name == "kind":
                    values = np.array(column.to_pylist())
                elif name == "nearest":
                    values = column.to_numpy().astype(np.int64)
                else:
                    values = lists(table, name, self.heads) if name in held else numbers(table, name)
                # A shard's rows come head by head: heads by shards would not be heads by tokens.
                of_shards.append(values.reshape((self.heads, -1, ASKED) if name in held else (self.heads, -1)))
        whole = {name: np.concatenate(of_shards, axis=1) for name, of_shards in parts.items()}
        by_chance = {ends: ChanceOutputs(*(whole[name] for name in both)) for ends, both in columns.items()}
        tied = np.isnan(whole["distance"])
        nearest, kind = np.where(tied, -1, whole["nearest"]), np.where(tied, "", whole["kind"])
        return LayerRows(whole["own_rank"], nearest, kind, by_chance)

    @cached_property
    def streams(self) -> Streams | None:
        """The residual streams; None where the survey did not measure them."""
        if not all((shard / "stream.parquet").is_file() for shard in self.shards):
            return None
        names = ("own_rank", "own_cosine", "overlap_input")
        parts = [
            self._table(shard / "stream.parquet", ["stage", *names], [("mask", "==", self.mask)])
            for shard in self.shards
        ]
        whole = pa.concat_tables(parts)
        stage = whole["stage"].to_numpy()
        rank, cosine, overlap = (whole[name].cast(pa.float64()).to_numpy() for name in names)
        # Stages: 0 the input, then of every layer after its attention (odd) and after all of it (even).
        before_and_after = [stage == 2 * layer for layer in range(self.layers + 1)]
        return Streams(
            [rank[stage == 2 * layer + 1] for layer in range(self.layers)],
            *([values[here] for here in before_and_after] for values in (rank, cosine, overlap)),
        )

    def statistic(self, statistic: str, reference: str, layer: int) -> dict[str, Any] | None:
        """The row of statistics.parquet for all tokens and the mean over heads; None where it has no chance."""
        row = self._statistics.get((statistic, reference, layer))
        return None if row is None or row["difference"] is None else row

    def kept(self, statistic: str, reference: str, layer: int, head: int | None = None) -> Jackknifed[float]:
        """A figure of left_out.parquet; `head` None: the mean over heads."""
        asked = [("statistic", "==", statistic), ("reference", "==", reference), ("layer", "==", layer), *self._view]
        found = self._table(self.directory / LEFT_OUT, None, asked).to_pylist()
        one = next(row for row in found if row["head"] == head and row["null"] is None)
        return KeptFigure(one["value"], np.asarray(one["lost"], dtype=np.float32)).whole

    @cached_property
    def _statistics(self) -> dict[tuple[str, str, int], dict[str, Any]]:
        asked = [("by", "==", "all"), *self._view]
        rows = self._table(self.directory / STATISTICS, None, asked).to_pylist()
        return {
            (row["statistic"], row["reference"], row["layer"]): row
            for row in rows
            if row["head"] is None and row["null"] is None
        }

    @property
    def _view(self) -> list[tuple[str, str, str]]:
        return [("space", "==", "value"), ("metric", "==", "cosine"), ("mask", "==", self.mask)]

    def _whole(self, name: str, columns: Sequence[str]) -> pa.Table:
        return pa.concat_tables([self._table(shard / f"{name}.parquet", columns) for shard in self.shards])

    def _table(
        self, path: Path, columns: Sequence[str] | None, filters: list[tuple[str, str, Any]] | None = None
    ) -> Any:
        with told(self.directory):
            return pq.read_table(path, columns=columns and list(columns), filters=filters)
