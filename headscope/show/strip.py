"""The whole vocabulary as a strip, the nearest at the left, with marks where some tokens rank: SVG of any width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from headscope.question.kinds import Kind

_NAMED = 3  # marks that have their words beside them
_LINE = 15  # pixels of a line of words


@dataclass(frozen=True)
class Mark:
    """A token at its rank (0: it has none); `weight` (0 to 1) makes it taller, and what is not `seen` is pale."""

    label: str
    rank: int
    weight: float
    kind: Kind
    seen: bool
    id: int


@dataclass(frozen=True)
class Strip:
    """Marks among `candidates` ranks, a band behind them (from rank to rank), and what all of it says."""

    marks: tuple[Mark, ...]
    candidates: int
    band: tuple[float, float] | None
    says: str


def strip(of: Strip, named: bool) -> str:
    """The strip, on a logarithmic scale; `named`: with words at the nearest marks, and a ruler.

    Lengths across are percents, so that it has the width of what it stands in and its words keep their size.
    """
    marks = sorted((mark for mark in of.marks if mark.rank), key=lambda mark: -mark.rank)  # the nearest on top
    top = _NAMED * _LINE + 2 if named else 2
    tall, height = (26, top + 26 + _LINE + 2) if named else (14, 18)
    base = top + tall
    parts = [f'<rect class="hs-strip-ground" x="0" y="{top}" width="100%" height="{tall}"/>']
    if of.band is not None:
        low, high = (_across(end, of.candidates) for end in of.band)
        parts.append(
            f'<rect class="hs-strip-band" x="{low:.2f}%" y="{top}" width="{max(high - low, 0.5):.2f}%" '
            f'height="{tall}"/>'
        )
    parts += [_mark(mark, of.candidates, base, tall) for mark in marks]
    if named:
        parts += _names(list(reversed(marks)), of.candidates, top)
        parts += _ruler(of.candidates, base)
    return (
        f'<svg class="hs-strip" width="100%" height="{height}" role="img" aria-label="{escape(of.says)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(of.says)}</title>{"".join(parts)}</svg>'
    )


def _across(rank: float, candidates: int) -> float:
    """Percent from the left; the ends leave room for a mark."""
    return 1 + 98 * math.log(max(rank, 1)) / math.log(max(candidates, 2))


def _mark(mark: Mark, candidates: int, base: int, tall: int) -> str:
    x, rise = f"{_across(mark.rank, candidates):.2f}%", tall * (0.35 + 0.65 * min(1.0, max(0.0, mark.weight)))
    classes = f"hs-strip-mark hs-strip-{mark.kind}" + ("" if mark.seen else " hs-strip-unseen")
    return (
        f'<line class="{classes}" x1="{x}" x2="{x}" y1="{base}" y2="{base - rise:.1f}" data-id="{mark.id}" '
        f'data-label="{escape(mark.label)}" data-where="rank {mark.rank:,}, weight {mark.weight:.2f}"/>'
    )


def _names(nearest: list[Mark], candidates: int, top: int) -> list[str]:
    """The nearest marks' words, each on a line of its own, so that none covers another."""
    parts = []
    for n, mark in enumerate([mark for mark in nearest if mark.seen][:_NAMED]):
        x = _across(mark.rank, candidates)
        end = ' text-anchor="end"' if x > 60 else ""
        y = top - 5 - n * _LINE
        stem = f'<line class="hs-strip-stem" x1="{x:.2f}%" x2="{x:.2f}%" y1="{top}" y2="{y - 8}"/>'
        words = f'<tspan class="hs-strip-word">{escape(mark.label)}</tspan> {mark.rank:,}'
        apart = "-4" if end else "4"
        parts.append(f'{stem}<text class="hs-strip-{mark.kind}" x="{x:.2f}%" dx="{apart}" y="{y}"{end}>{words}</text>')
    return parts


def _ruler(candidates: int, base: int) -> list[str]:
    steps = [10**power for power in range(int(math.log10(candidates)) + 1)]
    if candidates / steps[-1] < 8:  # there is no room for both
        steps.pop()
    steps.append(candidates)
    parts = []
    for n, step in enumerate(steps):
        anchor = "start" if n == 0 else "end" if n == len(steps) - 1 else "middle"
        x = "0" if n == 0 else "100%" if step == candidates else f"{_across(step, candidates):.2f}%"
        parts.append(f'<text class="hs-strip-step" x="{x}" y="{base + _LINE}" text-anchor="{anchor}">{step:,}</text>')
    return parts
