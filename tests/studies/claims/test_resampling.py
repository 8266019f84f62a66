"""Means, medians and slopes: the plain formula in every replicate, and the survey's own figures where it has them."""

from __future__ import annotations

import numpy as np
import pytest
import zoo

from headscope import Scope
from headscope.corpus.bootstrap import Draws, interval
from headscope.corpus.estimates import Estimate, Sample, rise
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


def test_the_partners_of_the_surveys_tables_are_found(directory):
    survey = Surveyed(directory, "model")
    tokens, partners = survey.tokens, survey.partners
    paired = partners >= 0
    assert paired.any()
    assert (tokens["partner"][paired] == tokens["text"][partners[paired]]).all()
    assert (tokens["position"][paired] == tokens["position"][partners[paired]]).all()
    rows = survey.rows(0, "input")
    types = {text: set(tokens["id"][tokens["text"] == text]) for text in set(tokens["text"])}
    for n in np.flatnonzero(paired):
        nearest = rows.nearest[:, partners[n]]
        assert [id in types[tokens["text"][n]] for id in nearest] == rows.chance_in_text[:, n].astype(bool).tolist()


def test_a_median_is_that_of_the_drawn_tokens():
    draw = np.random.default_rng(0)
    groups, values = draw.integers(0, 6, 40), draw.integers(0, 9, 40).astype(float)
    values[::7] = np.nan
    sample = Sample(groups, Draws(6, seed=4, replicates=50))
    found = sample.median(values)
    weights = Draws(6, seed=4, replicates=50).weights(np.arange(6)).astype(int)
    known = ~np.isnan(values)
    for replicate, weight in zip(found.replicates, weights, strict=True):
        assert replicate == np.median(np.repeat(values[known], weight[groups[known]]))
    assert found.value == np.median(values[known])
    assert (found.low, found.high) == tuple(float(end) for end in interval(found.replicates))


def test_one_group_has_no_interval():
    sample = Sample(np.zeros(5, dtype=int), Draws(1, seed=0, replicates=10))
    for found in (sample.mean(np.arange(5.0)), sample.median(np.arange(5.0))):
        assert found.value == 2
        assert np.isnan(found.low)
        assert np.isnan(found.high)


def test_a_rise_is_the_least_squares_line_from_end_to_end():
    values = np.array([0.3, 0.1, 0.9, 0.4])
    found = rise([Estimate(value, np.full(3, value)) for value in values])
    assert found.value == pytest.approx(np.polyfit(range(4), values, 1)[0] * 3)
    assert found.replicates == pytest.approx(np.full(3, found.value))


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
