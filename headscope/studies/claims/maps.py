"""The linear maps of S8 and S9: what they recover in the model and in untrained twins, kept piece by piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headscope.errors import HeadscopeError, InputError
from headscope.inference.bootstrap import Array
from headscope.inference.left_out import folded
from headscope.inference.studentised import Studentised
from headscope.inference.twins import FEWEST_TWINS, with_seeds
from headscope.inference.two_way import TwoWay
from headscope.keep.allocator import let_go
from headscope.keep.checksums import intact, write_sealed
from headscope.question.choices import Mask
from headscope.scope import Scope
from headscope.studies.claims.recovered import of_hits, over_control
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.probes.figures import Outcomes
from headscope.studies.probes.recovery import Gathered, RecoveryTask

OFFSETS = (-8, -4, -2, -1, 0, 1, 2, 4, 8)  # i − j
# Those that untrained twins are asked at: the nearest and the farthest, for each costs what the model's own do.
TWIN_OFFSETS = (-8, -1, 1, 8)
_STEPS = len(OFFSETS) + 1 + FEWEST_TWINS
_TOLD = ("value", "error", "freedom", "groups")
Row = dict[str, Any]
Influences = NDArray[np.float64]


@dataclass(frozen=True)
class Recovered:
    """A figure with its error, and how much it moves without each document and each token type: float64 [unit]."""

    told: Studentised[float]
    influences: Influences


@dataclass(frozen=True)
class Map:
    """How often the token at i is recovered from z or the residual stream of a layer at j = i − offset.

    `value` and `control`: top-1 and that of the shuffled control, of so many `samples`; `over`: their difference.
    `over_twins`: `over` less that of untrained twins; None where none was asked.
    """

    place: str
    layer: int
    offset: int
    samples: int
    value: float
    control: float
    over: Recovered
    over_twins: Studentised[float] | None = None


@dataclass(frozen=True)
class Maps:
    """What linear maps recover.

    `of_all`: one for every place, layer and offset; `own`: of every layer, the recovery of the own token from one
    head's output over its shuffled control, mean over heads. `without_twins`: why there are none.
    """

    of_all: list[Map]
    own: list[Recovered]
    without_twins: str | None = None


def fit_maps(
    survey: Surveyed, scope: Scope, mask: Mask, directory: Path, tell: Callable[[int, int], None]
) -> Maps | InputError:
    """Recovery of token i at j, from all heads' outputs, the residual stream and single heads; and in untrained twins.

    Each distance of each network is kept in `directory` when it is done. The InputError of texts that are too few is an
    answer too.
    """
    work = _Work(survey, scope, mask, directory)
    try:
        hits = {}
        for offset in OFFSETS:
            hits[offset] = work.hits(None, offset)
            tell(len(hits), _STEPS)
        own = work.kept("heads.json", work.own)
    except InputError as error:
        return error
    tell(len(OFFSETS) + 1, _STEPS)
    try:
        twins = []
        for seed in range(FEWEST_TWINS):
            twins.append({offset: work.hits(seed, offset) for offset in TWIN_OFFSETS})
            tell(len(OFFSETS) + 1 + len(twins), _STEPS)
        reason = None
    except HeadscopeError as error:  # an architecture that cannot be initialised anew
        twins, reason = [], str(error)
    of_all: list[Map] = []
    for offset in OFFSETS:
        of_all += work.maps(hits[offset], [of_twin[offset] for of_twin in twins if offset in of_twin])
    return Maps(of_all, [_recovered(row) for row in own], reason)


@dataclass(frozen=True)
class _Hits:
    """Whether each held-out sample was recovered, by place and layer: bool [side, sample], side 1 the control's.

    `group` [sample] and `label` [side, sample]: its document, and the token that was looked for.
    """

    offset: int
    group: NDArray[np.int64]
    label: NDArray[np.int64]
    found: dict[tuple[str, int], NDArray[np.bool_]]


@dataclass
class _Work:
    """The maps; what is not kept yet is fitted, on texts that are read when the first of them is."""

    survey: Surveyed
    scope: Scope
    mask: Mask
    directory: Path
    _read: dict[int | None, Gathered] = field(default_factory=dict)  # of the last network

    def kept(self, name: str, make: Callable[[], list[Row]]) -> list[Row]:
        """What is kept under a name, made where it is not there."""
        path, about = self.directory / name, f"{self.survey.manifest['texts']['sha256']} {name}"
        if not intact(path, about):
            rows = make()
            write_sealed(path, about, lambda beside: beside.write_text(json.dumps(rows), "utf-8"))
        found: list[Row] = json.loads(path.read_text("utf-8"))
        return found

    def hits(self, twin: int | None, offset: int) -> _Hits:
        """What the maps of one distance recover in the model, or in an untrained twin of this seed."""
        name = f"{offset:+d}.json" if twin is None else f"random-{twin}{offset:+d}.json"
        samples, *rows = self.kept(name, lambda: list(self._rows(twin, offset)))
        found = {(row["place"], row["layer"]): np.array([_bits(side) for side in row["hits"]]) for row in rows}
        return _Hits(offset, np.array(samples["group"]), np.array(samples["label"]), found)

    def _rows(self, twin: int | None, offset: int) -> Iterator[Row]:
        gathered = self._gathered(twin)
        first = True
        # At layer 0 the stream is the embeddings, which untrained twins have no less: that is not asked of them.
        begin = 0 if twin is None else 1
        places = {"z": [one.flatten(1) for one in gathered.z], "residual": list(gathered.residual)}
        for place, layers in places.items():
            for layer, x in enumerate(layers):
                if place == "residual" and layer < begin:
                    continue
                judged = gathered.outcomes(x[:, None], offset)
                if first:
                    yield {"group": self._groups[judged.group.numpy()].tolist(), "label": judged.label.tolist()}
                    first = False
                yield {"place": place, "layer": layer, "hits": _spelled(judged)}

    def own(self) -> list[Row]:
        """Of every layer, the recovery of own tokens over the control, mean over heads; with each document left out."""
        sample, gathered = self.survey.sample, self._gathered(None)
        groups = torch.from_numpy(self._groups)
        found = []
        for z in gathered.z:
            judged = gathered.outcomes(z, 0)
            figure = over_control(replace(judged, group=groups[judged.group]), sample.count)
            told = {name: float(getattr(figure.told, name)) for name in _TOLD}
            found.append(told | {"influences": figure.influences.tolist()})
        return found

    def maps(self, hits: _Hits, twins: Sequence[_Hits]) -> Iterator[Map]:
        """The figures of one distance, of the model and over its untrained twins."""
        types = np.unique(self.survey.tokens["id"]).astype(np.int64)  # the same in every figure
        label = np.searchsorted(types, hits.label)

        def figure(found: Array) -> TwoWay[float]:
            return of_hits(found, hits.group, label, self.survey.sample.count, len(types))

        for (place, layer), found in hits.found.items():
            mine = found.astype(np.float64)
            by_twins = [one.found[place, layer].astype(np.float64) for one in twins if (place, layer) in one.found]
            over_twins = None
            if by_twins:
                values = [[float(one[0].mean() - one[1].mean())] for one in by_twins]
                over_twins = with_seeds(figure(mine - np.mean(by_twins, 0)).told, values)
            over = figure(mine)
            yield Map(
                place, layer, hits.offset, mine.shape[1], float(mine[0].mean()), float(mine[1].mean()),
                Recovered(over.told, over.influences), over_twins,
            )  # fmt: skip

    def _gathered(self, twin: int | None) -> Gathered:
        if twin not in self._read:
            self._read.clear()  # one network at a time
            let_go()
            texts = self.survey.texts
            seed = self.survey.manifest["options"]["seed"]
            contents, groups = texts["content"].to_pylist(), texts["group"].to_pylist()
            scope = self.scope if twin is None else self.scope.randomised(twin)
            self._read[twin] = RecoveryTask.of(scope, contents, groups=groups, mask=self.mask, seed=seed).read(scope)
        return self._read[twin]

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        """The survey's group of every document that the maps know, by their number of it."""
        labels = np.unique(self.survey.texts["group"].to_numpy()).astype(np.int64)
        return folded(labels, self.survey.manifest["texts"]["groups"])


def _recovered(row: Row) -> Recovered:
    return Recovered(Studentised(*(row[name] for name in _TOLD)), np.array(row["influences"], dtype=np.float64))


def _spelled(judged: Outcomes) -> list[str]:
    """A 1 for every sample that was recovered, a 0 for every other, of either side."""
    return ["".join(map(str, side)) for side in (judged.rank[..., 0] <= 1).int().tolist()]


def _bits(side: str) -> NDArray[np.bool_]:
    return np.array([hit == "1" for hit in side])
