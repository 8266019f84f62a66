"""Every architecture of the zoo: opened, read, and exact, with no table of module names."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo
from tokenizers import processors

from headscope import Scope
from headscope.neighbors import Shared, search

METRICS = ["cosine", "euclidean", "dot"]
# What is searched goes through two norms (the sum of two embeddings; v after its projection): the model itself encodes
# the vocabulary.
NORMED_TWICE = {"blenderbot-small/decoder", "gemma4-text", "mbart/decoder", "mbart/encoder", "roberta-prelayernorm"}


def grouped(scope, tensor):
    """Key/value heads repeated for the heads that share them."""
    return tensor.repeat_interleave(scope.card.heads // scope.card.kv_heads, dim=-2)


def oracle(scope, layer, position):
    """Every vocabulary id through the model itself: [token, kv_head, d_head]."""
    feed = scope.bench.opened.feed
    place = None if position is None else feed.place(position)
    return feed.vectors(torch.arange(feed.vocab_size), layer, place)


@pytest.mark.parametrize("name", sorted(zoo.ZOO), indirect=True)
def test_the_capture_proves_itself(scope):
    assert scope.card.capture_error < 2e-6
    reading = scope.read(zoo.TEXT)
    mixed = torch.einsum("lhqs,lshd->lqhd", reading.pattern, torch.stack([grouped(scope, v) for v in reading.v]))
    assert torch.allclose(mixed, reading.z, atol=1e-5)


def test_capturing_does_not_change_what_the_model_computes(name, build):
    model, tokenizer = build(name)
    model.config._attn_implementation = "eager"
    if zoo.stack_of(name):
        pytest.skip("the stacks of an encoder-decoder have a test of their own")
    inputs = dict(tokenizer(zoo.TEXT, return_tensors="pt", return_token_type_ids=False))
    with torch.no_grad():
        expected = model(**inputs)[0]
    scope = Scope.from_model(model, tokenizer, stack=zoo.stack_of(name))
    seen = []
    read = scope.bench.opened.model
    handle = read.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    scope.read(zoo.TEXT)
    handle.remove()
    assert torch.equal(seen[0], expected)


def test_what_is_read_is_what_the_model_computes_as_it_was_handed_over(name, build):
    model, tokenizer = build(name)
    scope = Scope.from_model(model, tokenizer, stack=zoo.stack_of(name))
    read, seen = scope.bench.opened.model, []
    handle = read.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    reading = scope.read(zoo.TEXT)
    if scope.bench.opened.stack.encoder is not None:  # a decoder's reading attends to what its encoder makes of it
        pytest.skip("a decoder alone is given nothing to attend to")
    ids = torch.tensor([[token.id for token in reading.tokens]])
    with torch.no_grad():
        read(input_ids=ids, attention_mask=torch.ones_like(ids))
    handle.remove()
    watched, own = seen
    assert float((watched - own).abs().amax() / own.abs().amax()) < 1e-5


def test_a_vocabulary_encoding_at_layer_0_is_the_value_that_the_token_has_in_a_text(scope):
    reading, feed = scope.read(zoo.TEXT), scope.bench.opened.feed
    for token in reading.tokens:
        v = feed.vectors(torch.tensor([token.id]), 0, feed.place(token.position))[0]
        assert torch.allclose(v, reading.v[0, token.position], atol=5e-6)


def test_the_closed_form_agrees_with_the_model_on_the_whole_vocabulary(name, scope):
    feed = scope.bench.opened.feed
    for layer in range(scope.card.layers):
        for position in (None, 0, 9):
            spot = None if position is None else feed.spot(position)
            encoded = scope.bench.vocabulary.encoded("value", "layer", layer, spot)
            assert encoded.way == ("model" if name in NORMED_TWICE else "closed form")
            got = encoded.rows(torch.arange(scope.card.vocab_size))
            expected = oracle(scope, layer, position)
            finite = expected.isfinite().all(-1).all(-1)
            difference = (got - expected)[finite].abs().amax()
            assert float(difference / expected[finite].abs().amax()) < 3e-6


@pytest.mark.slow(cases=12)
def test_one_answer_whether_a_table_is_made_or_none(name, scope):
    vocabulary, layers = scope.bench.vocabulary, range(scope.card.layers)
    reading = scope.read(zoo.TEXT)
    spot, own, shared = reading.spots[4], torch.tensor([reading.tokens[4].id]), 0
    for space, vectors in {"value": reading.z, "output": reading.z, "key": reading.q, "query": reading.q}.items():
        for layer in layers:
            light, held = (vocabulary.encoded(space, "layer", layer, spot, queries) for queries in (0, None))
            shared += isinstance(light.source, Shared)
            assert torch.equal(light.source.some(slice(None)), held.table.rows) or len(held.source.not_finite)
            z = held.enter(vectors[layer, 4])[None]
            one, other = (
                search(each.source, [each.place], z, own, k=6, metrics=METRICS, backend="torch")
                for each in (light, held)
            )
            for metric in METRICS:
                assert torch.equal(one[metric].ids, other[metric].ids)
                assert torch.equal(one[metric].ranks, other[metric].ranks)
                assert torch.equal(one[metric].own_rank, other[metric].own_rank)
    assert shared or not scope.card.position_embeddings or name in NORMED_TWICE


@pytest.mark.parametrize("reference", ["input", "layer"])
def test_neighbours_and_ranks_are_those_of_brute_force(scope, reference):
    reading = scope.read(zoo.TEXT)
    layer, token = scope.card.layers - 1, 4
    rows = oracle(scope, 0 if reference == "input" else layer, token)
    own = reading.tokens[token].id
    for metric in METRICS:
        near = reading.nearest(token, layer, reference=reference, metric=metric, k=6)
        for head in range(scope.card.heads):
            kv_head = head * scope.card.kv_heads // scope.card.heads
            apart = plain.distance(metric, reading.z[layer, token, head], rows[:, kv_head])
            apart = apart.nan_to_num(nan=torch.inf)
            assert torch.allclose(apart.sort().values[:6], near.distances[head].double(), rtol=1e-4, atol=1e-5)
            surely, perhaps = (apart < apart[own] - 1e-4).sum(), (apart < apart[own] + 1e-4).sum()
            assert surely < near.own_rank[head] <= perhaps + 1


def test_a_text_of_one_token_writes_its_own_encoding(name, build):
    model, tokenizer = build(name)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    scope = Scope.from_model(model, tokenizer, stack=zoo.stack_of(name))
    reading = scope.read("e")
    if reading.tokens[0].special:
        pytest.skip("a decoder's text always begins with its start token, so it has two tokens")
    assert len(reading.tokens) == 1
    near = reading.nearest(0, 0)
    if scope.bench.opened.anatomy.sinks:
        assert float(reading.pattern.sum(-1).max()) < 1  # a share of the attention goes to no token
    else:
        assert float(near.own_distance.abs().max()) < 1e-5
    assert near.own_rank.tolist() == [1] * scope.card.heads  # a sink makes z shorter, and turns it nowhere


def test_texts_read_together_equal_texts_read_alone(scope):
    texts = [zoo.TEXT, "A bird.", zoo.CORPUS[3]]
    for together, text in zip(scope.read_many(texts), texts, strict=True):
        alone = scope.read(text)
        assert torch.allclose(together.z, alone.z, atol=2e-5)


@pytest.mark.parametrize("mask", ["full", "causal"])
def test_the_mask_decides_whether_a_later_token_is_seen(scope, mask):
    # Changing the last word must move earlier outputs, or must not; no flag is trusted.
    texts = [f"the early bird catches {word}" for word in ("worms", "shells")]
    if scope.bench.opened.stack.encoder is None:
        one, two = (scope.read(text, mask) for text in texts)
    else:
        one, two = (scope.read(zoo.TEXT, mask, decoder_text=text) for text in texts)
    shared = next(n for n, (a, b) in enumerate(zip(one.tokens, two.tokens, strict=False)) if a.id != b.id)
    assert shared > 2
    moved = (one.z[:, :shared] - two.z[:, :shared]).abs().amax((-1, -2))  # (layer, position)
    if mask == "full":
        assert bool((moved > 1e-6).all())
    else:
        assert float(moved.max()) < 1e-5


def test_the_mask_full_lets_every_token_see_every_other(scope):
    pattern = scope.read(zoo.TEXT, "full").pattern
    assert bool((pattern > 0).all())
    if not scope.bench.opened.anatomy.sinks:
        assert torch.allclose(pattern.sum(-1), torch.ones(()), atol=1e-5)
