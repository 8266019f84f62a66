"""Questions that a reading answers by name and that no row of the table asks in a way of its own: an address each."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from typing import Any, get_type_hints

from pydantic import Field, create_model
from typing_extensions import TypedDict

from headscope.app.api.answers import LaidOut
from headscope.app.api.asks import Ask, AttentionAsk, EffectsAsk, JourneyAsk, LaidOutAsk, NearestAsk, values_of
from headscope.app.api.questions import Turn, laid_out
from headscope.question.choices import What
from headscope.reading.offers import CHOICES, Offer, offers

# How a choice is bounded and described, wherever it is asked for.
_FIELDS = {
    name: described
    for kind in (JourneyAsk, EffectsAsk, AttentionAsk, NearestAsk)
    for name, described in kind.model_fields.items()
}


class OfferAsk(LaidOutAsk):
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

    def function(turn: Turn, ask: OfferAsk) -> Any:
        answer = offer.asked(turn.reading, {name: getattr(ask, name) for name in offer.choices})
        return {**answer.to_dict(), **laid_out(turn, ask, answer.sheets)}

    function.__name__ = offer.name
    function.__annotations__ = {"turn": Turn, "ask": _ask(offer), "return": _record(offer)}
    return function


def _named(offer: Offer, what: str) -> str:
    return "".join(map(str.capitalize, offer.name.split("_"))) + what


def _record(offer: Offer) -> Any:
    """What an answer says, and how it is laid out."""
    fields = get_type_hints(offer.record, include_extras=True) | get_type_hints(LaidOut, include_extras=True)
    make: Any = TypedDict  # by a name and fields that are known only here
    return make(_named(offer, "OfferRecord"), fields)


def _ask(offer: Offer) -> type[Ask]:
    fields = {name: _field(name, default) for name, default in offer.choices.items()}
    return create_model(_named(offer, "Ask"), __base__=OfferAsk, __doc__=offer.says, **fields)  # type: ignore[call-overload, no-any-return]


def _field(name: str, default: Any) -> tuple[Any, Any]:
    if name not in _FIELDS:
        return CHOICES[name], Field(default=default)
    described = copy(_FIELDS[name])
    described.default = default
    return described.annotation, described
