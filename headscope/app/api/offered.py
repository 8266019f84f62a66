"""Questions that a reading answers by name and that no row of the table asks in a way of its own: an address each."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from typing import Any

from pydantic import Field, create_model

from headscope.app.api.asks import Ask, AttentionAsk, EffectsAsk, JourneyAsk, NearestAsk, values_of
from headscope.app.api.questions import Turn
from headscope.question.choices import What
from headscope.reading.offers import CHOICES, Offer, offers

# How a choice is bounded and described, wherever it is asked for.
_FIELDS = {
    name: described
    for kind in (JourneyAsk, EffectsAsk, AttentionAsk, NearestAsk)
    for name, described in kind.model_fields.items()
}


class OfferAsk(Ask):
    """A question by its name, with the choices that it takes."""

    @property
    def needs_alone(self) -> What | None:
        """The values, for the reference isolated, or the streams, for ranks among them."""
        if getattr(self, "isolated", False):
            return "streams"
        return values_of(getattr(self, "reference", None), getattr(self, "space", "value"))


def unasked(paths: Collection[str]) -> list[Offer]:
    """The offers that have no address among `paths`."""
    return [offer for offer in offers().values() if offer.name not in paths]


def asking(offer: Offer) -> Any:
    """The function of a turn and what is asked, typed, that answers an offer."""

    def function(turn: Turn, ask: Ask) -> Any:
        return offer.asked(turn.reading, {name: getattr(ask, name) for name in offer.choices}).to_dict()

    function.__name__ = offer.name
    function.__annotations__ = {"turn": Turn, "ask": _ask(offer), "return": offer.record}
    return function


def _ask(offer: Offer) -> type[Ask]:
    fields = {name: _field(name, default) for name, default in offer.choices.items()}
    named = "".join(map(str.capitalize, offer.name.split("_"))) + "Ask"
    return create_model(named, __base__=OfferAsk, __doc__=offer.says, **fields)  # type: ignore[call-overload, no-any-return]


def _field(name: str, default: Any) -> tuple[Any, Any]:
    if name not in _FIELDS:
        return CHOICES[name], Field(default=default)
    described = copy(_FIELDS[name])
    described.default = default
    return described.annotation, described
