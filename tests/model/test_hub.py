"""Opening a model by its Hub id, in a process of its own, against a Hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import hub
import pytest
import torch
import zoo

from headscope import Scope

NAME = "somebody/some-model"


@pytest.fixture
def published(tmp_path):
    return zoo.save("gpt2", tmp_path / "published")


def look(address, cache, *arguments, **environment):
    """Run `headscope look --json` with that Hub and that cache; the addresses are read when a process starts."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {"HF_ENDPOINT": address, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"} | environment
    command = [sys.executable, "-m", "headscope", "look", zoo.TEXT, "--json", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_a_model_is_fetched_once_and_opened_from_the_cache_afterwards(published, tmp_path):
    with hub.serving({NAME: published}) as (address, asked):
        first = look(address, tmp_path / "cache", "--model", NAME)
        assert first.returncode == 0, first.stderr
        told = json.loads(first.stdout)
        assert told["model"]["revision"] == hub.COMMIT
        assert told["model"]["why"].endswith("from the Hub")
        asked.clear()
        second = look(address, tmp_path / "cache", "--model", NAME)
        assert second.returncode == 0, second.stderr
        assert json.loads(second.stdout)["model"]["why"].endswith("from the local cache")
        assert not [path for path in asked if "/resolve/" in path]
    unplugged = look(address, tmp_path / "cache", "--model", NAME)
    assert unplugged.returncode == 0, unplugged.stderr
    assert "the Hub cannot be reached" in json.loads(unplugged.stdout)["model"]["why"]
    near = Scope.from_pretrained(str(published)).read(zoo.TEXT).nearest(1)
    ids = torch.tensor([[n["id"] for n in head["neighbors"]] for head in told["heads"]])
    assert torch.equal(ids, near.ids)


@pytest.mark.long
def test_a_model_that_the_hub_does_not_have_is_told(tmp_path):
    with hub.serving({}) as (address, _):
        result = look(address, tmp_path / "cache", "--model", NAME)
    assert result.returncode == 1
    assert "the Hub has no such model" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_a_model_that_has_only_a_pickle_is_told_how_to_convert_it(published, tmp_path):
    (published / "model.safetensors").rename(published / "pytorch_model.bin")
    with hub.serving({NAME: published}) as (address, asked):
        result = look(address, tmp_path / "cache", "--model", NAME)
        assert not [path for path in asked if path.endswith(".bin")]
    assert result.returncode == 1
    assert "as a pickle (pytorch_model.bin)" in result.stderr


@pytest.mark.long
def test_the_default_model_comes_from_the_hub_where_it_answers(tmp_path):
    roberta = zoo.save("roberta", tmp_path / "roberta")
    with hub.serving({"FacebookAI/roberta-base": roberta}) as (address, _):
        result = look(address, tmp_path / "cache")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)["model"]
    assert told["name"] == "FacebookAI/roberta-base"
    assert told["why"] == "the default model, from the Hub"
