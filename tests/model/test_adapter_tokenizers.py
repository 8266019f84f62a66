"""Adapters that were saved with a tokenizer: read with that one, with as many embeddings as they were trained with."""

from __future__ import annotations

import copy

import pytest
import torch
import zoo

from headscope import ModelError, Scope

peft = pytest.importorskip("peft")

NEW = ["<|think|>", "<|done|>", "Zebra"]
TEXT = "Time flies <|think|> like a Zebra."
TEMPLATE = "{% for m in messages %}<|think|>{{ m.content }}<|done|>{% endfor %}"
PROJECTIONS = ["q_proj", "v_proj"]


@pytest.fixture(params=["llama", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bert", "gpt2"))])
def name(request):
    return request.param


TARGETS = {"llama": PROJECTIONS, "bert": ["query", "value"], "gpt2": ["c_attn"]}
EMBEDDINGS = {"llama": "embed_tokens", "bert": "word_embeddings", "gpt2": "wte"}


@pytest.fixture
def base(name, tmp_path):
    return zoo.save(name, tmp_path / "base")


def grown(name):
    """A model with a tokenizer of three tokens more, as a user makes it before the training."""
    model, tokenizer = zoo.build(name)
    tokenizer = copy.deepcopy(tokenizer)
    assert tokenizer.add_tokens(NEW) == 3
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(5)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return model, tokenizer


def saved(model, tokenizer, config, base, directory, **options):
    """The adapter with values of its own, in a directory; what the trained model reads."""
    wrapped = peft.get_peft_model(model, config)
    torch.manual_seed(3)
    with torch.no_grad():
        for key, parameter in wrapped.named_parameters():
            if any(part in key for part in ("lora_", "trainable_tokens_delta", "modules_to_save")):
                parameter.add_(0.3 * torch.randn(parameter.shape))
    wrapped.peft_config["default"].base_model_name_or_path = str(base)
    wrapped.save_pretrained(directory, **options)
    tokenizer.save_pretrained(directory)
    return Scope.from_model(wrapped.eval(), tokenizer)


def same(scope, expected, text=TEXT):
    """Whether both read alike: heads, neighbours among all tokens, and logits' rows where there is a way to them."""
    one, two = scope.read(text), expected.read(text)
    assert [token.label for token in one.tokens] == [token.label for token in two.tokens]
    assert torch.allclose(one.z, two.z, atol=1e-6)
    assert scope.card.vocab_size == expected.card.vocab_size
    for space in ("value", "embedding"):
        near, wanted = (reading.nearest(3, 1, space, k=5) for reading in (one, two))
        assert torch.allclose(near.distances, wanted.distances, atol=1e-6)
        assert torch.equal(near.ids, wanted.ids)


class TestWithTokensOfItsOwn:
    """Added tokens are tokens, with the rows that the adapter has for them."""

    def test_embeddings_saved_beside_it(self, name, base, tmp_path):
        model, tokenizer = grown(name)
        config = peft.LoraConfig(r=2, target_modules=TARGETS[name])
        trained = saved(model, tokenizer, config, base, tmp_path / "adapter", save_embedding_layers=True)
        scope = Scope.from_pretrained(str(base), adapter=str(tmp_path / "adapter"))
        same(scope, trained)
        now, before = len(tokenizer), len(tokenizer) - 3
        assert scope.card.why.endswith(
            f"with a PEFT adapter, the tokenizer saved with it, {now} embeddings in place of {before}"
        )
        assert "<|think|>" in [token.label.strip("␣") for token in scope.read(TEXT).tokens]

    def test_embeddings_trained_whole(self, name, base, tmp_path):
        model, tokenizer = grown(name)
        modules = [EMBEDDINGS[name], *(["lm_head"] if name == "llama" else [])]
        config = peft.LoraConfig(r=2, target_modules=TARGETS[name], modules_to_save=modules)
        trained = saved(model, tokenizer, config, base, tmp_path / "adapter")
        same(Scope.from_pretrained(str(base), adapter=str(tmp_path / "adapter")), trained)

    @pytest.mark.parametrize("whole", ["auto", False])
    def test_only_the_added_rows_trained(self, name, base, tmp_path, whole):
        model, tokenizer = grown(name)
        added = list(range(len(tokenizer) - 3, len(tokenizer)))
        config = peft.LoraConfig(r=2, target_modules=TARGETS[name], trainable_token_indices={EMBEDDINGS[name]: added})
        trained = saved(model, tokenizer, config, base, tmp_path / "adapter", save_embedding_layers=whole)
        same(Scope.from_pretrained(str(base), adapter=str(tmp_path / "adapter")), trained)


def of_llama(tmp_path, config, make=grown, **options):
    """A scope of a Llama with an adapter, and one of what was trained."""
    base = zoo.save("llama", tmp_path / "base")
    model, tokenizer = make("llama")
    trained = saved(model, tokenizer, config(tokenizer), base, tmp_path / "adapter", **options)
    return Scope.from_pretrained(str(base), adapter=str(tmp_path / "adapter")), trained


def on_projections(_):
    return peft.LoraConfig(r=2, target_modules=PROJECTIONS)


def on_added_rows(tokenizer):
    added = list(range(len(tokenizer) - 3, len(tokenizer)))
    return peft.TrainableTokensConfig(token_indices=added, target_modules=["embed_tokens"])


def test_logits_that_would_be_random_are_left_out(tmp_path):
    """PEFT saves no row of an untied head for tokens that were trained in the embeddings alone, and draws some anew."""
    scope, trained = of_llama(tmp_path, on_added_rows, save_embedding_layers=False)
    assert scope.card.why.endswith("376 embeddings in place of 373, which alone have logits")
    one, two = scope.read(TEXT), trained.read(TEXT)
    assert torch.allclose(one.z, two.z, atol=1e-6)
    assert scope.card.vocab_size == 376
    near, wanted = one.nearest(3, 1, "unembedding", k=373), two.nearest(3, 1, "unembedding", k=376)
    assert set(near.ids.flatten().tolist()) == set(range(373))  # of 376
    of_base = wanted.ids < 373
    assert torch.equal(near.ids.flatten(), wanted.ids[of_base])
    assert torch.allclose(near.distances.flatten(), wanted.distances[of_base], atol=1e-5)


def test_embeddings_that_would_be_random_are_refused(tmp_path):
    sentence = "has 376 tokens, and it and its base have embeddings for 373: those of the others would be random"
    with pytest.raises(ModelError, match=sentence):
        of_llama(tmp_path, on_projections, save_embedding_layers=False)
    for file in (tmp_path / "adapter").glob("token*"):
        file.unlink()
    scope = Scope.from_pretrained(str(tmp_path / "base"), adapter=str(tmp_path / "adapter"))  # as the sentence says
    assert scope.card.why.endswith("with a PEFT adapter")
    assert scope.card.vocab_size == 373


def test_its_chat_template_is_used(tmp_path):
    scope, trained = of_llama(tmp_path, on_projections, save_embedding_layers=True)
    chat = [{"role": "user", "content": "a dog"}]
    one, two = scope.read(messages=chat), trained.read(messages=chat)
    assert [token.id for token in one.tokens] == [token.id for token in two.tokens]
    assert one.tokens[0].label == "<|think|>"
    assert torch.allclose(one.z, two.z, atol=1e-6)


def test_a_tokenizer_of_the_same_tokens_is_used_and_said(tmp_path):
    scope, trained = of_llama(tmp_path, on_projections, make=zoo.build)
    assert scope.card.why.endswith("with a PEFT adapter, the tokenizer saved with it")
    same(scope, trained, zoo.TEXT)


def test_fewer_rows_are_taken_away(tmp_path):
    """As where a padded vocabulary was cut to the tokenizer's before the training."""

    def cut(name):
        model, tokenizer = zoo.build(name)
        model.resize_token_embeddings(len(tokenizer) + 11, mean_resizing=False)
        model.save_pretrained(tmp_path / "base")
        model.resize_token_embeddings(len(tokenizer))
        return model, tokenizer

    scope, trained = of_llama(tmp_path, on_projections, make=cut, save_embedding_layers=True)
    assert scope.card.why.endswith("373 embeddings in place of 384")
    same(scope, trained, zoo.TEXT)


def test_a_tokenizer_that_cannot_be_used_is_told(tmp_path):
    of_llama(tmp_path, on_projections, make=zoo.build)
    (tmp_path / "adapter" / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"the tokenizer in .*adapter cannot be loaded"):
        Scope.from_pretrained(str(tmp_path / "base"), adapter=str(tmp_path / "adapter"))
