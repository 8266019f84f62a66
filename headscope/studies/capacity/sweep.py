"""One shard of texts under every condition: encodings projected or merged while the model runs, and what that does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from headscope.model.capture.edits import Change
from headscope.model.capture.edits import Part as Where
from headscope.model.capture.runner import Text
from headscope.question.choices import Site
from headscope.reading.losses import kl, moved
from headscope.show.progress import Tick
from headscope.studies.capacity.fitting import STAGES, Fit, Stage, TextInput, batches, watched
from headscope.studies.capacity.merging import Tree
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.recovery import OwnRanks, Readout, told
from headscope.studies.capacity.subspaces import Axes

if TYPE_CHECKING:
    from headscope.scope import Scope

DRAWS = 4  # random subspaces of a place, which the texts take in turns
RECOVERED = 128  # tokens of the whole corpus, about, at which own ranks are measured


class Condition(NamedTuple):
    """What is done to the encodings: `what`, at which place, by chance (`control`) or not, and the share that is kept.

    `kept`: how many dimensions that is; None where it depends on the text.
    """

    what: Literal["dimension", "number"]
    site: Site
    layer: int
    head: int | None
    control: bool
    share: float
    kept: int | None


class TextRow(NamedTuple):
    """A text under a condition (its fields first): means over its tokens that are not special.

    `own_…` and `linear_…` are over `recovered` of them. `kl` is nan where the model has no language-model head.
    """

    what: Literal["dimension", "number"]
    site: Site
    layer: int
    head: int | None
    control: bool
    share: float
    kept: int | None
    text: int
    group: int
    tokens: int
    moved: float
    kl: float
    recovered: int
    own_at_1: float
    own_auc: float
    linear_at_1: float  # nan of single heads
    linear_auc: float

    @property
    def condition(self) -> Condition:
        """What was done to the encodings."""
        return Condition(self.what, self.site, self.layer, self.head, self.control, self.share, self.kept)


@dataclass(frozen=True)
class Only:
    """A change of some positions; the others stay as they are. `rows` int64 [token]."""

    rows: Tensor
    change: Change

    def __call__(self, x: Tensor) -> Tensor:
        rows = self.rows.to(x.device)
        changed = x.clone()
        changed[rows] = self.change(x[rows])
        return changed


def conditions(options: CapacityOptions, layers: int, heads: int, widths: dict[Site, int]) -> list[Condition]:
    """All that is measured, layer by layer; shares that keep the same number of dimensions are one.

    Where nothing or everything is kept, chance is no other condition.
    """
    found = []
    shares = sorted(float(share) for share in options.keep)
    for layer in range(layers):
        for site in options.sites if "dimension" in options.parts else ():
            kept: dict[int, float] = {}  # in a narrow head several shares round to one number of dimensions
            for share in shares:
                kept.setdefault(round(share * widths[site]), share)
            found += [
                Condition("dimension", site, layer, head, control, share, r)
                for head in (range(heads) if site == "head" else (None,))
                for r, share in kept.items()
                for control in ((False, True) if 0 < r < widths[site] else (False,))
            ]
        found += [
            Condition("number", site, layer, None, control, share, None)
            for site in (options.sites if "number" in options.parts else ())
            if site in ("z", "residual")
            for share in shares
            for control in ((False, True) if 0 < share < 1 else (False,))
        ]
    return found


class Sweep:
    """The conditions, and what is needed to measure texts under them."""

    def __init__(self, scope: Scope, fit: Fit, options: CapacityOptions, tokens: int) -> None:
        """`tokens`: how many will be measured in all."""
        self.scope, self.fit, self.options = scope, fit, options
        card = scope.card
        joined = card.heads * card.d_head
        widths: dict[Site, int] = {"heads": card.d_head, "head": card.d_head, "z": joined, "residual": card.d_model}
        self.conditions = conditions(options, card.layers, card.heads, widths)
        self._recovered = min(1.0, RECOVERED / max(tokens, 1))

    def rows(self, samples: Sequence[TextInput], tick: Tick = lambda texts: None) -> Iterator[TextRow]:
        """Every text under every condition; `tick` is told of each condition how many texts it was measured on."""
        for batch in batches(self.scope, samples):
            before = _Before(self.scope, batch, [self._drawn(one) for one in batch], self.fit.readout)
            for layer, some in groupby(self.conditions, key=lambda condition: condition.layer):
                changes = _Changes(self.fit, batch, before, layer, self.options.seed)
                found = []
                for condition in some:
                    made = changes.of(condition)
                    found.append(before.under(condition, made))
                    tick(len(batch))
                yield from before.rows(layer, found)

    def _drawn(self, one: TextInput) -> Tensor:
        """The tokens of a text at which own ranks are measured: indices into its tokens that are not special."""
        draw = torch.Generator().manual_seed(seed_of(self.options.seed, "recovered", one.number))
        return (torch.rand(len(one.ours), generator=draw) < self._recovered).nonzero()[:, 0]


@dataclass(frozen=True)
class _Effect:
    """A condition and what it does at the tokens of a batch: moved, kl [token]; the changed encodings [token, head,
    width] at the drawn ones, None where those of another condition tell."""

    condition: Condition
    moved: Tensor
    kl: Tensor
    encodings: Tensor | None


class _Changes:
    """What each text's encodings of one layer become under a condition."""

    def __init__(self, fit: Fit, batch: Sequence[TextInput], before: _Before, layer: int, seed: int) -> None:
        self._fit, self._batch, self._before, self._layer, self._seed = fit, batch, before, layer, seed
        self._turned: dict[str, list[Axes]] = {}
        self._trees: dict[str, list[Tree]] = {}

    def of(self, condition: Condition) -> list[Change]:
        """One for each text."""
        if condition.what == "number":
            return [self._merging(condition, n) for n in range(len(self._batch))]
        kind = "heads" if condition.site == "head" else condition.site
        axes = [self._fit.axes[kind, self._layer]]
        if condition.control:
            if kind not in self._turned:
                seeds = [seed_of(self._seed, kind, self._layer, n) for n in range(DRAWS)]
                self._turned[kind] = [axes[0].turned(seed) for seed in seeds]
            axes = self._turned[kind]
        assert condition.kept is not None, "a number of dimensions"
        made = [_head(one, condition.head).projection(condition.kept) for one in axes]
        # By the text's number in the corpus: the same draw whatever is measured with it.
        return [made[one.number % len(made)] for one in self._batch]

    def _merging(self, condition: Condition, n: int) -> Change:
        stage = _stage(condition)
        if stage not in self._trees:
            self._trees[stage] = [Tree(x) for x in self._before.encodings[stage, self._layer]]
        tree = self._trees[stage][n]
        merging = tree.merged_to(max(1, round(condition.share * tree.count)))
        if not condition.control:
            return merging
        return merging.shuffled(seed_of(self._seed, stage, self._layer, self._batch[n].number))


class _Before:
    """A batch of texts as the model reads them, unchanged, and how far it is from that under a condition."""

    def __init__(self, scope: Scope, batch: Sequence[TextInput], drawn: Sequence[Tensor], readout: Readout) -> None:
        self._bench, self._batch, self._drawn, self._readout = scope.bench, batch, drawn, readout
        self.encodings: dict[tuple[Stage, int], list[Tensor]] = {}

        def see(stage: Stage, layer: int, x: Tensor) -> None:
            self.encodings.setdefault((stage, layer), []).append(x.clone())

        self._last, self._logits = self._outputs([watched(one, scope.card.layers, see) for one in batch])
        at = [one.ours[rows] for one, rows in zip(batch, drawn, strict=True)]
        self._ids = torch.cat([one.ids[rows] for one, rows in zip(batch, drawn, strict=True)])
        stood = self._bench.opened.feed.spots([one.input.ids for one in batch])
        spots = [text[n] for text, rows in zip(stood, at, strict=True) for n in rows.tolist()]
        self._recovery = OwnRanks(scope, self._ids, spots)

    def under(self, condition: Condition, changes: Sequence[Change]) -> _Effect:
        """The model with each text's encodings changed, one way for each text."""
        where: int | Where = _stage(condition) if condition.head is None else condition.head
        texts = [
            replace(one.input, edit={(condition.layer, where): Only(one.ours, change)})
            for one, change in zip(self._batch, changes, strict=True)
        ]
        last, logits = self._outputs(texts)
        moves = moved(self._last, last)
        apart = torch.full_like(moves, torch.nan)
        if logits is not None and self._logits is not None:
            apart = kl(self._logits, logits)
        encodings = None
        if condition.site != "head":
            stage = _stage(condition)
            parts = zip(changes, self.encodings[stage, condition.layer], self._drawn, strict=True)
            heads = self._bench.card.heads if stage == "z" else 1
            # (token, head, width)
            encodings = torch.cat([change(x)[rows] for change, x, rows in parts]).cpu().unflatten(1, (heads, -1))
        return _Effect(condition, moves, apart, encodings)

    def rows(self, layer: int, effects: Sequence[_Effect]) -> Iterator[TextRow]:
        """What was found at a layer: one row for each text and condition."""
        own, mapped = self._own(layer, effects), self._mapped(layer, effects)
        lengths, drawn = [len(one.ours) for one in self._batch], [len(rows) for rows in self._drawn]
        for effect in effects:
            nearest, area = told(*own[effect.condition])
            read = told(mapped[effect.condition][:, None], self._readout.candidates)
            parts = (effect.moved.split(lengths), effect.kl.split(lengths), nearest.split(drawn), area.split(drawn))
            linears = zip(*(part.split(drawn) for part in read), strict=True)
            for one, moves, apart, at_1, auc, linear in zip(self._batch, *parts, linears, strict=True):
                known = int((~at_1.isnan()).sum())
                yield TextRow(
                    *effect.condition,
                    one.number,
                    one.group,
                    len(one.ours),
                    float(moves.mean()),
                    float(apart.mean()),
                    known,
                    *(float(part.nanmean()) for part in (at_1, auc, *linear)),
                )

    def _outputs(self, texts: Sequence[Text]) -> tuple[Tensor, Tensor | None]:
        """The last block's output and the logits at the tokens that are not special: float32 [token, …], one after
        another."""
        last, logits = self._bench.opened.outputs(texts)
        rows = [(n, one.ours.to(last.device)) for n, one in enumerate(self._batch)]
        joined = torch.cat([last[n, ours] for n, ours in rows]).float()
        return joined, None if logits is None else torch.cat([logits[n, ours] for n, ours in rows]).float()

    def _mapped(self, layer: int, effects: Sequence[_Effect]) -> dict[Condition, Tensor]:
        """Own ranks [token] of what the layer's linear maps make of the changed encodings; 0 for single heads."""
        found = {one.condition: torch.zeros(len(self._ids), dtype=torch.int64) for one in effects}
        for stage in STAGES:
            some = [one for one in effects if one.encodings is not None and _stage(one.condition) == stage]
            if some:
                x = torch.stack([one.encodings.flatten(1) for one in some if one.encodings is not None])
                ranks = self._readout.ranks(stage, layer, x, self._ids)
                found |= {one.condition: of_one for one, of_one in zip(some, ranks, strict=True)}
        return found

    def _own(self, layer: int, effects: Sequence[_Effect]) -> dict[Condition, tuple[Tensor, int]]:
        """Own ranks [token, head] of the changed encodings of every condition, and among how many."""
        found: dict[Condition, tuple[Tensor, int]] = {}
        for stage in STAGES:
            some = [one for one in effects if one.encodings is not None and _stage(one.condition) == stage]
            if some:
                vectors = torch.stack([one.encodings for one in some if one.encodings is not None])
                ranks, candidates = self._recovery.ranks(stage, layer, vectors)
                found |= {one.condition: (of_one, candidates) for one, of_one in zip(some, ranks, strict=True)}
        for one in effects:
            asked = one.condition
            if asked.head is not None:
                # A head's subspace is the one that it has among all heads: what can be told from it is known.
                ranks, candidates = found[asked._replace(site="heads", head=None)]
                found[asked] = ranks[:, asked.head, None], candidates
        return found


def _stage(condition: Condition) -> Stage:
    return "residual" if condition.site == "residual" else "z"


def _head(axes: Axes, head: int | None) -> Axes:
    """The axes of one of the groups; None: all."""
    return axes if head is None else Axes(axes.mean[head : head + 1], axes.basis[head : head + 1])


def seed_of(*parts: object) -> int:
    """A seed of its own for everything that is drawn.

    >>> seed_of(0, "z", 1) == seed_of(0, "z", 1) != seed_of(0, "z", 2)
    True
    """
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=6).digest(), "big")
