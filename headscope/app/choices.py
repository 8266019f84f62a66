"""Which choices a page can offer for a model, and why one is closed."""

from __future__ import annotations

from typing import Any, get_args

from headscope.model.passes import MASKS
from headscope.neighbors import METRICS
from headscope.reading import Weigh
from headscope.scope import Scope
from headscope.vocabulary.choices import CANDIDATES, OPEN_REFERENCES, OPEN_VECTORS, REFERENCES, SPACES, VECTORS


def open_choices(scope: Scope) -> dict[str, Any]:
    """For each control its choices; a space says which references it has, and why it is `closed`, else null."""
    closed = scope.closed_spaces()
    return {
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
        "reference": list(REFERENCES),
        "metric": list(METRICS),
        "candidates": list(CANDIDATES),
        "mask": list(MASKS),
        "weigh": list(get_args(Weigh)),
    }
