"""The statistics of a survey, from its shards alone: what every figure is, beside its chance, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array, Draws
from headscope.inference.estimates import Resampled
from headscope.keep.rows import write_table
from headscope.reading.stream import stages_of
from headscope.studies.survey import columns, contrasts, figures, finished, stream_figures, sums
from headscope.studies.survey.figures import Figure
from headscope.studies.survey.hubs import HUBS, Hubs
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.nulls import moves_streams
from headscope.studies.survey.store import Store, read_vocabulary
from headscope.studies.survey.sums import CLASSES, Membership, Totals
from headscope.studies.survey.unsealed import told

MAIN = ("auc_own", "own_at_1", "in_text", "kappa", "signal")  # whose replicates are kept
_OF_GROUP = ("space", "reference", "metric", "mask", "layer")  # what the rows of a row group have in common
_REPLICATES = pa.schema(contrasts.KEYS | {"value": pa.float64(), "replicates": pa.list_(pa.float32())})


@dataclass
class _Tables:
    """What the tables are made of, as it comes."""

    figures: list[tuple[dict[str, Any], Figure]] = field(default_factory=list)
    streams: list[tuple[dict[str, Any], Figure]] = field(default_factory=list)
    replicates: list[dict[str, Any]] = field(default_factory=list)
    hubs: list[dict[str, Any]] = field(default_factory=list)


def compute(directory: Path, nulls: Sequence[str] = (), tick: Callable[[], None] = lambda: None) -> None:
    """Write statistics, contrasts, replicates and hubs of a finished survey and its finished `nulls`.

    Shards are read one after another, layer by layer, so memory does not grow with their number. `tick` is called
    after every layer of every view. Raises InputError, naming it, where a shard is not there or is damaged.
    """
    manifest = survey_manifest(directory)
    with told(directory, manifest):
        _compute(directory, manifest, nulls, tick)


def _compute(directory: Path, manifest: dict[str, Any], nulls: Sequence[str], tick: Callable[[], None]) -> None:
    vocabulary = read_vocabulary(directory)
    quarter = sums.quarters(vocabulary["frequency"].to_numpy())
    labels = vocabulary["label"].to_pylist()
    tables = _Tables()
    groups: NDArray[np.bool_] | None = None
    for null in (None, *nulls):
        survey = _SurveyShards(Store(directory, null), manifest, quarter)
        groups = survey.groups_of_classes() if groups is None else groups
        for keys, some in survey.figures(tables, labels):
            tables.figures += [(keys, figure.slim()) for figure in some]
            tick()
        if manifest["options"]["stream"] and moves_streams(null):
            for keys, some in survey.stream():
                tables.streams += [(keys, figure.slim()) for figure in some]
                tick()
    assert groups is not None
    finished.begin(directory)
    write_table(directory / finished.STATISTICS, columns.table(contrasts.SUBJECT, tables.figures, groups.sum(1)))
    if tables.streams:
        write_table(directory / finished.STREAM, columns.table(stream_figures.KEYS, tables.streams, groups.sum(1)))
    write_table(directory / finished.REPLICATES, pa.Table.from_pylist(tables.replicates, schema=_REPLICATES))
    write_table(directory / finished.CONTRASTS, contrasts.within(tables.replicates, manifest["texts"]["groups"]))
    write_table(
        directory / finished.HUBS, pa.Table.from_pylist(tables.hubs, schema=pa.schema(contrasts.SUBJECT | HUBS))
    )
    finished.finish(directory, manifest)


class _SurveyShards:
    """The shards of one survey or null, and how their row groups lie."""

    def __init__(self, store: Store, manifest: dict[str, Any], quarter: NDArray[np.int64]) -> None:
        self.store, self.quarter = store, quarter
        self.shards = range(len(manifest["shards"]))
        for shard in self.shards:  # all before the first is summed: a damaged one is told of now, not in an hour
            store.whole(shard)
        self.layers, self.heads = manifest["model"]["layers"], manifest["model"]["heads"]
        self.total_groups = manifest["texts"]["groups"]
        self.draws = Draws(self.total_groups, manifest["options"]["seed"])
        self.masks = manifest["options"]["masks"]

    def figures(self, tables: _Tables, labels: Sequence[str]) -> Iterator[tuple[dict[str, Any], list[Figure]]]:
        """The figures of every view and layer; replicates and hubs go into `tables`."""
        members = [self._membership(shard) for shard in self.shards]
        first = self._file(0, "rows")
        for n, mask in enumerate(self.masks):
            for layer in range(self.layers):
                of_patterns = Totals(self.draws, sums.OF_PATTERNS, sums.COUNTS_OF_PATTERNS)
                for shard, member in zip(self.shards, members, strict=True):
                    table = self._file(shard, "patterns").read_row_group(n * self.layers + layer)
                    of_patterns.add(member(), *sums.of_patterns(table, self.heads))
                keys = dict.fromkeys(contrasts.SUBJECT) | {"null": self.store.null, "mask": mask, "layer": layer}
                yield keys, figures.of_patterns(of_patterns)
        for group in range(first.num_row_groups):
            totals, hubs = Totals(self.draws, sums.OF_ROWS, sums.COUNTS_OF_ROWS), Hubs(len(labels), self.heads)
            for shard, member in zip(self.shards, members, strict=True):
                table = self._file(shard, "rows").read_row_group(group)
                totals.add(member(), *sums.of_rows(table, self.heads))
                hubs.add(table)
            of_rows = figures.of_rows(totals)
            row = table.slice(0, 1).to_pylist()[0]
            keys = {"null": self.store.null} | {name: row[name] for name in _OF_GROUP}
            tables.replicates += _replicates(keys, of_rows)
            tables.hubs += [keys | {"head": head} | row for head, row in enumerate(hubs.rows(labels))]
            yield keys, of_rows

    def stream(self) -> Iterator[tuple[dict[str, Any], list[Figure]]]:
        """The figures of every stage of the residual stream, under each mask."""
        stages = stages_of(self.layers)
        members = [self._membership(shard) for shard in self.shards]
        for n, mask in enumerate(self.masks):
            for number, stage in enumerate(stages):
                totals = Totals(self.draws, stream_figures.SUMS, stream_figures.COUNTS)
                medians = stream_figures.Medians()
                for shard, member_of in zip(self.shards, members, strict=True):
                    file, group = self._file(shard, "stream"), n * len(stages) + number
                    here, before = file.read_row_group(group), file.read_row_group(group - 1) if number else None
                    member = member_of()
                    totals.add(member, *stream_figures.of_stage(here, before))
                    medians.add(member, here)
                keys = {"null": self.store.null, "mask": mask, "stage": number, **stage._asdict()}
                yield keys, stream_figures.figures(totals, medians, first=number == 0)

    def groups_of_classes(self) -> NDArray[np.bool_]:
        """Which groups have a token of a class: [class, group]."""
        found = np.zeros((len(CLASSES), self.total_groups), dtype=bool)
        for shard in self.shards:
            member = self._membership(shard)()
            here = np.asarray(member.matrix.sum(0)).reshape(len(CLASSES), -1) > 0
            found[:, member.groups] |= here
        return found

    def _membership(self, shard: int) -> Callable[[], Membership]:
        """A shard's membership, when it is asked for: made once where there are few shards, else each time."""
        if len(self.shards) <= _KEPT:
            made = self._made(shard)
            return lambda: made
        return lambda: self._made(shard)

    def _made(self, shard: int) -> Membership:
        texts = pq.read_table(self.store.shard(shard) / "texts.parquet", columns=["text", "group"])
        tokens = pq.read_table(
            self.store.shard(shard) / "tokens.parquet", columns=["text", "position", "id", "word_class"]
        )
        numbers, groups = texts["text"].to_numpy(), texts["group"].to_numpy()
        of_tokens = groups[np.searchsorted(numbers, tokens["text"].to_numpy())].astype(np.int64)
        return Membership.of(tokens, of_tokens, self.quarter)

    def _file(self, shard: int, name: str) -> pq.ParquetFile:
        return pq.ParquetFile(self.store.shard(shard) / f"{name}.parquet")


_KEPT = 16  # shards whose memberships are held


def _replicates(keys: dict[str, Any], found: Sequence[Figure]) -> list[dict[str, Any]]:
    """Replicates of the main figures, for all tokens."""
    rows = []
    for figure in found:
        if figure.statistic not in MAIN:
            continue
        assert figure.resampled is not None, "figures are slimmed later"
        kept: dict[str, Resampled[Array] | None] = {figure.statistic: figure.resampled[0]}
        if figure.statistic == "auc_own":
            kept["own"] = figure.resampled[1]
        for statistic, resampled in kept.items():
            assert resampled is not None, "Own has a chance"
            last = len(resampled.value) - 1
            rows += [
                keys
                | {
                    "head": None if head == last else head,
                    "statistic": statistic,
                    "value": float(resampled.value[head, 0]),
                    "replicates": resampled.replicates[head, 0].astype(np.float32),  # 2,000 of each: half the file
                }
                for head in range(last + 1)
            ]
    return rows
