"""What answers about the way through the layers say as plain lists and numbers; see `records`."""

from __future__ import annotations

from typing_extensions import NotRequired, TypedDict

from headscope.question.choices import Replacement
from headscope.reading.records import TokenRecord
from headscope.reading.words import WordClass


class JourneyTokenRecord(TokenRecord):
    """A token, and one number for each stage; `overlap` has one less."""

    word_class: WordClass
    own_rank: list[int]
    own_cosine: list[float | None]
    isolated_rank: list[int] | None
    isolated_cosine: list[float | None]
    norm: list[float | None]
    overlap: list[float | None]


class PlotRecord(TypedDict):
    """How a number of every token is plotted: its name, what it means, and whether its scale is logarithmic."""

    name: str
    says: str
    log: bool


class JourneyRecord(TypedDict):
    """What becomes of every token's residual stream, stage by stage; `plots`: by the numbers' names."""

    schema: int
    stages: list[str]
    use_position: bool
    norms_input: bool
    k: int
    notes: list[str]
    plots: dict[str, PlotRecord]
    tokens: list[JourneyTokenRecord]


class MixingKindRecord(TypedDict):
    kind: str
    name: str
    says: str


class MixingHeadRecord(TypedDict):
    head: int
    weights: list[float | None]
    norms: list[float | None]


class MixingLayerRecord(TypedDict):
    """A layer's ratios: the mean of each kind; and for each position, null where there is none."""

    layer: int
    means: dict[str, float | None]
    norms_all: list[float | None]
    residual: list[float | None]
    layernorm: list[float | None]
    heads: list[MixingHeadRecord]


class MixingRecord(TypedDict):
    """How much comes from other positions, from bare weights to what leaves the norm."""

    schema: int
    tokens: list[TokenRecord]
    notes: list[str]
    kinds: list[MixingKindRecord]
    layers: list[MixingLayerRecord]


class GlanceHeadRecord(TypedDict):
    layer: int
    head: int
    entropy: float | None
    on_own: float | None
    on_previous: float | None
    on_special: float | None
    strength: float | None


class GlanceRecord(TypedDict):
    """Every head of the text in five numbers; null where the text cannot tell."""

    schema: int
    notes: list[str]
    heads: list[GlanceHeadRecord]


class EffectRecord(TypedDict):
    """What the output loses without a head; `kl` and `own_logit` only with a language-model head."""

    layer: int
    head: int
    moved: float | None
    kl: NotRequired[float | None]
    own_logit: NotRequired[float | None]


class EffectsRecord(TypedDict):
    """What the model's output at a token loses without each head."""

    schema: int
    selected: int
    replaced_by: Replacement
    notes: list[str]
    heads: list[EffectRecord]


class RemovedRecord(EffectsRecord):
    """The same of one layer's heads; `says`: a sentence a head."""

    layer: int
    says: list[str]
