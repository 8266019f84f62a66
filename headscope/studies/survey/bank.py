"""The bank that the census drew, measured: what the heads wrote at its tokens, under each mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headscope.corpus.bank import BankPlan
from headscope.corpus.texts import CorpusText
from headscope.model.feed.positions import Spot
from headscope.model.tokens import Token
from headscope.question.choices import Mask
from headscope.studies.survey.heads import heads_of, streams_of
from headscope.studies.survey.options import SurveyOptions

if TYPE_CHECKING:
    from headscope.scope import Scope


@dataclass(frozen=True)
class BankHeads:
    """The bank's outputs under one mask: z float32 [layer, output, head, d_head].

    `ids` int64 [output] are the tokens that they stand at, `spots` where, as the model counted them.
    """

    z: Tensor
    ids: Tensor
    spots: tuple[Spot, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class BankStreams:
    """The residual streams at the bank's tokens under one mask: float32 [stage, output, d_model].

    `ids` and `spots` as those of `BankHeads`.
    """

    streams: Tensor
    ids: Tensor
    spots: tuple[Spot, ...]

    def __len__(self) -> int:
        return len(self.ids)


class SurveyBank:
    """The bank of a survey: who is in it, and what one model, or a null of it, wrote there.

    Measured once under each mask, when it is first asked for.
    """

    def __init__(
        self,
        plan: BankPlan,
        texts: Callable[[], Sequence[CorpusText]],
        scope: Scope,
        options: SurveyOptions,
        null: str | None = None,
    ) -> None:
        self.plan, self._of, self._scope, self._options, self._null = plan, texts, scope, options, null
        self._heads: dict[Mask, BankHeads] = {}
        self._streams: dict[Mask, BankStreams] = {}

    def heads(self, mask: Mask) -> BankHeads:
        """What the heads wrote."""
        if mask not in self._heads:
            heads = heads_of(self._scope, self._texts, self._tokens, self._options, mask, self._null)
            self._heads[mask] = BankHeads(
                heads.z[:, self._places].clone(), self._ids, tuple(heads.spots[n] for n in self._places)
            )
        return self._heads[mask]

    def streams(self, mask: Mask) -> BankStreams:
        """What the residual streams were."""
        if mask not in self._streams:
            truncate, spots = self._options.truncate, self.heads(mask).spots
            of_texts = streams_of(self._scope.bench, self._texts, self._tokens, truncate, mask)
            self._streams[mask] = BankStreams(torch.cat(of_texts, 1)[:, self._places].clone(), self._ids, spots)
        return self._streams[mask]

    @cached_property
    def _texts(self) -> Sequence[CorpusText]:
        return self._of()

    @cached_property
    def _tokens(self) -> list[tuple[Token, ...]]:
        return [self._scope.tokens(text.content, truncate=self._options.truncate) for text in self._texts]

    @cached_property
    def _ordinary(self) -> dict[tuple[int, int], tuple[int, int]]:
        """By text and position, which of the bank's texts' ordinary tokens it is, and its id."""
        ordinary = [
            (text.number, token)
            for text, read in zip(self._texts, self._tokens, strict=True)
            for token in read
            if not token.special
        ]
        return {(number, token.position): (n, token.id) for n, (number, token) in enumerate(ordinary)}

    @cached_property
    def _places(self) -> list[int]:
        return [self._ordinary[key][0] for key in self._keys]

    @cached_property
    def _ids(self) -> Tensor:
        return torch.tensor([self._ordinary[key][1] for key in self._keys])

    @property
    def _keys(self) -> list[tuple[int, int]]:
        return list(zip(self.plan.text.tolist(), self.plan.position.tolist(), strict=True))
