"""What the torch scan keeps of each tile: counts, near-ties, and whatever may be among the k nearest."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.neighbors.scan.torch_marks import Buckets
from headscope.neighbors.settle import Findings
from headscope.question.choices import Metric

_FEW = 8  # targets of a query that are counted one after another; more are counted by buckets
BLOCK = 32  # tokens that are looked at together
_LEAST = torch.finfo(torch.float32).min  # −inf is the score of what is no candidate
_MANY = 8  # times k: beyond so many peaks, finding the k-th highest takes longer than larger blocks cost
_CROWD = 1024  # pairs that float64 may have to settle for one row, beside those that k and the targets ask for


@dataclass
class Notes:
    """Notes on some queries under one metric; a lane is one of them."""

    metric: Metric
    k: int
    row: Tensor  # int64 [head, lane]
    live: Tensor  # bool [head, lane], false where left to float64
    length: Tensor  # float64 [head, lane], |z|
    marks: Tensor  # float64 [target, head, lane], exact scores of the targets
    nearer: Tensor  # int64 [target, head, lane]
    floor: Tensor  # float32 [head, lane], no score below it can be among the k nearest
    load: Tensor  # int64 [head, lane], pairs taken
    peaks: list[Tensor] = field(default_factory=list)  # float32 [head, lane, block], certain ones
    tiles: int = 0
    buckets: Buckets | None = None  # where the targets are many
    doubtful: list[tuple[Tensor, ...]] = field(default_factory=list)  # head, lane, first target, last, token
    contenders: list[tuple[Tensor, ...]] = field(default_factory=list)  # head, lane, token, most it can score

    @classmethod
    def start(cls, metric: Metric, k: int, row: Tensor, live: Tensor, length: Tensor, marks: Tensor) -> "Notes":
        own = marks[row].movedim(-1, 0).masked_fill(~live, torch.inf)
        floor = torch.where(live, -torch.inf, torch.inf).float()
        none = torch.zeros_like(own, dtype=torch.int64)
        # Lanes left to float64 are read as any other, and what is said of them is left out in the end.
        buckets = Buckets(marks[row].masked_fill(~live[..., None], torch.inf)) if len(own) > _FEW else None
        load = torch.zeros_like(row)
        return cls(metric, k, row, live, length.masked_fill(~live, 0.0), own, none, floor, load, buckets=buckets)

    def read(self, start: int, scores: Tensor, error: Tensor, fixed_error: Tensor, scratch: Tensor) -> None:
        """Take notes of scores float32 [head, lane, token], and scratch as large, of tokens from `start`.

        A score is off by at most error · |z| + fixed_error, both float32 [head, lane].
        """
        # A block is every n-th token: passes over all blocks are then of vector instructions, whatever the lanes.
        blocks = scores.unflatten(2, (BLOCK, -1))  # [head, lane, token of the block, block]
        error = error.double() * self.length + fixed_error.double()
        if self.metric == "euclidean":
            error = error + bounds.EXACT_UNIT * self.length**2
        if self.buckets is None:
            self._read_targets(start, scores, error, scratch)
        else:
            self._read_many(start, self.buckets.read(scores, error, scratch))
        self._read_peaks(start, blocks, error.float())
        self._leave_crowded()
        self.tiles += 1

    def _read_targets(self, start: int, scores: Tensor, error: Tensor, scratch: Tensor) -> None:
        for target, mark in enumerate(self.marks):
            width = error + 2 * bounds.UNIT * mark.abs()  # the second for its rounding to float32
            high, low = (mark + width).float(), (mark - width).float().clamp(min=_LEAST)  # [head, lane]
            # Ones and zeros in float32: torch counts those five times as fast as truth values.
            above = torch.gt(scores, high[..., None], out=scratch).sum(2)  # [head, lane]
            reaching = torch.ge(scores, low[..., None], out=scratch).sum(2)
            self.nearer[target] += above.long()
            head, lane = (above != reaching).nonzero(as_tuple=True)
            score = scores[head, lane]  # [hit, token]
            inside = (score >= low[head, lane, None]) & (score <= high[head, lane, None])
            hit, token = inside.nonzero(as_tuple=True)
            head, lane, token = head[hit], lane[hit], start + token
            self.doubtful.append((head, lane, torch.full_like(head, target), torch.full_like(head, target + 1), token))
            self.load.index_put_((head, lane), torch.ones_like(head), accumulate=True)

    def _read_many(self, start: int, doubtful: tuple[Tensor, ...]) -> None:
        head, lane, first, last, token = _where_live(self.live, doubtful)
        self.doubtful.append((head, lane, first, last, token + start))
        self.load.index_put_((head, lane), torch.ones_like(head), accumulate=True)

    def _read_peaks(self, start: int, blocks: Tensor, error: Tensor) -> None:
        peak = blocks.amax(2)  # [head, lane, block]
        # Where the blocks are fewer than k, their peaks say nothing of the k-th: every score is one.
        few = blocks.shape[3] + sum(peaks.shape[2] for peaks in self.peaks) < self.k
        self.peaks.append((blocks.flatten(2) if few else peak) - error[..., None])
        if self.tiles & (self.tiles + 1) == 0:  # after 1, 2, 4, … tiles
            self._raise_floor()
        bar = (self.floor - error).clamp(min=_LEAST)
        head, lane, block = (peak >= bar[..., None]).nonzero(as_tuple=True)
        score = blocks[head, lane, :, block]  # [hit, token of the block]
        hit, token = (score >= bar[head, lane, None]).nonzero(as_tuple=True)
        head, lane, score = head[hit], lane[hit], score[hit, token]
        token = start + token * blocks.shape[3] + block[hit]
        self.contenders.append((head, lane, token, score + error[head, lane]))
        self.load.index_put_((head, lane), torch.ones_like(head), accumulate=True)

    def _raise_floor(self) -> None:
        # The k-th highest peak, less its error, is passed by k tokens; so is that of larger blocks, made of two.
        while len(self.peaks) > 2 and sum(peaks.shape[2] for peaks in self.peaks[1:]) > _MANY * self.k:
            kept, *fresh = self.peaks
            odd = [fresh.pop()] if len(fresh) % 2 else []
            self.peaks = [kept, *odd, *map(torch.maximum, fresh[::2], fresh[1::2])]
        highest = torch.cat(self.peaks, 2)
        if highest.shape[2] >= self.k:
            highest = highest.topk(self.k, 2).values
            self.floor = torch.where(self.live, highest[..., -1], torch.inf)
        self.peaks = [highest]

    def _leave_crowded(self) -> None:
        most = _CROWD + 16 * (self.k + len(self.marks))
        if int(self.load.max()) > most:
            self._leave(self.load > most)

    def _leave(self, lanes: Tensor) -> None:
        """Leave lanes [head, lane] to float64."""
        self.live = self.live & ~lanes
        self.load = self.load.masked_fill(lanes, 0)
        self.floor = self.floor.masked_fill(lanes, torch.inf)
        self.marks = self.marks.masked_fill(lanes, torch.inf)
        self.doubtful = [_where_live(self.live, pairs) for pairs in self.doubtful]
        self.contenders = [_where_live(self.live, pairs) for pairs in self.contenders]

    def set_aside(self, start: int, tokens: Tensor, place_of: Tensor) -> None:
        """Tokens of the tile, bool [head, place, token], that float64 has to score for every row of the place."""
        lists = tokens[:, place_of]  # [head, lane, token]
        self.load = self.load + lists.sum(2)
        self._leave_crowded()
        head, lane, token = (lists & self.live[..., None]).nonzero(as_tuple=True)
        token = token + start
        self.contenders.append((head, lane, token, torch.full_like(head, torch.inf, dtype=torch.float32)))
        every = torch.full_like(head, len(self.marks))
        self.doubtful.append((head, lane, torch.zeros_like(head), every, token))

    def finish(self) -> None:
        self._raise_floor()
        if self.buckets is not None:
            self.nearer = self.buckets.nearer().movedim(-1, 0)

    @staticmethod
    def findings(batch: Batch, targets: int, parts: list[list["Notes"]]) -> Findings:
        """What all notes say, by row: each part is of other rows, and has notes on every stretch of the vocabulary."""
        device = batch.queries.device
        nearer = torch.zeros(batch.rows, targets, dtype=torch.int64, device=device)
        crowded = torch.ones(batch.rows, dtype=torch.bool, device=device)
        doubtful, contenders = [], []
        for stretches in parts:
            row, k = stretches[0].row, stretches[0].k
            live = torch.stack([notes.live for notes in stretches]).all(0)
            crowded[row[live]] = False
            nearer[row[live]] = torch.stack([notes.nearer for notes in stretches]).sum(0)[:, live].T
            floor = torch.full_like(live, -torch.inf, dtype=torch.float32)
            peaks = torch.cat([notes.peaks[0] for notes in stretches], 2)
            if peaks.shape[2] >= k:
                floor = peaks.topk(k, 2).values[..., -1]  # k tokens surely score as much
            for notes in stretches:
                listed = _where_live(live, tuple(torch.cat(part) for part in zip(*notes.doubtful, strict=True)))
                doubtful.append((row[listed[0], listed[1]], *listed[2:]))
                listed = _where_live(live, tuple(torch.cat(part) for part in zip(*notes.contenders, strict=True)))
                head, lane, token, most = listed
                kept = most >= floor[head, lane]
                contenders.append((row[head[kept], lane[kept]], token[kept]))
        return Findings(
            nearer, tuple(torch.cat(part) for part in zip(*doubtful, strict=True)),
            tuple(torch.cat(part) for part in zip(*contenders, strict=True)), crowded,
        )  # fmt: skip


def _where_live(live: Tensor, pairs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    kept = live[pairs[0], pairs[1]]
    return tuple(part[kept] for part in pairs)
