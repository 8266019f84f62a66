"""Capacity's figures in words, as its sheets and its page write them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from headscope.inference.estimates import Estimate
from headscope.show.numbers import estimate
from headscope.studies.capacity.figures import Outcome, Size, curve, needed
from headscope.studies.capacity.joined import LONGEST, InputSize

SITES = {
    "heads": "heads, each in a subspace of its own",
    "head": "one head alone",
    "z": "heads side by side (z)",
    "residual": "residual stream",
}
LOSSES = {"kl": "KL of the next or masked token, nats", "moved": "movement of the last block's output"}


def of_heads(here: Sequence[Size]) -> tuple[str, str, str, str]:
    """A layer's heads: participation ratio and 95 % dimension, of each the median with its interval, and the range.

    An interval is the median of the heads' intervals, end by end.
    """
    heads = [size for size in here if size.site == "head"]

    def told(name: str, style: str) -> tuple[str, str]:
        values, lows, highs = ([getattr(head, name + end) for head in heads] for end in ("", "_low", "_high"))
        low, high = (None if None in ends else median(ends) for ends in (lows, highs))
        least, most = (_number(value, style) for value in (min(values), max(values)))
        return _size(median(values), low, high, style), f"{least} to {most}"

    return (*told("participation_ratio", ".1f"), *told("dimension_95", ".0f"))


def of_site(here: Sequence[Size], site: str) -> tuple[str, str]:
    """A layer's participation ratio and 95 % dimension of "z" or "residual", with intervals."""
    (one,) = (size for size in here if size.site == site)
    return (
        _size(one.participation_ratio, one.participation_ratio_low, one.participation_ratio_high, ".1f"),
        _size(one.dimension_95, one.dimension_95_low, one.dimension_95_high, ".0f"),
    )


def _size(value: float, low: float | None, high: float | None, style: str) -> str:
    ends = "" if low is None or high is None else f" [{_number(low, style)}, {_number(high, style)}]"
    return f"{_number(value, style)}{ends}"


def _number(value: float, style: str) -> str:
    return f"{value:{style if value < 100 else '.0f'}}"


def joined_to(inputs: InputSize) -> str:
    """What the joined texts are.

    >>> joined_to(InputSize(1200, 99.6, 700, masked=True))
    'Joined: inputs of up to 128 tokens, 1,200 of them, of 100 on average, 700 full. Masked: 12 % of their tokens.'
    """
    masked = "Masked: 12 % of their tokens." if inputs.masked else "None are masked: this model reads no masked tokens."
    return (
        f"Joined: inputs of up to {LONGEST} tokens, {inputs.count:,} of them, of {inputs.tokens:.0f} on average, "
        f"{inputs.full:,} full. {masked}"
    )


class Need(NamedTuple):
    """By place: what 90 % of the loss is avoided with, and the loss at about one half; and the same at random."""

    site: str
    layer: int
    head: int | None
    kept: str
    kept_at_random: str
    half: str
    half_at_random: str

    @property
    def told(self) -> tuple[str, str, str, str]:
        """What is needed, without the place."""
        return self.kept, self.kept_at_random, self.half, self.half_at_random


def needs(found: Sequence[Outcome], loss: str) -> list[Need]:
    """What every place needs, in words."""
    rows = []
    places = {(one.condition.site, one.condition.layer, one.condition.head) for one in found}
    order = list(SITES)
    for site, layer, head in sorted(places, key=lambda place: (order.index(place[0]), place[1], place[2] or 0)):
        here = [curve(found, control, site=site, layer=layer, head=head) for control in (False, True)]
        enough, at_random = (_amount(needed(one, loss)) for one in here)
        half, half_at_random = (
            between(min(one, key=lambda point: abs(point.condition.share - 0.5)).figures[loss]) for one in here
        )
        rows.append(Need(site, layer, head, enough, at_random, half, half_at_random))
    return rows


def place(need: Need) -> str:
    """Layer and head."""
    return f"layer {need.layer}" if need.head is None else f"L{need.layer}H{need.head}"


def percent(one: Estimate[float]) -> str:
    """A share with its interval, in per cent."""
    return estimate(one.value, one.low, one.high, "{:.1%}".format)


def _amount(one: Outcome | None) -> str:
    """What is kept, in dimensions or as a share."""
    if one is None:
        return "–"
    share = f"{one.condition.share:.3g}"
    return share if one.condition.kept is None else f"{one.condition.kept} ({share})"


def between(one: Estimate[float]) -> str:
    """A figure with its interval."""
    return estimate(one.value, one.low, one.high)
