"""What a survey says of heads and layers in words: a claim only where both contrasts are sure."""

from __future__ import annotations

import pytest
import torch

from headscope import Scope
from headscope.studies.survey.headline import AS_SHARP, Over, OverBoth
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.report.three_lines import of_directory
from headscope.studies.survey.said import said, sentence
from tests.studies.survey.corpora import sentences, surveyed, written
from tests.studies.survey.test_planted_within import ELSEWHERE, EVERYWHERE, OWN, PREVIOUS, claimed, planted

CLAIMS = ("writes what it attends to", "keeps its own token", "write what they attend to", "keep their own token")
SURE = Over(0.12, 0.09, 0.15, 0.001, 0.001, 0.04)
BELOW = Over(-0.12, -0.15, -0.09, 0.001, 1.0, 0.04)
OPEN = Over(0.01, -0.05, 0.07, 0.7, 0.35, 0.06)
TEXTS = {"texts": 60}


def test_both_contrasts_make_a_claim():
    assert sentence({"carry": OverBoth(SURE, SURE)}, TEXTS, of_layer=False) == (
        "This head writes what it attends to, more than even attention and untrained twins would. Over 60 texts: Carry "
        "+.12 [+.09, +.15] above even attention, and +.12 [+.09, +.15] above the heads of this layer in five untrained "
        "twins. Attention as sharp over random values may be above both as well: that is not measured."
    )
    both = {"carry": OverBoth(SURE, SURE), "own": OverBoth(SURE, SURE)}
    assert "On average its heads write what they attend to and keep their own token" in sentence(both, TEXTS, True)


def test_twins_that_attend_as_it_does_tell_whether_attention_alone_may_bring_it():
    def told(carry, own, of_layer=False):
        held = {"carry": OverBoth(SURE, SURE, values=carry), "own": OverBoth(SURE, SURE, values=own)}
        words = sentence(held, TEXTS, of_layer)
        assert AS_SHARP not in words
        assert words.count("above the heads of this layer in five untrained twins; ") == 1
        return words.rpartition(" above those heads. ")[2]

    twins = "over five such twins that attend as it does, Carry +"
    assert told(SURE, OPEN) == (
        "Its attention alone does not bring Carry, and may bring Own within the text: "
        f"{twins}.12 [+.09, +.15], Own within the text +.01 [−.05, +.07]."
    )
    assert told(SURE, SURE).startswith(f"Its attention alone does not bring that: {twins}")
    assert told(OPEN, BELOW).startswith(f"Its attention alone may bring as much: {twins}")
    assert told(SURE, SURE, True).startswith("Their attention alone does not bring that: over five such twins that")
    # What is not claimed needs no such word.
    open_one = sentence({"carry": OverBoth(SURE, OPEN, values=SURE)}, TEXTS, of_layer=False)
    assert "attention alone" not in open_one


@pytest.mark.parametrize("other", [None, BELOW, OPEN, Over(0.0, -0.01, 0.01, 0.9, 0.5, 0.02)])
def test_one_alone_makes_none(other):
    for over in (OverBoth(SURE, other), *([] if other is None else [OverBoth(other, SURE)])):
        words = sentence({"carry": over, "own": over}, TEXTS, of_layer=False)
        assert "nothing is claimed" in words
        assert not any(claim in words for claim in CLAIMS)
    assert ("any mixing is above even attention" in words) == (other is None)
    assert "more than any mixing" not in words.lower()


@pytest.mark.slow
def test_planted_heads_get_their_claims_and_the_others_none(tmp_path):
    path = written(tmp_path / "t.txt", sentences(40, seed=5, least=7, most=7))
    survey = open_survey(surveyed(planted(), path, tmp_path / "s", ("random",), references=("layer",)))
    (view,) = survey.views
    words = said(survey, view)
    assert "writes what it attends to and keeps its own token" in words[0, OWN]
    assert "writes what it attends to, more" in words[0, PREVIOUS]
    for head in (EVERYWHERE, ELSEWHERE):  # the second writes something else than what it attends to
        assert not any(claim in words[0, head] for claim in CLAIMS), words[0, head]
    assert {layer for layer, head in words if head is None} == set(range(survey.layers))


@pytest.mark.slow
def test_an_untrained_model_gets_no_claim_from_its_own_survey(scope_of, tmp_path):
    path = written(tmp_path / "t.txt", sentences(40, seed=6))
    directory = surveyed(scope_of("bert").randomised(77), path, tmp_path / "s", ("random",))
    survey = open_survey(directory)
    assert claimed(directory) == set()
    told = [words for view in survey.views for words in said(survey, view).values()]
    assert told
    assert not any(claim in words for words in told for claim in CLAIMS)


def sharp(scope: Scope) -> Scope:
    """An untrained network with sharp attention: nothing that its heads write is changed."""
    with torch.no_grad():
        for layer in scope.bench.opened.model.encoder.layer:
            layer.attention.self.query.weight.mul_(20)
            layer.attention.self.key.weight.mul_(20)
    return Scope.from_model(scope.bench.opened.model, scope.bench.opened.names.tokenizer)


@pytest.mark.slow
def test_random_values_under_a_sharp_attention_are_above_both_and_not_above_twins_that_attend_so(scope_of, tmp_path):
    path = written(tmp_path / "t.txt", sentences(40, seed=6))
    options = {"references": ("layer",)}
    directory = surveyed(sharp(scope_of("bert").randomised(77)), path, tmp_path / "s", ("random",), **options)

    def told():
        survey = open_survey(directory)
        return [*said(survey, survey.views[0]).values(), *of_directory(directory)]

    words = told()
    shown = [any(claim in one for claim in CLAIMS) or one.startswith("Stands out") for one in words]
    assert sum(shown) > 1  # it is above both
    for one, claimed_there in zip(words, shown, strict=True):
        assert "any mixing" not in one
        assert "training" not in one
        assert (AS_SHARP in one) == claimed_there
    surveyed(sharp(scope_of("bert").randomised(77)), path, directory, ("values",), **options)
    for one, claimed_there in zip(told(), shown, strict=True):
        assert AS_SHARP not in one
        assert ("attention alone may bring as much" in one) == claimed_there
        assert "does not bring" not in one


@pytest.mark.slow
def test_without_twins_nothing_is_claimed_of_a_head_that_copies(tmp_path):
    path = written(tmp_path / "t.txt", sentences(40, seed=5, least=7, most=7))
    survey = open_survey(surveyed(planted(), path, tmp_path / "s", references=("layer",)))
    words = said(survey, survey.views[0])
    assert "above even attention" in words[0, OWN]
    assert "Untrained twins were not measured" in words[0, OWN]
    assert not any(claim in one for one in words.values() for claim in CLAIMS)
