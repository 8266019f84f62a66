"""The page as it is first sent: the static HTML, with the answer to its address inside to paint at once."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from headscope.app.api.addressed import ViewAsk, from_address
from headscope.app.api.answers import as_json
from headscope.app.api.choices import open_choices
from headscope.app.api.desk import Desk
from headscope.app.api.table import TABLE
from headscope.app.page.classroom import PATTERN
from headscope.app.page.controls import controls
from headscope.app.page.method import steps
from headscope.app.page.words import WORDS
from headscope.model.card import Card
from headscope.question import defaults, meanings
from headscope.question.choices import WHAT
from headscope.reading.atlas_chance import WINDOW
from headscope.reading.offers import Offer, offers
from headscope.scope import Scope
from headscope.show.modules import RENDERERS

STATIC = Path(__file__).parents[1] / "static"
FOLDERS = (STATIC, RENDERERS)  # served as one
# Their address tells what is in them: a browser keeps them for good, and mixes none with those of another version.
_WHOLE = b"".join(one.read_bytes() for folder in FOLDERS for one in sorted(folder.iterdir()))
FILES = f"static/{hashlib.sha256(_WHOLE).hexdigest()[:16]}"
_SHOWN = {row.path for row in TABLE} | {"nearest_positions", "portrait"}  # what the page's own views show
_PLACE = re.compile(r"<!-- (\w+) -->")  # of what the server fills in
_UNASKED = 1e10  # operations, about, of forward passes that the page has done without being asked
_SEARCHED = 1e11  # and of searches for chance


class Page:
    """Makes index.html for an address.

    `identity`: of this version, and of the model as it was at the start. A page says it with what it asks, so that one
    of another server that stood at this address before gets no answers of this one.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        open_choices(desk.models.own)  # before the first visitor
        # Where no vocabulary is read alone for a visitor, only what was read before can be chosen.
        kept = desk.models.own.isolated.kept
        self._alone = {what: desk.limits.alone or (one := kept(what)).done() == one.tokens for what in WHAT}
        self._offers = [offer for offer in offers().values() if offer.name not in _SHOWN]
        self._html = (STATIC / "index.html").read_text("utf-8").replace('"static/', f'"{FILES}/')
        card = desk.models.own.card
        of = (FILES, card.name, card.revision, card.weights_sha256)
        self.identity = hashlib.sha256(repr(of).encode()).hexdigest()[:16]

    def html(self, query: dict[str, str]) -> str:
        """The page; the answer to its address is in it where it is at hand."""
        # A link opens no model: where the one that it names is not open, the server's own answers.
        linked = self._desk.models.key(query.get("model") or None)
        there = self._desk.models.known(linked)
        name, scope = (None, self._desk.models.own) if there is None else (linked, there)
        ask = from_address({one: value for one, value in query.items() if one != "model"}, name)
        answer = self._desk.known(ask.model_copy(update={"html": True})) if ask else None
        choices = self._choices(scope)
        words = as_json(_words_of(self._offers, scope.card, choices["space"]))
        about = self._about(scope, name, choices) | {"linked": linked if there is None else None}
        first = b'{"server":%s,"answer":%s,"words":%s}' % (as_json(about), answer or b"null", words)
        # "<" as an escape: the data cannot end the element that it stands in.
        data = first.decode("utf-8").replace("<", "\\u003c")
        parts = controls(
            scope.card, choices, self._offers, [one for one in self._open() if one != (name or self._desk.models.name)]
        )
        parts["first"] = f'<script type="application/json" id="first">{data}</script>'
        return _PLACE.sub(lambda found: parts[found[1]], self._html)

    def _open(self) -> list[str]:
        """The models that are open, as questions name them."""
        return [one or self._desk.models.name for one in self._desk.models.names()]

    def _choices(self, scope: Scope) -> dict[str, Any]:
        told = open_choices(scope)
        if self._alone["values"]:
            return told
        spaces = [one | {"references": _without(one["references"])} for one in told["space"]]
        return told | {"reference": _without(told["reference"]), "space": spaces}

    def _closed(self) -> str | None:
        """What a visitor of a read-only server cannot do, in a sentence; None where nothing is closed."""
        limits = self._desk.limits
        if limits.work is None:
            return None
        alone = "" if self._alone["values"] else ", no tokens read alone"
        return (
            f"This page is open to everyone, so it is bounded: this model only, texts of up to {limits.characters:,} "
            f"characters{alone}, and {limits.work:g} seconds of work a minute for each visitor."
        )

    def _about(self, scope: Scope, name: str | None, choices: dict[str, Any]) -> dict[str, Any]:
        card, limits = scope.card, self._desk.limits
        return {
            "page": self.identity,
            "model": name,
            "open": self._open(),
            "may_open": self._desk.models.may_open,
            "name": card.asked_for,
            "why": card.why,
            "layers": card.layers,
            "heads": card.heads,
            "d_head": card.d_head,
            "vocab_size": card.vocab_size,
            "position_embeddings": card.position_embeddings,
            "causal": card.causal,
            "shared": card.shared,
            "removes": 0 if limits.work is not None else int(_UNASKED / (24 * card.layers * card.d_model**2)),
            "chances": limits.work is None and _searches(card) <= _SEARCHED,
            "weights_sha256": card.weights_sha256,
            "capture_error": card.capture_error,
            "arithmetic": card.arithmetic,
            "memory": self._desk.memory_record,
            "characters": limits.characters,
            "pattern": limits.pattern,
            "map": limits.map,
            "positions": card.positions,
            "chat": scope.bench.has_template,
            "choices": choices,
            "closed": self._closed(),
            "ahead": limits.ahead,
            "alone": self._alone,
            "survey": self._desk.testing.about() if name is None else _OF_ANOTHER,
            "offers": [{"name": offer.name, "choices": list(offer.choices)} for offer in self._offers],
            "defaults": _first(),
        }


# A survey is of the server's own model, and so is the test.
_OF_ANOTHER = {"survey": None, "may_open": False, "testing": None}


def _searches(card: Card) -> int:
    """Operations, about, of the chance of an atlas."""
    return 2 * WINDOW * card.layers * card.heads * card.vocab_size * card.d_head


def _first() -> dict[str, Any]:
    """The view that is shown where an address says nothing, by the names that addresses have."""
    asked = ViewAsk().model_dump(exclude={"model", "messages", "at", "k", "positions", "html"})
    of_the_page = {"chat": False, "system": None, "word": None, "classroom": False}
    return {**asked, "reference": defaults.REFERENCE, **of_the_page}


def _named(space: dict[str, Any]) -> str:
    """What a space is called, if only by its name."""
    return str(WORDS["space"].get(space["value"], [space["value"]])[0])


def _without(references: list[str]) -> list[str]:
    return [one for one in references if one != "isolated"]


def _words_of(offers: list[Offer], card: Card, spaces: list[dict[str, Any]]) -> dict[str, Any]:
    """The page's words about a model, with those of the answers that no view of its own shows."""
    told: dict[str, Any] = WORDS | {"hidden": PATTERN}
    told["view"] = WORDS["view"] | {offer.name: [offer.says, ""] for offer in offers}
    told["reference"] = {one: (meanings.REFERENCES[one], terms) for one, terms in WORDS["reference"].items()}
    told["mask"] = WORDS["mask"] | {"model": WORDS["mask"]["model"]["causal" if card.causal else "full"]}
    why = "".join(f" “{_named(one)}” is closed: {one['closed'].split(' Open:')[0]}" for one in spaces if one["closed"])
    told["space"] = {space: (name, says + why, terms) for space, (name, says, terms) in WORDS["space"].items()}
    told["controls"] = WORDS["controls"] | {offer.name: [*offer.choices, "mask"] for offer in offers}
    told["working"] = WORDS["working"] | {offer.name: "Working it out …" for offer in offers}
    read = WORDS["steps"] | {offer.name: [("What is shown", offer.says)] for offer in offers}
    told["steps"] = {view: steps(lines) for view, lines in read.items() if view != "heads"}  # these come with answers
    return told
