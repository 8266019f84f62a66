"""Which way a layer's vocabulary is searched: through a table of its rows, or through the vectors that layers share.

A table costs a product with all shared vectors for each of its numbers, and memory; a search through the shared
vectors costs them once for each vector that is compared. So a table is made where it pays at once (surveys, banks), or
has paid by now: for the layer that a reader stays on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

_MADE = 2.5  # products in float32 that take as long as a number of a row, which is rounded once
_READ = 40  # as many take as long as reading the shared vectors does


class Ways:
    """What the searches without a table have cost, for each table that there could be."""

    def __init__(self) -> None:
        self._spent: Counter[Hashable] = Counter()

    def pays(self, table: Hashable, numbers: int, vectors: int) -> bool:
        """Whether to make a table whose rows have so many `numbers` in all heads, for so many vectors more.

        0 vectors are compared together with those of other layers, for which no table pays.

        >>> ways = Ways()
        >>> ways.pays("layer 3", 768, vectors=12), ways.pays("layer 3", 768, vectors=4000)
        (False, True)
        """
        if not vectors:
            return False
        self._spent[table] += vectors + _READ
        return self._spent[table] >= _MADE * numbers
