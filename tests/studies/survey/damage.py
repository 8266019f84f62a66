"""Damaging a finished survey, and everything that is read of one."""

from __future__ import annotations

import copy as copies
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from headscope.keep.checksums import sha256_of
from headscope.keep.record import identity, sealed
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.survey import contrasts
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.report.examples import examples

Place = tuple[str | int, ...]
GONE = object()
# What may stand where a manifest has something else.
STRANGE: list[Any] = [
    *(None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**9, 10**30, "", "x", "\ud83d"),
    *([], [[]], {}, {"a": {}}),
]


def flip(path: Path, bit: int) -> None:
    """Change one bit of a file."""
    whole = bytearray(path.read_bytes())
    whole[bit // 8 % len(whole)] ^= 1 << bit % 8
    path.write_bytes(whole)


def read_all(directory: Path) -> object:
    """Everything that the report, claims and contrasts make figures of."""
    survey = open_survey(directory)
    asked = Surveyed(directory, "model")
    view = survey.views[0]
    rows = asked.rows(1, "layer")
    return (
        survey.statistics.to_pydict(),
        survey.hubs,
        survey.stage_stats,
        survey.contrasts,
        examples(survey, view, [(0, 1), (1, 0)]),
        {name: values.tolist() for name, values in asked.tokens.items()},
        repr(_plain(rows)),
        repr(asked.streams),
        repr(sorted(map(repr, contrasts.read_left_out(directory).items()))),
    )


def _plain(value: Any) -> Any:
    """Every number of what holds arrays, whatever it holds them in."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    held = vars(value) if dataclasses.is_dataclass(value) else value
    return {name: _plain(one) for name, one in held.items()}


def files(directory: Path) -> list[Path]:
    """All files of a directory, as it has them."""
    return sorted(path.relative_to(directory) for path in directory.rglob("*") if path.is_file())


def fields(value: Any, path: Place = ()) -> Iterator[Place]:
    """The places of all values of a manifest."""
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from fields(inner, (*path, key))


def changed(whole: dict[str, Any], path: Place, value: Any) -> dict[str, Any]:
    """The same manifest with another value at a place, or without it (GONE)."""
    made: Any = copies.deepcopy(whole)
    at = made
    for key in path[:-1]:
        at = at[key]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return made


def unseal(directory: Path) -> Path:
    """The same survey without its checksums."""
    for path in directory.rglob("checksums.json"):
        path.unlink()
    manifest = json.loads((directory / "manifest.json").read_text())
    del manifest["checksum"]
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1))
    return directory


def of_before(directory: Path) -> Path:
    """The same survey as it was when shards kept no sums."""
    for path in directory.rglob("sums.parquet"):
        path.unlink()
        seal = path.parent / "checksums.json"
        told = json.loads(seal.read_text())
        del told["files"][path.name]
        seal.write_text(json.dumps(told))
    return directory


def make_to_fit(directory: Path) -> None:
    """Make checksums say what is there now, as whoever means harm would."""
    path = directory / "manifest.json"
    try:
        manifest = sealed({name: told for name, told in json.loads(path.read_text()).items() if name != "checksum"})
        path.write_text(json.dumps(manifest))
        for sums in filter(Path.is_file, directory.rglob("checksums.json")):  # and no device without end
            told = json.loads(sums.read_text())
            told["survey"] = identity(manifest)
            for name in told["files"]:
                file = sums.parent / name
                if not file.is_file():
                    return
                told["files"][name] = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
            sums.write_text(json.dumps(told))
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return  # what is wrong leaves nothing to fit
