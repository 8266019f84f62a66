"""Fitting a linear lens: sums over the texts, then ridge maps, judged on the folds that they know nothing of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from headscope import __version__
from headscope.corpus.samples import Samples
from headscope.errors import InputError, ModelError
from headscope.model.surroundings import settled
from headscope.neighbors import Place, Table, search
from headscope.question.choices import TARGETS, Mask, Target, one_of
from headscope.question.given import as_seed, hearing, numbers_of, text_of, texts_of
from headscope.reading.lens import LinearLens, Origin
from headscope.reading.scores import Scores
from headscope.scope import Scope, a_scope
from headscope.show.progress import Tell, Tick
from headscope.studies.hands import Hands, gathered, hands_of
from headscope.studies.probes.figures import Outcomes
from headscope.studies.probes.folds import FOLDS, Folds
from headscope.studies.probes.ridge import Gram, or_chance
from headscope.studies.probes.unseen import Chosen, Fits, permuted
from headscope.vocabulary.encoded import Aim, Encoded

if TYPE_CHECKING:
    from headscope.reading.reading import Reading

_SUMS = 2**30  # bytes of sums that are kept at a time; the texts are read once for each part of the layers
_TABLE = 2**28  # bytes of encodings that are searched at a time
JUDGED = 4000  # held-out positions that the scores are taken from, at most
_LAYER = 50  # texts that cost about as much as fitting and judging one layer


@settled
def fit_lens(
    scope: Scope,
    texts: Iterable[str],
    *,
    groups: Iterable[int] | None = None,
    target: Target = "own",
    name: str | None = None,
    mask: Mask = "model",
    folds: int = FOLDS,
    seed: int = 0,
    tell: Tell | None = None,
    hands: Hands | None = None,
) -> LinearLens:
    """A ridge map for every layer and head, from z to the input embedding of the own token, or of its sources.

    With `target` "own" to E_t of the token t at the position, with "sources" to Σ_j α_ij E_j, both as the residual
    stream receives embeddings, without their positions. Fitted at all positions that are not special. The scores are
    those of maps that were fitted on other texts (`groups`: documents) and other token types, with the penalty chosen
    in the same way inside; a sample's type is its own token, or its strongest source that is not special. They come
    with those of a control, whose token labels are permuted within the folds' cells. Memory holds sums over positions,
    not the positions; the texts are read again for every 1 GiB of sums. `name` says where the texts come from. `hands`:
    who fits and judges the maps (None: this process); several workers have a part of the layers each, and each of them
    reads the texts. Raises InputError for too few texts.
    """
    one_of("target", target, TARGETS)
    scope, texts, seed = a_scope(scope), texts_of(texts), as_seed(seed)
    tell, hands = hearing(tell, "tell") or (lambda done, total: None), hands_of(hands, scope)
    name = None if name is None else text_of(name, "name")
    groups = None if groups is None else numbers_of(groups, "groups")
    task = LensTask.of(scope, texts, groups, target, mask, folds, seed)
    pieces = {part: len(texts) + _LAYER * len(part.layers) for part in task.parts(scope, hands.at_once)}
    total, done = sum(pieces.values()), 0

    def tick(work: int) -> None:
        nonlocal done
        done += work
        tell(done, total)

    layers = [layer for part in gathered(hands, task, pieces, tick).values() for layer in part]
    return LinearLens(
        weight=torch.stack([layer.weight for layer in layers]),
        mean=torch.stack([layer.mean for layer in layers]),
        target_mean=torch.stack([layer.target_mean for layer in layers]),
        centre=_embeddings(_table(scope))[task.samples.ids].double().mean(0).float(),
        alpha=torch.stack([layer.alpha for layer in layers]),
        scores=Scores.stack([layer.scores for layer in layers]),
        origin=task.origin(scope, groups, name),
    )


def _table(scope: Scope) -> Table:
    """Of one head: the embeddings."""
    return scope.bench.vocabulary.encoded("embedding", None, 0, None).table


def _embeddings(table: Table) -> Tensor:
    """float32 [vocabulary, d_model], on the CPU."""
    return table.rows[0].cpu()


class Layers(NamedTuple):
    """Layers that are fitted together, while the texts are read once."""

    first: int
    stop: int

    @property
    def layers(self) -> range:
        """Their numbers."""
        return range(self.first, self.stop)

    def __str__(self) -> str:
        return f"layers {self.first} to {self.stop - 1}"


@dataclass(frozen=True)
class FittedLayer:
    """A layer of a lens: weight [head, d_head, d_model], mean [head, d_head], target_mean [head, d_model], alpha."""

    weight: Tensor
    mean: Tensor
    target_mean: Tensor
    alpha: Tensor
    scores: Scores

    @classmethod
    def of(cls, maps: Sequence[Chosen], scores: Sequence[Scores]) -> FittedLayer:
        """Of the maps of its units, each with its scores."""
        return cls(
            weight=torch.cat([one.weight[0] for one in maps]).float(),
            mean=torch.cat([one.ridge.x_mean for one in maps]).float(),
            target_mean=_each_head(maps).float(),
            alpha=torch.cat([one.alpha[0] for one in maps]),
            scores=Scores.join(scores),
        )


def _each_head(layer: Sequence[Chosen]) -> Tensor:
    """The mean targets [head, d_model] of a layer's heads, which may share one."""
    return torch.cat([one.ridge.y_mean[0].expand(len(one.ridge.x_mean), -1) for one in layer])


@dataclass(frozen=True)
class _Batch:
    """Samples of one layer whose heads have their targets in common.

    z [sample, head, d_head]; targets [sample, side, d_model]; labels [sample, side], the token that is looked for; side
    0 the texts' own, 1 the control's. cells, groups int64 [sample]; judged bool [sample]: whether scores may use it.
    """

    z: Tensor
    targets: Tensor
    labels: Tensor
    cells: Tensor
    groups: Tensor
    judged: Tensor

    def where(self, chosen: Tensor) -> _Batch:
        return _Batch(*(part[chosen] for part in self.__dict__.values()))

    @classmethod
    def join(cls, parts: Sequence[_Batch]) -> _Batch:
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__annotations__))


class _Unit:
    """Heads of one layer that have their targets in common: their sums over each cell, and the samples to be judged."""

    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self._grams: list[Gram | None] = [None] * folds.count**2
        self._judged: list[_Batch] = []

    def add(self, batch: _Batch) -> None:
        """Take a batch into the sums."""
        for cell in batch.cells.unique().tolist():
            here = batch.where(batch.cells == cell)
            new, known = Gram.of(here.z, here.targets[:, :, None]), self._grams[cell]
            if known is None:
                self._grams[cell] = new
            else:
                known.add(new)
        diagonal = batch.cells // self._folds.count == batch.cells % self._folds.count
        if bool((kept := batch.judged & diagonal).any()):
            self._judged.append(batch.where(kept))

    def fits(self) -> Fits:
        """The maps, once all sums are there."""
        some = next(gram for gram in self._grams if gram is not None)
        nothing = Gram(*(torch.zeros_like(part) for part in some.__dict__.values()))
        return Fits([gram or nothing for gram in self._grams], self._folds)

    def judged(self, fold: int) -> _Batch | None:
        """The samples that a fold is judged on."""
        if not self._judged:
            return None
        self._judged = [_Batch.join(self._judged)]
        here = self._folds.judges(self._judged[0].cells, fold)
        return self._judged[0].where(here) if bool(here.any()) else None


@dataclass(frozen=True)
class LensTask:
    """What a fit is about; a piece are layers.

    labels int64 [sample, side]; cells int64 [sample]; judged bool [sample]: whether scores may use it.
    """

    texts: tuple[str, ...]
    mask: Mask
    target: Target
    samples: Samples
    folds: Folds
    cells: Tensor
    labels: Tensor
    judged: Tensor
    seed: int

    @classmethod
    def of(
        cls,
        scope: Scope,
        texts: Sequence[str],
        groups: Sequence[int] | None,
        target: Target,
        mask: Mask,
        count: int,
        seed: int,
    ) -> LensTask:
        """Draw the folds, the control's labels, and what is judged; see `fit_lens`."""
        samples = Samples.of(scope, texts, groups)
        folds = Folds.of(samples.group, samples.ids, _table(scope).rows.shape[1], count, seed)
        cells = folds.cells(samples.group, samples.ids)
        labels = torch.stack([samples.ids, permuted(samples.ids, cells, seed)], 1)
        draw = torch.rand(len(samples), generator=torch.Generator().manual_seed(seed + 2))
        judged = draw < JUDGED * count / len(samples)
        return cls(tuple(texts), mask, target, samples, folds, cells, labels, judged, seed)

    def parts(self, scope: Scope, at_once: int) -> list[Layers]:
        """The layers, in parts whose sums fit into memory together, and no fewer than are fitted `at_once`."""
        card = scope.card
        a_layer = 8 * self.folds.count**2 * card.heads * card.d_head * (card.d_head + 2 * card.d_model)
        size = max(1, min(_SUMS // a_layer, card.layers // at_once))
        return [Layers(first, min(first + size, card.layers)) for first in range(0, card.layers, size)]

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[Layers], list[FittedLayer]]:
        """What fits and judges layers; each time the texts are read."""
        job = _Job(self, scope.card.heads, _table(scope))

        def fitted(piece: Layers) -> list[FittedLayer]:
            units, found = {layer: job.units() for layer in piece.layers}, []
            for batch in self.samples.walk(scope, self.texts, self.mask):
                for layer in piece.layers:
                    job.take(units[layer], layer, batch)
                tick(len(batch))
            for layer in piece.layers:
                of_layer = [(unit, unit.fits()) for unit in units.pop(layer)]
                scores = [job.scores(unit, fits) for unit, fits in of_layer]
                found.append(FittedLayer.of([fits.whole() for _, fits in of_layer], scores))
                tick(_LAYER)
            return found

        return fitted

    def origin(self, scope: Scope, groups: Sequence[int] | None, name: str | None) -> Origin:
        """What a lens says that it was fitted on."""
        digest = hashlib.sha256()
        for text, group in zip(self.texts, range(len(self.texts)) if groups is None else groups, strict=True):
            digest.update(f"{group}\0{text}\0".encode())
        card = scope.card
        return Origin(
            model=card.name,
            weights_sha256=card.weights_sha256,
            texts=name or "texts that were handed over",
            texts_sha256=digest.hexdigest(),
            count=len(self.texts),
            positions=len(self.samples),
            target=self.target,
            mask=self.mask,
            folds=self.folds.count,
            seed=self.seed,
            versions={"headscope": __version__} | {name: metadata.version(name) for name in ("torch", "transformers")},
        )


@dataclass(frozen=True)
class _Job:
    """A task with a model: its heads a layer, and the embeddings."""

    task: LensTask
    heads: int
    table: Table

    @cached_property
    def embeddings(self) -> Tensor:
        return _embeddings(self.table)

    def units(self) -> list[_Unit]:
        """For one layer: all its heads together, where they have one target, else each alone."""
        return [_Unit(self.task.folds) for _ in range(1 if self.task.target == "own" else self.heads)]

    def take(self, units: list[_Unit], layer: int, texts: Sequence[tuple[int, Reading]]) -> None:
        """Add the samples of some texts to a layer's sums."""
        found = [self._of_text(reading, n, layer) for n, reading in texts if self.task.samples.count(n)]
        if not found:
            return
        for unit, parts in zip(units, zip(*found, strict=True), strict=True):
            unit.add(_Batch.join(parts))

    def _of_text(self, reading: Reading, text: int, layer: int) -> list[_Batch]:
        """A text's samples at one layer, a batch for each unit."""
        here = self.task.samples.of_text(text)
        positions = self.task.samples.position[here]
        z = reading.z[layer, positions]  # (n, H, d_head)
        if not bool(z.isfinite().all()):
            raise ModelError(f"the model computes no numbers at layer {layer} for the text {reading.text[:60]!r}.")
        common = self.task.samples.group[here], self.task.judged[here]
        labels, cells = self.task.labels[here], self.task.cells[here]
        if self.task.target == "own":
            return [_Batch(z, self.embeddings[labels], labels, cells, *common)]
        pattern = reading.pattern_of(layer)[:, positions]  # (H, n, S)
        strongest = pattern[:, :, positions].argmax(-1)  # (H, n), among the ordinary ones
        ids = torch.tensor([token.id for token in reading.tokens])[:, None].repeat(1, 2)  # (S, side)
        ids[positions] = labels
        mixed = torch.einsum("hns,sim->hnim", pattern, self.embeddings[ids])  # (H, n, side, d_model)
        return [
            _Batch(z[:, h : h + 1], mixed[h], labels[strongest[h]], cells[strongest[h]], *common)
            for h in range(len(pattern))
        ]

    def scores(self, unit: _Unit, fits: Fits) -> Scores:
        """How the maps of a unit do on what they know nothing of: tensors [head]."""
        outcomes = []
        for fold in range(self.task.folds.count):
            fitted, held = fits.without(fold), unit.judged(fold)
            if fitted is None or held is None:
                continue
            fits_here = self.task.folds.fits(self.task.cells, fold)
            centre = self.embeddings[self.task.samples.ids[fits_here]].double().mean(0)
            x = (held.z.double() - fitted.ridge.x_mean).movedim(1, 0)  # (head, sample, d_head)
            guess = x @ fitted.weight  # (side, head, sample, d_model)
            wanted = held.targets.movedim(1, 0).double()[:, None] - fitted.ridge.y_mean[..., None, :]
            ranks = [self._ranks(x.movedim(0, 1), fitted.weight[side], centre, held.labels[:, side]) for side in (0, 1)]
            loss, spread = (guess - wanted).square().sum(-1).mT, wanted.square().sum(-1).mT  # (side, sample, head or 1)
            outcomes.append(Outcomes(held.groups, held.labels.T, torch.stack(ranks), loss, spread.expand(loss.shape)))
        if not outcomes:
            raise InputError("no text has a token that another fold's texts do not have: give more texts.")
        return Outcomes.join(outcomes).scores()

    def _ranks(self, x: Tensor, weight: Tensor, centre: Tensor, wanted: Tensor) -> Tensor:
        """Ranks int64 [sample, head] of tokens among the vocabulary, as the space `fitted` compares them."""
        heads, width, device = weight.shape[0], weight.shape[1] + 1, self.table.device
        size = max(1, _TABLE // (4 * len(self.embeddings) * width))
        place, own = Place(bias=-centre.float()[None].to(device)), wanted.to(device)
        found = []
        for part in (slice(first, first + size) for first in range(0, heads, size)):
            to = weight[part].to(device)
            near = Encoded(self.table, place, "model", 0.0, Aim(to, to.new_zeros(len(to), to.shape[2]))).narrowed()
            vectors = near.enter(x[:, part].float())
            ranks = search(near.table, [near.place], vectors, own, k=1)["cosine"].own_rank
            found.append(or_chance(ranks, vectors, near.table.candidates).cpu())
        return torch.cat(found, 1)
