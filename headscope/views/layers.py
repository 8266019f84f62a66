"""What `headscope.layers` answers, as plain lists and as text."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headscope.views.text import plain

if TYPE_CHECKING:
    from headscope.layers import Effects, Glance, Journey, Mixing
    from headscope.model.tokens import Token

Record = dict[str, Any]


def journey(found: Journey) -> Record:
    """Every stage of every token."""
    return {
        "stages": list(found.stages),
        "use_position": found.use_position,
        "k": found.k,
        "notes": list(found.notes),
        "tokens": [
            {
                "position": token.position,
                "id": token.id,
                "token": token.text,
                "label": token.label,
                "special": token.special,
                "own_rank": found.own_rank[:, n].tolist(),
                "own_cosine": _numbers(found.own_cosine[:, n].tolist()),
                "isolated_cosine": _numbers(found.isolated_cosine[:, n].tolist()),
                "norm": _numbers(found.norm[:, n].tolist()),
                "overlap": _numbers(found.overlap[:, n].tolist()),
            }
            for n, token in enumerate(found.tokens)
        ],
    }


def mixing(found: Mixing) -> Record:
    """The ratios of every layer and position, and per head; null where there is none."""
    return {
        "tokens": _tokens(found.tokens),
        "notes": list(found.notes),
        "layers": [
            {
                "layer": layer,
                "norms": _numbers(found.norms_all[layer].tolist()),
                "residual": _numbers(found.residual[layer].tolist()),
                "layernorm": _numbers(found.layernorm[layer].tolist()),
                "heads": [
                    {"head": head, "weights": _numbers(weights), "norms": _numbers(norms)}
                    for head, (weights, norms) in enumerate(
                        zip(found.weights[layer].tolist(), found.norms[layer].tolist(), strict=True)
                    )
                ],
            }
            for layer in range(len(found.norms_all))
        ],
    }


def glance(found: Glance) -> Record:
    """One row for each layer and head."""
    return {"heads": _by_head(GLANCE, [getattr(found, name) for name in GLANCE])}


def effects(found: Effects) -> Record:
    """One row for each layer and head; null where the model has no language-model head."""
    names = [name for name in EFFECTS if getattr(found, name) is not None]
    return {
        "selected": found.token.position,
        "replaced_by": found.replaced_by,
        "heads": _by_head(names, [getattr(found, name) for name in names]),
    }


GLANCE = ("entropy", "on_own", "on_previous", "on_special", "strength")
EFFECTS = ("moved", "kl", "own_logit")


def journey_tables(found: Journey) -> list[RenderableType]:
    """Ranks of and cosines to the own input embedding, a row a token, a column a stage."""
    where = "at its position" if found.use_position else "without a position"
    parts: list[RenderableType] = []
    for title, values, style in (
        (f"Rank of the own input embedding ({where}), by cosine", found.own_rank.T.tolist(), "{:,}"),
        ("Cosine to it", found.own_cosine.T.tolist(), "{:.2f}"),
        ("Cosine to the same token read alone", found.isolated_cosine.T.tolist(), "{:.2f}"),
    ):
        table = _table(["token", *found.stages])
        for token, row in zip(found.tokens, values, strict=True):
            table.add_row(f"{token.position} {token.label}", *(style.format(value) for value in row))
        parts += [Text(title, "bold"), table, Text()]
    return parts


def mixing_tables(found: Mixing) -> list[RenderableType]:
    """The mean ratio of every layer, from bare weights to what leaves the norm."""
    kinds = ("weights", "norms", "norms_all", "residual", "layernorm")
    names = ("weights", "norms", "all heads", "+ residual", "+ LayerNorm")
    table = _table(["layer", *names])
    for layer in range(len(found.norms_all)):
        means = (float(getattr(found, kind)[layer].mean()) for kind in kinds)
        table.add_row(str(layer), *(f"{mean:.1%}" if isfinite(mean) else "–" for mean in means))
    title = "Mixing: how much comes from other positions (mean over the tokens; the first two also over the heads)"
    return [Text(title, "bold"), table]


def glance_tables(found: Glance) -> list[RenderableType]:
    """A row for each head."""
    return [_head_table(("entropy", "own", "previous", "special", "|W_O z|"), glance(found)["heads"], GLANCE)]


def effects_tables(found: Effects) -> list[RenderableType]:
    """A row for each head."""
    told = effects(found)["heads"]
    names = [name for name in EFFECTS if name in told[0]]
    title = f"What the output at {found.token.position} {found.token.label} loses without each head"
    return [Text(title, "bold"), _head_table(names, told, names)]


def journey_text(found: Journey) -> str:
    return plain(Group(*journey_tables(found)))


def mixing_text(found: Mixing) -> str:
    return plain(Group(*mixing_tables(found)))


def glance_text(found: Glance) -> str:
    return plain(Group(*glance_tables(found)))


def effects_text(found: Effects) -> str:
    return plain(Group(*effects_tables(found)))


def _head_table(titles: Sequence[str], rows: list[Record], names: Sequence[str]) -> Table:
    table = _table(["head", *titles])
    for row in rows:
        table.add_row(f"L{row['layer']}H{row['head']}", *(f"{row[name]:.3f}" for name in names))
    return table


def _by_head(names: Sequence[str], values: Sequence[Any]) -> list[Record]:
    layers, heads = values[0].shape
    lists = [value.tolist() for value in values]
    return [
        {"layer": layer, "head": head, **{name: part[layer][head] for name, part in zip(names, lists, strict=True)}}
        for layer in range(layers)
        for head in range(heads)
    ]


def _tokens(tokens: Sequence[Token]) -> list[Record]:
    return [{"position": t.position, "id": t.id, "token": t.text, "label": t.label} for t in tokens]


def _numbers(values: list[float]) -> list[float | None]:
    return [value if isfinite(value) else None for value in values]


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, header_style="bold")
    for n, column in enumerate(columns):
        table.add_column(column, justify="left" if n == 0 else "right", no_wrap=True)
    return table
