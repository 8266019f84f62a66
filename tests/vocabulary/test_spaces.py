"""Each space against its definition, written out in float64 on tiny models."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo

from headscope import Scope
from headscope.errors import InputError
from headscope.neighbors import distances
from headscope.vocabulary import forms

METRICS = ["cosine", "euclidean", "dot"]


@pytest.fixture(params=plain.FAMILIES)
def name(request):
    """The architectures whose arithmetic is written out."""
    return request.param


@pytest.fixture
def model(scope):
    return scope.bench.opened.model


def assert_nearest(near, metric, vectors, vocabulary):
    """`near` is what brute force finds for vectors [head, width] among [token, head or 1, width]."""
    vocabulary = vocabulary.double().expand(-1, len(vectors), -1)
    for head, vector in enumerate(vectors.double()):
        apart = distances(metric, vector, vocabulary[:, head])  # (V,)
        expected = apart.sort(stable=True)
        assert torch.allclose(near.distances[head].double(), expected.values[: near.ids.shape[1]], rtol=1e-4, atol=1e-4)
        assert torch.allclose(apart[near.ids[head]], expected.values[: near.ids.shape[1]], rtol=1e-4, atol=1e-4)
        own = int(apart[near.tokens[0].id].gt(apart + 1e-4).sum()) + 1
        assert own <= int(near.own_rank[head]) <= int(apart[near.tokens[0].id].gt(apart - 1e-4).sum()) + 1


def grouped(tensor, heads, dim):
    """Key/value heads, one for each query head."""
    return tensor.repeat_interleave(heads // tensor.shape[dim], dim=dim)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("layer", "reference", "position"), [(0, "input", True), (2, "layer", False), (2, "input", True)]
)
def test_output_is_the_value_space_through_w_o_from_the_vocabularys_mean(
    name, scope, model, metric, layer, reference, position
):
    reading, token, heads = scope.read(zoo.TEXT), 4, scope.card.heads
    near = reading.nearest(token, layer, "output", reference, metric, position, 6)
    place = token if near.question.use_position else None
    r = plain.encodings(name, model, 0 if reference == "input" else layer, place)  # (V, kv_head, d_head)
    mean, w_o = grouped(r.mean(0), heads, 0), plain.heads(name, model, layer).w_o.double()
    seen = torch.einsum("the,hed->thd", grouped(r, heads, 1) - mean, w_o)
    written = torch.einsum("he,hed->hd", reading.z[layer, token].double() - mean, w_o)
    assert_nearest(near, metric, written, seen)


@pytest.mark.parametrize("reference", ["input", "layer"])
def test_output_by_the_model_itself_is_the_same(name, build, scope, reference, monkeypatch):
    expected = scope.read(zoo.TEXT).nearest([2, 4], 1, "output", reference, k=5)
    monkeypatch.setattr(forms, "TOLERANCE", -1.0)
    found = Scope.from_model(*build(name)).read(zoo.TEXT).nearest([2, 4], 1, "output", reference, k=5)
    assert torch.equal(found.ids, expected.ids)
    assert torch.allclose(found.distances, expected.distances, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_embedding_is_what_w_o_writes_against_what_block_0_gets(name, scope, model, metric):
    reading, token, layer = scope.read(zoo.TEXT), 4, 1
    near = reading.nearest(token, layer, "embedding", metric=metric, k=6)
    if name in ("gpt2", "llama"):
        table = model.get_input_embeddings().weight
    else:
        table = plain.normalised_input(name, model, 0, None)
    written = torch.einsum("he,hed->hd", reading.z[layer, token].double(), plain.heads(name, model, layer).w_o.double())
    assert_nearest(near, metric, written, table[:, None])
    assert near.question.reference is None


@pytest.mark.parametrize("space", ["embedding"])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_what_a_head_writes_against_is_the_other_end_of_the_order(scope_of, space, metric):
    scope = scope_of("llama")
    reading, everything = scope.read(zoo.TEXT), scope.card.vocab_size
    near = reading.nearest(3, 1, space, metric=metric, k=everything)
    few = reading.nearest(3, 1, space, metric=metric, k=5)
    assert torch.allclose(few.suppressed.distances, near.distances.flip(-1)[:, :5], atol=1e-6)
    assert reading.nearest(3, 1, space, metric="euclidean", k=5).suppressed is None


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", ["gpt2", "gpt-neox", "bloom", "llama"])
def test_unembedding_counts_no_length_that_the_final_norm_takes_away(name, metric, scope_of):
    scope = scope_of(name)
    model, reading, token, layer = scope.bench.opened.model, scope.read(zoo.TEXT), 4, 1
    norm = {
        "gpt2": lambda: model.transformer.ln_f,
        "gpt-neox": lambda: model.gpt_neox.final_layer_norm,
        "bloom": lambda: model.transformer.ln_f,
        "llama": lambda: model.model.norm,
    }[name]()

    def seen(rows):
        rows = rows.detach().double()
        return rows if name == "llama" else rows - rows.mean(-1, keepdim=True)

    f = seen(reading.residual[-1, token])
    eps = norm.variance_epsilon if name == "llama" else norm.eps
    scale = (f.square().mean() + eps).sqrt()
    w_o = scope.weights(layer).w_o.double()
    written = seen(torch.einsum("he,hed->hd", reading.z[layer, token].double(), w_o)) / scale
    vocabulary = seen(norm.weight.double() * model.get_output_embeddings().weight.double())
    near = reading.nearest(token, layer, "unembedding", metric=metric, k=6)
    assert_nearest(near, metric, written, vocabulary[:, None])


@pytest.mark.parametrize("name", ["gpt2", "llama", "cohere", "opt"])
def test_all_components_sum_to_the_logit(name, scope_of):
    """Embeddings, every head, every b_O and every MLP, each through the final norm: nothing is missing."""
    scope = scope_of(name)
    model, reading, token = scope.bench.opened.model, scope.read(zoo.TEXT), 5
    ids = torch.tensor([[t.id for t in reading.tokens]])
    with torch.no_grad():
        logits = model(ids)[0][0, token].double()
    table = scope.bench.vocabulary.encoded("unembedding", None, 0, None)
    rows, f = table.rows(torch.arange(scope.card.vocab_size))[:, 0], reading.residual[-1, token]
    spread = float(scope.bench.vocabulary.unembedding.norm.spread(f))
    heads = torch.zeros_like(logits)
    written = torch.zeros(scope.card.d_model, dtype=torch.float64)
    for layer in range(scope.card.layers):
        near = reading.nearest(token, layer, "unembedding", metric="dot", k=scope.card.vocab_size)
        heads -= torch.zeros_like(near.distances).scatter(1, near.ids, near.distances).double().sum(0)
        written += torch.einsum("he,hed->d", reading.z[layer, token], scope.weights(layer).w_o).double()
    others = rows @ (f.double() - written) / spread  # embeddings, b_O and MLPs: the rest of the stream
    constant = table.table.bias.new_zeros(len(rows)) + scope.bench.vocabulary.unembedding.constant()
    assert torch.allclose(heads + others + constant.double(), logits, atol=2e-4)
    assert heads.abs().max() > 0.05


@pytest.mark.parametrize("name", ["bert", "roberta", "gemma2", "olmo2"])
def test_logits_that_are_no_sum_over_heads_are_refused(name, scope_of):
    with pytest.raises(InputError, match="Open: value, output, key, query, embedding"):
        scope_of(name).read(zoo.TEXT).nearest(2, 0, "unembedding", metric="dot")
