"""Choosing a layer of shallow and deep models: buttons while they are few, one slider where they would be a wall."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import torch
import zoo
from transformers import BertConfig, BertModel

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser
from tests.app.looks import chosen, text
from tests.app.serving import Server

LAYER = "document.querySelector('[name=layer]')"


def deep_model(layers: int) -> Scope:
    """As deep as it has to be, and as small as it can."""
    torch.manual_seed(0)
    tokenizer = zoo.wordpiece()
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=8
    )
    return Scope.from_model(BertModel(config), tokenizer)


@pytest.fixture
def deep(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Browser]:
    """The page of a model of so many layers, at its tables."""
    with Server(create_app(deep_model(request.param))) as running:
        browser.open(running.address)
        browser.wait("document.querySelector('#neighbors td')", 30)
        yield browser
        assert browser.errors == []
        browser.open("about:blank")  # it asks a server that is gone for nothing


def at(page: Browser, layer: int) -> None:
    page.wait(f"document.querySelector('#title').textContent.startsWith('Layer {layer}:')", 30)
    assert chosen(page)["layer"] == str(layer)


@pytest.mark.slow
@pytest.mark.parametrize("deep", [12], indirect=True)
def test_few_layers_are_buttons(deep: Browser) -> None:
    assert deep.js("document.querySelectorAll('[type=radio][name=layer]').length") == 12


@pytest.mark.long
@pytest.mark.parametrize("deep", [pytest.param(30, marks=pytest.mark.slow), 48], indirect=True)
def test_many_layers_are_one_slider_with_its_number_which_keys_move(deep: Browser) -> None:
    last = int(deep.js(f"{LAYER}.max"))
    assert deep.js("document.querySelectorAll('[name=layer]').length") == 1
    assert deep.js(f"{LAYER}.getAttribute('aria-label')") == "Layer"
    assert deep.js("document.querySelector('#layers').offsetHeight") < 48
    deep.js(f"{LAYER}.focus()")
    deep.press("End")
    at(deep, last)
    assert text(deep, "#layers output") == str(last)
    assert f"layer={last}" in deep.js("location.search")
    time.sleep(0.5)  # presses that follow each other faster are one step for the button back
    deep.press("ArrowLeft")
    at(deep, last - 1)
    deep.go(-1)  # the address of the layer before, with the slider in focus
    at(deep, last)
    deep.js("document.activeElement.blur()")
    deep.press("ArrowUp")  # the shortcut: the layer before
    at(deep, last - 1)
    assert text(deep, "#layers output") == str(last - 1)
