"""What torch's threads are told before torch is loaded, where headscope is the program and not a library in one."""

from __future__ import annotations

from collections.abc import MutableMapping

from headscope.cores.count import bound, usable

# How OpenMP's threads wait for each other: in general, and in the two libraries that torch comes with.
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}
_NUMBERS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def share_the_cores(environment: MutableMapping[str, str]) -> None:
    """Let threads sleep while they wait, so that other programs have their cores; no more threads than cores.

    What the user has set stays. OpenMP knows the cores that the process is bound to, but no container's quota.

    >>> told = {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "1"}
    >>> share_the_cores(told)
    >>> told
    {'OMP_WAIT_POLICY': 'ACTIVE', 'OMP_NUM_THREADS': '1'}
    """
    if not any(name in environment for name in _WAITING):
        environment.update(_WAITING)
    if usable() < bound() and not any(name in environment for name in _NUMBERS):
        environment["OMP_NUM_THREADS"] = str(usable())
