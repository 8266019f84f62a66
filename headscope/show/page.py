"""A report as one HTML file: no script, and nothing that is fetched from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from headscope.show.charts.chart import Cell as Number
from headscope.show.charts.chart import Chart
from headscope.show.charts.svg import in_page, variables
from headscope.show.document import Block, Cell, Code, DocumentTable, Items, Quote, Report, Section

_CSS = """
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { DARK } }
@media print { :root { color-scheme: light; LIGHT } details { display: none } }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--cffffff); color: var(--c1a1c1e);
  font: 1rem/1.5 system-ui, sans-serif; }
h1, h2, h3, h4 { line-height: 1.25; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
h1, h2, h3, h4, nav, p, li { overflow-wrap: anywhere; }
h2 { border-bottom: 1px solid var(--cd9dbdd); padding-bottom: .25rem; }
p, li { max-width: 48rem; }
a { color: inherit; }
nav ul { padding-left: 1.2rem; margin: .2rem 0; }
figure { margin: 1.5rem 0; }
figure svg { display: block; min-width: 44rem; max-width: 100%; height: auto; }
figcaption, caption { text-align: left; color: var(--c5a6066); font-size: .9rem; max-width: 60rem; }
figcaption strong { color: var(--c1a1c1e); }
caption { padding: .4rem 0; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; min-width: min(100%, 40rem); font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top; border-top: 1px solid var(--cd9dbdd); }
th { font-weight: 600; }
td.number { text-align: right; }
td { unicode-bidi: isolate; }
code { font-family: ui-monospace, monospace; font-size: .95em; overflow-wrap: anywhere; }
mark { background: none; color: inherit; font-weight: 700; text-decoration: underline; }
summary { cursor: pointer; font-size: .9rem; color: var(--c5a6066); }
:focus-visible { outline: 2px solid var(--c0072b2); outline-offset: 2px; }
"""


def html(report: Report) -> str:
    """The whole page."""
    css = _CSS.replace("LIGHT", variables(dark=False)).replace("DARK", variables(dark=True)).strip()
    body = "\n".join(_section(section, 2) for section in report.sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.title)}</title>\n<style>\n{css}\n</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(report.title)}</h1>\n<p>{escape(report.summary)}</p></header>\n"
        f'<nav aria-label="Contents">{_contents(report.sections)}</nav>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _contents(sections: Sequence[Section]) -> str:
    if not sections:
        return ""
    items = "".join(
        f'<li><a href="#{section.anchor}">{escape(section.title)}</a>{_contents(section.sections)}</li>'
        for section in sections
    )
    return f"<ul>{items}</ul>"


def _section(section: Section, level: int) -> str:
    parts = [f'<section aria-labelledby="{section.anchor}">']
    parts.append(f'<h{level} id="{section.anchor}">{escape(section.title)}</h{level}>')
    parts += [_block(block) for block in section.blocks]
    parts += [_section(below, level + 1) for below in section.sections]
    return "\n".join([*parts, "</section>"])


def _block(block: Block) -> str:
    if isinstance(block, DocumentTable):
        return _table(block)
    if isinstance(block, Items):
        return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Chart):
        return _figure(block)
    return f"<p>{escape(block)}</p>"


def _figure(chart: Chart) -> str:
    rows = tuple(tuple(_number(cell) for cell in row) for row in chart.rows)
    numbers = _table(DocumentTable(f"The numbers of the figure, as in numbers/{chart.name}.csv.", chart.columns, rows))
    return (
        f'<figure id="figure-{chart.name}">\n{_scrolling(chart.title, in_page(chart.svg, chart.title, chart.name))}\n'
        f"<figcaption><strong>{escape(chart.title)}.</strong> {escape(chart.caption)}</figcaption>\n"
        f"<details><summary>Numbers</summary>{numbers}</details>\n</figure>"
    )


def _number(cell: Number) -> Cell:
    if cell is None:
        return "–"
    return f"{cell:.4g}".replace("-", "−") if isinstance(cell, float) else cell


def _table(table: DocumentTable) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' if column else "<td></td>" for column in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{_inline(row[0])}</th>' + "".join(_cell(cell) for cell in row[1:]) + "</tr>\n"
        for row in table.rows
    )
    return _scrolling(
        table.caption,
        f"<table><caption>{escape(table.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>",
    )


def _scrolling(name: str, inside: str) -> str:
    """What may be wider than the page; a region that scrolls has to be reached with the keyboard."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(name)}">{inside}</div>'


def _cell(cell: Cell) -> str:
    return f'<td class="number">{cell}</td>' if isinstance(cell, int) else f"<td>{_inline(cell)}</td>"


def _inline(cell: Cell) -> str:
    if isinstance(cell, Quote):
        return f"{escape(cell.before)}<mark>{escape(cell.token)}</mark>{escape(cell.after)}"
    if isinstance(cell, Code):
        return f"<code>{escape(cell.text)}</code>"
    return escape(str(cell))
