"""What the tests of answers share."""

from __future__ import annotations

import pytest
import zoo

from headscope import Scope
from headscope.reading.reading import Reading


@pytest.fixture
def reading(scope: Scope) -> Reading:
    """One text, read by the architecture `name`."""
    return scope.read(zoo.TEXT)
