"""A run of claims that is killed keeps every stage that it had finished: the next run goes on from there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zoo
from aside import HEADSCOPE, Program

from tests.studies.survey.corpora import sentences, written


def stages(parts: Path) -> dict[str, tuple[int, int]]:
    """The finished files of maps, surveys and passes, and which file on disk each is: written anew, it is another."""
    finished = [path for path in parts.glob("maps/*.json") if path.with_name(f"{path.name}.sha256").is_file()]
    finished += [*parts.glob("right/shards/*/*.parquet"), *parts.glob("published/shards/*/*.parquet")]
    finished += parts.glob("position-*/*.npz")
    return {str(path.relative_to(parts)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in finished}


@pytest.mark.long
def test_what_is_finished_when_a_run_is_killed_is_not_done_again(tmp_path):
    model = zoo.save("bert", tmp_path / "bert")
    texts = written(tmp_path / "t.txt", sentences(24, seed=2, least=10, most=14))
    parts = tmp_path / "broken" / "parts"

    def begun(name: str) -> Program:
        command = ["claims", model, "--texts", texts, "-o", tmp_path / name, "--json"]
        return Program(HEADSCOPE, *command, folder=tmp_path / "said")

    kept: dict[str, tuple[int, int]] = {}
    for last in ("maps/-2.json", "maps/+2.json", "mixing/00000.npz"):
        running = begun("broken")
        running.until(lambda last=last: (parts / last).is_file())
        running.kill()
        running.wait()
        assert not (tmp_path / "broken" / "claims.html").exists()
        before, kept = kept, stages(parts)
        assert len(kept) > max(8, len(before))
        assert {name: kept[name] for name in before} == before
    assert begun("broken").wait() == 0
    again = stages(parts)
    assert {name: again[name] for name in kept} == kept
    assert begun("whole").wait() == 0
    found, whole = (json.loads((tmp_path / name / "claims.json").read_text("utf-8")) for name in ("broken", "whole"))
    assert found == whole
