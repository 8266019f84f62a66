"""What `headscope.reading.layers` answers, as plain lists and as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headscope.question.meanings import MIXING
from headscope.reading.answer import SCHEMA, token_record
from headscope.show.numbers import distance
from headscope.show.terminal import WIDTH, blocks, notes, plain

if TYPE_CHECKING:
    from headscope.reading import layer_records as records
    from headscope.reading.layers import Effects, Glance, Journey, Mixing

Record = dict[str, Any]
GLANCE = ("entropy", "on_own", "on_previous", "on_special", "strength")
EFFECTS = {
    "moved": "Moved: how far the last layer's output moves, beside its own length",
    "kl": "KL: of the model's distribution there from what it was, in nats",
    "own_logit": "Own logit: what the token's own logit gains",
}
_MIXING_NAMES = {
    "weights": "weights",
    "norms": "norms",
    "norms_all": "all heads",
    "residual": "+ residual",
    "layernorm": "+ LayerNorm",
}
_TOKEN, _CLASS = 14, 11  # characters of a token's column and of its class of word


def journey(found: Journey) -> records.JourneyRecord:
    """Every stage of every token."""
    return {
        "schema": SCHEMA,
        "stages": list(found.stages),
        "use_position": found.use_position,
        "norms_input": found.norms_input,
        "k": found.k,
        "notes": list(found.notes),
        "tokens": [
            {
                **token_record(token),
                "word_class": found.word_classes[n],
                "own_rank": found.own_rank[:, n].tolist(),
                "own_cosine": _numbers(found.own_cosine[:, n].tolist()),
                "isolated_rank": None if found.isolated_rank is None else found.isolated_rank[:, n].tolist(),
                "isolated_cosine": _numbers(found.isolated_cosine[:, n].tolist()),
                "norm": _numbers(found.norm[:, n].tolist()),
                "overlap": _numbers(found.overlap[:, n].tolist()),
            }
            for n, token in enumerate(found.tokens)
        ],
    }


def journey_rows(found: Journey) -> list[Record]:
    """One row for each token and stage; the first stage has none before it to share neighbours with."""
    return [
        {
            "position": token["position"],
            "id": token["id"],
            "token": token["text"],
            "label": token["label"],
            "special": token["special"],
            "word_class": token["word_class"],
            "stage": stage,
            "own_rank": token["own_rank"][n],
            "own_cosine": token["own_cosine"][n],
            "isolated_rank": None if token["isolated_rank"] is None else token["isolated_rank"][n],
            "isolated_cosine": token["isolated_cosine"][n],
            "norm": token["norm"][n],
            "overlap": token["overlap"][n - 1] if n else None,
        }
        for token in journey(found)["tokens"]
        for n, stage in enumerate(found.stages)
    ]


def mixing(found: Mixing) -> records.MixingRecord:
    """The ratios of every layer and position, and per head; null where there is none."""
    means = {kind: _numbers(values.tolist()) for kind, values in found.means().items()}
    return {
        "schema": SCHEMA,
        "tokens": [token_record(token) for token in found.tokens],
        "notes": list(found.notes),
        "kinds": [{"kind": kind, "name": _MIXING_NAMES[kind], "says": says} for kind, says in MIXING.items()],
        "layers": [
            {
                "layer": layer,
                "means": {kind: values[layer] for kind, values in means.items()},
                "norms_all": _numbers(found.norms_all[layer].tolist()),
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


def mixing_rows(found: Mixing) -> list[Record]:
    """One row for each layer, kind, head and token; `head` is none for what all heads write together."""

    def rows(layer: int, kind: str, head: int | None, ratios: Sequence[float]) -> list[Record]:
        return [
            {
                "layer": layer,
                "kind": kind,
                "head": head,
                "position": token.position,
                "token": token.text,
                "ratio": ratio,
            }
            for token, ratio in zip(found.tokens, _numbers(ratios), strict=True)
        ]

    told: list[Record] = []
    for layer in range(len(found.norms_all)):
        for kind in ("weights", "norms"):
            for head, ratios in enumerate(getattr(found, kind)[layer].tolist()):
                told += rows(layer, kind, head, ratios)
        for kind in ("norms_all", "residual", "layernorm"):
            told += rows(layer, kind, None, getattr(found, kind)[layer].tolist())
    return told


def glance(found: Glance) -> records.GlanceRecord:
    """One row for each layer and head; null where the text cannot tell."""
    return {"schema": SCHEMA, "notes": list(found.notes), "heads": glance_rows(found)}


def glance_rows(found: Glance) -> list[records.GlanceHeadRecord]:
    """One row for each layer and head."""
    heads, values = found.entropy.shape[1], (_flat(getattr(found, name).tolist()) for name in GLANCE)
    return [
        {
            "layer": n // heads,
            "head": n % heads,
            "entropy": entropy,
            "on_own": own,
            "on_previous": previous,
            "on_special": special,
            "strength": strength,
        }
        for n, (entropy, own, previous, special, strength) in enumerate(zip(*values, strict=True))
    ]


def effects(found: Effects) -> records.EffectsRecord:
    """One row for each layer and head; what only a language-model head tells is left out where there is none."""
    return {
        "schema": SCHEMA,
        "selected": found.token.position,
        "replaced_by": found.replaced_by,
        "notes": list(found.notes),
        "heads": effects_rows(found),
    }


def effects_rows(found: Effects) -> list[records.EffectRecord]:
    """One row for each layer and head."""
    heads = found.moved.shape[1]
    rows: list[records.EffectRecord] = [
        {"layer": n // heads, "head": n % heads, "moved": moved} for n, moved in enumerate(_flat(found.moved.tolist()))
    ]
    if found.kl is not None:
        for row, kl in zip(rows, _flat(found.kl.tolist()), strict=True):
            row["kl"] = kl
    if found.own_logit is not None:
        for row, gained in zip(rows, _flat(found.own_logit.tolist()), strict=True):
            row["own_logit"] = gained
    return rows


def journey_tables(found: Journey, width: int) -> list[RenderableType]:
    """A table a number, with a row a token and a column a stage, in blocks that fit the width."""
    where = "at its position" if found.use_position else "without a position"
    parts: list[RenderableType] = []
    ratio: Callable[[float], str] = "{:.2f}".format
    alone = (
        ()
        if found.isolated_rank is None
        else (
            (
                "Rank of the same token read alone, among the vocabulary read alone",
                found.isolated_rank.T.tolist(),
                "{:,}".format,
                0,
            ),
        )
    )
    measures: tuple[tuple[str, list[list[float]], Callable[[float], str], int], ...] = (
        (f"Rank of the own input embedding ({where}), by cosine", found.own_rank.T.tolist(), "{:,}".format, 0),
        ("Cosine to it", found.own_cosine.T.tolist(), ratio, 0),
        *alone,
        ("Cosine to the same token read alone", found.isolated_cosine.T.tolist(), ratio, 0),
        ("Norm of the residual stream", found.norm.T.tolist(), _short, 0),
        (f"Share of the {found.k} nearest tokens in common with the stage before", found.overlap.T.tolist(), ratio, 1),
    )
    for title, values, style, first in measures:
        columns = [_stage(stage) for stage in found.stages[first:]]
        parts.append(Text(title, "bold"))
        cell = max(6, *(len(style(value)) for row in values for value in row))
        for block in blocks(len(columns), width - _TOKEN - _CLASS, cell):
            table = _table(["token", "word", *(columns[n] for n in block)], [_TOKEN, _CLASS])
            for token, kind, row in zip(found.tokens, found.word_classes, values, strict=True):
                table.add_row(f"{token.position} {token.label}", kind, *(style(row[n]) for n in block))
            parts += [table, Text()]
    return [*parts, *notes(found.notes)]


def mixing_tables(found: Mixing, width: int, selected: int | None = None) -> list[RenderableType]:
    """The ratio of every layer from bare weights to what leaves the norm: its mean, and that of one token."""
    parts: list[RenderableType] = [
        Text("Mixing: how much of a layer's output comes from other positions (mean over the tokens)", "bold"),
        _ratios({kind: values.tolist() for kind, values in found.means().items()}),
        Text(),
    ]
    if selected is not None:
        own = found.tokens[selected]
        by_kind = {kind: getattr(found, kind) for kind in _MIXING_NAMES}
        of_token = {
            kind: (values[..., selected].mean(1) if values.dim() == 3 else values[:, selected]).tolist()
            for kind, values in by_kind.items()
        }
        parts += [Text(f"The same at {own.position} {own.label}", "bold"), _ratios(of_token), Text()]
    parts += [Text(f"{_MIXING_NAMES[kind]}: {says}", "dim") for kind, says in MIXING.items()]
    return [*parts, Text(), *notes(found.notes)]


def glance_tables(found: Glance, width: int) -> list[RenderableType]:
    """A row for each head."""
    title = "Every head of the text, the mean over its tokens that are no special ones"
    table = _head_table(("entropy", "own", "previous", "special", "‖W_O z‖"), glance_rows(found), GLANCE)
    said = (
        "Entropy of the pattern in nats; share of the attention on the own position, the previous one, special tokens; "
        "‖W_O z‖: how much is written."
    )
    return [Text(title, "bold"), table, Text(), Text(said, "dim"), *notes(found.notes)]


def effects_tables(found: Effects, width: int) -> list[RenderableType]:
    """A table a number, with a row a layer and a column a head."""
    by = "zeros" if found.replaced_by == "zero" else "its mean over the text"
    title = f"The output at {found.token.position} {found.token.label} when a head's z is replaced by {by}"
    parts: list[RenderableType] = [Text(title, "bold"), Text()]
    for name, says in EFFECTS.items():
        values = getattr(found, name)
        if values is None:
            continue
        parts.append(Text(says))
        for heads in blocks(values.shape[1], width - 4, 6):
            table = _table(["", *(f"H{head}" for head in heads)])
            for layer, row in enumerate(values.tolist()):
                table.add_row(f"L{layer}", *(distance(row[head]) for head in heads))
            parts += [table, Text()]
    return [*parts, *notes(found.notes)]


def journey_text(found: Journey) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*journey_tables(found, WIDTH)))


def mixing_text(found: Mixing) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*mixing_tables(found, WIDTH)))


def glance_text(found: Glance) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*glance_tables(found, WIDTH)))


def effects_text(found: Effects) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*effects_tables(found, WIDTH)))


def _ratios(by_kind: dict[str, list[float]]) -> Table:
    table = _table(["layer", *_MIXING_NAMES.values()])
    for layer in range(len(by_kind["weights"])):
        ratios = (by_kind[kind][layer] for kind in _MIXING_NAMES)
        table.add_row(str(layer), *(f"{ratio:.1%}" if isfinite(ratio) else "–" for ratio in ratios))
    return table


def _stage(name: str) -> str:
    """A stage's name in six characters.

    >>> [_stage(name) for name in ("input", "L0 attention", "L11 layer")]
    ['input', 'L0 att', 'L11']
    """
    return name.replace(" attention", " att").removesuffix(" layer")


def _short(value: float) -> str:
    """A norm in at most six characters.

    >>> [_short(x) for x in (1.5, 123.456, 98765.4, 3e8)]
    ['1.50', '123.5', '98765', '3e+08']
    """
    return next((shown for shown in (f"{value:.2f}", f"{value:.1f}", f"{value:.0f}") if len(shown) < 6), f"{value:.0e}")


def _head_table(titles: Sequence[str], rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
    table = _table(["head", *titles])
    for row in rows:
        table.add_row(
            f"L{row['layer']}H{row['head']}", *("–" if row[name] is None else f"{row[name]:.3f}" for name in names)
        )
    return table


def _flat(layers: list[list[float]]) -> list[float | None]:
    """One number for each head, layer after layer."""
    return [number for heads in layers for number in _numbers(heads)]


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [value if isfinite(value) else None for value in values]


def _table(columns: Sequence[str], widths: Sequence[int] = ()) -> Table:
    """A table whose first columns are names, as wide as `widths` says (without it: the first)."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for n, column in enumerate(columns):
        named = n < max(1, len(widths))
        wide = widths[n] if n < len(widths) else None
        table.add_column(column, justify="left" if named else "right", width=wide, min_width=6, no_wrap=True)
    return table
