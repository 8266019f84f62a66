"""Cross-validated ridge maps from vectors to token embeddings, judged on unseen texts and unseen token types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.question.given import as_seed, of_kind
from headscope.reading.scores import Scores
from headscope.studies.probes.dual import DualFits, DualTargets, few
from headscope.studies.probes.figures import Outcomes
from headscope.studies.probes.folds import Folds
from headscope.studies.probes.ridge import PENALTIES, Gram, Ridge, or_chance


def held_out(
    x: Tensor,
    ids: Tensor,
    groups: Tensor,
    embeddings: Tensor,
    *,
    folds: Folds | None = None,
    seed: int = 0,
) -> Scores:
    """How well the token at a position can be read off a vector there by a linear map: Scores of tensors [map].

    `x` float [sample, map, d] are the vectors, one map each (heads, say; unsqueeze for one map); `ids` int64 [sample]
    the tokens to be recovered; `groups` int64 [sample] the text (or document) that each sample is from; `embeddings`
    [vocabulary, d_model] what the maps aim at. Every fold is fitted on texts and token types that it is not judged on,
    its penalty is chosen in the same way inside it, and a token is looked for among the types that the fold holds out
    (of all `ids`). The control is fitted and judged alike with the targets permuted within the cells of the folds.
    `folds` None: four, drawn with `seed`. Raises InputError for too few texts or types.

    >>> embeddings = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    >>> ids, groups = torch.arange(600) % 60, torch.arange(600) // 20
    >>> scores = held_out(embeddings[ids, None], ids, groups, embeddings)  # one map, of vectors that tell everything
    >>> scores.top1.value, bool(scores.top1.above)
    (tensor([1.], dtype=torch.float64), True)
    """
    return outcomes(x, ids, groups, embeddings, folds=folds, seed=seed).scores()


def outcomes(
    x: Tensor,
    ids: Tensor,
    groups: Tensor,
    embeddings: Tensor,
    *,
    folds: Folds | None = None,
    seed: int = 0,
) -> Outcomes:
    """What became of every sample that some fold is judged on; see `held_out`."""
    seed = as_seed(seed)
    for what, given in (("x", x), ("ids", ids), ("groups", groups), ("embeddings", embeddings)):
        of_kind(given, Tensor, what)
    chosen = Folds.of(groups, ids, len(embeddings), seed=seed) if folds is None else folds
    return Aims(ids, groups, embeddings, chosen, seed).outcomes(x)


class Aims:
    """What is to be recovered of some samples, from whatever vectors they have; see `held_out`.

    ids, groups, cells int64 [sample]; sides int64 [side, sample], the tokens and, permuted, the control's; targets
    float64 [side, sample, d_model], their embeddings.
    """

    def __init__(self, ids: Tensor, groups: Tensor, embeddings: Tensor, folds: Folds, seed: int) -> None:
        self.ids, self.groups, self.embeddings, self.folds = ids, groups, embeddings, folds
        self.cells = folds.cells(groups, ids)
        self.sides = torch.stack([ids, permuted(ids, self.cells, seed)])  # (side, sample)
        self.targets = embeddings[self.sides].double()  # (side, sample, d_model)

    @cached_property
    def dual(self) -> DualTargets:
        """The same for maps in their dual form."""
        return DualTargets(self.targets, self.cells, self.folds)

    def outcomes(self, x: Tensor) -> Outcomes:
        """What became of every sample that some fold is judged on, of vectors x float [sample, map, d]."""
        x = x.double()
        fits = _dual if few(len(x), x.shape[2]) and x.shape[1] == 1 else _primal
        found = [self._judged(*outputs) for outputs in fits(x, self)]
        if not found:
            raise InputError("no text has a token that another fold's texts do not have: give more texts.")
        return Outcomes.join(found)

    def _judged(self, fold: int, guess: Tensor, mean: Tensor) -> Outcomes:
        here = self.folds.judges(self.cells, fold)
        candidates = self.ids[self.folds.of_type[self.ids] == fold].unique()
        centre = mean[:, None, None]  # (side, 1, 1, d_model)
        wanted = self.targets[:, None, here] - centre  # (side, 1, sample, d_model)
        places = torch.searchsorted(candidates, self.sides[:, here])
        rank = _ranks(guess, self.embeddings[candidates].double() - centre, places)
        return Outcomes(
            self.groups[here],
            self.sides[:, here],
            rank.mT,
            (guess - wanted).square().sum(-1).mT,
            wanted.square().sum(-1).mT.expand(rank.mT.shape),
        )


# Of every fold that has both what to fit on and what to judge: its number, outputs less the mean target for the samples
# that it is judged on [side, map, sample, d_model], and that mean [side, d_model].
_Outputs = Iterator[tuple[int, Tensor, Tensor]]


def _primal(x: Tensor, aims: Aims) -> _Outputs:
    by_sample = aims.targets.transpose(0, 1)[:, :, None]  # (sample, side, 1, d_model)
    inside = [aims.cells == cell for cell in range(aims.folds.count**2)]
    fits = Fits([Gram.of(x[here], by_sample[here]) for here in inside], aims.folds)
    for fold in range(aims.folds.count):
        here = aims.folds.judges(aims.cells, fold)
        fitted = fits.without(fold)
        if fitted is not None and here.any():
            guess = (x[here] - fitted.ridge.x_mean).transpose(0, 1) @ fitted.weight
            yield fold, guess, fitted.ridge.y_mean[:, 0]


def _dual(x: Tensor, aims: Aims) -> _Outputs:
    fits = DualFits(x[:, 0], aims.dual)
    for fold in range(aims.folds.count):
        found = fits.outputs(fold) if aims.folds.judges(aims.cells, fold).any() else None
        if found is not None:
            yield fold, found[0][:, None], found[1]


@dataclass(frozen=True)
class Chosen:
    """Ridge maps with the penalties that were chosen for them: alpha [side, map], weight [side, map, d, m]."""

    ridge: Ridge
    alpha: Tensor
    weight: Tensor


class Fits:
    """Ridge maps from the sums over each cell of the folds."""

    def __init__(self, grams: Sequence[Gram], folds: Folds) -> None:
        self._grams, self._folds = grams, folds
        self._cells = torch.arange(folds.count**2)
        self._known: dict[frozenset[int], Ridge | None] = {}

    def without(self, *held: int) -> Chosen | None:
        """The maps that know nothing of the folds `held`; None where nothing is left to fit.

        The penalty of each map is the one that does best on the other folds, each held out from the fit in turn.
        """
        ridge = self._ridge(*held)
        if ridge is None:
            return None
        alphas = ridge.alphas(PENALTIES)
        losses = torch.zeros_like(alphas)
        for fold in set(range(self._folds.count)) - set(held):
            inner = self._ridge(fold, *held)
            if inner is not None:
                judge = int(self._cells[self._folds.judges(self._cells, fold)])
                losses += inner.losses(inner.alphas(PENALTIES), self._grams[judge])
        alpha = alphas.gather(0, losses.argmin(0)[None])[0]
        return Chosen(ridge, alpha, ridge.weight(alpha))

    def whole(self) -> Chosen:
        """The maps that all samples were fitted with."""
        found = self.without()
        assert found is not None, "folds have samples"
        return found

    def _ridge(self, *held: int) -> Ridge | None:
        """The maps of every penalty without some folds; two folds leave the same, whichever is the outer one."""
        key = frozenset(held)
        if key not in self._known:
            used = self._cells[self._folds.fits(self._cells, *held)].tolist()
            whole = Gram.sum([self._grams[cell] for cell in used])
            self._known[key] = Ridge.of(whole) if float(whole.count) > 1 else None
        return self._known[key]


def permuted(ids: Tensor, cells: Tensor, seed: int) -> Tensor:
    """The ids in another order, each within its cell, so that no fold meets texts or types that it must not."""
    draw = torch.Generator().manual_seed(seed + 1)
    found = ids.clone()
    for cell in cells.unique().tolist():
        inside = (cells == cell).nonzero()[:, 0]
        found[inside] = ids[inside[torch.randperm(len(inside), generator=draw)]]
    return found


def _ranks(guess: Tensor, rows: Tensor, wanted: Tensor) -> Tensor:
    """1 + how many candidates are strictly nearer by cosine than the wanted one: int64 [side, map, sample].

    See `or_chance`. guess [side, map, sample, d_model]; rows [side, 1, candidate, d_model]; wanted int64
    [side, sample], which of them.
    """
    candidates = torch.nn.functional.normalize(rows.squeeze(1), dim=-1)  # |guess| changes no rank
    scores = (guess.flatten(1, 2) @ candidates.mT).unflatten(1, guess.shape[1:3])  # (side, map, sample, candidate)
    own = scores.gather(-1, wanted[:, None, :, None].expand(*guess.shape[:-1], 1))
    return or_chance(1 + (scores > own).sum(-1), guess, candidates.shape[1])
