"""The statistics against direct formulas on the rows they come from."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from scipy import stats

from headscope.errors import InputError
from headscope.inference.bootstrap import Draws
from headscope.inference.estimates import Resampled
from headscope.inference.verdicts import corrected
from headscope.studies.survey import figures
from headscope.studies.survey.contrasts import between
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written

TEXTS = sentences(60, seed=3)
BANDS = {"0-4": (0, 4), "5-9": (5, 9), "10-19": (10, 19), "20-49": (20, 49), "50+": (50, 10**9)}


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A finished survey of documents of three texts, in several shards: its directory."""
    from tests.conftest import _scope

    directory = tmp_path_factory.mktemp("survey")
    path = written(directory / "t.txt", TEXTS, every=3)
    return surveyed(_scope("bert"), path, directory / "s", shard_positions=100, metrics=("cosine", "dot"))


@pytest.fixture(scope="module")
def rows(survey):
    """Every row with what is known of its token and its text."""
    tokens, texts = table(survey, "tokens"), table(survey, "texts")
    joined = table(survey, "rows").merge(tokens, on=["text", "position"]).merge(texts[["text", "group"]], on="text")
    joined["auc"] = 1 - (joined.own_rank - 1) / (joined.candidates - 1)
    joined["auc_chance"] = 1 - (joined.chance_own_rank - 1) / (joined.candidates - 1)
    joined["p"] = joined.in_text.astype(float)
    joined["p0"] = joined.chance_in_text.astype(float)
    return joined


def one(found, **keys):
    for name, value in keys.items():
        found = found[found[name].isna() if value is None else found[name] == value]
    assert len(found) == 1
    return found.iloc[0]


def cell(rows, layer, head, reference, metric):
    return rows[
        (rows.layer == layer) & (rows["head"] == head) & (rows.reference == reference) & (rows.metric == metric)
    ]


CELLS = [(0, 0, "input", "cosine"), (2, 3, "layer", "dot")]


@pytest.mark.parametrize("of", CELLS)
def test_values_chances_and_differences_are_means(survey, rows, of):
    found, mine = statistics(survey), cell(rows, *of)
    keys = dict(zip(("layer", "head", "reference", "metric"), of, strict=True)) | {"by": "all", "null": None}
    paired = mine[mine.chance_own_rank.notna()]
    assert 0 < len(paired) < len(mine)
    auc = one(found, statistic="auc_own", **keys)
    assert auc["value"] == pytest.approx(mine.auc.mean())
    assert auc.chance == pytest.approx(paired.auc_chance.mean())
    assert auc.difference == pytest.approx((paired.auc - paired.auc_chance).mean())
    assert (auc.positions, auc.paired, auc.groups) == (len(mine), len(paired), 20)
    for at in (1, 10):
        row = one(found, statistic=f"own_at_{at}", **keys)
        assert row["value"] == pytest.approx((mine.own_rank <= at).mean())
        assert row.chance == pytest.approx((paired.chance_own_rank <= at).mean())
    inside = one(found, statistic="in_text", **keys)
    assert (inside["value"], inside.chance) == (pytest.approx(mine.p.mean()), pytest.approx(paired.p0.mean()))
    kappa = (paired.p.mean() - paired.p0.mean()) / (1 - paired.p0.mean())
    assert one(found, statistic="kappa", **keys)["value"] == pytest.approx(kappa)
    assert one(found, statistic="signal", **keys)["value"] == pytest.approx(mine.signal.mean(), abs=1e-6)
    for kind in ("own", "text", "variant", "special", "elsewhere"):
        assert one(found, statistic=f"kind_{kind}", **keys)["value"] == pytest.approx((mine.kind == kind).mean())


@pytest.mark.parametrize("of", CELLS)
def test_classes_hold_the_tokens_that_they_name(survey, rows, of):
    found, mine = statistics(survey), cell(rows, *of)
    keys = dict(zip(("layer", "head", "reference", "metric"), of, strict=True)) | {"statistic": "auc_own"}
    for word_class, tokens in mine.groupby("word_class", observed=True):
        assert one(found, by="word", **keys, **{"class": word_class})["value"] == pytest.approx(tokens.auc.mean())
    for band, (first, last) in BANDS.items():
        tokens = mine[mine.position.between(first, last)]
        if len(tokens):
            assert one(found, by="position", **keys, **{"class": band}).positions == len(tokens)
    quarters = found[(found.by == "frequency")]
    sizes = [one(quarters, **keys, **{"class": str(quarter)}).positions for quarter in (1, 2, 3, 4)]
    assert sum(sizes) == len(mine)
    assert min(sizes) > 0.1 * len(mine)
    often = set(mine.sort_values("frequency").tail(sizes[0]).frequency)
    assert min(often) >= mine.frequency.quantile(0.6)


def test_the_mean_over_heads_is_the_mean_of_the_heads(survey):
    found = statistics(survey)
    keys = {"layer": 1, "reference": "layer", "metric": "cosine", "by": "all", "statistic": "in_text"}
    heads = [one(found, head=head, **keys)["value"] for head in range(4)]
    assert one(found, head=None, **keys)["value"] == pytest.approx(np.mean(heads))


@pytest.mark.parametrize("of", CELLS)
def test_intervals_are_those_of_a_plain_bootstrap_by_document(survey, rows, of):
    found, mine = statistics(survey), cell(rows, *of)
    keys = dict(zip(("layer", "head", "reference", "metric"), of, strict=True)) | {"by": "all"}
    weights = Draws(20, seed=0).weights(np.arange(20))
    paired = mine[mine.chance_own_rank.notna()]
    values, apart = [], []
    for drawn in weights:
        weight = drawn[mine.group.to_numpy()]
        values.append(np.average(mine.auc, weights=weight))
        weight = drawn[paired.group.to_numpy()]
        apart.append(np.average(paired.auc - paired.auc_chance, weights=weight))
    row = one(found, statistic="auc_own", **keys)
    for replicates, low, high in ((values, row.low, row.high), (apart, row.difference_low, row.difference_high)):
        ordered = np.sort(replicates)
        assert (low, high) == (pytest.approx(ordered[50]), pytest.approx(ordered[-51]))
    below = (np.array(apart) <= 0).mean()
    assert row.p == pytest.approx(2 * min(below, 1 - below), abs=2e-3)


def test_replicates_are_kept_for_contrasts(survey):
    import pyarrow.parquet as pq

    kept = pq.read_table(survey / "replicates.parquet").to_pandas()
    found = statistics(survey)
    row = kept[(kept.statistic == "signal") & (kept["head"] == 2) & (kept.layer == 1)].iloc[0]
    assert len(row.replicates) == 2000
    same = one(found, statistic="signal", head=2, layer=1, reference=row.reference, metric=row.metric, by="all")
    assert np.sort(row.replicates)[50] == pytest.approx(same.low, abs=1e-6)


def test_contrasts_are_taken_replicate_by_replicate(survey):
    import pyarrow.parquet as pq

    kept = pq.read_table(survey / "replicates.parquet").to_pandas()
    found = pq.read_table(survey / "contrasts.parquet").to_pandas()
    row = one(found, between="reference", layer=1, head=2, metric="dot", statistic="own")
    assert (row["first"], row.second) == ("layer", "input")
    assert row.isna().reference
    of = {
        reference: one(kept, reference=reference, layer=1, head=2, metric="dot", statistic="own")
        for reference in ("layer", "input")
    }
    apart = np.sort(of["layer"].replicates.astype(float) - of["input"].replicates)
    assert row.difference == pytest.approx(of["layer"]["value"] - of["input"]["value"])
    assert (row.low, row.high) == (pytest.approx(apart[50], abs=1e-6), pytest.approx(apart[-51], abs=1e-6))
    auc = one(statistics(survey), by="all", reference="layer", layer=1, head=2, metric="dot", statistic="auc_own")
    assert of["layer"]["value"] == pytest.approx(auc.difference)


def test_surveys_of_the_same_texts_can_be_subtracted_and_others_not(survey, tmp_path):
    from tests.conftest import _scope

    options = {"shard_positions": 100, "metrics": ("cosine", "dot")}
    path = written(tmp_path / "t.txt", TEXTS, every=3)
    other = surveyed(_scope("bert"), path, tmp_path / "full", masks=("causal",), **options)
    found = between(other, survey).to_pandas()
    row = one(found, layer=2, head=1, metric="cosine", reference="layer", statistic="signal")
    values = [
        one(statistics(folder), by="all", layer=2, head=1, metric="cosine", reference="layer", statistic="signal")
        for folder in (other, survey)
    ]
    assert row.difference == pytest.approx(values[0]["value"] - values[1]["value"])
    assert row.low < row.difference < row.high
    assert between(survey, survey).to_pandas().difference.abs().max() == 0
    fewer = surveyed(_scope("bert"), written(tmp_path / "f.txt", TEXTS[:9]), tmp_path / "fewer")
    with pytest.raises(InputError, match="are not paired: their texts differ"):
        between(survey, fewer)


def test_kappa_has_no_value_where_chance_always_hits():
    ones = Resampled(np.ones((1, 1)), np.ones((1, 1, 3)))
    misses = {"in_text_paired": Resampled(np.zeros((1, 1)), np.zeros((1, 1, 3)))}
    found = {one.statistic: one for one in figures.of_rows(defaultdict(lambda: ones, misses))}
    assert np.isnan(found["kappa"].value.value).all()
    assert np.isnan(found["kappa"].resampled[0].replicates).all()
    assert (found["in_text"].difference.value == -1).all()


def test_q_values_are_those_of_benjamini_and_hochberg(survey):
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.9])
    assert corrected(p)[[0, 1, 3, 4]].tolist() == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.9])
    found = statistics(survey)
    family = found[
        (found.statistic == "signal") & (found.reference == "layer") & (found.metric == "dot")
        & (found.by == "all") & found["head"].notna()
    ]  # fmt: skip
    assert len(family) == 12
    assert family.q.tolist() == pytest.approx(stats.false_discovery_control(family.p).tolist())


def test_hubs_count_the_nearest(survey, rows):
    import pyarrow.parquet as pq

    hubs = pq.read_table(survey / "hubs.parquet").to_pandas()
    for of in CELLS:
        mine = cell(rows, *of)
        keys = dict(zip(("layer", "head", "reference", "metric"), of, strict=True))
        counts = np.bincount(mine.nearest, minlength=int(mine.candidates.iloc[0]))
        row = one(hubs, **keys)
        assert row.share == pytest.approx(counts.max() / len(mine))
        assert counts[row.nearest] == counts.max()
        assert row.skewness == pytest.approx(stats.skew(counts))
