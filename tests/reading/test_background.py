"""What a bank says of an answer, against the arithmetic written out in plain.py."""

from __future__ import annotations

import json

import numpy as np
import plain
import pytest
import torch
import zoo

from headscope import InputError
from headscope.question.kinds import KINDS

SIZE = 300
LAYER, TOKEN, K = 2, 3, 6


@pytest.fixture(params=plain.FAMILIES)
def name(request):
    """The architectures whose arithmetic is written out."""
    return request.param


def asked(scope, **choices):
    """An answer, its bank and its background."""
    reading = scope.read(zoo.TEXT)
    near = reading.nearest(TOKEN, LAYER, k=K, **choices)
    bank = scope.bank(size=SIZE)
    return reading, near, bank, reading.background(near, bank)


def rows_of(scope, name, head):
    """The vocabulary's encodings of one head, at the reading's place: float64 [token, d_head]."""
    place = TOKEN if scope.card.position_embeddings else None
    rows = plain.encodings(name, scope.bench.opened.model, LAYER, place).detach()
    return rows[:, head * scope.card.kv_heads // scope.card.heads]


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_hub_aware_scores_are_how_unusual_a_similarity_is_over_the_bank(name, scope, metric):
    reading, near, bank, found = asked(scope, reference="layer", metric=metric)
    own = reading.tokens[TOKEN].id
    for head in range(scope.card.heads):
        rows = rows_of(scope, name, head)
        power = 2 if metric == "euclidean" else 1
        over = torch.stack([-(plain.distance(metric, z[LAYER, head], rows) ** power) for z in bank.z])
        here = -(plain.distance(metric, reading.z[LAYER, TOKEN, head], rows) ** power)
        scores = (here - over.mean(0)) / over.std(0, correction=0)
        assert torch.allclose(scores[found.ids[head]], found.scores[head].double(), rtol=1e-3, atol=1e-3)
        assert torch.allclose(
            scores.sort(descending=True).values[:K], found.scores[head].double(), rtol=1e-3, atol=1e-3
        )
        assert float(found.own_score[head]) == pytest.approx(float(scores[own]), rel=1e-3, abs=1e-3)
        higher = (scores > scores[own] + 1e-3).sum(), (scores > scores[own] - 1e-3).sum()
        assert higher[0] + 1 <= found.own_rank[head] <= higher[1] + 1
    assert found.near is near
    assert found.outputs == len(bank) >= SIZE


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_hubs_are_counted_over_the_bank(name, scope, metric):
    _, _, bank, found = asked(scope, reference="layer", metric=metric)
    for head in range(scope.card.heads):
        rows = rows_of(scope, name, head)
        counts = np.zeros(len(rows))
        for z in bank.z[:, LAYER, head]:
            counts[plain.distance(metric, z, rows).topk(10, largest=False).indices.numpy()] += 1
        apart = counts - counts.mean()
        assert float(found.hubs.skewness[head]) == pytest.approx((apart**3).mean() / counts.std() ** 3, rel=1e-2)
        assert float(found.hubs.largest[head]) == pytest.approx(counts.max() / len(bank), abs=2 / len(bank))
        assert counts[int(found.hubs.largest_id[head])] >= counts.max() - 2


def test_chance_is_what_other_outputs_at_the_nearest_positions_give(name, scope):
    reading, near, bank, found = asked(scope, reference="layer")
    own = reading.tokens[TOKEN].id
    chance = found.chance
    window = bank.around(TOKEN, 100)
    assert chance.outputs == len(window) >= 100
    assert (chance.first, chance.last) == (int(bank.positions[window].min()), int(bank.positions[window].max()))
    here = {token.id for token in reading.tokens if not token.special}
    slack = 2 / len(window)  # an output or two may be so close to call that float32 and float64 differ
    for head in range(scope.card.heads):
        rows = rows_of(scope, name, head)
        apart = torch.stack([plain.distance("cosine", z, rows) for z in bank.z[window, LAYER, head]])
        ranks = 1 + (apart < apart[:, own, None]).sum(1)
        nearest = apart.topk(K, largest=False).indices
        assert float(chance.own_rank[head]) == pytest.approx(float(ranks.double().quantile(0.5)), abs=1)
        as_near = (ranks <= near.own_rank[head]).double().mean()
        assert float(chance.as_near[head]) == pytest.approx(float(as_near), abs=slack)
        in_text = np.mean([int(id) in here for id in nearest[:, 0]])
        assert float(chance.in_text[head]) == pytest.approx(in_text, abs=slack)
        for place, id in enumerate(near.ids[head]):
            listed = float((nearest == id).any(1).double().mean())
            assert float(chance.listed[head, place]) == pytest.approx(listed, abs=slack)


def test_words_only_holds_for_hub_aware_neighbours_and_for_chance(scope_of):
    scope = scope_of("roberta")
    everything = asked(scope)[-1]
    reading, _, bank, found = asked(scope, candidates="words")
    assert {found.names[id].sort for id in found.ids.flatten().tolist()} == {"word"}
    assert {found.names[id].sort for id in found.hubs.largest_id.tolist()} == {"word"}
    words = [id for id in range(scope.card.vocab_size) if scope.bench.opened.names[id].sort == "word"]
    whole = reading.background(reading.nearest(TOKEN, LAYER, k=scope.card.vocab_size), bank)
    for head in range(scope.card.heads):
        assert found.ids[head].tolist() == [id for id in whole.ids[head].tolist() if id in words][:K]
    assert bool((found.chance.own_rank <= everything.chance.own_rank).all())


def test_this_very_text_is_left_out_of_the_bank(scope_of):
    scope = scope_of("bert")
    texts = [*zoo.CORPUS, "A dog by the sea.", "The early bird sells sea shells.", "I am sure."]
    reading = scope.read(f" {texts[0]} ")
    near = reading.nearest(2, 1, k=4)
    bank = scope.bank(texts, size=60)
    assert texts[0] in bank.texts
    found, others = reading.background(near, bank), reading.background(near, bank.without(texts[0]))
    assert found.outputs == others.outputs == len(bank) - int((bank.text_of == 0).sum())
    assert torch.equal(found.scores, others.scores)
    other = scope.read("A bird.")
    near = other.nearest(2, 1, k=4)
    assert other.background(near, bank).outputs == len(bank)


def test_without_a_bank_it_is_the_projects_sentences_under_the_readings_mask(scope_of):
    scope = scope_of("bert")
    reading = scope.read(zoo.TEXT, "causal")
    near = reading.nearest(2, 1, k=4)
    found = reading.background(near)
    assert found.bank == "the project's sentences"
    assert torch.equal(found.scores, reading.background(near, scope.bank(mask="causal")).scores)


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("space", ["output", "key", "embedding", "unembedding"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_every_space_has_a_background(scope, space):
    reading = scope.read(zoo.TEXT)
    bank = scope.bank(size=SIZE)
    for metric in ("cosine", "dot"):
        near = reading.nearest(TOKEN, LAYER, space, metric=metric, k=scope.card.vocab_size)
        found = reading.background(near, bank)
        for head in range(scope.card.heads):
            # Similarities of the bank, by asking of one output after another what the reading was asked.
            encoded = scope.bench.vocabulary.encoded(space, near.question.reference, LAYER, reading.spots[TOKEN])
            rows = encoded.rows(torch.arange(scope.card.vocab_size))
            row = rows[:, head * rows.shape[1] // scope.card.heads]
            over = torch.stack([-plain.distance(metric, encoded.enter(z[LAYER])[head], row) for z in bank.z])
            here = -plain.distance(metric, encoded.enter(reading.z[LAYER, TOKEN])[head], row)
            scores = (here - over.mean(0)) / over.std(0, correction=0)
            assert torch.allclose(scores[found.ids[head]], found.scores[head].double(), rtol=1e-4, atol=1e-4)


def test_an_answer_or_a_bank_that_does_not_fit_is_told(scope_of):
    scope = scope_of("gpt2")
    reading, bank = scope.read(zoo.TEXT), scope.bank(size=SIZE)
    near = reading.nearest(2, 1, k=3)
    with pytest.raises(InputError, match="one token"):
        reading.background(reading.nearest([1, 2], 1, k=3), bank)
    with pytest.raises(InputError, match="a bank holds z"):
        reading.background(reading.nearest(2, 1, vector="v", k=3), bank)
    with pytest.raises(InputError, match="open: cosine, dot"):
        reading.background(reading.nearest(2, 1, "unembedding", metric="euclidean", k=3), bank)
    with pytest.raises(InputError, match="under the mask 'full', and this text under 'model'"):
        reading.background(near, scope.bank(size=SIZE, mask="full"))
    with pytest.raises(InputError, match="other weights"):
        reading.background(near, scope_of("llama").bank(size=SIZE))
    with pytest.raises(InputError, match="which this reading does not have there"):
        scope.read("A dog.").background(near, bank)


def test_notes_say_where_the_bank_is_unlike_what_is_held_against_it(scope_of):
    scope = scope_of("bert")
    bank = scope.bank(["A dog by the sea.", "I am sure.", "She sells shells."], size=10)
    reading = scope.read(zoo.TEXT)
    assert not reading.background(reading.nearest(2, k=2), bank).notes
    assert "special" in reading.background(reading.nearest(0, k=2), bank).notes[-1]
    assert "too short for position 12" in reading.background(reading.nearest(12, k=2), bank).notes[0]


def test_a_token_without_a_finite_encoding_has_no_chance(build):
    from headscope import Scope

    model, tokenizer = build("bert")
    id = tokenizer(zoo.TEXT)["input_ids"][2]
    scope = Scope.from_model(model, tokenizer)
    bank, reading = scope.bank(size=50), scope.read(zoo.TEXT)
    table = scope.bench.vocabulary.encoded("value", "layer", 1, None).table
    table.rows[:, id], table.finite[id] = torch.nan, False
    found = reading.background(reading.nearest(2, 1, reference="layer", position=False, k=3), bank)
    assert found.own_rank.tolist() == [0] * scope.card.heads
    assert found.own_score.isnan().all()
    assert found.chance.own_rank.isnan().all()
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["heads"][0]["own"] == {"rank": 0, "score": None}
    assert told["heads"][0]["chance"]["own_rank"] is None
    assert "–" in repr(found)


def test_it_prints_and_exports(scope_of):
    _, near, _, found = asked(scope_of("roberta"))
    shown = repr(found)
    assert max(map(len, shown.splitlines())) <= 100
    for expected in ("hub-aware", "chance", "in text", "hubs", "skew", "Bank: "):
        assert expected in shown
    assert found._repr_html_().count("hub-aware") > 4
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    head = told["heads"][1]
    assert [row["id"] for row in head["neighbors"]] == found.ids[1].tolist()
    assert [KINDS.index(row["kind"]) for row in head["neighbors"]] == found.kinds[1].tolist()
    assert head["chance"]["listed"] == pytest.approx(found.chance.listed[1].tolist())
    assert told["window"]["outputs"] == found.chance.outputs
    frame = found.to_pandas()
    assert len(frame) == 2 * near.ids.numel()
    assert frame[frame["list"] == "hub-aware"]["score"].tolist() == pytest.approx(found.scores.flatten().tolist())
    assert frame[frame["list"] == "raw"]["chance"].tolist() == pytest.approx(found.chance.listed.flatten().tolist())


def test_the_text_is_data_in_a_notebook(scope_of):
    reading = scope_of("roberta").read("<script>alert(1)</script>")
    assert "<script" not in reading.background(reading.nearest(2, k=4))._repr_html_()


def test_what_is_usual_is_kept_for_one_place_and_one_mask(scope_of):
    scope = scope_of("gpt2")

    def usual(mask, token):
        reading = scope.read(zoo.TEXT, mask)
        found = reading.background(reading.nearest(token, 1, k=4), scope.bank(size=SIZE, mask=mask))
        return [found.scores, found.hubs.largest, found.hubs.skewness]

    asked = [("model", 2), ("model", 6), ("full", 2)]
    kept = [usual(*one) for one in asked]  # one after another
    alone = []
    for one in asked:
        scope.bench.forget()
        alone.append(usual(*one))
    for first, second in zip(kept, alone, strict=True):
        assert all(map(torch.equal, first, second))
