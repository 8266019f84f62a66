"""What answers say beside other texts' outputs, a bank's, as plain lists and numbers; see `records`."""

from __future__ import annotations

from typing_extensions import TypedDict

from headscope.question.kinds import Kind
from headscope.reading.records import AtlasRecord, QuestionRecord, RatesRecord


class BankRecord(TypedDict):
    name: str
    outputs: int


class WindowRecord(TypedDict):
    first: int
    last: int
    outputs: int


class HubAwareRecord(TypedDict):
    rank: int
    id: int
    token: str
    label: str
    score: float
    kind: Kind
    positions: list[int]


class OwnScoreRecord(TypedDict):
    rank: int
    score: float | None


class HubsRecord(TypedDict):
    skewness: float
    largest: float
    id: int
    token: str
    label: str


class ChanceRecord(TypedDict):
    own_rank: float | None
    as_near: float | None
    in_text: float
    listed: list[float]


class HeldHeadRecord(TypedDict):
    head: int
    neighbors: list[HubAwareRecord]
    own: OwnScoreRecord
    hubs: HubsRecord
    chance: ChanceRecord


class BackgroundRecord(QuestionRecord):
    """What a bank of other texts' outputs says of the answer to the same question."""

    selected: int
    bank: BankRecord
    window: WindowRecord
    notes: list[str]
    heads: list[HeldHeadRecord]


class LayerChanceRecord(TypedDict):
    """What chance gives for the shares of every layer."""

    bank: str
    window: WindowRecord
    layers: list[RatesRecord]


class AtlasChanceRecord(TypedDict, total=False):
    chance: LayerChanceRecord


class AtlasHeldRecord(AtlasRecord, AtlasChanceRecord):
    """An atlas, with chance where it was asked for."""


class StoodRecord(TypedDict):
    """A token of the text under a head: its rank, that of even attention, its weight; null where it has no rank.

    `others_low`, `others_high`: the middle half of its ranks under other texts' outputs; null where none were asked.
    """

    id: int
    token: str
    label: str
    rank: int | None
    even: int | None
    weight: float
    visible: bool
    others_low: float | None
    others_high: float | None


class StandingHeadRecord(TypedDict):
    """The text's tokens under one head, and what that says; `others`: the middle half of all of them together."""

    head: int
    says: str
    others: list[float] | None
    tokens: list[StoodRecord]


class BankWindowRecord(TypedDict):
    """Which outputs of other texts an answer is held against."""

    first: int
    last: int
    outputs: int
    bank: str


class StandingRecord(QuestionRecord):
    """Where the tokens of the text stand under every head's output; `says`: of the layer, in words."""

    selected: int
    notes: list[str]
    vocabulary: int
    window: BankWindowRecord | None
    says: str
    heads: list[StandingHeadRecord]
