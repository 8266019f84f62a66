"""Tokens in their context, as the survey's own rows have them."""

from __future__ import annotations

import pandas as pd
import pytest

from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.report.examples import TOKENS, _context, examples
from headscope.studies.survey.report.measures import KINDS
from tests.studies.survey.corpora import table


@pytest.mark.slow
def test_what_is_quoted_is_what_was_measured(surveys):
    survey = open_survey(surveys[0])
    rows, tokens = table(surveys[0], "rows"), table(surveys[0], "tokens")
    labels = pd.read_parquet(surveys[0] / "vocabulary.parquet").set_index("id")["label"]
    rows = rows.merge(tokens[["text", "position", "label"]], on=["text", "position"])
    for view in survey.views:
        found = examples(survey, view, [(0, 1), (2, 3), (0, 1)])
        assert [(one.layer, one.head) for one in found] == [(0, 1)] * TOKENS + [(2, 3)] * TOKENS
        for one in found:
            here = rows[(rows["layer"] == one.layer) & (rows["head"] == one.head) & (rows["mask"] == view.mask)]
            here = here[(here["reference"] == view.reference) & (here["own_rank"] == one.own_rank)]
            here = here[here["label"].str.removeprefix("##") == one.token.strip()]
            assert (one.nearest, one.kind) in set(zip(here["nearest"].map(labels), here["kind"], strict=True))


@pytest.mark.parametrize(
    ("labels", "position", "quoted"),
    [
        (["time", "fl", "##ies", "."], 2, ("time fl", "ies", " .")),
        (["time", "fl", "##ies", "."], 0, ("", "time", " flies .")),
        (["Time", "␣fl", "ies"], 1, ("Time ", "fl", "ies")),
        (["there", "␣", "A"], 1, ("there", "␣", "A")),
        (["a", "b", "c", "d", "e", "f", "g", "h", "i"], 8, ("…b c d e f g h ", "i", "")),
    ],
)
def test_a_token_stands_in_its_text(labels, position, quoted):
    assert _context(list(enumerate(labels)), position) == quoted


def test_a_byte_is_not_called_a_special_token():
    assert "a byte" in KINDS["special"]
    assert "unused" in KINDS["special"]
