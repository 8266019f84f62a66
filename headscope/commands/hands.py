"""Who measures what a command asks: this process, or the workers that it names; one rule for all commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from headscope.commands.running import open_scope
from headscope.commands.streams import complain
from headscope.errors import needing

if TYPE_CHECKING:
    from rich.status import Status

    from headscope.corpus.fleet.asked import Fleet
    from headscope.question.model_choice import ModelChoice
    from headscope.studies.hands import Hands


def fleet_of(
    engine: str | None, workers: int | None, cpus: int | None, gpus: float | None, address: str | None
) -> Fleet | None:
    """The workers that a command names; None: this process. InputError for what cannot be had."""
    from headscope.corpus.fleet.asked import Fleet

    return None if engine is None else Fleet(workers, cpus, gpus, address)


@contextmanager
def hands_for(status: Status, choice: ModelChoice, fleet: Fleet | None, memory: str | None = None) -> Iterator[Hands]:
    """Who measures the model that is asked for, which is opened here under a status, until the block ends.

    Workers that were lost are told of when it does.
    """
    if fleet is None:
        from headscope.studies.hands import Here

        yield Here(open_scope(status, choice, memory))
        return
    with needing("workers need", "survey"):
        from headscope.corpus.fleet.cluster import connected
        from headscope.studies.fleet import Workers

    status.update("connecting to the cluster …")
    with connected(fleet) as cluster:
        # Where others measure, the model is here to count tokens: it takes nobody's device.
        scope = open_scope(status, replace(choice, device="cpu"), memory)
        with Workers.of(cluster, scope, choice, complain, memory) as workers:
            yield workers
    for loss in workers.losses:
        complain(f"{loss.rstrip('. ')}.")
