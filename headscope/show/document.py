"""A report before it is HTML or Markdown: sections of paragraphs, lists, tables and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headscope.show.charts.chart import Chart


class Quote(NamedTuple):
    """A token in its context."""

    before: str
    token: str
    after: str


class Code(NamedTuple):
    """What a machine wrote or reads: a hash, an option, a token."""

    text: str


Cell = str | int | Quote | Code


@dataclass(frozen=True)
class DocumentTable:
    """Cells as they are shown; the first of a row names it. `columns` may begin with an empty name."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Items:
    """An unordered list."""

    items: tuple[str, ...]


Block = str | DocumentTable | Items | Chart  # a str is a paragraph


@dataclass
class Section:
    """A heading, what stands under it, and the sections below it; `anchor` is its id in the page."""

    title: str
    anchor: str
    blocks: list[Block] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """The whole document."""

    title: str
    summary: str
    sections: tuple[Section, ...]

    @property
    def charts(self) -> list[Chart]:
        """Every chart, in order."""
        return [block for section in _all(self.sections) for block in section.blocks if isinstance(block, Chart)]


def _all(sections: Sequence[Section]) -> list[Section]:
    return [found for section in sections for found in (section, *_all(section.sections))]
