"""What a request asks for, typed, with the experiment's question as the default."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from headscope.app.api.passages import FIELDS, PassageAsk, Text
from headscope.errors import InputError
from headscope.model.opening.packing import Quantize
from headscope.question import defaults, meanings
from headscope.question.choices import (
    OPEN_REFERENCES,
    Candidates,
    Mask,
    Method,
    Metric,
    Reference,
    Replacement,
    Space,
    Vector,
    Weigh,
    What,
)
from headscope.question.model_choice import ModelChoice
from headscope.question.question import Question
from headscope.reading.map.layouts import Way
from headscope.studies.survey.report.glossary import Figure

Token = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1, max_length=200)],
    Field(union_mode="left_to_right"),
]


MODEL_NAME = 640  # letters: of a model, of an adapter, and how they are packed

_REFERENCES = (
    " ".join(f"{name}: {meaning}" for name, meaning in meanings.REFERENCES.items())
    + f" (null: {defaults.REFERENCE}; the spaces embedding, unembedding and fitted have none)."
)
Size = Annotated[int, Field(ge=50, description="How many vocabulary tokens.")]
Near = Annotated[int, Field(ge=1, description="How many of the nearest tokens of each output are among them.")]
Perplexity = Annotated[float, Field(ge=2, allow_inf_nan=False, description="Of t-SNE.")]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="Of the random rest, and of t-SNE.")]


class Ask(PassageAsk):
    """A text, and the model that is to read it."""

    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=MODEL_NAME,
        description="Hub id or directory, or the name that POST /models gave; null: the server's own model.",
    )
    mask: Mask = Field(default="model", description="Who may see whom: the model's own mask, everyone, or only before.")

    @property
    def needs_alone(self) -> What | None:
        """What of the tokens read alone the answer needs: values (the reference isolated), streams, or nothing."""
        return None


class SpaceAsk(Ask):
    """A question of what is near in a space."""

    space: Space = "value"
    reference: Reference | None = Field(default=None, description=_REFERENCES)
    metric: Metric = "cosine"

    @property
    def needs_alone(self) -> What | None:
        """The values, for the reference isolated; where a space has none, the answer is a refusal."""
        return values_of(self.reference, self.space)


class ReadAsk(Ask):
    """Read a text."""


class VisitAsk(Ask):
    """What a first visitor of the page is shown of a text."""


class LaidOutAsk(Ask):
    """A question whose answer can be laid out by the server."""

    html: bool = Field(
        default=False, description="Also lay the answer out as HTML tables, as the page shows it (the field html)."
    )


class ByHeadAsk(LaidOutAsk):
    """A question about all heads, whose numbers can stand beside others of every head."""

    by_head: bool = Field(default=False, description="With html: one table, a row a head.")


class AtlasAsk(SpaceAsk, LaidOutAsk):
    """For every layer and head, the vocabulary token that its output at a token is nearest to."""

    token: Token = Field(
        default=defaults.TOKEN,
        description="A position (number), or the text of exactly one token (string).",
        examples=[1, "banana"],
    )
    position: bool = Field(default=True, description="Add the token's position embedding to the vocabulary.")
    candidates: Candidates = Field(default="all", description='"words" leaves out special, unused and byte tokens.')

    @property
    def of_all_layers(self) -> Question:
        """The question of an atlas; InputError for choices that do not go together."""
        return Question(None, self.space, self.reference, self.metric, self.position, self.candidates, k=1)


class AllHeadsAsk(AtlasAsk, ByHeadAsk):
    """For every layer and head, the vocabulary token that its output at a token is nearest to."""

    chance: bool = Field(
        default=False, description="Also what other texts' outputs would give beside each layer's shares; takes longer."
    )


class AttentionAsk(LaidOutAsk):
    """For each head of a layer, how much of each position it mixes into its output at a token."""

    token: Token = Field(default=defaults.TOKEN, description="The query: a position, or the text of one token.")
    layer: int = Field(default=0, ge=0, description="From 0.")
    weigh: Weigh = Field(
        default="weights",
        description='The attention weights, or the lengths of what they let through ("norms").',
    )
    head: int | None = Field(default=None, ge=0, description="A head whose whole pattern is wanted too.")


class WrittenAsk(SpaceAsk, LaidOutAsk):
    """For each head of a layer, which tokens of the text each of its outputs is near to, beside what it attended to."""

    layer: int = Field(default=0, ge=0, description="From 0.")
    position: bool = Field(default=True, description="Add each position's embedding to the vocabulary there.")
    head: int | None = Field(
        default=None, ge=0, description="Whose matrices are laid out; null: that of the largest mean Carry."
    )


class StandingAsk(SpaceAsk, LaidOutAsk):
    """For each head of a layer, where its output at a token ranks the text's own tokens, beside even attention."""

    token: Token = Field(default=defaults.TOKEN, description="A position, or the text of one token.")
    layer: int = Field(default=0, ge=0, description="From 0.")
    position: bool = Field(default=True, description="Add the token's position embedding to the vocabulary.")
    head: int | None = Field(default=None, ge=0, description="With html: whose strip is large; null: none is.")
    others: bool = Field(default=False, description="Also where other texts' outputs put the tokens; takes longer.")


class MapAsk(SpaceAsk):
    """One head's space in two dimensions: the vocabulary, and the values and outputs of the text."""

    into: Text | None = Field(
        default=None,
        min_length=1,
        description="The text that the map is made of, in which `text` is placed; null: the text itself.",
    )
    layer: int = Field(default=0, ge=0, description="From 0.")
    head: int = Field(default=0, ge=0, description="From 0.")
    reference: Reference | None = Field(default=None, description=f"null: {defaults.REFERENCE}.")
    metric: Metric = Field(default="cosine", description="cosine or euclidean.")
    method: Method = "tsne"
    at: int | None = Field(default=None, ge=0, description="The position at which the vocabulary stands; null: none.")
    candidates: Candidates = Field(default="all", description='"words" leaves out special, unused and byte tokens.')
    size: Size = 2000
    k: Near = 10
    perplexity: Perplexity = 30
    seed: Seed = 0

    @property
    def question(self) -> Question:
        """What is asked of one head; InputError for choices that do not go together."""
        placed = self.at is not None
        return Question(
            self.layer, self.space, self.reference, self.metric, placed, self.candidates, at=self.at, k=self.k
        )

    @property
    def way(self) -> Way:
        """How its vectors are laid out."""
        return Way(self.method, self.perplexity, self.seed)

    @property
    def ground(self) -> MapAsk:
        """The question of the map itself, which no text was placed in."""
        if self.into is None:
            return self
        return self.about(self.passage.saying(self.into)).model_copy(update={"into": None})


class JourneyAsk(LaidOutAsk):
    """What becomes of every token's residual stream on its way through the layers."""

    token: Token | None = Field(
        default=None, description="With html: the token whose stages are laid out; null: every token, a table a number."
    )

    position: bool = Field(default=True, description="The own input embedding with its position, or without one.")
    k: int = Field(default=10, ge=1, description="How many nearest tokens are compared between stages.")
    isolated: bool = Field(
        default=False, description="The rank among the vocabulary read alone too, which is made where it is missing."
    )

    @property
    def needs_alone(self) -> What | None:
        """The streams, for the rank among them."""
        return "streams" if self.isolated else None


class MixingAsk(ByHeadAsk):
    """How much of every layer's output comes from other positions."""

    token: Token | None = Field(
        default=None, description="With html: the token at which it is laid out; null: the mean over all."
    )


class GlanceAsk(LaidOutAsk):
    """Every head of the text in five numbers."""


class EffectsAsk(ByHeadAsk):
    """What the model's output at a token loses without each head: as many forward passes as there are heads."""

    token: Token = Field(default=defaults.TOKEN, description="A position, or the text of one token.")
    replaced_by: Replacement = Field(
        default="zero", description='What takes the place of z: zeros, or its mean ("mean").'
    )


class RemovedAsk(LaidOutAsk):
    """What the model's output at a token loses without each head of a layer: a forward pass a head, and one."""

    token: Token = Field(default=defaults.TOKEN, description="A position, or the text of one token.")
    layer: int = Field(default=0, ge=0, description="From 0.")
    replaced_by: Replacement = Field(
        default="zero", description='What takes the place of z: zeros, or its mean ("mean").'
    )


class NearestAsk(AtlasAsk):
    """For each head of a layer, what its output at a token is nearest to."""

    vector: Vector = Field(default="z", description="What the head's side is: its output z, or its q, k or v.")
    at: int | None = Field(
        default=None, ge=0, description="The position at which the vocabulary stands; null: the token's own."
    )
    layer: int = Field(default=0, ge=0, description="From 0.")
    k: int = Field(default=defaults.K, ge=1, description="How many neighbours.")
    positions: int | None = Field(default=None, ge=1, description="How many positions each head lists; null: all.")

    @property
    def question(self) -> Question:
        """What is asked of the heads of the layer; InputError for choices that do not go together."""
        return replace(self.of_all_layers, layer=self.layer, vector=self.vector, at=self.at, k=self.k)


class BackgroundAsk(NearestAsk):
    """What other texts' outputs say of an answer: hub-aware neighbours, and chance."""


class WhyAsk(NearestAsk):
    """Why one token is near in one head: its score, split over the source positions."""

    head: int = Field(default=0, ge=0, description="From 0.")
    id: int = Field(ge=0, description="The vocabulary id of the token that is asked about.")


class WorkedAsk(NearestAsk):
    """One distance worked out: q·k, softmax, the mix of the values, the distance."""

    head: int = Field(default=0, ge=0, description="From 0.")
    id: int | None = Field(default=None, ge=0, description="A vocabulary id; null: the head's nearest token.")


class OpenAsk(BaseModel):
    """Open a model beside those that are open; the answer's name is what questions ask for it by."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=300,
        description="Hub id or directory; null: the base that the adapter names.",
        examples=["demo"],
    )
    adapter: str | None = Field(
        default=None, min_length=1, max_length=300, description="Directory of a PEFT adapter that is put onto it."
    )
    quantize: Quantize | None = Field(
        default=None, description="Weights of projections packed by bitsandbytes as they are loaded."
    )

    @property
    def name(self) -> str:
        """What is to be opened, in one line; InputError where nothing is named."""
        name = ModelChoice(self.model, adapter=self.adapter, quantize=self.quantize).spelled
        if (self.model is None and self.adapter is None) or name is None:
            raise InputError("name a model, or an adapter, which names its base.")
        return name


class SurveyAsk(BaseModel):
    """Open a finished survey of the server's own model."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    directory: str = Field(min_length=1, max_length=1000, description="On the server's machine.", examples=["survey"])


class UsualAsk(BaseModel):
    """How the heads of a layer usually behave: the figures of the survey that is open."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    layer: int = Field(default=0, ge=0, description="From 0.")
    space: Space = "value"
    reference: Reference | None = Field(default=None, description=f"null: {defaults.REFERENCE}.")
    metric: Metric = "cosine"
    position: bool = True
    candidates: Candidates = "all"
    vector: Vector = "z"
    mask: Mask = "model"
    html: bool = Field(default=False, description="The figures as tables, too: `html` in the answer.")


class FiguresAsk(UsualAsk):
    """The survey that is open as the page shows it: by layer, and every head in one of its figures."""

    figure: Figure = "in_text"


class Other(BaseModel):
    """What differs on the other side of a comparison; what is null is as on the first."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    mask: Mask | None = None
    reference: Reference | None = None
    text: Text | None = Field(
        default=None, description="Another text; the token is its first that equals the token of the first side."
    )
    model: str | None = Field(
        default=None, min_length=1, max_length=MODEL_NAME, description="Another with the same tokens."
    )


class CompareAsk(NearestAsk):
    """For each head of a layer, two answers side by side: under two masks, references, in two texts or models."""

    other: Other = Field(default=Other(), description="What differs on the other side.")

    @property
    def needs_alone(self) -> What | None:
        """The values, where one of the sides has the reference isolated."""
        return super().needs_alone or self.other_side().needs_alone

    def other_side(self) -> NearestAsk:
        """The question of the other side; of another text, the token is still to be found."""
        passage = self.passage if self.other.text is None else self.passage.saying(self.other.text)
        differs = self.other.model_dump(exclude_none=True, exclude={"text"})
        return NearestAsk(**self.model_dump(exclude={"other", *FIELDS}) | passage.given | differs)


def values_of(reference: Reference | None, space: Space) -> What | None:
    """What of the tokens read alone a reference needs in a space."""
    return "values" if reference == "isolated" and "isolated" in OPEN_REFERENCES[space] else None


def example(kind: type[BaseModel], **given: Any) -> dict[str, Any]:
    """A request that the documentation shows: the defaults, and what is `given`."""
    left_out = {"model"} - set(given)
    return {"summary": kind.__doc__, "value": kind(**given).model_dump(exclude=left_out)}
