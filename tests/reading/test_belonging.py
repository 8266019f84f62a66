"""What a reading is asked about an answer: only of its own, or of one that read the same alike."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import zoo

from headscope.errors import InputError
from headscope.reading.reading import Reading

Ask = Callable[[Reading, Any], object]
OF_NEAREST: dict[str, Ask] = {
    "why": lambda reading, near: reading.why(near, 1, 3),
    "work_out": lambda reading, near: reading.work_out(near, 1, 3),
    "background": lambda reading, near: reading.background(near, reading_bank(reading)),
    "ask_portrait": lambda reading, near: reading.ask_portrait(near),
}
ASKS: dict[str, Ask] = {
    **OF_NEAREST,
    "atlas_chance": lambda reading, atlas: reading.atlas_chance(atlas, reading_bank(reading)),
}
TOKEN, LAYER = 2, 1


def reading_bank(reading: Reading) -> Any:
    """A small bank that fits the reading."""
    from headscope.reading.bank import bank_of, source

    return bank_of(reading.bench, source(None), 20, reading.mask)


def answer(reading: Reading, ask: str) -> Any:
    """What is asked about by that name."""
    return reading.nearest(TOKEN, LAYER, k=3) if ask in OF_NEAREST else reading.atlas(TOKEN)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"text": f"{zoo.TEXT} {zoo.TEXT}"}, "of other tokens"),
        ({"mask": "full"}, "under another mask"),
        ({"edit": {(0, 1): "zero"}}, "with other edits"),
        ({"edit": {(0, 1): torch.zeros(8)}}, "with other edits"),
    ],
)
def test_another_readings_answer_is_refused(ask, other, said, scope_of):
    scope = scope_of("bert")
    reading, there = scope.read(zoo.TEXT), scope.read(**{"text": zoo.TEXT} | other)
    assert there.tokens[TOKEN] == reading.tokens[TOKEN], "the same token is at the same place"
    with pytest.raises(InputError, match=said):
        ASKS[ask](reading, answer(there, ask))


def test_another_models_answer_is_refused(scope_of):
    scope = scope_of("bert")
    near = scope.randomised(1).read(zoo.TEXT).nearest(TOKEN, LAYER, k=3)
    with pytest.raises(InputError, match="other weights"):
        scope.read(zoo.TEXT).why(near, 1, 3)


@pytest.mark.parametrize("ask", ASKS)
def test_an_equal_readings_answer_and_one_that_was_saved_are_taken(ask, scope_of):
    scope = scope_of("bert")
    edit = {(0, 1): torch.zeros(8), (0, "z"): "mean"}
    reading, equal = (scope.read(zoo.TEXT, edit=dict(edit)) for _ in range(2))
    found, own = answer(equal, ask), ASKS[ask](reading, answer(reading, ask))
    assert repr(ASKS[ask](reading, found)) == repr(own)
    assert repr(ASKS[ask](reading, pickle.loads(pickle.dumps(found)))) == repr(own)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("given", ["a text", None, 3])
def test_what_is_no_answer_is_told(ask, given, scope_of):
    with pytest.raises(InputError, match="this is asked of an a"):
        ASKS[ask](scope_of("bert").read(zoo.TEXT), given)


def test_a_portrait_is_of_one_token(scope_of):
    reading = scope_of("bert").read(zoo.TEXT)
    with pytest.raises(InputError, match="one token"):
        reading.ask_portrait(reading.nearest([1, 2], LAYER, k=3))


@pytest.mark.parametrize(
    "ask",
    [
        lambda reading: reading.background(reading.nearest(TOKEN, LAYER, k=3), "texts.txt"),
        lambda reading: reading.atlas_chance(reading.atlas(TOKEN), "texts.txt"),
        lambda reading: reading.standing(TOKEN, LAYER, bank="texts.txt"),
        lambda reading: reading.compare("another text", TOKEN),
        lambda reading: reading.map(LAYER, method="pca", size=50).place("another text"),
    ],
)
def test_a_text_is_no_bank_and_no_reading(ask, scope_of):
    with pytest.raises(InputError, match=r"scope\.(bank|read)"):
        ask(scope_of("bert").read(zoo.TEXT))
