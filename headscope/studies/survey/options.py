"""What a survey is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headscope.corpus.asked import CorpusOptions, refuse_unnamed
from headscope.corpus.census import SHARD_POSITIONS
from headscope.errors import InputError
from headscope.question.choices import (
    CANDIDATES,
    MASKS,
    METRICS,
    NULLS,
    OPEN_REFERENCES,
    REFERENCES,
    SPACES,
    Candidates,
    Mask,
    Metric,
    Null,
    Reference,
    Space,
    one_of,
)
from headscope.question.given import in_order


@dataclass(frozen=True)
class SurveyOptions(CorpusOptions):
    """The choices of a survey; two runs with the same options, texts, model and versions give the same figures.

    `stream`: measure the residual streams too. `shard_positions`: about how many tokens a shard has. The other choices
    are those of `CorpusOptions` and of `Reading.nearest`. Raises InputError for choices that do not go together.

    >>> options = SurveyOptions(spaces=("value", "embedding"), references=("layer",), sample=200)
    >>> list(options.views())  # the space embedding has no references
    [('value', 'layer'), ('embedding', None)]
    """

    spaces: tuple[Space, ...] = ("value",)
    references: tuple[Reference, ...] = ("input", "layer")
    metrics: tuple[Metric, ...] = ("cosine",)
    masks: tuple[Mask, ...] = ("model",)
    position: bool = True
    candidates: Candidates = "all"
    stream: bool = False
    shard_positions: int = SHARD_POSITIONS

    def __post_init__(self) -> None:
        for name in ("spaces", "references", "metrics", "masks"):
            object.__setattr__(self, name, tuple(in_order(getattr(self, name), name)))
        for kind, values, choices in (
            ("space", self.spaces, SPACES),
            ("reference", self.references, REFERENCES),
            ("metric", self.metrics, METRICS),
            ("mask", self.masks, MASKS),
        ):
            refuse_unnamed(kind, values, choices)
        one_of("candidates", self.candidates, CANDIDATES)
        if "fitted" in self.spaces:
            raise InputError("a survey does not measure the space fitted: what a lens is worth, its own scores say.")
        if "unembedding" in self.spaces and self.metrics != ("cosine",):
            raise InputError(
                "in the space unembedding a survey measures cosine only: the scale of its logits is a position's own."
            )
        for space in self.spaces:
            if OPEN_REFERENCES[space] and not {*OPEN_REFERENCES[space]} & {*self.references}:
                raise InputError(f"the space {space} has none of the references {', '.join(self.references)}.")
        super().__post_init__()
        self._count("shard_positions", 2)
        for name in ("position", "stream"):
            self._switch(name)

    def views(self) -> Iterator[tuple[Space, Reference | None]]:
        """Every space with each of its references; None where it has none."""
        for space in self.spaces:
            open_ones = [reference for reference in self.references if reference in OPEN_REFERENCES[space]]
            yield from ((space, reference) for reference in open_ones)
            if not open_ones:
                yield space, None


def checked_nulls(nulls: Iterable[str]) -> tuple[Null, ...]:
    """The nulls that are named; InputError for one that there is not."""
    named = tuple(in_order(nulls, "nulls"))
    for null in named:
        one_of("null", null, NULLS)
    return named
