"""What is written where: how near every output of a layer's heads is to every token of its text, beside attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from headscope.inference.estimates import number
from headscope.inference.ranks import auc
from headscope.model.tokens import Token
from headscope.question import notes
from headscope.question.given import number as one_of_many
from headscope.question.question import Question
from headscope.reading.answer import SCHEMA, Answer, Record, choices, drawings, question_record
from headscope.reading.attention import named_places, veiled
from headscope.reading.captured import Captured
from headscope.reading.finding import finder
from headscope.reading.records import WrittenFiguresRecord, WrittenHeadRecord, WrittenRecord
from headscope.reading.within import Shown, counting, shown
from headscope.show.heat import heat
from headscope.show.living import Axis, SheetPlace
from headscope.show.sheet import Cell, Row, Sheet, of_heads

_DIGITS = 7  # what tells two ranks apart in any vocabulary, and no more
# Of a head, over the text: its name, what it is of what is measured within the text, how it is written, what it says.
_FIGURES: tuple[tuple[str, Callable[[Shown], Tensor], str, str], ...] = (
    ("Own within the text", lambda one: one.own - one.others, "+.3f", "own less others"),
    ("own", lambda one: one.own, ".3f", "AUC of the own token"),
    ("others", lambda one: one.others, ".3f", "AUC of the same token under other positions that may see it"),
    ("Carry", lambda one: one.carry, "+.3f", "mean AUC by attention weight less the plain mean"),
    ("ceiling", lambda one: one.ceiling, ".3f", "the largest that Carry could be"),
)
_LEAD = (
    "Means over the text’s ordinary positions and the tokens that occur once in it. They describe this text and prove "
    "nothing: a head that mixes mostly has a Carry above 0, an untrained one too. What they mean shows against even "
    "attention and untrained networks, over many texts (headscope survey).",
)
_LEGEND = "AUC: .5 for a token that could stand anywhere among the vocabulary, 1 for the nearest of all."


@dataclass(frozen=True, repr=False, eq=False)
class Written(Answer):
    """For each head of a layer, AUC_ij = 1 − (r − 1)/(V − 1), r the rank of token j under the output at position i.

    `auc` float32 [head, position, token], nan where a token's encoding is not finite; `pattern` [head, query, source],
    the attention weights; `visible` bool [query, source], what each position may see. `within`: how far own and
    attended tokens are told from others, [head, position] each, nan where nothing is to be told. `candidates`: V.
    `head`: whose matrices are laid out.
    """

    question: Question
    tokens: tuple[Token, ...]
    auc: Tensor
    pattern: Tensor
    visible: Tensor
    within: Shown
    candidates: int
    head: int
    notes: tuple[str, ...]

    def means(self) -> dict[str, Tensor]:
        """The figures of every head, each the mean over the positions that have it: [head], nan where none has."""
        return {name: of(self.within).nanmean(-1) for name, of, *_ in _FIGURES}

    def rows(self) -> list[Record]:
        """One row for each head, position and token: their AUC, the weight, and whether the position may see it."""
        return [
            {
                "head": head,
                "position": at.position,
                "at": at.text,
                "token_position": of.position,
                "token": of.text,
                "auc": number(auc),
                "weight": weight,
                "visible": seen,
            }
            for head, (aucs, weights) in enumerate(zip(self.auc.tolist(), self.pattern.tolist(), strict=True))
            for at, *rows in zip(self.tokens, aucs, weights, self.visible.tolist(), strict=True)
            for of, auc, weight, seen in zip(self.tokens, *rows, strict=True)
        ]

    def to_dict(self) -> WrittenRecord:
        """What is written where, ready for JSON; null where there is no number."""
        means = {name: values.tolist() for name, values in self.means().items()}
        heads: list[WrittenHeadRecord] = [
            {
                "head": head,
                "auc": _rounded(self.auc[head]),
                "pattern": _rounded(self.pattern[head]),
                "own": _row(self.within.own[head]),
                "others": _row(self.within.others[head]),
                "carry": _row(self.within.carry[head]),
                "ceiling": _row(self.within.ceiling[head]),
                "mean": _mean({name: values[head] for name, values in means.items()}),
            }
            for head in range(len(self.auc))
        ]
        return {
            "schema": SCHEMA,
            **question_record(self.question),
            "notes": list(self.notes),
            "vocabulary": self.candidates,
            "visible": self.visible.tolist(),
            "head": self.head,
            "heads": heads,
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """The figures of every head; and of one, positions × tokens twice: what is written, what was attended."""
        return self._figures(), self._auc(), self._weights()

    laid_by: ClassVar[tuple[Axis, ...]] = ("head",)

    def of(self, head: int | None) -> Written:
        """The same, laid out by the matrices of a head; None: as it is. InputError where there is no such head."""
        return self if head is None else replace(self, head=_one_of(head, len(self.auc)))

    def sheets_of(self, place: SheetPlace) -> tuple[Sheet, ...]:
        """The matrices of the head that is selected."""
        return self.of(place.head).sheets()

    @property
    def head_shown(self) -> int:
        """The head whose matrices are laid out."""
        return self.head

    def figures(self) -> Mapping[str, Callable[[], bytes]]:
        """The two matrices of the head side by side."""
        one, other = self._auc(), self._weights()
        rows = zip(one.rows, other.rows, strict=True)
        both = Sheet(
            "written",
            f"{self._of_head}: what is written where | what was attended · {choices(self.question)}",
            (*one.columns, *other.columns),
            tuple(Row(left.head, (*left.cells, *right.cells)) for left, right in rows),
            stub="position",
            legend=one.legend,
            together=len(self.tokens),
            figure="cells",
            over=(Cell("AUC"), Cell("weight")),
        )
        return drawings([both])

    @property
    def title(self) -> str:
        """What the answer is, in a line."""
        return f"{self._of_head}: what is written where, beside what was attended"

    @property
    def _of_head(self) -> str:
        return f"L{self.question.layer}H{self.head}"

    def _figures(self) -> Sheet:
        rows = (
            Row(Cell(name, says=says), tuple(_figure(value, how) for value in of(self.within).nanmean(-1).tolist()))
            for name, of, how, says in _FIGURES
        )
        return Sheet(
            "within",
            f"Layer {self.question.layer}: own and attended tokens within the text · {choices(self.question)}",
            of_heads(len(self.auc)),
            tuple(rows),
            stub="mean AUC",
            lead=_LEAD,
            notes=self.notes,
        )

    def _auc(self) -> Sheet:
        heads = named_places(self.tokens, None)
        cells = heat(heads, self.auc[self.head].tolist(), "{:.3f}".format, lambda auc: max(0.0, 2 * auc - 1))
        return Sheet(
            "written",
            f"{self._of_head}, what is written where: AUC; rows: position, columns: token",
            tuple(named_places(self.tokens, None, "AUC")),
            tuple(self._veiled(cells)),
            stub="position",
            legend=(_LEGEND,),
        )

    def _weights(self) -> Sheet:
        cells = heat(named_places(self.tokens, None), self.pattern[self.head].tolist(), "{:.3f}".format)
        return Sheet(
            "attended",
            f"{self._of_head}, what was attended: weight; rows: position, columns: token",
            tuple(named_places(self.tokens, None, "weight")),
            tuple(veiled(cells, self.visible.tolist())),
            stub="position",
        )

    def _veiled(self, rows: tuple[Row, ...]) -> Iterator[Row]:
        """The rows, where what a position may not see says so."""
        for row, seen in zip(rows, self.visible.tolist(), strict=True):
            cells = (
                cell if sees else cell._replace(says=notes.HIDDEN) for cell, sees in zip(row.cells, seen, strict=True)
            )
            yield replace(row, cells=tuple(cells))


def written(captured: Captured, asked: Question, head: int | None) -> Written:
    """See `Reading.written`."""
    search, bench = finder(captured, asked), captured.bench
    layer = search.question.layer
    assert layer is not None, "it is of one layer"
    chosen = None if head is None else _one_of(head, captured.z.shape[2])
    ids, back = torch.tensor([token.id for token in captured.tokens]).unique(return_inverse=True)
    ranks, source, candidates = search.ranks(layer, ids)
    bench.vouch(ids)
    ranks = ranks[..., back].movedim(1, 0)  # (H, S, S)
    aucs = torch.where(ranks > 0, auc(ranks.double(), candidates), torch.nan).float()
    pattern, sees = captured.attended(layer)
    ordinary = torch.tensor([not token.special for token in captured.tokens])
    within = shown(aucs, pattern, sees, counting(captured.tokens), ordinary)
    if chosen is None:
        chosen = int(within.carry.nanmean(-1).nan_to_num(-torch.inf).argmax())
    masked = () if bool(sees.all()) else (notes.hidden(),)
    alike = (ranks == 0).flatten(1).all(1).nonzero().squeeze(1).tolist()
    return Written(
        question=search.question,
        tokens=captured.tokens,
        auc=aucs,
        pattern=pattern,
        visible=sees,
        within=within,
        candidates=candidates,
        head=chosen,
        notes=(*search.notes(source, asked), *notes.nothing_near(layer, alike), *masked),
    )


def _one_of(head: int, heads: int) -> int:
    return one_of_many(head, range(heads), f"there is no head {head!r}; the layer's heads are 0 to {heads - 1}.")


def _figure(value: float, how: str) -> Cell:
    return Cell(number=format(value, how), value=value) if value == value else Cell(number="–")


def _row(values: Tensor) -> list[float | None]:
    return [number(round(value, _DIGITS)) for value in values.tolist()]


def _rounded(matrix: Tensor) -> list[list[float | None]]:
    return [_row(values) for values in matrix]


def _mean(of_head: Mapping[str, float]) -> WrittenFiguresRecord:
    told = {name: number(round(value, _DIGITS)) for name, value in of_head.items()}
    return {
        "own_within": told["Own within the text"],
        "own": told["own"],
        "others": told["others"],
        "carry": told["Carry"],
        "ceiling": told["ceiling"],
    }
