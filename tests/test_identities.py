"""Laws that hold whatever the weights are (docs/checks.md)."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo
from tokenizers import processors

from headscope import Scope


@pytest.fixture(params=plain.FAMILIES)
def name(request):
    """The architectures whose arithmetic is written out."""
    return request.param


def bare(tokenizer):
    """The same tokenizer without the tokens that it adds around a text."""
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    return tokenizer


def assert_z_is_the_own_encoding(scope: Scope, text: str) -> None:
    reading = scope.read(text)
    assert len(reading.tokens) == 1
    for metric in ("cosine", "euclidean"):
        near = reading.nearest(0, 0, metric=metric)
        assert near.own_rank.tolist() == [1] * scope.card.heads
        assert float(near.own_distance.abs().max()) < 1e-5


def test_a_text_of_one_token_writes_the_tokens_own_encoding_at_layer_0(name, build):
    model, tokenizer = build(name)
    assert_z_is_the_own_encoding(Scope.from_model(model, bare(tokenizer)), "e")


@pytest.mark.slow
def test_so_does_the_demo_model(demo):
    import copy

    tokenizer = bare(copy.deepcopy(demo.bench.opened.names.tokenizer))
    assert_z_is_the_own_encoding(Scope.from_model(demo.bench.opened.model, tokenizer), "time")


def test_so_does_a_real_llama(stories):
    import copy

    tokenizer = bare(copy.deepcopy(stories.bench.opened.names.tokenizer))
    assert_z_is_the_own_encoding(Scope.from_model(stories.bench.opened.model, tokenizer), "time")


def rebased(name, build, turn, moved=0.0):
    """The model with another basis for the values of layer 2, and a constant moved from b_V to b_O."""
    model, tokenizer = build(name)
    weights = plain.heads(name, model, 2)
    groups = weights.w_o.shape[0] // weights.w_v.shape[0]
    with torch.no_grad():
        for kv_head, r in enumerate(turn):
            weights.b_v[kv_head] -= moved
            for head in range(kv_head * groups, (kv_head + 1) * groups):  # every head that reads these values
                weights.b_o += torch.full((r.shape[0],), moved) @ weights.w_o[head]
                weights.w_o[head] = (r.double().inverse().T @ weights.w_o[head].double()).float()
            weights.w_v[kv_head] = r @ weights.w_v[kv_head]
            weights.b_v[kv_head] = r @ weights.b_v[kv_head]
    return model, tokenizer


@pytest.fixture
def turns(name, scope):
    """For each key/value head a random orthogonal matrix, and any invertible one."""
    generator = torch.Generator().manual_seed(5)
    shape = (scope.card.kv_heads, scope.card.d_head, scope.card.d_head)
    orthogonal, _ = torch.linalg.qr(torch.randn(shape, generator=generator))
    return {"orthogonal": orthogonal, "any": orthogonal + 0.4 * torch.randn(shape, generator=generator)}


def logits(model, tokenizer):
    return model(**tokenizer(zoo.TEXT, return_tensors="pt", return_token_type_ids=False))[0]


@pytest.mark.parametrize("kind", ["orthogonal", "any"])
def test_a_change_of_the_value_basis_leaves_the_model_as_it_was(name, build, turns, kind):
    expected = logits(*build(name))
    assert torch.allclose(logits(*rebased(name, build, turns[kind], moved=0.3)), expected, rtol=1e-3, atol=1e-3)


def test_the_layer_reference_does_not_see_an_orthogonal_change_of_basis(name, build, scope, turns):
    before = scope.read(zoo.TEXT)
    after = Scope.from_model(*rebased(name, build, turns["orthogonal"])).read(zoo.TEXT)
    for metric in ("cosine", "euclidean", "dot"):
        old, new = (r.nearest(3, 2, reference="layer", metric=metric) for r in (before, after))
        assert torch.allclose(old.distances, new.distances, rtol=1e-3, atol=1e-4)
        assert torch.equal(old.ids[:, 0], new.ids[:, 0])


def test_the_input_reference_above_layer_0_does(name, build, scope, turns):
    before = scope.read(zoo.TEXT).nearest(3, 2, reference="input")
    after = Scope.from_model(*rebased(name, build, turns["orthogonal"])).read(zoo.TEXT)
    assert not torch.equal(before.ids, after.nearest(3, 2, reference="input").ids)


@pytest.mark.parametrize("reference", ["input", "layer"])
@pytest.mark.parametrize("kind", ["orthogonal", "any"])
def test_the_output_space_sees_no_change_of_basis_and_no_split_of_the_bias(name, build, scope, turns, kind, reference):
    before = scope.read(zoo.TEXT)
    after = Scope.from_model(*rebased(name, build, turns[kind], moved=0.3)).read(zoo.TEXT)
    if reference == "input":  # layer 0's vocabulary through layer 2's W_O depends on both bases
        old, new = (r.nearest(3, 2, "output", "input") for r in (before, after))
        assert not torch.equal(old.ids, new.ids)
        return
    for metric in ("cosine", "euclidean", "dot"):
        old, new = (r.nearest(3, 2, "output", "layer", metric) for r in (before, after))
        assert torch.allclose(old.distances, new.distances, rtol=2e-3, atol=2e-4)
        assert torch.equal(old.ids[:, 0], new.ids[:, 0])


def test_the_value_space_sees_any_but_an_orthogonal_change(name, build, scope, turns):
    before = scope.read(zoo.TEXT).nearest(3, 2, "value", "layer")
    after = Scope.from_model(*rebased(name, build, turns["any"])).read(zoo.TEXT).nearest(3, 2, "value", "layer")
    assert not torch.equal(before.ids, after.ids)


@pytest.mark.parametrize("space", ["embedding", "unembedding"])
def test_what_a_head_writes_is_the_same_in_every_basis(name, build, scope, turns, space):
    if space == "unembedding" and name in ("bert", "roberta"):
        pytest.skip("no final norm on the residual stream")
    old = scope.read(zoo.TEXT).nearest(3, 2, space, metric="dot")
    new = Scope.from_model(*rebased(name, build, turns["any"])).read(zoo.TEXT).nearest(3, 2, space, metric="dot")
    assert torch.allclose(old.distances, new.distances, rtol=2e-3, atol=2e-4)
