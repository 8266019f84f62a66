"""What README shows: code that runs, and output that is real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headscope.commands.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """README's code blocks in a language; "" for those that name none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [body for name, body in found if name == language]


def test_the_python_of_readme_runs(demo, capsys):
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert "▸banana" in capsys.readouterr().out


@pytest.mark.parametrize("reference", ["input", "layer"])
def test_the_tables_of_readme_are_what_look_prints(demo, capsys, monkeypatch, reference):
    monkeypatch.setenv("COLUMNS", "80")
    (shown,) = (block for block in blocks("") if block.startswith(f"reference {reference}"))
    command = ["look", "--model", "demo", "--layer", "1", "--token", "banana", "-k", "3"]
    succeed([*command, *(["--reference", "input"] if reference == "input" else [])])
    printed = tokens_of(capsys.readouterr().out)
    heading, _, *rows = tokens_of(shown.split("\n", 1)[1])
    assert [row[0] for row in rows] == ["1", "2", "3", "own"]
    assert all(row in printed for row in (heading, *rows))


def tokens_of(table: str) -> list[list[str]]:
    """Each line's words without its distances, whose last digit another machine may round otherwise."""
    return [re.sub(r" \d\.\d+", " ", line).split() for line in table.splitlines()]


def succeed(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(arguments)
    assert not leave.value.code


def test_readme_holds_the_two_commands():
    assert 'python -m pip install -c constraints.txt ".[app,demo,fast,maps]" && headscope serve\n' in blocks("")
    assert 'python -m pip install -c constraints.txt -e ".[dev]" && python -m pytest\n' in blocks("")


@pytest.mark.parametrize(
    ("sentence", "test"),
    [
        ("Your model is left alone", "test_left_alone.py"),
        ("no code from a checkpoint is run", "model/test_damaged.py"),
        ("left out and counted", "studies/survey/test_spoiled_texts.py"),
        ("refused with one sentence", "model/test_refusals.py"),
    ],
)
def test_what_readme_promises_is_a_test_that_names_it(sentence, test):
    for path in (ROOT / "README.md", ROOT / "tests" / test):
        assert sentence in " ".join(path.read_text("utf-8").split()), path
