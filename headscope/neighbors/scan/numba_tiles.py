"""The scan with the compiled kernel: every head, or stretch of one, on a thread of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headscope.cores.pool import spread, threads
from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.neighbors.scan.numba_kernel import DEPTH, LANES, scan_head
from headscope.neighbors.scan.numba_notes import KernelNotes, NotesRoom
from headscope.neighbors.scan.numba_scores import TOKENS
from headscope.neighbors.settle import Findings
from headscope.question.choices import METRICS, Metric

Array = np.ndarray[Any, Any]
_SPARE = 112  # places in a row's pool beside k, and as many as k up to so many more
_DOUBTS = 16  # near-ties of a row of 64 numbers with a target, more of wider ones: a sum of d is certain to d roundings


def scan(
    batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
) -> dict[Metric, Findings]:
    """Findings of every metric; `marks` float64 [row, target] are the exact scores of the targets."""
    work = _KernelBatch.of(batch, metrics, allowed, marks)
    heads, tokens, width = batch.table.rows.shape
    # Two stretches a thread at least, or one thread would wait for the other's last.
    size = -(-tokens // (-(-2 * threads() // heads) * TOKENS)) * TOKENS
    starts = range(0, tokens, size)
    room = NotesRoom(_SPARE + min(k, _SPARE), _DOUBTS * max(1, width // 64))
    notes = KernelNotes.empty(work.row, work.starts, work.marks, len(starts), k, room)
    tasks = [(head, cut, start, min(start + size, tokens)) for head in range(heads) for cut, start in enumerate(starts)]
    spread(lambda task: work.scan(notes, *task), tasks)
    return {metric: notes.findings(m) for m, metric in enumerate(metrics)}


@dataclass(frozen=True)
class _KernelBatch:
    """A batch laid out for the kernel."""

    batch: Batch
    metrics: Array  # [metric]
    allowed: Array  # [token]
    scale: Array  # [place, token]
    shift: Array  # [head, place, d_head]
    shift_norm: Array  # [head, place]
    bias: Array  # [head, place, d_head]
    bias_norm: Array  # [head, place]
    caps: Array  # [head, place]
    starts: Array  # [place + 1], first lane of every place
    row: Array  # [head, lane], −1 where padded
    z: Array  # [head, lane, depth]; this and the next two as `_Recurring` has them
    which: Array  # [head, lane]
    along: Array  # [head, 2, lane]
    length: Array  # [head, lane]
    live: Array  # [head, lane]
    marks: Array  # [head, metric, lane, target]
    targets: Array  # [head, lane], how many there are

    @classmethod
    def of(
        cls, batch: Batch, metrics: Sequence[Metric], allowed: Tensor, marks: dict[Metric, Tensor]
    ) -> "_KernelBatch":
        heads, tokens, d_head = batch.table.rows.shape
        places = range(len(batch.spans))
        lanes = [batch.rows_by_head(place, LANES) for place in places]
        row = torch.cat(lanes, 1)
        z = batch.queries.flatten(0, 1)[row.clamp(min=0)]  # [head, lane, d_head]
        length = torch.linalg.vector_norm(z, dim=-1, dtype=torch.float64)
        live = (row >= 0) & (length >= bounds.SMALLEST) & (length <= bounds.LARGEST)
        z = torch.where(live[..., None], z, 0.0)
        extents = [batch.extent(place) for place in places]
        shift = torch.zeros(len(places), heads, d_head) if batch.shift is None else batch.shift
        starts = np.cumsum([0, *(part.shape[1] for part in lanes)])
        recurring = _Recurring.of(batch, z, row, shift, starts)
        return cls(
            batch,
            np.array([METRICS.index(metric) for metric in metrics]),
            allowed.numpy(),
            (torch.ones(len(places), tokens) if batch.scale is None else batch.scale).numpy(),
            shift.transpose(0, 1).contiguous().numpy(),
            torch.stack([extent.shift for extent in extents], 1).numpy(),
            batch.bias.transpose(0, 1).contiguous().numpy(),
            torch.stack([extent.bias for extent in extents], 1).numpy(),
            torch.stack([extent.cap for extent in extents], 1).numpy(),
            starts,
            row.numpy(),
            torch.nn.functional.pad(recurring.z, (0, -d_head % DEPTH)).numpy(),
            recurring.which.numpy(),
            recurring.along.numpy(),
            torch.where(live, length, 0.0).numpy(),
            live.numpy(),
            torch.stack([marks[m][row.clamp(min=0)] for m in metrics], 1).numpy(),
            marks[metrics[0]].isfinite().sum(1)[row.clamp(min=0)].numpy(),
        )

    def scan(self, notes: KernelNotes, head: int, cut: int, first: int, last: int) -> None:
        """Take notes on one head's tokens from first to last, in one cut."""
        table, at = self.batch.table, (cut, head)
        notes.live[at] = self.live[head]
        notes.listed[at] = scan_head(
            first, last, table.rows[head].numpy(), table.norms[head].numpy(), self.bias[head],
            self.bias_norm[head], self.allowed, self.scale, self.shift[head], self.shift_norm[head],
            self.caps[head], self.starts, self.metrics, bounds.gamma(table.rows.shape[2]),
            self.z[head], self.which[head], self.along[head], self.length[head], notes.live[at], self.marks[head],
            self.targets[head], notes.nearer[at], notes.heaps[at], notes.most[at], notes.token[at], notes.size[at],
            notes.doubtful[at], notes.aside[at],
        )  # fmt: skip


@dataclass(frozen=True)
class _Recurring:
    """What is multiplied with rows: every lane's query; or, where queries recur, each once.

    Had a head attended evenly to the whole text, it would have written the same at every position.
    """

    z: Tensor  # float32 [head, lane, d_head], or [head, distinct query · group, d_head]
    which: Tensor  # int64 [head, lane], which of these; [head, 0] where queries do not recur
    along: Tensor  # float32 [head, 2, lane], products of it with the shift and the bias of its place; likewise

    @classmethod
    def of(cls, batch: Batch, z: Tensor, row: Tensor, shift: Tensor, starts: Array) -> "_Recurring":
        """Of z float32 [head, lane, d_head] and `row` int64 [head, lane], shift [place, head, d_head]."""
        numbers: dict[bytes, int] = {}
        number = [numbers.setdefault(query.tobytes(), len(numbers)) for query in batch.queries.numpy()]
        if 2 * len(numbers) > len(number):
            return cls(z, row.new_empty(len(z), 0), z.new_empty(len(z), 2, 0))
        first = [number.index(one) for one in range(len(numbers))]
        once = batch.queries[first].unflatten(1, (-1, batch.group)).transpose(0, 1).flatten(1, 2)
        place = torch.repeat_interleave(torch.from_numpy(np.diff(starts)))  # [lane]
        parts = torch.stack([shift, batch.bias])[:, place].double()  # [part, lane, head, d_head]
        at = row.clamp(min=0)
        return cls(
            torch.nn.functional.pad(once, (0, 0, 0, -once.shape[1] % LANES)).contiguous(),  # compiled for such alone
            torch.tensor(number)[at // batch.queries.shape[1]] * batch.group + at % batch.group,
            torch.einsum("hld,plhd->hpl", z.double(), parts).float().contiguous(),
        )
