"""The page's choices as HTML: what there is to choose for a model, as buttons, or as a slider where they are many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from headscope.app.page.words import WORDS
from headscope.model.card import Card
from headscope.reading.offers import Offer

_ROW = 16  # so many layers are buttons; more are a slider with its number


def controls(card: Card, choices: Mapping[str, Any], offered: Iterable[Offer], models: Iterable[str]) -> dict[str, str]:
    """What stands in the places of the page's form, by their names; `models`: others that are open."""
    names = WORDS["names"] | {"space": {space: name for space, (name, *_) in WORDS["space"].items()}}
    told = {
        name: _radios(name, {value: names.get(name, {}).get(value, _capital(value)) for value in map(_value, values)})
        for name, values in choices.items()
    }
    return told | {
        "layer": _layers(card.layers),
        "head": _radio("head", "none", "–", ' aria-label="no head"')
        + _radios("head", {str(head): str(head) for head in range(card.heads)}),
        "views": _radios("view", {offer.name: _capital(offer.name).replace("_", " ") for offer in offered}),
        "models": "".join(f"<option>{escape(name)}</option>" for name in models),
    }


def _layers(number: int) -> str:
    if number <= _ROW:
        radios = _radios("layer", {str(layer): str(layer) for layer in range(number)})
        return f'<div id="layers" class="segments even">{radios}</div>'
    # One control, named as its legend, with arrows, Page Up and Down, Home and End.
    track = f'<input type="range" name="layer" min="0" max="{number - 1}" value="0" aria-label="Layer">'
    return f'<div id="layers" class="slider">{track}<output></output><span>of 0–{number - 1}</span></div>'


def _radios(name: str, shown: Mapping[str, str]) -> str:
    return "".join(_radio(name, value, title) for value, title in shown.items())


def _radio(name: str, value: str, title: str, more: str = "") -> str:
    button = f'<input type="radio" name="{name}" value="{escape(value)}"{more}>'
    return f"<label>{button}<span>{escape(title)}</span></label>"


def _value(choice: Any) -> str:
    return str(choice["value"] if isinstance(choice, dict) else choice)


def _capital(value: str) -> str:
    return value[:1].upper() + value[1:]
