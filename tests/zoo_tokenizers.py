"""The zoo's tokenizers: of three kinds, made from four sentences."""

from __future__ import annotations

import re

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

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
