"""Differences between two figures of the same texts, replicate by replicate: references, masks, models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headscope.errors import InputError
from headscope.survey.bootstrap import interval, p_value
from headscope.survey.store import read_manifest
from headscope.survey.verdicts import corrected

CONTRASTS, REPLICATES = "contrasts.parquet", "replicates.parquet"
KEYS = {
    "null": pa.string(),
    "space": pa.string(),
    "reference": pa.string(),
    "metric": pa.string(),
    "mask": pa.string(),
    "layer": pa.int16(),
    "head": pa.int16(),
    "statistic": pa.string(),
}
_BETWEEN = ("reference", "mask")
SCHEMA = pa.schema(
    KEYS
    | {"between": pa.string(), "first": pa.string(), "second": pa.string()}
    | dict.fromkeys(("difference", "low", "high", "p", "q"), pa.float64())
)
Key = tuple[Any, ...]  # the values of KEYS
Kept = dict[Key, tuple[float, np.ndarray[Any, np.dtype[np.float64]]]]  # value and replicates


def within(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """contrasts.parquet, from the rows of replicates.parquet: every two references and every two masks of a survey.

    The key that a row is `between` is null; q is corrected over the rows that differ in layer and head alone.
    """
    kept = _kept(rows)
    found = [row for between in _BETWEEN for row in _pairs(kept, between)]
    return pa.Table.from_pylist(_with_q(found), schema=SCHEMA)


def between(first: Path, second: Path) -> pa.Table:
    """The figures of one survey less those of another of the same texts, wherever both have one; `between` is "survey".

    Masks may differ where each survey has one alone. Raises InputError where the texts, their groups or the seeds
    differ: then no replicate of the one belongs to one of the other.
    """
    manifests = [_manifest(path) for path in (first, second)]
    for name, of in (("texts", "sha256"), ("texts", "groups"), ("options", "seed")):
        if manifests[0][name][of] != manifests[1][name][of]:
            raise InputError(f"{first} and {second} are not paired: their {name} differ ({of}).")
    one, other = (_kept(pq.read_table(path / REPLICATES).to_pylist()) for path in (first, second))
    if all(len(manifest["options"]["masks"]) == 1 for manifest in manifests):
        one, other = (_without(kept, "mask") for kept in (one, other))
    rows = [
        dict(zip(KEYS, key, strict=True))
        | {"between": "survey", "first": str(first), "second": str(second)}
        | _difference(one[key], other[key])
        for key in one
        if key in other
    ]
    return pa.Table.from_pylist(_with_q(rows), schema=SCHEMA)


def _manifest(directory: Path) -> dict[str, Any]:
    manifest = read_manifest(directory)
    if manifest is None or not (directory / REPLICATES).is_file():
        raise InputError(f"{directory} is no finished survey.")
    return manifest


def _kept(rows: Sequence[dict[str, Any]]) -> Kept:
    return {
        tuple(row[name] for name in KEYS): (row["value"], np.asarray(row["replicates"], dtype=np.float64))
        for row in rows
    }


def _without(kept: Kept, name: str) -> Kept:
    at = list(KEYS).index(name)
    return {(*key[:at], None, *key[at + 1 :]): value for key, value in kept.items()}


def _pairs(kept: Kept, between: str) -> Iterator[dict[str, Any]]:
    """Every later value of one key less every earlier one, the other keys alike."""
    at = list(KEYS).index(between)
    families: dict[Key, list[Key]] = {}
    for key in kept:
        families.setdefault((*key[:at], None, *key[at + 1 :]), []).append(key)
    for alike, keys in families.items():
        for second, first in combinations(keys, 2):
            yield (
                dict(zip(KEYS, alike, strict=True))
                | {"between": between, "first": first[at], "second": second[at]}
                | _difference(kept[first], kept[second])
            )


def _difference(first: tuple[float, Any], second: tuple[float, Any]) -> dict[str, Any]:
    replicates = first[1] - second[1]
    low, high = interval(replicates)
    return {
        "difference": first[0] - second[0],
        "low": float(low),
        "high": float(high),
        "p": float(p_value(replicates)),
    }


def _with_q(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    families: dict[Key, list[int]] = {}
    for at, row in enumerate(rows):
        same = [row[name] for name in KEYS if name not in ("layer", "head")]
        families.setdefault((row["head"] is None, row["first"], row["second"], *same), []).append(at)
    for members in families.values():
        q = corrected(np.array([rows[at]["p"] for at in members]))
        for at, value in zip(members, q.tolist(), strict=True):
            rows[at]["q"] = value
    return rows
