"""Heads that were built to do one thing: the figures say which."""

from __future__ import annotations

import math

import pytest
import torch
import zoo

from headscope import Scope
from tests.angled import angled, attending
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written

pytestmark = pytest.mark.slow  # what all of it looks at is dear to make

OWN, PREVIOUS, EVERYWHERE = 0, 1, 2
TURN = 2 * math.pi / 40


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A survey of a model whose layer 0 has a head that copies its own token, and one that copies the token before."""
    folder = tmp_path_factory.mktemp("planted")
    path = written(folder / "t.txt", sentences(120, seed=5, least=6, most=14))
    return surveyed(planted(), path, folder / "s", ("rotated", "labels", "uniform"))


def planted() -> Scope:
    """A tiny BERT: four dimensions hold the position's angle, the others the token.

    Both parts have mean 0 and one length, so LayerNorm does the same to every token at every position.
    """
    model, tokenizer = zoo.build("bert")
    with torch.no_grad():
        attention = angled(model, slice(4, 32), 40, torch.Generator().manual_seed(0))
        attention.value.weight[:, :4] = 0  # values tell nothing of the position
        attention.value.bias.zero_()
        for head, turn in ((OWN, 0.0), (PREVIOUS, TURN)):
            attending(attention, head, turn, 25)
    return Scope.from_model(model, tokenizer)


def figures(directory, statistic: str, head: int, null: str | None = None):
    found = statistics(directory)
    found = found[found["null"].isna() if null is None else found["null"] == null]
    found = found[
        (found.layer == 0) & (found["head"] == head) & (found.reference == "layer") & (found.statistic == statistic)
        & (found.by == "all")
    ]  # fmt: skip
    assert len(found) == 1
    return found.iloc[0]


def test_the_heads_do_what_they_are_built_for(directory):
    weights = table(directory, "patterns")
    weights = weights[weights.layer == 0].groupby("head")[["on_own", "on_previous"]].mean()
    assert weights.on_own[OWN] > 0.99
    assert weights.on_previous[PREVIOUS] > 0.99


def test_a_head_that_copies_its_token_has_an_own_interval_far_above_0(directory):
    own = figures(directory, "auc_own", OWN)
    assert own.difference_low > 0.3
    assert own["value"] == pytest.approx(1, abs=1e-3)
    assert own.verdict == "above"
    assert figures(directory, "own_at_1", OWN)["value"] > 0.99
    assert figures(directory, "kind_own", OWN)["value"] > 0.99
    assert figures(directory, "signal", OWN).verdict == "above"


def test_a_head_that_copies_the_token_before_has_a_high_signal_and_no_own(directory):
    own, heard = figures(directory, "auc_own", PREVIOUS), figures(directory, "signal", PREVIOUS)
    assert abs(own.difference) < 0.05
    assert heard.low > 0.4  # the token before may be in the other text too
    assert heard.verdict == "above"
    assert figures(directory, "kind_text", PREVIOUS)["value"] > 0.7


@pytest.mark.parametrize("head", [OWN, PREVIOUS, EVERYWHERE])
@pytest.mark.parametrize("null", ["rotated", "labels"])
def test_rotated_spaces_and_permuted_labels_tell_nothing_of_the_own_token(directory, null, head):
    for statistic in ("auc_own", "kappa", "signal"):
        found = figures(directory, statistic, head, null)
        assert abs(found.difference) < (0.15 if null == "labels" else 0.1)
        if null == "rotated" and statistic != "kappa":
            assert found.verdict in ("at chance", "undetermined")


def test_uniform_attention_makes_of_every_head_what_one_that_sees_all_alike_is(directory):
    for statistic in ("auc_own", "in_text", "signal"):
        alike, uniform = figures(directory, statistic, EVERYWHERE), figures(directory, statistic, EVERYWHERE, "uniform")
        assert uniform["value"] == pytest.approx(alike["value"], abs=1e-3)
    assert figures(directory, "own_at_1", OWN, "uniform")["value"] < 0.6
