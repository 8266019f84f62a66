"""Quantised models: every identity, whatever holds the weights; what is done to activations is measured, and said."""

from __future__ import annotations

import packed
import pytest
import torch
import zoo
from tokenizers import processors
from torch import nn

from headscope import Scope
from headscope.studies.verify import verify


@pytest.fixture(params=sorted(packed.KINDS), scope="module")
def kind(request):
    """Each kind of quantisation in turn."""
    return packed.KINDS[request.param]


@pytest.fixture(scope="module")
def made(kind):
    """A packed model and its tokenizer; shared, so leave them as they are."""
    return packed.build(kind)


@pytest.fixture(scope="module")
def scope(made):
    """A scope of that model; shared, so leave it as it is."""
    return Scope.from_model(*made)


def allowed(scope, exact):
    """What an identity may miss: an exact kind by float32's arithmetic, a rounding one by what the card says, twice."""
    return exact + 2 * scope.card.activation_error


def downstream(scope, exact):
    """What it may come to through several layers, each of which rounds what is rounded already."""
    return exact + 5 * scope.card.activation_error


def seen(model, part, ids):
    """What each layer's `part` of the attention gets and returns while the model itself reads `ids`."""
    found = []
    modules = [module for name, module in model.named_modules() if name.endswith(part)]
    hooks = [module.register_forward_hook(lambda m, given, made: found.append((given[0], made))) for module in modules]
    model.config._attn_implementation = "eager"
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return found


def test_every_check_of_verify_holds(scope):
    verdict = verify(scope)
    assert [check for check in verdict.checks if check.holds is not True] == []


def test_the_card_says_how_weights_are_kept_and_what_is_done_to_activations(kind, scope):
    card = scope.card
    assert card.weights.endswith("bits each)")
    bits = float(card.weights.rpartition("(")[2].split()[0])
    assert 4 <= bits < 11
    assert f"weights {card.weights}, activations {card.activations}" in repr(scope)
    if not kind.rounds:
        assert (card.activations, card.activation_error) == ("float32", 0.0)
    elif card.activation_error:
        assert 1e-3 < card.activation_error < 0.1
        assert card.activations == f"float32, rounded by {card.activation_error:.1%} of the largest"


def test_z_is_that_of_the_unpacked_model_in_float64(kind, made, scope):
    model, _ = made
    twin = packed.unpacked(kind, model, zoo.build("llama", shape=packed.SHAPE)[0])
    reading = scope.read(zoo.TEXT)
    ids = [token.id for token in reading.tokens]
    if scope.card.activation_error:  # through q and k it comes into z otherwise than by one projection
        v = seen(twin, "v_proj", ids)[0][1][0]
        assert relative(reading.v[0].flatten(1), v) < allowed(scope, 1e-5)
        return
    for z, (given, _) in zip(reading.z, seen(twin, "o_proj", ids), strict=True):
        assert relative(z.flatten(1), given[0]) < 1e-5


def relative(got, expected):
    return float((got - expected).abs().max() / expected.abs().max())


def test_what_the_heads_write_is_what_the_models_own_projection_returns(made, scope):
    model, _ = made
    reading = scope.read(zoo.TEXT)
    for layer, (_, returned) in enumerate(seen(model, "o_proj", [token.id for token in reading.tokens])):
        weights = scope.weights(layer)
        written = torch.einsum("she,hed->sd", reading.z[layer], weights.w_o) + weights.b_o
        assert relative(written, returned[0]) < allowed(scope, 1e-5)


def test_the_projections_are_the_unpacked_weights(kind, made, scope):
    model, _ = made
    for layer, block in enumerate(model.model.layers):
        own, weights = block.self_attn, scope.weights(layer)
        for measured, module in ((weights.v, own.v_proj), (weights.q, own.q_proj), (weights.k, own.k_proj)):
            expected = kind.unpack(module).detach().float()
            got = measured.weight.transpose(1, 2).flatten(0, 1)
            # What rounds activations may round a basis vector, too: torchao puts its 1 at 127 of 127.5.
            assert relative(got, expected) < (scope.card.activation_error or 1e-6)


def test_values_and_their_encodings_are_those_of_brute_force(scope):
    """Ranks by the model's own pass over the whole vocabulary, beside those of the closed form."""
    reading, feed = scope.read(zoo.TEXT), scope.bench.opened.feed
    for layer in range(scope.card.layers):
        encoded = scope.bench.vocabulary.encoded("value", "layer", layer, None)
        assert encoded.way == "closed form"
        v = feed.vectors(torch.arange(scope.card.vocab_size), layer, None)  # (token, kv_head, d_head)
        apart = (encoded.rows(torch.arange(scope.card.vocab_size)) - v).abs().max() / v.abs().max()
        assert float(apart) < allowed(scope, 3e-6)
        near = reading.nearest(3, layer, metric="euclidean", k=5)
        if not scope.card.activation_error:
            for head in range(scope.card.heads):
                rows = v[:, head // 2].double()
                distances = (rows - reading.z[layer, 3, head].double()).norm(dim=-1)
                assert torch.allclose(distances.sort().values[:5], near.distances[head].double(), rtol=1e-4, atol=1e-5)


def test_a_text_of_one_token_writes_its_own_encoding(kind):
    model, tokenizer = packed.build(kind)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    scope = Scope.from_model(model, tokenizer)
    near = scope.read("e").nearest(0, 0)
    assert near.own_rank.tolist() == [1] * scope.card.heads
    assert float(near.own_distance.abs().max()) < allowed(scope, 1e-5)


def turned(model):
    """The plain model with the values of each head in another order: W_V, b_V and W_O, in every layer."""
    for block in model.model.layers:
        own, d = block.self_attn, model.config.head_dim
        order = torch.arange(d).roll(5)
        rows = (torch.arange(2)[:, None] * d + order).flatten()
        columns = (torch.arange(4)[:, None] * d + order).flatten()
        own.v_proj.weight.data, own.v_proj.bias.data = own.v_proj.weight.data[rows], own.v_proj.bias.data[rows]
        own.o_proj.weight.data = own.o_proj.weight.data[:, columns]
    return model


@pytest.mark.parametrize("space", ["value", "output"])
def test_an_orthogonal_change_of_basis_is_not_seen(kind, scope, space):
    """In another order weights are packed as before, since no group is cut."""
    model, tokenizer = zoo.build("llama", shape=packed.SHAPE)
    other = Scope.from_model(kind.pack(turned(model)).eval(), tokenizer)
    old, new = (one.read(zoo.TEXT).nearest(3, 1, space) for one in (scope, other))
    assert torch.allclose(old.distances, new.distances, atol=downstream(scope, 1e-4))


def test_texts_read_together_equal_texts_read_alone(kind, scope):
    texts = [zoo.TEXT, "A bird.", zoo.CORPUS[3]]
    for together, text in zip(scope.read_many(texts), texts, strict=True):
        alone = scope.read(text)
        # Where a number stands at the edge between two steps, its last bit decides between them.
        assert relative(together.z, alone.z) < (2e-5 if kind.by_batch else downstream(scope, 2e-5))


def test_a_token_read_alone_is_what_its_own_text_gives(kind, scope):
    text = scope.read("e")
    ids = torch.tensor([text.tokens[1].id])
    alone = scope.bench.encodings.encoded("value", "isolated", 1, None).rows(ids)[0]
    rounded = 0.0 if kind.by_batch else downstream(scope, 0.0)  # one text a run is the text's own run
    assert relative(alone, text.v[1, 1]) < 1e-5 + rounded
    assert scope.read(zoo.TEXT).journey().isolated_cosine.isfinite().all()


class Adapted(nn.Module):
    """A packed projection with a low-rank one beside it, as LoRA has them: three modules that get the same input."""

    def __init__(self, base):
        super().__init__()
        self.base_layer, self.a, self.b = base, nn.Linear(64, 4, bias=False), nn.Linear(4, 64, bias=False)

    def forward(self, x):
        return self.base_layer(x) + self.b(self.a(x))


def test_an_adapter_around_a_packed_projection_is_one_projection_with_it(kind):
    model, tokenizer = packed.build(kind)
    torch.manual_seed(0)
    for block in model.model.layers:
        block.self_attn.o_proj = Adapted(block.self_attn.o_proj)
    scope = Scope.from_model(model.eval(), tokenizer)
    assert [block.output for block in scope.bench.opened.anatomy.blocks] == [
        b.self_attn.o_proj for b in model.model.layers
    ]
    assert verify(scope).holds


def test_the_model_is_left_as_it_was(kind):
    model, tokenizer = packed.build(kind)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = model(input_ids=ids).logits
        held = {name: type(module) for name, module in model.named_modules()}
        reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
        reading.nearest(1, 1, "output")
        assert torch.equal(model(input_ids=ids).logits, before)
    assert {name: type(module) for name, module in model.named_modules()} == held
    assert not any("forward" in module.__dict__ for module in model.modules())


def rewritten(kind, model):
    """Another packed weight in the place of layer 1's for values."""
    other, _ = packed.build(kind)
    model.model.layers[1].self_attn.v_proj = other.model.layers[2].self_attn.v_proj


def written_into(model):
    """What the packed weight of layer 1 is made of, changed where it lies."""
    module = model.model.layers[1].self_attn.v_proj
    for tensor in (getattr(module, name, None) for name in ("scales", "weight_scale")):
        if tensor is not None:
            tensor.data.mul_(2) if tensor.is_floating_point() else tensor.data.add_(1)
            return True
    return False


def follows(scope, model, tokenizer):
    fresh = Scope.from_model(model, tokenizer)
    assert scope.card.weights_sha256 == fresh.card.weights_sha256
    one, other = (each.read(zoo.TEXT).nearest(1, 1, metric="euclidean") for each in (scope, fresh))
    assert torch.equal(one.distances, other.distances)


def test_a_packed_weight_that_changes_is_followed(kind):
    model, tokenizer = packed.build(kind)
    scope = Scope.from_model(model, tokenizer)
    first = scope.card.weights_sha256
    assert Scope.from_model(model, tokenizer).card.weights_sha256 == first  # of the weights, not of what read them
    before = scope.read(zoo.TEXT).nearest(1, 1).distances
    assert scope.card.weights_sha256 == first
    rewritten(kind, model)
    after = scope.read(zoo.TEXT).nearest(1, 1).distances
    assert scope.card.weights_sha256 != first
    assert not torch.allclose(after, before, atol=1e-3)
    follows(scope, model, tokenizer)
    second = scope.card.weights_sha256
    if written_into(model):
        scope.read(zoo.TEXT)
        assert scope.card.weights_sha256 != second
        follows(scope, model, tokenizer)


def test_the_hash_is_of_the_packed_weights(kind, scope):
    plain = Scope.from_model(*zoo.build("llama", shape=packed.SHAPE)).card.weights_sha256
    assert scope.card.weights_sha256 != plain


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["gptq", "fp8", "hqq", "torchao int8", "torchao fp8", "bitsandbytes 4bit"])
def test_half_precision_around_packed_weights_is_read_as_it_computes(name, dtype):
    kind = packed.KINDS[name]
    if kind.needs is not None:
        packed.need(kind.needs)
    model, tokenizer = zoo.build("llama", shape=packed.SHAPE)
    model = kind.pack(model.to(dtype)).eval()
    scope = Scope.from_model(model, tokenizer)
    assert scope.card.dtype == str(dtype).removeprefix("torch.")
    assert 0 < scope.card.activation_error < 0.02
    assert verify(scope).holds
    assert {tensor.dtype for tensor in model.parameters() if tensor.dtype in (torch.float16, torch.bfloat16)} == {dtype}


@pytest.mark.parametrize("name", ["bert", "albert", "gpt-neox"])
@pytest.mark.parametrize("kind", ["gptq", "torch int8"])
def test_other_architectures_are_read_alike(name, kind):
    shape = {"bert": packed.SHAPE, "gpt-neox": packed.SHAPE, "albert": packed.SHAPE | {"embedding_size": 32}}[name]
    model, tokenizer = zoo.build(name, shape=shape)
    scope = Scope.from_model(packed.KINDS[kind].pack(model).eval(), tokenizer)
    assert verify(scope).holds
