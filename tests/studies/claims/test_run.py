"""A run as a user makes it: it goes on after it was ended, takes a finished survey, and refuses what does not fit."""

from __future__ import annotations

import json

import pytest
import zoo

from headscope import Scope
from headscope.commands.cli import main
from headscope.errors import InputError
from headscope.show.progress import Progress
from headscope.studies.claims.page import write_page
from headscope.studies.claims.run import ClaimsAsked, settle
from tests.studies.survey.corpora import surveyed, written


class Ended(Exception):
    """What ends a run."""


class EndsAt(Progress):
    """Ends a run when it comes to a step."""

    def __init__(self, doing: str) -> None:
        super().__init__(self.end)
        self._last = doing

    def end(self, progress: Progress) -> None:
        if progress.doing == self._last:
            raise Ended


@pytest.fixture(scope="module")
def whole(scope, corpus, tmp_path_factory):
    """A run that nothing ended, and where."""
    directory = tmp_path_factory.mktemp("whole")
    return settle(scope, ClaimsAsked(texts=(corpus,)), directory), directory


@pytest.mark.long
def test_a_run_that_was_ended_again_and_again_finds_the_same(scope, corpus, whole, tmp_path, monkeypatch):
    for doing in ("measuring under the published arithmetic", "with and without the position", "mixing ratios"):
        with pytest.raises(Ended):
            settle(scope, ClaimsAsked(texts=(corpus,)), tmp_path, EndsAt(doing))
    monkeypatch.setattr("headscope.studies.survey.run.measure", None)  # what is there is not measured again
    monkeypatch.setattr("headscope.studies.claims.maps.MapsTask", None)
    monkeypatch.setattr("headscope.studies.claims.passes.search_placed", None)
    found = settle(scope, ClaimsAsked(texts=(corpus,)), tmp_path)
    assert found.to_dict() == whole[0].to_dict()


@pytest.mark.long
def test_encodings_are_let_go_before_work_that_has_no_use_for_them_and_change_nothing(
    scope, corpus, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr("headscope.vocabulary.encodings._LARGE", 1)  # a tiny model's tables are small
    held = {}
    progress = Progress(lambda progress: held.setdefault(progress.doing, scope.bench.encodings.nbytes))
    found = settle(scope, ClaimsAsked(texts=(corpus,)), tmp_path, progress)
    assert held["measuring under the published arithmetic"] == held["fitting linear maps"] == 0
    assert held["computing the statistics"] > 0
    assert found.findings == whole[0].findings


@pytest.mark.long
def test_a_survey_that_fits_serves_in_the_place_of_a_run_of_its_own(scope, corpus, whole, tmp_path):
    survey = surveyed(scope, corpus, tmp_path / "survey", stream=True)
    found = settle(scope, ClaimsAsked(survey=survey), tmp_path / "out")
    assert not (tmp_path / "out" / "parts" / "right").exists()
    assert found.to_dict()["claims"] == whole[0].to_dict()["claims"]


@pytest.mark.long
def test_a_survey_without_streams_leaves_their_claims_undetermined(scope, corpus, tmp_path):
    survey = surveyed(scope, corpus, tmp_path / "survey")
    found = settle(scope, ClaimsAsked(survey=survey), tmp_path / "out")
    assert {found.of(id)[0].ruling for id in ("B2", "B5", "B6", "B7")} == {"undetermined"}
    assert "--stream" in found.of("B2")[0].found


@pytest.mark.parametrize(
    ("options", "lacks"),
    [({"references": ("layer",)}, "'input'"), ({"masks": ("full",)}, "'model'"), ({"metrics": ("dot",)}, "'cosine'")],
)
def test_a_survey_that_does_not_fit_is_refused_with_what_it_lacks(scope, corpus, tmp_path, options, lacks):
    survey = surveyed(scope, corpus, tmp_path / "survey", sample=4, **options)
    with pytest.raises(InputError, match=lacks):
        settle(scope, ClaimsAsked(survey=survey), tmp_path / "out")


def test_a_survey_of_another_model_is_refused(scope, corpus, tmp_path):
    survey = surveyed(Scope.from_model(*zoo.build("bert")), corpus, tmp_path / "survey", sample=4)
    with pytest.raises(InputError, match="other weights"):
        settle(scope, ClaimsAsked(survey=survey), tmp_path / "out")


@pytest.mark.long
def test_a_directory_with_other_claims_is_refused(scope, corpus, whole):
    with pytest.raises(InputError, match="other claims"):
        settle(scope, ClaimsAsked(texts=(corpus,), seed=1), whole[1])


def test_a_survey_and_texts_at_once_are_refused():
    with pytest.raises(InputError, match="texts of its own"):
        ClaimsAsked.of(["a.txt"], "survey", "model", None, 0)


@pytest.mark.slow
def test_the_page_holds_every_verdict_and_number(whole, tmp_path):
    found = whole[0]
    page = write_page(found, tmp_path / "page").read_text("utf-8")
    for one in found.findings:
        assert one.ruling in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    kept = json.loads((tmp_path / "page" / "claims.json").read_text("utf-8"))
    assert kept == json.loads(json.dumps(found.to_dict()))
    rows = (tmp_path / "page" / "claims.csv").read_text("utf-8").splitlines()
    assert len(rows) == 1 + len(found.findings)
    numbers = (tmp_path / "page" / "numbers" / "claims.csv").read_text("utf-8").splitlines()
    assert len(numbers) == 1 + sum(len(one.figures) for one in found.findings)
    assert "# The experiment" in (tmp_path / "page" / "claims.md").read_text("utf-8")


@pytest.mark.slow
def test_the_same_work_gives_the_same_page(whole, tmp_path):
    first, second = (write_page(whole[0], tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.long
def test_a_decoder_is_told_what_does_not_apply(corpus, tmp_path):
    model = zoo.save("llama", tmp_path / "llama")
    found = settle(Scope.from_pretrained(str(model)), ClaimsAsked(texts=(corpus,), sample=12), tmp_path / "out")
    published = [one for one in found.findings if one.arithmetic == "published"]
    assert len(published) == 10
    assert {one.ruling for one in published} == {"not applicable"}
    assert "its W_V is 32 × 16, not square" in published[0].found
    assert found.of("S7")[0].ruling == "not applicable"
    assert "causal mask" in found.notes[0]


def run(*arguments: object) -> int:
    """The command in this process: its exit code."""
    with pytest.raises(SystemExit) as left:
        main(["claims", *map(str, arguments)])
    return left.value.code or 0


@pytest.mark.slow
def test_the_command_prints_the_verdicts_and_writes_the_page(corpus, tmp_path, capsys):
    model = zoo.save("bert", tmp_path / "bert")
    out = tmp_path / "out"
    assert run(model, "--texts", corpus, "--sample", 12, "-o", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert len(told["claims"]) == 19
    assert (out / "claims.html").is_file()
    assert run(model, "--texts", corpus, "--sample", 12, "-o", out) == 0
    shown = capsys.readouterr().out
    assert "holds" in shown
    assert f"Finished: {out / 'claims.html'}" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--texts", "nowhere.txt"], "there is no file or directory 'nowhere.txt'"),
        (["--mask", "half"], "there is no mask 'half'"),
        (["--survey", "nowhere"], "'nowhere' is no directory"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, capsys, arguments, said):
    model = zoo.save("bert", tmp_path / "bert")
    assert run(model, "-o", tmp_path / "out", *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_directory_with_something_else_is_refused(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    assert run("demo", "-o", tmp_path / "out") == 2
    assert "holds something else (letter.txt)" in capsys.readouterr().err


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("texts", [["time flies like an arrow."], ["time flies.", "a bird in the hand is worth two."]])
def test_one_or_two_texts_determine_little_and_break_nothing(tmp_path, texts):
    path = written(tmp_path / "t.txt", texts)
    found = settle(Scope.from_model(*zoo.build("bert")), ClaimsAsked(texts=(path,)), tmp_path / "out")
    json.dumps(found.to_dict(), allow_nan=False)
    write_page(found, tmp_path / "page")
    assert found.of("S9")[0].ruling == "undetermined"
    if len(texts) == 1:
        assert {one.ruling for one in found.findings if one.claim in ("S5", "S6", "S7", "S8", "B8", "B9")} == {
            "undetermined"
        }
