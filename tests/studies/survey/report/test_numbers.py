"""The numbers of a report are those of the surveys' tables, and contrasts what is left without each document."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zoo
from scipy import stats

from headscope import Scope
from headscope.inference.left_out import ROUNDING
from headscope.studies.survey.opened import open_survey, open_surveys
from headscope.studies.survey.report.contrasts import contrasts, pairs, unpaired
from headscope.studies.survey.report.write import write_report
from tests.studies.survey.corpora import surveyed

pytestmark = pytest.mark.long  # what all of it looks at is dear to make


def read(path: Path) -> pd.DataFrame:
    """A CSV in which only an empty field is missing: a token may be called NA."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype_backend="numpy_nullable")


@pytest.mark.parametrize("name", [pytest.param("statistics", marks=pytest.mark.slow), "hubs"])
def test_the_csv_equals_the_table(report, surveys, name):
    written = read(report / "numbers" / f"{name}.csv")
    assert list(written["survey"].unique()) == ["one", "two"]
    for survey in surveys:
        table = pd.read_parquet(survey / f"{name}.parquet", dtype_backend="numpy_nullable").reset_index(drop=True)
        here = written[written["survey"] == survey.name].drop(columns="survey").reset_index(drop=True)
        assert list(here) == list(table)
        for column in table:
            assert here[column].isna().equals(table[column].isna()), column
            known = table[column].notna()
            assert here[column][known].astype(table[column].dtype).equals(table[column][known]), column


def test_a_figures_numbers_are_the_statistics(report, surveys):
    drawn = read(report / "numbers" / "one-value-cosine-model-layer-heads.csv")
    table = pd.read_parquet(surveys[0] / "statistics.parquet")
    table = table[table["null"].isna() & (table["reference"] == "layer") & (table["mask"] == "model")]
    table = table[(table["by"] == "all") & table["head"].notna()]
    table["head"] = [f"L{layer}H{head:.0f}" for layer, head in zip(table["layer"], table["head"], strict=True)]
    both = drawn.merge(table, on=["head", "statistic"], suffixes=("", "_table"), validate="one_to_one")
    assert len(both) == len(drawn) == 6 * 3 * 4
    columns = ("value", "low", "high", "chance", "difference", "difference_low", "difference_high", "q", "smallest")
    for column in columns:
        np.testing.assert_array_equal(both[column].to_numpy(float), both[f"{column}_table"].to_numpy(float))
    assert list(both["verdict"]) == list(both["verdict_table"])
    assert list(both["small"].notna()) == list(both["small_table"])


def test_the_streams_figures_are_those_of_its_table(report, surveys):
    drawn = read(report / "numbers" / "one-stream-model.csv")
    table = pd.read_parquet(surveys[0] / "stream.parquet")
    table = table[(table["mask"] == "model") & table["null"].isna() & (table["by"] == "word")]
    shown = drawn[(drawn["panel"] == "Cosine to the own embedding") & (drawn["line"] == "content")]
    expected = table[(table["statistic"] == "cosine") & (table["class"] == "content")]
    assert list(shown["layer"]) == [stage / 2 for stage in expected["stage"]]
    for column in ("value", "low", "high"):
        assert shown[column].to_list() == pytest.approx(expected[column].to_list())
    ranks = drawn[(drawn["panel"] == "Rank of it (geometric mean)") & (drawn["line"] == "content")]
    expected = table[(table["statistic"] == "log_rank") & (table["class"] == "content")]
    assert ranks["value"].to_list() == pytest.approx(np.exp(expected["value"]).to_list())


@pytest.mark.parametrize("what", ["survey", "mask", "reference"])
@pytest.mark.parametrize("statistic", ["own_over_even", "topic"])
def test_a_contrast_is_the_difference_without_each_document(surveys, what, statistic):
    opened = open_surveys(surveys)
    pair = next(pair for pair in pairs(opened) if pair.what == what)
    found = [c for c in contrasts(opened, [pair]) if c.statistic == statistic and c.head is not None]
    assert len(found) == 12
    kept = {}
    for side in pair.first, pair.second:
        table = pd.read_parquet(next(path for path in surveys if path.name == side.survey) / "left_out.parquet")
        table = table[table["null"].isna() & table["head"].notna() & (table["statistic"] == statistic)]
        table = table[(table["reference"] == side.view.reference) & (table["mask"] == side.view.mask)]
        kept[side] = table.set_index(["layer", "head"])
    p = []
    for one in found:
        first, second = (kept[side].loc[(one.layer, one.head)] for side in (pair.first, pair.second))
        lost = first["lost"].astype(np.float64) - second["lost"].astype(np.float64)
        difference, count = first["value"] - second["value"], len(lost)
        error = max(np.sqrt((count - 1) / count * np.square(lost).sum()), ROUNDING)
        assert one.difference == pytest.approx(difference, abs=1e-12)
        # As many degrees of freedom as there are documents, fewer where few of them make most of the variance.
        hang = 3 * np.square(np.square(lost).sum()) / (lost**4).sum() - 2 if lost.any() else count - 1
        freedom = np.sqrt((count - 1) * np.clip(hang, 1, count - 1))
        reach = stats.t.ppf(0.975, freedom) * error
        assert (one.low, one.high) == pytest.approx((difference - reach, difference + reach), abs=1e-6)
        p.append(one.p)
        assert one.p == pytest.approx(2 * stats.t.sf(abs(difference) / error, freedom), rel=1e-4)
        assert one.p_above == pytest.approx(stats.t.sf(difference / error, freedom), rel=1e-4)
    np.testing.assert_allclose([one.q for one in found], stats.false_discovery_control(p))


def test_contrasts_with_even_attention_come_first_and_are_the_differences_from_it(report, surveys):
    written = read(report / "numbers" / "contrasts.csv")
    assert list(dict.fromkeys(written["what"])) == ["even", "reference", "mask", "survey"]
    even = written[(written["what"] == "even") & (written["first_survey"] == "two") & written["head"].notna()]
    assert set(even["contrast"]) == {"the model − even attention"}
    table = pd.read_parquet(surveys[1] / "statistics.parquet")
    table = table[table["null"].isna() & (table["by"] == "all") & table["head"].notna()]
    keys = ["statistic", "reference", "layer", "head"]
    both = even.rename(columns={"first_reference": "reference"}).merge(table, on=keys, suffixes=("", "_table"))
    assert len(both) == len(even) == 2 * 2 * 12
    for column in ("difference", "smallest", "q"):
        np.testing.assert_allclose(both[column].to_numpy(float), both[f"{column}_table"].to_numpy(float), atol=1e-6)


def test_pairs_differ_in_one_thing(surveys):
    opened = open_surveys(surveys)
    named = {(pair.what, pair.label, pair.same) for pair in pairs(opened)}
    assert ("survey", "one − two", "space value, reference input, cosine, the model's own mask") in named
    assert ("mask", "causal − model", "one, space value, reference layer, cosine") in named
    assert ("reference", "layer − input", "two, space value, cosine, the model's own mask") in named
    assert (
        "even",
        "the model − even attention",
        "two, space value, reference layer, cosine, the model's own mask",
    ) in named
    assert len(named) == len(pairs(opened)) == (4 + 2) + 2 + 2 + 3


def test_surveys_of_other_texts_are_shown_and_not_subtracted(texts, tmp_path):
    scope, asked = Scope.from_model(*zoo.build("bert", 1)), {"references": ("layer",), "candidates": "words"}
    both = [surveyed(scope, texts, tmp_path / str(count), sample=count, **asked) for count in (18, 12)]
    opened = open_surveys(both)
    refused = [unpaired(opened, pair) for pair in pairs(opened) if pair.what == "survey"]
    assert refused
    assert all(reason and "their texts differ" in reason for reason in refused)
    out = write_report(both, tmp_path / "out").parent
    assert "not subtracted, their texts differ" in (out / "report.html").read_text("utf-8")
    assert "survey" not in set(read(out / "numbers" / "contrasts.csv")["what"])
    assert any((out / "figures").glob("side-by-side-*"))


def test_a_survey_against_itself_differs_in_nothing(surveys, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(surveys[1], copy)
    opened = open_surveys([surveys[1], copy])
    between = [pair for pair in pairs(opened) if pair.what == "survey"]
    assert len(between) == len(opened[copy.name].views) == 2
    for pair in between:
        found = {(one.difference, one.high < 1e-5, one.p) for one in contrasts(opened, [pair])}
        assert found == {(0, True, 1)}


def test_every_statistic_is_found_by_its_key(surveys):
    survey = open_survey(surveys[0])
    assert [view.reference for view in survey.views] == ["input", "layer"] * 2
    assert survey.nulls == ("uniform",)
    found = survey.stat(survey.views[0], "signal", 1, 2, null="uniform")
    assert found is not None
    assert found.positions == survey.manifest["texts"]["positions"]
