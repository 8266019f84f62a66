"""The program tells torch's threads to sleep while they wait, before torch is loaded; what the user has set stays."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from headscope.cores import environment
from headscope.cores.environment import share_the_cores

_NAMES = ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT")


def test_threads_sleep_while_they_wait() -> None:
    told: dict[str, str] = {}
    share_the_cores(told)
    assert (told["OMP_WAIT_POLICY"], told["KMP_BLOCKTIME"], told["GOMP_SPINCOUNT"]) == ("PASSIVE", "0", "0")


@pytest.mark.parametrize("name", _NAMES)
def test_what_the_user_has_set_stays(name: str) -> None:
    told = {name: "7"}
    share_the_cores(told)
    assert {key: told[key] for key in told if key in _NAMES} == {name: "7"}


def test_a_quota_bounds_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "usable", lambda: 3)
    monkeypatch.setattr(environment, "bound", lambda: 16)
    told: dict[str, str] = {}
    share_the_cores(told)
    assert told["OMP_NUM_THREADS"] == "3"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        told = {name: "5"}
        share_the_cores(told)
        assert told[name] == "5"
        assert told.get("OMP_NUM_THREADS", "5") == "5"


def test_the_program_says_so_before_torch_is_loaded() -> None:
    script = (
        "import os, sys\nfrom headscope.commands.cli import main\n"
        "try:\n    main(['--version'])\nfinally:\n    print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    own = {name: value for name, value in os.environ.items() if name not in _NAMES}
    done = subprocess.run([sys.executable, "-c", script], env=own, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["PASSIVE", "False"]
