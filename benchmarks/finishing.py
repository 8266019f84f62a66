"""The end of a survey of a hundred million positions: seconds, bytes read and the most memory that it takes.

Nothing is measured by a model: the sums of every part are random numbers in the shape of real ones, of a model of
6 × 12 heads, and the shards' own tables, which the end does not read, are empty files.
"""

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.made_survey import MadeSurvey
from benchmarks.timing import machine
from headscope.corpus.run import Part
from headscope.inference.left_out import group_count
from headscope.keep.checksums import CHECKSUMS, seal
from headscope.studies.survey import gathered
from headscope.studies.survey.kept_sums import SUMS
from headscope.studies.survey.pieces import Piece, Table
from headscope.studies.survey.run import finish
from headscope.studies.survey.store import Store
from headscope.studies.survey.sums import GRID, Summed
from headscope.studies.survey.totals import PieceSums

POSITIONS, PARTS = 100_000_000, 16
SHAPE = {"layers": 6, "heads": 12, "vocab_size": 30522}
_TABLES = ("texts", "tokens", "patterns", "rows")


def run() -> dict[str, object]:
    """What the end takes."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "survey"
        survey = MadeSurvey(POSITIONS, **SHAPE)
        begin(survey, directory, PARTS)
        spent, read, start = _spent(), _read(), time.perf_counter()
        finish(directory)
        return {
            "machine": machine(),
            "positions": survey.positions,
            "shards": survey.shards,
            "parts": PARTS,
            "bytes of sums": sum(path.stat().st_size for path in directory.glob("sums/*/*")),
            "bytes read": _read() - read,
            "cpu_s": _spent() - spent,
            "wall_s": time.perf_counter() - start,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            * (1 if sys.platform == "darwin" else 1024),
        }


def begin(survey: MadeSurvey, directory: Path, parts: int) -> None:
    """A survey whose parts are all there: the sums of one are written, those of the others are links to its files."""
    survey.begin(directory)
    store = Store(directory)
    sample = _sample(survey, directory)
    names = [*(f"{name}.parquet" for name in _TABLES), SUMS]
    for shard in range(survey.shards):
        folder = store.shard(shard)
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
        seal(folder, names, store.about(shard), folder / CHECKSUMS)
    first = Part(1, parts).of_shards(survey.shards)
    gathered.keep(
        store, first, ((piece, _sums(sample[piece.table, piece.group], piece, survey)) for piece in store.pieces)
    )
    (made,) = gathered.place(store).iterdir()
    sealed = json.loads((made / CHECKSUMS).read_text("utf-8"))
    for number in range(2, parts + 1):
        other = shutil.copytree(made, made.with_name(f"part-{number}"), copy_function=os.link)
        (other / CHECKSUMS).unlink()
        described = gathered.about(store, Part(number, parts).of_shards(survey.shards))
        (other / CHECKSUMS).write_text(json.dumps(sealed | described), "utf-8")


def _sample(survey: MadeSurvey, directory: Path) -> dict[tuple[Table, int], PieceSums]:
    """The sums of the first shard, made in full: what is random in the others has its shape."""
    survey.measure(directory, 0)
    store = Store(directory)
    with store.opened(0) as summer:
        found = {(piece.table, piece.group): summer(piece) for piece in store.pieces}
    shutil.rmtree(store.shard(0))
    return found


def _sums(like: PieceSums, piece: Piece, survey: MadeSurvey) -> PieceSums:
    """What a part comes to in one piece: random sums of the names, groups and lenders that a real one has."""
    draw, groups = np.random.default_rng([2, piece.group]), group_count(survey.documents)
    tokens = survey.positions // PARTS // groups // 4  # of a group in one of some four classes
    summed = []
    for one in like.summed:
        if one.kind in ("own", "lent"):
            where = np.arange(groups) if one.kind == "own" else one.where
            shape = (*one.sums.shape[:2], len(where))
            whole = (one.sums == np.rint(one.sums)).all()  # a count
            sums = np.rint(draw.random(shape) * tokens) if whole else np.rint(draw.random(shape) * tokens / GRID) * GRID
        else:
            where, sums = one.where, one.sums * PARTS
        summed.append(Summed(one.name, one.kind, where, sums))
    return PieceSums(like.candidates, summed)


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _read() -> int:
    """Bytes that this process has read, where the system tells: Linux."""
    told = Path("/proc/self/io")
    return int(told.read_text().split()[1]) if told.exists() else 0
