"""What chance is measured with: one fixed bank of outputs from all of a corpus, stratified by position.

The census draws it, so that chance is the same however the texts fall into shards, and on every machine. Of each
stratum of positions it holds up to 64 tokens, each of another document; every token of the corpus is held against four
of its stratum, none of its own document. What is drawn hangs on numbers of documents and texts alone, not on the order
in which anything is measured.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTPUTS = 64  # of a stratum
ASKED = 4  # outputs that one token is held against
_FIRST = (0, 1, 2, 3, 4)  # positions that are strata by themselves; later ones grow by half
_MASK = 2**64 - 1
Ints = NDArray[np.int64]


def strata(positions: Ints) -> Ints:
    """The stratum of each position.

    >>> strata(np.array([0, 1, 4, 5, 6, 8, 9, 12, 13])).tolist()
    [0, 1, 4, 4, 5, 5, 6, 6, 7]
    """
    edges = [*_FIRST]
    last = int(positions.max(initial=0))
    while edges[-1] <= last:
        edges.append(edges[-1] + max(1, edges[-1] // 2))
    return np.searchsorted(edges, positions, side="right") - 1


@dataclass(frozen=True)
class BankPlan:
    """The tokens whose outputs are the bank: int64 [output] each, stratum after stratum.

    `text` is a number among all texts of the sources, `document` what the census calls their group, and `position`
    where in the text the token stands. `digests`: of each text, by its number.
    """

    stratum: Ints
    document: Ints
    text: Ints
    position: Ints
    digests: dict[int, bytes]

    def __len__(self) -> int:
        return len(self.text)

    def asked(
        self, text: int, document: int, positions: Ints, seed: int, among: NDArray[np.bool_] | None = None
    ) -> Ints:
        """Which outputs the tokens of a text at `positions` are held against: int64 [token, ASKED], −1: none.

        Drawn for the text by itself; never of its own document. `among` bool [output]: which may be; None: all.
        """
        others = self.document != document if among is None else among & (self.document != document)
        fit = (strata(positions)[:, None] == self.stratum) & others  # (token, output)
        draw = np.random.default_rng([seed, 7, text]).random(fit.shape)
        order = np.where(fit, draw, np.inf).argsort(1, kind="stable")[:, :ASKED]
        chosen = np.where(np.take_along_axis(fit, order, 1), order, -1)
        return np.pad(chosen, ((0, 0), (0, ASKED - chosen.shape[1])), constant_values=-1)


class BankDraw:
    """Draws the bank while the texts go by: of each stratum it holds so many documents, those of the least keys."""

    def __init__(self, seed: int, outputs: int = OUTPUTS) -> None:
        self._seed, self._outputs = seed, outputs
        # Of a stratum: (key of the document, of the text, document, text, position, digest), least first.
        self._held: dict[int, list[_Held]] = {}

    def take(self, text: int, document: int, positions: Ints, digest: bytes) -> None:
        """Have a text take part, with its ordinary positions in order."""
        by_document, by_text = _mixed(self._seed, 0, document), _mixed(self._seed, 1, text)
        of = strata(positions)
        for stratum in np.unique(of).tolist():
            held = self._held.setdefault(stratum, [])
            if len(held) == self._outputs and (by_document, by_text) >= held[-1][:2]:
                continue
            here = positions[of == stratum]
            position = int(here[_mixed(self._seed, 2, text, stratum) % len(here)])
            _keep(held, (by_document, by_text, document, text, position, digest), self._outputs)

    def plan(self) -> BankPlan:
        """The bank that was drawn."""
        rows = [(stratum, *one[2:5]) for stratum, held in sorted(self._held.items()) for one in held]
        stratum, document, text, position = np.array(rows, dtype=np.int64).T
        digests = {one[3]: one[5] for held in self._held.values() for one in held}
        return BankPlan(stratum, document, text, position, digests)


def joined(plans: Sequence[BankPlan]) -> BankPlan:
    """Several banks as one, one after another."""

    def column(name: str) -> Ints:
        return np.concatenate([getattr(plan, name) for plan in plans])

    digests = {number: digest for plan in plans for number, digest in plan.digests.items()}
    return BankPlan(column("stratum"), column("document"), column("text"), column("position"), digests)


_Held = tuple[int, int, int, int, int, bytes]


def _keep(held: list[_Held], one: _Held, most: int) -> None:
    """Hold one text of each document, that of the least key, and so many in all."""
    same = next((n for n, other in enumerate(held) if other[2] == one[2]), None)
    if same is not None:
        if held[same] <= one:
            return
        del held[same]
    insort(held, one)
    del held[most:]


def _mixed(*numbers: int) -> int:
    """One number of 64 bits from several, the same everywhere (SplitMix64, Steele et al. 2014)."""
    mixed = 0
    for number in numbers:
        mixed = (mixed + number + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        mixed ^= mixed >> 31
    return mixed
