"""What a survey is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from headscope.errors import InputError
from headscope.model.passes import MASKS, Mask
from headscope.neighbors import METRICS, Metric
from headscope.survey.nulls import NULLS
from headscope.survey.texts import FORMATS, Format
from headscope.vocabulary.choices import (
    CANDIDATES,
    OPEN_REFERENCES,
    REFERENCES,
    SPACES,
    Candidates,
    Reference,
    Space,
    one_of,
)

SHARD_POSITIONS = 4096


@dataclass(frozen=True)
class Options:
    """The choices of a survey; two runs with the same options, texts, model and versions give the same figures.

    `sample`: how many texts, drawn with `seed`; None: all. `truncate` cuts texts that are too long, instead of
    leaving them out. `stream`: measure the residual streams too. `shard_positions`: about how many tokens a shard has.
    """

    spaces: tuple[Space, ...] = ("value",)
    references: tuple[Reference, ...] = ("input", "layer")
    metrics: tuple[Metric, ...] = ("cosine",)
    masks: tuple[Mask, ...] = ("model",)
    position: bool = True
    candidates: Candidates = "all"
    sample: int | None = None
    seed: int = 0
    truncate: bool = False
    stream: bool = False
    format: Format | Literal["auto"] = "auto"
    column: str = "text"
    document_column: str = "document"
    shard_positions: int = SHARD_POSITIONS

    def __post_init__(self) -> None:
        for kind, values, choices in (
            ("space", self.spaces, SPACES),
            ("reference", self.references, REFERENCES),
            ("metric", self.metrics, METRICS),
            ("mask", self.masks, MASKS),
        ):
            if not values:
                raise InputError(f"name at least one {kind}; open: {', '.join(choices)}.")
            for value in values:
                one_of(kind, value, choices)
            if len(set(values)) < len(values):
                raise InputError(f"a {kind} is named twice: {', '.join(values)}.")
        one_of("candidates", self.candidates, CANDIDATES)
        one_of("format", self.format, ("auto", *FORMATS))
        if "fitted" in self.spaces:
            raise InputError("a survey does not measure the space fitted: what a lens is worth, its own scores say.")
        if "unembedding" in self.spaces and self.metrics != ("cosine",):
            raise InputError(
                "in the space unembedding a survey measures cosine only: the scale of its logits is a position's own."
            )
        for name, number, least in (
            ("sample", self.sample, 1),
            ("seed", self.seed, 0),
            ("shard_positions", self.shard_positions, 2),
        ):
            if number is not None and number < least:
                raise InputError(f"{name} is {number}; it is a number from {least}.")

    def views(self) -> Iterator[tuple[Space, Reference | None]]:
        """Every space with each of its references; None where it has none."""
        for space in self.spaces:
            open_ones = [reference for reference in self.references if reference in OPEN_REFERENCES[space]]
            if not open_ones and OPEN_REFERENCES[space]:
                raise InputError(f"the space {space} has none of the references {', '.join(self.references)}.")
            yield from ((space, reference) for reference in open_ones)
            if not open_ones:
                yield space, None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the manifest keeps it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def check_nulls(nulls: tuple[str, ...]) -> None:
    """Raise InputError for a null that there is not."""
    for null in nulls:
        one_of("null", null, NULLS)
