"""S8 and S9: what can be read of a token off the heads' outputs and the residual stream, by Own and by linear maps."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from headscope.errors import InputError
from headscope.inference.estimates import number, recorded
from headscope.inference.verdicts import MARGIN, Condition, above, includes, not_above, ruling
from headscope.keep.checksums import intact, write_sealed
from headscope.question.choices import Mask
from headscope.scope import Scope
from headscope.studies.claims.corpus import NO_CHANCE, own_by_layer
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding
from headscope.studies.probes import recovery

OFFSETS = (-8, -4, -2, -1, 0, 1, 2, 4, 8)  # i − j
Row = dict[str, Any]  # of a map: place (z, residual), layer, offset, value, control, difference, low, high


def maps(
    survey: Surveyed, scope: Scope, mask: Mask, path: Path, tell: Callable[[int, int], None]
) -> list[Row] | InputError:
    """Top-1 recovery of token i at j, from all heads' outputs and from the residual stream, kept at `path`.

    The InputError of texts that are too few is an answer too.
    """
    about = f"{survey.manifest['texts']['sha256']} {path.name}"
    if intact(path, about):
        kept: list[Row] = json.loads(path.read_text("utf-8"))
        return kept
    texts: list[str] = []
    groups: list[int] = []
    for shard in survey.shards:
        table = pq.read_table(shard / "texts.parquet", columns=["content", "group"])
        texts += table["content"].to_pylist()
        groups += table["group"].to_pylist()
    seed = survey.manifest["options"]["seed"]
    try:
        found = recovery(scope, texts, groups=groups, offsets=OFFSETS, heads=False, mask=mask, seed=seed, tell=tell)
    except InputError as error:
        return error
    rows = [_row(row) for row in found.to_dict()["rows"]]
    write_sealed(path, about, lambda beside: beside.write_text(json.dumps(rows), "utf-8"))
    return rows


def _row(row: dict[str, Any]) -> Row:
    top = row["top1"]
    return {name: row[name] for name in ("place", "layer", "offset", "samples")} | {
        "value": top["value"], "control": top["control"], "difference": top["difference"],
        "low": top["difference_low"], "high": top["difference_high"],
    }  # fmt: skip


def linked(
    survey: Surveyed, arithmetic: Arithmetic, reference: str, found: Sequence[Row] | InputError | None
) -> Finding:
    """S8, under one reference; `found` None: no maps were fitted to these outputs."""
    if survey.layers < 2:
        return Finding("S8", arithmetic, reference, "not applicable", "the model has one layer.")
    later = own_by_layer(survey, reference)[1:]
    if len(later) < survey.layers - 1:
        return Finding("S8", arithmetic, reference, "undetermined", NO_CHANCE)
    conditions = [includes(recorded(row["value"], row["low"], row["high"]), 0.0) for row in later]
    shown = ", ".join(f"{row['value']:+.3f}" for row in later).replace("-", "−")
    told = f"Own at layers 1 to {survey.layers - 1}: {shown}"
    figures: list[dict[str, Any]] = [*later]
    if found is None or isinstance(found, InputError):
        conditions.append(None)  # so Own can contradict the claim, and not bear it out
        told += "; no linear map was fitted" + (f" ({found})" if found else " to these outputs")
    else:
        own = [row for row in found if row["place"] == "z" and row["offset"] == 0 and row["layer"] > 0]
        conditions += [not_above(recorded(row["difference"], row["low"], row["high"])) for row in own]
        rates = ", ".join(f"{row['value']:.2f}" for row in own if row["value"] is not None)
        controls = ", ".join(f"{row['control']:.2f}" for row in own if row["control"] is not None)
        told += f"; a linear map from z finds the token with top-1 {rates} (shuffled {controls})"
        figures += [row | {"statistic": "linear map, top-1"} for row in own]
    strongest = max(later, key=lambda row: abs(row["value"]))
    return Finding(
        "S8", arithmetic, reference, ruling(conditions), f"{told}.", strongest["value"], strongest["low"],
        strongest["high"], 0.0, tuple(figures),
    )  # fmt: skip


def distributed(found: Sequence[Row] | InputError) -> Finding:
    """S9: recovery of token i at every other distance, after at least one layer's attention."""
    if isinstance(found, InputError):
        return Finding("S9", "right", None, "undetermined", f"no linear map was fitted ({found}).")
    # At layer 0 the stream is the embeddings: nothing has been mixed, and what is read there a word says of its
    # neighbours by itself.
    asked = [row for row in found if row["offset"] and (row["place"] == "z" or row["layer"] > 0)]
    conditions = [_recovered(row) for row in asked]
    recovered = sum(condition is True for condition in conditions)
    parts = []
    for place, name in (("z", "z"), ("residual", "the residual stream")):
        for distance in sorted({abs(row["offset"]) for row in asked}):
            here = [row for row in asked if row["place"] == place and abs(row["offset"]) == distance]
            rates = [row["difference"] for row in here if row["difference"] is not None]
            parts.append(f"{name} {distance} away {_mean(rates):+.3f}".replace("-", "−"))
    told = f"{recovered} of {len(asked)} maps above the control; top-1 over the control, mean: {', '.join(parts)}."
    known = [row["difference"] for row in asked if row["difference"] is not None]
    return Finding(
        "S9", "right", None, ruling(conditions), told, number(_mean(known)), chance=0.0, figures=tuple(found)
    )


def _recovered(row: Row) -> Condition:
    """Above the control: True; its whole interval within the margin of it, or below it: False; else undecided.

    Where one sample is more than the margin, nothing is at chance.
    """
    apart = recorded(row["difference"], row["low"], row["high"])
    if above(apart):
        return True
    return False if apart.high <= MARGIN and row["samples"] * MARGIN >= 1 else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
