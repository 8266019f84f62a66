"""Large pieces of work, each on one thread of a pool that all work shares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

from headscope.cores.count import usable
from headscope.cores.one_thread import alone, keep_alone, own_threads
from headscope.question.stopping import stop_point

P = TypeVar("P")
R = TypeVar("R")


def threads() -> int:
    """How many pieces may be worked on at a time: no more than there are cores, or than torch may use."""
    return min(usable(), own_threads())


def spread(work: Callable[[P], R], pieces: Iterable[P]) -> list[R]:
    """What `work` makes of every piece, in order.

    Pieces know nothing of each other, so none waits for another; whoever is free takes the next one. In each, torch
    computes on that one thread and records nothing for gradients. Between pieces the work may be ended
    (`stop_point`), and those not begun are called off.
    """
    pieces, count = list(pieces), threads()
    results = []
    with alone():
        several = count > 1 and len(pieces) > 1
        for result in _pool(count).map(work, pieces) if several else map(work, pieces):
            stop_point()  # here, for the pool's threads do not know whose work they do
            results.append(result)
    return results


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    # Callers on several threads share the cores through the pool instead of fighting for them.
    return ThreadPoolExecutor(count, "headscope-pool", initializer=_begin)


def _begin() -> None:
    keep_alone()
    torch.set_grad_enabled(False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # its threads stayed behind
