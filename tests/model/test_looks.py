"""A question looks at its model once, as long as that look is young; the next question looks anew."""

from __future__ import annotations

import threading

import pytest

from headscope import Scope
from headscope.model import looks
from headscope.model.looks import Looks, one_look


@pytest.fixture
def opened(build, monkeypatch):
    """Opens a model; a look at it stays young."""
    monkeypatch.setattr(looks, "_YOUNG", 600.0)
    return lambda: Scope.from_model(*build("bert")).bench.opened  # its bench looks, too


@pytest.fixture
def model(opened):
    return opened()


def change(model):
    """As no count of torch's shows it."""
    next(model.model.parameters()).data.mul_(1.5)


@pytest.mark.parametrize("ask", ["changed", "moved"])
@pytest.mark.parametrize("look", ["changed", "moved"])
def test_what_changes_a_model_after_a_questions_look_is_seen_by_the_next_question(model, look, ask):
    with one_look(Looks()):
        assert not getattr(model.freshness, look)()
        change(model)
        assert not getattr(model.freshness, ask)()
    with one_look(Looks()):
        assert getattr(model.freshness, ask)()
    assert getattr(model.freshness, ask)()


def test_outside_of_a_question_every_look_is_one(model):
    assert not model.freshness.changed()
    change(model)
    assert model.freshness.changed()


def test_a_look_that_sees_a_change_does_not_count(model):
    with one_look(Looks()):
        change(model)
        assert model.freshness.moved()
        assert model.freshness.moved()
        assert model.freshness.changed()


def test_each_of_several_models_has_a_look_of_its_own(model, opened):
    other = opened()
    with one_look(Looks()):
        assert not model.freshness.changed()
        change(other)
        assert other.freshness.changed()
        assert not model.freshness.changed()


def test_a_look_goes_with_its_question_to_another_thread(model):
    mine, found = Looks(), []
    with one_look(mine):
        assert not model.freshness.moved()
    change(model)

    def work(own):
        with one_look(own):
            found.append(model.freshness.moved())

    for own in (mine, Looks()):
        thread = threading.Thread(target=work, args=(own,))
        thread.start()
        thread.join()
    assert found == [False, True]


def test_a_look_grows_old(model, monkeypatch):
    with one_look(Looks()):
        assert not model.freshness.changed()
        change(model)
        monkeypatch.setattr(looks, "_YOUNG", 0.0)
        assert model.freshness.changed()
