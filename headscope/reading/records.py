"""What answers say as plain lists and numbers, typed: for `to_dict`, for `--json`, and for the API and its description.

A record holds what JSON holds: a number that JSON has not (a distance beyond float32's range) is None.
"""

from __future__ import annotations

from typing_extensions import NotRequired, TypedDict  # pydantic takes no other before Python 3.12

from headscope.question.choices import Candidates, Mask, Metric, Reference, Space, Vector
from headscope.question.kinds import Kind


class TokenRecord(TypedDict):
    """One token of a text; `span`: its first character, and the one behind its last."""

    position: int
    id: int
    text: str
    label: str
    special: bool
    span: list[int] | None


class ModelRecord(TypedDict):
    """Which model answered, how it was chosen, and how well its capture proved itself."""

    name: str
    revision: str | None
    weights_sha256: str
    capture_error: float
    arithmetic: str
    why: str
    layers: int
    heads: int
    position_embeddings: bool
    positions: int | None


class MessageRecord(TypedDict):
    """A turn of a chat."""

    role: str
    content: str


class GivenRecord(TypedDict):
    """How the text was given, by the names that `Scope.read` has: as token ids, say, or as the messages of a chat."""

    text: NotRequired[str]
    pair: NotRequired[str]
    special: NotRequired[bool]
    ids: NotRequired[list[int]]
    messages: NotRequired[list[MessageRecord]]


class ReadRecord(TypedDict):
    """Which model read which text: its tokens; `given`: how it was given, where it is no plain text."""

    model: ModelRecord
    text: str
    given: NotRequired[GivenRecord]
    mask: Mask
    tokens: list[TokenRecord]


class ChoicesRecord(TypedDict):
    """The choices of an answer; `reference` null where the space has none."""

    space: Space
    reference: Reference | None
    metric: Metric
    use_position: bool
    candidates: Candidates
    vector: Vector
    at: int | None


class QuestionRecord(ChoicesRecord):
    """The same with the layer; null for all."""

    layer: int | None


class NeighborRecord(TypedDict):
    rank: int
    id: int
    token: str
    label: str
    distance: float | None
    kind: Kind
    positions: list[int]


class OwnRecord(TypedDict):
    rank: int
    distance: float | None


class EndRecord(TypedDict):
    """A token that a head writes against."""

    id: int
    token: str
    label: str
    distance: float | None


class HeadRecord(TypedDict):
    head: int
    neighbors: list[NeighborRecord]
    own: OwnRecord
    suppressed: NotRequired[list[EndRecord]]


class SelectedRecord(TypedDict):
    token: TokenRecord
    heads: list[HeadRecord]


class NeighborsRecord(QuestionRecord):
    """The nearest tokens of every head, for each selected token."""

    notes: list[str]
    selected: list[SelectedRecord]


class PortraitEntryRecord(TypedDict):
    """A word with its distance, or a source with its weight."""

    id: int
    token: str
    number: float


class PortraitHeadRecord(TypedDict):
    head: int
    resembles: list[PortraitEntryRecord]
    looked: list[PortraitEntryRecord]


class PortraitRecord(TypedDict):
    """Every head of a layer in a few words; `shown`: the head to look at where none is chosen."""

    schema: int
    layer: int | None
    selected: int
    says: str
    shown: int
    notes: list[str]
    heads: list[PortraitHeadRecord]


class PositionRecord(TypedDict):
    position: int
    token: str
    label: str
    distance: float | None


class PositionsHeadRecord(TypedDict):
    head: int
    positions: list[PositionRecord]


class PositionsRecord(TypedDict):
    """The positions of the text by their distance, for each head."""

    layer: int
    metric: Metric
    against: str
    selected: int
    notes: list[str]
    heads: list[PositionsHeadRecord]


class LookHeadRecord(HeadRecord):
    positions: list[PositionRecord]


class LookRecord(ReadRecord, ChoicesRecord):
    """One selected token, one layer, every head: the object that `headscope look --json` prints."""

    schema: int
    selected: int
    layer: int
    notes: list[str]
    heads: list[LookHeadRecord]


class WhySourceRecord(TypedDict):
    position: int
    token: str
    label: str
    weight: float
    share: float


class WhyRecord(QuestionRecord):
    """One token's score in one head, split over the source positions; `rest` belongs to none."""

    selected: int
    head: int
    id: int
    token: str
    label: str
    score: float
    rest: float
    sources: list[WhySourceRecord]


class WorkedSourceRecord(TypedDict):
    position: int
    label: str
    product: float
    seen: bool
    softmax: float
    weight: float


class WorkedRecord(TypedDict):
    """One distance worked out from q·k on."""

    selected: int
    layer: int
    head: int
    id: int
    token: str
    label: str
    metric: Metric
    space: Space
    reference: Reference | None
    scale: float
    softmax_error: float
    mix_error: float
    sources: list[WorkedSourceRecord]
    values: list[list[float]]
    mix: list[float]
    z: list[float]
    product: float
    vector_length: float
    row_length: float
    distance: float


class ChangeRecord(TypedDict):
    """What two answers share in one head, and how far its own token moved."""

    head: int
    overlap: float | None
    own_rank: int
    other_own_rank: int
    moved: int | None


class ComparisonRecord(TypedDict):
    """Two answers and how they differ."""

    one: NeighborsRecord
    other: NeighborsRecord
    heads: list[ChangeRecord]


class CellRecord(TypedDict):
    layer: int
    head: int
    id: int
    token: str
    label: str
    distance: float | None
    own_rank: int
    kind: Kind
    positions: list[int]


class RatesRecord(TypedDict):
    """The share of a layer's heads whose nearest token is of each kind."""

    layer: int
    own: float
    text: float
    variant: float
    special: float
    elsewhere: float


class AtlasRecord(QuestionRecord):
    """The nearest token of every layer and head."""

    schema: int
    selected: int
    notes: list[str]
    cells: list[CellRecord]
    layers: list[RatesRecord]


class SharesRecord(TypedDict):
    head: int
    shares: list[float]


class WrittenFiguresRecord(TypedDict):
    """Figures of one head within a text, each a mean over its positions; null where there is none."""

    own_within: float | None
    own: float | None
    others: float | None
    carry: float | None
    ceiling: float | None


class WrittenHeadRecord(TypedDict):
    """Two matrices [position, token], and figures by position; `mean` of them."""

    head: int
    auc: list[list[float | None]]
    pattern: list[list[float | None]]
    own: list[float | None]
    others: list[float | None]
    carry: list[float | None]
    ceiling: list[float | None]
    mean: WrittenFiguresRecord


class WrittenRecord(QuestionRecord):
    """What every head of a layer writes where, beside what it attended to.

    `vocabulary`: how many tokens the ranks are among; `visible` [position, token]; `head`: whose matrices are laid out.
    """

    schema: int
    notes: list[str]
    vocabulary: int
    visible: list[list[bool]]
    head: int
    heads: list[WrittenHeadRecord]


class AttentionRecord(TypedDict):
    """How much of each position every head of a layer mixes into its output at a token."""

    schema: int
    selected: int
    layer: int
    weigh: str
    notes: list[str]
    heads: list[SharesRecord]
