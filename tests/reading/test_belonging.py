"""What a reading is asked about an answer: only of its own, or of one that read the same alike."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
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
        ({"edit": {(0, 1): torch.zeros_like}}, "with other edits"),
    ],
)
def test_another_readings_answer_is_refused_and_so_is_one_that_was_saved(ask, other, said, scope_of):
    scope = scope_of("bert")
    reading, there = scope.read(zoo.TEXT), scope.read(**{"text": zoo.TEXT} | other)
    assert there.tokens[TOKEN] == reading.tokens[TOKEN], "the same token is at the same place"
    found = answer(there, ask)
    once = pickle.loads(pickle.dumps(found))
    for one in (found, once, pickle.loads(pickle.dumps(once))):
        with pytest.raises(InputError, match=said):
            ASKS[ask](reading, one)


def test_another_models_answer_is_refused_and_so_is_one_that_was_saved(scope_of):
    scope = scope_of("bert")
    near = scope.randomised(1).read(zoo.TEXT).nearest(TOKEN, LAYER, k=3)
    for one in (near, pickle.loads(pickle.dumps(near))):
        with pytest.raises(InputError, match="other weights"):
            scope.read(zoo.TEXT).why(one, 1, 3)


@pytest.mark.parametrize(("one", "other"), [(torch.zeros(8), torch.ones(8)), (torch.zeros_like, torch.ones_like)])
def test_edits_at_one_place_are_told_apart(one, other, scope_of):
    reading, there = (scope_of("bert").read(zoo.TEXT, edit={(0, 1): edit}) for edit in (one, other))
    with pytest.raises(InputError, match="with other edits"):
        reading.why(there.nearest(TOKEN, LAYER, k=3), 1, 3)


def test_what_is_saved_of_an_answer_has_no_text_that_the_answer_has_not(scope_of):
    near = scope_of("bert").read(zoo.TEXT).nearest(TOKEN, LAYER, k=3)
    kept = pickle.dumps(near)
    assert len(kept) < len(pickle.dumps(replace(near, asking=None))) + 600, "and it stays small"
    assert zoo.TEXT.encode() not in kept


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("ask", ASKS)
def test_a_copy_is_of_the_same_reading(ask, copied, scope_of):
    reading = scope_of("bert").read(zoo.TEXT)
    found = answer(reading, ask)
    repr(ASKS[ask](reading, found))  # what it has worked out by now is no field
    again = copied(found)
    assert again is not found
    assert again.asking.reading is reading, "which holds the model, and is not copied"
    assert (again.ids is found.ids) == (copied is copy.copy)
    assert repr(ASKS[ask](reading, again)) == repr(ASKS[ask](reading, found))
    if ask == "why":
        assert repr(again.why(1, 3)) == repr(found.why(1, 3))


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
