"""Which spaces, references, vectors and metrics there are, and which of them can be combined."""

from __future__ import annotations

from typing import Literal, get_args

from headscope.errors import InputError, cut
from headscope.neighbors import METRICS
from headscope.question import defaults

Space = Literal["value", "output", "key", "query", "embedding", "unembedding", "fitted"]
Reference = Literal["input", "layer", "isolated"]
Vector = Literal["z", "q", "k", "v"]
Candidates = Literal["all", "words"]
SPACES: tuple[Space, ...] = get_args(Space)
REFERENCES: tuple[Reference, ...] = get_args(Reference)
CANDIDATES: tuple[Candidates, ...] = get_args(Candidates)
VECTORS: tuple[Vector, ...] = get_args(Vector)

OPEN_REFERENCES: dict[Space, tuple[Reference, ...]] = {
    "value": ("input", "layer", "isolated"),
    "output": ("input", "layer", "isolated"),
    "key": ("input", "layer"),
    "query": ("input", "layer"),
    "embedding": (),
    "unembedding": (),
    "fitted": (),
}
OPEN_VECTORS: dict[Space, tuple[Vector, ...]] = {
    "value": ("z", "v"),
    "output": ("z", "v"),
    "key": ("z", "k", "q"),
    "query": ("z", "q", "k"),
    "embedding": ("z", "v"),
    "unembedding": ("z", "v"),
    "fitted": ("z",),
}


def check(space: str, reference: str | None, metric: str, candidates: str = "all", vector: str = "z") -> None:
    """Raise InputError, with the open choices, where one of these is not to be had, or not with the others.

    `reference` None leaves the choice to the space.

    >>> check("value", "input", "manhattan")
    Traceback (most recent call last):
    headscope.errors.InputError: there is no metric 'manhattan'; open: cosine, euclidean, dot.
    >>> check("embedding", "layer", "dot")
    Traceback (most recent call last):
    headscope.errors.InputError: the space embedding has no reference 'layer'; leave the reference out.
    """
    one_of("space", space, SPACES)
    one_of("metric", metric, METRICS)
    one_of("candidates", candidates, CANDIDATES)
    vectors, references = OPEN_VECTORS[space], OPEN_REFERENCES[space]  # type: ignore[index]
    if reference is not None:
        one_of("reference", reference, REFERENCES)
        if reference not in references:
            raise InputError(
                f"the space {space} has no reference {reference!r}; "
                + (f"open: {', '.join(references)}." if references else "leave the reference out.")
            )
    one_of("vector", vector, VECTORS)
    if vector not in vectors:
        raise InputError(f"{vector} is not compared in the space {space}; open: {', '.join(vectors)}.")


def resolved(space: Space, reference: Reference | None) -> Reference | None:
    """The reference that is meant: what was asked for, else the default where the space has references.

    >>> resolved("value", None), resolved("value", "input"), resolved("embedding", None)
    ('layer', 'input', None)
    """
    return reference or (defaults.REFERENCE if OPEN_REFERENCES[space] else None)


def one_of(kind: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise InputError where `value` is none of `choices`."""
    if value not in choices:
        raise InputError(f"there is no {kind} {cut(value)!r}; open: {', '.join(choices)}.")
