"""The statistics against direct formulas on the rows they come from."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from headscope.errors import InputError
from headscope.inference.left_out import Jackknifed
from headscope.inference.verdicts import corrected
from headscope.studies.survey import figures
from headscope.studies.survey.contrasts import between
from headscope.studies.survey.tables import MATCHED
from tests.studies.survey.corpora import by_the_jackknife, sentences, statistics, surveyed, table, written

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
    ranks, inside = (np.stack(joined[name]).astype(float) for name in ("chance_own_rank", "chance_in_text"))
    joined["auc_chance"] = np.nanmean(1 - (ranks - 1) / (joined.candidates.to_numpy()[:, None] - 1), axis=1)
    for at in (1, 10):
        joined[f"at_{at}_chance"] = np.nanmean(np.where(np.isnan(ranks), np.nan, ranks <= at), axis=1)
    joined["p"] = joined.in_text.astype(float)
    joined["p0"] = np.nanmean(inside, axis=1)
    joined["own"] = joined.auc - joined.own_auc_others
    joined["even_own"] = joined.even_own_auc - joined.even_own_auc_others
    return joined


@pytest.fixture(scope="module")
def lenders(survey):
    """The document of every output of the bank."""
    return pq.read_table(survey / "bank.parquet")["group"].to_numpy()


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


@pytest.mark.slow
@pytest.mark.parametrize("of", CELLS)
def test_values_chances_and_differences_are_means(survey, rows, of):
    found, mine = statistics(survey), cell(rows, *of)
    keys = dict(zip(("layer", "head", "reference", "metric"), of, strict=True)) | {"by": "all", "null": None}
    auc = one(found, statistic="auc_own", **keys)
    assert auc["value"] == pytest.approx(mine.auc.mean())
    assert auc.chance == pytest.approx(mine.auc_chance.mean())
    assert auc.difference == pytest.approx((mine.auc - mine.auc_chance).mean())
    assert (auc.positions, auc.paired, auc.groups) == (len(mine), len(mine), 20)
    for at in (1, 10):
        row = one(found, statistic=f"own_at_{at}", **keys)
        assert row["value"] == pytest.approx((mine.own_rank <= at).mean())
        assert row.chance == pytest.approx(mine[f"at_{at}_chance"].mean())
    inside = one(found, statistic="in_text", **keys)
    assert (inside["value"], inside.chance) == (pytest.approx(mine.p.mean()), pytest.approx(mine.p0.mean()))
    kappa = (mine.p.mean() - mine.p0.mean()) / (1 - mine.p0.mean())
    assert one(found, statistic="kappa", **keys)["value"] == pytest.approx(kappa)
    for name in ("signal", "signal_8"):
        assert one(found, statistic=name, **keys)["value"] == pytest.approx(mine[name].mean(), abs=1e-6)
    for name, even, count in (("own", "even_own", mine.own.notna().sum()), ("carry", "even_carry", len(mine))):
        row = one(found, statistic=name, **keys)
        assert row["value"] == pytest.approx(mine[name].mean(), abs=1e-6)
        assert row.chance == pytest.approx(mine[even].mean(), abs=1e-6)
        assert row.positions == row.paired == count
    assert one(found, statistic="carry_ceiling", **keys)["value"] == pytest.approx(mine.carry_ceiling.mean(), abs=1e-6)
    for kind in ("own", "text", "variant", "special", "elsewhere"):
        assert one(found, statistic=f"kind_{kind}", **keys)["value"] == pytest.approx((mine.kind == kind).mean())


def test_a_token_that_no_other_document_has_an_output_for_has_no_chance(tmp_path):
    from tests.conftest import _scope

    path = written(tmp_path / "t.txt", [*sentences(12, seed=1, least=3, most=4), " ".join(sentences(8, seed=2))])
    directory = surveyed(_scope("bert"), path, tmp_path / "s", references=("layer",))
    auc = one(statistics(directory), statistic="auc_own", layer=0, head=0, by="all")
    assert 0 < auc.paired < auc.positions
    mine = table(directory, "rows")
    mine = mine[(mine.layer == 0) & (mine["head"] == 0)]
    paired = mine[[not np.isnan(ranks).all() for ranks in mine.chance_own_rank]]
    assert len(paired) == auc.paired
    value = (1 - (paired.own_rank - 1) / (paired.candidates - 1)).mean()
    assert auc.difference == pytest.approx(value - auc.chance)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_mean_over_heads_is_the_mean_of_the_heads(survey):
    found = statistics(survey)
    keys = {"layer": 1, "reference": "layer", "metric": "cosine", "by": "all", "statistic": "in_text"}
    heads = [one(found, head=head, **keys)["value"] for head in range(4)]
    assert one(found, head=None, **keys)["value"] == pytest.approx(np.mean(heads))


@pytest.mark.slow
@pytest.mark.parametrize("of", CELLS)
def test_intervals_are_those_of_leaving_out_each_document(survey, rows, lenders, of):
    found, mine = statistics(survey), cell(rows, *of)
    keys = dict(zip(("layer", "head", "reference", "metric"), of, strict=True)) | {"by": "all"}
    groups = sorted(set(mine.group))
    asked = np.stack(mine.asked)
    ranks = np.stack(mine.chance_own_rank).astype(float)
    chances = 1 - (ranks - 1) / (mine.candidates.to_numpy()[:, None] - 1)
    share = ~np.isnan(asked) / (~np.isnan(asked)).sum(1, keepdims=True)
    document = np.where(np.isnan(asked), -1, lenders[np.nan_to_num(asked).astype(int)])

    def apart(left_out):
        own = mine.group.to_numpy() != left_out
        weights = share * own[:, None] * (document != left_out)
        return mine.auc[own].mean() - (np.nan_to_num(chances) * weights).sum() / weights.sum()

    row = one(found, statistic="auc_own", **keys)
    values = [mine.auc[mine.group != group].mean() for group in groups]
    low, high, _ = by_the_jackknife(mine.auc.mean(), values)
    assert (row.low, row.high) == (pytest.approx(low), pytest.approx(high))
    low, high, p = by_the_jackknife(apart(None), [apart(group) for group in groups])
    assert row.difference == pytest.approx(apart(None))
    assert (row.difference_low, row.difference_high) == (pytest.approx(low), pytest.approx(high))
    assert row.p == pytest.approx(p)

    row = one(found, statistic="own", **keys)
    over = mine.own - mine.even_own
    low, high, p = by_the_jackknife(over.mean(), [over[mine.group != group].mean() for group in groups])
    assert (row.difference_low, row.difference_high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))
    assert row.p == pytest.approx(p, abs=1e-4)


def kept_figures(survey):
    return pq.read_table(survey / "left_out.parquet").to_pandas()


@pytest.mark.slow
def test_what_figures_lose_without_each_document_is_kept_for_contrasts(survey, rows):
    row = one(kept_figures(survey), statistic="signal", layer=1, head=2, reference="layer", metric="dot")
    mine = cell(rows, 1, 2, "layer", "dot")
    assert len(row.lost) == 20
    for group in (0, 7):
        assert row["value"] - row.lost[group] == pytest.approx(mine.signal[mine.group != group].mean(), abs=1e-6)


def test_contrasts_of_references_are_paired_by_document(survey):
    found = pq.read_table(survey / "contrasts.parquet").to_pandas()
    row = one(found, between="reference", layer=1, head=2, metric="dot", statistic="topic")
    assert (row["first"], row.second) == ("layer", "input")
    assert row.isna().reference
    of = {
        reference: one(kept_figures(survey), reference=reference, layer=1, head=2, metric="dot", statistic="topic")
        for reference in ("layer", "input")
    }
    value = of["layer"]["value"] - of["input"]["value"]
    low, high, p = by_the_jackknife(value, value - (of["layer"].lost.astype(float) - of["input"].lost))
    assert row.difference == pytest.approx(value)
    assert (row.low, row.high, row.p) == (pytest.approx(low), pytest.approx(high), pytest.approx(p))
    auc = one(statistics(survey), by="all", reference="layer", layer=1, head=2, metric="dot", statistic="auc_own")
    assert of["layer"]["value"] == pytest.approx(auc.difference)


@pytest.mark.parametrize("statistic", ["own", "carry"])
def test_the_contrast_with_even_attention_is_the_difference_of_the_statistics(survey, statistic):
    found = pq.read_table(survey / "contrasts.parquet").to_pandas()
    keys = {"layer": 1, "head": 2, "metric": "dot", "statistic": statistic, "reference": "layer"}
    row = one(found, between="even", **keys)
    figure = one(statistics(survey), by="all", **keys)
    assert (row["first"], row.second) == ("the model", "even attention")
    assert row.difference == pytest.approx(figure.difference)
    assert (row.low, row.high) == (pytest.approx(figure.difference_low), pytest.approx(figure.difference_high))
    assert row.p == pytest.approx(figure.p, abs=1e-5)
    assert row.p_above == pytest.approx(row.p / 2 if row.difference > 0 else 1 - row.p / 2)
    heads = found[(found.between == "even") & (found.metric == "dot") & (found.reference == "layer")
                  & (found.statistic == statistic) & found["head"].notna()]  # fmt: skip
    assert heads.q_above.tolist() == pytest.approx(stats.false_discovery_control(heads.p_above).tolist())


@pytest.mark.long
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
    ones, none = (Jackknifed(of((1, 1)), of((1, 1, 30)), 30) for of in (np.ones, np.zeros))
    found = {one.statistic: one for one in figures.of_rows(Fixed(ones, {"in_text_paired": none}))}
    assert np.isnan(found["kappa"].value.value).all()
    assert np.isnan(found["kappa"].kept[0].without).all()
    assert (found["in_text"].difference.value == -1).all()


class Fixed:
    """Sums that are all alike, but for some."""

    def __init__(self, ones, other):
        self.ones, self.other = ones, other

    def __contains__(self, name):
        return not name.endswith(MATCHED)  # no genre is known

    def __getitem__(self, name):
        return self.other.get(name, self.ones)

    def ratio(self, top, bottom):
        return self[top] / self[bottom]


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
    hubs = pq.read_table(survey / "hubs.parquet").to_pandas()
    for of in CELLS:
        mine = cell(rows, *of)
        keys = dict(zip(("layer", "head", "reference", "metric"), of, strict=True))
        counts = np.bincount(mine.nearest, minlength=int(mine.candidates.iloc[0]))
        row = one(hubs, **keys)
        assert row.share == pytest.approx(counts.max() / len(mine))
        assert counts[row.nearest] == counts.max()
        assert row.skewness == pytest.approx(stats.skew(counts))
