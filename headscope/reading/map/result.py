"""A map as its reader gets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from headscope.errors import InputError
from headscope.model.surroundings import settled
from headscope.model.tokens import Token, TokenName
from headscope.question.choices import Theme
from headscope.question.question import Question
from headscope.reading.captured import Captured
from headscope.reading.map.layouts import Way
from headscope.show import maps
from headscope.show import scatter as figure

if TYPE_CHECKING:
    import pandas

# Why a vocabulary token is in the picture: it is a token of the text, near one of its outputs, or drawn at random.
Group = Literal["text", "near", "random"]
LOW = 0.9  # a trustworthiness below is low: a fifth of the way from a faithful picture to a random one


@dataclass(frozen=True)
class MappedText:
    """Where a text's values v and outputs z lie, float32 [position, 2] each.

    `moved` float32 [position]: how far the output is from the value in the space itself, by the map's metric.
    """

    text: str
    mask: str
    tokens: tuple[Token, ...]
    values: Tensor
    outputs: Tensor
    moved: Tensor


@dataclass(frozen=True, repr=False)
class Map:
    """One head's space in two dimensions: a sample of the vocabulary, and the values and outputs of texts.

    `ids` int64 [token] are the sample, `groups` [token] why each is in it, `vocabulary`
    float32 [token, 2] where it lies. `texts`: the text that the map was made of, and those placed into it. `space`
    float32 [point, width]: all vectors in the order sample, then values and outputs of each text; of length 1 under
    cosine. `trustworthiness`: how far neighbours in the picture are neighbours in the space, 1 all, about 0.5 none.
    `explained`: PCA's share of the variance along x and y. `of`: the size of the whole vocabulary.
    """

    question: Question
    head: int
    way: Way
    ids: Tensor
    groups: tuple[Group, ...]
    vocabulary: Tensor
    texts: tuple[MappedText, ...]
    space: Tensor
    trustworthiness: float
    explained: tuple[float, float] | None
    of: int
    names: Mapping[int, TokenName]
    notes: tuple[str, ...]
    place_by: Callable[[Map, Captured], Map] | None = field(default=None, compare=False)  # None after unpickling

    @settled
    def place(self, reading: Captured) -> Map:
        """The same map with another text in it: what is in the map stays where it is.

        PCA projects; t-SNE lets each new vector settle among its neighbours. The text must have been read by the same
        model. Trustworthiness is that of the picture with all its texts.
        """
        if self.place_by is None:
            raise InputError("this map was loaded from a file, without its model: make it again to place a text in it.")
        return self.place_by(self, reading)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"place_by": None}  # it holds the model

    def __repr__(self) -> str:
        return maps.text(self)

    def _repr_html_(self) -> str:
        return figure.html(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(maps.record(self))

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each point: what (vocabulary, value, output), group, text, position, id, token, label, x, y."""
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas() needs pandas: pip install pandas") from None
        return pandas.DataFrame(maps.rows(self))

    def save(self, path: str | Path, theme: Theme = "light") -> Path:
        """Draw the map into a file, .svg, .png or .pdf by its name, at A4 size; or its numbers: .json, .csv (points).

        The same map gives the same SVG, byte for byte. Raises InputError for another suffix, or a place that cannot
        be written to.
        """
        return figure.save(self, Path(path), theme)
