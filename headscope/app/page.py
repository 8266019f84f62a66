"""The page as it is first sent: the static HTML, with the answer to its address inside to paint at once."""

from __future__ import annotations

from pathlib import Path

from headscope import defaults, meanings
from headscope.app.asks import from_address
from headscope.app.choices import open_choices
from headscope.app.desk import Desk, as_json

STATIC = Path(__file__).parent / "static"
_PLACE = "<!-- first -->"


class Page:
    """Makes index.html for an address."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._choices = open_choices(desk.models.own)
        self._before, self._after = (STATIC / "index.html").read_text("utf-8").split(_PLACE)

    def html(self, query: dict[str, str]) -> str:
        """The page; the answer to its address is in it where it is at hand."""
        ask = from_address(query)
        answer = self._desk.known(ask) if ask else None
        first = b'{"server":%s,"answer":%s}' % (self._about(), answer or b"null")
        # "<" as an escape: the data cannot end the element that it stands in.
        data = first.decode("utf-8").replace("<", "\\u003c")
        block = f'<script type="application/json" id="first">{data}</script>'
        return self._before + block + self._after

    def _about(self) -> bytes:
        card, limits = self._desk.models.own.card, self._desk.limits
        about = {
            "name": card.name,
            "why": card.why,
            "layers": card.layers,
            "heads": card.heads,
            "d_head": card.d_head,
            "vocab_size": card.vocab_size,
            "position_embeddings": card.position_embeddings,
            "causal": card.causal,
            "capture_error": card.capture_error,
            "characters": limits.characters,
            "pattern": limits.pattern,
            "choices": self._choices,
            "survey": self._desk.surveys.about(),
            "references": meanings.REFERENCES,
            "defaults": {"text": defaults.TEXT, "token": defaults.TOKEN},
        }
        return as_json(about)
