"""A survey's rows against the readings that they are made of, one by one."""

from __future__ import annotations

import os
import resource
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from headscope.corpus.bank import ASKED, strata
from headscope.errors import InputError
from headscope.question.kinds import KINDS
from headscope.reading.within import evenly
from headscope.studies.survey import network
from tests.studies.survey.corpora import sentences, surveyed, table, written

TEXTS = sentences(6)


# Closed form, grouped heads with RoPE, and a model whose encodings the oracle makes at every position.
@pytest.mark.slow(cases=2)
@pytest.mark.parametrize(
    ("spaces", "name"),
    [
        *((("value",), name) for name in ("bert", "llama", "electra", "gpt2")),
        *((spaces, "bert") for spaces in (("output", "embedding"), ("key",))),
        *(
            pytest.param(spaces, name, marks=pytest.mark.slow)
            for spaces in (("output", "embedding"), ("key",))
            for name in ("llama", "electra", "gpt2")
        ),
    ],
)
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
    asked_of = table(directory, "tokens").set_index(["text", "position"]).asked
    bank = pq.read_table(directory / "bank.parquet").to_pandas()
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

        outputs = asked_of[row.text, row.position]
        assert len(outputs) == len(row.chance_own_rank) == len(row.chance_in_text) == ASKED
        own = reading.tokens[row.position].id
        for output, rank, inside in zip(outputs, row.chance_own_rank, row.chance_in_text, strict=True):
            if np.isnan(output):
                assert np.isnan(rank)
                assert inside is None
                continue
            there = bank.loc[int(output)]
            other = nearest(int(there.text), int(there.position), *question[1:], k=scope.card.vocab_size)
            assert rank == other.ranks[row.head][other.ids[row.head] == own].item()
            assert inside == (int(other.ids[row.head, 0]) in types)


@pytest.mark.slow(cases=3)  # a causal mask among them, and shared keys
@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
@pytest.mark.parametrize("mask", ["model", "full"])
def test_what_is_written_where_is_that_of_every_output_asked_for_every_token(scope_of, name, mask, tmp_path):
    scope = scope_of(name)
    path = written(tmp_path / "t.txt", TEXTS)
    directory = surveyed(scope, path, tmp_path / "s", masks=(mask,), references=("layer",))
    rows = table(directory, "rows").set_index(["text", "layer", "head", "position"]).sort_index()
    for number, layer in ((0, 0), (2, 1), (4, 2)):
        reading = scope.read(TEXTS[number], mask)
        own, others, carry, ceiling = brute(reading, reading.z[layer], layer)
        kv = evenly(reading.attended(layer).visible, reading.v[layer], scope.card.heads)
        even_own, even_others, even_carry, _ = brute(reading, kv, layer)
        for head in range(scope.card.heads):
            for at in (token.position for token in reading.tokens if not token.special):
                row = rows.loc[number, layer, head, at]
                mine = 1 - (row.own_rank - 1) / (row.candidates - 1)
                assert same(row.own_auc_others, others[head, at])
                assert np.isnan(own[head, at]) or same(mine, own[head, at])
                assert same(row.carry, carry[head, at])
                assert same(row.carry_ceiling, ceiling[head, at])
                assert same(row.even_own_auc, even_own[head, at])
                assert same(row.even_own_auc_others, even_others[head, at])
                assert same(row.even_carry, even_carry[head, at])


def same(one, other):
    return (np.isnan(one) and np.isnan(other)) or one == pytest.approx(float(other), abs=1e-5)


def brute(reading, z, layer):
    """Own, others, Carry and its ceiling [head, position] by loops, of z [position, head, d_head] in the place of z."""
    vocabulary, tokens = reading.bench.vocabulary, reading.tokens
    heads, n, ids = z.shape[1], len(tokens), [token.id for token in tokens]
    counts = [not token.special and ids.count(token.id) == 1 for token in tokens]
    everything = torch.arange(reading.bench.card.vocab_size)
    auc = np.full((heads, n, n), np.nan)
    for i in range(n):
        encoded = vocabulary.encoded("value", "layer", layer, reading.spots[i])
        encodings = encoded.rows(everything).double().repeat_interleave(heads // encoded.table.rows.shape[0], 1)
        apart = 1 - torch.nn.functional.cosine_similarity(z[i].double()[None], encodings, dim=-1)  # (token, head)
        for j in range(n):
            auc[:, i, j] = 1 - ((apart < apart[ids[j]] - 1e-9).sum(0) / (len(everything) - 1)).numpy()
    alpha = reading.pattern_of(layer).double().numpy()
    sees = (alpha > 0).any(0)
    found = np.full((4, heads, n), np.nan)
    for h in range(heads):
        for i in (i for i in range(n) if not tokens[i].special):
            others = [j for j in range(n) if counts[j] and j != i and sees[j, i]]
            if counts[i] and others:
                found[0, h, i] = auc[h, i, i]
                found[1, h, i] = np.mean([auc[h, j, i] for j in others])
            seen = [j for j in range(n) if counts[j] and sees[i, j]]
            if len(seen) >= 2:
                here, weights = auc[h, i, seen], alpha[h, i, seen]
                found[2, h, i] = (weights * here).sum() / weights.sum() - here.mean()
                found[3, h, i] = here.max() - here.mean()
    return found


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_token_is_held_against_outputs_of_its_stratum_and_of_other_documents(scope_of, tmp_path):
    path = written(tmp_path / "t.txt", sentences(30), every=2)
    directory = surveyed(scope_of("bert"), path, tmp_path / "s")
    bank = pq.read_table(directory / "bank.parquet").to_pandas()
    assert not bank.duplicated(["stratum", "group"]).any()
    texts = table(directory, "texts").set_index("text").group
    for token in table(directory, "tokens").itertuples():
        outputs = bank.loc[token.asked[~np.isnan(token.asked)].astype(int)]
        stratum = strata(np.array([token.position]))[0]
        fit = bank[(bank.stratum == stratum) & (bank.group != texts[token.text])]
        assert len(outputs) == len(set(outputs.index)) == min(ASKED, len(fit))
        assert set(outputs.index) <= set(fit.index)


@pytest.mark.long
@pytest.mark.parametrize("name", ["bert", pytest.param("llama", marks=pytest.mark.slow)])
def test_figures_do_not_hang_on_how_texts_fall_into_shards(scope_of, name, tmp_path):
    path = written(tmp_path / "t.txt", sentences(24, seed=2), every=2)
    options = {"stream": True, "metrics": ("cosine", "euclidean")}
    few, many = (
        surveyed(scope_of(name), path, tmp_path / str(size), ("labels",), shard_positions=size, **options)
        for size in (40, 10**6)
    )
    assert len(list(few.glob("shards/*"))) > 3
    assert len(list(many.glob("shards/*"))) == 1
    for file in ("statistics", "stream", "contrasts"):
        one, other = (pq.read_table(folder / f"{file}.parquet") for folder in (few, many))
        for column in one.column_names:
            if pa.types.is_floating(one[column].type):
                a, b = (side[column].to_numpy().astype(float) for side in (one, other))
                # What is between two sides of nothing has a p that rounding moves.
                assert np.allclose(a, b, atol=1e-3 if column.startswith(("p", "q")) else 2e-5, equal_nan=True), column
            else:
                assert one[column].equals(other[column]), column


@pytest.mark.slow
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


@pytest.mark.slow
def test_attention_that_would_take_much_memory_is_kept_on_disk(scope_of, tmp_path, monkeypatch):
    path = written(tmp_path / "t.txt", TEXTS)
    kept = surveyed(scope_of("gpt2"), path, tmp_path / "kept", ("values",), references=("layer",))
    monkeypatch.setattr(network, "_SPOOLED", 1)
    spooled = surveyed(scope_of("gpt2"), path, tmp_path / "spooled", ("values",), references=("layer",))
    for shards in ("shards", "nulls/values-0/shards"):
        one, other = (pq.read_table(folder / shards / "00000" / "rows.parquet") for folder in (kept, spooled))
        assert one.equals(other)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system reserves no room on a disk")
def test_a_full_disk_below_tmpdir_is_a_sentence_and_no_bus_error(monkeypatch):
    monkeypatch.setattr(network, "_SPOOLED", 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))  # as a disk that has room for no more
    try:
        with pytest.raises(InputError, match=r"does not take the attention of one text, 16 MiB \(File too large\)"):
            network.room((8, 8, 256, 256))
        network.room((8, 8, 64, 64)).fill_(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
