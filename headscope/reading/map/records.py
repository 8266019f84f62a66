"""What a map says as plain lists and numbers; see `headscope.reading.records`."""

from __future__ import annotations

from typing_extensions import TypedDict

from headscope.reading.records import QuestionRecord, TokenRecord


class AboutMapRecord(QuestionRecord):
    """What a map is of, how it was made, and how far it is to be trusted."""

    head: int
    method: str
    perplexity: float | None
    seed: int
    trustworthiness: float
    explained: list[float] | None
    of: int
    sample: dict[str, int]
    notes: list[str]


class MapPointRecord(TypedDict):
    id: int
    token: str
    label: str
    group: str
    x: float
    y: float


class MapTokenRecord(TokenRecord):
    value: list[float]
    output: list[float]
    moved: float


class MapTextRecord(TypedDict):
    text: str
    mask: str
    tokens: list[MapTokenRecord]


class MapRecord(AboutMapRecord):
    """A map, with every point's place."""

    vocabulary: list[MapPointRecord]
    texts: list[MapTextRecord]


class MovedTextRecord(TypedDict):
    text: str
    mask: str
    tokens: list[TokenRecord]
    moved: list[float]


class LabelledMapRecord(AboutMapRecord):
    """A map without its points, for who gets them in another way: the sample's groups follow each other."""

    facts: list[str]
    ids: list[int]
    labels: list[str]
    texts: list[MovedTextRecord]
