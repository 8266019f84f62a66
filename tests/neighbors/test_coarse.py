"""The search through coarse rows finds what brute force finds, and its bounds hold, whatever the rows look like."""

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headscope.neighbors import Place, Table, backend_in_use, search
from headscope.neighbors.batch import batches, pair_distances
from headscope.neighbors.coarse import FINE, TOKENS, WIDTH, ZERO, CoarseRows, CoarseVectors
from tests.neighbors.agreement import assert_agrees

KINDS = ("random", "clustered", "all alike", "all the same", "duplicated", "spiked", "odd")
sieve = pytest.importorskip("headscope.neighbors.scan.sieve") if backend_in_use() == "numba" else None
needs_it = pytest.mark.skipif(
    sieve is None or not sieve.is_open(), reason="coarse rows are multiplied by compiled code on x86 with AVX2"
)


def _rows(kind: str, tokens: int, width: int, draw: torch.Generator) -> Tensor:
    rows = torch.randn(tokens, width, generator=draw)
    if kind == "clustered":
        return rows[torch.arange(tokens) % (tokens // 40)] + 0.05 * rows
    if kind == "all alike":
        return rows[0] + 1e-5 * rows
    if kind == "all the same":
        return rows[:1].repeat(tokens, 1)
    if kind == "duplicated":
        rows[tokens // 2 :] = rows[: tokens - tokens // 2]
    if kind == "spiked":
        rows[:, :2] *= 300
        rows[::7] = rows[::7] ** 5
    if kind == "odd":
        rows[:60] = rows[60] * (1 + 1e-7 * rows[:60])
        rows[70] = 0.0
        for token, factor in ((71, 1e-15), (72, 1e12), (73, 1e30), (74, torch.nan), (75, 1e-30), (76, 1e25)):
            rows[token] = rows[token] * factor
        rows[77] = -rows[60]
    return rows


def _case(kind: str, seed: int, width: int, places: int, shifted: bool) -> tuple[Table, list[Place], Tensor, Tensor]:
    """A table, places and queries: like its rows, near to them, far from all, tiny, huge and zero."""
    draw = torch.Generator().manual_seed(seed)
    tokens = 700
    rows = _rows(kind, tokens, width, draw)
    table = Table.pack(rows[None], (0.3 * torch.randn(1, width, generator=draw)))
    at = [
        Place(
            0.5 + torch.rand(tokens, generator=draw),
            0.5 * torch.randn(1, width, generator=draw),
            0.2 * torch.randn(1, width, generator=draw),
        )
        if shifted
        else Place.none
        for _ in range(places)
    ]
    queries = torch.randn(72, 1, width, generator=draw)
    queries[:40] = 0.3 * queries[:40] + rows[torch.randint(60, (40,), generator=draw), None].nan_to_num()
    queries[40] *= 1e-3
    queries[41] = 0.0
    queries[42] *= 1e20
    queries[43] *= 1e-20
    return table, at, queries, torch.randint(tokens, (72,), generator=draw)


def _take_fine_steps(table: Table, k: int) -> None:
    """As once a search for so many among these rows had to look at many."""
    assert sieve is not None
    assert table.coarse is not None
    sieve._fine[table.coarse] = {k}


@needs_it
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), width=st.sampled_from([128, 131, 200, 384]), places=st.sampled_from([1, 2, 7]),
    shifted=st.booleans(), k=st.sampled_from([1, 15, 40]), masked=st.booleans(), fine=st.booleans(),
    heads=st.sampled_from([1, 3]),
)  # fmt: skip
def test_the_nearest_and_the_ranks_are_those_of_brute_force(
    kind: str, seed: int, width: int, places: int, shifted: bool, k: int, masked: bool, fine: bool, heads: int
) -> None:
    table, at, queries, own = _case(kind, seed, width, places, shifted)
    if heads > 1:  # of one query, all of which are searched for among the same rows
        queries = torch.cat([queries, 0.7 * queries, queries.flip(0)], 1)
    if fine:
        _take_fine_steps(table, k)
    draw = torch.Generator().manual_seed(seed + 1)
    place_of = torch.randint(places, (len(queries),), generator=draw)
    candidates = torch.rand(700, generator=draw) < 0.5 if masked else None
    others = torch.randint(-1, 700, (len(queries), 3), generator=draw)
    found = search(
        table, at, queries, own, place_of=place_of, k=k, candidates=candidates, others=others, backend="numba"
    )  # fmt: skip
    sample = torch.cat([torch.arange(0, 40, 5), torch.arange(40, 46), torch.arange(50, 72, 5)])
    near = found["cosine"]
    some = type(near)(*(part[sample] for part in vars(near).values()))
    assert_agrees(
        some, "cosine", table, at, queries[sample], own[sample], place_of[sample], candidates=candidates,
        others=others[sample],
    )  # fmt: skip


@needs_it
@pytest.mark.parametrize("kind", ["random", "all the same"])
def test_little_is_left_of_rows_that_are_far_apart_and_all_of_rows_that_are_alike(kind: str) -> None:
    assert sieve is not None
    table, places, _, _ = _case(kind, 0, 384, 3, True)
    own, place_of = torch.arange(100, 172), torch.arange(72) // 24
    encodings = [table.encodings(place, own)[0] for place in places]
    queries = torch.stack([encodings[place][n] for n, place in enumerate(place_of.tolist())])[:, None].float()
    (batch,) = batches(table, places, queries, own[:, None], place_of, len(own))
    marks = batch.scores("cosine", pair_distances(batch, "cosine", *batch.target_pairs).view(-1, 1))
    for fine in (False, True):
        if fine:
            _take_fine_steps(table, 15)
        found = sieve._sieved(batch, 15, table.finite, marks, fine)
        assert found.crowded.all() if kind == "all the same" else not found.crowded.any()
        assert len(found.contenders[0]) <= 17 * batch.rows


@needs_it
def test_where_many_tokens_have_to_be_looked_at_later_queries_are_taken_in_fine_steps_and_few_are() -> None:
    assert sieve is not None
    draw = torch.Generator().manual_seed(0)
    table = Table.pack(torch.randn(1, 9000, 384, generator=draw), torch.zeros(1, 384))
    own = torch.randint(9000, (128,), generator=draw)
    queries = table.rows[0, own, None] + 0.5 * torch.randn(2, 128, 1, 384, generator=draw)
    sift, looks = sieve.sift, [0, 0]
    with pytest.MonkeyPatch.context() as patch:
        for n, some in enumerate(queries):

            def watched(*given: Any, n: int = n) -> None:
                sift(*given)
                looks[n] += int(given[14].sum())

            patch.setattr(sieve, "sift", watched)
            search(table, [Place.none], some, own, k=200, backend="numba")
    assert 0 < 2 * looks[1] < looks[0]


def _far_and_near(far: int) -> tuple[Table, Tensor, Tensor]:
    """A table, own tokens, and queries near to them; some have a coordinate that drowns all others and no row has."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(9000, 384, generator=draw)
    rows[:, 0] = 0.0
    own = torch.randint(9000, (256,), generator=draw)
    queries = rows[own, None] + 0.5 * torch.randn(256, 1, 384, generator=draw)
    queries[torch.randperm(256, generator=draw)[:far], 0, 0] = 500.0
    return Table.pack(rows[None], torch.zeros(1, 384)), own, queries


@needs_it
@pytest.mark.parametrize(("far", "lanes"), [(10, [256, 10]), (0, [256])])
def test_a_few_queries_of_which_too_much_is_open_are_taken_in_fine_steps_and_no_row_is_scanned_for_them(
    far: int, lanes: list[int]
) -> None:
    assert sieve is not None
    table, own, queries = _far_and_near(far)
    sieved: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        of = sieve._sieved

        def counted(batch: Any, *rest: Any, **how: Any) -> Any:
            sieved.append(batch.rows)
            return of(batch, *rest, **how)

        patch.setattr(sieve, "_sieved", counted)
        patch.setattr(sieve, "numba_tiles", None)  # that would scan every row
        near = search(table, [Place.none], queries, own, k=1, backend="numba")["cosine"]
    assert sieved == lanes
    some = torch.cat([torch.arange(0, 256, 9), queries[:, 0, 0].argmax()[None]])
    found = type(near)(*(None if part is None else part[some] for part in vars(near).values()))
    assert_agrees(found, "cosine", table, [Place.none], queries[some], own[some], torch.zeros_like(some))


@needs_it
@pytest.mark.parametrize(("far", "looked_at"), [(256, 128), (20, 276)])
def test_once_too_much_is_open_for_many_queries_the_rest_are_left_alone(far: int, looked_at: int) -> None:
    assert sieve is not None
    table, own, queries = _far_and_near(far)
    findings, lanes = sieve._Sieve.findings, []

    def counted(self: Any, some: slice) -> Any:
        lanes.append(some.stop - some.start)
        return findings(self, some)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieve._Sieve, "findings", counted)
        patch.setattr(sieve, "threads", lambda: 1)
        patch.setattr(sieve, "spread", lambda work, pieces: [work(piece) for piece in pieces])
        search(table, [Place.none], queries, own, k=1, backend="numba")
    assert sum(lanes) == looked_at


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32 - 1), width=st.sampled_from([128, 131, 384, 1000]),
    factor=st.sampled_from([1e-25, 1e-3, 1.0, 1e10]),
)  # fmt: skip
def test_products_of_coarse_rows_are_within_their_bound(kind: str, seed: int, width: int, factor: float) -> None:
    draw = torch.Generator().manual_seed(seed)
    rows, vectors = _rows(kind, 90, width, draw), factor * torch.randn(6, width, generator=draw)
    coarse = CoarseRows.of(rows)
    assert coarse.nbytes == CoarseRows.size(90, width)
    whole = coarse.cells[0].transpose(1, 2).reshape(TOKENS, -1)[:90].double() - ZERO
    length, rests = vectors.double().norm(dim=1)[:, None], []
    for planes in (1, 2):
        made = CoarseVectors.of(vectors, planes)
        first, *second = made.steps.flatten(2).double() @ whole.T  # [plane, vector, token]
        counted = FINE * first + second[0] if second else first
        product = counted * made.step[:, None].double() * coarse.step[:90].double()
        bound = (length + made.rest[:, None]) * coarse.rest[:90] + made.rest[:, None] * rows.double().norm(dim=1)
        off = (product - vectors.double() @ rows.double().T).abs()
        assert (off <= bound * (1 + 1e-12) + 1e-300)[:, rows.isfinite().all(1)].all()
        rests.append(made.rest)
    assert (rests[1] < rests[0] / 10).all()


@needs_it
@pytest.mark.parametrize("width", [WIDTH, 131, 384])
@pytest.mark.parametrize("kind", ["random", "all the same", "spiked"])
def test_compiled_products_are_whole_numbers_without_overflow(kind: str, width: int) -> None:
    from headscope.neighbors.scan.numba_coarse import multiply

    draw = torch.Generator().manual_seed(0)
    rows = _rows(kind, TOKENS, width, draw)
    for vectors in (torch.randn(8, width, generator=draw), -rows[:8], rows[:8]):
        coarse, made = CoarseRows.of(rows), CoarseVectors.of(vectors, planes=2)
        out = torch.empty(16, TOKENS, dtype=torch.int32)
        steps, start = made.steps.flatten(0, 1), made.start.flatten(0, 1)
        multiply(coarse.cells[0].numpy(), steps.numpy(), start.numpy(), out.numpy())
        whole = coarse.cells[0].transpose(1, 2).reshape(TOKENS, -1).long() - ZERO
        assert torch.equal(out.long(), steps.flatten(1).long() @ whole.T)


# Compiled for a processor of 2013, whatever this one can.
_AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+popcnt"}


@needs_it
@pytest.mark.slow
def test_a_processor_with_fewer_instructions_has_the_same_products() -> None:
    program = """
import torch
from headscope.neighbors.coarse import TOKENS, CoarseRows, CoarseVectors
from headscope.neighbors.scan import numba_coarse

draw = torch.Generator().manual_seed(0)
rows = torch.randn(TOKENS, 131, generator=draw)
made = CoarseVectors.of(rows[:8], planes=2)
out = torch.empty(16, TOKENS, dtype=torch.int32)
steps, start = made.steps.flatten(0, 1), made.start.flatten(0, 1)
numba_coarse.multiply(CoarseRows.of(rows).cells[0].numpy(), steps.numpy(), start.numpy(), out.numpy())
print(numba_coarse.BY_FOURS, hash(tuple(out.flatten().tolist())))
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | more, capture_output=True, text=True, check=True
        ).stdout.split()
        for more in ({}, _AVX2)
    ]
    assert said[1][0] == "False"
    assert said[0][1] == said[1][1]
