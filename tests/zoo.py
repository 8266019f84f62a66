"""Tiny random models of real architectures, with random biases and norm gains: an initial 0 or 1 hides mistakes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from zoo_kin import KIN
from zoo_more import OTHERS
from zoo_shapes import BART as BART
from zoo_shapes import BERT as BERT
from zoo_shapes import DECODER as DECODER
from zoo_shapes import EYE as EYE
from zoo_shapes import FALCON as FALCON
from zoo_shapes import GEMMA as GEMMA
from zoo_shapes import GROUPED as GROUPED
from zoo_shapes import HEADS_OF_8 as HEADS_OF_8
from zoo_shapes import ROBERTA as ROBERTA
from zoo_shapes import SHAPE as SHAPE
from zoo_shapes import T5 as T5
from zoo_shapes import Entry
from zoo_tokenizers import CORPUS as CORPUS
from zoo_tokenizers import TEXT as TEXT
from zoo_tokenizers import byte_level as byte_level
from zoo_tokenizers import gpt_like, llama_like, roberta_like, wordpiece
from zoo_tokenizers import tokenize as tokenize

# Every way to compute attention and what is around it. What holds for models is tried on each of these.
BASE: dict[str, Entry] = {
    "bert": (wordpiece, ("BertModel", BERT)),
    "roberta": (roberta_like, ("RobertaForMaskedLM", ROBERTA)),
    "xlm-roberta": (roberta_like, ("XLMRobertaForMaskedLM", ROBERTA)),
    "camembert": (roberta_like, ("CamembertModel", ROBERTA)),
    "distilbert": (
        wordpiece,
        ("DistilBertModel", {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 40}),
    ),
    "electra": (wordpiece, ("ElectraModel", BERT | {"embedding_size": 20})),
    "albert": (wordpiece, ("AlbertModel", BERT | {"embedding_size": 20})),
    "modernbert": (
        roberta_like,
        ("ModernBertModel", DECODER | {"norm_bias": True, "attention_bias": True, "local_attention": 8}),
    ),
    "mpnet": (roberta_like, ("MPNetModel", ROBERTA)),
    "deberta-v2": (
        roberta_like,
        (
            "DebertaV2Model",
            SHAPE
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
    "gpt-neox": (gpt_like, ("GPTNeoXForCausalLM", DECODER)),
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
    "llama": (llama_like, ("LlamaForCausalLM", GROUPED | {"attention_bias": True})),
    "mistral": (llama_like, ("MistralForCausalLM", GROUPED | {"sliding_window": 6})),
    "qwen2": (gpt_like, ("Qwen2ForCausalLM", GROUPED)),
    "qwen3": (gpt_like, ("Qwen3ForCausalLM", HEADS_OF_8)),
    "gemma": (llama_like, ("GemmaForCausalLM", HEADS_OF_8)),
    "gemma2": (llama_like, ("Gemma2ForCausalLM", GEMMA | {"sliding_window": 6})),
    "gemma3": (llama_like, ("Gemma3ForCausalLM", GEMMA | {"sliding_window": 6})),
    "phi": (gpt_like, ("PhiForCausalLM", DECODER)),
    "phi3": (llama_like, ("Phi3ForCausalLM", GROUPED | {"pad_token_id": 1})),
    "olmo2": (gpt_like, ("Olmo2ForCausalLM", GROUPED)),
    "nomic-bert": (wordpiece, ("NomicBertModel", BERT)),
    "esm": (wordpiece, ("EsmModel", BERT | {"pad_token_id": 0, "mask_token_id": 5})),
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
        ("FalconForCausalLM", FALCON | {"alibi": False, "multi_query": True, "new_decoder_architecture": False}),
    ),
    "falcon-alibi": (
        gpt_like,
        ("FalconForCausalLM", FALCON | {"alibi": True, "multi_query": False, "bias": True, "parallel_attn": False}),
    ),
    "falcon-grouped": (
        gpt_like,
        ("FalconForCausalLM", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2, "alibi": False}),
    ),
    "mixtral": (llama_like, ("MixtralForCausalLM", GROUPED | {"num_local_experts": 4})),
    "stablelm": (gpt_like, ("StableLmForCausalLM", GROUPED | {"use_qkv_bias": True})),
    "smollm3": (gpt_like, ("SmolLM3ForCausalLM", GROUPED)),
    "granite": (gpt_like, ("GraniteForCausalLM", GROUPED | {"embedding_multiplier": 3.0})),
    "cohere": (gpt_like, ("CohereForCausalLM", GROUPED)),
    "t5-encoder": (roberta_like, ("T5EncoderModel", T5)),
    "t5/encoder": (roberta_like, ("T5ForConditionalGeneration", T5)),
    "t5/decoder": (roberta_like, ("T5ForConditionalGeneration", T5)),
    "bart/encoder": (roberta_like, ("BartForConditionalGeneration", BART)),
    "bart/decoder": (roberta_like, ("BartForConditionalGeneration", BART)),
    "gpt-oss": (
        gpt_like,
        ("GptOssForCausalLM", HEADS_OF_8 | {"num_local_experts": 4, "sliding_window": 6}),
    ),
}
MORE = OTHERS | KIN
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


def save(name: str, directory: Path, seed: int = 0, shape: Mapping[str, int] = MappingProxyType({})) -> Path:
    """A tiny random model and its tokenizer as a local directory."""
    model, tokenizer = build(name, seed, shape)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
