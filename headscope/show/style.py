"""How sheets look where they are HTML; a page that has a style of its own may draw the same classes."""

from __future__ import annotations

STEPS = 10  # of a cell's ground, by its share
SHEETS = """
.hs-sheet { overflow-x: auto; margin: 0 0 16px; }
.hs-sheet caption { text-align: left; font-weight: 600; white-space: normal; }
.hs-sheet th, .hs-sheet td { text-align: left; white-space: pre; padding: 1px 8px; unicode-bidi: isolate; }
.hs-prose th, .hs-prose td { white-space: normal; vertical-align: top; }
.hs-sheet .hs-number { text-align: right; font-variant-numeric: tabular-nums; }
.hs-sheet small { opacity: .7; }
.hs-sheet .hs-apart > * { border-top: 1px solid; }
.hs-own { font-weight: 600; text-decoration: underline; }
.hs-text { font-weight: 600; }
""" + "".join(f".hs-{n} {{ background: rgba(90, 169, 207, {0.7 * n / STEPS:.2f}); }}\n" for n in range(1, STEPS + 1))
