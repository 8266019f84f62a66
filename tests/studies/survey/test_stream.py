"""The residual streams of a survey against the journeys of its texts."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats

from headscope.reading.stream import stages_of
from headscope.studies.survey import streams
from tests.studies.survey.corpora import by_the_jackknife, sentences, surveyed, table, written

TEXTS = sentences(8)


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize(
    "name", ["bert", "gpt2", *(pytest.param(n, marks=pytest.mark.slow) for n in ("llama", "electra"))]
)
@pytest.mark.parametrize("position", [True, False])
def test_every_row_is_that_of_a_journey(scope_of, name, position, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "_BYTES", 2**14)  # several chunks
    scope = scope_of(name)
    options = {"stream": True, "position": position, "masks": ("full",), "references": ("layer",)}
    directory = surveyed(scope, written(tmp_path / "t.txt", TEXTS), tmp_path / "s", **options)
    found = table(directory, "stream")
    k = min(100, scope.card.vocab_size)
    journeys = [scope.read(text, "full").journey(k, position) for text in TEXTS]
    stages = stages_of(scope.card.layers)
    kept = sum(not token.special for journey in journeys for token in journey.tokens)
    assert len(found) == kept * len(stages)
    for row in found.itertuples():
        journey, at = journeys[row.text], (row.stage, row.position)
        assert (row.layer if row.layer == row.layer else None, row.after) == stages[row.stage]
        assert row.own_rank == journey.own_rank[at]
        assert row.own_cosine == pytest.approx(float(journey.own_cosine[at]), abs=1e-5)
        assert row.norm == pytest.approx(float(journey.norm[at]), rel=1e-4)
        before = float(journey.overlap[row.stage - 1, row.position]) if row.stage else None
        assert np.isnan(row.overlap_before) if before is None else row.overlap_before == pytest.approx(before, abs=0.02)
        assert 0 <= row.overlap_input <= 1


@pytest.mark.slow
def test_chance_is_the_same_question_asked_of_the_bank(scope_of, tmp_path):
    scope = scope_of("bert")
    directory = surveyed(scope, written(tmp_path / "t.txt", TEXTS), tmp_path / "s", stream=True, references=("input",))
    tokens = table(directory, "tokens").set_index(["text", "position"])
    bank = pq.read_table(directory / "bank.parquet").to_pandas()
    readings = [scope.read(text) for text in TEXTS]
    feed, alone = scope.bench.opened.feed, 0
    cosines = {}
    for row in table(directory, "stream").itertuples():
        asked, id = tokens.loc[(row.text, row.position), ["asked", "id"]]
        for output, rank, close in zip(asked, row.chance_own_rank, row.chance_own_cosine, strict=True):
            if np.isnan(output):
                alone += 1
                assert np.isnan(rank)
                assert np.isnan(close)
                continue
            key = (output, row.stage)
            if key not in cosines:
                there = bank.loc[int(output)]
                stages, at = readings[there.text].stages, int(there.position)
                stage = stages[0].before if not row.stage else [
                    stages[int(row.layer)].middle, stages[int(row.layer)].after
                ][row.after == "layer"]  # fmt: skip
                table_there = feed.arrivals(torch.arange(scope.card.vocab_size), feed.place(at)).double()
                cosines[key] = torch.nn.functional.cosine_similarity(stage[0, at, None].double(), table_there, dim=-1)
            cosine = cosines[key]
            assert close == pytest.approx(float(cosine[int(id)]), abs=1e-5)
            assert abs(rank - 1 - int((cosine > cosine[int(id)] + 1e-7).sum())) <= int(
                ((cosine - cosine[int(id)]).abs() < 1e-6).sum()
            )
    assert alone


@pytest.mark.long
def test_nulls_that_leave_the_stream_as_it_is_do_not_measure_it(scope_of, tmp_path):
    path = written(tmp_path / "t.txt", TEXTS)
    directory = surveyed(scope_of("bert"), path, tmp_path / "s", ("labels", "uniform"), stream=True)
    measured = [path.parts[-4] for path in (directory / "nulls").rglob("stream.parquet")]
    assert measured == ["labels"]
    assert pq.read_metadata(directory / "shards/00000/stream.parquet").num_row_groups == 7


def over_chance(own, chances, groups, lender, left_out):
    """A mean over its chance, without a document: its texts, and what it lent."""
    share = (lender >= 0) / (lender >= 0).sum(1, keepdims=True)
    weights = share * (groups != left_out)[:, None] * (lender != left_out)
    return own[groups != left_out].mean() - (np.nan_to_num(chances) * weights).sum() / weights.sum()


@pytest.mark.slow
def test_the_figures_are_means_medians_and_intervals_by_class(scope_of, tmp_path):
    path = written(tmp_path / "t.txt", sentences(40, seed=5), every=2)
    options = {"stream": True, "references": ("input",), "shard_positions": 90}
    directory = surveyed(scope_of("bert"), path, tmp_path / "s", ("labels", "rotated"), **options)
    figures = pq.read_table(directory / "stream.parquet").to_pandas()
    assert set(figures["null"].dropna()) == {"labels"}
    figures = figures[figures["null"].isna()]
    texts, tokens = table(directory, "texts"), table(directory, "tokens")
    rows = table(directory, "stream").merge(tokens, on=["text", "position"]).merge(texts[["text", "group"]], on="text")
    rows["log_rank"] = np.log(rows.own_rank)
    before = rows[rows.stage == 2].set_index(["text", "position"])
    lenders = pq.read_table(directory / "bank.parquet")["group"].to_numpy()
    for by, kind in (("all", "all"), ("word", "content"), ("word", "punctuation")):
        here = figures[(figures.by == by) & (figures["class"] == kind) & (figures.stage == 3)].set_index("statistic")
        mine = rows[(rows.stage == 3) & ((by == "all") | (rows.word_class == kind))]
        assert (here.layer == 1).all()
        assert (here.after == "attention").all()
        assert here.loc["cosine"].positions == len(mine)
        assert here.loc["cosine"].paired == sum(not np.isnan(one).all() for one in mine.asked)
        means = {"cosine": mine.own_cosine, "log_rank": mine.log_rank, "norm": mine.norm}
        means |= {"own_at_1": mine.own_rank <= 1, "auc_own": 1 - (mine.own_rank - 1) / (mine.candidates - 1)}
        means |= {"overlap_before": mine.overlap_before, "overlap_input": mine.overlap_input}
        earlier = before.loc[list(zip(mine.text, mine.position, strict=True))]
        means["log_rank_step"] = mine.log_rank.to_numpy() - earlier.log_rank.to_numpy()
        means["cosine_step"] = mine.own_cosine.to_numpy() - earlier.own_cosine.to_numpy()
        for statistic, values in means.items():
            assert here.loc[statistic, "value"] == pytest.approx(np.mean(values), abs=1e-6)
        assert here.loc["median_rank", "value"] == np.median(mine.own_rank)
        paired = mine[[not np.isnan(one).all() for one in mine.asked]]
        chances, asked = np.stack(paired.chance_own_cosine).astype(float), np.stack(paired.asked)
        assert here.loc["cosine", "chance"] == pytest.approx(np.nanmean(chances, 1).mean())
        lender = np.where(np.isnan(asked), -1, lenders[np.nan_to_num(asked).astype(int)])
        apart = partial(over_chance, paired.own_cosine.to_numpy(), chances, paired.group.to_numpy(), lender)
        value = apart(None)
        low, high, _ = by_the_jackknife(value, [apart(group) for group in sorted(set(mine.group))])
        assert here.loc["cosine", "difference"] == pytest.approx(value)
        assert here.loc["cosine", "difference_low"] == pytest.approx(low, abs=1e-6)
        assert here.loc["cosine", "difference_high"] == pytest.approx(high, abs=1e-6)
    first = figures[figures.stage == 0]
    assert set(first.layer.isna()) == {True}
    assert not {"log_rank_step", "cosine_step", "overlap_before"} & set(first.statistic)
    whole = figures[(figures.by == "all") & (figures.statistic == "cosine")]
    corrected = stats.false_discovery_control(whole.p)
    assert whole.q.tolist() == pytest.approx(corrected.tolist())
