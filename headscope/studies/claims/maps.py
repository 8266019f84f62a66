"""The linear maps of S8 and S9: what they recover in the model and in untrained twins, kept piece by piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from headscope.errors import InputError, ModelError
from headscope.inference.bootstrap import Array
from headscope.inference.left_out import folded
from headscope.inference.studentised import Studentised
from headscope.inference.twins import FEWEST_TWINS, with_seeds
from headscope.inference.two_way import TwoWay
from headscope.keep.allocator import give_back, let_go
from headscope.keep.checksums import intact, write_sealed
from headscope.question.choices import Mask
from headscope.scope import Scope
from headscope.show.progress import Progress, Tick
from headscope.studies.claims.recovered import of_hits, over_control
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.hands import Hands
from headscope.studies.probes.figures import Outcomes
from headscope.studies.probes.offsets import GatheredPositions, RecoveryTask

OFFSETS = (-8, -4, -2, -1, 0, 1, 2, 4, 8)  # i − j
# Those that untrained twins are asked at: the nearest and the farthest, for each costs what the model's own do.
TWIN_OFFSETS = (-8, -1, 1, 8)
_TOLD = ("value", "error", "freedom", "groups")
Row = dict[str, Any]
Influences = NDArray[np.float64]


@dataclass(frozen=True)
class Recovered:
    """A figure with its error, and how much it moves without each document and each token type: float64 [unit]."""

    told: Studentised[float]
    influences: Influences


@dataclass(frozen=True)
class TokenRecovery:
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

    of_all: list[TokenRecovery]
    own: list[Recovered]
    without_twins: str | None = None


def fit_maps(
    survey: Surveyed, hands: Hands, mask: Mask, directory: Path, progress: Progress, doing: str
) -> Maps | InputError:
    """Recovery of token i at j, from all heads' outputs, the residual stream and single heads; and in untrained twins.

    What is found at each distance of each network is kept in `directory` when it is there. The InputError of texts that
    are too few is an answer too.
    """
    files = _PieceFiles(directory, survey.manifest["texts"]["sha256"])
    own: list[Piece] = [*(OfDistance(None, offset) for offset in OFFSETS), OfHeads()]
    of_twins = [OfDistance(seed, offset) for seed in range(FEWEST_TWINS) for offset in TWIN_OFFSETS]
    left: dict[Piece, int] = {piece: 1 for piece in (*own, *of_twins) if not files.has(piece)}
    progress.step(doing, len(own) + len(of_twins), len(own) + len(of_twins) - len(left))

    def measure(pieces: Sequence[Piece]) -> None:
        asked = {piece: 1 for piece in pieces if piece in left}
        if asked:
            hands.measure(MapsTask.of(survey, hands.scope, mask), asked, progress.advance, files.keep)

    try:
        measure(own)
    except InputError as error:
        return error
    reason = None
    try:
        measure(of_twins)
    except ModelError as error:  # an architecture that cannot be initialised anew
        reason = str(error)
    of_all: list[TokenRecovery] = []
    for offset in OFFSETS:
        twins = [files.hits(piece) for piece in of_twins if reason is None and piece.offset == offset]
        of_all += _maps(survey, files.hits(OfDistance(None, offset)), twins)
    return Maps(of_all, [_recovered(row) for row in files.rows(OfHeads())], reason)


class OfDistance(NamedTuple):
    """The maps of one distance, as a piece: of the model (`twin` None), or of an untrained twin of this seed."""

    twin: int | None
    offset: int

    def __str__(self) -> str:
        whose = "" if self.twin is None else f" of the untrained twin {self.twin}"
        return f"the linear maps at the offset {self.offset:+d}{whose}"


class OfHeads(NamedTuple):
    """The maps of single heads, as a piece."""

    twin: None = None  # they are asked of the model alone

    def __str__(self) -> str:
        return "the linear maps of single heads"


Piece = OfDistance | OfHeads


@dataclass(frozen=True)
class MapsTask:
    """Texts with the survey's groups of them, for maps to be fitted on.

    `groups` [document]: the survey's group of every document that the maps know, by their number of it; so many groups
    are told apart as `count`.
    """

    texts: RecoveryTask
    groups: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, survey: Surveyed, scope: Scope, mask: Mask) -> MapsTask:
        """Those of a survey. InputError where they are too few."""
        seed, contents = survey.manifest["options"]["seed"], survey.texts["content"].to_pylist()
        labels = survey.texts["group"].to_pylist()
        texts = RecoveryTask.of(scope, contents, groups=labels, mask=mask, seed=seed)
        known = np.unique(np.array(labels, dtype=np.int64))
        return cls(texts, folded(known, survey.manifest["texts"]["groups"]), survey.sample.count)

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[Piece], list[Row]]:
        """What fits the maps of a piece; texts are read once where one network's follow each other."""
        read: dict[int | None, GatheredPositions] = {}

        def fitted(piece: Piece) -> list[Row]:
            if piece.twin not in read:
                read.clear()  # one network at a time
                let_go()
                network = scope if piece.twin is None else scope.randomised(piece.twin)
                give_back()  # what making it needed
                read[piece.twin] = self.texts.read(network)
            gathered = read[piece.twin]
            rows = self._of_heads(gathered) if isinstance(piece, OfHeads) else list(self._of_distance(gathered, piece))
            tick(1)
            return rows

        return fitted

    def _of_distance(self, gathered: GatheredPositions, piece: OfDistance) -> Iterator[Row]:
        """Whose samples they are, and then for every place and layer which of them are recovered."""
        first = True
        # At layer 0 the stream is the embeddings, which untrained twins have no less: that is not asked of them.
        begin = 0 if piece.twin is None else 1
        places = {"z": [one.flatten(1) for one in gathered.z], "residual": list(gathered.residual)}
        for place, layers in places.items():
            for layer, x in enumerate(layers):
                if place == "residual" and layer < begin:
                    continue
                judged = gathered.outcomes(x[:, None], piece.offset)
                give_back()
                if first:
                    yield {"group": self.groups[judged.group.numpy()].tolist(), "label": judged.label.tolist()}
                    first = False
                yield {"place": place, "layer": layer, "hits": _spelled(judged)}

    def _of_heads(self, gathered: GatheredPositions) -> list[Row]:
        """Of every layer, the recovery of own tokens over the control, mean over heads; with each document left out."""
        groups = torch.from_numpy(self.groups)
        found = []
        for z in gathered.z:
            judged = gathered.outcomes(z, 0)
            figure = over_control(replace(judged, group=groups[judged.group]), self.count)
            told = {name: float(getattr(figure.told, name)) for name in _TOLD}
            found.append(told | {"influences": figure.influences.tolist()})
        return found


@dataclass(frozen=True)
class _Hits:
    """Whether each held-out sample was recovered, by place and layer: bool [side, sample], side 1 the control's.

    `group` [sample] and `label` [side, sample]: its document, and the token that was looked for.
    """

    offset: int
    group: NDArray[np.int64]
    label: NDArray[np.int64]
    found: dict[tuple[str, int], NDArray[np.bool_]]


@dataclass(frozen=True)
class _PieceFiles:
    """What was found of each piece, a file each, sealed with the texts that it was found on."""

    directory: Path
    texts_sha256: str

    def has(self, piece: Piece) -> bool:
        """Whether it is there, and is what was written."""
        return intact(self._path(piece), self._about(piece))

    def keep(self, piece: Piece, rows: list[Row]) -> None:
        """Write it."""
        write_sealed(self._path(piece), self._about(piece), lambda beside: beside.write_text(json.dumps(rows), "utf-8"))

    def rows(self, piece: Piece) -> list[Row]:
        """What was written."""
        found: list[Row] = json.loads(self._path(piece).read_text("utf-8"))
        return found

    def hits(self, piece: OfDistance) -> _Hits:
        """What the maps of a distance recover."""
        samples, *rows = self.rows(piece)
        found = {(row["place"], row["layer"]): np.array([_bits(side) for side in row["hits"]]) for row in rows}
        return _Hits(piece.offset, np.array(samples["group"]), np.array(samples["label"]), found)

    def _path(self, piece: Piece) -> Path:
        if isinstance(piece, OfHeads):
            return self.directory / "heads.json"
        return self.directory / f"{'' if piece.twin is None else f'random-{piece.twin}'}{piece.offset:+d}.json"

    def _about(self, piece: Piece) -> str:
        return f"{self.texts_sha256} {self._path(piece).name}"


def _maps(survey: Surveyed, hits: _Hits, twins: Sequence[_Hits]) -> Iterator[TokenRecovery]:
    """The figures of one distance, of the model and over its untrained twins."""
    types = np.unique(survey.tokens["id"]).astype(np.int64)  # the same in every figure
    label = np.searchsorted(types, hits.label)

    def figure(found: Array) -> TwoWay[float]:
        return of_hits(found, hits.group, label, survey.sample.count, len(types))

    for (place, layer), found in hits.found.items():
        mine = found.astype(np.float64)
        by_twins = [one.found[place, layer].astype(np.float64) for one in twins if (place, layer) in one.found]
        over_twins = None
        if by_twins:
            values = [[float(one[0].mean() - one[1].mean())] for one in by_twins]
            over_twins = with_seeds(figure(mine - np.mean(by_twins, 0)).told, values)
        over = figure(mine)
        yield TokenRecovery(
            place, layer, hits.offset, mine.shape[1], float(mine[0].mean()), float(mine[1].mean()),
            Recovered(over.told, over.influences), over_twins,
        )  # fmt: skip


def _recovered(row: Row) -> Recovered:
    return Recovered(Studentised(*(row[name] for name in _TOLD)), np.array(row["influences"], dtype=np.float64))


def _spelled(judged: Outcomes) -> list[str]:
    """A 1 for every sample that was recovered, a 0 for every other, of either side."""
    return ["".join(map(str, side)) for side in (judged.rank[..., 0] <= 1).int().tolist()]


def _bits(side: str) -> NDArray[np.bool_]:
    return np.array([hit == "1" for hit in side])
