"""What the API answers beyond what readings say, typed, and how it is sent: the functions return it, OpenAPI shows it.

A record is a plain dict while it is made, so that nothing is checked or copied again before it is JSON.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from typing_extensions import NotRequired, TypedDict

from headscope.inference.verdicts import Verdict
from headscope.model.card import Card
from headscope.question.choices import What
from headscope.reading import answer, bank_records, layer_records, records
from headscope.reading.map.records import LabelledMapRecord

State = Literal["absent", "waiting", "working", "stopped", "failed", "ready"]
R = TypeVar("R")


class Json(bytes, Generic[R]):
    """A record of a type, as it is sent."""


def as_json(record: R) -> Json[R]:
    """A record as it is sent."""
    return Json(answer.as_json(record))


class Problem(TypedDict):
    """What was wrong, and what would work."""

    error: str


class JobRecord(TypedDict):
    """How far long work is: a number of steps `done` of `total`, or the `step` in words; `problem`: why it failed."""

    state: State
    done: int
    total: int
    step: str | None
    seconds_left: float | None
    problem: str | None


class ToldRecord(JobRecord):
    """The same in words: what the work is, and how far it is or how it ended."""

    title: str
    says: str


class IsolatedRecord(ToldRecord):
    """How far the vocabulary has been read alone, for its values or its streams; `bytes`: of all of it, on disk."""

    what: What
    bytes: int


class MapJobRecord(ToldRecord):
    """How far a map is, in iterations."""

    key: str


class SelfTestRecord(ToldRecord):
    """How far the test of the server's own model is; `closed`: why a visitor cannot begin one, null where he can.

    `can`: what a visitor can do about it, as a button's words.
    """

    closed: str | None
    can: str | None


class OpeningRecord(JobRecord):
    """How far the model is that was asked for last; its card once it is open."""

    name: str
    card: Card | None


class BeingMadeRecord(Problem):
    """The question has to wait: its reference or its map is being made."""

    isolated: NotRequired[IsolatedRecord]
    map: NotRequired[MapJobRecord]


class MemoryRecord(TypedDict):
    """Bytes that are kept beside the models (encodings, banks, readings, answers, maps), and how many may be.

    `says`: the same in words.
    """

    held: int
    budget: int
    says: str


class AheadRecord(TypedDict):
    """How many of the questions that may come next are at hand; `left`: how many found no room, or cannot be asked."""

    ready: int
    left: int


class HealthRecord(TypedDict):
    """The server is there; `waiting` requests stand in line."""

    status: Literal["ok"]
    version: str
    waiting: int
    memory: MemoryRecord


class TextRecord(records.ReadRecord):
    """The tokens of a text."""

    notes: list[str]


class WorkedOutRecord(records.WorkedRecord):
    """One distance worked out from q·k on; `html` is the same in words and tables, without styles or scripts."""

    html: str


class LaidOut(TypedDict):
    """Where it was asked for, `html`: the answer as tables, without styles or scripts; all words in it escaped."""

    html: NotRequired[str]


class PortraitCardsRecord(TypedDict):
    """A layer's heads in a few words: `says` what a head is; whose cards are `shown` where none is chosen, and why.

    `cards`: of each head as HTML, without styles or scripts; all words in it escaped.
    """

    says: str
    shown: int
    says_shown: str
    cards: list[str]


class Introduced(LaidOut):
    """Tables; where they are asked for, with a portrait of the heads, and the `method` as HTML, with its numbers."""

    method: NotRequired[str]
    portrait: NotRequired[PortraitCardsRecord]


class LookedRecord(records.LookRecord, Introduced):
    """One selected token, one layer, every head: what `headscope look --json` prints."""


class HeldRecord(bank_records.BackgroundRecord, LaidOut):
    """What other texts' outputs say of an answer."""


class WrittenWhereRecord(records.WrittenRecord, LaidOut):
    """What every head of a layer writes where; `html`: the figures of all heads, and the two matrices of `head`."""


class StoodWhereRecord(bank_records.StandingRecord, LaidOut):
    """Where the text's tokens stand under every head's output; `html`: what that says, and every head's strip."""


class ExplainedRecord(records.WhyRecord, LaidOut):
    """One token's score in one head, split over the source positions; `rest` belongs to none."""


class AllHeadsRecord(bank_records.AtlasHeldRecord, LaidOut):
    """The nearest token of every layer and head."""


class FollowedRecord(layer_records.JourneyRecord, LaidOut):
    """What becomes of every token's residual stream, stage by stage."""


class MixedRecord(layer_records.MixingRecord, LaidOut):
    """How much comes from other positions, from bare weights to what leaves the norm."""


class GlancedRecord(layer_records.GlanceRecord, LaidOut):
    """Every head of the text in five numbers; null where the text cannot tell."""


class LostRecord(layer_records.EffectsRecord, LaidOut):
    """What the model's output at a token loses without each head."""


class TakenOutRecord(layer_records.RemovedRecord, LaidOut):
    """What the model's output at a token loses without each head of a layer."""


class ComparedRecord(Introduced):
    """Two answers, and for each head what they share and how far its own token moved."""

    one: records.LookRecord
    other: records.LookRecord
    heads: list[records.ChangeRecord]


class PatternRecord(TypedDict):
    """One head's whole pattern: a list of sources for each query."""

    head: int
    queries: list[list[float]]


class FoundLayerRecord(LaidOut):
    """One layer of an atlas that is still being worked out: its heads, and their shares by kind."""

    layer: int
    reference: str | None
    cells: list[records.CellRecord]
    rates: records.RatesRecord


class AttendedRecord(records.AttentionRecord, LaidOut):
    """How much of each position every head of a layer mixes into its output at a token."""

    pattern: PatternRecord | None


class KeyedMapRecord(LabelledMapRecord, LaidOut):
    """What a map's points are; where they lie is in GET /map/{key}/points. `html`: how far each token is moved."""

    key: str


class AvailableRecord(TypedDict):
    name: str
    where: str
    bytes: int


class ModelsRecord(TypedDict):
    """The open models, what each is asked for by, and what else could be opened without the network.

    `also`: what else the first may be asked for by.
    """

    open: list[Card]
    names: list[str]
    also: list[str]
    available: list[AvailableRecord]
    may_open: bool


class FileRecord(TypedDict):
    name: str
    says: str


class TakeRecord(TypedDict):
    """The files that a view can be taken away as (`GET /take/{name}`), and the lines of Python that make it again."""

    files: list[FileRecord]
    script: str


class ViewRecord(TypedDict):
    space: str | None
    reference: str | None
    metric: str | None
    mask: str


class SurveyedRecord(TypedDict):
    """A survey that is open: how much it read (`says`: in words), what it measured, and what may be concluded of it."""

    name: str
    texts: int
    documents: int | None
    positions: int
    views: list[ViewRecord]
    concluded: list[str]
    says: str


class SurveyRecord(TypedDict):
    """The survey that is open, and whether a request may open another; how far the test is that would make one."""

    survey: SurveyedRecord | None
    may_open: bool
    testing: SelfTestRecord


class FigureRecord(TypedDict):
    """A figure of a head: its value and chance, their difference with its 95 % interval, and the verdict.

    `small`: the difference is sure, and small. `smallest`: the smallest difference that the texts could have shown.
    """

    positions: int | None
    paired: int | None
    groups: int | None
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p: float | None
    q: float | None
    smallest: float | None
    verdict: Verdict | None
    small: bool | None


class UsualHeadRecord(TypedDict):
    """`own`, `carry`: within the text, beside even attention; `topic`: the own rank's AUC beside other documents'.

    `concluded`: what may be said of the head, in words; null where nothing was held against even attention.
    """

    head: int
    concluded: str | None
    in_text: FigureRecord | None
    own: FigureRecord | None
    carry: FigureRecord | None
    topic: FigureRecord | None
    signal: FigureRecord | None


class ChartRecord(TypedDict):
    """A figure as SVG, without styles or scripts; `says`: its numbers in words."""

    title: str
    says: str
    svg: str


class FiguresRecord(LaidOut):
    """A survey by layer (`charts`), and every head in one figure; where it cannot tell, `says` tells why."""

    survey: SurveyedRecord | None
    says: str | None
    charts: list[ChartRecord]
    figures: dict[str, str]


class UsualRecord(LaidOut):
    """How every head of a layer usually behaves; where the survey cannot tell, `heads` is null and `says` tells why.

    `concluded`: what may be said of the mean of the layer's heads, in words.
    """

    survey: SurveyedRecord | None
    says: str | None
    concluded: str | None
    heads: list[UsualHeadRecord] | None


class VisitStepRecord(TypedDict):
    """A step of the guided visit: what was measured, in a sentence, and the view that shows it, as the page names it.

    `hidden`: how many words its tables hold that the page's classroom switch hides.
    """

    title: str
    says: str
    hidden: int
    view: dict[str, str | int | bool | None]


class VisitRecord(TypedDict):
    """The guided visit of a text."""

    steps: list[VisitStepRecord]
