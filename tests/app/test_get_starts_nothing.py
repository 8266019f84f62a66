"""A GET answers from what is there: it opens no model, reads no text, writes no file and sets nothing to work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.page.page import FILES

API = "/api/v1"
ADDRESSES = [
    "isolated?model=gpt2",
    "isolated?model=gpt2&what=streams",
    "isolated?what=values",
    "isolated?what=streams",
    "take?text=New&model=gpt2",
    "take/view.html?text=New",
    "take/neighbors.csv?text=New&model=gpt2",
    "take/neighbors.csv?reference=isolated&layer=1",
    "take/journey.csv?view=journey&isolated=true",
    "take/effects.csv?view=layers&text=New",
    "take/map.csv?view=map&size=60&perplexity=5",
    "take/map.csv?view=map&size=60&method=pca&into=New",
    "take/changes.csv?compare=text&other_text=Time+flies+again.",
    "take/changes.csv?compare=model&other_model=gpt2",
    "models",
    "models/opening",
    "survey",
    "map/0123",
    "map/0123/points",
    "health",
]


class Watched:
    """A server of a tiny model; what it read, what it opened, and what it has written since the first question."""

    def __init__(self, client: TestClient, cache: Path, read: list[str], opened: list[str]) -> None:
        self.client, self.cache, self.read, self.opened = client, cache, read, opened
        self._before = self._files()

    @property
    def written(self) -> set[tuple[Path, int]]:
        """New files, and those that were written again."""
        return self._files() - self._before

    def _files(self) -> set[tuple[Path, int]]:
        return {(path, path.stat().st_mtime_ns) for path in self.cache.rglob("*") if path.is_file()}


@contextmanager
def _watched(scope_of: Any, cache: Path) -> Iterator[Watched]:
    tiny = scope_of("roberta")
    own = Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)
    texts: list[str] = []
    opened: list[str] = []
    read = own.read

    def counted(text: str, *given: Any, **more: Any) -> Any:
        texts.append(text)
        return read(text, *given, **more)

    def open_model(name: str, progress: Any) -> Scope:
        opened.append(name)
        return scope_of(name)  # type: ignore[no-any-return]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSCOPE_CACHE", str(cache))
        patch.setattr(own, "read", counted)
        with TestClient(create_app(own, open_model=open_model), base_url="http://127.0.0.1") as client:
            assert client.post(f"{API}/nearest", json={}).status_code == 200
            texts.clear()
            yield Watched(client, cache, texts, opened)


@pytest.fixture(scope="module")
def watched(scope_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One for all: what a GET starts would be seen by the next test, too."""
    with _watched(scope_of, tmp_path_factory.mktemp("cache")) as one:
        yield one


@pytest.fixture
def own(scope_of: Any, tmp_path: Path) -> Iterator[Watched]:
    """One that may be set to work."""
    with _watched(scope_of, tmp_path / "cache") as one:
        yield one


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_get_starts_nothing(watched: Watched, address: str) -> None:
    answer = watched.client.get(f"{API}/{address}")
    assert answer.status_code in (200, 404, 409, 422), answer.text
    assert (watched.read, watched.opened, watched.written) == ([], [], set())
    for what in ("values", "streams"):
        assert watched.client.get(f"{API}/isolated?what={what}").json()["state"] == "absent"


@pytest.mark.parametrize(
    "address", ["/?model=gpt2", "/?text=New&reference=isolated", "/?view=map", f"/{FILES}/main.js"]
)
def test_nor_does_the_page(watched: Watched, address: str) -> None:
    assert watched.client.get(address).status_code == 200
    assert (watched.read, watched.opened, watched.written) == ([], [], set())


def test_a_model_that_is_not_open_is_said_to_be_not_open(watched: Watched) -> None:
    for method in ("GET", "DELETE"):
        answer = watched.client.request(method, f"{API}/isolated?model=gpt2")
        assert answer.status_code == 404
        assert answer.json()["error"] == "the model 'gpt2' is not open here: open it by POST /models."


@pytest.mark.slow
def test_files_are_had_once_the_sheet_was_asked_for(own: Watched) -> None:
    for query, name in (
        ("text=New+words", "neighbors.csv"),
        ("view=map&size=60&method=pca", "map.csv"),
        ("view=map&size=60&method=pca&into=Time+flies.&text=Other+words", "moves.csv"),
        ("compare=text&text=Time+flies.&other_text=Time+flies.+Again.", "changes.csv"),
    ):
        before = own.client.get(f"{API}/take/{name}?{query}")
        assert before.status_code in (404, 409), query
        assert "POST /take" in before.json()["error"]
        sheet = own.client.post(f"{API}/take?{query}")
        while "map" in sheet.json():  # it takes its time where its libraries have not been imported yet
            sheet = own.client.post(f"{API}/take?{query}")
        assert sheet.status_code == 200, sheet.text
        assert sheet.json() == own.client.get(f"{API}/take?{query}").json()
        assert own.client.get(f"{API}/take/{name}?{query}").status_code == 200


def test_the_program_of_a_view_needs_no_reading(watched: Watched) -> None:
    program = watched.client.get(f"{API}/take/reading.py?text=New")
    assert program.status_code == 200
    assert "scope.read('New')" in program.text
    assert watched.read == []
