"""A Ray cluster: one that runs, or one of this machine alone; and how many workers it has room for."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headscope.cores.count import usable
from headscope.corpus.fleet.asked import Fleet
from headscope.errors import InputError, clause, needing

_NOTHING_SENT = {"RAY_USAGE_STATS_ENABLED": "0"}  # also by the processes that are begun here
_AS_THE_RUN = {"RAY_worker_niceness": "0"}  # Ray lets whatever else a machine does go before its workers
_STORE = 100 * 2**20  # bytes of a cluster of one's own for what is sent: orders, no rows


@dataclass(frozen=True)
class Share:
    """What each worker takes of its machine; its cores are its threads."""

    cpus: int
    gpus: float

    def __str__(self) -> str:
        cores = f"{self.cpus} core{'s' * (self.cpus > 1)}"
        return cores if not self.gpus else f"{cores} and {self.gpus:g} GPU{'s' * (self.gpus > 1)}"

    def room(self, machine: dict[str, float]) -> int:
        """How many workers a machine with these resources has room for.

        >>> Share(2, 0.5).room({"CPU": 16, "GPU": 2}), Share(2, 0).room({"CPU": 3})
        (4, 1)
        """
        cores = int(machine.get("CPU", 0) // self.cpus)
        return min(cores, int(machine.get("GPU", 0) / self.gpus)) if self.gpus else cores


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to by `ray`, the module."""

    ray: Any
    fleet: Fleet

    def machines(self) -> list[dict[str, float]]:
        """The resources of every machine that is alive."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def share_of(self, threads: int, on_gpus: bool) -> Share:
        """What each worker takes, where it is not said.

        As many cores as one process has `threads`, on this machine alone its part of them; of GPUs one, where any
        machine has one and the work is `on_gpus`.
        """
        fleet, machines = self.fleet, self.machines()
        cpus = fleet.cpus or (threads if fleet.address else max(1, threads // (fleet.workers or 1)))
        some = on_gpus and any(machine.get("GPU", 0) for machine in machines)
        return Share(cpus, float(some) if fleet.gpus is None else fleet.gpus)

    def room(self, share: Share) -> int:
        """How many workers all machines together have room for; InputError for none."""
        machines = self.machines()
        room = sum(map(share.room, machines))
        if not room:
            largest = max((machine.get("CPU", 0) for machine in machines), default=0)
            raise InputError(
                f"no machine of the cluster has room for a worker, which takes {share}; of {len(machines)} the largest "
                f"has {largest:g} cores: ask for less (--cpus-per-worker, --gpus-per-worker), or add a machine."
            )
        return room


@contextmanager
def connected(fleet: Fleet) -> Iterator[Cluster]:
    """Be connected to the cluster that is asked for, until the block ends; one of this machine alone ends with it.

    InputError where Ray is not installed, or the cluster cannot be reached.
    """
    told = dict(_NOTHING_SENT)
    if fleet.address is None:
        told |= {name: os.environ.get(name, value) for name, value in _AS_THE_RUN.items()}
    if fleet.address is None and "RAY_AUTH_MODE" not in os.environ:
        # Its processes listen to all the network, and do what they are told: by who has the word of this one run.
        told |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with _environment(told), _begun(fleet) as ray:
        yield Cluster(ray, fleet)


@contextmanager
def _environment(told: dict[str, str]) -> Iterator[None]:
    """Variables that this process and those that it begins have until the block ends; what comes after has its own."""
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    _read_anew()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _read_anew()


def _read_anew() -> None:
    """Let Ray, where it is loaded, see the environment as it is now: it keeps what it was, and its token."""
    if (loaded := sys.modules.get("ray._raylet")) is not None:
        loaded.Config.initialize("")
        loaded.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _begun(fleet: Fleet) -> Iterator[Any]:
    """Ray, the module, connected until the block ends; see `connected`."""
    with needing("the engine ray needs", "ray"):
        import ray
    if ray.is_initialized():
        raise InputError("this process is connected to a Ray cluster already: end that first (ray.shutdown()).")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "headscope"}
    own: dict[str, Any] = {"num_cpus": usable(), "include_dashboard": False, "object_store_memory": _STORE}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # on what Ray will do about GPUs one day
            ray.init(address=fleet.address, **quiet) if fleet.address else ray.init(address="local", **own, **quiet)
    except Exception as error:  # Ray raises this class itself, where a machine is too slow to begin
        ray.shutdown()
        if fleet.address is None:
            raise InputError(f"no Ray cluster can begin on this machine: {clause(error)}.") from error
        raise InputError(
            f"the Ray cluster at {fleet.address} cannot be reached: {clause(error)}. Begin one (ray start --head), or "
            "leave out --address."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
