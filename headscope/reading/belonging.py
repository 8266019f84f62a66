"""Whether an answer is a reading's own: what a reading is asked about one is of that very reading, or of an equal."""

from __future__ import annotations

from typing import TypeVar

from headscope.errors import InputError, cut
from headscope.model.tokens import Token
from headscope.reading.answer import Answer
from headscope.reading.atlas import Atlas
from headscope.reading.captured import Captured
from headscope.reading.nearest import Neighbors
from headscope.reading.read_as import ReadAs, functions_of, read_as

A = TypeVar("A", Neighbors, Atlas)


def own(captured: Captured, answer: object, kind: type[A]) -> A:
    """The answer, where it is of a kind and of this reading; InputError for any other.

    One that was loaded from a file has no reading, and says how it was read; one of an earlier version does not, and
    fits where its tokens are.
    """
    if not isinstance(answer, kind):
        asked = "an atlas" if kind is Atlas else "an answer of nearest"
        raise InputError(f"this is asked of {asked}, not of {type(answer).__name__} {cut(answer)!r}.")
    for token in _tokens(answer):
        if token not in captured.tokens:
            raise InputError(f"the answer is about {token.label}, which this reading does not have there.")
    differs = _difference(captured, answer)
    if differs:
        raise InputError(f"the answer is of a reading {differs}: ask the one that gave it, or this one anew.")
    return answer


def _tokens(answer: Answer) -> tuple[Token, ...]:
    return answer.tokens if isinstance(answer, Neighbors) else (answer.token,) if isinstance(answer, Atlas) else ()


def _read_as(answer: Answer) -> ReadAs | None:
    """What it is of; None where that is not known, as of an answer that an earlier version kept."""
    return answer.read_as if answer.asking is None else read_as(answer.asking.reading)


def _difference(one: Captured, answer: Answer) -> str | None:
    """What tells the reading of an answer from this one, in a few words; None where both have read the same alike."""
    here, there = read_as(one), _read_as(answer)
    if there is None:
        return None
    same_functions = answer.asking is None or functions_of(one.edit) == functions_of(answer.asking.reading.edit)
    alike = {
        "of other tokens": here.tokens == there.tokens,
        "under another mask": here.mask == there.mask,
        "with other edits": here.edits == there.edits and same_functions,
        "whose encoder read another text": here.context == there.context,
        "by another model, or with other weights": here.model == there.model,
    }
    return next((said for said, same in alike.items() if not same), None)
