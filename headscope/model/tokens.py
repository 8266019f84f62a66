"""Tokens of a text and names of vocabulary ids, readable for any tokenizer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from headscope.errors import InputError
from headscope.model.spelling import Spelling
from headscope.question.given import whole

Sort = Literal["word", "special", "unused", "byte", "unnamed"]


@dataclass(frozen=True)
class TokenName:
    """What a vocabulary id is called.

    `text` is the token as the tokenizer spells it, fit for copying; `label` is for reading: a leading space is ␣,
    a newline ⏎, a byte that is no character by itself ⟨F0⟩. `sort` tells words from special, unused and byte
    tokens, and from ids that the model has and the tokenizer has not ("unnamed").
    """

    id: int
    text: str
    label: str
    sort: Sort


@dataclass(frozen=True)
class Token:
    """One token of a text: its position, its vocabulary id and name, and the characters it stands for.

    `span` is the slice of the text (start, end) without white space around it; None for tokens that the
    tokenizer added, and where a tokenizer cannot tell.
    """

    position: int
    id: int
    text: str
    label: str
    special: bool
    span: tuple[int, int] | None


_UNUSED = re.compile(r"[\[<](unused|madeupword|extra_id_).*[\]>]|madeupword\d+")  # places that a vocabulary keeps free
_SIGNS = {"\n": "⏎", "\r": "␍", "\t": "⇥", "\xa0": "⍽"}


def readable(text: str) -> str:
    """`text` with a sign for everything that would not show, or would change how its neighbours show.

    >>> readable(" a\\n\\u202eb")
    '␣a⏎⟨U+202E⟩b'
    """
    # What is printable needs no look at its characters: a first click names a whole vocabulary.
    shown = text if text.isprintable() else "".join(_SIGNS.get(c) or (_code(c) if _hidden(c) else c) for c in text)
    # Spaces inside a token stay; at its ends they would be lost.
    inner = shown.strip(" ")
    if not inner:
        return "␣" * len(shown)
    start = len(shown) - len(shown.lstrip(" "))
    return "␣" * start + inner + "␣" * (len(shown) - start - len(inner))


def _hidden(character: str) -> bool:
    # Cc, Cf, Co, Cs, Cn: controls, format and direction marks, private, surrogate, unassigned; Zl, Zp: line ends.
    category = unicodedata.category(character)
    return (category[0] == "C" and character != "\u200d") or category in {"Zl", "Zp"}


def _code(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def _shown(spelled: str | bytes) -> tuple[str, Sort]:
    """A label, with ⟨F0⟩ for each byte that belongs to no whole character: then the token's sort is byte."""
    if isinstance(spelled, str):
        return readable(spelled), "word"
    try:
        return readable(spelled.decode()), "word"
    except UnicodeDecodeError:
        # surrogateescape maps a stray byte b to U+DC00 + b.
        text = spelled.decode("utf-8", errors="surrogateescape")
        parts = [f"⟨{ord(c) - 0xDC00:02X}⟩" if "\udc80" <= c <= "\udcff" else c for c in text]
        return readable("".join(parts)), "byte"


class TokenNames:
    """Names of all vocabulary ids of a tokenizer, made when they are asked for."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> None:
        self.tokenizer, self.vocab_size = tokenizer, vocab_size
        self._known: dict[int, TokenName] = {}
        self.specials = special_ids(tokenizer)
        self._added = set(tokenizer.get_added_vocab().values())
        self._spelling = Spelling.of(tokenizer)

    def __getitem__(self, id: int) -> TokenName:
        if id not in self._known:
            self._known[id] = self._name(id)
        return self._known[id]

    @cached_property
    def _names(self) -> Callable[[int], bool]:
        """Whether the tokenizer has a token for an id; not for the first so many: a vocabulary may have holes."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:  # those in Python call what they do not have by a name, or raise
            return set(self.tokenizer.get_vocab().values()).__contains__
        return lambda id: backend.id_to_token(id) is not None

    @cached_property
    def words(self) -> Tensor:
        """Which ids are words or pieces of one, not special, unused, byte or unnamed: bool [vocab_size]."""
        return torch.tensor([self[id].sort == "word" for id in range(self.vocab_size)])

    @cached_property
    def surfaces(self) -> Tensor:
        """A number for the word that an id spells, the same for all forms of the word: int64 [vocab_size].

        See `word`; −1: none.
        """
        numbers: dict[str, int] = {}
        words = (self.word(id) for id in range(self.vocab_size))
        return torch.tensor([-1 if word is None else numbers.setdefault(word, len(numbers)) for word in words])

    def word(self, id: int) -> str | None:
        """The word that an id spells, the same for all its forms; None: special, unused, byte or unnamed.

        Forms differ in case, in leading spaces, and in the signs of a word piece (##).
        """
        name, spelling = self[id], self._spelling
        if name.sort != "word":
            return None
        word = name.label.lstrip("␣").removesuffix(spelling.ends).removeprefix(spelling.continues).casefold()
        return word or name.label  # spaces alone, or a sign alone

    def _name(self, id: int) -> TokenName:
        # Padded embedding tables have rows that no token leads to.
        token = self.tokenizer.convert_ids_to_tokens(id) if self._names(id) else None
        if token is None:
            return TokenName(id, f"<{id}>", f"⟨id {id}⟩", "unnamed")
        # What was added to a tokenizer stands in its vocabulary as it stands in a text.
        label, sort = _shown(token if id in self._added else self._spelling.read(token))
        if id in self.specials:
            sort = "special"
        elif _UNUSED.fullmatch(token):
            sort = "unused"
        elif self._spelling.falls_back(token):
            sort = "byte"
        return TokenName(id, token, label, sort)


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids with a part in the tokenizer's frame ([CLS], <s>, [MASK] …); an unknown word's id only if it is one too."""
    ids = frozenset(tokenizer.all_special_ids)
    unknown = tokenizer.unk_token_id
    others = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.cls_token_id}
    return ids if unknown in others else ids - {unknown}


def find(token: int | str, tokens: tuple[Token, ...], text: str) -> int:
    """The position that `token` means: a position, or the text of exactly one token (else ignoring case).

    Raises InputError where there is none, or more than one.
    """
    if not isinstance(token, str):
        position = whole(token)
        if position is None:
            raise InputError(f"a token is a position (a number) or its text, not {token!r}.")
        if not 0 <= position < len(tokens):
            raise InputError(f"the text has positions 0 to {len(tokens) - 1}; there is no position {position}.")
        return position
    token = str(token)  # NumPy's strings show themselves otherwise
    slices = [(t.position, text[slice(*t.span)] if t.span else t.text) for t in tokens]
    same: list[Callable[[str], bool]] = [lambda s: s == token, lambda s: s.casefold() == token.casefold()]
    for fits in same:
        found = [position for position, piece in slices if fits(piece)]
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"the token {token!r} stands at positions {_listed(found)}: give the position that you mean."
            )
    pieces = ", ".join(f"{position} {readable(piece)}" for position, piece in slices[:40])
    raise InputError(f"no token of the text is {token!r}; its tokens are: {pieces}{' …' if len(slices) > 40 else ''}.")


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
