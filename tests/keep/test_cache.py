"""Where what was expensive is kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headscope.keep.cache import cache_directory


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
