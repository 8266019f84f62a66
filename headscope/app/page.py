"""The page as it is first sent: the static HTML, with the answer to its address inside to paint at once."""

from __future__ import annotations

from pathlib import Path

from headscope import defaults, meanings
from headscope.app.asks import from_address
from headscope.app.choices import open_choices
from headscope.app.desk import Desk, as_json
from headscope.scope import Scope

STATIC = Path(__file__).parent / "static"
_WORDS = (Path(__file__).parent / "words.json").read_bytes()  # what every control and table means
_PLACE = "<!-- first -->"


class Page:
    """Makes index.html for an address."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        open_choices(desk.models.own)  # before the first visitor
        self._before, self._after = (STATIC / "index.html").read_text("utf-8").split(_PLACE)

    def html(self, query: dict[str, str]) -> str:
        """The page; the answer to its address is in it where it is at hand."""
        # A link opens no model: where the one that it names is not open, the server's own answers.
        name = self._desk.models.key(query.get("model"))
        scope = self._desk.models.known(name)
        if scope is None:
            name, scope = None, self._desk.models.own
        ask = from_address({one: value for one, value in query.items() if one != "model"}, name)
        answer = self._desk.known(ask) if ask else None
        first = b'{"server":%s,"answer":%s,"words":%s}' % (self._about(scope, name), answer or b"null", _WORDS)
        # "<" as an escape: the data cannot end the element that it stands in.
        data = first.decode("utf-8").replace("<", "\\u003c")
        block = f'<script type="application/json" id="first">{data}</script>'
        return self._before + block + self._after

    def _about(self, scope: Scope, name: str | None) -> bytes:
        card, limits, surveys = scope.card, self._desk.limits, self._desk.surveys
        about = {
            "model": name,
            "open": [one or self._desk.models.own.card.name for one in self._desk.models.names()],
            "may_open": self._desk.models.may_open,
            "name": card.name,
            "why": card.why,
            "layers": card.layers,
            "heads": card.heads,
            "d_head": card.d_head,
            "vocab_size": card.vocab_size,
            "position_embeddings": card.position_embeddings,
            "causal": card.causal,
            "weights_sha256": card.weights_sha256,
            "capture_error": card.capture_error,
            "characters": limits.characters,
            "pattern": limits.pattern,
            "map": limits.map,
            "positions": card.positions,
            "choices": open_choices(scope),
            "survey": surveys.about() if name is None else {"survey": None, "may_open": False},
            "references": meanings.REFERENCES,
            "defaults": {"text": defaults.TEXT, "token": defaults.TOKEN},
        }
        return as_json(about)
