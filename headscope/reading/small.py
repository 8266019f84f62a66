"""Lists of positions with weights: what is small, and what a position may not see, in one row instead of hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from headscope.question import notes
from headscope.show.sheet import Cell

WHOLE = 24  # positions of a list that is never shortened
_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Listed:
    """Which positions of a list are shown, which have less than `bound` each, and which the mask hides."""

    shown: tuple[int, ...]
    small: tuple[int, ...]
    hidden: tuple[int, ...]
    bound: float

    @property
    def says(self) -> str:
        """Of those that are small: how many there are, and how small."""
        return f"{_positions(len(self.small))} with less than {_plain(self.bound)} each"

    @property
    def says_hidden(self) -> str:
        """The same of those that are hidden."""
        return f"{_positions(len(self.hidden))} {notes.HIDDEN}"


def listed(sizes: Tensor, seen: Sequence[bool], keep: int | None = None) -> Listed:
    """What is shown of positions with weights, `sizes` [position]: all, where they are not more than WHOLE.

    Else those from the smallest bound on that leaves so few, and `keep`.
    """
    values = sizes.abs().tolist()
    if len(values) <= WHOLE:
        return Listed(tuple(range(len(values))), (), (), 0.0)
    visible = [position for position in range(len(values)) if seen[position]]
    hidden = tuple(position for position in range(len(values)) if not seen[position])
    if len(visible) <= WHOLE:
        return Listed(tuple(visible), (), hidden, 0.0)
    bound = next((one for one in _BOUNDS if sum(values[at] >= one for at in visible) <= WHOLE), _BOUNDS[-1])
    shown = tuple(at for at in visible if values[at] >= bound or at == keep)
    return Listed(shown, tuple(at for at in visible if at not in shown), hidden, bound)


def together(sizes: Sequence[float]) -> str:
    """Small weights in a few words.

    >>> together([0.0004, 0.0008, 0.0005]), together([0.03])
    ('3 positions with less than .001 each, together .002', '1 position with .030')
    """
    if len(sizes) == 1:
        return f"{_positions(1)} with {share(sizes[0])}"
    bound = next((one for one in _BOUNDS if max(sizes) < one), None)
    each = "" if bound is None else f" with less than {_plain(bound)} each"
    return f"{_positions(len(sizes))}{each}, together {share(sum(sizes))}"


def share(value: float) -> str:
    """A share of 1, without the zero before its point.

    >>> share(0.5), share(0.61234), share(0.0213), share(0.00002), share(1.0), share(0.0)
    ('.50', '.61', '.021', '<.001', '1.00', '0')
    """
    if value == 0:
        return "0"
    if 0 < value < 0.0005:
        return "<.001"
    shown = f"{value:.{2 if value >= 0.095 else 3}f}"
    return shown.removeprefix("0")


def _plain(bound: float) -> str:
    return f"{bound:g}".removeprefix("0")


def dot() -> Cell:
    """In the place of the weight of what the mask hides."""
    return Cell(number="·", says=notes.HIDDEN, share=0.0, value=0.0)


def _positions(n: int) -> str:
    return f"{n:,} position{'' if n == 1 else 's'}"
