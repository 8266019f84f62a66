"""How long measuring takes, from a trial: what every shard costs by itself, and what a position adds.

A shard of one text takes a large part of what one of many does: the vocabulary is read through once for both. Seconds a
position, taken of one text, say several times too much of a corpus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from headscope.corpus.counted import CountedCorpus
from headscope.corpus.texts import CorpusText
from headscope.studies.survey.measure import Context, measure
from headscope.studies.survey.network import Network
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.store import Discard

if TYPE_CHECKING:
    from headscope.scope import Scope

LEAST, MOST = 4, 64  # texts that the pace is taken from
PATIENCE = 10  # trials: one text that takes longer is enough


@dataclass(frozen=True)
class Pace:
    """Seconds that every shard takes, whatever is in it, and that each of its positions takes."""

    shard: float
    position: float

    @classmethod
    def through(cls, few: tuple[int, float], more: tuple[int, float]) -> Pace:
        """The line through two trials of (positions, seconds); where more took no longer, all is counted by position.

        >>> Pace.through((16, 1.25), (80, 1.75))
        Pace(shard=1.125, position=0.0078125)
        >>> Pace.through((16, 1.25), (80, 1.0))
        Pace(shard=0.0, position=0.0125)
        """
        position = (more[1] - few[1]) / (more[0] - few[0]) if more[0] > few[0] else 0.0
        shard = few[1] - position * few[0]
        return cls(shard, position) if position > 0 and shard > 0 else cls(0.0, more[1] / more[0])

    def seconds(self, shards: int, positions: int) -> float:
        """How long so many shards take, which have so many positions together."""
        return shards * self.shard + positions * self.position


def pace(spent: Callable[[int], float], positions: Sequence[int], trial: float) -> Pace:
    """The pace of texts of so many `positions`; `spent` measures the first so many of them, and says its seconds.

    One text is measured to make all ready, and again; then four, and more until they take a fourth of `trial` seconds.
    Where one takes ten trials by itself, it is enough.

    >>> pace(lambda texts: 1.25 + 0.0625 * texts, [10] * 80, trial=4.0).seconds(shards=1, positions=10_000)
    63.75
    """
    spent(1)
    first = seconds = spent(1)
    size = 1
    while size < min(len(positions), MOST) and seconds < (PATIENCE * trial if size < LEAST else trial / 4):
        size = min(max(2 * size, LEAST), len(positions), MOST)
        seconds = spent(size)
    return Pace.through((positions[0], first), (sum(positions[:size]), seconds))


def pace_of_first(
    scope: Scope,
    counted: CountedCorpus,
    context: Callable[[Sequence[CorpusText], Sequence[int]], Context],
    trial: float,
    options: SurveyOptions,
    layers: Sequence[int],
) -> Pace:
    """The pace of a corpus's first texts in some layers; `context`: of texts, by the groups that they belong to."""
    census = counted.census

    def spent(size: int) -> float:
        texts = _first_texts(counted, size)
        known = context(texts, census.groups[:size].tolist())
        start = time.perf_counter()
        measure(Network(scope), texts, options, known, Discard(), layers=layers)
        return time.perf_counter() - start

    return pace(spent, census.positions.tolist()[:MOST], trial)


def _first_texts(counted: CountedCorpus, size: int) -> list[CorpusText]:
    numbers = set(counted.census.numbers[:size].tolist())
    first = (one for one in counted.corpus if isinstance(one, CorpusText) and one.number in numbers)
    return list(islice(first, len(numbers)))
