"""README: "a model that cannot be read is refused with one sentence that says why", at load."""

from __future__ import annotations

import pytest
import torch
import transformers
import zoo

from headscope import InputError, ModelError, Scope
from headscope.model.unembedding import find_unembedding

SHAPE = zoo.GROUPED
REFUSED = {
    "MambaForCausalLM": ({"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}, "no attention heads"),
    "RwkvForCausalLM": (
        {"hidden_size": 16, "num_hidden_layers": 2, "attention_hidden_size": 16},
        "no attention heads",
    ),
    "FNetModel": ({"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48}, "no attention heads"),
    "JambaForCausalLM": (
        SHAPE
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "use_mamba_kernels": False,
            "num_experts": 2,
            "mamba_d_state": 4,
            "mamba_dt_rank": 4,
        },
        "2 of its 3 layers have no attention heads",
    ),
    "RecurrentGemmaForCausalLM": (
        zoo.SHAPE | {"lru_width": 32, "attention_window_size": 16},
        "2 of its 3 layers have no attention heads",
    ),
    "Lfm2ForCausalLM": (SHAPE | {"full_attn_idxs": [1]}, "no chain of attention blocks"),
    "XLMModel": (
        {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 40, "pad_index": 1},
        "no chain of attention blocks",
    ),
    "BitNetForCausalLM": (SHAPE, "cannot be read"),  # a norm stands between the heads and W_O
    "MobileBertModel": (
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "embedding_size": 16,
            "intra_bottleneck_size": 32,
        },
        "not that of the token alone",  # it mixes neighbouring tokens before its first layer
    ),
}


_XLNET = {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}
_FUNNEL = {"d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 48, "block_sizes": [1, 1]}
_LONGFORMER = zoo.ROBERTA | {"attention_window": 4}
_CTRL = {"n_embd": 32, "n_layer": 3, "n_head": 4, "dff": 48, "n_positions": 40}
_SHARED = zoo.HEADS_OF_8 | {  # the last two layers mix values of the first two
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "global_head_dim": 8,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 400,
    "num_kv_shared_layers": 2,
}
_CLIP = {"text_config": zoo.BERT, "vision_config": zoo.EYE, "projection_dim": 16}
_CPM = {"hidden_size": 32, "num_attention_heads": 4, "dim_head": 8, "dim_ff": 48, "num_hidden_layers": 2}
_STREAMS = zoo.HEADS_OF_8 | {  # four streams side by side, which every layer mixes
    "num_key_value_heads": 1,
    "moe_intermediate_size": 16,
    "q_lora_rank": 12,
    "num_experts_per_tok": 2,
    "n_routed_experts": 4,
    "o_groups": 2,
    "o_lora_rank": 8,
    "index_n_heads": 2,
    "index_head_dim": 8,
    "layer_types": ["compressed_sparse_attention"] * 3,
    "mlp_layer_types": ["moe"] * 3,
}
_PARALLEL = SHAPE | {  # a state space stands beside the heads of every layer
    "mamba_d_ssm": 64,
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
}
_SQUEEZED = zoo.BERT | {"embedding_size": 32} | {f"{part}_groups": 1 for part in ("q", "k", "v", "post_attention")}
_PART = r"a part of it has a table of token embeddings, and may be handed over: model\.text_model \({}\)\.$"
_VALUES = r"2 of its 4 layers have no values of their own \(layer 2 mixes those of layer 0\)"
_OPEN = "nothing went through a softmax between two products .* and how {} attends was not seen"
_BOTTLENECK = REFUSED["MobileBertModel"][0] | {"intra_bottleneck_size": 16, "trigram_input": False}
_IBERT = zoo.ROBERTA | {"pad_token_id": 1}


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("MobileBertModel", _BOTTLENECK | {"embedding_size": 32}, "its attention reads vectors of 16 numbers, and its"),
        ("XLNetModel", _XLNET, _OPEN.format("XLNetRelativeAttention")),
        ("FunnelModel", _FUNNEL, _OPEN.format("FunnelRelMultiheadAttention")),
        ("LongformerModel", _LONGFORMER, _OPEN.format("LongformerSelfAttention")),
        ("CTRLLMHeadModel", _CTRL, "not that of the token alone .* and follows its position: what is added there, no"),
        ("Gemma4TextModel", _SHARED, _VALUES),
        ("CpmAntForCausalLM", _CPM, "reads 42 positions where a text has 10 tokens"),
        (
            "DeepseekV4ForCausalLM",
            _STREAMS,
            r"its layers read no stream \[text, position, d_model\], but one of 4 axes",
        ),
        ("FalconH1ForCausalLM", _PARALLEL, "with all heads silenced, another token still changes what its layers ret"),
        ("SqueezeBertModel", _SQUEEZED, "SqueezeBertModel cannot be read: its layers return a dict"),
        ("CLIPModel", _CLIP, "has no table of token embeddings, .*; " + _PART.format("CLIPTextModel")),
        ("SiglipModel", _CLIP, "cannot be run on token ids alone: .*; " + _PART.format("SiglipTextModel")),
        ("CLIPVisionModel", zoo.EYE, "has no table of token embeddings, so it has no vocabulary to compare with"),
        ("IBertModel", _IBERT, "its token embeddings are no vectors alone, but a tuple"),
    ],
)
def test_a_model_of_another_make_is_refused_with_what_it_is(kind, options, said):
    tokenizer = zoo.llama_like()
    model_class = getattr(transformers, kind)
    vocabulary = {} if options is _CLIP else {"vocab_size": len(tokenizer)}
    model = zoo.randomise(model_class(model_class.config_class(**vocabulary, **options)))
    with pytest.raises(ModelError, match=said) as caught:
        Scope.from_model(model, tokenizer)
    assert "\n" not in str(caught.value)


def test_a_decoder_is_not_sent_to_an_encoder_that_is_refused_too():
    tokenizer = zoo.roberta_like()
    config = transformers.LEDConfig(
        vocab_size=len(tokenizer), attention_window=8, max_encoder_position_embeddings=40,
        max_decoder_position_embeddings=40, **{k: v for k, v in zoo.BART.items() if k != "max_position_embeddings"},
    )  # fmt: skip
    model = zoo.randomise(transformers.LEDForConditionalGeneration(config))
    with pytest.raises(ModelError, match=r"what it attends to of its encoder, and its encoder cannot be read, either"):
        Scope.from_model(model, tokenizer, stack="decoder")
    with pytest.raises(ModelError, match="LEDEncoder has no attention heads that can be found"):
        Scope.from_model(model, tokenizer, stack="encoder")


@pytest.mark.parametrize("stack", [None, "encoder", "decoder"])
def test_an_encoder_and_decoder_that_are_no_models_of_their_own_are_refused(stack):
    tokenizer = zoo.roberta_like()
    size = len(tokenizer)
    config = transformers.FSMTConfig(
        langs=["en", "de"], src_vocab_size=size, tgt_vocab_size=size, decoder=zoo.BART | {"bos_token_id": 0}, **zoo.BART
    )
    model = zoo.randomise(transformers.FSMTForConditionalGeneration(config))
    with pytest.raises(ModelError, match=r"its encoder and its decoder \(FSMTEncoder, FSMTDecoder\) are no transf"):
        Scope.from_model(model, tokenizer, stack=stack)


def test_a_decoder_that_attends_to_what_sees_is_refused():
    tokenizer = zoo.roberta_like()
    read = transformers.BertConfig(vocab_size=len(tokenizer), **zoo.BERT, is_decoder=True, add_cross_attention=True)
    model = transformers.VisionEncoderDecoderModel(
        encoder=transformers.ViTModel(transformers.ViTConfig(**zoo.EYE)), decoder=transformers.BertLMHeadModel(read)
    )
    model.config.decoder_start_token_id = 0
    with pytest.raises(ModelError, match=r"attends to an encoder \(ViTModel\) that reads no tokens"):
        Scope.from_model(zoo.randomise(model), tokenizer, stack="decoder")


def test_a_part_that_does_not_run_either_is_not_to_be_handed_over():
    model, tokenizer = zoo.build("llama")

    def refuse(module, args, kwargs):
        raise RuntimeError("no kernel for this device")

    model.model.register_forward_pre_hook(refuse, with_kwargs=True)
    with pytest.raises(ModelError, match=r"cannot be run on token ids alone: no kernel for this device\.$"):
        Scope.from_model(model, tokenizer)


def test_a_decoder_that_attends_to_what_hears_is_refused():
    tokenizer = zoo.roberta_like()
    config = transformers.Speech2TextConfig(vocab_size=len(tokenizer), input_feat_per_channel=8, **zoo.BART)
    model = zoo.randomise(transformers.Speech2TextForConditionalGeneration(config))
    with pytest.raises(ModelError, match=r"attends to an encoder \(Speech2TextEncoder\) that reads no tokens"):
        Scope.from_model(model, tokenizer, stack="decoder")


def test_layers_of_pruned_heads_alone_are_not_taken_for_layers_that_share_their_values():
    model, tokenizer = zoo.build("gpt2")
    with torch.no_grad():
        for block in model.transformer.h[:2]:
            block.attn.c_attn.weight[:, 64:] = 0
            block.attn.c_attn.bias[64:] = 0
    assert Scope.from_model(model, tokenizer).read(zoo.TEXT).z[:2].abs().amax() == 0


def test_what_a_model_raises_while_its_vocabulary_is_encoded_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))  # where nothing of these weights is kept
    model, tokenizer = zoo.build("gpt2")

    def refuse(module, args):
        if len(args[0]) > 32:  # no text, but many tokens, each by itself
            raise RuntimeError("mat1 and mat2 cannot be multiplied")

    model.transformer.h[1].attn.c_attn.register_forward_pre_hook(refuse)
    reading = Scope.from_model(model, tokenizer).read(zoo.TEXT)
    said = r"GPT2LMHeadModel failed while its vocabulary was encoded \(RuntimeError: mat1 and mat2 cannot be mul.*\)\."
    for ask in (lambda: reading.nearest(2, 1), lambda: reading.nearest(2, 1, space="key"), lambda: reading.atlas(2)):
        with pytest.raises(ModelError, match=said) as caught:
            ask()
        assert isinstance(caught.value.__cause__, RuntimeError)


_ASKED = {
    "a reading": (lambda scope: scope.read(zoo.TEXT), "it read a text"),
    "its vocabulary, each token alone": (lambda scope: scope.isolate(), "it read a text"),
    "its streams, each token alone": (lambda scope: scope.isolate(what="streams"), "it read a text"),
    "its logits": (lambda scope: find_unembedding(scope.bench.opened), "its logits were split"),
}


@pytest.mark.parametrize("ask", _ASKED)
def test_what_a_model_raises_while_it_reads_is_said_in_a_sentence(tmp_path, monkeypatch, ask):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    model, tokenizer = zoo.build("gpt2")
    scope = Scope.from_model(model, tokenizer)
    broken = []

    def refuse(module, args):
        if broken:
            raise RuntimeError("mat1 and mat2 cannot be multiplied")

    model.transformer.h[1].mlp.register_forward_pre_hook(refuse)
    scope.read("a")  # that hook only watches
    broken.append(True)
    asked, doing = _ASKED[ask]
    with pytest.raises(ModelError, match=rf"^GPT2LMHeadModel failed while {doing} \(RuntimeError: mat1 and mat2"):
        asked(scope)


def test_what_a_function_of_an_edit_raises_is_not_said_of_the_model():
    scope = Scope.from_model(*zoo.build("gpt2"))
    with pytest.raises(InputError, match=r"the function for layer 1 failed \(KeyError: it has no 'x'\)") as caught:
        scope.read(zoo.TEXT, edit={(1, 0): lambda z: {}["x"]})
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_it_is_refused_with_a_reason(kind):
    options, reason = REFUSED[kind]
    tokenizer = zoo.llama_like()
    model_class = getattr(transformers, kind)
    config = model_class.config_class(vocab_size=len(tokenizer), pad_token_id=1, **options)
    model = zoo.randomise(model_class(config))
    with pytest.raises(ModelError, match=reason) as caught:
        Scope.from_model(model, tokenizer)
    assert "\n" not in str(caught.value)
