"""Tiny random models of real architectures, with random biases and norm gains: an initial 0 or 1 hides mistakes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from zoo_tokenizers import CORPUS as CORPUS
from zoo_tokenizers import TEXT as TEXT
from zoo_tokenizers import byte_level as byte_level
from zoo_tokenizers import gpt_like, llama_like, roberta_like, wordpiece
from zoo_tokenizers import tokenize as tokenize

Config = tuple[str, dict[str, Any]]  # the model class's name, and what its configuration is given
_SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
_DECODER = _SHAPE | {"max_position_embeddings": 40}
_GROUPED = _DECODER | {"num_key_value_heads": 2}
_HEADS_OF_8 = _GROUPED | {"head_dim": 8}
_ROBERTA = _SHAPE | {"max_position_embeddings": 42, "type_vocab_size": 1, "pad_token_id": 1}
_BERT = _SHAPE | {"max_position_embeddings": 40}
_GEMMA = _HEADS_OF_8 | {"query_pre_attn_scalar": 8}
_FALCON = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 40}
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4, "decoder_start_token_id": 1}
_BART = {
    "d_model": 32,
    "encoder_layers": 3,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 40,
    "forced_eos_token_id": 2,
    "decoder_start_token_id": 2,
}

_LATENT = _DECODER | {  # v through a narrow, normalised row that all heads share
    "num_key_value_heads": 4,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 12,
    "q_lora_rank": 12,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}

Entry = tuple[Callable[[], PreTrainedTokenizerFast], Config]

# Every way to compute attention and what is around it. What holds for models is tried on each of these.
BASE: dict[str, Entry] = {
    "bert": (wordpiece, ("BertModel", _BERT)),
    "roberta": (roberta_like, ("RobertaForMaskedLM", _ROBERTA)),
    "xlm-roberta": (roberta_like, ("XLMRobertaForMaskedLM", _ROBERTA)),
    "camembert": (roberta_like, ("CamembertModel", _ROBERTA)),
    "distilbert": (
        wordpiece,
        ("DistilBertModel", {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 40}),
    ),
    "electra": (wordpiece, ("ElectraModel", _BERT | {"embedding_size": 20})),
    "albert": (wordpiece, ("AlbertModel", _BERT | {"embedding_size": 20})),
    "modernbert": (
        roberta_like,
        ("ModernBertModel", _DECODER | {"norm_bias": True, "attention_bias": True, "local_attention": 8}),
    ),
    "mpnet": (roberta_like, ("MPNetModel", _ROBERTA)),
    "deberta-v2": (
        roberta_like,
        (
            "DebertaV2Model",
            _SHAPE
            | {
                "max_position_embeddings": 40,
                "relative_attention": True,
                "position_buckets": 8,
                "norm_rel_ebd": "layer_norm",
                "share_att_key": True,
                "pos_att_type": ["p2c", "c2p"],
                "position_biased_input": False,
                "type_vocab_size": 0,
            },
        ),
    ),
    "gpt2": (gpt_like, ("GPT2LMHeadModel", {"n_positions": 40, "n_embd": 32, "n_layer": 3, "n_head": 4})),
    "gpt-neox": (gpt_like, ("GPTNeoXForCausalLM", _DECODER)),
    "opt": (
        llama_like,
        (
            "OPTForCausalLM",
            {
                "hidden_size": 32,
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "ffn_dim": 48,
                "max_position_embeddings": 40,
                "word_embed_proj_dim": 32,
            },
        ),
    ),
    "llama": (llama_like, ("LlamaForCausalLM", _GROUPED | {"attention_bias": True})),
    "mistral": (llama_like, ("MistralForCausalLM", _GROUPED | {"sliding_window": 6})),
    "qwen2": (gpt_like, ("Qwen2ForCausalLM", _GROUPED)),
    "qwen3": (gpt_like, ("Qwen3ForCausalLM", _HEADS_OF_8)),
    "gemma": (llama_like, ("GemmaForCausalLM", _HEADS_OF_8)),
    "gemma2": (llama_like, ("Gemma2ForCausalLM", _GEMMA | {"sliding_window": 6})),
    "gemma3": (llama_like, ("Gemma3ForCausalLM", _GEMMA | {"sliding_window": 6})),
    "phi": (gpt_like, ("PhiForCausalLM", _DECODER)),
    "phi3": (llama_like, ("Phi3ForCausalLM", _GROUPED | {"pad_token_id": 1})),
    "olmo2": (gpt_like, ("Olmo2ForCausalLM", _GROUPED)),
    "nomic-bert": (wordpiece, ("NomicBertModel", _BERT)),
    "esm": (wordpiece, ("EsmModel", _BERT | {"pad_token_id": 0, "mask_token_id": 5})),
    "gpt-neo": (
        gpt_like,
        (
            "GPTNeoForCausalLM",
            {
                "hidden_size": 32,
                "num_layers": 2,
                "num_heads": 4,
                "attention_types": [[["global", "local"], 1]],
                "max_position_embeddings": 40,
                "window_size": 6,
            },
        ),
    ),
    "gptj": (
        gpt_like,
        ("GPTJForCausalLM", {"n_positions": 40, "n_embd": 32, "n_layer": 3, "n_head": 4, "rotary_dim": 4}),
    ),
    "bloom": (llama_like, ("BloomForCausalLM", {"hidden_size": 32, "n_layer": 3, "n_head": 4})),
    "falcon-rotary": (
        gpt_like,
        ("FalconForCausalLM", _FALCON | {"alibi": False, "multi_query": True, "new_decoder_architecture": False}),
    ),
    "falcon-alibi": (
        gpt_like,
        ("FalconForCausalLM", _FALCON | {"alibi": True, "multi_query": False, "bias": True, "parallel_attn": False}),
    ),
    "falcon-grouped": (
        gpt_like,
        ("FalconForCausalLM", _FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2, "alibi": False}),
    ),
    "mixtral": (llama_like, ("MixtralForCausalLM", _GROUPED | {"num_local_experts": 4})),
    "stablelm": (gpt_like, ("StableLmForCausalLM", _GROUPED | {"use_qkv_bias": True})),
    "smollm3": (gpt_like, ("SmolLM3ForCausalLM", _GROUPED)),
    "granite": (gpt_like, ("GraniteForCausalLM", _GROUPED | {"embedding_multiplier": 3.0})),
    "cohere": (gpt_like, ("CohereForCausalLM", _GROUPED)),
    "t5-encoder": (roberta_like, ("T5EncoderModel", _T5)),
    "t5/encoder": (roberta_like, ("T5ForConditionalGeneration", _T5)),
    "t5/decoder": (roberta_like, ("T5ForConditionalGeneration", _T5)),
    "bart/encoder": (roberta_like, ("BartForConditionalGeneration", _BART)),
    "bart/decoder": (roberta_like, ("BartForConditionalGeneration", _BART)),
    "gpt-oss": (
        gpt_like,
        ("GptOssForCausalLM", _HEADS_OF_8 | {"num_local_experts": 4, "sliding_window": 6}),
    ),
}

_MOE = _HEADS_OF_8 | {"moe_intermediate_size": 16, "num_experts_per_tok": 2}
_SHARED_MOE = _MOE | {"n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1}
_SLIDING = _HEADS_OF_8 | {"sliding_window": 6}
_GPT = {"n_positions": 40, "n_embd": 32, "n_layer": 3, "n_head": 4}
_MARIAN = _BART | {"forced_eos_token_id": None, "decoder_start_token_id": 1}
_DEBERTA = {
    "max_position_embeddings": 40,
    "relative_attention": True,
    "max_relative_positions": 8,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
_EYE = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
_QWEN_TEXT = _GROUPED | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}}
_QWEN_EYE = {"depth": 1, "num_heads": 2, "patch_size": 4}

# Others that people have. All that is said of models in one test holds for them, too; where it is dear, it is slow.
MORE: dict[str, Entry] = {
    "apertus": (llama_like, ("ApertusForCausalLM", _GROUPED)),
    "arcee": (llama_like, ("ArceeForCausalLM", _GROUPED | {"attention_bias": True})),
    "bert-generation": (roberta_like, ("BertGenerationEncoder", _BERT)),
    "bert-generation-decoder": (roberta_like, ("BertGenerationDecoder", _BERT | {"is_decoder": True})),
    "biogpt": (roberta_like, ("BioGptForCausalLM", _BERT)),
    "blenderbot/decoder": (roberta_like, ("BlenderbotForConditionalGeneration", _MARIAN)),
    "blenderbot/encoder": (roberta_like, ("BlenderbotForConditionalGeneration", _MARIAN)),
    "chameleon": (  # q and k of each head are normalised, texts and positions in one axis
        llama_like,
        (
            "ChameleonForConditionalGeneration",
            _GROUPED
            | {
                "vocabulary_map": {"<image>": 4, "IMGIMGBSZ": 5},
                "vq_config": {
                    "embed_dim": 8,
                    "num_embeddings": 8,
                    "latent_channels": 8,
                    "resolution": 8,
                    "base_channels": 32,
                    "channel_multiplier": [1],
                    "num_res_blocks": 1,
                    "z_channels": 8,
                },
            },
        ),
    ),
    "clip-text": (roberta_like, ("CLIPTextModel", _BERT | {"projection_dim": 16})),
    "codegen": (gpt_like, ("CodeGenForCausalLM", _GPT | {"n_ctx": 40, "rotary_dim": 4})),
    "cohere2": (gpt_like, ("Cohere2ForCausalLM", _SLIDING)),
    "data2vec-text": (roberta_like, ("Data2VecTextModel", _ROBERTA)),
    "deberta": (roberta_like, ("DebertaModel", _SHAPE | _DEBERTA)),
    "dots1": (gpt_like, ("Dots1ForCausalLM", _SHARED_MOE | {"n_group": 1, "topk_group": 1})),
    "embeddinggemma": (
        llama_like,
        ("Gemma3TextModel", _GEMMA | {"sliding_window": 6, "use_bidirectional_attention": True}),
    ),
    "ernie": (wordpiece, ("ErnieModel", _BERT)),
    "ernie4.5": (llama_like, ("Ernie4_5ForCausalLM", _HEADS_OF_8 | {"use_bias": True})),
    "ernie4.5-moe": (
        llama_like,
        (
            "Ernie4_5_MoeForCausalLM",
            _GROUPED
            | {
                "moe_intermediate_size": 16,
                "moe_k": 2,
                "moe_num_experts": 4,
                "moe_num_shared_experts": 1,
                "moe_layer_start_index": 1,
            },
        ),
    ),
    "eurobert": (llama_like, ("EuroBertModel", _GROUPED)),
    "exaone4": (gpt_like, ("Exaone4ForCausalLM", _GROUPED | {"sliding_window": 6, "sliding_window_pattern": 3})),
    "gemma3-vl": (
        llama_like,
        (
            "Gemma3ForConditionalGeneration",
            {"text_config": _GEMMA | {"sliding_window": 6}, "vision_config": _EYE, "mm_tokens_per_image": 4},
        ),
    ),
    "glm": (gpt_like, ("GlmForCausalLM", _HEADS_OF_8 | {"attention_bias": True})),
    "glm4": (gpt_like, ("Glm4ForCausalLM", _HEADS_OF_8 | {"attention_bias": True})),
    "glm4-moe": (gpt_like, ("Glm4MoeForCausalLM", _SHARED_MOE | {"use_qk_norm": True})),
    "gpt-bigcode": (gpt_like, ("GPTBigCodeForCausalLM", _GPT)),
    "granite-moe": (
        gpt_like,
        ("GraniteMoeForCausalLM", _GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    ),
    "helium": (llama_like, ("HeliumForCausalLM", _HEADS_OF_8)),
    "layoutlm": (wordpiece, ("LayoutLMModel", _BERT)),
    "llama4": (
        llama_like,
        (
            "Llama4ForCausalLM",
            _HEADS_OF_8
            | {
                "intermediate_size_mlp": 48,
                "num_local_experts": 2,
                "attention_chunk_size": 6,
                "no_rope_layers": [1, 1, 0],
            },
        ),
    ),
    "llava": (
        llama_like,
        (
            "LlavaForConditionalGeneration",
            {
                "text_config": _GROUPED | {"model_type": "llama"},
                "vision_config": _EYE | {"model_type": "clip_vision_model"},
                "image_token_index": 4,
            },
        ),
    ),
    "m2m100/decoder": (roberta_like, ("M2M100ForConditionalGeneration", _BART)),
    "m2m100/encoder": (roberta_like, ("M2M100ForConditionalGeneration", _BART)),
    "marian/decoder": (roberta_like, ("MarianMTModel", _MARIAN)),
    "marian/encoder": (roberta_like, ("MarianMTModel", _MARIAN)),
    "mbart/decoder": (roberta_like, ("MBartForConditionalGeneration", _BART)),
    "mbart/encoder": (roberta_like, ("MBartForConditionalGeneration", _BART)),
    "megatron-bert": (wordpiece, ("MegatronBertModel", _BERT)),
    "ministral": (
        llama_like,
        (
            "MinistralForCausalLM",
            _SLIDING | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
        ),
    ),
    "ministral3": (llama_like, ("Ministral3ForCausalLM", _HEADS_OF_8)),
    "minimax-m3": (  # a position sees 3 blocks of 2 others
        llama_like,
        (
            "MiniMaxM3VLForCausalLM",
            _HEADS_OF_8
            | {
                "num_local_experts": 4,
                "num_experts_per_tok": 2,
                "index_n_heads": 2,
                "index_head_dim": 8,
                "index_block_size": 2,
                "index_topk_blocks": 2,
                "index_local_blocks": 1,
                "dense_intermediate_size": 48,
                "shared_intermediate_size": 16,
                "layer_types": ["minimax_m3_sparse"] * 3,
            },
        ),
    ),
    "mistral3": (
        llama_like,
        (
            "Mistral3ForConditionalGeneration",
            {
                "text_config": _HEADS_OF_8 | {"model_type": "mistral", "sliding_window": None},
                "vision_config": _EYE | {"model_type": "pixtral"},
                "image_token_index": 4,
            },
        ),
    ),
    "modernbert-decoder": (
        gpt_like,
        ("ModernBertDecoderForCausalLM", _DECODER | {"local_attention": 8, "norm_bias": True, "attention_bias": True}),
    ),
    "mpt": (
        gpt_like,
        ("MptForCausalLM", {"d_model": 32, "n_heads": 4, "n_layers": 3, "expansion_ratio": 2, "max_seq_len": 40}),
    ),
    "mt5/encoder": (roberta_like, ("MT5ForConditionalGeneration", _T5 | {"feed_forward_proj": "gated-gelu"})),
    "olmo": (gpt_like, ("OlmoForCausalLM", _GROUPED)),
    "olmo3": (gpt_like, ("Olmo3ForCausalLM", _SLIDING)),
    "olmoe": (gpt_like, ("OlmoeForCausalLM", _GROUPED | {"num_experts": 4, "num_experts_per_tok": 2})),
    "pegasus/decoder": (roberta_like, ("PegasusForConditionalGeneration", _MARIAN)),
    "pegasus/encoder": (roberta_like, ("PegasusForConditionalGeneration", _MARIAN)),
    "persimmon": (gpt_like, ("PersimmonForCausalLM", _DECODER)),
    "phimoe": (llama_like, ("PhimoeForCausalLM", _GROUPED | {"num_local_experts": 4, "sliding_window": 6})),
    "qwen2-moe": (
        gpt_like,
        ("Qwen2MoeForCausalLM", _MOE | {"num_experts": 4, "shared_expert_intermediate_size": 16}),
    ),
    "qwen2-vl": (
        gpt_like,
        (
            "Qwen2VLForConditionalGeneration",
            {"text_config": _QWEN_TEXT, "vision_config": _QWEN_EYE | {"embed_dim": 16, "hidden_size": 32}},
        ),
    ),
    "qwen2.5-vl": (
        gpt_like,
        (
            "Qwen2_5_VLForConditionalGeneration",
            {
                "text_config": _QWEN_TEXT,
                "vision_config": _QWEN_EYE
                | {"hidden_size": 16, "intermediate_size": 16, "out_hidden_size": 32, "fullatt_block_indexes": [0]},
            },
        ),
    ),
    "qwen3-moe": (gpt_like, ("Qwen3MoeForCausalLM", _MOE | {"num_experts": 4})),
    "rembert": (wordpiece, ("RemBertModel", _BERT | {"input_embedding_size": 20})),
    "roberta-prelayernorm": (roberta_like, ("RobertaPreLayerNormModel", _ROBERTA)),
    "seed-oss": (gpt_like, ("SeedOssForCausalLM", _HEADS_OF_8)),
    "siglip-text": (roberta_like, ("SiglipTextModel", _BERT)),
    "starcoder2": (gpt_like, ("Starcoder2ForCausalLM", _GROUPED | {"use_bias": True, "sliding_window": 6})),
    "vaultgemma": (llama_like, ("VaultGemmaForCausalLM", _GEMMA | {"sliding_window": 6})),
    "xglm": (
        llama_like,
        (
            "XGLMForCausalLM",
            {"d_model": 32, "num_layers": 3, "attention_heads": 4, "ffn_dim": 48, "max_position_embeddings": 40},
        ),
    ),
    "xmod": (roberta_like, ("XmodModel", _ROBERTA | {"languages": ["en_XX"], "default_language": "en_XX"})),
    "deepseek-v2": (llama_like, ("DeepseekV2Model", _LATENT)),
    "deepseek-v3": (llama_like, ("DeepseekV3Model", _LATENT)),
    "deepseek-v3.2": (  # a position sees 4 others
        llama_like,
        ("DeepseekV32ForCausalLM", _LATENT | {"index_n_heads": 2, "index_head_dim": 8, "index_topk": 4}),
    ),
    "gemma4-text": (
        llama_like,
        (
            "Gemma4TextModel",
            _HEADS_OF_8
            | {
                "global_head_dim": 8,
                "hidden_size_per_layer_input": 0,
                "vocab_size_per_layer_input": 0,
                "num_kv_shared_layers": 0,
            },
        ),
    ),
}
ZOO = BASE | MORE


def randomise(model: PreTrainedModel, seed: int = 0) -> PreTrainedModel:
    """Every parameter random: matrices of a size that keeps signals alive, vectors moved off their 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() >= 2:
                parameter.copy_(noise * 0.25)
            else:
                parameter.add_(noise * 0.3)
    return model.eval()


@cache
def _trained(make_tokenizer: Callable[[], PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
    # Once a run: training breaks ties as it likes, and ids must mean the same in every model of a test.
    return make_tokenizer()


def build(
    name: str, seed: int = 0, shape: Mapping[str, int] = MappingProxyType({})
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A tiny random model of the zoo, and a tokenizer of its kind; `shape`: what its configuration has otherwise."""
    make_tokenizer, (kind, options) = ZOO[name]
    tokenizer = copy.deepcopy(_trained(make_tokenizer))
    model_class = getattr(transformers, kind)
    own = {f"{part}_token_id": getattr(tokenizer, f"{part}_token_id") for part in ("bos", "eos", "pad")}
    own |= {"vocab_size": len(tokenizer)}
    # A model of several parts has the vocabulary in that of the text.
    of_text = options.get("text_config")
    told = own | options if of_text is None else options | {"text_config": own | of_text}
    config = model_class.config_class(**(told | shape))
    torch.manual_seed(seed)
    return randomise(model_class(config), seed), tokenizer


def stack_of(name: str) -> str | None:
    """The stack of an encoder-decoder that a name of the zoo means ("bart/decoder")."""
    return name.partition("/")[2] or None


def save(name: str, directory: Path, seed: int = 0) -> Path:
    """A tiny random model and its tokenizer as a local directory."""
    model, tokenizer = build(name, seed)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
