"""Random vocabularies of a model's shape: the search does not care what the numbers mean."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.neighbors import Backend, Place, Table, search
from headscope.question.choices import Metric


@dataclass(frozen=True)
class Problem:
    """Queries over a handful of places, and the table they are searched in."""

    table: Table
    places: list[Place]
    queries: Tensor  # float32 [query, head, d_head]
    own: Tensor  # int64 [query]
    place_of: Tensor  # int64 [query]

    @classmethod
    def random(cls, queries: int, places: int, *, tokens: int = 50_265, heads: int = 12, d_head: int = 64) -> "Problem":
        draw = torch.Generator().manual_seed(0)
        table = Table.pack(
            torch.randn(heads, tokens, d_head, generator=draw),
            0.3 * torch.randn(heads, d_head, generator=draw),
        )
        at = [
            Place(1 + torch.rand(tokens, generator=draw), 0.5 * torch.randn(heads, d_head, generator=draw))
            for _ in range(places)
        ]
        own = torch.randint(tokens, (queries,), generator=draw)
        return cls(
            table,
            at,
            torch.randn(queries, heads, d_head, generator=draw),
            own,
            torch.arange(queries) % places,
        )

    @property
    def multiply_adds(self) -> int:
        return self.queries.shape[0] * self.table.rows.numel()

    def search(self, backend: Backend, *metrics: Metric, others: int = 0) -> object:
        """The nearest 15, and the ranks of the own token and of `others` more."""
        draw = torch.Generator().manual_seed(1)
        more = torch.randint(self.table.rows.shape[1], (len(self.own), others), generator=draw)
        return search(
            self.table,
            self.places,
            self.queries,
            self.own,
            place_of=self.place_of,
            metrics=metrics,
            others=more if others else None,
            backend=backend,
        )


def faiss_search(problem: Problem) -> Callable[[], object]:
    """The nearest 15 by cosine with faiss, whose indices are built beforehand."""
    import faiss  # type: ignore[import-not-found,unused-ignore]

    faiss.omp_set_num_threads(torch.get_num_threads())
    indexes = []
    for head in problem.table.rows:
        index = faiss.IndexFlatIP(head.shape[1])
        index.add(torch.nn.functional.normalize(head, dim=-1).numpy())
        indexes.append(index)
    queries = problem.queries.transpose(0, 1).contiguous().numpy()  # [head, query, d_head]
    return lambda: [index.search(z, 15) for index, z in zip(indexes, queries, strict=True)]
