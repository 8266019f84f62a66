"""Whether an answer is a reading's own: what a reading is asked about one is of that very reading, or of an equal."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, equal

from headscope.errors import InputError, cut
from headscope.model.capture.edits import Edits
from headscope.model.tokens import Token
from headscope.reading.answer import Answer
from headscope.reading.atlas import Atlas
from headscope.reading.captured import Captured
from headscope.reading.nearest import Neighbors

A = TypeVar("A", Neighbors, Atlas)


def own(captured: Captured, answer: object, kind: type[A]) -> A:
    """The answer, where it is of a kind and of this reading; InputError for any other.

    One that was loaded from a file has no reading: it fits where its tokens are.
    """
    if not isinstance(answer, kind):
        asked = "an atlas" if kind is Atlas else "an answer of nearest"
        raise InputError(f"this is asked of {asked}, not of {type(answer).__name__} {cut(answer)!r}.")
    for token in _tokens(answer):
        if token not in captured.tokens:
            raise InputError(f"the answer is about {token.label}, which this reading does not have there.")
    differs = None if answer.asking is None else _difference(captured, answer.asking.reading)
    if differs:
        raise InputError(f"the answer is of a reading {differs}: ask the one that gave it, or this one anew.")
    return answer


def _tokens(answer: Answer) -> tuple[Token, ...]:
    return answer.tokens if isinstance(answer, Neighbors) else (answer.token,) if isinstance(answer, Atlas) else ()


def _difference(one: Captured, other: Captured) -> str | None:
    """What tells another reading from this one, in a few words; None where both have read the same alike."""
    here, there = one.input, other.input
    alike = {
        "of other tokens": (here.ids, tuple(here.types)) == (there.ids, tuple(there.types)),
        "under another mask": here.mask == there.mask,
        "with other edits": _same_edits(here.edit, there.edit),
        "whose encoder read another text": here.context == there.context,
        "by another model, or with other weights": _same_model(one, other),
    }
    return next((said for said, same in alike.items() if not same), None)


def _same_edits(one: Edits, other: Edits) -> bool:
    return list(one) == list(other) and all(  # in their order, in which they are made
        _same_tensor(was, now) if isinstance(was, Tensor) and isinstance(now, Tensor) else was == now
        for was, now in zip(one.values(), other.values(), strict=True)
    )


def _same_tensor(one: Tensor, other: Tensor) -> bool:
    return (one.shape, one.dtype) == (other.shape, other.dtype) and equal(one.cpu(), other.cpu())


def _same_model(one: Captured, other: Captured) -> bool:
    if one.bench is other.bench:
        return True
    here, there = one.bench.card, other.bench.card
    return type(one.bench) is type(other.bench) and (here.weights_sha256, here.dtype, here.arithmetic) == (
        there.weights_sha256,
        there.dtype,
        there.arithmetic,
    )
