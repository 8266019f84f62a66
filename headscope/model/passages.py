"""What a tokenizer makes of a passage: of a text or two, of a chat by its template, of token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformers import PreTrainedTokenizerBase

from headscope.errors import InputError
from headscope.model.telling import first_line
from headscope.model.tokens import Token, TokenNames
from headscope.model.untouched import untouched
from headscope.question import notes
from headscope.question.passage import Message, Passage

Span = tuple[int, int]


@dataclass(frozen=True)
class Tokenized:
    """The tokens of a passage, and the text that their spans are slices of: as it was given, rendered, or decoded.

    `types`: a token type for each, empty where all are of the first; `notes`: what a reader must be told.
    """

    text: str
    tokens: tuple[Token, ...]
    types: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def behind(self, start: int | None, names: TokenNames) -> Tokenized:
        """The same behind the token `start`, with which a decoder's text begins; None: as it is."""
        if start is None:
            return self
        first = Token(0, start, names[start].text, names[start].label, special=True, span=None)
        moved = tuple(replace(token, position=token.position + 1) for token in self.tokens)
        return replace(self, tokens=(first, *moved), types=(0, *self.types) if self.types else ())


def tokenized(passage: Passage, names: TokenNames, truncate_to: int | None = None) -> Tokenized:
    """The tokens of a passage with those that the tokenizer adds; cut to `truncate_to` where that is given.

    Raises InputError for a text without a token, with half a character, or with an id that the model has no embedding
    for, and for messages that the tokenizer has no template for.
    """
    if passage.ids is not None:
        return _of_ids(list(passage.ids)[:truncate_to], names)
    if passage.messages is not None:
        return _of_text(rendered(passage.messages, names.tokenizer), None, False, names, truncate_to)
    return _of_text(str(passage.text), passage.pair, passage.special, names, truncate_to)


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer has a template that makes a text of a chat."""
    return bool(getattr(tokenizer, "chat_template", None))


def rendered(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> str:
    """A chat as the text that the tokenizer's template makes of it; InputError where it makes none."""
    if not has_template(tokenizer):
        raise InputError(
            f"{type(tokenizer).__name__} has no chat template, so messages cannot be read: give a text, as the model "
            "was trained on it."
        )
    told = [{"role": one.role, "content": one.content} for one in messages]
    try:
        return str(tokenizer.apply_chat_template(told, tokenize=False))
    except Exception as error:  # a template refuses what it does not take: a system message, two turns of one side
        raise InputError(
            f"the tokenizer's chat template makes no text of these messages: {first_line(error)}"
        ) from error


def _of_text(text: str, pair: str | None, special: bool, names: TokenNames, truncate_to: int | None) -> Tokenized:
    for part, which in ((text, "text"), (pair, "second text")):
        if part is not None:
            _check_characters(part)
            if not part.strip():
                raise InputError(f"the {which} is empty: give at least one word.")
    encoding = _encoded(text, pair, special, names.tokenizer, truncate_to)
    ids = encoding["input_ids"]
    whole = text if pair is None else f"{text}\n{pair}"
    if not ids:
        raise InputError(f"the tokenizer makes no token of the text {whole!r}.")
    if max(ids) >= names.vocab_size:
        unknown = names.tokenizer.convert_ids_to_tokens(max(ids))
        raise InputError(
            f"the tokenizer has the token {unknown!r} with id {max(ids)}, but the model has only "
            f"{names.vocab_size} embeddings: they do not belong together."
        )
    # An end that the text brings itself ("</s>") is not added to it, but by ByT5 masked as if it were.
    added = encoding["special_tokens_mask"][-len(ids) :]
    spans = _spans(encoding, pair is not None, len(text) + 1) if names.tokenizer.is_fast else [None] * len(ids)
    spans = [None if own or span is None else _trimmed(whole, span) for own, span in zip(added, spans, strict=True)]
    types = tuple(encoding.get("token_type_ids") or ())
    tokens = tokens_of(ids, names, spans, added)
    return Tokenized(whole, tokens, types if any(types) else (), notes.doubled(_doubled(tokens, added)))


def _encoded(
    text: str, pair: str | None, special: bool, tokenizer: PreTrainedTokenizerBase, truncate_to: int | None
) -> Any:
    try:
        with untouched(tokenizer):
            return tokenizer(
                text,
                pair,
                add_special_tokens=special,
                truncation=truncate_to is not None,
                max_length=truncate_to,
                return_offsets_mapping=bool(tokenizer.is_fast),
                return_special_tokens_mask=True,
                return_token_type_ids=pair is not None or "token_type_ids" in tokenizer.model_input_names,
                verbose=False,
            )
    except Exception as error:  # a vocabulary without a token for what it does not know, say
        raise InputError(f"the tokenizer makes no tokens of this text: {first_line(error)}") from error


def _spans(encoding: Any, paired: bool, behind: int) -> list[Span | None]:
    """Slices of the whole text; the second text's count from its own beginning, which lies `behind` the first's."""
    spans: list[Span | None] = encoding["offset_mapping"]
    if not paired:
        return spans
    moved = [behind if which == 1 else 0 for which in encoding.sequence_ids(0)]
    return [None if span is None else (span[0] + by, span[1] + by) for span, by in zip(spans, moved, strict=True)]


def _of_ids(ids: list[int], names: TokenNames) -> Tokenized:
    """Token ids as they are; the text is what they are decoded to, where that is encoded to these very ids again."""
    for place, id in enumerate(ids):
        if not 0 <= id < names.vocab_size:
            raise InputError(f"there is no token id {id} (at place {place}); ids are 0 to {names.vocab_size - 1}.")
    text = ""
    spans: list[Span | None] = [None] * len(ids)
    if all(names[id].sort != "unnamed" for id in ids):
        decoded = names.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        again = _encoded(decoded, None, False, names.tokenizer, None)
        if again["input_ids"] == ids:
            text = decoded
            if names.tokenizer.is_fast:
                spans = [_trimmed(text, span) for span in again["offset_mapping"]]
    return Tokenized(text, tokens_of(ids, names, spans, [False] * len(ids)))


def tokens_of(
    ids: Sequence[int], names: TokenNames, spans: Sequence[Span | None], added: Sequence[bool]
) -> tuple[Token, ...]:
    """The tokens of ids with their names; `added`: which of them the tokenizer put there."""
    return tuple(
        Token(n, id, names[id].text, names[id].label, special=bool(added[n]) or id in names.specials, span=spans[n])
        for n, id in enumerate(ids)
    )


def _doubled(tokens: Sequence[Token], added: Sequence[bool]) -> list[str]:
    """The labels of special tokens that the text brought along, and that the tokenizer put there again."""
    ends = {(0, 1), (len(tokens) - 1, len(tokens) - 2)} if len(tokens) > 1 else set()
    found = {
        tokens[own].label
        for own, other in ends
        if added[own] and not added[other] and tokens[own].id == tokens[other].id
    }
    return sorted(found)


def _check_characters(text: str) -> None:
    """Refuse lone surrogates, which stand for no character: no tokenizer takes them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        at, code = error.start, ord(text[error.start])
        where = f"at character {at} (counted from 0), in {text[max(0, at - 20) : at + 20]!r}"
        if 0xDC80 <= code <= 0xDCFF:
            raise InputError(
                f"the text has the byte {code - 0xDC00:02X}, which was no UTF-8, {where}: decode it by the encoding "
                "that it is in, or with errors='replace'."
            ) from None
        raise InputError(
            f"the text has half a character, U+{code:04X} (a lone surrogate), {where}: "
            "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace') joins the halves that belong together "
            "and replaces the others."
        ) from None


def _trimmed(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """The span without the white space that some tokenizers count in; white space alone stays."""
    start, end = span
    piece = text[start:end]
    if not piece.strip():
        return start, end
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))
