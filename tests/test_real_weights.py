"""Readings of models that were trained: the demo weights, and a small Llama from beside the checkout."""

from __future__ import annotations

import copy

import packed
import plain
import pytest
import torch

from headscope import Scope
from headscope.neighbors import search
from headscope.studies.verify import verify
from tests.conftest import SHARED

TEXT = "Time flies like an arrow. Fruit flies like a banana."
EWT = SHARED / "corpora" / "ud-ewt" / "en_ewt-ud-dev.conllu"


def test_the_demo_models_heads_that_keep_flies_at_layer_0(demo):
    near = demo.read(TEXT).nearest(token=2, layer=0)
    assert [head for head in range(12) if near.own_rank[head] == 1] == [6, 8]


@pytest.mark.slow
def test_the_demo_models_values_neighbours_and_z_are_those_of_the_formulas(demo):
    model, reading = demo.bench.opened.model, demo.read(TEXT)
    ids = [token.id for token in reading.tokens]
    for layer in (0, 3, 5):
        assert torch.allclose(reading.z[layer].double(), plain.z("bert", model, ids, layer), atol=2e-5)
        near = reading.nearest(2, layer, reference="layer", metric="euclidean")
        rows = plain.encodings("bert", model, layer, 2)
        for head in (0, 7):
            apart = plain.distance("euclidean", reading.z[layer, 2, head], rows[:, head])
            assert torch.allclose(apart.sort().values[:15], near.distances[head].double(), rtol=1e-4)


@pytest.mark.slow
def test_the_closed_form_is_used_on_real_weights(demo, stories):
    for scope in (demo, stories):
        for layer in range(scope.card.layers):
            encoded = scope.bench.vocabulary.encoded("value", "layer", layer, scope.bench.vocabulary.feed.spot(3))
            assert encoded.way == "closed form"
            assert encoded.error < 5e-6
        assert scope.card.capture_error < 5e-6


def test_a_real_llama_with_grouped_heads_reads_as_the_formulas_say(stories):
    reading = stories.read("Once upon a time there was a dog.")
    assert (stories.card.heads, stories.card.kv_heads) == (8, 4)
    assert reading.pattern.triu(1).abs().max() == 0
    groups = reading.v.repeat_interleave(2, dim=2)
    mixed = torch.einsum("lhqs,lshd->lqhd", reading.pattern, groups)
    assert torch.allclose(mixed, reading.z, atol=1e-5)
    full = stories.read("Once upon a time there was a dog.", "full")
    assert full.pattern.triu(1).sum() > 0


def first_sentences(count: int) -> list[str]:
    lines = EWT.read_text().splitlines()
    texts = [line.removeprefix("# text = ") for line in lines if line.startswith("# text = ")]
    return [text for text in texts if 8 <= len(text.split()) <= 30][:count]


@pytest.mark.long
@pytest.mark.skipif(not EWT.is_file(), reason=f"no corpus at {EWT}")
@pytest.mark.parametrize(
    ("space", "reference", "expected"),
    [
        pytest.param("value", "input", [0.475, 0.007, 0.003, 0.006, 0.003, 0.004], marks=pytest.mark.long),
        ("value", "layer", [0.475, 0.429, 0.120, 0.026, 0.013, 0.122]),
        pytest.param("output", "layer", [0.409, 0.361, 0.119, 0.039, 0.015, 0.087], marks=pytest.mark.long),
    ],
)
def test_how_often_the_nearest_token_is_one_of_the_text(demo: Scope, space, reference, expected):
    readings = demo.read_many(first_sentences(100))
    # All outputs at one position share the vocabulary's encodings there: one search for each layer and position.
    at = {}
    for number, reading in enumerate(readings):
        for token in reading.tokens:
            if not token.special:
                at.setdefault(token.position, []).append((number, token.id))
    assert sum(map(len, at.values())) == 2448
    inside = [torch.tensor([t.id for t in reading.tokens if not t.special]) for reading in readings]
    rates = torch.zeros(6)
    for layer in range(6):
        for position, found in at.items():
            encoded = demo.bench.vocabulary.encoded(space, reference, layer, demo.bench.vocabulary.feed.spot(position))
            queries = torch.stack([readings[number].z[layer, position] for number, _ in found])
            queries = queries if encoded.aim is None else encoded.aim(queries)
            own = torch.tensor([id for _, id in found])
            nearest = search(encoded.table, [encoded.place], queries, own, k=1)["cosine"].ids[..., 0]
            for (number, _), row in zip(found, nearest, strict=True):
                rates[layer] += torch.isin(row, inside[number]).float().mean()
    assert (rates / 2448).tolist() == pytest.approx(expected, abs=6e-4)


def held(scope, plain):
    """Every check, and what packing has left of what the plain weights say: the nearest tokens of the first layer."""
    assert verify(scope).holds
    one, other = (each.read("Time flies like an arrow.").nearest(1, 0, k=10) for each in (scope, plain))
    shared = [len(set(a) & set(b)) for a, b in zip(one.ids.tolist(), other.ids.tolist(), strict=True)]
    assert sum(shared) / len(shared) > 6


@pytest.mark.long
def test_real_weights_hold_in_dynamic_int8(demo):
    model = copy.deepcopy(demo.bench.opened.model)
    model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    held(Scope.from_model(model, demo.bench.opened.names.tokenizer), demo)


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_real_weights_hold_packed_by_bitsandbytes(demo, bits):
    packed.need("bitsandbytes")
    held(Scope.from_pretrained("demo", quantize=bits), demo)
