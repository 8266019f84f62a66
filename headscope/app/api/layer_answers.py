"""The shapes of the answers about the way through the layers."""

from __future__ import annotations

from headscope.app.api.answers import Answer, TokenOut
from headscope.reading.words import WordClass


class JourneyTokenOut(TokenOut):
    """A token, and one number for each stage; `overlap` has one less."""

    word_class: WordClass
    own_rank: list[int]
    own_cosine: list[float | None]
    isolated_rank: list[int] | None
    isolated_cosine: list[float | None]
    norm: list[float | None]
    overlap: list[float | None]


class JourneyOut(Answer):
    """What becomes of every token's residual stream, stage by stage."""

    stages: list[str]
    use_position: bool
    norms_input: bool
    k: int
    notes: list[str]
    tokens: list[JourneyTokenOut]


class MixingKindOut(Answer):
    kind: str
    name: str
    says: str


class MixingHeadOut(Answer):
    head: int
    weights: list[float | None]
    norms: list[float | None]


class MixingLayerOut(Answer):
    """A layer's ratios: the mean of each kind; and for each position, null where there is none."""

    layer: int
    means: dict[str, float | None]
    norms_all: list[float | None]
    residual: list[float | None]
    layernorm: list[float | None]
    heads: list[MixingHeadOut]


class MixingOut(Answer):
    """How much comes from other positions, from bare weights to what leaves the norm."""

    notes: list[str]
    kinds: list[MixingKindOut]
    layers: list[MixingLayerOut]


class GlanceHeadOut(Answer):
    layer: int
    head: int
    entropy: float
    on_own: float
    on_previous: float | None
    on_special: float
    strength: float


class GlanceOut(Answer):
    """Every head of the text in five numbers."""

    notes: list[str]
    heads: list[GlanceHeadOut]


class EffectHeadOut(Answer):
    """What the output loses without a head; `kl` and `own_logit` only with a language-model head."""

    layer: int
    head: int
    moved: float
    kl: float | None = None
    own_logit: float | None = None


class EffectsOut(Answer):
    """What the model's output at a token loses without each head."""

    selected: int
    replaced_by: str
    notes: list[str]
    heads: list[EffectHeadOut]
