"""What the address of the page asks for: a view, with all that was chosen in it."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from headscope.app.api.asks import CompareAsk, MapAsk, Near, NearestAsk, Other, Perplexity, Seed, Size, UsualAsk
from headscope.app.api.passages import FIELDS, Text, fields_of, of_address
from headscope.question.choices import OPEN_REFERENCES, OPEN_VECTORS, Compare, Method, Weigh, What, resolved
from headscope.reading.offers import offers


class ViewAsk(NearestAsk):
    """A view as a page's address names it: what is asked, and how it is shown."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    view: str = "heads"
    head: int | None = Field(default=None, ge=0)
    weigh: Weigh = "weights"
    hubs: bool = False
    teach: bool = False
    why: str | None = Field(default=None, pattern=r"^[0-9]{1,6}\.[0-9]{1,9}$", description="A head, and an id.")
    compare: Compare = "none"
    other_text: Text | None = None
    other_model: str | None = Field(default=None, min_length=1, max_length=300)
    isolated: bool = False
    method: Method = "tsne"
    into: Text | None = Field(default=None, min_length=1)
    size: Size = MapAsk.model_fields["size"].default
    perplexity: Perplexity = MapAsk.model_fields["perplexity"].default
    seed: Seed = MapAsk.model_fields["seed"].default
    map_at: int | None = Field(default=None, ge=0, description="`at` of a map; `at` and `k` are of the other views.")
    map_k: Near = MapAsk.model_fields["k"].default

    @property
    def needs_alone(self) -> What | None:
        """What the view that is shown needs."""
        offer = offers().get(self.view)
        if offer is not None and "isolated" in offer.choices and self.isolated:
            return "streams"
        encoded = self.view in ("heads", "map") or (offer is not None and "reference" in offer.choices)
        return super().needs_alone if encoded else None

    @property
    def chosen(self) -> dict[str, Any]:
        """What the address says, by name."""
        return self.model_dump(include=self.model_fields_set)

    @property
    def _closed(self) -> set[str]:
        """The choices that the space does not have, as where another was chosen after them."""
        closed = set() if self.vector in OPEN_VECTORS[self.space] else {"vector"}
        return closed if self.reference in (None, *OPEN_REFERENCES[self.space]) else closed | {"reference"}

    @classmethod
    def of_address(cls, query: dict[str, str]) -> ViewAsk:
        """The view of an address; what it does not say, or what cannot be, is as in the first view."""
        known, passage = fields_of(query, cls), of_address(query)
        while True:
            try:
                found = cls.model_validate_strings(known)
                wrong = found._closed
            except ValidationError as error:
                wrong = {str(fault["loc"][0]) for fault in error.errors()}
            if not wrong:
                return found if passage is None else found.about(passage)
            for name in wrong:
                del known[name]

    def as_map(self) -> MapAsk:
        """The map that is shown."""
        names = ("model", "mask", "into", "layer", "space", "reference", "metric", "method", "candidates")
        given = self.passage.given | {name: getattr(self, name) for name in (*names, "size", "perplexity", "seed")}
        return MapAsk(**given, head=self.head or 0, at=self.map_at, k=self.map_k)

    def as_usual(self) -> UsualAsk:
        """The figures of a survey that are shown."""
        names = ("layer", "space", "reference", "metric", "position", "candidates", "mask")
        reference = resolved(self.space, self.reference)
        return UsualAsk(**{name: getattr(self, name) for name in names} | {"reference": reference})

    def as_compare(self) -> CompareAsk | None:
        """The comparison that is shown; None where none is, as where both sides would be the same."""
        basis = resolved(self.space, self.reference)
        moved = None if basis is None or (self.layer == 0 and basis != "isolated") else basis
        given: dict[str, dict[str, str | None]] = {
            "reference": {"reference": moved and ("input" if moved == "layer" else "layer")},
            "full": {"mask": "full"},
            "causal": {"mask": "causal"},
            "text": {"text": self.other_text},
            "model": {"model": self.other_model},
        }
        other = given.get(self.compare)
        if other is None or None in other.values():
            return None
        first = {name: getattr(self, name) for name in NearestAsk.model_fields if name not in FIELDS}
        return CompareAsk(**first, **self.passage.given, other=Other(**other))  # type: ignore[arg-type]


def from_address(query: dict[str, str], model: str | None = None) -> NearestAsk | None:
    """The view that a page's address asks of a model; None where it asks for none that could be."""
    known, passage = fields_of(query, NearestAsk), of_address(query)
    if model is not None:
        known["model"] = model
    try:
        found = NearestAsk.model_validate_strings(known)
        return found if passage is None else found.about(passage)
    except ValueError:
        return None
