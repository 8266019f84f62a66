"""`--adapter` on the command line, of every command that opens a model."""

from __future__ import annotations

import json
import time

import pytest
import zoo
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.commands.test_asking import COMMANDS
from tests.model.test_adapter_directories import KINDS, trained


@pytest.fixture
def places(tmp_path):
    base = zoo.save("llama", tmp_path / "base")
    trained(KINDS["projections"](), tmp_path / "adapter", base)
    return str(base), str(tmp_path / "adapter")


@pytest.mark.slow
def test_a_reading_names_base_and_adapter(run, places):
    base, adapter = places
    told = json.loads(run("look", "a dog", "--model", base, "--adapter", adapter, "--json")[1])
    assert told["model"]["name"] == f"{base} + {adapter}"
    alone = json.loads(run("look", "a dog", "--model", adapter, "--json")[1])
    assert alone == told


@pytest.mark.parametrize("command", [name for name, made in COMMANDS.items() if name != "report"])
def test_every_command_that_opens_a_model_opens_it_in_the_same_ways(command):
    options = {option.name for option in COMMANDS[command].params}
    assert {"model", "revision", "adapter", "stack", "device", "dtype", "quantize"} <= options


@pytest.mark.slow
def test_the_identities_are_proved_of_base_and_adapter(run, places):
    base, adapter = places
    code, out, said = run("models", base, "--verify", "--adapter", adapter, "--json")
    told = json.loads(out)
    assert (code, told["model"], told["holds"]) == (0, f"{base} + {adapter}", True), said


@pytest.mark.slow
def test_an_adapter_is_measured_over_texts(run, places, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(f"a {one} sees {other}" for one in ("dog", "cat", "bird", "man") for other in "abc"))
    base, adapter = places
    line = ("recovery", str(texts), "--model", base, "--offset", "0", "--no-heads", "--json")
    with_it, alone = (json.loads(run(*line, *more)[1]) for more in (("--adapter", adapter), ()))
    assert with_it["model"]["name"] == f"{base} + {adapter}"
    assert with_it["model"]["weights_sha256"] != alone["model"]["weights_sha256"]


def test_an_adapter_is_for_a_model_that_is_opened(run, places):
    code, _, said = run("models", "--adapter", places[1])
    assert code == 2
    assert b"--adapter is for --verify: give both" in said


def test_an_adapter_that_is_nowhere_is_one_sentence(run, places):
    code, _, said = run("look", "--model", places[0], "--adapter", places[1] + "-not")
    assert code == 1
    assert b"there is no directory" in said


@pytest.mark.slow
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
