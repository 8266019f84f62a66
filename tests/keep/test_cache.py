"""Where what was expensive is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headscope.keep.cache import cache_directory, lend_to_matplotlib


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HEADSCOPE_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/headscope"),
        ({"HOME": "/c"}, "/c/.cache/headscope"),
    ],
)
def test_the_place_is_the_users(environment, expected, monkeypatch):
    if sys.platform != "linux" and list(environment) == ["HOME"]:
        pytest.skip("another platform's own cache directory")
    for name in ("HEADSCOPE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_directory() == Path(expected)


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"])
def test_matplotlib_is_lent_a_place_where_the_home_takes_no_files(name, tmp_path):
    (tmp_path / "file").write_text("")
    home = {"HOME": str(tmp_path), "HEADSCOPE_CACHE": str(tmp_path / "kept")}
    nowhere = home | {name: str(tmp_path / "file" / "x")}
    for environment, lent in (
        (home, None),  # its own takes them
        (nowhere, str(tmp_path / "kept" / "matplotlib")),
        (nowhere | {"MPLCONFIGDIR": "/mine"}, "/mine"),
        ({key: value for key, value in nowhere.items() if key != "HEADSCOPE_CACHE"}, None),
    ):
        lend_to_matplotlib(environment)
        assert environment.get("MPLCONFIGDIR") == lent


@pytest.mark.long
def test_so_nothing_of_its_own_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    code = "import os; from headscope.keep.cache import lend_to_matplotlib as lend; lend(os.environ); import matplotlib"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}; print(matplotlib.get_cachedir())"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"HOME": str(tmp_path / "file"), "HEADSCOPE_CACHE": str(tmp_path / "kept")},
    )
    assert (ran.stdout.strip(), ran.stderr) == (str(tmp_path / "kept" / "matplotlib"), "")
