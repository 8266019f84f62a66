"""One check for every test of exactness: a result against brute force."""

import numpy as np
import torch
from torch import Tensor

from headscope.neighbors import Nearest, Place, Table
from headscope.question.choices import Metric
from tests.neighbors.brute import encode, truth


def assert_agrees(
    found: Nearest,
    metric: Metric,
    table: Table,
    places: list[Place],
    queries: Tensor,
    own: Tensor,
    place_of: Tensor,
    *,
    candidates: Tensor | None = None,
    others: Tensor | None = None,
) -> None:
    allowed = (table.finite if candidates is None else table.finite & candidates).cpu().numpy()
    group = queries.shape[1] // len(table.rows)
    for head in range(len(table.rows)):
        encoded = [encode(table, place, head) for place in places]
        for query in range(len(queries)):
            r = encoded[int(place_of[query])]
            for q_head in range(head * group, (head + 1) * group):
                true = truth(metric, queries[query, q_head], r)
                ids, ranks = found.ids[query, q_head].tolist(), found.ranks[query, q_head].tolist()
                assert len(set(ids)) == len(ids)
                assert allowed[ids].all()
                for token, rank in zip(ids, ranks, strict=True):
                    low, high = true.rank_range(token, allowed)
                    assert low <= rank <= high, (metric, query, q_head, token)
                # Tokens that share a rank are listed by id, and identical rows share one.
                for left, right in zip(range(len(ids)), range(1, len(ids)), strict=False):
                    assert (ranks[left], ids[left]) < (ranks[right], ids[right])
                    if np.array_equal(r[ids[left]], r[ids[right]]):
                        assert ranks[left] == ranks[right]
                left_out = allowed.copy()
                left_out[ids] = False
                worst = max(ids, key=lambda token: true.distances[token])
                slack = true.tolerance + true.tolerance[worst]
                assert not (left_out & (true.distances < true.distances[worst] - slack)).any()
                same_as_last = left_out & (r == r[ids[-1]]).all(-1)
                assert not same_as_last[: ids[-1]].any(), "a tie with a smaller id was left out"
                assert_printed(found.distances[query, q_head], true.distances[ids], true.tolerance[ids])
                asked = [(int(own[query]), int(found.own_rank[query, q_head]))]
                if others is not None:
                    assert found.other_ranks is not None
                    asked += zip(others[query].tolist(), found.other_ranks[query, q_head].tolist(), strict=True)
                for token, rank in asked:
                    if token < 0 or not table.finite[token]:
                        assert rank == 0
                    else:
                        low, high = true.rank_range(token, allowed)
                        assert low <= rank <= high, (metric, query, q_head, token)
                token = int(own[query])
                if table.finite[token]:
                    assert_printed(
                        found.own_distance[query, q_head, None],
                        true.distances[[token]],
                        true.tolerance[[token]],
                    )


def assert_printed(printed: Tensor, true: np.ndarray, tolerance: np.ndarray) -> None:
    """Within 1e-5 relative or 1e-6 absolute, where float32 can hold the number and float64 knows it."""
    assert printed.dtype == torch.float32
    wrong = np.abs(printed.double().cpu().numpy() - true) > np.maximum(1e-5 * np.abs(true), 1e-6 + tolerance)
    assert not (wrong & (np.abs(true) < 3e38)).any()
