"""A shard's tables as Arrow: the columns that docs/survey-tables.md describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from headscope.corpus.bank import ASKED, BankPlan
from headscope.corpus.genres import Genres
from headscope.corpus.texts import CorpusText
from headscope.model.tokens import Token
from headscope.question.kinds import KINDS
from headscope.reading.patterns import PATTERN
from headscope.reading.stream import Stage
from headscope.reading.words import WORD_CLASSES, WordClass
from headscope.studies.survey.compare import ByChance, Compared
from headscope.studies.survey.frame import ShardFrame
from headscope.studies.survey.signal import SIZED
from headscope.studies.survey.streams import StreamsByChance, Walked

SIGNALS = ("signal", f"signal_{SIZED}")  # of free size, and of one
MATCHED = "_matched"  # what ends the name of a figure whose chance is of the same genre
WITHIN = ("own_auc_others", "carry", "carry_ceiling", "even_own_auc", "even_own_auc_others", "even_carry")
_LABEL = pa.dictionary(pa.int8(), pa.string())

TEXTS = pa.schema(
    {
        "text": pa.int32(),
        "group": pa.int32(),
        "document": pa.string(),
        "source": pa.string(),
        "line": pa.int32(),
        "content": pa.string(),
    }
)
TOKENS = pa.schema(
    {
        "text": pa.int32(),
        "position": pa.int32(),
        "id": pa.int32(),
        "label": pa.string(),
        "tag": pa.string(),
        "word_class": _LABEL,
        "frequency": pa.int64(),
        "asked": pa.list_(pa.int32(), ASKED),
    }
)
# What the tables of texts with genres have more.
MATCHED_TOKENS = pa.schema({"asked_matched": pa.list_(pa.int32(), ASKED)})
MATCHED_ROWS = pa.schema(
    {"matched_own_rank": pa.list_(pa.int32(), ASKED), "matched_in_text": pa.list_(pa.bool_(), ASKED)}
    | dict.fromkeys((f"{name}{MATCHED}" for name in SIGNALS), pa.float32())
)
MATCHED_STREAM = pa.schema(
    {"matched_own_rank": pa.list_(pa.int32(), ASKED), "matched_own_cosine": pa.list_(pa.float32(), ASKED)}
)
BANK = pa.schema({"stratum": pa.int32(), "group": pa.int32(), "text": pa.int32(), "position": pa.int32()})
_KEYS = {"text": pa.int32(), "position": pa.int32(), "layer": pa.int16(), "head": pa.int16()}
PATTERNS = pa.schema(_KEYS | {"mask": _LABEL} | dict.fromkeys(PATTERN, pa.float32()))
ROWS = pa.schema(
    _KEYS
    | dict.fromkeys(("space", "reference", "metric", "mask"), _LABEL)
    | {
        "candidates": pa.int32(),
        "own_rank": pa.int32(),
        "own_distance": pa.float32(),
        "nearest": pa.int32(),
        "distance": pa.float32(),
        "kind": _LABEL,
        "in_text": pa.bool_(),
        "chance_own_rank": pa.list_(pa.int32(), ASKED),
        "chance_in_text": pa.list_(pa.bool_(), ASKED),
    }
    | dict.fromkeys((*SIGNALS, *WITHIN), pa.float32())
)
STREAM = pa.schema(
    {
        "text": pa.int32(),
        "position": pa.int32(),
        "stage": pa.int16(),
        "layer": pa.int16(),
        "after": _LABEL,
        "mask": _LABEL,
        "candidates": pa.int32(),
        "own_rank": pa.int32(),
        "own_cosine": pa.float32(),
        "norm": pa.float32(),
        "overlap_before": pa.float32(),
        "overlap_input": pa.float32(),
        "chance_own_rank": pa.list_(pa.int32(), ASKED),
        "chance_own_cosine": pa.list_(pa.float32(), ASKED),
    }
)


def texts(items: Sequence[CorpusText], groups: dict[int, int]) -> pa.Table:
    """One row for each text."""
    return pa.table(
        {
            "text": [text.number for text in items],
            "group": [groups[text.number] for text in items],
            "document": [None if text.document is None else _spelled(text.document) for text in items],
            "source": [_spelled(text.source) for text in items],
            "line": [text.line for text in items],
            "content": [text.content for text in items],
        },
        schema=TEXTS,
    )


def _spelled(name: str) -> str:
    """A name for Parquet, which has UTF-8 only: a byte of a file's name that is none is escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def tokens(
    frame: ShardFrame, found: Sequence[tuple[Token, str | None, WordClass]], frequencies: NDArray[np.int64]
) -> pa.Table:
    """One row for each token of the frame."""
    numbers = np.array([text.number for text in frame.texts])
    ids = np.array([token.id for token, _, _ in found])
    classes = np.array([WORD_CLASSES.index(word_class) for _, _, word_class in found])
    columns = [
        numbers[frame.text.numpy()],
        frame.position.numpy(),
        ids,
        [token.label for token, _, _ in found],
        [tag for _, tag, _ in found],
        _named(classes, WORD_CLASSES),
        frequencies[ids],
        _listed(frame.asked, pa.int32(), frame.asked < 0),
    ]
    found = _table(TOKENS, columns)
    if frame.matched is None:
        return found
    return _beside(found, MATCHED_TOKENS, [_listed(frame.matched, pa.int32(), frame.matched < 0)])


def bank(plan: BankPlan) -> pa.Table:
    """One row for each output of the bank."""
    return _table(BANK, [plan.stratum, plan.document, plan.text, plan.position])


def matched_bank(genres: Genres) -> pa.Table:
    """One row for each output of the bank of genres."""
    assert genres.bank is not None, "it is written where there is one"
    return bank(genres.bank).append_column("genre", pa.array(genres.of.tolist(), pa.string()))


def patterns(frame: ShardFrame, layer: int, mask: str, figures: Tensor) -> pa.Table:
    """One row for each token and head, of figures float32 [figure, token, head]; nan becomes null."""
    heads = figures.shape[2]
    return _table(
        PATTERNS,
        [*_keys(frame, layer, heads), _same(mask, len(frame) * heads), *(_flat(figure) for figure in figures)],
    )


def rows(
    frame: ShardFrame, layer: int, space: str, reference: str | None, metric: str, mask: str, found: Compared
) -> pa.Table:
    """One row for each token and head."""
    heads = found.nearest.shape[1]
    count = len(frame) * heads
    own = _order(found.own_rank)
    rank, inside, *signals = _of_chance(found.chance)
    within, even = found.within, found.even
    told = _table(
        ROWS,
        [
            *_keys(frame, layer, heads),
            *(_same(value, count) for value in (space, reference, metric, mask)),
            np.full(count, found.candidates),
            pa.array(own, pa.int32(), mask=own == 0),
            _flat(found.own_distance),
            _order(found.nearest),
            _flat(found.distance),
            _named(_order(frame.kinds(found.nearest)), KINDS),
            _order(frame.in_text(found.nearest)),
            rank,
            inside,
            *signals,
            *(_flat(one.T) for one in (within.others, within.carry, within.ceiling)),
            *(_flat(one.T) for one in (even.own, even.others, even.carry)),
        ],
    )
    if found.matched is None:
        return told
    return _beside(told, MATCHED_ROWS, _of_chance(found.matched))


def _of_chance(found: ByChance) -> list[pa.Array]:
    """Own ranks and in-text of the outputs that are asked, and Signal: a row for each head and token."""
    rank, inside, none = (one.transpose(0, 1).flatten(0, 1) for one in (found.own_rank, found.in_text, found.none))
    return [
        _listed(rank, pa.int32(), rank == 0),
        _listed(inside, pa.bool_(), none),
        _flat(found.signal),
        _flat(found.signal_sized),
    ]


def stream(frame: ShardFrame, number: int, stage: Stage, mask: str, found: Walked) -> pa.Table:
    """One row for each token, at the stage of this number."""
    count = len(frame)

    def rank(values: Tensor) -> pa.Array:
        return pa.array(values.numpy(), pa.int32(), mask=values.numpy() == 0)

    told = _table(
        STREAM,
        [
            np.array([text.number for text in frame.texts])[frame.text.numpy()],
            frame.position.numpy(),
            np.full(count, number),
            pa.nulls(count, pa.int16()) if stage.layer is None else np.full(count, stage.layer),
            _same(stage.after, count),
            _same(mask, count),
            np.full(count, found.candidates),
            rank(found.rank[number]),
            *(_flat(values[number, :, None]) for values in (found.cosine, found.norm)),
            *(_flat(values[number, :, None]) for values in (found.overlap_before, found.overlap_input)),
            *_of_streams(found.chance, number),
        ],
    )
    return told if found.matched is None else _beside(told, MATCHED_STREAM, _of_streams(found.matched, number))


def _of_streams(found: StreamsByChance, number: int) -> list[pa.Array]:
    """Own ranks and cosines of the streams that are asked, at the stage of this number: a row for each token."""
    rank, cosine = found.rank[number], found.cosine[number]
    return [_listed(rank, pa.int32(), rank == 0), _listed(cosine, pa.float32(), cosine.isnan())]


def _keys(frame: ShardFrame, layer: int, heads: int) -> list[NDArray[np.int64]]:
    """text, position, layer, head of every row: head after head."""
    count = len(frame)
    numbers = np.array([text.number for text in frame.texts])[frame.text.numpy()]
    return [
        np.tile(numbers, heads),
        np.tile(frame.position.numpy(), heads),
        np.full(count * heads, layer),
        np.repeat(np.arange(heads), count),
    ]


def _order(values: Tensor) -> NDArray[Any]:
    """[token, head] as rows, head after head."""
    return values.T.contiguous().numpy().ravel()


def _listed(values: Tensor, of: pa.DataType, none: Tensor) -> pa.Array:
    """Lists [row, ASKED], with null where there is none."""
    flat = pa.array(values.contiguous().numpy().ravel(), of, mask=none.contiguous().numpy().ravel())
    return pa.FixedSizeListArray.from_arrays(flat, ASKED)


def _flat(values: Tensor) -> pa.Array:
    return pa.array(_order(values), pa.float32(), from_pandas=True)  # from_pandas: nan is null


def _same(value: str | None, count: int) -> pa.Array:
    if value is None:
        return pa.nulls(count, _LABEL)
    return _named(np.zeros(count, dtype=np.int8), (value,))


def _named(indices: NDArray[Any], names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int8)), pa.array(names))


def _beside(table: pa.Table, more: pa.Schema, columns: Sequence[Any]) -> pa.Table:
    """A table with more columns."""
    for field, column in zip(more, columns, strict=True):
        table = table.append_column(field, column)
    return table


def _table(schema: pa.Schema, columns: Sequence[Any]) -> pa.Table:
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
