"""Freshness is a property of what the model computes: whatever changes it, the next reading and its answers follow."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope import InputError, Scope

ASKED = ({"space": "value"}, {"space": "output"}, {"space": "embedding"}, {"space": "key", "vector": "k"})


def answers(scope):
    """Distances of every token of a text, in spaces that use all that is kept of a model."""
    reading = scope.read(zoo.TEXT)
    references = {"value": "layer", "output": "layer", "key": "layer"}
    return [
        reading.nearest(
            [1, 3], layer, reference=references.get(asked["space"]), metric="euclidean", k=20, **asked
        ).distances
        for asked in ASKED
        for layer in (0, 1)
    ]


def check_follows(scope, model, tokenizer):
    """The scope answers as one that was opened now; its hash is that one's too."""
    fresh = Scope.from_model(model, tokenizer)
    for got, expected in zip(answers(scope), answers(fresh), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    assert scope.card.weights_sha256 == fresh.card.weights_sha256


@pytest.fixture(params=["bert", "gpt2", "qwen3"])
def opened(request):
    """A model, its tokenizer, and a scope that has answered already."""
    model, tokenizer = zoo.build(request.param)
    scope = Scope.from_model(model, tokenizer)
    answers(scope)
    return model, tokenizer, scope


def matrices(model, layer):
    """The matrices of a layer, by name."""
    (blocks,) = (m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 3)
    return {name: p for name, p in blocks[layer].named_parameters() if p.dim() == 2}


@pytest.mark.long
def test_a_write_through_data_to_any_matrix_is_followed(opened):
    model, tokenizer, scope = opened
    for name, matrix in matrices(model, 1).items():
        hash_before = scope.card.weights_sha256
        matrix.data.mul_(1.5)
        assert scope.card.weights_sha256 != hash_before, name
        check_follows(scope, model, tokenizer)


@pytest.mark.slow(cases=1)
def test_so_is_one_to_a_single_row_or_column(opened):
    model, tokenizer, scope = opened
    for matrix in matrices(model, 0).values():
        for part in (matrix[1], matrix[:, -1]):
            hash_before = scope.card.weights_sha256
            part.data.add_(0.7)
            scope.read(zoo.TEXT)
            assert scope.card.weights_sha256 != hash_before
    check_follows(scope, model, tokenizer)


@pytest.mark.slow(cases=1)
def test_so_is_one_to_the_embedding_of_a_token_that_is_in_no_text(opened):
    model, tokenizer, scope = opened
    reading = scope.read(zoo.TEXT)
    absent = next(id for id in range(60, len(tokenizer)) if id not in {token.id for token in reading.tokens})
    model.get_input_embeddings().weight.data[absent] *= -3
    check_follows(scope, model, tokenizer)
    with pytest.raises(InputError, match="read it again"):
        reading.nearest(1)


@pytest.mark.slow(cases=1)
def test_a_hook_that_changes_values_is_followed_when_it_comes_and_when_it_goes(opened):
    model, tokenizer, scope = opened
    before = answers(scope)
    handle = scaled(model, {"by": 1.7})
    check_follows(scope, model, tokenizer)
    assert not torch.allclose(answers(scope)[1], before[1], atol=1e-3)
    handle.remove()
    for got, expected in zip(answers(scope), before, strict=True):
        assert torch.equal(got, expected)


@pytest.mark.slow(cases=1)
def test_a_hook_that_does_something_else_than_before_is_followed(opened):
    """Nothing of the model moved: what the reading itself shows of every layer that is kept tells it."""
    model, tokenizer, _ = opened
    gain = {"by": 1.0}
    scaled(model, gain)
    scope = Scope.from_model(model, tokenizer)
    answers(scope)
    gain["by"] = 1.4
    check_follows(scope, model, tokenizer)


def scaled(model, gain):
    """A hook on what projects the values of layer 1, for every architecture of these tests."""
    (blocks,) = (m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 3)
    (projection,) = (
        module for name, module in blocks[1].named_modules() if name.endswith(("self.value", "c_attn", "v_proj"))
    )
    return projection.register_forward_hook(lambda module, args, output: output * gain["by"])


def test_a_hook_that_only_watches_changes_nothing(opened):
    model, _, scope = opened
    reading, seen = scope.read(zoo.TEXT), []
    near = reading.nearest(2)
    handle = model.get_input_embeddings().register_forward_hook(lambda *all: seen.append(1))
    assert torch.equal(reading.nearest(2).distances, near.distances)
    assert seen
    handle.remove()
    assert torch.equal(reading.nearest(2).distances, near.distances)


def test_who_registers_a_hook_sees_the_pass_of_the_text_and_no_other(opened):
    model, _, scope = opened
    seen = []
    handle = model.get_input_embeddings().register_forward_hook(lambda module, given, output: seen.append(output))
    reading = scope.read(zoo.TEXT)
    assert [output.shape[1] for output in seen] == [len(reading.tokens)]
    handle.remove()
    assert reading.nearest(1).distances.isfinite().all()


@pytest.mark.slow
def test_a_buffer_that_changes_is_followed():
    model, tokenizer = zoo.build("qwen3")
    scope = Scope.from_model(model, tokenizer)
    answers(scope)
    model.model.rotary_emb.inv_freq.data.mul_(0.5)
    check_follows(scope, model, tokenizer)


def test_what_is_kept_on_disk_and_of_other_texts_belongs_to_the_weights_as_they_are(opened):
    model, tokenizer, scope = opened
    scope.isolate()
    bank, directory = scope.bank(zoo.CORPUS, size=10), scope.isolated.directory
    next(iter(matrices(model, 0).values())).data.mul_(0.5)
    again = scope.bank(zoo.CORPUS, size=10)
    assert again.weights_sha256 == scope.card.weights_sha256 != bank.weights_sha256
    assert not torch.equal(again.z, bank.z)
    assert scope.isolated.directory != directory
    near = scope.read(zoo.TEXT).nearest(1, 2, reference="isolated")
    fresh = Scope.from_model(model, tokenizer).read(zoo.TEXT).nearest(1, 2, reference="isolated")
    assert torch.equal(near.distances, fresh.distances)


class TestAdapters:
    """LoRA on a fused projection, another on MLPs alone: which of them acts is no parameter's business."""

    @pytest.fixture
    def adapted(self):
        peft = pytest.importorskip("peft")
        model, tokenizer = zoo.build("gpt2")
        heads = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True, init_lora_weights=False)
        rest = peft.LoraConfig(r=2, target_modules=["mlp.c_fc"], fan_in_fan_out=True, init_lora_weights=False)
        torch.manual_seed(0)
        wrapped = peft.get_peft_model(model, heads, adapter_name="heads")
        wrapped.add_adapter("rest", rest)
        return wrapped.eval(), tokenizer

    @pytest.mark.slow
    def test_switching_and_disabling_are_followed_and_told_by_the_hash(self, adapted):
        model, tokenizer = adapted
        scope = Scope.from_model(model, tokenizer)
        hashes = [scope.card.weights_sha256]
        first = answers(scope)
        for name in ("rest", "heads"):
            model.set_adapter(name)
            check_follows(scope, model, tokenizer)
            hashes.append(scope.card.weights_sha256)
        assert hashes[0] == hashes[2] != hashes[1]
        with model.disable_adapter():
            check_follows(scope, model, tokenizer)
            assert scope.card.weights_sha256 not in hashes
        for got, expected in zip(answers(scope), first, strict=True):
            assert torch.equal(got, expected)

    def test_a_reading_keeps_to_the_adapter_that_it_was_made_with(self, adapted):
        model, tokenizer = adapted
        scope = Scope.from_model(model, tokenizer)
        reading = scope.read(zoo.TEXT)
        model.set_adapter("rest")
        asks = (lambda: reading.nearest(1), lambda: reading.atlas(1), lambda: reading.residual)
        for ask in (*asks, lambda: reading.effects(1), reading.glance, reading.mixing):
            with pytest.raises(InputError, match="read it again"):
                ask()
        assert reading.nearest_positions(1).distances.isfinite().all()  # of what the reading itself holds

    @pytest.mark.slow
    def test_another_strength_is_followed(self, adapted):
        model, tokenizer = adapted
        scope = Scope.from_model(model, tokenizer)
        answers(scope)
        for module in model.modules():
            if hasattr(module, "set_scale") and "heads" in module.scaling:
                module.set_scale("heads", 3)
        check_follows(scope, model, tokenizer)


def test_a_look_at_the_model_waits_for_no_other_thread(opened):
    """What threads meet for takes a time slice beside another program, and a look is taken at every answer."""
    model, _, scope = opened
    reading, seen = scope.read(zoo.TEXT), []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    hook = model.get_input_embeddings().register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    try:
        reading.nearest(1, 1)  # the hook is tried
        seen.clear()
        reading.nearest(1, 1)
        assert seen
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        hook.remove()
        torch.set_num_threads(before)
