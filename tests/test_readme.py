"""What README and docs promise: code that runs, output that is real, names and links that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headscope.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


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
    command = ["look", "--model", "demo", "--layer", "1", "--token", "banana", "-k", "3", "--reference", reference]
    main_without_leaving(command)
    printed = [re.sub(r" \d\.\d+", " ", line).split() for line in capsys.readouterr().out.splitlines()]
    rows = [re.sub(r" \d\.\d+", " ", line).split() for line in shown.splitlines() if line[:5].strip(" ─") != ""]
    assert len(rows[1:]) == 4  # the first is the heading
    assert all(row in printed for row in rows[1:])


def main_without_leaving(arguments: list[str]) -> None:
    try:
        main(arguments)
    except SystemExit as leave:
        assert not leave.code


def test_readme_holds_the_two_commands():
    assert 'python -m pip install -c constraints.txt ".[app,demo]" && headscope serve\n' in blocks("")
    assert 'python -m pip install -c constraints.txt -e ".[dev]" && python -m pytest\n' in blocks("")


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in headings(there), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_are_named_exist(page):
    text = page.read_text()
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text):
        assert (ROOT / path).is_file(), f"{page.name} names {path}"
        assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{page.name} names {path}::{name}"
