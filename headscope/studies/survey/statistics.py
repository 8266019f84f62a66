"""The statistics of a survey, from its shards alone: what every figure is, beside its chance, with its interval."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headscope.corpus.genres import matched
from headscope.inference.bootstrap import Array
from headscope.inference.left_out import MOST, folded
from headscope.keep.rows import write_table
from headscope.reading.stream import stages_of
from headscope.studies.survey import columns, contrasts, figures, finished, stream_figures, sums
from headscope.studies.survey.figures import Figure
from headscope.studies.survey.hubs import HUBS, Hubs
from headscope.studies.survey.made import Made, mixture_notes, refuse_mixtures
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.nulls import moves_streams
from headscope.studies.survey.shape import told
from headscope.studies.survey.store import Store, read_bank, read_matched_bank, read_vocabulary
from headscope.studies.survey.sums import Items, Membership, Totals
from headscope.studies.survey.tables import MATCHED, SIGNALS

# The figures that are kept without each group, by the names that they have then: a statistic's value, or what it has
# over its chance.
_MATCHED = [f"{name}{MATCHED}" for name in ("kappa", *SIGNALS)]
_VALUES = {name: name for name in ("own", "carry", "own_at_1", "in_text", "kappa", *SIGNALS, *_MATCHED)}
_OVER = {
    "auc_own": "topic",
    f"auc_own{MATCHED}": f"topic{MATCHED}",
    "own": "own_over_even",
    "carry": "carry_over_even",
}
_OF_GROUP = ("space", "reference", "metric", "mask", "layer")  # what the rows of a row group have in common
_LEFT_OUT = pa.schema(contrasts.KEYS | {"value": pa.float64(), "lost": pa.list_(pa.float32())})


@dataclass
class _Tables:
    """What the tables are made of, as it comes."""

    figures: list[tuple[dict[str, Any], Figure]] = field(default_factory=list)
    streams: list[tuple[dict[str, Any], Figure]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    hubs: list[dict[str, Any]] = field(default_factory=list)


def compute(directory: Path, nulls: Sequence[str] = (), tick: Callable[[], None] = lambda: None) -> None:
    """Write statistics, contrasts, figures with groups left out and hubs of a finished survey and its finished `nulls`.

    Shards are read one after another, layer by layer, so memory does not grow with their number. `tick` is called
    after every layer of every view. Raises InputError, naming it, where a shard is not there or is damaged.
    """
    manifest = survey_manifest(directory)
    with told(directory):
        _compute(directory, manifest, nulls, tick)


def _compute(directory: Path, manifest: dict[str, Any], nulls: Sequence[str], tick: Callable[[], None]) -> None:
    vocabulary = read_vocabulary(directory)
    quarter = sums.quarters(vocabulary["frequency"].to_numpy())
    labels = vocabulary["label"].to_pylist()
    tables = _Tables()
    notes = _notes(directory, [Store(directory, null) for null in (None, *nulls)])
    for null in (None, *nulls):
        survey = _SurveyShards(Store(directory, null), manifest, quarter)
        for keys, some in survey.figures(tables, labels):
            tables.figures += [(keys, figure.slim()) for figure in some]
            tick()
        if manifest["options"]["stream"] and moves_streams(null):
            for keys, some in survey.stream():
                tables.streams += [(keys, figure.slim()) for figure in some]
                tick()
    finished.begin(directory)
    found = columns.table(contrasts.SUBJECT, tables.figures)
    write_table(directory / finished.STATISTICS, found.replace_schema_metadata({finished.NOTES: json.dumps(notes)}))
    if tables.streams:
        write_table(directory / finished.STREAM, columns.table(stream_figures.KEYS, tables.streams))
    write_table(directory / finished.LEFT_OUT, pa.Table.from_pylist(tables.left_out, schema=_LEFT_OUT))
    write_table(directory / finished.CONTRASTS, contrasts.within(tables.left_out))
    write_table(
        directory / finished.HUBS, pa.Table.from_pylist(tables.hubs, schema=pa.schema(contrasts.SUBJECT | HUBS))
    )
    finished.finish(directory, manifest)


def _notes(directory: Path, stores: Sequence[Store]) -> list[str]:
    """What a reader must know of where the shards come from; InputError where they may not be put together."""
    made: dict[str, Made | None] = {}
    for store in stores:
        made |= store.made()
    refuse_mixtures(directory, made)
    return list(mixture_notes(made.values()))


class _SurveyShards:
    """The shards of one survey or null, and how their row groups lie."""

    def __init__(self, store: Store, manifest: dict[str, Any], quarter: NDArray[np.int64]) -> None:
        self.store, self.quarter = store, quarter
        self.shards = range(len(manifest["shards"]))
        for shard in self.shards:  # all before the first is summed: a damaged one is told of now, not in an hour
            store.whole(shard)
        self.layers, self.heads = manifest["model"]["layers"], manifest["model"]["heads"]
        self.documents = manifest["texts"]["groups"]
        self.groups = min(self.documents, MOST)
        self.lenders = {"": self._lenders(read_bank(store.directory))}
        if matched(manifest["texts"].get("genres")):
            self.lenders[MATCHED] = self._lenders(read_matched_bank(store.directory))
        self.masks = manifest["options"]["masks"]

    def _lenders(self, bank: pa.Table) -> NDArray[np.int64]:
        """The group of every output of a bank."""
        return folded(bank["group"].to_numpy().astype(np.int64), self.documents)

    def figures(self, tables: _Tables, labels: Sequence[str]) -> Iterator[tuple[dict[str, Any], list[Figure]]]:
        """The figures of every view and layer; what they are without each group, and hubs, go into `tables`."""
        members = [self._membership(shard) for shard in self.shards]
        first = self._file(0, "rows")
        for n, mask in enumerate(self.masks):
            for layer in range(self.layers):
                of_patterns = Totals(self.groups)
                for shard, member in zip(self.shards, members, strict=True):
                    table = self._file(shard, "patterns").read_row_group(n * self.layers + layer)
                    of_patterns.add(member().tokens, sums.of_patterns(table, self.heads))
                keys = dict.fromkeys(contrasts.SUBJECT) | {"null": self.store.null, "mask": mask, "layer": layer}
                yield keys, figures.of_patterns(of_patterns)
        for group in range(first.num_row_groups):
            totals, hubs = Totals(self.groups), Hubs(len(labels), self.heads)
            for shard, member in zip(self.shards, members, strict=True):
                table = self._file(shard, "rows").read_row_group(group)
                member().add(totals, *sums.of_rows(table, self.heads))
                hubs.add(table)
            of_rows = figures.of_rows(totals)
            row = table.slice(0, 1).to_pylist()[0]
            keys = {"null": self.store.null} | {name: row[name] for name in _OF_GROUP}
            tables.left_out += _left_out(keys, of_rows)
            tables.hubs += [keys | {"head": head} | row for head, row in enumerate(hubs.rows(labels))]
            yield keys, of_rows

    def stream(self) -> Iterator[tuple[dict[str, Any], list[Figure]]]:
        """The figures of every stage of the residual stream, under each mask."""
        stages = stages_of(self.layers)
        members = [self._membership(shard) for shard in self.shards]
        for n, mask in enumerate(self.masks):
            for number, stage in enumerate(stages):
                totals = Totals(self.groups)
                medians = stream_figures.Medians()
                for shard, member_of in zip(self.shards, members, strict=True):
                    file, group = self._file(shard, "stream"), n * len(stages) + number
                    here, before = file.read_row_group(group), file.read_row_group(group - 1) if number else None
                    member = member_of()
                    member.add(totals, *stream_figures.of_stage(here, before))
                    medians.add(member.tokens, here)
                keys = {"null": self.store.null, "mask": mask, "stage": number, **stage._asdict()}
                yield keys, stream_figures.figures(totals, medians, first=number == 0)

    def _membership(self, shard: int) -> Callable[[], _Members]:
        """A shard's membership, when it is asked for: made once where there are few shards, else each time."""
        if len(self.shards) <= _KEPT:
            made = self._made(shard)
            return lambda: made
        return lambda: self._made(shard)

    def _made(self, shard: int) -> _Members:
        texts = pq.read_table(self.store.shard(shard) / "texts.parquet", columns=["text", "group"])
        asked = {ends: f"asked{ends}" for ends in self.lenders}
        columns = ["text", "position", "id", "word_class", *asked.values()]
        tokens = pq.read_table(self.store.shard(shard) / "tokens.parquet", columns=columns)
        numbers, groups = texts["text"].to_numpy(), texts["group"].to_numpy()
        of_tokens = folded(groups[np.searchsorted(numbers, tokens["text"].to_numpy())].astype(np.int64), self.documents)
        classes = sums.classes_of(tokens, self.quarter)
        lent = {
            ends: _Lent.of(classes, of_tokens, sums.lists(tokens, asked[ends]), lenders)
            for ends, lenders in self.lenders.items()
        }
        return _Members(Membership.of(classes, of_tokens), lent)

    def _file(self, shard: int, name: str) -> pq.ParquetFile:
        return pq.ParquetFile(self.store.shard(shard) / f"{name}.parquet")


_KEPT = 16  # shards whose memberships are held


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

    def add(self, totals: Totals, tokens: Items, pairs: Mapping[str, Items]) -> None:
        """Add what the tokens have, and who lent it."""
        totals.add(self.tokens, tokens)
        for ends, items in pairs.items():
            of = self.lent[ends]
            lent = Items(
                {name: values[:, of.pairs] for name, values in items.values.items()},
                {name: counts[of.pairs] for name, counts in items.counts.items()},
            )
            totals.lend(of.lenders, lent)


def _left_out(keys: dict[str, Any], found: Sequence[Figure]) -> list[dict[str, Any]]:
    """What the main figures lose without each group, for all tokens."""
    rows = []
    for figure in found:
        assert figure.kept is not None, "figures are slimmed later"
        for names, kept in zip((_VALUES, _OVER), figure.kept, strict=True):
            if kept is None or figure.statistic not in names:
                continue
            last = len(kept.value) - 1
            lost = (kept.value[:, :1] - kept.without[:, 0]).astype(np.float32)  # small numbers: half the file
            rows += [
                keys
                | {
                    "head": None if head == last else head,
                    "statistic": names[figure.statistic],
                    "value": float(kept.value[head, 0]),
                    "lost": lost[head],
                }
                for head in range(last + 1)
            ]
    return rows
