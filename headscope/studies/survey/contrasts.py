"""Differences between two figures of the same texts, replicate by replicate: references, masks, surveys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headscope.errors import InputError
from headscope.inference.bootstrap import spread
from headscope.inference.estimates import Resampled, number
from headscope.inference.verdicts import corrected
from headscope.studies.survey.finished import REPLICATES, refuse_unfinished
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.unsealed import told

# What the figures of a head, or of the mean of a layer's heads, are of.
SUBJECT = {
    "null": pa.string(),
    "space": pa.string(),
    "reference": pa.string(),
    "metric": pa.string(),
    "mask": pa.string(),
    "layer": pa.int16(),
    "head": pa.int16(),
}
KEYS = SUBJECT | {"statistic": pa.string()}
_BETWEEN = ("reference", "mask")
SCHEMA = pa.schema(
    KEYS
    | {"between": pa.string(), "first": pa.string(), "second": pa.string()}
    | dict.fromkeys(("difference", "low", "high", "p", "q"), pa.float64())
)
Key = tuple[Any, ...]  # the values of KEYS


@dataclass(frozen=True)
class KeptFigure:
    """A figure as replicates.parquet keeps it."""

    value: float
    replicates: NDArray[np.float32]


@dataclass(frozen=True)
class _Subtraction:
    """Two figures to subtract: `keys` are those that both have in common, the one that differs being None."""

    keys: Key
    first: str
    second: str
    figures: tuple[KeptFigure, KeptFigure]


def within(rows: Sequence[dict[str, Any]], groups: int) -> pa.Table:
    """contrasts.parquet, from the rows of replicates.parquet: every two references and every two masks of a survey.

    The later less the earlier. The key that a row is `between` is null; q is corrected over the rows that differ in
    layer or head alone, those of heads and those of layers' means apart. With fewer than two `groups` of texts there
    is no interval.
    """
    kept = {
        tuple(row[name] for name in KEYS): KeptFigure(row["value"], np.asarray(row["replicates"], dtype=np.float32))
        for row in rows
    }
    parts = [_subtracted(name, _alike(kept, name), groups) for name in _BETWEEN]
    return pa.Table.from_pylist([row for part in parts for row in part], schema=SCHEMA)


def between(first: Path, second: Path) -> pa.Table:
    """The figures of one survey less those of another of the same texts, wherever both have one; `between` is "survey".

    Masks may differ where each survey has one alone; heads are left out where their numbers differ. Raises InputError
    where the surveys cannot be subtracted, see `unpaired`.
    """
    manifests = [_manifest(path) for path in (first, second)]
    reason = unpaired(*manifests)
    if reason is not None:
        raise InputError(f"{first} and {second} are not paired: {reason}.")
    one, other = (read_replicates(path) for path in (first, second))
    if all(len(manifest["options"]["masks"]) == 1 for manifest in manifests):
        one, other = (_without(kept, "mask") for kept in (one, other))
    heads = manifests[0]["model"]["heads"] == manifests[1]["model"]["heads"]
    at = list(KEYS).index("head")
    pairs = [
        _Subtraction(key, str(first), str(second), (figure, other[key]))
        for key, figure in one.items()
        if key in other and (heads or key[at] is None)
    ]
    rows = _subtracted("survey", pairs, manifests[0]["texts"]["groups"])
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def unpaired(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """Why the figures of two surveys, by their manifests, cannot be subtracted; None where they can.

    Texts, groups of texts and seed must be the same, or no replicate of the one belongs to one of the other.
    """
    for named, section, of in (
        ("their texts differ", "texts", "sha256"),
        ("their numbers of documents differ", "texts", "groups"),
        ("their seeds differ", "options", "seed"),
        ("their numbers of layers differ", "model", "layers"),
    ):
        one, other = first[section][of], second[section][of]
        if one != other:
            return f"{named} ({one}, {other})"
    return None


def read_replicates(directory: Path) -> dict[Key, KeptFigure]:
    """replicates.parquet by key; InputError where it cannot be made sense of."""
    with told(directory, survey_manifest(directory)):
        table = pq.read_table(directory / REPLICATES)
        lists = table["replicates"].combine_chunks()
        values, ends = lists.values.to_numpy(zero_copy_only=False), lists.offsets.to_numpy()
        rows = table.drop_columns(["replicates"]).to_pylist()
        return {
            tuple(row[name] for name in KEYS): KeptFigure(row["value"], values[start:stop])
            for row, start, stop in zip(rows, ends[:-1], ends[1:], strict=True)
        }


def _manifest(directory: Path) -> dict[str, Any]:
    manifest = survey_manifest(directory)
    refuse_unfinished(directory, manifest)
    return manifest


def _but(key: Key, name: str) -> Key:
    at = list(KEYS).index(name)
    return (*key[:at], None, *key[at + 1 :])


def _without(kept: Mapping[Key, KeptFigure], name: str) -> dict[Key, KeptFigure]:
    return {_but(key, name): figure for key, figure in kept.items()}


def _alike(kept: Mapping[Key, KeptFigure], name: str) -> Iterator[_Subtraction]:
    """Every later value of one key with every earlier one, the other keys alike."""
    at = list(KEYS).index(name)
    families: dict[Key, list[Key]] = {}
    for key in kept:
        families.setdefault(_but(key, name), []).append(key)
    for keys, members in families.items():
        for second, first in combinations(members, 2):
            yield _Subtraction(keys, first[at], second[at], (kept[first], kept[second]))


def _subtracted(between: str, pairs: Iterable[_Subtraction], groups: int) -> Iterator[dict[str, Any]]:
    """Rows of contrasts.parquet."""
    families: dict[Key, list[_Subtraction]] = {}
    of_head = list(KEYS).index("head")
    for pair in pairs:
        same = _but(_but(pair.keys, "layer"), "head")
        families.setdefault((pair.keys[of_head] is None, pair.first, pair.second, *same), []).append(pair)
    for members in families.values():
        values = np.array([pair.figures[0].value - pair.figures[1].value for pair in members])
        drawn = np.stack([np.subtract(*(f.replicates.astype(float) for f in p.figures)) for p in members])
        apart = Resampled(values, spread(drawn, groups))
        p = apart.p
        for pair, difference, *numbers in zip(members, values, apart.low, apart.high, p, corrected(p), strict=True):
            yield (
                dict(zip(KEYS, pair.keys, strict=True))
                | {"between": between, "first": pair.first, "second": pair.second}
                | {"difference": float(difference)}
                | {name: number(value) for name, value in zip(("low", "high", "p", "q"), numbers, strict=True)}
            )
