"""Benchmarks still ask for what there is: each runs on a tiny model. What it measures there means nothing."""

from __future__ import annotations

import importlib
import math

import pytest
import zoo

from benchmarks import busy, finishing, fleet, models, starts, survey
from benchmarks.__main__ import names
from headscope.question.model_choice import ModelChoice
from headscope.studies.survey.options import SurveyOptions
from tests.studies.survey.corpora import sentences, written

# These open a browser, a server or whole models of their own, or take minutes whatever the model.
LEFT_OUT = {"busy", "page", "scaling", "memory", "look", "maps", "kernel", "capture", "claims", "starts"}
LEFT_OUT |= {"fleet", "finishing"}


def numbers(result):
    """Every number that a benchmark tells, however deep."""
    if isinstance(result, dict):
        return [number for part in result.values() for number in numbers(part)]
    return [result] if isinstance(result, float) else []


@pytest.mark.slow
def test_what_is_measured_beside_other_programs_runs(scope_of, monkeypatch):
    for module in (busy, survey):
        monkeypatch.setattr(module, "TEXT", zoo.TEXT)
    took = busy._Tasks(scope_of("bert")).all()
    assert {"warm click", "read", "first table", "first atlas", "warm atlas"} < set(took)
    assert all(seconds > 0 for seconds in took.values())
    assert busy.fair(2, 2, True) == pytest.approx(1.5)
    assert busy.fair(2, 4, False) == pytest.approx(3)


@pytest.mark.slow
def test_starts_of_a_program_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "TEXT", zoo.TEXT)
    told = starts._measure(str(zoo.save("bert", tmp_path / "model")))
    assert all(math.isfinite(number) and number > 0 for number in numbers(told))
    assert told["ratios"]["first atlas / a later one"] == told["first_atlas_s"] / told["times"]["atlas"]["median_s"]


@pytest.mark.slow
def test_the_end_of_a_made_survey_is_reached(monkeypatch):
    for name, value in {"POSITIONS": 24_000, "PARTS": 2, "SHAPE": {"layers": 1, "heads": 2, "vocab_size": 300}}.items():
        monkeypatch.setattr(finishing, name, value)
    told = finishing.run()
    assert told["shards"] == 6
    assert 0 < told["bytes of sums"] < told["bytes read"]


@pytest.mark.long
def test_workers_are_held_against_as_many_processes(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")
    model = ModelChoice(str(zoo.save("bert", tmp_path / "model")), device="cpu")
    options = SurveyOptions(shard_positions=30, references=("layer",))
    texts = written(tmp_path / "texts.txt", sentences(24))
    for name, value in {"ROUNDS": 1, "CHOICE": model, "OPTIONS": options, "EWT": texts}.items():
        monkeypatch.setattr(fleet, name, value)
    told = fleet.run()
    (found,) = told["rounds"]
    assert list(found) == ["1 process", "2 processes", "1 worker", "2 workers"]
    assert len({way["shards"] for way in found.values()}) == 1
    assert all(math.isfinite(number) and number >= 0 for number in numbers(found))
    assert told["pace to that of one process"]["1 process"] == 1


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name == "corpus")) for name in sorted(set(names()) - LEFT_OUT)],
)
def test_it_runs(name, scope_of, monkeypatch):
    benchmark = importlib.import_module(f"benchmarks.{name}")
    for module in (benchmark, models) if name == "corpus" else (models,):
        monkeypatch.setattr(module, "scopes", lambda: {"demo": scope_of("bert")})
    monkeypatch.setattr(benchmark, "TEXT", zoo.TEXT)
    if name == "corpus":
        monkeypatch.setattr(benchmark, "TEXTS", {"demo": 60})
    told = numbers(benchmark.run())
    assert told
    assert all(math.isfinite(number) and number >= 0 for number in told)
