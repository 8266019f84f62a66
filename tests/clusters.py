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
MARK = "HEADSCOPE_TESTS"  # what a worker has in its environment: whose cluster it is of


@contextmanager
def cluster(machines: int = 2) -> Iterator[Any]:
    """`ray.cluster_utils.Cluster`, of which no process is left when the block ends."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ[MARK] = str(os.getpid())
    # Ray's own spelling; else whatever else this machine does goes before.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
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
    """The processes of workers of this process's clusters, and what Ray says that each does."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            called = (place / "cmdline").read_bytes().partition(b"\0")[0].decode().strip()
            mine = f"{MARK}={os.getpid()}".encode() in (place / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if mine and called.startswith("ray::Worker"):
            found[int(place.name)] = called
    return found


def all_gone(within: float = 60.0) -> bool:
    """Whether none of these workers is left: one that was killed may take its time to go on a busy one."""
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
