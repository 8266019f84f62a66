"""What a command writes does not take the place of what it reads, and is refused before anything is computed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def place(model, texts, tmp_path):
    """A model, an adapter and texts of one's own, which a fault would spoil; and another name of the weights."""
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    shutil.copy(texts, tmp_path / "texts")
    shutil.copy(texts, tmp_path / "bank.md")
    (tmp_path / "lens.json").write_text("{}")
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "model" / "model.safetensors")
    return tmp_path


def contents(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        "lens texts -o texts --model model",
        "lens texts -o ./model/../texts --model model",
        "lens texts -o model/model.safetensors --model model",
        "lens texts -o link.safetensors --model model",
        "lens texts -o adapter/adapter_model.safetensors --model model --adapter adapter",
        "look --model model -o model/config.json",
        "look --model model --hubs --bank bank.md -o bank.md",
        "look --model model --space fitted --lens lens.json -o lens.json",
        "map --model model -o model/tokenizer.json",
    ],
)
def test_an_input_is_not_written_over(run, place, monkeypatch, command):
    monkeypatch.chdir(place)
    monkeypatch.setattr("headscope.scope.Scope.from_pretrained", None)  # nothing is opened
    before = contents(place)
    code, out, err = run(*command.split())
    assert (code, out) == (2, b"")
    assert b"name another file." in err
    assert contents(place) == before


@pytest.mark.parametrize("ending", [".txt", ".html", ".json", ".pt"])
def test_a_lens_is_written_as_safetensors(run, place, ending):
    code, _, err = run("lens", place / "texts", "-o", place / f"x{ending}", "--model", place / "model")
    assert (code, f"a lens is written as .safetensors, not as {ending}".encode() in err) == (2, True)


def test_an_earlier_view_is_replaced_also_beside_the_model(run, place):
    for view in (place / "view.json", place / "model" / "view.html"):
        view.write_text("~ before ~")
        assert run("look", "the sea", "--model", place / "model", "-o", view)[0] == 0
        assert "~ before ~" not in view.read_text("utf-8")


@pytest.mark.parametrize(
    "command",
    [
        ["survey", "texts", "-o", "", "--model", "model"],
        ["survey", "", "-o", "D", "--model", "model"],
        ["survey", "--finish", ""],
        ["report", "", "-o", "R"],
        ["report", "D", "-o", ""],
        ["claims", "model", "--survey", ""],
        ["claims", "model", "--texts", "", "-o", "D"],
        ["capacity", "model", "--texts", "texts", "-o", ""],
        ["lens", "texts", "-o", "", "--model", "model"],
        ["look", "--model", "model", "-o", ""],
        ["look", "--model", "model", "--hubs", "--bank", ""],
        ["serve", "--model", "model", "--survey", ""],
    ],
    ids=" ".join,
)
def test_an_empty_name_is_not_where_one_stands(run, place, monkeypatch, command):
    monkeypatch.chdir(place)
    monkeypatch.setattr("headscope.scope.Scope.from_pretrained", None)  # nothing is opened
    before = contents(place)
    code, _, err = run(*command)
    assert (code, b"is empty, which is no place." in err) == (2, True)
    assert contents(place) == before


@pytest.mark.parametrize("option", ["--texts", "--survey"])
def test_claims_refuse_an_address_before_the_model_is_opened(run, place, monkeypatch, option):
    monkeypatch.setattr("headscope.scope.Scope.from_pretrained", None)
    for address, said in (("s3://x/y", "is on an object store"), ("ftp://x/y", "ftp://x/y' begins with ftp://")):
        code, _, err = run("claims", place / "model", option, address)
        assert (code, said in err.decode()) == (2, True)
