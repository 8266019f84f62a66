"""Token Signal, compiled: the best of many small sets, without a copy of the scores that are picked."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headscope.cores import spread, threads
from headscope.neighbors.scan.numba_jit import jit


def signals(scores: Tensor, text: Tensor, members: Tensor, starts: Tensor, counts: Tensor) -> Tensor:
    """See `signal.Sets.signals`; float32 [row, head]."""
    heads, rows, _ = scores.shape
    out = np.empty((rows, heads), dtype=np.float32)
    parts = (scores.numpy(), text.numpy(), members.numpy(), starts.numpy(), counts.numpy())
    most = int(counts.max())  # sets of any text
    size = -(-heads // threads())

    def work(start: int) -> None:
        _signals(*parts, most, out, start, min(heads, start + size))

    spread(work, range(0, heads, size))
    return torch.from_numpy(out)


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
