"""What README shows: code that runs, and output that is real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def test_readme_holds_the_two_commands():
    assert 'python -m pip install -c constraints.txt ".[all]" && headscope serve\n' in blocks("")
    assert 'python -m pip install -c constraints.txt -e ".[dev]" && python -m pytest\n' in blocks("")


def test_every_interval_of_readme_is_of_the_findings():
    findings = (ROOT / "docs" / "findings.md").read_text("utf-8").replace("+", "")
    intervals = re.findall(r"\d\.\d+ \[\d\.\d+,\s\d\.\d+\]", " ".join(README.split()))
    assert len(intervals) == 4
    assert [one for one in intervals if one not in " ".join(findings.split())] == []


def test_readme_is_read_in_a_minute():
    assert len(README.splitlines()) < 130


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
