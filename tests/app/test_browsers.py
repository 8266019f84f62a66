"""The browsers that the tests drive."""

from __future__ import annotations

from collections.abc import Callable

from tests.app.browsers import Browser, Chromium


def test_one_that_has_died_is_opened_anew_for_the_next_test(opened: Callable[[str], Browser]) -> None:
    first = opened("chromium")
    assert isinstance(first, Chromium)
    assert opened("chromium") is first
    first.page.close()
    assert not first.alive()
    assert opened("chromium") is not first
    assert opened("chromium").alive()
