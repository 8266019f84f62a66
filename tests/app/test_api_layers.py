"""The answers of the API about the way through the layers are those of the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from headscope.reading.reading import Reading
from headscope.show import html
from headscope.show.sheet import Sheet

API = "/api/v1"
TEXT = "Fruit flies like a banana."


@pytest.mark.parametrize(
    ("route", "ask", "kind", "arguments"),
    [
        ("journey", {}, "journey", {}),
        ("journey", {"position": False, "k": 3}, "journey", {"position": False, "k": 3}),
        ("mixing", {}, "mixing", {}),
        ("glance", {}, "glance", {}),
        ("effects", {"token": "banana"}, "effects", {"token": "banana"}),
        ("effects", {"token": 2, "replaced_by": "mean"}, "effects", {"token": 2, "replaced_by": "mean"}),
    ],
)
def test_answers_are_the_librarys(
    reader: TestClient, demo: Scope, route: str, ask: dict[str, Any], kind: str, arguments: dict[str, Any]
) -> None:
    answer = reader.post(f"{API}/{route}", json={"text": TEXT, **ask})
    assert answer.status_code == 200, answer.text
    assert answer.json() == getattr(demo.read(TEXT), kind)(**arguments).to_dict()


@pytest.mark.parametrize(
    ("route", "ask", "sheets"),
    [
        ("journey", {}, lambda reading: reading.journey().sheets()),
        ("journey", {"token": "banana"}, lambda reading: [reading.journey().of(5)]),
        ("mixing", {}, lambda reading: reading.mixing().sheets()),
        ("mixing", {"token": 5}, lambda reading: reading.mixing().sheets_at(5)),
        ("mixing", {"token": 5, "by_head": True}, lambda reading: [reading.mixing().by_head(5)]),
        ("glance", {}, lambda reading: reading.glance().sheets()),
        ("effects", {"token": 5}, lambda reading: reading.effects(5).sheets()),
        ("effects", {"token": 5, "by_head": True}, lambda reading: [reading.effects(5).by_head()]),
        ("atlas", {"token": 5, "by_head": True}, lambda reading: [reading.atlas(5).by_head()]),
    ],
)
def test_they_are_laid_out_where_it_is_asked_for(
    reader: TestClient, demo: Scope, route: str, ask: dict[str, Any], sheets: Callable[[Reading], Sequence[Sheet]]
) -> None:
    told = reader.post(f"{API}/{route}", json={"text": TEXT, "html": True, **ask}).json()
    assert told.pop("html") == html.tables(sheets(demo.read(TEXT)))
    assert told == reader.post(f"{API}/{route}", json={"text": TEXT, **ask}).json()


@pytest.mark.slow
def test_another_token_is_laid_out_of_what_is_at_hand(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for name in ("journey", "mixing"):
        method = getattr(Reading, name)

        def counted(self: Reading, *given: Any, method: Any = method) -> Any:
            made.append(method.__name__)
            return method(self, *given)

        monkeypatch.setattr(Reading, name, wraps(method)(counted))
    for token in (1, 2, "banana"):
        for route in ("journey", "mixing"):
            assert client.post(f"{API}/{route}", json={"text": TEXT, "token": token, "html": True}).status_code == 200
    assert made == ["journey", "mixing"]
    client.post(f"{API}/journey", json={"text": f"Now {TEXT}"})  # of another text it is another
    client.post(f"{API}/journey", json={"text": TEXT, "position": False})
    assert made == ["journey", "mixing", "journey", "journey"]


@pytest.mark.parametrize(
    ("route", "ask", "said"),
    [
        ("journey", {"token": 99, "html": True}, "99"),
        ("mixing", {"by_head": True, "html": True}, "name the token"),
        ("journey", {"k": 0}, "k is 0"),
        ("journey", {"k": 1000}, "at most 200"),
        ("effects", {"token": "zebra"}, "no token of the text"),
        ("effects", {"replaced_by": "noise"}, "replaced_by is 'noise'"),
        ("glance", {"token": 1}, "no field 'token'"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    reader: TestClient, route: str, ask: dict[str, Any], said: str
) -> None:
    answer = reader.post(f"{API}/{route}", json={"text": TEXT, **ask})
    assert answer.status_code == 422
    assert said in answer.json()["error"]


@pytest.mark.slow
def test_effects_of_a_text_that_takes_too_long_are_left_to_the_command_line(demo: Scope) -> None:
    with TestClient(create_app(demo, limits=Limits(effects=73 * 8)), base_url="http://127.0.0.1") as client:
        assert client.post(f"{API}/effects", json={"text": "Fruit flies like a banana."}).status_code == 200
        answer = client.post(f"{API}/effects", json={"text": "Fruit flies like a ripe banana."})
    assert answer.status_code == 422
    assert "73 runs of 9 tokens" in answer.json()["error"]
