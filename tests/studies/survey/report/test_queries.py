"""The DuckDB queries of docs/survey-tables.md, run, and their answers computed another way."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.studies.survey.corpora import table

QUERIES = re.findall(
    r"^```sql\n(.*?)^```$",
    (Path(__file__).parents[4] / "docs" / "survey-tables.md").read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)


pytestmark = pytest.mark.slow  # for the two surveys that they stand on


@pytest.fixture
def answers(surveys: tuple[Path, Path]) -> list[pd.DataFrame]:
    return [duckdb.sql(query.replace("DIR/", f"{surveys[1]}/")).df() for query in QUERIES]


def test_there_are_three():
    assert len(QUERIES) == 3


def test_heads_that_write_what_they_attend_to(answers, surveys):
    found = pd.read_parquet(surveys[1] / "contrasts.parquet")
    found = found[found["between"].isin(["even", "random"]) & found["null"].isna() & found["head"].notna()]
    found = found[(found["statistic"] == "carry") & (found["reference"] == "layer")]
    by_head = found.groupby(["layer", "head"]).agg({"difference": "min", "q_above": "max", "between": "size"})
    by_head = by_head[by_head["q_above"] <= 0.05].sort_values("difference", ascending=False, kind="stable").head(10)
    assert len(by_head) > 0
    assert list(zip(answers[0]["layer"], answers[0]["head"], strict=True)) == [
        (layer, int(head)) for layer, head in by_head.index
    ]
    assert list(answers[0]["carry"]) == pytest.approx(list(by_head["difference"]), abs=5.1e-4)
    assert list(answers[0]["contrasts"]) == list(by_head["between"])


def test_one_text_token_by_token(answers, surveys):
    rows, tokens = table(surveys[1], "rows"), table(surveys[1], "tokens")
    first = table(surveys[1], "texts")["text"].min()
    rows = rows[(rows["text"] == first) & (rows["layer"] == 0) & (rows["reference"] == "input")]
    rows = rows.sort_values(["position", "head"])
    assert list(answers[1]["own_rank"]) == list(rows["own_rank"])
    named = pd.read_parquet(surveys[1] / "vocabulary.parquet").set_index("id")["label"]
    assert list(answers[1]["nearest"]) == list(rows["nearest"].map(named))
    own = tokens[tokens["text"] == first].set_index("position")["label"]
    assert list(answers[1]["token"]) == list(rows["position"].map(own))


def test_own_tokens_by_word_class(answers, surveys):
    rows = table(surveys[1], "rows").merge(table(surveys[1], "tokens"), on=["text", "position"])
    rows = rows[(rows["reference"] == "layer") & rows["own_rank"].notna()]
    rows["word_class"] = rows["word_class"].astype(str)
    found = (rows["own_rank"] == 1).groupby([rows["word_class"], rows["layer"]]).agg(["mean", "size"]).reset_index()
    found = found.sort_values(["word_class", "layer"])
    assert sorted(zip(answers[2]["word_class"], answers[2]["layer"], strict=True)) == sorted(
        zip(found["word_class"], found["layer"], strict=True)
    )
    one = answers[2].sort_values(["word_class", "layer"])
    assert list(one["rows"]) == list(found["size"])
    assert list(one["own_at_1"]) == pytest.approx(list(found["mean"]), abs=5.1e-4)
