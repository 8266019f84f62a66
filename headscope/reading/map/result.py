"""A map as its reader gets it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.model.surroundings import settled
from headscope.model.tokens import Token, TokenName
from headscope.question.choices import THEMES, Method, Theme, one_of
from headscope.question.question import Question
from headscope.question.shown import Summarised
from headscope.reading.answer import Answer, Record, choices, question_record, saved, token_record
from headscope.reading.captured import Captured
from headscope.reading.map.layouts import Way
from headscope.reading.map.records import AboutMapRecord, LabelledMapRecord, MapPointRecord, MapRecord
from headscope.show.numbers import distance
from headscope.show.scatter import Cloud, Look, Moves, Scatter, drawn
from headscope.show.sheet import Cell, Row, Sheet

# Why a vocabulary token is in the picture: it is a token of the text, near one of its outputs, or drawn at random.
Group = Literal["text", "near", "random"]
_SAID: dict[Group, str] = {"text": "tokens of the text", "near": "near an output", "random": "random"}
_LOOKS: dict[Group, Look] = {"text": "strong", "near": "plain", "random": "faint"}
_METHODS: dict[Method, str] = {"tsne": "t-SNE", "pca": "PCA"}
LOW = 0.9  # a trustworthiness below is low: a fifth of the way from a faithful picture to a random one


@dataclass(frozen=True, eq=False, repr=False)
class MappedText(Summarised):
    """Where a text's values v and outputs z lie, float32 [position, 2] each.

    `moved` float32 [position]: how far the output is from the value in the space itself, by the map's metric.
    """

    text: str
    mask: str
    tokens: tuple[Token, ...]
    values: Tensor
    outputs: Tensor
    moved: Tensor


@dataclass(frozen=True, repr=False, eq=False)
class Map(Answer):
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
        return super().__getstate__() | {"place_by": None}  # it holds the model

    @property
    def facts(self) -> tuple[str, ...]:
        """How the map was made, of what, and how far it is to be trusted: a few sentences."""
        method = _METHODS[self.way.method]
        if self.way.method == "tsne":
            method += f" (perplexity {self.way.perplexity:g}, seed {self.way.seed}): axes and lengths have no unit"
        elif self.explained is not None:
            method += f": the two axes hold {sum(self.explained):.1%} of the variance"
        counts = Counter(self.groups)
        sample = (
            f"{len(self.groups):,} of {self.of:,} vocabulary tokens: {counts['text']} of the text, {counts['near']} "
            f"near its outputs, {counts['random']:,} drawn at random (seed {self.way.seed})."
        )
        trust = (
            f"Trustworthiness {self.trustworthiness:.3f}: 1 where whoever is near here is near in the space, about 0.5 "
            "in a random picture."
        )
        return f"{method}. {sample}", trust

    def rows(self) -> list[Record]:
        """One row for each point: what (vocabulary, value, output), group, text, position, id, token, label, x, y."""
        rows: list[Record] = [
            {"what": "vocabulary", "group": point["group"], "text": None, "position": None}
            | {"id": point["id"], "token": point["token"], "label": point["label"], "x": point["x"], "y": point["y"]}
            for point in self._vocabulary()
        ]
        for number, text in enumerate(self.texts):
            for what, places in (("value", text.values.tolist()), ("output", text.outputs.tolist())):
                rows += [
                    {"what": what, "group": None, "text": number, "position": token.position, "id": token.id}
                    | {"token": token.text, "label": token.label, "x": x, "y": y}
                    for token, (x, y) in zip(text.tokens, places, strict=True)
                ]
        return rows

    def moves(self) -> list[Record]:
        """One row for each token of each text: how far its output is from its value, in the space itself."""
        return [
            {"text": number, "position": token.position, "id": token.id, "label": token.label, "moved": moved}
            | {"token": token.text}
            for number, text in enumerate(self.texts)
            for token, moved in zip(text.tokens, text.moved.tolist(), strict=True)
        ]

    def to_dict(self) -> MapRecord:
        """Every point with its place, ready for JSON."""
        return {
            **self._about(),
            "vocabulary": self._vocabulary(),
            "texts": [
                {
                    "text": text.text,
                    "mask": text.mask,
                    "tokens": [
                        {**token_record(token), "value": value, "output": output, "moved": moved}
                        for token, value, output, moved in zip(
                            text.tokens, text.values.tolist(), text.outputs.tolist(), text.moved.tolist(), strict=True
                        )
                    ],
                }
                for text in self.texts
            ],
        }

    def labelled(self) -> LabelledMapRecord:
        """The map without its points, for who gets them in another way: the sample's groups follow each other."""
        ids = self.ids.tolist()
        return {
            **self._about(),
            "facts": list(self.facts),
            "ids": ids,
            "labels": [self.names[id].label for id in ids],
            "texts": [
                {
                    "text": text.text,
                    "mask": text.mask,
                    "tokens": [token_record(token) for token in text.tokens],
                    "moved": text.moved.tolist(),
                }
                for text in self.texts
            ],
        }

    def plotted(self) -> Mapping[str, Any]:
        """The drawing, to move about in."""
        places = [self.vocabulary, *(side for text in self.texts for side in (text.values, text.outputs))]
        return {"kind": "map", "key": "", "points": torch.cat(places).flatten().tolist(), **self.labelled()}

    def sheets(self) -> tuple[Sheet, ...]:
        """The sample by its groups, with what the map is and how far it is to be trusted; then each text's moves."""
        counts = Counter(self.groups)
        groups = tuple(Row(Cell(said), (Cell(number=f"{counts[group]:,}"),)) for group, said in _SAID.items())
        caption = f"Map of layer {self._where}"
        sample = Sheet("sample", caption, ("tokens",), groups, stub="vocabulary", lead=self.facts, notes=self.notes)
        return sample, *(self._moved(number, text) for number, text in enumerate(self.texts))

    def _moved(self, number: int, text: MappedText) -> Sheet:
        apart = text.moved.clamp(min=0)  # by rounding, a cosine distance may be less than none
        shares = (apart / (float(apart.max()) or 1.0)).tolist()
        places = torch.cat([text.values, text.outputs], dim=-1).tolist()
        rows = tuple(
            Row(
                Cell(f"{token.position} {token.label}", position=token.position),
                (*(Cell(number=f"{at:.3f}") for at in place), Cell(number=distance(moved), share=share)),
            )
            for token, place, moved, share in zip(text.tokens, places, text.moved.tolist(), shares, strict=True)
        )
        return Sheet(
            "moves",
            f"Text {number + 1}: from each value v to its output z",
            ("v: x", "v: y", "z: x", "z: y", "moved"),
            rows,
            stub="token",
            lead=(f"{text.text!r}, mask {text.mask}",),
            legend=(f"moved: from v to z in the space itself, by {self.question.metric}",),
            together=5,
        )

    def figures(self, theme: Theme = "light") -> dict[str, Callable[[], bytes]]:
        """What draws the map at A4 size, into a file of each ending."""
        one_of("theme", theme, THEMES)
        return {f".{kind}": partial(drawn, self._picture(), kind, theme) for kind in ("svg", "pdf", "png")}

    def drawing(self) -> str:
        svg = self.figures()[".svg"]().decode()
        return svg[svg.index("<svg") :]  # a file of its own begins with a declaration

    def save(self, path: str | os.PathLike[str], theme: Theme = "light") -> Path:
        """Write the map into a file, by its ending: drawn, at A4 size, as .svg, .pdf or .png; .html, with the drawing;
        .md; or its numbers, .json and .csv (points). `theme` is that of a drawing.

        The same map gives the same SVG, byte for byte. Raises InputError for another ending, or a place that cannot
        be written to.
        """
        return saved(path, self.formats() | self.figures(theme))

    @property
    def _where(self) -> str:
        return f"{self.question.layer}, head {self.head} · {choices(self.question)}"

    def _about(self) -> AboutMapRecord:
        """What a map is of, how it was made, and how far it is to be trusted."""
        return {
            **question_record(self.question),
            "head": self.head,
            "method": self.way.method,
            "perplexity": self.way.perplexity if self.way.method == "tsne" else None,
            "seed": self.way.seed,
            "trustworthiness": self.trustworthiness,
            "explained": None if self.explained is None else list(self.explained),
            "of": self.of,
            "sample": dict(Counter(self.groups)),
            "notes": list(self.notes),
        }

    def _vocabulary(self) -> list[MapPointRecord]:
        return [
            {"id": id, "token": self.names[id].text, "label": self.names[id].label, "group": group, "x": x, "y": y}
            for id, group, (x, y) in zip(self.ids.tolist(), self.groups, self.vocabulary.tolist(), strict=True)
        ]

    def _picture(self) -> Scatter:
        """The map as plain points."""
        several = len(self.texts) > 1
        which = [f" of text {number}" if several else "" for number in range(1, len(self.texts) + 1)]
        moves = tuple(
            Moves(
                f"values v{of}",
                f"outputs z{of}",
                _points(text.values),
                _points(text.outputs),
                tuple(token.label for token in text.tokens),
            )
            for of, text in zip(which, self.texts, strict=True)
        )
        short = [shorten(text.text, 150 // len(self.texts), placeholder=" …") for text in self.texts]
        axes = self.explained and (
            f"first component: {self.explained[0]:.1%} of the variance",
            f"second component: {self.explained[1]:.1%}",
        )
        return Scatter(
            title=f"Layer {self._where}",
            subtitle=" · ".join(f"{n}: {one}" if several else one for n, one in enumerate(short, start=1)),
            moves=moves,
            clouds=tuple(self._cloud(group) for group in _SAID if group in self.groups),
            said=(*self.facts, *self.notes),
            axes=axes,
        )

    def _cloud(self, group: Group) -> Cloud:
        of_group = [n for n, other in enumerate(self.groups) if other == group]
        labels = tuple(self.names[id].label for id in self.ids[of_group].tolist())
        return Cloud(f"vocabulary: {_SAID[group]}", _LOOKS[group], _points(self.vocabulary[of_group]), labels)


def _points(places: Tensor) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in places.tolist())
