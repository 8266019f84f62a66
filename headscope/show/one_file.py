"""A view as one HTML file that needs nothing else: figure, tables, notes, and the lines that make it again."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from headscope.show.style import SHEETS

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 1400px; margin: 0 auto; padding: 24px; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 17px; margin: 32px 0 8px; }
blockquote { margin: 12px 0; padding: 8px 16px; border-left: 3px solid; font-size: 17px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { font-weight: 600; } li :is(th, td) { padding: 1px 8px; text-align: left; }
tr + tr > * { border-top: 1px solid light-dark(#dedfd9, #2f3439); }
.wide, pre { overflow-x: auto; } svg { max-width: none; }
pre { padding: 12px; background: light-dark(#f5f5f1, #1a1d20); }
@media print { body { padding: 0; } .wide { overflow: visible; } svg { max-width: 100%; height: auto; } }
"""


def document(
    title: str,
    text: str = "",
    facts: Sequence[str] = (),
    notes: Sequence[str] = (),
    svg: str = "",
    tables: Sequence[str] = (),
    script: str = "",
) -> str:
    """The file; `svg` and `tables` are HTML of other views, everything else is text, and what is empty left out."""
    parts = [f"<h1>{escape(title)}</h1>"]
    if text:
        parts.append(f'<blockquote dir="auto">{escape(text)}</blockquote>')
    parts += [f"<p>{escape(line)}</p>" for line in (*facts, *notes)]
    if svg:
        parts.append(f'<h2>Figure</h2><div class="wide" tabindex="0" role="region" aria-label="Figure">{svg}</div>')
    parts += ["<h2>Tables</h2>", *tables]
    if script:
        parts.append(f"<h2>In Python</h2>{pre(script)}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)} · headscope</title><style>{_STYLE}{SHEETS}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def pre(lines: str) -> str:
    """Text as it stands, in a region that scrolls."""
    return f'<pre tabindex="0"><code>{escape(lines)}</code></pre>'
