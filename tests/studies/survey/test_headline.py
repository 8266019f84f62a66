"""What may be concluded: a claim needs both contrasts, and a line says no more than its figures."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

from headscope.studies.survey.headline import HeadOver, headlines, principal
from headscope.studies.survey.report.three_lines import three_lines

ABOVE = {"difference": 0.10, "low": 0.06, "high": 0.14, "q": 0.004, "q_above": 0.002, "smallest": 0.06}
SLIGHT = {"difference": 0.01, "low": 0.006, "high": 0.014, "q": 0.004, "q_above": 0.002, "smallest": 0.006}
BELOW = {"difference": -0.11, "low": -0.13, "high": -0.09, "q": 0.001, "q_above": 1.0, "smallest": 0.03}
NOTHING = {"difference": 0.001, "low": -0.01, "high": 0.012, "q": 0.8, "q_above": 0.4, "smallest": 0.016}
OPEN = {"difference": 0.03, "low": -0.04, "high": 0.10, "q": 0.5, "q_above": 0.25, "smallest": 0.098}
UNTESTED = {"difference": 0.10, "low": 0.06, "high": 0.14, "q": None, "q_above": None, "smallest": None}
VIEW = {"space": "value", "reference": "layer", "metric": "cosine", "mask": "model"}


def rows(
    even: list[dict[str, Any]], twins: list[dict[str, Any]] = (), statistic: str = "carry", **view: Any
) -> list[Any]:
    """Rows of contrasts.parquet for the heads of one layer."""
    subject = {"null": None, "layer": 0, "statistic": statistic} | VIEW | view
    both = (("even", even), ("random", twins))
    return [subject | {"between": name, "head": head} | of for name, some in both for head, of in enumerate(some)]


def manifest(groups: int = 60, documents: int | None = 60, causal: bool = False) -> dict[str, Any]:
    return {"texts": {"groups": groups, "documents": documents}, "model": {"causal": causal}}


def heads(*some: Any) -> tuple[HeadOver, ...]:
    (one,) = headlines(rows(*some))
    return one.heads


@pytest.mark.parametrize(
    ("even", "twins", "conclusion"),
    [
        (ABOVE, ABOVE, "stands out"),
        (SLIGHT, ABOVE, "stands out"),
        (ABOVE, NOTHING, "does not stand out"),
        (ABOVE, BELOW, "does not stand out"),
        (NOTHING, ABOVE, "does not stand out"),
        (BELOW, OPEN, "does not stand out"),
        (ABOVE, OPEN, "undetermined"),
        (OPEN, ABOVE, "undetermined"),
        (UNTESTED, UNTESTED, "undetermined"),
    ],
)
def test_a_head_stands_out_where_both_contrasts_are_above(even, twins, conclusion):
    assert heads([even], [twins])[0].conclusion == conclusion


@pytest.mark.parametrize(
    ("even", "conclusion"),
    [(ABOVE, "more than even attention"), (BELOW, "does not stand out"), (OPEN, "undetermined")],
)
def test_without_twins_nothing_stands_out(even, conclusion):
    assert heads([even])[0].conclusion == conclusion


def test_what_could_have_been_shown_is_that_of_what_is_open():
    one, two, three = heads([ABOVE, OPEN, UNTESTED], [OPEN, OPEN | {"smallest": 0.2}, OPEN])
    assert (one.smallest, two.smallest, three.smallest) == (0.098, 0.2, None)


def test_three_lines_with_twins():
    even = [ABOVE, ABOVE | {"difference": 0.3}, ABOVE, BELOW, OPEN, SLIGHT]
    twins = [ABOVE, ABOVE | {"difference": 0.2}, NOTHING, NOTHING, ABOVE, ABOVE]
    one, two, three = three_lines(headlines(rows(even, twins)), manifest())
    assert one == (
        "Stands out (space value, reference layer, cosine, the model's own mask), above even attention and above 5 "
        "untrained twins: Carry in 3 of 6 heads (most L0H1, +0.300 and +0.200, 1 of them by less than 0.02). "
        "Attention as sharp over random values may be above both as well: that is not measured."
    )
    assert two == (
        "Does not, being below or at most 0.02 above one of the two: Carry in 2 of 6 heads (1 below even attention, 1 "
        "above even attention, not above untrained twins)."
    )
    assert three == (
        "Undetermined, as these texts could not show it: Carry in 1 of 6 heads (smallest effect that they could have "
        "shown: 0.098)."
    )


def test_three_lines_without_twins_describe_and_name_the_flag():
    found = headlines(rows([ABOVE, NOTHING], statistic="own") + rows([NOTHING, NOTHING]))
    one, two, three = three_lines(found, manifest())
    assert one.startswith("More than even attention (")
    assert "Own within the text in 1 of 2 heads (most L0H0, +0.100); Carry in none of 2 heads" in one
    assert one.endswith("whether more than untrained twins have, too, is not measured: --null random.")
    assert "Stands out" not in one + two + three
    assert three.endswith("Own within the text in none of 2 heads; Carry in none of 2 heads.")


@pytest.mark.parametrize(("documents", "unit"), [(15, "documents"), (None, "texts")])
def test_fewer_than_20_documents_show_nothing_and_say_so(documents, unit):
    one, _, three = three_lines(headlines(rows([UNTESTED], [UNTESTED])), manifest(15, documents))
    assert "Carry in none of 1 heads" in one
    assert three == (
        "Undetermined, as these texts could not show it: Carry in 1 of 1 heads. "
        f"With 15 {unit} no difference is tested: that takes 20."
    )


def test_texts_that_are_the_same_are_not_called_so_many_texts():
    told = manifest(4, None)
    told["texts"]["same"] = 28
    assert three_lines(headlines(rows([UNTESTED])), told)[2].endswith(
        "With 4 different texts no difference is tested: that takes 20."
    )


def test_the_view_that_is_told_of_is_chosen_by_what_was_asked_and_not_by_what_came_out():
    found = headlines(rows([ABOVE], reference="input") + rows([NOTHING]) + rows([ABOVE], mask="causal"))
    (first,) = principal(found)
    assert (first.view.reference, first.view.mask) == ("layer", "model")
    (first,) = principal(headlines(rows([ABOVE], space="embedding", reference=None)))
    assert first.view.space == "embedding"


def test_nulls_layers_means_and_other_contrasts_are_no_heads():
    others = [
        *(row | {"null": "uniform"} for row in rows([ABOVE])),
        *(row | {"between": "mask"} for row in rows([ABOVE])),
        *(row | {"difference": None} for row in rows([ABOVE, ABOVE])[1:]),
        *rows([ABOVE], statistic="kappa"),
    ]
    (found,) = headlines(rows([ABOVE]) + [row | {"head": None} for row in rows([NOTHING])] + others)
    assert [one.even.difference for one in found.heads] == [0.10]


def test_there_are_no_lines_where_nothing_was_held_against_even_attention():
    assert three_lines(principal(headlines([])), manifest()) == ()
