"""A few queries at a few places, as the search works through them, and their distances in float64."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from headscope.cores.pool import spread
from headscope.neighbors import bounds
from headscope.neighbors.metrics import distances
from headscope.neighbors.shared import Shared
from headscope.neighbors.table import Place, Source, Table
from headscope.question.choices import Metric

QUERIES, PLACES = 512, 32  # of one batch at most: what bounds the memory of a search
_COMPONENTS = {"cpu": 2**17, "cuda": 2**24}  # scored at a time: on a CPU few enough for its caches
_HEADS = 16


@dataclass(frozen=True)
class Extent:
    """How large a table's parts are at one place; see `bounds`."""

    shift: Tensor  # float32 [head], |shift|
    bias: Tensor  # float32 [head], |bias|
    cap: Tensor  # float32 [head], the reach beyond which a row is an outlier


@dataclass(frozen=True)
class Drawn:
    """What is multiplied with shared vectors: `Shared.drawn` of queries and of places, in float64."""

    queries: Tensor  # [row, d]
    shift: Tensor  # [head, place, d]
    bias: Tensor  # [head, place, d]


@dataclass(frozen=True)
class Batch:
    """Queries in order of their place. A *row* is one query in one head: row = query · q_heads + q_head."""

    source: Source
    queries: Tensor  # float32 [query, q_head, d_head]
    place_of: Tensor  # int64 [query], ascending, into the first axis of scale, shift and bias
    scale: Tensor | None  # float32 [place, token]
    shift: Tensor | None  # float32 [place, head, d_head]
    bias: Tensor  # float32 [place, head, d_head]
    stretches: list[float]  # of every place, the mean of |scale|
    targets: Tensor  # int64 [query, target], tokens whose ranks are wanted, each once; −1 where there are fewer
    members: Tensor  # int64 [query], where the queries stood in the search's input

    @property
    def table(self) -> Table:
        """The source, where its rows are held."""
        assert isinstance(self.source, Table), "shared vectors have a scan of their own"
        return self.source

    @cached_property
    def drawn(self) -> "Drawn":
        """What queries and places are where vectors are shared."""
        assert isinstance(self.source, Shared), "a table's rows are multiplied as they are"
        z = self.queries.unflatten(1, (-1, self.group)).transpose(0, 1).flatten(1, 2)  # [head, query · group, width]
        bias = self.bias.transpose(0, 1)
        shift = torch.zeros_like(bias) if self.shift is None else self.shift.transpose(0, 1)
        sizes = [z.shape[1], shift.shape[1], bias.shape[1]]
        z, shift, bias = self.source.drawn(torch.cat([z, shift, bias], 1)).split(sizes, 1)
        by_row = z.unflatten(1, (-1, self.group)).transpose(0, 1).reshape(self.rows, -1)
        return Drawn(by_row, shift, bias)

    def some(self, query: Tensor) -> "Batch":
        """The same of some of the queries, int64 [query], ascending."""
        here, place_of = torch.unique(self.place_of[query], return_inverse=True)
        scale, shift = (None if part is None else part[here] for part in (self.scale, self.shift))
        return Batch(
            self.source, self.queries[query], place_of, scale, shift, self.bias[here],
            [self.stretches[place] for place in here.tolist()], self.targets[query], self.members[query],
        )  # fmt: skip

    def by_row(self) -> "Batch":
        """The same with every row as a query of its own, where one head of the table serves all."""
        assert self.source.shape[0] == 1, "each head has rows of its own"
        heads = self.queries.shape[1]
        return Batch(
            self.source, self.queries.flatten(0, 1)[:, None], self.place_of.repeat_interleave(heads), self.scale,
            self.shift, self.bias, self.stretches, self.targets.repeat_interleave(heads, 0),
            self.members.repeat_interleave(heads),
        )  # fmt: skip

    @property
    def rows(self) -> int:
        return self.queries.shape[0] * self.queries.shape[1]

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """First and last-but-one query of every place."""
        ends = torch.bincount(self.place_of).cumsum(0).tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True))

    @property
    def target_pairs(self) -> tuple[Tensor, Tensor]:
        """Every row with every target of its query: row, token, int64 [pair]."""
        token = self.targets.repeat_interleave(self.queries.shape[1], 0)  # [row, target]
        row, column = (token >= 0).nonzero(as_tuple=True)
        return row, token[row, column]

    def scores(self, metric: Metric, asked: Tensor) -> Tensor:
        """Scores as `bounds` defines them, float64 [row, target], of exact distances [row, target]."""
        length = torch.linalg.vector_norm(self.queries.flatten(0, 1), dim=-1, dtype=torch.float64)[:, None]
        if metric == "cosine":
            return torch.mul(length, 1 - asked)
        if metric == "euclidean":
            return torch.mul(0.5, length.square() - asked.square())
        return -asked

    def extent(self, place: int) -> Extent:
        """Sizes that bound what a token's encoding at a place can be."""
        bias = torch.linalg.vector_norm(self.bias[place], dim=-1, dtype=torch.float64).float()
        shift = torch.zeros_like(bias)
        if self.shift is not None:
            shift = torch.linalg.vector_norm(self.shift[place], dim=-1, dtype=torch.float64).float()
        cap = bounds.OUTLYING * (self.stretches[place] * (self.source.typical + shift) + bias)
        return Extent(shift, bias, cap.clamp(max=bounds.LARGEST))

    def rows_by_head(self, place: int, lanes: int) -> Tensor:
        """Rows of one place by the table head they read, int64 [head, lane].

        The lanes are padded with −1 to a multiple of `lanes`.
        """
        start, stop = self.spans[place]
        row = torch.arange(start * self.queries.shape[1], stop * self.queries.shape[1], device=self.queries.device)
        row = row.view(stop - start, -1, self.group).transpose(0, 1).flatten(1)  # [head, query · group]
        return torch.nn.functional.pad(row, (0, -row.shape[1] % lanes), value=-1)

    @property
    def group(self) -> int:
        """Query heads that share one table head."""
        return self.queries.shape[1] // self.source.shape[0]


def pair_distances(batch: Batch, metric: Metric, row: Tensor, token: Tensor) -> Tensor:
    """Exact distances of pairs `row`, `token` int64 [pair], float64 [pair]."""
    size = max(1, _COMPONENTS[row.device.type] // batch.queries.shape[2])
    if isinstance(batch.source, Shared):
        size *= _HEADS  # rows of one head are made together

    def measure(start: int) -> Tensor:
        pair = slice(start, start + size)
        query, q_head = row[pair] // batch.queries.shape[1], row[pair] % batch.queries.shape[1]
        encoded = _encode(batch, query, q_head // batch.group, token[pair])
        return distances(metric, batch.queries[query, q_head], encoded)

    none = torch.empty(0, dtype=torch.float64, device=row.device)
    return torch.cat([none, *spread(measure, range(0, len(row), size))])


def _encode(batch: Batch, query: Tensor, head: Tensor, token: Tensor) -> Tensor:
    encoded = batch.source.pairs(head, token).double()  # [pair, d_head]
    place = batch.place_of[query]
    if batch.shift is not None:
        encoded += batch.shift[place, head]
    if batch.scale is not None:
        encoded *= batch.scale[place, token, None]
    encoded += batch.bias[place, head]
    return encoded


def batches(
    source: Source, places: Sequence[Place], queries: Tensor, targets: Tensor, place_of: Tensor, size: int
) -> Iterator[Batch]:
    """The queries in batches of at most `size`, grouped by place, so that a place is prepared once."""
    order = place_of.argsort(stable=True)
    start = 0
    while start < len(order):
        members = order[start : start + size]
        here, local = torch.unique(place_of[members], return_inverse=True)
        members, local = members[local < PLACES], local[local < PLACES]
        start += len(members)
        chosen = [places[place] for place in here[:PLACES].tolist()]
        yield Batch(
            source=source,
            queries=queries[members].float(),
            place_of=local,
            scale=_stack([place.scale for place in chosen], 1.0, source.norms[0]),
            shift=_stack([place.shift for place in chosen], 0.0, source.bias),
            bias=torch.stack([source.bias_at(place) for place in chosen]),
            stretches=[place.stretch for place in chosen],
            targets=targets[members],
            members=members,
        )


def _stack(parts: list[Tensor | None], neutral: float, like: Tensor) -> Tensor | None:
    if all(part is None for part in parts):
        return None
    whole = [torch.full_like(like, neutral) if part is None else part.float() for part in parts]
    return whole[0][None] if len(whole) == 1 else torch.stack(whole)
