"""Sums of any number of shards, put together: what statistics are made of, and what may be summed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.left_out import Jackknifed
from headscope.studies.survey.sums import CLASSES, Kind, Summed


@dataclass(frozen=True)
class PieceSums:
    """What one piece (see `pieces.Piece`) of some texts comes to: all its sums, and the candidates of its ranks."""

    candidates: int | None
    summed: Sequence[Summed]


class Totals:
    """Sums by name: what each head's tokens have [head, class], and counts [1, class].

    Each as it is and without each of so many groups, see `Jackknifed`. The same whatever order they came in: sums of a
    group are exact (sums.py), and what all groups come to is summed in the order of groups.
    """

    def __init__(self, groups: int) -> None:
        self._groups = groups
        self._own: dict[str, Array] = {}  # [head, class, group]
        self._lent: dict[str, Array] = {}  # what is gone with a group beside, since its texts lent it

    def add(self, one: Summed) -> None:
        """Add sums of some groups."""
        into = self._own if one.kind == "own" else self._lent
        heads, classes, _ = one.sums.shape
        if one.name not in into:
            into[one.name] = np.zeros((heads, classes, self._groups))
        elif heads > len(into[one.name]):  # a count that was the same in all heads so far
            into[one.name] = into[one.name].repeat(heads, axis=0)
        if len(one.where) == self._groups:  # all of them, in order: in place, without a copy
            into[one.name] += one.sums
        else:
            into[one.name][:, :, one.where] += one.sums

    def summed(self) -> Iterator[Summed]:
        """All of it, of the groups that have any."""
        kinds: tuple[tuple[Kind, dict[str, Array]], ...] = (("own", self._own), ("lent", self._lent))
        for kind, of in kinds:
            for name, sums in of.items():
                where = np.flatnonzero(sums.any((0, 1)))
                yield Summed(name, kind, where, sums[:, :, where])

    def __contains__(self, name: str) -> bool:
        return name in self._own

    def __getitem__(self, name: str) -> Jackknifed[Array]:
        """The sums of one figure or count."""
        own = self._own[name]
        whole = own.sum(-1)
        without = whole[..., None] - own
        if name in self._lent:
            without -= self._lent[name]
        return Jackknifed(whole, without, self._groups)

    def ratio(self, top: str, bottom: str) -> Jackknifed[Array]:
        """Σ top / Σ bottom of every head [head, class], nan where the class is empty; of the groups that have some."""
        found = self[top] / self[bottom]
        return replace(found, groups=(self._own[bottom] > 0).any(0).sum(-1))


class Tally:
    """All that is summed of one piece: figures and counts, how often each token is the nearest, and own ranks.

    `heads` and `vocab_size`: of which `nearest` counts.
    """

    def __init__(self, groups: int, heads: int, vocab_size: int) -> None:
        self.totals, self.candidates = Totals(groups), 0
        self._shapes = {"nearest": (heads, vocab_size)}
        self._counts: dict[str, NDArray[np.int64]] = {}

    def add(self, piece: PieceSums) -> None:
        """Add what some texts come to."""
        if piece.candidates is not None:
            self.candidates = piece.candidates  # of a view: the same in all its shards
        for one in piece.summed:
            if one.kind in ("own", "lent"):
                self.totals.add(one)
            else:
                counts = self._of(one.kind)
                counts[one.where] += one.sums.astype(np.int64)  # each place stands there once

    def sums(self) -> PieceSums:
        """All of it, to be kept."""
        summed = [*self.totals.summed()]
        for kind in ("nearest", "ranks"):
            if kind in self._counts:
                where = np.flatnonzero(self._counts[kind])
                summed.append(Summed(kind, kind, where, self._counts[kind][where].astype(np.float64)))
        return PieceSums(self.candidates or None, summed)

    @property
    def nearest(self) -> NDArray[np.int64]:
        """How often each token of the vocabulary is the nearest: [head, vocab_size]."""
        return self._of("nearest").reshape(self._shapes["nearest"])

    @property
    def ranks(self) -> NDArray[np.int64]:
        """How often each own rank is there: [class, rank], from 0."""
        return self._of("ranks").reshape(len(CLASSES), self.candidates + 1)

    def _of(self, kind: str) -> NDArray[np.int64]:
        if kind not in self._counts:
            heads, size = self._shapes.get(kind, (len(CLASSES), self.candidates + 1))
            self._counts[kind] = np.zeros(heads * size, dtype=np.int64)
        return self._counts[kind]
