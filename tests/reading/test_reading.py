"""What a reading says, against the arithmetic written out in plain.py."""

from __future__ import annotations

import dataclasses
import json

import plain
import pytest
import torch
import zoo

from headscope import Scope
from headscope.model.opened import Opened

METRICS = ["cosine", "euclidean", "dot"]


@pytest.fixture(params=plain.FAMILIES)
def name(request):
    """The architectures whose arithmetic is written out."""
    return request.param


@pytest.fixture
def model(name, scope):
    return scope.bench.opened.model


def ids_of(reading):
    return [token.id for token in reading.tokens]


def test_z_is_the_attention_weighted_sum_of_values(name, scope, model):
    reading = scope.read(zoo.TEXT)
    for layer in range(scope.card.layers):
        expected = plain.z(name, model, ids_of(reading), layer)
        assert torch.allclose(reading.z[layer].double(), expected, atol=2e-5)


def test_z_is_the_pattern_times_the_values_and_the_pattern_sums_to_one(scope):
    reading = scope.read(zoo.TEXT)
    groups = scope.card.heads // scope.card.kv_heads
    mixed = torch.einsum("lhqs,lshd->lqhd", reading.pattern, reading.v.repeat_interleave(groups, dim=2))
    assert torch.allclose(mixed, reading.z, atol=1e-5)
    assert torch.allclose(reading.pattern.sum(-1), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("reference", ["input", "layer"])
@pytest.mark.parametrize("position", [True, False])
def test_nearest_tokens_distances_and_ranks(name, scope, model, metric, reference, position):
    reading = scope.read(zoo.TEXT)
    token, layer = 3, 2
    near = reading.nearest(token, layer, "value", reference, metric, position, k=7)
    place = token if position and scope.card.position_embeddings else None
    rows = plain.encodings(name, model, 0 if reference == "input" else layer, place).detach()
    own = reading.tokens[token].id
    for head in range(scope.card.heads):
        kv_head = head * scope.card.kv_heads // scope.card.heads
        apart = plain.distance(metric, reading.z[layer, token, head], rows[:, kv_head])
        shown = near.ids[head]
        assert torch.allclose(apart[shown], near.distances[head].double(), rtol=1e-4, atol=1e-5)
        assert torch.allclose(apart.sort().values[:7], near.distances[head].double(), rtol=1e-4, atol=1e-5)
        nearer = (apart < apart[own] - 1e-5).sum(), (apart < apart[own] + 1e-5).sum()
        assert nearer[0] + 1 <= near.own_rank[head] <= nearer[1] + 1
        assert float(near.own_distance[head]) == pytest.approx(float(apart[own]), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("against", ["z", "v"])
def test_nearest_positions_are_all_positions_in_the_order_of_their_distance(scope, metric, against):
    reading = scope.read(zoo.TEXT)
    found = reading.nearest_positions(2, 1, metric, against)
    for head in range(scope.card.heads):
        kv_head = head * scope.card.kv_heads // scope.card.heads
        others = reading.z[1, :, head] if against == "z" else reading.v[1, :, kv_head]
        apart = plain.distance(metric, reading.z[1, 2, head], others)
        assert sorted(found.positions[head].tolist()) == list(range(len(reading.tokens)))
        assert torch.allclose(apart[found.positions[head]], found.distances[head].double(), rtol=1e-4, atol=1e-5)
        assert bool((found.distances[head].diff() >= 0).all())
    if against == "z" and metric != "dot":
        assert found.distances[:, 0].abs().max() < 1e-6  # nothing is nearer than the output itself


def test_the_atlas_holds_the_nearest_token_of_every_layer_and_head(scope):
    reading = scope.read(zoo.TEXT)
    atlas = reading.atlas(4, metric="euclidean")
    for layer in range(scope.card.layers):
        near = reading.nearest(4, layer, reference="layer", metric="euclidean", k=1)
        assert torch.equal(atlas.ids[layer], near.ids[:, 0])
        assert torch.equal(atlas.distances[layer], near.distances[:, 0])
        assert torch.equal(atlas.own_rank[layer], near.own_rank)


def test_a_list_of_tokens_adds_a_leading_axis(scope):
    reading = scope.read(zoo.TEXT)
    several = reading.nearest([1, 5, 1], 1, k=4)
    assert several.ids.shape == (3, scope.card.heads, 4)
    for number, token in enumerate([1, 5, 1]):
        single = reading.nearest(token, 1, k=4)
        assert torch.equal(several.ids[number], single.ids)
        assert torch.equal(several.own_rank[number], single.own_rank)
        assert torch.equal(several.each()[number].distances, single.distances)


def test_texts_read_together_equal_texts_read_alone(scope):
    texts = [zoo.TEXT, "A bird.", *zoo.CORPUS[2:], "dog"]
    for together, text in zip(scope.read_many(texts), texts, strict=True):
        alone = scope.read(text)
        assert together.tokens == alone.tokens
        for part in ("q", "k", "v", "z", "pattern"):
            assert torch.allclose(getattr(together, part), getattr(alone, part), atol=1e-5)


def test_what_a_model_picks_to_look_at_is_not_picked_by_the_length_of_another_text(scope_of):
    """DeepSeek-V3.2 picks by scores behind a ReLU: of many that are 0, torch's topk takes others in a wider row."""
    scope = scope_of("deepseek-v3.2")
    texts = [zoo.TEXT, "Fruit flies like a banana and an arrow.", "Time flies like an arrow and a banana."]
    seen = 0
    for mask in ("model", "full"):
        for together, text in zip(scope.read_many(texts, mask), texts, strict=True):
            alone = scope.read(text, mask)
            assert torch.allclose(together.pattern, alone.pattern, atol=1e-5)
            assert torch.allclose(together.z, alone.z, atol=1e-5)
            seen += len(alone.tokens)
    assert seen > 6 * 8


def test_only_a_model_that_picks_what_its_heads_see_has_its_texts_apart(scope_of):
    """Experts are picked behind the attention, and MiniMax M3's blocks by scores that are never equal."""
    apart = {
        name: scope_of(name).bench.opened.positions.together for name in ("deepseek-v3.2", "minimax-m3", "mixtral")
    }
    assert apart == {"deepseek-v3.2": 0, "minimax-m3": None, "mixtral": None}


def test_padding_changes_nothing_under_another_mask_either(scope):
    texts = [zoo.TEXT, "A bird."]
    for mask in ("full", "causal"):
        short = scope.read_many(texts, mask)[1]
        assert torch.allclose(short.z, scope.read(texts[1], mask).z, atol=1e-5)


def test_words_only_leaves_out_special_unused_and_byte_tokens(scope):
    reading = scope.read(zoo.TEXT)
    near = reading.nearest(2, 0, candidates="words", k=20)
    assert {near.names[id].sort for id in near.ids.flatten().tolist()} == {"word"}
    everything = reading.nearest(2, 0, k=scope.card.vocab_size)
    words = [[id for id in row if everything.names[id].sort == "word"][:20] for row in everything.ids.tolist()]
    assert near.ids.tolist() == words


def test_the_padding_token_has_the_encoding_of_its_embedding_at_that_position(scope_of):
    # RoBERTa gives <pad> a position of its own in a natural run; as a candidate it stands at the token's place.
    scope = scope_of("roberta")
    reading = scope.read(zoo.TEXT)
    near = reading.nearest(3, 0, k=scope.card.vocab_size, metric="euclidean")
    rows = plain.encodings("roberta", scope.bench.opened.model, 0, 3)
    for head in range(scope.card.heads):
        place = near.ids[head].tolist().index(1)
        expected = plain.distance("euclidean", reading.z[0, 3, head], rows[1:2, head])
        assert float(near.distances[head, place]) == pytest.approx(float(expected), rel=1e-4)


def test_results_print_export_and_keep_their_labels(scope_of):
    near = scope_of("bert").read(zoo.TEXT).nearest("arrow", k=3)
    frame = near.to_pandas()
    assert list(frame["head"].unique()) == [0, 1, 2, 3]
    assert frame["token"][0] == near.names[int(near.ids[0, 0])].text
    assert near.to_dict()["selected"][0]["heads"][1]["neighbors"][2]["id"] == int(near.ids[1, 2])
    assert "head 3" in repr(near)
    assert "<table" in near._repr_html_()


def test_a_distance_beyond_float32_is_null_in_json(scope_of):
    near = scope_of("bert").read(zoo.TEXT).nearest(2, k=3)
    far = dataclasses.replace(near, distances=torch.full_like(near.distances, torch.inf))
    told = json.loads(json.dumps(far.to_dict(), allow_nan=False))
    assert {n["distance"] for head in told["selected"][0]["heads"] for n in head["neighbors"]} == {None}


def test_the_text_is_data_in_a_notebook(scope_of):
    scope = scope_of("roberta")
    reading = scope.read("<script>alert(1)</script>")
    for shown in (reading.nearest(2), reading.nearest_positions(2), reading.atlas(2)):
        assert "<script" not in shown._repr_html_()


def test_a_note_says_where_bases_are_unrelated_and_where_the_position_switch_is_off(scope_of):
    roberta, llama = scope_of("roberta").read(zoo.TEXT), scope_of("llama").read(zoo.TEXT)
    assert not roberta.nearest(1, 0).notes
    assert "unrelated" in roberta.nearest(1, 2, reference="input").notes[0]
    assert not roberta.nearest(1, 2).notes
    assert "no position embedding" in llama.nearest(1, 0).notes[0]
    assert not llama.nearest(1, 0).question.use_position


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("bert", {"position": False}),
        ("bert", {"space": "embedding"}),
        ("llama", {}),
        ("bert", {"reference": "isolated"}),
    ],
)
def test_a_place_of_the_vocabulary_that_changes_nothing_is_said(scope_of, name, choices):
    reading = scope_of(name).read("time flies like an arrow")
    there, plain = reading.nearest(1, at=3, **choices), reading.nearest(1, **choices)
    assert torch.equal(there.distances, plain.distances)
    said = [note for note in there.notes if note not in plain.notes]
    assert said == [
        "The vocabulary is the same at every position here, so that it is asked for at position 3 changes nothing."
    ]
    moved = scope_of("bert").read("time flies like an arrow").nearest(1, at=3)
    assert not any("changes nothing" in note for note in moved.notes)


def test_the_mask_decides_who_sees_whom(name, scope):
    reading = {mask: scope.read(zoo.TEXT, mask) for mask in ("model", "full", "causal")}
    future = {mask: float(one.pattern.triu(1).sum()) for mask, one in reading.items()}
    assert future["causal"] == 0 < future["full"]
    same = "causal" if scope.card.causal else "full"
    assert torch.allclose(reading["model"].z, reading[same].z, atol=1e-5)


@pytest.mark.slow
def test_a_scope_can_be_shared_by_threads_with_different_masks(scope: Scope):
    from concurrent.futures import ThreadPoolExecutor

    jobs = [(text, mask) for text in zoo.CORPUS for mask in ("model", "full", "causal")] * 3
    alone = [scope.read(*job) for job in jobs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda job: scope.read(*job), jobs))
        nearest = list(pool.map(lambda reading: reading.nearest(2, 1, reference="layer"), together))
    for one, other, near in zip(alone, together, nearest, strict=True):
        assert torch.equal(one.z, other.z)
        assert torch.equal(near.ids, one.nearest(2, 1, reference="layer").ids)


def test_a_long_texts_patterns_are_made_layer_by_layer_when_they_are_asked_for(scope, monkeypatch):
    from headscope.model.capture import heads

    kept = scope.read(zoo.TEXT, "full")
    monkeypatch.setattr(heads, "PATTERN_BYTES", 0)
    lean = scope.read(zoo.TEXT, "full")
    held = lean.nbytes
    assert held < kept.nbytes
    for layer in range(scope.card.layers):
        assert torch.allclose(lean.pattern_of(layer), kept.pattern[layer], atol=1e-6)
    last = lean.attended(layer)
    assert lean.nbytes == held + last.pattern.nbytes + last.visible.nbytes
    assert torch.allclose(lean.pattern, kept.pattern, atol=1e-6)


def test_the_layer_of_a_long_text_that_was_asked_for_last_is_not_run_again(scope, monkeypatch):
    from headscope.model.capture import heads
    from headscope.reading import captured

    monkeypatch.setattr(heads, "PATTERN_BYTES", 0)
    reading, runs, run = scope.read(zoo.TEXT), [], Opened.pattern
    monkeypatch.setattr(Opened, "pattern", lambda *asked: runs.append(asked[2]) or run(*asked))
    for token in (1, 2, 3):
        reading.attention(token, 1)
    assert runs == [1]
    reading.attention(1, 0)
    reading.attention(1, 1)
    assert runs == [1, 0, 1]
    monkeypatch.setattr(captured, "_KEPT", 0)  # of a longer text not even that one
    longer = scope.read(zoo.TEXT)
    held = longer.nbytes
    longer.attention(1, 1)
    longer.attention(2, 1)
    assert runs == [1, 0, 1, 1, 1]
    assert longer.nbytes == held


@pytest.mark.parametrize("name", ["bert", "gpt2", "albert", "llama"])
def test_the_residual_stream_is_what_the_blocks_pass_on(name, scope_of):
    scope = scope_of(name)
    reading, model = scope.read(zoo.TEXT), scope.bench.opened.model
    ids = torch.tensor([[token.id for token in reading.tokens]])
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states
    assert reading.residual.shape == (scope.card.layers + 1, len(reading.tokens), scope.card.d_model)
    for layer in range(scope.card.layers):  # the last of these is after the final norm in some models
        assert torch.allclose(reading.residual[layer], states[layer][0], atol=1e-5)


def test_streams_that_are_kept_with_readings_are_those_of_a_run_of_their_own(scope, monkeypatch):
    plain_ones = scope.read_many([zoo.TEXT, "Time flies."])
    streams = scope.bench.opened.streams([reading.input for reading in plain_ones])
    readings = scope.read_many([zoo.TEXT, "Time flies."], residual=True)
    monkeypatch.delattr(Opened, "streams")  # nothing is run again
    for reading, plain_one, stream in zip(readings, plain_ones, streams, strict=True):
        assert torch.equal(reading.residual, stream)
        assert torch.equal(reading.z, plain_one.z)
        assert reading.nbytes == plain_one.nbytes + stream.nbytes
