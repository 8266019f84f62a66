"""What becomes of every token on its way up: its residual stream against its own input embedding, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import log
from typing import Any, NamedTuple

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.model.capture.runner import Text
from headscope.model.feed.alone import frame_of
from headscope.model.tokens import Token
from headscope.question import notes
from headscope.reading.answer import SCHEMA, Answer, Record, numbers, token_at, token_record
from headscope.reading.captured import Captured
from headscope.reading.layer_records import JourneyRecord, PlotRecord
from headscope.reading.stream import joined, ranks_alone, stages_of, streams, walk
from headscope.reading.words import WordClass, word_classes
from headscope.show.heat import grounded, heat
from headscope.show.numbers import distance
from headscope.show.sheet import Cell, Row, Sheet

_WORDS: dict[WordClass, str] = {
    "content": ", a content word",
    "function": ", a function word",
    "punctuation": ", punctuation",
    "other": "",
}

_PLOTS: dict[str, PlotRecord] = {
    "own_rank": {
        "name": "Rank of the own input embedding",
        "says": "Among the whole vocabulary, by cosine; 1 is the nearest. A logarithmic scale.",
        "log": True,
    },
    "isolated_rank": {
        "name": "Rank of the same token read alone",
        "says": "Among the whole vocabulary read alone, at the same stage, by cosine; 1: it is still nearest to "
        "itself. A logarithmic scale.",
        "log": True,
    },
    "own_cosine": {
        "name": "Cosine to the own input embedding",
        "says": "1 is the same direction: the token is still what it was.",
        "log": False,
    },
    "isolated_cosine": {
        "name": "Cosine to the same token read alone",
        "says": "The same stage of a text that has no other token: what is below 1 came from this text.",
        "log": False,
    },
    "norm": {"name": "Length of the residual stream", "says": "A logarithmic scale.", "log": True},
    "overlap": {
        "name": "Neighbours kept",
        "says": "How many of the nearest vocabulary tokens a stage has in common with the one before.",
        "log": False,
    },
}


@dataclass(frozen=True, repr=False, eq=False)
class Journey(Answer):
    """Every token's residual stream against its own input embedding, stage by stage.

    Stage 0 is block 0's input, stage 2l + 1 the stream after layer l's attention and residual, 2l + 2 after the whole
    layer. own_rank [stage, position] among the vocabulary by cosine; own_cosine, norm [stage, position];
    isolated_cosine [stage, position] with the same stage of the token read alone; overlap [stage − 1, position], the
    share of the k nearest vocabulary tokens that a stage has in common with the one before. word_classes: content,
    function, punctuation or other, for each token, by `reading.words`. norms_input: whether the input embedding has
    gone through a norm of the model, as block 0 gets it. isolated_rank [stage, position]: of the own token's stream
    read alone among those of the whole vocabulary at the same stage, by cosine; None where it was not asked for.
    """

    tokens: tuple[Token, ...]
    word_classes: tuple[WordClass, ...]
    stages: tuple[str, ...]
    own_rank: Tensor
    own_cosine: Tensor
    isolated_cosine: Tensor
    norm: Tensor
    overlap: Tensor
    k: int
    use_position: bool
    norms_input: bool
    notes: tuple[str, ...]
    isolated_rank: Tensor | None = None

    def rows(self) -> list[Record]:
        """One row for each token and stage: position, id, token, label, special, word_class, stage, the six numbers."""
        return [
            {
                "position": token["position"],
                "id": token["id"],
                "token": token["text"],
                "label": token["label"],
                "special": token["special"],
                "word_class": token["word_class"],
                "stage": stage,
                "own_rank": token["own_rank"][n],
                "own_cosine": token["own_cosine"][n],
                "isolated_rank": None if token["isolated_rank"] is None else token["isolated_rank"][n],
                "isolated_cosine": token["isolated_cosine"][n],
                "norm": token["norm"][n],
                "overlap": token["overlap"][n - 1] if n else None,
            }
            for token in self.to_dict()["tokens"]
            for n, stage in enumerate(self.stages)
        ]

    def to_dict(self) -> JourneyRecord:
        """Every stage of every token, ready for JSON."""
        return {
            "schema": SCHEMA,
            "stages": list(self.stages),
            "use_position": self.use_position,
            "norms_input": self.norms_input,
            "k": self.k,
            "notes": list(self.notes),
            "plots": {name: plot for name, plot in _PLOTS.items() if getattr(self, name) is not None},
            "tokens": [
                {
                    **token_record(token),
                    "word_class": self.word_classes[n],
                    "own_rank": self.own_rank[:, n].tolist(),
                    "own_cosine": numbers(self.own_cosine[:, n]),
                    "isolated_rank": None if self.isolated_rank is None else self.isolated_rank[:, n].tolist(),
                    "isolated_cosine": numbers(self.isolated_cosine[:, n]),
                    "norm": numbers(self.norm[:, n]),
                    "overlap": numbers(self.overlap[:, n]),
                }
                for n, token in enumerate(self.tokens)
            ],
        }

    def plotted(self) -> Mapping[str, Any]:
        """The plots of every measure."""
        return {"kind": "journey", **self.to_dict()}

    def sheets(self) -> tuple[Sheet, ...]:
        """Tokens × stages, a sheet a number; the ranks are figures."""
        heads = [
            Cell(f"{token.position} {token.label}", beside=kind, position=token.position)
            for token, kind in zip(self.tokens, self.word_classes, strict=True)
        ]
        sheets = [
            Sheet(
                one.name,
                one.title + one.more,
                tuple(map(_short, self.stages)),
                heat(heads, one.values.T.tolist(), one.written, one.size),
                stub="token, word",
                figure="cells" if one.size is _far else None,
            )
            for one in self._measures()
        ]
        return (*sheets[:-1], replace(sheets[-1], notes=self.notes))

    def of(self, position: int) -> Sheet:
        """Stages × numbers of the token at a position; InputError where the text has none such."""
        own, measures = token_at(self.tokens, position), self._measures()
        columns = [grounded(one.values[:, own.position].tolist(), one.written, one.size) for one in measures]
        return Sheet(
            "journey",
            f"{own.position} {own.label}{_WORDS[self.word_classes[own.position]]}: stage by stage",
            tuple(one.title for one in measures),
            tuple(
                Row(Cell(stage), cells) for stage, cells in zip(self.stages, zip(*columns, strict=True), strict=True)
            ),
            stub="stage",
            notes=self.notes,
        )

    def _measures(self) -> list[_Measure]:
        where = "at its position" if self.use_position else "without a position"
        first = torch.full_like(self.norm[:1], torch.nan)  # has no stage before it
        overlap = torch.cat([first, self.overlap])
        kept = f"Neighbours kept (of {self.k})"
        told = [
            _Measure("own_rank", "Rank of the own input embedding", f" ({where}), by cosine", self.own_rank, *_RANK)
        ]
        if self.isolated_rank is not None:
            among = ", among the vocabulary read alone"
            alone = "Rank of the same token read alone"
            told.append(_Measure("isolated_rank", alone, among, self.isolated_rank, *_RANK))
        return [
            *told,
            _Measure("own_cosine", "Cosine to the own input embedding", "", self.own_cosine),
            _Measure("isolated_cosine", "Cosine to the same token read alone", "", self.isolated_cosine),
            _Measure("norm", "Norm of the residual stream", "", self.norm),
            _Measure("overlap", kept, ": the share of the nearest tokens in common with the stage before", overlap),
        ]


class _Measure(NamedTuple):
    """A number of every token and stage: what it is called, what a caption says more, and how it is written."""

    name: str
    title: str
    more: str
    values: Tensor  # [stage, position]
    written: Callable[[float], str] = distance
    size: Callable[[float], float] = abs


def _far(rank: float) -> float:
    """How far a rank is from the first, in orders of magnitude."""
    return log(max(rank, 1))


_RANK = ("{:,}".format, _far)


@alone()
def journey(captured: Captured, k: int, position: bool, isolated: bool) -> Journey:
    """See `Journey`; k is for the overlap, `isolated` asks for its rank, which the streams on disk are needed for."""
    k, bench = captured.bench.count(k), captured.bench
    if isolated:
        bench.isolate(what="streams")
    tokens = captured.tokens
    stream = joined(captured.stages)  # (stage, S, d_model)
    use_position = position and captured.vocabulary.has_positions
    ids = torch.tensor([token.id for token in tokens])
    spots = [captured.stands(position, use_position) for position in range(len(tokens))]
    found = walk(captured.vocabulary, stream, ids, spots, k=k)
    normed = bench.opened.feed.norms_input
    if isolated:
        about_rank = notes.ranked_alone(captured.mask, captured.input.context is not None)
    else:
        about_rank = notes.no_rank_alone(captured.vocabulary.size, bench.isolated.streams.nbytes)
    return Journey(
        tokens,
        word_classes(captured.text, tokens),
        tuple(stage.label for stage in stages_of(len(captured.z))),
        found.rank,
        found.cosine,
        torch.nn.functional.cosine_similarity(stream.double(), _alone(captured).double(), dim=-1).float(),
        found.norm,
        found.overlap_before,
        k,
        use_position,
        normed,
        (*captured.notes, *about_rank, notes.input_embedding(normed, position, use_position)),
        ranks_alone(captured.vocabulary, stream, ids) if isolated else None,
    )


def _alone(captured: Captured) -> Tensor:
    """The same stages of every token read alone: [stage, position, d_model]."""
    ids = sorted({token.id for token in captured.tokens})
    frame = frame_of(captured.bench.opened)
    texts = [Text(frame.around(id), context=captured.input.context) for id in ids]
    alone = streams(captured.bench.opened, texts)
    streams_alone = torch.stack([one[:, frame.position] for one in alone], 1)  # (stage, id, d_model)
    which = torch.tensor([ids.index(token.id) for token in captured.tokens])
    chosen: Tensor = streams_alone.index_select(1, which)
    return chosen


def _short(stage: str) -> str:
    """A stage's name in six characters.

    >>> [_short(stage) for stage in ("input", "L0 attention", "L11 layer")]
    ['input', 'L0 att', 'L11']
    """
    return stage.replace(" attention", " att").removesuffix(" layer")
