"""S8 and S9: what can be read of a token off the heads' outputs and the residual stream, by Own and by linear maps."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headscope.errors import InputError
from headscope.inference.estimates import number, recorded
from headscope.inference.left_out import Jackknifed, folded
from headscope.inference.max_t import together
from headscope.inference.studentised import Studentised
from headscope.inference.verdicts import MARGIN, RATE, Condition, Ruling, above, ruling
from headscope.keep.checksums import intact, write_sealed
from headscope.question.choices import Mask
from headscope.scope import Scope
from headscope.studies.claims.recovered import over_control
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding, figures_of
from headscope.studies.probes.figures import Outcomes
from headscope.studies.probes.recovery import Gathered

OFFSETS = (-8, -4, -2, -1, 0, 1, 2, 4, 8)  # i − j
OWN, RECOVERY = "Own", "linear map, top-1 over the control"
_TOLD = ("value", "error", "freedom", "groups")
Row = dict[str, Any]  # of a map: place (z, residual), layer, offset, value, control, difference, low, high


@dataclass(frozen=True)
class Maps:
    """What linear maps recover. `rows`: one for every place, layer and offset; `own`: of every layer's heads.

    `own` [layer] is the recovery of the own token from one head's output over its shuffled control, mean over heads.
    """

    rows: list[Row]
    own: list[Recovered]


@dataclass(frozen=True)
class Recovered:
    """A figure with its error, and how much it moves without each document and each token type: float64 [unit]."""

    told: Studentised[float]
    influences: NDArray[np.float64]


def maps(
    survey: Surveyed, scope: Scope, mask: Mask, directory: Path, tell: Callable[[int, int], None]
) -> Maps | InputError:
    """Recovery of token i at j, from all heads' outputs, the residual stream and single heads.

    Each distance is kept in `directory` when it is done. The InputError of texts that are too few is an answer too.
    """
    work = _Work(survey, scope, mask, directory)
    rows: list[Row] = []
    try:
        for done, offset in enumerate(OFFSETS):
            rows += work.kept(f"{offset:+d}.json", lambda: work.rows(offset))  # noqa: B023
            tell(done + 1, len(OFFSETS) + 1)
        own = work.kept("heads.json", work.own)
    except InputError as error:
        return error
    tell(1, 1)
    figures = [
        Recovered(Studentised(*(row[name] for name in _TOLD)), np.array(row["influences"], dtype=np.float64))
        for row in own
    ]
    return Maps(rows, figures)


class _Work:
    """The maps that are not kept yet; texts are read when the first of them is fitted."""

    def __init__(self, survey: Surveyed, scope: Scope, mask: Mask, directory: Path) -> None:
        self._survey, self._scope, self._mask, self._directory = survey, scope, mask, directory

    def kept(self, name: str, make: Callable[[], list[Row]]) -> list[Row]:
        """What is kept under a name, made where it is not there."""
        path, about = self._directory / name, f"{self._survey.manifest['texts']['sha256']} {name}"
        if not intact(path, about):
            rows = make()
            write_sealed(path, about, lambda beside: beside.write_text(json.dumps(rows), "utf-8"))
        found: list[Row] = json.loads(path.read_text("utf-8"))
        return found

    def rows(self, offset: int) -> list[Row]:
        """The maps of one distance, from z and from the residual stream of every layer."""
        gathered = self._gathered
        places = {"z": (one.flatten(1) for one in gathered.z), "residual": iter(gathered.residual)}
        return [
            {"place": place, "layer": layer, "offset": offset}
            | _scored(gathered.outcomes(x[:, None], offset), gathered)
            for place, layers in places.items()
            for layer, x in enumerate(layers)
        ]

    def own(self) -> list[Row]:
        """Of every layer, the recovery of own tokens over the control, mean over heads; with each document left out."""
        sample, gathered = self._survey.sample, self._gathered
        groups = torch.from_numpy(self._groups)
        found = []
        for z in gathered.z:
            judged = gathered.outcomes(z, 0)
            figure = over_control(replace(judged, group=groups[judged.group]), sample.count)
            told = {name: float(getattr(figure.told, name)) for name in _TOLD}
            found.append(told | {"influences": figure.influences.tolist()})
        return found

    @cached_property
    def _gathered(self) -> Gathered:
        texts = self._survey.texts
        seed = self._survey.manifest["options"]["seed"]
        contents, groups = texts["content"].to_pylist(), texts["group"].to_pylist()
        return Gathered.of(self._scope, contents, groups=groups, mask=self._mask, seed=seed)

    @property
    def _groups(self) -> NDArray[np.int64]:
        """The survey's group of every document that the maps know, by their number of it."""
        labels = np.unique(self._survey.texts["group"].to_numpy()).astype(np.int64)
        return folded(labels, self._survey.manifest["texts"]["groups"])


def _scored(judged: Outcomes, gathered: Gathered) -> Row:
    scores = judged.scores()
    top = {name: number(float(values[0])) for name, values in scores.top1.__dict__.items()}
    return {
        "samples": int(scores.samples[0]), "value": top["value"], "control": top["control"],
        "difference": top["difference"], "low": top["difference_low"], "high": top["difference_high"],
    }  # fmt: skip


def linked(survey: Surveyed, arithmetic: Arithmetic, reference: str, found: Maps | InputError | None) -> Finding:
    """S8, under one reference; `found` None: no maps were fitted to these outputs.

    Contradicted where anything is above what it would be without a link, at a level corrected over layers and both
    statistics; it holds where everything is within the margin of that, all intervals at once.
    """
    if survey.layers < 2:
        return Finding("S8", arithmetic, reference, "not applicable", "the model has one layer.")
    later = range(1, survey.layers)
    own = [survey.kept("own_over_even", reference, layer) for layer in later]
    recovery = found.own[1:] if isinstance(found, Maps) else []
    figures = [
        *(figures_of(one, layer=layer, statistic=OWN) for layer, one in zip(later, own, strict=True)),
        *(
            figures_of(one.told.estimate, layer=layer, statistic=RECOVERY)
            for layer, one in zip(later, recovery, strict=False)
        ),
    ]
    told = f"Own within the text over even attention, layers 1 to {survey.layers - 1}: {_signs(own)}"
    if isinstance(found, Maps):
        told += (
            f"; top-1 of a linear map from one head over its shuffled control: {_signs([one.told for one in recovery])}"
        )
    else:
        told += "; no linear map was fitted" + (f" ({found})" if found else " to these outputs")
    ruled = _unlinked(own, recovery if isinstance(found, Maps) else None)
    strongest = max(own, key=lambda one: np.nan_to_num(one.value, nan=-np.inf))
    return Finding(
        "S8", arithmetic, reference, ruled, f"{told}.", number(strongest.value), number(strongest.low),
        number(strongest.high), 0.0, tuple(figures),
    )  # fmt: skip


def _unlinked(own: Sequence[Jackknifed[float]], recovery: Sequence[Recovered] | None) -> Ruling:
    """Of all figures at once; without recovery they can contradict the claim, and not bear it out."""
    others = recovery or []
    units = len(others[0].influences) if others else len(own[0].influences)
    # Documents first, then types, of which Own knows nothing.
    moves = [np.pad(one.influences, (0, units - len(one.influences))) for one in own]
    influences = np.nan_to_num(np.stack([*moves, *(one.influences for one in others)]))
    found = together([*(one.told for one in own), *(one.told for one in others)], influences)
    if (found.p_above <= RATE).any():
        return "contradicted"
    ends = (found.low >= -MARGIN) & (found.high <= MARGIN)
    return "holds" if recovery is not None and ends.all() else "undetermined"


def distributed(found: Maps | InputError) -> Finding:
    """S9: recovery of token i at every other distance, after at least one layer's attention."""
    if isinstance(found, InputError):
        return Finding("S9", "right", None, "undetermined", f"no linear map was fitted ({found}).")
    # At layer 0 the stream is the embeddings: nothing has been mixed, and what is read there a word says of its
    # neighbours by itself.
    asked = [row for row in found.rows if row["offset"] and (row["place"] == "z" or row["layer"] > 0)]
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
        "S9", "right", None, ruling(conditions), told, number(_mean(known)), chance=0.0, figures=tuple(found.rows)
    )


def _recovered(row: Row) -> Condition:
    """Above the control: True; its whole interval within the margin of it, or below it: False; else undecided.

    Where one sample is more than the margin, nothing is at chance.
    """
    apart = recorded(row["difference"], row["low"], row["high"])
    if above(apart):
        return True
    return False if apart.high <= MARGIN and row["samples"] * MARGIN >= 1 else None


def _signs(figures: Sequence[Jackknifed[float] | Studentised[float]]) -> str:
    return ", ".join(f"{one.value:+.3f}" for one in figures).replace("-", "−")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
