"""Answers know what they are of, so that a file can say it, and hold what they say elsewhere in the text."""

from __future__ import annotations

import pickle
from html import unescape
from typing import Any

import pytest
import zoo

from headscope import InputError, Scope, __version__
from headscope.reading.offers import offers
from headscope.reading.reading import VIEWS, Reading
from tests.show.held import answers, held

FOLLOWS = {"attention": ["token", "layer"], "atlas": ["token"], "written": ["layer", "head"], "mixing": ["token"]}


@pytest.fixture(scope="module")
def reading(scope_of: Any) -> Reading:
    scope: Scope = scope_of("bert")
    return scope.read(zoo.TEXT)


@pytest.mark.parametrize("name", sorted(offers()))
def test_every_answer_says_in_its_file_which_model_read_which_text(reading: Reading, name: str) -> None:
    found = offers()[name].asked(reading, {"layer": 1})
    assert found.asking is not None, "Reading wraps what it answers in _told"
    assert found.asking.reading is reading
    said, card = unescape(found.to_html()), reading.bench.card
    assert f"Model: {card.name}; {card.shape}; weights SHA-256 {card.weights_sha256}. Mask: model." in said
    assert f"headscope {__version__}" in said
    assert f'<blockquote dir="auto">{zoo.TEXT}</blockquote>' in said


@pytest.mark.parametrize("name", FOLLOWS)
def test_an_answer_follows_what_it_can_be_asked_by(reading: Reading, name: str) -> None:
    assert held(offers()[name].asked(reading, {}).to_html())["parts"] == [FOLLOWS[name]]


def test_the_file_has_what_the_library_answers_elsewhere(reading: Reading) -> None:
    file = answers(reading.nearest(2, layer=1, space="output", metric="dot", k=4).to_html())
    elsewhere = reading.nearest(5, layer=2, space="output", metric="dot", k=4)
    assert elsewhere.sheets()[0].caption in unescape(file["0.5.2"]["html"])
    for id in elsewhere.ids.flatten().tolist():
        assert f'data-id="{id}"' in file["0.5.2"]["html"]
    assert len(file) == len(reading.tokens) * reading.bench.card.layers


def test_an_answer_about_several_tokens_stands_still(reading: Reading) -> None:
    assert held(reading.nearest([1, 2]).to_html())["parts"] == [[]]


def test_what_was_pickled_knows_its_numbers_alone(reading: Reading) -> None:
    found = reading.atlas(2)
    loaded = pickle.loads(pickle.dumps(found))
    assert loaded.asking is None
    assert loaded.to_dict() == found.to_dict()
    assert "Model:" not in loaded.to_html()
    assert found.nbytes == pytest.approx(loaded.nbytes, rel=0.2)


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_text_a_frame_and_a_file(reading: Reading, view: str, tmp_path: Any) -> None:
    shown = reading.show(view, token=2, layer=1)
    told = shown._repr_html_()
    assert str(shown) == repr(shown) == "\n".join(str(one) for one in shown.answers)
    assert told.startswith('<iframe sandbox="allow-scripts" ')
    assert told.count("<iframe") == 1
    source = told.split('srcdoc="')[1].split('"')[0]
    assert unescape(source) == shown.to_html() == shown.save(tmp_path / "x.html").read_text("utf-8")
    outside = told.split("</iframe>")[1]
    assert "<script" not in outside
    assert outside.count("<table") == sum(len(one.sheets()) for one in shown.answers)


def test_what_is_no_view_is_refused(reading: Reading, tmp_path: Any) -> None:
    with pytest.raises(InputError, match="no view 'map'; open: heads, atlas"):
        reading.show("map")
    with pytest.raises(InputError, match=r"saved as \.html"):
        reading.show("attention").save(tmp_path / "x.pdf")


@pytest.mark.parametrize(
    ("view", "choice", "said"),
    [
        ("attention", {"space": "output"}, "the view attention has no space: leave space='output' out"),
        ("attention", {"metric": "nonsense"}, "the view attention has no metric: leave metric='nonsense' out"),
        ("attention", {"position": False}, "the view attention has no position: leave position=False out"),
        ("attention", {"position": "off"}, "position is True or False, not 'off'"),
        ("journey", {"reference": "input"}, "the view journey has no reference: leave reference='input' out"),
        ("journey", {"layer": 99}, "there is no layer 99"),
        ("atlas", {"layer": "x"}, "there is no layer 'x'"),
        ("written", {"token": 99}, "there is no position 99"),
    ],
)
def test_a_choice_that_a_view_has_not_is_refused(
    reading: Reading, view: str, choice: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        reading.show(view, **choice)
