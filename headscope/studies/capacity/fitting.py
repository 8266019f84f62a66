"""The texts of a corpus as a model reads them, and the axes of their encodings, fitted on half of the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.corpus.census import Census
from headscope.corpus.texts import CorpusText
from headscope.errors import InputError
from headscope.model.capture.edits import Edits
from headscope.model.capture.runner import Text
from headscope.model.lengths import alike
from headscope.question.passage import Passage
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.recovery import Readout
from headscope.studies.capacity.spread import Spread
from headscope.studies.capacity.subspaces import Axes
from headscope.studies.probes.ridge import Gram, Ridge

if TYPE_CHECKING:
    from headscope.scope import Scope

_BATCH_TOKENS = 1024
_LOGITS = 2**25  # numbers of one batch's logits
_LOTS = 128  # of documents, at most, whose encodings are summed apart
PENALTY = 0.01  # of a ridge map, in mean eigenvalues of the encodings' sums of squares
Stage = Literal["z", "residual"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class TextInput:
    """A text of the corpus: its number there, its group (document), what the model reads, and which of its positions
    are not special, int64 [token]."""

    number: int
    group: int
    input: Text
    ours: Tensor

    @property
    def ids(self) -> Tensor:
        """The tokens that are not special, int64 [token]."""
        return torch.tensor(self.input.ids)[self.ours]


def samples(scope: Scope, texts: Iterable[tuple[CorpusText, int]], options: CapacityOptions) -> list[TextInput]:
    """Texts with their groups, as the model reads them."""
    bench, found = scope.bench, []
    for text, group in texts:
        tokens = scope.tokens(text.content, truncate=options.truncate)
        along = bench.context(Passage(text.content), truncate=options.truncate)
        context = None if along is None else [token.id for token in along]
        ours = torch.tensor([token.position for token in tokens if not token.special])
        read = Text([token.id for token in tokens], options.mask, context)
        found.append(TextInput(text.number, group, read, ours))
    return found


def batches(scope: Scope, some: Sequence[TextInput]) -> Iterator[list[TextInput]]:
    """Texts of about the same length together, as many as the memory for their logits allows."""
    bench = scope.bench
    heads = bench.opened.model.get_output_embeddings() is not None
    tokens = min(_BATCH_TOKENS, _LOGITS // bench.card.vocab_size) if heads else _BATCH_TOKENS
    for batch in alike([len(one.input.ids) for one in some], tokens, bench.opened.positions.together):
        yield [some[n] for n in batch]


def fitted_groups(census: Census, seed: int) -> NDArray[np.bool_]:
    """Which groups the subspaces are fitted on: half of them, drawn; the others are measured. bool [group].

    Raises InputError where there is only one.
    """
    groups = census.group_count
    if groups < 2:
        raise InputError("all texts are of one document: it takes two, one to fit on and another to measure on.")
    # By documents, not by texts: the texts of one are alike, and axes fitted on them would fit the rest too well.
    chosen = np.zeros(groups, dtype=bool)
    chosen[np.random.default_rng([seed, 9, groups]).permutation(groups)[: groups // 2]] = True
    return chosen


class Fit:
    """Sums over the encodings of every layer, with the embeddings of their own tokens, and what follows from them."""

    def __init__(self, scope: Scope) -> None:
        card = scope.card
        self.layers, self.heads, self.d_head = card.layers, card.heads, card.d_head
        widths: dict[Stage, int] = {"z": card.heads * card.d_head, "residual": card.d_model}
        self._embeddings = scope.bench.vocabulary.arriving(None).table.rows[0].cpu()  # (V, d_model)
        self.grams = {
            (stage, layer): Gram.zeros(widths[stage], self._embeddings.shape[1])
            for stage in STAGES
            for layer in range(card.layers)
        }

    def add(self, scope: Scope, batch: Sequence[TextInput]) -> None:
        """Count the encodings of a batch of texts in."""
        targets = (self._embeddings[one.ids].double() for one in batch)
        shown = zip(batch, targets, strict=True)
        scope.bench.opened.outputs([watched(one, self.layers, partial(self._see, wanted)) for one, wanted in shown])

    def _see(self, targets: Tensor, stage: Stage, layer: int, x: Tensor) -> None:
        self.grams[stage, layer].add(Gram.of(x.cpu(), targets))  # not every device has float64

    @cached_property
    def readout(self) -> Readout:
        """The ridge maps of every (stage, layer) from encodings to the embeddings of their own tokens."""
        maps: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        # All places have the same tokens, and so the same mean embedding: that of the last serves.
        for place, gram in self.grams.items():
            ridge = Ridge.of(gram)
            weight = ridge.weight(ridge.alphas([PENALTY])[0])
            maps[place] = gram.x_mean.float(), weight.float()
        return Readout(self._embeddings, ridge.y_mean.float(), maps)

    @property
    def count(self) -> int:
        """How many positions were counted in."""
        return int(self.grams["z", 0].count)

    @cached_property
    def axes(self) -> dict[tuple[str, int], Axes]:
        """The principal axes of (site, layer): "heads" in groups, "z" and "residual" in one."""
        found: dict[tuple[str, int], Axes] = {}
        for (stage, layer), gram in self.grams.items():
            mean, covariance = gram.x_mean, gram.covariance
            found[stage, layer] = Axes.principal(mean, covariance)
            if stage == "z":
                found["heads", layer] = Axes.principal(mean, covariance, self.heads)
        return found


class Spreads:
    """What every document's encodings spread along the principal axes of every place.

    Where there are many documents, each of `_LOTS` lots of them is summed as one: that is an interval by lots, and what
    is held does not grow with the corpus.
    """

    def __init__(self, fit: Fit, groups: Sequence[int]) -> None:
        """`groups`: the documents, each as the samples name it."""
        self._fit, self._lots = fit, {group: n % _LOTS for n, group in enumerate(groups)}
        lots = min(len(groups), _LOTS)
        self._counts = torch.zeros(lots, dtype=torch.float64)
        self._squares = {place: axes.mean.new_zeros(lots, *axes.mean.shape) for place, axes in fit.axes.items()}

    def add(self, scope: Scope, batch: Sequence[TextInput]) -> None:
        """Count the encodings of a batch of texts in."""
        for one in batch:
            self._counts[self._lots[one.group]] += len(one.ours)
        layers = self._fit.layers
        scope.bench.opened.outputs([watched(one, layers, partial(self._see, self._lots[one.group])) for one in batch])

    def _see(self, lot: int, stage: Stage, layer: int, x: Tensor) -> None:
        for site in ("heads", "z") if stage == "z" else ("residual",):
            self._squares[site, layer][lot] += self._fit.axes[site, layer].along(x).square().sum(0)

    def of(self, site: str, layer: int, head: int = 0) -> Spread:
        """Of the heads side by side ("z"), of the stream ("residual"), or of one of the "heads"."""
        return Spread(self._counts, self._squares[site, layer][:, head])


def watched(sample: TextInput, layers: int, see: Callable[[Stage, int, Tensor], None]) -> Text:
    """The text, its encodings shown to `see` (stage, layer, [token, width] of the tokens that are not special).

    That is an edit which gives back what it is given: nothing changes.
    """

    def look(stage: Stage, layer: int, x: Tensor) -> Tensor:
        see(stage, layer, x[sample.ours.to(x.device)])
        return x

    edit: Edits = {(layer, stage): partial(look, stage, layer) for layer in range(layers) for stage in STAGES}
    return replace(sample.input, edit=edit)
