"""Token Signal, compiled: the best of many small sets, without a copy of the scores that are picked."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import typeof
from torch import Tensor

from headscope.cores.pool import spread, threads
from headscope.errors import clause
from headscope.neighbors.scan.numba_jit import jit

log = logging.getLogger(__name__)


def can(*given: Tensor) -> bool:
    """Whether what `signals` is given can be computed by it: what numba keeps on disk can be read, or made anew."""
    return _loaded(tuple(map(typeof, _arguments(*given))))


def signals(scores: Tensor, text: Tensor, members: Tensor, starts: Tensor, counts: Tensor) -> Tensor:
    """See `signal.Sets.signals`; float32 [row, head]."""
    *given, out, _, heads = _arguments(scores, text, members, starts, counts)
    size = -(-heads // threads())

    def work(start: int) -> None:
        _signals(*given, out, start, min(heads, start + size))

    spread(work, range(0, heads, size))
    return torch.from_numpy(out)


def _arguments(scores: Tensor, text: Tensor, members: Tensor, starts: Tensor, counts: Tensor) -> tuple[Any, ...]:
    """What the loop takes for all heads."""
    heads, rows, _ = scores.shape
    parts = (scores.numpy(), text.numpy(), members.numpy(), starts.numpy(), counts.numpy())
    most = int(counts.max())  # sets of any text
    return *parts, most, np.empty((rows, heads), dtype=np.float32), 0, heads


@cache
def _loaded(kinds: tuple[Any, ...]) -> bool:
    try:
        _signals.compile(kinds)
    except Exception as error:  # a damaged file of numba's may be anything but what it was; a disk may be full
        log.warning(
            "the compiled Token Signal cannot be loaded, so torch does the work, which is slower: %s. Remove what "
            "numba keeps in %s.",
            clause(error),
            _signals.stats.cache_path,
        )
        log.debug("this is how it failed", exc_info=True)
        return False
    return True


@jit()
def _signals(scores, text, members, starts, counts, most, out, first, stop):  # type: ignore[no-untyped-def]
    ours, theirs = np.empty(most, np.float32), np.empty(most, np.float32)
    for head in range(first, stop):
        for row in range(scores.shape[1]):
            score, at, count = scores[head, row], starts[text[row]], counts[text[row]]
            sets = count[0]
            ours[:] = -np.inf
            theirs[:] = -np.inf
            for size in count:
                if not size:
                    break
                # Set after set, so that no comparison waits for the one before it.
                for s in range(size):
                    ours[s] = max(ours[s], score[members[at + s]])
                for s in range(size):
                    theirs[s] = max(theirs[s], score[members[at + size + s]])
                at += 2 * size
            won = 0
            for s in range(sets):
                won += (ours[s] > theirs[s]) - (ours[s] < theirs[s])
            out[row, head] = won / sets if sets else np.nan
