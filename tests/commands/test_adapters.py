"""`--adapter` on the command line, and an adapter from the page's models sheet."""

from __future__ import annotations

import json
import time

import pytest
import zoo
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.model.test_adapter_directories import KINDS, trained


@pytest.fixture
def places(tmp_path):
    base = zoo.save("llama", tmp_path / "base")
    trained(KINDS["projections"](), tmp_path / "adapter", base)
    return str(base), str(tmp_path / "adapter")


def test_a_reading_names_base_and_adapter(run, places):
    base, adapter = places
    told = json.loads(run("look", "a dog", "--model", base, "--adapter", adapter, "--json")[1])
    assert told["model"]["name"] == f"{base} + {adapter}"
    alone = json.loads(run("look", "a dog", "--model", adapter, "--json")[1])
    assert alone == told


def test_an_adapter_that_is_nowhere_is_one_sentence(run, places):
    code, _, said = run("look", "--model", places[0], "--adapter", places[1] + "-not")
    assert code == 1
    assert b"there is no directory" in said


def test_a_visitor_of_the_page_opens_an_adapter_with_its_base(places):
    base, adapter = places
    own = Scope.from_pretrained(base)

    def opener(name, progress):
        return Scope.from_pretrained(name, progress=progress)

    with TestClient(create_app(own, open_model=opener), base_url="http://127.0.0.1") as client:
        for name in (adapter, f"{base} + {adapter}"):
            told = client.post("/api/v1/models", json={"model": name}).json()
            while told["state"] == "working":
                time.sleep(0.05)
                told = client.get("/api/v1/models/opening").json()
            assert told["state"] == "ready", told["problem"]
            assert told["card"]["name"] == f"{base} + {adapter}"
            read = client.post("/api/v1/read", json={"model": name, "text": "a dog"}).json()
            assert read["model"]["name"] == f"{base} + {adapter}"
