"""What a request gives to be read: a text, a second one, token ids or a chat; and how an address says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from headscope.errors import InputError
from headscope.question import defaults
from headscope.question.passage import Passage, chat, passage_of

FIELDS = ("text", "pair", "special", "ids", "messages")


def _unicode(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"character {error.start} is half of a surrogate pair, which is no text") from None
    return text


Text = Annotated[str, AfterValidator(_unicode)]


class MessageAsk(BaseModel):
    """A turn of a chat."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    role: Text = Field(examples=["user"])
    content: Text


class PassageAsk(BaseModel):
    """What is to be read: a text, or in its place token ids, or the messages of a chat."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    text: Text = Field(default=defaults.TEXT, description="The text to read.", examples=[defaults.TEXT])
    pair: Text | None = Field(
        default=None, min_length=1, description="A second text, read behind the first as the tokenizer joins the two."
    )
    special: bool = Field(default=True, description="With the special tokens that the tokenizer adds to a text.")
    ids: Annotated[tuple[int, ...], Field(strict=False)] | None = Field(
        default=None, description="Token ids in the place of the text."
    )
    messages: Annotated[tuple[MessageAsk, ...], Field(strict=False)] | None = Field(
        default=None, description="A chat in the place of the text, read as the tokenizer's chat template renders it."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        try:
            self.passage  # noqa: B018 - making it is the check
        except InputError as error:
            raise ValueError(error.wrong.removesuffix(".")) from None
        return self

    @property
    def passage(self) -> Passage:
        """What is to be read, as the library has it."""
        other = self.ids is not None or self.messages is not None
        text = self.text if not other or "text" in self.model_fields_set else None
        messages = None if self.messages is None else [dict(message) for message in self.messages]
        return passage_of(text, ids=self.ids, messages=messages, pair=self.pair, special=self.special)

    def about(self, passage: Passage) -> Self:
        """The same asked of another passage."""
        return type(self)(**self.model_dump(exclude=set(FIELDS), exclude_unset=True), **passage.given)


def of_address(query: Mapping[str, str]) -> Passage | None:
    """What an address gives in the place of a text: `ids=101,102`, or with `chat=true` its `text` as a message of the
    user's, behind a `system` one if there is any. None: a text, as its fields say it."""
    ids = query.get("ids", "")
    if re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", ids):
        return passage_of(None, ids=list(map(int, ids.split(","))))
    if query.get("chat") == "true":
        return chat(query.get("text") or defaults.TEXT, query.get("system") or None)
    return None


def fields_of(query: Mapping[str, str], kind: type[BaseModel]) -> dict[str, Any]:
    """What an address says of a question's fields; those of a text only where one is read."""
    dropped = FIELDS if of_address(query) is not None else ("ids", "messages")
    return {name: value for name, value in query.items() if name in kind.model_fields and name not in dropped}
