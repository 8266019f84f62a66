"""A finished survey's tables as the claims ask for them, and figures that are the survey's own where it has them."""

from __future__ import annotations

import numpy as np
import pytest
import zoo

from headscope import Scope
from headscope.studies.claims.surveyed import Surveyed
from tests.studies.survey.corpora import sentences, statistics, surveyed, written


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    path = written(folder / "t.txt", sentences(20, seed=1), every=2)
    return surveyed(Scope.from_model(*zoo.build("bert")), path, folder / "s", stream=True)


def test_a_mean_is_the_surveys_figure_interval_included(directory):
    survey = Surveyed(directory, "model")
    rows = survey.rows(1, "layer")
    found = survey.sample.mean((rows.own_rank <= 10).astype(float).mean(0))
    told = statistics(directory)
    told = told[
        (told.statistic == "own_at_10") & (told.reference == "layer") & (told.layer == 1) & told["head"].isna()
        & (told.by == "all")
    ].iloc[0]  # fmt: skip
    assert (found.value, found.low, found.high) == pytest.approx((told.value, told.low, told.high), abs=1e-12)


def test_the_outputs_that_tokens_are_held_against_are_found(directory):
    survey = Surveyed(directory, "model")
    tokens, partners, lenders = survey.tokens, survey.lent[""].partners, survey.lent[""].lenders
    groups = survey.sample.groups
    rows = survey.rows(0, "input")
    types = {text: set(tokens["id"][tokens["text"] == text]) for text in set(tokens["text"])}
    pairs = np.argwhere(partners >= 0)
    assert len(pairs) == (tokens["asked"] >= 0).sum() > 0
    for n, slot in pairs:
        other = partners[n, slot]
        assert groups[other] == lenders[n, slot] != groups[n]
        inside = [id in types[tokens["text"][n]] for id in rows.nearest[:, other]]
        assert inside == rows.by_chance[""].in_text[:, n, slot].astype(bool).tolist()


def test_a_kept_figure_is_the_statistic_with_its_interval(directory):
    survey = Surveyed(directory, "model")
    found, told = survey.kept("own_over_even", "layer", 1), survey.statistic("own", "layer", 1)
    assert (found.value, found.low, found.high) == pytest.approx(
        (told["difference"], told["difference_low"], told["difference_high"]), abs=1e-6
    )


def test_a_survey_without_streams_has_none(tmp_path):
    path = written(tmp_path / "t.txt", sentences(4))
    plain = surveyed(Scope.from_model(*zoo.build("bert")), path, tmp_path / "s")
    assert Surveyed(plain, "model").streams is None


def test_streams_lie_stage_by_stage(directory):
    streams = Surveyed(directory, "model").streams
    assert streams is not None
    assert (len(streams.rank_after_attention), len(streams.cosine)) == (3, 4)
    assert streams.cosine[0] == pytest.approx(np.ones(len(streams.cosine[0])), abs=1e-5)  # the input itself
    assert (streams.rank[0] == 1).all()
