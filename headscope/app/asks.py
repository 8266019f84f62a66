"""What a request asks for, typed, with the experiment's question as the default."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from headscope import defaults, meanings
from headscope.model.passes import Mask
from headscope.neighbors import Metric
from headscope.reading import Weigh
from headscope.vocabulary.choices import OPEN_REFERENCES, Candidates, Reference, Space, Vector

Token = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1, max_length=200)],
    Field(union_mode="left_to_right"),
]


class Ask(BaseModel):
    """A text, and the model that is to read it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=300,
        description="Hub id or directory; null: the server's own model.",
    )
    text: str = Field(default=defaults.TEXT, description="The text to read.", examples=[defaults.TEXT])
    mask: Mask = Field(default="model", description="Who may see whom: the model's own mask, everyone, or only before.")

    @property
    def needs_isolated(self) -> bool:
        """Whether the answer needs the reference isolated."""
        return False

    @field_validator("text")
    @classmethod
    def _is_unicode(cls, text: str) -> str:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"character {error.start} is half of a surrogate pair, which is no text") from None
        return text


class ReadAsk(Ask):
    """Read a text."""


class AtlasAsk(Ask):
    """For every layer and head, the vocabulary token that its output at a token is nearest to."""

    token: Token = Field(
        default=defaults.TOKEN,
        description="A position (number), or the text of exactly one token (string).",
        examples=[1, "banana"],
    )
    space: Space = "value"
    reference: Reference | None = Field(
        default=None,
        description=" ".join(f"{name}: {meaning}" for name, meaning in meanings.REFERENCES.items())
        + " (null: layer in an atlas, else input; the spaces embedding and unembedding have none).",
    )
    metric: Metric = "cosine"
    position: bool = Field(default=True, description="Add the token's position embedding to the vocabulary.")
    candidates: Candidates = Field(default="all", description='"words" leaves out special, unused and byte tokens.')

    @property
    def needs_isolated(self) -> bool:
        """Whether the answer needs the reference isolated; where a space has none, the answer is a refusal."""
        return self.reference == "isolated" and "isolated" in OPEN_REFERENCES[self.space]


class AttentionAsk(Ask):
    """For each head of a layer, how much of each position it mixes into its output at a token."""

    token: Token = Field(default=defaults.TOKEN, description="The query: a position, or the text of one token.")
    layer: int = Field(default=0, ge=0, description="From 0.")
    weigh: Weigh = Field(
        default="weights",
        description='The attention weights, or the lengths of what they let through ("norms").',
    )
    head: int | None = Field(default=None, ge=0, description="A head whose whole pattern is wanted too.")


class NearestAsk(AtlasAsk):
    """For each head of a layer, what its output at a token is nearest to."""

    vector: Vector = Field(default="z", description="What the head's side is: its output z, or its q, k or v.")
    at: int | None = Field(
        default=None, ge=0, description="The position at which the vocabulary stands; null: the token's own."
    )
    layer: int = Field(default=0, ge=0, description="From 0.")
    k: int = Field(default=defaults.K, ge=1, description="How many neighbours.")


class BackgroundAsk(NearestAsk):
    """What other texts' outputs say of an answer: hub-aware neighbours, and chance."""


class WhyAsk(NearestAsk):
    """Why one token is near in one head: its score, split over the source positions."""

    head: int = Field(default=0, ge=0, description="From 0.")
    id: int = Field(ge=0, description="The vocabulary id of the token that is asked about.")


class SurveyAsk(BaseModel):
    """Open a finished survey of the server's own model."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    directory: str = Field(min_length=1, max_length=1000, description="On the server's machine.", examples=["survey"])


class UsualAsk(BaseModel):
    """How the heads of a layer usually behave: the figures of the survey that is open."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    layer: int = Field(default=0, ge=0, description="From 0.")
    space: Space = "value"
    reference: Reference | None = None
    metric: Metric = "cosine"
    position: bool = True
    candidates: Candidates = "all"
    vector: Vector = "z"
    mask: Mask = "model"


class Other(BaseModel):
    """What differs on the other side of a comparison; what is null is as on the first."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    mask: Mask | None = None
    reference: Reference | None = None


class CompareAsk(NearestAsk):
    """For each head of a layer, two answers side by side: under two masks, or with two references."""

    other: Other = Field(default=Other(), description="What differs on the other side.")

    @property
    def needs_isolated(self) -> bool:
        """Whether one of the sides needs the reference isolated."""
        return super().needs_isolated or self.other_side().needs_isolated

    def other_side(self) -> NearestAsk:
        """The question of the other side."""
        given = self.model_dump(exclude={"other"}) | self.other.model_dump(exclude_none=True)
        return NearestAsk(**given)


def from_address(query: dict[str, str]) -> NearestAsk | None:
    """The view that a page's address asks for; None where it asks for none that could be."""
    known = {name: value for name, value in query.items() if name in NearestAsk.model_fields}
    try:
        return NearestAsk.model_validate_strings(known)
    except ValueError:
        return None


def example(kind: type[BaseModel], **given: Any) -> dict[str, Any]:
    """A request that the documentation shows: the defaults, and what is `given`."""
    return {"summary": kind.__doc__, "value": kind(**given).model_dump(exclude={"model"})}
