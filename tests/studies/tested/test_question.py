"""Sixty sentences that every model is asked about, and the demo weights' answer, which comes along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

import pyarrow.parquet as pq

from headscope import InputError, Scope
from headscope.inference.verdicts import RATE
from headscope.studies.survey.headline import headlines, of_each
from headscope.studies.tested.figures import open_figures
from headscope.studies.tested.question import SENTENCES, TEXTS, begun
from headscope.studies.tested.there import SENT_ALONG, folder_of, there

SCRIPT = Path(__file__).parents[3] / "docs" / "tested_demo.py"


def test_there_are_sixty_each_a_document_and_none_twice(
    demo: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = SENTENCES.read_text("utf-8").strip().split("\n\n")
    assert len(texts) == len(set(texts)) == TEXTS
    assert {8 <= len(demo.tokens(text)) <= 40 for text in texts} == {True}
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    census = begun(demo).census
    assert (census.documents, len(census.numbers), sum(census.left_out.values())) == (TEXTS, TEXTS, 0)


def test_the_answer_of_the_demo_weights_comes_along(
    demo: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    place = SENT_ALONG / folder_of(demo.card.weights_sha256)
    assert there(demo) == place
    survey = open_figures(place)
    assert survey.model["weights_sha256"] == demo.card.weights_sha256
    assert survey.manifest["texts"]["sources"] == ["sixty.txt"], "a path of the machine that made it"
    assert all(one.with_twins for one in headlines(survey.contrasts))
    assert sum(path.stat().st_size for path in place.iterdir()) < 400_000


def test_the_findings_have_its_figures_over_twins_that_attend_as_it_does(demo: Scope) -> None:
    survey = open_figures(SENT_ALONG / folder_of(demo.card.weights_sha256))
    found, (view,) = {one.statistic: one for one in headlines(survey.contrasts)}, survey.views
    means = of_each(survey.contrasts, view)
    words = (Path(__file__).parents[3] / "docs" / "findings.md").read_text("utf-8").replace("−", "-")
    rows = words.partition("| layer | Own - twins that attend so |")[2].splitlines()[2 : 2 + survey.layers]
    for layer, row in enumerate(rows):
        said = [cell.strip() for cell in row.strip("|").split("|")]
        expected = [str(layer)]
        for statistic in ("own", "carry"):
            values = means[statistic, layer, None].values
            assert values is not None
            assert values.q is not None
            numbers = [float(f"{one:.3f}") for one in (values.difference, values.low or 0, values.high or 0)]
            mean, low, high = (f"{one:+.3f}" if one else "0.000" for one in numbers)
            shown = [head.values for head in found[statistic].those("stands out") if head.layer == layer]
            above = sum(one is not None and one.standing == "above" for one in shown)
            star = "*" if values.q <= RATE else ""
            expected += [f"{mean} [{low}, {high}]{star}", f"{above} of {len(shown)}"]
        assert said == expected


def test_figures_that_are_not_what_was_written_are_refused(demo: Scope, tmp_path: Path) -> None:
    place = SENT_ALONG / folder_of(demo.card.weights_sha256)
    for name in ("statistics.parquet", "contrasts.parquet"):
        copied = tmp_path / name
        copied.mkdir()
        for path in place.iterdir():
            raw = bytearray(path.read_bytes())
            raw[len(raw) // 2] ^= path.name == name
            (copied / path.name).write_bytes(raw)
        with pytest.raises(InputError, match=f"{name} is not what was written"):
            open_figures(copied)


@pytest.mark.long
def test_the_script_makes_it_anew(demo: Scope, tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, timeout=1800)
    folder = folder_of(demo.card.weights_sha256)
    keys = ("statistic", "layer", "head", "reference", "mask")
    for name, more, fields in (
        ("statistics.parquet", (), ("value", "difference")),
        ("contrasts.parquet", ("between",), ("difference", "low")),
    ):
        one, other = (
            {tuple(row[key] for key in (*keys, *more)): row for row in pq.read_table(where / folder / name).to_pylist()}
            for where in (SENT_ALONG, tmp_path)
        )
        assert one.keys() == other.keys()
        for field in fields:
            for key, row in one.items():
                assert other[key][field] == pytest.approx(row[field], abs=0.01), (key, field)
