"""The work of claims on disk: damage is measured again, and never read as other values."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from headscope.errors import InputError
from headscope.show.progress import Progress
from headscope.studies.claims.passes import MixingPassTask, measured
from headscope.studies.claims.run import ClaimsAsked, settle
from headscope.studies.claims.store import claimed, work_in
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.hands import Here
from tests.studies.survey.corpora import surveyed
from tests.studies.survey.damage import flip


@pytest.fixture(scope="module")
def survey(scope, corpus, tmp_path_factory):
    return Surveyed(surveyed(scope, corpus, tmp_path_factory.mktemp("s") / "s", shard_positions=100), "model")


def exchange(directory: Path) -> None:
    for name in ("npz", "npz.sha256"):
        one, other = (directory / f"{n:05d}.{name}" for n in (0, 1))
        one.rename(directory / "aside")
        other.rename(one)
        (directory / "aside").rename(other)


@pytest.mark.long
def test_what_is_kept_of_a_shard_is_what_was_measured(scope, survey, tmp_path):
    def mixing() -> tuple[dict[str, list[float]], list[int]]:
        """What is found, and how much was left each time that it was told."""
        left: list[int] = []
        progress = Progress(lambda progress: left.append((progress.total or 0) - progress.done))
        task = MixingPassTask.of(survey, "model")
        found = measured(survey, Here(scope), task, tmp_path / "mixing", progress, "mixing")
        return {name: values.tolist() for name, values in found.items()}, left

    whole, _ = mixing()
    assert mixing() == (whole, [0])
    draw = random.Random(0)
    spoilers = [
        *(lambda directory: flip(directory / "00001.npz", draw.randrange(10**6)) for _ in range(10)),
        lambda directory: os.truncate(directory / "00000.npz", 50),
        lambda directory: (directory / "00000.npz").write_bytes(b""),
        lambda directory: (directory / "00000.npz.sha256").unlink(),
        lambda directory: shutil.copy(directory / "00001.npz", directory / "00000.npz"),
        exchange,
    ]
    for spoil in spoilers:
        spoil(tmp_path / "mixing")
        found, left = mixing()
        assert left[0] > left[-1] == 0
        assert found == whole


@pytest.mark.long
def test_claims_of_damaged_work_are_those_of_whole_work(scope, corpus, tmp_path):
    asked = ClaimsAsked(texts=(corpus,))
    whole = settle(scope, asked, tmp_path).to_dict()
    parts = tmp_path / "parts"
    flip(parts / "maps" / "+1.json", 4321)
    flip(parts / "right" / "shards" / "00000" / "rows.parquet", 54321)
    flip(parts / "published" / "statistics.parquet", 5432)
    flip(parts / "mixing" / "00000.npz", 5432)
    assert settle(scope, asked, tmp_path).to_dict() == whole


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"\xff", "the work of other claims"), (b"", "the work of other claims"), (None, "no regular file")],
)
def test_a_question_that_cannot_be_read_is_a_sentence(tmp_path, raw, said):
    if raw is None:
        os.mkfifo(tmp_path / "asked.json")
    else:
        (tmp_path / "asked.json").write_bytes(raw)
    with pytest.raises(InputError, match=said), claimed(work_in(tmp_path), {"seed": 0}):
        pass
