"""How much of every layer's output comes from other positions, from bare weights to what leaves the norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.model.tokens import Token
from headscope.question import notes
from headscope.question.meanings import MIXING
from headscope.question.stopping import stop_point
from headscope.reading.answer import SCHEMA, Answer, Record, numbers, token_at, token_record
from headscope.reading.captured import Captured
from headscope.reading.layer_records import MixingRecord
from headscope.show.heat import grounded, heat
from headscope.show.living import Axis, SheetPlace
from headscope.show.sheet import Cell, Row, Sheet, head_rows

_NAMES = {
    "weights": "weights",
    "norms": "norms",
    "norms_all": "all heads",
    "residual": "+ residual",
    "layernorm": "+ LayerNorm",
}


@dataclass(frozen=True, repr=False, eq=False)
class Mixing(Answer):
    """How much of a layer's output comes from other positions (Kobayashi et al. 2021, arXiv 2109.07152).

    The ratio |mixing| / (|mixing| + |preserving|), between 0 and 1. `weights` [layer, head, position]: bare attention
    weights. `norms` [layer, head, position]: norms of the transformed values α f(x), f(x) = W_O v. For all heads of a
    layer together, [layer, position]: `norms_all`; `residual`, with the stream that is added (nan where a norm of its
    own comes before the sum); `layernorm`, with the norm of the sum after it (nan in models that have none there).
    """

    tokens: tuple[Token, ...]
    weights: Tensor
    norms: Tensor
    norms_all: Tensor
    residual: Tensor
    layernorm: Tensor
    notes: tuple[str, ...]

    def means(self) -> dict[str, Tensor]:
        """The mean ratio of every layer by kind, over the tokens (and the heads, where each has one): [layer]."""
        return {kind: ratios.flatten(1).mean(1) for kind, ratios in self._kinds().items()}

    def rows(self) -> list[Record]:
        """One row for each layer, kind, head (none for what all heads write together) and token: the ratio."""
        return [
            {
                "layer": layer,
                "kind": kind,
                "head": head,
                "position": token.position,
                "token": token.text,
                "ratio": ratio,
            }
            for layer in range(len(self.norms_all))
            for kind, ratios in self._kinds().items()
            for head, of_tokens in (enumerate(ratios[layer]) if ratios.dim() == 3 else [(None, ratios[layer])])
            for token, ratio in zip(self.tokens, numbers(of_tokens), strict=True)
        ]

    def to_dict(self) -> MixingRecord:
        """The ratios of every layer and position, and per head, ready for JSON; null where there is none."""
        means = {kind: numbers(values) for kind, values in self.means().items()}
        return {
            "schema": SCHEMA,
            "tokens": [token_record(token) for token in self.tokens],
            "notes": list(self.notes),
            "kinds": [{"kind": kind, "name": _NAMES[kind], "says": says} for kind, says in MIXING.items()],
            "layers": [
                {
                    "layer": layer,
                    "means": {kind: values[layer] for kind, values in means.items()},
                    "norms_all": numbers(self.norms_all[layer]),
                    "residual": numbers(self.residual[layer]),
                    "layernorm": numbers(self.layernorm[layer]),
                    "heads": [
                        {"head": head, "weights": numbers(weights), "norms": numbers(norms)}
                        for head, (weights, norms) in enumerate(
                            zip(self.weights[layer], self.norms[layer], strict=True)
                        )
                    ],
                }
                for layer in range(len(self.norms_all))
            ],
        }

    def plotted(self) -> Mapping[str, Any]:
        """The plots of all layers."""
        return {"kind": "mixing", **self.to_dict()}

    def sheets(self) -> tuple[Sheet, ...]:
        """Layers × kinds: the mean over the tokens."""
        what = "Mixing: how much of a layer's output comes from other positions (mean over the tokens)"
        return (self._sheet("mixing", what, _layers(self.means())),)

    def sheets_at(self, position: int) -> tuple[Sheet, ...]:
        """Layers × kinds at a position, each with the mean over the tokens beside it; of the heads it is their mean."""
        own = token_at(self.tokens, position)
        here = {
            kind: (ratios.mean(1) if ratios.dim() == 3 else ratios)[:, own.position]
            for kind, ratios in self._kinds().items()
        }
        rows = []
        for row, means in zip(_layers(here), _layers(self.means()), strict=True):
            both = zip(row.cells, means.cells, strict=True)
            cells = tuple(cell._replace(beside=f"mean {mean.number}") for cell, mean in both)
            rows.append(replace(row, cells=cells))
        what = f"Mixing: how much of a layer's output at {own.position} {own.label} comes from other positions"
        return (self._sheet("mixing_at", f"{what}, and the mean over the tokens", rows),)

    laid_by: ClassVar[tuple[Axis, ...]] = ("token",)

    def sheets_of(self, place: SheetPlace) -> tuple[Sheet, ...]:
        """At the token that is selected."""
        return self.sheets_at(place.token)

    def by_head(self, position: int) -> Sheet:
        """Heads × what each mixes at a position, by weights and by norms; it stands beside others of every head."""
        own = token_at(self.tokens, position)
        told = {
            "weights": "how much comes from other positions at the selected token, by bare weights",
            "norms": "the same by the length of what the weights let through",
        }
        return Sheet(
            "mixing_by_head",
            f"mixing at {own.position} {own.label}",
            tuple(Cell(f"mixed, by {kind}", measure=kind, says=says) for kind, says in told.items()),
            head_rows(
                self.weights.shape[1],
                *(grounded(self._kinds()[kind][..., own.position].flatten().tolist()) for kind in told),
            ),
            stub="head",
            notes=self.notes,
            figure="cells",
        )

    def _sheet(self, name: str, caption: str, rows: Sequence[Row]) -> Sheet:
        return Sheet(
            name,
            caption,
            tuple(Cell(_NAMES[kind], says=says) for kind, says in MIXING.items()),
            tuple(rows),
            stub="layer",
            legend=tuple(f"{_NAMES[kind]}: {says}" for kind, says in MIXING.items()),
            notes=self.notes,
            figure="cells",
        )

    def _kinds(self) -> dict[str, Tensor]:
        return {kind: getattr(self, kind) for kind in _NAMES}


def _layers(ratios: Mapping[str, Tensor]) -> tuple[Row, ...]:
    """A row a layer, of ratios [layer] by kind.

    >>> [row] = _layers({"weights": torch.tensor([0.5]), "layernorm": torch.tensor([torch.nan])})
    >>> [cell.number for cell in row.cells]
    ['50.0%', '–']
    """
    by_layer = torch.stack([*ratios.values()], 1).tolist()
    return heat([Cell(str(layer)) for layer in range(len(by_layer))], by_layer, "{:.1%}".format)


@alone()
def mixing(captured: Captured) -> Mixing:
    """See `Mixing`."""
    captured.bench.check()
    weights: list[Tensor] = []
    norms: list[Tensor] = []
    together: list[Tensor] = []
    residual: list[Tensor] = []
    layernorm: list[Tensor] = []
    for layer, stages in enumerate(captured.stages):
        stop_point()
        pattern = captured.pattern_of(layer).double()  # (H, Q, S)
        own = pattern.diagonal(dim1=1, dim2=2)  # (H, Q)
        total = pattern.sum(-1).clamp_min(torch.finfo(torch.float64).tiny)
        weights.append(1 - own / total)
        written = torch.einsum(
            "shd,hdm->hsm", captured.vectors("v", layer).double(), captured.bench.w_o(layer).double()
        )
        kept = own[..., None] * written  # (H, Q, d_model)
        mixed = pattern @ written - kept
        norms.append(_ratio(mixed, kept))
        mixed, kept = mixed.sum(0), kept.sum(0)  # (Q, d_model)
        together.append(_ratio(mixed, kept))
        unknown = torch.full_like(mixed[:, 0], torch.nan)
        if stages.factor is None:
            residual.append(unknown)
            layernorm.append(unknown)
            continue
        mixed, kept = stages.factor * mixed[None], stages.factor * kept[None] + stages.before.double()
        residual.append(_ratio(mixed, kept)[0])
        layernorm.append(unknown if stages.norm is None else _ratio(stages.norm(mixed), stages.norm(kept))[0])
    told = [*captured.notes]
    if all(stages.factor is None for stages in captured.stages):
        told.append(notes.no_residual_ratio())
    elif all(stages.norm is None for stages in captured.stages):
        told.append(notes.no_layernorm_ratio())
    return Mixing(
        captured.tokens,
        weights=torch.stack(weights).float(),
        norms=torch.stack(norms).float(),
        norms_all=torch.stack(together).float(),
        residual=torch.stack(residual).float(),
        layernorm=torch.stack(layernorm).float(),
        notes=tuple(told),
    )


def _ratio(mixed: Tensor, kept: Tensor) -> Tensor:
    sizes = mixed.norm(dim=-1), kept.norm(dim=-1)
    ratio: Tensor = sizes[0] / (sizes[0] + sizes[1]).clamp_min(torch.finfo(torch.float64).tiny)
    return ratio
