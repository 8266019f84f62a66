"""What is given to be read, and how: a text, perhaps with a second one, token ids, or the messages of a chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headscope.errors import InputError
from headscope.question.given import in_order, numbers_of, switch, text_of, texts_of


@dataclass(frozen=True)
class Message:
    """A turn of a chat: whose it is (system, user, assistant), and what is said."""

    role: str
    content: str


@dataclass(frozen=True)
class Passage:
    """A text, token ids or messages: one of the three is given, the others are None.

    `pair`: a second text, read behind the first. `special`: whether the tokenizer adds its own tokens to a text.
    """

    text: str | None = None
    pair: str | None = None
    special: bool = True
    ids: tuple[int, ...] | None = None
    messages: tuple[Message, ...] | None = None

    @property
    def plain(self) -> bool:
        """Whether it is one text, read as tokenizers read by themselves."""
        return self.text is not None and self.pair is None and self.special

    @property
    def length(self) -> int:
        """How much is given: characters, or ids."""
        parts = [self.text or "", self.pair or "", *(part for one in self.messages or () for part in _parts(one))]
        return sum(map(len, parts)) + len(self.ids or ())

    @property
    def given(self) -> dict[str, Any]:
        """What `Scope.read` is given, by its names, without what it assumes anyway; plain enough for JSON."""
        messages = None if self.messages is None else [{"role": m.role, "content": m.content} for m in self.messages]
        ids = None if self.ids is None else list(self.ids)
        told = {"text": self.text, "pair": self.pair, "ids": ids, "messages": messages}
        return {name: value for name, value in told.items() if value is not None} | (
            {} if self.special else {"special": False}
        )

    @property
    def called(self) -> str:
        """What a heading calls it."""
        if self.ids is not None:
            shown = " ".join(map(str, self.ids[:20]))
            return f"token ids {shown}{' …' if len(self.ids) > 20 else ''}"
        if self.messages is not None:
            return "\n".join(f"{one.role}: {one.content}" for one in self.messages)
        return str(self.text) if self.pair is None else f"{self.text}\n{self.pair}"

    def saying(self, text: str) -> Passage:
        """The same with another text in the place of its own: of a chat, of its last message; ids become a text."""
        if self.messages is not None:
            return Passage(messages=(*self.messages[:-1], Message(self.messages[-1].role, text)))
        return Passage(text) if self.text is None else Passage(text, self.pair, self.special)


def passage_of(
    text: object, *, ids: object = None, messages: object = None, pair: object = None, special: object = True
) -> Passage:
    """What a caller gives, checked; InputError where it is not exactly one text, list of ids or list of messages."""
    given = [name for name, value in (("text", text), ("ids", ids), ("messages", messages)) if value is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} are given together" if given else "the text is a string, not None"
        raise InputError(f"{what}: give one of a text, ids=[…] and messages=[…].")
    special = switch(special, "special")
    if text is None and (pair is not None or not special):
        what = "a pair is" if pair is not None else "special=False is"
        raise InputError(f"{what} for a text; {given[0]} are read as they are.")
    if ids is not None:
        numbers = tuple(numbers_of(ids, "ids"))
        if not numbers:
            raise InputError("ids is empty: give at least one token id.")
        return Passage(ids=numbers)
    if messages is not None:
        return Passage(messages=messages_of(messages))
    return Passage(text_of(text), None if pair is None else text_of(pair, "pair"), special)


def chat(text: str, system: str | None = None) -> Passage:
    """A chat of one message, of the user's; before it the system's, if there is one."""
    before = () if system is None else (Message("system", text_of(system, "system message")),)
    return Passage(messages=(*before, Message("user", text_of(text))))


def passages_of(
    texts: object, *, ids: object = None, messages: object = None, pairs: object = None, special: object = True
) -> list[Passage]:
    """Several of them, in the order in which they are given: texts (each with its pair), lists of ids, or chats."""
    if ids is not None and texts is None and messages is None:
        return [passage_of(None, ids=one, pair=pairs, special=special) for one in in_order(ids, "ids")]
    if messages is not None and texts is None and ids is None:
        return [passage_of(None, messages=one, pair=pairs, special=special) for one in in_order(messages, "messages")]
    if ids is not None or messages is not None:
        passage_of(texts, ids=ids, messages=messages)  # says what is wrong
    listed = texts_of(texts)
    seconds = [None] * len(listed) if pairs is None else texts_of(pairs)
    if len(seconds) != len(listed):
        raise InputError(f"there are {len(listed)} texts and {len(seconds)} pairs: give a second text for each.")
    return [passage_of(text, pair=pair, special=special) for text, pair in zip(listed, seconds, strict=True)]


def messages_of(given: object) -> tuple[Message, ...]:
    """The messages of a chat, each {"role": …, "content": …}; InputError for anything else, with its place."""
    found = []
    for place, one in enumerate(in_order(given, "messages")):
        if isinstance(one, Message):
            one = {"role": one.role, "content": one.content}
        fits = isinstance(one, Mapping) and {*one} == {"role", "content"}
        if not fits or not all(isinstance(part, str) for part in one.values()):
            raise InputError(
                'messages is a list of {"role": "user", "content": "…"}, both of them texts, and what stands at place '
                f"{place} is {one!r}."
            )
        found.append(Message(str(one["role"]), str(one["content"])))
    if not found:
        raise InputError("messages is empty: give at least one message.")
    return tuple(found)


def _parts(message: Message) -> tuple[str, str]:
    return message.role, message.content
