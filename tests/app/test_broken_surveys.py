"""A survey that cannot be shown is refused before it takes the place of the one that is open; the page stays up."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.studies.survey.corpora import surveyed, written

TEXTS = [f"{who} {does} the {what}." for who in ("a", "the") for does in ("time", "b") for what in ("c", "fly", "d e")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scope, Path]:
    """A tiny model, and a finished survey of it."""
    import zoo

    scope = Scope.from_model(*zoo.build("bert"))
    folder = tmp_path_factory.mktemp("surveys")
    return scope, surveyed(scope, written(folder / "t.txt", TEXTS), folder / "whole")


@pytest.fixture(scope="module")
def client(whole: tuple[Scope, Path]) -> Iterator[TestClient]:
    """A client of a server with that survey, which every test leaves as it is."""
    scope, directory = whole
    app = create_app(scope, open_model=lambda name, progress: scope, survey=directory)
    with TestClient(app, base_url="http://127.0.0.1") as one:
        yield one


def _texts(**counts: Any) -> Callable[[Path], None]:
    return lambda directory: _manifest(directory, lambda told: told["texts"].update(counts))


def _manifest(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "manifest.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def _column(name: str, change: Callable[[pa.Table], pa.Array]) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        path = directory / "statistics.parquet"
        table = pq.read_table(path)
        pq.write_table(table.set_column(table.column_names.index(name), name, change(table)), path)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a count that is not a number": _texts(texts=math.nan),
    "a count without end": _texts(positions=math.inf),
    "a count in words": _texts(texts="many"),
    "documents in a list": _texts(documents=[1]),
    "no texts": lambda directory: _manifest(directory, lambda told: told.update(texts=None)),
    "no counts": lambda directory: _manifest(directory, lambda told: told.update(texts={"sha256": "0"})),
    "spaces that are numbers": lambda directory: _manifest(directory, lambda told: told["options"].update(spaces=[1])),
    "no candidates": lambda directory: _manifest(directory, lambda told: told["options"].pop("candidates")),
    "options in a list": lambda directory: _manifest(directory, lambda told: told.update(options=[])),
    "layers in words": lambda directory: _manifest(directory, lambda told: told["model"].update(layers="two")),
    "no hash of the weights": lambda directory: _manifest(directory, lambda told: told["model"].pop("weights_sha256")),
    "a hash that is none": lambda directory: _manifest(directory, lambda told: told["model"].update(weights_sha256=7)),
    "a model that is a text": lambda directory: _manifest(directory, lambda told: told.update(model="bert")),
    "shards that are a number": lambda directory: _manifest(directory, lambda told: told.update(shards=3)),
    "figures that are not numbers": _column("value", lambda table: pa.array([math.nan] * len(table))),
    "figures in words": _column("value", lambda table: pc.cast(table["value"], pa.string())),
    "a verdict that there is not": _column("verdict", lambda table: pa.array(["splendid"] * len(table))),
    "a space that was not measured": _column("space", lambda table: pa.array([3] * len(table))),
}


@pytest.mark.slow(cases=6)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_it_is_refused_and_the_page_stays(
    client: TestClient, whole: tuple[Scope, Path], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(whole[1], broken)
    damage(broken)
    before = client.get("/api/v1/survey").json()
    assert before["survey"]["name"] == "whole"
    refused = client.post("/api/v1/survey", json={"directory": str(broken)})
    assert refused.status_code == 422, refused.text
    assert str(broken) in refused.json()["error"]
    assert client.get("/api/v1/survey").json() == before
    assert client.get("/").status_code == 200
    assert client.post("/api/v1/usual", json={"layer": 1}).json()["survey"]["name"] == "whole"


@pytest.mark.parametrize(
    "directory",
    [r"\\host\share", "//host/share", r"\\.\C:", r"\\?\C:\x", "/dev/fd", "/proc/self", "NUL", "dir/con.txt", "aux:",
     "../../../../../../../../dev/shm", "a\0b"],
)  # fmt: skip
def test_a_share_or_a_device_is_not_looked_at(
    client: TestClient, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(path: Path) -> bool:
        raise AssertionError(f"{path} was looked up")

    monkeypatch.setattr(Path, "is_dir", looked)
    for route, field in (("survey", "directory"), ("models", "model"), ("read", "model")):
        refused = client.post(f"/api/v1/{route}", json={field: directory})
        assert refused.status_code == 403, refused.text
        assert repr(directory) in refused.json()["error"]


@pytest.mark.parametrize("name", ["control", "nullify/model", "./devices", "~/dev", "console", "com10"])
def test_what_only_looks_alike_is_looked_up(client: TestClient, name: str) -> None:
    assert client.post("/api/v1/read", json={"model": name}).status_code == 200
