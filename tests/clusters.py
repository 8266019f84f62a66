"""A real Ray cluster on this machine: a head without cores, and machines of one core each."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STORE = 100 * 2**20  # bytes


@contextmanager
def cluster(machines: int = 2) -> Iterator[Any]:
    """`ray.cluster_utils.Cluster`, of which no process is left when the block ends."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
    )
    try:
        for _ in range(machines):
            machine(made)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def machine(made: Any) -> Any:
    """One machine more."""
    return made.add_node(num_cpus=1, object_store_memory=STORE)


def workers() -> list[int]:
    """The processes of this user's workers, as Ray calls them."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            called = (place / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if called.startswith(b"ray::Worker"):
            found.append(int(place.name))
    return found


def kill(process: int) -> None:
    """As a machine does that runs out of memory."""
    os.kill(process, signal.SIGKILL)
