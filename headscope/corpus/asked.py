"""What every study asks of a corpus: which texts, and how they are read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from headscope.corpus.texts import Columns
from headscope.errors import InputError
from headscope.question.choices import FORMATS, Format, one_of
from headscope.question.given import number, switch, text_of

_USUAL = (("genre_column", "genre"), ("language_column", None))


@dataclass(frozen=True)
class CorpusOptions:
    """Which texts are read, and how; every study's options are these and its own.

    `sample`: how many texts, drawn with `seed`; None: all. The seed is that of everything else that is drawn, too.
    `truncate` cuts texts that are too long, instead of leaving them out. `language_column` None: languages are not
    told apart; else they are part of a text's genre.
    """

    sample: int | None = None
    seed: int = 0
    truncate: bool = False
    format: Format | Literal["auto"] = "auto"
    column: str = "text"
    document_column: str = "document"
    genre_column: str = "genre"
    language_column: str | None = None

    def __post_init__(self) -> None:
        one_of("format", self.format, ("auto", *FORMATS))
        for name in ("column", "document_column", "genre_column", "language_column"):
            if name != "language_column" or self.language_column is not None:
                object.__setattr__(self, name, text_of(getattr(self, name), name))
        if self.sample is not None:
            self._count("sample", 1)
        self._count("seed", 0)
        self._switch("truncate")

    @property
    def columns(self) -> Columns:
        """What texts, documents, genres and languages are called in tables."""
        return Columns(self.column, self.document_column, self.genre_column, self.language_column)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the manifest keeps it."""
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        # Of before they could be named: a survey that was begun then goes on.
        return {key: value for key, value in plain.items() if (key, value) not in _USUAL}

    def _switch(self, name: str) -> None:
        """Have a field as a plain bool, or raise InputError."""
        object.__setattr__(self, name, switch(getattr(self, name), name))

    def _count(self, name: str, least: int) -> None:
        """Have a field as a plain number, or raise InputError."""
        given = getattr(self, name)
        plain = number(given, range(least, sys.maxsize), f"{name} is {given!r}; it is a number from {least}.")
        object.__setattr__(self, name, plain)


def refuse_unnamed(kind: str, values: Sequence[str], choices: tuple[str, ...]) -> None:
    """Raise InputError unless `values` are some of the choices, each once."""
    if not values:
        raise InputError(f"name at least one {kind}; open: {', '.join(choices)}.")
    for value in values:
        one_of(kind, value, choices)
    if len(set(values)) < len(values):
        raise InputError(f"a {kind} is named twice: {', '.join(values)}.")
