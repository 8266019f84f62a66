"""An answer as a file that is alive: what it is of, how it is asked at another token and layer, and what is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Protocol

from headscope import __version__
from headscope.errors import InputError
from headscope.keep.files import file_to_write, write_file
from headscope.keep.paths import path_of
from headscope.question.defaults import TOKEN
from headscope.reading.captured import Captured
from headscope.show import html, living, terminal
from headscope.show.living import Axis, LivingPart, Room, SheetPlace, Told
from headscope.show.sheet import Cell, Sheet

# How much searching a file may cost, in products of one number with one: some seconds on two cores.
_MOST = 2 * 10**10


@dataclass(frozen=True)
class Asking:
    """What an answer is of: the reading, and the token and the layer that were asked about, where some were.

    `again` asks the same at another token and layer; None: that would cost more than a file is worth.
    """

    reading: Captured
    token: int | None = None
    layer: int | None = None
    again: Callable[[int, int], Alive] | None = None

    @property
    def follows(self) -> tuple[Axis, ...]:
        """Where it can be asked anew."""
        if self.again is None:
            return ()
        asked: dict[Axis, int | None] = {"token": self.token, "layer": self.layer}
        return tuple(axis for axis, place in asked.items() if place is not None)


class Alive(Protocol):
    """An answer, as a file knows it."""

    @property
    def title(self) -> str:
        """What the answer is, in a line."""

    @property
    def asking(self) -> Asking | None:
        """What it is of; None where that is not known."""

    @property
    def laid_by(self) -> tuple[Axis, ...]:
        """What else than the token and the layer that were asked about it can be laid out by."""

    @property
    def head_shown(self) -> int | None:
        """The head that it is laid out for, where it is for one."""

    def drawing(self) -> str:
        """SVG that stands above its tables."""

    def plotted(self) -> Mapping[str, Any] | None:
        """What plots of it are drawn from, which names their `kind`; None where it has none."""

    def sheets(self) -> tuple[Sheet, ...]:
        """The answer laid out."""

    def sheets_of(self, place: SheetPlace) -> tuple[Sheet, ...]:
        """The answer laid out by what is selected."""


def document(answers: Sequence[Alive], title: str = "", script: str = "", reading: Captured | None = None) -> str:
    """The file of answers about one text, which follow the same token, layer and head; it begins where they are.

    `title`: without one, that of the first. `script`: the lines that make it again. `reading`: what they are of, where
    they do not say so.
    """
    title = title or answers[0].title
    asking = _together(answers, reading)
    if asking is None:
        parts = [LivingPart(_still(one), (), one.drawing(), one.plotted()) for one in answers]
        return living.document(Told(title, script=script), parts, Room())
    reading = asking.reading
    layers, _, heads, _ = reading.z.shape
    searched = any(one.asking is not None and one.asking.again is not None for one in answers)
    card, shown = reading.bench.card, [answer.head_shown for answer in answers]
    room = Room(
        tokens=tuple(
            Cell(one.label, id=one.id, position=one.position, kind="special" if one.special else "elsewhere")
            for one in reading.tokens
        ),
        layers=layers,
        heads=heads,
        start=SheetPlace(
            asking.token or 0, asking.layer or 0, next(filter(lambda head: head is not None, shown), None)
        ),
        most=_MOST // (card.vocab_size * card.d_model) if searched else layers * len(reading.tokens),
    )
    said = Told(title, reading.passage.called, _facts(reading), script)
    return living.document(said, [_part(one) for one in answers], room)


def _together(answers: Sequence[Alive], reading: Captured | None) -> Asking | None:
    """Of which reading the answers are, and where they are: the first token and layer that one of them is about."""
    askings = [answer.asking for answer in answers if answer.asking is not None]
    if reading is None and not askings:
        return None
    reading = reading or askings[0].reading
    token = next((one.token for one in askings if one.token is not None), min(TOKEN, len(reading.tokens) - 1))
    return Asking(reading, token, next((one.layer for one in askings if one.layer is not None), 0))


def _still(answer: Alive) -> Callable[[SheetPlace], tuple[Sheet, ...]]:
    return lambda _: answer.sheets()


def _part(answer: Alive) -> LivingPart:
    asking = answer.asking
    follows: tuple[Axis, ...] = () if asking is None else asking.follows

    @cache
    def asked(token: int | None, layer: int | None) -> Alive:
        if asking is None or asking.again is None or (token, layer) == (asking.token, asking.layer):
            return answer
        return asking.again(token or 0, layer or 0)

    def at(place: SheetPlace) -> tuple[Sheet, ...]:
        found = asked(place.token if "token" in follows else None, place.layer if "layer" in follows else None)
        return found.sheets_of(place)

    return LivingPart(at, (*follows, *answer.laid_by), answer.drawing(), answer.plotted())


def _facts(reading: Captured) -> tuple[str, ...]:
    """Which model read the text, and how."""
    card = reading.bench.card
    model = f"Model: {card.name}" + (f", revision {card.revision}" if card.revision else "")
    return (
        f"{model}; {card.shape}; weights SHA-256 {card.weights_sha256}. Mask: {reading.mask}. "
        f"Made by headscope {__version__}.",
    )


@dataclass(frozen=True, repr=False)
class View:
    """Answers that stand together, for a notebook or a file: what `Reading.show` gives.

    In a notebook it is a frame that holds a living file, and needs neither a server nor a running kernel; where a
    notebook is not trusted and frames are left out, the tables are below it.
    """

    answers: tuple[Alive, ...]

    def __repr__(self) -> str:
        return "\n".join(terminal.text(one.sheets()) for one in self.answers)

    def to_html(self) -> str:
        """A file that needs nothing else."""
        return document(self.answers)

    def _repr_html_(self) -> str:
        title = escape(self.answers[0].title)
        sheets = [sheet for one in self.answers for sheet in one.sheets()]
        return (
            f'<iframe sandbox="allow-scripts" title="{title}" width="100%" height="720" style="border: 0" '
            f'srcdoc="{escape(self.to_html())}"></iframe>'
            f"<details><summary>The same as plain tables</summary>{html.fragment(sheets)}</details>"
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file (.html), whole or not at all; InputError for another ending, or where it cannot be written."""
        if path_of(path, "the file to write").suffix.lower() != ".html":
            raise InputError(f"a view is saved as .html, not as {str(path)!r}; its answers know other files.")
        place = file_to_write(path)
        write_file(place, self.to_html().encode("utf-8", "backslashreplace"))
        return Path(path)
