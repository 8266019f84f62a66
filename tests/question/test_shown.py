"""What holds tensors, files or a model shows itself in a few lines: neither pages of numbers nor a bare address."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope.corpus.census import Census
from headscope.question.shown import laid
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.run import Run
from headscope.studies.probes import fit_lens
from headscope.studies.survey.headline import headlines
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from headscope.studies.verify import verify


def is_readable(shown: str) -> bool:
    return len(shown) < 600 and "tensor(" not in shown and "array(" not in shown and " at 0x" not in shown


OF_A_READING = {
    "bench": lambda scope, reading: scope.bench,
    "opened": lambda scope, reading: scope.bench.opened,
    "card": lambda scope, reading: scope.card,
    "isolated": lambda scope, reading: scope.isolated,
    "streams read alone": lambda scope, reading: scope.isolated.streams,
    "chance of an atlas": lambda scope, reading: reading.atlas_chance(reading.atlas(1), bank_of(scope)).chance,
    "other texts' standing": lambda scope, reading: reading.standing(1, bank=bank_of(scope)).others,
    "chance of an answer": lambda scope, reading: reading.background(reading.nearest(1), bank_of(scope)).chance,
    "attended": lambda scope, reading: reading.attended(0),
    "a block's stages": lambda scope, reading: reading.stages[0],
    "a text in a map": lambda scope, reading: reading.map(method="pca", size=60).texts[0],
    "verdict": lambda scope, reading: verify(scope),
}


def bank_of(scope):
    return scope.bank([f"{word} {zoo.TEXT}" for word in " ".join(zoo.CORPUS).split()[:30]], size=100)


@pytest.mark.parametrize("made", OF_A_READING.values(), ids=OF_A_READING)
def test_what_a_scope_and_a_reading_give_can_be_read(scope_of, made):
    scope = scope_of("bert")
    assert is_readable(repr(made(scope, scope.read(zoo.TEXT))))


def test_tensors_are_shown_by_their_shapes_and_what_fits_in_a_line_stands_in_one(scope_of):
    reading = scope_of("bert").read(zoo.TEXT)
    words = len(reading.tokens)
    assert repr(reading.attended(0)) == f"LayerPattern: pattern [4, {words}, {words}], visible [{words}, {words}]"
    assert laid("Found", {"share": torch.tensor(0.25), "of": None, "by": {"a": 1}}) == (
        "Found: share 0.25, of None, by {'a': 1}"
    )
    assert laid("Found", {"text": "a" * 99, "rows": [object()] * 3}).splitlines() == [
        "Found:", f"  text '{'a' * 99}'", "  rows (3 of object)",
    ]  # fmt: skip


def test_a_verdict_says_what_does_not_hold(scope_of):
    verdict = verify(scope_of("bert"))
    first, *lines = repr(verdict).splitlines()
    assert first == "Verdict on BertModel: every identity holds"
    assert len(lines) == len(verdict.checks)


@pytest.mark.slow
def test_what_is_shown_of_a_lens(scope_of):
    lens = fit_lens(scope_of("bert"), zoo.CORPUS * 2)
    assert repr(lens.scores).startswith("Scores: top1 (Controlled), top10 (Controlled), r2 (Controlled), samples [")
    for part in (lens.scores.top1, lens.origin, lens.maps):
        assert is_readable(repr(part))
    one = lens.scores.top10.each(lambda values: values[0, 0])
    assert f"value {one.value.item():.4g}" in repr(one)


@pytest.mark.slow
def test_studies_say_what_they_are_of(scope_of, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(zoo.CORPUS))
    scope, out = scope_of("bert"), tmp_path / "out"
    survey = Survey.prepare(scope, [tmp_path / "texts.txt"], out, SurveyOptions(references=("layer",)))
    assert repr(survey) == f"Survey of 4 texts, {survey.census.total} positions by BertModel, in {str(out)!r}"
    assert isinstance(survey.census, Census)
    assert is_readable(repr(survey.texts) + repr(survey.census))
    survey.run()
    opened = open_survey(out)
    assert repr(opened).splitlines() == [
        f"OpenedSurvey of BertModel, 3 layers × 4 heads, in {str(out)!r}", "value · layer · cosine · model",
    ]  # fmt: skip
    assert all(is_readable(repr(one)) for one in headlines(opened.contrasts))
    run = Run.prepare(scope, [tmp_path / "texts.txt"], CapacityOptions(parts=("dimension",)))
    assert repr(run) == f"Run of {run.announced}; dimension"
