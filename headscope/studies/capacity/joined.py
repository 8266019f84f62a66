"""Texts as Kobayashi et al. 2021 gave them to a model: joined to inputs of up to 128 tokens, 12 % of them masked.

After the authors' code, and that of Clark et al. 2019 (arXiv 1906.04341), whose inputs they took. docs/capacity.md says
what is done otherwise here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from headscope.corpus.texts import CorpusText
from headscope.model.capture.runner import Text
from headscope.model.passages import Tokenized
from headscope.model.tokens import Token
from headscope.question.choices import Mask
from headscope.question.passage import Passage
from headscope.reading.captured import Captured
from headscope.reading.mixing import Mixing, mixing
from headscope.studies.capacity.sweep import seed_of

if TYPE_CHECKING:
    from headscope.scope import Scope

LONGEST = 128  # tokens, special ones included
MASKED = 0.12  # of the tokens that are not special, and one at least
_LOT = 16  # inputs that are kept together


@dataclass(frozen=True)
class InputSize:
    """How many inputs there are, their mean length in tokens, and how many are as long as the longest may be.

    `masked`: whether the model reads masked tokens.
    """

    count: int
    tokens: float
    full: int
    masked: bool


@dataclass(frozen=True)
class JoinedInput:
    """Texts of one document (`group`) as one input: its number, its tokens, and the positions that are masked."""

    number: int
    group: int
    text: str
    tokens: tuple[Token, ...]
    masked: tuple[int, ...]


@dataclass(frozen=True)
class JoinedInputs:
    """All inputs that a corpus gives, in lots: what `corpus.run` asks of shards."""

    inputs: tuple[JoinedInput, ...]
    most: int  # tokens
    mask_token: int | None

    @classmethod
    def of(cls, scope: Scope, texts: Iterable[tuple[CorpusText, int]], marked: bool, seed: int) -> JoinedInputs:
        """Of texts with their groups; where no documents are `marked`, the corpus is one, and every input a group.

        Texts that follow one another are joined by spaces until there are as many tokens as fit, and what is over is
        cut; what is left at a document's end is an input too.
        """
        documents: dict[int, list[str]] = {}
        limit = scope.card.positions
        most = LONGEST if limit is None else min(LONGEST, limit)
        for text, group in texts:
            documents.setdefault(group if marked else 0, []).append(text.content)
        joined = [(group, " ".join(some)) for group, all_ in documents.items() for some in _filled(scope, all_, most)]
        inputs = []
        for number, (group, content) in enumerate(joined):
            tokens = _cut(scope.tokens(content, truncate=True))
            masked = _drawn(tokens, seed_of(seed, "masked", number))
            inputs.append(JoinedInput(number, group if marked else number, content, tokens, masked))
        opened = scope.bench.opened
        return cls(tuple(inputs), most, None if opened.anatomy.causal else opened.names.tokenizer.mask_token_id)

    def __len__(self) -> int:
        """How many lots there are."""
        return -(-len(self.inputs) // _LOT)

    def read(self, wanted: set[int]) -> Iterator[tuple[int, tuple[JoinedInput, ...]]]:
        """The wanted lots with their numbers."""
        return ((lot, self.inputs[_LOT * lot : _LOT * (lot + 1)]) for lot in sorted(wanted))

    @property
    def size(self) -> InputSize:
        """How many and how long they are."""
        lengths = [len(one.tokens) for one in self.inputs]
        full = sum(length >= self.most for length in lengths)
        return InputSize(len(lengths), sum(lengths) / len(lengths), full, self.mask_token is not None)


def mixing_of(scope: Scope, one: JoinedInput, mask: Mask, masked: int | None = None) -> Mixing:
    """The mixing ratios of an input; with the token id `masked` in the place of the tokens that were drawn."""
    bench = scope.bench
    ids = [token.id for token in one.tokens]
    if masked is not None:
        for at in one.masked:
            ids[at] = masked
    context = bench.context(Passage(one.text), truncate=True)
    read = Text(ids, mask, None if context is None else [token.id for token in _cut(context)])
    (heads,) = bench.opened.run([read])
    return mixing(Captured(bench, Passage(one.text), Tokenized(one.text, one.tokens), read, heads, ()))


def _filled(scope: Scope, contents: Sequence[str], most: int) -> Iterator[list[str]]:
    """The texts of a document in order, so many together as fill an input."""
    some: list[str] = []
    length = 0
    for content in contents:
        tokens = scope.tokens(content, truncate=True)
        ours = sum(not token.special for token in tokens)
        some.append(content)
        length += ours
        if length >= most - (len(tokens) - ours):
            yield some
            some, length = [], 0
    if some:
        yield some


def _cut(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The first LONGEST tokens; those that the tokenizer puts at the end stay there."""
    over = len(tokens) - LONGEST
    if over <= 0:
        return tokens
    end = next((n for n, token in enumerate(reversed(tokens)) if not token.special), 0)
    kept = (*tokens[: LONGEST - end], *islice(tokens, len(tokens) - end, None))
    return tuple(replace(token, position=position) for position, token in enumerate(kept))


def _drawn(tokens: Sequence[Token], seed: int) -> tuple[int, ...]:
    ours = [token.position for token in tokens if not token.special]
    count = max(1, int(MASKED * len(ours)))
    return tuple(sorted(np.random.default_rng(seed).choice(ours, count, replace=False).tolist()))
