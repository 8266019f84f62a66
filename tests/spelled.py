"""Tiny tokenizers that spell their vocabularies in the ways that there are, trained on the zoo's texts."""

from __future__ import annotations

import zoo
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

# Letters that SmolLM2's kind lacks: of 13 bytes that UTF-8 never uses, and of 8 control characters.
NEVER = [0xC0, 0xC1, *range(0xF5, 0x100)]
CONTROLS = [*range(1, 9)]
TEXTS = [*zoo.CORPUS, "α and β\r\n\r\nif (x):\r\n\treturn α\n", "Time flies, and time flies", "naïve café"]


def byte_level(*, lacking: bool = True, decoder: bool = True, template: str | None = None) -> PreTrainedTokenizerFast:
    """Byte-level BPE; `lacking`: in the manner of SmolLM2, without 21 of the 256 letters."""
    letters = set(pre_tokenizers.ByteLevel.alphabet())
    if lacking:
        letters -= {letter_of(byte) for byte in (*NEVER, *CONTROLS)}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if decoder:
        tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<|end|>"], initial_alphabet=sorted(letters))
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")


def letter_of(byte: int) -> str:
    """The letter that stands for a byte in GPT-2's alphabet."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return chr(byte) if byte in shown else chr(256 + [b for b in range(256) if b not in shown].index(byte))


def metaspace(*, fallback: bool = True) -> PreTrainedTokenizerFast:
    """Unigram over ▁ in the manner of Llama 2 and Gemma; with `fallback`, what has no piece is spelled in bytes."""
    words = sorted({word for text in zoo.CORPUS for word in text.split()})
    letters = sorted({letter for word in words for letter in word} - {"z"})
    codes = [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    pieces = [
        ("<unk>", 0.0),
        *codes,
        *((f"▁{word}", -3.0) for word in words),
        *((one, -9.0) for one in ["▁", *letters]),
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    spaces = decoders.Replace("▁", " ")
    tokenizer.decoder = (
        decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        if fallback
        else decoders.Metaspace(prepend_scheme="always")
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<unk>")


def letters() -> PreTrainedTokenizerFast:
    """WordPiece whose vocabulary has every letter of the byte alphabet, as a letter."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [
        "[UNK]",
        "[PAD]",
        "[unused1]",
        "unused",
        *alphabet,
        *(f"##{one}" for one in alphabet),
        "time",
        "##time",
        "Ãâ",
        "▁",
    ]
    tokenizer = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")


def words(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    """Words between spaces, by a vocabulary."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
