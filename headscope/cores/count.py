"""How many cores this process may use: those it is bound to, and no more than its container's share of time."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


def usable() -> int:
    """Cores that the process is allowed to keep busy, at least 1.

    >>> 1 <= usable() <= (os.cpu_count() or 1)
    True
    """
    share = _own_quota()
    return _bound() if share is None else max(1, min(_bound(), int(share)))


def _bound() -> int:
    """Cores that the process is bound to, by its affinity or by how Python was started."""
    counted = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    return min(counted, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else counted


@cache
def _own_quota() -> float | None:
    return quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))


def quota(membership: Path, mounted: Path) -> float | None:
    """Cores' worth of time that a container may use; None where that is not limited.

    `membership` is what /proc/self/cgroup holds, `mounted` where control groups are mounted. A group is limited by
    those around it too, and inside of a container its own is often mounted at the root.
    """
    try:
        lines = membership.read_text("utf-8").splitlines()
    except OSError:
        return None
    shares = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            shares += [_share(*_words(group / "cpu.max", 2)) for group in _up(mounted, path)]
        elif "cpu" in controllers.split(","):
            for group in [*_up(mounted / controllers, path), *_up(mounted / "cpu", path)]:
                shares.append(_share(*_words(group / "cpu.cfs_quota_us", 1), *_words(group / "cpu.cfs_period_us", 1)))
    return min((share for share in shares if share is not None), default=None)


def _up(mounted: Path, path: str) -> list[Path]:
    """A group's directory, and those of all groups around it."""
    inside = Path(path.lstrip("/"))
    return [mounted / part for part in (inside, *inside.parents)]


def _words(file: Path, count: int) -> list[str]:
    try:
        words = file.read_text("utf-8").split()
    except OSError:
        words = []
    return words if len(words) == count else ["max"] * count


def _share(time: str, period: str) -> float | None:
    """Cores' worth of a time in each period, in microseconds: "max" and "-1" say that there is no limit."""
    if not (time.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(time) / int(period)
