"""Every head of a text in five numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.question.stopping import stop_point
from headscope.reading.answer import SCHEMA, Answer, numbers
from headscope.reading.captured import Captured
from headscope.reading.layer_records import GlanceHeadRecord, GlanceRecord
from headscope.reading.patterns import pattern_figures
from headscope.show.heat import grounded
from headscope.show.sheet import Cell, Sheet, head_rows

_COLUMNS = (
    Cell("entropy", measure="entropy", says="of the pattern, in nats: 0 is one position alone"),
    Cell("own", measure="on_own", says="share of the attention on the own position"),
    Cell("previous", measure="on_previous", says="share of the attention on the position before"),
    Cell("special", measure="on_special", says="share of the attention on special tokens"),
    Cell("‖W_O z‖", measure="strength", says="length of what the head writes"),
)


@dataclass(frozen=True, repr=False, eq=False)
class Glance(Answer):
    """Every head of a text in five numbers, each [layer, head], over the tokens that are no special ones.

    `entropy` of the pattern in nats; the share `on_own` position, `on_previous` (of the tokens that have one before
    them; nan where none has), on all `on_special` tokens; `strength` |W_O z|.

    >>> found = Glance(*torch.tensor([1.5, 0.25, float("nan"), 0.75, 2.0]).view(5, 1, 1), notes=())
    >>> print(str(found).splitlines()[3])
    L0H0   1.500  0.250        –   0.750   2.000
    """

    entropy: Tensor
    on_own: Tensor
    on_previous: Tensor
    on_special: Tensor
    strength: Tensor
    notes: tuple[str, ...]

    def rows(self) -> list[GlanceHeadRecord]:
        """One row for each layer and head; none where the text cannot tell."""
        heads = self.entropy.shape[1]
        return [
            {
                "layer": n // heads,
                "head": n % heads,
                "entropy": entropy,
                "on_own": own,
                "on_previous": previous,
                "on_special": special,
                "strength": strength,
            }
            for n, (entropy, own, previous, special, strength) in enumerate(
                zip(*(numbers(figure.flatten()) for figure in self._figures()), strict=True)
            )
        ]

    def to_dict(self) -> GlanceRecord:
        """One record for each layer and head, ready for JSON; null where the text cannot tell."""
        return {"schema": SCHEMA, "notes": list(self.notes), "heads": self.rows()}

    def sheets(self) -> tuple[Sheet, ...]:
        """Heads × numbers; the grounds compare the heads."""
        columns = (grounded(figure.flatten().tolist()) for figure in self._figures())
        return (
            Sheet(
                "glance",
                "Every head of the text, the mean over its tokens that are no special ones",
                _COLUMNS,
                head_rows(self.entropy.shape[1], *columns),
                stub="head",
                legend=(
                    "Entropy of the pattern in nats; share of the attention on the own position, the previous one, "
                    "special tokens; ‖W_O z‖: how much is written.",
                ),
                notes=self.notes,
                figure="cells",
            ),
        )

    def _figures(self) -> tuple[Tensor, ...]:
        return self.entropy, self.on_own, self.on_previous, self.on_special, self.strength


def glance(captured: Captured) -> Glance:
    """See `Glance`."""
    captured.bench.check()
    special = torch.tensor([token.special for token in captured.tokens])
    ours = ~special if not special.all() else special
    parts: list[list[Tensor]] = [[] for _ in range(5)]
    for layer in range(len(captured.z)):
        stop_point()
        pattern = captured.pattern_of(layer)  # (H, Q, S)
        strength = torch.einsum("shd,hdm->hsm", captured.z[layer], captured.bench.w_o(layer)).norm(dim=-1)  # (H, Q)
        for part, values in zip(parts, (*pattern_figures(pattern, special), strength), strict=True):
            part.append(values[:, ours].nanmean(-1))
    entropy, own, previous, on_special, strength = (torch.stack(part) for part in parts)
    return Glance(entropy, own, previous, on_special, strength, captured.notes)
