"""What a survey is asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from headscope.errors import InputError
from headscope.question.choices import (
    CANDIDATES,
    FORMATS,
    MASKS,
    METRICS,
    NULLS,
    OPEN_REFERENCES,
    REFERENCES,
    SPACES,
    Candidates,
    Format,
    Mask,
    Metric,
    Null,
    Reference,
    Space,
    one_of,
)
from headscope.question.given import in_order, number

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
        for name in ("spaces", "references", "metrics", "masks"):
            object.__setattr__(self, name, tuple(in_order(getattr(self, name), name)))
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
        for name, least in (("sample", 1), ("shard_positions", 2), ("seed", 0)):
            given = getattr(self, name)
            if given is not None or name != "sample":
                plain = number(given, range(least, sys.maxsize), f"{name} is {given!r}; it is a number from {least}.")
                object.__setattr__(self, name, plain)

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


def checked_nulls(nulls: Iterable[str]) -> tuple[Null, ...]:
    """The nulls that are named; InputError for one that there is not."""
    named = tuple(in_order(nulls, "nulls"))
    for null in named:
        one_of("null", null, NULLS)
    return named
