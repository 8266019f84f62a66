"""A corpus with padding written in it, by a model that gives padding a place of its own: each token where it stood."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope.studies.capacity.recovery import OwnRanks
from headscope.studies.claims.passes import overlaps
from tests.studies.survey.corpora import surveyed, table, written

TEXTS = ["Time<pad> flies like an arrow.", "the early<pad><pad> bird", "A bird in the bush is worth two.", zoo.TEXT]


@pytest.fixture
def scope(scope_of):
    return scope_of("roberta")


@pytest.mark.slow
def test_rows_are_what_readings_answer(scope, tmp_path):
    directory = surveyed(
        scope, written(tmp_path / "t.txt", TEXTS), tmp_path / "s", metrics=("euclidean",), references=("layer",)
    )
    readings = [scope.read(text) for text in TEXTS]
    rows = table(directory, "rows")
    for row in rows[rows.layer == 0].itertuples():
        near = readings[row.text].nearest(row.position, 0, metric="euclidean", k=1)
        assert row.own_rank == near.own_rank[row.head]
        assert row.own_distance == pytest.approx(float(near.own_distance[row.head]), abs=2e-5)


@pytest.mark.slow
def test_the_stream_begins_as_the_own_input_embedding(scope, tmp_path):
    directory = surveyed(scope, written(tmp_path / "t.txt", TEXTS), tmp_path / "s", stream=True)
    stream = table(directory, "stream")
    assert set(stream[stream.stage == 0].own_rank) == {1}
    assert stream[stream.stage == 0].own_cosine.tolist() == pytest.approx([1] * sum(stream.stage == 0), abs=1e-5)


def test_a_token_is_recovered_from_the_stream_that_it_begins_as(scope):
    readings = scope.read_many(TEXTS)
    ids = torch.tensor([token.id for reading in readings for token in reading.tokens])
    spots = [spot for reading in readings for spot in reading.spots]
    begun = torch.cat([reading.residual[0] for reading in readings])
    ranks, _ = OwnRanks(scope, ids, spots).ranks("residual", 0, begun[None, :, None])
    assert set(ranks.flatten().tolist()) == {1}


def test_the_nearest_with_the_position_are_those_of_a_reading(scope):
    reading = scope.read(TEXTS[0])
    token = len(reading.tokens) - 2
    with_it, without = (reading.nearest(token, 0, reference="input", position=on, k=15).ids for on in (True, False))
    common = torch.tensor([len(set(a.tolist()) & set(b.tolist())) for a, b in zip(with_it, without, strict=True)])
    at = [one.position for one in reading.tokens if not one.special].index(token)
    assert overlaps([reading])["jaccard"][at] == pytest.approx((common / (30 - common)).numpy())
