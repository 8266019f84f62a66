"""Token Signal, compiled: the best of many small sets, without a copy of the scores that are picked."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headscope.neighbors.numba_jit import jit
from headscope.neighbors.pool import pool


def signals(scores: Tensor, text: Tensor, members: Tensor, starts: Tensor) -> Tensor:
    """See `signal.Sets.signals`; float32 [row, head]."""
    heads, rows, _ = scores.shape
    out = np.empty((rows, heads), dtype=np.float32)
    parts = (scores.numpy(), text.numpy(), members.numpy(), starts.numpy())
    threads = torch.get_num_threads()
    size = -(-heads // threads)

    def work(start: int) -> None:
        _signals(*parts, out, start, min(heads, start + size))

    list(pool(threads).map(work, range(0, heads, size)))
    return torch.from_numpy(out)


@jit()
def _signals(scores, text, members, starts, out, first, stop):  # type: ignore[no-untyped-def]
    for head in range(first, stop):
        for row in range(scores.shape[1]):
            score, start = scores[head, row], starts[text[row]]
            won, sets = 0, 0
            for s in range(len(start) - 1):
                half = (start[s + 1] - start[s]) // 2
                if half == 0:
                    continue
                ours = theirs = np.float32(-np.inf)
                for n in range(start[s], start[s] + half):
                    ours = max(ours, score[members[n]])
                    theirs = max(theirs, score[members[n + half]])
                sets += 1
                if ours > theirs:
                    won += 1
                elif ours < theirs:
                    won -= 1
            out[row, head] = won / sets if sets else np.nan
