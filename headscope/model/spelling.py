"""How a tokenizer spells text in its vocabulary: which of its tokens are bytes, where a leading space is.

What its decoder makes of a few tokens decides, not what is in the vocabulary: byte-level vocabularies need not have a
letter for every byte (SmolLM2's has none for 21), and others may have all those letters as letters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase


def _unicode_to_byte() -> dict[str, int]:
    """GPT-2's byte alphabet, inverted: printable bytes stand for themselves, the others are moved up by 256."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(moved)}


_BYTE_LEVEL = _unicode_to_byte()
_CODES = {chr(byte): byte for byte in range(256)}
_HEX = re.compile(r"<0x[0-9A-Fa-f]{2}>")


@dataclass(frozen=True)
class Spelling:
    """`letters`: the bytes that a token's letters stand for (None: letters). `fallback`: whether <0xF0> is a byte.

    `blank`: whether ▁ is a space. `continues`, `ends`: what a piece that continues a word begins with (WordPiece's
    ##), and what one that ends a word ends with (CLIP's </w>).
    """

    letters: Mapping[str, int] | None
    fallback: bool
    blank: bool
    continues: str
    ends: str

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Spelling:
        """The spelling of a tokenizer."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        pieces = getattr(backend, "model", None)

        def reads(tokens: list[str], text: str) -> bool:
            try:
                return bool(tokenizer.convert_tokens_to_string(tokens) == text)
            except Exception:  # tokenizers in Python fail as they like on tokens that they do not have
                return False

        before = getattr(backend, "pre_tokenizer", None) if getattr(backend, "decoder", None) is None else None
        letters = None
        if reads(["a", "Ġb"], "a b") or (before and "Ġ" in before.pre_tokenize_str(" b")[0][0]):
            letters = _BYTE_LEVEL
        elif reads(["Ã", "¯"], "ï"):  # ByT5
            letters = _CODES
        return cls(
            letters,
            bool(getattr(pieces, "byte_fallback", False)) or reads(["a", "<0x42>", "c"], "aBc"),
            reads(["a", "▁b"], "a b"),
            getattr(pieces, "continuing_subword_prefix", None) or ("##" if reads(["a", "##b"], "ab") else ""),
            getattr(pieces, "end_of_word_suffix", None) or "",
        )

    def read(self, token: str) -> str | bytes:
        """What a token stands for: bytes where it is spelled in bytes, else text."""
        if self.letters is not None and self.letters.keys() >= set(token):
            return bytes(self.letters[letter] for letter in token)
        if self.falls_back(token):
            return bytes.fromhex(token[3:5])
        return token.replace("▁", " ") if self.blank else token

    def falls_back(self, token: str) -> bool:
        """Whether a token is the byte that stands in for a part of a character without a token of its own."""
        return self.fallback and _HEX.fullmatch(token) is not None
