"""Which spaces, references and metrics there are, and which of them can be combined."""

from __future__ import annotations

from typing import Literal, get_args

from headscope.errors import InputError
from headscope.neighbors import METRICS

Space = Literal["value"]
Reference = Literal["input", "layer"]
Candidates = Literal["all", "words"]
SPACES: tuple[Space, ...] = get_args(Space)
REFERENCES: tuple[Reference, ...] = get_args(Reference)
CANDIDATES: tuple[Candidates, ...] = get_args(Candidates)


def check(space: str, reference: str, metric: str, candidates: str = "all") -> None:
    """Raise InputError, with the open choices, where one of these is not to be had.

    >>> check("value", "input", "manhattan")
    Traceback (most recent call last):
    headscope.errors.InputError: there is no metric 'manhattan'; open: cosine, euclidean, dot.
    """
    one_of("space", space, SPACES)
    one_of("reference", reference, REFERENCES)
    one_of("metric", metric, METRICS)
    one_of("candidates", candidates, CANDIDATES)


def one_of(kind: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise InputError where `value` is none of `choices`."""
    if value not in choices:
        raise InputError(f"there is no {kind} {value!r}; open: {', '.join(choices)}.")
