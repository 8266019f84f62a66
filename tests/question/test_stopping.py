"""Long work ends between two steps where nobody wants it any more; asked for again, it comes to what it always does."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from transformers import PreTrainedModel

from headscope import Scope
from headscope.keep import tensors
from headscope.neighbors import Place, Table, search, warm_up
from headscope.neighbors.scan.backends import Backend
from headscope.question.stopping import Stopped, stop_point, while_wanted
from headscope.reading.map import layouts

TEXT = zoo.TEXT
OTHER = "A bird likes a banana."
Work = Callable[[Scope], Any]
WORKS: dict[str, Work] = {
    "read": lambda scope: scope.read(TEXT).z,
    "nearest": lambda scope: scope.read(TEXT).nearest(1, 2),
    "output": lambda scope: scope.read(TEXT).nearest(1, 2, space="output"),
    "atlas": lambda scope: scope.read(TEXT).atlas(1),
    "compare": lambda scope: scope.read(TEXT).compare(scope.read(TEXT, "causal"), 1, 2, other_reference="input"),
    "bank": lambda scope: scope.bank(size=60).z,
    "background": lambda scope: (near := scope.read(TEXT).nearest(1, 2)).reading.background(near, scope.bank(size=60)),
    "journey": lambda scope: scope.read(TEXT).journey(),
    "journey alone": lambda scope: scope.read(TEXT).journey(isolated=True),
    "isolated": lambda scope: scope.read(TEXT).nearest(1, 2, reference="isolated"),
    "mixing": lambda scope: scope.read(TEXT).mixing(),
    "glance": lambda scope: scope.read(TEXT).glance(),
    "effects": lambda scope: scope.read(TEXT).effects(1),
    "map": lambda scope: scope.read(TEXT).map(2, 1, size=60, perplexity=5),
}
# The fewest steps that each may take: a layer of a run, a tile or place of a search, a shard, ten iterations.
LEAST = {"atlas": 30, "journey alone": 100, "isolated": 30, "map": 50}
# Everything on one model; and what runs a model in another way on one with RoPE, one that is watched, and a decoder
# with an encoder beside it.
CASES = [("bert", work) for work in WORKS] + [
    (name, work) for name in ("llama", "gptj", "t5/decoder") for work in ("nearest", "journey alone")
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk with nothing on it, and small shards."""
    monkeypatch.setattr(tensors, "STEP", 16)
    return new_cache(tmp_path / "cache", monkeypatch)


def new_cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(place))
    return place


def anew(name: str) -> Scope:
    return Scope.from_model(*zoo.build(name), stack=zoo.stack_of(name))


def told(result: Any) -> Any:
    """All that an answer says, not-a-numbers too."""
    return result.tolist() if isinstance(result, torch.Tensor) else json.dumps(result.to_dict())


@contextmanager
def steps(most: float = float("inf")) -> Iterator[list[int]]:
    """Count the stop points that are come to, and want no more than `most` of them."""
    seen: list[int] = []

    def wanted() -> bool:
        seen.append(len(seen))
        return len(seen) <= most

    with while_wanted(wanted):
        yield seen


def as_it_is(model: PreTrainedModel) -> list[Any]:
    """All of a model that reading it may change for a while."""
    return [
        [module.training, "forward" in module.__dict__, len(module._forward_hooks), len(module._forward_pre_hooks)]
        + ([module.config._attn_implementation] if isinstance(module, PreTrainedModel) else [])
        for module in model.modules()
    ]


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize(("name", "work"), CASES)
def test_however_often_it_is_stopped_it_comes_to_the_same(
    name: str, work: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if work == "map":
        pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")
        monkeypatch.setattr(layouts, "ITERATIONS", (50, 150))
    with steps() as all_of_them:
        expected = told(WORKS[work](anew(name)))
    assert len(all_of_them) >= LEAST.get(work, 3)

    new_cache(cache.parent / "other", monkeypatch)
    scope, other = anew(name), anew(name)
    before, stopped = as_it_is(scope.bench.opened.model), 0
    # Each time it may go on for longer, and finds what the times before have finished, and nothing half done.
    for most in (0, *(2**n for n in range(12))):
        try:
            with steps(most) as seen:
                found = told(WORKS[work](scope))
            break
        except Stopped:
            stopped += 1
            assert len(seen) == most + 1, "it went on after it was to stop"
            assert as_it_is(scope.bench.opened.model) == before
    else:
        raise AssertionError("it never came to its end")
    assert stopped >= 2
    assert found == expected
    assert torch.equal(scope.read(OTHER).z, other.read(OTHER).z)


def test_what_is_whole_is_kept_and_what_is_not_leaves_nothing(cache: Path) -> None:
    scope, alone = anew("bert"), anew("bert").isolated
    with pytest.raises(Stopped), steps(20):
        scope.isolate()
    done = scope.isolated.done()
    assert 0 < done < alone.tokens
    assert done % 16 == 0
    assert len(list(cache.rglob("0*.safetensors"))) == done // 16
    assert not list(cache.rglob("*.part"))

    # Another process goes on from there, and the table is the one that was never interrupted.
    counts: list[int] = []
    scope.isolate(lambda so_far, total: counts.append(so_far))
    assert counts[0] == done
    assert counts[-1] == alone.tokens


def test_a_bank_that_was_stopped_takes_no_room() -> None:
    scope = anew("bert")
    with pytest.raises(Stopped), steps(2):
        scope.bank(size=60)
    assert scope.bench.kept.nbytes == 0


@pytest.mark.parametrize("backend", ["torch", pytest.param("numba", marks=pytest.mark.slow)])
def test_the_search_stops(backend: Backend) -> None:
    if backend == "numba":
        pytest.importorskip("numba", reason="the compiled search is not installed (extra: fast)")
        warm_up(wait=True)
    draw = torch.Generator().manual_seed(0)
    table = Table.pack(torch.randn(2, 9000, 8, generator=draw), torch.zeros(2, 8))
    queries, own = torch.randn(3, 2, 8, generator=draw), torch.arange(3)

    def found() -> list[Any]:
        near = search(table, [Place.none], queries, own, k=5, backend=backend)["cosine"]
        return [near.ids.tolist(), near.ranks.tolist(), near.own_rank.tolist()]

    with steps() as all_of_them:
        expected = found()
    assert len(all_of_them) >= 2  # a tile each, or a head
    for most in range(len(all_of_them)):
        with pytest.raises(Stopped), steps(most) as seen:
            found()
        assert len(seen) == most + 1
    assert found() == expected


def test_those_around_it_are_asked_too() -> None:
    asked: list[str] = []

    def says(name: str, answer: bool) -> Callable[[], bool]:
        return lambda: asked.append(name) is None and answer

    with while_wanted(says("outer", True)), while_wanted(says("inner", True)):
        stop_point()
    assert asked == ["outer", "inner"]
    with while_wanted(says("outer", False)), while_wanted(says("inner", True)), pytest.raises(Stopped):
        stop_point()
    with while_wanted(says("outer", True)), while_wanted(says("inner", False)), pytest.raises(Stopped):
        stop_point()
    stop_point()


def test_work_in_another_thread_goes_on() -> None:
    done = itertools.count()
    with while_wanted(lambda: False):
        other = threading.Thread(target=lambda: stop_point() or next(done))
        other.start()
        other.join()
    assert next(done) == 1


def test_no_failure_is_taken_for_it() -> None:
    def careful() -> None:
        with suppress(Exception):
            stop_point()

    with pytest.raises(Stopped), while_wanted(lambda: False):
        careful()
