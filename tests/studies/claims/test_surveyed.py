"""A finished survey's tables as the claims ask for them, and figures that are the survey's own where it has them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import zoo

from headscope import Scope
from headscope.studies.claims.corpus import elsewhere, noise
from headscope.studies.claims.passes import overlaps
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.survey.tables import MATCHED
from tests.studies.survey.corpora import sentences, statistics, surveyed, written

DEAD = 1


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    path = written(folder / "t.txt", sentences(20, seed=1), every=2)
    return surveyed(Scope.from_model(*zoo.build("bert")), path, folder / "s", stream=True)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_survey_without_streams_has_none(tmp_path):
    path = written(tmp_path / "t.txt", sentences(4))
    plain = surveyed(Scope.from_model(*zoo.build("bert")), path, tmp_path / "s")
    assert Surveyed(plain, "model").streams is None


@pytest.fixture(scope="module")
def dead(tmp_path_factory):
    """The same texts by a model with a head in layer 0 whose values are 0, and without: scopes and surveys."""
    folder = tmp_path_factory.mktemp("dead")
    path = written(folder / "t.txt", sentences(24, seed=3))
    found = []
    for head in (DEAD, None):
        model, tokenizer = zoo.build("bert")
        if head is not None:
            with torch.no_grad():
                model.encoder.layer[0].attention.self.value.weight[8 * head : 8 * head + 8] = 0
        scope = Scope.from_model(model, tokenizer)
        found.append((scope, Surveyed(surveyed(scope, path, folder / str(head)), "model")))
    return found


def test_a_head_that_tells_nothing_apart_is_in_no_claim(dead):
    (_, survey), (_, alive) = dead
    assert survey.rows(0, "input").alive.tolist() == [True, False, True, True]
    assert (survey.rows(0, "input").kind[DEAD] == "").all()
    others = [0, 2, 3]
    told = statistics(alive.directory)
    told = told[(told.layer == 0) & (told.by == "all") & (told.reference == "input") & told["head"].isin(others)]
    over = told.groupby("statistic").difference.mean()
    found = {row["rate"]: row["value"] for row in elsewhere(survey, "right").figures}
    assert found["other − own, over chance"] == pytest.approx(over["in_text"] - 2 * over["own_at_1"])


def test_nor_is_it_in_what_the_position_changes(dead):
    (scope, survey), (plain, _) = dead
    texts = survey.texts["content"].to_pylist()[:3]
    found, same = (overlaps(of.read_many(texts))["jaccard"] for of in (scope, plain))
    assert np.isnan(found[:, DEAD]).all()
    assert np.array_equal(np.delete(found, DEAD, 1), np.delete(same, DEAD, 1))


def test_streams_lie_stage_by_stage(directory):
    streams = Surveyed(directory, "model").streams
    assert streams is not None
    assert (len(streams.rank_after_attention), len(streams.cosine)) == (3, 4)
    assert streams.cosine[0] == pytest.approx(np.ones(len(streams.cosine[0])), abs=1e-5)  # the input itself
    assert (streams.rank[0] == 1).all()


@pytest.fixture(scope="module")
def of_genres(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genres")
    texts = sentences(25, seed=3)
    marked = [{"text": text, "genre": ("news", "letters")[n % 2]} for n, text in enumerate(texts[:-1])]
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in [*marked, {"text": texts[-1], "genre": "vlog"}]))
    return surveyed(Scope.from_model(*zoo.build("bert")), path, folder / "s", shard_positions=60)


@pytest.mark.slow
def test_where_texts_have_genres_outputs_of_the_same_one_are_found_beside_the_general(of_genres):
    survey = Surveyed(of_genres, "model")
    assert survey.chances == ("", MATCHED)
    assert len(survey.shards) > 1
    tokens, held, general = survey.tokens, survey.lent[MATCHED], survey.lent[""]
    genre = np.array(["news", "letters"] * 12 + ["vlog"])[tokens["text"]]
    assert (held.partners[genre == "vlog"] == -1).all()  # one document is too few
    assert (general.partners[genre == "vlog"] >= 0).any()
    rows, groups = survey.rows(1, "layer"), survey.sample.groups
    types = {text: set(tokens["id"][tokens["text"] == text]) for text in set(tokens["text"])}
    pairs = np.argwhere(held.partners >= 0)
    assert len(pairs) > 100
    for n, slot in pairs:
        other = held.partners[n, slot]
        assert genre[other] == genre[n]
        assert groups[other] == held.lenders[n, slot] != groups[n]
        inside = [id in types[tokens["text"][n]] for id in rows.nearest[:, other]]
        assert inside == rows.by_chance[MATCHED].in_text[:, n, slot].astype(bool).tolist()
    assert (np.isnan(rows.by_chance[MATCHED].in_text).all(0) == (tokens[f"asked{MATCHED}"] < 0)).all()


@pytest.mark.slow
def test_claims_on_a_survey_say_what_its_statistics_say_of_the_same_genre(of_genres):
    survey = Surveyed(of_genres, "model")
    told = statistics(of_genres)
    told = told[(told.layer == survey.layers - 1) & told["head"].isna() & (told.by == "all")]
    told = told[told.reference == "layer"].set_index("statistic")
    found = {row["statistic"]: row for row in noise(survey, "right", "layer").figures}
    assert len(found) == 4 + 3
    for statistic, row in found.items():
        assert row["verdict"] == told.loc[statistic].verdict
        assert row["difference"] == pytest.approx(told.loc[statistic].difference)
    # S6's rates on each chance's tokens are made of the survey's own sums: in-text, less twice the own token's.
    first = statistics(of_genres)
    first = first[(first.layer == 0) & first["head"].isna() & (first.by == "all") & (first.reference == "input")]
    first = first.set_index("statistic")
    by_rate = {row["rate"]: row["value"] for row in elsewhere(survey, "right").figures}
    for ends, named in (("", ""), (MATCHED, ", same genre")):
        inside, own = first.loc[f"in_text{ends}"], first.loc[f"own_at_1{ends}"]
        assert inside.paired == own.paired
        over = inside.difference - 2 * own.difference
        assert by_rate[f"other − own, over chance{named}"] == pytest.approx(over)
