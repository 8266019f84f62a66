"""The browsers that the tests drive."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.app.browsers import Browser, Chromium


@pytest.mark.slow
def test_one_that_has_died_is_opened_anew_for_the_next_test(engine_of: Callable[[str], Browser]) -> None:
    first = engine_of("chromium")
    assert isinstance(first, Chromium)
    assert engine_of("chromium") is first
    first.page.close()
    assert not first.alive()
    assert engine_of("chromium") is not first
    assert engine_of("chromium").alive()
