"""What the docs say: links, tests, options and fields that exist; and the readings that stand in them."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from headscope.app.api.table import TABLE, offered_rows
from headscope.commands.cli import app, main
from headscope.question import meanings
from headscope.question.choices import REFERENCES

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
CLI = (ROOT / "docs" / "cli.md").read_text()
HOW = (ROOT / "docs" / "how-it-works.md").read_text()
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


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


INDEX = (ROOT / "docs" / "index.md").read_text()
MOST = 3_750  # words of a page that explains: what is looked up, and not read, has pages of its own


def under(caption: str) -> list[str]:
    """The site's pages under a caption, in order."""
    (listed,) = re.findall(rf":caption: {caption}\n\n(.*?)^```", INDEX, re.MULTILINE | re.DOTALL)
    return listed.split()


@pytest.mark.parametrize("name", [*under("Start")[1:], *under("Explanation")])
def test_a_page_that_explains_can_be_read_in_one_go(name):
    assert len((ROOT / "docs" / f"{name}.md").read_text().split()) < MOST


def test_every_how_to_is_reached_from_the_first_page():
    told = INDEX.partition("```{toctree}")[0]
    pages = under("How-tos")
    assert len(pages) == 10
    assert [page for page in pages if f"({page}.md)" not in told] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_are_named_exist(page):
    text = page.read_text()
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text):
        assert (ROOT / path).is_file(), f"{page.name} names {path}"
        assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{page.name} names {path}::{name}"


def test_every_promise_of_security_names_its_tests():
    told = (ROOT / "SECURITY.md").read_text()
    promised = told.partition("## What it promises")[2].partition("## What it does not")[0]
    promises = re.split(r"^- ", promised, flags=re.MULTILINE)[1:]
    assert len(promises) > 12
    assert [one for one in promises if not re.search(r"`tests/[\w/]+\.py::\w+`", one)] == []


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_of_a_command_is_in_its_section(command):
    section = re.search(rf"^## headscope {command}\n(.*?)(?=^## |\Z)", CLI, re.MULTILINE | re.DOTALL)
    assert section, f"docs/cli.md has no section on headscope {command}"
    for parameter in COMMANDS[command].params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            if name.startswith("-"):
                assert f"`{name}`" in section[1], f"docs/cli.md does not name {name} of headscope {command}"


def test_every_address_of_the_api_is_in_its_table():
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    named = {one.partition("?")[0].replace("NAME", "{name}") for row in rows for one in re.findall(r"`([^`]+)`", row)}
    told = {one for one in named if one.startswith(("GET", "POST", "DELETE"))}
    assert told == {f"{row.method} /{row.path}" for row in (*TABLE, *offered_rows())}


def fields(value: object, path: str = "") -> set[str]:
    """Every field of a JSON object by its path; a list's entries are []."""
    if isinstance(value, list):
        return set().union({path}, *(fields(entry, f"{path}[]") for entry in value if isinstance(entry, dict)))
    if isinstance(value, dict):
        return set().union(*(fields(entry, f"{path}.{key}".lstrip(".")) for key, entry in value.items()))
    return {path}


@pytest.mark.slow
def test_the_fields_of_look_json_are_those_of_the_docs(demo, capsys):
    succeed(["look", "--model", "demo", "--token", "banana", "-k", "1", "--json"])
    printed = json.loads(capsys.readouterr().out)
    succeed(["look", "--model", "demo", "-k", "1", "--space", "embedding", "--why", "0", "--json"])
    more = json.loads(capsys.readouterr().out)
    succeed(["look", "--model", "demo", "-k", "1", "--hubs", "--json"])
    hubs = json.loads(capsys.readouterr().out)
    named: set[str] = set()
    for cell in re.findall(r"^\| (`.*?`) \|", CLI.split("## The object of")[1], re.MULTILINE):
        first, *others = (name.removesuffix("[]") for name in re.findall(r"`([^`]+)`", cell))
        owner = first.rpartition(".")[0]
        named |= {first} | {f"{owner}{name}" if name.startswith(".") else name for name in others}
    assert named == fields(printed) | fields(more) | fields(hubs)

    (example,) = re.findall(r"^```json\n(.*?)^```$", CLI, re.MULTILINE | re.DOTALL)
    shown = json.loads(example)
    assert fields(shown) == fields(printed)
    kept = printed | {"tokens": [printed["tokens"][11]], "heads": [printed["heads"][7]]}
    kept["heads"][0]["positions"] = kept["heads"][0]["positions"][:2]
    assert rounded(shown) == rounded(kept)


def rounded(value: Any) -> Any:
    """The same with its distances to three digits, and the capture error, which depends on the machine, left out."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items() if key != "capture_error"}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return round(value, 3) if isinstance(value, float) else value


def succeed(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as leave:
        main(arguments)
    assert not leave.value.code


def test_what_the_references_mean_stands_there_in_the_same_words():
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    assert tuple(meanings.REFERENCES) == REFERENCES
    for name, meaning in meanings.REFERENCES.items():
        assert f"| `{name}` | {meaning} |" in page


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["input", "layer"])
def test_the_tables_of_both_references_are_what_look_prints(demo, capsys, monkeypatch, reference):
    monkeypatch.setenv("COLUMNS", "80")
    (shown,) = re.findall(rf"^```\n(reference {reference}\n.*?)^```$", HOW, re.MULTILINE | re.DOTALL)
    command = ["look", "--model", "demo", "--layer", "1", "--token", "banana", "-k", "3"]
    succeed([*command, *(["--reference", "input"] if reference == "input" else [])])
    printed = tokens_of(capsys.readouterr().out)
    heading, _, *rows = tokens_of(shown.split("\n", 1)[1])
    assert [row[0] for row in rows] == ["1", "2", "3", "own"]
    assert all(row in printed for row in (heading, *rows))


def tokens_of(table: str) -> list[list[str]]:
    """Each line's words without its distances, whose last digit another machine may round otherwise."""
    return [re.sub(r" \d\.\d+", " ", line).split() for line in table.splitlines()]


def _imported(code: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(code)))
    named = [one.name for node in nodes if isinstance(node, ast.Import) for one in node.names]
    named += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in named}


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "tutorials").glob("*.ipynb")), ids=lambda page: page.stem)
def test_tutorials_need_no_more_than_readme_installs(page):
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (extras,) = re.findall(r'^all = \["headscope\[(.*)\]"\]$', project, re.MULTILINE)
    brought = [re.findall(rf"^{extra} = (.*)$", project, re.MULTILINE)[0] for extra in extras.split(",")]
    names = {re.split(r"\W", name)[0].lower() for line in brought for name in re.findall(r'"([^"]+)"', line)}
    assert {"duckdb", "numba"} <= names
    cells = json.loads(page.read_text("utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert _imported(code) <= names | {"headscope", "torch"} | sys.stdlib_module_names
    assert "to_pandas" not in code, "which needs pandas"
