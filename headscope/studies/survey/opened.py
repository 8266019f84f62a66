"""A survey's directory, opened for reading."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from headscope.corpus import genres, same
from headscope.errors import InputError, clause
from headscope.keep.paths import path_of
from headscope.keep.remote import refuse_remote
from headscope.question.given import in_order
from headscope.studies.survey.finished import NOTES, STATISTICS, refuse_unfinished
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.store import Store


class View(NamedTuple):
    """What is compared, how, and under which mask; figures of the pattern have a mask only."""

    space: str | None
    reference: str | None
    metric: str | None
    mask: str


class Tokens(NamedTuple):
    """Which tokens a figure is of: `by` names a classification, `kind` one of its classes."""

    by: str
    kind: str


ALL = Tokens("all", "all")


@dataclass(frozen=True)
class Stat:
    """One figure: its value and 95 % interval, chance, their difference and its interval, and the verdict.

    `small`: the difference is sure, and small. `smallest`: the smallest difference that the texts could have shown.
    """

    positions: int
    paired: int | None
    groups: int
    value: float
    low: float
    high: float
    chance: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p: float | None
    q: float | None
    smallest: float | None
    verdict: str | None
    small: bool | None


class Hub(NamedTuple):
    """The token that is the nearest most often, and how skewed the count of every candidate is."""

    label: str
    share: float
    skewness: float


_Key = tuple[str | None, View, str, int, int | None, Tokens]
R = TypeVar("R", View, Stat, Hub)


def _of_row(kind: type[R], row: Mapping[str, Any]) -> R:
    """What a row of a table says, of those of its columns that the fields are named after."""
    return kind(*(row[name] for name in kind.__annotations__))


@dataclass(frozen=True, repr=False)
class OpenedSurvey:
    """A finished survey: its manifest, and its figures as they are asked for. Made by `open_survey`.

    >>> from headscope.studies.tested.figures import open_figures
    >>> from headscope.studies.tested.there import there
    >>> survey = open_figures(there(scope))  # of the demo weights one comes with headscope, without its shards
    >>> survey.views
    (View(space='value', reference='layer', metric='cosine', mask='model'),)
    >>> figure = survey.stat(survey.views[0], "carry", layer=1, head=8)
    >>> figure.verdict, figure.difference_low > 0  # against even attention
    ('above', True)
    """

    path: Path
    manifest: dict[str, Any]

    def __repr__(self) -> str:
        options, name = self.manifest["options"], self.model["name"]
        asked = " · ".join(", ".join(options[kind]) for kind in ("spaces", "references", "metrics", "masks"))
        return f"OpenedSurvey of {name}, {self.layers} layers × {self.heads} heads, in {str(self.path)!r}\n{asked}"

    @cached_property
    def store(self) -> Store:
        """The shards of the model itself."""
        return Store(self.path)

    def tables(self, name: str) -> list[Path]:
        """A table of every shard, in order; InputError, naming the shard, where one is not what was written."""
        return [self.store.whole(n) / f"{name}.parquet" for n in range(len(self.manifest["shards"]))]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its figures must know."""
        texts = self.manifest["texts"]
        of_texts = (same.told(texts.get("same", 0), texts["groups"]), genres.told(texts.get("genres")))
        # Of before that was kept: none.
        of_shards = json.loads((pq.read_schema(self.path / STATISTICS).metadata or {}).get(NOTES.encode(), b"[]"))
        return (*map(str, of_shards), *filter(None, of_texts))

    @property
    def of_genres(self) -> bool:
        """Whether its figures stand beside topic-matched chance too."""
        return genres.matched(self.manifest["texts"].get("genres"))

    @property
    def model(self) -> dict[str, Any]:
        """The manifest's `model`."""
        return dict(self.manifest["model"])

    @property
    def layers(self) -> int:
        """How many layers the model has."""
        return int(self.manifest["model"]["layers"])

    @property
    def heads(self) -> int:
        """How many heads each layer has."""
        return int(self.manifest["model"]["heads"])

    @property
    def places(self) -> list[tuple[int, int]]:
        """Every head, by its layer and its number there."""
        return list(product(range(self.layers), range(self.heads)))

    @property
    def texts_sha256(self) -> str:
        """What identifies the surveyed texts."""
        return str(self.manifest["texts"]["sha256"])

    @cached_property
    def statistics(self) -> pa.Table:
        """All of statistics.parquet."""
        return pq.read_table(self.path / "statistics.parquet")

    @cached_property
    def _stats(self) -> dict[_Key, Stat]:
        rows = self.statistics.to_pylist()
        return {
            (
                row["null"],
                _of_row(View, row),
                row["statistic"],
                row["layer"],
                row["head"],
                Tokens(row["by"], row["class"]),
            ): _of_row(Stat, row)
            for row in rows
        }

    @cached_property
    def hubs(self) -> dict[tuple[str | None, View, int, int | None], Hub]:
        """All rows of hubs.parquet by null, view, layer and head; head None: the mean over the layer's heads."""
        return {
            (row["null"], _of_row(View, row), row["layer"], row["head"]): _of_row(Hub, row)
            for row in pq.read_table(self.path / "hubs.parquet").to_pylist()
        }

    @property
    def stages(self) -> int:
        """How many stages of the residual stream were measured: none without --stream."""
        return 2 * self.layers + 1 if self.manifest["options"]["stream"] else 0

    def stage_stat(self, mask: str, statistic: str, stage: int, tokens: Tokens = ALL) -> Stat | None:
        """One figure of the residual stream; None where it was not measured."""
        return self.stage_stats.get((mask, statistic, stage, tokens))

    @cached_property
    def stage_stats(self) -> dict[tuple[str, str, int, Tokens], Stat]:
        """All figures of the residual stream by mask, statistic, stage and class of tokens; nulls are left out."""
        if not self.stages:
            return {}
        return {
            (row["mask"], row["statistic"], row["stage"], Tokens(row["by"], row["class"])): _of_row(Stat, row)
            for row in pq.read_table(self.path / "stream.parquet").to_pylist()
            if row["null"] is None
        }

    @cached_property
    def contrasts(self) -> list[dict[str, Any]]:
        """All rows of contrasts.parquet."""
        return list(pq.read_table(self.path / "contrasts.parquet").to_pylist())

    @cached_property
    def views(self) -> tuple[View, ...]:
        """Every combination that was measured, in the order of the options."""
        options = self.manifest["options"]
        orders = [list(options[name]) for name in ("spaces", "references", "metrics", "masks")]

        def place(view: View) -> list[int]:
            # In the order of: space, metric, mask, reference, so that references stand side by side.
            at = [order.index(part) if part in order else -1 for order, part in zip(orders, view, strict=True)]
            return [at[0], at[2], at[3], at[1]]

        return tuple(sorted({key[1] for key in self._stats if key[1].space is not None}, key=place))

    @cached_property
    def masks(self) -> tuple[str, ...]:
        """The masks that the model was read under."""
        return tuple(self.manifest["options"]["masks"])

    @cached_property
    def nulls(self) -> tuple[str, ...]:
        """Labels of the nulls that were measured beside other texts."""
        return tuple(sorted({key[0] for key in self._stats if key[0] is not None}))

    @cached_property
    def tokens(self) -> tuple[Tokens, ...]:
        """The classes of tokens that have figures of their own, `ALL` left out."""
        return tuple(dict.fromkeys(key[5] for key in self._stats if key[5] != ALL))

    def stat(
        self,
        view: View,
        statistic: str,
        layer: int,
        head: int | None = None,
        tokens: Tokens = ALL,
        null: str | None = None,
    ) -> Stat | None:
        """One figure; `head` None: the mean over the layer's heads. None where it was not measured."""
        return self._stats.get((null, view, statistic, layer, head, tokens))

    def hub(self, view: View, layer: int, head: int | None = None) -> Hub | None:
        """The most frequent nearest token; None where it was not measured."""
        return self.hubs.get((None, view, layer, head))


def notes_of(directory: str | Path) -> tuple[str, ...]:
    """What a reader of a finished survey must know, without its figures being read."""
    path = Path(directory)
    return OpenedSurvey(path, survey_manifest(path)).notes


def open_survey(path: str | Path) -> OpenedSurvey:
    """The finished survey in a directory.

    Raises InputError where there is none, where it is unfinished, where its tables or definitions are not those that
    this version reads, and where they are damaged; of the shards the bytes are looked at when they are read.
    """
    refuse_remote([path], "this reads")
    directory = path_of(path, "a survey's directory")
    survey = OpenedSurvey(directory, survey_manifest(directory))
    refuse_unfinished(directory, survey.manifest)
    for shard in range(len(survey.manifest["shards"])):
        survey.store.outlined(shard)
    try:
        _ = survey.views, survey.hubs, survey.contrasts, survey.stage_stats
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"the tables of the survey in {str(path)!r} cannot be read: {clause(error)}.") from None
    return survey


def open_surveys(paths: Iterable[str | Path]) -> dict[str, OpenedSurvey]:
    """Several surveys by a short name that tells them apart: their directory's, with as much before it as is needed.

    Raises InputError as `open_survey` does, and where one directory is named twice.
    """
    given = [path_of(path, "a survey's directory") for path in in_order(paths, "directories")]
    whole = [Path(os.path.realpath(path)) for path in given]  # also where links lead in a circle
    for path, first in zip(given, whole, strict=True):
        if whole.count(first) > 1:
            raise InputError(f"the directory {str(path)!r} is named twice.")
    surveys = [open_survey(path) for path in given]
    depth = 1
    while len({path.parts[-depth:] for path in whole}) < len(whole):
        depth += 1
    return {"/".join(path.parts[-depth:]): survey for path, survey in zip(whole, surveys, strict=True)}
