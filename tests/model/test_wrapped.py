"""Models as people have them: with a head on top, inside another module, in a directory of sentence-transformers."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
import zoo
from torch import nn

from headscope import InputError, ModelError, Scope
from headscope.model.opening import tokenizer as opening

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def headed(kind, tokenizer, **options):
    """A model with something on top, and no token for padding in its configuration."""
    made = getattr(transformers, kind)
    config = made.config_class(vocab_size=len(tokenizer), **options)
    config.pad_token_id = config.bos_token_id = config.eos_token_id = None
    return zoo.randomise(made(config))


HEADS = {
    "LlamaForSequenceClassification": (zoo.llama_like, TINY | {"max_position_embeddings": 40}),
    "GPT2ForSequenceClassification": (zoo.gpt_like, {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40}),
    "Qwen2ForSequenceClassification": (zoo.gpt_like, TINY | {"max_position_embeddings": 40, "num_key_value_heads": 2}),
    "BertForMultipleChoice": (zoo.wordpiece, TINY | {"max_position_embeddings": 40}),
    "BertForSequenceClassification": (zoo.wordpiece, TINY | {"max_position_embeddings": 40}),
    "BertForTokenClassification": (zoo.wordpiece, TINY | {"max_position_embeddings": 40}),
    "BertForQuestionAnswering": (zoo.wordpiece, TINY | {"max_position_embeddings": 40}),
}


@pytest.mark.parametrize("kind", HEADS)
def test_what_stands_on_top_makes_no_difference_to_a_reading(kind):
    make, options = HEADS[kind]
    tokenizer = make()
    model = headed(kind, tokenizer, **options)
    inner = getattr(model, model.base_model_prefix)
    scope = Scope.from_model(model, tokenizer)
    assert scope.card.capture_error < 1e-5
    reading, alone = scope.read(zoo.TEXT), Scope.from_model(inner, tokenizer).read(zoo.TEXT)
    assert torch.equal(reading.z, alone.z)
    assert reading.nearest(1, k=3).ids.tolist() == alone.nearest(1, k=3).ids.tolist()
    together = scope.read_many([zoo.TEXT, "a banana"])
    assert torch.allclose(together[0].z, reading.z, atol=1e-5)


class ValueHead(nn.Module):
    """In the manner of trl's AutoModelForCausalLMWithValueHead."""

    def __init__(self, pretrained_model):
        super().__init__()
        self.pretrained_model = pretrained_model
        self.v_head = nn.Linear(pretrained_model.config.hidden_size, 1)

    def forward(self, input_ids, attention_mask=None):
        made = self.pretrained_model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True)
        return made.logits, None, self.v_head(made.hidden_states[-1])


def test_a_value_head_s_model_is_read_with_its_logits():
    model, tokenizer = zoo.build("llama")
    plain = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    reading = Scope.from_model(ValueHead(model), tokenizer).read(zoo.TEXT)
    assert torch.equal(reading.z, plain.z)
    near = reading.nearest(2, 1, "unembedding", k=3)
    assert near.ids.tolist() == plain.nearest(2, 1, "unembedding", k=3).ids.tolist()


def test_several_models_in_one_module_are_not_chosen_from():
    model, tokenizer = zoo.build("llama")
    other, _ = zoo.build("bert")
    with pytest.raises(
        InputError, match=r"ModuleList holds several transformers models \(LlamaForCausalLM, BertModel\)"
    ):
        Scope.from_model(nn.ModuleList([model, other]), tokenizer)
    with pytest.raises(InputError, match="takes a transformers model"):
        Scope.from_model(nn.Linear(2, 2), tokenizer)


def test_a_model_without_a_tokenizer_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"needs a tokenizer: Scope\.from_model\(model, tokenizer\)"):
        Scope.from_model(zoo.build("bert")[0])


@pytest.mark.parametrize("rows", [-7, 9])
def test_a_language_model_head_with_other_rows_than_the_embeddings(rows):
    model, tokenizer = zoo.build("llama")
    size = len(tokenizer)
    torch.manual_seed(0)
    model.lm_head = nn.Linear(32, size + rows, bias=False)
    reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    near = reading.nearest(2, 1, "unembedding", metric="dot", k=5)
    assert any(f"{size + rows:,} logits for a vocabulary of {size:,} tokens" in note for note in near.notes)
    assert int(near.ids.max()) < min(size, size + rows)
    w_o = Scope.from_model(model, tokenizer).weights(1).w_o
    assert w_o.shape[0] == 4


class TestSentenceTransformers:
    """Their objects and directories hold a transformers model, which is read."""

    @pytest.fixture(scope="class")
    def directory(self, tmp_path_factory):
        return zoo.save("bert", tmp_path_factory.mktemp("bert"))

    @pytest.fixture(scope="class")
    def plain(self, directory):
        return Scope.from_pretrained(str(directory)).read(zoo.TEXT)

    @pytest.fixture(scope="class")
    def encoder(self, directory):
        sentence_transformers = pytest.importorskip("sentence_transformers")
        from sentence_transformers.models import Pooling, Transformer

        first = Transformer(str(directory))
        return sentence_transformers.SentenceTransformer(modules=[first, Pooling(32)], device="cpu")

    def test_an_object_is_read_with_its_own_tokenizer(self, encoder, plain):
        reading = Scope.from_model(encoder).read(zoo.TEXT)
        assert torch.equal(reading.z, plain.z)
        assert [t.text for t in reading.tokens] == [t.text for t in plain.tokens]

    def test_a_directory_that_it_saved_is_opened(self, encoder, plain, tmp_path):
        encoder.save(str(tmp_path))
        assert torch.equal(Scope.from_pretrained(str(tmp_path)).read(zoo.TEXT).z, plain.z)

    def test_a_directory_as_they_were_has_the_model_in_a_directory_of_its_own(self, directory, plain, tmp_path):
        shutil.copytree(directory, tmp_path / "0_Transformer")
        module = {"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}
        (tmp_path / "modules.json").write_text(json.dumps([module]))
        scope = Scope.from_pretrained(str(tmp_path))
        assert torch.equal(scope.read(zoo.TEXT).z, plain.z)
        assert scope.card.name == str(tmp_path)

    @pytest.mark.parametrize("path", ["../elsewhere", "/etc", "0_Transformer/../..", 3, None])
    def test_a_directory_leads_to_no_other(self, directory, tmp_path, path):
        (tmp_path / "in").mkdir()
        shutil.copytree(directory, tmp_path / "elsewhere")
        (tmp_path / "in" / "modules.json").write_text(json.dumps([{"idx": 0, "path": path}]))
        with pytest.raises(ModelError, match=r"no weights|cannot be read"):
            Scope.from_pretrained(str(tmp_path / "in"))


class TestVariants:
    """Weights under a variant's name, as `save_pretrained(variant=...)` writes them."""

    @pytest.mark.parametrize("shard", [None, "20KB"])
    def test_are_opened_where_there_is_one(self, tmp_path, shard):
        model, tokenizer = zoo.build("bert")
        model.save_pretrained(tmp_path, variant="fp16", **({"max_shard_size": shard} if shard else {}))
        tokenizer.save_pretrained(tmp_path)
        scope = Scope.from_pretrained(str(tmp_path))
        assert torch.equal(scope.read(zoo.TEXT).z, Scope.from_model(model, tokenizer).read(zoo.TEXT).z)
        assert "variant fp16" in scope.card.why

    def test_beside_others_are_not_chosen_from(self, tmp_path):
        directory = zoo.save("bert", tmp_path)
        scope = Scope.from_pretrained(str(directory))
        shutil.copy(directory / "model.safetensors", directory / "model.fp16.safetensors")
        assert Scope.from_pretrained(str(directory)).card.weights_sha256 == scope.card.weights_sha256
        (directory / "model.safetensors").rename(directory / "model.bf16.safetensors")
        with pytest.raises(ModelError, match=r"two variants of its weights \(bf16, fp16\)"):
            Scope.from_pretrained(str(directory))


@pytest.mark.parametrize("made", ["ByT5Tokenizer"])
def test_a_tokenizer_without_files_is_opened(tmp_path, made):
    tokenizer = getattr(transformers, made)()
    config = transformers.T5Config(vocab_size=384, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    model = zoo.randomise(transformers.T5EncoderModel(config))
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    reading = Scope.from_pretrained(str(tmp_path)).read("naïve")
    assert [token.label for token in reading.tokens][2:4] == ["⟨C3⟩", "⟨AF⟩"]


def test_a_sentencepiece_model_alone_says_what_reads_it(tmp_path, monkeypatch):
    zoo.build("xlm-roberta")[0].save_pretrained(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"no model")
    monkeypatch.setitem(opening._READERS, "sentencepiece", "sentencepiece_that_is_nowhere")
    with pytest.raises(ModelError, match=r"needs sentencepiece.*: pip install \"headscope\[sentencepiece\]\""):
        Scope.from_pretrained(str(tmp_path))


def test_what_is_no_sentencepiece_model_is_refused(tmp_path):
    pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    zoo.build("xlm-roberta")[0].save_pretrained(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Scope.from_pretrained(str(tmp_path))


def test_a_sentencepiece_model_alone_is_a_tokenizer(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    (tmp_path / "corpus.txt").write_text("\n".join(zoo.CORPUS * 20), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "corpus.txt"),
        model_prefix=str(tmp_path / "sentencepiece.bpe"),
        vocab_size=150,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    zoo.build("xlm-roberta", shape={"vocab_size": 160})[0].save_pretrained(tmp_path)
    reading = Scope.from_pretrained(str(tmp_path)).read("Time flies like an arrow.")
    assert reading.text[slice(*reading.tokens[reading.position_of("like")].span)] == "like"
    assert [token.special for token in reading.tokens] == [True, *[False] * (len(reading.tokens) - 2), True]
