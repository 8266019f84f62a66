"""The shapes of the answers, for the API's documentation and its tests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from headscope.inference.verdicts import Verdict
from headscope.question.kinds import Kind


class Problem(BaseModel):
    """What was wrong, and what would work."""

    error: str


class IsolatedOut(BaseModel):
    """How far the vocabulary has been read alone, for its values or its streams."""

    what: Literal["values", "streams"]
    state: Literal["absent", "working", "stopped", "failed", "ready"]
    done: int
    total: int
    bytes: int
    seconds_left: float | None
    problem: str | None


class MapWorkOut(BaseModel):
    """How far a map is."""

    key: str
    state: Literal["waiting", "working", "stopped", "failed", "ready"]
    done: int
    total: int
    seconds_left: float | None
    problem: str | None


class BeingMadeOut(Problem):
    """The question has to wait: its reference or its map is being made."""

    isolated: IsolatedOut | None = None
    map: MapWorkOut | None = None


class Answer(BaseModel):
    # Later versions of a record may say more.
    model_config = ConfigDict(extra="allow")


class TokenOut(Answer):
    position: int
    id: int
    text: str
    label: str
    special: bool
    span: tuple[int, int] | None


class ModelOut(Answer):
    name: str
    revision: str | None
    weights_sha256: str
    capture_error: float
    why: str


class ReadOut(Answer):
    """The tokens of a text."""

    model: ModelOut
    text: str
    mask: str
    tokens: list[TokenOut]
    notes: list[str]


class NeighborOut(Answer):
    rank: int
    id: int
    token: str
    distance: float | None
    kind: Kind
    positions: list[int]


class OwnOut(Answer):
    rank: int
    distance: float | None


class PositionOut(Answer):
    position: int
    token: str
    distance: float | None


class HeadOut(Answer):
    head: int
    neighbors: list[NeighborOut]
    own: OwnOut
    positions: list[PositionOut]


class NearestOut(Answer):
    """The object that `headscope look --json` prints."""

    schema_: int

    # "schema" is a method of pydantic's own.
    model_config = ConfigDict(extra="allow", alias_generator=lambda name: name.rstrip("_"))

    model: ModelOut
    text: str
    mask: str
    tokens: list[TokenOut]
    selected: int
    layer: int
    space: str
    reference: str | None
    metric: str
    use_position: bool
    candidates: str
    notes: list[str]
    heads: list[HeadOut]


class BankOut(Answer):
    name: str
    outputs: int


class WindowOut(Answer):
    first: int
    last: int
    outputs: int


class HubAwareOut(Answer):
    rank: int
    id: int
    token: str
    label: str
    score: float
    kind: Kind
    positions: list[int]


class OwnScoreOut(Answer):
    rank: int
    score: float | None


class HubsOut(Answer):
    skewness: float
    largest: float
    id: int
    token: str
    label: str


class ChanceOut(Answer):
    own_rank: float | None
    as_near: float | None
    in_text: float
    listed: list[float]


class HeldHeadOut(Answer):
    head: int
    neighbors: list[HubAwareOut]
    own: OwnScoreOut
    hubs: HubsOut
    chance: ChanceOut


class BackgroundOut(Answer):
    """What a bank of other texts' outputs says of the answer to the same question."""

    selected: int
    bank: BankOut
    window: WindowOut
    notes: list[str]
    heads: list[HeldHeadOut]


class SourceOut(Answer):
    position: int
    token: str
    weight: float
    share: float


class WhyOut(Answer):
    """One token's score in one head, split over the source positions; `rest` belongs to none."""

    selected: int
    head: int
    id: int
    token: str
    score: float
    rest: float
    sources: list[SourceOut]


class WorkedSourceOut(Answer):
    position: int
    product: float
    seen: bool
    softmax: float
    weight: float


class WorkedOut(Answer):
    """One distance worked out from q·k on; `html` is the same in words and tables, without styles or scripts."""

    selected: int
    layer: int
    head: int
    id: int
    token: str
    scale: float
    softmax_error: float
    mix_error: float
    sources: list[WorkedSourceOut]
    values: list[list[float]]
    mix: list[float]
    z: list[float]
    product: float
    vector_length: float
    row_length: float
    distance: float
    html: str


class ChangeOut(Answer):
    head: int
    overlap: float
    own_rank: int
    other_own_rank: int
    moved: int


class CompareOut(Answer):
    """Two answers, and for each head what they share and how far its own token moved."""

    one: NearestOut
    other: NearestOut
    heads: list[ChangeOut]


class CellOut(Answer):
    layer: int
    head: int
    id: int
    token: str
    distance: float | None
    own_rank: int
    kind: Kind
    positions: list[int]


class RatesOut(Answer):
    """The share of a layer's heads whose nearest token is of each kind."""

    layer: int
    own: float
    text: float
    variant: float
    special: float
    elsewhere: float


class AtlasOut(Answer):
    """The nearest token of every layer and head."""

    selected: int
    space: str
    reference: str | None
    metric: str
    use_position: bool
    candidates: str
    notes: list[str]
    cells: list[CellOut]
    layers: list[RatesOut]


class SharesOut(Answer):
    head: int
    shares: list[float]


class PatternOut(Answer):
    """One head's whole pattern: a list of sources for each query."""

    head: int
    queries: list[list[float]]


class AttentionOut(Answer):
    """How much of each position every head of a layer mixes into its output at a token."""

    selected: int
    layer: int
    weigh: str
    notes: list[str]
    heads: list[SharesOut]
    pattern: PatternOut | None


class AvailableOut(Answer):
    name: str
    where: str
    bytes: int


class ModelsOut(Answer):
    """The open models, and those that could be opened without the network."""

    open: list[dict[str, Any]]
    available: list[AvailableOut]
    may_open: bool


class OpeningOut(BaseModel):
    """How far the model is that was asked for last: what is being done, or why it failed; its card once it is open."""

    name: str
    step: str
    state: Literal["working", "failed", "ready"]
    problem: str | None
    card: dict[str, Any] | None


class HealthOut(Answer):
    """The server is there; `waiting` requests stand in line."""

    status: str
    version: str
    waiting: int


class FileOut(BaseModel):
    name: str
    says: str


class TakeOut(BaseModel):
    """The files that a view can be taken away as (`GET /take/{name}`), and the lines of Python that make it again."""

    files: list[FileOut]
    script: str


class SurveyedOut(BaseModel):
    """A survey that is open: how much it read, and what it measured."""

    name: str
    texts: int
    documents: int | None
    positions: int
    views: list[dict[str, str | None]]


class SurveyOut(BaseModel):
    """The survey that is open, and whether a request may open another."""

    survey: SurveyedOut | None
    may_open: bool


class FigureOut(Answer):
    """A figure of a head: its value and chance, their difference with its 95 % interval, and the verdict."""

    value: float | None
    chance: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    verdict: Verdict | None


class UsualHeadOut(Answer):
    head: int
    in_text: FigureOut | None
    own: FigureOut | None
    signal: FigureOut | None


class UsualOut(BaseModel):
    """How every head of a layer usually behaves; where the survey cannot tell, `heads` is null and `says` tells why."""

    survey: SurveyedOut | None
    says: str | None
    heads: list[UsualHeadOut] | None


class MappedTextOut(Answer):
    text: str
    mask: str
    tokens: list[TokenOut]
    moved: list[float]


class MapOut(Answer):
    """What a map's points are; where they lie is in GET /map/{key}/points."""

    key: str
    layer: int
    head: int
    space: str
    reference: str | None
    metric: str
    method: str
    trustworthiness: float
    explained: list[float] | None
    of: int
    sample: dict[str, int]
    notes: list[str]
    facts: list[str]
    ids: list[int]
    labels: list[str]
    texts: list[MappedTextOut]
