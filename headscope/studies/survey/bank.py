"""The bank that the census drew, measured: what the heads wrote at its tokens, under each mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from headscope.corpus.bank import BankPlan
from headscope.corpus.texts import CorpusText
from headscope.model.feed.positions import Spot
from headscope.model.tokens import Token
from headscope.question.choices import Mask
from headscope.studies.survey.heads import each_stream_of, each_text
from headscope.studies.survey.network import Network
from headscope.studies.survey.options import SurveyOptions


@dataclass(frozen=True)
class BankVectors:
    """What the heads, or the residual streams, hold at the bank's tokens under one mask.

    `vectors`: float32, z [layer, output, head, d_head], or streams [stage, output, d_model]. `ids` int64 [output] are
    the tokens that they stand at, `spots` where, as the model counted them.
    """

    vectors: Tensor
    ids: Tensor
    spots: tuple[Spot, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def those(self, outputs: Tensor) -> BankVectors:
        """Some of its outputs, int64 [output]."""
        spots = tuple(self.spots[n] for n in outputs.tolist())
        return BankVectors(self.vectors[:, outputs], self.ids[outputs], spots)


class SurveyBank:
    """The bank of a survey: who is in it, and what one model, or a null of it, wrote there.

    Measured once under each mask, when it is first asked for.
    """

    def __init__(
        self,
        plan: BankPlan,
        texts: Callable[[], Sequence[CorpusText]],
        network: Network,
        options: SurveyOptions,
    ) -> None:
        self.plan, self._of, self._network, self._options = plan, texts, network, options
        self._heads: dict[Mask, BankVectors] = {}
        self._streams: dict[Mask, BankVectors] = {}

    def heads(self, mask: Mask) -> BankVectors:
        """What the heads wrote."""
        if mask not in self._heads:
            card = self._network.scope.card
            z = torch.empty(card.layers, len(self.plan), card.heads, card.d_head)
            spots: dict[int, Spot] = {}
            each = each_text(self._network, self._texts, self._tokens, self._options, mask)
            for n, found in each:  # one text after another: the rest of what they wrote is not held
                outputs, places = self._outputs[n]
                z[:, outputs] = found.z[:, places]
                spots |= {output: found.spots[place] for output, place in zip(outputs, places, strict=True)}
            self._heads[mask] = BankVectors(z, self._ids, tuple(spots[n] for n in range(len(self.plan))))
        return self._heads[mask]

    def streams(self, mask: Mask) -> BankVectors:
        """What the residual streams were."""
        if mask not in self._streams:
            card, truncate, spots = self._network.scope.card, self._options.truncate, self.heads(mask).spots
            found = torch.empty(2 * card.layers + 1, len(self.plan), card.d_model)
            for n, stream in each_stream_of(self._network.scope.bench, self._texts, self._tokens, truncate, mask):
                outputs, places = self._outputs[n]
                found[:, outputs] = stream[:, places]
            self._streams[mask] = BankVectors(found, self._ids, spots)
        return self._streams[mask]

    @cached_property
    def _texts(self) -> Sequence[CorpusText]:
        return self._of()

    @cached_property
    def _tokens(self) -> list[tuple[Token, ...]]:
        return [self._network.scope.tokens(text.content, truncate=self._options.truncate) for text in self._texts]

    @cached_property
    def _ordinary(self) -> list[list[Token]]:
        return [[token for token in read if not token.special] for read in self._tokens]

    @cached_property
    def _outputs(self) -> list[tuple[list[int], list[int]]]:
        """Of each text, which outputs are of it, and which of its ordinary tokens these stand at."""
        found = []
        for text, ordinary in zip(self._texts, self._ordinary, strict=True):
            outputs = np.flatnonzero(self.plan.text == text.number).tolist()
            place_of = {token.position: place for place, token in enumerate(ordinary)}
            found.append((outputs, [place_of[position] for position in self.plan.position[outputs].tolist()]))
        return found

    @cached_property
    def _ids(self) -> Tensor:
        ids = torch.empty(len(self.plan), dtype=torch.int64)
        for ordinary, (outputs, places) in zip(self._ordinary, self._outputs, strict=True):
            ids[outputs] = torch.tensor([ordinary[place].id for place in places])
        return ids
