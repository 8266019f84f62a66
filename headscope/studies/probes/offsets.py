"""Where the information is: how well the token at i can be read off what the model holds at j, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from headscope.corpus.samples import Samples
from headscope.errors import InputError, ModelError
from headscope.model.surroundings import settled
from headscope.question.choices import Mask
from headscope.question.given import as_seed, hearing, numbers_of, switch, texts_of
from headscope.reading.answer import Answer, Record
from headscope.reading.scores import STARRED, Scores, nested
from headscope.scope import Scope, a_scope
from headscope.show.progress import Tell, Tick
from headscope.show.sheet import Cell, Row, Sheet
from headscope.studies.hands import Hands, gathered, hands_of
from headscope.studies.probes.figures import Outcomes
from headscope.studies.probes.folds import FOLDS, Folds
from headscope.studies.probes.unseen import Aims

SCHEMA = 1
OFFSETS = (-8, -4, -2, -1, 0, 1, 2, 4, 8)
Place = Literal["z", "residual", "head"]
PLACES: tuple[Place, ...] = get_args(Place)


@dataclass(frozen=True, repr=False, eq=False)
class Recovery(Answer):
    """How well the token at i is recovered, by cross-validated ridge, from what is at j = i − offset.

    `z`: Scores [layer, offset] from the outputs of all heads at j, concatenated; `heads`: [layer, head, offset] from
    one head's (None: not asked for); `residual`: [layer + 1, offset] from the residual stream at j, as each block gets
    it and as the last returns it. Only positions that are not special take part. A token is looked for by cosine among
    the token types that its fold holds out: `candidates` of them, on average. See `held_out`.

    A word says something of its neighbours before any attention: at offsets other than 0, compare with `residual`'s
    layer 0 too, not only with the control.
    """

    offsets: tuple[int, ...]
    z: Scores
    heads: Scores | None
    residual: Scores
    texts: int
    positions: int
    candidates: float
    folds: int
    seed: int
    mask: Mask
    model: str
    weights_sha256: str

    def rows(self) -> list[Record]:
        """One row for each place (z, head, residual), layer, head and offset, with every figure and its control."""
        rows = [
            {"place": place, "layer": layer, "head": None, "offset": offset} | scores.row(layer, n)
            for place, scores in (("z", self.z), ("residual", self.residual))
            for layer in range(len(scores.samples))
            for n, offset in enumerate(self.offsets)
        ]
        if self.heads is not None:
            layers, heads, _ = self.heads.samples.shape
            rows += [
                {"place": "head", "layer": layer, "head": head, "offset": offset} | self.heads.row(layer, head, n)
                for layer in range(layers)
                for head in range(heads)
                for n, offset in enumerate(self.offsets)
            ]
        return rows

    def to_dict(self) -> Record:
        """What it was made of, and a row for every place, layer, head and offset, ready for JSON."""
        return {
            "schema": SCHEMA,
            "model": {"name": self.model, "weights_sha256": self.weights_sha256},
            "mask": self.mask,
            "texts": self.texts,
            "positions": self.positions,
            "candidates": self.candidates,
            "folds": self.folds,
            "seed": self.seed,
            "offsets": list(self.offsets),
            "rows": [nested(row) for row in self.rows()],
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """Top-1 from all heads' z and from the residual stream: a row a layer, a column an offset, and the control."""
        legend = (
            f"{self.texts:,} texts, {self.positions:,} ordinary tokens, {self.folds} folds that share neither texts "
            f"nor token types with the fit; nearest by cosine of about {self.candidates:,.0f} types that a fold holds "
            "out.",
            f"Shuffled: the control, mean over the offsets. {STARRED}",
        )
        return (
            self._sheet("z", "z, all heads", self.z, ()),
            self._sheet("residual", "the residual stream", self.residual, legend),
        )

    def _sheet(self, name: str, place: str, scores: Scores, legend: tuple[str, ...]) -> Sheet:
        top1 = scores.top1
        rows = (
            Row(
                Cell(str(layer)),
                (
                    *(top1.cell(f"{float(value):.2f}", layer, n) for n, value in enumerate(values)),
                    Cell(number=f"{float(top1.control[layer].mean()):.2f}"),
                ),
            )
            for layer, values in enumerate(top1.value)
        )
        return Sheet(
            name,
            f"Token i read off {place} at j, by i − j: top-1",
            (*(f"{offset:+d}" if offset else "own" for offset in self.offsets), "shuffled"),
            tuple(rows),
            stub="layer",
            legend=legend,
            figure="cells",
        )


@settled
def recovery(
    scope: Scope,
    texts: Iterable[str],
    *,
    groups: Iterable[int] | None = None,
    offsets: Iterable[int] = OFFSETS,
    heads: bool = True,
    mask: Mask = "model",
    folds: int = FOLDS,
    seed: int = 0,
    tell: Tell | None = None,
    hands: Hands | None = None,
) -> Recovery:
    """Recovery of token i from z_j and from the residual stream at j, for i − j in `offsets` and every layer.

    `groups` says which document each text belongs to (None: each is one by itself): a held-out fold shares none with
    the fit, and intervals leave them out in turn. `heads` False leaves out the single heads. Texts that are too long
    are cut. Needs about 8 · (layers · d_model) bytes of memory a token. `hands`: who judges the maps (None: this
    process); each of several workers reads the texts. Raises InputError for too few texts.
    """
    scope, hands = a_scope(scope), hands_of(hands, scope)
    offsets, card = list(dict.fromkeys(numbers_of(offsets, "offsets"))), scope.card
    if not offsets:
        raise InputError("offsets is empty: name at least one, offsets=[0] say.")
    heads, tell = switch(heads, "heads"), hearing(tell, "tell") or (lambda done, total: None)
    task = RecoveryTask.of(scope, texts, groups=groups, mask=mask, folds=folds, seed=seed)
    for offset in offsets:
        _pairs(task.samples, offset)  # before the model reads anything
    pieces = dict.fromkeys(
        MapsOfPlace(place, layer, offset)
        for offset in offsets
        for place in PLACES
        if heads or place != "head"
        for layer in range(card.layers + (place == "residual"))
    )
    done = 0

    def tick(maps: int) -> None:
        nonlocal done
        done += maps
        tell(done, len(pieces))

    found = gathered(hands, task, dict.fromkeys(pieces, 1), tick)

    def by_offset(place: Place) -> Scores:
        """[offset, layer, map]."""
        return Scores.stack(
            [Scores.stack([s for at, s in found.items() if at[::2] == (place, offset)]) for offset in offsets]
        )

    samples = task.samples
    return Recovery(
        offsets=tuple(offsets),
        z=by_offset("z").each(lambda x: x[..., 0].T),
        heads=by_offset("head").each(lambda x: x.movedim(0, -1)) if heads else None,
        residual=by_offset("residual").each(lambda x: x[..., 0].T),
        texts=len(samples.lengths),
        positions=len(samples),
        candidates=float(torch.bincount(task.folds.of_type[samples.ids.unique()]).double().mean()),
        folds=task.folds.count,
        seed=task.seed,
        mask=mask,
        model=card.name,
        weights_sha256=card.weights_sha256,
    )


class MapsOfPlace(NamedTuple):
    """The maps of one place, layer and distance: of "head" one for each head."""

    place: Place
    layer: int
    offset: int

    def __str__(self) -> str:
        return f"{self.place} of layer {self.layer} at the offset {self.offset:+d}"


@dataclass(frozen=True)
class RecoveryTask:
    """Texts, and the folds that maps of them are judged by; a piece are the maps of a place, layer and distance."""

    texts: tuple[str, ...]
    samples: Samples
    folds: Folds
    seed: int
    mask: Mask

    @classmethod
    def of(
        cls,
        scope: Scope,
        texts: Iterable[str],
        *,
        groups: Iterable[int] | None = None,
        mask: Mask = "model",
        folds: int = FOLDS,
        seed: int = 0,
    ) -> RecoveryTask:
        """Draw the folds, see `recovery`."""
        texts, seed = texts_of(texts), as_seed(seed)
        samples = Samples.of(scope, texts, None if groups is None else numbers_of(groups, "groups"))
        chosen = Folds.of(samples.group, samples.ids, len(_embeddings(scope)), folds, seed)
        return cls(tuple(texts), samples, chosen, seed, mask)

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[MapsOfPlace], Scores]:
        """Read the texts; then the maps of a piece are fitted and judged."""
        read = self.read(scope)

        def judged(piece: MapsOfPlace) -> Scores:
            x = (read.residual if piece.place == "residual" else read.z)[piece.layer]
            together = x if piece.place == "head" else x.flatten(1)[:, None]
            found = read.outcomes(together, piece.offset).scores()
            tick(1)
            return found

        return judged

    def read(self, scope: Scope) -> GatheredPositions:
        """What the model holds at the texts' positions."""
        parts = _gather(scope, self.texts, self.samples, self.mask)
        return GatheredPositions(self.samples, _embeddings(scope), self.folds, self.seed, *parts)


@dataclass(frozen=True)
class GatheredPositions:
    """What the model holds at the ordinary positions of texts, and the folds that maps from it are judged by.

    z float32 [layer, sample, head, d_head]; residual float32 [layer + 1, sample, d_model].
    """

    samples: Samples
    embeddings: Tensor
    folds: Folds
    seed: int
    z: Tensor
    residual: Tensor

    def outcomes(self, x: Tensor, offset: int) -> Outcomes:
        """What became of tokens i that were looked for in what is at j = i − offset, x [sample, map, d]."""
        source, aims = self._aims(offset)
        return aims.outcomes(x[source])

    @cached_property
    def _aims(self) -> Callable[[int], tuple[Tensor, Aims]]:
        """Of a distance, the samples at j, and what is looked for there; kept while that distance is asked for."""

        @lru_cache(1)
        def aims(offset: int) -> tuple[Tensor, Aims]:
            source, target = _pairs(self.samples, offset)
            ids, groups = self.samples.ids[target], self.samples.group[target]
            return source, Aims(ids, groups, self.embeddings, self.folds, self.seed)

        return aims


def _pairs(samples: Samples, offset: int) -> tuple[Tensor, Tensor]:
    """The samples at j and at i = j + offset, [pair] each; InputError where no text has two that far apart."""
    source, target = samples.pairs(offset)
    if not len(source):
        nearer = range(min(abs(offset) - 1, int(samples.position.max())), 0, -1)
        most = next((far for far in nearer if len(samples.pairs(far)[0])), 0)
        raise InputError(
            f"no text has two ordinary tokens {abs(offset)} apart: ask for offsets from {-most} to {most}.",
            program="That is offsets=[…], or --offset for each.",
        )
    return source, target


def _embeddings(scope: Scope) -> Tensor:
    """[vocabulary, d_model], as the residual stream receives them, on the CPU."""
    return scope.bench.vocabulary.encoded("embedding", None, 0, None).table.rows[0].cpu()


def _gather(scope: Scope, texts: Sequence[str], held: Samples, mask: Mask) -> tuple[Tensor, Tensor]:
    """z float32 [layer, sample, head, d_head] and the residual stream float32 [layer + 1, sample, d_model]."""
    card = scope.card
    z = torch.empty(card.layers, len(held), card.heads, card.d_head)
    residual = torch.empty(card.layers + 1, len(held), card.d_model)
    for batch in held.walk(scope, texts, mask, residual=True):
        for text, reading in batch:
            here = held.of_text(text)
            z[:, here] = reading.z[:, held.position[here]]
            residual[:, here] = reading.residual[:, held.position[here]]
    if not bool(z.isfinite().all() and residual.isfinite().all()):
        raise ModelError(f"{card.name} computes numbers that are not finite ({card.dtype}): try another dtype.")
    return z, residual
