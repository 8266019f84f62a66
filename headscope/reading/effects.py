"""What each head matters: what the model's output at a token loses when the head's z is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.model.capture.edits import Edits
from headscope.model.tokens import Token
from headscope.question import notes
from headscope.question.choices import Replacement
from headscope.reading.answer import SCHEMA, Answer, numbers
from headscope.reading.captured import Captured
from headscope.reading.layer_records import EffectRecord, EffectsRecord
from headscope.reading.losses import kl, moved
from headscope.show.heat import grounded, heat
from headscope.show.sheet import Cell, Sheet, head_rows

_TEXTS, _TOKENS = 32, 4096  # copies of a text that run together, and their tokens
_SAYS = {
    "moved": "Moved: how far the last layer's output at {} moves, beside its own length",
    "kl": "KL: of the model's distribution at {} from what it was, in nats",
    "own_logit": "Own logit: what the token's own logit gains at {}",
}
_TITLES = {"moved": "moved", "kl": "KL", "own_logit": "own logit"}
_BY: dict[Replacement, str] = {"zero": "zeros", "mean": "its mean over the text"}


@dataclass(frozen=True, repr=False, eq=False)
class Effects(Answer):
    """What the model's output at a token loses when one head's z is replaced everywhere, [layer, head] each.

    `moved`: |f' − f| / |f|, f the last block's output there. `kl`, in nats, of the model's next or masked token, and
    `own_logit`, what the own token's logit gains: None where the model has no language-model head.
    """

    token: Token
    replaced_by: Replacement
    moved: Tensor
    kl: Tensor | None
    own_logit: Tensor | None
    notes: tuple[str, ...]

    def rows(self) -> list[EffectRecord]:
        """One row for each layer and head; what only a language-model head tells is left out where there is none."""
        heads = self.moved.shape[1]
        rows: list[EffectRecord] = [
            {"layer": n // heads, "head": n % heads, "moved": far}
            for n, far in enumerate(numbers(self.moved.flatten()))
        ]
        if self.kl is not None:
            for row, apart in zip(rows, numbers(self.kl.flatten()), strict=True):
                row["kl"] = apart
        if self.own_logit is not None:
            for row, gained in zip(rows, numbers(self.own_logit.flatten()), strict=True):
                row["own_logit"] = gained
        return rows

    def to_dict(self) -> EffectsRecord:
        """One record for each layer and head, ready for JSON."""
        return {
            "schema": SCHEMA,
            "selected": self.token.position,
            "replaced_by": self.replaced_by,
            "notes": list(self.notes),
            "heads": self.rows(),
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """Layers × heads, a sheet a number."""
        layers, heads = self.moved.shape
        sheets = [
            Sheet(
                name,
                f"{_SAYS[name].format(self._where)}, when a head's z is replaced by {_BY[self.replaced_by]}",
                tuple(f"head {head}" for head in range(heads)),
                heat([Cell(f"L{layer}") for layer in range(layers)], values.tolist()),
                figure="cells",
            )
            for name, values in self._told().items()
        ]
        return (*sheets[:-1], replace(sheets[-1], notes=self.notes))

    def by_head(self) -> Sheet:
        """Heads × what is lost without each; it stands beside others of every head."""
        told = self._told()
        return Sheet(
            "effects_by_head",
            f"effects at {self._where}, z replaced by {_BY[self.replaced_by]}",
            tuple(Cell(_TITLES[name], measure=name, says=_SAYS[name].format(self._where)) for name in told),
            head_rows(self.moved.shape[1], *(grounded(values.flatten().tolist()) for values in told.values())),
            stub="head",
            notes=self.notes,
            figure="cells",
        )

    @property
    def _where(self) -> str:
        return f"{self.token.position} {self.token.label}"

    def _told(self) -> dict[str, Tensor]:
        """What there is, by its name."""
        told = {"moved": self.moved, "kl": self.kl, "own_logit": self.own_logit}
        return {name: values for name, values in told.items() if values is not None}


@alone()
def effects(
    captured: Captured, position: int, replaced_by: Replacement, layers: Sequence[int] | None = None
) -> Effects:
    """See `Effects`: as many copies of the text as there are heads, in batches; `layers` None: of all of them."""
    captured.bench.check()
    tried, heads = range(captured.z.shape[0]) if layers is None else layers, captured.z.shape[2]
    edits: list[Edits] = [{}]
    edits += [{(layer, head): replaced_by} for layer in tried for head in range(heads)]
    own = captured.tokens[position].id
    moves, apart, own_logit = [], [], []
    first: tuple[Tensor, Tensor | None] | None = None
    together = max(1, min(_TEXTS, _TOKENS // len(captured.tokens)))
    for start in range(0, len(edits), together):
        texts = [replace(captured.input, edit={**captured.edit, **edit}) for edit in edits[start : start + together]]
        last, logits = (
            None if made is None else made[:, position].float().cpu() for made in captured.bench.opened.outputs(texts)
        )
        assert last is not None
        if first is None:
            first = last[0], None if logits is None else logits[0].double()
        moves.append(moved(first[0], last))
        if logits is not None and first[1] is not None:
            apart.append(kl(first[1], logits).float())
            if own < logits.shape[-1]:
                own_logit.append((logits[:, own] - first[1][own]).float())

    def by_head(parts: list[Tensor]) -> Tensor:
        return torch.cat(parts)[1:].view(len(tried), heads)  # the first was the text as it is

    return Effects(
        captured.tokens[position],
        replaced_by,
        by_head(moves),
        by_head(apart) if apart else None,
        by_head(own_logit) if own_logit else None,
        (*captured.notes, *_about_logits(bool(apart), bool(own_logit))),
    )


def _about_logits(any_logits: bool, own_logit: bool) -> tuple[str, ...]:
    if not any_logits:
        return (notes.no_logits(),)
    return () if own_logit else (notes.no_own_logit(),)
