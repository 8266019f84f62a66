"""README: "Your model is left alone. Mode, hooks and attention implementation are restored after every read."

So is all else that its modules and configurations hold, and every generator of random numbers.
"""

from __future__ import annotations

import copy
import random
import threading
from pathlib import Path

import numpy
import pytest
import torch
import transformers
import zoo

from headscope import InputError, ModelError, Scope

SENTENCE = "**Your model is left alone.** Mode, hooks and attention implementation are restored after every read."
LONG = "the sea " * 40


def test_the_sentence_stands_in_the_readme():
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert SENTENCE in " ".join(readme.split())


def big_bird():
    """Attends otherwise to texts of more than 28 tokens, and exchanges its attention modules for shorter ones."""
    _, tokenizer = zoo.build("bert")
    torch.manual_seed(0)
    config = transformers.BigBirdConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=128,
        block_size=4,
        num_random_blocks=1,
        attention_type="block_sparse",
    )
    return transformers.BigBirdModel(config), tokenizer


@pytest.fixture(params=["bert", "gpt2", "bloom", "t5/decoder", "bart/encoder", "big bird"])
def handed_over(request):
    """A model as its owner left it: in train mode but for a part, some weights frozen, with hooks in an order."""
    model, tokenizer = big_bird() if request.param == "big bird" else zoo.build(request.param)
    model.train()
    modules = list(model.modules())
    for module in modules[::3]:
        module.training = False
    for parameter in list(model.parameters())[::2]:
        parameter.requires_grad_(False)
    for module in modules[1::4]:
        module.register_forward_hook(lambda *all: None)
        module.register_forward_pre_hook(lambda *all: None)
        module.register_forward_hook(lambda *all: None, prepend=True)
        module.register_full_backward_hook(lambda *all: None)
    if model.supports_gradient_checkpointing:
        model.gradient_checkpointing_enable()
    model.config.output_attentions = False
    return model, tokenizer, None if request.param == "big bird" else zoo.stack_of(request.param)


def configurations(model):
    """Every configuration that a module holds, or that stands in one, as plain values."""
    found = []
    waiting = [module.config for module in model.modules() if hasattr(module, "config")]
    seen = set()
    while waiting:
        config = waiting.pop()
        if id(config) in seen:
            continue
        seen.add(id(config))
        nested = [one for one in vars(config).values() if isinstance(one, transformers.PreTrainedConfig)]
        waiting += nested
        found.append({key: copy.deepcopy(one) for key, one in vars(config).items() if one not in nested})
    generation = getattr(model, "generation_config", None)
    return found, None if generation is None else generation.to_dict()


def hooks_of(module):
    """With all that is kept in an order: hooks, parameters, submodules."""
    return [list(held.items()) for held in vars(module).values() if isinstance(held, dict)]


def state_of(model):
    return {
        "modules": [(name, id(module), module.training) for name, module in model.named_modules()],
        "held": [{key: id(one) for key, one in vars(module).items()} for module in model.modules()],
        "hooks": [hooks_of(module) for module in model.modules()],
        "configurations": configurations(model),
        "weights": [(p.data_ptr(), p._version, p.requires_grad, p.grad is None) for p in model.parameters()],
        "buffers": [(id(buffer), buffer._version, buffer.sum().item()) for buffer in model.buffers()],
        "gradients": torch.is_grad_enabled(),
        "random": (torch.get_rng_state().tolist(), random.getstate(), repr(numpy.random.get_state())),
    }


def check_same(after, before):
    for part, was in before.items():
        assert after[part] == was, part


def test_it_is_by_opening_and_by_every_question(handed_over):
    model, tokenizer, stack = handed_over
    before = state_of(model)
    scope = Scope.from_model(model, tokenizer, stack=stack)
    check_same(state_of(model), before)
    reading = scope.read(zoo.TEXT)
    check_same(state_of(model), before)
    scope.read_many(zoo.CORPUS[:1] * 2, "full")
    reading.nearest(2, 1, reference="layer")
    reading.nearest(2, 1, space="key")
    reading.atlas(3)
    reading.effects(1)
    reading.mixing()
    scope.weights(1)
    scope.read(zoo.TEXT, edit={(0, 1): "zero", (1, "residual"): "mean"})
    scope.closed_spaces()
    check_same(state_of(model), before)


def cutting(tokenizer):
    tokenizer.backend_tokenizer.enable_truncation(4, stride=1, strategy="only_first", direction="left")
    tokenizer.backend_tokenizer.enable_padding(length=9, pad_id=1, pad_token="<mask>", direction="left")


@pytest.mark.parametrize("set_up", [lambda tokenizer: None, cutting], ids=["as it comes", "cutting and padding"])
def test_its_tokenizer_is_too_also_where_a_read_is_refused(set_up):
    model, tokenizer = zoo.build("bert")
    set_up(tokenizer)

    def settings():
        return tokenizer.backend_tokenizer.truncation, tokenizer.backend_tokenizer.padding

    before = settings()
    scope = Scope.from_model(model, tokenizer)
    assert settings() == before
    assert len(scope.read(zoo.TEXT).tokens) == len(Scope.from_model(*zoo.build("bert")).read(zoo.TEXT).tokens)
    assert settings() == before
    scope.read(LONG, truncate=True)
    assert settings() == before
    scope.read(ids=[2, 3, 4])
    scope.tokens(zoo.TEXT)
    scope.isolate()
    assert settings() == before
    for refused in (LONG, "", "\ud800"):
        with pytest.raises(InputError):
            scope.read(refused)
    assert settings() == before


def test_its_tokenizer_is_where_it_fails(monkeypatch):
    model, tokenizer = zoo.build("bert")
    cutting(tokenizer)
    scope, before = Scope.from_model(model, tokenizer), tokenizer.backend_tokenizer.truncation

    def fails(*_, **__):
        tokenizer.backend_tokenizer.no_truncation()
        raise RuntimeError("no tokens")

    monkeypatch.setattr(type(tokenizer), "__call__", fails)
    with pytest.raises(InputError, match="no tokens"):
        scope.read(zoo.TEXT)
    assert tokenizer.backend_tokenizer.truncation == before


def test_what_another_thread_draws_during_a_reading_stays_drawn():
    scope = Scope.from_model(*zoo.build("bert"))
    drawn = []
    other = threading.Thread(target=lambda: drawn.append(torch.rand(3)))

    def wait_for_it(*_):
        if not drawn:
            other.start()
            other.join()

    handle = scope.bench.opened.anatomy.blocks[1].module.register_forward_pre_hook(wait_for_it)
    scope.read(zoo.TEXT)
    handle.remove()
    assert not torch.equal(torch.rand(3), drawn[0])


def test_so_it_is_after_an_error(handed_over):
    model, tokenizer, stack = handed_over
    scope = Scope.from_model(model, tokenizer, stack=stack)
    handle = scope.bench.opened.anatomy.blocks[1].module.register_forward_pre_hook(lambda *all: 1 / 0)
    before = state_of(model)
    with pytest.raises(ModelError, match="failed while it read a text") as told:
        scope.read(zoo.TEXT)
    assert isinstance(told.value.__cause__, ZeroDivisionError)
    check_same(state_of(model), before)
    handle.remove()


def test_a_model_in_train_mode_is_read_in_eval_mode(handed_over):
    model, tokenizer, stack = handed_over
    scope = Scope.from_model(model, tokenizer, stack=stack)
    first, second = scope.read(zoo.TEXT), scope.read(zoo.TEXT)
    assert torch.equal(first.z, second.z)
    assert torch.equal(first.z, Scope.from_model(model.eval(), tokenizer, stack=stack).read(zoo.TEXT).z)


def test_the_callers_own_forward_pass_gives_what_it_gave_before(handed_over):
    model, tokenizer, stack = handed_over
    model.eval()
    inputs = dict(tokenizer(zoo.TEXT, return_tensors="pt"))
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    inputs.pop("token_type_ids", None)
    before = copy.deepcopy(model)(**inputs)[0]
    Scope.from_model(model, tokenizer, stack=stack).read(zoo.TEXT).nearest(1)
    assert torch.equal(model(**inputs)[0], before)


class TestAttentionThatChangesWithTheLength:
    """BigBird: a short text is read as the model reads it; a long one is refused, for its heads cannot be read."""

    def test_a_short_text_has_the_models_own_output(self):
        model, tokenizer = big_bird()
        reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
        own = copy.deepcopy(model).eval()(**tokenizer(zoo.TEXT, return_tensors="pt")).last_hidden_state[0]
        assert torch.allclose(reading.residual[-1], own, atol=1e-5)
        assert model.attention_type == "block_sparse"

    def test_a_long_text_is_refused_and_the_model_goes_on_reading_it_sparsely(self):
        model, tokenizer = big_bird()
        inputs = tokenizer(LONG, return_tensors="pt")
        sparse = copy.deepcopy(model).eval()(**inputs).last_hidden_state
        scope = Scope.from_model(model, tokenizer)
        for _ in range(2):
            with pytest.raises(InputError, match="changes its attention with the length"):
                scope.read(LONG)
            scope.read(zoo.TEXT)
        assert torch.equal(model.eval()(**inputs).last_hidden_state, sparse)

    def test_with_full_attention_at_every_length_long_texts_are_read(self):
        model, tokenizer = big_bird()
        scope = Scope.from_model(model, tokenizer)
        short = scope.read(zoo.TEXT).z
        model.set_attention_type("original_full")
        assert torch.equal(scope.read(zoo.TEXT).z, short)
        own = model.eval()(**tokenizer(LONG, return_tensors="pt")).last_hidden_state[0]
        assert torch.allclose(scope.read(LONG).residual[-1], own, atol=1e-5)
