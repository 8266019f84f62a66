"""The statistics of a survey, from its shards alone: what every figure is, beside its chance, with its interval."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headscope.keep.rows import write_table
from headscope.question.notes import nothing_near
from headscope.studies.survey import columns, contrasts, figures, finished, stream_figures
from headscope.studies.survey.figures import Figure
from headscope.studies.survey.gathered import put_together, sources
from headscope.studies.survey.hubs import HUBS, hubs
from headscope.studies.survey.made import Made, mixture_notes, refuse_mixtures
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.shape import told
from headscope.studies.survey.store import Store, read_vocabulary
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
_LEFT_OUT = pa.schema(contrasts.KEYS | {"value": pa.float64(), "lost": pa.list_(pa.float32())})


@dataclass
class _Tables:
    """What the tables are made of, as it comes."""

    figures: list[tuple[dict[str, Any], Figure]] = field(default_factory=list)
    streams: list[tuple[dict[str, Any], Figure]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    hubs: list[dict[str, Any]] = field(default_factory=list)
    alike: set[str] = field(default_factory=set)  # what is said of heads that tell no token from another


def compute(directory: Path, nulls: Sequence[str] = (), kind: type[Store] = Store) -> None:
    """Write statistics, contrasts, figures with groups left out and hubs of a finished survey and its finished `nulls`.

    They come from the sums that every shard keeps, or from its tables where it has none. Shards are read one after
    another, so memory does not grow with their number. Raises InputError, naming it, where a shard is not there or is
    damaged.
    """
    manifest = survey_manifest(directory)
    with told(directory):
        _compute(directory, manifest, [kind(directory, null) for null in (None, *nulls)])


def _compute(directory: Path, manifest: dict[str, Any], stores: Sequence[Store]) -> None:
    labels = read_vocabulary(directory)["label"].to_pylist()
    tables = _Tables()
    notes = _notes(directory, stores)
    for store in stores:
        _figures(store, manifest, tables, labels)
    finished.begin(directory)
    notes += sorted(tables.alike)
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


def _figures(store: Store, manifest: dict[str, Any], tables: _Tables, labels: Sequence[str]) -> None:
    """The figures of every piece of one survey or null, what they are without each group, and hubs: into `tables`."""
    shards = range(len(manifest["shards"]))
    for shard in shards:  # all before the first is summed: what is not there is told of now, not in an hour
        store.outlined(shard)
    for piece, tally in put_together(store, sources(store, shards)):
        keys = dict(piece.keys)
        if piece.table == "stream":
            found = stream_figures.figures(tally, first=keys["stage"] == 0)
            tables.streams += [(keys, figure.slim()) for figure in found]
            continue
        if piece.table == "patterns":
            found = figures.of_patterns(tally.totals)
        else:
            found = figures.of_rows(tally.totals)
            if store.null is None:
                tables.alike |= set(_alike(keys, figures.alive(tally.totals), manifest["model"]["heads"]))
            tables.left_out += _left_out(keys, found)
            tables.hubs += [keys | row for row in hubs(tally.nearest, tally.candidates, labels)]
        tables.figures += [(keys, figure.slim()) for figure in found]


def _alike(keys: Mapping[str, Any], alive: NDArray[np.bool_], heads: int) -> tuple[str, ...]:
    """What is said of the heads of one layer and view that tell no token from another."""
    dead = np.flatnonzero(~np.broadcast_to(alive, heads)).tolist()
    return nothing_near(keys["layer"], dead, "" if keys["reference"] in ("layer", None) else keys["reference"])


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
