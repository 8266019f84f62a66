"""What is read is what the model computes by itself, with the attention that it came with; or it is refused."""

from __future__ import annotations

import pytest
import torch
import zoo
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from headscope import ModelError, Scope
from headscope.model.capture.passes import is_recorded
from headscope.model.capture.unwatched import _apart

_PALIGEMMA = {
    "text_config": zoo.HEADS_OF_8 | {"model_type": "gemma"},
    "vision_config": zoo.EYE | {"model_type": "siglip_vision_model"},
    "image_token_index": 4,
    "projection_dim": 32,
}


def paligemma(monkeypatch, **handed):
    """Reads both ways under sdpa, and from left to right under eager (transformers 5.23)."""
    monkeypatch.setitem(zoo.ZOO, "paligemma", (zoo.llama_like, ("PaliGemmaForConditionalGeneration", _PALIGEMMA)))
    return zoo.build("paligemma", shape=handed)


def z_of(model, scope, ids):
    """z [layer, position, head · d_head] by hooks on the model's own output projections, as it is."""
    seen = []
    projections = [block.output for block in scope.bench.opened.anatomy.blocks]
    hooks = [one.register_forward_pre_hook(lambda m, args: seen.append(args[0][0])) for one in projections]
    with torch.no_grad():
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    for hook in hooks:
        hook.remove()
    return torch.stack(seen)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["deepseek-v3.2", "minimax-m3", "falcon-alibi"])
def test_z_is_the_models_own_where_its_code_asks_which_attention_it_has(name, attention):
    model, tokenizer = zoo.build(name, shape={"attn_implementation": attention})
    assert model.config._attn_implementation == attention
    scope = Scope.from_model(model, tokenizer)
    reading = scope.read(zoo.TEXT)
    ids = torch.tensor([[token.id for token in reading.tokens]])
    own = z_of(model, scope, ids)
    assert torch.allclose(reading.z.flatten(2), own, atol=1e-5)
    assert model.config._attn_implementation == attention
    assert type(model.config._attn_implementation) is str


def test_what_a_sparse_layer_does_not_look_at_is_not_visible():
    reading = Scope.from_model(*zoo.build("deepseek-v3.2")).read(zoo.TEXT)
    assert len(reading.tokens) > 8
    assert (reading.pattern > 0).sum(-1).amax() == 4
    full = Scope.from_model(*zoo.build("deepseek-v3.2")).read(zoo.TEXT, "full")
    assert bool((full.pattern > 0).all())


@pytest.mark.parametrize("mask", ["causal", "full"])
def test_another_mask_leaves_a_models_bias_as_it_is(mask):
    """ALiBi is merged with the mask: under the model's own mask, written out, nothing may change."""
    scope = Scope.from_model(*zoo.build("falcon-alibi"))
    pattern = scope.read(zoo.TEXT, mask).pattern
    own = scope.read(zoo.TEXT).pattern
    if mask == "causal":
        assert torch.allclose(pattern, own, atol=1e-6)
    last = pattern[0, :, -1]  # what the last token sees is the same under both, at layer 0
    assert torch.allclose(last, own[0, :, -1], atol=1e-6)


def test_a_model_that_computes_something_else_by_itself_is_refused(monkeypatch):
    model, tokenizer = paligemma(monkeypatch)
    with pytest.raises(ModelError) as caught:
        Scope.from_model(model, tokenizer)
    said = str(caught.value)
    assert "\n" not in said
    assert "the attention 'sdpa' that it came with" in said
    assert "% of their length apart" in said
    assert "loaded with attn_implementation='eager' it computes what is watched" in said
    assert model.config._attn_implementation == "sdpa"


def test_and_opens_as_the_sentence_says(monkeypatch):
    model, tokenizer = paligemma(monkeypatch, attn_implementation="eager")
    ids = tokenizer(zoo.TEXT, return_tensors="pt").input_ids
    scope = Scope.from_model(model, tokenizer)
    own = z_of(model, scope, ids)
    assert torch.allclose(scope.read(zoo.TEXT).z.flatten(2), own, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_told_from_another_computation(monkeypatch, dtype):
    for name in ("granite-moe", "phimoe", "llama"):  # a rounding changes experts
        model, tokenizer = zoo.build(name)
        Scope.from_model(model.to(dtype), tokenizer)
    model, tokenizer = paligemma(monkeypatch)
    with pytest.raises(ModelError, match="computes something else by itself"):
        Scope.from_model(model.to(dtype), tokenizer)


def test_code_that_goes_another_way_where_it_finds_its_own_name_is_read_by_another():
    """GPT-2 that upcasts calls no attention function at all under the name "eager"."""
    model, tokenizer = zoo.build("gpt2", shape={"reorder_and_upcast_attn": True, "attn_implementation": "eager"})
    scope = Scope.from_model(model, tokenizer)
    reading = scope.read(zoo.TEXT)
    ids = torch.tensor([[token.id for token in reading.tokens]])
    own = z_of(model, scope, ids)
    assert torch.allclose(reading.z.flatten(2), own, atol=1e-5)


def test_masked_logits_do_not_hide_a_difference():
    """Chameleon writes the least number that there is into the logits of images."""
    own = torch.tensor([[[1.0, 2.0, torch.finfo(torch.float32).min]]])
    assert _apart((own,), (own,)) == 0
    assert _apart((own,), (own + torch.tensor([1.0, 0.0, 0.0]),)) > 0.4


def test_a_model_that_does_not_run_by_itself_is_read_and_it_is_said_that_nothing_was_compared(caplog):
    model, tokenizer = zoo.build("gpt2")

    def refuse(module, args, kwargs):
        if not is_recorded():
            raise RuntimeError("no kernel for this device")

    model.register_forward_pre_hook(refuse, with_kwargs=True)
    reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    assert reading.z.isfinite().all()
    assert "GPT2LMHeadModel does not run by itself" in caplog.text
    assert "no kernel for this device" in caplog.text


def test_weights_are_those_that_the_values_are_mixed_with_where_a_sink_takes_its_share_behind_the_softmax():
    model, tokenizer = zoo.build("granite-swa")
    reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    layer = 1  # which sees all that stands before
    k = reading.k[layer].repeat_interleave(2, dim=1)
    scores = 0.4 * torch.einsum("qhd,shd->hqs", reading.q[layer], k)
    scores = scores.masked_fill(torch.ones_like(scores[0]).triu(1).bool(), -torch.inf)
    sinks = model.model.layers[layer].self_attn.sinks.detach()[:, None, None].expand(-1, len(reading.tokens), 1)
    expected = torch.cat([scores, sinks], -1).softmax(-1)[..., :-1]
    assert torch.allclose(reading.pattern[layer], expected, atol=1e-6)
    assert expected.sum(-1).amin() < 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_small_difference_is_told_from_rounding(dtype):
    """An attention that is a little less sharp moves outputs by less than half precision's rounding may."""

    def duller(module, query, key, value, mask, **options):
        return sdpa_attention_forward(module, 0.97 * query, key, value, mask, **options)

    AttentionInterface.register("test-duller", duller)
    AttentionMaskInterface.register("test-duller", sdpa_mask)
    model, tokenizer = zoo.build("llama")
    model.to(dtype).set_attn_implementation("test-duller")
    with pytest.raises(ModelError, match=r"on a probe its outputs are [0-4]\.\d% of their length apart"):
        Scope.from_model(model, tokenizer)


def test_an_attention_that_knows_half_precision_alone_is_compared_in_it():
    def half_alone(module, query, key, value, mask, **options):
        if query.dtype == torch.float32:
            raise RuntimeError("supports fp16 and bf16 alone")
        return sdpa_attention_forward(module, query, key, value, mask, **options)

    AttentionInterface.register("test-half", half_alone)
    AttentionMaskInterface.register("test-half", sdpa_mask)
    model, tokenizer = zoo.build("llama")
    model.to(torch.bfloat16).set_attn_implementation("test-half")
    assert Scope.from_model(model, tokenizer).card.dtype == "bfloat16"
