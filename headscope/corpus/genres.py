"""Chance that knows the genre: a bank of outputs, and distractors, from other documents of the same one.

Drawn by the census beside the general bank, which it leaves as it is, and like that the same for every sharding. It is
smaller: there is one for each genre.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headscope.corpus.bank import BankDraw, BankPlan, Ints, joined

OUTPUTS = 16  # of a stratum of positions of a genre
DISTRACTORS = 128  # texts whose types serve as distractors, from all of the corpus; and of each genre
FEWEST = 3  # documents of a genre: one may be left out, and there is still another to be held against
MOST = 64  # genres: what is marked as more of them are topics, names or numbers


class TextTypes(NamedTuple):
    """The token types of a text, int64 [type], its number and its document."""

    text: int
    document: int
    types: NDArray[np.int64]


@dataclass(frozen=True)
class Genres:
    """What a corpus marks: how many `documents` each genre has, by name; none where there are more than MOST.

    `bank`: whose outputs topic-matched chance is measured with, `of` which genre each is; None where no genre has
    FEWEST documents. `distractors` of each genre that has.
    """

    documents: dict[str, int]
    bank: BankPlan | None
    of: NDArray[np.str_]
    distractors: dict[str, tuple[TextTypes, ...]]

    def asked(self, text: int, document: int, genre: str | None, positions: Ints, seed: int) -> Ints:
        """Which outputs of `bank` the tokens of a text of this genre are held against, see `BankPlan.asked`."""
        assert self.bank is not None, "it is asked where there is one"
        among = np.zeros(len(self.of), dtype=bool) if genre is None else self.of == genre
        return self.bank.asked(text, document, positions, seed, among)


class GenreDraw:
    """Draws them while the texts go by."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._genres: dict[str, _OfGenre] = {}
        self._too_many = False

    def take(self, genre: str, of: TextTypes, positions: Ints, digest: bytes) -> None:
        """Have a text of a genre take part, with its ordinary positions in order."""
        if self._too_many:
            return
        if genre not in self._genres:
            if len(self._genres) == MOST:
                self._genres, self._too_many = {}, True
                return
            self._genres[genre] = _OfGenre(BankDraw(self._seed, OUTPUTS), random.Random(f"{self._seed} {genre}"))
        here = self._genres[genre]
        here.texts += 1
        here.documents.add(of.document)
        here.bank.take(of.text, of.document, positions, digest)
        keep_some(here.distractors, of, here.texts, here.draw)

    def genres(self) -> Genres | None:
        """What was drawn; None where no text has a genre."""
        if not self._genres and not self._too_many:
            return None
        known = dict(sorted(self._genres.items()))
        enough = {name: one for name, one in known.items() if len(one.documents) >= FEWEST}
        plans = [one.bank.plan() for one in enough.values()]
        return Genres(
            {name: len(one.documents) for name, one in known.items()},
            joined(plans) if plans else None,
            np.repeat(list(enough), [len(plan) for plan in plans]).astype(np.str_),
            {name: tuple(one.distractors) for name, one in enough.items()},
        )


@dataclass
class _OfGenre:
    bank: BankDraw
    draw: random.Random
    texts: int = 0
    documents: set[int] = field(default_factory=set)
    distractors: list[TextTypes] = field(default_factory=list)


def matched(documents: Mapping[str, int] | None) -> bool:
    """Whether there is any topic-matched chance, by how many documents each genre has; None: none is marked."""
    return any(count >= FEWEST for count in (documents or {}).values())


def told(documents: Mapping[str, int] | None) -> str | None:
    """Which genres have no topic-matched chance, in a sentence; None where all have, or none is marked.

    >>> told({"news": 12, "vlog": 1, "letter": 2})
    'no topic-matched chance for vlog (1 document), letter (2 documents): it takes 3 documents of a genre.'
    """
    if documents is None:
        return None
    if not documents:
        return f"no topic-matched chance: more than {MOST} genres are marked."
    few = [
        f"{name} ({count} document{'s' * (count > 1)})" for name, count in documents.items() if count < FEWEST
    ]  # fmt: skip
    return f"no topic-matched chance for {', '.join(few)}: it takes {FEWEST} documents of a genre." if few else None


def keep_some(kept: list[TextTypes], one: TextTypes, seen: int, draw: random.Random) -> None:
    """Keep every text with the same chance, DISTRACTORS in all."""
    if len(kept) < DISTRACTORS:
        kept.append(one)
    elif (place := draw.randrange(seen)) < DISTRACTORS:
        kept[place] = one
