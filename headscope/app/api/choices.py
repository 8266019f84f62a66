"""Which choices a page can offer for a model, and why one is closed."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from headscope.question import defaults
from headscope.question.choices import (
    CANDIDATES,
    COMPARE,
    MASKS,
    METHODS,
    METRICS,
    OPEN_REFERENCES,
    OPEN_VECTORS,
    REFERENCES,
    SPACES,
    VECTORS,
    WEIGH,
)
from headscope.scope import Scope

_told: WeakKeyDictionary[Scope, tuple[object, dict[str, Any]]] = WeakKeyDictionary()  # with the lens in use


def open_choices(scope: Scope) -> dict[str, Any]:
    """For each control its choices; a space says which references it has, and why it is `closed`, else null."""
    known = _told.get(scope)
    if known is not None and known[0] is scope.lens:
        return known[1]
    closed = scope.closed_spaces()
    told = {
        "space": [
            {
                "value": space,
                "closed": closed.get(space),
                "references": list(OPEN_REFERENCES[space]),
                "vectors": list(OPEN_VECTORS[space]),
                "moves": scope.moves(space),
            }
            for space in SPACES
        ],
        "vector": list(VECTORS),
        "reference": sorted(REFERENCES, key=lambda one: one != defaults.REFERENCE),  # the default first
        "metric": list(METRICS),
        "candidates": list(CANDIDATES),
        "mask": list(MASKS),
        "weigh": list(WEIGH),
        "method": list(METHODS),
        "compare": list(COMPARE),
    }
    _told[scope] = scope.lens, told
    return told
