"""What is read, as a command line gives it: a text, perhaps with a second one, a chat, or token ids."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from headscope.commands.asking import TEXT, is_given
from headscope.errors import InputError
from headscope.question.choices import STANDARD_INPUT
from headscope.question.passage import Passage, chat, passage_of

Chat = Annotated[
    bool,
    typer.Option(
        "--chat", help="TEXT is a user's message, rendered by the tokenizer's chat template.", rich_help_panel=TEXT
    ),
]
System = Annotated[str | None, typer.Option(help="With --chat: the system message before it.", rich_help_panel=TEXT)]
Pair = Annotated[
    str | None,
    typer.Option(help="A second text, read behind the first as the tokenizer joins the two.", rich_help_panel=TEXT),
]
Special = Annotated[
    bool,
    typer.Option(
        "--special/--no-special",
        help="With the special tokens that the tokenizer adds, or without.",
        rich_help_panel=TEXT,
    ),
]
Ids = Annotated[
    str | None, typer.Option(help="Token ids in the place of TEXT, as '101 2051 102'.", rich_help_panel=TEXT)
]


def given(
    context: typer.Context,
    text: str,
    pair: str | None,
    special: bool,
    in_chat: bool,
    system: str | None,
    ids: str | None,
) -> Passage:
    """The passage that is asked for; InputError for ids that are none, or beside a text. "-" is standard input."""
    if text == STANDARD_INPUT and ids is None:
        text = _piped()
    if ids is not None:
        words = re.split(r"[\s,]+", ids.strip(" \t\r\n,[]"))
        if not all(re.fullmatch(r"\d{1,18}", word, re.ASCII) for word in words):
            raise InputError(f"--ids is {ids!r}; it is numbers with spaces or commas between them.")
        return passage_of(text if is_given(context, "text") else None, ids=list(map(int, words)))
    return chat(text, system) if in_chat else passage_of(text, pair=pair, special=special)


def _piped() -> str:
    """What comes on standard input, without the line's end that a shell puts behind it."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"what comes on standard input is no UTF-8 (byte {error.start}): a text is.") from None
    return text.removesuffix("\n").removesuffix("\r")
