"""Differences between two figures of the same texts, paired: references, masks, surveys, even attention, twins."""

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
from headscope.inference.estimates import number
from headscope.inference.left_out import Jackknifed
from headscope.inference.twins import FEWEST_TWINS, AgainstTwins, against_twins
from headscope.inference.verdicts import corrected
from headscope.keep.paths import path_of
from headscope.keep.remote import refuse_remote
from headscope.question.choices import Null
from headscope.studies.survey.finished import LEFT_OUT, refuse_unfinished
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.nulls import variants
from headscope.studies.survey.shape import told
from headscope.studies.survey.tables import MATCHED, SIGNALS

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
EVEN = "even"
TWINS: Null = "random"
VALUES: Null = "values"
# What is told of a figure over even attention, by what the figure is called.
_OVER_EVEN = {"own_over_even": "own", "carry_over_even": "carry"}
_OF_TWINS = (
    *("own", "carry", "topic", "own_at_1", "in_text", "kappa", *SIGNALS),
    *(f"{name}{MATCHED}" for name in ("topic", "kappa", *SIGNALS)),
)
_NUMBERS = ("difference", "low", "high", "p", "q", "p_above", "q_above", "smallest")
SCHEMA = pa.schema(
    KEYS | {"between": pa.string(), "first": pa.string(), "second": pa.string()} | dict.fromkeys(_NUMBERS, pa.float64())
)
Key = tuple[Any, ...]  # the values of KEYS


@dataclass(frozen=True)
class KeptFigure:
    """A figure as left_out.parquet keeps it, with what it loses without each group of texts [group]."""

    value: float
    lost: NDArray[np.float32]

    @property
    def whole(self) -> Jackknifed[float]:
        """The figure with its interval."""
        return Jackknifed(self.value, self.value - self.lost.astype(np.float64), len(self.lost))


@dataclass(frozen=True)
class _Subtraction:
    """Two figures to subtract: `keys` are those that both have in common, the one that differs being None."""

    keys: Key
    first: str
    second: str
    figures: tuple[KeptFigure, KeptFigure]


@dataclass(frozen=True)
class _Difference:
    """What was subtracted."""

    keys: Key
    first: str
    second: str
    found: Jackknifed[float] | AgainstTwins


def within(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """contrasts.parquet, from the rows of left_out.parquet.

    The model less what it would be with even attention, and less its untrained twins where five were measured, as they
    are and with the model's attention; then every two references and every two masks, the later less the earlier. The
    key that a row is `between` is null; q is corrected over the rows that differ in layer or head alone, those of heads
    and those of layers' means apart.
    """
    kept = {
        tuple(row[name] for name in KEYS): KeptFigure(row["value"], np.asarray(row["lost"], dtype=np.float32))
        for row in rows
    }
    parts = [
        _rows(EVEN, _over_even(kept)),
        _rows(TWINS, _over_twins(kept, TWINS, "untrained twins")),
        _rows(VALUES, _over_twins(kept, VALUES, "untrained twins that attend as it does")),
        *(_rows(name, _subtracted(_alike(kept, name))) for name in _BETWEEN),
    ]
    return pa.Table.from_pylist([row for part in parts for row in part], schema=SCHEMA)


def _over_even(kept: Mapping[Key, KeptFigure]) -> Iterator[_Difference]:
    for key, figure in kept.items():
        named = dict(zip(KEYS, key, strict=True))
        if named["statistic"] in _OVER_EVEN:
            keys = named | {"statistic": _OVER_EVEN[named["statistic"]]}
            yield _Difference(tuple(keys.values()), "the model", "even attention", figure.whole)


def _over_twins(kept: Mapping[Key, KeptFigure], null: Null, called: str) -> Iterator[_Difference]:
    """Every figure less those of one null's twins.

    A head is held against the heads of its layer, which are exchangeable there; or against the same head, where each
    was given what that one attends to.
    """
    held: dict[Key, dict[str, list[Jackknifed[float]]]] = {}  # by seed
    for key, figure in kept.items():
        named = dict(zip(KEYS, key, strict=True))
        if named["null"] in variants(null) and named["statistic"] in _OF_TWINS:
            held.setdefault(_held_against(named, null), {}).setdefault(named["null"], []).append(figure.whole)
    for key, figure in kept.items():
        named = dict(zip(KEYS, key, strict=True))
        twins = held.get(_held_against(named, null), {})
        if named["null"] is None and len(twins) >= FEWEST_TWINS:
            yield _Difference(key, "the model", called, against_twins(figure.whole, list(twins.values())))


def _held_against(named: Mapping[str, Any], null: Null) -> Key:
    head = named["head"] if null == VALUES else named["head"] is None
    return tuple((dict(named) | {"null": None, "head": head}).values())


def between(first: str | Path, second: str | Path) -> pa.Table:
    """The figures of one survey less those of another of the same texts, wherever both have one; `between` is "survey".

    Masks may differ where each survey has one alone; heads are left out where their numbers differ. Raises InputError
    where the surveys cannot be subtracted, see `unpaired`.
    """
    refuse_remote([first, second], "this reads")
    first, second = (path_of(one, "a survey's directory") for one in (first, second))
    manifests = [_manifest(path) for path in (first, second)]
    reason = unpaired(*manifests)
    if reason is not None:
        raise InputError(f"{first} and {second} are not paired: {reason}.")
    one, other = (read_left_out(path) for path in (first, second))
    if all(len(manifest["options"]["masks"]) == 1 for manifest in manifests):
        one, other = (_without(kept, "mask") for kept in (one, other))
    heads = manifests[0]["model"]["heads"] == manifests[1]["model"]["heads"]
    at = list(KEYS).index("head")
    pairs = [
        _Subtraction(key, str(first), str(second), (figure, other[key]))
        for key, figure in one.items()
        if key in other and (heads or key[at] is None)
    ]
    rows = _rows("survey", _subtracted(pairs))
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def unpaired(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """Why the figures of two surveys, by their manifests, cannot be subtracted; None where they can.

    Texts, groups of texts and seed must be the same, or what the one is without is not what the other is without.
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


def read_left_out(directory: Path) -> dict[Key, KeptFigure]:
    """left_out.parquet by key; InputError where it cannot be made sense of."""
    with told(directory):
        table = pq.read_table(directory / LEFT_OUT)
        lists = table["lost"].combine_chunks()
        values, ends = lists.values.to_numpy(zero_copy_only=False), lists.offsets.to_numpy()
        rows = table.drop_columns(["lost"]).to_pylist()
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


def _subtracted(pairs: Iterable[_Subtraction]) -> Iterator[_Difference]:
    for pair in pairs:
        one, other = (figure.whole for figure in pair.figures)
        yield _Difference(pair.keys, pair.first, pair.second, one - other)


def _rows(between: str, differences: Iterable[_Difference]) -> Iterator[dict[str, Any]]:
    """Rows of contrasts.parquet."""
    families: dict[Key, list[_Difference]] = {}
    of_head = list(KEYS).index("head")
    for one in differences:
        same = _but(_but(one.keys, "layer"), "head")
        families.setdefault((one.keys[of_head] is None, one.first, one.second, *same), []).append(one)
    for members in families.values():
        p, above = (np.array([getattr(one.found, name) for one in members]) for name in ("p", "p_above"))
        for one, *numbers in zip(members, p, corrected(p), above, corrected(above), strict=True):
            told = (one.found.value, one.found.low, one.found.high, *numbers, one.found.smallest)
            yield (
                dict(zip(KEYS, one.keys, strict=True))
                | {"between": between, "first": one.first, "second": one.second}
                | {name: number(value) for name, value in zip(_NUMBERS, told, strict=True)}
            )
