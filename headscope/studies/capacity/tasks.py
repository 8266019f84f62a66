"""What capacity asks of a model shard by shard: texts under every condition, and the mixing ratios of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headscope.corpus.counted import CountedCorpus, Shard
from headscope.corpus.run import InTurn
from headscope.question.choices import Mask
from headscope.show.progress import Tick
from headscope.studies.capacity.fitting import Fit, TextInput, batches, fitted_groups, samples
from headscope.studies.capacity.joined import JoinedInputs, mixing_of
from headscope.studies.capacity.mixed import MixingRow, rows_of
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.sweep import Sweep, TextRow
from headscope.studies.hands import OfShard

if TYPE_CHECKING:
    from headscope.scope import Scope


@dataclass(frozen=True)
class CountedTexts:
    """Texts that were counted, and on which half of their documents the axes are fitted; the others are measured.

    Raises InputError where they are of one document.
    """

    counted: CountedCorpus
    options: CapacityOptions
    fitted: NDArray[np.bool_]  # [group]

    @classmethod
    def of(cls, counted: CountedCorpus, options: CapacityOptions) -> CountedTexts:
        """Draw the half."""
        return cls(counted, options, fitted_groups(counted.census, options.seed))

    @property
    def everywhere(self) -> CountedTexts:
        """The same with names of files that mean the same wherever a process stands."""
        return replace(self, counted=self.counted.everywhere)

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """Which texts are measured: bool [text]."""
        found: NDArray[np.bool_] = ~self.fitted[self.counted.census.groups]
        return found

    def shards(self) -> Iterator[Shard]:
        """All of them, in order."""
        return (shard for _, shard in self.counted.read(set(range(len(self.counted)))))

    def samples(self, scope: Scope, shard: Shard) -> list[TextInput]:
        """The texts of a shard, as the model reads them."""
        return samples(scope, zip(shard.texts, shard.groups, strict=True), self.options)

    def halves(self, scope: Scope, shard: Shard) -> tuple[list[TextInput], list[TextInput]]:
        """The texts of a shard that are fitted on, and those that are measured."""
        some = self.samples(scope, shard)
        return [one for one in some if self.fitted[one.group]], [one for one in some if not self.fitted[one.group]]

    def fit(self, scope: Scope) -> Fit:
        """The axes: the same wherever they are fitted with as many threads."""
        fit = Fit(scope)
        for shard in self.shards():
            for batch in batches(scope, self.halves(scope, shard)[0]):
                fit.add(scope, batch)
        return fit


@dataclass(frozen=True)
class SweepTask:
    """The measured texts of a shard under every condition; `fit` None: the axes are fitted where they are needed."""

    texts: CountedTexts
    fit: Fit | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Sums of the axes are gigabytes of a large model, and a pass over the texts is little beside their conditions.
        return SweepTask, (self.texts.everywhere,)

    def sweep(self, scope: Scope) -> Sweep:
        """The conditions."""
        tokens = int(self.texts.counted.census.positions[self.texts.measured].sum())
        return Sweep(scope, self.fit or self.texts.fit(scope), self.texts.options, tokens)

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[OfShard], list[TextRow]]:
        """What measures a shard; `tick` is told of every text under every condition."""
        sweep, in_turn = self.sweep(scope), InTurn(self.texts.counted)

        def measured(piece: OfShard) -> list[TextRow]:
            _, some = self.texts.halves(scope, in_turn.shard(piece.number))
            return list(sweep.rows(some, tick))

        return measured


@dataclass(frozen=True)
class MixingTask:
    """The mixing ratios of every text of a shard alone."""

    texts: CountedTexts

    def __reduce__(self) -> tuple[Any, ...]:
        return MixingTask, (self.texts.everywhere,)

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[OfShard], list[MixingRow]]:
        """What measures a shard; `tick` is told of every text."""
        in_turn, options = InTurn(self.texts.counted), self.texts.options

        def measured(piece: OfShard) -> list[MixingRow]:
            shard, rows = in_turn.shard(piece.number), list[MixingRow]()
            for text, group in zip(shard.texts, shard.groups, strict=True):
                found = scope.read(text.content, options.mask, truncate=options.truncate).mixing()
                rows += rows_of(found, text.number, group, ["all", "words"])
                tick(1)
            return rows

        return measured


@dataclass(frozen=True)
class JoinedTask:
    """The mixing ratios of inputs that texts were joined to, a lot of them at a time."""

    inputs: JoinedInputs
    mask: Mask

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[OfShard], list[MixingRow]]:
        """What measures a lot; `tick` is told of every input."""
        asked: dict[str, int | None] = {"joined": None}
        if self.inputs.mask_token is not None:
            asked["masked"] = self.inputs.mask_token

        def measured(piece: OfShard) -> list[MixingRow]:
            rows = list[MixingRow]()
            ((_, lot),) = self.inputs.read({piece.number})
            for one in lot:
                for of, masked in asked.items():
                    rows += rows_of(mixing_of(scope, one, self.mask, masked), one.number, one.group, [of])
                tick(1)
            return rows

        return measured
