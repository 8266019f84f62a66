"""What the standing of a text's tokens says, in words: templates that branch on the numbers, and claim nothing.

What a head does beyond even attention and untrained twins is said of many texts alone (studies/survey/said.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from headscope.show.numbers import percent

_MANY = 0.5  # of a head's weight on what is no ordinary token: it is said


@dataclass(frozen=True)
class Usual:
    """The middle half of where other texts' outputs put a token."""

    low: float
    high: float


@dataclass(frozen=True)
class StandingToken:
    """One token of the text under one head: its ranks (0: none), its weight, whether it may be seen, and is the own."""

    id: int
    label: str
    rank: int
    even: int
    weight: float
    seen: bool
    own: bool
    usual: Usual | None

    @property
    def name(self) -> str:
        """Its label, as a word of a sentence."""
        return f"“{self.label}”" + (" (its own token)" if self.own else "")

    @property
    def lift(self) -> float:
        """By what factor it is nearer than under even attention, as a logarithm."""
        return math.log(self.even / self.rank) if self.rank and self.even else -math.inf


@dataclass(frozen=True)
class Stood:
    """The text's tokens under one head, of `candidates`; `usual`: other texts' outputs, all tokens together.

    `tied`: all tokens of the vocabulary are as near to its output.
    """

    head: int
    tokens: tuple[StandingToken, ...]
    candidates: int
    usual: Usual | None
    tied: bool = False

    @property
    def seen(self) -> list[StandingToken]:
        """Those that the position may see and that have a rank, the nearest first, of ties the most attended."""
        known = (token for token in self.tokens if token.seen and token.rank)
        return sorted(known, key=lambda token: (token.rank, -token.weight))


def of_head(layer: int, stood: Stood) -> str:
    """One head: which token it is nearest to, where even attention and other texts would put it, what it attends to."""
    named = f"Layer {layer}, head {stood.head}"
    if stood.tied and any(token.seen for token in stood.tokens):
        return f"{named}: all tokens are as near to its output, so it is near to nothing in particular."
    if not stood.seen:
        which = " that has a rank" if any(token.seen for token in stood.tokens) else ""
        return f"{named}: this position may see no ordinary token of the text{which}, so there is nothing to rank."
    best = stood.seen[0]
    return " ".join(filter(None, (f"{named}: {_nearest(best, stood)}", _attended(best, stood), _mixed(stood))))


def of_layer(layer: int, heads: Sequence[Stood]) -> str:
    """A layer: whose output puts a token of the text furthest above where even attention would."""
    pairs = [(token.lift, -stood.head, token, stood) for stood in heads for token in stood.seen]
    if not pairs:
        return f"Layer {layer}: this position may see no ordinary token of the text, so there is nothing to rank."
    lift, _, token, stood = max(pairs, key=lambda pair: pair[:2])
    if lift <= 0:
        return f"Layer {layer}: no head puts a token of this text nearer than even attention would."
    return (
        f"Layer {layer}: head {stood.head} lifts a token of this text most: {token.name}, "
        f"{ordinal(token.rank)} of {stood.candidates:,}, {_weighing(token)}; {_elsewhere(token)}."
    )


def of_strip(stood: Stood) -> str:
    """What a strip shows, for those who do not see it."""
    nearest = ", ".join(f"{token.label} {rank(token.rank)}" for token in stood.seen[:3]) or "none of this text"
    band = f"; other texts’ outputs: {_between(stood.usual)}" if stood.usual else ""
    return f"Head {stood.head}, ranks from 1 to {stood.candidates:,}: {nearest}{band}"


def _nearest(best: StandingToken, stood: Stood) -> str:
    where = f"{ordinal(best.rank)} of {stood.candidates:,}"
    if best.lift <= 0:
        return (
            f"no token of this text stands out. The nearest is {best.name}, {where}, {_weighing(best)}; "
            f"{_elsewhere(best)}."
        )
    return f"of this text’s tokens it ranks {best.name} first ({where}), {_weighing(best)}; {_elsewhere(best)}."


def _weighing(token: StandingToken) -> str:
    return f"which has {weight(token.weight)} of its weight"


def _elsewhere(token: StandingToken) -> str:
    """Where even attention would put a token, and where other texts' outputs do."""
    even = "there, too" if token.even == token.rank else f"at {rank(token.even)}"
    usual = f", and half of other texts’ outputs put it at {_between(token.usual)}" if token.usual else ""
    return f"even attention would put it {even}{usual}"


def _attended(best: StandingToken, stood: Stood) -> str:
    """What has the most weight, where that is another token."""
    most = max(stood.seen, key=lambda token: token.weight)
    if 1 - sum(token.weight for token in stood.tokens) > _MANY:
        rest = weight(1 - sum(token.weight for token in stood.tokens))
        return f"Most of its weight ({rest}) is on no ordinary token."
    if most.weight <= best.weight:
        return ""
    little = "a little " if weight(most.weight) == weight(best.weight) else ""  # in two digits they are alike
    return f"It attends {little}more to {most.name} ({weight(most.weight)}), which it ranks at {rank(most.rank)}."


def _mixed(stood: Stood) -> str:
    """How near the text's tokens are on the whole, beside where other texts' outputs put them."""
    if stood.usual is None:
        return ""
    middle = median(token.rank for token in stood.seen)
    here, low, high = (percent(value / stood.candidates) for value in (middle, stood.usual.low, stood.usual.high))
    numbers = f"half of them in the nearest {here}; other texts’ outputs put them at {low} to {high}"
    if middle < stood.usual.low:
        return f"Its output holds this text’s words ({numbers}), as any mixing would."
    if middle > stood.usual.high:
        return f"Its output is farther from this text’s words than other texts’ outputs are ({numbers})."
    return f"Its output holds this text’s words no more than other texts’ outputs do ({numbers})."


def rank(value: int) -> str:
    """A rank in words; 0 is none."""
    return f"{value:,}" if value else "no rank"


def nearness(value: int, candidates: int) -> float:
    """1 for the nearest, 0 for the farthest, by the logarithm of the rank."""
    return 1 - math.log(value) / math.log(candidates) if candidates > 1 else 1.0


def weight(value: float) -> str:
    """A share of attention in two digits.

    >>> weight(0.614), weight(0.001), weight(1.0)
    ('.61', 'less than .01', '1.00')
    """
    return "less than .01" if value < 0.005 else f"{value:.2f}".removeprefix("0")


def ordinal(value: int) -> str:
    """
    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 22, 1013)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd', '1,013th']
    """
    ending = "th" if value // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{ending}"


def _between(usual: Usual) -> str:
    low, high = (f"{round(value):,}" for value in (usual.low, usual.high))
    return low if low == high else f"{low} to {high}"
