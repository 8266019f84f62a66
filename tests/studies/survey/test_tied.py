"""A head that encodes every token alike is in no figure, mean or test of a survey, and is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zoo

from headscope import Scope
from headscope.studies.survey.headline import headlines
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.report.write import write_report
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written

WRITES = ("auc_own", "own_at_1", "in_text", "kappa", "own", "carry", "carry_ceiling", "signal", "kind_special")
DEAD = 1


def scope(dead: bool) -> Scope:
    model, tokenizer = zoo.build("bert")
    if dead:
        with torch.no_grad():
            model.encoder.layer[0].attention.self.value.weight[8 * DEAD : 8 * DEAD + 8] = 0
    return Scope.from_model(model, tokenizer)


@pytest.fixture(scope="module")
def surveys(tmp_path_factory):
    """The same texts by a model with such a head in layer 0, and without."""
    folder = tmp_path_factory.mktemp("tied")
    path = written(folder / "t.txt", sentences(24, seed=3))
    options = {"references": ("layer",), "shard_positions": 50, "metrics": ("cosine", "dot")}
    return [surveyed(scope(dead), path, folder / name, **options) for dead, name in ((True, "dead"), (False, "alive"))]


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_it_has_no_figures_and_changes_none(surveys, metric):
    dead, alive = (statistics(one) for one in surveys)
    dead, alive = (one[(one.layer == 0) & (one.metric == metric) & one.statistic.isin(WRITES)] for one in (dead, alive))
    assert DEAD not in set(dead["head"].dropna())
    assert set(alive["head"].dropna()) == {0, 1, 2, 3}
    keys = ["head", "by", "class", "statistic"]
    numbers = ["positions", "paired", "groups", "value", "low", "high", "chance", "difference", "p"]
    of_heads, others = (one[one["head"].notna() & (one["head"] != DEAD)].set_index(keys) for one in (dead, alive))
    assert len(of_heads) == len(others) > 0
    assert np.array_equal(of_heads[numbers].to_numpy(float), others[numbers].to_numpy(float), equal_nan=True)
    means = dead[dead["head"].isna()].set_index(keys[1:])
    for key, figure in means.iterrows():
        same = of_heads.xs(key, level=("by", "class", "statistic"))
        assert figure["value"] == pytest.approx(same["value"].mean(), nan_ok=True)
        assert figure.difference == pytest.approx(same.difference.mean(), nan_ok=True)


@pytest.mark.slow
def test_it_is_named_and_in_no_headline(surveys, tmp_path):
    dead, alive = map(open_survey, surveys)
    said = "Head 1 of layer 0 tells no token from another: all are as near to the output, and none has a rank."
    assert dead.notes == (said,)
    assert alive.notes == ()
    for one in headlines(dead.contrasts):
        assert (0, DEAD) not in {(head.layer, head.head) for head in one.heads}
        assert len(one.heads) == 4 * dead.layers - 1
    assert (None, dead.views[0], 0, DEAD) not in dead.hubs
    write_report([surveys[0]], tmp_path / "report")
    assert said in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.slow
def test_its_rows_say_that_nothing_is_the_nearest(surveys):
    rows = table(surveys[0], "rows")
    of_head = rows[(rows.layer == 0) & (rows["head"] == DEAD)]
    for column in ("own_rank", "distance", "signal", "carry", "own_auc_others"):
        assert of_head[column].isna().all()
        assert rows[rows.layer == 1][column].notna().any()
