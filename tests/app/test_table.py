"""Every address of the API's table says what it is for, shows questions that work, and answers as its type says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zoo
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from starlette.responses import Response

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.answers import BeingMadeRecord, Problem
from headscope.app.api.table import TABLE, Address, offered_rows

API = "/api/v1"
ROWS = [  # for maps, their libraries are compiled
    pytest.param(row, id=f"{row.method} {row.path}", marks=[pytest.mark.slow] * row.path.startswith("map"))
    for row in [*TABLE, *offered_rows()]
]
ELSEWHERE = {"survey": "no directory here holds a finished survey"}  # an example, and why it does not work here


@pytest.fixture(scope="module")
def client(demo: Scope) -> Iterator[TestClient]:
    """A server of the demo weights that opens a tiny model by any name."""

    def open_model(name: str, progress: Any) -> Scope:
        return Scope.from_model(*zoo.build("bert"))

    with TestClient(create_app(demo, open_model=open_model), base_url="http://127.0.0.1") as one:
        yield one


def answered(client: TestClient, row: Address, example: Any) -> Any:
    """What the server answers; a map takes its time, so it is asked for until it is made."""
    path = row.path
    if "{key}" in path:
        made = answered(client, next(row for row in TABLE if row.path == "map"), {"method": "pca", "size": 60})
        path = path.format(key=made.json()["key"])
    if "{name}" in path:
        assert client.post(f"{API}/take").status_code == 200
        path = path.format(name="neighbors.csv")
    answer = client.request(row.method, f"{API}/{path}", json=example if row.method == "POST" else None)
    while answer.status_code == 409 and "map" in answer.json():
        TypeAdapter(BeingMadeRecord).validate_json(answer.content, strict=True)
        answer = client.request(row.method, f"{API}/{path}", json=example)
    return answer


@pytest.mark.parametrize("row", ROWS)
def test_its_examples_are_answered_as_it_says(client: TestClient, row: Address) -> None:
    if row.path.startswith("map"):
        pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")
    asks = [one.annotation for one in row.parameters if one.name == "ask"]
    assert row.summary
    assert bool(row.examples) == bool(asks)
    for example in row.examples.values() or [{}]:
        answer = answered(client, row, example)
        if row.method == "POST" and row.path in ELSEWHERE:
            assert answer.status_code == 422
            TypeAdapter(Problem).validate_json(answer.content, strict=True)
            continue
        assert answer.status_code == 200, answer.text
        if row.media:
            assert row.answer is Response
            assert answer.headers["content-type"].split(";")[0] in row.media
        else:
            TypeAdapter(row.answer).validate_json(answer.content, strict=True)


DESCRIBED = [
    row for row in ROWS if not row.values[0].media and (row.values[0].method, row.values[0].path) != ("POST", "survey")
]  # no directory here holds a finished survey: the example above is refused


@pytest.mark.parametrize("row", DESCRIBED)
def test_an_answer_has_no_field_that_is_not_described(client: TestClient, row: Address) -> None:
    if row.path.startswith("map"):
        pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")
    told = answered(client, row, next(iter(row.examples.values()), {})).json()
    if told is None:
        assert row.path == "models/opening"
        return
    schema = TypeAdapter(row.answer).json_schema(mode="serialization")
    options = [schema, *(schema.get("anyOf", []))]
    names = [schema["$defs"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in options]
    described = {name for one in names for name in one.get("properties", {})}
    assert told.keys() <= described
