"""`headscope map`: from a text to a file."""

from __future__ import annotations

import json

import pytest

from headscope.commands.cli import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as leave:
        main(["map", *arguments])
    return int(leave.value.code or 0)


@pytest.mark.long
def test_a_map_of_two_texts_is_drawn(demo, tmp_path, capsys):
    file = tmp_path / "map.svg"
    texts = ("I sat by the bank.", "--with", "The bank lent me money.")
    choices = ("--layer", "3", "--head", "5", "--method", "pca", "--size", "300")
    assert run(*texts, *choices, "--model", "demo", "-o", str(file)) == 0
    printed = capsys.readouterr()
    assert "300 of 30,522 vocabulary tokens" in printed.out
    assert "Note: Do not read nearness off this picture" in printed.out
    assert f"Finished: {file}" in printed.out
    assert printed.err == ""
    assert "outputs z of text 2" in file.read_text()


@pytest.mark.long
def test_its_numbers_are_those_of_the_library(demo, tmp_path):
    file = tmp_path / "map.json"
    choices = ("--layer", "3", "--head", "5", "--method", "tsne", "--size", "200", "--metric", "euclidean", "--at", "2")
    assert run("A bird.", *choices, "--seed", "4", "--perplexity", "12", "--model", "demo", "-o", str(file)) == 0
    told = json.loads(file.read_text())
    found = demo.read("A bird.").map(3, 5, metric="euclidean", at=2, size=200, seed=4, perplexity=12)
    assert {name: told[name] for name in found.to_dict()} == json.loads(json.dumps(found.to_dict()))
    assert told["schema"] == 1
    assert told["model"]["weights_sha256"] == demo.card.weights_sha256
    assert told["at"] == 2


@pytest.mark.slow
def test_it_is_a_page_and_a_table_too(demo, tmp_path):
    for name, begins in (("map.html", "<!doctype html>"), ("map.md", "PCA: "), ("map.csv", "what,group,text")):
        choices = ("--method", "pca", "--size", "60", "--model", "demo", "-o", str(tmp_path / name))
        assert run("A bird.", *choices) == 0
        assert (tmp_path / name).read_text().startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "map.gif"), "not '.gif'"),
        (("-o", "nowhere/map.svg"), "there is no directory"),
        (("-o", "map.svg", "--theme", "sepia"), "no theme 'sepia'"),
        (("-o", "map.html", "--theme", "dark"), ".html is none"),
        (("-o", "map.svg", "--model", "demo", "--head", "12"), "no head 12"),
        (("-o", "map.svg", "--model", "demo", "--metric", "dot"), "open: cosine, euclidean"),
    ],
)
def test_a_mistake_is_one_sentence(demo, tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.startswith("headscope: ")
    assert err.count("\n") == 1
