"""A real Ray cluster on this machine: a head without cores, and machines of one core each."""

from __future__ import annotations

import os
import signal
import time
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


def workers() -> dict[int, str]:
    """The processes of workers on this machine, and what Ray says that each does."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            called = (place / "cmdline").read_bytes().partition(b"\0")[0].decode().strip()
        except OSError:  # it has ended meanwhile
            continue
        if called.startswith("ray::Worker"):
            found[int(place.name)] = called
    return found


def all_gone(within: float = 60.0) -> bool:
    """Whether no worker is left on this machine: one that was killed may take its time to go on a busy one."""
    until = time.monotonic() + within
    while workers() and time.monotonic() < until:
        time.sleep(0.1)
    return not workers()


def open_one() -> int:
    """A worker that has opened what it measures with: it has a piece, or gets the next."""
    return next(process for process, doing in workers().items() if doing in ("ray::Worker", "ray::Worker.measure"))


def machine_of(made: Any, process: int) -> Any:
    """The machine of a worker."""
    parent = int(Path("/proc", str(process), "stat").read_text("utf-8").rpartition(")")[2].split()[1])
    return next(node for node in made.worker_nodes if node.all_processes["raylet"][0].process.pid == parent)


def kill(process: int) -> None:
    """As a machine does that runs out of memory."""
    os.kill(process, signal.SIGKILL)
