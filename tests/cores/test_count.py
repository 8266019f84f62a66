"""How many cores there are to use: by affinity, and by a container's quota."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headscope.cores.count import quota, usable


def groups(place: Path, membership: str, files: dict[str, str]) -> float | None:
    """The quota that control groups with these files make."""
    (place / "cgroup").write_text(membership, encoding="ascii")
    for name, text in files.items():
        file = place / "mounted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
    return quota(place / "cgroup", place / "mounted")


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        # The group around it has less.
        ("0::/pod/box\n", {"pod/box/cpu.max": "400000 100000", "pod/cpu.max": "200000 100000"}, 2.0),
        # In a container the host's name of the group is told, but the group itself is mounted.
        ("0::/docker/0123\n", {"cpu.max": "300000 100000"}, 3.0),
        ("4:memory:/\n2:cpu,cpuacct:/box\n0::/\n",
         {"cpu,cpuacct/box/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n"}, 0.5),
        ("2:cpu:/\n", {"cpu/cpu.cfs_quota_us": "800000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8.0),
        ("2:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("2:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "800000\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/\n", {"cpu.max": "not a number\n"}, None),
    ],
)  # fmt: skip
def test_a_container_has_its_quota(
    membership: str, files: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    assert groups(tmp_path, membership, files) == expected


def test_where_there_are_no_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path / "nowhere", tmp_path) is None


@pytest.mark.long
@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset")
def test_a_process_bound_to_one_core_uses_one() -> None:
    core = min(os.sched_getaffinity(0))
    script = (
        "from headscope.cores.pool import threads; from headscope.cores.count import usable\nprint(usable(), threads())"
    )
    done = subprocess.run(
        ["taskset", "-c", str(core), sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "1"]
    assert 1 <= usable() <= len(os.sched_getaffinity(0))
