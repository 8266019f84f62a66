"""Many targets of one query in pure torch: scores are counted by bucket, whatever the number of targets.

Buckets of one width cover the range of a query's marks; see `numba_marks`, which does the same compiled.
"""

import torch
from torch import Tensor

from headscope.neighbors import bounds
from headscope.neighbors.asked import first_not_passed

_BUCKETS = 1024  # of a query: so many that few scores lie in one with a mark
_BLUR = 0.0625  # buckets that rounding moves a score by, at most
_SPARE = 1.1  # a tile's scores may be this many times less certain than before until all is laid out anew


class Buckets:
    """Scores of every lane, counted by bucket as far as that tells on which side of each mark they are."""

    def __init__(self, marks: Tensor) -> None:
        self._marks = marks  # float64 [head, lane, target], ascending; inf where there is none
        finite = marks.isfinite()
        self._largest = marks.masked_fill(~finite, 0.0).abs().amax(2)  # [head, lane]
        self._low = torch.where(finite[..., 0], marks[..., 0], 0.0)
        self._high = torch.where(finite[..., 0], marks.masked_fill(~finite, -torch.inf).amax(2), 0.0)
        self._passing = torch.zeros(*marks.shape[:2], marks.shape[2] + 1, dtype=torch.int64, device=marks.device)
        """How many scores surely pass just so many marks."""
        self._counts = torch.zeros(*marks.shape[:2], _BUCKETS, dtype=torch.int64, device=marks.device)
        lanes = torch.arange(self._low.numel(), device=marks.device).view_as(self._low)[..., None]
        self._offset = (lanes * _BUCKETS).int()
        self._past = lanes * (_BUCKETS + 1)
        self._lay_out(torch.zeros_like(self._low))

    def read(self, scores: Tensor, error: Tensor, scratch: Tensor) -> tuple[Tensor, ...]:
        """Count scores float32 [head, lane, token], off by at most error float64 [head, lane]; scratch is as large.

        Returns the doubtful: head, lane, first target, last, token, int64 [pair].
        """
        width = error + 2 * bounds.UNIT * self._largest
        if (width > self._zone).any():
            self._drain()
            self._lay_out(width)
        torch.sub(scores, self._base.float()[..., None], out=scratch).mul_((1 / self._step).float()[..., None])
        bucket = scratch.clamp_(0, _BUCKETS - 1).int().add_(self._offset)  # [head, lane, token]
        flat = bucket.flatten()
        self._counts += torch.bincount(flat, minlength=self._counts.numel()).view_as(self._counts)
        at = self._open.index_select(0, flat).nonzero().squeeze(1)
        lane = at // scores.shape[2]
        score, reach = scores.flatten()[at].double(), width.flatten()[lane]
        low, high = (side.flatten().index_select(0, flat[at]) for side in (self._first, self._last))
        first = self._passed(lane, low, high, score - reach)
        last = self._passed(lane, first, high, torch.nextafter(score + reach, torch.full_like(score, torch.inf)))
        targets = self._passing.shape[2]
        passing = torch.bincount(lane * targets + first, minlength=self._passing.numel())
        self._passing += passing.view_as(self._passing)
        hit = first < last
        lane, token = lane[hit], at[hit] % scores.shape[2]
        return lane // scores.shape[1], lane % scores.shape[1], first[hit], last[hit], token

    def nearer(self) -> Tensor:
        """How many scores surely pass each mark, int64 [head, lane, target]."""
        self._drain()
        return self._passing.flip(2).cumsum(2).flip(2)[..., 1:]

    def _lay_out(self, width: Tensor) -> None:
        # So wide that the three roundings of a score's place do not move it by as much as _BLUR buckets.
        self._zone = torch.maximum(_SPARE * width, 4 / _BLUR * bounds.UNIT * self._largest)
        self._zone = self._zone.clamp(min=bounds.SMALLEST**2)
        self._step = torch.maximum((self._high - self._low + 2 * self._zone) / (_BUCKETS - 4), self._zone)
        self._base = self._low - self._zone - 2 * self._step
        place = (self._marks - self._base[..., None]) / self._step[..., None]
        reach = (self._zone / self._step)[..., None] + _BLUR

        def counted(bucket: Tensor) -> Tensor:
            """How many marks begin, or end, up to each bucket."""
            # Where there is no mark, past the last bucket.
            flat = (bucket.clamp(max=_BUCKETS).long() + self._past).flatten()
            ones = torch.bincount(flat, minlength=self._past.numel() * (_BUCKETS + 1))
            return ones.view(*place.shape[:2], -1)[..., :-1].cumsum(2)

        self._first = counted((place + reach).floor() + 1)  # marks that all of a bucket's scores surely pass
        self._last = counted((place - reach).floor())  # and those that any may reach
        self._open = (self._first < self._last).flatten()

    def _drain(self) -> None:
        counts = self._counts.masked_fill(self._open.view_as(self._counts), 0)
        self._passing.scatter_add_(2, self._first, counts)
        self._counts.zero_()

    def _passed(self, lane: Tensor, low: Tensor, high: Tensor, value: Tensor) -> Tensor:
        """How many marks of each lane, int64 [pair], are below a value, known to be low … high: int64 [pair]."""
        return first_not_passed(self._marks.flatten(0, 1), lane, low, high, value)
