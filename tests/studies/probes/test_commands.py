"""`headscope lens`, `headscope recovery`, and a lens at `headscope look`."""

from __future__ import annotations

import json

import pytest
import zoo

from headscope import InputError, Scope
from headscope.commands.cli import main
from headscope.studies.probes import LinearLens
from headscope.studies.probes.texts import find_texts
from tests.studies.survey.corpora import sentences, surveyed, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A directory of a tiny model."""
    folder = tmp_path_factory.mktemp("model")
    made, tokenizer = zoo.build("roberta")
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return written(tmp_path_factory.mktemp("texts") / "corpus.txt", sentences(60, seed=3), every=3)


def run(*arguments):
    main_arguments = [str(argument) for argument in arguments]
    with pytest.raises(SystemExit) as left:
        main(main_arguments)
    return left.value.code


@pytest.mark.slow
def test_a_lens_is_fitted_kept_and_used(model, corpus, tmp_path, capsys):
    file = tmp_path / "lens.safetensors"
    assert run("lens", corpus, "-o", file, "--model", model) == 0
    told = capsys.readouterr().out
    assert "L2H3" in told
    assert f"Finished: {file}" in told
    lens = LinearLens.load(file)
    assert (lens.origin.count, lens.origin.texts, lens.origin.target) == (60, "corpus.txt", "own")
    look = ("look", "the early bird", "--model", model, "--token", 1, "--space", "fitted", "-k", 2)
    assert run(*look, "--lens", file) == 0
    assert "fitted on 60 texts" in " ".join(capsys.readouterr().out.split())
    assert run(*look, "--lens", file, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["space"] == "fitted"
    assert answer["reference"] is None
    assert any("shuffled" in note for note in answer["notes"])
    assert run(*look) == 2
    assert "needs a lens" in capsys.readouterr().err


@pytest.mark.slow
def test_a_lens_as_json(model, corpus, tmp_path, capsys):
    file = tmp_path / "lens.safetensors"
    assert run("lens", corpus, "-o", file, "--model", model, "--target", "sources", "--sample", 40, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["target"] == "sources"
    assert told["texts"]["count"] == 40
    assert told["file"] == str(file)
    assert len(told["heads"]) == 12
    assert set(told["heads"][0]["top10"]) >= {"value", "low", "high", "control", "difference_low", "difference_high"}


@pytest.mark.slow
def test_recovery_as_tables_and_as_json(model, corpus, capsys):
    assert run("recovery", corpus, "--model", model, "--offset", 0, "--offset", -1, "--no-heads") == 0
    assert "Token i read off the residual stream at j" in capsys.readouterr().out
    once = ("--offset", 0, "--offset", 0)  # named twice
    assert run("recovery", corpus, "--model", model, *once, "--sample", 30, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["texts"] == 30
    assert told["offsets"] == [0]
    assert {row["place"] for row in told["rows"]} == {"z", "head", "residual"}
    assert len({(row["place"], row["layer"], row["head"]) for row in told["rows"]}) == len(told["rows"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "next"), "no target 'next'; open: own, sources"),
        (("--mask", "none"), "no mask 'none'"),
        (("--format", "pdf"), "no format 'pdf'"),
        (("--sample", "2"), "4 folds need 4 texts"),
    ],
)
def test_mistakes_end_in_one_sentence(model, corpus, tmp_path, capsys, arguments, said):
    assert run("lens", corpus, "-o", tmp_path / "x", "--model", model, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_texts_of_a_survey_are_those_that_it_measured(model, corpus, tmp_path):
    scope = Scope.from_pretrained(model)
    directory = surveyed(scope, corpus, tmp_path / "survey", sample=30)
    found = find_texts(scope, [directory])
    assert len(found.contents) == 30
    assert len(set(found.groups)) < 30  # documents of three
    assert found.name == "survey"
    with pytest.raises(InputError, match="name it alone"):
        find_texts(scope, [directory, corpus])


@pytest.mark.slow
def test_changed_texts_of_a_survey_are_refused(model, tmp_path):
    scope = Scope.from_pretrained(model)
    path = written(tmp_path / "t.txt", sentences(20))
    directory = surveyed(scope, path, tmp_path / "survey")
    written(path, sentences(20, seed=1))
    with pytest.raises(InputError, match="are not those that it measured"):
        find_texts(scope, [directory])
    path.unlink()
    with pytest.raises(InputError, match="is not there"):
        find_texts(scope, [directory])
