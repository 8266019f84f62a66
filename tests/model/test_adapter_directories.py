"""Adapters in directories of their own: opened with their base, named for what they are, noticed when they change."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
import zoo
from safetensors.torch import load_file, save_file

from headscope import InputError, ModelError, Scope

peft = pytest.importorskip("peft")


def trained(config, path, base):
    """An adapter with values of its own, saved for a base; what a model with it reads."""
    torch.manual_seed(3)
    model, tokenizer = zoo.build("llama")
    wrapped = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name or "trainable_tokens_delta" in name:
                parameter.normal_(0, 0.3)
    wrapped.peft_config["default"].base_model_name_or_path = str(base)
    wrapped.save_pretrained(path)
    return Scope.from_model(wrapped.eval(), tokenizer).read(zoo.TEXT)


KINDS = {
    "projections": lambda: peft.LoraConfig(r=3, lora_alpha=9, target_modules=["q_proj", "v_proj", "o_proj"]),
    "embeddings": lambda: peft.LoraConfig(r=2, target_modules=["embed_tokens"]),
    "trainable tokens": lambda: peft.TrainableTokensConfig(
        token_indices=[80, 295, 341], target_modules=["embed_tokens"]
    ),
    "of a language model": lambda: peft.LoraConfig(r=3, target_modules=["v_proj"], task_type="CAUSAL_LM"),
}


@pytest.fixture
def base(tmp_path):
    return zoo.save("llama", tmp_path / "base")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.mark.slow(cases=1)
def test_an_adapter_is_opened_with_its_base(kind, base, tmp_path):
    expected = trained(KINDS[kind](), tmp_path / "adapter", base)
    scope = Scope.from_pretrained(str(base), adapter=str(tmp_path / "adapter"))
    reading = scope.read(zoo.TEXT)
    assert torch.allclose(reading.z, expected.z, atol=1e-6)
    near, wanted = (one.nearest(3, 2, k=5) for one in (reading, expected))
    assert torch.allclose(near.distances, wanted.distances, atol=1e-6)
    assert not torch.allclose(reading.z, Scope.from_pretrained(str(base)).read(zoo.TEXT).z, atol=1e-2)


class TestNames:
    """The card says what the weights are of, and what it says opens them again."""

    @pytest.fixture
    def adapter(self, base, tmp_path):
        trained(KINDS["projections"](), tmp_path / "adapter", base)
        return tmp_path / "adapter"

    @pytest.mark.slow
    def test_of_base_and_adapter(self, base, adapter):
        card = Scope.from_pretrained(str(base), adapter=str(adapter)).card
        assert card.name == f"{base} + {adapter}"
        assert card.why.endswith("with a PEFT adapter")
        assert card.weights_sha256 != Scope.from_pretrained(str(base)).card.weights_sha256
        assert Scope.from_pretrained(card.name).card == card

    @pytest.mark.slow
    def test_of_an_adapter_alone_which_names_its_base(self, base, adapter):
        with_both = Scope.from_pretrained(str(base), adapter=str(adapter)).card
        assert Scope.from_pretrained(str(adapter)).card == with_both
        assert Scope.from_pretrained(adapter=str(adapter)).card == with_both

    def test_what_is_put_on_is_hashed_with_how_strongly(self, base, adapter):
        before = Scope.from_pretrained(str(adapter)).card.weights_sha256
        told = json.loads((adapter / "adapter_config.json").read_text())
        (adapter / "adapter_config.json").write_text(json.dumps(told | {"lora_alpha": 1}))
        assert Scope.from_pretrained(str(adapter)).card.weights_sha256 != before


class TestRefusals:
    """What does not belong together is refused in a sentence."""

    @pytest.fixture
    def adapter(self, base, tmp_path):
        trained(KINDS["projections"](), tmp_path / "adapter", base)
        return tmp_path / "adapter"

    def refused(self, base, adapter, sentence):
        with pytest.raises((ModelError, InputError), match=sentence):
            Scope.from_pretrained(None if base is None else str(base), adapter=str(adapter))

    def test_another_base(self, adapter, tmp_path):
        self.refused(
            zoo.save("gpt2", tmp_path / "gpt2"), adapter, "the LORA adapter in .* does not fit GPT2LMHeadModel"
        )

    def test_a_base_that_is_not_there(self, base, adapter):
        shutil.rmtree(base)
        self.refused(
            None,
            adapter,
            r"a PEFT adapter for '.*', which cannot be had: .* Name a base that is there: both, --model",
        )

    def test_no_adapter_and_no_directory(self, base, tmp_path):
        for named in (base, None):
            self.refused(named, base, r"no PEFT adapter: it has no adapter_config\.json\. It holds a whole model\.$")
            self.refused(named, tmp_path, r"holds no PEFT adapter: it has no adapter_config\.json\.$")
        self.refused(base, tmp_path / "nowhere", "there is no directory")

    def test_weights_without_a_place_and_places_without_weights(self, base, adapter):
        held = load_file(adapter / "adapter_model.safetensors")
        some = dict(list(held.items())[1:])
        save_file(some, adapter / "adapter_model.safetensors")
        self.refused(base, adapter, "has no values for some")
        save_file(
            held | {"base_model.model.other.lora_A.weight": torch.zeros(3, 3)}, adapter / "adapter_model.safetensors"
        )
        self.refused(base, adapter, "has no place for: base_model.model.other.lora_A.weight")

    def test_a_pickle(self, base, adapter):
        (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
        self.refused(base, adapter, "as a pickle")

    def test_a_file_that_is_cut_short(self, base, adapter):
        file = adapter / "adapter_model.safetensors"
        file.write_bytes(file.read_bytes()[:-20])
        self.refused(base, adapter, "damaged, or still being written")

    def test_a_module_that_its_configuration_names_is_not_imported(self, base, adapter):
        told = json.loads((adapter / "adapter_config.json").read_text())
        config = told | {"megatron_config": {"a": 1}, "megatron_core": "antigravity"}
        (adapter / "adapter_config.json").write_text(json.dumps(config))
        self.refused(base, adapter, "is for Megatron")

    def test_vectors_before_the_text(self, base, tmp_path):
        model, _ = zoo.build("llama")
        config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
        peft.get_peft_model(model, config).save_pretrained(tmp_path / "prompt")
        self.refused(base, tmp_path / "prompt", "PROMPT_TUNING puts learned vectors before the text")


class TestInMemory:
    """A user's own model: switched or disabled between readings, it is noticed, and named for what acts."""

    @pytest.fixture
    def wrapped(self):
        model, tokenizer = zoo.build("llama")
        config = peft.LoraConfig(r=3, target_modules=["v_proj"], init_lora_weights=False)
        torch.manual_seed(0)
        wrapped = peft.get_peft_model(model, config, adapter_name="one")
        wrapped.add_adapter("two", peft.LoraConfig(r=3, target_modules=["v_proj", "o_proj"], init_lora_weights=False))
        return wrapped.eval(), tokenizer

    @pytest.mark.slow
    def test_each_reading_is_of_what_acts(self, wrapped):
        model, tokenizer = wrapped
        scope = Scope.from_model(model, tokenizer)
        seen, names = [], []

        def look():
            seen.append(scope.read(zoo.TEXT).z)
            names.append(scope.card.name)
            assert torch.equal(seen[-1], Scope.from_model(model, tokenizer).read(zoo.TEXT).z)

        look()
        model.set_adapter("two")
        look()
        with model.disable_adapter():
            look()
        look()
        kind = "LlamaForCausalLM"
        both = [f"{kind} + adapter one", f"{kind} + adapter two", f"{kind}, its adapters off", f"{kind} + adapter two"]
        assert names == both
        assert torch.equal(seen[2], Scope.from_model(*zoo.build("llama")).read(zoo.TEXT).z)
        assert torch.equal(seen[1], seen[3])
        assert not torch.allclose(seen[0], seen[1], atol=1e-2)


CLASSIFIERS = {"llama": transformers.LlamaForSequenceClassification, "bert": transformers.BertForTokenClassification}
TARGETS = {"llama": ["q_proj", "o_proj"], "bert": ["query", "value"]}


class TestOfAnotherHead:
    """An adapter is of what lies below the head that it was trained with, so it is read on its base with another."""

    def opened(self, name, task, make, tmp_path):
        model, tokenizer = zoo.build(name)
        zoo.save(name, tmp_path / "base")
        torch.manual_seed(2)
        config = peft.LoraConfig(r=2, target_modules=TARGETS[name], task_type=task, init_lora_weights=False)
        wrapped = peft.get_peft_model(make(model), config)
        wrapped.save_pretrained(tmp_path / "adapter")
        expected = Scope.from_model(wrapped.eval(), tokenizer).read(zoo.TEXT)
        scope = Scope.from_pretrained(str(tmp_path / "base"), adapter=str(tmp_path / "adapter"))
        assert torch.allclose(scope.read(zoo.TEXT).z, expected.z, atol=1e-6)
        assert not torch.allclose(expected.z, Scope.from_model(*zoo.build(name)).read(zoo.TEXT).z, atol=1e-3)

    @pytest.mark.parametrize("name", ["llama", "bert"])
    def test_a_classifiers(self, name, tmp_path):
        def make(model):
            made = CLASSIFIERS[name](model.config)
            made.base_model.load_state_dict(model.base_model.state_dict(), strict=False)
            return made

        self.opened(name, {"llama": "SEQ_CLS", "bert": "TOKEN_CLS"}[name], make, tmp_path)

    @pytest.mark.parametrize("name", ["llama", "bert"])
    def test_an_encoders_without_any(self, name, tmp_path):
        self.opened(name, "FEATURE_EXTRACTION", lambda model: model.base_model, tmp_path)
