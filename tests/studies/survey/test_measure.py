"""A survey's rows against the readings that they are made of, one by one."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from headscope.question.kinds import KINDS
from tests.studies.survey.corpora import sentences, surveyed, table, written

TEXTS = sentences(6)


# Closed form, grouped heads with RoPE, and a model whose encodings the oracle makes at every position.
@pytest.mark.parametrize("name", ["bert", "llama", "electra", "gpt2"])
@pytest.mark.parametrize("spaces", [("value",), ("output", "embedding"), ("key",)])
def test_rows_are_what_readings_answer(scope_of, name, spaces, tmp_path):
    scope = scope_of(name)
    directory = surveyed(
        scope, written(tmp_path / "t.txt", TEXTS), tmp_path / "s", spaces=spaces, metrics=("cosine", "euclidean")
    )
    rows = table(directory, "rows")
    readings = [scope.read(text) for text in TEXTS]
    kept = sum(not token.special for reading in readings for token in reading.tokens)
    views = sum(2 if space != "embedding" else 1 for space in spaces)
    assert len(rows) == kept * scope.card.layers * scope.card.heads * views * 2
    partners = table(directory, "tokens").set_index(["text", "position"]).partner
    rows["reference"] = rows["reference"].astype(object).where(rows["reference"].notna(), None)
    asked = ["text", "position", "layer", "space", "reference", "metric"]  # one question, which has a row for each head
    questions = rows[asked].drop_duplicates().sample(30, random_state=0)
    checked = questions.merge(rows, on=asked)
    assert len(checked) == 30 * scope.card.heads == 120
    nearest = cache(lambda text, *rest, k: readings[text].nearest(*rest, k=k))
    for row in checked.itertuples():
        reading = readings[row.text]
        question = row.position, row.layer, row.space, row.reference, row.metric
        near = nearest(row.text, *question, k=1)
        assert row.own_rank == near.own_rank[row.head]
        assert row.nearest == near.ids[row.head, 0]
        assert row.kind == KINDS[near.kinds[row.head, 0]]
        assert row.distance == pytest.approx(float(near.distances[row.head, 0]), abs=2e-5)
        assert row.own_distance == pytest.approx(float(near.own_distance[row.head]), abs=2e-5)
        assert row.candidates == scope.card.vocab_size
        types = {token.id for token in reading.tokens if not token.special}
        assert row.in_text == (row.nearest in types)

        partner = partners[row.text, row.position]
        if np.isnan(partner):
            assert np.isnan(row.chance_own_rank)
            assert row.chance_in_text is None
            continue
        other = nearest(int(partner), *question, k=scope.card.vocab_size)
        own = reading.tokens[row.position].id
        assert row.chance_own_rank == other.ranks[row.head][other.ids[row.head] == own].item()
        assert row.chance_in_text == (int(other.ids[row.head, 0]) in types)


@pytest.mark.parametrize("mask", ["model", "full"])
def test_masks_positions_and_candidates_are_those_asked_for(scope_of, mask, tmp_path):
    scope = scope_of("gpt2")
    path = written(tmp_path / "t.txt", TEXTS)
    options = {"masks": ("full", "model"), "position": False, "candidates": "words", "references": ("layer",)}
    rows = table(surveyed(scope, path, tmp_path / "s", **options), "rows")
    rows = rows[rows["mask"] == mask]
    assert set(rows.candidates) == {int(scope.bench.opened.names.words.sum())}
    for row in rows.sample(30, random_state=0).itertuples():
        near = scope.read(TEXTS[row.text], mask).nearest(
            row.position, row.layer, "value", "layer", position=False, k=1, candidates="words"
        )
        assert (row.own_rank, row.nearest) == (near.own_rank[row.head], near.ids[row.head, 0])


def test_partners_have_an_own_token_at_the_same_position(scope_of, tmp_path):
    tokens = table(surveyed(scope_of("bert"), written(tmp_path / "t.txt", TEXTS), tmp_path / "s"), "tokens")
    at = {position: set(group.text) for position, group in tokens.groupby("position")}
    for token in tokens.itertuples():
        others = at[token.position] - {token.text}
        assert (token.partner in others) if others else np.isnan(token.partner)
    paired = tokens[tokens.partner.notna()]
    assert not paired.duplicated(["partner", "position"]).any()


def test_patterns_are_those_of_the_formulas(scope_of, tmp_path):
    scope = scope_of("bert")
    found = table(surveyed(scope, written(tmp_path / "t.txt", TEXTS), tmp_path / "s"), "patterns")
    assert len(found) == len(table(tmp_path / "s", "rows")) // 2
    for row in found.sample(40, random_state=0).itertuples():
        reading = scope.read(TEXTS[row.text])
        weights = reading.pattern[row.layer, row.head, row.position].double()
        special = torch.tensor([token.special for token in reading.tokens])
        assert row.entropy == pytest.approx(-(weights * weights.log()).sum().item(), abs=1e-5)
        assert row.on_own == pytest.approx(weights[row.position].item(), abs=1e-6)
        assert row.on_previous == pytest.approx(weights[row.position - 1].item(), abs=1e-6)
        assert row.on_special == pytest.approx(weights[special].sum().item(), abs=1e-6)
