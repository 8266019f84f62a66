"""Tiny random models of real architectures, with random biases and norm gains: an initial 0 or 1 hides mistakes."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from headscope.model.passages import tokenized
from headscope.model.tokens import Token, TokenNames
from headscope.question.passage import Passage

CORPUS = [
    "Time flies like an arrow. Fruit flies like a banana.",
    "A bird in the hand is worth two in the bush, and the early bird catches the worm.",
    "She sells sea shells by the sea shore; the shells she sells are sea shells, I am sure.",
    "Once upon a time there was a dog who liked to play with a red ball in 2023.",
]
TEXT = CORPUS[0]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def byte_level(prefix: str | None, suffix: str | None) -> PreTrainedTokenizerFast:
    """Byte-level BPE in the manner of RoBERTa (a frame of two tokens), GPT-2 (none) or Llama (one before)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIALS, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS * 5, trainer)
    frame = [part for part in (prefix, "$A", suffix) if part]
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=" ".join(frame),
                special_tokens=[(name, SPECIALS.index(name)) for name in (prefix, suffix) if name],
            ),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
        cls_token=prefix,
        sep_token=suffix,
    )


def wordpiece() -> PreTrainedTokenizerFast:
    """WordPiece in the manner of BERT: every character, every word of the corpus, and halves of the long ones.

    Not trained: the trainer breaks ties by the process's hash seed, so each process would have another model.
    """
    specials = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({word for text in CORPUS for word in re.findall(r"\w+|[^\w\s]", text.lower())})
    letters = sorted({letter for word in words for letter in word})
    halves = [half for word in words if len(word) > 4 for half in (word[:3], f"##{word[3:]}")]
    pieces = dict.fromkeys([*specials, *letters, *(f"##{one}" for one in letters), *halves, *words])
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 3), ("[SEP]", 4)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def tokenize(text: str, names: TokenNames) -> tuple[Token, ...]:
    """The tokens of a plain text."""
    return tokenized(Passage(text), names).tokens


def roberta_like() -> PreTrainedTokenizerFast:
    """<s> text </s>."""
    return byte_level("<s>", "</s>")


def gpt_like() -> PreTrainedTokenizerFast:
    """The text alone."""
    return byte_level(None, None)


def llama_like() -> PreTrainedTokenizerFast:
    """<s> text."""
    return byte_level("<s>", None)


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

ZOO: dict[str, tuple[Callable[[], PreTrainedTokenizerFast], Config]] = {
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
    special = {f"{part}_token_id": getattr(tokenizer, f"{part}_token_id") for part in ("bos", "eos", "pad")}
    config = model_class.config_class(**({"vocab_size": len(tokenizer)} | special | options | shape))
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
