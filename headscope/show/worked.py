"""One number worked out, step by step: as text, as HTML without styles of its own, and as plain lists."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headscope.reading.records import WorkedRecord
    from headscope.reading.worked import Worked

_DIMS = 2  # components that are written out of d_head
Step = tuple[str, list[str], list[str], list[list[str]]]  # title, sentences, columns, rows


def record(found: Worked) -> WorkedRecord:
    """Every number of every step."""
    asked = found.question
    assert asked.layer is not None  # an answer about one layer
    return {
        "selected": found.token.position,
        "layer": asked.layer,
        "head": found.head,
        "id": found.neighbor.id,
        "token": found.neighbor.text,
        "label": found.neighbor.label,
        "metric": asked.metric,
        "space": asked.space,
        "reference": asked.reference,
        "scale": found.scale,
        "softmax_error": found.softmax_error,
        "mix_error": found.mix_error,
        "sources": [
            {"position": token.position, "label": token.label, "product": p, "seen": seen, "softmax": s, "weight": w}
            for token, p, seen, s, w in zip(
                found.tokens,
                found.products.tolist(),
                found.seen.tolist(),
                found.softmax.tolist(),
                found.weights.tolist(),
                strict=True,
            )
        ],
        "values": found.values.tolist(),
        "mix": found.mix.tolist(),
        "z": found.z.tolist(),
        "product": float(found.vector @ found.row),
        "vector_length": float(found.vector.norm()),
        "row_length": float(found.row.norm()),
        "distance": found.distance,
    }


def steps(found: Worked) -> list[Step]:
    """The four steps, with this text's numbers."""
    told = record(found)
    i, own, near = found.token.position, found.token.label, found.neighbor.label
    width = len(found.z)
    names = [f"{token.position} {token.label}" for token in found.tokens]
    scores = [one["product"] * found.scale for one in told["sources"]]
    masked = [not one["seen"] for one in told["sources"]]
    fits = found.softmax_error < 1e-4
    usual = abs(found.scale * width**0.5 - 1) < 1e-9
    first = (
        f"The query of {own} (position {i}) is multiplied with the key of every source: {width} products, summed. Then "
        + (f"divided by √{width} = {width**0.5:.3f}." if usual else f"multiplied by {found.scale:.4f}, as measured.")
    )
    adds = (
        f"These are the model's own weights to {found.softmax_error:.0e}."
        if fits
        else "This model adds more to its scores than q·k (relative positions, a cap, a sink …): its own weights "
        f"differ by up to {found.softmax_error:.2g}, and the steps below use them."
    )
    weights: list[Step] = [
        (
            "q·k",
            [first],
            ["source", "q·k", "score"],
            [
                [name, _n(one["product"]), "masked" if hidden else _n(score)]
                for name, one, score, hidden in zip(names, told["sources"], scores, masked, strict=True)
            ],
        ),
        (
            "softmax",
            ["e to the score, over the sum of them all: the attention weights α, which sum to 1. " + adds],
            ["source", "softmax", "α of the model"],
            [[name, _n(one["softmax"]), _n(one["weight"])] for name, one in zip(names, told["sources"], strict=True)],
        ),
    ]
    dims = min(_DIMS, width)
    mixing = [
        [name, _n(one["weight"]), *(_n(value * one["weight"]) for value in values[:dims])]
        for name, one, values in zip(names, told["sources"], told["values"], strict=True)
    ]
    mixing += [["sum", "", *map(_n, told["mix"][:dims])], ["z as captured", "", *map(_n, told["z"][:dims])]]
    mixed = (
        f"Each source's value v, {width} numbers, times its weight; the sum is what the head writes, z. Here the first "
        f"{dims} of the {width}; over all of them the sum is the captured z to {found.mix_error:.0e}."
    )
    product, one, other = told["product"], told["vector_length"], told["row_length"]
    end = {
        "cosine": f"1 − {_n(product)} / ({_n(one)} × {_n(other)}) = {_n(found.distance)}",
        "euclidean": f"√({_n(one)}² + {_n(other)}² − 2 × {_n(product)}) = {_n(found.distance)}",
        "dot": f"−({_n(product)}) = {_n(found.distance)}",
    }[found.question.metric]
    what = "z" if found.question.space in ("value", "key", "query") else f"z in the space {found.question.space}"
    rows = [[f"{what} · R", _n(product)], [f"length of {what}", _n(one)], ["length of R", _n(other)]]
    rows += [[f"{found.question.metric} distance", _n(found.distance)]]
    last = f"R is how the vocabulary token {near} is encoded. {found.question.metric} distance: {end}."
    return [
        *weights,
        ("Σ α v", [mixed], ["source", "α", *(f"α·v[{n}]" for n in range(dims))], mixing),
        ("distance", [last[0].upper() + last[1:]], ["number", "value"], rows),
    ]


def html(found: Worked) -> str:
    """A section with a list of steps; names and text are data: everything is escaped."""
    parts = []
    for title, sentences, columns, rows in steps(found):
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in rows
        )
        says = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
        region = f'<div tabindex="0" role="region" aria-label="{escape(title)}, scrollable">'
        parts.append(
            f"<li><h4>{escape(title)}</h4>{says}{region}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></li>"
        )
    return f"<section><h3>{escape(_title(found))}</h3><ol>{''.join(parts)}</ol></section>"


def text(found: Worked) -> str:
    """The same for a terminal."""
    lines = [_title(found)]
    for title, sentences, columns, rows in steps(found):
        lines += ["", title, *sentences, *_aligned([columns, *rows])]
    return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _title(found: Worked) -> str:
    return (
        f"How far {found.token.label} (position {found.token.position}) is from {found.neighbor.label} in "
        f"L{found.question.layer}H{found.head}, worked out"
    )


def _n(value: float) -> str:
    """Up to four decimals, with a real minus.

    >>> _n(-0.12344), _n(12345.6), _n(0.0), _n(3e-7), _n(12.34567)
    ('−0.1234', '12346', '0', '3e−07', '12.35')
    """
    size = abs(value)
    if value == 0:
        return "0"
    decimals = 4 if size < 1 else max(0, 4 - len(str(int(size))))
    return (f"{value:.{decimals}f}" if size >= 5e-5 else f"{value:.0e}").replace("-", "−")
