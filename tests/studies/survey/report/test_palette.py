"""The colours of the charts: each its own, and text on each readable, on light and on dark paper."""

from __future__ import annotations

import pytest

from headscope.show.charts import palette
from headscope.show.charts.palette import Ink
from headscope.studies.survey.report import heads


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_no_two_colours_are_one():
    """Or a page could not tell which of them it has to change on dark paper."""
    inks = [*palette.LINES, *palette.ABOVE, *palette.BELOW, *palette.AMOUNT, palette.PAPER, palette.TEXT, palette.GREY]
    inks += [palette.SOFT, palette.RULE, palette.HATCH, palette.CHANCE, palette.ON_STRONG]
    inks += [ground for ground, _ in palette.KINDS.values()]
    assert len({ink.light for ink in inks}) == len(inks)
    assert set(inks) <= set(palette.INKS.values())


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_text_and_lines_can_be_read_on_their_ground(paper):
    def on(ink: Ink, ground: Ink) -> float:
        return contrast(getattr(ink, paper), getattr(ground, paper))

    for ramp in (palette.ABOVE, palette.BELOW, palette.AMOUNT):
        for step, ground in enumerate(ramp):
            assert on(palette.ON_STRONG if step >= heads._DARK else palette.TEXT, ground) >= 4.5
    for ink in (palette.TEXT, palette.SOFT):
        assert on(ink, palette.PAPER) >= 4.5
    for ink in palette.LINES:
        assert on(ink, palette.PAPER) >= 3
