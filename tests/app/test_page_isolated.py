"""The reference isolated on the page: a bar at once, a way to stop it and to go on, and the table in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch

from headscope import Scope
from headscope.app import create_app
from headscope.keep.tensors import ShardedTensor
from tests.app.browsers import Browser
from tests.app.looks import choose, shows, text
from tests.app.serving import Server

MISSING = 24  # of 120 shards: a few seconds' work


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose reference isolated lacks its first part; of the others any values do."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    scope = Scope.from_pretrained("demo")
    shards = ShardedTensor(scope.isolated.directory, scope.isolated.shape)
    shards.directory.mkdir(parents=True)
    layers, heads, _, width = shards.shape
    for shard in range(MISSING, len(shards)):
        shards.write(shard, torch.randn(layers, heads, len(shards.tokens(shard)), width))
    with Server(create_app(scope)) as running:
        httpx.post(f"{running.address}/api/v1/nearest", json={}, timeout=60).raise_for_status()
        yield running


@pytest.mark.long
def test_the_reference_is_made_under_a_bar(browser: Browser, unfinished: Server) -> None:
    browser.open(f"{unfinished.address}/?layer=3")
    browser.wait("document.readyState === 'complete' && document.querySelector('#neighbors td')")
    choose(browser, "reference", "isolated")
    browser.wait("document.querySelector('#making:not([hidden]) progress')?.value > 0")
    assert browser.js("document.querySelector('#making progress').max") == 30522
    assert browser.js("document.querySelector('#neighbors').checkVisibility()") is False  # it answers another question
    assert browser.js("document.querySelector('[data-control=position]').hidden"), "it changes nothing here"
    assert "268 MiB in all" in text(browser, "#making")

    browser.click("#making button")
    browser.wait("document.querySelector('#making button')?.textContent === 'Go on'")
    assert "what was read is kept" in text(browser, "#making")
    told = httpx.get(f"{unfinished.address}/api/v1/isolated").json()
    assert told["state"] == "stopped"
    assert told["done"] < told["total"]

    # Another choice needs no waiting, and takes the bar away; coming back goes on.
    choose(browser, "reference", "layer")
    browser.wait("document.querySelector('#making').hidden && document.querySelector('#neighbors').checkVisibility()")
    choose(browser, "reference", "isolated")
    browser.wait("document.querySelector('#making:not([hidden]) progress')")
    browser.wait("document.querySelector('#making').hidden", seconds=120)
    question = {"layer": 3, "reference": "isolated"}
    shows(browser, httpx.post(f"{unfinished.address}/api/v1/nearest", json=question, timeout=60).json())
    assert "position switch does not apply" in text(browser, "#notes")
    assert "read alone by the model" in text(browser, "#how")
