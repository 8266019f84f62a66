"""Tiny random models of real architectures, with random biases and norm gains: an initial 0 or 1 hides mistakes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

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
    """WordPiece in the manner of BERT."""
    specials = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(CORPUS * 5, trainers.WordPieceTrainer(vocab_size=300, special_tokens=specials))
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


def roberta_like() -> PreTrainedTokenizerFast:
    """<s> text </s>."""
    return byte_level("<s>", "</s>")


def gpt_like() -> PreTrainedTokenizerFast:
    """The text alone."""
    return byte_level(None, None)


def llama_like() -> PreTrainedTokenizerFast:
    """<s> text."""
    return byte_level("<s>", None)


Build = Callable[[int], PreTrainedModel]
_SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}


def _roberta(vocab: int) -> PreTrainedModel:
    return tf.RobertaForMaskedLM(
        tf.RobertaConfig(vocab_size=vocab, max_position_embeddings=42, type_vocab_size=1, pad_token_id=1, **_SHAPE)
    )


def _bert(vocab: int) -> PreTrainedModel:
    return tf.BertModel(tf.BertConfig(vocab_size=vocab, max_position_embeddings=40, **_SHAPE))


def _gpt2(vocab: int) -> PreTrainedModel:
    return tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=vocab, n_positions=40, n_embd=32, n_layer=3, n_head=4))


def _llama(vocab: int) -> PreTrainedModel:
    return tf.LlamaForCausalLM(
        tf.LlamaConfig(
            vocab_size=vocab, num_key_value_heads=2, max_position_embeddings=40, attention_bias=True, **_SHAPE
        )
    )


ZOO: dict[str, tuple[Callable[[], PreTrainedTokenizerFast], Build]] = {
    "roberta": (roberta_like, _roberta),
    "bert": (wordpiece, _bert),
    "gpt2": (gpt_like, _gpt2),
    "llama": (llama_like, _llama),
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


def build(name: str, seed: int = 0) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A tiny random model of the zoo, and a tokenizer of its kind."""
    make_tokenizer, make_model = ZOO[name]
    tokenizer = copy.deepcopy(_trained(make_tokenizer))
    torch.manual_seed(seed)
    return randomise(make_model(len(tokenizer)), seed), tokenizer


def save(name: str, directory: Path, seed: int = 0) -> Path:
    """A tiny random model and its tokenizer as a local directory."""
    model, tokenizer = build(name, seed)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
