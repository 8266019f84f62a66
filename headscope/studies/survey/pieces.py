"""What a survey's statistics are made of, piece by piece: one layer of one view, pattern or stage of the stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headscope.reading.stream import stages_of
from headscope.studies.survey.manifest import options_of
from headscope.studies.survey.nulls import has_streams

Table = Literal["patterns", "rows", "stream"]


@dataclass(frozen=True)
class Piece:
    """A row group of a table of every shard, and what its figures are of: the keys of their rows."""

    table: Table
    group: int
    keys: Mapping[str, Any]


def pieces_of(manifest: Mapping[str, Any], null: str | None) -> list[Piece]:
    """The pieces of a survey, or of one of its nulls: in the order in which `measure` writes them, table by table."""
    return [*_patterns(manifest, null), *_rows(manifest, null), *_stream(manifest, null)]


def _patterns(manifest: Mapping[str, Any], null: str | None) -> Iterator[Piece]:
    layers = manifest["model"]["layers"]
    for n, mask in enumerate(manifest["options"]["masks"]):
        for layer in range(layers):
            keys = {"null": null, "space": None, "reference": None, "metric": None, "mask": mask, "layer": layer}
            yield Piece("patterns", n * layers + layer, keys)


def _rows(manifest: Mapping[str, Any], null: str | None) -> Iterator[Piece]:
    options, group = options_of(manifest), 0
    for mask in options.masks:
        for space, reference in options.views():
            for metric in options.metrics:
                for layer in range(manifest["model"]["layers"]):
                    of = {"space": space, "reference": reference, "metric": metric, "mask": mask, "layer": layer}
                    yield Piece("rows", group, {"null": null} | of)
                    group += 1


def _stream(manifest: Mapping[str, Any], null: str | None) -> Iterator[Piece]:
    if manifest["options"]["stream"] and has_streams(null):
        stages = stages_of(manifest["model"]["layers"])
        for n, mask in enumerate(manifest["options"]["masks"]):
            for number, stage in enumerate(stages):
                keys = {"null": null, "mask": mask, "stage": number, **stage._asdict()}
                yield Piece("stream", n * len(stages) + number, keys)
