"""The published arithmetic is its formula, written out here from the models' own weights in float64."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo

from headscope import Scope
from headscope.errors import InputError
from headscope.studies.claims.published import Published

HEADS, POSITION = 4, 3
TEXT = "Time flies like an arrow, fruit flies like a banana."


def stored(name: str, model, layer: int) -> torch.Tensor:
    """W as nn.Linear keeps it: (out, in)."""
    return plain.blocks(name, model)[layer].attention.self.value.weight.double()


def vocabulary(name: str, model, position: int | None) -> torch.Tensor:
    """R̃_t = LN(E_t + P_{p+2}) · W⁰ [token, head, d_head]; BERT's first position is row 0."""
    table = (model.roberta if name == "roberta" else model).embeddings
    x = table.word_embeddings.weight.double()
    if position is not None:
        x = x + table.position_embeddings.weight[position + (2 if name == "roberta" else 0)].double()
    return (plain.layer_norm(x, table.LayerNorm) @ stored(name, model, 0)).unflatten(-1, (HEADS, -1))


@pytest.fixture(params=["roberta", "bert"])
def case(request):
    model, tokenizer = zoo.build(request.param)
    return request.param, model, Published(Scope.from_model(model, tokenizer))


@torch.no_grad()
def test_values_are_the_hidden_states_times_w_as_stored_without_bias(case):
    name, model, published = case
    reading = published.read(TEXT)
    ids = torch.tensor([[token.id for token in reading.tokens]])
    states = model(ids, output_hidden_states=True).hidden_states
    for layer in range(3):
        expected = (states[layer][0].double() @ stored(name, model, layer)).unflatten(-1, (HEADS, -1))
        assert reading.v[layer].double() == pytest.approx(expected, abs=1e-5)
        mixed = torch.einsum("hqs,shd->qhd", reading.pattern_of(layer).double(), expected)
        assert reading.z[layer].double() == pytest.approx(mixed, abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("position", [None, 0, POSITION])
def test_the_vocabulary_is_the_formula_at_every_layer(case, position):
    name, model, published = case
    expected = vocabulary(name, model, position)
    for layer in range(3):
        spot = None if position is None else published.bench.vocabulary.feed.spot(position)
        encoded = published.bench.vocabulary.encoded("value", "input", layer, spot)
        got = encoded.rows(torch.arange(len(expected)))
        assert got == pytest.approx(expected, abs=1e-5 * float(expected.abs().amax()))


@torch.no_grad()
@pytest.mark.parametrize("layer", [0, 2])
def test_neighbours_are_those_of_the_formula(case, layer):
    name, model, published = case
    reading = published.read(TEXT)
    near = reading.nearest(POSITION, layer, reference="input", k=5)
    rows = vocabulary(name, model, POSITION)
    for head in range(HEADS):
        apart = plain.distance("cosine", reading.z[layer, POSITION, head], rows[:, head])
        assert near.ids[head].tolist() == apart.argsort()[:5].tolist()
        own = apart[reading.tokens[POSITION].id]
        assert near.own_rank[head] == 1 + (apart < own - 1e-9).sum()


@torch.no_grad()
def test_it_is_not_what_the_heads_compute(case):
    """The stored matrix is not its own transpose, and the bias is not 0."""
    _, model, published = case
    own = Scope.from_model(model, published.bench.opened.names.tokenizer).read(TEXT)
    assert (published.read(TEXT).z - own.z).abs().amax() > 0.1
    assert published.read(TEXT).pattern == pytest.approx(own.pattern)


def test_batches_equal_single_readings(case):
    _, _, published = case
    texts = [TEXT, "A bird in the hand."]
    for one, text in zip(published.read_many(texts), texts, strict=True):
        assert one.z == pytest.approx(published.read(text).z, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("llama", "its W_V is 32 × 16, not square; it adds no absolute positions to its input; it has no norm"),
        ("gpt2", "it has no norm of the embeddings"),
        ("modernbert", "it adds no absolute positions to its input"),
        ("albert", "its embeddings have 20 numbers, its layers 32"),
    ],
)
def test_where_it_has_no_meaning_it_says_why(scope_of, name, missing):
    with pytest.raises(InputError, match=missing):
        Published(scope_of(name))


def test_only_the_published_space_is_open(scope_of):
    reading = Published(scope_of("roberta")).read(TEXT)
    with pytest.raises(InputError, match="open: space value, reference input"):
        reading.nearest(1, 0, reference="layer")
