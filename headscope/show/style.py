"""How sheets look where they are HTML; a page that has a style of its own may draw the same classes."""

from __future__ import annotations

STEPS = 10  # of a cell's ground, by its share
SHEETS = """
.hs-sheet { margin: 0 0 16px; }
.hs-scroll { position: relative; overflow-x: auto; }
.hs-sheet caption { text-align: left; font-weight: 600; white-space: normal; }
.hs-sheet :is(th, td) { text-align: left; white-space: pre; padding: 1px 8px; unicode-bidi: isolate; }
.hs-sheet [colspan] { border-left: 1px solid; }
.hs-prose th, .hs-prose td { white-space: normal; vertical-align: top; }
.hs-sheet .hs-number { text-align: right; font-variant-numeric: tabular-nums; }
.hs-sheet :is(small, .hs-sign) { opacity: .7; }
.hs-sheet .hs-apart > * { border-top: 1px solid; }
.hs-sheet .hs-own .hs-label { font-weight: 600; text-decoration: underline; }
.hs-sheet .hs-text .hs-label { font-weight: 600; }
.hs-sheet .hs-shared .hs-label { text-decoration: underline dotted; }
.hs-sheet .hs-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.hs-sheet .hs-key { display: flex; flex-wrap: wrap; gap: 0 18px; margin: 4px 0; padding: 0; list-style: none; }
""" + "".join(f".hs-{n} {{ background: rgba(90, 169, 207, {0.45 * n / STEPS:.2f}); }}\n" for n in range(1, STEPS + 1))
