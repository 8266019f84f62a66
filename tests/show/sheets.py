"""Sheets for the renderers' tests."""

from __future__ import annotations

from headscope.show.sheet import Cell, Row, Sheet, of_heads

HOSTILE = "<script>alert(1)</script>|`*_[x](y)_*`\x1b[31m\x00 ]]> & \" ' \u202e"
HEADS = 12


def plain() -> Sheet:
    """Two ranks of twelve heads, a row apart, and everything that can stand around a table."""
    return Sheet(
        "plain",
        "What is nearest",
        tuple(f"head {n}" for n in range(HEADS)),
        (
            Row(Cell("1"), (Cell("fox", "0.125", "own"), *(Cell(f"word{n}", "0.250") for n in range(1, HEADS)))),
            Row(
                Cell("2"), (Cell("a", "0.500", "text", beside="45%"), *(Cell("much too long") for _ in range(1, HEADS)))
            ),
            Row(Cell("own"), tuple(Cell(f"#{n}", "0.900") for n in range(HEADS)), apart=True),
        ),
        lead=("What the table is about.",),
        legend=("▸ own token",),
        notes=("The text was cut.",),
        figure="cells",
    )


def heat() -> Sheet:
    """Numbers with shares, under sources."""
    return Sheet(
        "heat",
        "How much of each source",
        ("head 0", "head 1"),
        (
            Row(Cell("0 the", kind="own"), (Cell(number="0.900", share=0.9), Cell(number="0.500", share=0.5))),
            Row(Cell("1 fox"), (Cell(number="0.010", share=0.01), Cell(number="0.000", share=0.0))),
        ),
        stub="source",
        figure="cells",
    )


def linked() -> Sheet:
    """A layer under two sides of two heads, whose cells are about tokens."""
    here = Cell("fox", "-0.125", "text", before="3", says="rank 1, in the text", value=-0.125, id=7, position=3)
    there = Cell("hen", "inf", value=float("inf"), id=8, shared=True)
    return Sheet(
        "linked",
        "Both sides",
        tuple(Cell(side, measure="distance") for _ in range(2) for side in ("one", "other")),
        (
            Row(Cell("L4", layer=4), (here, there, here, there)),
            Row(Cell("own", says="its rank"), (Cell("#2"),) * 4, apart=True),
        ),
        together=2,
        figure="cells",
        over=of_heads(2),
    )


def hostile() -> Sheet:
    """A sheet whose every word is written by somebody who means ill."""
    cell = Cell(HOSTILE, HOSTILE, "text", share=1.0, beside=HOSTILE, before=HOSTILE, says=HOSTILE, id=1)
    return Sheet(
        "hostile",
        HOSTILE,
        (cell._replace(measure=HOSTILE),),
        (Row(cell, (cell,)),),
        stub=HOSTILE,
        lead=(HOSTILE,),
        legend=(HOSTILE,),
        notes=(HOSTILE,),
        figure="cells",
        over=(cell,),
    )
