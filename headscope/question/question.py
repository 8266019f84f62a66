"""The question: every choice that an answer is given for, made and checked once, and handed on whole."""

from __future__ import annotations

from dataclasses import dataclass

from headscope.question import defaults
from headscope.question.choices import Candidates, Metric, Reference, Space, Vector, check, resolved
from headscope.question.given import switch


@dataclass(frozen=True)
class Question:
    """What is asked of a text's heads, the same whichever model reads it; what a model has, it checks itself.

    `reference` None becomes the space's default, and stays None where the space has none. `use_position`: whether the
    vocabulary stands where the model counts positions; in an answer, whether that made a difference. `at`: the
    position at which it stands; None: the token's own. Raises InputError for choices that do not go together.

    >>> Question(layer=3).reference, Question(layer=0, space="embedding").reference
    ('layer', None)
    >>> Question(layer=0, metric="manhattan")
    Traceback (most recent call last):
    headscope.errors.InputError: there is no metric 'manhattan'; open: cosine, euclidean, dot.
    """

    layer: int | None  # None: all layers
    space: Space = "value"
    reference: Reference | None = None
    metric: Metric = "cosine"
    use_position: bool = True
    candidates: Candidates = "all"
    vector: Vector = "z"
    at: int | None = None
    k: int = defaults.K

    def __post_init__(self) -> None:
        check(self.space, self.reference, self.metric, self.candidates, self.vector)
        object.__setattr__(self, "reference", resolved(self.space, self.reference))
        object.__setattr__(self, "use_position", switch(self.use_position, "position"))
