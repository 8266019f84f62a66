"""Pieces of work are spread over threads of which each computes alone, and nobody else's threads change."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from headscope.cores import pool
from headscope.cores.count import usable
from headscope.cores.one_thread import alone, together, yielding
from headscope.cores.pool import spread, threads
from headscope.question.stopping import Stopped, while_wanted

SQUARE, LONG = torch.randn(1200, 1200), torch.randn(8_000_000)
several = pytest.mark.skipif(usable() < 2, reason="needs two cores")


@pytest.fixture(params=[2, 4])
def torch_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def share(work: Callable[[], object]) -> float:
    """This thread's share of the processor time that the process spends on some work."""
    time.sleep(0.1)  # other threads may still be waiting, busily, for more of the work before
    whole, own = time.process_time(), time.thread_time()
    work()
    return (time.thread_time() - own) / (time.process_time() - whole)


def is_helped(work: Callable[[], object]) -> bool:
    """Whether other threads ever take a good part of some work; beside a busy program one may wait for them, busily."""
    return any(share(work) < 0.8 for _ in range(6))


def product() -> object:
    return SQUARE @ SQUARE


def elementwise() -> object:
    return LONG.exp()


@pytest.mark.parametrize("work", [product, elementwise])
def test_alone_torch_computes_on_the_calling_thread(torch_threads: int, work: Callable[[], object]) -> None:
    work()
    assert is_helped(work), "without it, other threads help"
    with alone():
        assert any(share(work) > 0.9 for _ in range(6)), "now and then a thread of something else is at work"
    assert is_helped(work)


def test_threads_are_afterwards_as_they_were(torch_threads: int) -> None:
    with alone(), alone():
        assert torch.get_num_threads() == 1
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == torch_threads
    assert torch.get_num_threads() == torch_threads
    with pytest.raises(KeyboardInterrupt), alone():
        raise KeyboardInterrupt
    assert torch.get_num_threads() == torch_threads


@pytest.mark.slow
@several
def test_every_piece_has_one_thread(torch_threads: int) -> None:
    def piece(number: int) -> tuple[int, str, bool]:
        product()
        elementwise()
        return torch.get_num_threads(), threading.current_thread().name, torch.is_grad_enabled()

    assert all(name != threading.main_thread().name for _, name, _ in spread(piece, range(8)))
    assert {number for number, _, _ in spread(piece, range(8))} == {1}
    assert not any(grad for _, _, grad in spread(piece, range(8)))
    # A thread that begins later has as many as ever.
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == torch_threads


@several
def test_a_piece_is_multiplied_by_its_own_thread(torch_threads: int) -> None:
    def piece(number: int) -> float:
        # Its processor time is all of the time of everyone at work: nobody works for it.
        return share(product) if number == 0 else 0.0

    spread(lambda _: product(), range(4))
    assert spread(piece, range(2))[0] > 0.9


def test_results_stand_in_the_order_of_the_pieces(torch_threads: int) -> None:
    assert spread(lambda number: (time.sleep(0.01 * (5 - number)), number)[1], range(5)) == [0, 1, 2, 3, 4]
    assert spread(str, []) == []


def test_no_more_pieces_at_a_time_than_cores_or_torch_threads(torch_threads: int) -> None:
    assert threads() == min(torch_threads, usable())
    with alone():
        assert threads() == min(torch_threads, usable()), "the caller's number, and not that of this thread for now"


def test_what_nobody_waits_for_leaves_a_core_to_others(torch_threads: int) -> None:
    fewer = max(1, min(torch_threads, usable()) - 1)
    with yielding():
        assert threads() == fewer
        with alone():
            assert threads() == fewer
        with together():
            assert torch.get_num_threads() == fewer
        begun = spread(lambda _: (time.sleep(0.05), threading.get_ident())[1], range(8))
        assert len(set(begun)) == fewer
        assert torch.get_num_threads() == 1
    assert threads() == min(torch_threads, usable())
    assert torch.get_num_threads() == torch_threads


def test_one_thread_works_where_it_stands() -> None:
    assert torch.get_num_threads() == 1
    assert set(spread(lambda _: threading.current_thread(), range(3))) == {threading.current_thread()}


@pytest.mark.parametrize("number", [1, 2])
def test_work_is_ended_between_two_pieces(number: int) -> None:
    begun: list[int] = []

    def piece(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with pytest.raises(Stopped), while_wanted(lambda: len(begun) < 3):
            spread(piece, range(200))
        assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(before)
    assert len(begun) < 20


def test_what_fails_in_a_piece_reaches_the_caller(torch_threads: int) -> None:
    def piece(number: int) -> float:
        return 1 / (number - 3)

    with pytest.raises(ZeroDivisionError):
        spread(piece, range(9))
    assert torch.get_num_threads() == torch_threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(torch_threads: int) -> None:
    spread(abs, range(4))
    child = os.fork()
    if child == 0:
        os._exit(0 if spread(abs, range(4)) == [0, 1, 2, 3] else 1)
    for _ in range(200):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended
    assert status == 0


def test_without_openmp_in_reach_a_piece_still_has_one_thread(
    torch_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headscope.cores.one_thread._openmp", lambda: None)
    pool._pool.cache_clear()
    try:
        if usable() > 1:
            # Slow enough for every thread of the pool to have begun.
            assert set(spread(lambda _: (time.sleep(0.2), torch.get_num_threads())[1], range(4))) == {1}
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == torch_threads
    finally:
        pool._pool.cache_clear()


def test_a_large_call_has_torch_s_own_threads_again(torch_threads: int) -> None:
    with alone():
        with together():
            assert torch.get_num_threads() == torch_threads
            assert share(product) < 0.8
            with alone():
                assert torch.get_num_threads() == 1
                assert threads() == min(torch_threads, usable())
            assert torch.get_num_threads() == torch_threads
        assert torch.get_num_threads() == 1
        assert share(product) > 0.9
    assert torch.get_num_threads() == torch_threads
    if usable() > 1:

        def piece(_: int) -> int:
            with together():
                return torch.get_num_threads()

        assert set(spread(piece, range(4))) == {1}, "a piece has its one thread"
