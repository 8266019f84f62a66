"""What every answer has: its text, its HTML, its data frame, its files; and what answers say in the same words."""

from __future__ import annotations

import dataclasses
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.inference.estimates import number
from headscope.keep.files import file_to_write, write_file
from headscope.keep.paths import path_of
from headscope.model.tokens import Token, TokenName, TokenNames
from headscope.question import given
from headscope.question.kinds import Kind
from headscope.question.question import Question
from headscope.reading import alive
from headscope.reading.alive import Asking
from headscope.reading.read_as import ReadAs, read_as
from headscope.reading.records import ChoicesRecord, QuestionRecord, TokenRecord
from headscope.show import html, markdown, terminal
from headscope.show.living import Axis, SheetPlace
from headscope.show.marks import says
from headscope.show.numbers import distance
from headscope.show.paint import painted
from headscope.show.rows import csv_of
from headscope.show.sheet import Cell, Sheet
from headscope.show.svg import svg

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Self

SCHEMA = 1
_OF_A_READING = ("asking", "reading")  # fields that lead to a model, which is no answer's own
_ENTRY = 128  # bytes, about, of one in a dictionary whose key and value are kept elsewhere
FIGURES = (".svg", ".pdf", ".png")
ENDINGS = (".html", ".md", ".csv", ".json", *FIGURES)  # of an answer that has a figure
Record = dict[str, Any]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Answer(ABC):
    """A frozen answer. It says what it has as rows, as a dict and as sheets; every medium is made of these.

    `asking`: what it is of, where a reading gave it; None after unpickling, for a reading holds its model. `read_as`:
    what that reading was, then. An answer is equal to itself alone (eq=False, in every class that inherits): tensors
    have no one truth to be compared by. Whether two say the same is `one.to_dict() == other.to_dict()`.
    """

    asking: Asking | None = dataclasses.field(default=None, kw_only=True, compare=False)
    read_as: ReadAs | None = dataclasses.field(default=None, kw_only=True, compare=False)
    laid_by: ClassVar[tuple[Axis, ...]] = ()  # what else a file can lay it out by

    def __getstate__(self) -> dict[str, Any]:
        of = self.read_as if self.asking is None else read_as(self.asking.reading)
        return self.__dict__ | {"asking": None, "read_as": of}

    def __copy__(self) -> Self:
        return dataclasses.replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        own = (field.name for field in dataclasses.fields(self) if field.name not in _OF_A_READING)
        return dataclasses.replace(self, **{name: deepcopy(getattr(self, name), memo) for name in own})

    @abstractmethod
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Flat rows, one a number or a few that belong together: the lines of CSV and of a data frame."""

    @abstractmethod
    def to_dict(self) -> Mapping[str, Any]:
        """Plain lists and numbers, ready for JSON."""

    @abstractmethod
    def sheets(self) -> tuple[Sheet, ...]:
        """The answer laid out, for any medium."""

    def sheets_at(self, position: int) -> tuple[Sheet, ...]:
        """The sheets as they are shown where a token is selected; an answer about one token has no others."""
        return self.sheets()

    def sheets_of(self, place: SheetPlace) -> tuple[Sheet, ...]:
        """The sheets in a file that follows what is selected; see `laid_by`."""
        return self.sheets()

    @property
    def head_shown(self) -> int | None:
        """The head that it is laid out for, where it is for one of those that it has."""
        return None

    @property
    def nbytes(self) -> int:
        """Memory that it holds, in bytes: its tensors', and about that of its names and places."""
        return sum(map(_nbytes, vars(self).values()))

    @property
    def title(self) -> str:
        """What the answer is, in a line."""
        return self.sheets()[0].caption

    def __repr__(self) -> str:
        return terminal.text(self.sheets())

    def _repr_html_(self) -> str:
        return html.fragment(self.sheets(), self.drawing())

    def to_html(self) -> str:
        """A file that needs nothing else: alive, and with what it says at other tokens and layers."""
        return alive.document([self])

    def drawing(self) -> str:
        """What stands above its tables in HTML, as SVG; nothing where they are the whole answer."""
        return ""

    def plotted(self) -> Mapping[str, Any] | None:
        """What a living file draws plots from, which names their `kind`; None where it has none."""
        return None

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a data frame; ImportError where pandas is not installed."""
        return frame(self.rows())

    def figures(self) -> Mapping[str, Callable[[], bytes]]:
        """What draws the answer into a file of each ending; none where it has no figure."""
        return drawings(self.sheets())

    def formats(self) -> dict[str, Callable[[], bytes]]:
        """What makes its file of each ending."""
        return {
            ".html": lambda: _encoded(self.to_html()),
            ".md": lambda: _encoded(markdown.of_sheets(self.sheets())),
            ".csv": lambda: _encoded(csv_of(self.rows())),
            ".json": lambda: as_json(self.to_dict()) + b"\n",
            **self.figures(),
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the answer into a file, by its ending, whole or not at all: .html, .md, .csv (rows), .json (to_dict).

        An answer with a figure is drawn as .svg, .pdf or .png too. Raises InputError for another ending, or a place
        that cannot be written to.
        """
        return saved(path, self.formats())


def _nbytes(part: object) -> int:
    if isinstance(part, Tensor):
        return part.nbytes
    if isinstance(part, Mapping):
        return _ENTRY * len(part)
    if isinstance(part, tuple):
        return sum(map(_nbytes, part))
    inside = dataclasses.is_dataclass(part) and not isinstance(part, (type, Answer))
    return sum(map(_nbytes, vars(part).values())) if inside and hasattr(part, "__dict__") else 0


def saved(path: str | os.PathLike[str], formats: Mapping[str, Callable[[], bytes]]) -> Path:
    """Write what its ending's format makes into a file, whole or not at all; see `Answer.save`."""
    ending, place = to_save(path, formats)
    made = formats[ending]()
    write_file(place, made)
    return Path(path)


def to_save(path: str | os.PathLike[str], endings: Collection[str]) -> tuple[str, Path]:
    """The ending and the file that are meant, before any work is done; InputError where an answer has no such file."""
    ending = path_of(path, "the file to write").suffix.lower()
    if ending not in endings:
        named = repr(ending) if ending else "a file without an ending"
        raise InputError(f"this answer is saved as {', '.join(endings)}, not {named}.")
    return ending, file_to_write(path)


def drawings(sheets: Sequence[Sheet]) -> Mapping[str, Callable[[], bytes]]:
    """What draws those sheets that are figures into a file of each ending; none where none is one."""
    if all(sheet.figure is None for sheet in sheets):
        return {}
    return {
        ".svg": lambda: svg(sheets).encode(),
        ".pdf": lambda: painted(sheets, "pdf"),
        ".png": lambda: painted(sheets, "png"),
    }


def frame(rows: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    """Rows as a data frame; ImportError where pandas is not installed."""
    try:
        import pandas
    except ImportError:
        raise ImportError("to_pandas() needs pandas: pip install pandas") from None
    return pandas.DataFrame(rows)


def as_json(record: object) -> bytes:
    """A record as JSON; numbers that JSON has not are told as None by then."""
    return _encoded(json.dumps(record, ensure_ascii=False, allow_nan=False, default=dataclasses.asdict))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")


def numbers(values: Tensor) -> list[float | None]:
    """Numbers [n] that JSON has."""
    return [number(value) for value in values.tolist()]


def token_at(tokens: Sequence[Token], position: int) -> Token:
    """The token at a position of a text; InputError where it has none such."""
    last = len(tokens) - 1
    said = f"the text has positions 0 to {last}; there is no position {position!r}."
    return tokens[given.number(position, range(last + 1), said)]


def token_record(token: Token) -> TokenRecord:
    """One token of a text."""
    return {
        "position": token.position,
        "id": token.id,
        "text": token.text,
        "label": token.label,
        "special": token.special,
        "span": list(token.span) if token.span else None,
    }


def question_record(asked: Question) -> QuestionRecord:
    """The choices of an answer; `layer` null for all, `reference` null where the space has none."""
    return {"layer": asked.layer, **choices_record(asked)}


def choices_record(asked: Question) -> ChoicesRecord:
    """The choices without the layer."""
    return {
        "space": asked.space,
        "reference": asked.reference,
        "metric": asked.metric,
        "use_position": asked.use_position,
        "candidates": asked.candidates,
        "vector": asked.vector,
        "at": asked.at,
    }


def choices(asked: Question) -> str:
    """The choices of an answer, in one line."""
    parts: list[str] = [asked.space, asked.metric]
    if asked.reference is not None:
        where = "" if asked.at is None else f" (at {asked.at})"
        parts += [f"reference {asked.reference}", f"position {'on' if asked.use_position else 'off'}{where}"]
    return " · ".join(parts)


def named(ids: Tensor, names: TokenNames | Mapping[int, TokenName]) -> dict[int, TokenName]:
    """The names of all ids in a tensor of any shape."""
    return {id: names[id] for id in torch.unique(ids).tolist()}


def token_cell(
    id: int,
    apart: float,
    kind: Kind,
    names: Mapping[int, TokenName],
    places: Mapping[int, tuple[int, ...]],
    rank: int | None = None,
) -> Cell:
    """A vocabulary token with its distance, its rank, and what it is to the text."""
    told = says(kind, places.get(id, ()))
    return Cell(
        names[id].label,
        distance(apart),
        kind,
        says=told if rank is None else f"rank {rank}, {told}",
        value=apart,
        id=id,
    )
