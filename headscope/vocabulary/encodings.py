"""Encodings of every vocabulary token at a layer and a position: closed form where it is proved, else the oracle."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from headscope.model.feed import Feed
from headscope.neighbors import Place, Table
from headscope.vocabulary import closed_form
from headscope.vocabulary.cache import ByteCache
from headscope.vocabulary.closed_form import ClosedForm, Motion, Stem

log = logging.getLogger(__name__)
TOLERANCE = 1e-5  # of the largest |v|: what float32 arithmetic in another order may differ by
_SAMPLE = 48

Way = Literal["closed form", "model"]


@dataclass(frozen=True)
class Encoded:
    """The vocabulary as one layer encodes it at one position: R[h, t] = scale[t] (rows[h, t] + shift[h]) + bias[h]."""

    table: Table
    place: Place
    way: Way
    error: float  # largest difference from the model's own values on a sample, relative to the largest |v|


@dataclass(frozen=True)
class _Proved:
    """Whether a layer's closed form agrees with the model, and what it is made of."""

    form: ClosedForm | None
    error: float

    @property
    def nbytes(self) -> int:
        return self.form.nbytes if self.form else 0


class Vocabulary:
    """Encodings of a model's whole vocabulary, made when first asked for and kept within `budget` bytes.

    `encoded(layer, position)` is what block `layer` makes of every token that arrives as block 0's input at
    `position`; position None leaves out what the model adds for positions. Layer 0 is the `input` reference,
    a head's own layer the `layer` reference.
    """

    def __init__(self, feed: Feed, budget: int) -> None:
        self.feed = feed
        self._cache = ByteCache(budget)
        self._owners: dict[int, int] = {}

    @property
    def has_positions(self) -> bool:
        """Whether the model adds something to its input for each position."""
        return bool(self.feed.positions.modules)

    @property
    def size(self) -> int:
        """How many ids the vocabulary has."""
        return self.feed.vocab_size

    @property
    def one_value_space(self) -> bool:
        """Whether all layers share their weights (ALBERT), and so their value space."""
        return len({block.module for block in self.feed.anatomy.blocks}) == 1

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._cache.nbytes

    def encoded(self, layer: int, position: int | None) -> Encoded:
        """The vocabulary at `layer` and `position`; ranks need no more than this."""
        if not self.has_positions:
            position = None
        proved = self._cache.get(("form", layer), lambda: self._prove(layer))
        if proved.form is None:
            table = self._cache.get(("model", layer, position), lambda: self._run(layer, position))
            return Encoded(table, Place.none, "model", 0.0)
        return Encoded(proved.form.table, self._place(proved.form, position), "closed form", proved.error)

    def _stem(self, owner: int) -> Stem:
        return self._cache.get(("stem", owner), lambda: closed_form.stem(self.feed, owner))

    def _owner(self, layer: int) -> int:
        """The layer whose stem this one shares: in most models, layer 0's."""
        if layer not in self._owners:
            self._owners[layer] = 0 if layer == 0 or closed_form.same_stem(self.feed, 0, layer) else layer
        return self._owners[layer]

    def _place(self, form: ClosedForm, position: int | None) -> Place:
        if not self.has_positions:
            return Place.none
        owner = self._owner(form.layer)
        motion = self._cache.get(("motion", owner, position), lambda: self._motion(owner, position))
        return self._cache.get(("place", form.layer, position), lambda: Place(motion.scale, form.shift(motion)))

    def _motion(self, owner: int, position: int | None) -> Motion:
        return closed_form.motion(self.feed, owner, self._stem(owner), self._model_place(position))

    def _model_place(self, position: int | None) -> tuple[Tensor, ...] | None:
        return None if position is None else self.feed.place(position)

    def _prove(self, layer: int) -> _Proved:
        """Build the closed form, and compare it with the model itself on random tokens and positions."""
        positioned = self._stem(self._owner(layer)) if self.has_positions else None
        form = closed_form.build(self.feed, layer, positioned)
        generator = torch.Generator().manual_seed(layer)
        size = min(_SAMPLE, self.feed.vocab_size)
        ids = torch.randperm(self.feed.vocab_size, generator=generator)[:size].to(self.feed.device)
        limit = self.feed.positions.limit or 1
        positions = [None, *sorted({0, 1, limit // 2, limit - 1} & set(range(limit)))] if self.has_positions else [None]
        worst = 0.0
        for position in positions:
            expected = self.feed.values(ids, layer, self._model_place(position))  # (token, kv_head, d_head)
            finite = expected.isfinite().all(-1).all(-1)
            got = _encode(form.table, self._place(form, position), ids)[finite]
            scale = expected[finite].abs().amax().clamp_min(1e-30)
            difference = float((got - expected[finite]).abs().amax() / scale)
            worst = max(worst, difference if difference == difference else float("inf"))
        if worst > TOLERANCE:
            log.info(
                "layer %d: the closed form misses the model by %.1e, so the model is run instead",
                layer,
                worst,
            )
            return _Proved(None, worst)
        return _Proved(form, worst)

    def _run(self, layer: int, position: int | None) -> Table:
        """The definition itself: every vocabulary id through the model."""
        ids = torch.arange(self.feed.vocab_size, device=self.feed.device)
        v = self.feed.values(ids, layer, self._model_place(position))  # (V, kv_head, d_head)
        rows = v.transpose(0, 1).contiguous()  # (kv_head, V, d_head)
        return Table.pack(rows, rows.new_zeros(rows.shape[0], rows.shape[2]))


def _encode(table: Table, place: Place, ids: Tensor) -> Tensor:
    """R of `ids` [token] in every head: float64 [token, kv_head, d_head]."""
    rows = table.rows[:, ids].double()  # (kv_head, token, d_head)
    if place.shift is not None:
        rows += place.shift.double()[:, None]
    if place.scale is not None:
        rows *= place.scale.double()[ids, None]
    return (rows + table.bias_at(place).double()[:, None]).transpose(0, 1)  # (token, kv_head, d_head)
