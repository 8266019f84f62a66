"""The scan with the compiled kernel: every head, or stretch of one, on a thread of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.neighbors.metrics import METRICS, Metric
from headscope.neighbors.numba_kernel import DEPTH, LANES, TOKENS, scan_head
from headscope.neighbors.pool import pool
from headscope.neighbors.settle import Findings

Array = np.ndarray[Any, Any]
_SPARE = 112  # places in a row's pool beside k: ties and near-ties at the k-th
_DOUBTS = 16  # near-ties of a row with a target that there is room for, on average
_ASIDE = 4096  # tokens of one stretch, metric and place that float64 may have to score for every row


def scan(
    batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
) -> dict[Metric, Findings]:
    """Findings of every metric; `marks` float64 [row, target] are the exact scores of the targets."""
    work = _Work.of(batch, metrics, k, allowed, marks)
    heads, tokens, _ = batch.table.rows.shape
    threads = torch.get_num_threads()
    # Two stretches a thread at least, or one thread would wait for the other's last.
    cuts = -(-2 * threads // heads)
    size = -(-tokens // (cuts * TOKENS)) * TOKENS
    tasks = [(head, start, min(start + size, tokens)) for head in range(heads) for start in range(0, tokens, size)]
    stretches = list(pool(threads).map(work.scan, tasks))
    return {metric: work.findings(m, stretches) for m, metric in enumerate(metrics)}


@dataclass(frozen=True)
class _Stretch:
    """What the kernel wrote about a stretch of one head; see `scan_head`."""

    head: int
    nearer: Array  # [metric, lane, target]
    most: Array  # [metric, lane, pool]
    token: Array  # [metric, lane, pool]
    size: Array  # [metric, lane]
    floor: Array  # [metric, lane], k tokens surely score as much
    live: Array  # [metric, lane]
    doubtful: Array  # [pair, 4]: metric, lane, target, token
    aside: Array  # [pair, 3]: metric, place, token


@dataclass(frozen=True)
class _Work:
    """A batch laid out for the kernel."""

    batch: Batch
    k: int
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
    z: Array  # [head, lane, depth]
    length: Array  # [head, lane]
    live: Array  # [head, lane]
    marks: Array  # [head, metric, lane, target]

    @classmethod
    def of(
        cls, batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
    ) -> "_Work":
        heads, tokens, d_head = batch.table.rows.shape
        places = range(len(batch.spans))
        lanes = [batch.rows_by_head(place, LANES) for place in places]
        row = torch.cat(lanes, 1)
        # numpy takes them on one thread; torch's would go on spinning beside the scan's.
        z = torch.from_numpy(batch.queries.flatten(0, 1).numpy()[row.clamp(min=0).numpy()])  # [head, lane, d_head]
        length = torch.linalg.vector_norm(z, dim=-1, dtype=torch.float64)
        live = (row >= 0) & (length >= bounds.SMALLEST) & (length <= bounds.LARGEST)
        z = torch.where(live[..., None], z, 0.0)
        extents = [batch.extent(place) for place in places]
        shift = torch.zeros(len(places), heads, d_head) if batch.shift is None else batch.shift
        return cls(
            batch,
            k,
            np.array([METRICS.index(metric) for metric in metrics]),
            allowed.numpy(),
            (torch.ones(len(places), tokens) if batch.scale is None else batch.scale).numpy(),
            shift.transpose(0, 1).contiguous().numpy(),
            torch.stack([extent.shift for extent in extents], 1).numpy(),
            batch.bias.transpose(0, 1).contiguous().numpy(),
            torch.stack([extent.bias for extent in extents], 1).numpy(),
            torch.stack([extent.cap for extent in extents], 1).numpy(),
            np.cumsum([0, *(part.shape[1] for part in lanes)]),
            row.numpy(),
            torch.nn.functional.pad(z, (0, -d_head % DEPTH)).numpy(),
            torch.where(live, length, 0.0).numpy(),
            live.numpy(),
            torch.stack([marks[m][row.clamp(min=0)] for m in metrics], 1).numpy(),
        )

    def scan(self, task: tuple[int, int, int]) -> _Stretch:
        """One head's tokens from first to last."""
        head, first, last = task
        shape = (len(self.metrics), self.row.shape[1])
        table, width, targets = self.batch.table, self.k + _SPARE + min(self.k, _SPARE), self.marks.shape[-1]
        nearer = np.zeros((*shape, targets), np.int64)
        heaps, most = np.full((*shape, self.k), -np.inf, np.float32), np.empty((*shape, width), np.float32)
        token, size = np.empty((*shape, width), np.int64), np.zeros(shape, np.int64)
        live = np.repeat(self.live[head][None], shape[0], 0)
        doubtful = np.empty((_DOUBTS * nearer.size + TOKENS, 4), np.int64)
        aside = np.empty((_ASIDE, 3), np.int64)
        doubts, asides = scan_head(
            first, last, table.rows[head].numpy(), table.norms[head].numpy(), self.bias[head],
            self.bias_norm[head], self.allowed, self.scale, self.shift[head], self.shift_norm[head],
            self.caps[head], self.starts, self.metrics, bounds.gamma(table.rows.shape[2]),
            self.z[head], self.length[head], live, self.marks[head],
            nearer, heaps, most, token, size, doubtful, aside,
        )  # fmt: skip
        return _Stretch(head, nearer, most, token, size, heaps[..., 0], live, doubtful[:doubts], aside[:asides])

    def findings(self, m: int, stretches: list[_Stretch]) -> Findings:
        """What all stretches say about one metric."""
        rows, targets = self.batch.rows, self.marks.shape[-1]
        nearer = np.zeros((rows + 1, targets), np.int64)  # the last row is the padded lanes'
        floor, live = np.full(rows + 1, -np.inf, np.float32), np.ones(rows + 1, np.bool_)
        for part in stretches:
            row = self.row[part.head]
            nearer[row] += part.nearer[m]
            floor[row] = np.maximum(floor[row], part.floor[m])
            live[row] &= part.live[m]
        doubtful, contenders = [np.empty((3, 0), np.int64)], [np.empty((2, 0), np.int64)]
        for part in stretches:
            row = self.row[part.head]
            _, lane, target, token = part.doubtful[part.doubtful[:, 0] == m].T
            doubtful.append(np.stack([row[lane], target, token]))
            lane, place = (np.arange(part.size[m].max()) < part.size[m][:, None]).nonzero()
            kept = part.most[m, lane, place] >= floor[row[lane]]
            contenders.append(np.stack([row[lane[kept]], part.token[m, lane[kept], place[kept]]]))
            for _, at, token in part.aside[part.aside[:, 0] == m]:
                every = row[self.starts[at] : self.starts[at + 1]]
                contenders.append(np.stack([every, np.full_like(every, token)]))
                for target in range(targets):
                    doubtful.append(np.stack([every, np.full_like(every, target), np.full_like(every, token)]))
        return Findings(
            torch.from_numpy(nearer[:-1]),
            _of_live_rows(doubtful, live),
            _of_live_rows(contenders, live),
            torch.from_numpy(~live[:-1]),
        )


def _of_live_rows(pairs: list[Array], live: Array) -> tuple[Tensor, ...]:
    joined = np.concatenate(pairs, 1)
    joined = joined[:, live[joined[0]] & (joined[0] >= 0)]
    return tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in joined)
